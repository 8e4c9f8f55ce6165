//! Facts that further read calls bring: of CRI v1, and of containerd's own services
//! `version` and `introspection`. Each call stands for itself: a runtime may know some
//! and not others, and any of them may hang alone.

use serde::{Deserialize, Serialize};

/// What each further call brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// CRI `ListPodSandbox`.
    pub list_pod_sandbox: Reply<SandboxList>,
    /// CRI `RuntimeConfig`, which containerd knows since 2.0.
    pub runtime_config: Reply<RuntimeConfig>,
    /// CRI `ImageFsInfo`.
    pub image_fs_info: Reply<ImageStores>,
    /// `containerd.services.version.v1.Version/Version`.
    pub version: Reply<ServerVersion>,
    /// `containerd.services.introspection.v1.Introspection/Server`.
    pub server: Reply<Server>,
    /// `containerd.services.introspection.v1.Introspection/Plugins`.
    pub plugins: Reply<Plugins>,
}

impl Replies {
    /// Nothing was asked, for this reason.
    #[must_use]
    pub fn not_asked(why: &str) -> Self {
        Self {
            list_pod_sandbox: Reply::not_asked(why),
            runtime_config: Reply::not_asked(why),
            image_fs_info: Reply::not_asked(why),
            version: Reply::not_asked(why),
            server: Reply::not_asked(why),
            plugins: Reply::not_asked(why),
        }
    }
}

/// What one call brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Reply<T> {
    /// This answer.
    Answered(T),
    /// The runtime knows no such call.
    Unimplemented {
        /// The runtime's own message.
        message: String,
    },
    /// No answer came in time.
    TimedOut {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// The runtime answered with an error.
    Failed {
        /// gRPC status code and message.
        why: String,
    },
    /// Nothing was asked, or the answer was not taken, for this reason.
    NotAsked {
        /// Why not.
        why: String,
    },
}

impl<T> Reply<T> {
    /// The answer, if there is one.
    #[must_use]
    pub const fn answered(&self) -> Option<&T> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Nothing was asked, for this reason.
    #[must_use]
    pub fn not_asked(why: &str) -> Self {
        Self::NotAsked { why: why.to_owned() }
    }
}

impl<T> std::fmt::Display for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(_) => f.write_str("answered"),
            Self::Unimplemented { message } => write!(f, "not served: {message}"),
            Self::TimedOut { after_milliseconds } => {
                write!(f, "no answer within {after_milliseconds} ms")
            }
            Self::Failed { why } => f.write_str(why),
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
        }
    }
}

/// The pod sandboxes could be listed. How many are ready is a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxList {}

/// What the runtime wants the kubelet to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// How it makes control groups; none on systems that have none.
    pub cgroup_driver: Option<CgroupDriver>,
}

/// Who makes the control groups of containers. Runtime and kubelet must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupDriver {
    /// systemd does.
    Systemd,
    /// The runtime writes into the file system of control groups itself.
    Cgroupfs,
}

impl CgroupDriver {
    /// The word, as kubelet and runtimes spell it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Cgroupfs => "cgroupfs",
        }
    }
}

/// Where images lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageStores {
    /// Folders, sorted. The last part of the name of a snapshotter's folder is that of
    /// the snapshotter.
    pub folders: Vec<String>,
}

/// What the server itself says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerVersion {
    /// Version; may carry a distribution's suffix.
    pub version: String,
    /// Revision of the source, or on Debian the version of the package; may be empty.
    pub revision: String,
}

/// Who the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Names its state folder: stays over restarts.
    pub uuid: String,
    /// Its process id in its own PID namespace; none when it does not say.
    pub pid: Option<u64>,
    /// Deprecated features that were used since it started, sorted by id. Known since
    /// 1.6.27 and 1.7.12.
    pub deprecations: Vec<Deprecation>,
}

/// A deprecated feature that is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deprecation {
    /// Id, such as `io.containerd.deprecation/cri-registry-mirrors`.
    pub id: String,
    /// What to use instead, and until when.
    pub message: String,
}

/// The parts that the server is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugins {
    /// How many have started.
    pub started: u32,
    /// Those that have not, sorted by type and id. On every healthy node there are some
    /// that its system does not offer, such as the snapshotter of another file system.
    pub failed: Vec<FailedPlugin>,
}

/// A part that has not started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedPlugin {
    /// Type, such as `io.containerd.snapshotter.v1`.
    pub kind: String,
    /// Id among those of its type, such as `btrfs`.
    pub id: String,
    /// The folder that it would use; empty when it does not say.
    pub folder: String,
    /// Why not, in its own words.
    pub message: String,
}
