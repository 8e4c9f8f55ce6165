//! Which installed kernel is the next one of the running kernel's flavour: Debian and
//! Ubuntu name packages for releases, rpm's distributions name them for flavours and keep
//! one of each version. Sources: the packages' own names in both.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::build::newer_build;
use crate::facts::{Kernel, Package, PackageManager, Packages, RPM_KERNELS};
use crate::kernel_package::{build, dpkg_flavour, dpkg_release, flavour, runs};
use crate::version::{dpkg, rpm};

/// What the package database says of kernels like the running one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// This is the newest.
    Newest(Newest),
    /// None of this flavour is installed as a package.
    NoneOfFlavour(String),
    /// Kernels of several flavours are installed, and the running one is not.
    Unclear(String),
}

/// The newest installed kernel of a flavour.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Newest {
    /// What `uname -r` would say, as far as the database knows.
    pub(super) release: String,
    /// The package that installed it.
    pub(super) package: String,
    /// A reboot would start it in the place of an older one.
    pub(super) is_newer_than_running: bool,
    /// The builds of the running kernel and of its package, where the package has been
    /// given a newer one under the same release.
    pub(super) builds: Option<[String; 2]>,
}

/// The newest installed kernel of the flavour of the running one.
pub(super) fn newest(kernel: &Kernel, packages: &Packages) -> Installed {
    match packages.manager {
        PackageManager::Dpkg => of_dpkg(kernel, packages),
        PackageManager::Rpm => of_rpm(&kernel.release, packages),
    }
}

/// The newest release among those on disk that are of the flavour of the running one.
pub(super) fn newest_image<'a>(running: &str, releases: &'a [String]) -> Option<&'a str> {
    let flavour = dpkg_flavour(running);
    let alike = releases.iter().filter(|release| dpkg_flavour(release) == flavour);
    alike.map(String::as_str).max_by(|a, b| dpkg::compare(a, b))
}

fn of_dpkg(kernel: &Kernel, packages: &Packages) -> Installed {
    let running = kernel.release.as_str();
    let flavour = dpkg_flavour(running);
    let newest = packages
        .installed
        .iter()
        .filter_map(|package| Some((dpkg_release(&package.name)?, package)))
        .filter(|(release, _)| dpkg_flavour(release) == flavour)
        .max_by(|(a, _), (b, _)| dpkg::compare(a, b));
    let Some((newest, package)) = newest else {
        return Installed::NoneOfFlavour(flavour.to_owned());
    };
    Installed::Newest(Newest {
        release: newest.to_owned(),
        package: package.name.clone(),
        is_newer_than_running: dpkg::compare(running, newest) == Ordering::Less,
        builds: (running == newest)
            .then(|| newer_build(&kernel.version, &package.version))
            .flatten(),
    })
}

fn of_rpm(running: &str, packages: &Packages) -> Installed {
    let kernels: Vec<&Package> = packages
        .installed
        .iter()
        .filter(|package| RPM_KERNELS.contains(&package.name.as_str()))
        .collect();
    // The flavour of the package that runs. Where it is gone, as after an update that
    // replaced it, the only flavour there is.
    let flavours: BTreeSet<&str> = match kernels.iter().any(|kernel| runs(kernel, running)) {
        true => kernels.iter().filter(|kernel| runs(kernel, running)).map(|k| flavour(k)).collect(),
        false => kernels.iter().map(|kernel| flavour(kernel)).collect(),
    };
    let named = |flavour: &str| match flavour {
        "" => "kernel".to_owned(),
        flavour => format!("kernel-{flavour}"),
    };
    let wanted = match (flavours.first(), flavours.len()) {
        (None, _) => return Installed::NoneOfFlavour(String::new()),
        (Some(only), 1) => only,
        _ => {
            return Installed::Unclear(
                flavours.into_iter().map(named).collect::<Vec<_>>().join(", "),
            );
        }
    };
    let newest = kernels
        .iter()
        .filter(|kernel| flavour(kernel) == *wanted)
        .max_by(|a, b| rpm::compare(&a.version, &b.version));
    let Some(newest) = newest else {
        return Installed::NoneOfFlavour((*wanted).to_owned());
    };
    let build = build(newest);
    Installed::Newest(Newest {
        release: build.to_owned(),
        package: format!("{}-{build}.{}", newest.name, newest.architecture),
        is_newer_than_running: !runs(newest, running)
            && rpm::compare(without_architecture(running, &newest.architecture), build)
                == Ordering::Less,
        // Its releases name the build.
        builds: None,
    })
}

