//! Collects `kernel_log`: what lines of the kernel's log tell of, from `/dev/kmsg`, the
//! journal's files or a syslog daemon's, what containerd wrote into the journal, and what
//! imported rules of node-problem-detector find in logs.
//!
//! Lines are told apart as they are read; of those that tell nothing only the number is
//! kept. What a round may read, and what is kept of it, is bounded: what was lost or passed
//! over is counted and reported.

mod classify;
mod found;
mod journals;
mod record;
mod syslog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use nodeward_domain::facts::ComponentState;
use nodeward_domain::facts::kernel_log::{
    ImportedFile, ImportedKind, JournalRead, KernelLog, LogSource, LostLines,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::{State, Unavailable};

use super::Collected;
use crate::host::{Host, HostError, HostRoot, Kmsg, Next, Tail, booted_at};
use crate::npd::{Filelog, Follows, Imported, Kind, Matcher, Monitor};
use crate::reads::{NEVER, Read};
pub use classify::classify;
use found::{Events, Found};
use journals::Journals;
pub use record::{Record, record};
use syslog::{Syslog, kernels};

const KMSG: &str = "/dev/kmsg";

/// Where syslog daemons write what the kernel says: the first that has a line of it counts.
const KERNEL_FILES: [&str; 3] = ["/var/log/kern.log", "/var/log/messages", "/var/log/syslog"];

/// Where they write what programs say.
const PROGRAM_FILES: [&str; 2] = ["/var/log/syslog", "/var/log/messages"];

const LOCALTIME: &str = "/etc/localtime";

/// Of each file so much is read in a round.
const FILE_LIMIT_BYTES: u64 = 2 * 1024 * 1024;

/// So many lines are read in a round, and so much processor time is spent on them. What
/// the kernel still has is read in the next one.
const ROUND_LINES: u32 = 50_000;
const ROUND_TIME: Duration = Duration::from_millis(200);

/// After so many lines the time is looked at, which costs a call of the kernel's.
const LOOK_EVERY: u32 = 64;

/// A log of all programs of a node has a line a day at the least: systemd cleans up temporary
/// files once a day, and says so (`systemd-tmpfiles-clean.timer`). One without for longer is not
/// written to any more, and its silence says nothing. That of the kernel alone may be silent
/// for as long as the kernel has nothing to say.
const SILENCE: SignedDuration = SignedDuration::from_hours(26);
const KERNELS_ALONE: &str = KERNEL_FILES[0];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/dev/kmsg"],
        "The kernel's log. Needs CAP_SYSLOG, and in a container access to the device.",
    ),
    Read::usually(
        &["/var/log/kern.log", "/var/log/messages", "/var/log/syslog"],
        "`logPath` of files that `--npd-config` names",
        "The last lines: those of the kernel where `/dev/kmsg` cannot be read, and those that \
         imported rules are for.",
    ),
    Read::usually(
        &["/var/log/kern.log.1", "/var/log/messages.1", "/var/log/syslog.1"],
        "the same with `.1` behind it",
        "What stood unread at the end of such a file when it was rotated.",
    ),
    Read::usually(
        &[
            "/var/log/journal/{machine}/system.journal",
            "/run/log/journal/{machine}/system.journal",
            "/var/log/journal/{machine}/system@{rotated}.journal",
            "/run/log/journal/{machine}/system@{rotated}.journal",
        ],
        "`logPath` of files that `--npd-config` names",
        "What containerd told of damaged file systems; lines of the kernel where `/dev/kmsg` \
         cannot be read; lines that imported rules are for. Of other entries only who wrote \
         them is looked at, and nothing is kept.",
    ),
    Read::of(
        &["/var/log/journal/{machine}", "/run/log/journal/{machine}"],
        "The names of the journal's files: which were rotated, and which were found damaged.",
    ),
    Read::of(&["/etc/machine-id"], "Which folder the machine's journal is in."),
    Read::of(&["/proc/sys/kernel/random/boot_id"], "Which boot lines in the journal are of."),
    Read::of(&["/etc/localtime"], "The zone of times in these files."),
    Read::of(&["/proc/stat"], "The line `btime`: when the node booted."),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut watch = host.log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let state = watch.look(host).unwrap_or_else(|error| State::Unavailable(error.into()));
    Collected { state: ComponentState::KernelLog(state), measured: watch.measured() }
}

