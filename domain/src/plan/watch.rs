//! An upgrade followed node by node, out of reports: what nodes say of themselves, and beside it
//! what the provider claims. A fold without a clock: [`Watch::observe`] takes one observation
//! after the other, [`Watch::progress`] tells how far each pool is.
//!
//! A node is verified by the image that its disk names, never by a label, nor by the pool's
//! claim: a pool whose upgrade was stopped by a budget can claim the new image while its nodes
//! run the old one.

mod node;
mod progress;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::judge::is_on;
use super::{Plan, PoolPlan};
use crate::image::ImageLabel;
use crate::pool::{PoolKey, UpgradeSettings};

use node::NodeWatch;
pub use node::Phase;
pub use progress::{ClaimedEarly, NodeProgress, PoolProgress, PoolState, Progress, Straggler};

/// Something that was seen. Its time is that of the one who received it, never of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "seen")]
pub enum Observation {
    /// A node: what its report says, or the Kubernetes API. What is none was not seen.
    Node(Sighting),
    /// A node is not there any more.
    Gone {
        /// When that was seen.
        at: Timestamp,
        /// Its pool.
        pool: PoolKey,
        /// Its name.
        node: String,
    },
    /// What the provider says of a pool.
    Claim {
        /// When it was said.
        at: Timestamp,
        /// Which pool.
        pool: PoolKey,
        /// The image that it is said to run.
        image: Option<ImageLabel>,
    },
}

/// What was seen of a node. What is none was not seen, and stays as it was seen before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// Its pool.
    pub pool: PoolKey,
    /// Its name.
    pub node: String,
    /// Its life: the UID of its Node object.
    pub uid: Option<String>,
    /// Its boot.
    pub boot: Option<String>,
    /// The image that its disk names.
    pub image: Option<ImageLabel>,
    /// Whether it is Ready.
    pub is_ready: Option<bool>,
    /// Whether it is cordoned.
    pub is_cordoned: Option<bool>,
    /// Whether the upgrade gave it up and left it out of use.
    pub is_quarantined: Option<bool>,
}

impl Sighting {
    /// A node of which nothing but its name was seen.
    #[must_use]
    pub fn of(at: Timestamp, pool: &PoolKey, node: &str) -> Self {
        Self {
            at,
            pool: pool.clone(),
            node: node.to_owned(),
            uid: None,
            boot: None,
            image: None,
            is_ready: None,
            is_cordoned: None,
            is_quarantined: None,
        }
    }
}

/// An upgrade that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pools: BTreeMap<PoolKey, PoolWatch>,
    /// Observations that came behind newer ones of the same node or pool, and were left out.
    out_of_order: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PoolWatch {
    wave: Option<u32>,
    target: ImageLabel,
    /// So long a node may stay in one phase.
    patience: SignedDuration,
    nodes: BTreeMap<String, NodeWatch>,
    claim: Option<(Timestamp, Option<ImageLabel>)>,
    began_at: Option<Timestamp>,
    moved_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

impl Watch {
    /// Follows the pools of a plan that go.
    #[must_use]
    pub fn start(plan: &Plan) -> Self {
        let margin = plan.request.assumed.margin_minutes;
        let going = plan.pools.iter().filter(|pool| pool.standing.goes());
        let pools =
            going.filter_map(|pool| Some((pool.key.clone(), PoolWatch::start(pool, margin)?)));
        Self { pools: pools.collect(), out_of_order: 0 }
    }

    /// Takes one observation. What is about a pool that the plan does not upgrade is left out.
    pub fn observe(&mut self, observation: &Observation) {
        let (Observation::Node(Sighting { pool, .. })
        | Observation::Gone { pool, .. }
        | Observation::Claim { pool, .. }) = observation;
        let Some(pool) = self.pools.get_mut(pool) else { return };
        let is_in_order = match observation {
            Observation::Node(sighting) => pool.see(sighting),
            Observation::Gone { at, node, .. } => pool.lose(*at, node),
            Observation::Claim { at, image, .. } => pool.hear(*at, image.as_ref()),
        };
        self.out_of_order += u64::from(!is_in_order);
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self, now: Timestamp) -> Progress {
        let pools = self.pools.iter().map(|(key, pool)| pool.progress(key, now)).collect();
        Progress { at: now, pools, out_of_order: self.out_of_order }
    }
}

/// How far an upgrade is, by everything that was observed of it.
#[must_use]
pub fn watch<'a>(
    plan: &Plan,
    observations: impl IntoIterator<Item = &'a Observation>,
    now: Timestamp,
) -> Progress {
    let mut watch = Watch::start(plan);
    observations.into_iter().for_each(|observation| watch.observe(observation));
    watch.progress(now)
}

impl PoolWatch {
    fn start(pool: &PoolPlan, margin_minutes: u32) -> Option<Self> {
        let target = pool.target.clone()?;
        let defaults = UpgradeSettings::default();
        let (drain, soak) = pool
            .rollout
            .as_ref()
            .map_or((defaults.drain_timeout_minutes, defaults.soak_minutes), |rollout| {
                (rollout.drain_timeout_minutes, rollout.soak_minutes)
            });
        let minutes = i64::from(drain) + i64::from(soak) + i64::from(margin_minutes);
        let nodes = pool
            .nodes
            .iter()
            .map(|node| (node.name.clone(), NodeWatch::planned(node.clone(), &target)));
        Some(Self {
            wave: pool.wave,
            patience: SignedDuration::from_mins(minutes),
            nodes: nodes.collect(),
            target,
            claim: None,
            began_at: None,
            moved_at: None,
            completed_at: None,
        })
    }

    /// False for what came behind something newer.
    fn see(&mut self, sighting: &Sighting) -> bool {
        let at = sighting.at;
        let Some(node) = self.nodes.get_mut(&sighting.node) else {
            let node = NodeWatch::surged(sighting, &self.target);
            self.nodes.insert(sighting.node.clone(), node);
            self.moved(at);
            return true;
        };
        match node.see(sighting, &self.target) {
            node::Step::OutOfOrder => return false,
            node::Step::Same => {}
            node::Step::Moved => self.moved(at),
        }
        true
    }

    fn lose(&mut self, at: Timestamp, name: &str) -> bool {
        let Some(node) = self.nodes.get_mut(name) else { return true };
        match node.lose(at) {
            node::Step::OutOfOrder => return false,
            node::Step::Same => {}
            node::Step::Moved => self.moved(at),
        }
        true
    }

    fn hear(&mut self, at: Timestamp, image: Option<&ImageLabel>) -> bool {
        if self.claim.as_ref().is_some_and(|(heard_at, _)| *heard_at > at) {
            return false;
        }
        self.claim = Some((at, image.cloned()));
        true
    }

    fn moved(&mut self, at: Timestamp) {
        self.began_at = self.began_at.or(Some(at));
        self.moved_at = self.moved_at.max(Some(at));
        self.completed_at = match self.is_over() {
            true => self.completed_at.or(Some(at)),
            false => None,
        };
    }

    /// Whether no node is left that the upgrade still has to bring to the target.
    fn is_over(&self) -> bool {
        let ends = |node: &NodeWatch| {
            matches!(node.phase, Phase::Verified | Phase::Gone | Phase::Quarantined)
        };
        self.nodes.values().all(ends)
    }

    /// Whether the provider claims the target.
    fn claims_target(&self) -> Option<(Timestamp, &ImageLabel)> {
        let (at, image) = self.claim.as_ref()?;
        let image = image.as_ref().filter(|image| is_on(image, &self.target))?;
        Some((*at, image))
    }
}
