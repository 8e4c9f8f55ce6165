//! A scanner's list with a label on every row: what agrees and whose turn it is first, and by
//! what the rest disagrees.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeward_domain::advisory::Published;
use nodeward_domain::fixes::row::rank;
use nodeward_domain::fixes::scan::{Elsewhere, Labelled, ScanVerdict};
use nodeward_domain::responsibility::Responsible;

use super::layout::{Page, count};
use super::patch_age::as_of;
use super::{ScreenError, Style, write};
use crate::inert;
use crate::scan::{LabelledRow, ScanAnswer};

/// So many rows are shown in short.
const SHOWN: usize = 20;

/// So many reasons are told for what is unknown.
const REASONS: usize = 5;

/// The answer about a scanner's list.
pub fn scan(answer: &ScanAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &ScanAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer));
    page.labelled("AS OF", &as_of(answer.as_of, &answer.feeds, &answer.policy_edition));
    unknown(&mut page, answer);
    let acting = answer.acting();
    if wide && !answer.rows.is_empty() {
        page.blank();
        let header = ["ROW", "ID", "PACKAGE", "INSTALLED", "VERDICT", "NODES", "ACTS", "DO", "WHY"];
        page.table(&header, answer.rows.iter().map(|row| all(row, answer)));
    } else if !acting.is_empty() {
        page.blank();
        let header = ["ID", "PACKAGE", "FIXED IN", "NODES", "DAYS", "ACTS", "DO"];
        page.table(&header, acting.iter().take(SHOWN).map(|row| cells(row, answer)));
        let left = acting.len().saturating_sub(SHOWN);
        if left > 0 {
            page.labelled("", &format!("{} more: -o wide", count(left, "row", "rows")));
        }
    }
    page.blank();
    page.labelled("NEXT", &style.command(&next(answer, &acting)));
    page.into_text()
}

/// How many agree and whose turn these are, and by what the others do not.
fn verdict(answer: &ScanAnswer) -> String {
    let rows = count(answer.rows.len(), "row", "rows");
    let nodes = count(answer.nodes, "node", "nodes");
    let scope = answer.cluster.as_ref();
    let scope = scope.map_or_else(|| "all clusters".to_owned(), |one| format!("cluster {one}"));
    let mut parts = Vec::new();
    let verdicts = answer.verdicts();
    let number = |verdict: ScanVerdict| verdicts.get(&verdict).copied().unwrap_or_default();
    match number(ScanVerdict::AgreeMissing) {
        0 => parts.push("none agrees that a fix is missing".to_owned()),
        agreeing => parts.push(format!("{agreeing} agree: {}", turns(answer))),
    }
    let of = |wanted: fn(&ScanVerdict) -> bool| {
        let wanted = verdicts.iter().filter(|(verdict, _)| wanted(verdict));
        let sum: usize = wanted.clone().map(|(_, number)| number).sum();
        let each: Vec<String> =
            wanted.map(|(verdict, number)| format!("{} {number}", words(*verdict))).collect();
        (sum, each.join(", "))
    };
    let (open, each) = of(|one| one.is_agreed() && *one != ScanVerdict::AgreeMissing);
    if open > 0 {
        parts.push(format!("{open} with nothing to bring: {each}"));
    }
    let (disagreeing, each) = of(|one| !one.is_agreed() && *one != ScanVerdict::Unknown);
    if disagreeing > 0 {
        parts.push(format!("{disagreeing} disagree: {each}"));
    }
    if number(ScanVerdict::Unknown) > 0 {
        parts.push(format!("{} unknown", number(ScanVerdict::Unknown)));
    }
    if !answer.complete {
        parts.push("INCOMPLETE, see below".to_owned());
    }
    if answer.rows.is_empty() {
        parts = vec!["nothing to label".to_owned()];
    }
    format!("{rows} ({}), held against {nodes} ({scope}): {}", answer.tool, parts.join("; "))
}

/// A verdict as people write it.
fn words(verdict: ScanVerdict) -> String {
    verdict.word().replace('_', " ")
}

/// Whose turn the rows are that agree.
fn turns(answer: &ScanAnswer) -> String {
    let mut turns: BTreeMap<(u8, String), usize> = BTreeMap::new();
    let agreeing = answer.rows.iter().filter(|row| row.label.verdict == ScanVerdict::AgreeMissing);
    for who in agreeing.filter_map(|row| row.label.responsible.as_ref()) {
        *turns.entry((rank(Some(who)), who.word(&answer.provider))).or_default() += 1;
    }
    let each: Vec<String> =
        turns.into_iter().map(|((_, who), number)| format!("{who} {number}")).collect();
    each.join(", ")
}