/// What is remembered of logs between rounds.
#[derive(Debug, Default)]
pub struct LogWatch(Mutex<Watch>);

impl LogWatch {
    /// With imported rules.
    #[must_use]
    pub fn with(imported: Imported) -> Self {
        let mut watch = Watch::default();
        for file in imported.files {
            let rules = u32::try_from(file.rules()).unwrap_or(u32::MAX);
            let name = file.name;
            let (kind, source, idle) = match file.kind {
                Kind::LogMonitor(monitor) => {
                    watch.monitors.push(Watched::new(name, *monitor));
                    continue;
                }
                Kind::CustomPlugin { source, .. } => {
                    let idle = "programs are never run here".to_owned();
                    (ImportedKind::CustomPlugin, source, idle)
                }
                Kind::SystemStats => {
                    let idle = "its figures are not used here".to_owned();
                    (ImportedKind::SystemStats, String::new(), idle)
                }
                Kind::Other(why) => (ImportedKind::Other, String::new(), why),
            };
            let follows = String::new();
            watch.listed.push(ImportedFile { name, kind, source, rules, follows, idle });
        }
        Self(Mutex::new(watch))
    }
}

/// A file of rules, and the lines that it has seen last.
#[derive(Debug)]
struct Watched {
    name: String,
    monitor: Monitor,
    matcher: Matcher,
    /// Lines from before that are not looked at; none until it is known.
    starts_at: Option<Timestamp>,
    follows: String,
    idle: String,
    /// It is for the journal, which cannot be read.
    is_left_to_files: bool,
}

impl Watched {
    fn new(name: String, monitor: Monitor) -> Self {
        let matcher = Matcher::new(&monitor);
        let (follows, idle) = (String::new(), String::new());
        Self { name, monitor, matcher, starts_at: None, follows, idle, is_left_to_files: false }
    }

    /// Whether it is for lines of the kernel.
    fn is_kernels(&self) -> bool {
        match &self.monitor.follows {
            Follows::Kmsg => true,
            Follows::Journald { source, .. } => source == "kernel",
            Follows::Filelog(_) => false,
        }
    }

    fn listed(&self) -> ImportedFile {
        ImportedFile {
            name: self.name.clone(),
            kind: ImportedKind::LogMonitor,
            source: self.monitor.source.clone(),
            rules: u32::try_from(self.monitor.rules.len()).unwrap_or(u32::MAX),
            follows: if self.idle.is_empty() { self.follows.clone() } else { String::new() },
            idle: self.idle.clone(),
        }
    }

    fn take(&mut self, found: &mut Found, at: Timestamp, line: &str) {
        if self.starts_at.is_some_and(|starts_at| at < starts_at) {
            return;
        }
        for matched in self.matcher.push(&self.monitor.rules, at, line.trim()) {
            found.take(&self.name, &self.monitor, &matched);
        }
    }
}

#[derive(Debug, Default)]
struct Watch {
    monitors: Vec<Watched>,
    /// Files that are no rules for logs.
    listed: Vec<ImportedFile>,
    kmsg: Option<Kmsg>,
    /// The number of the kernel's next record.
    next: Option<u64>,
    tails: BTreeMap<String, Tail>,
    journals: Journals,
    /// What the last look at the machine's journal has shown.
    told: crate::journal::Looked,
    /// The journal has shown a line of the kernel. Without one nothing says that it gets any.
    is_in_journal: bool,
    /// The file that has.
    kernels_file: Option<&'static str>,
    /// When the newest line of a file was written, by whomever.
    written_at: BTreeMap<String, Timestamp>,
    zone: Option<TimeZone>,
    events: Events,
    found: Found,
    lines: u64,
    lost: u64,
    dropped: u64,
    lost_at: Option<Timestamp>,
    /// When it was last looked: what comes after was written since.
    looked_at: Option<Timestamp>,
}

