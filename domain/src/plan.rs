//! Plans of node image upgrades: which pools go, in which order and when, and why the others do
//! not. Pure functions of what the fleet knows: [`create`] makes a plan, [`check()`] judges it
//! again on newer facts, [`watch`] follows it by reports of nodes, [`export`] writes it for the
//! tools that act. Nodeward changes nothing itself. Sources of the rules: the provider's pages
//! on upgrades of node pools and planned maintenance; who must act, the policy editions.

mod blocker;
mod check;
mod explain;
pub mod export;
pub mod input;
mod judge;
mod order;
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

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::image::ImageLabel;
use crate::policy::Policy;
use crate::pool::{PoolKey, Share};

pub use blocker::Blocker;
pub use check::{Change, Check, check};
pub use explain::Explanation;
pub use rollout::{Rollout, SCALE_SET_LIMIT};
pub use unknown::Unknown;
pub use warning::Warning;

use input::{Fixes, Gain, Gained, PlanRequest, PoolInput, SoakEvidence, Target};
use judge::{Judged, Rules, judge};
use order::{Candidate, order};
use rollout::number;
use schedule::{Bounds, Late, Timed, schedule};
use selection::{NoSelection, Selected, Selection};
use window::{NoWindow, Opening, Window, Zones, horizon, openings};

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
    #[error("--max-disrupted 0 allows no step; one node is the least")]
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
    let rules = Rules {
        policy,
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
    let waves = waves(request, cap, &selected, &mut judged, &openings);
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
    plan.explains = explain::explain(&plan, pools.len());
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

/// Whether a text may be a plan's name. It goes into commands and file names.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn waves(
    request: &PlanRequest,
    cap: u32,
    selected: &[&PoolInput],
    judged: &mut [Judged],
    openings: &[Opening],
) -> Vec<Timed> {
    let candidates: Vec<Candidate<'_>> = selected
        .iter()
        .zip(judged.iter())
        .enumerate()
        .filter_map(|(index, (pool, judged))| candidate(index, pool, judged))
        .collect();
    let (canaries, rest) = order(candidates, request.canary);
    let bounds = Bounds {
        cap,
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

fn candidate<'a>(index: usize, pool: &'a PoolInput, judged: &'a Judged) -> Option<Candidate<'a>> {
    if judged.is_on_target || !judged.blockers.is_empty() {
        return None;
    }
    let rollout = judged.rollout.as_ref()?;
    let draws = judge::all_draws(pool, rollout.surge);
    Some(Candidate {
        index,
        key: &pool.key,
        family: judged.target.as_ref().map_or("", |target| target.family.as_str()),
        nodes: judged.to_upgrade,
        batch: rollout.batch,
        at_least: rollout.at_least,
        risk_per_node: pool.gain.known().map_or(0, Gained::risk_per_node),
        deadline: judged.unsupported_from,
        draws: draws
            .map(|(is_addresses, pot, needs)| (is_addresses, pot.name.as_str(), needs, pot.left))
            .collect(),
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
