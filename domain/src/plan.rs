//! Plans of node image upgrades: which pools go, in which order and when, and why the others do
//! not. Pure functions of what the fleet knows: [`create()`] makes a plan, [`check()`] judges it
//! again on newer facts, [`watch`] follows it by reports of nodes, [`export`] writes it for the
//! tools that act. Nodeward changes nothing itself. Sources of the rules: the provider's pages
//! on upgrades of node pools and planned maintenance; who must act, the policy editions.

mod blocker;
mod check;
mod create;
mod explain;
pub mod export;
pub mod input;
mod judge;
mod order;
mod request;
mod rollout;
mod schedule;
pub mod selection;
#[cfg(test)]
mod tests;
mod unknown;
mod warning;
pub mod watch;
pub mod window;
pub mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::ImageLabel;
use crate::pool::{ClusterResource, PoolKey};

pub use blocker::Blocker;
pub use check::{Change, Check, check};
pub use create::create;
pub use explain::Explanation;
pub use rollout::{Rollout, SCALE_SET_LIMIT};
pub use unknown::Unknown;
pub use warning::Warning;

use input::{Fixes, Gain, PlanRequest, SoakEvidence};
use selection::NoSelection;
use window::NoWindow;

/// The provider takes a pool back to its image of before within so many days of an upgrade.
/// Source: the provider's page on rolling a node pool back.
pub const ROLLBACK_DAYS: u32 = 7;

/// A plan. It is stored as it is, and told from on every screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub request: PlanRequest,
    /// The policy edition that it was judged by.
    pub edition: String,
    /// Its pools, by key.
    pub pools: Vec<PoolPlan>,
    /// Its waves, in their order.
    pub waves: Vec<Wave>,
    /// Pools of which it cannot be said whether they are selected.
    pub undecided: Vec<Undecided>,
    /// Sums over its pools.
    pub totals: Totals,
    /// Why it is as it is, where it has nothing to do or leaves something out.
    pub explains: Vec<Explanation>,
}

/// One pool of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPlan {
    /// Which pool.
    pub key: PoolKey,
    /// Whether it goes.
    pub standing: Standing,
    /// Why it does not; empty where it goes.
    pub blockers: Vec<Blocker>,
    /// What to look at before it goes.
    pub warnings: Vec<Warning>,
    /// What nobody knows of it.
    pub unknowns: Vec<Unknown>,
    /// The image that it is to have; none where that is not known.
    pub target: Option<ImageLabel>,
    /// When that image turns too old to be supported; none where that is not known.
    pub unsupported_from: Option<Timestamp>,
    /// When it was so that the image is offered.
    pub offered_as_of: Option<Timestamp>,
    /// When its settings were read from the provider; none where they never were.
    pub profile_as_of: Option<Timestamp>,
    /// The resource group of its cluster, where it is known.
    pub resource_group: Option<String>,
    /// Its cluster as the provider names it, where that is known.
    #[serde(default)]
    pub resource: Option<ClusterResource>,
    /// Its nodes as they were when the plan was made, by name.
    pub nodes: Vec<PlannedNode>,
    /// How many of them are to be upgraded.
    pub to_upgrade: u32,
    /// How the upgrade goes through it; none where it cannot.
    pub rollout: Option<Rollout>,
    /// What it brings.
    pub gain: Gain,
    /// How the target does elsewhere in the fleet.
    pub soak: Option<SoakEvidence>,
    /// Its wave, from 1; none where it does not go.
    pub wave: Option<u32>,
    /// When its wave begins, and when its upgrade is over at the earliest.
    pub at: Option<Span>,
    /// The way back; none where it does not go.
    pub rollback: Option<Rollback>,
}

/// A time from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// It begins then.
    pub starts_at: Timestamp,
    /// It is over then, at the earliest.
    pub ends_at_earliest: Timestamp,
}

/// Whether a pool goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It goes.
    Go,
    /// It goes, and something should be looked at before.
    Warn,
    /// It does not.
    Blocked,
    /// Nothing is to be done: all of its nodes run the target.
    OnTarget,
}

impl Standing {
    /// Whether it goes.
    #[must_use]
    pub const fn goes(self) -> bool {
        matches!(self, Self::Go | Self::Warn)
    }

    /// The word that screens show.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Warn => "WARN",
            Self::Blocked => "BLOCKED",
            Self::OnTarget => "ON TARGET",
        }
    }
}

/// A node as it was when the plan was made: what [`watch`] tells progress by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its life: the UID of its Node object, where it was known.
    pub uid: Option<String>,
    /// Its boot, where it was known.
    pub boot: Option<String>,
    /// The image that it ran, where it was known.
    pub image: Option<ImageLabel>,
}

