//! Matching: what of a node's packages the vendors' advisories speak of. A pure function of
//! the packages, the kernel that runs, the tiers that the node takes, what is mitigated, and
//! one generation of advisories: done once for all nodes that are alike in these.
//!
//! Source packages are matched, never binaries; a kernel only where it runs. What cannot be
//! judged is counted and named, never dropped.

mod foreign;
mod index;
mod kernel;
mod strings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::advisory::{AliasId, Statement, Stream, Tier, Tiers, Unfixed};
use crate::facts::{Kernel, OsRelease, Package, Packages};
use crate::version::key::{Order, VersionKey};

pub use index::{Fix, FixId, Index, Sizes};
pub use kernel::{RunningKernel, is_of_kernel};

/// Everything about a node that matching depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// What is installed.
    pub packages: Arc<Packages>,
    /// Distribution and release, in the base tier.
    pub stream: Stream,
    /// Whose updates the node takes.
    pub tiers: Tiers,
    /// The kernel that runs; or why it cannot be told.
    pub kernel: Result<RunningKernel, String>,
    /// What is mitigated on the node, and what keeps it so.
    pub mitigated: BTreeMap<AliasId, String>,
}

impl Inventory {
    /// Of a node's facts. The kernel is none where its component could not be read.
    #[must_use]
    pub fn of(packages: Arc<Packages>, os_release: &OsRelease, kernel: Option<&Kernel>) -> Self {
        let kernel = match kernel {
            Some(kernel) => kernel::running(kernel, &packages),
            None => Err("the running kernel is not known".to_owned()),
        };
        Self {
            stream: Stream::of_os_release(&os_release.id, &os_release.version_id),
            tiers: tiers_of(&packages),
            packages,
            kernel,
            mitigated: BTreeMap::new(),
        }
    }
}

/// The tiers of a node, by the versions of its packages: nothing with `+esm` in it gets onto
/// a node that is not attached to Ubuntu Pro, and FIPS modules come from there too.
#[must_use]
pub fn tiers_of(packages: &Packages) -> Tiers {
    let mut tiers = BTreeSet::from([Tier::Base]);
    for package in &packages.installed {
        if package.version.contains("+esm") || package.version.contains("~esm") {
            tiers.insert(Tier::Pro);
        }
        if is_fips(package) {
            tiers.extend([Tier::Pro, Tier::Fips, Tier::FipsUpdates, Tier::FipsPreview]);
        }
    }
    tiers
}

/// Whether a package is a module of FIPS 140, in Ubuntu's way of naming versions.
fn is_fips(package: &Package) -> bool {
    let version = &package.source_version;
    let says = |text: &str| text.as_bytes().contains(&b'f') && text.contains("fips");
    says(version) || says(&package.source)
}

/// Names a match: two nodes with equal keys have equal results.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MatchKey {
    /// Digest of the list of packages, as its content is named.
    pub packages: Arc<str>,
    /// Distribution and release.
    pub stream: Stream,
    /// Whose updates the node takes.
    pub tiers: Tiers,
    /// `uname -r` and `uname -v`. One of two nodes of one image may not be rebooted yet.
    pub kernel: Arc<str>,
    /// What is mitigated, and what keeps it so.
    pub mitigated: BTreeMap<AliasId, String>,
    /// The generation of advisories.
    pub generation: u64,
    /// The edition of the policy.
    pub policy_edition: Arc<str>,
}

impl MatchKey {
    /// Of an inventory whose list of packages has that digest.
    #[must_use]
    pub fn of(
        packages_digest: Arc<str>,
        inventory: &Inventory,
        kernel: Option<&Kernel>,
        generation: u64,
        policy_edition: Arc<str>,
    ) -> Self {
        let kernel = kernel.map(|kernel| format!("{} {}", kernel.release, kernel.version));
        Self {
            packages: packages_digest,
            stream: inventory.stream.clone(),
            tiers: inventory.tiers.clone(),
            kernel: Arc::from(kernel.unwrap_or_default()),
            mitigated: inventory.mitigated.clone(),
            generation,
            policy_edition,
        }
    }
}

