//! Facts of `systemd`: how the system as a whole stands, and the units that have failed, that
//! were restarted, or whose files were changed. Units with which nothing is remarkable are
//! not named. Properties: org.freedesktop.systemd1(5); masks: systemd.unit(5).

use serde::{Deserialize, Serialize};

use super::Headline;

/// What was seen of systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Systemd {
    /// What systemd said.
    pub manager: SystemManager,
    /// Units that nothing can start, sorted by name.
    pub masked: Vec<UnitMask>,
}

/// What systemd says of itself and of its units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemManager {
    /// `Version`.
    pub version: String,
    /// `SystemState`: `running`, `degraded`, `starting`, `maintenance` and others.
    pub system_state: String,
    /// Units that stand out, sorted by name.
    #[serde(default)]
    pub units: Vec<RemarkableUnit>,
    /// So many more stood out than are named.
    #[serde(default)]
    pub left_out: u32,
}

/// A unit that has failed, was restarted by systemd, or needs its files to be read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemarkableUnit {
    /// Its name.
    pub name: String,
    /// `ActiveState`.
    pub active_state: String,
    /// `SubState`.
    pub sub_state: String,
    /// `Result` of the last run; empty for kinds of units that have none.
    #[serde(default)]
    pub result: String,
    /// `NRestarts`; zero for units that are no services. A start by hand sets it to zero.
    #[serde(default)]
    pub restarts: u32,
    /// `ExecMainStartTimestampMonotonic`; zero when it never was, or is no service.
    #[serde(default)]
    pub main_started_microseconds_after_boot: u64,
    /// `NeedDaemonReload`.
    #[serde(default)]
    pub needs_daemon_reload: bool,
    /// `FragmentPath`; empty when no file makes it.
    #[serde(default)]
    pub path: String,
}

/// A unit that was masked: its file is a link to `/dev/null`, or empty, systemd.unit(5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnitMask {
    /// The unit's name.
    pub name: String,
    /// The link or file.
    pub path: String,
}

impl RemarkableUnit {
    /// Whether systemd has given it up.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.active_state == "failed"
    }
}

impl Systemd {
    /// The units that have failed.
    pub fn failed(&self) -> impl Iterator<Item = &RemarkableUnit> {
        self.manager.units.iter().filter(|unit| unit.has_failed())
    }
}

impl Headline for Systemd {
    fn headline(&self) -> String {
        let SystemManager { version, system_state, .. } = &self.manager;
        let failed = match self.failed().count() {
            0 => String::new(),
            1 => ", 1 unit failed".to_owned(),
            more => format!(", {more} units failed"),
        };
        let version = version.split_whitespace().next().unwrap_or_default();
        format!("systemd {version}, {system_state}{failed}")
    }
}
