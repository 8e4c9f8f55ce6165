//! Which image a path names. One line of images has three names: the node's label, the
//! folder of AKS's image builder, and that folder with dashes, which is the key of the
//! Vulnerability API. Source of the table: the image builder's folders beside the `sku` of
//! the lists of container images in them.

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
pub(super) fn named(path: &str) -> Option<(String, String)> {
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
            assert_eq!(named(path), Some((family.to_owned(), version.to_owned())), "{path}");
        }
        for path in [
            "",
            "202607.02.0.txt",
            "notes/202607.02.0.txt",
            "AKSUbuntu/gen2/2204containerd/latest.txt",
            "AKSUbuntu/gen2/2204containerd/202607.02.0-image-list.json",
            "AKSUbuntu/gen2/2204containerd/202607.02.0-trivy-table.txt",
        ] {
            assert_eq!(named(path), None, "{path}");
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