/// What was found about one inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The packages that were matched; places below are places in it.
    pub packages: Arc<Packages>,
    /// Every source package in every version that is installed, by name and version; the
    /// running kernel is the last one.
    pub sources: Vec<SourceMatch>,
    /// The places of the binary packages of each source, one after the other.
    binaries_of: Vec<u32>,
    /// Fixes that are lacking: one for each vendor's record on a source. By source, then
    /// by the version with the fix.
    pub missing: Vec<Missing>,
    /// Vulnerabilities without a fix. By source.
    pub unfixed: Vec<Unmended>,
    /// Fixes that only a tier has whose updates the node does not take. By source, version.
    pub other_tiers: Vec<Missing>,
    /// Statements that may hold and cannot be read. By source.
    pub unreadable: Vec<Unreadable>,
}

/// A source package as it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMatch {
    /// Its name as advisories have it: of a signed kernel that of what was signed.
    pub source: Arc<str>,
    /// The version that was judged.
    pub version: Arc<str>,
    /// Where the binary packages built from it stand among [`Matched::binaries_of`].
    binaries: (u32, u32),
    /// How it was judged.
    pub standing: Standing,
    /// So many statements speak of it and hold other versions only.
    pub not_affected: usize,
}

/// How a source package was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// By the advisories of the node's streams.
    Judged,
    /// By those of the running kernel, whose package it is.
    Running,
    /// Not: it goes along with a kernel and does not run.
    GoesAlong,
    /// Not: no advisory covers it, for this reason.
    NotCovered(String),
    /// Not: something cannot be read or compared, for this reason.
    Unknown(String),
}

/// The five outcomes that a source package may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A fix is lacking.
    Missing,
    /// It is vulnerable, and there is no fix.
    Unfixed,
    /// Nothing is stated against its version.
    NotAffected,
    /// No advisory covers it.
    NotCovered,
    /// It cannot be said.
    Unknown,
}

/// A fix that is lacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The source package, by its place among [`Matched::sources`].
    pub source: usize,
    /// The fix.
    pub fix: FixId,
    /// It is installed, and comes into force with a reboot.
    pub is_on_disk: bool,
    /// All that it is about is mitigated.
    pub is_mitigated: bool,
    /// In which tier.
    pub tier: Tier,
}

/// A vulnerability without a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmended {
    /// The source package, by its place among [`Matched::sources`].
    pub source: usize,
    /// The statement.
    pub fix: FixId,
}

/// A statement on an installed source package whose versions cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The source package, by its place among [`Matched::sources`].
    pub source: usize,
    /// The vendor's record.
    pub record: String,
    /// What cannot be read in it.
    pub why: String,
}

impl Matched {
    fn keep_binaries(&mut self, binaries: impl IntoIterator<Item = u32>) -> (u32, u32) {
        let place = |all: &Vec<u32>| u32::try_from(all.len()).unwrap_or(u32::MAX);
        let from = place(&self.binaries_of);
        self.binaries_of.extend(binaries);
        (from, place(&self.binaries_of))
    }

    /// The outcome of each source package. One that lacks fixes may have other
    /// vulnerabilities besides; the first in the order of [`Outcome`] is told.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = self
            .sources
            .iter()
            .map(|source| match source.standing {
                Standing::Judged | Standing::Running | Standing::GoesAlong => Outcome::NotAffected,
                Standing::NotCovered(_) => Outcome::NotCovered,
                Standing::Unknown(_) => Outcome::Unknown,
            })
            .collect();
        let unreadable = self.unreadable.iter().map(|one| (one.source, Outcome::Unknown));
        let unfixed = self.unfixed.iter().map(|one| (one.source, Outcome::Unfixed));
        let missing = self.missing.iter().map(|one| (one.source, Outcome::Missing));
        for (source, outcome) in unreadable.chain(unfixed).chain(missing) {
            if let Some(known) = outcomes.get_mut(source) {
                *known = outcome;
            }
        }
        outcomes
    }

    /// The binary packages of a source.
    pub fn binaries(&self, source: usize) -> impl Iterator<Item = &Package> {
        let (from, to) = self.sources.get(source).map_or((0, 0), |source| source.binaries);
        self.binaries_of
            .get(from as usize..to as usize)
            .unwrap_or_default()
            .iter()
            .filter_map(|index| self.packages.installed.get(*index as usize))
    }
}

