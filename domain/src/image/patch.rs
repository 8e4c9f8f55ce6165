//! Security patches that are applied to nodes in place, between two images: which packages
//! they change, and what an image is after one. Source of the shapes: the package deltas that
//! AKS's image builder publishes for the channel SecurityPatch.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::Serialize;

use super::{ImageLabel, ImageRelease, ShippedPackage, ShippedPackages};
use crate::version::rpm;

/// One security patch for one operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecurityPatch {
    /// The moment of the package archive that it brings nodes to: of it the labels of
    /// nodes show the day.
    pub timestamp: Timestamp,
    /// `ID` of os-release(5) of the nodes that it is for.
    pub os_id: String,
    /// `VERSION_ID` of it.
    pub os_version_id: String,
    /// What it changes.
    pub parts: PatchParts,
}

impl SecurityPatch {
    /// Whether it is for the system of an image, as far as that is known.
    #[must_use]
    pub fn is_for(&self, image: &ImageRelease) -> bool {
        image.os_id.as_ref() == Some(&self.os_id)
            && image.os_version_id.as_ref() == Some(&self.os_version_id)
    }

    /// Its parts; none where nothing is said.
    #[must_use]
    pub fn listed(&self) -> Option<&[PatchPart]> {
        match &self.parts {
            PatchParts::Listed(parts) => Some(parts),
            PatchParts::Empty => None,
        }
    }
}

/// What a security patch changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchParts {
    /// Nothing is said. Never to be read as that nothing changes.
    Empty,
    /// The changes, from one or several states.
    Listed(Vec<PatchPart>),
}

/// The changes from one state to that of the patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatchPart {
    /// The state before.
    pub from: PatchBase,
    /// Whether nodes must be started anew before all of it runs.
    pub needs_reboot: bool,
    /// The changes, in their order.
    pub changes: Vec<PackageChange>,
}

/// The state that a patch begins from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchBase {
    /// An earlier patch.
    Patch(Timestamp),
    /// An image as it was built.
    Image(ImageLabel),
    /// Not stated; the system only, as it is spelt: `Ubuntu 24.04`.
    Unnamed(String),
}

/// What becomes of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageChange {
    /// Another version takes the place of what is there.
    Upgrade {
        /// Binary package name.
        name: String,
        /// Architecture, where it is stated. apt names the machine's own for packages of all.
        architecture: Option<String>,
        /// The version before, where it is stated.
        old: Option<String>,
        /// The version after. Of rpm with an epoch, where it has one.
        new: String,
        /// Where it comes from, where that is stated.
        repository: Option<String>,
    },
    /// It is added; beside other versions of it, as kernels are.
    Install {
        /// Binary package name.
        name: String,
        /// Architecture, where it is stated.
        architecture: Option<String>,
        /// The version.
        version: String,
        /// Where it comes from, where that is stated.
        repository: Option<String>,
    },
    /// It is taken away.
    Remove {
        /// Binary package name.
        name: String,
        /// Architecture, where it is stated.
        architecture: Option<String>,
        /// The version, where it is stated.
        version: Option<String>,
    },
}

/// Why a part does not fit an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchMisfit {
    /// It begins from another image.
    #[error("{label}: the part begins from {base}")]
    OtherImage {
        /// The image.
        label: String,
        /// The image that the part begins from.
        base: String,
    },
    /// The packages of the image are not known, so neither are they after the patch.
    #[error("{label}: its packages are not known: {why}")]
    Unlisted {
        /// The image.
        label: String,
        /// Why.
        why: String,
    },
    /// Packages of the image are not as they were where the patch was made.
    #[error("{label}: {} packages are not as the part expects: {}", .differences.len(), first(.differences))]
    Differs {
        /// The image.
        label: String,
        /// All that differ, in the order of the part.
        differences: Vec<PatchDifference>,
    },
}

/// A package that is not as a patch expects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatchDifference {
    /// Binary package name.
    pub name: String,
    /// The version that the patch expects: none where it expects any.
    pub expected: Option<String>,
    /// The versions that are there.
    pub found: Vec<String>,
}

fn first(differences: &[PatchDifference]) -> String {
    differences.first().map_or_else(String::new, ToString::to_string)
}

impl std::fmt::Display for PatchDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let expected = self.expected.as_deref().unwrap_or("any version");
        let found = match self.found.as_slice() {
            [] => "none".to_owned(),
            versions => versions.join(", "),
        };
        write!(f, "{}: {expected} expected, {found} found", self.name)
    }
}

