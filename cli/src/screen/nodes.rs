//! The fleet, a line a node.

use jiff::Timestamp;
use nodeward_domain::answer::{NodeRow, Standing, is_stale};
use nodeward_domain::presence::How;
use serde::Serialize;

use super::layout::{Page, ago, count};
use super::{ScreenError, Style, write};
use crate::inert;

/// Every node that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct FleetAnswer {
    /// For which moment.
    pub as_of: Timestamp,
    /// Which nodes these are, in words.
    pub scope: String,
    /// Whether nothing is missing: no node, or one that is incomplete, makes it false. When
    /// none stands as was asked for, of all nodes.
    pub complete: bool,
    /// Nodes in all, without those that are gone.
    pub total: usize,
    /// Nodes with findings.
    pub with_findings: usize,
    /// Nodes without findings of which not everything is known.
    pub incomplete: usize,
    /// Nodes of which everything is known and nothing is wrong.
    pub clean: usize,
    /// Nodes that the API server has no more; they count nowhere else.
    pub gone: usize,
    /// By cluster and name.
    pub nodes: Vec<NodeRow>,
    /// Which standing was asked for, and all nodes of the scope, when none stands so.
    #[serde(skip)]
    none_of: Option<(Standing, Box<Self>)>,
}

impl FleetAnswer {
    /// Counts the nodes.
    #[must_use]
    pub fn of(as_of: Timestamp, scope: String, nodes: Vec<NodeRow>) -> Self {
        let with = |standing| nodes.iter().filter(|node| node.standing == standing).count();
        let gone = with(Standing::Gone);
        Self {
            as_of,
            scope,
            complete: nodes.len() > gone && nodes.iter().all(|node| node.unknown == 0),
            total: nodes.len() - gone,
            with_findings: with(Standing::Findings),
            incomplete: with(Standing::Incomplete),
            clean: with(Standing::Clean),
            gone,
            nodes,
            none_of: None,
        }
    }

    /// The answer when none of these nodes stands as was asked for.
    #[must_use]
    pub fn none_of(standing: Standing, as_of: Timestamp, scope: String, all: Vec<NodeRow>) -> Self {
        let all = Self::of(as_of, scope.clone(), all);
        let none_of = (all.total > 0).then(|| (standing, Box::new(all.clone())));
        Self { complete: all.complete, none_of, ..Self::of(as_of, scope, Vec::new()) }
    }

    /// How the nodes stand; when none stands as was asked for, how all of them do. A fleet
    /// of which nothing is known is not clean.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (&self.none_of, self.with_findings, self.complete) {
            (Some((_, all)), ..) => all.standing(),
            (None, 1.., _) => Standing::Findings,
            (None, 0, false) => Standing::Incomplete,
            (None, 0, true) => Standing::Clean,
        }
    }
}

/// Which nodes are asked for, in words.
#[must_use]
pub fn scope(cluster: Option<&str>, standing: Option<Standing>) -> String {
    let of =
        cluster.map_or_else(|| "all clusters".to_owned(), |cluster| format!("cluster {cluster}"));
    match standing {
        None => of,
        Some(standing) => format!("{of}, only with standing {}", standing.word()),
    }
}

/// The answer about all nodes.
pub fn nodes(answer: &FleetAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &FleetAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer));
    let all = answer.none_of.as_ref().map_or(answer, |(_, all)| all.as_ref());
    page.labelled("AS OF", &as_of(all));
    page.blank();
    if let Some(next) = table(&mut page, answer, wide) {
        page.blank();
        page.labelled("NEXT", &style.command(&next));
    } else if answer.none_of.is_some() {
        page.labelled("NEXT", &style.command("nodeward nodes"));
    } else {
        page.labelled("NEXT", "nodeward-agent run --aggregator URL, on each node");
    }
    page.into_text()
}

fn verdict(answer: &FleetAnswer) -> String {
    if let Some((standing, all)) = &answer.none_of {
        return verdict_on_none(answer, *standing, all);
    }
    if answer.nodes.is_empty() {
        return format!("INCOMPLETE: no such node has reported ({})", answer.scope);
    }
    let nodes = count(answer.total, "node", "nodes");
    format!("{nodes} ({}): {}", answer.scope, counts(answer))
}

fn verdict_on_none(answer: &FleetAnswer, asked: Standing, all: &FleetAnswer) -> String {
    let (nodes, scope) = (count(all.total, "node", "nodes"), &answer.scope);
    match (asked, all.complete) {
        (Standing::Findings, true) => format!("no findings on {nodes} ({scope})"),
        (Standing::Findings, false) => {
            format!("INCOMPLETE: no findings known on {nodes} ({scope}), something is unknown")
        }
        (Standing::Clean, _) => format!("none of {nodes} is clean ({scope}): {}", counts(all)),
        (Standing::Incomplete, _) => {
            format!("none of {nodes} is only incomplete ({scope}): {}", counts(all))
        }
        (Standing::Gone, _) => format!("no node is gone ({scope}): {}", counts(all)),
    }
}

