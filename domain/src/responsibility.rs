//! Who must act, and what that is. One small list of actions, shared by checks,
//! fixes and plans.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::platform::Platform;
use crate::policy::{Policy, Standing};

/// Who must act.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub enum Responsible {
    /// The operator of the cluster.
    Customer,
    /// The provider of the managed cluster.
    Provider,
    /// A mechanism that will act without anybody's doing.
    Automation {
        /// Which one.
        by: Automation,
    },
    /// The vendor of the software: there is no fix yet.
    Vendor,
    /// Nobody yet: the fix is too young for anybody to owe it.
    NobodyYet {
        /// When that ends.
        until: Timestamp,
    },
    /// It cannot be said.
    Unknown {
        /// What is missing to say it.
        missing: String,
    },
}

/// A mechanism that acts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Automation {
    /// The provider's repair of nodes that are not Ready.
    AutoRepair,
    /// The reboot manager kured, which reboots nodes that ask for it.
    Kured,
    /// The channel that brings new node images, or security patches, onto nodes within a
    /// maintenance window.
    NodeOsChannel,
    /// Node auto-provisioning (Karpenter), which replaces nodes that have drifted from the
    /// image that is offered.
    NodeAutoProvisioning,
}

impl Automation {
    /// The mechanism's name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AutoRepair => "auto-repair",
            Self::Kured => "kured",
            Self::NodeOsChannel => "node OS upgrade channel",
            Self::NodeAutoProvisioning => "node auto-provisioning",
        }
    }
}

impl Responsible {
    /// The word that screens show. `provider` is the name in the policy edition.
    #[must_use]
    pub fn word(&self, provider: &str) -> String {
        match self {
            Self::Customer => "YOU".to_owned(),
            Self::Provider => provider.to_uppercase(),
            Self::Automation { .. } => "AUTOMATION".to_owned(),
            Self::Vendor => "NO FIX".to_owned(),
            Self::NobodyYet { .. } => "NOBODY YET".to_owned(),
            Self::Unknown { .. } => "UNKNOWN".to_owned(),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Let the automation do it.
    Wait {
        /// When it has had its chance; none when that cannot be said.
        until: Option<Timestamp>,
    },
    /// Open a support request with the provider.
    Ticket,
    /// Restart the node.
    Reboot,
    /// Move to another line of node images or operating system.
    MigrateOsSku,
    /// Reimage the node from its node image.
    Reimage,
    /// Upgrade the node's image.
    UpgradeImage {
        /// To which one; none where the offered images are not known.
        to: Option<String>,
    },
    /// Hand the finding in with the provider, on the filtered list that its policy asks for.
    HandIn,
    /// Update a package that the node image did not bring.
    UpdatePackage {
        /// The source package.
        package: String,
        /// The version with the fix, where the vendor names it.
        to: Option<String>,
    },
    /// Restart a unit on the node.
    RestartUnit {
        /// The unit, such as `containerd.service`.
        unit: String,
    },
    /// Undo a change that was made on the node.
    Revert {
        /// What was changed.
        change: String,
    },
    /// Put something right on the node.
    Repair {
        /// What, with the command that does it where there is one.
        what: String,
    },
    /// Look closer; what is broken is known, the cause is not.
    Investigate {
        /// Where to look.
        at: String,
    },
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wait { until: Some(until) } => write!(f, "wait until {until:.0}"),
            Self::Wait { until: None } => f.write_str("wait"),
            Self::Ticket => f.write_str("open a support request"),
            Self::Reboot => f.write_str("reboot the node"),
            Self::MigrateOsSku => f.write_str("move the node pool to a supported OS"),
            Self::Reimage => f.write_str("reimage the node from its node image"),
            Self::UpgradeImage { to: Some(to) } => write!(f, "upgrade the node image to {to}"),
            Self::UpgradeImage { to: None } => {
                f.write_str("upgrade the node image to the newest one")
            }
            Self::HandIn => f.write_str("hand it in on the filtered list"),
            Self::UpdatePackage { package, to: Some(to) } => write!(f, "update {package} to {to}"),
            Self::UpdatePackage { package, to: None } => write!(f, "update {package}"),
            Self::RestartUnit { unit } => write!(f, "systemctl restart {unit}"),
            Self::Revert { change } => write!(f, "revert {change}"),
            Self::Repair { what } => f.write_str(what),
            Self::Investigate { at } => write!(f, "look at {at}"),
        }
    }
}

/// Who acts, on what, and until when that answer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who must act.
    pub responsible: Responsible,
    /// What to do.
    pub action: Action,
    /// When the answer must be judged again.
    pub valid_until: Option<Timestamp>,
}

/// Whose turn it is when a component that keeps the node Ready is broken.
///
/// On AKS the provider's repair acts first (rule `auto-remediate-components`) and is
/// taken to be exhausted after the policy's limit, counted from `since`. On a node
/// without a provider it is the operator's turn, who restarts `unit`.
#[must_use]
pub fn turn_for_broken_component(
    platform: Platform,
    policy: &Policy,
    since: Timestamp,
    now: Timestamp,
    unit: &str,
) -> Turn {
    let restart = Action::RestartUnit { unit: unit.to_owned() };
    match platform {
        Platform::Aks => match policy.rule("auto-remediate-components") {
            Standing::InForce(_) if !policy.repairs(unit) => Turn {
                responsible: Responsible::Unknown {
                    missing: format!("a rule of edition {} on {unit}", policy.edition),
                },
                action: restart,
                valid_until: None,
            },
            Standing::InForce(_) => {
                let exhausted_at = since
                    .checked_add(policy.auto_repair_exhausted_after())
                    .unwrap_or(Timestamp::MAX);
                if now <= exhausted_at {
                    Turn {
                        responsible: Responsible::Automation { by: Automation::AutoRepair },
                        action: Action::Wait { until: Some(exhausted_at) },
                        valid_until: Some(exhausted_at),
                    }
                } else {
                    Turn {
                        responsible: Responsible::Provider,
                        action: Action::Ticket,
                        valid_until: None,
                    }
                }
            }
            Standing::Lacking { .. } => Turn {
                responsible: Responsible::Unknown {
                    missing: "policy rule auto-remediate-components".to_owned(),
                },
                action: restart,
                valid_until: None,
            },
        },
        Platform::Kubernetes | Platform::Plain => {
            Turn { responsible: Responsible::Customer, action: restart, valid_until: None }
        }
        Platform::Unknown => Turn {
            responsible: Responsible::Unknown { missing: "platform of the node".to_owned() },
            action: restart,
            valid_until: None,
        },
    }
}
