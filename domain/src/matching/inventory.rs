//! What matching depends on: the packages, the kernel that runs, whose updates the node
//! takes, and what is mitigated; and the key by which nodes that are alike in these share
//! one result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kernel::{self, RunningKernel};
use crate::advisory::{AliasId, Stream, Tier, Tiers};
use crate::facts::{Kernel, OsRelease, Packages, UbuntuPro};

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
            tiers: tiers_of(&packages, &os_release.ubuntu_pro),
            packages,
            kernel,
            mitigated: BTreeMap::new(),
        }
    }
}

/// Services of Ubuntu Pro, by the names that its client has for them, and the tier whose
/// updates each brings.
const SERVICES: [(&str, Tier); 5] = [
    ("esm-infra", Tier::Pro),
    ("esm-apps", Tier::Pro),
    ("fips", Tier::Fips),
    ("fips-updates", Tier::FipsUpdates),
    ("fips-preview", Tier::FipsPreview),
];

/// The tiers of a node. By what the client of Ubuntu Pro says: services that are enabled on
/// a node that is attached. And by the versions of its packages, which tell it also where
/// that could not be read, or a node was detached since: nothing with `+esm` in it gets onto
/// a node that never was attached, and FIPS modules come from there too.
#[must_use]
pub fn tiers_of(packages: &Packages, ubuntu_pro: &UbuntuPro) -> Tiers {
    let mut tiers = BTreeSet::from([Tier::Base]);
    let enabled = SERVICES.into_iter().filter(|(service, _)| ubuntu_pro.has(service));
    tiers.extend(enabled.map(|(_, tier)| tier));
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
pub(crate) fn is_fips(source: &str, version: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DatabaseLock, Package, PackageManager};

    /// The tiers of a node with one package of that version.
    fn tiers(version: &str, ubuntu_pro: &UbuntuPro) -> Vec<Tier> {
        let package = Package {
            name: "vim".to_owned(),
            architecture: "amd64".to_owned(),
            version: version.to_owned(),
            source: "vim".to_owned(),
            source_version: version.to_owned(),
            held: false,
            origin: String::new(),
        };
        let packages = Packages {
            manager: PackageManager::Dpkg,
            path: String::new(),
            installed: vec![package],
            unfinished: Vec::new(),
            lock: DatabaseLock::Free,
        };
        tiers_of(&packages, ubuntu_pro).into_iter().collect()
    }

    fn read(attached: bool, enabled: &[&str]) -> UbuntuPro {
        let enabled = enabled.iter().map(|name| (*name).to_owned()).collect();
        UbuntuPro::Read { attached, enabled }
    }

    #[test]
    fn services_that_are_enabled_bring_their_tiers_to_a_node_that_is_attached() {
        use Tier::{Base, Fips, FipsPreview, FipsUpdates, Pro};
        for (ubuntu_pro, expected) in [
            (UbuntuPro::NotThere, vec![Base]),
            (read(true, &["esm-infra"]), vec![Base, Pro]),
            (read(true, &["esm-apps", "livepatch"]), vec![Base, Pro]),
            (read(true, &["fips-updates"]), vec![Base, FipsUpdates]),
            (
                read(true, &["esm-infra", "fips", "fips-preview"]),
                vec![Base, Pro, Fips, FipsPreview],
            ),
            (read(true, &["livepatch"]), vec![Base]),
            (read(true, &[]), vec![Base]),
            // The client forgets to say so of services when it is detached.
            (read(false, &["esm-infra", "fips"]), vec![Base]),
        ] {
            assert_eq!(tiers("1", &ubuntu_pro), expected, "{ubuntu_pro:?}");
        }
    }

    #[test]
    fn packages_tell_the_tier_whatever_the_client_says() {
        let unreadable = UbuntuPro::Unreadable("EACCES".to_owned());
        for ubuntu_pro in [UbuntuPro::NotThere, read(false, &[]), unreadable] {
            assert_eq!(tiers("1+esm1", &ubuntu_pro), [Tier::Base, Tier::Pro]);
            assert_eq!(tiers("1", &ubuntu_pro), [Tier::Base], "{ubuntu_pro:?} is no yes");
        }
        let both = tiers("1+esm1", &read(true, &["fips-updates"]));
        assert_eq!(both, [Tier::Base, Tier::Pro, Tier::FipsUpdates]);
    }
}
