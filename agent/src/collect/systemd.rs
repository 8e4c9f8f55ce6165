//! Collects `systemd`: how the system as a whole stands and which units stand out, asked over
//! the system bus, and which units were masked, from the folders of administrators.

use std::collections::BTreeMap;
use std::sync::Arc;

use nix::errno::Errno;
use nodeward_domain::facts::{ComponentState, Systemd, UnitMask};
use nodeward_domain::observed::{State, Unavailable};

use super::time_sync::units;
use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// Where units are masked, systemd.unit(5), the one that counts first. What a distribution
/// masks itself lies elsewhere.
const FOLDERS: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

/// So many masks are named.
const NAMED: usize = 256;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/run/systemd/system"],
        "Whether it is there. Not there: systemd is not what runs the node. Else the names in it.",
    ),
    Read::of(
        &["/run/dbus/system_bus_socket"],
        "systemd is asked `ListUnitsByPatterns`: units that have failed, and services that run.",
    ),
    Read::of(
        &["org.freedesktop.systemd1"],
        "`Version` and `SystemState`. Of each of those units NeedDaemonReload and, of services, \
         NRestarts; where they say that something is to be told, Result, FragmentPath and \
         ExecMainStartTimestampMonotonic too. Units of which there is nothing to tell are not \
         reported.",
    ),
    Read::of(&["/etc/systemd/system"], "The names in it."),
    Read::of(
        &["/etc/systemd/system/{unit}", "/run/systemd/system/{unit}"],
        "Whether it is a link to `/dev/null`, or empty, which masks the unit.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Systemd(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Systemd>, HostError> {
    match host.probes.system_manager(&host.root) {
        Ok(None) => Ok(State::NotApplicable("the host runs without systemd".to_owned())),
        // The reason names its place.
        Err(why) => Ok(State::Unavailable(Unavailable { place: String::new(), why })),
        Ok(Some(manager)) => {
            let masked = masked(&host.root)?;
            Ok(State::Present(Arc::new(Systemd { manager, masked })))
        }
    }
}

/// The units that are masked, by name.
fn masked(root: &HostRoot) -> Result<Vec<UnitMask>, HostError> {
    let mut first: BTreeMap<String, Option<String>> = BTreeMap::new();
    for folder in FOLDERS {
        let names = match root.list(folder) {
            Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
                continue;
            }
            names => names?,
        };
        for name in names.into_iter().filter(|name| units::is_unit(name)) {
            if first.contains_key(&name) {
                continue;
            }
            let path = format!("{folder}/{name}");
            let is_masked = match units::is_mask(root, &path) {
                // It is gone since it was listed.
                Err(HostError::Missing { .. }) => continue,
                is_masked => is_masked?,
            };
            first.insert(name, is_masked.then_some(path));
        }
    }
    let masks = first.into_iter().filter_map(|(name, path)| Some(UnitMask { name, path: path? }));
    Ok(masks.take(NAMED).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_to_nothing_masks_unless_the_unit_stands_in_a_folder_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            path
        };
        symlink("/dev/null", inside("etc/systemd/system/a.service")).expect("made");
        symlink("/dev/null", inside("run/systemd/system/b.service")).expect("made");
        symlink("/lib/c.service", inside("etc/systemd/system/c.service")).expect("made");
        symlink("/dev/null", inside("run/systemd/system/d.service")).expect("made");
        std::fs::write(inside("etc/systemd/system/d.service"), "[Unit]\n").expect("written");
        std::fs::create_dir(inside("etc/systemd/system/a.wants")).expect("made");
        // An empty file masks too, if it is that of a unit.
        std::fs::write(inside("run/systemd/system/e.timer"), "").expect("written");
        std::fs::write(inside("run/systemd/system/notes"), "").expect("written");
        let name = std::ffi::OsStr::from_bytes(b"\xff.service");
        std::fs::write(folder.path().join("etc/systemd/system").join(name), "").expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let masks = masked(&root).expect("readable");
        let told: Vec<(&str, &str)> =
            masks.iter().map(|mask| (mask.name.as_str(), mask.path.as_str())).collect();
        assert_eq!(
            told,
            [
                ("a.service", "/etc/systemd/system/a.service"),
                ("b.service", "/run/systemd/system/b.service"),
                ("e.timer", "/run/systemd/system/e.timer"),
            ]
        );
    }
}
