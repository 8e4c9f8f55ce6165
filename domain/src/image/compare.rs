//! What moving from one image to another changes: packages, the kernel, fixes that are gained,
//! fixes that are still open, and fixes that are lost again. Versions of images are no order
//! of software: kernels and packages have gone back from one image to the next. So every fix
//! is held against the packages of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::inventory::is_of_one_system;
use super::sources::Sources;
use super::{ImageInventory, ImageRelease, NotComparable, family_by_any_name};
use crate::advisory::{Alias, Feeds, Published, ScanReport, Silence, Stream};
use crate::fixes::Knowledge;
use crate::fixes::opinion::Opinion;
use crate::matching::{FixId, Index, Matched, Standing, match_inventory};
use crate::patch_age::age;
use crate::policy::Policy;
use crate::pool::PoolKey;
use crate::version::key::{Order, VersionKey};
use crate::version::without_epoch;

/// An image as it was matched.
#[derive(Debug, Clone)]
pub struct MatchedImage {
    /// The image.
    pub release: Arc<ImageRelease>,
    /// What of it could be matched.
    pub inventory: ImageInventory,
    /// What was found.
    pub matched: Matched,
}

impl MatchedImage {
    /// Matches an image.
    pub fn of(
        release: &Arc<ImageRelease>,
        sources: &Sources,
        index: &Index,
    ) -> Result<Self, NotComparable> {
        let inventory = ImageInventory::of(release, sources, index)?;
        let matched = match_inventory(index, &inventory.inventory);
        Ok(Self { release: Arc::clone(release), inventory, matched })
    }

    /// The fixes that it lacks, by source.
    fn missing(&self) -> BTreeSet<(&str, FixId)> {
        missing(&self.matched)
    }

    /// What the newest of the provider's scan reports about it says, beside what was found.
    fn opinion(&self, index: &Index, reports: &[ScanReport]) -> Option<Opinion> {
        let label = self.release.label();
        let of_image = reports.iter().filter(|report| {
            report.version == label.version && family_by_any_name(&report.family) == label.family
        });
        let report = of_image.max_by_key(|report| report.reported_at)?;
        Some(Opinion::of(report, &self.matched.cves_without_kernel(index)))
    }

    /// The sources of it that were judged, with their versions.
    fn judged(&self) -> BTreeMap<&str, &str> {
        judged(&self.matched)
    }
}

/// The fixes that are lacking, by source.
fn missing(matched: &Matched) -> BTreeSet<(&str, FixId)> {
    let source = |place: usize| matched.sources.get(place).map(|source| &*source.source);
    let all = matched.missing.iter();
    all.filter_map(|one| Some((source(one.source)?, one.fix))).collect()
}

/// The sources that were judged, with their versions.
fn judged(matched: &Matched) -> BTreeMap<&str, &str> {
    let is_judged = |standing: &Standing| {
        matches!(standing, Standing::Judged | Standing::Running | Standing::Upstream(_))
    };
    let sources = matched.sources.iter().filter(|source| is_judged(&source.standing));
    sources.map(|source| (&*source.source, &*source.version)).collect()
}

/// A fix between two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedFix {
    /// The source package.
    pub source: String,
    /// The vendor's record.
    pub record: String,
    /// The version with the fix; empty where the vendor does not name it.
    pub fixed: String,
    /// Its version where one comes from; empty where it is not there.
    pub from: String,
    /// Its version where one goes to; empty where it is not there.
    pub to: String,
    /// When the fix was published; none where that is not known.
    pub published: Option<Published>,
    /// What it is about.
    pub aliases: Vec<Alias>,
    /// Whether it is older than the policy's line.
    pub is_over: bool,
}

/// One package that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ChangedPackage {
    /// The binary package.
    pub name: String,
    /// Its versions in the first; none when it is not there.
    pub from: Vec<String>,
    /// Its versions in the second; none when it is not there.
    pub to: Vec<String>,
    /// What kind of a step that is.
    pub step: PackageStep,
}

/// What kind of a step a package takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageStep {
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
    /// To a later version.
    Later,
    /// To a later version whose first or second number is another.
    Jump,
    /// Back to an earlier version.
    Back,
    /// To a version that cannot be compared, or among several.
    Other,
}

impl PackageStep {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Added, Self::Removed, Self::Later, Self::Jump, Self::Back, Self::Other];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Later => "later",
            Self::Jump => "jump",
            Self::Back => "back",
            Self::Other => "other",
        }
    }
}

