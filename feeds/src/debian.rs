//! Debian's list of security advisories, `data/DSA/list` of its security tracker (and
//! `data/DLA/list`, of the same form): the day of each advisory, and the fixed versions of
//! each release. Source: doc/security-team.d.o of `salsa.debian.org/security-tracker-team`.

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::alias::sorted;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, DateKind, Dated, Distribution, Epochs, Range, Rating,
    Statement, Stream, Tier, Unfixed,
};

use crate::content::{Content, Words};
use crate::instant::{self, InstantError};
use crate::unread::{self, Unread};

/// The longest list that is read. The whole of it, since 1997, has 1 MB.
pub const LONGEST_LIST_BYTES: usize = 64 << 20;

/// Why a list was refused.
#[derive(Debug, thiserror::Error)]
pub enum DsaListError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// A day is none.
    #[error("{file}:{line}")]
    Day {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// A line has a form that the list does not have.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends in the middle of a line, or has none.
    #[error("{file}: cut off: {what}")]
    CutOff {
        /// The file.
        file: String,
        /// By what that is seen.
        what: &'static str,
    },
}

/// The last day of the security team's own work on releases: what comes later is the LTS
/// team's, in a list of its own. Source: wiki.debian.org/LTS.
const LAST_DAYS: [(&str, &str); 3] =
    [("10", "2022-07-31"), ("11", "2024-08-14"), ("12", "2026-06-10")];

/// Since when the list of DSAs has nothing new on a stream; none while it has.
#[must_use]
pub fn ended(stream: &Stream) -> Option<Timestamp> {
    if stream.distribution != Distribution::Debian || stream.tier != Tier::Base {
        return None;
    }
    let (_, day) = LAST_DAYS.iter().find(|(release, _)| **release == *stream.release)?;
    instant::read(day).ok()
}

/// The releases of Debian by their names. A name that is not there is kept as it is.
const RELEASES: [(&str, &str); 17] = [
    ("forky", "14"),
    ("trixie", "13"),
    ("bookworm", "12"),
    ("bullseye", "11"),
    ("buster", "10"),
    ("stretch", "9"),
    ("jessie", "8"),
    ("wheezy", "7"),
    ("squeeze", "6"),
    ("lenny", "5"),
    ("etch", "4"),
    ("sarge", "3.1"),
    ("woody", "3.0"),
    ("potato", "2.2"),
    ("slink", "2.1"),
    ("hamm", "2.0"),
    ("bo", "1.3"),
];

/// The stream of a release's name.
fn stream(codename: &str) -> Stream {
    let number = RELEASES.iter().find(|(name, _)| *name == codename).map(|(_, number)| *number);
    Stream {
        distribution: Distribution::Debian,
        release: Arc::from(number.unwrap_or(codename)),
        tier: Tier::Base,
    }
}

/// The advisory whose lines are being read.
struct Entry {
    record: Arc<str>,
    at: Timestamp,
    aliases: Arc<[Alias]>,
}

/// Reads the list.
pub fn read_dsa_list(file: &str, bytes: &[u8]) -> Result<Content, DsaListError> {
    let text = unread::text(file, bytes, LONGEST_LIST_BYTES)?;
    if !text.ends_with('\n') {
        return Err(DsaListError::CutOff {
            file: file.to_owned(),
            what: match text.is_empty() {
                true => "it is empty",
                false => "the last line has no end",
            },
        });
    }
    let mut content = Content::default();
    let mut words = Words::default();
    let mut entry: Option<Entry> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wrong = |what| DsaListError::Line { file: file.to_owned(), line: number, what };
        let is_indented = line.starts_with([' ', '\t']);
        let plain = line.trim();
        if plain.is_empty() {
            continue;
        }
        if !is_indented {
            let (day, rest) = plain
                .strip_prefix('[')
                .and_then(|rest| rest.split_once(']'))
                .ok_or_else(|| wrong("an advisory begins with its day in brackets"))?;
            let at = instant::read_day(day).map_err(|source| DsaListError::Day {
                file: file.to_owned(),
                line: number,
                source,
            })?;
            let record = rest
                .split_ascii_whitespace()
                .next()
                .filter(|id| id.starts_with("DSA-") || id.starts_with("DLA-"))
                .ok_or_else(|| wrong("behind the day stands no DSA or DLA"))?;
            content.records += 1;
            entry = Some(Entry { record: words.keep(record), at, aliases: Arc::from([]) });
            continue;
        }
        let entry = entry.as_mut().ok_or_else(|| wrong("an indented line before any advisory"))?;
        if let Some(names) = plain.strip_prefix('{') {
            let names = names.strip_suffix('}').ok_or_else(|| wrong("a list without its end"))?;
            let aliases = names
                .split_ascii_whitespace()
                .map(|name| Alias { id: AliasId::of(name), rating: Rating::Unrated });
            entry.aliases = sorted(aliases.collect());
        } else if let Some(rest) = plain.strip_prefix('[') {
            match package_line(rest).ok_or_else(|| wrong("a package without a version"))? {
                PackageLine { statement: None, .. } => content.leave_out("not affected"),
                PackageLine { codename, source, range, statement: Some(statement) } => {
                    content.advisories.push(Advisory {
                        record: Arc::clone(&entry.record),
                        authority: Authority::Notice,
                        stream: stream(codename),
                        source: words.keep(source),
                        range,
                        statement,
                        aliases: Arc::clone(&entry.aliases),
                        published: Some(Dated { at: entry.at, kind: DateKind::Advisory }),
                        epochs: Epochs::Compared,
                    });
                }
            }
        } else if !is_remark(plain) {
            return Err(wrong("neither CVEs, a package nor a note"));
        }
    }
    Ok(content)
}

