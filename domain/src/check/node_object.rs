//! Checks of `node_object`: is the node Ready, and what else does the API server know of it
//! that no agent can see. What a node's kubelet has written there itself is a claim.

mod claims;
mod cluster;
mod ready;
mod reported;
mod windows;

use super::{Check, PolicyLink, Reach, Severity};
use crate::component::Component;

const REPAIR: &str = "https://learn.microsoft.com/azure/aks/node-auto-repair";
const DETECTOR: &str = "https://learn.microsoft.com/azure/aks/node-problem-detector";
const POLICIES: &str = "https://learn.microsoft.com/azure/aks/support-policies";
const LABELS: &str = "https://learn.microsoft.com/azure/aks/use-labels";

/// What of a check is the same for all but a few.
const fn check(
    reason: &'static str,
    severity: Severity,
    responsible: &'static str,
    summary: &'static str,
    judge: super::Judge,
) -> Check {
    Check {
        reason,
        component: Component::NodeObject,
        scope: Reach::Node,
        severity,
        responsible,
        summary,
        policy: PolicyLink::None,
        source: "https://kubernetes.io/docs/reference/node/node-status/",
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        policy: PolicyLink::Cites("auto-restart-node"),
        source: REPAIR,
        ..check(
            "NodeNotReady",
            Severity::Critical,
            "automation, then provider; customer where the repair is kept away or there is none",
            "The API server does not take the node for Ready",
            ready::not_ready,
        )
    },
    Check {
        source: REPAIR,
        ..check(
            "NodeShutDown",
            Severity::Information,
            "customer",
            "The node's machine is shut down: its silence is no fault",
            ready::shut_down,
        )
    },
    check(
        "NodeCordoned",
        Severity::Information,
        "customer",
        "No new pod comes to the node: it is cordoned, and no upgrade goes through it",
        ready::cordoned,
    ),
    Check {
        source: "https://learn.microsoft.com/azure/aks/upgrade-aks-node-pools-rolling",
        ..check(
            "NodeQuarantined",
            Severity::Warning,
            "customer",
            "An upgrade could not drain the node, and left it on its old image",
            ready::quarantined,
        )
    },
    check(
        "NodeUnderPressure",
        Severity::Warning,
        "customer",
        "The kubelet runs short of memory, disk or processes, and evicts pods",
        reported::pressure,
    ),
    check(
        "NodeNetworkUnavailable",
        Severity::Critical,
        "automation, then provider; customer where the repair is kept away or there is none",
        "The network of the node is not set up",
        reported::network,
    ),
    Check {
        source: DETECTOR,
        ..check(
            "NodeProblemReported",
            Severity::Warning,
            "customer",
            "node-problem-detector has set a condition on the node",
            reported::problem,
        )
    },
    Check {
        source: DETECTOR,
        ..check(
            "MachineEventScheduled",
            Severity::Warning,
            "customer",
            "The platform will soon freeze, move, reboot or take away the node's machine",
            reported::scheduled,
        )
    },
    Check {
        source: DETECTOR,
        ..check(
            "NodeProblemEvent",
            Severity::Information,
            "customer",
            "node-problem-detector has told of a problem within 30 minutes",
            reported::event,
        )
    },
    Check {
        policy: PolicyLink::Cites("kubernetes-upgrade-by-customer"),
        source: "https://kubernetes.io/releases/version-skew-policy/",
        ..check(
            "KubeletVersionSkew",
            Severity::Warning,
            "customer",
            "The kubelet is newer than the API server, or more than three minor versions older",
            claims::skew,
        )
    },
    Check {
        source: "https://learn.microsoft.com/azure/aks/auto-upgrade-node-os-image",
        ..check(
            "LivePatchBehind",
            Severity::Warning,
            "unknown",
            "The node has not reached the state of packages that live patching wants for a day",
            claims::live_patch,
        )
    },
    Check {
        policy: PolicyLink::Cites("system-metadata-immutable"),
        source: LABELS,
        ..check(
            "ProviderLabelChangedInCluster",
            Severity::Warning,
            "customer",
            "A label of the provider is gone from the node, or has another value there",
            claims::labels,
        )
    },
    Check {
        policy: PolicyLink::Cites("system-metadata-immutable"),
        source: "https://learn.microsoft.com/azure/aks/use-node-taints",
        ..check(
            "ProviderTaintMissing",
            Severity::Warning,
            "customer",
            "A node of a spot pool lacks the provider's taint",
            claims::taints,
        )
    },
    Check {
        source: LABELS,
        ..check(
            "NodeClaimContradicted",
            Severity::Warning,
            "customer",
            "What the node claims in the API server is not what its disk and kernel show",
            claims::contradicted,
        )
    },
    Check {
        scope: Reach::Cluster,
        policy: PolicyLink::Decides("zero-ready-zero-running-30d"),
        source: POLICIES,
        ..check(
            "ClusterWithoutReadyNode",
            Severity::Critical,
            "customer",
            "No node of the cluster is Ready and all machines are shut down: it will be stopped",
            cluster::zero_ready,
        )
    },
    Check {
        policy: PolicyLink::Decides("windows-not-self-updating"),
        source: "https://learn.microsoft.com/azure/aks/faq",
        ..check(
            "WindowsUpdateMissing",
            Severity::Warning,
            "customer",
            "The image of a Windows node is older than a monthly release that has been out for \
             two weeks",
            windows::behind,
        )
    },
    Check {
        policy: PolicyLink::Decides("node-image-age"),
        source: POLICIES,
        ..check(
            "WindowsImageUnsupportedAge",
            Severity::Critical,
            "customer",
            "The image of a Windows node is older than the provider supports",
            windows::unsupported,
        )
    },
    Check {
        policy: PolicyLink::Decides("os-retirement"),
        source: "https://learn.microsoft.com/azure/aks/upgrade-os-version",
        ..check(
            "WindowsRetired",
            Severity::Warning,
            "customer",
            "The provider's support of the node's Windows has ended, or ends within 180 days",
            windows::retired,
        )
    },
];

#[cfg(test)]
mod tests;
