//! Whether a cluster can be supported: every rule of an edition of the support policy, held
//! against what nodes show. Made from the verdicts of the checks that cite a rule, from the
//! sums of missing fixes, and from what the edition itself says of rules that no node shows.
//! Folded by pool, so that it stays short for a fleet of any size.

mod fold;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::answer::Standing;
use crate::check::Evidence;
use crate::responsibility::{Action, Responsible};

pub use fold::Support;

/// How nodes stand to the rules of an edition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportAnswer {
    /// Of which nodes, for people.
    pub scope: String,
    /// The policy edition.
    pub policy_edition: String,
    /// What the edition is.
    pub policy_title: String,
    /// The provider's name in it.
    pub provider: String,
    /// The instant for which this answer was made.
    pub as_of: Timestamp,
    /// Nodes of the provider that are in the verdict.
    pub nodes: usize,
    /// Nodes without a provider: no support policy speaks of them.
    pub without_provider: usize,
    /// When the node in the verdict that has been silent longest last reported.
    pub oldest_report_at: Option<Timestamp>,
    /// Whether nothing is missing from the answer: neither a node nor a rule.
    pub complete: bool,
    /// What is missing beside rules, a line each.
    pub incomplete: Vec<String>,
    /// How many rules stand how.
    pub counts: LevelCounts,
    /// The pools, worst first.
    pub pools: Vec<PoolSupport>,
    /// The rules, worst first; those that the edition lacks last.
    pub rules: Vec<RuleAnswer>,
    /// The sums of missing fixes.
    pub fixes: FixesOfSupport,
}

/// How a rule stands, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It is broken, and what breaks it has no support.
    Block,
    /// It is broken in a way that may cost a request its support.
    Warn,
    /// Something to be known that costs nothing: the provider's own duty, or a line between
    /// both.
    Note,
    /// It cannot be said.
    Unknown,
    /// As far as nodes show, it is kept.
    Pass,
    /// It asks nothing of these nodes, or the edition lacks it.
    NotApplicable,
}

impl Level {
    /// All of them, worst first.
    pub const ALL: [Self; 6] =
        [Self::Block, Self::Warn, Self::Note, Self::Unknown, Self::Pass, Self::NotApplicable];

    /// The word of the level.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Warn => "warn",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Pass => "pass",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// How many rules stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCounts {
    /// Broken, without support.
    pub block: usize,
    /// Broken, at a risk.
    pub warn: usize,
    /// To be known.
    pub note: usize,
    /// Not to be told.
    pub unknown: usize,
    /// Kept.
    pub pass: usize,
    /// Without meaning here, or lacking.
    pub not_applicable: usize,
}

/// How a pool stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSupport {
    /// Its cluster.
    pub cluster: String,
    /// Its name; empty for nodes whose pool is not known.
    pub pool: String,
    /// How many of its nodes are in the verdict.
    pub nodes: usize,
    /// The worst that any rule says of it.
    pub level: Level,
}

/// How the nodes stand to one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAnswer {
    /// Its id.
    pub rule: String,
    /// What it demands or promises; empty where the edition lacks it.
    pub summary: String,
    /// Where it was read; empty where the edition lacks it.
    pub source: String,
    /// How it stands: the worst of its rows.
    pub level: Level,
    /// Why, where no row tells.
    pub why: String,
    /// The command or place that would tell what no node shows; empty where nothing would.
    pub told_by: String,
    /// What of it no node shows, a line each.
    pub unseen: Vec<String>,
    /// What was seen, by pool, worst first.
    pub rows: Vec<RuleRow>,
}

/// What one check, or the missing fixes, say of a rule for one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// How it stands.
    pub level: Level,
    /// The cluster.
    pub cluster: String,
    /// The pool; empty where it is not known.
    pub pool: String,
    /// Of how many nodes it is said.
    pub nodes: usize,
    /// Of how many nodes in that pool.
    pub of: usize,
    /// One of them, the first by name.
    pub example: String,
    /// The check; empty for what missing fixes say.
    pub reason: String,
    /// What is so on that node, in one line.
    pub message: String,
    /// Who must act there; none where nobody must.
    pub responsible: Option<Responsible>,
    /// What to do there.
    pub action: Option<Action>,
    /// What it rests on there.
    pub evidence: Vec<Evidence>,
}

/// Sums of missing fixes over the nodes: a fix is counted once for each node that lacks it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixesOfSupport {
    /// Of how many nodes they are known.
    pub nodes: usize,
    /// The customer's.
    pub customer: usize,
    /// The provider's.
    pub provider: usize,
    /// What something will bring by itself.
    pub automation: usize,
    /// Too young for anybody.
    pub nobody_yet: usize,
    /// Of which nobody can say whose they are.
    pub unknown: usize,
    /// Over the edition's line; none where the edition draws none.
    pub over_line: Option<usize>,
}

impl SupportAnswer {
    /// Findings, incomplete or clean: a known finding beats incompleteness.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        if self.counts.block + self.counts.warn > 0 {
            Standing::Findings
        } else if self.complete {
            Standing::Clean
        } else {
            Standing::Incomplete
        }
    }

    /// The worst row: of a rule that is broken, if there is one.
    #[must_use]
    pub fn worst(&self) -> Option<&RuleRow> {
        let first = self.rules.first().filter(|rule| rule.level <= Level::Note)?;
        first.rows.first()
    }
}

#[cfg(test)]
mod tests;
