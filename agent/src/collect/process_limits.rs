//! Collects `process_limits`: how many tasks and open files there are and may be, of the
//! node and of all pods together, and which processes do not wait for their children.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Limit, Namespace, PodsLimit, ProcessLimits};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::folders::cgroups_are_there;
use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot, started, zombies};
use crate::reads::Read;

const LIMIT_BYTES: u64 = 4096;

const LOADAVG: &str = "/proc/loadavg";
const FILE_NR: &str = "/proc/sys/fs/file-nr";

/// Where the kubelet puts all pods: by systemd or directly, in the unified hierarchy or in
/// the one of tasks.
const POD_GROUPS: [&str; 4] = [
    "/sys/fs/cgroup/kubepods.slice",
    "/sys/fs/cgroup/kubepods",
    "/sys/fs/cgroup/pids/kubepods.slice",
    "/sys/fs/cgroup/pids/kubepods",
];

/// A parent of so many zombies is named, and so many parents are.
const CHILDREN: u64 = 10;
const PARENTS: usize = 8;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&[LOADAVG], "How many tasks there are."),
    Read::of(
        &["/proc/sys/kernel/pid_max"],
        "How many there may be. Since Linux 6.14 each PID namespace has its own: not believed \
         where that is not, or may not be, the node's.",
    ),
    Read::of(&["/proc/sys/kernel/threads-max"], "How many there may be by another limit."),
    Read::of(&[FILE_NR], "How many files are open, and how many may be."),
    Read::of(
        &[
            "/sys/fs/cgroup/{group}/pids.max",
            "/sys/fs/cgroup/{group}/pids.current",
            "/sys/fs/cgroup/pids/{group}/pids.max",
            "/sys/fs/cgroup/pids/{group}/pids.current",
        ],
        "Of the control group of all pods, `kubepods.slice` or `kubepods`, how many tasks it has, \
         and how many it may have.",
    ),
    Read::of(
        &["/sys/fs/cgroup"],
        "Whether the tree is there to be read, where it has no such group.",
    ),
    Read::of(&["/proc"], "The pids of all processes."),
    Read::of(
        &["/proc/{pid}/stat"],
        "Of every process its name, its state and its parent: who does not wait for those that \
         have ended.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(host, &mut measured));
    Collected { state: ComponentState::ProcessLimits(state), measured }
}

fn read(host: &Host, measured: &mut Measurements) -> Result<State<ProcessLimits>, HostError> {
    let root = &host.root;
    let [open, unused, open_files_max] = numbers(root, FILE_NR)?;
    measured.tasks = Some(tasks(root)?);
    measured.open_files = Some(open.saturating_sub(unused));
    let pid_max = match host.foreign(Namespace::Pid.link()) {
        Some(foreign) => Limit::Unreadable(foreign.to_string()),
        None => limit(root, "/proc/sys/kernel/pid_max"),
    };
    let (zombie_parents, unseen) = match zombies(root) {
        Ok((count, parents)) => {
            measured.zombies = Some(count);
            let many = parents.into_iter().filter(|(_, children)| *children >= CHILDREN);
            // The names that a parent has by now.
            let named = many.filter_map(|(pid, _)| Some(started(root, pid).ok()?.name));
            let mut names: Vec<String> = named.collect();
            names.sort_unstable();
            names.dedup();
            names.truncate(PARENTS);
            (names, None)
        }
        Err(error) => (Vec::new(), Some(format!("{}: {error}", error.path()))),
    };
    Ok(State::Present(Arc::new(ProcessLimits {
        pid_max,
        threads_max: limit(root, "/proc/sys/kernel/threads-max"),
        open_files_max,
        pods: pods(root, measured),
        zombie_parents,
        unseen,
    })))
}

/// How many tasks there are: the second number of the fourth field, `2/613`.
fn tasks(root: &HostRoot) -> Result<u64, HostError> {
    let line = line(root, LOADAVG)?;
    let tasks = line.split(' ').nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    tasks.ok_or_else(|| HostError::Malformed {
        path: LOADAVG.to_owned(),
        why: "is not in the form of proc_loadavg(5)".to_owned(),
    })
}

fn limit(root: &HostRoot, path: &str) -> Limit {
    match line(root, path) {
        Ok(text) if text == "max" => Limit::None,
        Ok(text) => match text.parse() {
            Ok(limit) => Limit::At(limit),
            Err(_) => Limit::Unreadable(format!("{text:?} is not a number")),
        },
        Err(error) => Limit::Unreadable(error.to_string()),
    }
}

/// The limit of all pods together; none where there is no such group. Whether there is one
/// is not known where the tree is not there to be read.
fn pods(root: &HostRoot, measured: &mut Measurements) -> Option<PodsLimit> {
    let found = POD_GROUPS.iter().find_map(|path| {
        let max = format!("{path}/pids.max");
        if root.exists(&max) == Ok(false) {
            return None;
        }
        let current = line(root, &format!("{path}/pids.current")).ok();
        measured.pods_tasks = current.and_then(|current| current.parse().ok());
        Some(PodsLimit { path: (*path).to_owned(), max: limit(root, &max) })
    });
    found.or_else(|| {
        let error = cgroups_are_there(root).err()?;
        let max = Limit::Unreadable(error.to_string());
        Some(PodsLimit { path: error.path().to_owned(), max })
    })
}

