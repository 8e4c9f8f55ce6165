//! Node pools, as their operator's own tools tell of them: how many nodes they should have,
//! how an upgrade goes through them, which image is offered to them. Source of the words and
//! of the defaults: the node pools of AKS (`az aks nodepool list`, `az aks nodepool
//! get-upgrades`). Everything is what somebody said, and may be out of date: nodes themselves
//! are asked where they can answer.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::ImageLabel;

/// A pool's name in the fleet: cluster first, as everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PoolKey {
    /// The cluster.
    pub cluster: String,
    /// The pool's name in it.
    pub pool: String,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.pool)
    }
}

/// What an operator's tools say of one pool. What is none was not stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolProfile {
    /// Which pool.
    pub key: PoolKey,
    /// When it was read from the provider: the file's own time, or that of the import.
    pub as_of: Timestamp,
    /// How many nodes it should have.
    pub nodes: Option<u32>,
    /// Least and most nodes, where an autoscaler changes the number.
    pub autoscaled: Option<(u32, u32)>,
    /// What it is for.
    pub mode: Option<PoolMode>,
    /// The version of Kubernetes that it runs.
    pub kubernetes: Option<String>,
    /// The image that it is said to run. The provider may say nothing, or too much.
    pub image: Option<ImageLabel>,
    /// The operating system SKU that was asked for: `Ubuntu`, `AzureLinux`, `Windows2022`.
    pub os_sku: Option<String>,
    /// Size of its machines: `Standard_D4s_v5`.
    pub vm_size: Option<String>,
    /// Processors of one of its machines, where the operator says so.
    pub processors_per_node: Option<u32>,
    /// Addresses that one of its nodes takes from the subnet, where the operator says so.
    pub addresses_per_node: Option<u32>,
    /// Availability zones.
    pub zones: Vec<String>,
    /// Region of its cluster: `westeurope`.
    pub region: Option<String>,
    /// Whether its machines run.
    pub power: Option<Power>,
    /// State of the last operation: `Succeeded`, `Upgrading`, `Failed`.
    pub provisioning: Option<String>,
    /// Who changes its nodes' images: of Karpenter, drift does.
    pub scaling: PoolScaling,
    /// The channel of its cluster that brings node images.
    pub channel: Option<NodeOsChannel>,
    /// How an upgrade goes through it.
    pub upgrade: UpgradeSettings,
    /// Tags, by key.
    pub tags: Vec<(String, String)>,
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolMode {
    /// The cluster's own parts run in it.
    System,
    /// Only workloads do.
    User,
}

/// Whether machines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// They do.
    Running,
    /// They are deallocated.
    Stopped,
}

/// How a pool's nodes come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolScaling {
    /// As a scale set, whose image is upgraded by a command.
    #[default]
    ScaleSet,
    /// By node auto-provisioning (Karpenter): nodes get another image when they drift.
    NodeAutoProvisioning,
}

/// The channel of a cluster that brings node images or security patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOsChannel {
    /// Nothing by itself.
    None,
    /// The operating system's own updates, which the customer reboots for.
    Unmanaged,
    /// Security patches, live where that can be.
    SecurityPatch,
    /// Whole images, weekly.
    NodeImage,
}

impl NodeOsChannel {
    /// As the provider's API spells it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Unmanaged => "Unmanaged",
            Self::SecurityPatch => "SecurityPatch",
            Self::NodeImage => "NodeImage",
        }
    }

    /// By its word, in any case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::None, Self::Unmanaged, Self::SecurityPatch, Self::NodeImage];
        all.into_iter().find(|channel| channel.word().eq_ignore_ascii_case(word))
    }
}

/// A number of nodes, or a share of those of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// So many.
    Nodes(u32),
    /// So many per cent.
    Percent(u32),
}

impl Share {
    /// Reads `1`, `33%`. None for what is neither, and for what is below zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(percent) => percent.trim_end().parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Nodes),
        }
    }

    /// How many of so many nodes: a percentage is rounded up, and nothing is more than all.
    #[must_use]
    pub fn of(self, nodes: u32) -> u32 {
        match self {
            Self::Nodes(count) => count.min(nodes),
            Self::Percent(percent) => {
                let share = (u64::from(nodes) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX).min(nodes)
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// How an upgrade goes through a pool. Defaults are the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeSettings {
    /// Nodes added at a time.
    pub max_surge: Share,
    /// Nodes taken away at a time without one in their place.
    pub max_unavailable: Share,
    /// How long a node may take to drain, minutes.
    pub drain_timeout_minutes: u32,
    /// How long to wait after each node, minutes.
    pub soak_minutes: u32,
    /// What becomes of a node that cannot be drained.
    pub undrainable: Undrainable,
}

impl Default for UpgradeSettings {
    fn default() -> Self {
        Self {
            max_surge: Share::Nodes(1),
            max_unavailable: Share::Nodes(0),
            drain_timeout_minutes: 30,
            soak_minutes: 0,
            undrainable: Undrainable::Stop,
        }
    }
}

/// What becomes of a node that cannot be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undrainable {
    /// The upgrade stops at it (`Schedule`).
    Stop,
    /// It is left on its old image, out of use, and the upgrade goes on (`Cordon`).
    Quarantine,
}

/// That an image is offered to a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferedImage {
    /// Which pool.
    pub key: PoolKey,
    /// The newest image that the provider offers to it.
    pub image: ImageLabel,
    /// When that was so.
    pub as_of: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_is_never_more_than_all() {
        for (text, nodes, expected) in [
            ("1", 10, 1),
            ("33%", 24, 8),
            ("33%", 3, 1),
            ("1%", 3, 1),
            ("100%", 7, 7),
            ("50", 7, 7),
            ("0", 7, 0),
            ("33%", 0, 0),
            ("0%", 5, 0),
            ("200%", 5, 5),
        ] {
            assert_eq!(Share::parse(text).map(|share| share.of(nodes)), Some(expected), "{text}");
        }
        for odd in ["-1", "-5%", "", "%", "a", "1.5", "4294967296"] {
            assert_eq!(Share::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_channel_is_found_by_its_word_in_any_case() {
        assert_eq!(NodeOsChannel::named("nodeimage"), Some(NodeOsChannel::NodeImage));
        assert_eq!(NodeOsChannel::named("SecurityPatch"), Some(NodeOsChannel::SecurityPatch));
        assert_eq!(NodeOsChannel::named("stable"), None);
    }
}
