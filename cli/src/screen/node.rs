//! One node: verdict, findings with evidence, what could not be said, components.

use jiff::Timestamp;
use nodeward_domain::answer::{
    Agent, CheckAnswer, ComponentAnswer, Finding, NodeAnswer, Standing, is_stale,
};
use nodeward_domain::check::Evidence;
use nodeward_domain::presence::{How, Presence};

use super::layout::{Page, ago, count};
use super::{ScreenError, Style, fixes, write};
use crate::inert;

/// The answer about one node.
pub fn node(answer: &NodeAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style.width), |csv| records(answer, csv))
}

fn text(answer: &NodeAnswer, wide: bool, width: usize) -> String {
    let mut page = Page::new(width);
    page.labelled("VERDICT", &verdict(answer));
    page.labelled(
        "NODE",
        &format!("{}: {}, cluster {}", answer.node, answer.platform.name(), answer.cluster),
    );
    page.labelled("AS OF", &as_of(answer));
    if let Some(presence) = &answer.presence {
        show_presence(&mut page, presence, answer.as_of);
    }
    if wide && let Some(agent) = &answer.agent {
        let Agent { version, path_resolution } = agent;
        page.labelled("AGENT", &format!("{version}, paths resolved by {path_resolution}"));
    }

    if !answer.findings.is_empty() {
        page.blank();
        page.labelled("FINDINGS", "worst first");
        for finding in &answer.findings {
            show_finding(&mut page, finding, answer);
        }
    }
    if let Some(fixes) = &answer.fixes {
        fixes::show(&mut page, fixes, answer, wide);
    }
    if !answer.incomplete.is_empty() {
        page.blank();
        page.labelled("UNKNOWN", "not in the verdict:");
        for line in &answer.incomplete {
            page.fold(&format!("{:10}", ""), 12, line);
        }
    }
    page.blank();
    if wide {
        for component in &answer.components {
            show_component(&mut page, component);
        }
    } else {
        page.table(
            &["COMPONENT", "STATE", "SEEN", "CHECKS"],
            answer.components.iter().map(|component| {
                [
                    component.component.name().to_owned(),
                    component.state.replace('_', " "),
                    component.headline.clone(),
                    tally(&component.checks),
                ]
            }),
        );
        page.blank();
    }
    page.labelled("NEXT", &next(answer, wide));
    page.into_text()
}

/// The verdict and who acts first; incompleteness stands beside it.
fn verdict(answer: &NodeAnswer) -> String {
    let unknown = || count(answer.incomplete.len(), "thing is unknown", "things are unknown");
    let partial = match answer.fixes.as_ref().map(|fixes| &fixes.silence) {
        Some(Some(_)) => "; advisories are PARTIAL",
        _ => "",
    };
    let said = match answer.standing() {
        Standing::Gone => "GONE: the API server has no such node any more".to_owned(),
        Standing::Clean => "clean: nothing to do".to_owned(),
        Standing::Incomplete => format!("INCOMPLETE: nothing known is wrong, {}", unknown()),
        Standing::Findings => {
            let checks = answer.findings.len();
            let fixes = answer.fix_counts().findings();
            let mut found = Vec::new();
            if checks > 0 {
                found.push(count(checks, "finding", "findings"));
            }
            if fixes > 0 {
                found.push(count(fixes, "missing fix", "missing fixes"));
            }
            let first = answer.acts_first();
            let turn = match first.as_str() {
                "YOU" => "YOU act first".to_owned(),
                "UNKNOWN" => "whose turn is UNKNOWN".to_owned(),
                first => format!("{first} acts first"),
            };
            let also = if answer.complete { String::new() } else { format!("; {}", unknown()) };
            format!("{}, {turn}{also}", found.join(" and "))
        }
    };
    format!("{said}{partial}")
}

fn as_of(answer: &NodeAnswer) -> String {
    let how = answer.presence.as_ref().map(|presence| presence.how);
    let report = match answer.last_report_at {
        None if how == Some(How::WithoutAgent) => "no agent: by the API server alone".to_owned(),
        None => "never reported".to_owned(),
        Some(at) if is_stale(at, answer.as_of) => {
            format!("last report {}: STALE, the node may have changed since", ago(at, answer.as_of))
        }
        Some(at) => format!("last report {}", ago(at, answer.as_of)),
    };
    format!("{:.0}, {report}, policy {}", answer.as_of, answer.policy_edition)
}

