//! A plan judged again on newer facts: what has changed since it was made. A pool that went and
//! is blocked now fails the check.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::input::{PoolInput, Target};
use super::judge::{Rules, judge, pots};
use super::selection::{Selected, Selection};
use super::{Blocker, Plan, PoolPlan, Standing, Warning};
use crate::image::ImageLabel;
use crate::policy::Policy;
use crate::pool::PoolKey;

/// What has changed since a plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When it was judged again.
    pub at: Timestamp,
    /// What has changed, by pool.
    pub changes: Vec<Change>,
    /// How many pools still go as planned.
    pub still_go: u32,
}

impl Check {
    /// Whether a pool that went is blocked now: the exit code is 1 then.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::NowBlocked { .. }))
    }
}

/// One change of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// It went, and is blocked now.
    NowBlocked {
        /// Which pool.
        key: PoolKey,
        /// Its wave.
        wave: Option<u32>,
        /// By what.
        blockers: Vec<Blocker>,
    },
    /// It was blocked, and nothing blocks it now: a new plan would take it.
    NowGoes {
        /// Which pool.
        key: PoolKey,
    },
    /// It is blocked as before, by other things.
    OtherBlockers {
        /// Which pool.
        key: PoolKey,
        /// By what now.
        blockers: Vec<Blocker>,
    },
    /// It still goes, with warnings that it did not have.
    NewWarnings {
        /// Which pool.
        key: PoolKey,
        /// The new ones.
        warnings: Vec<Warning>,
    },
    /// A newer image is offered: the upgrade would bring that one, and what was planned to be
    /// gained is out of date.
    TargetSuperseded {
        /// Which pool.
        key: PoolKey,
        /// The image of the plan.
        planned: ImageLabel,
        /// The one that is offered now.
        newest: ImageLabel,
    },
    /// All of its nodes run the target.
    Reached {
        /// Which pool.
        key: PoolKey,
    },
    /// Its wave should be over, and nodes still run another image.
    Overdue {
        /// Which pool.
        key: PoolKey,
        /// When the wave should have begun.
        starts_at: Timestamp,
        /// How many nodes.
        nodes: u32,
    },
    /// Nothing is known of it any more.
    PoolGone {
        /// Which pool.
        key: PoolKey,
    },
    /// It is selected, and was not there when the plan was made.
    PoolNew {
        /// Which pool.
        key: PoolKey,
    },
}