/// So many numbers on the one line of a file.
fn numbers<const N: usize>(root: &HostRoot, path: &str) -> Result<[u64; N], HostError> {
    let line = line(root, path)?;
    let numbers: Option<Vec<u64>> =
        line.split_whitespace().map(|number| number.parse().ok()).collect();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| HostError::Malformed {
        path: path.to_owned(),
        why: format!("{line:?} is not {N} numbers"),
    })
}

/// The one line of a file that the kernel makes: one without an end has been cut off, and
/// half a number is another number.
fn line(root: &HostRoot, path: &str) -> Result<String, HostError> {
    let text = root.read_text(path, LIMIT_BYTES)?;
    let why = match text.strip_suffix('\n') {
        Some(line) => return Ok(line.to_owned()),
        None if text.is_empty() => "is empty",
        None => "ends in the middle of a line: truncated",
    };
    Err(HostError::Malformed { path: path.to_owned(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::probe::Probes;

    /// What is seen of a host with these files.
    fn seen(files: &[(&str, &str)]) -> Result<(ProcessLimits, Measurements), HostError> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let host = Host::new(
            HostRoot::open(root.path()).expect("a directory"),
            Probes::Off("a copy".to_owned()),
        );
        let mut measured = Measurements::default();
        match read(&host, &mut measured)? {
            State::Present(limits) => Ok(((*limits).clone(), measured)),
            other => panic!("{other:?}"),
        }
    }

    fn stat(pid: u32, name: &str, state: char, parent: u32) -> (String, String) {
        let text = format!("{pid} ({name}) {state} {parent}{}\n", " 0".repeat(48));
        (format!("/proc/{pid}/stat"), text)
    }

    const LIMITS: [(&str, &str); 4] = [
        ("/proc/loadavg", "0.10 0.20 0.30 2/613 4711\n"),
        ("/proc/sys/fs/file-nr", "1952\t32\t9223372036854775807\n"),
        ("/proc/sys/kernel/pid_max", "4194304\n"),
        ("/proc/sys/kernel/threads-max", "62906\n"),
    ];

    #[test]
    fn limits_and_numbers_are_read() {
        let mut processes = vec![stat(1, "systemd", 'S', 0), stat(7, "sh", 'S', 1)];
        processes.extend((20..32).map(|pid| stat(pid, "true", 'Z', 7)));
        processes.push(stat(40, "false", 'Z', 1));
        let mut files: Vec<(&str, &str)> =
            processes.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.extend(LIMITS);
        files.push(("/sys/fs/cgroup/pids/kubepods/pids.max", "max\n"));
        files.push(("/sys/fs/cgroup/pids/kubepods/pids.current", "311\n"));
        let (limits, measured) = seen(&files).expect("read");
        assert_eq!((measured.tasks, measured.open_files), (Some(613), Some(1920)));
        assert_eq!((measured.zombies, measured.pods_tasks), (Some(13), Some(311)));
        assert_eq!((limits.pid_max, limits.threads_max), (Limit::At(4_194_304), Limit::At(62_906)));
        assert_eq!(limits.zombie_parents, ["sh"]);
        assert_eq!(limits.pods.expect("a group").max, Limit::None);
        assert_eq!(limits.unseen, None);
    }

    #[test]
    fn a_tree_of_groups_that_is_not_there_is_not_one_without_pods() {
        let pods = |files: &[(&str, &str)]| {
            let mut all = LIMITS.to_vec();
            all.extend(files);
            seen(&all).expect("read").0.pods
        };
        let unreadable = pods(&[]).expect("nobody can tell");
        assert_eq!(unreadable.max, Limit::Unreadable("not there".to_owned()));
        assert_eq!(pods(&[("/sys/fs/cgroup/cgroup.controllers", "pids\n")]), None);
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("sys/fs/cgroup")).expect("made");
        let root = HostRoot::open(root.path()).expect("a directory");
        assert!(super::pods(&root, &mut Measurements::default()).is_some(), "not mounted");
    }

    #[test]
    fn what_is_cut_off_or_missing_is_told() {
        let without = |path: &str| {
            let files = LIMITS.iter().filter(|(other, _)| *other != path).copied();
            files.collect::<Vec<_>>()
        };
        let (limits, measured) = seen(&without("/proc/sys/kernel/pid_max")).expect("read");
        assert_eq!(limits.pid_max, Limit::Unreadable("not there".to_owned()));
        // Nobody can be seen, which is not nobody.
        assert_eq!(measured.zombies, None);
        assert!(limits.unseen.is_some_and(|why| why.starts_with("/proc: ")));
        for (path, text) in [
            ("/proc/loadavg", "0.10 0.20 0.30 2/613"),
            ("/proc/loadavg", "0.10 0.20 0.30 613 1\n"),
            ("/proc/sys/fs/file-nr", "1952\t32\n"),
            ("/proc/sys/fs/file-nr", ""),
        ] {
            let mut files = without(path);
            files.push((path, text));
            assert_eq!(seen(&files).expect_err(text).path(), path);
        }
    }
}