/// What tells the times of lines.
#[derive(Debug, Clone, Copy)]
struct Clock {
    now: Timestamp,
    booted: Timestamp,
    /// When it was looked before.
    before: Option<Timestamp>,
}

impl Clock {
    /// The time of a record. The kernel's own clock runs astray of the node's by some seconds
    /// a week, so between two looks nothing may stand that is not from there.
    fn of_record(&self, microseconds: u64) -> Timestamp {
        let since_boot = i64::try_from(microseconds).map(SignedDuration::from_micros);
        let at = since_boot.ok().and_then(|since_boot| self.booted.checked_add(since_boot).ok());
        let at = at.unwrap_or(self.now);
        let at = self.before.map_or(at, |before| at.max(before)).min(self.now);
        seconds(at)
    }
}

/// Whether nobody writes to a log any more whose newest line is of that time.
fn is_silent(newest: Timestamp, clock: &Clock) -> bool {
    clock.now.duration_since(newest) > SILENCE
}

/// Whole seconds: of logs nobody needs more, and some have no more.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// What was looked at for the kernel's lines before the files that may have some.
struct Before<'a> {
    /// Why its own buffer is not their source.
    error: HostError,
    /// What has no such line.
    without: Vec<&'a str>,
    /// To what nobody writes any more, and since when.
    silent: Vec<String>,
}

/// What may still be done in a round.
struct Budget {
    lines: u32,
    until: Option<Duration>,
}

impl Budget {
    fn new() -> Self {
        Self { lines: ROUND_LINES, until: used().map(|used| used + ROUND_TIME) }
    }

    /// Whether one more line may be read.
    fn allows_one(&mut self) -> bool {
        if self.lines == 0 {
            return false;
        }
        self.lines -= 1;
        if self.lines.is_multiple_of(LOOK_EVERY)
            && let (Some(until), Some(used)) = (self.until, used())
            && used > until
        {
            self.lines = 0;
        }
        true
    }
}

/// Processor time of this thread.
fn used() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

impl Watch {
    fn look(&mut self, host: &Host) -> Result<State<KernelLog>, HostError> {
        let now = host.now().unwrap_or_else(Timestamp::now);
        let booted = booted_at(&host.root)?;
        let clock = Clock { now, booted, before: self.looked_at };
        for watched in &mut self.monitors {
            let starts_at = watched.monitor.starts_at(Some(booted), now);
            watched.starts_at.get_or_insert(starts_at);
        }
        let mut budget = Budget::new();
        let before = (self.lost, self.dropped);
        let kernels = self.records(host, &clock, &mut budget);
        let (is_wanted, lines) = (kernels.is_err() && self.kernels_file.is_none(), self.lines);
        let journal = self.journal(&host.root, &clock, &mut budget, is_wanted);
        self.is_in_journal |= is_wanted && self.lines > lines;
        let source = self.files(&host.root, &clock, &mut budget, kernels, &journal);
        self.looked_at = Some(now);
        if (self.lost, self.dropped) != before {
            self.lost_at = Some(seconds(now));
        }
        // What services tell, and imported rules find, is told without the kernel's log too.
        if let LogSource::Unreadable(unavailable) = &source
            && self.monitors.is_empty()
            && self.listed.is_empty()
            && !matches!(journal, JournalRead::Followed(_))
        {
            return Ok(State::Unavailable(unavailable.clone()));
        }
        Ok(State::Present(Arc::new(self.facts(source, journal))))
    }

