//! Why a plan is as it is: a plan without a step explains itself, and one that leaves something
//! out says so.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::counted;
use super::{Plan, Standing};

/// Why a plan has nothing to do, or leaves something out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "explains")]
pub enum Explanation {
    /// No pool is known at all.
    NoPools,
    /// The selection takes none of the pools.
    NothingSelected {
        /// The selection.
        select: String,
        /// How many pools there are.
        of: usize,
    },
    /// All selected pools run their target.
    AllOnTarget {
        /// How many.
        pools: u32,
    },
    /// Pools do not go, and no pool goes.
    NothingGoes {
        /// How many are blocked.
        blocked: u32,
        /// How many run their target.
        on_target: u32,
        /// By what, most frequent first: the blocker's word and how many pools it blocks.
        by: Vec<(String, u32)>,
    },
    /// Of some pools it cannot be said whether they are selected.
    Undecided {
        /// How many.
        pools: usize,
        /// What is not known of them.
        missing: Vec<String>,
    },
    /// Pools go, and something of them is not known.
    NotKnown {
        /// How many pools.
        pools: usize,
    },
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPools => f.write_str("no pool is known: no node has reported yet"),
            Self::NothingSelected { select, of } => {
                write!(f, "the selection {select:?} takes none of {}", counted(*of, "pool"))
            }
            Self::AllOnTarget { pools } => {
                write!(f, "nothing to do: pools whose nodes all run their target: {pools}")
            }
            Self::NothingGoes { blocked, on_target, by } => {
                write!(f, "no pool goes: {blocked} blocked, {on_target} on target; blocked by")?;
                let mut between = " ";
                for (word, count) in by {
                    write!(f, "{between}{word} ({count})")?;
                    between = ", ";
                }
                Ok(())
            }
            Self::Undecided { pools, missing } => write!(
                f,
                "{} left out, because it is not known whether the selection takes them: {}",
                counted(*pools, "pool"),
                missing.join(", ")
            ),
            Self::NotKnown { pools } => {
                write!(f, "something is not known of {} that can go", counted(*pools, "pool"))
            }
        }
    }
}

/// What there is to say of a plan out of so many known pools.
pub(super) fn explain(plan: &Plan, known: usize) -> Vec<Explanation> {
    let mut explains = Vec::new();
    let totals = &plan.totals;
    if known == 0 {
        explains.push(Explanation::NoPools);
    } else if plan.pools.is_empty() {
        let select = plan.request.select.clone();
        explains.push(Explanation::NothingSelected { select, of: known });
    } else if totals.on_target == totals.pools {
        explains.push(Explanation::AllOnTarget { pools: totals.pools });
    } else if !plan.goes() {
        explains.push(Explanation::NothingGoes {
            blocked: totals.blocked,
            on_target: totals.on_target,
            by: blocked_by(plan),
        });
    }
    if !plan.undecided.is_empty() {
        let mut missing: Vec<String> =
            plan.undecided.iter().map(|undecided| undecided.missing.clone()).collect();
        missing.sort_unstable();
        missing.dedup();
        explains.push(Explanation::Undecided { pools: plan.undecided.len(), missing });
    }
    let not_known =
        plan.pools.iter().filter(|pool| pool.standing.goes() && !pool.unknowns.is_empty());
    match not_known.count() {
        0 => {}
        pools => explains.push(Explanation::NotKnown { pools }),
    }
    explains
}

fn blocked_by(plan: &Plan) -> Vec<(String, u32)> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for pool in plan.pools.iter().filter(|pool| pool.standing == Standing::Blocked) {
        let mut words: Vec<&str> = pool.blockers.iter().map(super::Blocker::word).collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().for_each(|word| *counts.entry(word).or_insert(0) += 1);
    }
    let mut by: Vec<(String, u32)> =
        counts.into_iter().map(|(word, count)| (word.to_owned(), count)).collect();
    by.sort_by(|(word_a, a), (word_b, b)| b.cmp(a).then_with(|| word_a.cmp(word_b)));
    by
}
