//! A real containerd on folders of its own, for tests that ask it, kill it, stop it, or
//! run a container on it. What a test starts, its end stops.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::pod::PAUSE_IMAGE;
use crate::programs::installed;
use crate::service::{PATIENCE, Program};

/// The plugin's name in version 2 of containerd's configuration, which 1.3 and later read;
/// 2.x splits the plugin and still serves CRI by this one.
const CRI_PLUGIN: &str = "io.containerd.grpc.v1.cri";

/// Where the tests' own containers are, apart from those of CRI.
const NAMESPACE: &str = "test";

/// Where those of CRI are.
pub(crate) const CRI_NAMESPACE: &str = "k8s.io";

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

    /// Starts one whose CRI plugin is disabled, as Docker's packages ship it.
    #[must_use]
    pub fn without_cri() -> Self {
        Self::start_with(&format!("disabled_plugins = [\"{CRI_PLUGIN}\"]\n"))
    }

    /// Starts one whose CRI plugin refuses its configuration, and does not start for that.
    #[must_use]
    pub fn with_refused_configuration() -> Self {
        let table = format!("[plugins.\"{CRI_PLUGIN}\".registry");
        let folder = "config_path = \"/nowhere\"";
        let mirror = "endpoint = [\"https://localhost\"]";
        Self::start_with(&format!("{table}]\n{folder}\n{table}.mirrors.a]\n{mirror}\n"))
    }

    /// Starts one from a copy of the program, which can then be replaced on disk.
    #[must_use]
    pub fn from_a_copy() -> Self {
        let mut containerd = Self::start();
        containerd.kill();
        std::fs::copy(installed("containerd"), containerd.path("containerd")).expect("copied");
        containerd.start_again();
        containerd
    }

    /// Puts another file in the place of the copy, as a package manager does.
    pub fn replace_on_disk(&self) {
        std::fs::write(self.path("new"), "another one").expect("written");
        std::fs::rename(self.path("new"), self.path("containerd")).expect("renamed");
    }

    fn start_with(last_lines: &str) -> Self {
        // A socket's path may have 107 bytes: the folder must have a short name.
        let folder = tempfile::Builder::new().prefix("nwc").tempdir_in("/tmp").expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("cni")).expect("a folder");
        std::fs::write(path("config.toml"), configuration(folder.path(), last_lines))
            .expect("a configuration");
        let mut containerd = Self { program: serve(folder.path()), folder };
        containerd.wait_until_served();
        containerd
    }

    /// Starts it again on its folders, after it has been killed.
    pub fn start_again(&mut self) {
        assert!(!self.program.runs(), "one of the two would wait for the other");
        self.program = serve(self.folder.path());
        self.wait_until_served();
    }

    /// Gives it a pod network, as the DaemonSet of a network plugin does: it looks into
    /// the folder whenever a file is written there.
    pub fn write_network(&self) {
        let network = r#"{"cniVersion": "0.4.0", "name": "lo", "plugins": [{"type": "loopback"}]}"#;
        std::fs::write(self.path("cni/10-lo.conflist"), network).expect("written");
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
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(self.program.runs(), "containerd has ended:\n{log}");
            assert!(Instant::now() < deadline, "containerd does not serve:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A path below its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A name that no other containerd of this machine has.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.folder.path().file_name().expect("a folder has a name");
        name.to_string_lossy().into_owned()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("c.sock")
    }

    /// A command of its client.
    #[must_use]
    pub fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed("ctr"));
        command
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", NAMESPACE])
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
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

    /// Ends the containers that still run on it. It may be ill: nothing is waited for long.
    fn end_containers(&self) {
        for namespace in [NAMESPACE, CRI_NAMESPACE] {
            let bounded = |arguments: &[&str]| {
                let first = ["--timeout", "10s", "--namespace", namespace];
                self.ctr(&[&first, arguments].concat()).output()
            };
            let listed = bounded(&["task", "ls", "--quiet"]).map(|output| output.stdout);
            for name in String::from_utf8_lossy(&listed.unwrap_or_default()).lines() {
                let _ = bounded(&["task", "rm", "--force", name]);
            }
        }
    }

    /// Ends the containers that containerd has not ended, with their cgroups.
    fn delete_orphans(&self) {
        for namespace in [NAMESPACE, CRI_NAMESPACE] {
            let root = self.path("runc").join(namespace);
            for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
                let _ = Command::new(installed("runc"))
                    .arg("--root")
                    .arg(&root)
                    .args(["delete", "--force"])
                    .arg(entry.file_name())
                    .output();
            }
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if self.program.runs() {
            // A stopped one would not hear anything else.
            self.program.signal(Signal::SIGCONT);
            self.end_containers();
            self.program.signal(Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.program.runs() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            if self.program.runs() {
                self.program.signal(Signal::SIGKILL);
            }
        }
        // Containers and shims outlive a containerd that was killed, by design. Each shim
        // names our folder on its command line.
        self.delete_orphans();
        for pid in shims_of(self.folder.path()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        unmount_below(self.folder.path());
    }
}

/// Its configuration: everything that it writes lies below the folder.
fn configuration(folder: &Path, lines: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    // Only what stands before the first table is of the top level.
    let (first, last) = if lines.starts_with('[') { ("", lines) } else { (lines, "") };
    format!(
        "version = 2\n{first}\
         root = {root:?}\nstate = {state:?}\n\
         [grpc]\naddress = {socket:?}\n\
         [ttrpc]\naddress = {ttrpc:?}\n\
         [plugins.\"{CRI_PLUGIN}\"]\nrestrict_oom_score_adj = true\n\
         sandbox_image = {PAUSE_IMAGE:?}\n\
         [plugins.\"{CRI_PLUGIN}\".cni]\nconf_dir = {cni:?}\nbin_dir = {cni:?}\n\
         [plugins.\"{CRI_PLUGIN}\".containerd.runtimes.runc]\n\
         runtime_type = \"io.containerd.runc.v2\"\n\
         [plugins.\"{CRI_PLUGIN}\".containerd.runtimes.runc.options]\nRoot = {runc:?}\n\
         [plugins.\"io.containerd.internal.v1.opt\"]\npath = {opt:?}\n{last}",
        root = path("root"),
        state = path("state"),
        socket = path("c.sock"),
        ttrpc = path("t.sock"),
        cni = path("cni"),
        runc = path("runc"),
        opt = path("opt"),
    )
}

/// Starts the program on a folder that has a configuration.
fn serve(folder: &Path) -> Program {
    let log =
        std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    let copy = folder.join("containerd");
    Program::start(
        Command::new(if copy.exists() { copy } else { installed("containerd") })
            .arg("--config")
            .arg(folder.join("config.toml"))
            .args(["--log-level", "warn"])
            .stdout(log.try_clone().expect("the log once more"))
            .stderr(log),
    )
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
