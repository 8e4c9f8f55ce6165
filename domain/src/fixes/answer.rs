//! What screens show of the fixes of one node: a row for every source package that lacks
//! something, with the vendor's records below it, and the sums that stand in the verdict.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::node::Judged;
use super::opinion::{Active, Container, Opinion};
use super::{Assessed, Lack, Turned};
use crate::advisory::{Alias, Feeds, Published, Rating, Silence, Stream};
use crate::matching::{Fix, Index, Matched, Standing};
use crate::patch_age::{Step, over_after};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};

/// What there is to say about the fixes of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixesAnswer {
    /// Distribution, release and tier, for people.
    pub stream: String,
    /// What could not be said, a line each; empty when everything was.
    pub incomplete: Vec<String>,
    /// Why what no advisory speaks of cannot be called clean; none where it can.
    pub silence: Option<String>,
    /// The sums.
    pub counts: FixCounts,
    /// Who acts first on them, and what he does; none when nobody has to.
    pub first: Option<FirstTurn>,
    /// Source packages that lack something, those first about which somebody must act, and
    /// of these the longest overdue.
    pub packages: Vec<PackageFixes>,
    /// Source packages that no advisory covers, by name.
    pub not_covered: Vec<NotJudged>,
    /// Source packages that cannot be judged, by name.
    pub unknown: Vec<NotJudged>,
    /// The feeds that speak of the node's distribution.
    pub feeds: Vec<FeedRow>,
    /// Container images that run in kube-system, by name.
    pub containers: Vec<ContainerRow>,
    /// What the provider's own scanner says of the node's image; none without a report.
    pub opinion: Option<Opinion>,
}

/// A container image that runs in kube-system, which the provider replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerRow {
    /// By a name with a tag, or else by digest or id.
    pub name: String,
    /// Whether a report speaks of it; without one nothing can be said.
    pub is_covered: bool,
    /// What there is a fix for that it lacks.
    pub ids: Vec<String>,
    /// Since when a report has said so, at the least.
    pub since: Option<Timestamp>,
    /// Who must act; none where nobody must, or nothing can be said.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
}

impl ContainerRow {
    /// A row for all that it lacks since one moment; one for an image that lacks nothing, or
    /// of which nothing is known.
    fn of(container: &Container) -> Vec<Self> {
        let row = |active: Option<&Active>| Self {
            name: container.name.clone(),
            is_covered: container.active.is_some(),
            ids: active
                .map(|active| active.ids.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            since: active.map(|active| active.since),
            responsible: active
                .and_then(|active| Some(active.answer.turn.as_ref()?.responsible.clone())),
            action: active.and_then(|active| Some(active.answer.turn.as_ref()?.action.clone())),
        };
        match container.active.as_deref() {
            None | Some([]) => vec![row(None)],
            Some(active) => active.iter().map(|one| row(Some(one))).collect(),
        }
    }
}

/// Whose turn comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstTurn {
    /// Who.
    pub responsible: Responsible,
    /// What he does.
    pub action: Action,
}

/// Sums over the fixes of one node, or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FixCounts {
    /// Fixes that the customer must bring onto nodes.
    pub customer: usize,
    /// Fixes that the provider owes.
    pub provider: usize,
    /// Fixes that something will bring onto nodes by itself.
    pub automation: usize,
    /// Fixes that are too young for anybody to owe them.
    pub nobody_yet: usize,
    /// Vulnerabilities without a fix that the node may have.
    pub no_fix: usize,
    /// Fixes of which it cannot be said whose they are.
    pub unknown: usize,
    /// Fixes that are lacking, while something keeps what they mend from being used.
    pub mitigated: usize,
    /// Fixes that are older than the policy's line, whoever must act.
    pub over_line: usize,
    /// Statements on installed packages that cannot be read.
    pub unreadable: usize,
    /// Source packages that were judged.
    pub judged: usize,
    /// Source packages that no advisory covers.
    pub not_covered: usize,
    /// Source packages that cannot be judged.
    pub not_judged: usize,
    /// Container images of kube-system that no report speaks of.
    pub containers_not_covered: usize,
}

impl FixCounts {
    /// Missing fixes that are findings: those that somebody owes, and those of which it
    /// cannot be said who does.
    #[must_use]
    pub const fn findings(&self) -> usize {
        self.customer + self.provider + self.automation + self.unknown
    }

    /// Adds other sums.
    pub const fn add(&mut self, other: &Self) {
        self.customer += other.customer;
        self.provider += other.provider;
        self.automation += other.automation;
        self.nobody_yet += other.nobody_yet;
        self.no_fix += other.no_fix;
        self.unknown += other.unknown;
        self.mitigated += other.mitigated;
        self.over_line += other.over_line;
        self.unreadable += other.unreadable;
        self.judged += other.judged;
        self.not_covered += other.not_covered;
        self.not_judged += other.not_judged;
        self.containers_not_covered += other.containers_not_covered;
    }

