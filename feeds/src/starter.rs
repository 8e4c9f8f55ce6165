//! The starter feed: facts about some fixes that come with the program, so that a first run
//! without network shows real rows. It is partial, and says so. Where each row was read
//! stands in it; how the table came about, in `feeds/starter/README.md`.

use std::sync::Arc;

use nodeward_domain::advisory::alias::sorted;
use nodeward_domain::advisory::{
    Advisory, Alias, AliasId, Authority, Coverage, DateKind, Dated, Distribution, Epochs, Range,
    Rating, Statement, Stream, Tier,
};

use sha2::{Digest as _, Sha256};

use crate::content::{Content, Words, hex};
use crate::instant::{self, InstantError};

/// The table.
const FIXES: &str = include_str!("../starter/fixes.tsv");

/// The name of the feed.
pub const NAME: &str = "starter";

/// Its columns.
pub const COLUMNS: [&str; 10] = [
    "os",
    "release",
    "tier",
    "source",
    "fixed",
    "record",
    "published",
    "kind",
    "aliases",
    "read_in",
];

/// Why a table was refused.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// Its first line does not name the columns.
    #[error("line 1: the columns are not those of this build")]
    Columns,
    /// A line has another number of columns, or an empty one.
    #[error("line {line}: {what}")]
    Line {
        /// The line.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A date is none.
    #[error("line {line}: published")]
    Published {
        /// The line.
        line: usize,
        /// What stands there.
        #[source]
        source: InstantError,
    },
}

/// The starter feed that comes with this build.
pub fn shipped() -> Result<Content, StarterError> {
    read(FIXES)
}

/// Names the table of this build among others: SHA-256 of it.
#[must_use]
pub fn revision() -> String {
    hex(&Sha256::digest(FIXES))
}

/// How much of a stream it has.
#[must_use]
pub fn coverage() -> Coverage {
    Coverage::Partial("a selection of fixes that comes with the program".to_owned())
}

/// Reads a table of that form.
pub fn read(text: &str) -> Result<Content, StarterError> {
    let mut lines = (1..).zip(text.lines());
    if !lines.next().is_some_and(|(_, line)| line.split('\t').eq(COLUMNS)) {
        return Err(StarterError::Columns);
    }
    let mut content = Content::default();
    let mut words = Words::default();
    for (line, row) in lines {
        let wrong = |what| StarterError::Line { line, what };
        let columns: Vec<&str> = row.split('\t').collect();
        let &[os, release, tier, source, fixed, record, published, kind, aliases, read_in] =
            columns.as_slice()
        else {
            return Err(wrong("it has another number of columns"));
        };
        if [os, release, source, fixed, record, read_in].contains(&"") {
            return Err(wrong("a column is empty"));
        }
        let stream = Stream::of_os_release(os, release).in_tier(match tier {
            "base" => Tier::Base,
            "pro" => Tier::Pro,
            _ => return Err(wrong("a tier that is not known")),
        });
        let kind = match kind {
            "advisory" => DateKind::Advisory,
            "changelog" => DateKind::Changelog,
            _ => return Err(wrong("a kind of date that is not known")),
        };
        let published = match published {
            "" => None,
            text => Some(Dated {
                at: instant::read(text)
                    .map_err(|source| StarterError::Published { line, source })?,
                kind,
            }),
        };
        let aliases = aliases.split(',').filter(|name| !name.is_empty());
        let aliases =
            aliases.map(|name| Alias { id: AliasId::of(name), rating: Rating::Unrated }).collect();
        content.records += 1;
        content.advisories.push(Advisory {
            record: words.keep(record),
            authority: Authority::Notice,
            epochs: match stream.distribution {
                Distribution::AzureLinux | Distribution::Mariner => Epochs::Ignored,
                _ => Epochs::Compared,
            },
            stream,
            source: words.keep(source),
            range: Range::below(Arc::clone(&words.keep(fixed))),
            statement: Statement::Fixed,
            aliases: sorted(aliases),
            published,
        });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_has_facts_of_three_distributions_with_their_records() {
        let content = shipped().expect("a table that was read when it was shipped");
        let streams: Vec<String> = content.streams().keys().map(ToString::to_string).collect();
        for stream in ["Azure Linux 3.0", "Debian 12", "Ubuntu 22.04", "Ubuntu 24.04"] {
            assert!(streams.iter().any(|one| one == stream), "{stream} is not in {streams:?}");
        }
        assert!(content.records > 500, "{}", content.records);
        for advisory in &content.advisories {
            let order = advisory.stream.distribution.order().expect("an order");
            advisory.range.keys(order, advisory.epochs).expect("versions");
            let is_debian = advisory.stream.distribution == Distribution::Debian;
            let is_changelog =
                advisory.published.is_some_and(|dated| dated.kind == DateKind::Changelog);
            assert_eq!(is_debian, is_changelog, "{}", advisory.record);
        }
        assert!(matches!(coverage(), Coverage::Partial(_)));
    }

    #[test]
    fn a_table_of_another_form_is_refused_with_the_line() {
        let head = COLUMNS.join("\t");
        for (rows, expected) in [
            ("", None),
            ("debian\t12\tbase\tx\t1\tr\tsoon\tadvisory\t\tf", Some("line 2: published")),
            ("debian\t12\tbase\tx", Some("line 2: it has another number of columns")),
            ("debian\t12\tbase\t\t1\tr\t\tadvisory\t\tf", Some("line 2: a column is empty")),
            (
                "debian\t12\tgold\tx\t1\tr\t\tadvisory\t\tf",
                Some("line 2: a tier that is not known"),
            ),
        ] {
            let read = read(&format!("{head}\n{rows}")).map_err(|error| error.to_string());
            assert_eq!(read.err().as_deref(), expected, "{rows}");
        }
        assert!(matches!(read("a\tb\n"), Err(StarterError::Columns)));
    }
}
