//! Real file systems that are full, and that became read-only: each in mounts of the test's
//! own, which nobody else sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nodeward_agent::collect::{COLLECTORS, Collected, Collector};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::answer::{About, NodeAnswer};
use nodeward_domain::check::settle;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Filesystem};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};

/// This machine, as an agent sees it whose process 1 has the mounts of the test.
struct Mounted {
    runtime: tokio::runtime::Runtime,
    history: NodeHistory,
    rounds: i64,
}

impl Mounted {
    /// Does something with mounts of its own, in a thread that has them alone.
    fn inside(work: impl FnOnce(&mut Self) + Send + 'static) {
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNS).expect("root may have mounts of its own");
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private");
            // PID/task/TID, which stays what it is when others look.
            let own = std::fs::read_link("/proc/thread-self").expect("procfs");
            let own = Path::new("/proc").join(own).join("mountinfo");
            bind(&own, Path::new("/proc/1/mountinfo"));
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            work(&mut Self { runtime, history: NodeHistory::default(), rounds: 0 });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    /// What one round of the agent sees.
    fn seen(&self) -> (Arc<Filesystem>, Collected) {
        let host = Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            ..Host::new(
                HostRoot::open(Path::new("/")).expect("the root"),
                Probes::Live { runtime: self.runtime.handle().clone() },
            )
        };
        let is_it = |one: &Collector| one.component == Component::Filesystem;
        let collector = COLLECTORS.into_iter().find(is_it).expect("one");
        let collected = (collector.collect)(&host);
        match &collected.state {
            ComponentState::Filesystem(State::Present(facts)) => (Arc::clone(facts), collected),
            other => panic!("not read: {other:?}"),
        }
    }

    /// The findings after one more round: reason, and what is wrong.
    fn findings(&mut self) -> Vec<(String, String)> {
        let (_, collected) = self.seen();
        self.rounds += 1;
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(30 * self.rounds);
        self.history.measured.observe(collected.measured, at);
        self.history.observe(collected.state, at, Default::default());
        // Without a kubelet the machine's own lines hold.
        self.history.observe(ComponentState::Kubelet(State::Absent), at, Default::default());
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        settle(&mut self.history, &[Component::Filesystem].into(), &policy, at);
        let about = About { cluster: "c", node: "n", last_report_at: Some(at), agent: None };
        let (answer, _) = NodeAnswer::of(about, &self.history, Default::default(), &policy, at);
        let told = answer.findings.into_iter().map(|finding| (finding.reason, finding.message));
        told.collect()
    }

    fn finding(&mut self, reason: &str) -> Option<String> {
        self.findings().into_iter().find_map(|(found, says)| (found == reason).then_some(says))
    }
}