/// What moving from one image to another changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// For which moment.
    pub as_of: Timestamp,
    /// The nodes whose fixes were held against the second image; none where two images were
    /// held against each other.
    pub from_nodes: Option<FromNodes>,
    /// Why there may be more fixes than are told; none where the feeds are complete.
    pub partial: Option<String>,
    /// The first image, by its label.
    pub from: String,
    /// The second one.
    pub to: String,
    /// When they were built.
    pub built: (Option<Timestamp>, Option<Timestamp>),
    /// So many packages they have.
    pub packages: (usize, usize),
    /// The kernels that they boot; empty where that is not stated.
    pub kernel: (String, String),
    /// Whether both are of one operating system in one release.
    pub is_of_one_system: bool,
    /// Packages that are not the same, by name.
    pub changed: Vec<ChangedPackage>,
    /// Fixes that the first lacks and the second has, oldest first.
    pub gained: Vec<ComparedFix>,
    /// Fixes that both lack, oldest first.
    pub left: Vec<ComparedFix>,
    /// Fixes that the first has and the second lacks, oldest first.
    pub brought_back: Vec<ComparedFix>,
    /// Fixes that the first lacks, of which it cannot be told whether the second has them.
    pub unclear: Vec<ComparedFix>,
    /// Packages whose source nobody knows, in either: fixes of them cannot be told.
    pub not_covered: Vec<String>,
    /// What the provider's own scanner says of the second image, beside what was found; none
    /// where no report of it was imported.
    pub opinion: Option<Opinion>,
}

impl ImageDiff {
    /// So many of its fixes are over the policy's line: gained, left, brought back.
    #[must_use]
    pub fn over_line(&self) -> (usize, usize, usize) {
        let over = |fixes: &[ComparedFix]| fixes.iter().filter(|fix| fix.is_over).count();
        (over(&self.gained), over(&self.left), over(&self.brought_back))
    }
}

/// The nodes of a pool, as far as their fixes are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FromNodes {
    /// Their pool.
    pub pool: PoolKey,
    /// So many they are.
    pub nodes: usize,
    /// So many of them cannot be judged.
    pub not_judged: usize,
    /// Images that they run, by their labels.
    pub images: Vec<String>,
}

/// What the nodes of a pool lack.
#[derive(Debug, Clone)]
pub struct NodesMatched<'a> {
    /// Which nodes.
    pub from: FromNodes,
    /// What was found about each list of packages of theirs.
    pub matched: Vec<&'a Matched>,
}

/// Holds two images against each other; or, where nodes are given, what they lack against the
/// second image.
#[must_use]
pub fn diff(
    from: &MatchedImage,
    to: &MatchedImage,
    nodes: Option<NodesMatched<'_>>,
    Knowledge { index, feeds, reports, .. }: Knowledge<'_>,
    policy: &Policy,
    now: Timestamp,
) -> ImageDiff {
    let mut fixes = match &nodes {
        Some(nodes) => compare_fixes(&nodes.matched, to, index, policy, now),
        None => compare_fixes(&[&from.matched], to, index, policy, now),
    };
    let is_of_one_system = is_of_one_system(&from.release, &to.release);
    if !is_of_one_system {
        // What one system's vendor says of a package says nothing of another system's package
        // of that name.
        fixes.unclear.append(&mut fixes.gained);
        fixes.unclear.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    }
    let not_covered: BTreeSet<&String> =
        from.inventory.not_covered.iter().chain(&to.inventory.not_covered).collect();
    let kernel = |image: &MatchedImage| image.release.kernel.clone().unwrap_or_default();
    let count = |image: &MatchedImage| image.release.listed().map_or(0, <[_]>::len);
    ImageDiff {
        as_of: now,
        from_nodes: nodes.map(|nodes| nodes.from),
        partial: partial(feeds, &to.inventory.inventory.stream, now),
        from: from.release.label().to_string(),
        to: to.release.label().to_string(),
        built: (from.release.build().0, to.release.build().0),
        packages: (count(from), count(to)),
        kernel: (kernel(from), kernel(to)),
        is_of_one_system,
        changed: changed(&from.release, &to.release, order(to)),
        gained: fixes.gained,
        left: fixes.left,
        brought_back: fixes.brought_back,
        unclear: fixes.unclear,
        not_covered: not_covered.into_iter().cloned().collect(),
        opinion: to.opinion(index, reports),
    }
}

/// Why what no advisory speaks of may be missing all the same.
fn partial(feeds: &Feeds, stream: &Stream, now: Timestamp) -> Option<String> {
    match feeds.silence(stream, now) {
        Silence::NothingMissing { .. } => None,
        Silence::Unknown(why) => Some(why),
    }
}

fn order(image: &MatchedImage) -> Option<Order> {
    image.inventory.inventory.stream.distribution.order()
}

/// Fixes between what is there now and an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComparedFixes {
    /// Lacking now, there in the image.
    pub gained: Vec<ComparedFix>,
    /// Lacking in both.
    pub left: Vec<ComparedFix>,
    /// There now wherever the source is, lacking in the image.
    pub brought_back: Vec<ComparedFix>,
    /// Lacking now; whether the image has it cannot be told.
    pub unclear: Vec<ComparedFix>,
}

