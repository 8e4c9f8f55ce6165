//! The names of a node image. One line of images has three names: the node's label, the
//! folder of AKS's image builder, and that folder with dashes, which is the key of the
//! Vulnerability API. Sources: the label `kubernetes.azure.com/node-image-version` and its
//! older spellings; the image builder's folders beside the `sku` of the lists of container
//! images in them.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use crate::check::midnight;
use crate::facts::{PackageManager, built_on};

/// The label by which the provider names a node's image. The node's kubelet may write it.
pub const NODE_IMAGE_LABEL: &str = "kubernetes.azure.com/node-image-version";

/// A node's image as its label names it: `AKSUbuntu-2204gen2containerd-202607.02.0`, and with
/// the day of its last security patch behind it where one was applied in place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageLabel {
    /// The line of images: `AKSUbuntu-2204gen2containerd`.
    pub family: String,
    /// Which image of it: `202607.02.0`, of old `2022.10.03`, of Windows `20348.5499.260812`.
    pub version: String,
    /// The day of the security patch that was applied to it in place: `2024.12.01`.
    pub patched: Option<String>,
}

/// Why a text is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no node image: <family>-<version>, as AKSUbuntu-2204gen2containerd-202607.02.0"
)]
pub struct NoImageLabel {
    /// The text.
    pub text: String,
}

impl ImageLabel {
    /// An image by its label, or by its version and the line that it is of, by any of its
    /// names; an empty line is none.
    pub fn named(text: &str, family: &str) -> Result<Self, NoImageLabel> {
        if is_version(text) && !family.is_empty() {
            let family = family_by_any_name(family);
            return Ok(Self { family, version: text.to_owned(), patched: None });
        }
        Self::parse(text)
    }

    /// Reads a label. Older interfaces put colons where dashes stand today.
    pub fn parse(text: &str) -> Result<Self, NoImageLabel> {
        let no_label = || NoImageLabel { text: text.to_owned() };
        let plain = text.trim().replace(':', "-");
        let (mut rest, mut version) = plain.rsplit_once('-').ok_or_else(no_label)?;
        let mut patched = None;
        if is_day(version)
            && let Some((before, base)) = rest.rsplit_once('-')
            && is_version(base)
        {
            patched = Some(version.to_owned());
            (rest, version) = (before, base);
        }
        let has_two = rest.rsplit_once('-').is_some_and(|(_, last)| is_version(last));
        if !is_version(version) || has_two || !rest.starts_with("AKS") || rest.len() <= "AKS".len()
        {
            return Err(no_label());
        }
        let family = rest.to_owned();
        Ok(Self { family, version: version.to_owned(), patched })
    }
}

impl fmt::Display for ImageLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family, self.version)?;
        self.patched.iter().try_for_each(|day| write!(f, "-{day}"))
    }
}

