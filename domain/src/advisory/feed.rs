//! The state of feeds: for which streams each is complete, until when, and how fresh it is.
//! What a feed says is believed as it stands; only what it leaves unsaid hangs on this.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Stream;

/// A feed whose newest state is older than this says nothing by its silence any more, where
/// nothing else is configured. Vendors publish on every working day.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

const fn stale_after() -> SignedDuration {
    STALE_AFTER
}

/// How much of a stream a feed has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Every advisory up to the feed's `as_of`.
    Complete,
    /// Some of them, for this reason.
    Partial(String),
    /// Every advisory up to then: the vendor has closed the stream since.
    Frozen(Timestamp),
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Partial(why) => write!(f, "partial: {why}"),
            Self::Frozen(since) => write!(f, "complete, closed by the vendor since {since:.0}"),
        }
    }
}

/// The state of one feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    /// Its name.
    pub name: Arc<str>,
    /// Of when its content is, by the vendor's own word, or by the newest record in it.
    pub as_of: Timestamp,
    /// When it was last read.
    pub imported_at: Timestamp,
    /// The newest date of publication in it; none without any.
    pub newest_published: Option<Timestamp>,
    /// Digest of what was read.
    pub digest: Arc<str>,
    /// How much it has of which stream.
    #[serde(with = "pairs")]
    pub coverage: BTreeMap<Stream, Coverage>,
    /// So many statements.
    pub statements: usize,
    /// What of it was left out on purpose, and how often.
    pub left_out: BTreeMap<String, usize>,
    /// It is stale when its content is older than this.
    #[serde(skip, default = "stale_after")]
    pub stale_after: SignedDuration,
}

/// A map whose keys are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Coverage, Stream};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Stream, Coverage>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Stream, Coverage>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

impl FeedState {
    /// How old its content is.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.as_of)
    }

    /// Whether its silence has said something, and it is too old for that by now. What is
    /// complete for nothing says nothing by its silence at any age.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let is_complete = self.coverage.values().any(|one| *one == Coverage::Complete);
        is_complete && self.age(now) > self.stale_after
    }

    /// When it becomes stale, if nothing newer comes and it is complete for something.
    #[must_use]
    pub fn stale_at(&self) -> Timestamp {
        self.as_of.checked_add(self.stale_after).unwrap_or(Timestamp::MAX)
    }
}

/// How a feed stands, for screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// Its name.
    pub name: String,
    /// Of when its content is.
    pub as_of: Timestamp,
    /// When it was last read.
    pub imported_at: Timestamp,
    /// The newest date of publication in it.
    pub newest_published: Option<Timestamp>,
    /// SHA-256 of what was read.
    pub digest: String,
    /// Whether it is too old for its silence to say anything.
    pub is_stale: bool,
    /// When it becomes so.
    pub stale_at: Timestamp,
    /// How much it has of which stream.
    pub coverage: Vec<StreamCoverage>,
    /// So many statements.
    pub statements: usize,
    /// What of it was left out, and how often.
    pub left_out: BTreeMap<String, usize>,
    /// Dates that the vendor has moved, of all revisions that were seen.
    pub moves: usize,
}

/// How much a feed has of a stream, for screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamCoverage {
    /// The stream.
    pub stream: String,
    /// `complete`, or why it is not.
    pub coverage: String,
}

impl FeedState {
    /// For screens. `moves` is how many dates of it were moved, by the ledger.
    #[must_use]
    pub fn status(&self, moves: usize, now: Timestamp) -> FeedStatus {
        FeedStatus {
            name: self.name.to_string(),
            as_of: self.as_of,
            imported_at: self.imported_at,
            newest_published: self.newest_published,
            digest: self.digest.to_string(),
            is_stale: self.is_stale(now),
            stale_at: self.stale_at(),
            coverage: self
                .coverage
                .iter()
                .map(|(stream, coverage)| StreamCoverage {
                    stream: stream.to_string(),
                    coverage: coverage.to_string(),
                })
                .collect(),
            statements: self.statements,
            left_out: self.left_out.clone(),
            moves,
        }
    }
}

