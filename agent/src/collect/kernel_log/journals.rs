//! What is read of the journal: what containerd wrote, the kernel's lines where its own
//! buffer cannot be read, and what imported rules are for. Source: its files, see
//! [`crate::journal`].

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::kernel_log::{Journal, JournalRead, LogClass};

use super::{Budget, Clock, Watch, is_silent, kept_from, seconds};
use crate::host::{HostError, HostRoot};
use crate::journal::{Entry, Folder, Look, Looked};
use crate::npd::Follows;

const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where journals lie, those that last before those of this boot alone.
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Whoever writes so is containerd: the journal sets the unit itself.
const RUNTIME: &str = "containerd.service";

/// What the C library says of EUCLEAN, as Go says it. Source: errno(3).
const NEEDS_CLEANING: &str = "structure needs cleaning";

/// How far back it is looked for at the start: what is older is no finding any more.
const RUNTIME_LOOKBACK: SignedDuration = SignedDuration::from_mins(30);

/// Before the words so much of a line is kept: what was done, and to which path.
const BEFORE_BYTES: usize = 200;

/// Folders that are followed.
#[derive(Debug, Default)]
pub(super) struct Journals {
    folders: BTreeMap<String, Folder>,
    skipped: u64,
}

impl Journals {
    /// Whether a journal is written to a folder.
    fn is_there(&self, root: &HostRoot, path: &str) -> Result<bool, HostError> {
        let may_be_between = self.folders.get(path).is_some_and(Folder::may_be_between);
        Ok(Folder::is_there(root, path)? || may_be_between && root.exists(path)?)
    }
}

/// What is read of a folder.
#[derive(Debug, Default)]
struct Wanted {
    is_machines: bool,
    /// The kernel's lines of this boot.
    boot: Option<[u8; 16]>,
    /// Rules, by their place.
    monitors: Vec<usize>,
}

impl Watch {
    /// Reads what is new in journals: that of the machine, and those that rules name.
    pub(super) fn journal(
        &mut self,
        root: &HostRoot,
        clock: &Clock,
        budget: &mut Budget,
        with_kernels: bool,
    ) -> JournalRead {
        let machines = machines(&self.journals, root);
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        let mut boot_unknown = None;
        if let Ok(folder) = &machines {
            let one = wanted.entry(folder.clone()).or_default();
            one.is_machines = true;
            if with_kernels {
                match boot_id(root) {
                    Ok(id) => one.boot = Some(id),
                    Err(error) => boot_unknown = Some(error),
                }
            }
        }
        for (index, watched) in self.monitors.iter_mut().enumerate() {
            let Follows::Journald { path, .. } = &watched.monitor.follows else { continue };
            if watched.is_kernels() {
                continue;
            }
            watched.is_left_to_files = false;
            let folder = match path.as_str() {
                "" => machines.clone().map_err(|error| (true, error)),
                path => {
                    if let Some(why) = kept_from(root, path) {
                        watched.idle = why;
                        continue;
                    }
                    named(&self.journals, root, path)
                        .map_err(|error| (FOLDERS.contains(&path), error))
                }
            };
            match folder {
                Ok(folder) => {
                    folder.clone_into(&mut watched.follows);
                    watched.idle.clear();
                    wanted.entry(folder).or_default().monitors.push(index);
                }
                Err((is_own, error)) => {
                    watched.idle = format!("{}: {error}", error.path());
                    // What is not the machine's own no syslog daemon has either.
                    watched.is_left_to_files = is_own;
                }
            }
        }
        let mut machines = machines.map_err(|error| JournalRead::Unreadable(error.into()));
        for (folder, wanted) in wanted {
            let looked = self.folder(root, clock, budget, &folder, &wanted);
            for index in &wanted.monitors {
                self.monitors[*index].idle = looked
                    .as_ref()
                    .err()
                    .map(|error| format!("{folder}: {error}"))
                    .unwrap_or_default();
            }
            if wanted.is_machines
                && let Err(error) = looked
            {
                machines = Err(JournalRead::Unreadable(error.into()));
            } else if wanted.is_machines
                && let Ok(looked) = looked
            {
                self.told = looked;
            }
        }
        match (machines, boot_unknown) {
            (Ok(_), Some(error)) => JournalRead::Unreadable(error.into()),
            (Ok(folder), None) => JournalRead::Followed(Journal {
                folder,
                set_aside: self.told.set_aside,
                skipped: self.journals.skipped,
                is_behind: self.told.is_behind,
            }),
            (Err(unreadable), _) => unreadable,
        }
    }

