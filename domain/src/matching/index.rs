//! All statements of all advisories, ready to be matched: read once per generation, kept in
//! few pieces of memory, and found by stream and source package. Versions are sort keys, so
//! that the fixes which a version lacks are the rows behind one place in a sorted list.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::strings::{Runs, RunsBuilder, Text};
use crate::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Epochs, FixKey, Published, Range, Rating,
    Statement, Stream, Unfixed, Upper,
};
use crate::version::key::VersionKey;

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
    /// The version of the range's end, as the feed writes it.
    fixed: Text,
    lower: Text,
    upper: Text,
    aliases: (u32, u32),
    statement: Statement,
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
    /// The version with the fix; none where there is none.
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
    /// Makes the index. `published` tells when a fix was published: the ledger. Records in
    /// `withdrawn` state nothing.
    #[must_use]
    pub fn build<'a>(
        generation: u64,
        advisories: impl IntoIterator<Item = &'a Advisory>,
        withdrawn: &BTreeSet<Arc<str>>,
        published: impl Fn(&FixKey) -> Option<Published>,
    ) -> Self {
        let mut builder = Builder::default();
        let mut sources: BTreeMap<(&Stream, &str), Vec<&Advisory>> = BTreeMap::new();
        for advisory in advisories {
            if withdrawn.contains(&advisory.record) {
                builder.sizes.withdrawn += 1;
            } else if advisory.stream.distribution.order().is_none() {
                builder.sizes.unordered += 1;
            } else {
                sources.entry((&advisory.stream, &advisory.source)).or_default().push(advisory);
            }
        }
        let mut streams: BTreeMap<Stream, Vec<Source>> = BTreeMap::new();
        for ((stream, name), advisories) in sources {
            let kept = builder.kept(advisories);
            // Only when the index is fuller than numbers can tell, some four billion bytes.
            let Some(source) = builder.source(name, kept, &published) else {
                break;
            };
            match streams.get_mut(stream) {
                Some(sources) => sources.push(source),
                None => {
                    streams.insert(stream.clone(), vec![source]);
                }
            }
        }
        streams.values_mut().for_each(Vec::shrink_to_fit);
        builder.rows.shrink_to_fit();
        builder.aliases.shrink_to_fit();
        builder.names.shrink_to_fit();
        Self {
            generation,
            runs: builder.runs.finish(),
            streams,
            rows: builder.rows,
            aliases: builder.aliases,
            names: builder.names,
            unreadable: builder.unreadable,
            sizes: builder.sizes,
        }
    }

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
            fixed: (row.statement == Statement::Fixed).then(|| self.runs.text(row.fixed)),
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

#[derive(Default)]
struct Builder {
    runs: RunsBuilder,
    rows: Vec<Row>,
    aliases: Vec<u32>,
    names: Vec<AliasId>,
    known_names: BTreeMap<AliasId, u32>,
    /// Equal lists of names are kept once: a kernel's notice repeats one for each flavour.
    known_lists: BTreeMap<Vec<u32>, (u32, u32)>,
    unreadable: Vec<(Text, Text)>,
    sizes: Sizes,
}

/// A statement that is kept, with the names that are left of it.
struct Kept<'a> {
    advisory: &'a Advisory,
    aliases: Vec<&'a Alias>,
}

impl<'a> Kept<'a> {
    /// How much it tells, beside another one that says the same: why there is no fix, more
    /// names, their ratings.
    fn tells(&self) -> (Statement, usize, Vec<&'a Alias>, Reverse<&'a Arc<str>>) {
        let Self { advisory, aliases } = self;
        (advisory.statement, aliases.len(), aliases.clone(), Reverse(&advisory.record))
    }
}

/// A row with what rows are sorted by.
type Keyed<'a> = (Vec<u8>, &'a Arc<str>, Row);

