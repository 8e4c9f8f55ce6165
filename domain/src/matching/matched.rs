//! What was found about one inventory: every source package with how it was judged, the
//! fixes that are lacking, and what has none.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{FixId, Index};
use crate::advisory::{AliasId, Tier};
use crate::facts::{Package, Packages};

/// What was found about one inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The packages that were matched; places below are places in it.
    pub packages: Arc<Packages>,
    /// Every source package in every version that is installed, by name and version; the
    /// running kernel is the last one.
    pub sources: Vec<SourceMatch>,
    /// The places of the binary packages of each source, one after the other.
    pub(super) binaries_of: Vec<u32>,
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
    pub(super) binaries: (u32, u32),
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
    /// By upstream's own advisories on this module, because no distribution covers it.
    Upstream(String),
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
    pub(super) fn keep_binaries(&mut self, binaries: impl IntoIterator<Item = u32>) -> (u32, u32) {
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
                // What upstream does not name may still be wrong with what others built of it.
                Standing::NotCovered(_) | Standing::Upstream(_) => Outcome::NotCovered,
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

    /// The CVEs that fixes are missing for, without those of kernels: what a scanner that looks
    /// at packages alone can be held against.
    #[must_use]
    pub fn cves_without_kernel(&self, index: &Index) -> BTreeSet<AliasId> {
        let missing = self.missing.iter().filter(|one| {
            let source = self.sources.get(one.source);
            source.is_some_and(|source| source.standing != Standing::Running)
        });
        let ids = missing.flat_map(|one| index.alias_ids(one.fix));
        ids.filter(|id| id.is_cve()).cloned().collect()
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
