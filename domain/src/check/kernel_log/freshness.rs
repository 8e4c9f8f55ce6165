//! When a line is a finding, and what can be said where none is: a line is an event, a
//! finding for a time, then history. What is dated in the future is neither.

use jiff::{SignedDuration, Timestamp};

use super::DECAY;
use crate::check::{Evidence, Verdict};
use crate::facts::kernel_log::{KernelLog, LogClass, LogEvent, LogLine, LostLines};
use crate::responsibility::{Action, Responsible, Turn};

/// So far ahead of ours the clock of a node may be. A line from beyond that was dated by a
/// clock that is wrong, or was set since: whether it is new nobody can say.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// Whether something is a finding yet, by when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It is, until then.
    Until(Timestamp),
    /// It is over.
    Over,
    /// It is dated in the future, until then: its age is not known.
    Ahead(Timestamp),
}

impl Freshness {
    /// Of something of that moment, which is a finding for so long.
    pub(super) fn of(at: Timestamp, for_so_long: SignedDuration, now: Timestamp) -> Self {
        let reached = at.checked_sub(AHEAD).unwrap_or(Timestamp::MIN);
        if now < reached {
            return Self::Ahead(reached);
        }
        let until = at.checked_add(for_so_long).unwrap_or(Timestamp::MAX);
        match now <= until {
            true => Self::Until(until),
            false => Self::Over,
        }
    }

    /// Whether it is a finding.
    pub(super) const fn is_fresh(self) -> bool {
        matches!(self, Self::Until(_))
    }
}

/// When the first of some moments that are yet to come is reached; none where all are past.
pub(super) fn ahead_until(
    moments: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let ahead = moments.filter_map(|at| match Freshness::of(at, SignedDuration::ZERO, now) {
        Freshness::Ahead(until) => Some(until),
        Freshness::Until(_) | Freshness::Over => None,
    });
    ahead.min()
}

/// Until when nothing can be said because lines were lost of late; none where none were.
pub(super) fn lost_until(lost: LostLines, now: Timestamp) -> Option<Timestamp> {
    match Freshness::of(lost.last_at, DECAY, now) {
        Freshness::Until(until) | Freshness::Ahead(until) => Some(until),
        Freshness::Over => None,
    }
}

/// Lines of one class that are findings yet.
pub(super) struct Fresh<'a> {
    event: &'a LogEvent,
    /// Oldest first, at least one.
    pub(super) lines: Vec<&'a LogLine>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) until: Timestamp,
}

impl<'a> Fresh<'a> {
    /// The newest lines of a class, if any is young enough; else the verdict.
    pub(super) fn of(
        log: &'a KernelLog,
        class: LogClass,
        for_so_long: SignedDuration,
        now: Timestamp,
    ) -> Result<Self, Verdict> {
        let event = log.event(class);
        let is_fresh = |line: &&LogLine| Freshness::of(line.at, for_so_long, now).is_fresh();
        let newest = || event.iter().flat_map(|event| &event.newest);
        let lines: Vec<&LogLine> = newest().filter(is_fresh).collect();
        let evidence = |lines: &[&LogLine]| -> Vec<Evidence> {
            lines.iter().map(|line| told(log.path_of(class), line)).collect()
        };
        match (event, lines.last()) {
            (Some(event), Some(newest)) => {
                let until = newest.at.checked_add(for_so_long).unwrap_or(Timestamp::MAX);
                let evidence = evidence(&lines);
                Ok(Self { event, lines, evidence, until })
            }
            _ => match ahead_until(newest().map(|line| line.at), now) {
                Some(until) => {
                    let all: Vec<&LogLine> = newest().collect();
                    let why = "a line is dated in the future; whether it is new nobody can say";
                    let verdict = Verdict::unknown(why, evidence(&all));
                    Err(Verdict { valid_until: Some(until), ..verdict })
                }
                None => Err(quiet(log, class, now)),
            },
        }
    }

    pub(super) fn newest(&self) -> &'a LogLine {
        self.lines[self.lines.len() - 1]
    }

    /// When the first of them was written; the first of all where none has been dropped.
    fn since(&self) -> Timestamp {
        self.lines[0].at
    }

    /// `what`, how often, and what it is about.
    pub(super) fn message(&self, what: &str) -> String {
        let newest = self.newest();
        let mut message = match newest.subject.as_str() {
            "" => what.to_owned(),
            subject => format!("{what}: {subject}"),
        };
        if self.event.count > 1 {
            message.push_str(&format!(" ({} lines since boot)", self.event.count));
        }
        if self.event.class.is_kernels() && self.lines.iter().all(|line| !line.by_kernel) {
            message.push_str("; a program wrote it, not the kernel");
        }
        message
    }

    pub(super) fn fail(self, message: String, responsible: Responsible, action: Action) -> Verdict {
        let turn = Turn { responsible, action, valid_until: Some(self.until) };
        Verdict::fail(message, self.since(), turn, self.evidence)
    }

    /// Nothing to be done about yet, for as long as nothing comes in addition.
    pub(super) fn pass(self) -> Verdict {
        Verdict { valid_until: Some(self.until), ..Verdict::pass(self.evidence) }
    }

    pub(super) fn unknown(self, why: &str, state: Evidence) -> Verdict {
        let mut evidence = self.evidence;
        evidence.push(state);
        Verdict { valid_until: Some(self.until), ..Verdict::unknown(why, evidence) }
    }
}

/// A line, and where it stands.
fn told(path: &str, line: &LogLine) -> Evidence {
    let place = match line.sequence {
        Some(sequence) => format!("{path} line {sequence}"),
        None => path.to_owned(),
    };
    Evidence::new(place, format!("{:.0} {}", line.at, line.text), "")
}

/// So many lines, in words.
pub(super) fn counted(lines: u64) -> String {
    match lines {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    }
}

/// No line of a class is young enough: so it is fine, unless some were not read.
fn quiet(log: &KernelLog, class: LogClass, now: Timestamp) -> Verdict {
    let path = log.path_of(class);
    if let Some(lost) = log.lost
        && let Some(until) = lost_until(lost, now)
    {
        let why =
            format!("lines were lost until {:.0}; one of these may be among them", lost.last_at);
        let evidence = vec![Evidence::new(path, format!("{} lost", counted(lost.count)), "0")];
        return Verdict { valid_until: Some(until), ..Verdict::unknown(why, evidence) };
    }
    if log.is_behind(class) {
        let evidence = vec![Evidence::new(path, "not read to its end", "")];
        return Verdict::unknown("the journal has more than could be read yet", evidence);
    }
    if let Some(skipped) = log.skipped(class) {
        let evidence = vec![Evidence::new(path, format!("{} damaged", counted(skipped)), "0")];
        let why = "entries of the journal are damaged; one of these may be among them";
        return Verdict::unknown(why, evidence);
    }
    let minutes = DECAY.as_secs() / 60;
    let actual = match log.event(class) {
        Some(event) => {
            let lines = counted(event.count);
            format!("{lines} since boot, none within {minutes} minutes")
        }
        None => "no such line".to_owned(),
    };
    Verdict::pass(vec![Evidence::new(path, actual, "")])
}
