//! The summary to paste into a request: what is handed in, what was left out, by which rules,
//! and what all of it rests on. Text of nodes and feeds is inert in it.

use std::collections::BTreeSet;

use nodeward_domain::fixes::fleet::{PatchAge, PatchAgeRow};
use nodeward_domain::policy::{Policy, Standing};

use super::{Exported, RULES, joined, names};
use crate::inert;

/// Text of a node or a feed in a table of Markdown.
fn plain(text: &str) -> String {
    inert::text(text).replace('|', "\\|").replace('`', "'").replace('<', "&lt;")
}

/// Rows that the summary shows; the list has them all.
const SHOWN: usize = 50;

pub(super) fn summary(
    rows: &[&PatchAgeRow],
    answer: &PatchAge,
    policy: &Policy,
    exported: &Exported,
) -> String {
    let mut text = String::new();
    let mut line = |one: &str| {
        text.push_str(one);
        text.push('\n');
    };
    line("# Vulnerabilities with a vendor fix older than 30 days on the newest node image\n");
    line(&format!(
        "{} vulnerabilities in {} components, on nodes that run the newest image offered to them. Made by Nodeward {} on {:.0}, by edition {} of the support policy.\n",
        exported.filtered,
        rows.iter().map(|row| &row.packages).collect::<BTreeSet<_>>().len(),
        env!("CARGO_PKG_VERSION"),
        answer.as_of,
        answer.policy_edition
    ));
    if !answer.is_complete() {
        line("**Not everything could be told; what is missing stands below.**\n");
    }
    if !rows.is_empty() {
        line(
            "| component | installed | fixed in | advisory | fix published | age | nodes | node image | CVEs |",
        );
        line("|---|---|---|---|---|---|---|---|---|");
        for row in rows.iter().take(SHOWN) {
            let names: Vec<String> = names(row).into_iter().map(|(name, _)| name).collect();
            let published = row.oldest.as_ref();
            line(&format!(
                "| {} | {} | {} | {} | {} | {} d | {} | {} | {} |",
                plain(&joined(&row.packages)),
                plain(&joined(&row.installed)),
                plain(&joined(&row.fixed)),
                plain(&row.subject),
                published.map_or_else(String::new, |one| format!("{:.0}", one.at)),
                row.oldest_age_days(answer.as_of).map_or_else(String::new, |days| days.to_string()),
                row.nodes,
                plain(&joined(&row.images)),
                plain(&names.join(", "))
            ));
        }
        if rows.len() > SHOWN {
            line(&format!("\n{} more rows stand in filtered-cves.csv.", rows.len() - SHOWN));
        }
        line("");
    }
    line("## What was left out\n");
    if exported.excluded.is_empty() {
        line("Nothing.");
    }
    for (reason, number) in &exported.excluded {
        line(&format!("- {number}: {reason}"));
    }
    let not_covered = answer.counts.not_covered;
    if not_covered > 0 {
        line(&format!(
            "- {not_covered}: source packages that no advisory covers, counted on each node; no row tells of them"
        ));
    }
    line("\nRow by row: excluded.csv.\n");
    line("## By which rules\n");
    for id in RULES {
        if let Standing::InForce(rule) = policy.rule(id) {
            line(&format!("- {} ({})", rule.summary, rule.source));
        }
    }
    line("\n## What it rests on\n");
    for feed in &answer.feeds {
        line(&format!(
            "- feed {}: of {:.0}, SHA-256 {}{}",
            plain(&feed.name),
            feed.as_of,
            plain(&feed.digest),
            if feed.is_stale { ", stale" } else { "" }
        ));
    }
    line(&format!("- {} nodes", answer.nodes));
    for what in unknown(answer) {
        line(&format!("- not told: {}", plain(&what)));
    }
    text
}

/// What is not part of the answer, a line each.
fn unknown(answer: &PatchAge) -> Vec<String> {
    let mut lines = Vec::new();
    if !answer.stale.is_empty() {
        lines.push(format!("nodes that have not reported of late: {}", answer.stale.join(", ")));
    }
    lines.extend(answer.not_judged.iter().map(|one| format!("{}: {}", one.node, one.why)));
    lines.extend(answer.incomplete.iter().map(|(what, nodes)| format!("on {nodes} nodes: {what}")));
    lines
}
