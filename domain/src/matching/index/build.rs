//! Makes an index: which statements count beside others about the same, and how they are
//! packed. What two feeds say alike is kept once, whichever came first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::strings::{RunsBuilder, Text};
use super::{Date, Index, Row, Sizes, Source, head};
use crate::advisory::{
    Advisory, Alias, AliasId, Authority, Epochs, FixKey, Published, Range, Rating, Statement,
    Stream,
};

/// There are more statements than an index can hold, some four billion bytes. An index of a
/// part of them would call clean what the rest speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the advisories have more than the 4 GiB that an index can hold")]
pub struct TooManyStatements;

impl Index {
    /// Makes the index. `published` tells when a fix was published: the ledger. Records in
    /// `withdrawn` state nothing.
    pub fn build<'a>(
        generation: u64,
        advisories: impl IntoIterator<Item = &'a Advisory>,
        withdrawn: &BTreeSet<Arc<str>>,
        published: impl Fn(&FixKey) -> Option<Published>,
    ) -> Result<Self, TooManyStatements> {
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
            let source = builder.source(name, kept, &published).ok_or(TooManyStatements)?;
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
        Ok(Self {
            generation,
            runs: builder.runs.finish(),
            streams,
            rows: builder.rows,
            aliases: builder.aliases,
            names: builder.names,
            unreadable: builder.unreadable,
            sizes: builder.sizes,
        })
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
                // That it does no harm is told of it as well.
                for alias in &*advisory.aliases {
                    let _ = self.name(&alias.id);
                }
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
            let fixed = advisory.fixed_version().map_or("", |version| version);
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
                epochs: advisory.epochs,
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

    /// The number of a name; none when there are too many.
    fn name(&mut self, id: &AliasId) -> Option<u32> {
        if let Some(name) = self.known_names.get(id) {
            return Some(*name);
        }
        let name = u32::try_from(self.names.len()).ok().filter(|name| *name < 1 << 29)?;
        self.names.push(id.clone());
        self.known_names.insert(id.clone(), name);
        Some(name)
    }

    fn list(&mut self, aliases: &[&Alias]) -> Option<(u32, u32)> {
        let mut list = Vec::with_capacity(aliases.len());
        for alias in aliases {
            let name = self.name(&alias.id)?;
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
