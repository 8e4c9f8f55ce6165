//! Local endpoints: HTTP on loopback and the container runtime's socket. Every probe
//! is bounded in time and asks only what reads.

pub mod cri;
pub mod http;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::facts::{CriAnswer, HttpAnswer};
use serde::{Deserialize, Serialize};

use crate::host::HostRoot;
use cri::Heard;

/// A connection must stand after this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Who answers when a collector asks a local endpoint.
#[derive(Debug)]
pub enum Probes {
    /// The endpoints themselves: the host root is the machine that runs.
    Live {
        /// Where the probes' input and output runs.
        runtime: tokio::runtime::Handle,
    },
    /// A recording, for host roots that are not a running machine.
    Recorded(Box<Recording>),
    /// Nobody, for this reason.
    Off(String),
}

/// Recorded answers of local endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Answers by address, such as `http://127.0.0.1:10248/healthz`.
    #[serde(default)]
    pub http: BTreeMap<String, HttpAnswer>,
    /// The container runtime's answer.
    pub cri: Option<CriAnswer>,
    /// When files were last written, by path: what a copy of a node does not keep.
    #[serde(default)]
    pub modified: BTreeMap<String, Timestamp>,
}

/// Why a recording could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a recording.
    #[error("{path}: is not a recording of answers")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

impl Recording {
    /// Reads a recording.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecordingError::Unreadable { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| RecordingError::Malformed { path: path.to_owned(), source })
    }
}

impl Probes {
    /// Live when the host root shows the machine that runs, which its boot id tells;
    /// else off, so that a copy of a node is never mixed with the machine it lies on.
    #[must_use]
    pub fn of(root: &HostRoot, runtime: tokio::runtime::Handle) -> Self {
        const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
        if root.path() == Path::new("/") {
            return Self::Live { runtime };
        }
        match (std::fs::read_to_string(BOOT_ID), root.read_text(BOOT_ID, 4096)) {
            (Ok(ours), Ok(theirs)) if ours.trim() == theirs.trim() => Self::Live { runtime },
            (Ok(_), Ok(_)) => Self::Off("the host root is not the machine that runs".to_owned()),
            (Err(error), _) => Self::Off(format!("own boot id: {error}")),
            (_, Err(error)) => Self::Off(format!("{} below the host root: {error}", error.path())),
        }
    }

    /// Whether the host root shows the machine that runs.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// The recording, if that is who answers.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        match self {
            Self::Recorded(recording) => Some(recording),
            Self::Live { .. } | Self::Off(_) => None,
        }
    }

    /// Asks an HTTP endpoint on this machine.
    #[must_use]
    pub fn http_get(&self, address: SocketAddr, path: &str, limit: Duration) -> HttpAnswer {
        match self {
            Self::Live { runtime } => runtime.block_on(http::get(address, path, limit)),
            Self::Recorded(recording) => {
                let url = format!("http://{address}{path}");
                recording.http.get(&url).cloned().unwrap_or_else(|| HttpAnswer::NotAsked {
                    why: format!("{url} is not in the recording"),
                })
            }
            Self::Off(why) => HttpAnswer::NotAsked { why: why.clone() },
        }
    }

    /// Asks the container runtime behind a socket of the host.
    #[must_use]
    pub fn cri(&self, root: &HostRoot, socket: &str, limit: Duration) -> Heard {
        let answer = match self {
            Self::Live { runtime } => return cri::ask(runtime, root, socket, limit),
            Self::Recorded(recording) => recording.cri.clone().unwrap_or_else(|| {
                CriAnswer::NotAsked { why: "the runtime is not in the recording".to_owned() }
            }),
            Self::Off(why) => CriAnswer::NotAsked { why: why.clone() },
        };
        answer.into()
    }
}