    fn facts(&self, source: LogSource, journal: JournalRead) -> KernelLog {
        let count = self.lost.saturating_add(self.dropped);
        let mut imported: Vec<ImportedFile> = self.listed.clone();
        imported.extend(self.monitors.iter().map(Watched::listed));
        imported.sort();
        KernelLog {
            source,
            journal,
            events: self.events.all(),
            lost: self.lost_at.map(|last_at| LostLines { count, last_at }),
            imported,
            conditions: self.found.conditions(),
            findings: self.found.findings(),
            left_out: self.found.left_out(),
        }
    }

    fn measured(&self) -> Measurements {
        Measurements {
            kernel_log_lines_total: Some(self.lines),
            kernel_log_lost_total: Some(self.lost),
            kernel_log_dropped_total: Some(self.dropped),
            ..Measurements::default()
        }
    }

    /// Reads the kernel's own buffer, from where it was left.
    fn records(
        &mut self,
        host: &Host,
        clock: &Clock,
        budget: &mut Budget,
    ) -> Result<(), HostError> {
        let mut kmsg = match self.kmsg.take() {
            Some(kmsg) => kmsg,
            None => Kmsg::open(&host.root, KMSG)?,
        };
        if kmsg.is_live() && !host.probes.is_live() {
            return Err(HostError::Malformed {
                path: KMSG.to_owned(),
                why: "is the log of the machine that this host root lies on".to_owned(),
            });
        }
        while budget.allows_one() {
            match kmsg.read_next()? {
                Next::End => break,
                // The next record's number says how many were lost.
                Next::Overrun => {}
                Next::Record(bytes) => {
                    let Some(record) = record(bytes) else {
                        let why = "holds what is no record of the kernel's log".to_owned();
                        return Err(HostError::Malformed { path: KMSG.to_owned(), why });
                    };
                    self.record(clock, &record);
                }
            }
        }
        if kmsg.is_live() {
            self.kmsg = Some(kmsg);
        }
        Ok(())
    }

    fn record(&mut self, clock: &Clock, record: &Record) {
        match self.next {
            // Read before: the log was opened anew.
            Some(next) if record.sequence < next => return,
            Some(next) => self.lost = self.lost.saturating_add(record.sequence - next),
            // What was written over before the agent came it never set out to read.
            None => {}
        }
        self.next = Some(record.sequence.saturating_add(1));
        let at = clock.of_record(record.microseconds);
        self.kernels_line(at, Some(record.sequence), record.text.trim(), record.by_kernel);
    }

    /// A line of the kernel's log, from wherever.
    fn kernels_line(&mut self, at: Timestamp, sequence: Option<u64>, text: &str, by_kernel: bool) {
        self.lines = self.lines.saturating_add(1);
        if let Some((class, subject)) = classify(text) {
            self.events.take(class, at, sequence, subject, text, by_kernel);
        }
        for watched in self.monitors.iter_mut().filter(|watched| watched.is_kernels()) {
            watched.take(&mut self.found, at, text);
        }
    }

