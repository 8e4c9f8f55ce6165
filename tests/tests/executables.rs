//! What a running process and the path it was started from say of each other, on this
//! machine's own procfs: the file on disk was replaced, or only its name was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::host::{Found, HostRoot, find_processes};
use tempfile::TempDir;

/// A program of its own name that runs until it is dropped.
struct Running {
    folder: TempDir,
    process: Child,
}

impl Running {
    /// Starts a copy of sleep(1) through the link `name`.
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for version in ["v1", "v2"] {
            std::fs::copy("/bin/sleep", folder.path().join(version)).expect("copied");
        }
        symlink("v1", folder.path().join(name)).expect("made");
        let process = Command::new(folder.path().join(name))
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        Self { folder, process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process as the agent sees it.
    fn seen(&self, root: &HostRoot, name: &str) -> Found {
        let found = find_processes(root, name).expect("this machine's /proc");
        let [found] = <[Found; 1]>::try_from(found).expect("one of that name");
        assert_eq!(found.process.pid, self.process.id());
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn roots() -> [HostRoot; 2] {
    let open = || HostRoot::open(Path::new("/")).expect("a directory");
    [open(), open().walking()]
}

#[test]
fn a_program_is_replaced_when_its_path_leads_to_another_file() {
    let running = Running::start("nw-replaced");
    for root in roots() {
        let found = running.seen(&root, "nw-replaced");
        assert!(!found.process.executable_replaced, "{found:?}");
        assert!(found.process.executable.ends_with("/v1"), "{found:?}");
    }
    // The usual way of switching versions: the file that runs stays where it is.
    std::fs::remove_file(running.path("nw-replaced")).expect("removed");
    symlink("v2", running.path("nw-replaced")).expect("made");
    for root in roots() {
        assert!(running.seen(&root, "nw-replaced").process.executable_replaced);
    }
    // Back again: nothing is pending.
    std::fs::remove_file(running.path("nw-replaced")).expect("removed");
    symlink("v1", running.path("nw-replaced")).expect("made");
    for root in roots() {
        assert!(!running.seen(&root, "nw-replaced").process.executable_replaced);
    }
    std::fs::rename(running.path("v2"), running.path("v1")).expect("renamed");
    for root in roots() {
        let found = running.seen(&root, "nw-replaced");
        assert!(found.process.executable_replaced, "{found:?}");
        assert!(found.process.executable.ends_with("/v1"), "{found:?}");
    }
}

#[test]
fn a_process_was_started_when_it_was_started() {
    let before = Timestamp::now();
    let running = Running::start("nw-started");
    // On a machine with other work the copies that are made first take any time.
    let after = Timestamp::now();
    let root = HostRoot::open(Path::new("/")).expect("a directory");
    let started = running.seen(&root, "nw-started").started_at(&root).expect("btime");
    // Both parts are whole seconds, and a clock may be slewed meanwhile.
    let slack = SignedDuration::from_secs(2);
    assert!(started.duration_since(before) > -slack, "{started}, begun at {before}");
    assert!(started.duration_since(after) < slack, "{started}, running at {after}");
    let written = root.modified(running.path("v2").to_str().expect("text")).expect("a file");
    assert!(written.duration_since(before) > -slack, "{written}, begun at {before}");
    assert!(written.duration_since(after) < slack, "{written}, running at {after}");
}