fn bind(from: &Path, at: &Path) {
    mount(Some(from), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("root may mount");
}

mod real_tmpfs {
    use nodeward_domain::facts::{FilesystemSize, PlaceRole};

    use super::*;

    const LOGS: &str = "/var/log";

    fn fresh(options: &str) {
        mount(Some("tmpfs"), LOGS, Some("tmpfs"), MsFlags::empty(), Some(options))
            .expect("mounted");
    }

    #[test]
    fn a_file_system_that_fills_is_found_after_three_rounds_and_clears_by_itself() {
        Mounted::inside(|machine| {
            fresh("size=1m");
            let (facts, collected) = machine.seen();
            let logs = facts.place(PlaceRole::Logs).expect("it is there");
            assert_eq!(
                (logs.mount_point.as_str(), &logs.size),
                (LOGS, &FilesystemSize::Bytes(1 << 20))
            );
            assert_eq!(collected.measured.filesystem_logs_available_bytes, Some(1 << 20));
            let full = Path::new(LOGS).join("full");
            std::fs::write(&full, vec![0; 1 << 20]).expect("it fits");
            let is_told = |finding: Option<String>| finding.is_some_and(|it| it.contains(LOGS));
            for _ in 0..2 {
                assert!(!is_told(machine.finding("FilesystemNearlyFull")));
            }
            let says = machine.finding("FilesystemNearlyFull").expect("three rounds");
            assert!(says.contains("0.0 % of the space of /var/log is left"), "{says}");
            std::fs::remove_file(full).expect("removed");
            assert!(!is_told(machine.finding("FilesystemNearlyFull")));
        });
    }

    #[test]
    fn a_file_system_without_inodes_is_found_although_it_has_space() {
        Mounted::inside(|machine| {
            fresh("size=1m,nr_inodes=21");
            // One is the folder's own.
            for number in 0..20 {
                std::fs::write(format!("{LOGS}/{number}"), "").expect("it fits");
            }
            let mut findings = Vec::new();
            for _ in 0..3 {
                findings = machine.findings();
            }
            let says = findings.iter().find(|(reason, _)| reason == "FilesystemInodesLow");
            let (_, says) = says.expect("three rounds");
            assert!(says.contains("0.0 % of the inodes of /var/log are left"), "{says}");
        });
    }

    #[test]
    fn what_only_the_agent_sees_is_not_measured_as_the_nodes() {
        Mounted::inside(|machine| {
            // The table of process 1 knows nothing of the next one.
            let table = std::fs::read_to_string("/proc/1/mountinfo").expect("a table");
            let folder = tempfile::tempdir().expect("a folder");
            let copy = folder.path().join("mountinfo");
            std::fs::write(&copy, table).expect("written");
            bind(&copy, Path::new("/proc/1/mountinfo"));
            fresh("size=1m");
            let (facts, collected) = machine.seen();
            let logs = facts.place(PlaceRole::Logs).expect("it is there");
            assert_ne!(logs.mount_point, LOGS);
            assert_ne!(logs.size, FilesystemSize::Bytes(1 << 20));
            assert_eq!(collected.measured.filesystem_logs_available_bytes, None);
        });
    }
}

mod real_ext4 {
    use std::process::Command;

    use nodeward_tests::programs::installed;

    use super::*;

    fn run(program: &str, arguments: &[&str]) {
        let output = Command::new(installed(program)).args(arguments).output().expect(program);
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {says}");
    }

    #[test]
    fn a_file_system_that_became_read_only_is_found_and_clears_by_itself() {
        Mounted::inside(|machine| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = |name: &str| folder.path().join(name).display().to_string();
            let (image, disk, volume) = (path("image"), path("disk"), path("a volume"));
            let file = std::fs::File::create(&image).expect("made");
            file.set_len(8 << 20).expect("a file with a hole");
            run("mkfs.ext4", &["-q", &image]);
            for folder in [&disk, &volume] {
                std::fs::create_dir(folder).expect("made");
            }
            run("mount", &["-o", "loop", &image, &disk]);
            bind(Path::new(&disk), Path::new(&volume));
            let told = |machine: &Mounted| {
                let (facts, _) = machine.seen();
                let here = |point: &str| point == disk || point == volume;
                let mut mounts = facts.mounts.iter().filter(|mount| here(&mount.mount_point));
                let mount = mounts.next().expect("it is mounted").clone();
                assert_eq!(mounts.next(), None, "told once");
                mount
            };
            let mount = told(machine);
            assert_eq!((mount.kind.as_str(), mount.went_read_only), ("ext4", false));
            assert_eq!(machine.finding("FilesystemReadOnly"), None);
            // The file system is read-only now, and the volume is not told to be.
            run("mount", &["-o", "remount,ro", &disk]);
            assert!(std::fs::write(format!("{volume}/x"), "").is_err());
            let mount = told(machine);
            assert_eq!((&mount.mount_point, mount.went_read_only), (&volume, true));
            let says = machine.finding("FilesystemReadOnly").expect("at once");
            assert!(says.starts_with(&format!("{volume} (ext4, /dev/loop")), "{says}");
            run("mount", &["-o", "remount,rw", &disk]);
            assert_eq!(machine.finding("FilesystemReadOnly"), None);
            run("umount", &[&volume]);
            run("umount", &[&disk]);
        });
    }
}
