//! How a plan is made: the request is read, pools are selected and judged, those that can go are
//! ordered and put into waves.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::explain::explain;
use super::input::{Gain, Gained, PlanRequest, PoolInput, Target};
use super::judge::{Judged, Rules, draws, judge, pots};
use super::order::{Candidate, order};
use super::rollout::number;
use super::schedule::{Bounds, Late, Timed, schedule};
use super::selection::{Selected, Selection};
use super::window::{NoWindow, Opening, Window, Zones, horizon, openings};
use super::{
    Blocker, Gate, Plan, PlanError, PlannedNode, PoolPlan, ROLLBACK_DAYS, Rollback, Span, Standing,
    Totals, Undecided, Wave, is_name,
};
use crate::policy::Policy;
use crate::pool::Share;

/// Makes a plan, as of the time of the request. `zones` finds time zones by their IANA names.
///
/// Pools that are not selected are left out; of the others each has its result. What cannot be
/// judged is unknown or blocked, never an error: errors are those of the request.
pub fn create(
    request: &PlanRequest,
    pools: &[PoolInput],
    policy: &Policy,
    zones: Zones<'_>,
) -> Result<Plan, PlanError> {
    let (selection, openings) = read(request, zones)?;
    let mut keys = BTreeSet::new();
    if let Some(pool) = pools.iter().find(|pool| !keys.insert(&pool.key)) {
        return Err(PlanError::Twice { key: pool.key.clone() });
    }
    let (mut selected, mut undecided) = (Vec::new(), Vec::new());
    for pool in pools {
        match selection.of(pool) {
            Selected::Yes => selected.push(pool),
            Selected::No => {}
            Selected::Undecided(missing) => {
                undecided.push(Undecided { key: pool.key.clone(), missing });
            }
        }
    }
    selected.sort_by(|one, other| one.key.cmp(&other.key));
    undecided.sort_by(|one, other| one.key.cmp(&other.key));
    let nodes = selected.iter().map(|pool| pool.nodes.len()).sum::<usize>();
    let cap = cap(request.max_disrupted, number(nodes));
    let pots = pots(selected.iter().copied());
    let rules = Rules {
        policy,
        pots: &pots,
        target: &request.target,
        accept: &request.accept,
        assumed: &request.assumed,
        cap,
        longest: match request.windows.is_empty() {
            true => None,
            false => openings.iter().map(Opening::duration).max(),
        },
        now: request.created_at,
    };
    let mut judged: Vec<Judged> = selected.iter().map(|pool| judge(pool, &rules)).collect();
    let waves = waves(request, &rules, &selected, &mut judged, &openings);
    let mut plan = Plan {
        request: request.clone(),
        edition: policy.edition.clone(),
        pools: selected.iter().zip(judged).map(|(pool, judged)| told(pool, judged)).collect(),
        waves: Vec::with_capacity(waves.len()),
        undecided,
        totals: Totals { disruption_cap: cap, ..Totals::default() },
        explains: Vec::new(),
    };
    plan.put(waves, &selected);
    plan.sum();
    plan.explains = explain(&plan, pools.len());
    Ok(plan)
}

