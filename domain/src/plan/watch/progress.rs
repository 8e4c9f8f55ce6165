//! How far the pools of an upgrade are, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Phase, PoolWatch};
use crate::image::ImageLabel;
use crate::plan::ROLLBACK_DAYS;
use crate::plan::words::{count, list};
use crate::pool::PoolKey;

/// How far an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// As of then.
    pub at: Timestamp,
    /// Its pools, by key.
    pub pools: Vec<PoolProgress>,
    /// Observations that came behind newer ones, and were left out.
    pub out_of_order: u64,
}

impl Progress {
    /// Whether all pools are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pools.iter().all(|pool| pool.state == PoolState::Done)
    }
}

/// How far one pool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolProgress {
    /// Which pool.
    pub key: PoolKey,
    /// Its wave.
    pub wave: Option<u32>,
    /// Where it stands.
    pub state: PoolState,
    /// The image that it is to have.
    pub target: ImageLabel,
    /// How many nodes are in each phase.
    pub phases: BTreeMap<Phase, u32>,
    /// Its nodes, by name.
    pub nodes: Vec<NodeProgress>,
    /// The provider claims the target, and nodes say otherwise.
    pub claimed_early: Option<ClaimedEarly>,
    /// Nodes that stand still.
    pub stragglers: Vec<Straggler>,
    /// Nodes that the upgrade gave up.
    pub quarantined: Vec<String>,
    /// Nodes that are not Ready: with one the gate is shut.
    pub not_ready: Vec<String>,
    /// When the first node moved.
    pub began_at: Option<Timestamp>,
    /// When the last node had come to its end.
    pub completed_at: Option<Timestamp>,
    /// Until then the provider takes the pool back; none before it is over.
    pub rollback_until: Option<Timestamp>,
}

/// Where a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolState {
    /// No node has moved.
    NotBegun,
    /// Nodes move.
    Running,
    /// Nodes stand still for longer than a drain may take.
    Stalled,
    /// It is over, and nodes were left in quarantine on their old image.
    LeftBehind,
    /// All of its nodes are verified.
    Done,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProgress {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub phase: Phase,
    /// Since when; none where since before the plan.
    pub since: Option<Timestamp>,
    /// The image that its disk names, where it has told.
    pub image: Option<ImageLabel>,
}

/// The provider claims the target, and nodes say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedEarly {
    /// When it was claimed.
    pub at: Timestamp,
    /// Nodes that run another image.
    pub still_old: Vec<String>,
    /// Nodes that have not told of their image.
    pub not_told: Vec<String>,
}

impl fmt::Display for ClaimedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provider claims success")?;
        if !self.still_old.is_empty() {
            write!(f, ", {} still on the old image: ", count(&self.still_old))?;
            f.write_str(&list(&self.still_old))?;
        }
        if !self.not_told.is_empty() {
            write!(f, ", {} not verified: {}", count(&self.not_told), list(&self.not_told))?;
        }
        Ok(())
    }
}

/// A node that stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Straggler {
    /// Which node.
    pub node: String,
    /// The phase that it stands in.
    pub phase: Phase,
    /// Since when it, or for a pending node the pool, has not moved.
    pub since: Timestamp,
    /// What to do next.
    pub next: String,
}

impl PoolWatch {
    pub(super) fn progress(&self, key: &PoolKey, now: Timestamp) -> PoolProgress {
        let mut phases: BTreeMap<Phase, u32> = BTreeMap::new();
        for node in self.nodes.values() {
            *phases.entry(node.phase).or_insert(0) += 1;
        }
        let names = |is_one: &dyn Fn(&super::NodeWatch) -> bool| -> Vec<String> {
            let nodes = self.nodes.iter().filter(|(_, node)| is_one(node));
            nodes.map(|(name, _)| name.clone()).collect()
        };
        let quarantined = names(&|node| node.phase == Phase::Quarantined);
        let stragglers = self.stragglers(now);
        let is_over = match self.nodes.is_empty() {
            // Without a node there is nothing but the provider's word.
            true => self.claims_target().is_some(),
            false => self.is_over(),
        };
        let state = match (is_over, quarantined.is_empty()) {
            (true, true) => PoolState::Done,
            (true, false) => PoolState::LeftBehind,
            (false, _) if self.began_at.is_none() => PoolState::NotBegun,
            (false, _) if !stragglers.is_empty() => PoolState::Stalled,
            (false, _) => PoolState::Running,
        };
        let days = SignedDuration::from_hours(24 * i64::from(ROLLBACK_DAYS));
        PoolProgress {
            key: key.clone(),
            wave: self.wave,
            state,
            target: self.target.clone(),
            phases,
            nodes: self
                .nodes
                .iter()
                .map(|(name, node)| NodeProgress {
                    name: name.clone(),
                    phase: node.phase,
                    since: node.since,
                    image: node.image.clone(),
                })
                .collect(),
            claimed_early: self.claimed_early(),
            stragglers,
            quarantined,
            not_ready: names(&|node| node.phase != Phase::Gone && node.is_ready == Some(false)),
            began_at: self.began_at,
            completed_at: self.completed_at,
            rollback_until: self
                .completed_at
                .map(|at| at.checked_add(days).unwrap_or(Timestamp::MAX)),
        }
    }

    fn claimed_early(&self) -> Option<ClaimedEarly> {
        let (at, _) = self.claims_target()?;
        let mut early = ClaimedEarly { at, still_old: Vec::new(), not_told: Vec::new() };
        for (name, node) in &self.nodes {
            match node.phase {
                Phase::Verified | Phase::Gone => {}
                _ if node.is_known_old(&self.target) => early.still_old.push(name.clone()),
                _ => early.not_told.push(name.clone()),
            }
        }
        (!early.still_old.is_empty() || !early.not_told.is_empty()).then_some(early)
    }

    fn stragglers(&self, now: Timestamp) -> Vec<Straggler> {
        let is_too_long = |since: Timestamp| now.duration_since(since) > self.patience;
        // A pending node waits for the others; it stands still when none of them moves.
        let stands = self.moved_at.filter(|moved_at| is_too_long(*moved_at));
        let nodes = self.nodes.iter().filter_map(|(name, node)| {
            let since = match node.phase {
                Phase::Pending => stands?,
                phase if phase.is_under_way() => node.since.filter(|since| is_too_long(*since))?,
                _ => return None,
            };
            let next = self.next(node.phase, node.is_known_old(&self.target));
            let (node, phase) = (name.clone(), node.phase);
            Some(Straggler { node, phase, since, next: next.to_owned() })
        });
        nodes.collect()
    }

    fn next(&self, phase: Phase, is_known_old: bool) -> &'static str {
        match phase {
            Phase::Drained => {
                "see which pods do not leave it: kubectl get pods and poddisruptionbudgets; an \
                 upgrade that has stopped goes on when it is started again"
            }
            Phase::Pending if self.claims_target().is_some() => {
                "the provider takes its upgrade for done: start it again, or delete the node"
            }
            Phase::Pending => "the upgrade has stopped: look at the node that stands before it",
            Phase::Joined if is_known_old => {
                "it came back on an old image: start the upgrade of the pool again"
            }
            Phase::Joined => "see why its agent does not tell of its image: nodeward node",
            _ => "see why it does not become Ready: nodeward node",
        }
    }
}
