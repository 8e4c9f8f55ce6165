//! What the first two calls on the socket say: nobody there, no answer, no CRI, an error,
//! or a condition that does not hold.

use jiff::Timestamp;

use super::{another_endpoint, behind, evidence, owner, plugins, runtime, with_action};
use crate::check::{Evidence, Scope, Verdict, confirmed, facts, unit, verdict_or};
use crate::facts::{Containerd, CriAnswer, RuntimeCondition};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, turn_for_broken_component};

/// Judges one failure shape: `broken` says whether the runtime is in it, `excluded_by`
/// whether its answer shows that it is not. Any other answer leaves it to the check that
/// owns that answer, or unknown.
fn shape(
    history: &NodeHistory,
    (scope, policy, now): (&Scope, &Policy, Timestamp),
    broken: fn(&Containerd) -> bool,
    excluded_by: fn(&CriAnswer) -> bool,
    expected: &str,
    message: impl Fn(&Containerd) -> String,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    let evidence = evidence(containerd, expected);
    if broken(containerd) {
        let since = verdict_or!(confirmed(
            scope.standing.or_longer(history.containerd.holding(broken)),
            &evidence
        ));
        let turn =
            turn_for_broken_component(scope.platform, policy, since, now, "containerd.service");
        return Verdict::fail(message(containerd), since, turn, evidence);
    }
    if excluded_by(&containerd.cri) {
        Verdict::pass(evidence)
    } else if let Some(owner) = owner(containerd) {
        behind(owner)
    } else {
        Verdict::unknown(format!("the runtime does not say it: {}", containerd.cri), evidence)
    }
}

fn is_down(cri: &CriAnswer) -> bool {
    matches!(cri, CriAnswer::NoSocket | CriAnswer::Refused)
}

fn is_hung(cri: &CriAnswer) -> bool {
    matches!(cri, CriAnswer::TimedOut { .. })
}

fn is_disabled(cri: &CriAnswer) -> bool {
    matches!(cri, CriAnswer::Unimplemented { .. })
}

fn is_failing(cri: &CriAnswer) -> bool {
    matches!(cri, CriAnswer::Failed { .. })
}

fn is_serving(cri: &CriAnswer) -> bool {
    matches!(cri, CriAnswer::Serving { .. })
}

pub(super) fn down(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    if scope.platform != Platform::Plain
        && let Ok((containerd, _)) = facts(&history.containerd, "")
        && let Some(endpoint) = another_endpoint(history, containerd)
    {
        let evidence =
            vec![Evidence::new("containerRuntimeEndpoint", endpoint, &containerd.socket)];
        let why = "the kubelet uses another runtime than the one asked (--containerd-socket)";
        return Verdict::unknown(why, evidence);
    }
    if let Some(reason) = unit::stands_for_down::<Containerd>(history, scope, now) {
        return Verdict::not_applicable(format!("see {reason}"));
    }
    let verdict = shape(
        history,
        (scope, policy, now),
        |containerd| is_down(&containerd.cri),
        |cri| !is_down(cri),
        "a listening socket",
        |containerd| {
            let process = if containerd.process.is_some() {
                "a containerd process runs, but none listens there"
            } else {
                "no containerd process"
            };
            format!("{} on {}; {process}", containerd.cri, containerd.socket)
        },
    );
    unit::with_cause::<Containerd>(verdict, history, scope)
}

pub(super) fn hung(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |containerd| is_hung(&containerd.cri),
        |cri| is_serving(cri) || is_disabled(cri) || is_failing(cri),
        "an answer in time",
        |containerd| format!("containerd hangs: {}", containerd.cri),
    )
}

pub(super) fn cri_disabled(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let verdict = shape(
        history,
        (scope, policy, now),
        |containerd| is_disabled(&containerd.cri) && !plugins::explain_missing_cri(containerd),
        |cri| is_serving(cri) || is_failing(cri),
        "CRI v1 served",
        |containerd| containerd.cri.to_string(),
    );
    // A disabled plugin is a line in a configuration file: a restart does not help.
    with_action(verdict, scope, || Action::Revert {
        change: "disabled_plugins in /etc/containerd/config.toml".to_owned(),
    })
}

pub(super) fn cri_failing(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |containerd| is_failing(&containerd.cri),
        |cri| is_serving(cri) || is_disabled(cri),
        "Version and Status answered",
        |containerd| containerd.cri.to_string(),
    )
}

/// The condition of that type, if the runtime answered with one.
pub(super) fn condition<'a>(cri: &'a CriAnswer, kind: &str) -> Option<&'a RuntimeCondition> {
    match cri {
        CriAnswer::Serving { conditions, .. } => {
            conditions.iter().find(|condition| condition.kind == kind)
        }
        _ => None,
    }
}

fn has(cri: &CriAnswer, kind: &str, status: bool) -> bool {
    condition(cri, kind).is_some_and(|condition| condition.status == status)
}

/// What the runtime says of a condition that does not hold.
fn complaint(containerd: &Containerd, kind: &str) -> String {
    condition(&containerd.cri, kind).map_or_else(String::new, |condition| {
        format!("{kind}=false, {}: {}", condition.reason, condition.message)
    })
}

pub(super) fn runtime_not_ready(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |containerd| has(&containerd.cri, "RuntimeReady", false),
        |cri| has(cri, "RuntimeReady", true),
        "RuntimeReady=true",
        |containerd| complaint(containerd, "RuntimeReady"),
    )
}

pub(super) fn network_not_ready(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let verdict = shape(
        history,
        (scope, policy, now),
        |containerd| has(&containerd.cri, "NetworkReady", false),
        |cri| has(cri, "NetworkReady", true),
        "NetworkReady=true",
        |containerd| complaint(containerd, "NetworkReady"),
    );
    with_action(verdict, scope, || Action::Investigate {
        at: "/etc/cni/net.d and the DaemonSet that writes it".to_owned(),
    })
}
