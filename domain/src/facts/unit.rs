//! Facts of a unit of systemd: properties of org.freedesktop.systemd1(5), and when the
//! files that it is made of were changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What systemd said of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum UnitState {
    /// The host runs without systemd.
    NoSystemd,
    /// systemd could not be asked, or did not answer, for this reason.
    Unreadable {
        /// Why.
        why: String,
    },
    /// systemd does not hold the unit in memory: nothing has started it or waits for it.
    NotLoaded {
        /// What its files say, as `UnitFileState`; empty when there are none.
        file_state: String,
    },
    /// systemd holds the unit.
    Loaded(Box<Unit>),
}

/// A unit that systemd holds in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `LoadState`: `loaded`, `masked`, `not-found`, `bad-setting`, `error`.
    pub load_state: String,
    /// `ActiveState`: `active`, `activating`, `inactive`, `failed` and others.
    pub active_state: String,
    /// `SubState`, such as `running` or `auto-restart`.
    pub sub_state: String,
    /// `Result` of the last run, such as `success`, `exit-code` or `start-limit-hit`.
    pub result: String,
    /// `UnitFileState`: `enabled`, `disabled`, `masked`, `static` and others.
    pub file_state: String,
    /// `NRestarts`: restarts by systemd itself. A start by hand sets it to zero.
    pub restarts: u32,
    /// `MainPID`, in the PID namespace of systemd; zero when none runs.
    pub main_pid: u32,
    /// `ExecMainStartTimestampMonotonic`: when the main process was last started; zero
    /// when it never was.
    pub main_started_microseconds_after_boot: u64,
    /// `ExecMainStartTimestamp`: the same by the wall clock of that moment.
    pub main_started_at: Option<Timestamp>,
    /// `InactiveExitTimestampMonotonic`: when the last attempt to start it began.
    pub start_began_microseconds_after_boot: u64,
    /// `NeedDaemonReload`: its files were changed since systemd has read them.
    pub needs_daemon_reload: bool,
    /// `WatchdogUSec`; zero when there is no watchdog.
    pub watchdog_microseconds: u64,
    /// `LimitNOFILE`: how many files each of its processes may have open; none where the agent
    /// does not ask for it.
    #[serde(default)]
    pub open_files_limit: Option<u64>,
    /// `FragmentPath`: the unit file; none when there is none.
    pub file: Option<UnitFile>,
    /// `DropInPaths`, in the order in which they apply.
    pub drop_ins: Vec<UnitFile>,
}

/// A file that a unit is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// Its path on the host.
    pub path: String,
    /// When its content was last changed; none when that could not be seen.
    pub modified_at: Option<Timestamp>,
}

impl UnitState {
    /// The unit, if systemd holds it.
    #[must_use]
    pub const fn loaded(&self) -> Option<&Unit> {
        match self {
            Self::Loaded(unit) => Some(unit),
            Self::NoSystemd | Self::Unreadable { .. } | Self::NotLoaded { .. } => None,
        }
    }
}

impl Unit {
    /// All files that it is made of, the unit file first.
    pub fn files(&self) -> impl Iterator<Item = &UnitFile> {
        self.file.iter().chain(&self.drop_ins)
    }
}
