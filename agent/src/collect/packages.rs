//! Collects `packages` from the database of the distribution's own package manager.

mod dpkg;
mod rpm;

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Packages};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, os_release, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        "/var/lib/dpkg/status",
        "Of every package its name, architecture, version, source, state and origin, deb822(5).",
    ),
    Read::of("/var/lib/dpkg", "Whether it is there: a folder without a status file has lost it."),
    Read::of(
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        "The headers of all packages: name, architecture, epoch, version, release, source, \
         vendor, and when those were installed that take effect at boot.",
    ),
    Read::of(
        "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
        "What of the database stands in its log alone. No lock is taken.",
    ),
    Read::of(
        "/usr/lib/sysimage/rpm/rpmdb.sqlite-journal",
        "The first byte: whether a transaction was begun and not finished.",
    ),
    Read::of(
        "/var/lib/rpm/rpmdb.sqlite",
        "The headers of all packages, where older systems keep them.",
    ),
    Read::of(
        "/var/lib/rpm/rpmdb.sqlite-wal",
        "What of the database stands in its log alone. No lock is taken.",
    ),
    Read::of(
        "/var/lib/rpm/rpmdb.sqlite-journal",
        "The first byte: whether a transaction was begun and not finished.",
    ),
    Read::of(
        "/usr/lib/sysimage/rpm/**",
        "Whether there is a database of a form that is not read (`Packages`, `Packages.db`), or a \
         folder without any.",
    ),
    Read::of(
        "/var/lib/rpm/**",
        "Whether there is a database of a form that is not read (`Packages`, `Packages.db`), or a \
         folder without any.",
    ),
    Read::of("/etc/tdnf/locks.d", "The names of the files."),
    Read::of("/etc/tdnf/locks.d/{name}.conf", "Which packages tdnf holds."),
    Read::of("/etc/dnf/plugins/versionlock.list", "Which packages dnf holds."),
    Read::of(
        "/etc/os-release",
        "ID and ID_LIKE, where there is no database: whether the distribution can be without one.",
    ),
    Read::of("/usr/lib/os-release", "The same, where the first is not there."),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let found = read(&host.root, &mut measured);
    Collected { state: ComponentState::Packages(state(found)), measured }
}

/// What dpkg's status file says, unless it says nothing: other distributions carry dpkg
/// as a tool. Then what rpm's database does.
fn read(root: &HostRoot, measured: &mut Measurements) -> Result<State<Packages>, HostError> {
    if let Some(packages) = dpkg::read(root)? {
        return Ok(State::Present(Arc::new(packages)));
    }
    if let Some(inventory) = rpm::read(root)? {
        measured.boot_packages_installed_at_seconds = inventory.boot_packages_installed_at_seconds;
        return Ok(State::Present(Arc::new(inventory.packages)));
    }
    dpkg::is_absent(root)?;
    // No database is no answer where the distribution cannot be without one.
    let families = os_release::families(root)?;
    let is_any_of = |names: &[&str]| families.iter().any(|name| names.contains(&name.as_str()));
    if is_any_of(&dpkg::FAMILIES) {
        return Err(HostError::Missing { path: dpkg::STATUS.to_owned() });
    }
    if is_any_of(&rpm::FAMILIES) {
        return Err(HostError::Missing { path: rpm::usual_database() });
    }
    Ok(State::Absent)
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
        read(&root, &mut Measurements::default())
            .map(|state| if matches!(state, State::Absent) { "absent" } else { "other" })
            .map_err(|error| error.to_string())
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