/// Matches one inventory with all advisories.
#[must_use]
pub fn match_inventory(index: &Index, inventory: &Inventory) -> Matched {
    let mut matched = Matched {
        packages: Arc::clone(&inventory.packages),
        sources: Vec::new(),
        binaries_of: Vec::with_capacity(inventory.packages.installed.len() + 1),
        missing: Vec::new(),
        unfixed: Vec::new(),
        other_tiers: Vec::new(),
        unreadable: Vec::new(),
    };
    let order = inventory.stream.distribution.order();
    let mut matcher = Matcher {
        index,
        inventory,
        order,
        streams: streams(index, inventory),
        matched: &mut matched,
        key: VersionKey::default(),
        hits: Vec::new(),
    };
    let installed = &inventory.packages.installed;
    // With the beginning of the name as a number: most are told apart by it alone.
    let mut by_source: Vec<(u128, u32)> = (0..)
        .zip(installed)
        .map(|(place, package)| (index::head(package.source.as_bytes()), place))
        .collect();
    let of =
        |place: u32| installed.get(place as usize).map(|one| (&one.source, &one.source_version));
    by_source.sort_unstable_by(|(a_head, a), (b_head, b)| {
        a_head.cmp(b_head).then_with(|| (of(*a), a).cmp(&(of(*b), b)))
    });
    let mut binaries = Vec::new();
    for one in by_source.chunk_by(|(a_head, a), (b_head, b)| a_head == b_head && of(*a) == of(*b)) {
        binaries.clear();
        binaries.extend(one.iter().map(|(_, place)| *place));
        let first = binaries.first().and_then(|first| installed.get(*first as usize));
        if let Some(package) = first {
            matcher.source(package, &binaries);
        }
    }
    matcher.running_kernel();
    matched
}

/// A stream, whether the node takes its updates, and the place on the way through it.
struct Taken<'a> {
    stream: &'a Stream,
    is_taken: bool,
    walk: index::Walk<'a>,
}

/// The streams of the node's release that anything is stated about.
fn streams<'a>(index: &'a Index, inventory: &Inventory) -> Vec<Taken<'a>> {
    index
        .streams()
        .filter(|stream| {
            stream.distribution == inventory.stream.distribution
                && stream.release == inventory.stream.release
        })
        // Special kernels and the like: not for nodes, unless they say that they take them.
        .filter(|stream| {
            !matches!(stream.tier, Tier::Other(_)) || inventory.tiers.contains(&stream.tier)
        })
        .map(|stream| Taken {
            is_taken: inventory.tiers.contains(&stream.tier),
            walk: index.walk(stream),
            stream,
        })
        .collect()
}

struct Matcher<'a> {
    index: &'a Index,
    inventory: &'a Inventory,
    order: Option<Order>,
    streams: Vec<Taken<'a>>,
    matched: &'a mut Matched,
    key: VersionKey,
    hits: Vec<(FixId, Statement)>,
}