/// How many nodes stand how.
fn counts(answer: &FleetAnswer) -> String {
    let mut parts = Vec::new();
    if answer.with_findings > 0 {
        parts.push(format!("{} with findings ({})", answer.with_findings, turns(answer)));
    }
    if answer.incomplete > 0 {
        parts.push(format!("{} INCOMPLETE", answer.incomplete));
    }
    if answer.clean > 0 {
        parts.push(format!("{} clean", answer.clean));
    }
    if answer.gone > 0 {
        parts.push(format!("{} gone", answer.gone));
    }
    parts.join(", ")
}

/// On how many nodes each acts first, the most first.
fn turns(answer: &FleetAnswer) -> String {
    let mut turns = std::collections::BTreeMap::<&str, usize>::new();
    for node in answer.nodes.iter().filter(|node| node.findings + node.fixes > 0) {
        *turns.entry(&node.acts_first).or_default() += 1;
    }
    let mut turns: Vec<_> = turns.into_iter().collect();
    turns.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let turns: Vec<String> =
        turns.into_iter().map(|(who, number)| format!("{who} on {number}")).collect();
    format!("acts first: {}", turns.join(", "))
}

fn as_of(answer: &FleetAnswer) -> String {
    let stale = answer
        .nodes
        .iter()
        .filter(|node| !matches!(node.presence, Some(How::WithoutAgent | How::Gone)))
        .filter(|node| node.last_report_at.is_none_or(|at| is_stale(at, answer.as_of)))
        .count();
    let stale = match stale {
        0 => String::new(),
        number => format!(
            "; {} and may have changed since",
            count(number, "node is STALE", "nodes are STALE")
        ),
    };
    let there = answer.nodes.iter().filter(|node| node.presence != Some(How::Gone));
    let oldest = match there.filter_map(|node| node.last_report_at).min() {
        None => String::new(),
        Some(at) => format!(", oldest report {}", ago(at, answer.as_of)),
    };
    format!("{:.0}{oldest}{stale}", answer.as_of)
}

/// The table, and the next command; none without nodes.
fn table(page: &mut Page, answer: &FleetAnswer, wide: bool) -> Option<String> {
    let worst = answer
        .nodes
        .iter()
        .min_by_key(|node| (node.standing, std::cmp::Reverse(node.findings + node.fixes)))?;
    let mut header =
        vec!["CLUSTER", "NODE", "STANDING", "FINDINGS", "FIXES", "OVER", "UNKNOWN", "ACTS FIRST"];
    header.extend(["WORST", "REPORT"]);
    if wide {
        header.extend(["PLATFORM", "DO"]);
    }
    page.table(
        &header,
        answer.nodes.iter().map(|node| {
            let report = match (node.presence, node.last_report_at) {
                (Some(How::WithoutAgent), _) => "no agent".to_owned(),
                (_, None) => "never".to_owned(),
                (_, Some(at)) => ago(at, answer.as_of),
            };
            let mut row = vec![
                node.cluster.clone(),
                node.node.clone(),
                node.standing.word().to_owned(),
                node.findings.to_string(),
                node.fixes.to_string(),
                node.over_line.to_string(),
                node.unknown.to_string(),
                node.acts_first.clone(),
                node.worst.clone(),
                report,
            ];
            if wide {
                row.extend([node.platform.name().to_owned(), node.action.clone()]);
            }
            row
        }),
    );
    Some(format!("nodeward node {} --cluster {}", worst.node, worst.cluster))
}

fn records(answer: &FleetAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "cluster",
        "node",
        "as_of",
        "platform",
        "standing",
        "findings",
        "fixes",
        "fixes_over_line",
        "unknown",
        "acts_first",
        "worst",
        "action",
        "last_report_at",
        "presence",
    ])?;
    for node in &answer.nodes {
        let record = [
            node.cluster.clone(),
            node.node.clone(),
            answer.as_of.to_string(),
            node.platform.word().to_owned(),
            node.standing.word().to_owned(),
            node.findings.to_string(),
            node.fixes.to_string(),
            node.over_line.to_string(),
            node.unknown.to_string(),
            if node.findings + node.fixes > 0 { node.acts_first.clone() } else { String::new() },
            node.worst.clone(),
            node.action.clone(),
            node.last_report_at.map_or_else(String::new, |at| at.to_string()),
            node.presence.map(How::word).unwrap_or_default().to_owned(),
        ];
        csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
