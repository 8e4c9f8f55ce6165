//! The version that answers beside the version of its package. Fixes are matched by
//! package: what they say of a node holds only where the two are the same.

use jiff::Timestamp;

use super::{NAME, native, owner, restarts, runtime, since};
use crate::check::{Evidence, Scope, Verdict, by_hand, verdict_or};
use crate::facts::containerd::ServerVersion;
use crate::facts::{Containerd, CriAnswer, Package};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::without_epoch;

/// Packages that install containerd: Debian's and Ubuntu's, Docker's, Azure Linux's
/// second line, and those of AKS node images. They exclude each other.
const PACKAGES: [&str; 5] =
    ["containerd", "containerd.io", "containerd2", "moby-containerd", "moby-containerd-cc"];

/// Where they install it.
const FOLDERS: [&str; 3] = ["/bin/", "/usr/bin/", "/usr/sbin/"];

/// The version that answers, beside its package.
pub(super) struct Packaged<'a> {
    socket: &'a str,
    database: &'a str,
    running: String,
    package: &'a Package,
    /// Their upstream versions are the same.
    pub(super) is_same_version: bool,
    /// The server names the very version of the package, as Debian's does.
    pub(super) is_same_revision: bool,
}

impl Packaged<'_> {
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let package = format!("{} {}", self.package.name, self.package.version);
        vec![
            Evidence::new(self.socket, format!("containerd {}", self.running), &package),
            Evidence::new(self.database, package, ""),
        ]
    }
}

/// Compares the two, or says why that cannot be done.
pub(super) fn packaged<'a>(
    history: &'a NodeHistory,
    containerd: &'a Containerd,
) -> Result<Packaged<'a>, String> {
    let own = containerd.replies.version.answered();
    let running = match (&containerd.cri, own) {
        (CriAnswer::Serving { version, .. }, _) if version.name == NAME => version.version.clone(),
        (_, Some(ServerVersion { version, .. })) => version.clone(),
        _ => return Err("the running version is not known".to_owned()),
    };
    let packages = match history.packages.state() {
        Some(State::Present(packages)) => packages,
        Some(State::Unavailable(why)) => return Err(format!("packages could not be read: {why}")),
        _ => return Err("there is no package database".to_owned()),
    };
    let mut named = packages.installed.iter().filter(|one| PACKAGES.contains(&one.name.as_str()));
    let package = match (named.next(), named.next()) {
        (Some(package), None) => package,
        (None, _) => return Err("no package of containerd is installed".to_owned()),
        (Some(one), Some(other)) => {
            return Err(format!("{} and {} are both installed", one.name, other.name));
        }
    };
    let (Some(left), Some(right)) = (upstream(&running), upstream(&package.version)) else {
        return Err(format!("{running} and {} cannot be compared", package.version));
    };
    Ok(Packaged {
        socket: &containerd.socket,
        database: &packages.path,
        is_same_version: left == right,
        is_same_revision: own.is_some_and(|own| own.revision == package.version),
        running,
        package,
    })
}

/// The three numbers of an upstream version. Epochs, marks such as `v` and `~ds1`, and
/// revisions of a distribution stand around them.
pub(super) fn upstream(version: &str) -> Option<[u64; 3]> {
    let version = without_epoch(version).trim_start_matches('v');
    let end = version.find(|one: char| !one.is_ascii_digit() && one != '.');
    let mut numbers = version[..end.unwrap_or(version.len())].split('.').map(str::parse);
    match (numbers.next()?, numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor), Ok(patch)) => Some([major, minor, patch]),
        _ => None,
    }
}

pub(super) fn not_as_packaged(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    verdict_or!(native(containerd));
    if let Some(owner) = owner(containerd) {
        return super::behind(owner);
    }
    const SEE: &str = "see ContainerdRestartPending";
    let file = match restarts::file(containerd) {
        Some((file, false)) => file,
        Some((_, true)) => {
            return Verdict::not_applicable(format!("it was replaced on disk, {SEE}"));
        }
        None => return Verdict::not_applicable(format!("its file could not be seen, {SEE}")),
    };
    if !FOLDERS.iter().any(|folder| file.strip_prefix(folder) == Some(NAME)) {
        return Verdict::not_applicable(format!("no package installs {file}"));
    }
    let compared = match packaged(history, containerd) {
        Ok(compared) => compared,
        Err(why) => return Verdict::unknown(why, Vec::new()),
    };
    let evidence = compared.evidence();
    if compared.is_same_version {
        return Verdict::pass(evidence);
    }
    let package = &compared.package.name;
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(
            scope,
            Action::Repair { what: format!("install {package} again and restart containerd") },
        ),
        valid_until: None,
    };
    let message =
        format!("{file} is {}, {package} is {}", compared.running, compared.package.version);
    let other = |seen: &Containerd| packaged(history, seen).is_ok_and(|one| !one.is_same_version);
    Verdict::fail(message, since(history, other), turn, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_same_whatever_stands_around_their_numbers() {
        for same in [
            ["1.7.33-1", "1.7.33-ubuntu22.04u4"],
            ["1.6.20~ds1", "1.6.20~ds1-1+deb12u3"],
            ["v2.2.4", "2.2.4-1.azl3"],
            ["2.0.0-rc.1", "1:2.0.0~rc.1-1"],
            ["1.7.28", "1.7.28-0ubuntu1~22.04.1"],
        ] {
            assert!(upstream(same[0]).is_some());
            assert_eq!(upstream(same[0]), upstream(same[1]), "{same:?}");
        }
        assert_ne!(upstream("1.7.31"), upstream("1.7.3"));
        for none in ["", "2", "2.0", "unknown", "v", "99999999999999999999.1.1", "é.1.1"] {
            assert_eq!(upstream(none), None, "{none}");
        }
    }
}