/// Nodes that may be out of use at a time: a percentage is rounded down, and is at least one.
fn cap(max_disrupted: Share, of: u32) -> u32 {
    let cap = match max_disrupted {
        Share::Nodes(nodes) => nodes,
        Share::Percent(percent) => {
            let share = u64::from(of) * u64::from(percent) / 100;
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    };
    cap.min(of).max(1)
}

/// Reads what of a request is text, and when its windows open.
fn read(request: &PlanRequest, zones: Zones<'_>) -> Result<(Selection, Vec<Opening>), PlanError> {
    if !is_name(&request.name) {
        return Err(PlanError::Name { name: request.name.clone() });
    }
    let selection = Selection::parse(&request.select)?;
    if let Target::Version(version) = &request.target
        && !crate::image::is_version(version)
    {
        return Err(PlanError::Target { target: version.clone() });
    }
    if matches!(request.max_disrupted, Share::Nodes(0) | Share::Percent(0)) {
        return Err(PlanError::NothingDisrupted);
    }
    if request.pools_at_once_per_cluster == 0 {
        return Err(PlanError::NoConcurrency);
    }
    let windows: Vec<Window> = request
        .windows
        .iter()
        .map(|text| Window::parse(text, zones))
        .collect::<Result<_, NoWindow>>()?;
    let until = horizon(request.created_at);
    let openings = openings(&windows, request.created_at, until);
    match openings.is_empty() {
        true => Err(PlanError::NeverOpen { until }),
        false => Ok((selection, openings)),
    }
}

fn waves(
    request: &PlanRequest,
    rules: &Rules<'_>,
    selected: &[&PoolInput],
    judged: &mut [Judged],
    openings: &[Opening],
) -> Vec<Timed> {
    let candidates: Vec<Candidate<'_>> = selected
        .iter()
        .zip(judged.iter())
        .enumerate()
        .filter_map(|(index, (pool, judged))| candidate(index, pool, judged, rules))
        .collect();
    let (canaries, rest) = order(candidates, request.canary);
    let bounds = Bounds {
        cap: rules.cap,
        per_cluster: request.pools_at_once_per_cluster,
        soak: SignedDuration::from_secs(i64::from(request.soak_hours) * 3600),
    };
    let (waves, late) = schedule(canaries, rest, &bounds, openings);
    for (index, why) in late {
        let Some(judged) = judged.get_mut(index) else { continue };
        let blocker = match (why, &judged.target, judged.unsupported_from) {
            (Late::Deadline, Some(image), Some(from)) => {
                Blocker::TargetTooOld { image: image.clone(), from }
            }
            _ => Blocker::NoWindowLeft { until: horizon(request.created_at) },
        };
        judged.blockers.push(blocker);
    }
    waves
}

fn candidate<'a>(
    index: usize,
    pool: &'a PoolInput,
    judged: &'a Judged,
    rules: &Rules<'_>,
) -> Option<Candidate<'a>> {
    if judged.is_on_target || !judged.blockers.is_empty() {
        return None;
    }
    let rollout = judged.rollout.as_ref()?;
    Some(Candidate {
        index,
        key: &pool.key,
        family: judged.target.as_ref().map_or("", |target| target.family.as_str()),
        nodes: judged.to_upgrade,
        batch: rollout.batch,
        at_least: rollout.at_least,
        risk_per_node: pool.gain.known().map_or(0, Gained::risk_per_node),
        deadline: judged.unsupported_from,
        draws: draws(pool, rollout.surge, rules.pots),
    })
}

/// A pool's result, as yet without a wave.
fn told(pool: &PoolInput, judged: Judged) -> PoolPlan {
    let standing = match (judged.is_on_target, judged.blockers.is_empty()) {
        (true, _) => Standing::OnTarget,
        (false, false) => Standing::Blocked,
        (false, true) if judged.warnings.is_empty() => Standing::Go,
        (false, true) => Standing::Warn,
    };
    let mut nodes: Vec<PlannedNode> = pool
        .nodes
        .iter()
        .map(|node| PlannedNode {
            name: node.name.clone(),
            uid: node.uid.clone(),
            boot: node.boot.clone(),
            image: node.image.clone(),
        })
        .collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    PoolPlan {
        key: pool.key.clone(),
        standing,
        blockers: judged.blockers,
        warnings: judged.warnings,
        unknowns: judged.unknowns,
        target: judged.target,
        unsupported_from: judged.unsupported_from,
        offered_as_of: pool.offered.as_ref().map(|offered| offered.as_of),
        profile_as_of: pool.profile.as_ref().map(|profile| profile.as_of),
        resource_group: pool.resource_group.clone(),
        resource: pool.resource.clone(),
        nodes,
        to_upgrade: judged.to_upgrade,
        rollout: judged.rollout,
        gain: pool.gain.clone(),
        soak: pool.soak.clone(),
        wave: None,
        at: None,
        rollback: None,
    }
}

