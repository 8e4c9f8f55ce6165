//! Facts of `containerd`: the state of its socket and what the Container Runtime
//! Interface (CRI v1) answers. A socket file, a process and a serving gRPC health
//! service each prove nothing: only an answered CRI call does.

mod configuration;
mod replies;

pub use configuration::{Configuration, SystemdCgroup};
pub use replies::{
    CgroupDriver, Deprecation, FailedPlugin, ImageStores, Plugins, Replies, Reply, RuntimeConfig,
    SandboxList, Server, ServerVersion,
};

use serde::{Deserialize, Serialize};

use super::{Headline, Process, UnitState};

/// What was seen of containerd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Containerd {
    /// Paths that show an installation, such as the binary or the unit, sorted.
    pub traces: Vec<String>,
    /// Paths of runc, which containers are started with, sorted. Its version is in no
    /// file that can be read without running it; that of its package is.
    pub runc: Vec<String>,
    /// The process, if one runs.
    pub process: Option<Process>,
    /// Its unit, `containerd.service`.
    pub unit: UnitState,
    /// What its configuration file says.
    pub configuration: Configuration,
    /// The socket that was asked, as a path on the host.
    pub socket: String,
    /// What the runtime answered to the two calls that every CRI runtime knows.
    pub cri: CriAnswer,
    /// What it answered to further calls, which were asked beside them.
    pub replies: Replies,
}

/// What the container runtime answered over its socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum CriAnswer {
    /// There is no socket file.
    NoSocket,
    /// There is a socket file and nobody listens on it: the process is gone.
    Refused,
    /// It accepts and does not answer: the process hangs.
    TimedOut {
        /// The call that got no answer.
        call: String,
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// It answers gRPC and knows no CRI v1: the plugin is disabled, or too old.
    Unimplemented {
        /// The runtime's own message.
        message: String,
    },
    /// A call failed in another way.
    Failed {
        /// The call that failed.
        call: String,
        /// gRPC status code and message, or what went wrong on the socket.
        why: String,
    },
    /// It answered.
    Serving {
        /// Answer of `Version`.
        version: RuntimeVersion,
        /// Conditions of `Status`, sorted by type.
        conditions: Vec<RuntimeCondition>,
    },
    /// Nothing was asked, for this reason.
    NotAsked {
        /// Why not.
        why: String,
    },
}

/// Answer of the CRI call `Version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeVersion {
    /// Runtime name, `containerd`.
    pub name: String,
    /// Runtime version; may carry a distribution's suffix (`1.6.20~ds1`).
    pub version: String,
    /// API version, `v1`.
    pub api_version: String,
}

/// One condition of the CRI call `Status`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuntimeCondition {
    /// Type, such as `RuntimeReady` or `NetworkReady`.
    pub kind: String,
    /// Whether it holds.
    pub status: bool,
    /// The runtime's reason; may be empty.
    pub reason: String,
    /// The runtime's message; may be empty.
    pub message: String,
}

impl RuntimeCondition {
    /// Whether it is one that every runtime has, or does not hold. Others that hold only
    /// make a line long.
    fn is_telling(&self) -> bool {
        matches!(self.kind.as_str(), "RuntimeReady" | "NetworkReady") || !self.status
    }
}

impl std::fmt::Display for CriAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSocket => f.write_str("no socket"),
            Self::Refused => f.write_str("socket file there, connection refused"),
            Self::TimedOut { call, after_milliseconds } => {
                write!(f, "{call}: no answer within {after_milliseconds} ms")
            }
            Self::Unimplemented { message } => write!(f, "CRI v1 not served: {message}"),
            Self::Failed { call, why } => write!(f, "{call}: {why}"),
            Self::Serving { version, conditions } => {
                write!(f, "{} {}", version.name, version.version)?;
                for condition in conditions.iter().filter(|one| one.is_telling()) {
                    write!(f, ", {}={}", condition.kind, condition.status)?;
                }
                Ok(())
            }
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
        }
    }
}

impl Headline for Containerd {
    fn headline(&self) -> String {
        let process = self
            .process
            .as_ref()
            .map_or_else(|| "no process".to_owned(), |process| format!("pid {}", process.pid));
        format!("{process}, CRI: {}", self.cri)
    }
}
