//! Node pools, as their operator's own tools tell of them: how many nodes they should have,
//! how an upgrade goes through them, which image is offered to them. Source of the words and
//! of the defaults: the node pools of AKS (`az aks nodepool list`, `az aks nodepool
//! get-upgrades`). Everything is what somebody said, and may be out of date: nodes themselves
//! are asked where they can answer.

mod quota;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::ImageLabel;
use crate::siblings::Siblings;
pub use quota::Quota;

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

/// Which pools a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PoolPattern {
    /// The cluster.
    pub cluster: String,
    /// The pool's name in it, where `*` stands for any run of characters.
    pub pool: String,
}

impl PoolPattern {
    /// Whether a pool is one of them.
    #[must_use]
    pub fn covers(&self, key: &PoolKey) -> bool {
        self.cluster == key.cluster && is_like(&self.pool, &key.pool)
    }

    /// The one pool that it names, where there is no `*` in it.
    #[must_use]
    pub fn exact(&self) -> Option<PoolKey> {
        let key = || PoolKey { cluster: self.cluster.clone(), pool: self.pool.clone() };
        (!self.pool.contains('*')).then(key)
    }
}

impl fmt::Display for PoolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.pool)
    }
}

/// Whether a name is like a pattern, in which `*` stands for any run of characters. The
/// time is at most the product of their lengths.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(place) = name.find(part) else { return false };
        name = &name[place + part.len()..];
    }
    name.ends_with(end)
}

/// A cluster as the provider names it. Names of one resource group in two subscriptions, and of
/// one cluster in two resource groups, are names of two clusters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterResource {
    /// The subscription.
    pub subscription: String,
    /// The resource group that the cluster belongs to, not that of its machines.
    pub resource_group: String,
    /// The cluster's own name, which may be another than in the fleet.
    pub cluster: String,
}

impl ClusterResource {
    /// Whether both name one cluster: the provider tells names apart in no case of letters.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.subscription.eq_ignore_ascii_case(&other.subscription)
            && self.resource_group.eq_ignore_ascii_case(&other.resource_group)
            && self.cluster.eq_ignore_ascii_case(&other.cluster)
    }
}

impl fmt::Display for ClusterResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.subscription, self.resource_group, self.cluster)
    }
}

/// What an operator's tools say of one pool. What is none was not stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolProfile {
    /// Which pool.
    pub key: PoolKey,
    /// When it was read from the provider: the file's own time, or that of the import.
    pub as_of: Timestamp,
    /// The resource group that its cluster belongs to, not that of its machines.
    pub resource_group: Option<String>,
    /// Its cluster as the provider names it.
    #[serde(default)]
    pub resource: Option<ClusterResource>,
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
    /// Tags, by key; none where nobody told which it has.
    pub tags: Option<Vec<(String, String)>>,
}

impl PoolProfile {
    /// A pool of which nothing is stated but its name.
    #[must_use]
    pub fn unstated(key: PoolKey, as_of: Timestamp) -> Self {
        Self {
            key,
            as_of,
            resource_group: None,
            resource: None,
            nodes: None,
            autoscaled: None,
            mode: None,
            kubernetes: None,
            image: None,
            os_sku: None,
            vm_size: None,
            processors_per_node: None,
            addresses_per_node: None,
            zones: Vec::new(),
            region: None,
            power: None,
            provisioning: None,
            scaling: PoolScaling::default(),
            channel: None,
            upgrade: UpgradeSettings::default(),
            tags: None,
        }
    }
}

/// What an operator's tools say of a whole cluster. What is none was not stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterProfile {
    /// Its name in the fleet.
    pub cluster: String,
    /// When it was read from the provider.
    pub as_of: Timestamp,
    /// Its resource group.
    pub resource_group: Option<String>,
    /// What the provider names it.
    pub resource: Option<ClusterResource>,
    /// Its region: `westeurope`.
    pub region: Option<String>,
    /// The version of Kubernetes of its control plane.
    pub kubernetes: Option<String>,
    /// The channel that brings node images to its pools.
    pub channel: Option<NodeOsChannel>,
    /// Whether nodes come and go by node auto-provisioning, beside the pools that are listed.
    pub is_auto_provisioned: Option<bool>,
}