/// What it means when no feed says anything against a package of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Nothing is missing, as of then; and that may be said until then.
    NothingMissing {
        /// Of when the feed is.
        as_of: Timestamp,
        /// When it becomes stale.
        valid_until: Timestamp,
    },
    /// It cannot be said, for this reason.
    Unknown(String),
}

/// All feeds, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feeds(BTreeMap<Arc<str>, FeedState>);

impl Feeds {
    /// Puts a feed's state in the place of its former one.
    pub fn put(&mut self, state: FeedState) {
        self.0.insert(Arc::clone(&state.name), state);
    }

    /// The state of a feed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FeedState> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &FeedState> {
        self.0.values()
    }

    /// What the silence of all feeds about a stream means. One that is complete and fresh
    /// is enough; otherwise the reason of the best there is.
    #[must_use]
    pub fn silence(&self, stream: &Stream, now: Timestamp) -> Silence {
        let mut best: Option<(u8, String)> = None;
        let mut keep = |rank: u8, why: String| {
            if best.as_ref().is_none_or(|(kept, _)| rank < *kept) {
                best = Some((rank, why));
            }
        };
        let mut complete: Option<&FeedState> = None;
        for feed in self.0.values() {
            match feed.coverage.get(stream) {
                None => {}
                Some(Coverage::Complete) if !feed.is_stale(now) => {
                    complete = match complete {
                        Some(kept) if kept.as_of >= feed.as_of => Some(kept),
                        _ => Some(feed),
                    };
                }
                Some(Coverage::Complete) => {
                    keep(0, format!("feed {} is stale: it is of {:.0}", feed.name, feed.as_of));
                }
                Some(Coverage::Frozen(since)) => {
                    keep(1, format!("feed {} ends with {since:.0}", feed.name));
                }
                Some(Coverage::Partial(why)) => {
                    keep(2, format!("partial feed {}: {why}", feed.name));
                }
            }
        }
        match (complete, best) {
            (Some(feed), _) => {
                Silence::NothingMissing { as_of: feed.as_of, valid_until: feed.stale_at() }
            }
            (None, Some((_, why))) => Silence::Unknown(why),
            (None, None) => Silence::Unknown(format!("no feed on {stream}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86_400).expect("a moment")
    }

    fn feed(name: &str, coverage: Coverage) -> FeedState {
        FeedState {
            name: Arc::from(name),
            as_of: at(0),
            imported_at: at(0),
            newest_published: None,
            digest: Arc::from(""),
            coverage: BTreeMap::from([(Stream::of_os_release("debian", "12"), coverage)]),
            statements: 1,
            left_out: BTreeMap::new(),
            stale_after: STALE_AFTER,
        }
    }

    fn silence(feeds: &[FeedState], release: &str, day: i64) -> Result<Timestamp, String> {
        let mut all = Feeds::default();
        feeds.iter().cloned().for_each(|feed| all.put(feed));
        match all.silence(&Stream::of_os_release("debian", release), at(day)) {
            Silence::NothingMissing { valid_until, .. } => Ok(valid_until),
            Silence::Unknown(why) => Err(why),
        }
    }

    #[test]
    fn only_a_complete_and_fresh_feed_says_something_by_its_silence() {
        let complete = feed("complete", Coverage::Complete);
        let partial = feed("starter", Coverage::Partial("a selection".to_owned()));
        let frozen = feed("frozen", Coverage::Frozen(at(0)));
        assert_eq!(silence(&[complete.clone(), partial.clone()], "12", 7), Ok(at(7)));
        let why = |feeds: &[FeedState], release, day| silence(feeds, release, day).expect_err("no");
        assert!(why(std::slice::from_ref(&complete), "12", 8).contains("stale"));
        assert!(why(&[partial], "12", 0).starts_with("partial feed starter"));
        assert!(why(&[frozen], "12", 0).contains("ends with"));
        assert_eq!(why(&[complete], "11", 0), "no feed on Debian 11");
    }

    #[test]
    fn what_is_complete_for_nothing_is_never_too_old_for_its_silence() {
        let partial = feed("bulletins", Coverage::Partial("a selection".to_owned()));
        let complete = feed("complete", Coverage::Complete);
        assert_eq!([partial.is_stale(at(400)), complete.is_stale(at(400))], [false, true]);
        assert!(!complete.is_stale(at(7)));
    }
}
