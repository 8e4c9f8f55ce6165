//! Why something on the host could not be read. Every kind names its path.

use jiff::Timestamp;
use nix::errno::Errno;

/// Why something on the host could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is nothing of that name.
    #[error("not there")]
    Missing {
        /// The path on the host.
        path: String,
    },
    /// It is not the kind of file that was expected.
    #[error("is a {kind}, not a {expected}")]
    WrongKind {
        /// The path on the host.
        path: String,
        /// What it is.
        kind: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// It is longer than what is read of such a file.
    #[error("longer than the {limit_bytes} bytes that are read of it")]
    TooLong {
        /// The path on the host.
        path: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// It is not UTF-8 text.
    #[error("not UTF-8 at byte {at}")]
    NotText {
        /// The path on the host.
        path: String,
        /// Offset of the first byte that is not.
        at: usize,
    },
    /// Its name is not UTF-8: it is told of with signs in the place of what is none, and by
    /// that name it cannot be asked for.
    #[error("its name is not UTF-8, and what is there is not read")]
    NameNotText {
        /// The path on the host, as far as it can be written.
        path: String,
    },
    /// The system refused.
    #[error("{errno}")]
    System {
        /// The path on the host.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// A copy of a node does not keep when its files were written.
    #[error("when it was written is not kept in a copy of a node")]
    TimeNotKept {
        /// The path on the host.
        path: String,
    },
    /// By its own word it was written at a time that is yet to come: the clock was set back
    /// since, or the file's time was set. How long ago that was nobody can say.
    #[error("was written at {at:.0}, which is yet to come")]
    InFuture {
        /// The path on the host.
        path: String,
        /// Its time.
        at: Timestamp,
    },
    /// It was written to whenever it was read: whatever came of it may be half of one
    /// state and half of another.
    #[error("is being written to")]
    Changing {
        /// The path on the host.
        path: String,
    },
    /// What stands there is not what its format allows.
    #[error("{why}")]
    Malformed {
        /// The path on the host.
        path: String,
        /// Where and why.
        why: String,
    },
}

impl HostError {
    /// The path on the host.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Missing { path }
            | Self::WrongKind { path, .. }
            | Self::TooLong { path, .. }
            | Self::NotText { path, .. }
            | Self::NameNotText { path }
            | Self::System { path, .. }
            | Self::TimeNotKept { path }
            | Self::InFuture { path, .. }
            | Self::Changing { path }
            | Self::Malformed { path, .. } => path,
        }
    }

    pub(crate) fn reading(path: &str, error: &std::io::Error) -> Self {
        Self::system(path, Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    }

    pub(super) fn system(path: &str, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            // What is there has another name, and is not missing.
            Errno::ENOENT if path.contains(char::REPLACEMENT_CHARACTER) => {
                Self::NameNotText { path }
            }
            Errno::ENOENT => Self::Missing { path },
            errno => Self::System { path, errno },
        }
    }
}

impl From<HostError> for nodeward_domain::observed::Unavailable {
    fn from(error: HostError) -> Self {
        Self { place: error.path().to_owned(), why: error.to_string() }
    }
}