impl Change {
    /// Which pool.
    #[must_use]
    pub const fn key(&self) -> &PoolKey {
        match self {
            Self::NowBlocked { key, .. }
            | Self::NowGoes { key }
            | Self::OtherBlockers { key, .. }
            | Self::NewWarnings { key, .. }
            | Self::TargetSuperseded { key, .. }
            | Self::Reached { key }
            | Self::Overdue { key, .. }
            | Self::PoolGone { key }
            | Self::PoolNew { key } => key,
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let joined = |blockers: &[Blocker]| {
            blockers.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
        };
        match self {
            Self::NowBlocked { key, blockers, .. } => {
                write!(f, "{key} went and is blocked now: {}", joined(blockers))
            }
            Self::NowGoes { key } => write!(f, "{key} was blocked and can go now: plan again"),
            Self::OtherBlockers { key, blockers } => {
                write!(f, "{key} is blocked by something else now: {}", joined(blockers))
            }
            Self::NewWarnings { key, warnings } => {
                let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                write!(f, "{key} goes; look at: {}", warnings.join("; "))
            }
            Self::TargetSuperseded { key, planned, newest } => {
                write!(f, "{key} would get {newest}, not {planned}: plan again")
            }
            Self::Reached { key } => write!(f, "{key} runs its target"),
            Self::Overdue { key, starts_at, nodes } => write!(
                f,
                "{key} should have gone at {starts_at:.0}; nodes on another image: {nodes}"
            ),
            Self::PoolGone { key } => write!(f, "{key} is gone"),
            Self::PoolNew { key } => write!(f, "{key} is new, and in no wave"),
        }
    }
}

/// Judges a plan again on newer facts of the same fleet. A pool whose upgrade runs, because its
/// wave has begun, is not held against by what an upgrade brings with itself: that the
/// provider works on it.
#[must_use]
pub fn check(plan: &Plan, pools: &[PoolInput], policy: &Policy, now: Timestamp) -> Check {
    let fresh: BTreeMap<&PoolKey, &PoolInput> =
        pools.iter().map(|pool| (&pool.key, pool)).collect();
    let pots = pots(pools.iter().filter(|pool| plan.pool(&pool.key).is_some()));
    let rules = Rules {
        policy,
        pots: &pots,
        target: &plan.request.target,
        accept: &plan.request.accept,
        assumed: &plan.request.assumed,
        cap: plan.totals.disruption_cap,
        longest: None,
        now,
    };
    let mut check = Check { at: now, changes: Vec::new(), still_go: 0 };
    for planned in &plan.pools {
        match fresh.get(&planned.key) {
            Some(pool) => check.of_pool(planned, pool, &rules),
            None => check.changes.push(Change::PoolGone { key: planned.key.clone() }),
        }
    }
    // The text was read when the plan was made; if it cannot be now, nothing is new.
    if let Ok(selection) = Selection::parse(&plan.request.select) {
        let known: BTreeSet<&PoolKey> = plan.pools.iter().map(|pool| &pool.key).collect();
        let undecided: BTreeSet<&PoolKey> = plan.undecided.iter().map(|one| &one.key).collect();
        let new = fresh.iter().filter(|(key, pool)| {
            !known.contains(**key)
                && !undecided.contains(**key)
                && selection.of(pool) == Selected::Yes
        });
        check.changes.extend(new.map(|(key, _)| Change::PoolNew { key: (*key).clone() }));
    }
    check.changes.sort_by(|one, other| one.key().cmp(other.key()));
    check
}

impl Check {
    fn of_pool(&mut self, planned: &PoolPlan, pool: &PoolInput, rules: &Rules<'_>) {
        let mut judged = judge(pool, rules);
        let key = planned.key.clone();
        if let Some(span) = planned.at
            && let (Some(image), Some(from)) = (&judged.target, judged.unsupported_from)
            && span.ends_at_earliest >= from
            && rules.now < from
        {
            judged.blockers.push(Blocker::TargetTooOld { image: image.clone(), from });
        }
        if planned.at.is_some_and(|span| span.starts_at <= rules.now) {
            judged.blockers.retain(|blocker| !matches!(blocker, Blocker::OperationRunning { .. }));
        }
        // What only a schedule can tell stands until another plan is made; of the age of a target
        // as long as it is the same image.
        let of_schedule = |blocker: &&Blocker| match blocker {
            Blocker::NoWindowLeft { .. } | Blocker::LongerThanWindows { .. } => true,
            Blocker::TargetTooOld { image, from } => {
                judged.target.as_ref() == Some(image) && rules.now < *from
            }
            _ => false,
        };
        let stands: Vec<Blocker> = planned.blockers.iter().filter(of_schedule).cloned().collect();
        judged.blockers.extend(stands);
        if judged.is_on_target {
            if planned.standing != Standing::OnTarget {
                self.changes.push(Change::Reached { key });
            }
            return;
        }
        if let (Target::NewestOffered, Some(before), Some(newest)) =
            (rules.target, &planned.target, &judged.target)
            && before != newest
        {
            let (planned, newest) = (before.clone(), newest.clone());
            self.changes.push(Change::TargetSuperseded { key: key.clone(), planned, newest });
        }
        let is_blocked = !judged.blockers.is_empty();
        match (planned.standing, is_blocked) {
            (Standing::Go | Standing::Warn, true) => {
                let (wave, blockers) = (planned.wave, judged.blockers);
                self.changes.push(Change::NowBlocked { key, wave, blockers });
            }
            (Standing::Go | Standing::Warn, false) => {
                self.still_go += 1;
                let warnings: Vec<Warning> = judged
                    .warnings
                    .into_iter()
                    .filter(|one| planned.warnings.iter().all(|old| old.word() != one.word()))
                    .collect();
                if !warnings.is_empty() {
                    let key = key.clone();
                    self.changes.push(Change::NewWarnings { key, warnings });
                }
                if let (Some(span), Some(rollout)) = (planned.at, &planned.rollout)
                    && span.starts_at.checked_add(rollout.at_most).is_ok_and(|end| end < rules.now)
                {
                    let (starts_at, nodes) = (span.starts_at, judged.to_upgrade);
                    self.changes.push(Change::Overdue { key, starts_at, nodes });
                }
            }
            (Standing::Blocked, false) => self.changes.push(Change::NowGoes { key }),
            (Standing::Blocked, true) => {
                let words = |blockers: &[Blocker]| -> BTreeSet<&'static str> {
                    blockers.iter().map(Blocker::word).collect()
                };
                if words(&planned.blockers) != words(&judged.blockers) {
                    self.changes.push(Change::OtherBlockers { key, blockers: judged.blockers });
                }
            }
            // It was on its target, and something newer is offered, or it went back.
            (Standing::OnTarget, true) => {
                self.changes.push(Change::OtherBlockers { key, blockers: judged.blockers });
            }
            (Standing::OnTarget, false) => self.changes.push(Change::NowGoes { key }),
        }
    }
}
