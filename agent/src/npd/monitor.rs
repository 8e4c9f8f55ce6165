//! Rules for lines of a log, and how they are held against them. Source: pkg/systemlogmonitor
//! of node-problem-detector, its `config.go`, `log_buffer.go` and `log_monitor.go`.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use regex::bytes::Regex;

use super::json::Fields;
use super::layout::Layout;
use super::{compile, duration};

/// Lines that are joined for one match, where the file says nothing.
const BUFFER_LINES: usize = 10;

/// As many as that are never joined.
const BUFFER_LIMIT: i64 = 1000;

/// Of a line so much is looked at.
const LINE_LIMIT_BYTES: usize = 8 * 1024;

/// A file of rules.
#[derive(Debug, Clone)]
pub struct Monitor {
    /// What it calls itself.
    pub source: String,
    /// Which log it is for.
    pub follows: Follows,
    /// How far back it looks at the start.
    pub lookback: SignedDuration,
    /// How long after boot it begins.
    pub delay: SignedDuration,
    /// Lines that are joined for one match.
    pub buffer_lines: usize,
    /// Types of the conditions that it declares.
    pub conditions: Vec<String>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// Which log a file of rules is for.
#[derive(Debug, Clone)]
pub enum Follows {
    /// The kernel's.
    Kmsg,
    /// What one program wrote into the journal.
    Journald {
        /// Its `SYSLOG_IDENTIFIER`.
        source: String,
        /// The folder of the journal, on the host; empty for the machine's own.
        path: String,
    },
    /// A file.
    Filelog(Filelog),
}

/// How lines of a file are taken apart.
#[derive(Debug, Clone)]
pub struct Filelog {
    /// The file, on the host.
    pub path: String,
    /// Where the time stands: the last group, or the whole.
    pub timestamp: Regex,
    /// Where the message stands.
    pub message: Regex,
    /// How the time is written.
    pub layout: Layout,
    /// Lines with any of these are passed over.
    pub skip: Vec<String>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// It sets a condition, instead of telling of an event.
    pub is_permanent: bool,
    /// The condition that it sets.
    pub condition: String,
    /// What it tells.
    pub reason: String,
    /// What the lines must look like, to the end of the last one.
    pub pattern: Regex,
    /// What follows the lines in the message; may be empty.
    pub suffix: String,
}

/// Reads a file of rules.
pub(super) fn monitor(fields: &Fields<'_>) -> Result<Monitor, String> {
    let length = |name: &str| -> Result<SignedDuration, String> {
        match fields.text(name)?.as_str() {
            "" => Ok(SignedDuration::ZERO),
            text => duration(text).ok_or_else(|| format!("{name}: {text:?} is no duration")),
        }
    };
    let settings = fields.map("pluginConfig")?;
    let setting = |name: &str| {
        // As in Go's maps the last of equal names counts.
        let named = settings.iter().rfind(|(key, _)| key == name);
        named.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let follows = match fields.text("plugin")?.as_str() {
        "kmsg" => Follows::Kmsg,
        "journald" => match setting("source") {
            Some(source) => Follows::Journald { source, path: fields.text("logPath")? },
            None => return Err("pluginConfig has no source, which journald needs".to_owned()),
        },
        _ => Follows::Filelog(filelog(fields, setting)?),
    };
    let buffer_lines = match fields.number("bufferSize")? {
        None | Some(0) => BUFFER_LINES,
        Some(lines @ 1..=BUFFER_LIMIT) => usize::try_from(lines).unwrap_or(BUFFER_LINES),
        Some(lines) => return Err(format!("bufferSize: {lines} is none up to {BUFFER_LIMIT}")),
    };
    fields.truth("metricsReporting")?;
    let conditions = fields.objects("conditions")?;
    let mut rules = Vec::new();
    for (index, rule) in fields.objects("rules")?.iter().enumerate() {
        let reason = rule.text("reason")?;
        let pattern = rule.text("pattern")?;
        let of = |error| format!("rules[{index}] ({reason}): pattern {pattern:?}: {error}");
        // First as it stands, as node-problem-detector does, so that its end does not hide
        // a mistake.
        compile(&pattern).map_err(of)?;
        rules.push(Rule {
            // Whatever is not temporary acts as permanent.
            is_permanent: rule.text("type")? != "temporary",
            condition: rule.text("condition")?,
            // Without a group: of `a|b` only `b` must reach the end.
            pattern: compile(&format!("{pattern}\\z")).map_err(of)?,
            suffix: rule.text("patternGeneratedMessageSuffix")?,
            reason,
        });
    }
    Ok(Monitor {
        source: fields.text("source")?,
        follows,
        lookback: length("lookback")?,
        delay: length("delay")?,
        buffer_lines,
        conditions: conditions.iter().map(|one| one.text("type")).collect::<Result<_, _>>()?,
        rules,
    })
}

fn filelog(
    fields: &Fields<'_>,
    setting: impl Fn(&str) -> Option<String>,
) -> Result<Filelog, String> {
    let needed = |name: &str| {
        setting(name).ok_or_else(|| format!("pluginConfig has no {name}, which filelog needs"))
    };
    let expression = |name: &str| {
        let pattern = needed(name)?;
        compile(&pattern).map_err(|error| format!("pluginConfig.{name} {pattern:?}: {error}"))
    };
    Ok(Filelog {
        path: fields.text("logPath")?,
        timestamp: expression("timestamp")?,
        message: expression("message")?,
        layout: Layout::new(&needed("timestampFormat")?),
        skip: fields.texts("skipList")?,
    })
}

impl Monitor {
    /// When reading begins: not before the delay after boot, and not before the lookback.
    #[must_use]
    pub fn starts_at(&self, booted: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let looked_back = now.checked_sub(self.lookback).unwrap_or(Timestamp::MIN);
        let delayed = booted.map(|at| at.checked_add(self.delay).unwrap_or(Timestamp::MAX));
        delayed.map_or(looked_back, |delayed| delayed.max(looked_back))
    }
}

impl Filelog {
    /// Time and message of a line; none of one that has not both, or is passed over.
    #[must_use]
    pub fn take_apart<'a>(
        &self,
        line: &'a str,
        zone: &jiff::tz::TimeZone,
        now: Timestamp,
    ) -> Option<(Timestamp, &'a str)> {
        if self.skip.iter().any(|part| line.contains(part)) {
            return None;
        }
        let timestamp = last_group(&self.timestamp, line)?;
        let message = last_group(&self.message, line)?;
        Some((self.layout.parse(timestamp, zone, now)?, message))
    }
}

/// What the last group matched, or the whole where there is none.
fn last_group<'a>(regex: &Regex, line: &'a str) -> Option<&'a str> {
    let groups = regex.captures(line.as_bytes())?;
    match groups.get(groups.len() - 1) {
        Some(group) => line.get(group.range()),
        None => Some(""),
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The rule, by its place in the file.
    pub rule: usize,
    /// The lines that matched, joined, with the rule's suffix.
    pub message: String,
    /// When the first of them was written.
    pub at: Timestamp,
}

