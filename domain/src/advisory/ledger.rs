//! The ledger of dates: what each revision of each feed said of when a fix was published.
//! Nothing is ever taken out of it. Vendors move their dates, to and fro, and let records
//! vanish; an age counts from the earliest date there ever was, and every move is kept.
//!
//! Revisions may come in any order and more than once: the ledger is the same. So a copy
//! of last year's file, found today, still tells that a fix was there a year ago.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::published::{DateKind, Published};
use super::{AliasId, Dated, Stream};

/// What a date is kept for: one fix of one source package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixKey {
    /// Of which line of updates.
    pub stream: Stream,
    /// The source package.
    pub source: Arc<str>,
    /// Its fixed version, as the feed writes it.
    pub fixed: Arc<str>,
    /// The notice, or the vulnerability of a definition; see [`super::Advisory::fix_key`].
    pub subject: AliasId,
}

/// One state of a feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision {
    /// Of when it is, by the vendor's own word.
    pub as_of: Timestamp,
    /// Its name: a digest of what was read.
    pub name: Arc<str>,
}

/// What a revision says about the date of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stated {
    /// The fix is not in it.
    Absent,
    /// The fix is in it without a date.
    Undated,
    /// The fix has that date.
    Dated(Dated),
}

/// What a revision says about the date of one fix, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// The fix.
    pub key: FixKey,
    /// The revision.
    pub revision: Revision,
    /// What it says.
    pub stated: Stated,
}

/// What one revision of a feed added to the ledger, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The feed.
    pub feed: Arc<str>,
    /// How much of it was read.
    pub extent: Extent,
    /// The revision.
    pub revision: Revision,
    /// See [`Ledger::record`].
    pub baseline_until: Option<Timestamp>,
    /// What it added.
    pub entries: Vec<Entry>,
}

/// How much of a feed one reading has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Extent {
    /// All of it: what is not there is absent.
    Whole,
    /// Some of it: what is not there was not read.
    Part,
}

/// A date that a vendor changed, or a fix that came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The feed.
    pub feed: Arc<str>,
    /// The first revision that says the new.
    pub revision: Revision,
    /// What the revision before said.
    pub from: Stated,
    /// What this one says.
    pub to: Stated,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    feeds: BTreeMap<(Arc<str>, Extent), FeedLedger>,
}

/// What is kept of one feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct FeedLedger {
    revisions: BTreeSet<Revision>,
    /// Stamps up to this one only say that the fix was there when the feed began.
    baseline_until: Option<Timestamp>,
    histories: BTreeMap<FixKey, History>,
}

/// What was said of one fix: the revisions at which it changed. Of a feed that is read in
/// parts, every revision that spoke of it.
type History = BTreeMap<Revision, Stated>;

impl Ledger {
    /// Takes down what a revision says. Of a fix that it names twice the earlier date counts.
    /// `baseline_until` is the stamp that a vendor gave to all it had when the feed began.
    /// Gives the entries that are new, to be stored: see [`Self::restored`].
    pub fn record(
        &mut self,
        feed: &Arc<str>,
        extent: Extent,
        revision: &Revision,
        baseline_until: Option<Timestamp>,
        fixes: impl IntoIterator<Item = (FixKey, Option<Dated>)>,
    ) -> Vec<Entry> {
        let mut said: BTreeMap<FixKey, Stated> = BTreeMap::new();
        for (key, dated) in fixes {
            let stated = dated.map_or(Stated::Undated, Stated::Dated);
            said.entry(key).and_modify(|kept| *kept = earlier(*kept, stated)).or_insert(stated);
        }
        let kept = self.feeds.entry((Arc::clone(feed), extent)).or_default();
        kept.baseline_until = kept.baseline_until.max(baseline_until);
        match extent {
            Extent::Whole => kept.record_whole(revision, said),
            Extent::Part => kept.record_part(revision, said),
        }
    }