/// Folders of the image builder, and the lines of images whose notes lie there.
const FAMILIES: [(&str, &str); 32] = [
    ("AKSAzureContainerLinux/arm64gen2tl", "AKSAzureLinux-aclgen2arm64TL"),
    ("AKSAzureContainerLinux/gen2tl", "AKSAzureLinux-aclgen2TL"),
    ("AKSAzureLinux/gen2", "AKSAzureLinux-V2gen2"),
    ("AKSAzureLinuxV3/cvmgen2", "AKSAzureLinux-V3gen2CVM"),
    ("AKSAzureLinuxV3/gen1", "AKSAzureLinux-V3"),
    ("AKSAzureLinuxV3/gen1fips", "AKSAzureLinux-V3fips"),
    ("AKSAzureLinuxV3/gen2", "AKSAzureLinux-V3gen2"),
    ("AKSAzureLinuxV3/gen2arm64", "AKSAzureLinux-V3gen2arm64"),
    ("AKSAzureLinuxV3/gen2arm64fips", "AKSAzureLinux-V3gen2arm64fips"),
    ("AKSAzureLinuxV3/gen2fips", "AKSAzureLinux-V3gen2fips"),
    ("AKSAzureLinuxV3/gen2kata", "AKSAzureLinux-V3katagen2"),
    ("AKSAzureLinuxV3/gen2tl", "AKSAzureLinux-V3gen2TL"),
    ("AKSAzureLinuxV3/osguardgen2fipstl", "AKSAzureLinux-OSGuardV3gen2fipsTL"),
    ("AKSFlatcar/gen2", "AKSFlatcar-flatcargen2"),
    ("AKSFlatcar/gen2arm64", "AKSFlatcar-flatcargen2arm64"),
    ("AKSUbuntu/gen1/2004fipscontainerd", "AKSUbuntu-2004fipscontainerd"),
    ("AKSUbuntu/gen1/2204containerd", "AKSUbuntu-2204containerd"),
    ("AKSUbuntu/gen1/2204fipscontainerd", "AKSUbuntu-2204fipscontainerd"),
    ("AKSUbuntu/gen1/2404containerd", "AKSUbuntu-2404containerd"),
    ("AKSUbuntu/gen2/2004cvmcontainerd", "AKSUbuntu-2004gen2CVMcontainerd"),
    ("AKSUbuntu/gen2/2004fipscontainerd", "AKSUbuntu-2004gen2fipscontainerd"),
    ("AKSUbuntu/gen2/2204arm64containerd", "AKSUbuntu-2204gen2arm64containerd"),
    ("AKSUbuntu/gen2/2204containerd", "AKSUbuntu-2204gen2containerd"),
    ("AKSUbuntu/gen2/2204fipscontainerd", "AKSUbuntu-2204gen2fipscontainerd"),
    ("AKSUbuntu/gen2/2204fipstlcontainerd", "AKSUbuntu-2204gen2fipsTLcontainerd"),
    ("AKSUbuntu/gen2/2204tlcontainerd", "AKSUbuntu-2204gen2TLcontainerd"),
    ("AKSUbuntu/gen2/2404arm64containerd", "AKSUbuntu-2404gen2arm64containerd"),
    ("AKSUbuntu/gen2/2404containerd", "AKSUbuntu-2404gen2containerd"),
    ("AKSUbuntu/gen2/2404cvmcontainerd", "AKSUbuntu-2404gen2CVMcontainerd"),
    ("AKSUbuntu/gen2/2404tlcontainerd", "AKSUbuntu-2404gen2TLcontainerd"),
    ("AKSUbuntu/gen2/2604minimalarm64containerd", "AKSUbuntu-2604minimalgen2arm64containerd"),
    ("AKSUbuntu/gen2/2604minimalcontainerd", "AKSUbuntu-2604minimalgen2containerd"),
];

/// The line of images of a folder of AKS's image builder, `AKSUbuntu/gen2/2204containerd`,
/// or of a key of the Vulnerability API, `AKSUbuntu-gen2-2204containerd`, in the words of
/// the node's label: `AKSUbuntu-2204gen2containerd`. None for a folder that is not known.
#[must_use]
pub fn family_of(folder: &str) -> Option<&'static str> {
    let plain = |text: &str| text.replace('/', "-").to_ascii_lowercase();
    let asked = plain(folder);
    FAMILIES.iter().find(|(known, _)| plain(known) == asked).map(|(_, family)| *family)
}

/// The folder of AKS's image builder where a line's notes lie; with dashes in the place of
/// slashes it is the key of the Vulnerability API. None for a line that is not known.
#[must_use]
pub fn folder_of(family: &str) -> Option<&'static str> {
    FAMILIES.iter().find(|(_, known)| known.eq_ignore_ascii_case(family)).map(|(folder, _)| *folder)
}

/// The line of images by any of its names, whatever their case: that of the label, of the
/// folder, of the Vulnerability API, or what an image's own list calls it
/// (`2204gen2containerd`). A name that is not known stays what it is.
#[must_use]
pub fn family_by_any_name(name: &str) -> String {
    let of_label = || {
        FAMILIES.iter().map(|(_, family)| *family).find(|family| {
            let definition = family.split_once('-').map_or(*family, |(_, definition)| definition);
            family.eq_ignore_ascii_case(name) || definition.eq_ignore_ascii_case(name)
        })
    };
    match (family_of(name).or_else(of_label), name.strip_prefix("windows-")) {
        (Some(family), _) => family.to_owned(),
        (None, Some(definition)) => format!("AKSWindows-{definition}"),
        (None, None) => name.to_owned(),
    }
}

/// What the labels of images begin with, by the operating system in them.
const GALLERIES: [&str; 5] =
    ["AKSAzureLinux-", "AKSCBLMariner-", "AKSFlatcar-", "AKSUbuntu-", "AKSWindows-"];

/// Whether a line of images is of a kind that is known. New lines of a known system are.
#[must_use]
pub fn is_known_line(family: &str) -> bool {
    let begins = |start: &&str| {
        family.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    GALLERIES.iter().any(begins)
}

/// The operating system of all images of a line, in the words of os-release(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSystem {
    /// `ID`; `windows` for Windows.
    pub id: &'static str,
    /// `VERSION_ID`, where the name of the line tells it.
    pub version_id: Option<String>,
    /// How its packages are listed, where they are.
    pub manager: Option<PackageManager>,
}

impl std::fmt::Display for LineSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)?;
        self.version_id.iter().try_for_each(|version| write!(f, " {version}"))
    }
}

