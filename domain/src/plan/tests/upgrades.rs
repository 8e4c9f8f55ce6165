//! Rolling upgrades as nodes tell of them, and what the watch makes of each.

use super::*;
use crate::plan::watch::{Observation, Phase, PoolState, Progress, Sighting, watch};

/// How the drains of a simulated upgrade go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Drains {
    /// All of them work.
    Work,
    /// That of the last node of the first batch does not.
    Fail(Undrainable),
}

/// A rolling upgrade of one pool, as it is seen.
pub(super) struct Rolling {
    pub(super) observations: Vec<Observation>,
    pub(super) state: PoolState,
    pub(super) ends_at: Timestamp,
}

impl Rolling {
    /// The provider's way: surge nodes come, each node is cordoned, drained, reimaged under its
    /// name and joins again, surge nodes go. At the end it claims success, also where it stopped.
    pub(super) fn of(pool: &PoolPlan, drains: Drains) -> Self {
        let rollout = pool.rollout.as_ref().expect("a rollout");
        let target = pool.target.as_ref().expect("a target");
        let mut clock = pool.at.expect("a time").starts_at;
        let mut seen = Vec::new();
        let minutes = |count: i64| SignedDuration::from_mins(count);
        let surge: Vec<String> = (0..rollout.surge).map(|index| format!("surge-{index}")).collect();
        for name in &surge {
            seen.push(sighting(pool, clock, name, |one| one.is_ready = Some(true)));
            seen.push(sighting(pool, clock + minutes(1), name, |one| {
                one.image = Some(target.clone());
            }));
        }
        clock += minutes(2);
        let mut state = PoolState::Done;
        'batches: for (index, batch) in rollout.batches.iter().enumerate() {
            for name in batch {
                seen.push(sighting(pool, clock, name, |one| one.is_cordoned = Some(true)));
            }
            for (place, name) in batch.iter().enumerate() {
                let fails = index == 0 && place + 1 == batch.len();
                match drains {
                    Drains::Fail(Undrainable::Stop) if fails => {
                        state = PoolState::Stalled;
                        break 'batches;
                    }
                    Drains::Fail(Undrainable::Quarantine) if fails => {
                        state = PoolState::LeftBehind;
                        let after = clock + minutes(i64::from(rollout.drain_timeout_minutes));
                        seen.push(sighting(pool, after, name, |one| {
                            one.is_quarantined = Some(true);
                        }));
                        continue;
                    }
                    _ => {}
                }
                seen.push(sighting(pool, clock + minutes(3), name, |one| {
                    one.boot = Some(format!("{name}-second"));
                    one.is_cordoned = Some(false);
                }));
                seen.push(sighting(pool, clock + minutes(4), name, |one| {
                    one.is_ready = Some(true);
                }));
                seen.push(sighting(pool, clock + minutes(5), name, |one| {
                    one.image = Some(target.clone());
                }));
            }
            clock += minutes(6);
        }
        if state == PoolState::Done {
            for name in &surge {
                let (pool, node) = (pool.key.clone(), name.clone());
                seen.push(Observation::Gone { at: clock, pool, node });
            }
        }
        let image = Some(target.clone());
        seen.push(Observation::Claim { at: clock, pool: pool.key.clone(), image });
        Self { observations: seen, state, ends_at: clock + minutes(60) }
    }
}

fn sighting(
    pool: &PoolPlan,
    at: Timestamp,
    name: &str,
    change: impl FnOnce(&mut Sighting),
) -> Observation {
    let mut sighting = Sighting::of(at, &pool.key, name);
    change(&mut sighting);
    Observation::Node(sighting)
}

fn plan() -> Plan {
    planned(&request(), &[pool("prod", "apps", 3)])
}

fn phases(progress: &Progress) -> Vec<(&str, Phase)> {
    let nodes = progress.pools[0].nodes.iter();
    nodes.map(|node| (node.name.as_str(), node.phase)).collect()
}

type Change = fn(&mut Sighting);

const A: &str = "prod-apps-0000";
const B: &str = "prod-apps-0001";

#[test]
fn a_node_goes_from_pending_to_verified() {
    let plan = plan();
    let pool = &plan.pools[0];
    let mut seen = Vec::new();
    let start = now();
    let steps: [(i64, Change, Phase); 5] = [
        (1, |_| {}, Phase::Pending),
        (2, |one| one.is_cordoned = Some(true), Phase::Drained),
        (3, |one| one.boot = Some("second".to_owned()), Phase::Reimaged),
        (4, |one| one.is_ready = Some(true), Phase::Joined),
        (5, |one| one.image = Some(label(NEW)), Phase::Verified),
    ];
    for (minute, change, phase) in steps {
        let at = start + SignedDuration::from_mins(minute);
        seen.push(sighting(pool, at, A, change));
        let progress = watch(&plan, &seen, at);
        assert_eq!(phases(&progress)[0], (A, phase));
        assert_eq!(phases(&progress)[1], (B, Phase::Pending));
    }
    // A restart from the old disk is no reimage.
    seen.push(sighting(pool, start + SignedDuration::from_mins(6), B, |one| {
        one.boot = Some("second".to_owned());
        one.image = Some(label(OLD));
        one.is_ready = Some(true);
    }));
    assert_eq!(phases(&watch(&plan, &seen, start))[1], (B, Phase::Pending));
}