/// Holds what was matched, of one image or of several nodes, against an image. The oldest fix
/// comes first, those without a date last.
#[must_use]
pub fn compare_fixes(
    from: &[&Matched],
    to: &MatchedImage,
    index: &Index,
    policy: &Policy,
    now: Timestamp,
) -> ComparedFixes {
    let limit = policy.patch_age_limit();
    let before: BTreeSet<(&str, FixId)> = from.iter().flat_map(|one| missing(one)).collect();
    let judged_before: BTreeMap<&str, &str> = from.iter().flat_map(|one| judged(one)).collect();
    let (after, judged_after) = (to.missing(), to.judged());
    let listed: BTreeSet<&str> =
        to.release.listed().unwrap_or_default().iter().map(|one| one.name.as_str()).collect();
    let is_gone = |source: &str| {
        let mut binaries = from.iter().flat_map(|one| binaries_of(one, source));
        binaries.all(|binary| !listed.contains(binary))
    };
    let fix = |source: &str, id: FixId| {
        let fix = index.fix(id)?;
        let is_over = fix.published.as_ref().zip(limit);
        let is_over = is_over.is_some_and(|(published, limit)| age(published.at, now) > limit);
        Some(ComparedFix {
            source: source.to_owned(),
            record: fix.record.to_owned(),
            fixed: fix.fixed.unwrap_or_default().to_owned(),
            from: judged_before.get(source).copied().unwrap_or_default().to_owned(),
            to: judged_after.get(source).copied().unwrap_or_default().to_owned(),
            published: fix.published,
            aliases: fix.aliases,
            is_over,
        })
    };
    let mut compared = ComparedFixes::default();
    for &(source, id) in &before {
        let place = if after.contains(&(source, id)) {
            &mut compared.left
        } else if judged_after.contains_key(source) || is_gone(source) {
            &mut compared.gained
        } else {
            &mut compared.unclear
        };
        place.extend(fix(source, id));
    }
    let lost = after.iter().filter(|one| !before.contains(*one));
    compared.brought_back.extend(lost.filter_map(|(source, id)| fix(source, *id)));
    for fixes in [
        &mut compared.gained,
        &mut compared.left,
        &mut compared.brought_back,
        &mut compared.unclear,
    ] {
        fixes.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    }
    compared
}

fn sort_key(fix: &ComparedFix) -> (Timestamp, &str, &str) {
    let published = fix.published.as_ref().map_or(Timestamp::MAX, |published| published.at);
    (published, &fix.source, &fix.record)
}

/// The binary packages of a source that were matched.
fn binaries_of<'a>(matched: &'a Matched, source: &str) -> Vec<&'a str> {
    let places = matched.sources.iter().enumerate();
    let of_source = places.filter(|(_, one)| &*one.source == source);
    let binaries = of_source.flat_map(|(place, _)| matched.binaries(place));
    binaries.map(|package| package.name.as_str()).collect()
}

/// Packages that are not the same in both. The image of a kernel is another package for each
/// release: it is told as what it is, one added and one removed.
fn changed(from: &ImageRelease, to: &ImageRelease, order: Option<Order>) -> Vec<ChangedPackage> {
    let mut versions: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for package in from.listed().unwrap_or_default() {
        versions.entry(&package.name).or_default().0.push(package.version.clone());
    }
    for package in to.listed().unwrap_or_default() {
        versions.entry(&package.name).or_default().1.push(package.version.clone());
    }
    let changed = versions.into_iter().filter(|(_, (from, to))| from != to);
    changed
        .map(|(name, (from, to))| {
            let step = step(&from, &to, order);
            ChangedPackage { name: name.to_owned(), from, to, step }
        })
        .collect()
}

fn step(from: &[String], to: &[String], order: Option<Order>) -> PackageStep {
    let (from, to) = match (from, to) {
        ([], _) => return PackageStep::Added,
        (_, []) => return PackageStep::Removed,
        ([from], [to]) => (from, to),
        _ => return PackageStep::Other,
    };
    let key = |version: &str| VersionKey::parse(order?, version).ok();
    match (key(from), key(to)) {
        (Some(a), Some(b)) if a.bytes() > b.bytes() => PackageStep::Back,
        (Some(a), Some(b)) if a.bytes() < b.bytes() => match line_of(from) == line_of(to) {
            true => PackageStep::Later,
            false => PackageStep::Jump,
        },
        _ => PackageStep::Other,
    }
}

/// The first two numbers of an upstream version: where they change, so may what it does.
fn line_of(version: &str) -> (Option<&str>, Option<&str>) {
    let upstream = without_epoch(version).split(['-', '+', '~']).next().unwrap_or_default();
    let mut numbers = upstream.split('.');
    (numbers.next(), numbers.next().filter(|second| second.parse::<u32>().is_ok()))
}

/// How old a fix is, in whole days; none where no date is known.
#[must_use]
pub fn age_days(fix: &ComparedFix, now: Timestamp) -> Option<i64> {
    fix.published.as_ref().map(|published| {
        let age: SignedDuration = age(published.at, now);
        age.as_hours() / 24
    })
}
