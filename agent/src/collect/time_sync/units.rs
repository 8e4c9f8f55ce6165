//! Whether systemd starts a unit by itself, as far as files tell: the unit itself, links
//! to it in the folders of units that want it, and what masks it. Source:
//! systemd.unit(5).

use nix::errno::Errno;
use nodeward_domain::facts::{DaemonUnit, UnitFileState};

use crate::host::{HostError, HostRoot};

/// Where systemd looks for units, the most telling first.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The names of all units that another one wants or requires.
pub(in crate::collect) fn wanted(root: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut wanted = Vec::new();
    for folder in FOLDERS {
        for name in listed(root, folder)? {
            if name.ends_with(".wants") || name.ends_with(".requires") {
                wanted.extend(listed(root, &format!("{folder}/{name}"))?);
            }
        }
    }
    Ok(wanted)
}

fn listed(root: &HostRoot, folder: &str) -> Result<Vec<String>, HostError> {
    match root.list(folder) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            Ok(Vec::new())
        }
        names => names,
    }
}

/// The unit of one of these names. A name may be an alias, a link to the unit itself.
pub(in crate::collect) fn of(
    root: &HostRoot,
    names: &[&str],
    wanted: &[String],
) -> Result<Option<DaemonUnit>, HostError> {
    let mut unit = None;
    let mut is_masked = false;
    for name in names {
        match first(root, name)? {
            None => {}
            Some(UnitFile::Masked) => {
                is_masked = true;
                unit = unit.or(Some(*name));
            }
            Some(UnitFile::Alias) => {}
            Some(UnitFile::Unit) => unit = Some(*name),
        }
    }
    let is_wanted = names.iter().any(|name| wanted.iter().any(|wanted| wanted == name));
    Ok(unit.map(|name| DaemonUnit {
        name: name.to_owned(),
        state: match (is_masked, is_wanted) {
            (true, _) => UnitFileState::Masked,
            (false, true) => UnitFileState::Enabled,
            (false, false) => UnitFileState::Disabled,
        },
    }))
}

/// Whether what lies there masks the unit of its name: a link to `/dev/null`, or an empty
/// file, systemd.unit(5). A copy of a node has no devices, so that the link itself counts.
pub(in crate::collect) fn is_mask(root: &HostRoot, path: &str) -> Result<bool, HostError> {
    if root.link(path)?.is_some_and(|target| is_to_null(&target)) {
        return Ok(true);
    }
    match root.is_null_or_empty(path) {
        // A link to what is not there.
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            Ok(false)
        }
        is_nothing => is_nothing,
    }
}

/// Of these paths those that mask no unit: a masked one is not meant to run. What is no file
/// of a unit stays.
pub(in crate::collect) fn unmasked(
    root: &HostRoot,
    paths: Vec<String>,
) -> Result<Vec<String>, HostError> {
    let mut left = Vec::new();
    for path in paths {
        let is_of_unit = is_unit(path.rsplit('/').next().unwrap_or_default());
        if !(is_of_unit && is_mask(root, &path)?) {
            left.push(path);
        }
    }
    Ok(left)
}

/// By its path, or by one that leads up to the root.
fn is_to_null(target: &str) -> bool {
    target == "/dev/null" || target.trim_start_matches("../") == "dev/null"
}

/// Whether it is the name of a unit: others systemd does not look at, systemd.unit(5).
pub(in crate::collect) fn is_unit(name: &str) -> bool {
    const TYPES: [&str; 11] = [
        "automount",
        "device",
        "mount",
        "path",
        "scope",
        "service",
        "slice",
        "socket",
        "swap",
        "target",
        "timer",
    ];
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    kind.is_some_and(|kind| TYPES.contains(&kind)) && name.bytes().all(is_allowed)
}

enum UnitFile {
    Unit,
    Alias,
    Masked,
}

/// The file of that name which systemd would read.
fn first(root: &HostRoot, name: &str) -> Result<Option<UnitFile>, HostError> {
    for folder in FOLDERS {
        let path = format!("{folder}/{name}");
        let target = match root.link(&path) {
            Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
                continue;
            }
            target => target?,
        };
        if is_mask(root, &path)? {
            return Ok(Some(UnitFile::Masked));
        }
        return Ok(Some(match target.as_deref() {
            None => UnitFile::Unit,
            // One to its own name stands in for the file, one to another is an alias.
            Some(target) if target.rsplit('/').next() == Some(name) => UnitFile::Unit,
            Some(_) => UnitFile::Alias,
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Name and state of the unit of chrony, where a root has these links and files.
    fn seen(links: &[(&str, &str)], files: &[&str]) -> Option<(String, &'static str)> {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            path
        };
        for (path, target) in links {
            symlink(target, inside(path)).expect("made");
        }
        for path in files {
            std::fs::write(inside(path), "[Unit]\n").expect("written");
        }
        let root = HostRoot::open(folder.path()).expect("a directory");
        let wanted = wanted(&root).expect("readable");
        let unit = of(&root, &["chrony.service", "chronyd.service"], &wanted).expect("readable");
        unit.map(|unit| (unit.name, unit.state.word()))
    }

    const FILE: &str = "/usr/lib/systemd/system/chrony.service";
    const ALIAS: (&str, &str) = ("/etc/systemd/system/chronyd.service", FILE);
    const WANTED: (&str, &str) =
        ("/etc/systemd/system/multi-user.target.wants/chrony.service", FILE);

    #[test]
    fn files_tell_what_systemd_starts() {
        let chrony = |state| Some(("chrony.service".to_owned(), state));
        assert_eq!(seen(&[], &[]), None);
        assert_eq!(seen(&[], &[FILE]), chrony("disabled"));
        assert_eq!(seen(&[ALIAS], &[FILE]), chrony("disabled"));
        assert_eq!(seen(&[ALIAS, WANTED], &[FILE]), chrony("enabled"));
        let mask = ("/etc/systemd/system/chrony.service", "/dev/null");
        assert_eq!(seen(&[mask, WANTED], &[FILE]), chrony("masked"));
        let upwards = ("/etc/systemd/system/chrony.service", "../../../dev/null");
        assert_eq!(seen(&[upwards, WANTED], &[FILE]), chrony("masked"));
        // A link to the file itself, as systemctl link makes it.
        let linked = ("/etc/systemd/system/chrony.service", "/opt/chrony.service");
        assert_eq!(seen(&[linked], &[]), chrony("disabled"));
        // An empty file masks as well, and so does a link to one.
        let folder = tempfile::tempdir().expect("a folder");
        let units = folder.path().join("etc/systemd/system");
        std::fs::create_dir_all(&units).expect("made");
        std::fs::write(units.join("chrony.service"), "").expect("written");
        symlink("chrony.service", units.join("chronyd.service")).expect("made");
        let root = HostRoot::open(folder.path()).expect("a directory");
        for name in ["chrony.service", "chronyd.service"] {
            let unit = of(&root, &[name], &[]).expect("readable").expect("a unit");
            assert_eq!(unit.state.word(), "masked", "{name}");
        }
        // Merged directories: the folder is a link.
        assert_eq!(seen(&[("/lib", "usr/lib")], &[FILE]), chrony("disabled"));
    }
}