    /// Reads the files: of the kernel's lines, where its own buffer could not be read, and
    /// those that imported rules are for.
    fn files(
        &mut self,
        root: &HostRoot,
        clock: &Clock,
        budget: &mut Budget,
        kernels: Result<(), HostError>,
        journal: &JournalRead,
    ) -> LogSource {
        let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let is_left =
            |watched: &Watched| matches!(watched.monitor.follows, Follows::Journald { .. });
        let programs = match self.monitors.iter().any(is_left) {
            true => PROGRAM_FILES.into_iter().find(|path| root.exists(path) == Ok(true)),
            false => None,
        };
        for (index, watched) in self.monitors.iter_mut().enumerate() {
            let path = match &watched.monitor.follows {
                _ if watched.is_kernels() => continue,
                // Followed in the journal already, or not to be followed anywhere.
                Follows::Journald { .. } if !watched.is_left_to_files => continue,
                Follows::Filelog(Filelog { path, .. }) => match kept_from(root, path) {
                    None => path,
                    Some(why) => {
                        watched.idle = why;
                        continue;
                    }
                },
                // Why the journal is not read stands there already.
                Follows::Kmsg | Follows::Journald { .. } => match programs {
                    Some(path) => path,
                    None => continue,
                },
            };
            wanted.entry(path.to_owned()).or_default().push(index);
        }
        let source = match kernels {
            Ok(()) => LogSource::Kmsg { path: KMSG.to_owned() },
            // What it has more may hold the first.
            Err(error)
                if let JournalRead::Followed(journal) = journal
                    && (self.is_in_journal || journal.is_behind) =>
            {
                match self.silent_since(&journal.folder, clock) {
                    None => LogSource::Journal {
                        path: journal.folder.clone(),
                        instead: format!("{KMSG}: {error}"),
                    },
                    Some(since) => {
                        let silent = vec![silence(&journal.folder, since)];
                        let before = Before { error, without: Vec::new(), silent };
                        self.kernels_file(root, clock, budget, &mut wanted, before)
                    }
                }
            }
            Err(error) => {
                let without = match journal {
                    JournalRead::Followed(journal) => vec![journal.folder.as_str()],
                    JournalRead::Unreadable(_) | JournalRead::NotTold => Vec::new(),
                };
                let before = Before { error, without, silent: Vec::new() };
                self.kernels_file(root, clock, budget, &mut wanted, before)
            }
        };
        for watched in self.monitors.iter_mut().filter(|watched| watched.is_kernels()) {
            source.path().clone_into(&mut watched.follows);
            watched.idle = match &source {
                LogSource::Unreadable(unavailable) => unavailable.to_string(),
                LogSource::Kmsg { .. } | LogSource::Journal { .. } | LogSource::File { .. } => {
                    String::new()
                }
            };
        }
        for (path, monitors) in wanted {
            let _ = self.file(root, clock, budget, &path, &monitors, false);
        }
        source
    }

    /// Reads the kernel's lines in the first file that has some since the boot, and from then on
    /// in that one. A file without any may be written by a daemon that is not given them: its
    /// silence tells nothing.
    fn kernels_file(
        &mut self,
        root: &HostRoot,
        clock: &Clock,
        budget: &mut Budget,
        wanted: &mut BTreeMap<String, Vec<usize>>,
        before: Before<'_>,
    ) -> LogSource {
        let Before { error, mut without, mut silent } = before;
        let known = self.kernels_file.take();
        let others = KERNEL_FILES.into_iter().filter(|path| known != Some(path));
        for path in known.into_iter().chain(others) {
            if root.exists(path) != Ok(true) {
                continue;
            }
            let (monitors, lines) = (wanted.remove(path).unwrap_or_default(), self.lines);
            if self.file(root, clock, budget, path, &monitors, true).is_err() {
                continue;
            }
            if known == Some(path) || self.lines > lines {
                self.kernels_file = Some(path);
                let newest = self.written_at.get(path).copied();
                if path != KERNELS_ALONE
                    && let Some(newest) = newest.filter(|newest| is_silent(*newest, clock))
                {
                    silent.push(silence(path, seconds(newest)));
                    continue;
                }
                return LogSource::File {
                    path: path.to_owned(),
                    instead: format!("{KMSG}: {error}"),
                };
            }
            without.push(path);
        }
        let Unavailable { place, why } = error.into();
        let why = match without.as_slice() {
            _ if !silent.is_empty() => format!("{why}; and {}", silent.join(", ")),
            [] => format!(
                "{why}; and neither the journal nor a file of the kernel's lines can be read in \
                 /var/log"
            ),
            without => {
                let places = without.join(", ");
                format!("{why}; and no line of the kernel since the boot was found in {places}")
            }
        };
        LogSource::Unreadable(Unavailable { place, why })
    }

