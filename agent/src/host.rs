//! The host as collectors see it: a directory that is the node's root, and the
//! processes in its `/proc`. Everything here only reads, every path resolves inside
//! the root, every read has a byte limit.

mod apt;
mod beyond;
mod certificates;
mod digests;
mod end;
mod error;
mod kept;
mod kmsg;
mod kubeconfig;
mod lines;
mod locks;
pub(crate) mod namespace;
mod outline;
pub(crate) mod process;
mod root;
mod space;
pub mod sqlite;
mod tail;
mod value;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

pub use beyond::Beyond;
pub use digests::Digests;
pub use error::HostError;
pub use kept::Kept;
pub use kmsg::{Kmsg, Next};
pub use kubeconfig::Kubeconfig;
pub use locks::locked;
pub use namespace::{Foreign, namespace};
pub use outline::{Assignment, Outline};
pub use process::{
    Found, Started, booted_at, find_processes, find_processes_anywhere,
    find_processes_in_containers, find_processes_of, is_inside_container, is_roots, is_systems,
    pids, started, zombies,
};
pub use root::{HostRoot, Identity, Looked, Resolution};
pub use space::Space;
pub use tail::{Tail, Told};

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
    /// What lies beyond the machine, and is looked at where the operator asks for it.
    pub beyond: Beyond,
    /// Whether the operator asks for the rules of the packet filter.
    pub asks_packet_filter: bool,
    /// The list of packages, which is long to read and seldom changes.
    pub packages: Kept<Option<crate::collect::PackageList>>,
    /// What was made of other files that seldom change.
    pub remembered: crate::collect::Remembered,
    /// What is remembered of logs between rounds, with the rules that were imported for them.
    pub log: crate::collect::LogWatch,
}

impl Host {
    /// A node with that root and those endpoints, and nothing else that could be told: no token,
    /// nothing looked at that has to be asked for, no rules for logs, nothing read yet.
    #[must_use]
    pub fn new(root: HostRoot, probes: crate::probe::Probes) -> Self {
        Self {
            root,
            probes,
            containerd_socket: String::new(),
            kubelet_token_file: None,
            beyond: Beyond::default(),
            asks_packet_filter: false,
            packages: Kept::default(),
            remembered: Default::default(),
            log: crate::collect::LogWatch::default(),
        }
    }

    /// What time it is on the node: where a recording answers, when it was made.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        match self.probes.recording() {
            Some(recording) => recording.recorded_at,
            None => self.probes.is_live().then(Timestamp::now),
        }
    }

    /// When a file was last written. Only a machine that runs keeps that: of a copy its
    /// recording says it. A time that is yet to come is none: an age made of it would be
    /// less than nothing.
    pub fn modified(&self, path: &str) -> Result<Timestamp, HostError> {
        let modified = self.root.modified(path)?;
        let at = match self.probes.recording() {
            None if self.probes.is_live() => modified,
            recording => recording
                .and_then(|recording| recording.modified.get(path).copied())
                .ok_or_else(|| HostError::TimeNotKept { path: path.to_owned() })?,
        };
        past(path, at, self.now())
    }
}

/// How far a file's time may lie ahead of ours: a file system of another machine has a
/// clock of its own, and clocks are slewed.
const AHEAD: SignedDuration = SignedDuration::from_secs(2);

/// Refuses the time of a file that is yet to come.
pub(crate) fn past(
    path: &str,
    at: Timestamp,
    now: Option<Timestamp>,
) -> Result<Timestamp, HostError> {
    match now {
        Some(now) if at.duration_since(now) > AHEAD => {
            Err(HostError::InFuture { path: path.to_owned(), at })
        }
        _ => Ok(at),
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
        let mut host = Host::new(
            HostRoot::open(folder.path()).expect("a directory"),
            Probes::Recorded(Box::new(recording)),
        );
        assert_eq!(host.modified("/a"), Ok(Timestamp::UNIX_EPOCH));
        assert_eq!(host.modified("/b"), Err(HostError::TimeNotKept { path: "/b".to_owned() }));
        assert_eq!(host.modified("/gone"), Err(HostError::Missing { path: "/gone".to_owned() }));
        let recorded = |at: i64| {
            let at = Timestamp::from_second(at).expect("a moment");
            let mut recording = Recording { recorded_at: Some(at), ..Recording::default() };
            recording.modified.insert("/a".to_owned(), Timestamp::UNIX_EPOCH);
            Probes::Recorded(Box::new(recording))
        };
        // The clock was set back since the file was written.
        host.probes = recorded(-60);
        let error = host.modified("/a").expect_err("yet to come");
        assert_eq!(error.to_string(), "was written at 1970-01-01T00:00:00Z, which is yet to come");
        host.probes = recorded(-1);
        assert_eq!(host.modified("/a"), Ok(Timestamp::UNIX_EPOCH));
        host.probes = Probes::Off("a copy".to_owned());
        assert_eq!(host.modified("/a"), Err(HostError::TimeNotKept { path: "/a".to_owned() }));
    }
}
