//! Facts of containerd's configuration file, containerd-config.toml(5): only what no
//! call tells. The file may hold passwords of registries.

use serde::Serialize;

/// What the configuration file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// The file's path, as the process was told it or the usual one.
    pub path: String,
    /// `SystemdCgroup` of the runtime that containers are started with by default.
    pub systemd_cgroup: SystemdCgroup,
}

/// Whether containers' control groups are made by systemd or written directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemdCgroup {
    /// The file says so.
    Set(bool),
    /// There is no such file, or it does not say: containerd's own default holds.
    Unset,
    /// It cannot be told, for this reason.
    Unknown(String),
}