/// Since when a node does not speak for itself, and why; nothing of one that does.
fn show_presence(page: &mut Page, presence: &Presence, as_of: Timestamp) {
    let how = match presence.how {
        How::Reporting => return,
        How::Silent => "SILENT",
        How::NeverReported => "NEVER REPORTED",
        How::WithoutAgent => "NO AGENT",
        How::Gone => "GONE",
    };
    let since = presence.since.map(|at| format!(" since {}", since(at, as_of)));
    page.labelled("PRESENCE", &format!("{how}{}", since.unwrap_or_default()));
    for line in &presence.because {
        page.fold(&format!("{:10}", ""), 12, line);
    }
}

fn show_finding(page: &mut Page, finding: &Finding, answer: &NodeAnswer) {
    page.blank();
    let who = finding.responsible.word(&answer.provider);
    let Finding { reason, component, .. } = finding;
    page.fold("  ", 4, &format!("{reason}  {component}  {}  {who}", finding.severity.word()));
    page.detail("what", &finding.message);
    for evidence in &finding.evidence {
        page.detail("seen", &seen(evidence));
    }
    page.detail("since", &since(finding.since, answer.as_of));
    if !finding.policy_rule.is_empty() {
        page.detail("rule", &finding.policy_rule);
    }
    page.detail("do", &finding.action.to_string());
}

fn since(since: Timestamp, now: Timestamp) -> String {
    format!("{since:.0} ({})", ago(since, now))
}

fn seen(evidence: &Evidence) -> String {
    let Evidence { source, actual, expected } = evidence;
    match (source.as_str(), expected.as_str()) {
        ("", "") => actual.clone(),
        (source, "") => format!("{source}: {actual}"),
        ("", expected) => format!("{actual}; expected {expected}"),
        (source, expected) => format!("{source}: {actual}; expected {expected}"),
    }
}

fn show_component(page: &mut Page, component: &ComponentAnswer) {
    let at = component.observed_at.map_or_else(String::new, |at| format!(", observed {at:.0}"));
    page.fold(
        "",
        2,
        &format!(
            "{}: {} ({}{at})",
            component.component,
            component.headline,
            component.state.replace('_', " ")
        ),
    );
    for check in &component.checks {
        let detail =
            if check.detail.is_empty() { String::new() } else { format!(": {}", check.detail) };
        let outcome = check.outcome.replace('_', " ");
        page.fold("  ", 6, &format!("{outcome:<14}  {}{detail}", check.reason));
        for evidence in &check.evidence {
            page.fold(&format!("{:18}", ""), 20, &seen(evidence));
        }
    }
    page.blank();
}

/// How many checks answered what; what there was none of is left out.
fn tally(checks: &[CheckAnswer]) -> String {
    ["fail", "unknown", "pass", "not_applicable"]
        .into_iter()
        .filter_map(|outcome| {
            let number = checks.iter().filter(|check| check.outcome == outcome).count();
            (number > 0).then(|| format!("{number} {}", outcome.replace("not_applicable", "n/a")))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn next(answer: &NodeAnswer, wide: bool) -> String {
    match (answer.findings.first(), wide) {
        (Some(finding), _) => format!("nodeward checks --explain {}", finding.reason),
        (None, false) if answer.fixes.as_ref().is_some_and(|fixes| !fixes.packages.is_empty()) => {
            "the same with -o wide, to see every fix and check".to_owned()
        }
        (None, true) => "nodeward checks".to_owned(),
        (None, false) => "the same with -o wide, to see every check".to_owned(),
    }
}

/// One record a check, with its component's state beside it.
fn records(answer: &NodeAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "cluster",
        "node",
        "as_of",
        "last_report_at",
        "component",
        "state",
        "reason",
        "outcome",
        "severity",
        "responsible",
        "since",
        "detail",
        "action",
        "policy_rule",
        "evidence",
    ])?;
    let last_report_at = answer.last_report_at.map_or_else(String::new, |at| at.to_string());
    for component in &answer.components {
        for check in &component.checks {
            let finding = answer.findings.iter().find(|finding| finding.reason == check.reason);
            let of = |text: fn(&Finding) -> String| finding.map(text).unwrap_or_default();
            let evidence: Vec<String> = check.evidence.iter().map(seen).collect();
            let record = [
                answer.cluster.clone(),
                answer.node.clone(),
                answer.as_of.to_string(),
                last_report_at.clone(),
                component.component.name().to_owned(),
                component.state.clone(),
                check.reason.clone(),
                check.outcome.clone(),
                of(|finding| finding.severity.word().to_owned()),
                finding.map(|one| one.responsible.word(&answer.provider)).unwrap_or_default(),
                of(|finding| finding.since.to_string()),
                check.detail.clone(),
                of(|finding| finding.action.to_string()),
                of(|finding| finding.policy_rule.clone()),
                evidence.join(" | "),
            ];
            csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
        }
    }
    fixes::records(answer, csv)
}

#[cfg(test)]
mod tests;
