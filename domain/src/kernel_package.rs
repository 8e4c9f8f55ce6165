//! Packages that install kernels: which release each installs, and of which flavour it is.
//! Debian and Ubuntu name packages for releases, rpm's distributions name them for flavours.
//! Sources: the packages' own names in both.

use crate::facts::Package;
use crate::version::without_epoch;

/// The release that a kernel image package installs; none for other packages,
/// meta packages and debug symbols.
pub(crate) fn dpkg_release(package: &str) -> Option<&str> {
    let rest = package.strip_prefix("linux-image-")?;
    let release = rest.strip_prefix("unsigned-").unwrap_or(rest);
    let release = release.strip_suffix("-unsigned").unwrap_or(release);
    let is_image = !release.ends_with("-dbg") && !release.ends_with("-dbgsym");
    (is_image && dpkg_parts(release).is_some()).then_some(release)
}

/// Version with build, and flavour: `5.15.0-1102` and `azure`, `6.1.0-18` and
/// `cloud-amd64`, since Debian 13 `6.12.41+deb13` and `amd64`. None of a meta package,
/// which is named for a flavour (`azure-lts-22.04`) or has no build (`6.1-amd64`).
pub(crate) fn dpkg_parts(release: &str) -> Option<(&str, &str)> {
    let begins_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let (version, rest) = release.split_once('-').unwrap_or((release, ""));
    if !begins_with_digit(version) {
        return None;
    }
    if version.contains('+') {
        return Some((version, rest));
    }
    let (build, flavour) = rest.split_once('-').unwrap_or((rest, ""));
    begins_with_digit(build).then(|| (&release[..version.len() + 1 + build.len()], flavour))
}

/// The flavour of a release; empty of one that nobody packaged.
pub(crate) fn dpkg_flavour(release: &str) -> &str {
    dpkg_parts(release).map_or("", |(_, flavour)| flavour)
}

/// Version and release, which is what a kernel calls itself; an epoch is rpm's alone.
pub(crate) fn build(package: &Package) -> &str {
    without_epoch(&package.version)
}

/// The flavour of a kernel package: empty of `kernel` and `kernel-core`, `64k` of
/// `kernel-64k` and `kernel-64k-core`.
pub(crate) fn flavour(package: &Package) -> &str {
    let rest = package.name.strip_prefix("kernel").unwrap_or_default();
    let rest = rest.strip_suffix("-core").unwrap_or(rest);
    rest.strip_prefix('-').unwrap_or(rest)
}

/// Whether a package installed the running release. Azure Linux calls all flavours
/// `version-release`; Fedora adds the architecture, and `+64k` for a flavour.
pub(crate) fn runs(package: &Package, running: &str) -> bool {
    let Some(rest) = running.strip_prefix(build(package)) else {
        return false;
    };
    let rest = rest
        .strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(&package.architecture))
        .unwrap_or(rest);
    match rest.strip_prefix('+') {
        Some(named) => named == flavour(package),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_packages_are_told_from_meta_packages_and_symbols() {
        for (package, release) in [
            ("linux-image-5.15.0-1102-azure", Some("5.15.0-1102-azure")),
            ("linux-image-unsigned-6.8.0-1059-azure", Some("6.8.0-1059-azure")),
            ("linux-image-6.1.0-18-cloud-amd64", Some("6.1.0-18-cloud-amd64")),
            ("linux-image-azure-lts-22.04", None),
            ("linux-image-amd64", None),
            ("linux-image-6.1-amd64", None),
            ("linux-image-6.1.0-18-amd64-dbg", None),
            ("linux-headers-5.15.0-1102-azure", None),
            ("linux-image-6.12.41+deb13-amd64", Some("6.12.41+deb13-amd64")),
            ("linux-image-6.12.41+deb13-amd64-unsigned", Some("6.12.41+deb13-amd64")),
            ("linux-image-6.12.41+deb13-amd64-dbg", None),
            ("linux-image-6.1.0-0.deb11.13-amd64", Some("6.1.0-0.deb11.13-amd64")),
        ] {
            assert_eq!(dpkg_release(package), release, "{package}");
        }
    }

    #[test]
    fn the_flavour_is_what_follows_version_and_build() {
        assert_eq!(dpkg_flavour("5.15.0-1102-azure"), "azure");
        assert_eq!(dpkg_flavour("6.1.0-18-cloud-amd64"), "cloud-amd64");
        assert_eq!(dpkg_flavour("6.12.41+deb13-cloud-amd64"), "cloud-amd64");
        assert_eq!(dpkg_flavour("6.12.41+deb13-amd64"), dpkg_flavour("6.1.0-55-amd64"));
        assert_eq!(dpkg_flavour("6.18.44"), "");
    }
}