    fn folder(
        &mut self,
        root: &HostRoot,
        clock: &Clock,
        budget: &mut Budget,
        path: &str,
        wanted: &Wanted,
    ) -> Result<Looked, HostError> {
        let known = self.journals.folders.remove(path);
        // A folder that comes later, as when the journal moves from /run, has copies of what
        // was read where it was.
        let since = match (&known, clock.before) {
            (None, Some(before)) => before,
            _ => self.since(clock, wanted),
        };
        let mut folder = known.unwrap_or_else(|| Folder::new(path.to_owned()));
        let mut reading = Reading { watch: self, clock, budget, wanted };
        let looked = folder.look(root, microseconds(since), &mut reading);
        self.journals.folders.insert(path.to_owned(), folder);
        if let Ok(looked) = &looked {
            self.lost = self.lost.saturating_add(looked.lost);
            self.journals.skipped = self.journals.skipped.saturating_add(looked.skipped);
        }
        looked
    }

    /// Since when nothing was written to a folder, where that is so long that nobody writes
    /// there any more.
    pub(super) fn silent_since(&self, folder: &str, clock: &Clock) -> Option<Timestamp> {
        let newest = self.journals.folders.get(folder)?.newest()?;
        let newest = Timestamp::from_microsecond(i64::try_from(newest).ok()?).ok()?;
        is_silent(newest, clock).then(|| seconds(newest))
    }

    /// The earliest that anybody wants of a folder.
    fn since(&self, clock: &Clock, wanted: &Wanted) -> Timestamp {
        let mut since = clock.now.checked_sub(RUNTIME_LOOKBACK).unwrap_or(clock.now);
        if wanted.boot.is_some() {
            since = since.min(clock.booted);
        }
        let starts = wanted.monitors.iter().filter_map(|index| self.monitors[*index].starts_at);
        starts.fold(since, Timestamp::min)
    }

    /// A line of containerd's own.
    fn runtimes_line(&mut self, at: Timestamp, seqnum: u64, message: &str) {
        let Some(found) = message.find(NEEDS_CLEANING) else { return };
        let start = message.floor_char_boundary(found.saturating_sub(BEFORE_BYTES));
        let line = &message[start..found + NEEDS_CLEANING.len()];
        let class = LogClass::FsCorruptionReported;
        self.events.take(class, at, Some(seqnum), damaged(message, found), line, false);
    }
}

/// The path that stands before the words, as in `open /var/lib/x: structure needs cleaning`;
/// empty where none does.
fn damaged(message: &str, found: usize) -> &str {
    let Some(before) = message[..found].strip_suffix(": ") else { return "" };
    let path = before.rsplit([' ', '"', '\\', '=']).next().unwrap_or_default();
    if path.starts_with('/') { path } else { "" }
}

/// One who reads a folder.
struct Reading<'a> {
    watch: &'a mut Watch,
    clock: &'a Clock,
    budget: &'a mut Budget,
    wanted: &'a Wanted,
}

impl Reading<'_> {
    fn is_kernels(&self, entry: &Entry) -> bool {
        self.wanted.boot == Some(entry.boot_id)
            && entry.fields.transport.as_deref() == Some("kernel")
    }

    fn is_runtimes(&self, entry: &Entry) -> bool {
        self.wanted.is_machines && entry.fields.unit.as_deref() == Some(RUNTIME)
    }

    fn is_for(&self, index: usize, entry: &Entry) -> bool {
        match &self.watch.monitors[index].monitor.follows {
            Follows::Journald { source, .. } => {
                entry.fields.identifier.as_deref() == Some(source.as_str())
            }
            Follows::Kmsg | Follows::Filelog(_) => false,
        }
    }
}