/// The way back of an upgrade that is over then.
fn rollback(gain: &Gain, over_at: Timestamp) -> Rollback {
    let days = SignedDuration::from_hours(24 * i64::from(ROLLBACK_DAYS));
    let gained = gain.known();
    Rollback {
        until: over_at.checked_add(days).unwrap_or(Timestamp::MAX),
        brings_back: gained.map(|gained| gained.all.clone()),
        brings_back_over_line: gained.map(|gained| gained.over_line.clone()),
    }
}

impl Plan {
    /// Puts waves onto pools; those that got none are blocked by now.
    fn put(&mut self, waves: Vec<Timed>, selected: &[&PoolInput]) {
        let last_canary = waves.iter().rposition(|wave| wave.is_canary);
        for (index, timed) in waves.into_iter().enumerate() {
            let has_soak = last_canary == Some(index);
            let mut wave = Wave {
                number: number(index).saturating_add(1),
                is_canary: timed.is_canary,
                starts_at: timed.starts_at,
                ends_at_earliest: timed.ends_at,
                window_opens_at: timed.window.opens_at,
                window_closes_at: timed.window.closes_at,
                pools: Vec::with_capacity(timed.pools.len()),
                nodes: 0,
                disrupted_at_once: 0,
                surge: 0,
                surge_processors: 0,
                surge_addresses: 0,
                over_line: 0,
                soak_hours: if has_soak { self.request.soak_hours } else { 0 },
                gate: vec![Gate::NoNewConditions, Gate::NoneNotReady, Gate::AllVerified],
            };
            for place in timed.pools {
                let Some(pool) = self.pools.get_mut(place) else { continue };
                let Some(rollout) = &pool.rollout else { continue };
                let over = timed.starts_at.checked_add(rollout.at_least);
                let over = over.unwrap_or(Timestamp::MAX);
                let span = Span { starts_at: timed.starts_at, ends_at_earliest: over };
                (pool.wave, pool.at) = (Some(wave.number), Some(span));
                pool.rollback = Some(rollback(&pool.gain, over));
                wave.nodes = wave.nodes.saturating_add(pool.to_upgrade);
                wave.disrupted_at_once = wave.disrupted_at_once.saturating_add(rollout.batch);
                wave.surge = wave.surge.saturating_add(rollout.surge);
                wave.over_line = wave.over_line.saturating_add(over_line(pool));
                for (is_addresses, per_node) in
                    selected.get(place).map_or([(true, None); 2], |of| {
                        let profile = of.profile.as_ref();
                        [
                            (false, profile.and_then(|profile| profile.processors_per_node)),
                            (true, profile.and_then(|profile| profile.addresses_per_node)),
                        ]
                    })
                {
                    let sum = match is_addresses {
                        true => &mut wave.surge_addresses,
                        false => &mut wave.surge_processors,
                    };
                    let takes = per_node.unwrap_or(0).saturating_mul(rollout.surge);
                    *sum = sum.saturating_add(takes);
                }
                wave.pools.push(pool.key.clone());
            }
            self.waves.push(wave);
        }
    }

    fn sum(&mut self) {
        let totals = &mut self.totals;
        totals.pools = number(self.pools.len());
        for pool in &self.pools {
            totals.nodes = totals.nodes.saturating_add(number(pool.nodes.len()));
            *match pool.standing {
                Standing::Go => &mut totals.go,
                Standing::Warn => &mut totals.warn,
                Standing::Blocked => &mut totals.blocked,
                Standing::OnTarget => &mut totals.on_target,
            } += 1;
            if pool.standing.goes() {
                totals.to_upgrade = totals.to_upgrade.saturating_add(pool.to_upgrade);
                totals.over_line = totals.over_line.saturating_add(over_line(pool));
            }
        }
        totals.ends_at_earliest = self.waves.iter().map(|wave| wave.ends_at_earliest).max();
    }
}

fn over_line(pool: &PoolPlan) -> u32 {
    pool.gain.known().map_or(0, |gained| gained.over_line.count)
}
