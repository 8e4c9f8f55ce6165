//! Host roots for tests that damage them: a copy of one that was written for the
//! tests, and mounts whose reads hang.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nodeward_agent::collect::{COLLECTORS, Collector, LogWatch, Observation, Rounds};
use nodeward_agent::host::{Beyond, Host, HostRoot};
use nodeward_agent::npd::{self, Imported};
use nodeward_agent::probe::{Probes, Recording};
use nodeward_domain::egress::{Endpoint, endpoints};
use tempfile::TempDir;

use crate::project;

/// A copy of a host root that a test may damage.
#[derive(Debug)]
pub struct HostCopy {
    name: String,
    folder: TempDir,
    recording: Recording,
    /// Rules that are imported for its logs.
    imported: Imported,
    /// Endpoints outside of the cluster that are looked at; none where nobody asks.
    egress: Option<Vec<Endpoint>>,
    /// Rules of the packet filter are asked for where the recording has some; then in any case.
    asks_packet_filter: bool,
}

impl HostCopy {
    /// Copies a host root with its links.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&project::host(name), folder.path());
        let recording = Recording::read(&project::answers(name)).expect("a recording");
        let name = name.to_owned();
        let imported = Imported::default();
        Self { name, folder, recording, imported, egress: None, asks_packet_filter: false }
    }

    /// From now on the rules of that folder are imported.
    ///
    /// # Panics
    /// When they cannot be.
    pub fn import(&mut self, folder: &Path) {
        self.imported = npd::read(folder).unwrap_or_else(|error| panic!("{error}"));
    }

    /// From now on these endpoints outside of the cluster are looked at.
    ///
    /// # Panics
    /// When they are none.
    pub fn look_at(&mut self, named: &[String]) {
        self.egress = Some(endpoints(named).unwrap_or_else(|error| panic!("{error}")));
    }

    /// From now on rules of the packet filter are asked for.
    pub const fn ask_packet_filter(&mut self) {
        self.asks_packet_filter = true;
    }

    /// From now on its local endpoints answer that.
    pub fn answer_with(&mut self, recording: Recording) {
        self.recording = recording;
    }

    /// From now on they answer as recorded for the host root, with this laid over it.
    ///
    /// # Panics
    /// When it then is no recording.
    pub fn answer_over(&mut self, over: &serde_json::Value) {
        let text = std::fs::read_to_string(project::answers(&self.name)).expect("a recording");
        let mut recording = serde_json::from_str(&text).expect("JSON");
        lay_over(&mut recording, over);
        self.answer_with(serde_json::from_value(recording).expect("a recording"));
    }

    /// From now on its answers have one text in the place of another.
    ///
    /// # Panics
    /// When they then are no recording.
    pub fn answer_replacing(&mut self, replacements: &[(&str, &str)]) {
        let text = std::fs::read_to_string(project::answers(&self.name)).expect("a recording");
        let text = replacements.iter().fold(text, |text, (from, to)| text.replace(from, to));
        self.answer_with(serde_json::from_str(&text).expect("a recording"));
    }

    /// Replaces texts in a file.
    ///
    /// # Panics
    /// When it has not all of them.
    pub fn replace(&self, path: &str, replacements: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.inside(path)).expect("a file");
        for (from, to) in replacements {
            assert!(text.contains(from), "{path} has no {from:?}");
            text = text.replace(from, to);
        }
        std::fs::write(self.inside(path), text).expect("written");
    }

    /// The copy's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside the copy, given as on the host.
    #[must_use]
    pub fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// From now on a process, `/proc/PID`, is in that network.
    ///
    /// # Panics
    /// When it was in none.
    pub fn in_network(&self, process: &str, network: &str) {
        let link = self.inside(&format!("{process}/ns/net"));
        std::fs::remove_file(&link).expect("it is in some network");
        std::os::unix::fs::symlink(network, link).expect("made");
    }

    /// The copy as collectors see it, with the answers that were recorded for it.
    #[must_use]
    pub fn host(&self) -> Host {
        Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            beyond: self.egress.clone().map_or_else(Beyond::default, Beyond::asking),
            asks_packet_filter: self.asks_packet_filter || self.recording.packet_filter.is_some(),
            log: LogWatch::with(self.imported.clone()),
            ..Host::new(
                HostRoot::open(self.path()).expect("a directory"),
                Probes::Recorded(Box::new(self.recording.clone())),
            )
        }
    }

    /// Runs one round of all collectors with that limit.
    pub async fn round(&self, limit: Duration) -> Vec<Observation> {
        self.round_of(COLLECTORS.to_vec(), limit).await
    }

    /// Runs one round of these collectors with that limit.
    pub async fn round_of(&self, collectors: Vec<Collector>, limit: Duration) -> Vec<Observation> {
        Rounds::with(Arc::new(self.host()), collectors, limit).run().await
    }
}

/// Tables are laid over tables, key by key; an answer of an endpoint (it has the key
/// `answer`) and anything else replaces what was there.
pub(crate) fn lay_over(under: &mut serde_json::Value, over: &serde_json::Value) {
    match (under, over) {
        (serde_json::Value::Object(under), serde_json::Value::Object(over))
            if !over.contains_key("answer") =>
        {
            for (key, value) in over {
                lay_over(under.entry(key.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder of the project") {
        let entry = entry.expect("a readable folder");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a file has a kind");
        if kind.is_symlink() {
            let link = std::fs::read_link(entry.path()).expect("a link can be read");
            std::os::unix::fs::symlink(link, target).expect("a link can be made");
        } else if kind.is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// The network that a test is in.
///
/// # Panics
/// When the kernel does not say it.
#[must_use]
pub fn own_network() -> String {
    let link = std::fs::read_link("/proc/thread-self/ns/net").expect("our own network");
    link.into_os_string().into_string().expect("text")
}

/// A file system behind which nobody answers: every read on it hangs until this is
/// dropped. Needs root.
#[derive(Debug)]
pub struct HangingMount {
    path: PathBuf,
    device: Option<File>,
}

impl HangingMount {
    /// Mounts it over that folder.
    #[must_use]
    pub fn over(path: &Path) -> Self {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .expect("/dev/fuse, as every kernel with FUSE has it");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        mount(
            Some("hanging"),
            path,
            Some("fuse"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(options.as_str()),
        )
        .expect("root may mount");
        Self { path: path.to_owned(), device: Some(device) }
    }
}

impl Drop for HangingMount {
    fn drop(&mut self) {
        // Closing the device ends every read that hangs on it.
        drop(self.device.take());
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