/// What is for people, or about the unstable release.
fn is_remark(plain: &str) -> bool {
    ["NOTE:", "TODO:", "RESERVED", "REJECTED", "- "].iter().any(|start| plain.starts_with(start))
}

/// A line about a package.
struct PackageLine<'a> {
    codename: &'a str,
    source: &'a str,
    range: Range,
    /// None where the release is not affected.
    statement: Option<Statement>,
}

/// Reads `bookworm] - openssh 1:9.2p1-2+deb12u3 (bug #1)`.
fn package_line(rest: &str) -> Option<PackageLine<'_>> {
    let (codename, rest) = rest.split_once(']')?;
    let mut words = rest.trim_start().strip_prefix('-')?.split_ascii_whitespace();
    let (source, version) = (words.next()?, words.next()?);
    let (range, statement) = match version {
        "<not-affected>" => (Range::ALL, None),
        "<end-of-life>" => (Range::ALL, Some(Statement::Unfixed(Unfixed::EndOfLife))),
        "<unfixed>" | "<undetermined>" | "<no-dsa>" | "<ignored>" | "<postponed>" => {
            (Range::ALL, Some(Statement::Unfixed(Unfixed::Pending)))
        }
        other if other.starts_with('<') => return None,
        version => (Range::below(version), Some(Statement::Fixed)),
    };
    Some(PackageLine { codename: codename.trim(), source, range, statement })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
[01 Jul 2026] DSA-9905-1 openssh - security update
\t{CVE-2026-20002 CVE-2026-20001}
\t[bookworm] - openssh 1:9.2p1-2+deb12u9
\t[trixie] - openssh 1:10.0p1-7+deb13u1
\tNOTE: two releases at once
[30 Jun 2026] DSA-9904-2 examplejs - regression update
\t[bookworm] - examplejs 1.3+dfsg-4
[29 Jun 2026] DSA-9903-1 bullseye end-of-life
\tNOTE: end of security support
[28 Jun 2026] DSA-9902-1 chromium - security update
\t{CVE-2026-20003}
\t[bullseye] - chromium <end-of-life>
\t[bookworm] - chromium <not-affected> (newer branch)
[01 Aug 2002] DSA-141 mpack - buffer overflow
        {CVE-2002-1425}
        [woody] - mpack 1.5-7woody2
";

    #[test]
    fn a_list_is_read_with_days_releases_and_cves() {
        let content = read_dsa_list("list", LIST.as_bytes()).expect("a list");
        assert_eq!(content.records, 5);
        let seen: Vec<String> = content
            .advisories
            .iter()
            .map(|one| {
                let names: Vec<String> =
                    one.aliases.iter().map(|alias| alias.id.to_string()).collect();
                let at = one.published.map(|dated| dated.at.to_string()).unwrap_or_default();
                let names = names.join(",");
                format!("{} {} {} {} {at} {names}", one.record, one.stream, one.source, one.range)
            })
            .collect();
        assert_eq!(
            seen,
            [
                "DSA-9905-1 Debian 12 openssh < 1:9.2p1-2+deb12u9 2026-07-01T00:00:00Z CVE-2026-20001,CVE-2026-20002",
                "DSA-9905-1 Debian 13 openssh < 1:10.0p1-7+deb13u1 2026-07-01T00:00:00Z CVE-2026-20001,CVE-2026-20002",
                "DSA-9904-2 Debian 12 examplejs < 1.3+dfsg-4 2026-06-30T00:00:00Z ",
                "DSA-9902-1 Debian 11 chromium every version 2026-06-28T00:00:00Z CVE-2026-20003",
                "DSA-141 Debian 3.0 mpack < 1.5-7woody2 2002-08-01T00:00:00Z CVE-2002-1425",
            ]
        );
        assert_eq!(content.left_out, [("not affected".to_owned(), 1)].into());
    }

    #[test]
    fn an_error_names_the_line_and_the_reason() {
        for (list, expected) in [
            ("", "list: cut off: it is empty"),
            ("[01 Jul 2026] DSA-1-1 x", "list: cut off: the last line has no end"),
            ("[01 Jul 2026] X-1 x\n", "list:1: behind the day stands no DSA or DLA"),
            ("[1st of July] DSA-1-1 x\n", "list:1"),
            ("\t[bookworm] - x 1\n", "list:1: an indented line before any advisory"),
            ("[01 Jul 2026] DSA-1-1 x\n\t[bookworm] - x\n", "list:2: a package without a version"),
            ("[01 Jul 2026] DSA-1-1 x\n\tfoo\n", "list:2: neither CVEs, a package nor a note"),
            ("[01 Jul 2026] DSA-1-1 x\n\t{CVE-1\n", "list:2: a list without its end"),
        ] {
            let error = read_dsa_list("list", list.as_bytes()).expect_err("odd");
            assert_eq!(error.to_string(), expected);
        }
    }
}