    /// Counts one answer.
    pub(super) const fn count(&mut self, turned: &Turned) {
        if matches!(turned.lack, Lack::Unreadable(_)) {
            self.unreadable += 1;
            return;
        }
        let Some(turn) = &turned.answer.turn else {
            if matches!(turned.lack, Lack::Missing(_)) {
                self.mitigated += 1;
            }
            return;
        };
        self.count_turn(&turn.responsible);
    }

    /// Counts a container image: all that it lacks since one moment comes with a newer image.
    pub(super) fn count_container(
        &mut self,
        container: &Container,
        policy: &Policy,
        now: Timestamp,
    ) {
        let Some(active) = &container.active else {
            self.containers_not_covered += 1;
            return;
        };
        for one in active {
            self.count_active(one, policy, now);
        }
    }

    /// Counts what a container image lacks since one moment.
    pub(super) fn count_active(&mut self, active: &Active, policy: &Policy, now: Timestamp) {
        if let Some(turn) = &active.answer.turn {
            self.count_turn(&turn.responsible);
            let line = line(active.answer.step, active.since, policy);
            self.over_line += usize::from(line.is_some_and(|line| now > line));
        }
    }

    const fn count_turn(&mut self, responsible: &Responsible) {
        match responsible {
            Responsible::Customer => self.customer += 1,
            Responsible::Provider => self.provider += 1,
            Responsible::Automation { .. } => self.automation += 1,
            Responsible::NobodyYet { .. } => self.nobody_yet += 1,
            Responsible::Vendor => self.no_fix += 1,
            Responsible::Unknown { .. } => self.unknown += 1,
        }
    }
}

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

/// A source package that was not judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NotJudged {
    /// Its name.
    pub source: String,
    /// Its version.
    pub version: String,
    /// Why it was not.
    pub why: String,
}

/// A feed, as far as it is about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedRow {
    /// Its name.
    pub name: String,
    /// Of when it is.
    pub as_of: Timestamp,
    /// Whether it is too old for its silence to say anything.
    pub is_stale: bool,
    /// How much it has: `complete`, or why it is not.
    pub coverage: String,
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
    /// The row that speaks for all: whose turn comes first, and of these the oldest.
    #[must_use]
    pub fn first(&self) -> Option<&FixRow> {
        self.fixes.iter().min_by_key(|fix| {
            let at = fix.published.as_ref().map_or(Timestamp::MAX, |published| published.at);
            (rank(fix.responsible.as_ref()), at)
        })
    }

    /// The names of all that it lacks fixes for, each once.
    #[must_use]
    pub fn aliases(&self) -> BTreeSet<&Alias> {
        self.fixes.iter().flat_map(|fix| &fix.aliases).collect()
    }
}

impl Assessed {
    /// The sums.
    #[must_use]
    pub fn counts(
        &self,
        index: &Index,
        matched: &Matched,
        policy: &Policy,
        now: Timestamp,
    ) -> FixCounts {
        let mut counts = FixCounts {
            judged: self.judged,
            not_covered: self.not_covered,
            not_judged: self.unknown,
            ..FixCounts::default()
        };
        for turned in &self.turned {
            counts.count(turned);
            if let (Lack::Missing(place), Some(_)) = (turned.lack, &turned.answer.turn) {
                let published = matched.missing.get(place).and_then(|one| index.published(one.fix));
                let line = published.and_then(|(at, _)| line(turned.answer.step, at, policy));
                counts.over_line += usize::from(line.is_some_and(|line| now > line));
            }
        }
        counts
    }

    /// What could not be said, a line each.
    #[must_use]
    pub fn incomplete(&self, stream: &Stream) -> Vec<String> {
        let mut lines = Vec::new();
        if let Silence::Unknown(why) = &self.silence {
            lines.push(format!(
                "fixes: {} source packages of {stream}: only what is known to be missing is told ({why})",
                self.judged
            ));
        }
        if self.unknown > 0 {
            lines.push(format!("fixes: {} source packages cannot be judged", self.unknown));
        }
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in self.turned.iter().filter_map(|one| one.answer.turn.as_ref()) {
            if let Responsible::Unknown { missing: what } = &turn.responsible {
                *missing.entry(what).or_default() += 1;
            }
        }
        lines.extend(missing.into_iter().map(|(what, number)| {
            format!("fixes: whose turn {number} of them are is not known: {what}")
        }));
        lines
    }
}

