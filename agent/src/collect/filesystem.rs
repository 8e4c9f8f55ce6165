//! Collects `filesystem`: the mounts of the node's block devices, the places that fill, and
//! how big the file systems are that these lie on. Sources: proc_pid_mountinfo(5), statfs(2).

mod mounts;

use std::collections::BTreeMap;
use std::sync::Arc;

use nodeward_domain::facts::{
    ComponentState, Filesystem, FilesystemPlace, FilesystemSize, PlaceRole,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::flags::Flags;
use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot, Space, find_processes};
use crate::reads::Read;
use mounts::{Device, Mounts};

/// Process 1 may be closed even to root; kernel threads see the host's mounts.
const TABLES: [&str; 2] = ["/proc/1/mountinfo", "/proc/2/mountinfo"];

const CONTAINERD: &str = "/etc/containerd/config.toml";
const CONTAINERD_LIMIT_BYTES: u64 = 256 * 1024;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/proc/1/mountinfo"],
        "Of block devices what is mounted where, and whether file system and mount may be written \
         to; of all others how many there are.",
    ),
    Read::of(&["/proc/2/mountinfo"], "The same, where process 1 is closed to us."),
    Read::of(&["/", "/var/log"], "How big the file system is, and how much of it is left."),
    Read::usually(&["/var/lib/kubelet"], "the kubelet's `--root-dir`", "The same, if it is there."),
    Read::usually(
        &[],
        "the kubelet's link `/proc/PID/exe`",
        "Whether the process that tells of `--root-dir` runs the file on disk.",
    ),
    Read::usually(
        &["/var/lib/containerd"],
        "`root` in containerd's configuration",
        "The same, if it is there.",
    ),
    Read::of(&["statfs(2)"], "How it is asked. Not asked of a copy of a node."),
    Read::of(
        &[CONTAINERD],
        "The value of `root`, byte by byte: of other values nothing is kept, not even in a buffer.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(host, &mut measured));
    Collected { state: ComponentState::Filesystem(state), measured }
}

fn read(host: &Host, measured: &mut Measurements) -> Result<State<Filesystem>, HostError> {
    let paths = places(host);
    let (source, mounts) = table(&host.root, &paths)?;
    measured.mounts = Some(mounts.count);
    let mut seen: BTreeMap<Device, u64> = BTreeMap::new();
    let mut places = Vec::new();
    for ((role, path), mount) in paths.into_iter().zip(mounts.under) {
        let Some(mount) = mount else { continue };
        // What several places share is measured once.
        let known = seen.get(&mount.device).copied().map(Ok);
        let size = known.unwrap_or_else(|| {
            let space = space(host, &path, mount.device)?;
            measure(measured, role, space);
            seen.insert(mount.device, space.total_bytes);
            Ok(space.total_bytes)
        });
        let size = size.map_or_else(FilesystemSize::Unseen, FilesystemSize::Bytes);
        let device = mount.device.to_string();
        places.push(FilesystemPlace { role, path, device, mount_point: mount.point, size });
    }
    Ok(State::Present(Arc::new(Filesystem {
        source: source.to_owned(),
        mounts: mounts.devices,
        untold: mounts.untold,
        places,
    })))
}

/// The mounts of the node, and the file that tells them.
fn table(
    root: &HostRoot,
    places: &[(PlaceRole, String)],
) -> Result<(&'static str, Mounts), HostError> {
    let paths: Vec<&str> = places.iter().map(|(_, path)| path.as_str()).collect();
    let mut first = None;
    for table in TABLES {
        match mounts::read(root, table, &paths) {
            Ok(mounts) => return Ok((table, mounts)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| HostError::Missing { path: TABLES[0].to_owned() }))
}

/// The places that fill, where they are there. Where they are not told otherwise, or what
/// tells it cannot be read, the usual ones are meant.
fn places(host: &Host) -> Vec<(PlaceRole, String)> {
    let kubelet = find_processes(&host.root, "kubelet").ok().and_then(|found| {
        let flags = Flags::of(&found.first()?.arguments);
        flags.value("root-dir").filter(|path| path.starts_with('/')).map(str::to_owned)
    });
    let images =
        host.root.read_outline(CONTAINERD, "", &["root"], CONTAINERD_LIMIT_BYTES).ok().and_then(
            |outline| {
                let line = outline.assignments.into_iter().find(|line| line.table.is_empty())?;
                let path = line.value.trim_matches(['"', '\'']).to_owned();
                path.starts_with('/').then_some(path)
            },
        );
    let folders = [
        (PlaceRole::Root, "/".to_owned()),
        (PlaceRole::Kubelet, kubelet.unwrap_or_else(|| "/var/lib/kubelet".to_owned())),
        (PlaceRole::Images, images.unwrap_or_else(|| "/var/lib/containerd".to_owned())),
        (PlaceRole::Logs, "/var/log".to_owned()),
    ];
    let without_end = |path: String| match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    folders
        .into_iter()
        .map(|(role, path)| (role, without_end(path)))
        // What may not be looked at is there, and says why it was not.
        .filter(|(_, path)| host.root.exists(path) != Ok(false))
        .collect()
}

/// How big the file system of a place is. Where the agent sees only a part of the node,
/// another one may lie there.
fn space(host: &Host, path: &str, device: Device) -> Result<Space, String> {
    let space = host.probes.space(&host.root, path)?;
    match space.device {
        Some(seen) if !device.is(seen) => {
            Err(format!("the agent sees the device {}:{} there", seen.0, seen.1))
        }
        _ => Ok(space),
    }
}

const fn measure(measured: &mut Measurements, role: PlaceRole, space: Space) {
    let (available, total, free) = match role {
        PlaceRole::Root => (
            &mut measured.filesystem_root_available_bytes,
            &mut measured.filesystem_root_total_inodes,
            &mut measured.filesystem_root_free_inodes,
        ),
        PlaceRole::Kubelet => (
            &mut measured.filesystem_kubelet_available_bytes,
            &mut measured.filesystem_kubelet_total_inodes,
            &mut measured.filesystem_kubelet_free_inodes,
        ),
        PlaceRole::Images => (
            &mut measured.filesystem_images_available_bytes,
            &mut measured.filesystem_images_total_inodes,
            &mut measured.filesystem_images_free_inodes,
        ),
        PlaceRole::Logs => (
            &mut measured.filesystem_logs_available_bytes,
            &mut measured.filesystem_logs_total_inodes,
            &mut measured.filesystem_logs_free_inodes,
        ),
    };
    *available = Some(space.available_bytes);
    *total = Some(space.total_inodes);
    *free = Some(space.free_inodes);
}
