//! Releases of node images: what an image was made of, by what its builder published of it.
//! Source of the shapes: the release notes of AKS's image builder, which also lie on the
//! node as `/opt/azure/vhd-install.complete`.

pub mod catalogue;
pub mod compare;
pub mod drift;
pub mod first_fix;
mod inventory;
mod label;
pub mod list;
mod patch;
pub mod sources;
pub mod variants;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::facts::{PackageManager, Packages};
use crate::version::without_epoch;

pub use inventory::{ImageInventory, NotComparable};
pub use label::{
    ImageLabel, LineSystem, NODE_IMAGE_LABEL, NoImageLabel, build_of, family_by_any_name,
    family_of, folder_of, is_known_line, is_version, named_by_path, system_of_line,
};
pub use patch::{
    PackageChange, PatchBase, PatchDifference, PatchMisfit, PatchPart, PatchParts, SecurityPatch,
    apply,
};

/// One release of one line of node images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageRelease {
    /// Which line of images, as the node's label names it without the version:
    /// `AKSUbuntu-2204gen2containerd`.
    pub family: String,
    /// Which image of that line: `202607.02.0`.
    pub version: String,
    /// When its build began, where that is stated.
    pub built_at: Option<Timestamp>,
    /// Release of the kernel that ran at the end of the build, where that is stated.
    pub kernel: Option<String>,
    /// `ID` of its os-release(5), where that is stated; `windows` for Windows.
    pub os_id: Option<String>,
    /// `VERSION_ID` of its os-release(5), or the build of Windows, where that is stated.
    pub os_version_id: Option<String>,
    /// What is installed in it.
    pub packages: ShippedPackages,
}

/// The packages of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShippedPackages {
    /// All of them, by name. Shared, because most are in many images.
    Listed(Vec<Arc<ShippedPackage>>),
    /// They are not known, and why. Never to be read as none.
    Unknown(String),
}

/// One package of an image. Names are those of binary packages; the source is not stated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ShippedPackage {
    /// Binary package name.
    pub name: String,
    /// Version, in the distribution's own form: of rpm `version-release`, never with an
    /// epoch, because the list has none.
    pub version: String,
    /// Architecture; empty for what has none, such as rpm's `gpg-pubkey`.
    pub architecture: String,
}

impl ShippedPackages {
    /// What a node has installed, as lists of images have it: of rpm without epochs.
    #[must_use]
    pub fn of_node(packages: &Packages) -> Self {
        let shipped = packages.installed.iter().map(|package| ShippedPackage {
            name: package.name.clone(),
            version: match packages.manager {
                PackageManager::Dpkg => package.version.clone(),
                PackageManager::Rpm => without_epoch(&package.version).to_owned(),
            },
            architecture: package.architecture.clone(),
        });
        Self::listed(shipped.collect())
    }

    /// A list in any order.
    #[must_use]
    pub fn listed(mut packages: Vec<ShippedPackage>) -> Self {
        packages.sort();
        Self::Listed(packages.into_iter().map(Arc::new).collect())
    }
}

impl ImageRelease {
    /// The value of the node's label: `AKSUbuntu-2204gen2containerd-202607.02.0`.
    #[must_use]
    pub fn label(&self) -> ImageLabel {
        ImageLabel { family: self.family.clone(), version: self.version.clone(), patched: None }
    }

    /// When it was built, and, of one day, by which number: by its note, or else by the day
    /// that its version begins with.
    #[must_use]
    pub fn build(&self) -> (Option<Timestamp>, u32) {
        let (day, number) = build_of(&self.version).unzip();
        (self.built_at.or(day), number.unwrap_or_default())
    }

    /// Its packages, or none where they are not known.
    #[must_use]
    pub fn listed(&self) -> Option<&[Arc<ShippedPackage>]> {
        match &self.packages {
            ShippedPackages::Listed(packages) => Some(packages),
            ShippedPackages::Unknown(_) => None,
        }
    }

    /// The versions of a package that it ships: several where several are installed, as
    /// kernels are. Nothing comes of an image whose packages are not known either: see
    /// [`Self::listed`].
    pub fn versions_of(&self, name: &str) -> impl Iterator<Item = &str> {
        let listed = self.listed().unwrap_or_default();
        let first = listed.partition_point(|package| package.name.as_str() < name);
        let named = listed.get(first..).unwrap_or_default().iter();
        named
            .take_while(move |package| package.name == name)
            .map(|package| package.version.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, built_at: Option<i64>) -> ImageRelease {
        let package = |name: &str, version: &str| ShippedPackage {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "x86_64".to_owned(),
        };
        ImageRelease {
            family: "AKSAzureLinux-V3gen2".to_owned(),
            version: version.to_owned(),
            built_at: built_at.map(|second| Timestamp::from_second(second).expect("a moment")),
            kernel: Some("6.6.57.1-7.azl3".to_owned()),
            os_id: Some("azurelinux".to_owned()),
            os_version_id: Some("3.0".to_owned()),
            packages: ShippedPackages::listed(vec![
                package("kernel", "6.6.57.1-6.azl3"),
                package("curl", "8.8.0-3.azl3"),
                package("kernel", "6.6.57.1-7.azl3"),
            ]),
        }
    }

    #[test]
    fn a_package_may_be_there_in_several_versions() {
        let image = release("202501.22.0", Some(0));
        let kernels: Vec<&str> = image.versions_of("kernel").collect();
        assert_eq!(kernels, ["6.6.57.1-6.azl3", "6.6.57.1-7.azl3"]);
        assert_eq!(image.versions_of("kern").count(), 0);
        assert_eq!(image.label().to_string(), "AKSAzureLinux-V3gen2-202501.22.0");
    }

    #[test]
    fn an_unknown_list_is_no_empty_one() {
        let mut image = release("202501.22.0", Some(0));
        image.packages = ShippedPackages::Unknown("a stub".to_owned());
        assert_eq!(image.listed(), None);
        image.packages = ShippedPackages::listed(Vec::new());
        assert_eq!(image.listed().map(<[_]>::len), Some(0));
    }
}
