//! All statements of all advisories, ready to be matched: read once per generation, kept in
//! few pieces of memory, and found by stream and source package. Versions are sort keys, so
//! that the fixes which a version lacks are the rows behind one place in a sorted list.

mod build;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::strings::{Runs, Text};
use crate::advisory::{
    Alias, AliasId, DateKind, Epochs, Published, Rating, Statement, Stream, Unfixed,
};
use crate::version::key::VersionKey;

pub use build::TooManyStatements;

/// One statement in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixId(u32);

/// All statements of one generation of advisories.
#[derive(Debug, Clone)]
pub struct Index {
    generation: u64,
    runs: Runs,
    streams: BTreeMap<Stream, Vec<Source>>,
    rows: Vec<Row>,
    /// Which names, and how bad each is: the name's place shifted by three bits, the rating.
    aliases: Vec<u32>,
    names: Vec<AliasId>,
    /// Statements whose versions cannot be read, with the reason.
    unreadable: Vec<(Text, Text)>,
    sizes: Sizes,
}

/// So many statements there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Fixes.
    pub fixes: usize,
    /// Statements that there is no fix.
    pub unfixed: usize,
    /// Statements that add nothing to those of the vendor's notices, and were left out.
    pub covered: usize,
    /// Statements on what is not affected after all, and were left out.
    pub not_affected: usize,
    /// Statements of records that were withdrawn, and were left out.
    pub withdrawn: usize,
    /// Statements on distributions whose versions cannot be ordered.
    pub unordered: usize,
    /// Statements whose versions cannot be read.
    pub unreadable: usize,
}

/// A source package, and where its rows are.
#[derive(Debug, Clone, Copy)]
struct Source {
    name: Text,
    /// How its name begins.
    head: u128,
    /// Rows that compare epochs, by the end of their ranges.
    first: u32,
    /// Rows that do not, by the end of their ranges.
    middle: u32,
    end: u32,
    /// Its statements that cannot be read.
    unreadable: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// How the end of its range begins, for comparisons that need not fetch the rest.
    head: u128,
    record: Text,
    /// The version with the fix, as the feed writes it; empty where it names none.
    fixed: Text,
    lower: Text,
    upper: Text,
    aliases: (u32, u32),
    statement: Statement,
    epochs: Epochs,
    published: Option<Date>,
}

/// The first bytes of a text or key, as a number that sorts as they do.
pub(super) fn head(bytes: &[u8]) -> u128 {
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(bytes) {
        *to = *from;
    }
    u128::from_be_bytes(head)
}

#[derive(Debug, Clone, Copy)]
struct Date {
    at: Timestamp,
    kind: DateKind,
    feed: Text,
    revision: Text,
}

/// A statement, for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix<'a> {
    /// The vendor's record.
    pub record: &'a str,
    /// The version with the fix; none where there is none, or the vendor does not name it.
    pub fixed: Option<&'a str>,
    /// Why there is none.
    pub unfixed: Option<Unfixed>,
    /// When it was published; none where there is none, or nothing is known.
    pub published: Option<Published>,
    /// Under which names.
    pub aliases: Vec<Alias>,
}

/// A source package among the statements on a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceRows(Source);

