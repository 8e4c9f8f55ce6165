//! Processes of the host, from procfs(5) below the host root.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use procfs_core::FromRead as _;
use procfs_core::process::{Stat, Status};

use nodeward_domain::facts::Process;

use super::namespace::namespace;
use super::{HostError, HostRoot};
use crate::reads::{Read, Shared};

/// What is read to find processes by their names.
pub(crate) const SHARED: Shared = Shared { word: "processes", reads: READS };

const READS: &[Read] = &[
    Read::of(&["/proc"], "The pids of all processes."),
    Read::of(
        &["/proc/{pid}/stat"],
        "Of every process its name, its state and when it was started.",
    ),
    Read::of(
        &["/proc/{pid}/status"],
        "Of those that are looked for whether they are root's, and whether they are inside of a \
         container.",
    ),
    Read::of(
        &["/proc/{pid}/cmdline"],
        "Of those that are looked for their arguments: which files they were given, and which \
         places and modes.",
    ),
    Read::of(
        &["/proc/{pid}/exe"],
        "Of those that are looked for which file they run, and whether it was deleted. Needs \
         SYS_PTRACE; without it the path stays empty.",
    ),
    Read::of(
        &["/proc/{pid}"],
        "The folder of such a process, to look behind that link without leaving the root.",
    ),
    Read::usually(
        &[],
        "the first argument of such a process",
        "Which file lies there by now: another than the one that runs was put in its place.",
    ),
];

/// Ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 on every architecture
/// that Nodeward is built for.
const USER_HZ: u64 = 100;

/// `UID_MIN` of every distribution of today.
const FIRST_PERSON: u32 = 1000;

/// A process that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in the kernel, at most 15 bytes of it.
    pub name: String,
    /// What is reported of it.
    pub process: Process,
    /// Its arguments, the program's own name first.
    pub arguments: Vec<String>,
    /// It has a pid of its own in a namespace below the one we look from.
    pub in_container: bool,
}

impl Found {
    /// When it was started, by the host's clock as it goes now.
    pub fn started_at(&self, root: &HostRoot) -> Result<Timestamp, HostError> {
        let after_boot = i64::try_from(self.process.started_seconds_after_boot).unwrap_or(i64::MAX);
        booted_at(root)?
            .checked_add(SignedDuration::from_secs(after_boot))
            .map_err(|_| malformed("/proc/stat".to_owned(), "proc_stat(5)"))
    }
}

/// When the host booted, by its clock as it goes now: the line `btime` of `/proc/stat`.
pub fn booted_at(root: &HostRoot) -> Result<Timestamp, HostError> {
    const STAT: &str = "/proc/stat";
    // A line of some 20 bytes for each of thousands of interrupts and processors.
    let text = root.read_text(STAT, 4 * 1024 * 1024)?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "));
    seconds
        .and_then(|seconds| seconds.trim().parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| malformed(STAT.to_owned(), "proc_stat(5)"))
}

/// The processes of the host of that name, by pid. Zombies and processes of other PID
/// namespaces (a kubelet inside a container) are left out.
pub fn find_processes(root: &HostRoot, name: &str) -> Result<Vec<Found>, HostError> {
    find(root, &[name], |_, status| !is_nested(status) && is_of_root(status))
}

/// The same for several names, looked for at once, and of all users: daemons that give up
/// their rights are among them.
pub fn find_processes_of(root: &HostRoot, wanted: &[&str]) -> Result<Vec<Found>, HostError> {
    find(root, wanted, |_, status| !is_nested(status))
}

/// The processes of that name in the host's network, by pid, be they inside of containers
/// or not. Left out are zombies and processes that are seen to have a network of their
/// own: a node inside of a container has one, and a name alone any pod may take.
pub fn find_processes_anywhere(root: &HostRoot, name: &str) -> Result<Vec<Found>, HostError> {
    let network = namespace(root, "net");
    find(root, &[name], |pid, status| {
        let is_in_network = |network: &String| {
            let own = root.read_link(&format!("/proc/{pid}/ns/net"));
            own.map_or(true, |own| own == *network)
        };
        is_of_root(status) && network.as_ref().is_none_or(is_in_network)
    })
}

/// The processes inside of containers that have one of these names, by pid, whoever's they
/// are. Zombies are left out. A name alone any pod may take.
pub fn find_processes_in_containers(
    root: &HostRoot,
    wanted: &[&str],
) -> Result<Vec<Found>, HostError> {
    find(root, wanted, |_, status| is_nested(status))
}

