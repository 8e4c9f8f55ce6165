//! A scanner's list held against what nodes themselves show: each row of it is labelled by
//! whether the same fix is lacking, and whose turn that is, or by why it is not. Where
//! scanners are known to go wrong is the reason for most of the labels: old kernels, packages
//! of other vendors, versions that have the fix in them, other releases.

mod fleet;
mod group;
mod known;
mod tally;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::Step;
use super::node::NodeFixes;
use crate::advisory::{AliasId, FeedStatus, Published};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};
use fleet::Fleet;

/// What a scanner says of one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reported {
    /// The vulnerability.
    pub id: AliasId,
    /// The package: source or binary.
    pub package: String,
    /// The version that is installed, of the source or the binary; empty where the scanner
    /// does not say.
    pub installed: String,
    /// Where it was found. Where a node has that name, the row is about it alone.
    pub target: String,
}

/// How a row stands, what matters most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanVerdict {
    /// The same fix is missing by the node's own facts.
    AgreeMissing,
    /// It cannot be said.
    Unknown,
    /// The vendor has no fix.
    NoFix,
    /// The fix is in a tier whose updates the node does not take.
    OtherTier,
    /// The fix is missing, and something keeps what it mends from being used.
    Mitigated,
    /// No advisory of the distribution speaks of the package: another vendor made it.
    NotCovered,
    /// The installed version has the vendor's fix.
    FixedAlready,
    /// The vendor names no such vulnerability of the package, or of other versions alone.
    NotAffected,
    /// The package goes along with a kernel that does not run.
    NotRunning,
    /// The package is installed in another version.
    OtherVersion,
    /// The package is on none of the nodes.
    NotInstalled,
}

impl ScanVerdict {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AgreeMissing,
        Self::Unknown,
        Self::NoFix,
        Self::OtherTier,
        Self::Mitigated,
        Self::NotCovered,
        Self::FixedAlready,
        Self::NotAffected,
        Self::NotRunning,
        Self::OtherVersion,
        Self::NotInstalled,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AgreeMissing => "agree_missing",
            Self::Unknown => "unknown",
            Self::NoFix => "no_fix",
            Self::OtherTier => "other_tier",
            Self::Mitigated => "mitigated",
            Self::NotCovered => "not_covered",
            Self::FixedAlready => "fixed_already",
            Self::NotAffected => "not_affected",
            Self::NotRunning => "not_running",
            Self::OtherVersion => "other_version",
            Self::NotInstalled => "not_installed",
        }
    }

    /// Whether the scanner is right that something is lacking or open, whoever may act on it.
    #[must_use]
    pub const fn is_agreed(self) -> bool {
        matches!(self, Self::AgreeMissing | Self::NoFix | Self::OtherTier | Self::Mitigated)
    }
}

/// A row of a scanner's list with what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// How it stands on the nodes that it matters on most.
    pub verdict: ScanVerdict,
    /// Why, for people.
    pub why: String,
    /// The vendor's record that it rests on; empty where it rests on none.
    pub record: String,
    /// The version with the fix; none where there is none, or it is not named.
    pub fixed: Option<String>,
    /// When that fix was published.
    pub published: Option<Published>,
    /// Who must act; none where nobody must.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
    /// The step of the order of responsibility that says so; none where nothing is lacking.
    pub step: Option<Step>,
    /// On so many nodes it stands so; none of them where no node has the package.
    pub nodes: usize,
    /// The first few of them, as `cluster/node`.
    pub examples: Vec<String>,
    /// How it stands on the other nodes that have the package.
    pub elsewhere: Vec<Elsewhere>,
}

impl Labelled {
    /// Whether somebody owes it, or nobody can say who does.
    #[must_use]
    pub const fn is_finding(&self) -> bool {
        matches!(self.verdict, ScanVerdict::AgreeMissing)
            && matches!(
                self.responsible,
                Some(
                    Responsible::Customer
                        | Responsible::Provider
                        | Responsible::Automation { .. }
                        | Responsible::Unknown { .. }
                )
            )
    }

    /// Whether something of it could not be said.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.verdict, ScanVerdict::Unknown)
            || matches!(self.responsible, Some(Responsible::Unknown { .. }))
    }
}

/// How a row stands on other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsewhere {
    /// How.
    pub verdict: ScanVerdict,
    /// Who must act there, by the word of [`super::fleet::word`]; empty where nobody must.
    pub responsible: String,
    /// On so many.
    pub nodes: usize,
}

/// A scanner's list, labelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanLabels {
    /// For which moment.
    pub as_of: Timestamp,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition, for screens.
    pub provider: String,
    /// The feeds that it rests on.
    pub feeds: Vec<FeedStatus>,
    /// So many nodes there are.
    pub nodes: usize,
    /// What could not be said of nodes, with the number of them.
    pub incomplete: BTreeMap<String, usize>,
    /// One for each row, in their order.
    pub rows: Vec<Labelled>,
}

impl ScanLabels {
    /// Whether nothing is missing from the answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.nodes > 0 && self.incomplete.is_empty() && !self.rows.iter().any(Labelled::is_unknown)
    }
}

/// What of the advisories the rows ask for.
struct Wanted<'r> {
    packages: BTreeSet<&'r str>,
    ids: BTreeSet<&'r AliasId>,
    /// Some of them are no CVEs, and may be the names of records.
    has_others: bool,
}

impl<'r> Wanted<'r> {
    fn of(rows: &'r [Reported]) -> Self {
        let ids: BTreeSet<&AliasId> = rows.iter().map(|row| &row.id).collect();
        Self {
            packages: rows.iter().map(|row| row.package.as_str()).collect(),
            has_others: ids.iter().any(|id| !id.is_cve()),
            ids,
        }
    }

    fn id(&self, id: &AliasId) -> Option<&'r AliasId> {
        self.ids.get(id).copied()
    }

    /// The record itself, where it is asked for by its name.
    fn record(&self, record: &str) -> Option<&'r AliasId> {
        self.has_others.then(|| self.id(&AliasId::of(record)))?
    }
}

/// Labels the rows of a scanner's list by what nodes lack: of `cluster` alone where one is
/// named. Nodes of one inventory that are judged alike are looked at once.
#[must_use]
pub fn label<'a>(
    nodes: impl IntoIterator<Item = NodeFixes<'a>>,
    cluster: Option<&str>,
    rows: &[Reported],
    policy: &Policy,
    feeds: Vec<FeedStatus>,
    now: Timestamp,
) -> ScanLabels {
    let fleet = Fleet::of(nodes, cluster);
    let wanted = Wanted::of(rows);
    let mut groups = fleet.groups(&wanted);
    ScanLabels {
        as_of: now,
        policy_edition: policy.edition.clone(),
        provider: policy.provider.clone(),
        feeds,
        nodes: fleet.nodes(),
        incomplete: fleet.incomplete(),
        rows: rows.iter().map(|row| fleet.label(row, &mut groups)).collect(),
    }
}

#[cfg(test)]
mod tests;
