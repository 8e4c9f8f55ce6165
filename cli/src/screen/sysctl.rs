//! The kernel parameters of one node: what is not as it should be first, then the others.

use nodeward_domain::answer::Standing;
use nodeward_domain::answer::sysctl::{SysctlAnswer, SysctlRow, SysctlVerdict};

use super::layout::{Page, ago, count};
use super::{ScreenError, Style, write};
use crate::inert;

/// The greatest value of a parameter of 64 bits, for which a table has no room.
const GREATEST: &str = "9223372036854775807";

/// The answer about the kernel parameters of one node.
pub fn sysctl(answer: &SysctlAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &SysctlAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer));
    page.labelled(
        "NODE",
        &format!("{}: {}, cluster {}", answer.node, answer.platform.name(), answer.cluster),
    );
    let seen = answer.observed_at.map_or_else(
        || "never observed".to_owned(),
        |at| format!("observed {}", ago(at, answer.as_of)),
    );
    page.labelled(
        "AS OF",
        &format!("{:.0}, {seen}, policy {}", answer.as_of, answer.policy_edition),
    );
    if let Some(why) = &answer.no_ranges {
        page.labelled("RANGES", &format!("none: {why}"));
    }
    if !answer.incomplete.is_empty() {
        page.blank();
        page.labelled("UNKNOWN", "not in the verdict:");
        for line in &answer.incomplete {
            page.fold(&format!("{:10}", ""), 12, line);
        }
    }
    if !answer.passed_over.is_empty() {
        page.blank();
        page.labelled("PASSED", "over, because they say nothing of any parameter:");
        for line in &answer.passed_over {
            page.fold(&format!("{:10}", ""), 12, line);
        }
    }
    page.blank();
    let failing: Vec<&SysctlRow> =
        answer.parameters.iter().filter(|row| row.verdict == SysctlVerdict::Fail).collect();
    for row in &failing {
        show_failing(&mut page, row, answer);
    }
    if !failing.is_empty() {
        page.blank();
    }
    let mut header = vec!["PARAMETER", "LIVE", "EXPECTED", "RANGE", "VERDICT"];
    if wide {
        header.extend(["FILE", "WHY"]);
    }
    page.table(
        &header,
        answer.parameters.iter().map(|row| {
            let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let mut cells = vec![
                row.key.clone(),
                dash(&row.live),
                dash(&row.expected),
                dash(&row.range).replace(GREATEST, "2^63-1"),
                row.verdict.word().replace("not_applicable", "n/a"),
            ];
            if wide {
                cells.extend([dash(&row.file), row.detail.clone()]);
            }
            cells
        }),
    );
    page.blank();
    page.labelled("NEXT", &next(answer, wide, style));
    page.into_text()
}

fn verdict(answer: &SysctlAnswer) -> String {
    let failing = answer.count(SysctlVerdict::Fail);
    let all = count(answer.parameters.len(), "parameter", "parameters");
    let also = if answer.complete {
        String::new()
    } else {
        format!("; {}", count(answer.incomplete.len(), "thing is unknown", "things are unknown"))
    };
    match answer.standing() {
        Standing::Findings => {
            let turn = match answer.acts_first().as_str() {
                "YOU" => "YOU act first".to_owned(),
                "UNKNOWN" => "whose turn is UNKNOWN".to_owned(),
                first => format!("{first} acts first"),
            };
            format!("{failing} of {all} not as they should be, {turn}{also}")
        }
        Standing::Incomplete => format!("INCOMPLETE: nothing known is wrong{also}"),
        Standing::Gone => "gone: the API server has no such node any more".to_owned(),
        Standing::Clean => format!("clean: {all}, nothing to do"),
    }
}

/// A parameter that is not as it should be, with who puts it right.
fn show_failing(page: &mut Page, row: &SysctlRow, answer: &SysctlAnswer) {
    let live = row.live.as_deref().unwrap_or("-");
    let mut should = Vec::new();
    if let (Some(expected), Some(file)) = (&row.expected, &row.file) {
        should.push(format!("{expected} by {file}"));
    }
    if let Some(range) = &row.range {
        should.push(format!("{range} by the policy"));
    }
    let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
    let who = who.unwrap_or_else(|| "-".to_owned());
    let SysctlRow { key, detail, .. } = row;
    let text = format!(
        "{key} is {live}, should be {}: {detail} -> {who}: {}",
        should.join(", "),
        action(row)
    );
    page.labelled("FAIL", &text);
}

fn action(row: &SysctlRow) -> String {
    row.action.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn next(answer: &SysctlAnswer, wide: bool, style: Style<'_>) -> String {
    let reason = answer.parameters.iter().find_map(|row| row.reasons.first());
    match reason {
        Some(reason) => format!("nodeward checks --explain {reason}"),
        None if wide => style.command("nodeward nodes"),
        None => "the same with -o wide, to see files and reasons".to_owned(),
    }
}

/// One record a parameter.
fn records(answer: &SysctlAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "cluster",
        "node",
        "as_of",
        "observed_at",
        "parameter",
        "live",
        "expected",
        "file",
        "range",
        "verdict",
        "detail",
        "reasons",
        "responsible",
        "action",
    ])?;
    let observed_at = answer.observed_at.map_or_else(String::new, |at| at.to_string());
    for row in &answer.parameters {
        let record = [
            answer.cluster.clone(),
            answer.node.clone(),
            answer.as_of.to_string(),
            observed_at.clone(),
            row.key.clone(),
            row.live.clone().unwrap_or_default(),
            row.expected.clone().unwrap_or_default(),
            row.file.clone().unwrap_or_default(),
            row.range.clone().unwrap_or_default(),
            row.verdict.word().to_owned(),
            row.detail.clone(),
            row.reasons.join(" "),
            row.responsible.as_ref().map(|who| who.word(&answer.provider)).unwrap_or_default(),
            action(row),
        ];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}
