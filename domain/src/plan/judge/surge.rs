//! How an upgrade would go through a pool, and whether there is room for its surge.

use std::collections::BTreeMap;

use super::{Judged, Rules};
use crate::plan::blocker::Blocker;
use crate::plan::input::{PlanNode, PoolInput};
use crate::plan::rollout::{NoSurge, Rollout, SCALE_SET_LIMIT, by_zone, number, rollout};
use crate::plan::unknown::Unknown;
use crate::plan::warning::Warning;
use crate::pool::UpgradeSettings;

/// What is in a pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan) enum PotOf {
    Processors,
    Addresses,
}

/// What is left in pots, by their names: where pools that share one say otherwise of it, the
/// least counts.
pub(in crate::plan) type Pots<'a> = BTreeMap<(PotOf, &'a str), u32>;

/// What a pool's surge draws from a pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) struct Draw<'a> {
    pub(in crate::plan) of: PotOf,
    pub(in crate::plan) pot: &'a str,
    pub(in crate::plan) needs: u32,
    pub(in crate::plan) left: u32,
}

/// The pots of some pools.
pub(in crate::plan) fn pots<'a>(pools: impl Iterator<Item = &'a PoolInput>) -> Pots<'a> {
    let mut pots = Pots::new();
    for pool in pools {
        let of_pool = [(PotOf::Processors, &pool.processors), (PotOf::Addresses, &pool.addresses)];
        for (of, pot) in of_pool {
            if let Some(pot) = pot {
                let left = pots.entry((of, pot.name.as_str())).or_insert(pot.left);
                *left = pot.left.min(*left);
            }
        }
    }
    pots
}

/// What a pool's surge draws, as far as both the pot and what a node takes are known.
pub(in crate::plan) fn draws<'a>(
    pool: &'a PoolInput,
    surge: u32,
    pots: &Pots<'_>,
) -> Vec<Draw<'a>> {
    let profile = pool.profile.as_ref();
    let processors = profile.and_then(|profile| profile.processors_per_node);
    let addresses = profile.and_then(|profile| profile.addresses_per_node);
    let of_pool = [
        (PotOf::Processors, &pool.processors, processors),
        (PotOf::Addresses, &pool.addresses, addresses),
    ];
    let known = of_pool.into_iter().filter_map(|(of, pot, per_node)| {
        let (pot, needs) = (pot.as_ref()?, per_node?.saturating_mul(surge));
        let left = pots.get(&(of, pot.name.as_str())).copied().unwrap_or(pot.left);
        Some(Draw { of, pot: &pot.name, needs, left })
    });
    known.collect()
}

impl Judged {
    pub(super) fn of_rollout(
        &mut self,
        pool: &PoolInput,
        to_upgrade: &[&PlanNode],
        rules: &Rules<'_>,
    ) {
        let defaults = UpgradeSettings::default();
        let profile = pool.profile.as_ref();
        let settings = profile.map_or(&defaults, |profile| &profile.upgrade);
        let mode = profile.and_then(|profile| profile.mode);
        let of_pool = number(pool.nodes.len());
        let rollout = match rollout(settings, mode, of_pool, to_upgrade, rules.assumed) {
            Ok(rollout) => rollout,
            Err(NoSurge) => {
                self.blockers.push(Blocker::NoSurge);
                return;
            }
        };
        if rollout.batch > rules.cap {
            let (batch, cap) = (rollout.batch, rules.cap);
            self.blockers.push(Blocker::OverDisruption { batch, cap });
        }
        if let Some(longest) = rules.longest.filter(|longest| rollout.at_least > *longest) {
            let at_least = rollout.at_least;
            self.blockers.push(Blocker::LongerThanWindows { at_least, longest });
        }
        let with_surge = of_pool.saturating_add(rollout.surge);
        if with_surge > SCALE_SET_LIMIT {
            self.blockers.push(Blocker::ScaleSetFull { nodes: with_surge, limit: SCALE_SET_LIMIT });
        }
        if rollout.surge > 0 {
            self.of_pots(pool, rollout.surge, rules);
        }
        self.of_zones(pool, &rollout);
        self.rollout = Some(rollout);
    }

    fn of_pots(&mut self, pool: &PoolInput, surge: u32, rules: &Rules<'_>) {
        let draws = draws(pool, surge, rules.pots);
        if !draws.iter().any(|draw| draw.of == PotOf::Processors) {
            self.unknowns.push(Unknown::Quota);
        }
        if !draws.iter().any(|draw| draw.of == PotOf::Addresses) {
            self.unknowns.push(Unknown::Addresses);
        }
        for draw in draws.into_iter().filter(|draw| draw.needs > draw.left) {
            let (pot, needs, left) = (draw.pot.to_owned(), draw.needs, draw.left);
            self.blockers.push(match draw.of {
                PotOf::Processors => Blocker::QuotaExceeded { pot, needs, left },
                PotOf::Addresses => Blocker::AddressesExceeded { pot, needs, left },
            });
        }
    }

    fn of_zones(&mut self, pool: &PoolInput, rollout: &Rollout) {
        let all: Vec<&PlanNode> = pool.nodes.iter().collect();
        let zones = by_zone(&all);
        let has_stated = pool.profile.as_ref().is_none_or(|profile| !profile.zones.is_empty());
        if zones.contains_key("") && all.len() > 1 && (zones.len() > 1 || has_stated) {
            self.unknowns.push(Unknown::Zones);
        }
        // A batch of one node cannot be smaller: nothing is to be done about it.
        if zones.len() > 1 && rollout.batch > 1 {
            let zones: Vec<String> = zones
                .iter()
                .filter(|(zone, names)| !zone.is_empty() && number(names.len()) <= rollout.batch)
                .map(|(zone, _)| (*zone).to_owned())
                .collect();
            if !zones.is_empty() {
                self.warnings.push(Warning::ZoneEmptied { zones, batch: rollout.batch });
            }
        }
    }
}