/// The way back from an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Until then, if the upgrade is over at its earliest.
    pub until: Timestamp,
    /// Fixes that it would take away again; none where that is not known.
    pub brings_back: Option<Fixes>,
    /// Those of them that are older than the line that the policy draws.
    pub brings_back_over_line: Option<Fixes>,
}

/// Pools that go at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// From 1.
    pub number: u32,
    /// It is the canary: the others wait for it.
    pub is_canary: bool,
    /// It begins then.
    pub starts_at: Timestamp,
    /// It is over then, at the earliest.
    pub ends_at_earliest: Timestamp,
    /// The window that it begins in opens then.
    pub window_opens_at: Timestamp,
    /// And closes then.
    pub window_closes_at: Timestamp,
    /// Its pools, in the order of what they retire.
    pub pools: Vec<PoolKey>,
    /// Nodes that it upgrades.
    pub nodes: u32,
    /// Nodes that are out of use at any time of it, at most.
    pub disrupted_at_once: u32,
    /// Nodes that its surge adds, at most.
    pub surge: u32,
    /// Processors that its surge takes, of the pools for which that is known.
    pub surge_processors: u32,
    /// Addresses that its surge takes, of the pools for which that is known.
    pub surge_addresses: u32,
    /// Fixes over the line that it brings, counted once a pool.
    pub over_line: u32,
    /// How long to wait behind it, hours.
    pub soak_hours: u32,
    /// What must hold before the next wave.
    pub gate: Vec<Gate>,
}

/// What must hold before the next wave begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// No node of the wave fails a condition or check that it did not fail before.
    NoNewConditions,
    /// No node of the wave is NotReady.
    NoneNotReady,
    /// All nodes of the wave run the target, as their disks say.
    AllVerified,
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoNewConditions => "no new conditions",
            Self::NoneNotReady => "NotReady = 0",
            Self::AllVerified => "all nodes on the target by their disks",
        })
    }
}

/// A pool of which it cannot be said whether it is selected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// Which pool.
    pub key: PoolKey,
    /// What is not known of it.
    pub missing: String,
}

/// Sums over the pools of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Selected pools.
    pub pools: u32,
    /// Those that go without a warning.
    pub go: u32,
    /// Those that go with one.
    pub warn: u32,
    /// Those that do not go.
    pub blocked: u32,
    /// Those that have nothing to do.
    pub on_target: u32,
    /// Nodes of selected pools.
    pub nodes: u32,
    /// Nodes that are to be upgraded by pools that go.
    pub to_upgrade: u32,
    /// Nodes that may be out of use at any time, of all pools together.
    pub disruption_cap: u32,
    /// Fixes over the line that pools that go bring, counted once a pool.
    pub over_line: u32,
    /// When the last wave is over, at the earliest; none without one.
    pub ends_at_earliest: Option<Timestamp>,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The name is none.
    #[error(
        "{name:?} is no name of a plan: up to 63 letters, digits, '.', '_' and '-', a letter or \
         digit first"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The selection cannot be read.
    #[error(transparent)]
    Selection(#[from] NoSelection),
    /// A window cannot be read.
    #[error(transparent)]
    Window(#[from] NoWindow),
    /// No window opens.
    #[error("no window opens until {until:.0}: every day of it is not allowed")]
    NeverOpen {
        /// So far was looked.
        until: Timestamp,
    },
    /// The target is no version of an image.
    #[error("target {target:?}: neither newest-offered nor a version such as 202607.02.0")]
    Target {
        /// The target.
        target: String,
    },
    /// Nothing may be disrupted.
    #[error(
        "--max-disrupted: nothing may be out of use, so that no step is left; one node is the least"
    )]
    NothingDisrupted,
    /// No pool may go.
    #[error("no pool of a cluster may go at a time; one is the least")]
    NoConcurrency,
    /// Two pools have one key.
    #[error("pool {key} is there twice")]
    Twice {
        /// The key.
        key: PoolKey,
    },
}

/// Whether a text may be a plan's name. It goes into commands and file names.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl Plan {
    /// A pool of it.
    #[must_use]
    pub fn pool(&self, key: &PoolKey) -> Option<&PoolPlan> {
        let place = self.pools.binary_search_by(|pool| pool.key.cmp(key)).ok()?;
        self.pools.get(place)
    }

    /// Pools of one wave, in its order.
    pub fn pools_of<'a>(&'a self, wave: &'a Wave) -> impl Iterator<Item = &'a PoolPlan> {
        wave.pools.iter().filter_map(|key| self.pool(key))
    }

    /// Whether anything of it goes.
    #[must_use]
    pub fn goes(&self) -> bool {
        self.pools.iter().any(|pool| pool.standing.goes())
    }
}
