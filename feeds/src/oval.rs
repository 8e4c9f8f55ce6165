//! Microsoft's OVAL definitions of Azure Linux 3 and CBL-Mariner 2: one definition a
//! vulnerability and package. Read as a stream of events, in one pass. Sources: OVAL 5.11,
//! `microsoft/AzureLinuxVulnerabilityData`.
//!
//! What the files do that OVAL does not say: the object of a test is the *source* package;
//! the epoch is always 0; versions have blanks in them; `patchable` is `true`, `false` or
//! `Not Applicable`; a definition that is patchable may lack a date.

mod document;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::alias::sorted;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Epochs, Lower, Range, Rating, Statement,
    Stream, Unfixed, Upper,
};
use nodeward_domain::version::rpm;

use crate::content::{Content, Words};
use crate::instant::{self, InstantError};
use crate::unread::{self, Unread};

use document::{Criteria, Definition, Document, Operator};

/// The longest file that is read. The longest known has 12 MB.
pub const LONGEST_FILE_BYTES: usize = 256 << 20;

/// Elements stand inside of each other no deeper than this.
const DEEPEST: usize = 32;

/// So many definitions, tests, objects or states a file may have.
const MOST_ELEMENTS: usize = 1_000_000;

/// So many ways one definition may name to be vulnerable.
const MOST_ALTERNATIVES: usize = 1_000;

/// The stamp that everything got that was fixed before Azure Linux 3 was there: 169 of the
/// 197 definitions of the first revision have it.
pub const AZURE_LINUX_3_BASELINE: &str = "2024-03-19T17:21:46Z";

