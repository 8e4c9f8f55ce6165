//! The feeds of advisories: how old each is, and for what it is complete.

use jiff::Timestamp;
use nodeward_domain::advisory::{FeedStatus, StreamCoverage};
use serde::Serialize;

use super::fixes::days;
use super::layout::{Page, count};
use super::{ScreenError, Style, write};
use crate::admin::{Imported, Pulled};
use crate::exit::Exit;
use crate::inert;

/// How all feeds stand.
#[derive(Debug, Clone, Serialize)]
pub struct FeedsAnswer {
    /// For which moment.
    pub as_of: Timestamp,
    /// By name.
    pub feeds: Vec<FeedStatus>,
}

impl FeedsAnswer {
    /// Feeds that are too old for their silence to say anything (`FeedStale`).
    fn stale(&self) -> impl Iterator<Item = &FeedStatus> {
        self.feeds.iter().filter(|feed| feed.is_stale)
    }

    /// Whether any says something by its silence.
    fn has_complete(&self) -> bool {
        self.feeds.iter().any(|feed| complete_for(feed).next().is_some())
    }

    /// A stale feed is a finding; without a complete one every answer is partial.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.stale().next().is_some() {
            Exit::Findings
        } else if self.has_complete() {
            Exit::Clean
        } else {
            Exit::Incomplete
        }
    }
}

/// The answer about all feeds.
pub fn feeds(answer: &FeedsAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &FeedsAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let stale: Vec<&str> = answer.stale().map(|feed| feed.name.as_str()).collect();
    page.labelled(
        "VERDICT",
        &match (stale.as_slice(), answer.has_complete()) {
            ([], true) => format!("{}, none stale", count(answer.feeds.len(), "feed", "feeds")),
            ([], false) => "INCOMPLETE: no feed is complete for any release, so that what none \
                            tells of may be missing all the same"
                .to_owned(),
            (stale, _) => format!(
                "FeedStale: {}, YOU act: import a newer state of {}",
                count(stale.len(), "feed is too old", "feeds are too old"),
                stale.join(", ")
            ),
        },
    );
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    page.blank();
    page.table(
        &["FEED", "OF", "AGE", "NEWEST RECORD", "STATEMENTS", "MOVED DATES", "COMPLETE FOR"],
        answer.feeds.iter().map(|feed| {
            let stale = if feed.is_stale { " STALE" } else { "" };
            [
                feed.name.clone(),
                format!("{:.0}", feed.as_of),
                format!("{}{stale}", days(answer.as_of.duration_since(feed.as_of))),
                feed.newest_published.map_or_else(String::new, |at| format!("{at:.0}")),
                feed.statements.to_string(),
                feed.moves.to_string(),
                complete_for_words(feed),
            ]
        }),
    );
    if wide {
        for feed in &answer.feeds {
            show(&mut page, feed);
        }
    }
    page.blank();
    page.labelled(
        "NEXT",
        &if stale.is_empty() && answer.has_complete() {
            style.command("nodeward patch-age")
        } else {
            "nodeward feed import PATH".to_owned()
        },
    );
    page.into_text()
}

/// The releases that it is complete for.
fn complete_for(feed: &FeedStatus) -> impl Iterator<Item = &str> {
    let complete = feed.coverage.iter().filter(|one| one.coverage == "complete");
    complete.map(|one| one.stream.as_str())
}

fn complete_for_words(feed: &FeedStatus) -> String {
    let complete: Vec<&str> = complete_for(feed).collect();
    if complete.is_empty() { "nothing".to_owned() } else { complete.join(", ") }
}

fn show(page: &mut Page, feed: &FeedStatus) {
    page.blank();
    page.fold("", 2, &format!("{}: SHA-256 {}", feed.name, feed.digest));
    page.fold(
        "  ",
        4,
        &match complete_for(feed).next() {
            Some(_) => format!("imported {:.0}, stale from {:.0}", feed.imported_at, feed.stale_at),
            None => format!("imported {:.0}", feed.imported_at),
        },
    );
    for one in &feed.coverage {
        page.fold("  ", 4, &format!("{}: {}", one.stream, one.coverage));
    }
    for (what, number) in &feed.left_out {
        page.fold("  ", 4, &format!("left out: {what}, {number} times"));
    }
}

