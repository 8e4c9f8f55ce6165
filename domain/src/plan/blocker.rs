//! Why a pool cannot go: one variant each, with who must act and what to do next. All words of
//! them stand here. Sources of the rules: the provider's pages on upgrades of node pools, on
//! its support policy and on its maintenance windows.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::input::{Accepted, Drift};
use super::words::{count, duration, list};
use crate::image::ImageLabel;
use crate::responsibility::{Automation, Responsible};

/// Why a pool cannot be upgraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "blocker")]
pub enum Blocker {
    /// Nodes are not well: an upgrade never begins then.
    UnhealthyNodes {
        /// Which.
        nodes: Vec<String>,
        /// What is wrong with the first of them.
        reasons: Vec<String>,
        /// Who must act on that.
        who: Responsible,
    },
    /// The provider's repair is at nodes.
    RepairInProgress {
        /// Which.
        nodes: Vec<String>,
        /// When the last of it must be taken to have done all it will.
        until: Timestamp,
    },
    /// A PodDisruptionBudget lets nothing be drained.
    DisruptionBudget {
        /// All that do, as `namespace/name`.
        budgets: Vec<String>,
    },
    /// Last reports of nodes are too old to judge by.
    StaleReports {
        /// Which.
        nodes: Vec<String>,
    },
    /// Nodes have not reported.
    MissingReports {
        /// How many nodes the pool should have.
        expected: u32,
        /// How many have reported.
        reported: u32,
        /// Those that are known by name.
        nodes: Vec<String>,
        /// The pool's name in its cluster.
        #[serde(default)]
        pool: String,
    },
    /// No node of it has reported, and nobody told how many it has.
    NodesUnknown,
    /// Nobody knows which image is offered.
    OfferedUnknown,
    /// The image is not offered to this pool.
    ImageNotOffered {
        /// The image.
        image: ImageLabel,
        /// The newest one that is.
        newest: ImageLabel,
        /// When that was so.
        as_of: Timestamp,
    },
    /// The image is older than the newest that is offered: the provider's command upgrades to
    /// the newest alone.
    NotNewest {
        /// The image.
        image: ImageLabel,
        /// What the command would bring.
        newest: ImageLabel,
    },
    /// The image offered is older than the one on nodes.
    Backwards {
        /// What nodes run.
        runs: ImageLabel,
        /// What is offered.
        offered: ImageLabel,
    },
    /// The image is too old to be supported before its wave is over.
    TargetTooOld {
        /// The image.
        image: ImageLabel,
        /// From then on.
        from: Timestamp,
    },
    /// The version of Kubernetes is not supported.
    KubernetesUnsupported {
        /// The version.
        version: String,
    },
    /// The image has another operating system, or is of another line.
    OsFamilyChange {
        /// What nodes run.
        from: String,
        /// What the image is.
        to: String,
    },
    /// The nodes of the pool run images of several lines.
    MixedFamilies {
        /// The lines.
        families: Vec<String>,
    },
    /// Processors for the surge are not left in the quota.
    QuotaExceeded {
        /// The quota.
        pot: String,
        /// How many the surge takes.
        needs: u32,
        /// How many are left.
        left: u32,
    },
    /// Addresses for the surge are not left in the subnet.
    AddressesExceeded {
        /// The subnet.
        pot: String,
        /// How many the surge takes.
        needs: u32,
        /// How many are left.
        left: u32,
    },
    /// The scale set would grow over its limit.
    ScaleSetFull {
        /// Nodes with the surge.
        nodes: u32,
        /// The limit.
        limit: u32,
    },
    /// What was changed by hand would be lost.
    DriftLost {
        /// What, as far as it was listed.
        drift: Vec<Drift>,
        /// How much there is.
        count: u32,
    },
    /// Node auto-provisioning replaces nodes that drift: no command upgrades them.
    DriftDecides,
    /// The operating system patches itself, and a new image begins without those patches.
    UnmanagedChannel,
    /// Machines of the pool are stopped.
    Stopped,
    /// Another operation runs on the pool.
    OperationRunning {
        /// Its state, in the provider's word.
        state: String,
    },
    /// Neither may a node be added nor one be taken away.
    NoSurge,
    /// One batch of the pool is more than may be out of use at a time.
    OverDisruption {
        /// Nodes of one batch.
        batch: u32,
        /// Nodes that may be out of use.
        cap: u32,
    },
    /// The pool takes longer than any window is open.
    LongerThanWindows {
        /// The shortest time that it takes.
        at_least: SignedDuration,
        /// The longest window.
        longest: SignedDuration,
    },
    /// No window is left for it within the time that is planned.
    NoWindowLeft {
        /// So far is planned.
        until: Timestamp,
    },
}

