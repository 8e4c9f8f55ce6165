//! The fixes that one node lacks: a line a package, and in full a paragraph a record.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::advisory::Published;
use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::fixes::answer::{ContainerRow, FixesAnswer};
use nodeward_domain::fixes::counts::FixCounts;
use nodeward_domain::fixes::opinion::Opinion;
use nodeward_domain::fixes::row::{FixRow, PackageFixes};

use super::layout::{Page, count};
use crate::inert;

/// So many packages are shown in short.
const SHOWN: usize = 12;

/// Shows them, below a line with the sums.
pub(super) fn show(page: &mut Page, fixes: &FixesAnswer, answer: &NodeAnswer, wide: bool) {
    page.blank();
    page.labelled("FIXES", &sums(&fixes.counts, &answer.provider));
    page.labelled("", &sources(fixes, answer.as_of));
    if !fixes.containers.is_empty() {
        page.labelled("", &containers(fixes));
    }
    if let Some(opinion) = &fixes.opinion {
        page.labelled("", &opinion_of(opinion, wide));
    }
    if fixes.packages.is_empty() && (!wide || fixes.containers.is_empty()) {
        return;
    }
    page.blank();
    if wide {
        fixes.packages.iter().for_each(|package| show_package(page, package, answer));
        fixes.containers.iter().for_each(|container| show_container(page, container, answer));
        show_not_judged(page, fixes);
        return;
    }
    let acting = fixes.packages.iter().filter(|package| is_for_somebody(package));
    let shown: Vec<&PackageFixes> = acting.take(SHOWN).collect();
    let header = ["PACKAGE", "INSTALLED", "FIXED IN", "FIXES", "CVES", "OLDEST", "ACTS", "DO"];
    page.table(&header, shown.iter().map(|package| line(package, answer)));
    let left = fixes.packages.len() - shown.len();
    if left > 0 {
        page.labelled("", &format!("{} more: -o wide", count(left, "package", "packages")));
    }
}

/// Whether it is more than a vulnerability without a fix.
fn is_for_somebody(package: &PackageFixes) -> bool {
    package.fixes.iter().any(|fix| fix.fixed.is_some())
}

/// How many fixes are whose turn.
pub(super) fn sums(counts: &FixCounts, provider: &str) -> String {
    let mut parts = Vec::new();
    for (number, who) in [
        (counts.customer, "YOU"),
        (counts.provider, provider.to_uppercase().as_str()),
        (counts.automation, "AUTOMATION"),
        (counts.nobody_yet, "NOBODY YET"),
        (counts.unknown, "UNKNOWN"),
    ] {
        if number > 0 {
            parts.push(format!("{who} {number}"));
        }
    }
    let missing = counts.findings() + counts.nobody_yet;
    let mut text = match missing {
        0 => "none known to be missing".to_owned(),
        number => format!("{number} missing: {}", parts.join(", ")),
    };
    if counts.over_line > 0 {
        text.push_str(&format!("; {} over the policy's line", counts.over_line));
    }
    for (number, what) in
        [(counts.no_fix, "without a fix (NO FIX)"), (counts.mitigated, "mitigated")]
    {
        if number > 0 {
            text.push_str(&format!("; {number} {what}"));
        }
    }
    text
}

