//! The registry of checks, and one check in full.

use nodeward_domain::check::{Check, registry};
use nodeward_domain::policy::{Policy, Standing};
use serde::Serialize;

use super::layout::{Page, count};
use super::{ScreenError, Style, write};

/// A check as machines read it.
#[derive(Debug, Serialize)]
struct Entry {
    reason: &'static str,
    component: &'static str,
    severity: &'static str,
    scope: &'static str,
    responsible: &'static str,
    summary: &'static str,
    policy_rule: &'static str,
    source: &'static str,
}

impl From<&Check> for Entry {
    fn from(check: &Check) -> Self {
        Self {
            reason: check.reason,
            component: check.component.name(),
            severity: check.severity.word(),
            scope: check.scope.word(),
            responsible: check.responsible,
            summary: check.summary,
            policy_rule: check.policy.rule().unwrap_or_default(),
            source: check.source,
        }
    }
}

impl Entry {
    const HEADER: [&str; 8] = [
        "reason",
        "component",
        "severity",
        "scope",
        "responsible",
        "summary",
        "policy_rule",
        "source",
    ];

    const fn record(&self) -> [&'static str; 8] {
        [
            self.reason,
            self.component,
            self.severity,
            self.scope,
            self.responsible,
            self.summary,
            self.policy_rule,
            self.source,
        ]
    }
}

/// Every check.
pub fn checks(style: Style<'_>) -> Result<String, ScreenError> {
    let entries: Vec<Entry> = registry().map(Entry::from).collect();
    let text = |wide: bool| {
        let mut page = Page::new(style.width);
        page.labelled("CHECKS", &count(entries.len(), "check", "checks"));
        page.blank();
        let mut header = vec!["COMPONENT", "REASON", "SEVERITY", "MEANING"];
        if wide {
            header.extend(["USUALLY ACTS", "RULE"]);
        }
        page.table(
            &header,
            entries.iter().map(|entry| {
                let mut row = vec![entry.component, entry.reason, entry.severity, entry.summary];
                if wide {
                    row.extend([entry.responsible, entry.policy_rule]);
                }
                row.into_iter().map(str::to_owned)
            }),
        );
        page.blank();
        page.labelled("NEXT", "nodeward checks --explain REASON");
        page.into_text()
    };
    write(&entries, style, text, |csv| {
        csv.write_record(Entry::HEADER)?;
        entries.iter().try_for_each(|entry| csv.write_record(entry.record()))
    })
}

/// One check in full.
pub fn explain(check: &Check, policy: &Policy, style: Style<'_>) -> Result<String, ScreenError> {
    let entry = Entry::from(check);
    let text = |_| {
        let mut page = Page::new(style.width);
        page.labelled("CHECK", entry.reason);
        page.labelled("MEANS", entry.summary);
        page.labelled("OF", &format!("{}, judged per {}", entry.component, entry.scope));
        page.labelled("SEVERITY", entry.severity);
        page.labelled(
            "ACTS",
            &format!("usually {}; the verdict on a node decides", entry.responsible),
        );
        page.labelled("RULE", &rule(check, policy));
        page.labelled("SOURCE", entry.source);
        page.blank();
        page.labelled("NEXT", &style.command("nodeward nodes --standing findings"));
        page.into_text()
    };
    write(&entry, style, text, |csv| {
        csv.write_record(Entry::HEADER)?;
        csv.write_record(entry.record())
    })
}

fn rule(check: &Check, policy: &Policy) -> String {
    let Some(id) = check.policy.rule() else {
        return "no rule of a support policy speaks of it".to_owned();
    };
    let edition = &policy.edition;
    match policy.rule(id) {
        Standing::InForce(rule) => {
            format!("{id} (edition {edition}): {} {}", rule.summary, rule.source)
        }
        Standing::Lacking { first_edition } => format!(
            "{id}: edition {edition} lacks it; first edition with it: {}",
            first_edition.unwrap_or("none")
        ),
    }
}