/// What an image is after a part of a patch, once its nodes have been started anew where that
/// is needed. Its version stays that of the image: the day of the patch stands in the label
/// of a node alone. Where a package is not as the part expects, nothing is made up: all that
/// differ are told.
pub fn apply(image: &ImageRelease, part: &PatchPart) -> Result<ImageRelease, PatchMisfit> {
    if let PatchBase::Image(base) = &part.from
        && (base.family != image.family || base.version != image.version)
    {
        return Err(PatchMisfit::OtherImage {
            label: image.label().to_string(),
            base: base.to_string(),
        });
    }
    let listed = match &image.packages {
        ShippedPackages::Listed(listed) => listed,
        ShippedPackages::Unknown(why) => {
            return Err(PatchMisfit::Unlisted {
                label: image.label().to_string(),
                why: why.clone(),
            });
        }
    };
    let mut state = Installed {
        packages: listed.iter().map(|package| (**package).clone()).collect(),
        differences: Vec::new(),
    };
    let mut kernel = None;
    for change in &part.changes {
        if let Some(release) = state.change(change) {
            kernel = Some(release);
        }
    }
    if !state.differences.is_empty() {
        return Err(PatchMisfit::Differs {
            label: image.label().to_string(),
            differences: state.differences,
        });
    }
    Ok(ImageRelease {
        kernel: kernel.filter(|_| part.needs_reboot).or_else(|| image.kernel.clone()),
        packages: ShippedPackages::listed(state.packages),
        ..image.clone()
    })
}

/// Packages while changes are made to them.
struct Installed {
    packages: Vec<ShippedPackage>,
    differences: Vec<PatchDifference>,
}

impl Installed {
    /// Makes one change; tells the release of a kernel that came by it.
    fn change(&mut self, change: &PackageChange) -> Option<String> {
        match change {
            PackageChange::Upgrade { name, architecture, old, new, .. } => {
                let new = stored(new, architecture.as_deref());
                let places = self.places(name, architecture.as_deref());
                let fitting = places.iter().copied().find(|place| match old {
                    Some(old) => self.packages[*place].version == *old,
                    // Of rpm the version before is not stated: it must be no later one.
                    None => rpm::compare(&self.packages[*place].version, &new) != Ordering::Greater,
                });
                match fitting {
                    Some(place) => self.packages[place].version = new,
                    None => self.differs(name, old.clone(), &places),
                }
                None
            }
            PackageChange::Install { name, architecture, version, .. } => {
                let version = stored(version, architecture.as_deref());
                let others = self.places(name, architecture.as_deref());
                if !others.iter().any(|place| self.packages[*place].version == version) {
                    let of_others = || {
                        let other = others.first().map(|place| &self.packages[*place]);
                        other.map(|other| other.architecture.clone())
                    };
                    let architecture = architecture.clone().or_else(of_others).unwrap_or_default();
                    let release = kernel_release(name, &version);
                    let name = name.clone();
                    self.packages.push(ShippedPackage { name, version, architecture });
                    return release;
                }
                kernel_release(name, &version)
            }
            PackageChange::Remove { name, architecture, version } => {
                let places = self.places(name, architecture.as_deref());
                let is_it = |place: &&usize| {
                    version
                        .as_ref()
                        .is_none_or(|version| self.packages[**place].version == *version)
                };
                match places.iter().find(is_it) {
                    Some(place) => drop(self.packages.remove(*place)),
                    None => self.differs(name, version.clone(), &places),
                }
                None
            }
        }
    }

    /// Where a package stands in the list. apt names the machine's own architecture for
    /// packages that are of all.
    fn places(&self, name: &str, architecture: Option<&str>) -> Vec<usize> {
        let fits = |package: &ShippedPackage| {
            package.name == name
                && architecture.is_none_or(|named| {
                    package.architecture == named || package.architecture == "all"
                })
        };
        (0..self.packages.len()).filter(|place| fits(&self.packages[*place])).collect()
    }

    fn differs(&mut self, name: &str, expected: Option<String>, places: &[usize]) {
        let found = places.iter().map(|place| self.packages[*place].version.clone()).collect();
        self.differences.push(PatchDifference { name: name.to_owned(), expected, found });
    }
}

/// A version as the list of an image has it: of rpm, whose changes state no architecture,
/// without epoch.
fn stored(version: &str, architecture: Option<&str>) -> String {
    let plain = match (architecture, version.split_once(':')) {
        (None, Some((_, plain))) => plain,
        _ => version,
    };
    plain.to_owned()
}

