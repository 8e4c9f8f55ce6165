//! What matching depends on: the packages, the kernel that runs, whose updates the node
//! takes, and what is mitigated; and the key by which nodes that are alike in these share
//! one result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kernel::{self, RunningKernel};
use crate::advisory::{AliasId, Stream, Tier, Tiers};
use crate::facts::{Kernel, OsRelease, Packages};

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
        if is_fips(&package.source, &package.source_version) {
            tiers.extend([Tier::Pro, Tier::Fips, Tier::FipsUpdates, Tier::FipsPreview]);
        }
    }
    tiers
}

/// Whether a source package is a module of FIPS 140, in Ubuntu's way of naming it.
pub(super) fn is_fips(source: &str, version: &str) -> bool {
    let says = |text: &str| text.as_bytes().contains(&b'f') && text.contains("fips");
    says(version) || says(source)
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
