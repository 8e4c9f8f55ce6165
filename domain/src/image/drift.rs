//! The truth of a node against its image: what was added to the list of packages that the
//! image came with, what was taken away, and what was changed, with why as far as that is
//! known. All of it is lost when the node is made anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{ImageLabel, ImageRelease};
use crate::facts::{PackageManager, Packages};
use crate::version::key::{Order, VersionKey};
use crate::version::without_epoch;

/// One package that is not as the image brought it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DriftedPackage {
    /// The binary package.
    pub name: String,
    /// Its versions in the image; none when the image did not bring it.
    pub shipped: Vec<String>,
    /// Its versions on the node; none when it is gone.
    pub installed: Vec<String>,
    /// Why, as far as that is known.
    pub cause: DriftCause,
}

/// Why a package is not as the image brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftCause {
    /// The node's label says that it was patched in place, and the version is a later one.
    SecurityPatch,
    /// A later version, by whoever: unattended upgrades, a DaemonSet, a hand.
    Updated,
    /// An earlier version than the image's.
    Downgraded,
    /// Not of the image.
    Installed,
    /// Of the image, and gone.
    Removed,
    /// In versions that cannot be compared.
    Changed,
}

impl DriftCause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SecurityPatch,
        Self::Updated,
        Self::Downgraded,
        Self::Installed,
        Self::Removed,
        Self::Changed,
    ];

    /// Its one word, as serde writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SecurityPatch => "security_patch",
            Self::Updated => "updated",
            Self::Downgraded => "downgraded",
            Self::Installed => "installed",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    /// Its words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SecurityPatch => "patched in place",
            Self::Updated => "updated since",
            Self::Downgraded => "set back",
            Self::Installed => "installed since",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// What is not as the image brought it, by name; none where the image's packages are not
/// known, or the node's are of another manager. The label is the node's own.
#[must_use]
pub fn drift(
    release: &ImageRelease,
    packages: &Packages,
    label: Option<&ImageLabel>,
) -> Option<Vec<DriftedPackage>> {
    let listed = release.listed()?;
    let is_patched = label.is_some_and(|label| label.patched.is_some());
    let order = match packages.manager {
        PackageManager::Dpkg => Order::Dpkg,
        PackageManager::Rpm => Order::Rpm,
    };
    let mut versions: BTreeMap<&str, Versions<'_>> = BTreeMap::new();
    for package in listed {
        versions.entry(&package.name).or_default().0.insert(&package.version);
    }
    for package in &packages.installed {
        // Lists of rpm's images have no epochs.
        let version = match packages.manager {
            PackageManager::Dpkg => package.version.as_str(),
            PackageManager::Rpm => without_epoch(&package.version),
        };
        versions.entry(&package.name).or_default().1.insert(version);
    }
    let kernels = by_stem(&versions);
    let is_same = |(shipped, installed): &Versions<'_>| shipped == installed;
    // Keys that rpm keeps as packages are no software.
    let drifted =
        versions.into_iter().filter(|(name, versions)| *name != "gpg-pubkey" && !is_same(versions));
    let owned = |versions: &BTreeSet<&str>| versions.iter().map(|one| (*one).to_owned()).collect();
    Some(
        drifted
            .map(|(name, (shipped, installed))| DriftedPackage {
                name: name.to_owned(),
                cause: match stem(name).and_then(|stem| kernels.get(&stem)) {
                    // A kernel that follows the image's own has another name, and is no other
                    // software: it came, or the former one went, with an update.
                    Some((shipped, installed)) if !shipped.is_empty() && !installed.is_empty() => {
                        cause(shipped, installed, order, is_patched)
                    }
                    _ => cause(&shipped, &installed, order, is_patched),
                },
                shipped: owned(&shipped),
                installed: owned(&installed),
            })
            .collect(),
    )
}

/// Versions in the image, and on the node.
type Versions<'a> = (BTreeSet<&'a str>, BTreeSet<&'a str>);

/// The packages of kernels, whichever release is in their names.
fn by_stem<'a>(versions: &BTreeMap<&str, Versions<'a>>) -> BTreeMap<String, Versions<'a>> {
    let mut kernels: BTreeMap<String, Versions<'a>> = BTreeMap::new();
    for (name, (shipped, installed)) in versions {
        if let Some(stem) = stem(name) {
            let kernel = kernels.entry(stem).or_default();
            kernel.0.extend(shipped);
            kernel.1.extend(installed);
        }
    }
    kernels
}

/// The name of a kernel's package without the release in it: `linux-image--azure` of
/// `linux-image-5.15.0-1124-azure`. None of other packages.
fn stem(name: &str) -> Option<String> {
    let is_release = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    let parts: Vec<&str> = name.strip_prefix("linux-")?.split('-').collect();
    parts.iter().any(is_release).then(|| {
        let named = parts.iter().map(|part| if is_release(part) { "" } else { *part });
        named.collect::<Vec<_>>().join("-")
    })
}