impl Builder {
    /// Of the statements on one source package those that count: without what is not
    /// affected, and without complements that notices cover.
    fn kept<'a>(&mut self, advisories: Vec<&'a Advisory>) -> Vec<Kept<'a>> {
        let mut not_affected: BTreeMap<&AliasId, Authority> = BTreeMap::new();
        // Who says that there is a fix, by the best authority.
        let mut fixed: BTreeMap<&AliasId, Authority> = BTreeMap::new();
        for advisory in &advisories {
            let known = match advisory.statement {
                Statement::NotAffected => &mut not_affected,
                Statement::Fixed => &mut fixed,
                Statement::Unfixed(_) => continue,
            };
            for alias in &*advisory.aliases {
                known
                    .entry(&alias.id)
                    .and_modify(|best| *best = (*best).min(advisory.authority))
                    .or_insert(advisory.authority);
            }
        }
        let mut kept: Vec<Kept<'a>> = Vec::with_capacity(advisories.len());
        for advisory in advisories {
            if advisory.statement == Statement::NotAffected {
                self.sizes.not_affected += 1;
                continue;
            }
            let is_complement = advisory.authority == Authority::Complement;
            let aliases: Vec<&Alias> = advisory
                .aliases
                .iter()
                .filter(|alias| match not_affected.get(&alias.id) {
                    None => true,
                    Some(Authority::Notice) => false,
                    Some(Authority::Complement) => !is_complement,
                })
                .collect();
            // Notices without names count; what has lost all of its names does not.
            if aliases.is_empty() && !advisory.aliases.is_empty() {
                self.sizes.not_affected += 1;
                continue;
            }
            let is_covered = is_complement
                && !aliases.is_empty()
                && aliases.iter().all(|alias| match (fixed.get(&alias.id), advisory.statement) {
                    (Some(Authority::Notice), _) => true,
                    // Where fixes are told per vulnerability, one record has all ranges.
                    (Some(Authority::Complement), Statement::Unfixed(_)) => {
                        advisory.range == Range::ALL
                    }
                    _ => false,
                });
            if is_covered {
                self.sizes.covered += 1;
            } else {
                kept.push(Kept { advisory, aliases });
            }
        }
        self.without_doubles(kept)
    }

    /// One statement of those that say the same: of one record, as two feeds may have it, or
    /// that several trackers have of an open vulnerability. Which one does not hang on the
    /// order in which they came.
    fn without_doubles<'a>(&mut self, kept: Vec<Kept<'a>>) -> Vec<Kept<'a>> {
        /// What makes two statements one: the record, or what is open.
        type Same<'a> = (Option<&'a Arc<str>>, Vec<&'a AliasId>, &'a Range, bool);
        let mut known: BTreeMap<Same<'a>, usize> = BTreeMap::new();
        let mut unique: Vec<Kept<'a>> = Vec::with_capacity(kept.len());
        for one in kept {
            let is_open = matches!(one.advisory.statement, Statement::Unfixed(_));
            let same = match is_open && !one.aliases.is_empty() {
                true => {
                    let names = one.aliases.iter().map(|alias| &alias.id).collect();
                    (None, names, &one.advisory.range, true)
                }
                false => (Some(&one.advisory.record), Vec::new(), &one.advisory.range, is_open),
            };
            match known.get(&same) {
                Some(place) => {
                    self.sizes.covered += 1;
                    if let Some(other) = unique.get_mut(*place)
                        && other.tells() < one.tells()
                    {
                        *other = one;
                    }
                }
                None => {
                    known.insert(same, unique.len());
                    unique.push(one);
                }
            }
        }
        unique
    }

    fn source(
        &mut self,
        name: &str,
        kept: Vec<Kept<'_>>,
        published: &impl Fn(&FixKey) -> Option<Published>,
    ) -> Option<Source> {
        let first_unreadable = self.unreadable.len();
        let mut compared: Vec<Keyed<'_>> = Vec::new();
        let mut ignored: Vec<Keyed<'_>> = Vec::new();
        for Kept { advisory, aliases } in kept {
            // Streams without an order never get here.
            let Some(order) = advisory.stream.distribution.order() else {
                continue;
            };
            let record = self.runs.keep(advisory.record.as_bytes())?;
            let keys = match advisory.range.keys(order, advisory.epochs) {
                Ok(keys) => keys,
                Err(error) => {
                    let why = self.runs.keep(error.to_string().as_bytes())?;
                    self.unreadable.push((record, why));
                    self.sizes.unreadable += 1;
                    continue;
                }
            };
            match advisory.statement {
                Statement::Fixed => self.sizes.fixes += 1,
                Statement::Unfixed(_) | Statement::NotAffected => self.sizes.unfixed += 1,
            }
            let fixed = match &advisory.range.upper {
                Upper::Below(version) | Upper::UpTo(version) => version,
                Upper::Open => "",
            };
            let date = match advisory.fix_key().and_then(|key| published(&key)) {
                Some(published) => Some(Date {
                    at: published.at,
                    kind: published.kind,
                    feed: self.runs.keep(published.feed.as_bytes())?,
                    revision: self.runs.keep(published.revision.as_bytes())?,
                }),
                None => None,
            };
            let row = Row {
                head: head(&keys.upper),
                record,
                fixed: self.runs.keep(fixed.as_bytes())?,
                lower: self.runs.keep(&keys.lower)?,
                upper: self.runs.keep(&keys.upper)?,
                aliases: self.list(&aliases)?,
                statement: advisory.statement,
                published: date,
            };
            match advisory.epochs {
                Epochs::Compared => compared.push((keys.upper, &advisory.record, row)),
                Epochs::Ignored => ignored.push((keys.upper, &advisory.record, row)),
            }
        }
        let place = |rows: &Vec<Row>| u32::try_from(rows.len()).ok();
        // By the records' names, not by the numbers that they got as feeds came.
        let by_end = |(end, record, row): &Keyed<'_>, (other_end, other, of): &Keyed<'_>| {
            (end, record, row.statement).cmp(&(other_end, other, of.statement))
        };
        let first = place(&self.rows)?;
        compared.sort_by(by_end);
        self.rows.extend(compared.into_iter().map(|(.., row)| row));
        let middle = place(&self.rows)?;
        ignored.sort_by(by_end);
        self.rows.extend(ignored.into_iter().map(|(.., row)| row));
        Some(Source {
            head: head(name.as_bytes()),
            name: self.runs.keep(name.as_bytes())?,
            first,
            middle,
            end: place(&self.rows)?,
            unreadable: (
                u32::try_from(first_unreadable).ok()?,
                u32::try_from(self.unreadable.len()).ok()?,
            ),
        })
    }

    fn list(&mut self, aliases: &[&Alias]) -> Option<(u32, u32)> {
        let mut list = Vec::with_capacity(aliases.len());
        for alias in aliases {
            let name = match self.known_names.get(&alias.id) {
                Some(name) => *name,
                None => {
                    let name = u32::try_from(self.names.len()).ok().filter(|n| *n < 1 << 29)?;
                    self.names.push(alias.id.clone());
                    self.known_names.insert(alias.id.clone(), name);
                    name
                }
            };
            let rating = Rating::ALL.iter().position(|rating| *rating == alias.rating)?;
            list.push(name << 3 | u32::try_from(rating).ok()?);
        }
        if let Some(known) = self.known_lists.get(&list) {
            return Some(*known);
        }
        let first = u32::try_from(self.aliases.len()).ok()?;
        self.aliases.extend_from_slice(&list);
        let range = (first, u32::try_from(self.aliases.len()).ok()?);
        self.known_lists.insert(list, range);
        Some(range)
    }
}