/// What was judged, by which feeds, and how old these are.
fn sources(fixes: &FixesAnswer, now: Timestamp) -> String {
    let FixCounts { judged, not_covered, not_judged, .. } = fixes.counts;
    let mut text = format!(
        "{} of {} judged",
        count(judged, "source package", "source packages"),
        fixes.stream
    );
    for (number, what) in
        [(not_covered, "not covered by any advisory"), (not_judged, "not readable")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    let feeds: Vec<String> = fixes
        .feeds
        .iter()
        .map(|feed| {
            let stale = if feed.is_stale { ", STALE" } else { "" };
            let age = days(now.duration_since(feed.as_of));
            format!("{} ({age} old{stale}, {})", feed.name, feed.coverage)
        })
        .collect();
    match feeds.as_slice() {
        [] => text.push_str("; no feed speaks of it"),
        feeds => text.push_str(&format!("; by {}", feeds.join(", "))),
    }
    text
}

/// The container images of kube-system in a sentence.
fn containers(fixes: &FixesAnswer) -> String {
    let names: BTreeSet<&str> = fixes.containers.iter().map(|one| one.name.as_str()).collect();
    let images = count(names.len(), "container image", "container images");
    let mut text = format!("{images} of kube-system");
    let lacking = fixes.containers.iter().filter(|one| !one.ids.is_empty());
    let lacking: BTreeSet<&str> = lacking.map(|one| one.name.as_str()).collect();
    if !lacking.is_empty() {
        let lacking = count(lacking.len(), "lacks fixes", "lack fixes");
        text.push_str(&format!(", {lacking} by the provider's scan report"));
    }
    match fixes.counts.containers_not_covered {
        0 => {}
        number => text.push_str(&format!(", {number} not covered by any scan report")),
    }
    text
}

/// Where the provider's scanner and we disagree.
pub(super) fn opinion_of(opinion: &Opinion, wide: bool) -> String {
    let Opinion { image, reported_at, agree, we_alone, they_alone } = opinion;
    let named = |ids: &[String]| match (ids.len(), wide) {
        (0, _) | (_, false) => ids.len().to_string(),
        (number, true) => format!("{number} ({})", ids.join(", ")),
    };
    format!(
        "scan report of {image} ({reported_at:.0}): agrees on {}, we alone {}, it alone {}",
        count(*agree, "CVE", "CVEs"),
        named(we_alone),
        named(they_alone)
    )
}

fn show_container(page: &mut Page, container: &ContainerRow, answer: &NodeAnswer) {
    let said = match (&container.responsible, &container.since) {
        _ if !container.is_covered => "not covered by any scan report".to_owned(),
        (Some(who), Some(since)) => {
            let age = days(answer.as_of.duration_since(*since));
            let action = container.action.as_ref().map(ToString::to_string).unwrap_or_default();
            let who = who.word(&answer.provider);
            format!("{who}  {}, for {age} at least; do: {action}", container.ids.join(", "))
        }
        _ => "nothing missing by the scan report".to_owned(),
    };
    page.fold("  ", 4, &format!("{}  {said}", container.name));
}

/// An age in days, as the policy counts them.
pub(super) fn days(age: SignedDuration) -> String {
    match age.as_hours() / 24 {
        0 => format!("{} h", age.as_hours().max(0)),
        days => format!("{days} d"),
    }
}

/// How old a fix is, and whether it may be older.
pub(super) fn age(published: Option<&Published>, now: Timestamp) -> String {
    match published {
        None => "?".to_owned(),
        Some(published) if published.is_at_least() => format!(">= {}", days(published.age(now))),
        Some(published) => days(published.age(now)),
    }
}

fn who(fix: &FixRow, provider: &str) -> String {
    fix.responsible.as_ref().map_or_else(|| "-".to_owned(), |who| who.word(provider))
}

fn line(package: &PackageFixes, answer: &NodeAnswer) -> Vec<String> {
    let first = package.first();
    let oldest = package
        .fixes
        .iter()
        .min_by_key(|fix| fix.published.as_ref().map_or(Timestamp::MAX, |published| published.at));
    vec![
        package.source.clone(),
        package.installed.clone(),
        // Of the fix that the last two columns are about.
        first.and_then(|fix| fix.fixed.clone()).unwrap_or_default(),
        package.fixes.len().to_string(),
        package.aliases().len().to_string(),
        oldest.map(|fix| age(fix.published.as_ref(), answer.as_of)).unwrap_or_default(),
        first.map(|fix| who(fix, &answer.provider)).unwrap_or_default(),
        first.and_then(|fix| fix.action.as_ref()).map(ToString::to_string).unwrap_or_default(),
    ]
}

fn show_package(page: &mut Page, package: &PackageFixes, answer: &NodeAnswer) {
    let kernel = if package.is_running_kernel { ", the kernel that runs" } else { "" };
    let binaries = match package.binaries.as_slice() {
        [] => String::new(),
        [only] if *only == package.source => String::new(),
        binaries => format!(" ({})", binaries.join(", ")),
    };
    let PackageFixes { source, installed, .. } = package;
    page.fold("  ", 4, &format!("{source} {installed}{kernel}{binaries}"));
    for fix in &package.fixes {
        page.fold("    ", 6, &record(fix, answer));
    }
    page.blank();
}

/// One vendor's record, in a sentence.
fn record(fix: &FixRow, answer: &NodeAnswer) -> String {
    let mut text = format!("{}  {}", who(fix, &answer.provider), fix.record);
    if let Some(fixed) = &fix.fixed {
        text.push_str(&format!("  fixed in {fixed}"));
    }
    if fix.tier != "base" {
        text.push_str(&format!(" ({})", fix.tier));
    }
    if let Some(published) = &fix.published {
        text.push_str(&format!(
            ", {} old: {} {:.0} (feed {})",
            age(Some(published), answer.as_of),
            published.kind.word(),
            published.at,
            published.feed
        ));
    }
    let names: Vec<String> = fix.aliases.iter().map(|alias| alias.id.to_string()).collect();
    if !names.is_empty() {
        text.push_str(&format!("; {}", names.join(", ")));
    }
    if !fix.mitigation.is_empty() {
        text.push_str(&format!("; {}", fix.mitigation));
    }
    if let Some(action) = &fix.action {
        text.push_str(&format!("; do: {action}"));
    }
    text
}

fn show_not_judged(page: &mut Page, fixes: &FixesAnswer) {
    for (label, all) in [("not covered", &fixes.not_covered), ("not readable", &fixes.unknown)] {
        for one in all {
            page.fold("  ", 4, &format!("{label}  {} {}: {}", one.source, one.version, one.why));
        }
    }
    if !fixes.not_covered.is_empty() || !fixes.unknown.is_empty() {
        page.blank();
    }
}

/// A record of CSV for each vendor's record, in the columns of checks.
pub(super) fn records(
    answer: &NodeAnswer,
    csv: &mut csv::Writer<Vec<u8>>,
) -> Result<(), csv::Error> {
    let Some(fixes) = &answer.fixes else { return Ok(()) };
    let last_report_at = answer.last_report_at.map_or_else(String::new, |at| at.to_string());
    for package in &fixes.packages {
        for fix in &package.fixes {
            let names: Vec<String> = fix.aliases.iter().map(|alias| alias.id.to_string()).collect();
            let fixed =
                fix.fixed.as_ref().map_or("no fix".to_owned(), |to| format!("fixed in {to}"));
            let published = fix.published.as_ref();
            let record = [
                answer.cluster.clone(),
                answer.node.clone(),
                answer.as_of.to_string(),
                last_report_at.clone(),
                "packages".to_owned(),
                "present".to_owned(),
                fix.record.clone(),
                step_word(fix).to_owned(),
                fix.rating().word().to_owned(),
                who(fix, &answer.provider),
                published.map_or_else(String::new, |published| published.at.to_string()),
                format!("{} {}: {fixed}", package.source, package.installed),
                fix.action.as_ref().map(ToString::to_string).unwrap_or_default(),
                String::new(),
                names.join(" "),
            ];
            csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))?;
        }
    }
    Ok(())
}

/// The outcome in the words of checks.
fn step_word(fix: &FixRow) -> &'static str {
    match (&fix.responsible, &fix.fixed) {
        (None, _) => "mitigated",
        (Some(_), None) => "no_fix",
        (Some(_), Some(_)) => "missing_fix",
    }
}
