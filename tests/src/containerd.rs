//! A real containerd on folders of its own, for tests that ask it, kill it, stop it, or
//! run a container on it. What a test starts, its end stops.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::programs::installed;
use crate::service::{PATIENCE, Program};

/// The name by which containerd has had its CRI plugin switched off since 1.0.
const CRI_PLUGIN: &str = "io.containerd.grpc.v1.cri";

/// A containerd that a test has started.
#[derive(Debug)]
pub struct Containerd {
    program: Program,
    // Dropped after the program has ended.
    folder: TempDir,
}

impl Containerd {
    /// Starts one that serves CRI, without any pod network.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one whose CRI plugin is disabled, as its packages once shipped it.
    #[must_use]
    pub fn without_cri() -> Self {
        Self::start_with(&format!("disabled_plugins = [\"{CRI_PLUGIN}\"]\n"))
    }

    fn start_with(first_lines: &str) -> Self {
        // A socket's path may have 107 bytes: the folder must have a short name.
        let folder = tempfile::Builder::new().prefix("nwc").tempdir_in("/tmp").expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "version = 2\n{first_lines}\
             root = {root:?}\nstate = {state:?}\n\
             [grpc]\naddress = {socket:?}\n\
             [ttrpc]\naddress = {ttrpc:?}\n\
             [plugins.\"{CRI_PLUGIN}\"]\nrestrict_oom_score_adj = true\n\
             [plugins.\"{CRI_PLUGIN}\".cni]\nconf_dir = {cni:?}\nbin_dir = {cni:?}\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\npath = {opt:?}\n",
            root = path("root"),
            state = path("state"),
            socket = path("c.sock"),
            ttrpc = path("t.sock"),
            cni = path("cni"),
            opt = path("opt"),
        );
        std::fs::write(path("config.toml"), config).expect("a configuration");
        let log = std::fs::File::create(path("log")).expect("a log");
        let program = Program::start(
            Command::new(installed("containerd"))
                .args(["--config", &path("config.toml"), "--log-level", "warn"])
                .stdout(log.try_clone().expect("the log once more"))
                .stderr(log),
        );
        let mut containerd = Self { program, folder };
        containerd.wait_until_served();
        containerd
    }

    fn wait_until_served(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // `ctr version` asks the server and not the CRI plugin, which may be disabled.
        while !self
            .ctr(&["version"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
        {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(self.program.runs(), "containerd has ended:\n{log}");
            assert!(Instant::now() < deadline, "containerd does not serve:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    /// Where runc keeps the state of its containers.
    #[must_use]
    pub fn runc_root(&self) -> PathBuf {
        self.folder.path().join("runc")
    }

    /// A command of its client.
    #[must_use]
    pub fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed("ctr"));
        command.arg("--address").arg(self.socket()).args(["--namespace", "test"]).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Ends it as the kernel's out-of-memory killer does: the socket's file stays.
    pub fn kill(&mut self) {
        self.program.signal(Signal::SIGKILL);
        self.program.ended_within(PATIENCE);
        let left = std::fs::symlink_metadata(self.socket()).expect("the socket's file stays");
        assert!(left.file_type().is_socket());
    }
}

impl Containerd {
    /// Ends the containers that still run on it.
    fn end_containers(&self) {
        self.program.signal(Signal::SIGCONT);
        let listed = self.ctr(&["task", "ls", "--quiet"]).output();
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        for name in String::from_utf8_lossy(&listed).lines() {
            let _ = self.ctr(&["task", "rm", "--force", name]).output();
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if self.program.runs() {
            self.end_containers();
            // A stopped one would not hear anything else.
            self.program.signal(Signal::SIGCONT);
            self.program.signal(Signal::SIGTERM);
            self.program.ended_within(PATIENCE);
        }
        // Shims outlive containerd by design; each names our folder on its command line.
        for pid in shims_of(self.folder.path()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        unmount_below(self.folder.path());
    }
}

/// The shims that were started with a socket or a bundle below that folder.
fn shims_of(folder: &Path) -> Vec<Pid> {
    let folder = folder.as_os_str().as_encoded_bytes().to_vec();
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let is_shim = line.windows(15).any(|window| window == b"containerd-shim");
            is_shim && line.windows(folder.len()).any(|window| window == folder)
        })
        .map(Pid::from_raw)
        .collect()
}

/// Detaches what is mounted below a folder, the innermost first, so that removing the
/// folder removes nothing else.
fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|place| Path::new(place).starts_with(folder))
        .collect();
    below.sort_unstable();
    for place in below.into_iter().rev() {
        let _ = nix::mount::umount2(Path::new(place), nix::mount::MntFlags::MNT_DETACH);
    }
}
