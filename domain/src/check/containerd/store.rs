//! Whether the runtime gets its work done: how fast it answers calls that do nothing, and
//! whether it can list its sandboxes, which the kubelet asks for every second.

use jiff::Timestamp;

use super::{JOURNAL, serving, with_action};
use crate::check::{Evidence, Scope, Verdict, confirmed, verdict_or};
use crate::facts::Containerd;
use crate::facts::containerd::Reply;
use crate::measured::Watched;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn, turn_for_broken_component};

pub(super) fn slow(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let containerd = verdict_or!(serving(history, scope));
    let measured = history.measured.newest();
    let Some(seconds) = measured.runtime_round_trip_seconds else {
        return Verdict::unknown("how fast it answers has not been measured", Vec::new());
    };
    let evidence = vec![Evidence::new(
        &containerd.socket,
        format!("Version and Status answered after {seconds:.3} s"),
        "at most 1 s",
    )];
    if Watched::RuntimeSlow.is_broken(measured) != Some(true) {
        return Verdict::pass(evidence);
    }
    let broken = history.measured.broken(Watched::RuntimeSlow);
    let since = verdict_or!(confirmed(scope.standing.or_longer(broken), &evidence));
    // The node stays Ready, so no repair begins; and what slows it down are mostly its
    // own workloads.
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at: "load of the node's disk and processors".to_owned() },
        valid_until: None,
    };
    Verdict::fail("the container runtime answers slowly", since, turn, evidence)
}

fn cannot_list(containerd: &Containerd) -> bool {
    let list = &containerd.replies.list_pod_sandbox;
    matches!(list, Reply::TimedOut { .. } | Reply::Failed { .. })
}

pub(super) fn sandbox_list_failing(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(serving(history, scope));
    let list = &containerd.replies.list_pod_sandbox;
    let evidence = vec![Evidence::new(
        &containerd.socket,
        format!("ListPodSandbox: {list}"),
        "ListPodSandbox: answered",
    )];
    match list {
        Reply::Answered(_) => return Verdict::pass(evidence),
        Reply::Unimplemented { .. } | Reply::NotAsked { .. } => {
            return Verdict::unknown("whether sandboxes can be listed is not known", evidence);
        }
        Reply::TimedOut { .. } | Reply::Failed { .. } => {}
    }
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.containerd.holding(cannot_list)),
        &evidence
    ));
    let turn = turn_for_broken_component(scope.platform, policy, since, now, "containerd.service");
    let message = format!("the runtime cannot list its pod sandboxes: {list}");
    with_action(Verdict::fail(message, since, turn, evidence), scope, || Action::Investigate {
        at: JOURNAL.to_owned(),
    })
}