impl Matcher<'_> {
    fn source(&mut self, package: &Package, binaries: &[u32]) {
        let manager = self.inventory.packages.manager;
        let running = match &self.inventory.kernel {
            Ok(kernel) => kernel.package.and_then(|place| u32::try_from(place).ok()),
            Err(_) => None,
        };
        let standing =
            if let Some(maker) = foreign::maker(&self.inventory.stream.distribution, package) {
                Standing::NotCovered(format!("made by {maker}"))
            } else if is_of_kernel(manager, &package.source) {
                Standing::GoesAlong
            } else {
                Standing::Judged
            };
        // The package of the running kernel is judged at the end, by the version that runs.
        let kept = match standing {
            Standing::GoesAlong => {
                let others = binaries.iter().copied().filter(|binary| Some(*binary) != running);
                self.matched.keep_binaries(others)
            }
            _ => self.matched.keep_binaries(binaries.iter().copied()),
        };
        if kept.0 == kept.1 {
            return;
        }
        self.judge(
            SourceMatch {
                source: Arc::from(package.source.as_str()),
                version: Arc::from(package.source_version.as_str()),
                binaries: kept,
                standing,
                not_affected: 0,
            },
            is_fips(package),
            None,
        );
    }

    /// The kernel that runs, whether its package is still there or not.
    fn running_kernel(&mut self) {
        let kernel = match &self.inventory.kernel {
            Ok(kernel) => kernel,
            Err(why) => {
                self.matched.sources.push(SourceMatch {
                    source: Arc::from("kernel"),
                    version: Arc::from(""),
                    binaries: (0, 0),
                    standing: Standing::Unknown(why.clone()),
                    not_affected: 0,
                });
                return;
            }
        };
        let binaries = kernel.package.and_then(|index| u32::try_from(index).ok());
        let is_fips = kernel.source.contains("-fips") || kernel.version.contains("fips");
        let binaries = self.matched.keep_binaries(binaries);
        self.judge(
            SourceMatch {
                source: Arc::from(kernel.source.as_str()),
                version: Arc::from(kernel.version.as_str()),
                binaries,
                standing: Standing::Running,
                not_affected: 0,
            },
            is_fips,
            kernel.on_disk.as_deref(),
        );
    }

    fn judge(&mut self, mut source: SourceMatch, is_fips: bool, on_disk: Option<&str>) {
        let place = self.matched.sources.len();
        if matches!(source.standing, Standing::Judged | Standing::Running) {
            let standing = self.look_up(place, &mut source, is_fips, on_disk);
            if let Err(standing) = standing {
                source.standing = standing;
            }
        }
        self.matched.sources.push(source);
    }

    fn look_up(
        &mut self,
        place: usize,
        source: &mut SourceMatch,
        is_fips: bool,
        on_disk: Option<&str>,
    ) -> Result<(), Standing> {
        let order = self.order.ok_or_else(|| {
            let stream = &self.inventory.stream;
            Standing::NotCovered(format!("no advisories on {stream} can be read"))
        })?;
        // Whether or not an advisory speaks of it: what cannot be read is not clean.
        self.key
            .read(order, &source.version)
            .map_err(|why| Standing::Unknown(format!("the version {:?} {why}", source.version)))?;
        let Self { index, inventory, streams, matched, key, hits, .. } = self;
        // Modules of FIPS 140 are versions of their own, above all others of the same
        // number: base updates neither fix nor replace them.
        let is_ours = |taken: &Taken<'_>| taken.stream.tier.is_fips() == is_fips;
        if is_fips && !streams.iter().any(is_ours) {
            return Err(Standing::NotCovered("no advisories on FIPS modules".to_owned()));
        }
        // The running kernel comes last, whatever it is called.
        if source.standing == Standing::Running {
            streams.iter_mut().for_each(|taken| taken.walk = index.walk(taken.stream));
        }
        let mut found: Vec<(&Taken<'_>, index::SourceRows)> = Vec::new();
        for taken in streams.iter_mut().filter(|taken| is_ours(taken)) {
            if let Some(rows) = taken.walk.seek(index, &source.source) {
                found.push((taken, rows));
            }
        }
        let disk_key = on_disk.and_then(|version| VersionKey::parse(order, version).ok());
        let mut after_reboot = Vec::new();
        let mut records = BTreeSet::new();
        for (taken, rows) in &found {
            if taken.is_taken {
                matched.unreadable.extend(index.unreadable(*rows).map(|(record, why)| {
                    Unreadable { source: place, record: record.to_owned(), why: why.to_owned() }
                }));
            }
            hits.clear();
            source.not_affected += index.hits(*rows, key, hits);
            after_reboot.clear();
            if let Some(key) = &disk_key {
                index.hits(*rows, key, &mut after_reboot);
            }
            for (fix, statement) in hits.iter() {
                // Pro has the base's notices as well: base comes first.
                if found.len() > 1 && !records.insert((index.record(*fix), *statement)) {
                    continue;
                }
                match statement {
                    Statement::Unfixed(why) if taken.is_taken => {
                        // What base leaves open a tier that the node takes may have fixed;
                        // and where base has ended, that tier goes on.
                        let mut others = found.iter().filter(|(other, _)| {
                            other.is_taken && other.stream.tier > taken.stream.tier
                        });
                        let goes_on = *why == Unfixed::EndOfLife
                            && inventory.tiers.iter().any(|tier| {
                                *tier > taken.stream.tier
                                    && index.speaks_of(&taken.stream.in_tier(tier.clone()))
                            });
                        let is_fixed_elsewhere =
                            others.any(|(_, rows)| index.fixes_all_of(*rows, *fix));
                        if !goes_on && !is_fixed_elsewhere {
                            matched.unfixed.push(Unmended { source: place, fix: *fix });
                        }
                    }
                    Statement::Fixed => {
                        let mitigated = &inventory.mitigated;
                        let missing = Missing {
                            source: place,
                            fix: *fix,
                            is_on_disk: disk_key.is_some()
                                && !after_reboot.iter().any(|(still, _)| still == fix),
                            is_mitigated: !mitigated.is_empty()
                                && index.is_all_of(*fix, |id| mitigated.contains_key(id)),
                            tier: taken.stream.tier.clone(),
                        };
                        match taken.is_taken {
                            true => matched.missing.push(missing),
                            false => matched.other_tiers.push(missing),
                        }
                    }
                    Statement::Unfixed(_) | Statement::NotAffected => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
