//! Matching: what of a node's packages the vendors' advisories speak of. A pure function of
//! the packages, the kernel that runs, the tiers that the node takes, what is mitigated, and
//! one generation of advisories: done once for all nodes that are alike in these.
//!
//! Source packages are matched, never binaries; a kernel only where it runs. What cannot be
//! judged is counted and named, never dropped.

mod foreign;
mod index;
mod inventory;
mod kernel;
mod matched;
#[cfg(test)]
pub(crate) mod samples;
mod strings;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::advisory::{Distribution, Statement, Stream, Tier, Unfixed};
use crate::facts::Package;
use crate::version::key::{Order, VersionKey};

pub(crate) use inventory::is_fips;

pub(crate) use foreign::maker;
pub use index::{Fix, FixId, Index, Sizes, TooManyStatements};
pub use inventory::{Inventory, MatchKey, tiers_of};
pub use kernel::{RunningKernel, is_of_kernel};
pub(crate) use kernel::{running, source_of_release};
pub use matched::{Matched, Missing, Outcome, SourceMatch, Standing, Unmended, Unreadable};

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
            is_fips(&package.source, &package.source_version),
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
        let is_fips = is_fips(&kernel.source, &kernel.version);
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
        let judged = match source.standing {
            Standing::Judged | Standing::Running => {
                self.look_up(place, &mut source, is_fips, on_disk)
            }
            Standing::NotCovered(_) => self.look_up_upstream(place, &mut source),
            _ => Ok(()),
        };
        if let Err(standing) = judged {
            source.standing = standing;
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

impl Matcher<'_> {
    /// A package that no distribution covers, by upstream's advisories on its module, where
    /// there are any; by upstream's version, and never by advisories on a package of a
    /// distribution that has the same name.
    fn look_up_upstream(&mut self, place: usize, source: &mut SourceMatch) -> Result<(), Standing> {
        let stream = Stream {
            distribution: Distribution::Upstream(Arc::from("Go")),
            release: Arc::from(""),
            tier: Tier::Base,
        };
        let Self { index, inventory, matched, key, hits, .. } = self;
        for module in foreign::modules(&source.source) {
            let Some(rows) = index.walk(&stream).seek(index, module) else { continue };
            let version = foreign::upstream_version(&source.version);
            key.read(Order::Semver, version)
                .map_err(|why| Standing::Unknown(format!("the version {version:?} {why}")))?;
            source.standing = Standing::Upstream((*module).to_owned());
            matched.unreadable.extend(index.unreadable(rows).map(|(record, why)| Unreadable {
                source: place,
                record: record.to_owned(),
                why: why.to_owned(),
            }));
            hits.clear();
            source.not_affected += index.hits(rows, key, hits);
            for (fix, statement) in hits.iter() {
                match statement {
                    Statement::Fixed => matched.missing.push(Missing {
                        source: place,
                        fix: *fix,
                        is_on_disk: false,
                        is_mitigated: !inventory.mitigated.is_empty()
                            && index.is_all_of(*fix, |id| inventory.mitigated.contains_key(id)),
                        tier: Tier::Base,
                    }),
                    Statement::Unfixed(_) => {
                        matched.unfixed.push(Unmended { source: place, fix: *fix });
                    }
                    Statement::NotAffected => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
