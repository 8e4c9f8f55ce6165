//! Checks of `kube_proxy`: whether it runs, serves, and writes the rules that lead the
//! traffic of Services to pods. A broken kube-proxy leaves the node Ready: nothing but its
//! own endpoints tells. Facts about its answers: Kubernetes' `pkg/proxy/healthcheck`.

mod configured;
mod rules;
mod shape;

use jiff::Timestamp;

use super::{Check, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, verdict_or};
use crate::component::Component;
use crate::facts::{HttpAnswer, KubeProxy};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Turn, turn_for_broken_component};
use shape::{Shape, evidence, place};

const KUBE_PROXY: &str =
    "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/";

/// A check of kube-proxy that cites the provider's duty to repair it.
const fn check(
    reason: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::KubeProxy,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "automation, then provider; customer without a provider",
        summary,
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: KUBE_PROXY,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check("KubeProxyDown", "kube-proxy is meant to run here and does not", down),
    check(
        "KubeProxyNotServing",
        "kube-proxy runs and has not opened its health endpoint, as when it cannot reach the \
         API server at its start",
        not_serving,
    ),
    check("KubeProxyHung", "kube-proxy accepts connections and does not answer", hung),
    check(
        "KubeProxyUnhealthy",
        "kube-proxy says that changes of Services do not reach the node's rules",
        unhealthy,
    ),
    check(
        "KubeProxySyncStuck",
        "Changes of Services wait for the node's rules, although kube-proxy calls itself healthy",
        rules::sync_stuck,
    ),
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::None,
        source: "https://manpages.debian.org/bookworm/manpages/proc.5.en.html",
        ..check(
            "KubeProxyExecutableReplaced",
            "The kube-proxy on disk is not the one that runs; a restart is pending",
            configured::executable_replaced,
        )
    },
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::Decides("alpha-unsupported"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        ..check(
            "KubeProxyAlphaFeature",
            "kube-proxy runs with features in alpha, which the provider does not support",
            configured::alpha_feature,
        )
    },
    Check {
        severity: Severity::Information,
        responsible: "customer",
        policy: PolicyLink::Cites("preview-best-effort"),
        source: "https://learn.microsoft.com/azure/aks/configure-kube-proxy",
        ..check(
            "KubeProxyModeNotDefault",
            "kube-proxy runs in another mode than the provider's default, which may be a preview",
            configured::mode_not_default,
        )
    },
];

const ABSENT: &str = "no kube-proxy is meant to run here";

/// Judges one shape, see the same function for containerd.
fn shape(
    history: &NodeHistory,
    (scope, policy, now): (&Scope, &Policy, Timestamp),
    shape: Shape,
    excluded_by: fn(&KubeProxy) -> bool,
    action: fn(&KubeProxy) -> Action,
    message: impl Fn(&KubeProxy) -> String,
) -> Verdict {
    let (proxy, _) = verdict_or!(facts(&history.kube_proxy, ABSENT));
    let evidence = evidence(proxy, shape);
    let seen = Shape::of(proxy);
    if seen == shape {
        let holding = history.kube_proxy.holding(|proxy| Shape::of(proxy) == shape);
        let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
        let turn = turn(action(proxy), scope, policy, since, now);
        return Verdict::fail(message(proxy), since, turn, evidence);
    }
    if excluded_by(proxy) {
        Verdict::pass(evidence)
    } else if let Some(owner) = seen.owner() {
        Verdict::not_applicable(format!("kube-proxy did not get that far, see {owner}"))
    } else {
        let answer = proxy.health.answer();
        Verdict::unknown(format!("{}: {answer}", &proxy.health.path()[1..]), evidence)
    }
}

/// Whose turn it is. Where it is the operator's, `action` takes the place of the restart
/// of a unit, because kube-proxy is mostly a pod and a restart does not always help.
fn turn(action: Action, scope: &Scope, policy: &Policy, since: Timestamp, now: Timestamp) -> Turn {
    let turn = turn_for_broken_component(scope.platform, policy, since, now, "kube-proxy.service");
    match turn.action {
        Action::RestartUnit { .. } => Turn { action, ..turn },
        _ => turn,
    }
}

/// The folder with the logs of its pod, if it runs as one.
fn pod_logs(proxy: &KubeProxy) -> Option<&str> {
    proxy.traces.iter().map(String::as_str).find(|trace| trace.starts_with("/var/log/pods/"))
}

fn restart(proxy: &KubeProxy) -> Action {
    if proxy.in_container || pod_logs(proxy).is_some() {
        let what = "delete the node's kube-proxy pod: its DaemonSet starts another";
        Action::Repair { what: what.to_owned() }
    } else {
        Action::RestartUnit { unit: "kube-proxy.service".to_owned() }
    }
}

fn look_at_log(proxy: &KubeProxy) -> Action {
    let at = pod_logs(proxy).unwrap_or("the journal of kube-proxy.service");
    Action::Investigate { at: at.to_owned() }
}

/// A kube-proxy that cannot reach the API server at its start waits without serving.
fn look_at_api_server(_: &KubeProxy) -> Action {
    Action::Investigate { at: "kube-proxy's log and the node's way to the API server".to_owned() }
}

fn down(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        Shape::Down,
        |proxy| {
            proxy.process.is_some() || matches!(Shape::of(proxy), Shape::Healthy | Shape::Unhealthy)
        },
        |proxy| match pod_logs(proxy) {
            // The kubelet starts a pod's container again by itself: there it ends each time.
            Some(_) => look_at_log(proxy),
            None => restart(proxy),
        },
        |proxy| format!("no kube-proxy process; livez {}", proxy.health.livez),
    )
}

fn not_serving(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        Shape::NotServing,
        |proxy| {
            let tells = match proxy.health.endpoint.is_empty() {
                true => &proxy.proxy_mode,
                false => proxy.health.answer(),
            };
            matches!(tells, HttpAnswer::Answered { .. } | HttpAnswer::TimedOut { .. })
        },
        look_at_api_server,
        |proxy| match proxy.proxy_mode {
            HttpAnswer::Answered { .. } => {
                let endpoint = &proxy.health.endpoint;
                format!("kube-proxy runs, but nobody listens on its health endpoint {endpoint}")
            }
            _ => "kube-proxy runs and has opened neither of its ports".to_owned(),
        },
    )
}

fn hung(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        Shape::Hung,
        |proxy| {
            let tells = match proxy.health.endpoint.is_empty() {
                true => &proxy.proxy_mode,
                false => proxy.health.answer(),
            };
            matches!(tells, HttpAnswer::Answered { .. } | HttpAnswer::Refused)
        },
        restart,
        |proxy| format!("kube-proxy hangs: livez {}", proxy.health.livez),
    )
}

fn unhealthy(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    shape(
        history,
        (scope, policy, now),
        Shape::Unhealthy,
        |proxy| Shape::of(proxy) == Shape::Healthy,
        look_at_log,
        |proxy| {
            let late: Vec<&str> = proxy.health.late_families().collect();
            let of =
                if late.is_empty() { String::new() } else { format!(" of {}", late.join(", ")) };
            let path = &proxy.health.path()[1..];
            format!("the rules{of} are not written: {path} answers {}", proxy.health.answer())
        },
    )
}
