//! What to look at before a pool goes: one variant each, with who must act and what to do
//! next. All words of them stand here.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blocker::Blocker;
use super::words::{count, counted, list};
use crate::image::ImageLabel;
use crate::pool::Share;
use crate::responsibility::Responsible;

/// What to look at before a pool goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "warning")]
pub enum Warning {
    /// Machines are gone whose Node objects are there: their pods are shown as Unknown.
    PodsUnknown {
        /// The nodes.
        nodes: Vec<String>,
        /// The pods of all of them, where they were counted.
        pods: Option<u32>,
    },
    /// One batch could take all nodes of a zone.
    ZoneEmptied {
        /// The zones.
        zones: Vec<String>,
        /// Nodes of one batch.
        batch: u32,
    },
    /// Fixes that are there now would be missing.
    BringsBack {
        /// How many.
        count: u32,
        /// Their ids, as far as they were listed.
        ids: Vec<String>,
    },
    /// It brings no fix.
    GainsNothing,
    /// Nodes on the target are not well elsewhere in the fleet.
    SoakUnhealthy {
        /// How many.
        unhealthy: u32,
        /// Of how many.
        of: u32,
        /// What they fail that they did not before.
        new_conditions: Vec<String>,
    },
    /// Nodes were left out of use on their old image by an earlier upgrade.
    Quarantined {
        /// Which.
        nodes: Vec<String>,
    },
    /// Only nodes are upgraded on this version of Kubernetes, and nothing else is supported.
    PlatformOnly {
        /// The version.
        version: String,
    },
    /// The last operation on the pool has failed.
    LastFailed {
        /// Its state, in the provider's word.
        state: String,
    },
    /// The provider says that the pool runs the target, and nodes do not.
    ClaimDiffers {
        /// What the provider says.
        claimed: ImageLabel,
        /// Nodes that run another image.
        nodes: u32,
    },
    /// What is known of offered images is old.
    OfferedOld {
        /// When it was so.
        as_of: Timestamp,
    },
    /// In pools of the cluster's own parts no node is taken away without one in its place.
    UnavailableIgnored {
        /// What was set.
        set: Share,
    },
    /// A blocker that the operator has accepted.
    Accepted {
        /// Which.
        blocker: Blocker,
    },
}

impl Warning {
    /// Its name in machine-readable answers and in tests.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PodsUnknown { .. } => "pods_unknown",
            Self::ZoneEmptied { .. } => "zone_emptied",
            Self::BringsBack { .. } => "brings_back",
            Self::GainsNothing => "gains_nothing",
            Self::SoakUnhealthy { .. } => "soak_unhealthy",
            Self::Quarantined { .. } => "quarantined",
            Self::PlatformOnly { .. } => "platform_only",
            Self::LastFailed { .. } => "last_failed",
            Self::ClaimDiffers { .. } => "claim_differs",
            Self::OfferedOld { .. } => "offered_old",
            Self::UnavailableIgnored { .. } => "unavailable_ignored",
            Self::Accepted { .. } => "accepted",
        }
    }

    /// Who must act: of all of them the customer, who decides whether to go on.
    #[must_use]
    pub const fn who(&self) -> Responsible {
        Responsible::Customer
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::PodsUnknown { .. } => {
                "delete the Node object once its machine is known to be gone: kubectl delete node"
                    .to_owned()
            }
            Self::ZoneEmptied { .. } => {
                "lower max surge and max unavailable below the nodes of the smallest zone"
                    .to_owned()
            }
            Self::BringsBack { .. } | Self::GainsNothing => {
                "see what changes: nodeward image diff".to_owned()
            }
            Self::SoakUnhealthy { .. } => "look at those nodes before going on".to_owned(),
            Self::Quarantined { .. } => {
                "drain and delete them: the upgrade does not bring them back".to_owned()
            }
            Self::PlatformOnly { .. } => "upgrade Kubernetes soon".to_owned(),
            Self::LastFailed { .. } => "see why: az aks nodepool show".to_owned(),
            Self::ClaimDiffers { .. } => {
                "follow nodes, not the claim: nodeward plan watch".to_owned()
            }
            Self::OfferedOld { .. } => {
                "import the answer of az aks nodepool get-upgrades -o json again".to_owned()
            }
            Self::UnavailableIgnored { .. } => "nothing; surge alone counts".to_owned(),
            Self::Accepted { .. } => "nothing; it was accepted in the request".to_owned(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodsUnknown { nodes, pods } => {
                match pods {
                    Some(pods) => write!(f, "{pods} pods are Unknown"),
                    None => f.write_str("pods are Unknown"),
                }?;
                write!(f, " on lost nodes: {}", list(nodes))
            }
            Self::ZoneEmptied { zones, batch } => {
                write!(f, "a batch of {batch} could take all nodes of zone {}", list(zones))
            }
            Self::BringsBack { count, ids } => {
                let fixes = if *count == 1 { "fix" } else { "fixes" };
                write!(f, "{count} {fixes} would be missing again: {}", list(ids))
            }
            Self::GainsNothing => f.write_str("it brings no fix that is missing now"),
            Self::SoakUnhealthy { unhealthy, of, new_conditions } => {
                write!(f, "{unhealthy} of {of} nodes on the target are not well")?;
                match new_conditions.is_empty() {
                    true => Ok(()),
                    false => write!(f, "; new: {}", list(new_conditions)),
                }
            }
            Self::Quarantined { nodes } => {
                write!(f, "{} in quarantine of an earlier upgrade: {}", count(nodes), list(nodes))
            }
            Self::PlatformOnly { version } => {
                write!(f, "Kubernetes {version} has platform support only")
            }
            Self::LastFailed { state } => write!(f, "its last operation ended as {state}"),
            Self::ClaimDiffers { claimed, nodes } => {
                write!(f, "the provider claims {claimed}; on another image: {}", nodes_of(*nodes))
            }
            Self::OfferedOld { as_of } => write!(f, "offered images are as of {as_of:.0}"),
            Self::UnavailableIgnored { set } => {
                write!(f, "max unavailable {set} does not count in a pool of mode System")
            }
            Self::Accepted { blocker } => write!(f, "accepted: {blocker}"),
        }
    }
}

fn nodes_of(count: u32) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "node")
}
