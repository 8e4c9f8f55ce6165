//! The form in which feeds and their dates are stored: lines of JSON, packed by gzip. The
//! first line says of which form and kind the rest is, so that a later build can still read
//! what this one wrote, and says so where it cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use nodeward_domain::advisory::ledger::{Entry, Extent, Recorded};
use nodeward_domain::advisory::{Advisory, Bulletin, MitigationReport, Revision, ScanReport};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::intake::FeedContent;

/// The form that this build writes.
const FORM: u32 = 1;

/// What is stored unpacks to no more than this: more was never stored.
const MOST_BYTES: u64 = 4 << 30;

/// Why what was stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// It does not unpack.
    #[error("does not unpack: {0}")]
    Unpacked(#[from] io::Error),
    /// A line of it is not of the form.
    #[error("line {line}: {source}")]
    Line {
        /// The line.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// It is of another form.
    #[error("is of form {0}, which this build does not read")]
    Form(u32),
    /// It ends before its end.
    #[error("has {found} of {expected} lines")]
    Cut {
        /// So many there are.
        found: usize,
        /// So many there were.
        expected: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Head {
    form: u32,
    kind: Kind,
    lines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Advisories,
    Bulletins,
    ScanReports,
    Mitigations,
    Ledger,
}

/// What a content has beside its advisories.
#[derive(Serialize, Deserialize)]
struct Rest {
    withdrawn: BTreeSet<Arc<str>>,
    stated_as_of: Option<Timestamp>,
    records: usize,
    left_out: BTreeMap<String, usize>,
}

/// What a revision added to the ledger, beside its entries.
#[derive(Serialize, Deserialize)]
struct Part {
    feed: Arc<str>,
    extent: Extent,
    revision: Revision,
    baseline_until: Option<Timestamp>,
}

/// Packs what a feed says.
pub fn pack_content(content: &FeedContent) -> Result<Vec<u8>, StoredError> {
    match content {
        FeedContent::Advisories(content) => {
            let rest = Rest {
                withdrawn: content.withdrawn.clone(),
                stated_as_of: content.stated_as_of,
                records: content.records,
                left_out: content.left_out.clone(),
            };
            let mut packer = Packer::new(Kind::Advisories, content.advisories.len() + 1)?;
            packer.line(&rest)?;
            content.advisories.iter().try_for_each(|one| packer.line(one))?;
            packer.finish()
        }
        FeedContent::Bulletins(bulletins) => pack_all(Kind::Bulletins, bulletins),
        FeedContent::ScanReports(reports) => pack_all(Kind::ScanReports, reports),
        FeedContent::Mitigations(reports) => pack_all(Kind::Mitigations, reports),
    }
}

/// Reads what [`pack_content`] packed.
pub fn unpack_content(bytes: &[u8]) -> Result<FeedContent, StoredError> {
    let (kind, mut lines) = Lines::of(bytes)?;
    Ok(match kind {
        Kind::Advisories => {
            let Rest { withdrawn, stated_as_of, records, left_out } = lines.next()?;
            let advisories: Vec<Advisory> = lines.rest()?;
            FeedContent::Advisories(Content {
                advisories,
                withdrawn,
                stated_as_of,
                records,
                left_out,
                gaps: BTreeMap::new(),
            })
        }
        Kind::Bulletins => FeedContent::Bulletins(lines.rest::<Bulletin>()?),
        Kind::ScanReports => FeedContent::ScanReports(lines.rest::<ScanReport>()?),
        Kind::Mitigations => FeedContent::Mitigations(lines.rest::<MitigationReport>()?),
        Kind::Ledger => return Err(StoredError::Form(FORM)),
    })
}

/// Packs what a revision added to the ledger.
pub fn pack_recorded(recorded: &Recorded) -> Result<Vec<u8>, StoredError> {
    let Recorded { feed, extent, revision, baseline_until, entries } = recorded;
    let mut packer = Packer::new(Kind::Ledger, entries.len() + 1)?;
    packer.line(&Part {
        feed: Arc::clone(feed),
        extent: *extent,
        revision: revision.clone(),
        baseline_until: *baseline_until,
    })?;
    entries.iter().try_for_each(|one| packer.line(one))?;
    packer.finish()
}

/// Reads what [`pack_recorded`] packed.
pub fn unpack_recorded(bytes: &[u8]) -> Result<Recorded, StoredError> {
    let (kind, mut lines) = Lines::of(bytes)?;
    if kind != Kind::Ledger {
        return Err(StoredError::Form(FORM));
    }
    let Part { feed, extent, revision, baseline_until } = lines.next()?;
    let entries: Vec<Entry> = lines.rest()?;
    Ok(Recorded { feed, extent, revision, baseline_until, entries })
}

fn pack_all<T: Serialize>(kind: Kind, all: &[T]) -> Result<Vec<u8>, StoredError> {
    let mut packer = Packer::new(kind, all.len())?;
    all.iter().try_for_each(|one| packer.line(one))?;
    packer.finish()
}

struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    fn new(kind: Kind, lines: usize) -> Result<Self, StoredError> {
        let mut packer = Self(GzEncoder::new(Vec::new(), Compression::fast()));
        packer.line(&Head { form: FORM, kind, lines })?;
        Ok(packer)
    }

    fn line(&mut self, one: &impl Serialize) -> Result<(), StoredError> {
        serde_json::to_writer(&mut self.0, one)
            .map_err(|source| StoredError::Line { line: 0, source })?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(self) -> Result<Vec<u8>, StoredError> {
        Ok(self.0.finish()?)
    }
}

struct Lines<'a> {
    input: io::BufReader<io::Take<GzDecoder<&'a [u8]>>>,
    line: String,
    read: usize,
    expected: usize,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Result<(Kind, Self), StoredError> {
        let input = io::BufReader::new(GzDecoder::new(bytes).take(MOST_BYTES));
        let mut lines = Self { input, line: String::new(), read: 0, expected: 1 };
        let head: Head = lines.next()?;
        if head.form != FORM {
            return Err(StoredError::Form(head.form));
        }
        lines.expected = head.lines + 1;
        Ok((head.kind, lines))
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<T, StoredError> {
        self.line.clear();
        if self.input.read_line(&mut self.line)? == 0 {
            return Err(StoredError::Cut { found: self.read, expected: self.expected });
        }
        self.read += 1;
        serde_json::from_str(&self.line)
            .map_err(|source| StoredError::Line { line: self.read, source })
    }

    fn rest<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, StoredError> {
        let mut all = Vec::new();
        while self.read < self.expected {
            all.push(self.next()?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::{Declared, Held};
    use crate::starter;

    #[test]
    fn what_is_stored_is_what_was_read() {
        let content = FeedContent::Advisories(starter::shipped().expect("a table"));
        let packed = pack_content(&content).expect("packed");
        let FeedContent::Advisories(unpacked) = unpack_content(&packed).expect("unpacked") else {
            panic!("another kind");
        };
        let FeedContent::Advisories(content) = content else { panic!("another kind") };
        assert_eq!(content.advisories, unpacked.advisories);
        assert_eq!(content.records, unpacked.records);
        let cut = &packed[..packed.len() / 2];
        assert!(unpack_content(cut).is_err());
        assert!(unpack_recorded(&packed).is_err(), "another kind");
    }

    #[test]
    fn what_an_import_added_is_stored_whole() {
        let list = "[01 Jul 2024] DSA-5724-1 openssh - security update\n\t{CVE-2024-6387}\n\
                    \t[bookworm] - openssh 1:9.2p1-2+deb12u3\n";
        let mut intake = crate::intake::Intake::default();
        intake.named("list", &mut io::Cursor::new(list)).expect("a list");
        let (mut feeds, ..) = intake.finish();
        let now = "2026-11-28T00:00:00Z".parse().expect("a time");
        let read = feeds.pop().expect("a feed");
        let taken = Held::default().take(read, &Declared::default(), now).expect("taken");
        assert_eq!(taken.recorded.entries.len(), 1);
        let packed = pack_recorded(&taken.recorded).expect("packed");
        assert_eq!(unpack_recorded(&packed).expect("unpacked"), taken.recorded);
    }
}
