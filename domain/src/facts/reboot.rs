//! Facts of `reboot`: whether somebody asks for one, who would do it, and which processes
//! still run what was deleted from disk. Source: the files that package managers leave in
//! `/run`, procfs(5).

use jiff::Timestamp;
use serde::Serialize;

use super::Headline;

/// What speaks for a reboot of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reboot {
    /// Files that ask for a reboot, by path. None is there when none is asked for.
    pub sentinels: Vec<Sentinel>,
    /// A kured, the reboot manager, runs on the node.
    pub kured_runs: bool,
    /// Processes that run what is no longer on disk, by name.
    pub outdated: Vec<OutdatedProcess>,
    /// Why not all processes could be looked at; none when all were.
    pub unseen: Option<String>,
}

/// A file that asks for a reboot by being there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentinel {
    /// Its path, such as `/run/reboot-required`.
    pub path: String,
    /// When it was last written; none when that could not be seen.
    pub written_at: Option<Timestamp>,
    /// The packages that asked, each once, sorted; empty where they are not named.
    pub packages: Vec<String>,
}

/// Processes of one name that run what is no longer on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OutdatedProcess {
    /// The name, at most 15 bytes long, as `ps` shows it.
    pub name: String,
    /// Executables and shared libraries that were deleted or replaced, sorted; the first
    /// few of them.
    pub files: Vec<String>,
}

impl Headline for Reboot {
    fn headline(&self) -> String {
        let asked = match self.sentinels.as_slice() {
            [] => "not asked for".to_owned(),
            [first, ..] => match first.packages.len() {
                0 => format!("asked for by {}", first.path),
                1 => format!("asked for by {}", first.packages[0]),
                count => format!("asked for by {count} packages"),
            },
        };
        match self.outdated.len() {
            0 => asked,
            1 => format!("{asked}, {} runs a former file", self.outdated[0].name),
            count => format!("{asked}, {count} programs run former files"),
        }
    }
}
