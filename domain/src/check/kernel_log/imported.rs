//! What imported rules found. node-problem-detector's own conditions stay until it is
//! started anew, and are false again then; here both conditions and events are findings
//! for as long after their newest match as any line is.

use jiff::Timestamp;

use super::freshness::{Freshness, ahead_until, lost_until};
use super::{DECAY, of};
use crate::check::{Check, Evidence, Scope, Severity, Verdict, facts, shortened, verdict_or};
use crate::facts::kernel_log::{ImportedFile, ImportedKind, JournalRead, KernelLog};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const NPD: &str = "https://github.com/kubernetes/node-problem-detector/tree/master/config";

pub(super) const CONDITION: Check = of(
    "NpdCondition",
    Severity::Warning,
    "An imported permanent rule of node-problem-detector matched a log within 30 minutes",
    NPD,
    condition,
);

pub(super) const EVENT: Check = of(
    "NpdEvent",
    Severity::Information,
    "An imported temporary rule of node-problem-detector matched a log within 30 minutes",
    NPD,
    event,
);

/// One thing that rules found, whichever kind of rule.
struct Found<'a> {
    file: &'a str,
    what: String,
    message: &'a str,
    since: Timestamp,
    last_at: Timestamp,
}

fn condition(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(with_rules(history));
    let found = log.conditions.iter().map(|one| Found {
        file: &one.file,
        what: format!("{} ({})", one.condition, one.reason),
        message: &one.message,
        since: one.since,
        last_at: one.last_at,
    });
    judged(log, found.collect(), now)
}

fn event(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(with_rules(history));
    let found = log.findings.iter().map(|one| Found {
        file: &one.file,
        what: one.reason.clone(),
        message: &one.message,
        since: one.first_at,
        last_at: one.last_at,
    });
    judged(log, found.collect(), now)
}

/// The facts, if rules were imported.
fn with_rules(history: &NodeHistory) -> Result<&KernelLog, Verdict> {
    let (log, _) = facts(&history.kernel_log, "no log of the kernel")?;
    match log.imported.as_slice() {
        [] => Err(Verdict::not_applicable("no rules were imported, see --npd-config")),
        _ => Ok(log),
    }
}

/// Rules for logs that nobody reads here.
fn idle(log: &KernelLog) -> impl Iterator<Item = &ImportedFile> {
    log.imported
        .iter()
        .filter(|file| file.kind == ImportedKind::LogMonitor && !file.idle.is_empty())
}

fn judged(log: &KernelLog, mut found: Vec<Found<'_>>, now: Timestamp) -> Verdict {
    let ahead = ahead_until(found.iter().map(|one| one.last_at), now);
    found.retain(|one| Freshness::of(one.last_at, DECAY, now).is_fresh());
    found.sort_by_key(|one| std::cmp::Reverse(one.last_at));
    let newest = match (found.first(), ahead) {
        (Some(newest), _) => newest,
        (None, Some(until)) => {
            let why = "a match is dated in the future; whether it is new nobody can say";
            return Verdict { valid_until: Some(until), ..Verdict::unknown(why, Vec::new()) };
        }
        (None, None) => return quiet(log, now),
    };
    let message = match found.len() {
        1 => format!("{}: {}", newest.what, newest.message),
        more => format!("{}: {}; and {} more", newest.what, newest.message, more - 1),
    };
    let since = found.iter().map(|one| one.since).min().unwrap_or(newest.since);
    // What has decayed before this was found is another story.
    let since = match Freshness::of(since, DECAY, now).is_fresh() {
        true => since,
        false => newest.last_at,
    };
    let until = found.iter().filter_map(|one| one.last_at.checked_add(DECAY).ok()).min();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at: format!("the rule in {}", newest.file) },
        valid_until: until,
    };
    let evidence = found.iter().map(|one| {
        let actual = format!("{}: {}", one.what, one.message);
        Evidence::new(one.file, actual, "no match")
    });
    Verdict::fail(message, since, turn, shortened(evidence.collect()))
}

/// Nothing matched of late: so it is fine, unless something was not read.
fn quiet(log: &KernelLog, now: Timestamp) -> Verdict {
    let listed = |file: &ImportedFile| {
        let actual = match file.idle.as_str() {
            "" => format!("{} rules, follows {}", file.rules, file.follows),
            idle => format!("{}: {idle}", file.kind.name()),
        };
        Evidence::new(file.name.clone(), actual, "")
    };
    let evidence = shortened(log.imported.iter().map(listed).collect());
    if let Some(file) = idle(log).next() {
        let why = match idle(log).count() {
            1 => format!("{} is not followed: {}", file.name, file.idle),
            files => {
                format!("{files} files are not followed, {} because: {}", file.name, file.idle)
            }
        };
        return Verdict::unknown(why, evidence);
    }
    if let Some(lost) = log.lost
        && let Some(until) = lost_until(lost, now)
    {
        let why = format!("lines were lost until {:.0}", lost.last_at);
        return Verdict { valid_until: Some(until), ..Verdict::unknown(why, evidence) };
    }
    if let JournalRead::Followed(journal) = &log.journal
        && journal.is_behind
        && log.imported.iter().any(|file| file.follows == journal.folder)
    {
        return Verdict::unknown("the journal has more than could be read yet", evidence);
    }
    if !log.imported.iter().any(|file| file.kind == ImportedKind::LogMonitor) {
        return Verdict::not_applicable("no file among the imported ones has rules for a log");
    }
    Verdict::pass(evidence)
}
