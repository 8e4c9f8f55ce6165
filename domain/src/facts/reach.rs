//! How far a connection got that leaves the node: looking up a name, TCP, and the TLS
//! handshake over it. What stopped it is told apart, because each names another fault.

use serde::{Deserialize, Serialize};

/// How far a connection got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Reach {
    /// As far as it was meant to: the TLS handshake was answered.
    Reached,
    /// The nameserver says that there is no such name, or none with an address.
    NoSuchName,
    /// No nameserver could tell.
    NotResolved {
        /// What the last of them did.
        why: String,
    },
    /// Something refuses the connection: nobody listens, or a filter says so.
    Refused,
    /// The kernel, or a router, says that no way leads there.
    NoRoute {
        /// In whose words.
        why: String,
    },
    /// No answer to the connection in time.
    TimedOut {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// The connection stands, and the TLS handshake is not answered in time.
    NoHandshake {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// The connection was ended in the midst of the TLS handshake, as filters do that read
    /// its server name.
    CutOff {
        /// How.
        why: String,
    },
    /// What answers does not speak TLS.
    NotTls {
        /// What was wrong with its answer.
        why: String,
    },
    /// Nothing was tried, or the trying says nothing, for this reason.
    NotProbed {
        /// Why not.
        why: String,
    },
}

impl Reach {
    /// Whether something stops connections, as far as was seen; none when it is not known.
    #[must_use]
    pub const fn is_blocked(&self) -> Option<bool> {
        match self {
            Self::Reached => Some(false),
            Self::NotProbed { .. } => None,
            Self::NoSuchName
            | Self::NotResolved { .. }
            | Self::Refused
            | Self::NoRoute { .. }
            | Self::TimedOut { .. }
            | Self::NoHandshake { .. }
            | Self::CutOff { .. }
            | Self::NotTls { .. } => Some(true),
        }
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reached => f.write_str("reached"),
            Self::NoSuchName => f.write_str("no such name"),
            Self::NotResolved { why } => write!(f, "name not resolved: {why}"),
            Self::Refused => f.write_str("connection refused"),
            Self::NoRoute { why } => write!(f, "no way there: {why}"),
            Self::TimedOut { after_milliseconds } => {
                write!(f, "no connection within {after_milliseconds} ms")
            }
            Self::NoHandshake { after_milliseconds } => {
                write!(f, "no TLS handshake within {after_milliseconds} ms")
            }
            Self::CutOff { why } => write!(f, "cut off in the TLS handshake: {why}"),
            Self::NotTls { why } => write!(f, "what answers does not speak TLS: {why}"),
            Self::NotProbed { why } => write!(f, "not probed: {why}"),
        }
    }
}