fn records(answer: &FeedsAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "feed",
        "as_of",
        "imported_at",
        "stale",
        "stale_at",
        "newest_published",
        "statements",
        "moved_dates",
        "stream",
        "coverage",
        "digest",
    ])?;
    for feed in &answer.feeds {
        // What speaks of no release, as bulletins, is a feed all the same.
        let without = [StreamCoverage { stream: String::new(), coverage: String::new() }];
        let coverage = if feed.coverage.is_empty() { &without } else { feed.coverage.as_slice() };
        for one in coverage {
            let record = [
                feed.name.clone(),
                feed.as_of.to_string(),
                feed.imported_at.to_string(),
                feed.is_stale.to_string(),
                feed.stale_at.to_string(),
                feed.newest_published.map_or_else(String::new, |at| at.to_string()),
                feed.statements.to_string(),
                feed.moves.to_string(),
                one.stream.clone(),
                one.coverage.clone(),
                feed.digest.clone(),
            ];
            csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
        }
    }
    Ok(())
}

/// What became of files that were imported.
pub fn imported(answer: &Imported, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |_| imported_text(answer, style), |csv| imported_records(answer, csv))
}

fn imported_text(answer: &Imported, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let feeds = count(answer.feeds.len(), "feed", "feeds");
    page.labelled("IMPORTED", &feeds);
    page.blank();
    page.table(
        &["FEED", "OUTCOME", "FILES", "STATEMENTS", "NEW DATES", "OF", "COMPLETE FOR"],
        answer.feeds.iter().map(|one| {
            let of =
                |text: fn(&FeedStatus) -> String| one.feed.as_ref().map(text).unwrap_or_default();
            [
                of(|feed| feed.name.clone()),
                outcome(&one.outcome).to_owned(),
                one.files.to_string(),
                of(|feed| feed.statements.to_string()),
                one.dates.to_string(),
                of(|feed| format!("{:.0}", feed.as_of)),
                of(complete_for_words),
            ]
        }),
    );
    if answer.passed_over > 0 {
        page.blank();
        page.fold(
            "",
            2,
            &format!(
                "passed over: {} files of no known kind, {} first",
                answer.passed_over, answer.first_passed_over
            ),
        );
    }
    page.blank();
    page.labelled("NEXT", "nodeward feed status");
    page.into_text()
}

fn outcome(word: &str) -> &str {
    match word {
        "replaced" => "taken",
        "same" => "had it",
        "older" => "older: only its dates",
        other => other,
    }
}

fn imported_records(answer: &Imported, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record(["feed", "outcome", "files", "new_dates"])?;
    for one in &answer.feeds {
        let name = one.feed.as_ref().map(|feed| feed.name.clone()).unwrap_or_default();
        let record = [name, one.outcome.clone(), one.files.to_string(), one.dates.to_string()];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}

/// What came of the configured addresses.
pub fn pulled(answer: &Pulled, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |_| pulled_text(answer, style), |csv| pulled_records(answer, csv))
}

fn pulled_text(answer: &Pulled, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let failed = answer.sources.iter().filter(|one| one.outcome == "failed").count();
    let sources = count(answer.sources.len(), "address", "addresses");
    page.labelled(
        "PULLED",
        &match failed {
            0 => sources,
            failed => format!("{sources}, {failed} FAILED: what they gave last stays"),
        },
    );
    for one in &answer.sources {
        page.blank();
        page.fold("", 2, &one.url);
        let what = match one.outcome.as_str() {
            "not_modified" => "has not changed".to_owned(),
            "failed" => format!("FAILED: {}", one.why),
            _ => format!("{} bytes", one.bytes),
        };
        page.fold("  ", 4, &what);
        for imported in &one.feeds {
            let name = imported.feed.as_ref().map(|feed| feed.name.as_str()).unwrap_or_default();
            let dates = count(
                usize::try_from(imported.dates).unwrap_or(usize::MAX),
                "new date",
                "new dates",
            );
            page.fold("  ", 4, &format!("{name}: {}, {dates}", outcome(&imported.outcome)));
        }
    }
    page.blank();
    page.labelled("NEXT", "nodeward feed status");
    page.into_text()
}

fn pulled_records(answer: &Pulled, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record(["url", "outcome", "why", "bytes"])?;
    for one in &answer.sources {
        let record = [one.url.clone(), one.outcome.clone(), one.why.clone(), one.bytes.to_string()];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}