/// A release without what Fedora adds to version and release.
fn without_architecture<'a>(release: &'a str, architecture: &str) -> &'a str {
    let plain = release.split_once('+').map_or(release, |(plain, _)| plain);
    plain.strip_suffix(architecture).and_then(|plain| plain.strip_suffix('.')).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_other_flavours_are_none_of_this_kernels() {
        let releases = ["6.1.0-55-amd64", "6.1.0-56-amd64", "6.1.0-57-cloud-amd64"];
        let releases = releases.map(str::to_owned);
        assert_eq!(newest_image("6.1.0-55-amd64", &releases), Some("6.1.0-56-amd64"));
        assert_eq!(newest_image("6.1.0-55-rt-amd64", &releases), None);
    }

    /// An rpm database with these packages, `name version architecture`.
    fn rpm_with(installed: &[&str]) -> Packages {
        let package = |line: &&str| {
            let mut words = line.split(' ').map(ToOwned::to_owned);
            let mut next = || words.next().expect("three words");
            let (name, version, architecture) = (next(), next(), next());
            Package {
                source: name.clone(),
                source_version: version.clone(),
                held: false,
                origin: String::new(),
                name,
                architecture,
                version,
            }
        };
        Packages {
            manager: PackageManager::Rpm,
            path: "/var/lib/rpm/rpmdb.sqlite".to_owned(),
            installed: installed.iter().map(package).collect(),
            unfinished: Vec::new(),
            lock: crate::facts::DatabaseLock::Free,
        }
    }

    #[test]
    fn the_next_kernel_is_the_newest_of_the_flavour_that_runs() {
        for (running, installed, expected) in [
            (
                "6.6.35.1-5.azl3",
                &["kernel 6.6.35.1-5.azl3 x86_64"][..],
                Some(("kernel-6.6.35.1-5.azl3.x86_64", false)),
            ),
            (
                "6.6.9.1-5.azl3",
                &["kernel 6.6.10.1-1.azl3 x86_64", "kernel 6.6.9.1-5.azl3 x86_64"],
                Some(("kernel-6.6.10.1-1.azl3.x86_64", true)),
            ),
            // Another build of the same version.
            (
                "6.6.64.2-1.azl3",
                &["kernel 6.6.64.2-1.azl3 x86_64", "kernel 6.6.64.2-9.azl3 x86_64"],
                Some(("kernel-6.6.64.2-9.azl3.x86_64", true)),
            ),
            // Someone went back to the older one on purpose or not: a newer one runs.
            (
                "6.6.64.2-9.azl3",
                &["kernel 6.6.57.1-7.azl3 x86_64"],
                Some(("kernel-6.6.57.1-7.azl3.x86_64", false)),
            ),
            // Replaced by `rpm -U`: what ran is no package any more.
            (
                "6.6.57.1-7.azl3",
                &["kernel 6.6.64.2-9.azl3 x86_64"],
                Some(("kernel-6.6.64.2-9.azl3.x86_64", true)),
            ),
            // What goes along with a kernel is none.
            (
                "6.6.57.1-7.azl3",
                &["kernel 6.6.57.1-7.azl3 x86_64", "kernel-devel 6.6.64.2-9.azl3 x86_64"],
                Some(("kernel-6.6.57.1-7.azl3.x86_64", false)),
            ),
            // A flavour of its own, which Azure Linux does not put into the release.
            (
                "6.6.57.1-7.azl3",
                &[
                    "kernel 6.6.64.2-9.azl3 aarch64",
                    "kernel-64k 6.6.57.1-7.azl3 aarch64",
                    "kernel-64k 6.6.60.1-1.azl3 aarch64",
                ],
                Some(("kernel-64k-6.6.60.1-1.azl3.aarch64", true)),
            ),
            (
                "6.6.119.3-1.azl3",
                &["kernel-ipe 6.6.119.3-1.azl3 x86_64"],
                Some(("kernel-ipe-6.6.119.3-1.azl3.x86_64", false)),
            ),
            // Fedora's releases carry the architecture; the meta package goes along.
            (
                "6.8.5-301.fc40.x86_64",
                &["kernel 6.8.5-301.fc40 x86_64", "kernel-core 6.8.5-301.fc40 x86_64"],
                Some(("kernel-core-6.8.5-301.fc40.x86_64", false)),
            ),
            (
                "6.8.5-301.fc40.x86_64",
                &["kernel-core 6.8.10-300.fc40 x86_64"],
                Some(("kernel-core-6.8.10-300.fc40.x86_64", true)),
            ),
            (
                "5.14.0-70.el9.aarch64+64k",
                &["kernel-64k-core 5.14.0-70.el9 aarch64", "kernel-core 5.14.0-90.el9 aarch64"],
                Some(("kernel-64k-core-5.14.0-70.el9.aarch64", false)),
            ),
            // Two flavours of one build, and nothing says which runs.
            (
                "6.6.57.1-7.azl3",
                &["kernel 6.6.64.2-9.azl3 aarch64", "kernel-64k 6.6.64.2-9.azl3 aarch64"],
                None,
            ),
            ("6.6.57.1-7.azl3", &["bash 5.2-1 x86_64"], None),
        ] {
            let newest = match of_rpm(running, &rpm_with(installed)) {
                Installed::Newest(newest) => Some((newest.package, newest.is_newer_than_running)),
                Installed::NoneOfFlavour(_) | Installed::Unclear(_) => None,
            };
            let expected = expected.map(|(package, newer)| (package.to_owned(), newer));
            assert_eq!(newest, expected, "{running} {installed:?}");
        }
    }
}