/// The stamp up to which dates of a feed only say that the fix was there when it began.
#[must_use]
pub fn baseline_until(feed: &str) -> Option<Timestamp> {
    (feed == "azure-linux-3.0-oval").then(|| instant::read(AZURE_LINUX_3_BASELINE).ok())?
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum OvalError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is no XML.
    #[error("{file}:{line}: no XML")]
    Xml {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// Why.
        #[source]
        source: quick_xml::Error,
    },
    /// It is XML of another form.
    #[error("{file}:{line}: {what}")]
    Form {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends too early.
    #[error("{file}: cut off after line {line}")]
    CutOff {
        /// The file.
        file: String,
        /// The last line.
        line: usize,
    },
    /// A definition says something that is not understood.
    #[error("{file}: {definition}: {what}")]
    Definition {
        /// The file.
        file: String,
        /// The definition's id.
        definition: String,
        /// What is wrong.
        what: String,
    },
    /// A date is none.
    #[error("{file}: {definition}: {field}")]
    Date {
        /// The file.
        file: String,
        /// The definition's id, or that of the file as a whole.
        definition: String,
        /// Which date.
        field: &'static str,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// Versions of no release, or of several: which one it is about cannot be told.
    #[error("{file}: it is about {found} releases of Azure Linux, by the ends of its versions")]
    Release {
        /// The file.
        file: String,
        /// So many.
        found: usize,
    },
}

/// Reads a file of definitions.
pub fn read_oval(file: &str, bytes: &[u8]) -> Result<Content, OvalError> {
    unread::bounded(file, bytes, LONGEST_FILE_BYTES)?;
    let document = document::read(file, bytes)?;
    let mut content = Content::default();
    let mut words = Words::default();
    if let Some(stamp) = &document.timestamp {
        let at = instant::read(stamp).map_err(|source| OvalError::Date {
            file: file.to_owned(),
            definition: "generator".to_owned(),
            field: "timestamp",
            source,
        })?;
        content.stated_as_of = Some(at);
    }
    let stream = stream(file, &document)?;
    for definition in &document.definitions {
        content.records += 1;
        one(file, &document, definition, &stream, &mut words, &mut content)?;
    }
    Ok(content)
}

/// Which release the file is about, which only the ends of its versions tell.
fn stream(file: &str, document: &Document) -> Result<Stream, OvalError> {
    let mut streams = BTreeSet::new();
    for state in document.states.values() {
        match state.evr.rsplit_once('.') {
            Some((_, "azl3")) => streams.insert(Stream::of_os_release("azurelinux", "3.0")),
            Some((_, "cm2")) => streams.insert(Stream::of_os_release("mariner", "2.0")),
            _ => false,
        };
    }
    let found = streams.len();
    match (streams.pop_first(), found) {
        (Some(stream), 1) => Ok(stream),
        _ => Err(OvalError::Release { file: file.to_owned(), found }),
    }
}

fn one(
    file: &str,
    document: &Document,
    definition: &Definition,
    stream: &Stream,
    words: &mut Words,
    content: &mut Content,
) -> Result<(), OvalError> {
    let wrong = |what: String| OvalError::Definition {
        file: file.to_owned(),
        definition: definition.id.clone(),
        what,
    };
    let (statement, authority) = match definition.patchable.trim() {
        "true" => (Statement::Fixed, Authority::Notice),
        "false" => (Statement::Unfixed(Unfixed::Pending), Authority::Notice),
        // Another definition of the same file may say otherwise: the stricter counts.
        "Not Applicable" => (Statement::NotAffected, Authority::Complement),
        other => return Err(wrong(format!("patchable is {other:?}"))),
    };
    let published = definition
        .advisory_date
        .as_deref()
        // Unfixed definitions have none, and what is not affected was never fixed.
        .filter(|_| statement == Statement::Fixed)
        .map(instant::read)
        .transpose()
        .map_err(|source| OvalError::Date {
            file: file.to_owned(),
            definition: definition.id.clone(),
            field: "advisory_date",
            source,
        })?;
    let rating = Rating::of(&definition.severity);
    let aliases =
        definition.references.iter().map(|name| Alias { id: AliasId::of(name), rating }).collect();
    let aliases = sorted(aliases);
    let record = words.keep(&definition.id);
    let mut alternatives = Vec::new();
    let criteria =
        definition.criteria.as_ref().ok_or_else(|| wrong("there are no criteria".to_owned()))?;
    conjunctions(criteria, &mut alternatives).map_err(&wrong)?;
    for tests in alternatives {
        for (source, range) in ranges(document, &tests, words).map_err(&wrong)? {
            content.advisories.push(Advisory {
                record: Arc::clone(&record),
                authority,
                stream: stream.clone(),
                source,
                range,
                statement,
                aliases: Arc::clone(&aliases),
                published: published.map(|at| Dated { at, kind: DateKind::Advisory }),
                epochs: Epochs::Ignored,
            });
        }
    }
    Ok(())
}

/// The ways to be vulnerable, each with the tests that must all hold.
fn conjunctions<'a>(
    criteria: &'a Criteria,
    alternatives: &mut Vec<Vec<&'a str>>,
) -> Result<(), String> {
    let found = of(criteria)?;
    alternatives.extend(found);
    return Ok(());

    fn of(criteria: &Criteria) -> Result<Vec<Vec<&str>>, String> {
        let mut parts: Vec<Vec<Vec<&str>>> =
            criteria.tests.iter().map(|test| vec![vec![test.as_str()]]).collect();
        for inner in &criteria.inner {
            parts.push(of(inner)?);
        }
        if parts.is_empty() {
            return Err("criteria without any test".to_owned());
        }
        if criteria.is_any {
            return Ok(parts.concat());
        }
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        for part in parts {
            if all.len() * part.len() > MOST_ALTERNATIVES {
                return Err(format!("more than {MOST_ALTERNATIVES} alternatives"));
            }
            all = all
                .iter()
                .flat_map(|before| part.iter().map(move |test| [before.as_slice(), test].concat()))
                .collect();
        }
        Ok(all)
    }
}

/// The range of each package that those tests, which must all hold, speak of.
fn ranges(
    document: &Document,
    tests: &[&str],
    words: &mut Words,
) -> Result<Vec<(Arc<str>, Range)>, String> {
    let mut ranges: Vec<(Arc<str>, Range)> = Vec::new();
    for id in tests {
        let test = document.tests.get(*id).ok_or_else(|| format!("there is no test {id}"))?;
        let name = document
            .objects
            .get(&test.object)
            .ok_or_else(|| format!("there is no object {}", test.object))?;
        let state = document
            .states
            .get(&test.state)
            .ok_or_else(|| format!("there is no state {}", test.state))?;
        let version = words.keep(&without_blanks(&state.evr));
        if version.is_empty() {
            return Err(format!("state {} has no version", test.state));
        }
        let source = words.keep(name.trim());
        let index = match ranges.iter().position(|(known, _)| *known == source) {
            Some(index) => index,
            None => {
                ranges.push((source, Range::ALL));
                ranges.len() - 1
            }
        };
        let range = &mut ranges[index].1;
        match state.operator {
            Operator::Less => tighten_upper(range, Upper::Below(version)),
            Operator::LessOrEqual => tighten_upper(range, Upper::UpTo(version)),
            Operator::Greater => tighten_lower(range, Lower::Above(version)),
            Operator::GreaterOrEqual => tighten_lower(range, Lower::AtLeast(version)),
            Operator::Equal => {
                tighten_lower(range, Lower::AtLeast(Arc::clone(&version)));
                tighten_upper(range, Upper::UpTo(version));
            }
        }
    }
    Ok(ranges)
}

/// `0: 1.20.10-1.azl3` has stood there.
fn without_blanks(evr: &str) -> String {
    evr.chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// Of two ends that must both hold the nearer one.
fn tighten_upper(range: &mut Range, upper: Upper) {
    let is_nearer = match (&range.upper, &upper) {
        (Upper::Open, _) => true,
        (_, Upper::Open) => false,
        (
            Upper::Below(known) | Upper::UpTo(known),
            Upper::Below(version) | Upper::UpTo(version),
        ) => match rpm::compare(version, known) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => matches!(upper, Upper::Below(_)),
            std::cmp::Ordering::Greater => false,
        },
    };
    if is_nearer {
        range.upper = upper;
    }
}

/// Of two beginnings that must both hold the later one.
fn tighten_lower(range: &mut Range, lower: Lower) {
    let is_later = match (&range.lower, &lower) {
        (Lower::Open, _) => true,
        (_, Lower::Open) => false,
        (
            Lower::AtLeast(known) | Lower::Above(known),
            Lower::AtLeast(version) | Lower::Above(version),
        ) => match rpm::compare(version, known) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => matches!(lower, Lower::Above(_)),
            std::cmp::Ordering::Less => false,
        },
    };
    if is_later {
        range.lower = lower;
    }
}

#[cfg(test)]
mod tests;
