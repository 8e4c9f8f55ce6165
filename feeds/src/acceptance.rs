//! Whether what was read may take the place of the last good state of a feed. An import is
//! whole or it is none: what cannot be parsed never gets here, and what has shrunk, as a
//! file does that was cut off between two records, is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::Stream;

use crate::content::Content;
use crate::instant::is_to_come;

/// Of a stream so many in a hundred statements may go at once. Vendors take single records
/// back; they never took back one in ten.
const SHRINKS_BY_PERCENT: usize = 10;

/// Below so many statements a stream is too small for shares to mean anything.
const TOO_FEW_TO_TELL: usize = 50;

/// What is remembered of the last good state, to hold the next one against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Digest of what was read.
    pub digest: Arc<str>,
    /// Of when it is.
    pub as_of: Timestamp,
    /// So many statements there are on each stream.
    pub statements: BTreeMap<Stream, usize>,
}

impl Summary {
    /// Of what was read. `read_at` stands in for feeds that have no date at all.
    #[must_use]
    pub fn of(content: &Content, digest: Arc<str>, read_at: Timestamp) -> Self {
        Self { digest, as_of: content.as_of().unwrap_or(read_at), statements: content.streams() }
    }
}

/// What to do with what was read. The ledger takes it down in every case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It takes the place of the last good state.
    Replace {
        /// Streams that the vendor has closed: of these the last known state stays, frozen.
        frozen: BTreeSet<Stream>,
    },
    /// It is the last good state.
    Same,
    /// It is older than that: only its dates are new.
    Older,
}

/// Why the last good state stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing in it.
    #[error("nothing is in it")]
    Empty,
    /// It has shrunk.
    #[error(
        "{stream} has {now} statements, {before} before: it has shrunk by more than {SHRINKS_BY_PERCENT} %"
    )]
    Shrunk {
        /// The stream.
        stream: Stream,
        /// So many there were.
        before: usize,
        /// So many there are.
        now: usize,
    },
    /// Too many streams are gone at once for all of them to have been closed.
    #[error("{gone} of {before} streams are gone, {first} among them")]
    StreamsGone {
        /// So many are gone.
        gone: usize,
        /// So many there were.
        before: usize,
        /// One of them.
        first: Stream,
    },
    /// It is from a time that is still to come.
    #[error("it is of {as_of}, which is still to come")]
    ToCome {
        /// Of when it says that it is.
        as_of: Timestamp,
    },
}

/// Holds what was read against the last good state, if there is one.
pub fn accept(
    last_good: Option<&Summary>,
    read: &Summary,
    now: Timestamp,
) -> Result<Acceptance, Refusal> {
    if read.statements.values().all(|count| *count == 0) {
        return Err(Refusal::Empty);
    }
    // It would be fresh for ever, and no later state could take its place.
    if is_to_come(read.as_of, now) {
        return Err(Refusal::ToCome { as_of: read.as_of });
    }
    let Some(last_good) = last_good else {
        return Ok(Acceptance::Replace { frozen: BTreeSet::new() });
    };
    if read.digest == last_good.digest {
        return Ok(Acceptance::Same);
    }
    if read.as_of < last_good.as_of {
        return Ok(Acceptance::Older);
    }
    let mut frozen = BTreeSet::new();
    for (stream, before) in &last_good.statements {
        let now = read.statements.get(stream).copied().unwrap_or_default();
        if now == 0 {
            frozen.insert(stream.clone());
        } else if *before >= TOO_FEW_TO_TELL
            && (before.saturating_sub(now)) * 100 > before * SHRINKS_BY_PERCENT
        {
            return Err(Refusal::Shrunk { stream: stream.clone(), before: *before, now });
        }
    }
    let before = last_good.statements.len();
    match frozen.first() {
        // A release with its tiers may end; a quarter of all does not on one day.
        Some(first) if frozen.len() * 4 > before => {
            Err(Refusal::StreamsGone { gone: frozen.len(), before, first: first.clone() })
        }
        _ => Ok(Acceptance::Replace { frozen }),
    }
}

/// The same for a part of a feed, which adds to what is held and need not grow.
pub fn accept_part(
    last_good: Option<&Summary>,
    read: &Summary,
    now: Timestamp,
) -> Result<Acceptance, Refusal> {
    match accept(None, read, now)? {
        _ if last_good.is_some_and(|last| last.digest == read.digest) => Ok(Acceptance::Same),
        acceptance => Ok(acceptance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86_400).expect("a moment")
    }

    fn stream(release: &str) -> Stream {
        Stream::of_os_release("ubuntu", release)
    }

    fn summary(day: i64, statements: &[(&str, usize)]) -> Summary {
        Summary {
            digest: Arc::from(format!("{day} {statements:?}")),
            as_of: at(day),
            statements: statements.iter().map(|(name, count)| (stream(name), *count)).collect(),
        }
    }

    const FIVE: [(&str, usize); 5] =
        [("20.04", 900), ("22.04", 1000), ("24.04", 800), ("25.10", 40), ("26.04", 200)];

    fn next(statements: &[(&str, usize)]) -> Result<Acceptance, Refusal> {
        accept(Some(&summary(0, &FIVE)), &summary(1, statements), at(2))
    }

    #[test]
    fn what_has_grown_takes_the_place_of_what_was_there() {
        let replace = Ok(Acceptance::Replace { frozen: BTreeSet::new() });
        assert_eq!(accept(None, &summary(0, &FIVE), at(2)), replace);
        let mut grown = FIVE;
        grown[1].1 = 1010;
        assert_eq!(next(&grown), replace);
        let mut withdrawn = FIVE;
        withdrawn[1].1 = 900;
        assert_eq!(next(&withdrawn), replace);
    }

    #[test]
    fn what_has_shrunk_is_refused_with_the_figures() {
        let mut shrunk = FIVE;
        shrunk[1].1 = 899;
        assert_eq!(
            next(&shrunk),
            Err(Refusal::Shrunk { stream: stream("22.04"), before: 1000, now: 899 })
        );
        assert_eq!(next(&[]), Err(Refusal::Empty));
        assert!(matches!(next(&FIVE[..2]), Err(Refusal::StreamsGone { gone: 3, before: 5, .. })));
    }

    #[test]
    fn a_release_that_the_vendor_has_closed_is_frozen() {
        assert_eq!(
            next(&FIVE[1..]),
            Ok(Acceptance::Replace { frozen: BTreeSet::from([stream("20.04")]) })
        );
    }

    #[test]
    fn an_older_state_gives_its_dates_alone_and_one_to_come_nothing() {
        let last_good = summary(5, &FIVE);
        assert_eq!(accept(Some(&last_good), &summary(1, &FIVE), at(6)), Ok(Acceptance::Older));
        assert_eq!(accept(Some(&last_good), &last_good, at(6)), Ok(Acceptance::Same));
        let ahead = summary(9, &FIVE);
        assert_eq!(accept(None, &ahead, at(6)), Err(Refusal::ToCome { as_of: at(9) }));
    }
}
