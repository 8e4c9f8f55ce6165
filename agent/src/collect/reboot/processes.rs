//! Processes that run what is no longer on disk, as needrestart(1) finds them: procfs(5)
//! writes ` (deleted)` behind the name of a file that was deleted or replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nodeward_domain::facts::OutdatedProcess;

use crate::host::{
    Host, HostError, HostRoot, booted_at, is_inside_container, is_roots, pids, started,
};

/// Written anew by ldconfig(8) whenever a package has changed shared libraries. Reading
/// the maps of all processes is dear; those that were started after the last change
/// cannot have former libraries, and on most nodes these are all.
const LIBRARY_CACHE: &str = "/etc/ld.so.cache";

/// Where packages put programs and libraries. What programs make for themselves, such as
/// `/memfd:` or `/dev/shm`, is none of a package's.
const PLACES: [&str; 6] = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/"];

const DELETED: &str = " (deleted)";

/// The longest list of mappings that is read.
const MAPS_LIMIT_BYTES: u64 = 1024 * 1024;

/// No more mappings are read after this long.
const MAPS_LIMIT: Duration = Duration::from_secs(2);

/// So many names are reported, and so many files of each.
const NAMES: usize = 128;
const FILES: usize = 4;

/// What was seen of the processes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) outdated: Vec<OutdatedProcess>,
    pub(super) unseen: Option<String>,
    pub(super) kured_runs: bool,
}

/// Looks at every process of the host.
pub(super) fn look(host: &Host) -> Result<Seen, HostError> {
    let mut look = Look {
        root: &host.root,
        begun: Instant::now(),
        libraries: libraries(host)?,
        by_name: BTreeMap::new(),
        seen: Seen::default(),
    };
    if let Libraries::Unknown(why) = &look.libraries {
        look.seen.unseen = Some(why.clone());
    }
    for pid in pids(&host.root)? {
        match look.process(pid) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            // Without SYS_PTRACE the processes of others are closed to us.
            Err(error) => look.unseen(&error),
        }
    }
    let outdated = look.by_name.into_iter().take(NAMES).map(|(name, files)| OutdatedProcess {
        name,
        files: files.into_iter().take(FILES).collect(),
    });
    Ok(Seen { outdated: outdated.collect(), ..look.seen })
}

/// The process has ended while we looked, or is a thread of the kernel.
fn is_gone(error: &HostError) -> bool {
    matches!(error, HostError::Missing { .. } | HostError::System { errno: Errno::ESRCH, .. })
}

/// What is known of shared libraries.
enum Libraries {
    /// They were not changed since boot, or there are none.
    AsAtBoot,
    /// They were changed then; the host booted at that other time.
    Changed { at: Timestamp, booted_at: Timestamp },
    /// When they were changed could not be seen.
    Unknown(String),
}

fn libraries(host: &Host) -> Result<Libraries, HostError> {
    let booted_at = booted_at(&host.root)?;
    Ok(match host.modified(LIBRARY_CACHE) {
        Ok(at) if at > booted_at => Libraries::Changed { at, booted_at },
        Ok(_) | Err(HostError::Missing { .. }) => Libraries::AsAtBoot,
        Err(error) => Libraries::Unknown(format!("{LIBRARY_CACHE}: {error}")),
    })
}

struct Look<'a> {
    root: &'a HostRoot,
    begun: Instant,
    libraries: Libraries,
    by_name: BTreeMap<String, BTreeSet<String>>,
    seen: Seen,
}

impl Look<'_> {
    fn process(&mut self, pid: u32) -> Result<(), HostError> {
        let executable = self.root.read_link(&format!("/proc/{pid}/exe"))?;
        // Any user may give a program of his that name.
        if executable.rsplit('/').next() == Some("kured") && is_roots(self.root, pid)? {
            self.seen.kured_runs = true;
        }
        let mut files: BTreeSet<String> = deleted(&executable).into_iter().collect();
        let may_have_former = self.may_have_former_libraries(pid)?;
        // A container has files of its own, and its own processes.
        if (files.is_empty() && !may_have_former) || is_inside_container(self.root, pid)? {
            return Ok(());
        }
        if may_have_former {
            match self.former_libraries(pid) {
                Ok(libraries) => files.extend(libraries),
                Err(error) if is_gone(&error) => return Err(error),
                Err(error) => self.unseen(&error),
            }
        }
        if !files.is_empty() {
            let name = started(self.root, pid)?.name;
            self.by_name.entry(name).or_default().extend(files);
        }
        Ok(())
    }

    fn may_have_former_libraries(&self, pid: u32) -> Result<bool, HostError> {
        let Libraries::Changed { at, booted_at } = self.libraries else { return Ok(false) };
        let after_boot = at.duration_since(booted_at).as_secs();
        let started = started(self.root, pid)?.seconds_after_boot;
        Ok(i64::try_from(started).is_ok_and(|started| started <= after_boot))
    }

    fn former_libraries(&mut self, pid: u32) -> Result<Vec<String>, HostError> {
        let path = format!("/proc/{pid}/maps");
        if self.begun.elapsed() > MAPS_LIMIT {
            let why = format!("not looked at within {} s", MAPS_LIMIT.as_secs());
            return Err(HostError::Malformed { path, why });
        }
        let maps = self.root.read(&path, MAPS_LIMIT_BYTES)?;
        let lines = maps.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
        Ok(lines.filter_map(|line| former_library(&line)).collect())
    }

    /// Keeps the first reason: later ones are mostly the same, of other processes.
    fn unseen(&mut self, error: &HostError) {
        self.seen.unseen.get_or_insert_with(|| format!("{}: {error}", error.path()));
    }
}

/// The deleted file of a package that procfs names.
fn deleted(file: &str) -> Option<String> {
    let file = file.strip_suffix(DELETED)?;
    PLACES.iter().any(|place| file.starts_with(place)).then(|| file.to_owned())
}

/// The deleted shared library behind a line of `/proc/PID/maps`.
fn former_library(line: &str) -> Option<String> {
    let file = deleted(&line[line.find('/')?..])?;
    file.rsplit('/').next()?.contains(".so").then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_deleted_files_of_packages_are_taken() {
        for (file, taken) in [
            ("/usr/sbin/sshd (deleted)", Some("/usr/sbin/sshd")),
            ("/usr/sbin/sshd", None),
            ("/memfd:runc_cloned:/proc/self/exe (deleted)", None),
            ("/home/me/a.out (deleted)", None),
            ("/opt/bin/node-exporter (deleted)", Some("/opt/bin/node-exporter")),
        ] {
            assert_eq!(deleted(file).as_deref(), taken, "{file}");
        }
    }

    #[test]
    fn of_the_mappings_only_deleted_libraries_are_taken() {
        let line = |path: &str| format!("7f00-7f01 r-xp 00001000 08:01 3146 {path}");
        let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
        assert_eq!(former_library(&line(&format!("   {libc} (deleted)"))), Some(libc.to_owned()));
        for path in [
            "   /usr/lib/x86_64-linux-gnu/libc.so.6",
            "   /usr/share/mime/mime.cache (deleted)",
            "   /dev/zero (deleted)",
            "   [heap]",
            "",
        ] {
            assert_eq!(former_library(&line(path)), None, "{path}");
        }
    }
}