    /// The ledger out of what [`Self::record`] once gave, in any order.
    #[must_use]
    pub fn restored(recorded: impl IntoIterator<Item = Recorded>) -> Self {
        let mut ledger = Self::default();
        for Recorded { feed, extent, revision, baseline_until, entries } in recorded {
            let kept = ledger.feeds.entry((feed, extent)).or_default();
            kept.baseline_until = kept.baseline_until.max(baseline_until);
            kept.revisions.insert(revision);
            for Entry { key, revision, stated } in entries {
                kept.histories
                    .entry(key)
                    .or_default()
                    .entry(revision)
                    .and_modify(|kept| *kept = earlier(*kept, stated))
                    .or_insert(stated);
            }
        }
        for ((_, extent), kept) in &mut ledger.feeds {
            if *extent == Extent::Whole {
                kept.histories.values_mut().for_each(keep_changes);
            }
        }
        ledger
    }

    /// When a fix was published, as far as is known: the vendor's earliest date, or the
    /// first revision that had the fix where that was earlier. Changelogs count only where
    /// no advisory is dated: what is signed is not yet published. None when no feed ever
    /// had the fix.
    #[must_use]
    pub fn published(&self, key: &FixKey) -> Option<Published> {
        let dates = self.dates(key);
        let of_kind = |wanted: &[DateKind]| {
            dates
                .iter()
                .filter(|date| wanted.contains(&date.kind))
                .min_by_key(|date| (date.at, date.kind))
                .cloned()
        };
        let is_dated = dates.iter().any(|date| date.kind == DateKind::Advisory);
        let vendor = if is_dated { DateKind::Advisory } else { DateKind::Changelog };
        of_kind(&[vendor, DateKind::FirstSeen, DateKind::Baseline])
    }

    /// All that is known of when a fix was published: of each feed the earliest of its
    /// dates of each kind, and when it was first there. Sorted.
    #[must_use]
    pub fn dates(&self, key: &FixKey) -> Vec<Published> {
        let mut dates = BTreeSet::new();
        for ((feed, extent), kept) in &self.feeds {
            let Some(history) = kept.histories.get(key) else {
                continue;
            };
            let mut of_feed: BTreeMap<DateKind, (Timestamp, &Revision)> = BTreeMap::new();
            let mut keep = |kind, at, revision| {
                let kept = of_feed.entry(kind).or_insert((at, revision));
                *kept = (*kept).min((at, revision));
            };
            for (revision, stated) in history {
                if let Stated::Dated(dated) = stated {
                    let is_baseline = kept.baseline_until.is_some_and(|until| dated.at <= until);
                    let kind = if is_baseline { DateKind::Baseline } else { dated.kind };
                    keep(kind, dated.at, revision);
                }
            }
            let first = history.iter().find(|(_, stated)| **stated != Stated::Absent);
            if let Some((first, _)) = first {
                // Whether it is new there only the revision before can tell.
                let is_new = *extent == Extent::Whole && kept.revisions.first() != Some(first);
                let kind = if is_new { DateKind::FirstSeen } else { DateKind::Baseline };
                keep(kind, first.as_of, first);
            }
            dates.extend(of_feed.into_iter().map(|(kind, (at, revision))| Published {
                at,
                kind,
                feed: Arc::clone(feed),
                revision: Arc::clone(&revision.name),
            }));
        }
        dates.into_iter().collect()
    }

    /// What was changed about a fix, in the order of revisions. That it came is no change.
    #[must_use]
    pub fn moves(&self, key: &FixKey) -> Vec<Move> {
        let mut moves = Vec::new();
        for ((feed, _), kept) in &self.feeds {
            moves.extend(kept.moves(feed, key));
        }
        moves.sort_by(|a, b| (&a.revision, &a.feed).cmp(&(&b.revision, &b.feed)));
        moves
    }

    /// Every fix with its changes, where there were any.
    pub fn all_moves(&self) -> impl Iterator<Item = (&FixKey, Vec<Move>)> {
        self.feeds.iter().flat_map(|((feed, _), kept)| {
            kept.histories.keys().filter_map(move |key| {
                let moves = kept.moves(feed, key);
                (!moves.is_empty()).then_some((key, moves))
            })
        })
    }

    /// How many dates of a feed were moved.
    #[must_use]
    pub fn moves_of(&self, feed: &str) -> usize {
        let is_date = |stated: &Stated| matches!(stated, Stated::Dated(_));
        self.feeds
            .iter()
            .filter(|((name, _), _)| **name == *feed)
            .flat_map(|((name, _), kept)| {
                kept.histories.keys().flat_map(move |key| kept.moves(name, key))
            })
            .filter(|one| is_date(&one.from) && is_date(&one.to))
            .count()
    }