impl ClusterProfile {
    /// Fills what a pool of it does not state itself. Pools that are listed stay scale sets
    /// where nodes are provisioned by themselves, too: those nodes belong to other pools.
    pub fn fill(&self, pool: &mut PoolProfile) {
        if pool.key.cluster != self.cluster {
            return;
        }
        pool.resource_group = pool.resource_group.take().or_else(|| self.resource_group.clone());
        pool.resource = pool.resource.take().or_else(|| self.resource.clone());
        pool.region = pool.region.take().or_else(|| self.region.clone());
        pool.channel = pool.channel.or(self.channel);
    }
}

/// What an operator states of pools by hand: it stands in the place of what the provider's
/// tools say. What is none is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolOverride {
    /// Which pools.
    pub pools: PoolPattern,
    /// Of when it is.
    pub as_of: Timestamp,
    /// How many nodes they should have each.
    pub nodes: Option<u32>,
    /// What they are for.
    pub mode: Option<PoolMode>,
    /// Size of their machines.
    pub vm_size: Option<String>,
    /// Processors of one machine.
    pub processors_per_node: Option<u32>,
    /// Addresses that one node takes from the subnet.
    pub addresses_per_node: Option<u32>,
    /// Availability zones.
    pub zones: Option<Vec<String>>,
    /// Region.
    pub region: Option<String>,
    /// How their nodes come and go.
    pub scaling: Option<PoolScaling>,
    /// The channel that brings their images.
    pub channel: Option<NodeOsChannel>,
    /// Nodes added at a time.
    pub max_surge: Option<Share>,
    /// Nodes taken away at a time without one in their place.
    pub max_unavailable: Option<Share>,
    /// How long a node may take to drain, minutes.
    pub drain_timeout_minutes: Option<u32>,
    /// How long to wait after each node, minutes.
    pub soak_minutes: Option<u32>,
    /// What becomes of a node that cannot be drained.
    pub undrainable: Option<Undrainable>,
    /// Tags, by key: all that they have.
    pub tags: Option<Vec<(String, String)>>,
}

impl PoolOverride {
    /// Puts what it states into the profile of a pool that it is about.
    pub fn apply(&self, pool: &mut PoolProfile) {
        /// Puts a value in the place of another, where there is one.
        fn put<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        if !self.pools.covers(&pool.key) {
            return;
        }
        pool.nodes = self.nodes.or(pool.nodes);
        pool.mode = self.mode.or(pool.mode);
        pool.vm_size = self.vm_size.clone().or_else(|| pool.vm_size.take());
        pool.processors_per_node = self.processors_per_node.or(pool.processors_per_node);
        pool.addresses_per_node = self.addresses_per_node.or(pool.addresses_per_node);
        put(&mut pool.zones, self.zones.as_ref());
        pool.region = self.region.clone().or_else(|| pool.region.take());
        put(&mut pool.scaling, self.scaling.as_ref());
        pool.channel = self.channel.or(pool.channel);
        put(&mut pool.upgrade.max_surge, self.max_surge.as_ref());
        put(&mut pool.upgrade.max_unavailable, self.max_unavailable.as_ref());
        put(&mut pool.upgrade.drain_timeout_minutes, self.drain_timeout_minutes.as_ref());
        put(&mut pool.upgrade.soak_minutes, self.soak_minutes.as_ref());
        put(&mut pool.upgrade.undrainable, self.undrainable.as_ref());
        pool.tags = self.tags.clone().or_else(|| pool.tags.take());
    }
}

/// Addresses that are still free in the subnet of some pools.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subnet {
    /// The pools whose nodes take addresses from it.
    pub pools: PoolPattern,
    /// So many are free.
    pub addresses_free: u32,
    /// When that was so.
    pub as_of: Timestamp,
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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Unmanaged, Self::SecurityPatch, Self::NodeImage];

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

    /// Whether it brings images, or patches in their place, by itself.
    #[must_use]
    pub const fn brings_images(self) -> bool {
        matches!(self, Self::SecurityPatch | Self::NodeImage)
    }

    /// By its word, in any case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word().eq_ignore_ascii_case(word))
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

