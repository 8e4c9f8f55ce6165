//! The one kernel that counts: the one that runs. Vendors' advisories name the source that
//! kernels are made of; nodes have its image under a signed source, meta packages with
//! versions of another shape, headers, tools and older kernels, none of which runs. Sources:
//! the naming of Debian's, Ubuntu's and Azure Linux's kernel packages, uname(2).

use crate::facts::{Kernel, Package, PackageManager, Packages, RPM_KERNELS};
use crate::kernel_package::{dpkg_flavour, dpkg_parts, dpkg_release, runs};
use crate::version::{dpkg, rpm};

/// The kernel that runs, in the words of advisories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningKernel {
    /// The source package that advisories name.
    pub source: String,
    /// The version of it that runs.
    pub version: String,
    /// The package that installed it, by its place among the installed ones; none where it
    /// is gone, as after an update that took it away below the running kernel.
    pub package: Option<usize>,
    /// The newest version of that source on disk, where it is newer than what runs.
    pub on_disk: Option<String>,
}

/// Whether a source package is a kernel, or what is built along with one: all that is never
/// judged but by the kernel that runs.
#[must_use]
pub fn is_of_kernel(manager: PackageManager, source: &str) -> bool {
    /// Sources of Debian and Ubuntu whose names begin like a kernel's.
    const OTHERS: [&str; 14] = [
        "linux-apfs-rw",
        "linux-atm",
        "linux-base",
        "linux-ftpd",
        "linux-ftpd-ssl",
        "linux-igd",
        "linux-minidisc",
        "linux-patch-rt",
        "linux-show-player",
        "linux-sgx",
        "linux-user-chroot",
        "linux-wlan-ng",
        "linux-wlan-ng-firmware",
        "linux-cpupower-gui",
    ];
    match manager {
        PackageManager::Dpkg => {
            source == "linux"
                || (source.starts_with("linux-")
                    && !source.starts_with("linux-firmware")
                    && !OTHERS.contains(&source))
        }
        PackageManager::Rpm => {
            let plain = unsigned(source);
            RPM_KERNELS.contains(&plain.as_str())
                || ["kernel-headers", "kernel-tools"].contains(&plain.as_str())
        }
    }
}

/// The source that advisories name, of the one that signed the image: `linux-azure` of
/// `linux-signed-azure`, `linux` of Debian's `linux-signed-amd64`, `kernel` of Azure
/// Linux's `kernel-signed-x86_64`.
fn unsigned(source: &str) -> String {
    /// What Debian puts behind for an architecture.
    const ARCHITECTURES: [&str; 6] = ["amd64", "arm64", "i386", "x86_64", "aarch64", "x64"];
    let Some((before, behind)) = source.split_once("-signed") else {
        return source.to_owned();
    };
    match behind.strip_prefix('-') {
        None => before.to_owned(),
        Some(architecture) if ARCHITECTURES.contains(&architecture) => before.to_owned(),
        Some(flavour) => format!("{before}-{flavour}"),
    }
}

/// The kernel that runs, or why it cannot be told.
pub(crate) fn running(kernel: &Kernel, packages: &Packages) -> Result<RunningKernel, String> {
    match packages.manager {
        PackageManager::Dpkg => of_dpkg(kernel, packages),
        PackageManager::Rpm => of_rpm(kernel, packages),
    }
}

fn of_dpkg(kernel: &Kernel, packages: &Packages) -> Result<RunningKernel, String> {
    let release = kernel.release.as_str();
    let images: Vec<(usize, &Package, &str)> = packages
        .installed
        .iter()
        .enumerate()
        .filter_map(|(index, package)| Some((index, package, dpkg_release(&package.name)?)))
        .collect();
    let installed = images.iter().find(|(_, _, installs)| *installs == release);
    // What runs says its own build; the package may have been given a newer one since.
    let told = told_by_uname(release, &kernel.version);
    let (source, version) = match (installed, told) {
        // Not the version of the source: what signs the image counts by itself.
        (Some((_, package, _)), told) => {
            (unsigned(&package.source), told.unwrap_or_else(|| package.version.clone()))
        }
        (None, Some(version)) => (source_of_release(release, &version), version),
        (None, None) => return Err(format!("no package installed the running kernel {release}")),
    };
    let on_disk = images
        .iter()
        .filter(|(_, package, _)| unsigned(&package.source) == source)
        .map(|(_, package, _)| package.version.as_str())
        .max_by(|a, b| dpkg::compare(a, b))
        .filter(|newest| dpkg::compare(newest, &version).is_gt())
        .map(ToOwned::to_owned);
    Ok(RunningKernel { source, version, package: installed.map(|(index, ..)| *index), on_disk })
}

