//! Checks of `pressure`: do tasks wait for memory, disks or processors so long that the
//! node's work suffers. A share of time is judged, between two rounds and over the last
//! minute, and only what three rounds in a row have seen counts. The lines are ours: below
//! that of systemd-oomd, which kills from 60 % on.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, verdict_or,
};
use crate::component::Component;
use crate::measured::Stall;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const PSI: &str = "https://docs.kernel.org/accounting/psi.html";

/// The file that a resource is told in.
const FOLDER: &str = "/proc/pressure";

const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Pressure,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::None,
        source: PSI,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "MemoryStalled",
        Severity::Warning,
        "All tasks together wait for memory for more than a tenth of the time",
        memory_stalled,
    ),
    check(
        "IoStalled",
        Severity::Warning,
        "All tasks together wait for disks for more than a quarter of the time",
        io_stalled,
    ),
    check(
        "MemoryContended",
        Severity::Information,
        "Some task waits for memory for more than a fifth of the time",
        memory_contended,
    ),
    check(
        "CpuContended",
        Severity::Information,
        "Some task waits for a processor for more than three quarters of the time",
        cpu_contended,
    ),
];

/// What waits for what, and how long is too long.
struct Line {
    stall: Stall,
    /// Beside it, for evidence.
    beside: Option<Stall>,
    ratio: f64,
    resource: &'static str,
    who: &'static str,
    look: &'static str,
}

const MEMORY_STALLED: Line = Line {
    stall: Stall::MemoryFull,
    beside: Some(Stall::MemorySome),
    ratio: 0.1,
    resource: "memory",
    who: "all tasks wait for memory",
    look: "which pods use it (kubectl top pods), and their requests and limits",
};

const IO_STALLED: Line = Line {
    stall: Stall::IoFull,
    beside: Some(Stall::IoSome),
    ratio: 0.25,
    resource: "io",
    who: "all tasks wait for disks",
    look: "which pods write, and the limits of the disk and of the machine's size",
};

const MEMORY_CONTENDED: Line = Line {
    stall: Stall::MemorySome,
    beside: None,
    ratio: 0.2,
    who: "some task waits for memory",
    ..MEMORY_STALLED
};

const CPU_CONTENDED: Line = Line {
    stall: Stall::CpuSome,
    beside: None,
    ratio: 0.75,
    resource: "cpu",
    who: "some task waits for a processor",
    look: "which pods use it (kubectl top pods), and their requests and limits",
};

fn memory_stalled(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    judged(history, scope, &MEMORY_STALLED)
}

fn io_stalled(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    judged(history, scope, &IO_STALLED)
}

fn memory_contended(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    if is_over(history, &MEMORY_STALLED) == Some(true) {
        let _ = verdict_or!(facts(&history.pressure, ABSENT));
        return Verdict::not_applicable("all tasks wait, see MemoryStalled");
    }
    judged(history, scope, &MEMORY_CONTENDED)
}

fn cpu_contended(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    judged(history, scope, &CPU_CONTENDED)
}

const ABSENT: &str = "the kernel does not tell it";

/// Whether tasks wait longer than the line: over the last minute, and since the last round
/// where both tell it, so that what has passed does not count. None when it was not measured.
fn is_over(history: &NodeHistory, line: &Line) -> Option<bool> {
    let minute = line.stall.minute_ratio(history.measured.newest())?;
    let round = history.measured.share(line.stall);
    Some(minute > line.ratio && round.is_none_or(|share| share > line.ratio))
}

fn judged(history: &NodeHistory, scope: &Scope, line: &Line) -> Verdict {
    let (pressure, _) = verdict_or!(facts(&history.pressure, ABSENT));
    let place = format!("{FOLDER}/{}", line.resource);
    if !pressure.resources.iter().any(|resource| resource == line.resource) {
        return Verdict::not_applicable(format!("there is no {place}"));
    }
    let measured = history.measured.newest();
    let Some((minute, is_over)) = line.stall.minute_ratio(measured).zip(is_over(history, line))
    else {
        return Verdict::unknown(format!("{place} was not measured"), Vec::new());
    };
    let expected = format!("at most {}", percent(line.ratio));
    let mut evidence = vec![Evidence::new(&place, told(history, line.stall, minute), expected)];
    if let Some(beside) = line.beside
        && let Some(minute) = beside.minute_ratio(measured)
    {
        evidence.push(Evidence::new(&place, told(history, beside, minute), ""));
    }
    if !is_over {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at: line.look.to_owned() },
        valid_until: None,
    };
    let message = format!("{} for {} of the last minute", line.who, percent(minute));
    Verdict::fail(message, since, turn, evidence)
}