fn cause(
    shipped: &BTreeSet<&str>,
    installed: &BTreeSet<&str>,
    order: Order,
    is_patched: bool,
) -> DriftCause {
    if shipped.is_empty() {
        return DriftCause::Installed;
    }
    if installed.is_empty() {
        return DriftCause::Removed;
    }
    let newest = |versions: &BTreeSet<&str>| {
        let keys = versions.iter().map(|version| VersionKey::parse(order, version).ok());
        keys.collect::<Option<Vec<VersionKey>>>()?.into_iter().max()
    };
    match (newest(shipped), newest(installed)) {
        (Some(before), Some(now)) if now > before && is_patched => DriftCause::SecurityPatch,
        (Some(before), Some(now)) if now > before => DriftCause::Updated,
        (Some(before), Some(now)) if now < before => DriftCause::Downgraded,
        _ => DriftCause::Changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ShippedPackage, ShippedPackages};
    use crate::matching::samples;

    #[test]
    fn each_way_of_differing_has_its_cause() {
        let shipped = |name: &str, version: &str| ShippedPackage {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
        };
        let mut release = ImageRelease {
            family: "AKSUbuntu-2204gen2containerd".to_owned(),
            version: "202611.03.0".to_owned(),
            built_at: None,
            kernel: None,
            os_id: Some("ubuntu".to_owned()),
            os_version_id: Some("22.04".to_owned()),
            packages: ShippedPackages::listed(vec![
                shipped("same", "1"),
                shipped("newer", "1.10"),
                shipped("older", "2"),
                shipped("gone", "1"),
            ]),
        };
        let packages = samples::packages(
            PackageManager::Dpkg,
            &["same 1", "newer 1.9.1+really1.11", "older 1", "own 3"],
        );
        let words = |label: Option<&str>| {
            let label = label.map(|label| ImageLabel::parse(label).expect("a label"));
            let drift = drift(&release, &packages, label.as_ref()).expect("a list");
            let words = drift.iter().map(|one| format!("{} {}", one.name, one.cause.words()));
            words.collect::<Vec<_>>()
        };
        let plain = "AKSUbuntu-2204gen2containerd-202611.03.0";
        let expected = ["gone removed", "newer set back", "older set back", "own installed since"];
        assert_eq!(words(Some(plain)), expected);
        assert_eq!(words(None), expected);
        release.packages = ShippedPackages::listed(vec![shipped("older", "0.5")]);
        let drift = |label: &str| {
            let label = ImageLabel::parse(label).expect("a label");
            let drift = drift(&release, &packages, Some(&label)).expect("a list");
            drift.into_iter().find(|one| one.name == "older").expect("it differs").cause
        };
        assert_eq!(drift(plain), DriftCause::Updated);
        assert_eq!(drift(&format!("{plain}-2026.11.10")), DriftCause::SecurityPatch);
    }

    #[test]
    fn a_kernel_that_follows_the_images_own_is_an_update() {
        let kernel = |release: &str, version: &str| ShippedPackage {
            name: format!("linux-image-{release}-azure"),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
        };
        let release = ImageRelease {
            family: "AKSUbuntu-2204gen2containerd".to_owned(),
            version: "202611.03.0".to_owned(),
            built_at: None,
            kernel: None,
            os_id: None,
            os_version_id: None,
            packages: ShippedPackages::listed(vec![kernel("5.15.0-1124", "5.15.0-1124.133")]),
        };
        let causes = |installed: &[&str]| {
            let packages = samples::packages(PackageManager::Dpkg, installed);
            let drift = drift(&release, &packages, None).expect("a list");
            drift.into_iter().map(|one| (one.name, one.cause)).collect::<Vec<_>>()
        };
        let (old, new) = ("linux-image-5.15.0-1124-azure", "linux-image-5.15.0-1126-azure");
        let both = [
            "linux-image-5.15.0-1124-azure 5.15.0-1124.133",
            "linux-image-5.15.0-1126-azure 5.15.0-1126.135",
        ];
        assert_eq!(causes(&both), [(new.to_owned(), DriftCause::Updated)]);
        let followed =
            [(old.to_owned(), DriftCause::Updated), (new.to_owned(), DriftCause::Updated)];
        assert_eq!(causes(&both[1..]), followed);
        assert_eq!(causes(&[]), [(old.to_owned(), DriftCause::Removed)]);
        // A kernel of another flavour is no update of this one.
        let added = causes(&[both[0], "linux-image-5.15.0-1126-generic 5.15.0-1126.135"]);
        assert_eq!(added, [("linux-image-5.15.0-1126-generic".to_owned(), DriftCause::Installed)]);
    }

    #[test]
    fn nothing_is_said_where_the_list_is_not_known() {
        let release = ImageRelease {
            family: String::new(),
            version: String::new(),
            built_at: None,
            kernel: None,
            os_id: None,
            os_version_id: None,
            packages: ShippedPackages::Unknown("a stub".to_owned()),
        };
        let packages = samples::packages(PackageManager::Dpkg, &["same 1"]);
        assert_eq!(drift(&release, &packages, None), None);
    }
}
