//! How an upgrade goes through one pool: batches, and between which bounds of time. Source of
//! the rules: the provider's page on rolling upgrades of node pools. A percentage of surge is
//! rounded up and is never more than the nodes to upgrade; in pools of mode System no node is
//! taken away without one in its place; with both, surge is tried first, so that their sum is
//! the most that one batch can be.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::input::{Assumptions, PlanNode};
use crate::pool::{PoolMode, UpgradeSettings};

/// A scale set has at most so many machines, those of the surge included.
pub const SCALE_SET_LIMIT: u32 = 1000;

/// How an upgrade goes through one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Nodes that are added at a time.
    pub surge: u32,
    /// Nodes that are taken away at a time without one in their place.
    pub unavailable: u32,
    /// Most nodes of one batch: so many of the pool are out of use at a time.
    pub batch: u32,
    /// The nodes of each batch, by name, in an order that alternates zones. The provider may
    /// choose another order; the number of batches is the same.
    pub batches: Vec<Vec<String>>,
    /// It takes no less: all batches at the shortest that is assumed, and the soak after each.
    pub at_least: SignedDuration,
    /// It takes no more, unless it stops: all batches at their drain timeout.
    pub at_most: SignedDuration,
    /// How long one node may drain, minutes.
    pub drain_timeout_minutes: u32,
    /// How long is waited after each batch, minutes.
    pub soak_minutes: u32,
}

/// What of a rollout cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSurge;

/// The rollout of some nodes of a pool of so many.
pub(super) fn rollout(
    settings: &UpgradeSettings,
    mode: Option<PoolMode>,
    of_pool: u32,
    nodes: &[&PlanNode],
    assumed: &Assumptions,
) -> Result<Rollout, NoSurge> {
    let to_upgrade = number(nodes.len());
    let surge = settings.max_surge.of(of_pool);
    let unavailable = match mode {
        Some(PoolMode::System) => 0,
        Some(PoolMode::User) | None => settings.max_unavailable.of(of_pool),
    };
    if surge == 0 && unavailable == 0 && of_pool > 0 {
        return Err(NoSurge);
    }
    let surge = surge.min(to_upgrade);
    let unavailable = unavailable.min(to_upgrade);
    let batch = surge.saturating_add(unavailable).min(to_upgrade);
    let ordered = alternating(nodes);
    let size = usize::try_from(batch).unwrap_or(usize::MAX).max(1);
    let batches: Vec<Vec<String>> = ordered.chunks(size).map(<[String]>::to_vec).collect();
    let count = number(batches.len());
    let shortest = assumed.per_batch_minutes.saturating_add(settings.soak_minutes);
    let longest = shortest.saturating_add(settings.drain_timeout_minutes);
    Ok(Rollout {
        surge,
        unavailable,
        batch,
        batches,
        at_least: minutes(count, shortest),
        at_most: minutes(count, longest),
        drain_timeout_minutes: settings.drain_timeout_minutes,
        soak_minutes: settings.soak_minutes,
    })
}

fn minutes(times: u32, each: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(times) * i64::from(each) * 60)
}

/// A length as a number of nodes.
pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Nodes by zone, by name within each.
pub(super) fn by_zone<'a>(nodes: &[&'a PlanNode]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        zones.entry(node.zone.as_deref().unwrap_or("")).or_default().push(&node.name);
    }
    zones.values_mut().for_each(|names| names.sort_unstable());
    zones
}

/// The names of nodes, so that any run of them takes from all zones in their proportion: each
/// node stands at its share of the way through its own zone.
fn alternating(nodes: &[&PlanNode]) -> Vec<String> {
    let mut placed: Vec<((u64, u64), &str, &str)> = Vec::with_capacity(nodes.len());
    for (zone, names) in by_zone(nodes) {
        let length = u64::from(number(names.len()));
        for (index, name) in (0u64..).zip(names) {
            placed.push(((2 * index + 1, 2 * length), zone, name));
        }
    }
    placed.sort_by(|((a, of_a), zone_a, name_a), ((b, of_b), zone_b, name_b)| {
        (a * of_b).cmp(&(b * of_a)).then_with(|| (zone_a, name_a).cmp(&(zone_b, name_b)))
    });
    placed.into_iter().map(|(_, _, name)| name.to_owned()).collect()
}
