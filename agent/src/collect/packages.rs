//! Collects `packages` from the database of the distribution's own package manager.

mod dpkg;
mod rpm;

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, PackageManager, Packages};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, os_release, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/var/lib/dpkg/status"],
        "Of every package its name, architecture, version, source, state and origin, deb822(5).",
    ),
    Read::of(
        &["/var/lib/dpkg/updates"],
        "The names of the files: the steps of a dpkg that works, or was killed at it.",
    ),
    Read::of(
        &["/var/lib/dpkg/updates/{number}"],
        "The same of one package, as that step left it. No lock is taken.",
    ),
    Read::of(
        &["/var/lib/dpkg"],
        "Whether it is there: a folder without a status file has lost it.",
    ),
    Read::of(
        &["/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend"],
        "Which file it is, where packages are unfinished. Neither is opened.",
    ),
    Read::of(
        &["/proc/locks"],
        "Whether somebody holds a lock on one of them: then a package manager is at work.",
    ),
    Read::of(
        &["/usr/lib/sysimage/rpm/rpmdb.sqlite"],
        "The headers of all packages: name, architecture, epoch, version, release, source, \
         vendor, and when those were installed that take effect at boot.",
    ),
    Read::of(
        &["/usr/lib/sysimage/rpm/rpmdb.sqlite-wal"],
        "What of the database stands in its log alone. No lock is taken.",
    ),
    Read::of(
        &["/usr/lib/sysimage/rpm/rpmdb.sqlite-journal"],
        "The first byte: whether a transaction was begun and not finished.",
    ),
    Read::of(
        &["/var/lib/rpm/rpmdb.sqlite"],
        "The headers of all packages, where older systems keep them.",
    ),
    Read::of(
        &["/var/lib/rpm/rpmdb.sqlite-wal"],
        "What of the database stands in its log alone. No lock is taken.",
    ),
    Read::of(
        &["/var/lib/rpm/rpmdb.sqlite-journal"],
        "The first byte: whether a transaction was begun and not finished.",
    ),
    Read::of(
        &["/usr/lib/sysimage/rpm/**", "/var/lib/rpm/**"],
        "Whether there is a database of a form that is not read (`Packages`, `Packages.db`), or a \
         folder without any.",
    ),
    Read::of(&["/etc/tdnf/locks.d"], "The names of the files."),
    Read::of(&["/etc/tdnf/locks.d/{name}.conf"], "Which packages tdnf holds."),
    Read::of(&["/etc/dnf/plugins/versionlock.list"], "Which packages dnf holds."),
    Read::of(
        &["/etc/os-release"],
        "ID and ID_LIKE, where there is no database: whether the distribution can be without one.",
    ),
    Read::of(&["/usr/lib/os-release"], "The same, where the first is not there."),
];

/// The files, and the folder, of which a change can change the list.
const DATABASES: [&str; 8] = [
    dpkg::STATUS,
    dpkg::JOURNAL,
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-journal",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/rpmdb.sqlite-journal",
];

/// What a package database says.
#[derive(Debug, Clone)]
pub struct PackageList {
    packages: Arc<Packages>,
    /// See [`nodeward_domain::measured::Measurements`].
    boot_packages_installed_at_seconds: Option<u64>,
}

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let found = read(host).map(|found| match found {
        Some(list) => {
            measured.boot_packages_installed_at_seconds = list.boot_packages_installed_at_seconds;
            State::Present(list.packages)
        }
        None => State::Absent,
    });
    Collected { state: ComponentState::Packages(state(found)), measured }
}

/// What the database says; none where there is none and need be none.
fn read(host: &Host) -> Result<Option<PackageList>, HostError> {
    let root = &host.root;
    match host.packages.or_made(root, &DATABASES, || databases(root))? {
        Some(list) if list.packages.manager == PackageManager::Rpm => {
            let packages = rpm::with_holds(root, list.packages)?;
            Ok(Some(PackageList { packages, ..list }))
        }
        Some(list) => {
            let packages = dpkg::with_lock(root, list.packages);
            Ok(Some(PackageList { packages, ..list }))
        }
        None => absent(root).map(|()| None),
    }
}

/// What dpkg's status file says, unless it says nothing: other distributions carry dpkg
/// as a tool. Then what rpm's database does.
fn databases(root: &HostRoot) -> Result<Option<PackageList>, HostError> {
    match dpkg::read(root)? {
        Some(packages) => Ok(Some(PackageList {
            packages: Arc::new(packages),
            boot_packages_installed_at_seconds: None,
        })),
        None => rpm::read(root),
    }
}

/// Refuses to call absent what a distribution cannot be without.
fn absent(root: &HostRoot) -> Result<(), HostError> {
    dpkg::is_absent(root)?;
    let families = os_release::families(root)?;
    let is_any_of = |names: &[&str]| families.iter().any(|name| names.contains(&name.as_str()));
    if is_any_of(&dpkg::FAMILIES) {
        return Err(HostError::Missing { path: dpkg::STATUS.to_owned() });
    }
    if is_any_of(&rpm::FAMILIES) {
        return Err(HostError::Missing { path: rpm::usual_database() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a root with that os-release(5) and no database at all.
    fn without_database(os_release: &str) -> Result<&'static str, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("etc")).expect("made");
        std::fs::write(folder.path().join("etc/os-release"), os_release).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert!(databases(&root).is_ok_and(|found| found.is_none()));
        absent(&root).map(|()| "absent").map_err(|error| error.to_string())
    }

    #[test]
    fn a_distribution_of_packages_without_a_database_is_not_clean() {
        let missing = |path: &str| Err(HostError::Missing { path: path.to_owned() }.to_string());
        for (text, said) in [
            ("ID=debian\n", missing("/var/lib/dpkg/status")),
            ("ID=pop\nID_LIKE=\"ubuntu debian\"\n", missing("/var/lib/dpkg/status")),
            ("ID=azurelinux\n", missing("/var/lib/rpm/rpmdb.sqlite")),
            ("ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n", missing("/var/lib/rpm/rpmdb.sqlite")),
            ("ID=flatcar\nID_LIKE=coreos\n", Ok("absent")),
        ] {
            assert_eq!(without_database(text), said, "{text}");
        }
    }
}