/// The version of the running kernel's package, by what `uname -v` says: Debian ends it
/// with the version, Ubuntu begins it with the number of the upload.
fn told_by_uname(release: &str, version: &str) -> Option<String> {
    if let Some((_, version)) = version.split_once(" Debian ") {
        return version.split(' ').next().map(ToOwned::to_owned);
    }
    let upload = version.strip_prefix('#')?.split_once("-Ubuntu")?.0;
    let (build, _) = dpkg_parts(release)?;
    let is_number = upload.starts_with(|first: char| first.is_ascii_digit());
    is_number.then(|| format!("{build}.{upload}"))
}

/// The source of a kernel whose package is gone. Ubuntu gives one that it takes over from a
/// later release (`~22.04.1`) a source with its version: `linux-azure-6.8`.
pub(crate) fn source_of_release(release: &str, version: &str) -> String {
    let flavour = match dpkg_flavour(release) {
        "generic" | "" => None,
        // Debian's flavours are all of one source.
        flavour if flavour.ends_with("amd64") || flavour.ends_with("arm64") => {
            return "linux".to_owned();
        }
        flavour => Some(flavour),
    };
    let mut numbers = release.split('.');
    let series = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => String::new(),
    };
    match (flavour, version.contains('~')) {
        (None, false) => "linux".to_owned(),
        (None, true) => format!("linux-hwe-{series}"),
        (Some(flavour), false) => format!("linux-{flavour}"),
        (Some(flavour), true) => format!("linux-{flavour}-{series}"),
    }
}