impl Look for Reading<'_> {
    fn allows_one(&mut self) -> bool {
        self.budget.allows_one()
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.is_kernels(entry)
            || self.is_runtimes(entry)
            || self.wanted.monitors.iter().any(|index| self.is_for(*index, entry))
    }

    fn take(&mut self, entry: &Entry, message: &str) {
        let micros = i64::try_from(entry.realtime).unwrap_or(i64::MAX);
        let at = Timestamp::from_microsecond(micros).unwrap_or(self.clock.now);
        if self.is_kernels(entry) {
            // The kernel gives its own facility to nobody else.
            let by_kernel = entry.fields.facility.as_deref() == Some("0");
            let seqnum = Some(entry.seqnum);
            self.watch.kernels_line(seconds(at), seqnum, message.trim(), by_kernel);
        }
        if self.is_runtimes(entry) {
            self.watch.runtimes_line(seconds(at), entry.seqnum, message);
        }
        for index in &self.wanted.monitors {
            if self.is_for(*index, entry) {
                let watch = &mut *self.watch;
                watch.monitors[*index].take(&mut watch.found, at, message);
            }
        }
    }
}

fn microseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or_default()
}

/// The folder of this machine's journal.
fn machines(journals: &Journals, root: &HostRoot) -> Result<String, HostError> {
    let machine = machine_id(root)?;
    for folder in FOLDERS {
        let folder = format!("{folder}/{machine}");
        if journals.is_there(root, &folder)? {
            return Ok(folder);
        }
    }
    Err(HostError::Missing { path: format!("{}/{machine}/system.journal", FOLDERS[0]) })
}

/// The folder that a rule names, or this machine's in it.
fn named(journals: &Journals, root: &HostRoot, path: &str) -> Result<String, HostError> {
    let path = path.trim_end_matches('/');
    if journals.is_there(root, path)? {
        return Ok(path.to_owned());
    }
    let inner = format!("{path}/{}", machine_id(root)?);
    match journals.is_there(root, &inner)? {
        true => Ok(inner),
        false => Err(HostError::Missing { path: path.to_owned() }),
    }
}

/// machine-id(5): 32 hexadecimal digits.
fn machine_id(root: &HostRoot) -> Result<String, HostError> {
    let text = root.read_text(MACHINE_ID, 64)?;
    let id = text.trim_end();
    match id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(id.to_owned()),
        false => Err(HostError::Malformed {
            path: MACHINE_ID.to_owned(),
            why: "is no identifier of a machine".to_owned(),
        }),
    }
}

/// The boot's identifier, as the journal writes it.
fn boot_id(root: &HostRoot) -> Result<[u8; 16], HostError> {
    let text = root.read_text(BOOT_ID, 64)?;
    let digits = text.trim_end().replace('-', "");
    let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(&digits, 16) {
        Ok(id) if is_whole => Ok(id.to_be_bytes()),
        Ok(_) | Err(_) => Err(HostError::Malformed {
            path: BOOT_ID.to_owned(),
            why: "is no identifier of a boot".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_damaged_path_is_told_where_it_stands() {
        for (message, path) in [
            ("open /var/lib/x: structure needs cleaning", "/var/lib/x"),
            (
                "time=\"t\" level=error error=\"failed to mkdir \\\"/a b\\\": lstat /a/c: structure needs cleaning\"",
                "/a/c",
            ),
            ("structure needs cleaning", ""),
            ("rename x: structure needs cleaning", ""),
        ] {
            let found = message.find(NEEDS_CLEANING).expect("there");
            assert_eq!(damaged(message, found), path, "{message}");
        }
    }
}