/// The release of a kernel by the package that brings it: `linux-image-5.15.0-1116-azure` of
/// Debian's kind, `kernel` of rpm.
fn kernel_release(name: &str, version: &str) -> Option<String> {
    if name == "kernel" {
        return Some(version.to_owned());
    }
    let release = name.strip_prefix("linux-image-")?;
    release.starts_with(|first: char| first.is_ascii_digit()).then(|| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(packages: &[(&str, &str, &str)]) -> ImageRelease {
        let package = |(name, version, architecture): &(&str, &str, &str)| ShippedPackage {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            architecture: (*architecture).to_owned(),
        };
        ImageRelease {
            family: "AKSUbuntu-2204gen2containerd".to_owned(),
            version: "202606.19.0".to_owned(),
            built_at: None,
            kernel: Some("5.15.0-1-azure".to_owned()),
            os_id: Some("ubuntu".to_owned()),
            os_version_id: Some("22.04".to_owned()),
            packages: ShippedPackages::listed(packages.iter().map(package).collect()),
        }
    }

    fn upgrade(name: &str, old: &str, new: &str) -> PackageChange {
        PackageChange::Upgrade {
            name: name.to_owned(),
            architecture: (!old.is_empty()).then(|| "amd64".to_owned()),
            old: (!old.is_empty()).then(|| old.to_owned()),
            new: new.to_owned(),
            repository: None,
        }
    }

    fn install(name: &str, version: &str, architecture: Option<&str>) -> PackageChange {
        PackageChange::Install {
            name: name.to_owned(),
            architecture: architecture.map(str::to_owned),
            version: version.to_owned(),
            repository: None,
        }
    }

    fn part(needs_reboot: bool, changes: Vec<PackageChange>) -> PatchPart {
        PatchPart { from: PatchBase::Patch(Timestamp::UNIX_EPOCH), needs_reboot, changes }
    }

    fn versions(image: &ImageRelease, name: &str) -> Vec<String> {
        image.versions_of(name).map(str::to_owned).collect()
    }

    #[test]
    fn a_part_changes_the_packages_of_an_image() {
        let before =
            image(&[("curl", "1:7-1", "amd64"), ("tzdata", "1", "all"), ("old", "1", "amd64")]);
        let remove = PackageChange::Remove {
            name: "old".to_owned(),
            architecture: Some("amd64".to_owned()),
            version: Some("1".to_owned()),
        };
        let changes = vec![
            upgrade("curl", "1:7-1", "1:7-2"),
            upgrade("tzdata", "1", "2"),
            install("linux-image-5.15.0-2-azure", "5.15.0-2.1", Some("amd64")),
            remove,
        ];
        let after = apply(&before, &part(true, changes.clone())).expect("it fits");
        assert_eq!(versions(&after, "curl"), ["1:7-2"]);
        assert_eq!(versions(&after, "tzdata"), ["2"], "of all architectures");
        assert_eq!(versions(&after, "old"), Vec::<String>::new());
        assert_eq!(after.kernel.as_deref(), Some("5.15.0-2-azure"));
        assert_eq!((after.family, after.version), (before.family.clone(), before.version.clone()));
        let live = apply(&before, &part(false, changes)).expect("it fits");
        assert_eq!(live.kernel, before.kernel, "nobody started it anew");
    }

    #[test]
    fn a_kernel_of_rpm_comes_beside_the_old_and_epochs_are_left_out() {
        let before =
            image(&[("kernel", "6.6.1-1.azl3", "x86_64"), ("perl", "5.38.2-512.azl3", "x86_64")]);
        let changes =
            vec![install("kernel", "6.6.2-1.azl3", None), upgrade("perl", "", "4:5.38.2-513.azl3")];
        let after = apply(&before, &part(true, changes.clone())).expect("it fits");
        assert_eq!(versions(&after, "kernel"), ["6.6.1-1.azl3", "6.6.2-1.azl3"]);
        assert_eq!(
            after.listed().and_then(<[_]>::last).map(|one| one.architecture.as_str()),
            Some("x86_64")
        );
        assert_eq!(versions(&after, "perl"), ["5.38.2-513.azl3"]);
        assert_eq!(after.kernel.as_deref(), Some("6.6.2-1.azl3"));
        assert_eq!(apply(&after, &part(true, changes)).as_ref(), Ok(&after), "once is enough");
    }

    #[test]
    fn all_that_differ_are_told_and_nothing_is_made_up() {
        let before = image(&[("curl", "7-3", "amd64"), ("runc", "1.5.0-1.azl3", "x86_64")]);
        let changes = vec![
            upgrade("curl", "7-1", "7-2"),
            upgrade("wget", "1", "2"),
            upgrade("runc", "", "1.4.0-1.azl3"),
        ];
        let error = apply(&before, &part(false, changes.clone())).expect_err("it differs");
        let PatchMisfit::Differs { differences, .. } = &error else { panic!("{error}") };
        let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "curl: 7-1 expected, 7-3 found",
                "wget: 1 expected, none found",
                "runc: any version expected, 1.5.0-1.azl3 found"
            ]
        );
        assert!(error.to_string().contains("3 packages are not as the part expects: curl: 7-1"));
        let other = ImageLabel::parse("AKSUbuntu-2204gen2containerd-202606.01.0").expect("a label");
        let from_other =
            PatchPart { from: PatchBase::Image(other), ..part(false, changes.clone()) };
        assert!(matches!(apply(&before, &from_other), Err(PatchMisfit::OtherImage { .. })));
        let mut unknown = before;
        unknown.packages = ShippedPackages::Unknown("a stub".to_owned());
        assert!(matches!(
            apply(&unknown, &part(false, changes)),
            Err(PatchMisfit::Unlisted { .. })
        ));
    }
}