/// What could not be told, of nodes and of rows.
fn unknown(page: &mut Page, answer: &ScanAnswer) {
    if answer.complete {
        return;
    }
    page.blank();
    page.labelled("UNKNOWN", "what could not be told:");
    let indent = format!("{:10}", "");
    if answer.nodes == 0 {
        page.fold(&indent, 12, "no node has reported");
        return;
    }
    for (what, nodes) in &answer.incomplete {
        let nodes = count(*nodes, "node", "nodes");
        page.fold(&indent, 12, &format!("on {nodes}: {what}"));
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for label in answer.rows.iter().map(|row| &row.label) {
        let reason = match (&label.verdict, &label.responsible) {
            (ScanVerdict::Unknown, _) => label.why.clone(),
            (_, Some(Responsible::Unknown { missing })) => {
                format!("whose turn it is is not known: {missing}")
            }
            _ => continue,
        };
        *reasons.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    for (reason, rows) in reasons.iter().take(REASONS) {
        page.fold(&indent, 12, &format!("{}: {reason}", count(*rows, "row", "rows")));
    }
    if reasons.len() > REASONS {
        let more = count(reasons.len() - REASONS, "more reason", "more reasons");
        page.fold(&indent, 12, &format!("{more}: -o wide"));
    }
}

/// The command that tells more about the first row.
fn next(answer: &ScanAnswer, acting: &[&LabelledRow]) -> String {
    let first = acting.iter().map(|row| &row.row.id).find(|id| id.is_cve());
    match first {
        Some(id) => format!("nodeward cve {id}"),
        None if answer.nodes == 0 => "nodeward nodes".to_owned(),
        None if !answer.complete => "nodeward feed status".to_owned(),
        None => "nodeward patch-age".to_owned(),
    }
}

fn acts(label: &Labelled, answer: &ScanAnswer) -> String {
    let who = label.responsible.as_ref().map(|who| who.word(&answer.provider));
    who.unwrap_or_else(|| "-".to_owned())
}

fn action(label: &Labelled) -> String {
    label.action.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn cells(row: &LabelledRow, answer: &ScanAnswer) -> Vec<String> {
    let label = &row.label;
    vec![
        row.row.id.to_string(),
        row.row.package.clone(),
        label.fixed.clone().unwrap_or_default(),
        label.nodes.to_string(),
        days(label.published.as_ref(), answer.as_of),
        acts(label, answer),
        action(label),
    ]
}

/// How many whole days old a fix is.
fn days(published: Option<&Published>, now: Timestamp) -> String {
    let Some(published) = published else { return "?".to_owned() };
    let days = published.age(now).as_hours() / 24;
    if published.is_at_least() { format!(">={days}") } else { days.to_string() }
}

fn all(row: &LabelledRow, answer: &ScanAnswer) -> Vec<String> {
    let LabelledRow { row, label } = row;
    let elsewhere = match elsewhere(label) {
        other if other.is_empty() => other,
        other => format!("; elsewhere {other}"),
    };
    vec![
        row.place.to_string(),
        row.id.to_string(),
        row.package.clone(),
        row.installed.clone(),
        words(label.verdict),
        label.nodes.to_string(),
        acts(label, answer),
        action(label),
        format!("{}{elsewhere}", label.why),
    ]
}

/// How it stands on other nodes.
fn elsewhere(label: &Labelled) -> String {
    let one = |one: &Elsewhere| {
        let who = match one.responsible.as_str() {
            "" => String::new(),
            who => format!(" ({who})"),
        };
        format!("{}{who} on {}", one.verdict.word(), one.nodes)
    };
    label.elsewhere.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn records(answer: &ScanAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "place",
        "id",
        "package",
        "installed",
        "target",
        "scanner_severity",
        "scanner_fixed",
        "verdict",
        "why",
        "record",
        "fixed",
        "fix_published",
        "fix_age_days",
        "responsible",
        "action",
        "step",
        "nodes",
        "examples",
        "elsewhere",
        "as_of",
    ])?;
    for LabelledRow { row, label } in &answer.rows {
        let published = label.published.as_ref();
        let age = published.map(|one| (one.age(answer.as_of).as_hours() / 24).to_string());
        let who = label.responsible.as_ref().map(|who| who.word(&answer.provider));
        let record = [
            row.place.to_string(),
            row.id.to_string(),
            row.package.clone(),
            row.installed.clone(),
            row.target.clone(),
            row.scanner_severity.clone(),
            row.scanner_fixed.join(" "),
            label.verdict.word().to_owned(),
            label.why.clone(),
            label.record.clone(),
            label.fixed.clone().unwrap_or_default(),
            published.map(|one| one.at.to_string()).unwrap_or_default(),
            age.unwrap_or_default(),
            who.unwrap_or_default(),
            action(label),
            label.step.map(|step| step.word().to_owned()).unwrap_or_default(),
            label.nodes.to_string(),
            label.examples.join(" "),
            elsewhere(label),
            answer.as_of.to_string(),
        ];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}