    /// Reads what is new in a file, for these rules.
    fn file(
        &mut self,
        root: &HostRoot,
        clock: &Clock,
        budget: &mut Budget,
        path: &str,
        monitors: &[usize],
        is_kernels: bool,
    ) -> Result<(), HostError> {
        let told =
            self.tails.entry(path.to_owned()).or_default().read(root, path, FILE_LIMIT_BYTES);
        for index in monitors {
            let watched = &mut self.monitors[*index];
            path.clone_into(&mut watched.follows);
            watched.idle =
                told.as_ref().err().map(|error| format!("{path}: {error}")).unwrap_or_default();
        }
        let told = told?;
        self.dropped = self.dropped.saturating_add(told.dropped);
        let mut newest = self.written_at.get(path).copied();
        let zone = self.zone.get_or_insert_with(|| zone(root)).clone();
        let syslog = Syslog::new(zone.clone(), clock.now);
        let mut lines = told.bytes.split_inclusive(|byte| *byte == b'\n');
        for line in lines.by_ref() {
            if !budget.allows_one() {
                self.dropped = self.dropped.saturating_add(1);
                break;
            }
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches(['\n', '\r']);
            newest = newest.max(self.files_line(clock, &syslog, &zone, line, monitors, is_kernels));
        }
        self.written_at.extend(newest.map(|newest| (path.to_owned(), newest)));
        self.dropped = self.dropped.saturating_add(lines.count() as u64);
        Ok(())
    }

    /// Takes a line, and tells when it was written.
    fn files_line(
        &mut self,
        clock: &Clock,
        syslog: &Syslog,
        zone: &TimeZone,
        line: &str,
        monitors: &[usize],
        is_kernels: bool,
    ) -> Option<Timestamp> {
        let apart = syslog.line(line);
        if is_kernels
            && let Some(apart) = apart
            && apart.tag == "kernel"
            // Of a boot that is over.
            && apart.at >= clock.booted
        {
            self.kernels_line(seconds(apart.at), None, kernels(apart.message), true);
        }
        for index in monitors {
            let watched = &mut self.monitors[*index];
            let told = match &watched.monitor.follows {
                Follows::Filelog(filelog) => filelog.take_apart(line, zone, clock.now),
                Follows::Journald { source, .. } => {
                    apart.filter(|apart| apart.tag == source).map(|apart| (apart.at, apart.message))
                }
                Follows::Kmsg => None,
            };
            if let Some((at, message)) = told {
                watched.take(&mut self.found, at, message);
            }
        }
        apart.map(|apart| apart.at)
    }
}

/// That nobody writes there any more.
fn silence(place: &str, since: Timestamp) -> String {
    format!("nothing was written to {place} since {since}, so that its silence says nothing")
}

/// Why a file is not read, whoever asks for it: it holds what no collector reads, or where it
/// leads cannot be told. None where it may be read, or is not there.
fn kept_from(root: &HostRoot, path: &str) -> Option<String> {
    let secret = || Some(format!("{path} may hold secrets, and is never read"));
    let parts = || path.split('/').filter(|part| !matches!(*part, "" | "."));
    let plain = parts().fold(String::new(), |plain, part| plain + "/" + part);
    let is_never = |path: &str| NEVER.iter().any(|read| read.covers(path));
    if parts().any(|part| part == "..") || is_never(&plain) {
        return secret();
    }
    // Whatever it is called, what a link leads to is what would be read.
    match root.leads_to(&plain) {
        Ok(place) if is_never(&place) => secret(),
        Ok(_) | Err(HostError::Missing { .. }) => None,
        Err(error) => Some(format!("{path}: {error}")),
    }
}

/// The zone of the host's clocks; UTC where it has none.
fn zone(root: &HostRoot) -> TimeZone {
    let read = root.read(LOCALTIME, 64 * 1024).ok();
    read.and_then(|bytes| TimeZone::tzif("localtime", &bytes).ok()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests;