fn of_rpm(kernel: &Kernel, packages: &Packages) -> Result<RunningKernel, String> {
    let images: Vec<(usize, &Package)> = packages
        .installed
        .iter()
        .enumerate()
        .filter(|(_, package)| RPM_KERNELS.contains(&package.name.as_str()))
        .collect();
    let installed = images.iter().find(|(_, package)| runs(package, &kernel.release));
    let Some((index, package)) = installed else {
        return Err(format!("no package installed the running kernel {}", kernel.release));
    };
    let source = unsigned(&package.source);
    let version = package.version.clone();
    let on_disk = images
        .iter()
        .filter(|(_, other)| unsigned(&other.source) == source)
        .map(|(_, other)| other.version.as_str())
        .max_by(|a, b| rpm::compare(a, b))
        .filter(|newest| rpm::compare(newest, &version).is_gt())
        .map(ToOwned::to_owned);
    Ok(RunningKernel { source, version, package: Some(*index), on_disk })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{kernel, packages};
    use super::*;

    #[test]
    fn the_running_kernel_is_found_below_signed_meta_and_older_packages() {
        let ubuntu = packages(
            PackageManager::Dpkg,
            &[
                "linux-headers-5.15.0-1102-azure 5.15.0-1102.111 linux-azure 5.15.0-1102.111",
                "linux-image-5.15.0-1102-azure 5.15.0-1102.111 linux-signed-azure 5.15.0-1102.111",
                "linux-image-5.15.0-1116-azure 5.15.0-1116.125 linux-signed-azure 5.15.0-1116.125",
                "linux-image-azure-lts-22.04 5.15.0.1116.114 linux-meta-azure 5.15.0.1116.114",
                "linux-libc-dev 5.15.0-174.184 linux 5.15.0-174.184",
            ],
        );
        let older = running(&kernel("5.15.0-1102-azure", "#111-Ubuntu SMP x"), &ubuntu);
        assert_eq!(
            older.expect("runs"),
            RunningKernel {
                source: "linux-azure".to_owned(),
                version: "5.15.0-1102.111".to_owned(),
                package: Some(1),
                on_disk: Some("5.15.0-1116.125".to_owned()),
            }
        );
        let newer = running(&kernel("5.15.0-1116-azure", "#125-Ubuntu SMP x"), &ubuntu);
        assert_eq!(newer.expect("runs").on_disk, None);
        // Its package is gone, and it still runs.
        let gone = running(&kernel("5.15.0-1089-azure", "#98-Ubuntu SMP x"), &ubuntu);
        let gone = gone.expect("runs");
        assert_eq!((&*gone.source, &*gone.version), ("linux-azure", "5.15.0-1089.98"));
        assert_eq!((gone.package, gone.on_disk.as_deref()), (None, Some("5.15.0-1116.125")));
        assert!(running(&kernel("5.15.0-1-custom", "#1 SMP x"), &ubuntu).is_err());
    }

    #[test]
    fn a_newer_build_of_the_running_release_waits_for_a_reboot() {
        let debian = packages(
            PackageManager::Dpkg,
            &["linux-image-6.1.0-55-amd64 6.1.192-3 linux-signed-amd64 6.1.192+3"],
        );
        let uname = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)";
        assert_eq!(
            running(&kernel("6.1.0-55-amd64", uname), &debian).expect("runs"),
            RunningKernel {
                source: "linux".to_owned(),
                version: "6.1.192-2".to_owned(),
                package: Some(0),
                on_disk: Some("6.1.192-3".to_owned()),
            }
        );
    }

    #[test]
    fn of_two_kernels_of_rpm_the_one_that_runs_counts() {
        let azure_linux = packages(
            PackageManager::Rpm,
            &[
                "kernel 6.6.57.1-7.azl3 kernel-signed-x86_64 6.6.57.1-7.azl3",
                "kernel 6.6.64.2-1.azl3 kernel 6.6.64.2-1.azl3",
                "kernel-headers 6.6.64.2-1.azl3 kernel-headers 6.6.64.2-1.azl3",
            ],
        );
        let older = running(&kernel("6.6.57.1-7.azl3", ""), &azure_linux).expect("runs");
        assert_eq!((older.package, older.on_disk.as_deref()), (Some(0), Some("6.6.64.2-1.azl3")));
        assert_eq!(older.source, "kernel");
        let newer = running(&kernel("6.6.64.2-1.azl3", ""), &azure_linux).expect("runs");
        assert_eq!((newer.package, newer.on_disk), (Some(1), None));
        assert!(running(&kernel("6.6.1-1.azl3", ""), &azure_linux).is_err());
    }

    #[test]
    fn a_kernel_whose_package_is_gone_has_the_source_that_its_version_tells() {
        for (release, version, source) in [
            ("5.15.0-181-generic", "5.15.0-181.191", "linux"),
            ("6.8.0-124-generic", "6.8.0-124.124~22.04.1", "linux-hwe-6.8"),
            ("6.8.0-1058-azure", "6.8.0-1058.64", "linux-azure"),
            ("6.8.0-1058-azure", "6.8.0-1058.64~22.04.1", "linux-azure-6.8"),
            ("5.4.0-1160-azure-fips", "5.4.0-1160.167+fips1", "linux-azure-fips"),
            ("6.1.0-55-cloud-amd64", "6.1.192-2", "linux"),
        ] {
            assert_eq!(source_of_release(release, version), source, "{release} {version}");
        }
    }

    #[test]
    fn what_goes_along_with_a_kernel_is_told_from_what_only_sounds_like_it() {
        for (manager, source, expected) in [
            (PackageManager::Dpkg, "linux", true),
            (PackageManager::Dpkg, "linux-meta-azure", true),
            (PackageManager::Dpkg, "linux-signed-azure-6.8", true),
            (PackageManager::Dpkg, "linux-restricted-modules", true),
            (PackageManager::Dpkg, "linux-base", false),
            (PackageManager::Dpkg, "linux-firmware", false),
            (PackageManager::Dpkg, "util-linux", false),
            (PackageManager::Rpm, "kernel", true),
            (PackageManager::Rpm, "kernel-signed-x86_64", true),
            (PackageManager::Rpm, "kernel-headers", true),
            (PackageManager::Rpm, "kernel-srpm-macros", false),
        ] {
            assert_eq!(is_of_kernel(manager, source), expected, "{source}");
        }
    }
}
