//! What a collector saw, when, and how long it took. "Could not read" is a state of
//! its own and never looks like "nothing there" or "healthy".

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// One observation of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Observed<T> {
    /// When the collector finished, by the node's clock.
    pub observed_at: Timestamp,
    /// How long the collector took.
    pub took: Duration,
    /// What it saw.
    pub state: State<T>,
}

/// What a collector saw of a component.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State<T> {
    /// There is at least a trace of an installation; these are its facts.
    Present(Arc<T>),
    /// No trace of an installation: no binary, unit, package or state folder.
    Absent,
    /// The component has no meaning on this system; the text says why.
    NotApplicable(String),
    /// It could not be read. Never to be taken for healthy or clean.
    Unavailable(Unavailable),
}

// Not derived: a derive would ask for `T: Clone` although only the `Arc` is cloned.
impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Present(facts) => Self::Present(Arc::clone(facts)),
            Self::Absent => Self::Absent,
            Self::NotApplicable(why) => Self::NotApplicable(why.clone()),
            Self::Unavailable(unavailable) => Self::Unavailable(unavailable.clone()),
        }
    }
}

impl<T> State<T> {
    /// The facts, when there are any.
    #[must_use]
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(facts) => Some(facts),
            _ => None,
        }
    }

    /// The facts, when there are any, to be kept.
    #[must_use]
    pub fn shared(&self) -> Option<Arc<T>> {
        match self {
            Self::Present(facts) => Some(Arc::clone(facts)),
            _ => None,
        }
    }

    /// The word of the state: `present`, `absent`, `not_applicable` or `unavailable`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Present(_) => "present",
            Self::Absent => "absent",
            Self::NotApplicable(_) => "not_applicable",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Why a component could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unavailable {
    /// The path or endpoint that failed; empty when the failure has no place.
    pub place: String,
    /// What went wrong there.
    pub why: String,
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{}: {}", self.place, self.why)
        }
    }
}
