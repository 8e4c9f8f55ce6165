//! Checks of `containerd`: each failure shape of the runtime is a check of its own,
//! because each asks for something else. Facts about the shapes: the CRI v1 API and
//! containerd's answers when killed, stopped, without CRI plugin and without network.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, unit,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{Containerd, CriAnswer, RuntimeCondition};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, turn_for_broken_component};

const CRI_API: &str =
    "https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto";

/// A check of containerd that cites the provider's duty to repair it.
const fn check(
    reason: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Containerd,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "automation, then provider; customer without a provider",
        summary,
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: CRI_API,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check("ContainerdDown", "Nobody listens on the container runtime's socket", down),
    check("ContainerdHung", "The container runtime accepts connections and does not answer", hung),
    check(
        "CriDisabled",
        "containerd runs without serving the CRI v1 that the kubelet needs",
        cri_disabled,
    ),
    check("CriFailing", "The container runtime answers CRI calls with errors", cri_failing),
    check("RuntimeNotReady", "The container runtime says that it is not ready", runtime_not_ready),
    check(
        "PodNetworkNotReady",
        "The container runtime has no working pod network",
        network_not_ready,
    ),
    unit::failed::<Containerd>(),
    unit::restarting::<Containerd>(),
    unit::disabled::<Containerd>(),
    unit::stale::<Containerd>(),
    unit::drop_in::<Containerd>(),
];

/// What a judge of this list needs: the facts, once it is settled that they matter.
fn runtime<'a>(history: &'a NodeHistory, scope: &Scope) -> Result<&'a Containerd, Verdict> {
    let absent = match scope.platform {
        Platform::Aks | Platform::Kubernetes => {
            "no trace of containerd; another runtime may serve this node"
        }
        Platform::Plain | Platform::Unknown => "containerd is not installed",
    };
    let (containerd, _) = facts(&history.containerd, absent)?;
    // Docker's packages ship containerd with its CRI plugin disabled, and run a second one
    // on a socket of its own: none of that is a fault where nothing asks for CRI.
    if scope.platform == Platform::Plain {
        return Err(Verdict::not_applicable("plain machine: no kubelet needs a container runtime"));
    }
    if let CriAnswer::NotAsked { why } = &containerd.cri {
        return Err(Verdict::unknown(format!("the runtime was not asked: {why}"), Vec::new()));
    }
    Ok(containerd)
}

fn evidence(containerd: &Containerd, expected: &str) -> Vec<Evidence> {
    vec![Evidence::new(&containerd.socket, containerd.cri.to_string(), expected)]
}

/// The check that an answer is the matter of; none for one that lets further ones be
/// asked. What lies behind a broken answer cannot be seen and is not counted as unknown
/// once more: the check that owns the answer stands for it.
const fn owner(cri: &CriAnswer) -> Option<&'static str> {
    match cri {
        CriAnswer::NoSocket | CriAnswer::Refused => Some("ContainerdDown"),
        CriAnswer::TimedOut { .. } => Some("ContainerdHung"),
        CriAnswer::Unimplemented { .. } => Some("CriDisabled"),
        CriAnswer::Failed { .. } => Some("CriFailing"),
        CriAnswer::Serving { .. } | CriAnswer::NotAsked { .. } => None,
    }
}

/// Judges one failure shape: `broken` says whether the runtime is in it, `excluded_by`
/// whether its answer shows that it is not. Any other answer leaves it to the check that
/// owns that answer, or unknown.
fn shape(
    history: &NodeHistory,
    (scope, policy, now): (&Scope, &Policy, Timestamp),
    broken: fn(&CriAnswer) -> bool,
    excluded_by: fn(&CriAnswer) -> bool,
    expected: &str,
    message: impl Fn(&Containerd) -> String,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    let evidence = evidence(containerd, expected);
    if broken(&containerd.cri) {
        let holding = history.containerd.holding(|seen| broken(&seen.cri));
        let since = verdict_or!(confirmed(holding, &evidence));
        let turn =
            turn_for_broken_component(scope.platform, policy, since, now, "containerd.service");
        return Verdict::fail(message(containerd), since, turn, evidence);
    }
    if excluded_by(&containerd.cri) {
        Verdict::pass(evidence)
    } else if let Some(owner) = owner(&containerd.cri) {
        Verdict::not_applicable(format!("the runtime did not get that far, see {owner}"))
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

fn down(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    if let Some(reason) = unit::stands_for_down::<Containerd>(history, scope, now) {
        return Verdict::not_applicable(format!("see {reason}"));
    }
    let verdict = shape(
        history,
        (scope, policy, now),
        is_down,
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

fn hung(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        is_hung,
        |cri| is_serving(cri) || is_disabled(cri) || is_failing(cri),
        "an answer in time",
        |containerd| format!("containerd hangs: {}", containerd.cri),
    )
}

fn cri_disabled(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let verdict = shape(
        history,
        (scope, policy, now),
        is_disabled,
        |cri| is_serving(cri) || is_failing(cri),
        "CRI v1 served",
        |containerd| containerd.cri.to_string(),
    );
    // A disabled plugin is a line in a configuration file: a restart does not help.
    with_action(verdict, scope, || Action::Revert {
        change: "disabled_plugins in /etc/containerd/config.toml".to_owned(),
    })
}

fn cri_failing(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        is_failing,
        |cri| is_serving(cri) || is_disabled(cri),
        "Version and Status answered",
        |containerd| containerd.cri.to_string(),
    )
}

/// The condition of that type, if the runtime answered with one.
fn condition<'a>(cri: &'a CriAnswer, kind: &str) -> Option<&'a RuntimeCondition> {
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

fn runtime_not_ready(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        |cri| has(cri, "RuntimeReady", false),
        |cri| has(cri, "RuntimeReady", true),
        "RuntimeReady=true",
        |containerd| complaint(containerd, "RuntimeReady"),
    )
}

fn network_not_ready(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let verdict = shape(
        history,
        (scope, policy, now),
        |cri| has(cri, "NetworkReady", false),
        |cri| has(cri, "NetworkReady", true),
        "NetworkReady=true",
        |containerd| complaint(containerd, "NetworkReady"),
    );
    with_action(verdict, scope, || Action::Investigate {
        at: "/etc/cni/net.d and the DaemonSet that writes it".to_owned(),
    })
}

/// Replaces the operator's restart by what really helps; a provider's turn stays.
fn with_action(mut verdict: Verdict, scope: &Scope, action: impl Fn() -> Action) -> Verdict {
    if scope.platform != Platform::Aks
        && let super::Outcome::Fail { action: chosen, .. } = &mut verdict.outcome
    {
        *chosen = action();
    }
    verdict
}
