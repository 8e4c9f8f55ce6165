//! When a fix was published: the instant, what kind of a date it is, and where it was read.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What kind of a date a fix has, the best kind first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateKind {
    /// The vendor's date of the advisory.
    Advisory,
    /// The signature below the package's changelog entry: when the fix was made, which is
    /// at the most some weeks before it was published.
    Changelog,
    /// A revision of the feed was the first to have it, and the one before did not.
    FirstSeen,
    /// It was there when the feed began, or when it was first read: it is at least so old.
    Baseline,
}

impl DateKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Advisory, Self::Changelog, Self::FirstSeen, Self::Baseline];

    /// The word of the kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Changelog => "changelog",
            Self::FirstSeen => "first_seen",
            Self::Baseline => "baseline",
        }
    }
}

/// When a fix was published, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Published {
    /// The instant.
    pub at: Timestamp,
    /// What kind of a date that is.
    pub kind: DateKind,
    /// The feed that gave it.
    pub feed: Arc<str>,
    /// The revision of the feed in which it was first read, as that was named.
    pub revision: Arc<str>,
}

impl Published {
    /// How long ago that is. A package may be in an image before its notice: never below 0.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.at).max(SignedDuration::ZERO)
    }

    /// Whether the true age may be greater.
    #[must_use]
    pub fn is_at_least(&self) -> bool {
        self.kind == DateKind::Baseline
    }
}
