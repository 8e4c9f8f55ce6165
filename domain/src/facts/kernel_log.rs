//! Facts of `kernel_log`: events that lines of the kernel's log tell of, and what rules in
//! the form of node-problem-detector found. Source: `/dev/kmsg`, Documentation/ABI/testing/dev-kmsg,
//! the files of systemd's journal, or those below `/var/log` into which a syslog daemon
//! writes it.
//!
//! A line is a claim: root may write any into the log. What it claims is held against a
//! state where there is one, in [`crate::check`].

use jiff::Timestamp;
use serde::Serialize;

use super::Headline;
use crate::observed::Unavailable;

/// So many of the newest lines of a class are kept; the others are counted.
pub const NEWEST_KEPT: usize = 3;

/// What the kernel's log tells since boot, as far as it still is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelLog {
    /// Where its lines come from.
    pub source: LogSource,
    /// The journal's files, which tell of more than the kernel.
    pub journal: JournalRead,
    /// What they tell, by class, each class once.
    pub events: Vec<LogEvent>,
    /// Lines that nobody has read; none when all were.
    pub lost: Option<LostLines>,
    /// Files of rules that were imported, by name.
    pub imported: Vec<ImportedFile>,
    /// Conditions that imported rules have set, by file and condition.
    pub conditions: Vec<ImportedCondition>,
    /// Events that imported rules have found, by file and reason.
    pub findings: Vec<ImportedEvent>,
    /// Further conditions and events, beyond what is kept.
    pub left_out: u32,
}

/// Where lines of the kernel come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The kernel's own buffer, which numbers its lines.
    Kmsg {
        /// The device.
        path: String,
    },
    /// The files of the journal.
    Journal {
        /// Their folder.
        path: String,
        /// Why it is not the kernel's own buffer.
        instead: String,
    },
    /// A file of a syslog daemon.
    File {
        /// The file.
        path: String,
        /// Why it is not the kernel's own buffer.
        instead: String,
    },
    /// Neither; only other logs are followed, for imported rules.
    Unreadable(Unavailable),
}

impl LogSource {
    /// The file or device.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Kmsg { path } | Self::Journal { path, .. } | Self::File { path, .. } => path,
            Self::Unreadable(unavailable) => &unavailable.place,
        }
    }
}

/// Whether the journal's files were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalRead {
    /// They are.
    Followed(Journal),
    /// They cannot be.
    Unreadable(Unavailable),
    /// By an agent that does not know them.
    NotTold,
}

/// The journal's files, as far as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Journal {
    /// Where they lie.
    pub folder: String,
    /// Files that the journal's own daemon found damaged, and has set aside.
    pub set_aside: u32,
    /// Entries, since the agent was started, that are damaged or too long to be read.
    pub skipped: u64,
    /// There was more than is read in a round: the rest comes with the next ones.
    pub is_behind: bool,
}

/// Lines that were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LostLines {
    /// How many, since the agent was started: gaps in the kernel's numbers, and what was
    /// passed over because more was written than is read in a round.
    pub count: u64,
    /// When a round last missed some.
    pub last_at: Timestamp,
}

macro_rules! classes {
    ($($(#[$what:meta])* $name:ident $word:literal,)*) => {
        /// What a line of the kernel tells of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum LogClass {
            $($(#[$what])* $name,)*
        }

        impl LogClass {
            /// Every class.
            pub const ALL: [Self; [$(Self::$name,)*].len()] = [$(Self::$name,)*];

            /// Its one word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

classes! {
    /// The kernel met a fault of its own.
    Oops "oops",
    /// A task has been waiting for minutes without being interruptible.
    TaskHung "task_hung",
    /// A block device did not do what was asked of it.
    IoError "io_error",
    /// A processor did nothing but one thing of the kernel's for too long.
    SoftLockup "soft_lockup",
    /// A processor did not even answer to interrupts.
    HardLockup "hard_lockup",
    /// A processor kept the others from tidying up.
    RcuStall "rcu_stall",
    /// Packets were dropped, because no more connections can be tracked.
    ConntrackFull "conntrack_full",
    /// The node ran out of memory, and a process was killed.
    OomNode "oom_node",
    /// A group of processes reached its limit of memory, and one was killed.
    OomCgroup "oom_cgroup",
    /// A group of processes reached its limit of processes.
    ForkRejected "fork_rejected",
    /// A file system found its own structure damaged.
    FsError "fs_error",
    /// A file system shut itself down.
    FsShutdown "fs_shutdown",
    /// A file system made itself read-only.
    FsRemountRo "fs_remount_ro",
    /// A network device cannot be removed, because somebody still holds it.
    UnregisterNetdevice "unregister_netdevice",
    /// The firmware or the processor told of an error that the hardware has put right.
    CperCorrected "cper_corrected",
    /// The firmware or the processor told of an error that was not put right, and can be
    /// survived.
    CperRecoverable "cper_recoverable",
    /// The firmware or the processor told of an error that cannot be survived.
    CperFatal "cper_fatal",
    /// Memory had an error that was put right.
    MemoryCe "memory_ce",
    /// Memory had an error that was not put right.
    MemoryUe "memory_ue",
    /// The processor told that there were errors of the hardware, and not which.
    MachineCheckLogged "machine_check_logged",
    /// containerd met a file system that calls itself damaged: a line of its own, in the
    /// journal.
    FsCorruptionReported "fs_corruption_reported",
}

impl LogClass {
    /// The class of that word, if this build knows it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// Whether lines of the kernel tell of it; else it stands in the journal alone.
    #[must_use]
    pub const fn is_kernels(self) -> bool {
        !matches!(self, Self::FsCorruptionReported)
    }
}

/// Lines of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEvent {
    /// What they tell of.
    pub class: LogClass,
    /// How many there were.
    pub count: u64,
    /// When the first one was written.
    pub first_at: Timestamp,
    /// The newest of them, oldest first, [`NEWEST_KEPT`] at the most.
    pub newest: Vec<LogLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written, by the node's clock.
    pub at: Timestamp,
    /// Its number in the kernel's buffer or the journal; none of a file's lines.
    pub sequence: Option<u64>,
    /// What it is about: a device, a task, a group of processes; may be empty.
    pub subject: String,
    /// What it says, cut.
    pub text: String,
    /// The kernel itself wrote it, and not a program.
    pub by_kernel: bool,
}

/// A file of rules that was imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ImportedFile {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ImportedKind,
    /// What it calls itself, `source`; may be empty.
    pub source: String,
    /// How many rules it has.
    pub rules: u32,
    /// The log that it is held against; empty where it is not followed.
    pub follows: String,
    /// Why it is not followed; empty where it is.
    pub idle: String,
}

/// Kinds of node-problem-detector's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportedKind {
    /// Rules for lines of a log.
    LogMonitor,
    /// Programs that are to be run. Nodeward runs none.
    CustomPlugin,
    /// Figures of the system. Nodeward does not use them.
    SystemStats,
    /// Something else.
    Other,
}

impl ImportedKind {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogMonitor => "log monitor",
            Self::CustomPlugin => "custom plugin",
            Self::SystemStats => "system statistics",
            Self::Other => "not recognised",
        }
    }
}

/// A condition that a permanent rule has set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ImportedCondition {
    /// The file of the rule.
    pub file: String,
    /// The condition's type.
    pub condition: String,
    /// The rule's reason.
    pub reason: String,
    /// The lines that matched, as of when the condition was set or its reason changed.
    pub message: String,
    /// When the condition was set, or its reason changed.
    pub since: Timestamp,
    /// The newest match.
    pub last_at: Timestamp,
}

