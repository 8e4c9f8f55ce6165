//! OSV records, one JSON object a file: Ubuntu's notices (USN) and CVEs, Debian's DSAs and
//! CVEs, Azure Linux, and upstream advisories of Go and GitHub. Sources: the OSV schema
//! (ossf.github.io/osv-schema), `canonical/ubuntu-security-notices`, `google/osv.dev`.

mod ecosystem;
mod record;

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::Epochs;
use nodeward_domain::advisory::alias::sorted;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Distribution, Lower, Range, Rating,
    Statement, Stream, Unfixed, Upper, is_notice,
};

use crate::content::{Content, Words};
use crate::instant::{self, InstantError};
use crate::unread::{self, Unread};

pub use ecosystem::stream;
use record::{Affected, Event, Record, Severity};

/// The longest record that is read. The longest known, a kernel's, has some 12 MB.
pub const LONGEST_RECORD_BYTES: usize = 64 << 20;

/// So many statements one record may make. A kernel's notice makes some hundreds.
pub const MOST_STATEMENTS: usize = 100_000;

/// Why a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum OsvError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is no JSON, or not an OSV record. The source names line and column.
    #[error("{file}: no OSV record")]
    Malformed {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A date of it is none.
    #[error("{file}: {record}: {field}")]
    Date {
        /// The file.
        file: String,
        /// The record.
        record: String,
        /// Which date.
        field: &'static str,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// It names no package, range or version where one belongs.
    #[error("{file}: {record}: {what} is empty")]
    Empty {
        /// The file.
        file: String,
        /// The record; empty when it is the record that has no name.
        record: String,
        /// What is empty.
        what: &'static str,
    },
    /// It makes more statements than any record.
    #[error("{file}: {record}: more than {MOST_STATEMENTS} statements")]
    TooMany {
        /// The file.
        file: String,
        /// The record.
        record: String,
    },
}

/// What a record's name tells of how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The vendor's notice of an update: its date of publication is the fix's.
    Notice,
    /// A record per vulnerability: its date is the vulnerability's.
    Vulnerability,
    /// Of a live patch. Nodes are not expected to take those.
    LivePatch,
}

impl Kind {
    fn of(id: &str) -> Self {
        if id.starts_with("LSN-") {
            Self::LivePatch
        } else if is_notice(id) {
            Self::Notice
        } else {
            // Ubuntu's and Debian's CVEs, and Azure Linux, whose definitions (OVAL) are the
            // first source and have dates of their own.
            Self::Vulnerability
        }
    }
}

/// Reads records into one content.
#[derive(Debug, Default)]
pub struct OsvReader {
    content: Content,
    words: Words,
}

