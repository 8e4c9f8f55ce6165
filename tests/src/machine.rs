//! A machine with a real systemd: a minimal system from the package sources of this one,
//! made once and booted in a container by systemd-nspawn(1). What is written in it is
//! gone with it. What a test starts, its end stops.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::programs::{installed, target};
use crate::service::{PATIENCE, Program};

/// What is installed besides the packages that Debian calls required.
const PACKAGES: &str = "systemd-sysv,dbus";

/// Joins the cgroups that are named before `--` and becomes what follows.
const JOIN: &str =
    r#"until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@""#;

/// A booted machine.
#[derive(Debug)]
pub struct Machine {
    nspawn: Program,
    /// Its process 1, as seen from here.
    leader: Pid,
    cgroups: Vec<PathBuf>,
}

impl Machine {
    /// Boots one, and waits until it is up.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn boot() -> Self {
        static BOOTED: AtomicU32 = AtomicU32::new(0);
        let number = BOOTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("nodeward-{}-{number}", std::process::id());
        let root = root();
        // Under a systemd, nspawn makes a scope; else two would share a cgroup, and each
        // would end the other's processes.
        let has_systemd = Path::new("/run/systemd/system").exists();
        let cgroups = if has_systemd { Vec::new() } else { own_cgroups(&name) };
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, "sh"]).args(&cgroups).arg("--");
        // If the test is killed, nspawn hears of it and shuts the machine down.
        command.arg(installed("setpriv")).args(["--pdeathsig", "TERM"]);
        command.arg(installed("systemd-nspawn")).arg("--directory").arg(root);
        command.args(["--quiet", "--boot", "--volatile=overlay", "--private-network"]);
        command.args(["--register=no", "--console=pipe", "--capability=all", "--machine", &name]);
        if !has_systemd {
            command.arg("--keep-unit");
        }
        let mut machine =
            Self { nspawn: Program::start(&mut command), leader: Pid::from_raw(0), cgroups };
        machine.wait_until_up();
        machine
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(self.nspawn.runs(), "systemd-nspawn has ended");
            assert!(Instant::now() < deadline, "the machine does not come up");
            std::thread::sleep(Duration::from_millis(50));
            let bus = |pid: &Pid| {
                Path::new(&format!("/proc/{pid}/root/run/dbus/system_bus_socket")).exists()
            };
            let Some(leader) = children(self.nspawn.pid()).into_iter().find(bus) else { continue };
            self.leader = leader;
            let state = self.command("systemctl", &["is-system-running"]).output();
            let state = state.expect("nsenter runs").stdout;
            if matches!(state.trim_ascii(), b"running" | b"degraded") {
                return;
            }
        }
    }

    /// Its root directory, as seen from here.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader))
    }

    /// A path inside of it, given as on the machine.
    #[must_use]
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Writes a file in it, with the folders that it lies in.
    pub fn write(&self, path: &str, text: &str) {
        let inside = self.inside(path);
        std::fs::create_dir_all(inside.parent().expect("a folder")).expect("made");
        std::fs::write(inside, text).expect("written");
    }

    /// Runs a program in it to its end, and gives what it wrote.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).output().expect("nsenter runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// Runs `systemctl` in it.
    pub fn systemctl(&self, arguments: &[&str]) -> String {
        self.run("systemctl", arguments)
    }

    /// A program in it, not run yet.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed("nsenter"));
        command.args(["--target", &self.leader.to_string()]);
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]);
        command.arg(program).args(arguments);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With process 1 everything in it ends, and then nspawn.
        match self.leader.as_raw() {
            0 => self.nspawn.signal(Signal::SIGTERM),
            _ => drop(kill(self.leader, Signal::SIGKILL)),
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.nspawn.runs() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        for cgroup in &self.cgroups {
            while cgroup.exists() && Instant::now() < deadline {
                remove_cgroup(cgroup);
            }
        }
    }
}

/// The root directory that machines are booted from, made anew when it is to be made of
/// something else. One at a time makes it; whoever comes second finds it.
fn root() -> PathBuf {
    let folder = target().join("tmp");
    std::fs::create_dir_all(&folder).expect("a folder");
    let (root, note) = (folder.join("machine"), folder.join("machine.made-of"));
    let lock = File::create(folder.join("machine.lock")).expect("a lock file");
    lock.lock().expect("locked");
    let sources = package_sources();
    let made_of = made_of(&sources);
    if std::fs::read_to_string(&note).is_ok_and(|note| note == made_of) {
        return root;
    }
    let _ = std::fs::remove_file(&note);
    let _ = std::fs::remove_dir_all(&root);
    let status = Command::new(installed("mmdebstrap"))
        .args(["--quiet", "--variant=minbase", "--include", PACKAGES, &release()])
        .arg(&root)
        .args(sources)
        .status()
        .expect("mmdebstrap runs");
    assert!(status.success(), "the machine's root directory could not be made");
    std::fs::write(&note, made_of).expect("written");
    root
}

/// The files that name this machine's package sources.
fn package_sources() -> Vec<PathBuf> {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "list" || end == "sources"))
        .chain([PathBuf::from("/etc/apt/sources.list")])
        .filter(|path| path.metadata().is_ok_and(|file| file.len() > 0))
        .collect();
    files.sort();
    files
}

fn made_of(sources: &[PathBuf]) -> String {
    let texts = sources.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.fold(format!("{} {PACKAGES}\n", release()), |all, text| all + &text)
}

/// The release that this machine runs, by its code name.
fn release() -> String {
    let text = std::fs::read_to_string("/etc/os-release").expect("os-release");
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.expect("Debian and Ubuntu name their release").trim_matches('"').to_owned()
}

fn children(pid: u32) -> Vec<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children
        .unwrap_or_default()
        .split_whitespace()
        .flat_map(str::parse)
        .map(Pid::from_raw)
        .collect()
}

/// Makes a cgroup in each hierarchy that systemd uses: the one, or both of a hybrid.
fn own_cgroups(name: &str) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = match top.join("cgroup.procs").exists() {
        true => vec![top.to_owned()],
        false => vec![top.join("systemd"), top.join("unified")],
    };
    let there = hierarchies.into_iter().filter(|hierarchy| hierarchy.exists());
    let cgroups: Vec<PathBuf> = there.map(|hierarchy| hierarchy.join(name)).collect();
    for cgroup in &cgroups {
        std::fs::create_dir(cgroup).expect("root may make a cgroup");
    }
    cgroups
}

/// Removes a cgroup and those below it, as far as nothing runs in them.
fn remove_cgroup(cgroup: &Path) {
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(cgroup);
}
