//! Is the kubelet there and does it answer its health endpoint, and is it the one on disk.
//! The endpoint is a ping; what it cannot see (runtime, network, API server) is judged
//! elsewhere.

use jiff::Timestamp;

use super::{ABSENT, Check, broken_component, check, configuration, unit};
use crate::check::{
    Evidence, PolicyLink, Scope, Severity, Verdict, by_hand, confirmed, facts, verdict_or,
};
use crate::facts::{HttpAnswer, Kubelet};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn, turn_for_broken_component};

const HEALTHZ: &str = "https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/";
const PROC: &str = "https://manpages.debian.org/bookworm/manpages/proc.5.en.html";

pub(super) const DOWN: Check = Check {
    source: HEALTHZ,
    ..broken_component("KubeletDown", "A kubelet is installed and does not run", down)
};

pub(super) const NOT_SERVING: Check = Check {
    source: HEALTHZ,
    ..broken_component(
        "KubeletNotServing",
        "A kubelet runs and nobody listens on its health endpoint",
        not_serving,
    )
};

pub(super) const HUNG: Check = Check {
    source: HEALTHZ,
    ..broken_component("KubeletHung", "The kubelet accepts connections and does not answer", hung)
};

pub(super) const UNHEALTHY: Check = Check {
    source: HEALTHZ,
    ..broken_component("KubeletUnhealthy", "The kubelet says itself that it is ill", unhealthy)
};

pub(super) const EXECUTABLE_REPLACED: Check = check(
    "KubeletExecutableReplaced",
    "The kubelet on disk is not the one that runs; a restart is pending",
    Severity::Warning,
    (PolicyLink::None, PROC),
    executable_replaced,
);

pub(super) const SEVERAL: Check = check(
    "SeveralKubelets",
    "More than one kubelet runs on the node",
    Severity::Warning,
    (PolicyLink::Cites("kubernetes-native-change"), PROC),
    several,
);

fn evidence(kubelet: &Kubelet, expected: &str) -> Vec<Evidence> {
    let process = kubelet.process.as_ref().map_or_else(
        || "no kubelet process".to_owned(),
        |process| format!("pid {} {}", process.pid, process.executable),
    );
    vec![
        Evidence::new("/proc", process, "one kubelet process"),
        Evidence::new(&kubelet.healthz_endpoint, kubelet.healthz.to_string(), expected),
    ]
}

/// Whether the kubelet is down: no process is seen and nobody answers. An answer on the
/// port proves a process even where none can be seen.
pub(super) fn is_down(kubelet: &Kubelet) -> bool {
    kubelet.process.is_none()
        && matches!(kubelet.healthz, HttpAnswer::Refused | HttpAnswer::NotAsked { .. })
}

/// The check that stands for what lies behind a broken answer, as for containerd.
fn owner(kubelet: &Kubelet) -> Option<&'static str> {
    match kubelet.healthz {
        _ if is_down(kubelet) => Some("KubeletDown"),
        HttpAnswer::Refused => Some("KubeletNotServing"),
        HttpAnswer::TimedOut { .. } => Some("KubeletHung"),
        _ => None,
    }
}

/// Judges one failure shape, see the same function for containerd.
fn shape(
    history: &NodeHistory,
    (scope, policy, now): (&Scope, &Policy, Timestamp),
    broken: fn(&Kubelet) -> bool,
    excluded_by: fn(&Kubelet) -> bool,
    message: impl Fn(&Kubelet) -> String,
) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let evidence = evidence(kubelet, "200 ok");
    if broken(kubelet) {
        let since = verdict_or!(confirmed(
            scope.standing.or_longer(history.kubelet.holding(broken)),
            &evidence
        ));
        let turn = turn_for_broken_component(scope.platform, policy, since, now, "kubelet.service");
        return Verdict::fail(message(kubelet), since, turn, evidence);
    }
    if excluded_by(kubelet) {
        Verdict::pass(evidence)
    } else if let Some(owner) = owner(kubelet) {
        Verdict::not_applicable(format!("the kubelet did not get that far, see {owner}"))
    } else {
        Verdict::unknown(format!("healthz: {}", kubelet.healthz), evidence)
    }
}

fn down(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    if let Some(reason) = unit::stands_for_down::<Kubelet>(history, scope, now) {
        return Verdict::not_applicable(format!("see {reason}"));
    }
    let verdict = shape(
        history,
        (scope, policy, now),
        is_down,
        |kubelet| {
            kubelet.process.is_some() || matches!(kubelet.healthz, HttpAnswer::Answered { .. })
        },
        |kubelet| format!("no kubelet process; healthz {}", kubelet.healthz),
    );
    configuration::with_cause(unit::with_cause::<Kubelet>(verdict, history, scope), history, scope)
}

/// A kubelet opens its health endpoint a moment after it is started: one that waits for
/// the runtime, or for the API server, never gets there.
fn not_serving(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |kubelet| kubelet.process.is_some() && kubelet.healthz == HttpAnswer::Refused,
        |kubelet| {
            matches!(kubelet.healthz, HttpAnswer::Answered { .. } | HttpAnswer::TimedOut { .. })
        },
        |_| "a kubelet runs and nobody listens on its health endpoint".to_owned(),
    )
}

fn hung(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |kubelet| matches!(kubelet.healthz, HttpAnswer::TimedOut { .. }),
        |kubelet| matches!(kubelet.healthz, HttpAnswer::Answered { .. }),
        |kubelet| format!("the kubelet hangs: healthz {}", kubelet.healthz),
    )
}

fn unhealthy(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |kubelet| matches!(kubelet.healthz, HttpAnswer::Answered { status, .. } if status >= 500),
        |kubelet| kubelet.healthz.is_ok(),
        |kubelet| format!("healthz answers {}", kubelet.healthz),
    )
}

fn executable_replaced(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let Some(process) = &kubelet.process else {
        return Verdict::not_applicable("no kubelet runs");
    };
    if process.executable.is_empty() {
        return Verdict::unknown("the path of the running kubelet could not be read", Vec::new());
    }
    let source = format!("/proc/{}/exe", process.pid);
    if !process.executable_replaced {
        return Verdict::pass(vec![Evidence::new(source, &process.executable, "still on disk")]);
    }
    let evidence = vec![Evidence::new(
        source,
        format!("{}, no longer what lies there", process.executable),
        "still on disk",
    )];
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(scope, Action::RestartUnit { unit: "kubelet.service".to_owned() }),
        valid_until: None,
    };
    Verdict::fail("the kubelet was replaced on disk and not restarted", since, turn, evidence)
}

fn several(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let Some(process) = &kubelet.process else {
        return Verdict::not_applicable("no kubelet runs");
    };
    let pids: Vec<String> = std::iter::once(process.pid)
        .chain(kubelet.other_pids.iter().copied())
        .map(|pid| pid.to_string())
        .collect();
    let evidence = vec![Evidence::new("/proc", format!("pid {}", pids.join(", ")), "one")];
    if kubelet.other_pids.is_empty() {
        return Verdict::pass(evidence);
    }
    let action = Action::Investigate { at: format!("the parents of pid {}", pids.join(", ")) };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(scope, action),
        valid_until: None,
    };
    Verdict::fail(format!("{} kubelets run on the node", pids.len()), since, turn, evidence)
}