impl Index {
    /// Which generation of advisories it was made of.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// So many statements there are.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The streams that something is stated about.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.keys()
    }

    /// Whether anything is stated about a stream.
    #[must_use]
    pub fn speaks_of(&self, stream: &Stream) -> bool {
        self.streams.contains_key(stream)
    }

    /// Whether anything is stated about a source package on a release, in whichever tier.
    #[must_use]
    pub fn has_source(&self, release: &Stream, name: &str) -> bool {
        let mut streams = self.streams.keys().filter(|stream| {
            stream.distribution == release.distribution && stream.release == release.release
        });
        streams.any(|stream| self.source(stream, name).is_some())
    }

    /// The source packages of a release that anything is stated of under a name that is wanted,
    /// of a vulnerability or of a record: with the stream that states it.
    pub(crate) fn sources_about(
        &self,
        release: &Stream,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&Stream, &str)> {
        let wanted: BTreeSet<u32> = (0..)
            .zip(&self.names)
            .filter(|(_, name)| is_wanted(&name.to_string()))
            .map(|(place, _)| place)
            .collect();
        let speaks = |row: &Row| {
            self.aliases_of(row).packed.iter().any(|packed| wanted.contains(&(packed >> 3)))
                || is_wanted(self.runs.text(row.record))
        };
        let streams = self.streams.iter().filter(|(stream, _)| {
            stream.distribution == release.distribution && stream.release == release.release
        });
        let mut found = Vec::new();
        for (stream, sources) in streams {
            let about = sources.iter().filter(|source| {
                let rows = self.rows.get(source.first as usize..source.end as usize);
                rows.unwrap_or_default().iter().any(speaks)
            });
            found.extend(about.map(|source| (stream, self.runs.text(source.name))));
        }
        found
    }

    /// Whether anything is stated of a vulnerability, or by a record, whose name is wanted.
    #[must_use]
    pub fn tells_of(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.names.iter().any(|name| is_wanted(&name.to_string()))
            || self.rows.iter().any(|row| is_wanted(self.runs.text(row.record)))
    }

    /// The memory that it holds.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        let sources: usize = self.streams.values().map(Vec::capacity).sum();
        self.runs.bytes_held()
            + sources * size_of::<Source>()
            + self.rows.capacity() * size_of::<Row>()
            + self.aliases.capacity() * size_of::<u32>()
            + self.names.capacity() * size_of::<AliasId>()
            + self.unreadable.capacity() * size_of::<(Text, Text)>()
    }

    /// A statement; none of another index's.
    #[must_use]
    pub fn fix(&self, id: FixId) -> Option<Fix<'_>> {
        let row = self.rows.get(id.0 as usize)?;
        Some(Fix {
            record: self.runs.text(row.record),
            fixed: Some(self.runs.text(row.fixed)).filter(|version| !version.is_empty()),
            unfixed: match row.statement {
                Statement::Unfixed(why) => Some(why),
                Statement::Fixed | Statement::NotAffected => None,
            },
            published: row.published.map(|date| Published {
                at: date.at,
                kind: date.kind,
                feed: Arc::from(self.runs.text(date.feed)),
                revision: Arc::from(self.runs.text(date.revision)),
            }),
            aliases: self.aliases_of(row).cloned_pairs(),
        })
    }

    /// When the fix was published, and whether it is at least so old; without making texts.
    #[must_use]
    pub fn published(&self, id: FixId) -> Option<(Timestamp, DateKind)> {
        let date = self.rows.get(id.0 as usize)?.published?;
        Some((date.at, date.kind))
    }

    /// The version with the fix; none where the vendor does not name it.
    #[must_use]
    pub fn fixed_version(&self, id: FixId) -> Option<&str> {
        let row = self.rows.get(id.0 as usize)?;
        Some(self.runs.text(row.fixed)).filter(|version| !version.is_empty())
    }

    /// Why there is no fix; none where there is one.
    #[must_use]
    pub fn unfixed(&self, id: FixId) -> Option<Unfixed> {
        match self.rows.get(id.0 as usize)?.statement {
            Statement::Unfixed(why) => Some(why),
            Statement::Fixed | Statement::NotAffected => None,
        }
    }

    /// Whether epochs count where the statement's versions are compared.
    #[must_use]
    pub fn epochs(&self, FixId(id): FixId) -> Option<Epochs> {
        self.rows.get(id as usize).map(|row| row.epochs)
    }

    /// The names of what a statement is about.
    pub fn alias_ids(&self, FixId(id): FixId) -> impl Iterator<Item = &AliasId> {
        self.rows.get(id as usize).into_iter().flat_map(|row| self.aliases_of(row).ids())
    }

    /// Since when there has been a fix for a vulnerability in a source package: of several
    /// notices that name it, the first. A later one, which mends what the first one broke,
    /// does not start the clock anew.
    #[must_use]
    pub fn first_fix(&self, stream: &Stream, source: &str, alias: &AliasId) -> Option<FixId> {
        let SourceRows(source) = self.source(stream, source)?;
        (source.first..source.end)
            .filter_map(|index| Some((FixId(index), self.rows.get(index as usize)?)))
            .filter(|(_, row)| row.statement == Statement::Fixed)
            .filter(|(_, row)| self.aliases_of(row).ids().any(|id| id == alias))
            .min_by_key(|(id, row)| (row.published.map_or(Timestamp::MAX, |date| date.at), *id))
            .map(|(id, _)| id)
    }

    /// The fixes in a source package by those names that are wanted, of vulnerabilities and
    /// of records; of each the first published first, as [`Self::first_fix`] has them.
    pub(crate) fn fixes_by_name(
        &self,
        stream: &Stream,
        source: &str,
        is_wanted: impl Fn(&AliasId) -> bool,
    ) -> BTreeMap<AliasId, Vec<FixId>> {
        let mut by_name: BTreeMap<AliasId, Vec<FixId>> = BTreeMap::new();
        let Some(SourceRows(source)) = self.source(stream, source) else { return by_name };
        for index in source.first..source.end {
            let Some(row) = self.rows.get(index as usize) else { continue };
            if row.statement != Statement::Fixed {
                continue;
            }
            let record = AliasId::of(self.runs.text(row.record));
            let is_among = self.aliases_of(row).ids().any(|id| *id == record);
            let ids = self.aliases_of(row).ids().cloned();
            let ids = ids.chain((!is_among).then_some(record));
            for id in ids.filter(|id| is_wanted(id)) {
                by_name.entry(id).or_default().push(FixId(index));
            }
        }
        let date = |id: &FixId| self.published(*id).map_or(Timestamp::MAX, |(at, _)| at);
        by_name.values_mut().for_each(|fixes| fixes.sort_by_key(|id| (date(id), *id)));
        by_name
    }

    /// Whether a version lies behind the end of a statement's range: of a fix, it has it.
    #[must_use]
    pub fn is_behind(&self, FixId(id): FixId, key: &VersionKey) -> bool {
        self.rows.get(id as usize).is_some_and(|row| {
            let key = match row.epochs {
                Epochs::Compared => key.bytes(),
                Epochs::Ignored => key.without_epoch(),
            };
            self.runs.get(row.upper) <= key
        })
    }

    fn source(&self, stream: &Stream, name: &str) -> Option<SourceRows> {
        self.walk(stream).seek(self, name)
    }

    /// A walk along the source packages of a stream.
    pub(super) fn walk(&self, stream: &Stream) -> Walk<'_> {
        Walk { sources: self.streams.get(stream).map(Vec::as_slice).unwrap_or_default(), at: 0 }
    }

    /// The statements whose ranges hold a version, and how many hold it not.
    pub(super) fn hits(
        &self,
        SourceRows(source): SourceRows,
        key: &VersionKey,
        hits: &mut Vec<(FixId, Statement)>,
    ) -> usize {
        let before = hits.len();
        for (from, to, key) in [
            (source.first, source.middle, key.bytes()),
            (source.middle, source.end, key.without_epoch()),
        ] {
            let rows = self.rows.get(from as usize..to as usize).unwrap_or_default();
            let wanted = head(key);
            let ends_before = |row: &Row| {
                row.head < wanted || (row.head == wanted && self.runs.get(row.upper) <= key)
            };
            // Most packages have every fix there is.
            if rows.last().is_none_or(ends_before) {
                continue;
            }
            let first = rows.partition_point(ends_before);
            for (row, index) in rows.iter().zip(from..).skip(first) {
                if self.runs.get(row.lower) <= key {
                    hits.push((FixId(index), row.statement));
                }
            }
        }
        (source.end - source.first) as usize - (hits.len() - before)
    }

    /// The statements on a source that cannot be read: record and reason.
    pub(super) fn unreadable(
        &self,
        SourceRows(source): SourceRows,
    ) -> impl Iterator<Item = (&str, &str)> {
        let (first, end) = source.unreadable;
        self.unreadable
            .get(first as usize..end as usize)
            .unwrap_or_default()
            .iter()
            .map(|(record, why)| (self.runs.text(*record), self.runs.text(*why)))
    }

    /// The record of a statement, as a number that is equal for equal records.
    pub(super) fn record(&self, FixId(id): FixId) -> Option<Text> {
        self.rows.get(id as usize).map(|row| row.record)
    }

    /// The name of the record of a statement.
    #[must_use]
    pub fn record_name(&self, id: FixId) -> Option<&str> {
        self.record(id).map(|record| self.runs.text(record))
    }

    /// Whether all that a statement is about is among those.
    pub(super) fn is_all_of(&self, FixId(id): FixId, known: impl Fn(&AliasId) -> bool) -> bool {
        self.rows.get(id as usize).is_some_and(|row| {
            let aliases = self.aliases_of(row);
            !aliases.packed.is_empty() && aliases.ids().all(known)
        })
    }

    /// Whether there are fixes among those rows for all that a statement is about.
    pub(super) fn fixes_all_of(&self, SourceRows(source): SourceRows, id: FixId) -> bool {
        self.is_all_of(id, |alias| {
            self.rows
                .get(source.first as usize..source.end as usize)
                .unwrap_or_default()
                .iter()
                .filter(|row| row.statement == Statement::Fixed)
                .any(|row| self.aliases_of(row).ids().any(|id| id == alias))
        })
    }

    fn aliases_of(&self, row: &Row) -> Aliases<'_> {
        let (first, end) = row.aliases;
        Aliases {
            packed: self.aliases.get(first as usize..end as usize).unwrap_or_default(),
            names: &self.names,
        }
    }
}

