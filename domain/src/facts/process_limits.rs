//! Facts of `process_limits`: how many tasks and open files the kernel allows, and who does
//! not wait for processes that have ended. How many there are is measured. Sources:
//! proc_sys_kernel(5), proc_sys_fs(5), `pids.max` of control groups.

use serde::Serialize;

use super::Headline;

/// Limits of the whole node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessLimits {
    /// `kernel.pid_max`: every task has a number of its own below it.
    pub pid_max: Limit,
    /// `kernel.threads-max`.
    pub threads_max: Limit,
    /// `fs.file-max`, as `fs.file-nr` tells it.
    pub open_files_max: u64,
    /// The control group of all pods; none where there is none.
    pub pods: Option<PodsLimit>,
    /// Names of processes that have not waited for many of their children, sorted.
    pub zombie_parents: Vec<String>,
    /// Why not all processes could be looked at; none when all were.
    pub unseen: Option<String>,
}

/// How many there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// So many.
    At(u64),
    /// As many as the machine bears.
    None,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// The limit of tasks of all pods together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodsLimit {
    /// The control group's folder.
    pub path: String,
    /// Its `pids.max`.
    pub max: Limit,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(limit) => write!(f, "{limit}"),
            Self::None => f.write_str("no limit"),
            Self::Unreadable(why) => write!(f, "not known: {why}"),
        }
    }
}

impl Headline for ProcessLimits {
    fn headline(&self) -> String {
        let files = match i64::try_from(self.open_files_max) {
            Ok(files) if files < i64::MAX => files.to_string(),
            _ => "no limit".to_owned(),
        };
        format!("tasks: {}, open files: {files}", self.pid_max)
    }
}
