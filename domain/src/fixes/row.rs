//! What a source package lacks, as rows: one for every vendor's record, with its date, its
//! line and who must act; and which of them speaks for the package.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::node::Judged;
use super::{Lack, Turned};
use crate::advisory::{Alias, Published, Rating};
use crate::matching::{Fix, Standing};
use crate::patch_age::{Step, over_after};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};
use crate::version::key::{Order, VersionKey};

/// A source package that lacks something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageFixes {
    /// The source package.
    pub source: String,
    /// The version that is installed; of a kernel, the one that runs.
    pub installed: String,
    /// The binary packages of it, by name.
    pub binaries: Vec<String>,
    /// It is the kernel that runs.
    pub is_running_kernel: bool,
    /// What it lacks, oldest fix first.
    pub fixes: Vec<FixRow>,
    /// Which of `fixes` speaks for all: of those whose turn comes first, the one with the
    /// newest version, for it has the others as well.
    pub speaks: usize,
}

/// One vendor's record about a source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixRow {
    /// The record.
    pub record: String,
    /// The version with the fix; none where there is no fix, or it is not named.
    pub fixed: Option<String>,
    /// In which tier of updates it is.
    pub tier: String,
    /// What it is about.
    pub aliases: Vec<Alias>,
    /// When the fix was published, and where that was read; none when that is not known.
    pub published: Option<Published>,
    /// The instant behind which it is over the policy's line; none without line or date.
    pub over_after: Option<Timestamp>,
    /// The step of the order of responsibility that gave the answer.
    pub step: Step,
    /// Who must act; none where nobody must.
    pub responsible: Option<Responsible>,
    /// What to do; none where nothing is to be done.
    pub action: Option<Action>,
    /// What keeps it from being used, where something does.
    pub mitigation: String,
}

impl FixRow {
    /// How old the fix is.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.published.as_ref().map(|published| published.age(now))
    }

    /// Whether it is over the policy's line.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.over_after.is_some_and(|line| now > line)
    }

    /// The worst rating among what it is about.
    #[must_use]
    pub fn rating(&self) -> Rating {
        self.aliases.iter().map(|alias| alias.rating).max().unwrap_or(Rating::Unrated)
    }
}

/// In which order those who must act are shown: who can act at once first.
#[must_use]
pub const fn rank(responsible: Option<&Responsible>) -> u8 {
    match responsible {
        Some(Responsible::Customer) => 0,
        Some(Responsible::Provider) => 1,
        Some(Responsible::Automation { .. }) => 2,
        Some(Responsible::Unknown { .. }) => 3,
        Some(Responsible::NobodyYet { .. }) => 4,
        Some(Responsible::Vendor) => 5,
        None => 6,
    }
}

impl PackageFixes {
    /// The row that speaks for all.
    #[must_use]
    pub fn first(&self) -> Option<&FixRow> {
        self.fixes.get(self.speaks)
    }

    /// The names of all that it lacks fixes for, each once.
    #[must_use]
    pub fn aliases(&self) -> BTreeSet<&Alias> {
        self.fixes.iter().flat_map(|fix| &fix.aliases).collect()
    }
}

/// Source packages that lack something, those first about which somebody must act, and of
/// these the longest overdue.
pub(super) fn packages(judged: &Judged<'_>) -> Vec<PackageFixes> {
    let Judged { matched, inventory, .. } = judged;
    let mut of_source: BTreeMap<usize, Vec<FixRow>> = BTreeMap::new();
    for turned in &judged.assessed.turned {
        if let Some((source, row)) = row(judged, turned) {
            of_source.entry(source).or_default().push(row);
        }
    }
    let mut packages: Vec<PackageFixes> = of_source
        .into_iter()
        .filter_map(|(place, mut fixes)| {
            fixes.sort_by(|a, b| (date(a), &a.record).cmp(&(date(b), &b.record)));
            let source = matched.sources.get(place)?;
            let mut binaries: Vec<String> =
                matched.binaries(place).map(|package| package.name.clone()).collect();
            binaries.dedup();
            let order = match source.standing {
                Standing::Upstream(_) => Some(Order::Semver),
                _ => inventory.stream.distribution.order(),
            };
            Some(PackageFixes {
                source: source.source.to_string(),
                installed: source.version.to_string(),
                binaries,
                is_running_kernel: source.standing == Standing::Running,
                speaks: speaks(&fixes, order),
                fixes,
            })
        })
        .collect();
    packages.sort_by(|a, b| key(a).cmp(&key(b)));
    packages
}

/// Which of the fixes of a package, oldest first, speaks for all. Of equal versions the
/// oldest fix does.
fn speaks(fixes: &[FixRow], order: Option<Order>) -> usize {
    let version = |fix: &FixRow| {
        let key = VersionKey::parse(order?, fix.fixed.as_deref()?).ok()?;
        Some(key.bytes().to_vec())
    };
    let first = fixes.iter().map(|fix| rank(fix.responsible.as_ref())).min();
    fixes
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, fix)| Some(rank(fix.responsible.as_ref())) == first)
        .max_by_key(|(_, fix)| version(fix))
        .map(|(place, _)| place)
        .unwrap_or_default()
}

