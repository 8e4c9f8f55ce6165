//! What a local HTTP endpoint answered. Refused, silent and "I am ill" are told
//! apart, because they name different faults.

use serde::{Deserialize, Serialize};

/// The answer of one bounded GET request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum HttpAnswer {
    /// The server answered.
    Answered {
        /// HTTP status code.
        status: u16,
        /// First line of the body, cut to 200 characters.
        body: String,
    },
    /// Nobody listens there.
    Refused,
    /// No answer in time: at most this many milliseconds were waited.
    TimedOut {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// It accepts connections and completes no TLS handshake on them.
    NoHandshake {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// The exchange failed in another way.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// Nothing was asked, for this reason.
    NotAsked {
        /// Why not.
        why: String,
    },
}

impl HttpAnswer {
    /// Whether the server answered with what was asked for: 200.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Answered { status: 200, .. })
    }
}

impl std::fmt::Display for HttpAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { status, body } if body.is_empty() => write!(f, "{status}"),
            Self::Answered { status, body } => write!(f, "{status} {body}"),
            Self::Refused => f.write_str("connection refused"),
            Self::TimedOut { after_milliseconds } => {
                write!(f, "no answer within {after_milliseconds} ms")
            }
            Self::NoHandshake { after_milliseconds } => {
                write!(f, "no TLS handshake within {after_milliseconds} ms")
            }
            Self::Failed { why } => f.write_str(why),
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
        }
    }
}
