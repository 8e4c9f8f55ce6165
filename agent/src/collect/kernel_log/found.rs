//! What is kept of lines that tell something: so many of each kind, and how many there were.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::kernel_log::{
    ImportedCondition, ImportedEvent, LogClass, LogEvent, LogLine, NEWEST_KEPT,
};

use crate::npd::{Matched, Monitor};

/// Of a line, and of what an imported rule found, so much is kept.
const LINE_LIMIT_BYTES: usize = 256;
const MESSAGE_LIMIT_BYTES: usize = 1024;

/// So many conditions, and so many events, of imported rules are kept.
const KEPT: usize = 64;

/// A condition that nothing has matched for so long is set anew by what does: its check has
/// cleared by then.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(30);

fn cut(text: &str, limit_bytes: usize) -> String {
    match text.len() <= limit_bytes {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(limit_bytes)]),
    }
}

/// Events of the kernel's lines.
#[derive(Debug, Default)]
pub(super) struct Events(BTreeMap<LogClass, LogEvent>);

impl Events {
    /// Takes a line of a class.
    pub(super) fn take(
        &mut self,
        class: LogClass,
        at: Timestamp,
        sequence: Option<u64>,
        subject: &str,
        text: &str,
        by_kernel: bool,
    ) {
        let event = self.0.entry(class).or_insert_with(|| LogEvent {
            class,
            count: 0,
            first_at: at,
            newest: Vec::new(),
        });
        event.count = event.count.saturating_add(1);
        if event.newest.len() == NEWEST_KEPT {
            event.newest.remove(0);
        }
        let text = cut(text, LINE_LIMIT_BYTES);
        let subject = cut(subject, LINE_LIMIT_BYTES);
        event.newest.push(LogLine { at, sequence, subject, text, by_kernel });
    }

    /// All of them, by class.
    pub(super) fn all(&self) -> Vec<LogEvent> {
        self.0.values().cloned().collect()
    }
}

/// What imported rules found.
#[derive(Debug, Default)]
pub(super) struct Found {
    conditions: BTreeMap<(String, String), ImportedCondition>,
    findings: BTreeMap<(String, String), ImportedEvent>,
    left_out: u32,
}

impl Found {
    /// Takes what a rule of a file has found.
    pub(super) fn take(&mut self, file: &str, monitor: &Monitor, matched: &Matched) {
        let Some(rule) = monitor.rules.get(matched.rule) else { return };
        let message = cut(&matched.message, MESSAGE_LIMIT_BYTES);
        let at = super::seconds(matched.at);
        if !rule.is_permanent {
            let key = (file.to_owned(), rule.reason.clone());
            let new = ImportedEvent {
                file: file.to_owned(),
                reason: rule.reason.clone(),
                message: String::new(),
                count: 0,
                first_at: at,
                last_at: at,
            };
            let one = self.findings.entry(key).or_insert(new);
            one.count = one.count.saturating_add(1);
            one.message = message;
            one.last_at = one.last_at.max(at);
            return self.keep();
        }
        // A rule of a condition that is not declared does nothing, as there.
        if !monitor.conditions.contains(&rule.condition) {
            return;
        }
        let key = (file.to_owned(), rule.condition.clone());
        match self.conditions.get_mut(&key) {
            Some(one)
                if one.reason == rule.reason && at.duration_since(one.last_at) <= FORGOTTEN =>
            {
                one.last_at = one.last_at.max(at);
            }
            _ => {
                let one = ImportedCondition {
                    file: file.to_owned(),
                    condition: rule.condition.clone(),
                    reason: rule.reason.clone(),
                    message,
                    since: at,
                    last_at: at,
                };
                self.conditions.insert(key, one);
            }
        }
        self.keep();
    }

    /// Leaves out what is oldest, where there is too much.
    fn keep(&mut self) {
        if self.conditions.len() > KEPT {
            let oldest = self.conditions.iter().min_by_key(|(_, one)| one.last_at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.conditions.remove(&key);
                self.left_out = self.left_out.saturating_add(1);
            }
        }
        if self.findings.len() > KEPT {
            let oldest = self.findings.iter().min_by_key(|(_, one)| one.last_at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.findings.remove(&key);
                self.left_out = self.left_out.saturating_add(1);
            }
        }
    }

    pub(super) fn conditions(&self) -> Vec<ImportedCondition> {
        self.conditions.values().cloned().collect()
    }

    pub(super) fn findings(&self) -> Vec<ImportedEvent> {
        self.findings.values().cloned().collect()
    }

    pub(super) const fn left_out(&self) -> u32 {
        self.left_out
    }
}
