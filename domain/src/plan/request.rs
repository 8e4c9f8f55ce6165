//! What somebody asks of a plan: which pools, when, how much at a time, to which image. Plain
//! text and numbers, stored as they were said.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::input::PoolInput;
use crate::image::ImageLabel;
use crate::pool::Share;

/// What somebody wants to be planned. It is plain text and numbers, so that it is stored as it
/// was said; [`super::create()`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The plan's name: up to 63 letters, digits, `.`, `_` and `-`, a letter or digit first.
    pub name: String,
    /// Which pools, in the grammar of [`super::selection::Selection`]; empty for all.
    #[serde(default)]
    pub select: String,
    /// When steps may begin, each in the grammar of [`super::window::Window`]; none for any
    /// time.
    #[serde(default)]
    pub windows: Vec<String>,
    /// How many of the selected nodes may be out of use at any time: a percentage is rounded
    /// down, and is at least one node.
    pub max_disrupted: Share,
    /// Which image.
    #[serde(default)]
    pub target: Target,
    /// How many pools of one cluster may be upgraded at a time.
    pub pools_at_once_per_cluster: u32,
    /// How many of the pools that can go are the canary, where more than one per line of
    /// images is wanted. None of them (0) for no canary.
    pub canary: Share,
    /// How long to wait behind the canary before the gate, hours.
    pub soak_hours: u32,
    /// What the operator has looked at and takes: it warns in the place of blocking.
    #[serde(default)]
    pub accept: Vec<Accepted>,
    /// What nobody states and must be assumed.
    #[serde(default)]
    pub assumed: Assumptions,
    /// When it was asked for. No step is planned before.
    pub created_at: Timestamp,
}

impl PlanRequest {
    /// A request with the usual values: all pools, any time, 5% disrupted, the newest offered
    /// image, one pool per cluster at a time, one canary per line of images, 12 hours of soak.
    #[must_use]
    pub fn new(name: &str, created_at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            select: String::new(),
            windows: Vec::new(),
            max_disrupted: Share::Percent(5),
            target: Target::NewestOffered,
            pools_at_once_per_cluster: 1,
            canary: Share::Nodes(1),
            soak_hours: 12,
            accept: Vec::new(),
            assumed: Assumptions::default(),
            created_at,
        }
    }
}

/// Which image a plan leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The newest that is offered to each pool. The provider's command knows no other.
    #[default]
    NewestOffered,
    /// That version of each pool's own line: `202607.02.0`.
    Version(String),
    /// That image, of that line: `AKSUbuntu-2204gen2containerd-202607.02.0`. Pools of another
    /// line are not led to it.
    Image(ImageLabel),
}

impl Target {
    /// Reads `newest-offered`, the version or the label of an image. None for what is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.eq_ignore_ascii_case("newest-offered") {
            true => Some(Self::NewestOffered),
            false if crate::image::is_version(text) => Some(Self::Version(text.to_owned())),
            false => ImageLabel::parse(text).ok().map(Self::Image),
        }
    }

    /// The image that a pool is to have: of [`Self::Version`] that one of the line of its
    /// offered image, or else of the line of its nodes. None where neither is known. What is
    /// told of the target and of the gain must be told of this image.
    #[must_use]
    pub fn of(&self, pool: &PoolInput) -> Option<ImageLabel> {
        let offered = pool.offered.as_ref().map(|offered| &offered.image);
        match self {
            Self::NewestOffered => offered.cloned(),
            Self::Image(image) => Some(image.clone()),
            Self::Version(version) => {
                let of_nodes = || pool.nodes.iter().find_map(|node| node.image.as_ref());
                let family = offered.or_else(of_nodes)?.family.clone();
                Some(ImageLabel { family, version: version.clone(), patched: None })
            }
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewestOffered => f.write_str("newest-offered"),
            Self::Version(version) => f.write_str(version),
            Self::Image(image) => image.fmt(f),
        }
    }
}

/// What blocks until the operator takes it knowingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// What was changed on nodes by hand is lost.
    Drift,
    /// The operating system patches itself, and a new image begins without those patches.
    Unmanaged,
}

impl Accepted {
    /// Its word: `drift`, `unmanaged`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Unmanaged => "unmanaged",
        }
    }

    /// By its word. None for another one.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Drift, Self::Unmanaged].into_iter().find(|one| one.word() == word)
    }
}

/// What nobody states and must be assumed; shown with every duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumptions {
    /// The shortest time in which one batch is created, drained and reimaged, minutes. The
    /// provider promises none; five is what an empty node takes.
    pub per_batch_minutes: u32,
    /// How much longer than its drain timeout a node may stand still before it is told as one
    /// that does, minutes.
    pub margin_minutes: u32,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { per_batch_minutes: 5, margin_minutes: 15 }
    }
}
