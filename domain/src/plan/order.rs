//! In which order pools go: the canary first, then by risk retired per disrupted node.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::judge::Draw;
use crate::pool::{PoolKey, Share};

/// A pool that can go, as far as order and time depend on it.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    /// Its place among the plan's pools.
    pub(super) index: usize,
    pub(super) key: &'a PoolKey,
    pub(super) family: &'a str,
    /// Nodes to upgrade: each is disrupted once.
    pub(super) nodes: u32,
    /// Nodes out of use at a time.
    pub(super) batch: u32,
    pub(super) at_least: SignedDuration,
    /// Points of risk retired on each node that is disrupted.
    pub(super) risk_per_node: u64,
    /// Its wave must be over before.
    pub(super) deadline: Option<Timestamp>,
    /// What its surge draws from pots.
    pub(super) draws: Vec<Draw<'a>>,
}

/// The canary and the rest, each in their order.
///
/// The canary is, of each line of images, the pool with the fewest nodes: it proves the image
/// at the smallest risk. A pool without a node proves nothing, and is taken only where its line
/// has no other. More are added, smallest first, until the share asked for is reached; a share
/// of nothing is no canary. The rest goes by risk retired per disrupted node, most first; of
/// the same risk the smaller pool goes first; ties by key.
pub(super) fn order<'a>(
    mut pools: Vec<Candidate<'a>>,
    canary: Share,
) -> (Vec<Candidate<'a>>, Vec<Candidate<'a>>) {
    let wanted = canary.of(u32::try_from(pools.len()).unwrap_or(u32::MAX));
    pools.sort_by(|one, other| {
        let size = |pool: &Candidate<'_>| (pool.nodes == 0, pool.nodes);
        size(one).cmp(&size(other)).then_with(|| one.key.cmp(other.key))
    });
    let mut is_canary = vec![false; pools.len()];
    if wanted > 0 {
        let mut first_of: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, pool) in pools.iter().enumerate() {
            first_of.entry(pool.family).or_insert(place);
        }
        first_of.values().for_each(|place| is_canary[*place] = true);
        let more = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(first_of.len());
        let others = is_canary.iter_mut().filter(|is_one| !**is_one);
        others.take(more).for_each(|is_one| *is_one = true);
    }
    let (mut canaries, mut rest) = (Vec::new(), Vec::new());
    for (pool, is_one) in pools.into_iter().zip(is_canary) {
        if is_one { &mut canaries } else { &mut rest }.push(pool);
    }
    rest.sort_by(|one, other| {
        Reverse(one.risk_per_node)
            .cmp(&Reverse(other.risk_per_node))
            .then_with(|| one.nodes.cmp(&other.nodes))
            .then_with(|| one.key.cmp(other.key))
    });
    (canaries, rest)
}