/// The operating system of a line of images, as far as its name tells it: of
/// `AKSUbuntu-2204gen2containerd` Ubuntu 22.04.
#[must_use]
pub fn system_of_line(family: &str) -> Option<LineSystem> {
    let lower = family.to_ascii_lowercase();
    let (gallery, line) = lower.split_once('-')?;
    let (dpkg, rpm) = (Some(PackageManager::Dpkg), Some(PackageManager::Rpm));
    let system = |id, version: Option<&str>, manager| {
        Some(LineSystem { id, version_id: version.map(str::to_owned), manager })
    };
    match gallery {
        "aksubuntu" => {
            let year = line.get(..2).filter(|year| year.bytes().all(|b| b.is_ascii_digit()))?;
            let month = line.get(2..4).filter(|month| ["04", "10"].contains(month))?;
            system("ubuntu", Some(&format!("{year}.{month}")), dpkg)
        }
        "akscblmariner" => system("mariner", None, rpm),
        "aksazurelinux" if line.starts_with("v2") => system("mariner", Some("2.0"), rpm),
        "aksazurelinux" if line.starts_with("v3") || line.starts_with("osguardv3") => {
            system("azurelinux", Some("3.0"), rpm)
        }
        "aksflatcar" => system("flatcar", None, None),
        "akswindows" => system("windows", None, None),
        _ => None,
    }
}

/// When an image was built, as an AKS image version tells: midnight of the day that it begins
/// with, UTC, and the number behind it. None for a version of another form. A note that says
/// when the build began knows better: an image with an earlier day may be built later.
#[must_use]
pub fn build_of(version: &str) -> Option<(Timestamp, u32)> {
    let day = built_on(version).and_then(midnight)?;
    let (_, number) = version.rsplit_once('.')?;
    Some((day, number.parse().ok()?))
}

/// A day as labels write it: `2024.12.01`.
fn is_day(text: &str) -> bool {
    let mut parts = text.split('.').map(|part| (part.len(), part.parse::<i16>().ok()));
    let (Some((4, Some(year))), Some((2, Some(month))), Some((2, Some(day))), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    Date::new(year, month, day).is_ok_and(|day| day >= date(2018, 1, 1))
}

/// Whether a text is the version of an AKS image: `202607.02.0`, of old `2022.10.03`, of
/// Windows `20348.5499.260812`.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').take(4).collect();
    let are_digits =
        parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    are_digits && matches!(lengths.as_slice(), [6, 2, _] | [4, 2, 2] | [5, _, 6])
}