/// What the nodes of a pool run, whatever anybody says of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolTruth {
    /// Which pool.
    pub key: PoolKey,
    /// By line and version, as images name themselves on disk, how many nodes run each.
    pub images: BTreeMap<(String, String), usize>,
}

/// What the other nodes of a fleet show about one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Surroundings {
    /// The node's pool; none where it is not known.
    pub pool: Option<PoolTruth>,
    /// Versions of the node's line of images that enough nodes of its cluster run: these have
    /// been offered.
    pub observed: BTreeSet<String>,
    /// What the nodes of its pool show that run its image.
    pub siblings: Siblings,
}

/// That an image is offered to every pool of a pattern, and of that image's line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OfferedPattern {
    /// Which pools.
    pub pools: PoolPattern,
    /// The newest image that the provider offers to them.
    pub image: ImageLabel,
    /// When that was so.
    pub as_of: Timestamp,
}

impl OfferedPattern {
    /// What it says of one pool, or none where it is not about that pool.
    #[must_use]
    pub fn to(&self, key: &PoolKey) -> Option<OfferedImage> {
        let offered =
            || OfferedImage { key: key.clone(), image: self.image.clone(), as_of: self.as_of };
        self.pools.covers(key).then(offered)
    }
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

    fn key(cluster: &str, pool: &str) -> PoolKey {
        PoolKey { cluster: cluster.to_owned(), pool: pool.to_owned() }
    }

    fn pattern(pool: &str) -> PoolPattern {
        PoolPattern { cluster: "one".to_owned(), pool: pool.to_owned() }
    }

    #[test]
    fn a_pattern_covers_pools_of_its_own_cluster_only() {
        for (like, name, expected) in [
            ("*", "", true),
            ("*", "user", true),
            ("user", "user", true),
            ("user", "users", false),
            ("us*", "user", true),
            ("*er", "user", true),
            ("u*e*r", "user", true),
            ("u**r", "user", true),
            ("us*ser", "user", false),
            ("*ä*", "xäx", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("", "user", false),
        ] {
            assert_eq!(pattern(like).covers(&key("one", name)), expected, "{like} {name}");
            assert!(!pattern(like).covers(&key("two", name)));
        }
        assert_eq!(pattern("us*").exact(), None);
        assert_eq!(pattern("user").exact(), Some(key("one", "user")));
    }

    #[test]
    fn what_a_pool_says_itself_stays_and_what_the_operator_says_wins() {
        let mut pool = PoolProfile::unstated(key("one", "user"), Timestamp::UNIX_EPOCH);
        pool.region = Some("northeurope".to_owned());
        let cluster = ClusterProfile {
            cluster: "one".to_owned(),
            as_of: Timestamp::UNIX_EPOCH,
            resource_group: Some("group".to_owned()),
            resource: None,
            region: Some("westeurope".to_owned()),
            kubernetes: None,
            channel: Some(NodeOsChannel::NodeImage),
            is_auto_provisioned: Some(true),
        };
        cluster.fill(&mut pool);
        assert_eq!(pool.region.as_deref(), Some("northeurope"));
        assert_eq!(pool.resource_group.as_deref(), Some("group"));
        assert_eq!(
            (pool.channel, pool.scaling),
            (Some(NodeOsChannel::NodeImage), PoolScaling::ScaleSet)
        );
        let mut other = PoolProfile::unstated(key("two", "user"), Timestamp::UNIX_EPOCH);
        cluster.fill(&mut other);
        assert_eq!(other.channel, None);
    }

    #[test]
    fn a_channel_is_found_by_its_word_in_any_case() {
        assert_eq!(NodeOsChannel::named("nodeimage"), Some(NodeOsChannel::NodeImage));
        assert_eq!(NodeOsChannel::named("SecurityPatch"), Some(NodeOsChannel::SecurityPatch));
        assert_eq!(NodeOsChannel::named("stable"), None);
    }
}
