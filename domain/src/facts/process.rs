//! Facts of one process, as procfs(5) shows it.

use serde::Serialize;

/// A running process. Zombies are not reported as running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id in the host's PID namespace.
    pub pid: u32,
    /// Start, in seconds after boot: with the boot id it names the process for good.
    pub started_seconds_after_boot: u64,
    /// Path of the executable; empty when the reader may not see it.
    pub executable: String,
    /// The file on disk is no longer the one that runs: it was deleted or replaced, or the
    /// path that started the process leads to another file. A restart is pending.
    pub executable_replaced: bool,
}