/// A place among the source packages of a stream. Inventories are walked in the same order,
/// so that the next package stands a few places on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    sources: &'a [Source],
    at: usize,
}

impl Walk<'_> {
    /// Goes on to a source package. One that sorts before the last one is not found.
    pub(super) fn seek(&mut self, index: &Index, name: &str) -> Option<SourceRows> {
        let wanted = head(name.as_bytes());
        let is_before = |source: &Source| {
            source.head < wanted
                || (source.head == wanted && index.runs.get(source.name) < name.as_bytes())
        };
        // Ever longer steps, then halves of the last one.
        let mut step = 1;
        while self.sources.get(self.at + step).is_some_and(is_before) {
            self.at += step;
            step *= 2;
        }
        let end = self.sources.len().min(self.at + step + 1);
        let ahead = self.sources.get(self.at..end).unwrap_or_default();
        self.at += ahead.partition_point(is_before);
        let found = self.sources.get(self.at)?;
        let is_it = found.head == wanted && index.runs.get(found.name) == name.as_bytes();
        is_it.then_some(SourceRows(*found))
    }
}

/// The names of a row.
#[derive(Clone, Copy)]
struct Aliases<'a> {
    packed: &'a [u32],
    names: &'a [AliasId],
}

impl<'a> Aliases<'a> {
    fn ids(self) -> impl Iterator<Item = &'a AliasId> {
        self.packed.iter().filter_map(move |packed| self.names.get((packed >> 3) as usize))
    }

    fn cloned_pairs(self) -> Vec<Alias> {
        let rating = |packed: u32| {
            Rating::ALL.get((packed & 7) as usize).copied().unwrap_or(Rating::Unrated)
        };
        self.packed
            .iter()
            .filter_map(|packed| {
                let id = self.names.get((packed >> 3) as usize)?.clone();
                Some(Alias { id, rating: rating(*packed) })
            })
            .collect()
    }
}