fn date(row: &FixRow) -> Timestamp {
    row.published.as_ref().map_or(Timestamp::MAX, |published| published.at)
}

/// Whose turn comes first, and since when the oldest of that has waited.
fn key(package: &PackageFixes) -> (u8, Timestamp, &str, &str) {
    let rank_of = |fix: &FixRow| rank(fix.responsible.as_ref());
    let first = package.first().map_or(u8::MAX, rank_of);
    let oldest =
        package.fixes.iter().find(|fix| rank_of(fix) == first).map_or(Timestamp::MAX, date);
    (first, oldest, &package.source, &package.installed)
}

/// The row of one answer, and the source package that it is about.
pub(super) fn row(judged: &Judged<'_>, turned: &Turned) -> Option<(usize, FixRow)> {
    let Judged { knowledge, inventory, matched, policy, .. } = judged;
    let (index, stream) = (knowledge.index, &inventory.stream);
    let turn = turned.answer.turn.as_ref();
    let step = turned.answer.step;
    let base = stream.tier.word();
    let of_fix = |fix: Fix<'_>, tier: &str, mitigation: String| {
        let published = fix.published;
        FixRow {
            record: fix.record.to_owned(),
            fixed: fix.fixed.filter(|_| fix.unfixed.is_none()).map(ToOwned::to_owned),
            tier: tier.to_owned(),
            aliases: fix.aliases,
            over_after: published.as_ref().and_then(|one| line(step, one.at, policy)),
            published,
            step,
            responsible: turn.map(|turn| turn.responsible.clone()),
            action: turn.map(|turn| turn.action.clone()),
            mitigation,
        }
    };
    match turned.lack {
        Lack::Missing(place) => {
            let one = matched.missing.get(place)?;
            let mitigation = turned.mitigation.clone().unwrap_or_default();
            let mut row = of_fix(index.fix(one.fix)?, one.tier.word(), mitigation);
            let mended = judged.mended(one);
            row.aliases.retain(|alias| !mended.contains(&alias.id));
            Some((one.source, row))
        }
        Lack::Unfixed(place) => {
            let one = matched.unfixed.get(place)?;
            let fix = index.fix(one.fix)?;
            let why = fix.unfixed.map(|why| why.words().to_owned()).unwrap_or_default();
            Some((one.source, of_fix(fix, base, why)))
        }
        Lack::OtherTier(place) => {
            let one = matched.other_tiers.get(place)?;
            let why = format!("fixed for {} alone", stream.in_tier(one.tier.clone()));
            Some((one.source, of_fix(index.fix(one.fix)?, one.tier.word(), why)))
        }
        Lack::Unreadable(place) => {
            let one = matched.unreadable.get(place)?;
            let row = FixRow {
                record: one.record.clone(),
                fixed: None,
                tier: base.to_owned(),
                aliases: Vec::new(),
                published: None,
                over_after: None,
                step,
                responsible: turn.map(|turn| turn.responsible.clone()),
                action: turn.map(|turn| turn.action.clone()),
                mitigation: String::new(),
            };
            Some((one.source, row))
        }
    }
}

/// The instant after which a fix is over the policy's line. It is the provider's promise: on a
/// node without a provider there is none.
pub(super) fn line(step: Step, published: Timestamp, policy: &Policy) -> Option<Timestamp> {
    match step {
        Step::NoProvider => None,
        _ => over_after(published, policy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix(record: &str, fixed: &str, responsible: Option<Responsible>) -> FixRow {
        FixRow {
            record: record.to_owned(),
            fixed: (!fixed.is_empty()).then(|| fixed.to_owned()),
            tier: "base".to_owned(),
            aliases: Vec::new(),
            published: None,
            over_after: None,
            step: Step::HandIn,
            responsible,
            action: None,
            mitigation: String::new(),
        }
    }

    #[test]
    fn of_those_whose_turn_comes_first_the_newest_version_speaks() {
        let customer = || Some(Responsible::Customer);
        let fixes = [
            fix("USN-1-1", "1.0-9", customer()),
            fix("USN-2-1", "1.0-10", customer()),
            fix("USN-2-2", "1.0-10", customer()),
            fix("USN-3-1", "", customer()),
            fix("USN-4-1", "2.0", Some(Responsible::Provider)),
        ];
        assert_eq!(speaks(&fixes, Some(Order::Dpkg)), 1);
        // Nothing can be compared: the oldest does.
        assert_eq!(speaks(&fixes, None), 0);
        assert_eq!(speaks(&fixes[4..], Some(Order::Dpkg)), 0);
        assert_eq!(speaks(&[], Some(Order::Dpkg)), 0);
    }
}