/// Family and version by a path that ends in `<family>/<version>.txt`. A folder that is
/// known by no label gives its own name.
#[must_use]
pub fn named_by_path(path: &str) -> Option<(String, String)> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let version = parts.pop()?.strip_suffix(".txt").filter(|version| is_version(version))?;
    let gallery = parts.iter().rposition(|part| part.starts_with("AKS"))?;
    let folder = parts[gallery..].join("/");
    let family = match family_of(&folder) {
        Some(family) => family.to_owned(),
        None if folder.starts_with("AKSWindows/") => folder.replace('/', "-"),
        None => folder,
    };
    Some((family, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_system_and_one_of_no_known_kind_none() {
        for (family, expected) in [
            ("AKSUbuntu-2204gen2containerd", Some("ubuntu 22.04")),
            ("AKSUbuntu-2604minimalgen2containerd", Some("ubuntu 26.04")),
            ("AKSAzureLinux-V2gen2", Some("mariner 2.0")),
            ("AKSAzureLinux-V3gen2fips", Some("azurelinux 3.0")),
            ("AKSAzureLinux-OSGuardV3gen2fipsTL", Some("azurelinux 3.0")),
            ("AKSAzureLinux-aclgen2TL", None),
            ("AKSFlatcar-flatcargen2", Some("flatcar")),
            ("AKSWindows-2022-containerd-gen2", Some("windows")),
            ("AKSUbuntu-x", None),
            ("AKSMars-9", None),
        ] {
            let system = system_of_line(family).map(|system| system.to_string());
            assert_eq!(system.as_deref(), expected, "{family}");
            assert_eq!(is_known_line(family), family != "AKSMars-9", "{family}");
        }
    }

    #[test]
    fn a_path_names_an_image_in_the_words_of_the_label() {
        for (path, family, version) in [
            (
                "AKSUbuntu/gen2/2204containerd/202607.02.0.txt",
                "AKSUbuntu-2204gen2containerd",
                "202607.02.0",
            ),
            ("/AKS/x/AKSAzureLinuxV3/gen2/202607.02.0.txt", "AKSAzureLinux-V3gen2", "202607.02.0"),
            (
                "images/AKSUbuntu-2204gen2containerd/2022.10.03.txt",
                "AKSUbuntu-2204gen2containerd",
                "2022.10.03",
            ),
            (
                "AKSWindows/2025-gen2/26100.33296.260812.txt",
                "AKSWindows-2025-gen2",
                "26100.33296.260812",
            ),
            (
                "AKSUbuntu/gen3/2804containerd/202807.02.0.txt",
                "AKSUbuntu/gen3/2804containerd",
                "202807.02.0",
            ),
        ] {
            assert_eq!(
                named_by_path(path),
                Some((family.to_owned(), version.to_owned())),
                "{path}"
            );
        }
        for path in [
            "",
            "202607.02.0.txt",
            "notes/202607.02.0.txt",
            "AKSUbuntu/gen2/2204containerd/latest.txt",
            "AKSUbuntu/gen2/2204containerd/202607.02.0-image-list.json",
            "AKSUbuntu/gen2/2204containerd/202607.02.0-trivy-table.txt",
        ] {
            assert_eq!(named_by_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_folder_is_known_in_both_spellings() {
        assert_eq!(
            family_of("AKSUbuntu-gen2-2204containerd"),
            Some("AKSUbuntu-2204gen2containerd")
        );
        assert_eq!(family_of("aksazurelinuxv3/GEN2TL"), Some("AKSAzureLinux-V3gen2TL"));
        assert_eq!(family_of("AKSUbuntu"), None);
        let folders: Vec<&str> = FAMILIES.iter().map(|(folder, _)| *folder).collect();
        assert!(folders.is_sorted());
        for (folder, family) in FAMILIES {
            assert_eq!(folder_of(family), Some(folder), "each line has one folder");
        }
        assert_eq!(family_by_any_name("2204GEN2containerd"), "AKSUbuntu-2204gen2containerd");
        assert_eq!(
            family_by_any_name("AKSUbuntu/gen2/2404containerd"),
            "AKSUbuntu-2404gen2containerd"
        );
        assert_eq!(family_by_any_name("windows-2025-gen2"), "AKSWindows-2025-gen2");
        assert_eq!(family_by_any_name("something"), "something");
    }

    #[test]
    fn a_label_is_read_from_the_right() {
        for (text, family, version, patched) in [
            (
                "AKSUbuntu-2204gen2containerd-202607.02.0",
                "AKSUbuntu-2204gen2containerd",
                "202607.02.0",
                None,
            ),
            (
                "AKSUbuntu-2204gen2containerd-202410.27.0-2024.12.01",
                "AKSUbuntu-2204gen2containerd",
                "202410.27.0",
                Some("2024.12.01"),
            ),
            (
                "AKSUbuntu-2204gen2containerd-2022.10.03",
                "AKSUbuntu-2204gen2containerd",
                "2022.10.03",
                None,
            ),
            ("AKSUbuntu:1604:2020.03.11", "AKSUbuntu-1604", "2020.03.11", None),
            (
                "AKSWindows-2022-containerd-20348.5499.260812",
                "AKSWindows-2022-containerd",
                "20348.5499.260812",
                None,
            ),
            ("AKSAzureContainerLinux-202606.01.0", "AKSAzureContainerLinux", "202606.01.0", None),
        ] {
            let label = ImageLabel::parse(text).expect(text);
            assert_eq!(
                (label.family.as_str(), label.version.as_str(), label.patched.as_deref()),
                (family, version, patched)
            );
            assert_eq!(label.to_string(), text.replace(':', "-"));
        }
        for odd in [
            "",
            "AKS-202607.02.0",
            "202607.02.0",
            "AKSUbuntu-2204gen2containerd",
            "AKSUbuntu-2204-202607.02",
            "Ubuntu-2204-202607.02.0",
            "AKSUbuntu-2204-202607.02.0-2024.13.01",
        ] {
            assert!(ImageLabel::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_version_tells_day_and_number_of_a_build() {
        let day = |text: &str| text.parse::<Timestamp>().expect("a moment");
        assert_eq!(build_of("202603.12.1"), Some((day("2026-03-12T00:00:00Z"), 1)));
        for other in ["202603.12", "202603.12.x", "202613.01.0", "newest", ""] {
            assert_eq!(build_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_version_has_one_of_three_forms() {
        for version in ["202607.02.0", "202607.02.11", "2022.10.03", "20348.5499.260812"] {
            assert!(is_version(version), "{version}");
        }
        for text in ["", "202607.02", "202607.02.", "202607.2.0", "20348.x.y", "202607.02.0.1"] {
            assert!(!is_version(text), "{text}");
        }
    }
}
