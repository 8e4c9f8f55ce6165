//! What nobody knows of a pool: one variant each, with what would make it known. All words of
//! them stand here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::list;
use crate::responsibility::Responsible;

/// What nobody knows of a pool. It is never read as fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unknown")]
pub enum Unknown {
    /// How an upgrade goes through the pool: the provider's defaults are taken.
    Profile,
    /// Its PodDisruptionBudgets.
    DisruptionBudgets,
    /// What of the quota on processors is left, or how many a node has.
    Quota,
    /// What addresses of its subnet are left, or how many a node takes.
    Addresses,
    /// Whether its version of Kubernetes is supported.
    KubernetesSupport,
    /// What was changed by hand on its nodes.
    Drift,
    /// What the target brings.
    Gain {
        /// Why.
        why: String,
    },
    /// When the target turns too old.
    TargetAge,
    /// The packages of the target.
    TargetPackages,
    /// Which images the line of the target is of: no image of a name like that is known.
    Line {
        /// The line.
        family: String,
    },
    /// The operating system of the target, or of nodes.
    OperatingSystem,
    /// Which image nodes run.
    NodeImage {
        /// Which nodes.
        nodes: Vec<String>,
    },
    /// Whether nodes are well.
    Health {
        /// Which nodes.
        nodes: Vec<String>,
    },
    /// The zones of nodes.
    Zones,
    /// How the target does elsewhere in the fleet.
    Soak,
    /// The channel of its cluster.
    Channel,
    /// When nodes reported: their time, or the time of what is known of the pool, is to come.
    Clock {
        /// What is in the time to come.
        what: String,
    },
}

impl Unknown {
    /// Its name in machine-readable answers and in tests.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::DisruptionBudgets => "disruption_budgets",
            Self::Quota => "quota",
            Self::Addresses => "addresses",
            Self::KubernetesSupport => "kubernetes_support",
            Self::Drift => "drift",
            Self::Gain { .. } => "gain",
            Self::TargetAge => "target_age",
            Self::TargetPackages => "target_packages",
            Self::Line { .. } => "line",
            Self::OperatingSystem => "operating_system",
            Self::NodeImage { .. } => "node_image",
            Self::Health { .. } => "health",
            Self::Zones => "zones",
            Self::Soak => "soak",
            Self::Channel => "channel",
            Self::Clock { .. } => "clock",
        }
    }

    /// Who must act.
    #[must_use]
    pub fn who(&self) -> Responsible {
        Responsible::Unknown { missing: self.to_string() }
    }

    /// What would make it known.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Profile | Self::Channel => {
                "import the answer of az aks nodepool list -o json; defaults are taken until then"
            }
            Self::DisruptionBudgets => {
                "let the aggregator read the Kubernetes API, or look by hand"
            }
            Self::Quota => "give the quota and the processors of a node",
            Self::Addresses => "give the addresses left and those of a node",
            Self::KubernetesSupport => "let nodes report the kubelet's version",
            Self::Drift | Self::TargetPackages | Self::OperatingSystem | Self::Gain { .. } => {
                "import the image's release note"
            }
            Self::TargetAge => "import the image's release note, which says when it was built",
            Self::Line { .. } => "look at the name: az aks nodepool get-upgrades -o json",
            Self::NodeImage { .. } => "let the agent read /opt/azure of these nodes",
            Self::Health { .. } => "see why: nodeward nodes",
            Self::Zones => "let nodes report their labels",
            Self::Soak => "nothing; no node of the fleet runs the target yet",
            Self::Clock { .. } => "put the clock right, and plan again",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile => f.write_str("settings of the pool"),
            Self::DisruptionBudgets => f.write_str("PodDisruptionBudgets"),
            Self::Quota => f.write_str("processors left for the surge"),
            Self::Addresses => f.write_str("addresses left for the surge"),
            Self::KubernetesSupport => f.write_str("support of its Kubernetes"),
            Self::Drift => f.write_str("changes made by hand"),
            Self::Gain { why } => write!(f, "what the target brings ({why})"),
            Self::TargetAge => f.write_str("when the target turns too old"),
            Self::TargetPackages => f.write_str("packages of the target"),
            Self::Line { family } => write!(f, "the line {family}"),
            Self::OperatingSystem => f.write_str("operating system of nodes or of the target"),
            Self::NodeImage { nodes } => write!(f, "image of {}", list(nodes)),
            Self::Health { nodes } => write!(f, "health of {}", list(nodes)),
            Self::Zones => f.write_str("zones of nodes"),
            Self::Soak => f.write_str("how the target does on the fleet's own nodes"),
            Self::Channel => f.write_str("channel of its cluster"),
            Self::Clock { what } => write!(f, "times: {what} is in the time to come"),
        }
    }
}
