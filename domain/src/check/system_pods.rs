//! Checks of `system_pods`: do the pods run that the cluster itself stands on. A pod is not
//! accused while its node is not Ready, or an upgrade goes through it.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, shortened, verdict_or,
};
use crate::auto_repair::Exclusion;
use crate::component::Component;
use crate::facts::{SystemPod, SystemPods};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::{Policy, Standing};
use crate::responsibility::{Action, Responsible, Turn};

const PODS: &str = "API server, pods of kube-system";
const RULE: &str = "auto-remediate-components";

/// A pod that is started anew, or moved, has so long to become ready.
const START: SignedDuration = SignedDuration::from_mins(10);

/// Restarts between two looks at a pod that count as many.
const MANY: u32 = 5;

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "SystemPodNotReady",
        component: Component::SystemPods,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider; customer without a provider, and of pods that the provider did \
                      not bring",
        summary: "A pod that the cluster stands on has not been ready for ten minutes",
        policy: PolicyLink::Cites(RULE),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: not_ready,
    },
    Check {
        reason: "SystemPodRestarting",
        component: Component::SystemPods,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider; customer without a provider, and of pods that the provider did \
                      not bring",
        summary: "A pod that the cluster stands on starts again and again",
        policy: PolicyLink::Cites(RULE),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: restarting,
    },
];

/// What the provider's own pods begin with that it runs on nodes: kube-proxy, tunnels, the
/// network, name resolution and storage.
const PROVIDER: [&str; 14] = [
    "ama-",
    "azure-cns",
    "azure-ip-masq-agent",
    "azure-npm",
    "cilium",
    "cloud-node-manager",
    "coredns",
    "csi-azuredisk",
    "csi-azurefile",
    "csi-blob",
    "konnectivity-agent",
    "kube-proxy",
    "metrics-server",
    "retina-agent",
];

/// The pods that are judged: not the agent's, whose silence is told otherwise.
fn known(history: &NodeHistory) -> Result<Vec<&SystemPod>, Verdict> {
    let (pods, _) = facts(&history.system_pods, "the API server has no such node any more")?;
    if let Some(object) = history.node_object.present() {
        if matches!(Exclusion::of(object), Some(Exclusion::Upgrade)) {
            return Err(Verdict::not_applicable("an upgrade goes through the node: maintenance"));
        }
        if object.is_ready() == Some(false) {
            return Err(Verdict::not_applicable("the node is not Ready: its pods cannot be"));
        }
    }
    Ok(pods.pods.iter().filter(|pod| !pod.is_agent).collect())
}

fn turn(pod: &SystemPod, scope: &Scope, policy: &Policy) -> Turn {
    let look = Action::Investigate {
        at: format!("kubectl -n {} describe pod {}", pod.namespace, pod.name),
    };
    let is_provider = PROVIDER.iter().any(|one| pod.part_of().starts_with(one));
    let (responsible, action) = match scope.platform {
        Platform::Aks if is_provider => match policy.rule(RULE) {
            Standing::InForce(_) => (Responsible::Provider, Action::Ticket),
            Standing::Lacking { .. } => {
                let missing = format!("a rule of edition {} on pods", policy.edition);
                (Responsible::Unknown { missing }, look)
            }
        },
        Platform::Unknown => {
            (Responsible::Unknown { missing: "platform of the node".to_owned() }, look)
        }
        Platform::Aks | Platform::Kubernetes | Platform::Plain => (Responsible::Customer, look),
    };
    Turn { responsible, action, valid_until: None }
}

fn evidence(pod: &SystemPod) -> Evidence {
    let mut actual = format!("{}, ", pod.phase);
    actual.push_str(if pod.is_ready { "ready" } else { "not ready" });
    if !pod.waiting.is_empty() {
        actual.push_str(&format!(", {}", pod.waiting));
    }
    actual.push_str(&format!(", {} restarts", pod.restarts));
    Evidence::new(format!("{}/{}", pod.namespace, pod.name), actual, "ready")
}

fn not_ready(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let pods = verdict_or!(known(history));
    if pods.is_empty() {
        return Verdict::not_applicable("no pod of kube-system is on the node");
    }
    // Since when a pod is not ready is counted by our own clock, over the states that are
    // remembered: what the pod says of it, the node's kubelet has written.
    let since = |pod: &SystemPod| {
        let is_it = |pods: &SystemPods| {
            let same =
                |one: &&SystemPod| (&one.namespace, &one.name) == (&pod.namespace, &pod.name);
            pods.pods.iter().find(same).is_some_and(|one| !one.is_ready)
        };
        history.system_pods.holding(is_it).since
    };
    let mut down: Vec<(&SystemPod, Timestamp)> = pods
        .iter()
        .filter(|pod| pod.is_meant_to_run() && !pod.is_ready)
        .filter_map(|pod| Some((*pod, since(pod)?)))
        .collect();
    down.sort_by_key(|(_, since)| *since);
    let Some((first, since)) = down.first().copied() else {
        let actual = format!("{} pods", pods.len());
        return Verdict::pass(vec![Evidence::new(PODS, actual, "ready")]);
    };
    let due = since.checked_add(START).unwrap_or(Timestamp::MAX);
    let evidence = shortened(down.iter().map(|(pod, _)| evidence(pod)).collect());
    if now <= due {
        let mut verdict = Verdict::pass(evidence);
        verdict.valid_until = due.checked_add(SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let message = match down.len() {
        1 => format!("{} is not ready", first.part_of()),
        more => format!("{} and {} more pods are not ready", first.part_of(), more - 1),
    };
    Verdict::fail(message, since, turn(first, scope, policy), evidence)
}

fn restarting(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let pods = verdict_or!(known(history));
    if pods.is_empty() {
        return Verdict::not_applicable("no pod of kube-system is on the node");
    }
    let grown = |pod: &SystemPod| {
        let states = history.states(Component::SystemPods);
        let counts = states.iter().filter_map(|one| match &one.state {
            crate::facts::ComponentState::SystemPods(state) => state.present(),
            _ => None,
        });
        let of_pod = counts.filter_map(|pods| {
            let same =
                |one: &&SystemPod| (&one.namespace, &one.name) == (&pod.namespace, &pod.name);
            pods.pods.iter().find(same).map(|one| one.restarts)
        });
        of_pod.min().map_or(0, |least| pod.restarts.saturating_sub(least))
    };
    let flapping: Vec<&SystemPod> = pods
        .iter()
        .copied()
        .filter(|pod| pod.is_meant_to_run())
        .filter(|pod| pod.waiting == "CrashLoopBackOff" || grown(pod) >= MANY)
        .collect();
    let Some(first) = flapping.first() else {
        let actual = format!("{} pods", pods.len());
        return Verdict::pass(vec![Evidence::new(PODS, actual, "no restarts between two looks")]);
    };
    let names: Vec<&str> = flapping.iter().map(|pod| pod.part_of()).collect();
    let evidence = shortened(flapping.iter().map(|pod| evidence(pod)).collect());
    let message = format!("{} starts again and again", names.join(", "));
    let since = history.system_pods.newest().map_or(now, |run| run.first_observed_at);
    Verdict::fail(message, since, turn(first, scope, policy), evidence)
}
