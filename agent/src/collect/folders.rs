//! Folders as a whole: configuration that lies in several, of which one counts before the
//! other, in the order of sysctl.d(5) and modprobe.d(5); and the tree of control groups, of
//! which cgroups(7) tells.

use std::collections::BTreeMap;

use crate::host::{HostError, HostRoot};

/// The files ending in `.conf` that count, in the order of their names, whichever folder
/// they are in. `folders` are by precedence: of two files of one name the one in the
/// earlier folder counts.
pub(super) fn conf_files(root: &HostRoot, folders: &[&str]) -> Result<Vec<String>, HostError> {
    let mut by_name = BTreeMap::new();
    for folder in folders {
        let names = match root.list(folder) {
            Err(HostError::Missing { .. }) => continue,
            names => names?,
        };
        for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
            let path = format!("{folder}/{name}");
            by_name.entry(name).or_insert(path);
        }
    }
    // A link to /dev/null masks the files of its name in later folders.
    Ok(by_name.into_values().filter(|path| !is_masked(root, path)).collect())
}

/// Where control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Refuses to take a tree of control groups that is not mounted for one without a group: a
/// mounted one is never empty.
pub(super) fn cgroups_are_there(root: &HostRoot) -> Result<(), HostError> {
    match root.list(CGROUPS)?.is_empty() {
        false => Ok(()),
        true => Err(HostError::Malformed {
            path: CGROUPS.to_owned(),
            why: "is empty: control groups are not there to be read".to_owned(),
        }),
    }
}

fn is_masked(root: &HostRoot, path: &str) -> bool {
    // By its path, or by one that leads up to the root.
    let upwards = |target: &str| target.trim_start_matches("../") == "dev/null";
    root.read_link(path).is_ok_and(|target| target == "/dev/null" || upwards(&target))
}
