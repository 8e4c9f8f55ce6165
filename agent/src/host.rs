//! The host as collectors see it: a directory that is the node's root, and the
//! processes in its `/proc`. Everything here only reads, every path resolves inside
//! the root, every read has a byte limit.

mod certificates;
mod error;
mod kept;
pub(crate) mod namespace;
mod outline;
pub(crate) mod process;
mod root;
pub mod sqlite;
mod value;

use std::path::PathBuf;

use jiff::Timestamp;

pub use error::HostError;
pub use kept::Kept;
pub use namespace::{Foreign, namespace};
pub use outline::{Assignment, Outline};
pub use process::{
    Found, Started, booted_at, find_processes, find_processes_anywhere, find_processes_of,
    is_inside_container, is_roots, pids, started,
};
pub use root::{HostRoot, Identity, Resolution};

/// What a collector gets to work with.
#[derive(Debug)]
pub struct Host {
    /// The node's root directory.
    pub root: HostRoot,
    /// Local endpoints.
    pub probes: crate::probe::Probes,
    /// The container runtime's socket, as a path on the host.
    pub containerd_socket: String,
    /// A file of ours with a token that this node's kubelet may be shown.
    pub kubelet_token_file: Option<PathBuf>,
    /// The list of packages, which is long to read and seldom changes.
    pub packages: Kept<Option<crate::collect::PackageList>>,
}

impl Host {
    /// What time it is on the node: where a recording answers, when it was made.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        match self.probes.recording() {
            Some(recording) => recording.recorded_at,
            None => self.probes.is_live().then(Timestamp::now),
        }
    }

    /// When a file was last written. Only a machine that runs keeps that: of a copy its
    /// recording says it.
    pub fn modified(&self, path: &str) -> Result<Timestamp, HostError> {
        let modified = self.root.modified(path)?;
        match self.probes.recording() {
            None if self.probes.is_live() => Ok(modified),
            recording => recording
                .and_then(|recording| recording.modified.get(path).copied())
                .ok_or_else(|| HostError::TimeNotKept { path: path.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Probes, Recording};

    #[test]
    fn a_copy_tells_times_by_its_recording_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "").expect("written");
        std::fs::write(folder.path().join("b"), "").expect("written");
        let mut recording = Recording::default();
        recording.modified.insert("/a".to_owned(), Timestamp::UNIX_EPOCH);
        recording.modified.insert("/gone".to_owned(), Timestamp::UNIX_EPOCH);
        let mut host = Host {
            root: HostRoot::open(folder.path()).expect("a directory"),
            probes: Probes::Recorded(Box::new(recording)),
            containerd_socket: String::new(),
            kubelet_token_file: None,
            packages: Kept::default(),
        };
        assert_eq!(host.modified("/a"), Ok(Timestamp::UNIX_EPOCH));
        assert_eq!(host.modified("/b"), Err(HostError::TimeNotKept { path: "/b".to_owned() }));
        assert_eq!(host.modified("/gone"), Err(HostError::Missing { path: "/gone".to_owned() }));
        host.probes = Probes::Off("a copy".to_owned());
        assert_eq!(host.modified("/a"), Err(HostError::TimeNotKept { path: "/a".to_owned() }));
    }
}