/// Of processes that are not meant nothing more is read: their names anybody may take.
fn find(
    root: &HostRoot,
    wanted: &[&str],
    is_meant: impl Fn(u32, &Status) -> bool,
) -> Result<Vec<Found>, HostError> {
    let mut found = Vec::new();
    for pid in pids(root)? {
        match look(root, pid, wanted, &is_meant) {
            Ok(Some(process)) => found.push(process),
            Ok(None) => {}
            // It ended while we looked.
            Err(HostError::Missing { .. }) => {}
            Err(HostError::System { errno: nix::errno::Errno::ESRCH, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The pids of all processes of the host, sorted.
pub fn pids(root: &HostRoot) -> Result<Vec<u32>, HostError> {
    let names = root.list("/proc")?;
    let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if pids.is_empty() {
        return Err(HostError::Malformed {
            path: "/proc".to_owned(),
            why: "shows no process: the host's /proc is not mounted here".to_owned(),
        });
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Which process a pid is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its name, at most 15 bytes long.
    pub name: String,
    /// When it was started, in seconds after boot.
    pub seconds_after_boot: u64,
}

/// Which process a pid is.
pub fn started(root: &HostRoot, pid: u32) -> Result<Started, HostError> {
    let known = known(root, pid)?;
    Ok(Started { name: known.name, seconds_after_boot: known.started })
}

/// What is kept of a process for a round, in which several collectors look for some.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    name: String,
    state: char,
    parent: i32,
    /// Seconds after boot.
    started: u64,
}

/// How many processes of the host have ended and were not waited for, and the pids of the
/// parents that have not, each with how many.
pub fn zombies(root: &HostRoot) -> Result<(u64, BTreeMap<u32, u64>), HostError> {
    let (mut count, mut parents) = (0, BTreeMap::new());
    for pid in pids(root)? {
        match known(root, pid) {
            Ok(known) if known.state == 'Z' => {
                count += 1;
                if let Ok(parent) = u32::try_from(known.parent) {
                    *parents.entry(parent).or_default() += 1;
                }
            }
            Ok(_) => {}
            // It ended while we looked.
            Err(HostError::Missing { .. }) => {}
            Err(HostError::System { errno: nix::errno::Errno::ESRCH, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((count, parents))
}

/// Reads which process a pid is; within a round once for all collectors.
fn known(root: &HostRoot, pid: u32) -> Result<Known, HostError> {
    let path = format!("/proc/{pid}/stat");
    root.in_round(&path, pid, || {
        let bytes = root.read(&path, 64 * 1024)?;
        let stat = Stat::from_read(bytes.as_slice())
            .map_err(|_| malformed(path.clone(), "proc_pid_stat(5)"))?;
        Ok(Known {
            name: stat.comm,
            state: stat.state,
            parent: stat.ppid,
            started: stat.starttime / USER_HZ,
        })
    })
}

fn look(
    root: &HostRoot,
    pid: u32,
    wanted: &[&str],
    is_meant: impl Fn(u32, &Status) -> bool,
) -> Result<Option<Found>, HostError> {
    let known = known(root, pid)?;
    if !wanted.contains(&known.name.as_str()) || matches!(known.state, 'Z' | 'X') {
        return Ok(None);
    }
    let status = status(root, pid)?;
    if !is_meant(pid, &status) {
        return Ok(None);
    }
    // A kubelet inside of a container has a pid there too.
    let in_container = is_nested(&status);
    let folder = format!("/proc/{pid}");
    let arguments = match root.read(&format!("{folder}/cmdline"), 1024 * 1024) {
        // No daemon is started so. Any user may start a program of his so, and give it the
        // name of one.
        Err(HostError::TooLong { .. }) if !is_of_root(&status) => return Ok(None),
        arguments => arguments?,
    };
    let arguments: Vec<String> = arguments
        .split(|byte| *byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    // Without SYS_PTRACE the link may not be read: then the path stays empty.
    let (executable, executable_replaced) = match root.read_link(&format!("{folder}/exe")) {
        Ok(target) => match target.strip_suffix(" (deleted)") {
            Some(path) => (path.to_owned(), true),
            // In a container the path is one of the container's.
            None => {
                let started_as = arguments.first().filter(|_| !in_container);
                (target, started_as.is_some_and(|path| is_moved(root, pid, path)))
            }
        },
        Err(HostError::System { errno: nix::errno::Errno::EACCES, .. }) => (String::new(), false),
        Err(error) => return Err(error),
    };
    Ok(Some(Found {
        name: known.name,
        process: Process {
            pid,
            started_seconds_after_boot: known.started,
            executable,
            executable_replaced,
        },
        arguments,
        in_container,
    }))
}

/// Whether the path by which a process was started leads to another file by now: a
/// link there points elsewhere, or the file that runs was renamed.
fn is_moved(root: &HostRoot, pid: u32, started_as: &str) -> bool {
    // Some daemons write another name there, which is no path.
    if !started_as.starts_with('/') {
        return false;
    }
    let files = (root.executed(pid), root.identity(started_as));
    matches!(files, (Ok(runs), Ok(lies)) if runs != lies)
}

/// The parser's own message speaks to its authors, not to those who run a node.
fn malformed(path: String, form: &str) -> HostError {
    HostError::Malformed { path, why: format!("is empty, cut off, or not in the form of {form}") }
}

/// Whether a process is inside of a container, as its own pid there shows.
pub fn is_inside_container(root: &HostRoot, pid: u32) -> Result<bool, HostError> {
    status(root, pid).map(|status| is_nested(&status))
}

/// Whether a process belongs to root.
pub fn is_roots(root: &HostRoot, pid: u32) -> Result<bool, HostError> {
    status(root, pid).map(|status| is_of_root(&status))
}

/// Whether a process belongs to root or to another account of the system, as login.defs(5)
/// tells them from people's.
pub fn is_systems(root: &HostRoot, pid: u32) -> Result<bool, HostError> {
    status(root, pid).map(|status| status.ruid < FIRST_PERSON)
}

const fn is_of_root(status: &Status) -> bool {
    status.ruid == 0
}

/// A process that has a pid of its own in a namespace below the one we look from.
fn is_nested(status: &Status) -> bool {
    status.nspid.as_ref().is_some_and(|pids| pids.len() > 1)
}

fn status(root: &HostRoot, pid: u32) -> Result<Status, HostError> {
    let path = format!("/proc/{pid}/status");
    let bytes = root.read(&path, 64 * 1024)?;
    Status::from_read(bytes.as_slice()).map_err(|_| malformed(path, "proc_pid_status(5)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with processes, each with its pid, name, user, and length of its arguments.
    fn root_with(processes: &[(u32, &str, u32, usize)]) -> (tempfile::TempDir, HostRoot) {
        let folder = tempfile::tempdir().expect("a folder");
        for (pid, name, user, length) in processes {
            let place = folder.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&place).expect("made");
            let stat = format!("{pid} ({name}) S 1{}\n", " 0".repeat(48));
            let own = std::fs::read_to_string("/proc/self/status").expect("procfs");
            let status: String = own
                .lines()
                .map(|line| match line.split_once(':') {
                    Some(("Uid", _)) => format!("Uid:\t{user}\t{user}\t{user}\t{user}\n"),
                    Some(("NSpid", _)) => format!("NSpid:\t{pid}\n"),
                    _ => format!("{line}\n"),
                })
                .collect();
            std::fs::write(place.join("stat"), stat).expect("written");
            std::fs::write(place.join("status"), status).expect("written");
            std::fs::write(place.join("cmdline"), "x".repeat(*length)).expect("written");
            std::os::unix::fs::symlink("/usr/bin/x", place.join("exe")).expect("made");
        }
        let root = HostRoot::open(folder.path()).expect("a directory");
        (folder, root)
    }

    #[test]
    fn a_users_process_with_the_name_of_a_daemon_costs_nobody_the_answer() {
        let long = 1024 * 1024 + 1;
        let (_folder, root) = root_with(&[
            (5, "kubelet", 0, 10),
            (6, "kubelet", 1000, long),
            (7, "kube-proxy", 1000, long),
            (8, "chronyd", 1000, long),
            (9, "chronyd", 100, 10),
        ]);
        let pids = |found: Result<Vec<Found>, HostError>| -> Vec<u32> {
            found.expect("found").into_iter().map(|found| found.process.pid).collect()
        };
        assert_eq!(pids(find_processes(&root, "kubelet")), [5]);
        assert_eq!(pids(find_processes_anywhere(&root, "kube-proxy")), [0; 0]);
        assert_eq!(pids(find_processes_of(&root, &["chronyd"])), [9]);
        let (_folder, root) = root_with(&[(5, "kubelet", 0, long)]);
        let error = find_processes(&root, "kubelet").expect_err("root's own");
        assert_eq!(error.path(), "/proc/5/cmdline");
    }
}
