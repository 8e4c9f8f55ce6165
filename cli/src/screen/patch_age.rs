//! The fixes that nodes lack, folded: by fix, vulnerability, node, pool or image.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeward_domain::advisory::{FeedStatus, Published, Rating};
use nodeward_domain::fixes::fleet::{By, PatchAge, PatchAgeRow};

use super::fixes::{age, days, sums};
use super::layout::{Page, count};
use super::{ScreenError, Style, write};
use crate::inert;

/// What was asked, in the words of a screen.
#[derive(Debug, Clone)]
pub struct Question {
    /// By what rows are folded.
    pub by: By,
    /// Which fixes, in words.
    pub scope: String,
}

/// The answer about the fixes of many nodes.
pub fn patch_age(
    answer: &PatchAge,
    question: &Question,
    style: Style<'_>,
) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, question, wide, style), |csv| records(answer, csv))
}

fn text(answer: &PatchAge, question: &Question, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer, question));
    page.labelled("AS OF", &as_of(answer.as_of, &answer.feeds, &answer.policy_edition));
    unknown(&mut page, answer);
    if !answer.rows.is_empty() {
        page.blank();
        let header = header(question.by, wide);
        page.table(&header, answer.rows.iter().map(|row| cells(row, question.by, answer, wide)));
    }
    page.blank();
    page.labelled("NEXT", &style.command(&next(answer, question.by)));
    page.into_text()
}

/// The command that tells more about the first row.
fn next(answer: &PatchAge, by: By) -> String {
    match (answer.rows.first(), by) {
        (None, _) => "nodeward feed status".to_owned(),
        (Some(row), By::Fix | By::Cve) => format!("nodeward cve {}", row.subject),
        (Some(row), By::Node) => {
            format!("nodeward node {} --cluster {} -o wide", row.subject, row.cluster)
        }
        (Some(_), By::Pool | By::Image) => "nodeward patch-age --by fix".to_owned(),
    }
}

fn verdict(answer: &PatchAge, question: &Question) -> String {
    let nodes = count(answer.nodes, "node", "nodes");
    let scope = &question.scope;
    let partial = if answer.is_complete() { "" } else { "; INCOMPLETE, see below" };
    if answer.nodes == 0 {
        return format!("INCOMPLETE: no node has reported ({scope})");
    }
    format!("{nodes} ({scope}): {}{partial}", sums(&answer.shown, &answer.provider))
}

/// Of when an answer is, and the oldest of the feeds that it rests on.
pub(super) fn as_of(as_of: Timestamp, feeds: &[FeedStatus], policy_edition: &str) -> String {
    let oldest = feeds.iter().filter(|feed| feed.name != "starter").map(|feed| feed.as_of);
    let feeds = match oldest.min() {
        None => "advisories of the starter feed alone".to_owned(),
        Some(oldest) => {
            format!("oldest feed {} old", days(as_of.duration_since(oldest)))
        }
    };
    format!("{as_of:.0}, {feeds}, policy {policy_edition}")
}

/// What is not part of the answer.
fn unknown(page: &mut Page, answer: &PatchAge) {
    if answer.is_complete() || answer.nodes == 0 {
        return;
    }
    page.blank();
    page.labelled("UNKNOWN", "not in the verdict:");
    let indent = format!("{:10}", "");
    let mut line = |text: &str| page.fold(&indent, 12, text);
    if !answer.stale.is_empty() {
        let nodes = count(answer.stale.len(), "node has not", "nodes have not");
        line(&format!("{nodes} reported of late and may have changed: {}", few(&answer.stale)));
    }
    for one in &answer.not_judged {
        line(&format!("{}: {}", one.node, one.why));
    }
    if answer.undated > 0 {
        let fixes = count(answer.undated, "fix is", "fixes are");
        line(&format!("{fixes} left out because nobody knows how old they are"));
    }
    for (what, nodes) in &answer.incomplete {
        line(&format!("on {}: {what}", count(*nodes, "node", "nodes")));
    }
}