/// The last lines of a log, held against the rules of one file.
#[derive(Debug, Clone)]
pub struct Matcher {
    lines: VecDeque<(Timestamp, String)>,
    joined: String,
    capacity: usize,
}

impl Matcher {
    /// For the rules of a file.
    #[must_use]
    pub fn new(monitor: &Monitor) -> Self {
        Self { lines: VecDeque::new(), joined: String::new(), capacity: monitor.buffer_lines }
    }

    /// Takes the next line, and tells what every rule makes of it.
    pub fn push(&mut self, rules: &[Rule], at: Timestamp, line: &str) -> Vec<Matched> {
        if self.lines.len() == self.capacity {
            self.lines.pop_front();
        }
        let line = &line[..line.floor_char_boundary(LINE_LIMIT_BYTES)];
        self.lines.push_back((at, line.to_owned()));
        self.joined.clear();
        // What has not been filled yet counts as empty lines.
        for _ in self.lines.len()..self.capacity {
            self.joined.push('\n');
        }
        for (index, (_, line)) in self.lines.iter().enumerate() {
            if index > 0 {
                self.joined.push('\n');
            }
            self.joined.push_str(line);
        }
        let mut matched = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let Some(found) = rule.pattern.find(self.joined.as_bytes()) else { continue };
            matched.push(self.matched(index, rule, found.start()));
        }
        matched
    }

    /// From the line in which the match begins to the last one.
    fn matched(&self, index: usize, rule: &Rule, start: usize) -> Matched {
        let empty = self.capacity - self.lines.len();
        let before = self.joined.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
        let first = before.saturating_sub(empty).min(self.lines.len().saturating_sub(1));
        let mut message = String::new();
        for (index, (_, line)) in self.lines.iter().skip(first).enumerate() {
            if index > 0 {
                message.push('\n');
            }
            message.push_str(line);
        }
        if !rule.suffix.is_empty() {
            message.push_str("; ");
            message.push_str(&rule.suffix);
        }
        let at = self.lines.get(first).map_or(Timestamp::UNIX_EPOCH, |(at, _)| *at);
        Matched { rule: index, message, at }
    }
}