impl Blocker {
    /// Its name in machine-readable answers and in tests.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::UnhealthyNodes { .. } => "unhealthy_nodes",
            Self::RepairInProgress { .. } => "repair_in_progress",
            Self::DisruptionBudget { .. } => "disruption_budget",
            Self::StaleReports { .. } => "stale_reports",
            Self::MissingReports { .. } => "missing_reports",
            Self::NodesUnknown => "nodes_unknown",
            Self::OfferedUnknown => "offered_unknown",
            Self::ImageNotOffered { .. } => "image_not_offered",
            Self::NotNewest { .. } => "not_newest",
            Self::Backwards { .. } => "backwards",
            Self::TargetTooOld { .. } => "target_too_old",
            Self::KubernetesUnsupported { .. } => "kubernetes_unsupported",
            Self::OsFamilyChange { .. } => "os_family_change",
            Self::MixedFamilies { .. } => "mixed_families",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::AddressesExceeded { .. } => "addresses_exceeded",
            Self::ScaleSetFull { .. } => "scale_set_full",
            Self::DriftLost { .. } => "drift_lost",
            Self::DriftDecides => "drift_decides",
            Self::UnmanagedChannel => "unmanaged_channel",
            Self::Stopped => "stopped",
            Self::OperationRunning { .. } => "operation_running",
            Self::NoSurge => "no_surge",
            Self::OverDisruption { .. } => "over_disruption",
            Self::LongerThanWindows { .. } => "longer_than_windows",
            Self::NoWindowLeft { .. } => "no_window_left",
        }
    }

    /// Who must act.
    #[must_use]
    pub fn who(&self) -> Responsible {
        match self {
            Self::UnhealthyNodes { who, .. } => who.clone(),
            Self::RepairInProgress { .. } => Responsible::Automation { by: Automation::AutoRepair },
            Self::DriftDecides => Responsible::Automation { by: Automation::NodeAutoProvisioning },
            Self::NodesUnknown => Responsible::Unknown { missing: "nodes of the pool".to_owned() },
            Self::OfferedUnknown => Responsible::Unknown { missing: "offered image".to_owned() },
            // Images come to a region when the provider brings them there.
            Self::ImageNotOffered { .. } => Responsible::Provider,
            Self::StaleReports { .. }
            | Self::MissingReports { .. }
            | Self::DisruptionBudget { .. }
            | Self::NotNewest { .. }
            | Self::Backwards { .. }
            | Self::TargetTooOld { .. }
            | Self::KubernetesUnsupported { .. }
            | Self::OsFamilyChange { .. }
            | Self::MixedFamilies { .. }
            | Self::QuotaExceeded { .. }
            | Self::AddressesExceeded { .. }
            | Self::ScaleSetFull { .. }
            | Self::DriftLost { .. }
            | Self::UnmanagedChannel
            | Self::Stopped
            | Self::OperationRunning { .. }
            | Self::NoSurge
            | Self::OverDisruption { .. }
            | Self::LongerThanWindows { .. }
            | Self::NoWindowLeft { .. } => Responsible::Customer,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::UnhealthyNodes { nodes, .. } => {
                let first = nodes.first().map_or("", String::as_str);
                format!("see why: nodeward node {first}; plan again when all are well")
            }
            Self::RepairInProgress { until, .. } => format!("wait until {until:.0}"),
            Self::DisruptionBudget { .. } => {
                "add replicas, or let each of them allow a disruption".to_owned()
            }
            Self::StaleReports { .. } => {
                "see why they are silent: nodeward nodes --standing incomplete".to_owned()
            }
            Self::MissingReports { pool, .. } => format!(
                "see which nodes run no agent: kubectl get nodes -l agentpool={pool}, and \
                 kubectl -n nodeward get pods -o wide -l app.kubernetes.io/name=nodeward-agent"
            ),
            Self::NodesUnknown => {
                "import the answer of az aks nodepool list -o json, or let its nodes report"
                    .to_owned()
            }
            Self::OfferedUnknown => {
                "import the answer of az aks nodepool get-upgrades -o json".to_owned()
            }
            Self::ImageNotOffered { .. } => {
                "wait until it is offered, or take --target newest-offered".to_owned()
            }
            Self::NotNewest { .. } => {
                "take --target newest-offered; the provider upgrades to no older image".to_owned()
            }
            Self::Backwards { .. } => {
                "import the answer of az aks nodepool get-upgrades -o json again: it is out of \
                 date"
                    .to_owned()
            }
            Self::TargetTooOld { .. } => {
                "take an earlier window, or wait for a newer image".to_owned()
            }
            Self::KubernetesUnsupported { .. } => "upgrade Kubernetes first".to_owned(),
            Self::OsFamilyChange { .. } | Self::MixedFamilies { .. } => {
                "move the pool to one operating system first (az aks nodepool update --os-sku, \
                 or a new pool)"
                    .to_owned()
            }
            Self::QuotaExceeded { .. } | Self::AddressesExceeded { .. } => {
                "lower max surge of the pool, or get more".to_owned()
            }
            Self::ScaleSetFull { .. } => "lower max surge of the pool".to_owned(),
            Self::DriftLost { .. } => {
                "bring it by a DaemonSet or give it up; then plan with --accept drift".to_owned()
            }
            Self::DriftDecides => {
                "nothing to start: nodes are replaced as they drift, within their disruption \
                 budgets"
                    .to_owned()
            }
            Self::UnmanagedChannel => {
                "choose the channel NodeImage or None, or plan with --accept unmanaged".to_owned()
            }
            Self::Stopped => "start the pool: az aks nodepool start".to_owned(),
            Self::OperationRunning { .. } => {
                "wait until it is over, or stop it: az aks nodepool operation-abort".to_owned()
            }
            Self::NoSurge => "set max surge of the pool to one or more".to_owned(),
            Self::OverDisruption { cap, .. } => format!(
                "set max surge and max unavailable of the pool to {cap} or less in all, or \
                 raise --max-disrupted"
            ),
            Self::LongerThanWindows { .. } => {
                "raise max surge of the pool, or open a longer window".to_owned()
            }
            Self::NoWindowLeft { .. } => {
                "open more windows, or let more pools go at a time".to_owned()
            }
        }
    }

    /// What lets it warn alone; none where nothing does.
    #[must_use]
    pub const fn accepted_by(&self) -> Option<Accepted> {
        match self {
            Self::DriftLost { .. } => Some(Accepted::Drift),
            Self::UnmanagedChannel => Some(Accepted::Unmanaged),
            _ => None,
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnhealthyNodes { nodes, reasons, .. } => {
                write!(f, "{} not well now: {} ({})", count(nodes), list(nodes), list(reasons))
            }
            Self::RepairInProgress { nodes, .. } => {
                write!(f, "{} under the provider's repair: {}", count(nodes), list(nodes))
            }
            Self::DisruptionBudget { budgets } => {
                write!(f, "PodDisruptionBudget {} allows no disruption", list(budgets))
            }
            Self::StaleReports { nodes } => {
                write!(f, "{} silent for too long: {}", count(nodes), list(nodes))
            }
            Self::MissingReports { expected, reported, nodes, .. } => {
                write!(f, "{reported} of {expected} nodes have reported")?;
                if nodes.is_empty() { Ok(()) } else { write!(f, "; not {}", list(nodes)) }
            }
            Self::NodesUnknown => {
                f.write_str("no node of it has reported, and nobody told how many it has")
            }
            Self::OfferedUnknown => f.write_str("nobody knows which image is offered"),
            Self::ImageNotOffered { image, newest, as_of } => {
                write!(f, "{image} is not offered; the newest was {newest} at {as_of:.0}")
            }
            Self::NotNewest { image, newest } => {
                write!(f, "{image} cannot be chosen: the provider upgrades to its newest, {newest}")
            }
            Self::Backwards { runs, offered } => {
                write!(f, "nodes run {runs}, which is newer than what is offered, {offered}")
            }
            Self::TargetTooOld { image, from } => {
                write!(f, "{image} is too old for support from {from:.0}, before its wave is over")
            }
            Self::KubernetesUnsupported { version } => {
                write!(f, "Kubernetes {version} is outside of support")
            }
            Self::OsFamilyChange { from, to } => {
                write!(f, "the image changes the operating system: {from} to {to}")
            }
            Self::MixedFamilies { families } => {
                write!(f, "its nodes run images of several lines: {}", list(families))
            }
            Self::QuotaExceeded { pot, needs, left } => {
                write!(f, "the surge takes {needs} processors, {left} are left in quota {pot}")
            }
            Self::AddressesExceeded { pot, needs, left } => {
                write!(f, "the surge takes {needs} addresses, {left} are left in {pot}")
            }
            Self::ScaleSetFull { nodes, limit } => {
                write!(f, "{nodes} nodes with the surge; a scale set has at most {limit}")
            }
            Self::DriftLost { drift, count } => {
                let changes = if *count == 1 { "change" } else { "changes" };
                write!(f, "{count} {changes} made by hand would be lost: {}", list(drift))
            }
            Self::DriftDecides => f.write_str("node auto-provisioning replaces nodes that drift"),
            Self::UnmanagedChannel => {
                f.write_str("channel Unmanaged: a new image begins without the system's patches")
            }
            Self::Stopped => f.write_str("its machines are stopped"),
            Self::OperationRunning { state } => write!(f, "another operation runs: {state}"),
            Self::NoSurge => f.write_str("surge and unavailable are both 0"),
            Self::OverDisruption { batch, cap } => {
                write!(f, "one batch is {batch} nodes; at most {cap} may be out of use at a time")
            }
            Self::LongerThanWindows { at_least, longest } => write!(
                f,
                "it takes at least {}, longer than any window ({})",
                duration(*at_least),
                duration(*longest)
            ),
            Self::NoWindowLeft { until } => write!(f, "no window is left for it until {until:.0}"),
        }
    }
}