impl OsvReader {
    /// Reads one record. After an error the reader has to be thrown away: an import is
    /// whole or it is none.
    pub fn read(&mut self, file: &str, bytes: &[u8]) -> Result<(), OsvError> {
        unread::bounded(file, bytes, LONGEST_RECORD_BYTES)?;
        let record: Record = serde_json::from_slice(bytes)
            .map_err(|source| OsvError::Malformed { file: file.to_owned(), source })?;
        if record.id.trim().is_empty() {
            return Err(OsvError::Empty {
                file: file.to_owned(),
                record: String::new(),
                what: "id",
            });
        }
        self.content.records += 1;
        let kind = Kind::of(&record.id);
        let date = |field, text: Option<&str>| {
            text.map(instant::read).transpose().map_err(|source| OsvError::Date {
                file: file.to_owned(),
                record: record.id.to_string(),
                field,
                source,
            })
        };
        let published = date("published", record.published.as_deref())?;
        if date("withdrawn", record.withdrawn.as_deref())?.is_some() {
            let id = self.words.keep(&record.id);
            self.content.withdrawn.insert(id);
            return Ok(());
        }
        if kind == Kind::LivePatch {
            self.content.leave_out("notice of a live patch");
            return Ok(());
        }
        self.statements(file, &record, kind, published)
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> Content {
        self.content
    }

    fn statements(
        &mut self,
        file: &str,
        record: &Record,
        kind: Kind,
        published: Option<Timestamp>,
    ) -> Result<(), OsvError> {
        let id = self.words.keep(&record.id);
        let of_record = aliases_of_record(record, kind);
        let before = self.content.advisories.len();
        for affected in &record.affected {
            let empty = |what| OsvError::Empty {
                file: file.to_owned(),
                record: record.id.to_string(),
                what,
            };
            let name = affected.package.name.trim();
            if name.is_empty() {
                return Err(empty("the name of a package"));
            }
            let stream = stream(&affected.package.ecosystem);
            let source = self.words.keep(name);
            let aliases = aliases_of_affected(affected, kind).unwrap_or(Arc::clone(&of_record));
            let mut ranges = Vec::new();
            let mut is_of_commits = false;
            for range in &affected.ranges {
                match range.kind.as_ref() {
                    "ECOSYSTEM" | "SEMVER" => {
                        self.ranges(&range.events, &mut ranges).map_err(empty)?;
                    }
                    _ => {
                        is_of_commits = true;
                        self.content.leave_out("range of commits");
                    }
                }
            }
            // Without any range the list of versions is all that is said. Beside commits it
            // is a list of tags.
            if ranges.is_empty() && !is_of_commits {
                for version in &affected.versions {
                    let version = version.trim();
                    if version.is_empty() {
                        return Err(empty("a version"));
                    }
                    let version = self.words.keep(version);
                    ranges
                        .push(unfixed(Lower::AtLeast(Arc::clone(&version)), Upper::UpTo(version)));
                }
            }
            if ranges.is_empty() {
                self.content.leave_out("package without a range of versions");
                if kind == Kind::Notice {
                    *self.content.gaps.entry(stream.clone()).or_default() += 1;
                }
            }
            for (range, statement) in ranges {
                if self.content.advisories.len() - before >= MOST_STATEMENTS {
                    return Err(OsvError::TooMany {
                        file: file.to_owned(),
                        record: record.id.to_string(),
                    });
                }
                self.content.advisories.push(Advisory {
                    record: Arc::clone(&id),
                    authority: match kind {
                        Kind::Notice => Authority::Notice,
                        Kind::Vulnerability | Kind::LivePatch => Authority::Complement,
                    },
                    epochs: epochs(&stream),
                    stream: stream.clone(),
                    source: Arc::clone(&source),
                    range,
                    statement,
                    aliases: Arc::clone(&aliases),
                    published: published
                        .filter(|_| kind == Kind::Notice)
                        .map(|at| Dated { at, kind: DateKind::Advisory }),
                });
            }
        }
        Ok(())
    }

    /// The ranges that a list of events makes. Each `introduced` opens one; what nothing
    /// closes has no fix.
    fn ranges(
        &mut self,
        events: &[Event],
        ranges: &mut Vec<(Range, Statement)>,
    ) -> Result<(), &'static str> {
        let mut open: Option<Lower> = None;
        for event in events {
            if let Some(introduced) = &event.introduced {
                if let Some(lower) = open.take() {
                    ranges.push(unfixed(lower, Upper::Open));
                }
                open = Some(match introduced.trim() {
                    "" => return Err("an event's version"),
                    "0" => Lower::Open,
                    version => Lower::AtLeast(self.words.keep(version)),
                });
            }
            let end = event.fixed.as_ref().or(event.last_affected.as_ref());
            if let Some(end) = end.map(|version| version.trim()) {
                if end.is_empty() {
                    return Err("an event's version");
                }
                // An end without a beginning begins with the first version.
                let lower = open.take().unwrap_or(Lower::Open);
                let end = self.words.keep(end);
                ranges.push(match event.fixed {
                    Some(_) => (Range { lower, upper: Upper::Below(end) }, Statement::Fixed),
                    None => unfixed(lower, Upper::UpTo(end)),
                });
            }
        }
        if let Some(lower) = open {
            ranges.push(unfixed(lower, Upper::Open));
        }
        Ok(())
    }
}

fn unfixed(lower: Lower, upper: Upper) -> (Range, Statement) {
    (Range { lower, upper }, Statement::Unfixed(Unfixed::Pending))
}

/// Azure Linux writes epoch 0 for every package, in OSV as in OVAL.
fn epochs(stream: &Stream) -> Epochs {
    match stream.distribution {
        Distribution::AzureLinux | Distribution::Mariner => Epochs::Ignored,
        _ => Epochs::Compared,
    }
}

/// What a record as a whole is about. `upstream` of a notice lists the CVEs of all its
/// releases together: it only stands in where a release has no list of its own.
fn aliases_of_record(record: &Record, kind: Kind) -> Arc<[Alias]> {
    let rating = rating(&record.severity);
    let named = |names: &[std::borrow::Cow<'_, str>]| -> Vec<Alias> {
        names
            .iter()
            .map(|name| Alias { id: AliasId::of(name), rating })
            .filter(|alias| alias.id.is_cve())
            .collect()
    };
    let mut aliases = named(&record.upstream);
    aliases.extend(named(&record.aliases));
    if aliases.is_empty() {
        aliases = named(&record.related);
    }
    if kind == Kind::Vulnerability {
        // Named for what it is about, in most trackers.
        let own = AliasId::of(&record.id);
        if own.is_cve() {
            aliases = vec![Alias { id: own, rating }];
        }
    }
    sorted(aliases)
}

/// What a record is about in one release, by its own list and ratings.
fn aliases_of_affected(affected: &Affected, kind: Kind) -> Option<Arc<[Alias]>> {
    if kind != Kind::Notice {
        return None;
    }
    let cves = &affected.database_specific.as_ref()?.cves_map.as_ref()?.cves;
    let aliases: Vec<Alias> = cves
        .iter()
        .filter(|cve| !cve.id.trim().is_empty())
        .map(|cve| Alias { id: AliasId::of(&cve.id), rating: rating(&cve.severity) })
        .collect();
    // Fresh records may have an empty list for some days.
    (!aliases.is_empty()).then(|| sorted(aliases))
}

/// The vendor's own word among the severities; scores by formula are none. A type may stand
/// there twice: the worst counts.
fn rating(severities: &[Severity]) -> Rating {
    severities
        .iter()
        .filter(|severity| !severity.kind.starts_with("CVSS"))
        .map(|severity| Rating::of(&severity.score))
        .max()
        .unwrap_or(Rating::Unrated)
}

#[cfg(test)]
mod tests;