/// What a temporary rule has found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ImportedEvent {
    /// The file of the rule.
    pub file: String,
    /// The rule's reason.
    pub reason: String,
    /// The lines of the newest match.
    pub message: String,
    /// How often it matched.
    pub count: u64,
    /// The first match.
    pub first_at: Timestamp,
    /// The newest match.
    pub last_at: Timestamp,
}

impl KernelLog {
    /// The event of that class.
    #[must_use]
    pub fn event(&self, class: LogClass) -> Option<&LogEvent> {
        self.events.iter().find(|event| event.class == class)
    }

    /// How many entries of the journal are damaged that may have told of that class; none where
    /// none are.
    #[must_use]
    pub fn skipped(&self, class: LogClass) -> Option<u64> {
        let is_there = !class.is_kernels() || matches!(self.source, LogSource::Journal { .. });
        match &self.journal {
            JournalRead::Followed(journal) if is_there => Some(journal.skipped),
            _ => None,
        }
        .filter(|skipped| *skipped > 0)
    }

    /// Whether the journal has more than could be read yet, of which lines of that class may
    /// be a part.
    #[must_use]
    pub fn is_behind(&self, class: LogClass) -> bool {
        let is_there = !class.is_kernels() || matches!(self.source, LogSource::Journal { .. });
        is_there && matches!(&self.journal, JournalRead::Followed(journal) if journal.is_behind)
    }

    /// Where lines of that class stand.
    #[must_use]
    pub fn path_of(&self, class: LogClass) -> &str {
        match &self.journal {
            _ if class.is_kernels() => self.source.path(),
            JournalRead::Followed(journal) => &journal.folder,
            JournalRead::Unreadable(unavailable) => &unavailable.place,
            JournalRead::NotTold => "the journal",
        }
    }
}

impl Headline for KernelLog {
    fn headline(&self) -> String {
        let mut text = match &self.source {
            LogSource::Unreadable(unavailable) => format!("not readable: {unavailable}"),
            source => match self.events.as_slice() {
                [] => format!("{}: nothing of note", source.path()),
                events => {
                    let told = |event: &LogEvent| format!("{} {}", event.count, event.class.word());
                    let told: Vec<String> = events.iter().map(told).collect();
                    format!("{}: {}", source.path(), told.join(", "))
                }
            },
        };
        if let Some(lost) = self.lost {
            text.push_str(&format!("; {} lost", lost.count));
        }
        if let JournalRead::Followed(journal) = &self.journal {
            match journal.skipped {
                0 => {}
                1 => text.push_str("; 1 entry of the journal is damaged"),
                entries => {
                    text.push_str(&format!("; {entries} entries of the journal are damaged"));
                }
            }
            match journal.set_aside {
                0 => {}
                1 => text.push_str("; 1 file of the journal was set aside as damaged"),
                files => {
                    text.push_str(&format!(
                        "; {files} files of the journal were set aside as damaged"
                    ));
                }
            }
        }
        match self.imported.len() {
            0 => {}
            1 => text.push_str("; 1 file of rules"),
            files => text.push_str(&format!("; {files} files of rules")),
        }
        text
    }
}