/// What was seen of one kind of waiting.
fn told(history: &NodeHistory, stall: Stall, minute: f64) -> String {
    let kind = match stall {
        Stall::CpuSome | Stall::MemorySome | Stall::IoSome => "some",
        Stall::MemoryFull | Stall::IoFull => "full",
    };
    let minute = percent(minute);
    match history.measured.share(stall) {
        Some(share) => format!("{kind}: {minute} of a minute, {} since last round", percent(share)),
        None => format!("{kind}: {minute} of a minute"),
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{ComponentState, Pressure};
    use crate::measured::Measurements;
    use crate::node::Holding;
    use crate::observed::State;
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    /// A node whose tasks wait for disks: seconds since boot and the last minute's share, one
    /// reading every thirty seconds.
    fn node(readings: &[(f64, f64)]) -> NodeHistory {
        let mut history = NodeHistory::default();
        for (round, (seconds, minute)) in (0..).zip(readings) {
            let at = Timestamp::from_second(30 * round).expect("a small number of seconds");
            let resources = ["cpu", "io", "memory"].map(str::to_owned).to_vec();
            let state = State::Present(Arc::new(Pressure { resources }));
            history.observe(ComponentState::Pressure(state), at, Duration::ZERO);
            let measured = Measurements {
                pressure_io_full_seconds_total: Some(*seconds),
                pressure_io_full_1m_ratio: Some(*minute),
                ..Measurements::default()
            };
            history.measured.observe(measured, at);
        }
        history
    }

    fn judged(reason: &str, history: &NodeHistory, rounds: u32) -> Verdict {
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let standing = Holding { observations: rounds, since: Some(Timestamp::UNIX_EPOCH) };
        let scope = Scope { outside: Default::default(), platform: Platform::Plain, standing };
        let check = find(reason).expect("a check");
        (check.judge)(history, &scope, &policy, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_has_passed_does_not_count_although_the_average_still_tells_it() {
        let waiting = [(100.0, 0.1), (115.0, 0.4), (130.0, 0.5)];
        let verdict = judged("IoStalled", &node(&waiting), 3);
        assert_eq!(verdict.outcome.word(), "fail");
        let told = "full: 50.0 % of a minute, 50.0 % since last round";
        assert_eq!(verdict.evidence[0].actual, told);
        let passed = [(100.0, 0.1), (115.0, 0.4), (115.1, 0.3)];
        assert_eq!(judged("IoStalled", &node(&passed), 3).outcome, Outcome::Pass);
        // The same reading once more: the average alone tells.
        let again = [(115.0, 0.4), (115.0, 0.4)];
        assert_eq!(judged("IoStalled", &node(&again), 3).outcome.word(), "fail");
    }

    #[test]
    fn one_odd_reading_is_no_finding() {
        let waiting = [(100.0, 0.1), (115.0, 0.4)];
        for rounds in 0..3 {
            let outcome = judged("IoStalled", &node(&waiting), rounds).outcome;
            assert_eq!(outcome, Outcome::Confirming { observations: rounds });
        }
    }

    #[test]
    fn what_was_not_measured_is_unknown_and_never_seen_not_applicable() {
        assert_eq!(judged("MemoryStalled", &node(&[(1.0, 0.0)]), 3).outcome.word(), "unknown");
        let mut history = NodeHistory::default();
        let state = State::NotApplicable("no pressure stall information".to_owned());
        let at = Timestamp::UNIX_EPOCH;
        history.observe(ComponentState::Pressure(state), at, Duration::ZERO);
        for reason in ["MemoryStalled", "MemoryContended", "CpuContended"] {
            assert_eq!(judged(reason, &history, 3).outcome.word(), "not_applicable");
        }
    }
}