fn few(all: &[String]) -> String {
    const MOST: usize = 5;
    let shown: Vec<&str> = all.iter().take(MOST).map(String::as_str).collect();
    match all.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn header(by: By, wide: bool) -> Vec<&'static str> {
    let mut header = match by {
        By::Fix => vec!["RECORD", "PACKAGE", "FIXED IN", "NODES", "CVES"],
        By::Cve => vec!["CVE", "RATING", "PACKAGE", "FIXED IN", "RECORD", "NODES"],
        By::Node => vec!["CLUSTER", "NODE", "FIXES", "OVER", "CVES"],
        By::Pool => vec!["CLUSTER", "POOL", "NODES", "FIXES", "OVER", "CVES"],
        By::Image => vec!["IMAGE", "NODES", "FIXES", "OVER", "CVES"],
    };
    header.extend(["OLDEST", "ACTS", "DO"]);
    if wide {
        header.extend(["INSTALLED", "IMAGES", "PUBLISHED", "STEP", "EXAMPLES"]);
    }
    header
}

fn cells(row: &PatchAgeRow, by: By, answer: &PatchAge, wide: bool) -> Vec<String> {
    let named = |name: &str| if name.is_empty() { "?".to_owned() } else { name.to_owned() };
    let nodes = row.nodes.to_string();
    let fixes = row.fixes.to_string();
    let over = row.over_line.to_string();
    let cves = row.aliases.len().to_string();
    let mut cells = match by {
        By::Fix => vec![row.subject.clone(), some(&row.packages), some(&row.fixed), nodes, cves],
        By::Cve => vec![
            row.subject.clone(),
            rating(row).word().to_owned(),
            some(&row.packages),
            some(&row.fixed),
            some(&row.records),
            nodes,
        ],
        By::Node => {
            vec![row.cluster.clone(), row.subject.clone(), fixes, over, cves]
        }
        By::Pool => vec![row.cluster.clone(), named(&row.subject), nodes, fixes, over, cves],
        By::Image => vec![named(&row.subject), nodes, fixes, over, cves],
    };
    cells.push(age(row.oldest.as_ref(), answer.as_of));
    let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
    cells.push(who.unwrap_or_else(|| "-".to_owned()));
    let action = row.action.as_ref().map(ToString::to_string).unwrap_or_default();
    cells.push(if action.is_empty() { row.note.clone() } else { action });
    if wide {
        cells.extend([some(&row.installed), some(&row.images)]);
        let published = row.oldest.as_ref();
        cells.push(published.map_or_else(String::new, |one| {
            format!("{} {:.0} ({})", one.kind.word(), one.at, one.feed)
        }));
        cells.push(row.step.word().to_owned());
        cells.push(row.examples.join(" "));
    }
    cells
}

/// The rating of the vulnerability that the row is about.
fn rating(row: &PatchAgeRow) -> Rating {
    let own = row.aliases.iter().filter(|alias| alias.id.to_string() == row.subject);
    own.map(|alias| alias.rating).max().unwrap_or(Rating::Unrated)
}

fn some(all: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = all.iter().take(2).map(String::as_str).collect();
    match all.len().saturating_sub(2) {
        0 => shown.join(" "),
        more => format!("{} +{more}", shown.join(" ")),
    }
}

fn records(answer: &PatchAge, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "subject",
        "cluster",
        "packages",
        "installed",
        "fixed",
        "records",
        "aliases",
        "images",
        "nodes",
        "fixes",
        "over_line",
        "oldest_published",
        "oldest_kind",
        "oldest_feed",
        "oldest_age_days",
        "responsible",
        "action",
        "step",
        "examples",
        "as_of",
    ])?;
    let joined = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(" ");
    for row in &answer.rows {
        let oldest = row.oldest.as_ref();
        let of = |text: fn(&Published) -> String| oldest.map(text).unwrap_or_default();
        let aliases: Vec<String> = row.aliases.iter().map(|alias| alias.id.to_string()).collect();
        let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
        let record = [
            row.subject.clone(),
            row.cluster.clone(),
            joined(&row.packages),
            joined(&row.installed),
            joined(&row.fixed),
            joined(&row.records),
            aliases.join(" "),
            joined(&row.images),
            row.nodes.to_string(),
            row.fixes.to_string(),
            row.over_line.to_string(),
            of(|one| one.at.to_string()),
            of(|one| one.kind.word().to_owned()),
            of(|one| one.feed.to_string()),
            row.oldest_age_days(answer.as_of).map_or_else(String::new, |days| days.to_string()),
            who.unwrap_or_default(),
            row.action.as_ref().map(ToString::to_string).unwrap_or_default(),
            row.step.word().to_owned(),
            row.examples.join(" "),
            answer.as_of.to_string(),
        ];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}