#[test]
fn a_whole_upgrade_is_done_and_can_be_taken_back_for_seven_days() {
    let plan = plan();
    let rolling = Rolling::of(&plan.pools[0], Drains::Work);
    let progress = watch(&plan, &rolling.observations, rolling.ends_at);
    let pool = &progress.pools[0];
    assert_eq!((pool.state, progress.is_done()), (PoolState::Done, true));
    assert_eq!(pool.phases[&Phase::Verified], 3);
    assert_eq!(pool.phases[&Phase::Gone], 1);
    assert_eq!(pool.claimed_early, None);
    let completed = pool.completed_at.expect("it is over");
    assert_eq!(pool.rollback_until, Some(completed + SignedDuration::from_hours(7 * 24)));
}

#[test]
fn an_undrainable_node_is_a_straggler_once_its_drain_has_timed_out() {
    let plan = plan();
    let rolling = Rolling::of(&plan.pools[0], Drains::Fail(Undrainable::Stop));
    let cordoned = plan.pools[0].at.expect("a time").starts_at + SignedDuration::from_mins(2);
    let minute = |count: i64| cordoned + SignedDuration::from_mins(count);
    let at_limit = watch(&plan, &rolling.observations, minute(45));
    assert_eq!(at_limit.pools[0].state, PoolState::Running);
    let later = watch(&plan, &rolling.observations, minute(46));
    let pool = &later.pools[0];
    assert_eq!(pool.state, PoolState::Stalled);
    assert_eq!((pool.stragglers[0].node.as_str(), pool.stragglers[0].phase), (A, Phase::Drained));
    assert!(pool.stragglers[0].next.contains("poddisruptionbudgets"));
    assert_eq!(pool.stragglers.len(), 3, "the others wait behind it");
}

#[test]
fn a_provider_that_claims_success_early_is_told_with_the_nodes() {
    let plan = plan();
    let rolling = Rolling::of(&plan.pools[0], Drains::Fail(Undrainable::Stop));
    let progress = watch(&plan, &rolling.observations, rolling.ends_at);
    let early = progress.pools[0].claimed_early.as_ref().expect("claimed early");
    assert_eq!(early.still_old.len(), 3);
    assert!(early.to_string().starts_with("the provider claims success, 3 nodes still on the old"));
    // A label says the same as the claim; only the disk counts.
    assert!(!progress.is_done());
}

#[test]
fn a_quarantined_node_is_left_behind() {
    let plan = plan();
    let rolling = Rolling::of(&plan.pools[0], Drains::Fail(Undrainable::Quarantine));
    let progress = watch(&plan, &rolling.observations, rolling.ends_at);
    assert_eq!(progress.pools[0].state, PoolState::LeftBehind);
    assert_eq!(progress.pools[0].quarantined, [A]);
}

#[test]
fn a_node_that_is_created_again_under_its_name_begins_again() {
    let plan = plan();
    let pool = &plan.pools[0];
    let mut seen = Rolling::of(pool, Drains::Work).observations;
    let later = pool.at.expect("a time").starts_at + SignedDuration::from_hours(5);
    seen.push(sighting(pool, later, A, |one| {
        one.uid = Some("another".to_owned());
        one.is_ready = Some(false);
    }));
    let progress = watch(&plan, &seen, later);
    // What its earlier life said of its image does not count.
    assert_eq!(phases(&progress)[0], (A, Phase::Reimaged));
    assert_eq!(progress.pools[0].not_ready, [A]);
    assert_eq!(progress.pools[0].rollback_until, None);
    let after = later + SignedDuration::from_mins(5);
    seen.push(sighting(pool, after, A, |one| {
        (one.image, one.is_ready) = (Some(label(OLD)), Some(true));
    }));
    let progress = watch(&plan, &seen, after + SignedDuration::from_hours(1));
    assert_eq!(phases(&progress)[0], (A, Phase::Joined));
    assert_eq!(progress.pools[0].state, PoolState::Stalled);
    assert!(progress.pools[0].stragglers[0].next.contains("old image"));
    assert_eq!(progress.pools[0].claimed_early.as_ref().expect("early").still_old, [A]);
}

#[test]
fn what_comes_behind_something_newer_does_not_count() {
    let plan = plan();
    let pool = &plan.pools[0];
    let seen = [
        sighting(pool, at("2026-07-23T13:00:00Z"), A, |one| one.image = Some(label(NEW))),
        // A clock that jumped back, or a report that was late.
        sighting(pool, at("2026-07-23T12:30:00Z"), A, |one| one.image = Some(label(OLD))),
        Observation::Gone {
            at: at("2026-07-23T12:31:00Z"),
            pool: pool.key.clone(),
            node: A.to_owned(),
        },
    ];
    let progress = watch(&plan, &seen, at("2026-07-23T13:00:00Z"));
    assert_eq!(phases(&progress)[0], (A, Phase::Verified));
    assert_eq!(progress.out_of_order, 2);
    let elsewhere = [Observation::Claim { at: now(), pool: key("x", "y"), image: None }];
    assert_eq!(watch(&plan, &elsewhere, now()).pools[0].state, PoolState::NotBegun);
}