    /// How many fixes there are dates for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.feeds.values().map(|kept| kept.histories.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FeedLedger {
    fn record_part(&mut self, revision: &Revision, said: BTreeMap<FixKey, Stated>) -> Vec<Entry> {
        self.revisions.insert(revision.clone());
        let mut entries = Vec::new();
        for (key, stated) in said {
            // A revision in parts may say the same fix in two of them.
            let history = self.histories.entry(key.clone()).or_default();
            let before = history.get(revision).copied();
            let now = before.map_or(stated, |before| earlier(before, stated));
            if before != Some(now) {
                history.insert(revision.clone(), now);
                entries.push(Entry { key, revision: revision.clone(), stated: now });
            }
        }
        entries
    }

    /// Between two revisions nothing is known to have changed, so only changes are kept:
    /// the one form that a set of revisions has, in whichever order they came.
    fn record_whole(
        &mut self,
        revision: &Revision,
        mut said: BTreeMap<FixKey, Stated>,
    ) -> Vec<Entry> {
        // Named by its content: it says what it said.
        if !self.revisions.insert(revision.clone()) {
            return Vec::new();
        }
        let mut entries = Vec::new();
        let mut keep = |key: &FixKey, (revision, stated): (&Revision, Stated)| {
            entries.push(Entry { key: key.clone(), revision: revision.clone(), stated });
        };
        let after = (Bound::Excluded(revision), Bound::Unbounded);
        let next = self.revisions.range(after).next().cloned();
        for (key, history) in &mut self.histories {
            let stated = said.remove(key).unwrap_or(Stated::Absent);
            insert(history, revision, next.as_ref(), stated, |point| keep(key, point));
        }
        for (key, stated) in said {
            let mut history = History::new();
            insert(&mut history, revision, next.as_ref(), stated, |point| keep(&key, point));
            self.histories.insert(key, history);
        }
        entries
    }

    fn moves(&self, feed: &Arc<str>, key: &FixKey) -> Vec<Move> {
        let history = self.histories.get(key);
        let points: Vec<_> = history.into_iter().flatten().collect();
        points
            .windows(2)
            .filter_map(|pair| <&[_; 2]>::try_from(pair).ok())
            .filter(|[(_, from), (_, to)]| from != to)
            .map(|[(_, from), (revision, to)]| Move {
                feed: Arc::clone(feed),
                revision: (*revision).clone(),
                from: **from,
                to: **to,
            })
            .collect()
    }
}

/// Puts what a revision says into a history, which keeps saying of the `next` what it did.
/// `keep` is told of every point that is new.
fn insert(
    history: &mut History,
    revision: &Revision,
    next: Option<&Revision>,
    stated: Stated,
    mut keep: impl FnMut((&Revision, Stated)),
) {
    let said_before = history
        .range((Bound::Unbounded, Bound::Excluded(revision)))
        .next_back()
        .map_or(Stated::Absent, |(_, said)| *said);
    if let Some(next) = next {
        let is_there = history.get(next).copied();
        let said_next = is_there.unwrap_or(said_before);
        if said_next == stated {
            history.remove(next);
        } else if is_there.is_none() {
            history.insert(next.clone(), said_next);
            keep((next, said_next));
        }
    }
    if stated != said_before {
        history.insert(revision.clone(), stated);
        keep((revision, stated));
    }
}

/// Leaves out of a history what says the same as the revision before.
fn keep_changes(history: &mut History) {
    let mut said = Stated::Absent;
    history.retain(|_, stated| std::mem::replace(&mut said, *stated) != *stated);
}

/// The one that makes a fix older.
fn earlier(one: Stated, other: Stated) -> Stated {
    match (one, other) {
        (Stated::Dated(one), Stated::Dated(other)) => Stated::Dated(one.min(other)),
        (Stated::Dated(dated), _) | (_, Stated::Dated(dated)) => Stated::Dated(dated),
        (Stated::Undated, _) | (_, Stated::Undated) => Stated::Undated,
        (Stated::Absent, Stated::Absent) => Stated::Absent,
    }
}

#[cfg(test)]
mod tests;
