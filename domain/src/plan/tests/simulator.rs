//! A large fleet through a whole upgrade: planned over the end of summer time, rolled out with
//! drains that fail, and followed by what its nodes report.

use super::upgrades::{Drains, Rolling};
use super::*;
use crate::plan::watch::{PoolState, Watch};

const CLUSTERS: u32 = 1000;
const POOLS: u32 = 10;

/// A generator of numbers that are the same on every run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

fn fleet(numbers: &mut Numbers) -> Vec<PoolInput> {
    let mut pools = Vec::new();
    for cluster in 0..CLUSTERS {
        for name in 0..POOLS {
            let mut pool = pool(&format!("c{cluster:04}"), &format!("p{name}"), numbers.below(7));
            let profile = pool.profile.as_mut().expect("a profile");
            profile.upgrade.max_surge =
                [Share::Nodes(1), Share::Percent(33), Share::Percent(50)][name as usize % 3];
            profile.upgrade.undrainable = match numbers.below(2) {
                0 => Undrainable::Stop,
                _ => Undrainable::Quarantine,
            };
            pool.processors = None;
            pool.addresses = None;
            if let Gain::Known(gained) = &mut pool.gain {
                gained.over_line.count = numbers.below(60);
            }
            match numbers.below(20) {
                0 => pool.nodes.iter_mut().take(1).for_each(|node| node.is_stale = true),
                1 => pool.offered = None,
                _ => {}
            }
            pools.push(pool);
        }
    }
    pools
}

#[test]
fn a_thousand_clusters_are_planned_and_followed_to_their_end() {
    let mut numbers = Numbers(20_261_025);
    let mut pools = fleet(&mut numbers);
    // Images of that autumn, so that they are young enough.
    let built = at("2026-10-15T08:00:00Z");
    for pool in &mut pools {
        if let Some(facts) = &mut pool.target {
            facts.built_at = Some(built);
        }
        if let Some(offered) = &mut pool.offered {
            offered.as_of = at("2026-10-23T00:00:00Z");
        }
    }
    let request = PlanRequest {
        windows: vec!["Sat 22:00-06:00 Europe/Amsterdam".to_owned()],
        max_disrupted: Share::Percent(5),
        created_at: at("2026-10-23T12:00:00Z"),
        ..PlanRequest::new("autumn", now())
    };
    let plan = planned(&request, &pools);
    properties::holds(&plan, &pools);
    assert!(plan.totals.go > 8500, "{:?}", plan.totals);
    assert!(plan.totals.blocked > 500, "{:?}", plan.totals);
    // The first night is an hour longer.
    let first = &plan.waves[0];
    let window = first.window_closes_at.duration_since(first.window_opens_at);
    assert_eq!(window.as_hours(), 9);

    let mut watch = Watch::start(&plan);
    let mut expected = Vec::new();
    let mut until = request.created_at;
    for pool in plan.pools.iter().filter(|pool| pool.standing.goes()) {
        let input = pools.binary_search_by(|one| one.key.cmp(&pool.key)).map(|place| &pools[place]);
        let profile = input.expect("a pool").profile.as_ref().expect("a profile");
        let drains = match numbers.below(10) {
            0 => Drains::Fail(profile.upgrade.undrainable),
            _ => Drains::Work,
        };
        let rolling = Rolling::of(pool, drains);
        rolling.observations.iter().for_each(|one| watch.observe(one));
        until = until.max(rolling.ends_at);
        expected.push((pool.key.clone(), rolling.state));
    }
    let progress = watch.progress(until + SignedDuration::from_hours(2));
    assert_eq!(progress.out_of_order, 0);
    for (pool, (key, state)) in progress.pools.iter().zip(&expected) {
        assert_eq!((&pool.key, pool.state), (key, *state), "{:?}", pool.phases);
        match state {
            PoolState::Stalled => {
                assert!(pool.claimed_early.is_some() && !pool.stragglers.is_empty());
                assert_eq!(pool.rollback_until, None);
            }
            PoolState::LeftBehind => assert_eq!(pool.quarantined.len(), 1),
            _ => assert_eq!(pool.claimed_early, None),
        }
    }
    let stalled = progress.pools.iter().filter(|pool| pool.state == PoolState::Stalled).count();
    assert!(stalled > 200, "{stalled}");
}