impl FixesAnswer {
    /// The sums alone, without a row for anything.
    pub(super) fn summary(judged: &Judged<'_>, now: Timestamp) -> Self {
        let turns = judged.assessed.turned.iter().filter_map(|turned| {
            let turn = turned.answer.turn.as_ref()?;
            Some((rank(Some(&turn.responsible)), judged.published(turned.lack), turn))
        });
        let of_containers = judged.containers.iter().flat_map(Container::lacking);
        let of_containers = of_containers.filter_map(|(_, active)| {
            let turn = active.answer.turn.as_ref()?;
            Some((rank(Some(&turn.responsible)), Some(active.since), turn))
        });
        let first = turns
            .chain(of_containers)
            .min_by_key(|(rank, published, _)| (*rank, published.unwrap_or(Timestamp::MAX)));
        Self {
            stream: judged.inventory.stream.to_string(),
            incomplete: judged.incomplete(),
            silence: match &judged.assessed.silence {
                Silence::Unknown(why) => Some(why.clone()),
                Silence::NothingMissing { .. } => None,
            },
            counts: judged.counts(now),
            first: first.map(|(.., turn)| FirstTurn {
                responsible: turn.responsible.clone(),
                action: turn.action.clone(),
            }),
            packages: Vec::new(),
            not_covered: Vec::new(),
            unknown: Vec::new(),
            feeds: feed_rows(judged.knowledge.feeds, &judged.inventory.stream, now),
            containers: Vec::new(),
            opinion: None,
        }
    }

    /// Renders what was assessed.
    pub(super) fn of(judged: &Judged<'_>, now: Timestamp) -> Self {
        let Judged { matched, assessed, .. } = judged;
        let mut of_source: BTreeMap<usize, Vec<FixRow>> = BTreeMap::new();
        for turned in &assessed.turned {
            if let Some((source, row)) = row(judged, turned) {
                of_source.entry(source).or_default().push(row);
            }
        }
        let mut packages: Vec<PackageFixes> = of_source
            .into_iter()
            .filter_map(|(source, mut fixes)| {
                fixes.sort_by(|a, b| (date(a), &a.record).cmp(&(date(b), &b.record)));
                let matched_source = matched.sources.get(source)?;
                let mut binaries: Vec<String> =
                    matched.binaries(source).map(|package| package.name.clone()).collect();
                binaries.dedup();
                Some(PackageFixes {
                    source: matched_source.source.to_string(),
                    installed: matched_source.version.to_string(),
                    binaries,
                    is_running_kernel: matched_source.standing == Standing::Running,
                    fixes,
                })
            })
            .collect();
        packages.sort_by(|a, b| key(a).cmp(&key(b)));
        let not_judged = |wanted: fn(&Standing) -> Option<String>| -> Vec<NotJudged> {
            let mut all: Vec<NotJudged> = matched
                .sources
                .iter()
                .filter_map(|source| {
                    Some(NotJudged {
                        why: wanted(&source.standing)?,
                        source: source.source.to_string(),
                        version: source.version.to_string(),
                    })
                })
                .collect();
            all.sort();
            all
        };
        Self {
            packages,
            not_covered: not_judged(|standing| match standing {
                Standing::NotCovered(why) => Some(why.clone()),
                Standing::Upstream(module) => {
                    Some(format!("by upstream's advisories on {module} alone"))
                }
                _ => None,
            }),
            unknown: not_judged(|standing| match standing {
                Standing::Unknown(why) => Some(why.clone()),
                _ => None,
            }),
            containers: judged.containers.iter().flat_map(ContainerRow::of).collect(),
            opinion: judged.opinion.clone(),
            ..Self::summary(judged, now)
        }
    }
}

fn date(row: &FixRow) -> Timestamp {
    row.published.as_ref().map_or(Timestamp::MAX, |published| published.at)
}

fn key(package: &PackageFixes) -> (u8, Timestamp, &str, &str) {
    let first = package.first();
    (
        rank(first.and_then(|first| first.responsible.as_ref())),
        first.map_or(Timestamp::MAX, date),
        &package.source,
        &package.installed,
    )
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
            Some((one.source, of_fix(index.fix(one.fix)?, one.tier.word(), mitigation)))
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

/// The feeds that speak of the release, by name.
fn feed_rows(feeds: &Feeds, stream: &Stream, now: Timestamp) -> Vec<FeedRow> {
    feeds
        .iter()
        .filter_map(|feed| {
            let coverage = feed.coverage.get(stream)?;
            Some(FeedRow {
                name: feed.name.to_string(),
                as_of: feed.as_of,
                is_stale: feed.is_stale(now),
                coverage: coverage.to_string(),
            })
        })
        .collect()
}

/// The instant after which a fix is over the policy's line. It is the provider's promise: on a
/// node without a provider there is none.
pub(super) fn line(step: Step, published: Timestamp, policy: &Policy) -> Option<Timestamp> {
    match step {
        Step::NoProvider => None,
        _ => over_after(published, policy),
    }
}
