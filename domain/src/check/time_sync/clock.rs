//! Is the clock synchronised, by a source that answers, lately, and near the truth.

use jiff::Timestamp;

use super::{asked, confirmed, is_unreachable, kept, time_sync, tracked, turn, verdict_or};
use crate::check::{Evidence, Scope, Verdict};
use crate::facts::{KernelClock, LeapStatus, TimeSync, Tracked};
use crate::measured::{Measurements, Watched};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

const KERNEL: &str = "adjtimex(2)";

/// What looks into it: the daemon says why it takes no source.
fn look() -> Action {
    Action::Investigate { at: "chronyc sources and chronyc selectdata".to_owned() }
}

/// The kernel's word: a greatest error at its ceiling means that nobody has synchronised
/// the clock since boot, or not for nine hours. The bit `STA_UNSYNC` does not: chrony
/// leaves it set where it is not told to copy the time to the clock on the board.
fn kernel_doubts(time: &TimeSync) -> bool {
    matches!(time.kernel, KernelClock::Read { is_error_bounded: false, .. })
}

fn is_unsynchronised(time: &TimeSync) -> bool {
    match time.tracked() {
        Some(tracked) if is_unreachable(tracked) => false,
        Some(tracked) => tracked.leap == LeapStatus::Unsynchronised || kernel_doubts(time),
        None => kernel_doubts(time),
    }
}

pub(super) fn unsynchronised(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    verdict_or!(kept(time));
    if let Some(tracked) = time.tracked() {
        verdict_or!(reaches(tracked));
    }
    let mut evidence = Vec::new();
    match &time.kernel {
        KernelClock::Read { is_error_bounded, .. } => {
            let says = if *is_error_bounded { "below 16 s" } else { "16 s, its ceiling" };
            let says = format!("greatest error {says}");
            evidence.push(Evidence::new(KERNEL, says, "below 16 s"));
        }
        KernelClock::Unread(why) if time.tracked().is_none() => {
            return Verdict::unknown(format!("the kernel's clock was not read: {why}"), evidence);
        }
        KernelClock::Unread(why) => evidence.push(Evidence::new(KERNEL, why, "below 16 s")),
    }
    if let Some(tracked) = time.tracked() {
        evidence.push(Evidence::new(asked(time, "tracking"), tracked.to_string(), ""));
    }
    if !is_unsynchronised(time) {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.time_sync.holding(is_unsynchronised)),
        &evidence
    ));
    let by_operator = match time.tracked() {
        Some(_) => look(),
        None => Action::Investigate { at: "timedatectl and the daemon's log".to_owned() },
    };
    let turn = turn(time, scope, policy, by_operator);
    Verdict::fail("a daemon runs and the clock is not synchronised", since, turn, evidence)
}

/// What a lost source means for the clock is the matter of one check.
fn reaches(tracked: &Tracked) -> Result<(), Verdict> {
    match is_unreachable(tracked) {
        false => Ok(()),
        true => Err(Verdict::not_applicable("no source answers, see TimeSourceUnreachable")),
    }
}

pub(super) fn unreachable(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    let tracked = verdict_or!(tracked(time));
    let named: Vec<String> = tracked.sources.iter().map(ToString::to_string).collect();
    let named = match named.is_empty() {
        true => "none".to_owned(),
        false => named.join(", "),
    };
    let mut evidence = vec![
        Evidence::new(asked(time, "sources"), named, "one that answers"),
        // Leap status and stratum stay as they were when the last source is lost.
        Evidence::new(asked(time, "tracking"), updated(tracked, history.measured.newest()), ""),
    ];
    if !is_unreachable(tracked) {
        return Verdict::pass(evidence);
    }
    for (count, what) in [
        (tracked.unresolved, "have names that cannot be resolved"),
        (tracked.offline, "are switched off by command"),
    ] {
        if count > 0 {
            let says = format!("{count} sources {what}");
            evidence.push(Evidence::new(asked(time, "activity"), says, ""));
        }
    }
    let is_lost = |time: &TimeSync| time.tracked().is_some_and(is_unreachable);
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.time_sync.holding(is_lost)),
        &evidence
    ));
    let message = match (tracked.sources.len(), tracked.unresolved) {
        (0, 0) => "chrony has no source".to_owned(),
        (0, _) => "no name of a source can be resolved".to_owned(),
        (1, _) => format!("the only source, {}, does not answer", tracked.sources[0].name),
        (count, _) => format!("none of {count} sources answers"),
    };
    Verdict::fail(message, since, turn(time, scope, policy, look()), evidence)
}

/// What chrony says of the clock, and since when it has not moved it.
fn updated(tracked: &Tracked, measured: &Measurements) -> String {
    match measured.clock_update_age_seconds {
        Some(age) => format!("{tracked}; last update {age:.0} s ago"),
        None => tracked.to_string(),
    }
}

pub(super) fn overdue(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    verdict_or!(kept(time));
    let tracked = verdict_or!(tracked(time));
    verdict_or!(reaches(tracked));
    if tracked.leap == LeapStatus::Unsynchronised {
        return Verdict::not_applicable("never updated, see ClockUnsynchronised");
    }
    let measured = history.measured.newest();
    let poll = measured.time_source_poll_seconds.unwrap_or_default();
    let evidence = vec![Evidence::new(
        asked(time, "tracking"),
        updated(tracked, measured),
        format!("within 16 intervals of {poll} s"),
    )];
    match Watched::ClockUpdateOverdue.is_broken(measured) {
        None => return Verdict::unknown("chrony did not say when it last updated", evidence),
        Some(false) => return Verdict::pass(evidence),
        Some(true) => {}
    }
    let holding = history.measured.broken(Watched::ClockUpdateOverdue);
    let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
    let turn = turn(time, scope, policy, look());
    Verdict::fail("sources answer and the clock is not updated", since, turn, evidence)
}

pub(super) fn offset(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    verdict_or!(kept(time));
    if time.chrony.is_some() && time.daemon(super::CHRONY).is_some_and(|d| super::runs(time, d)) {
        // What chrony makes of the offset is worth nothing without a source.
        verdict_or!(reaches(verdict_or!(tracked(time))));
    }
    if is_unsynchronised(time) {
        return Verdict::not_applicable("nothing to compare with, see ClockUnsynchronised");
    }
    let measured = history.measured.newest();
    let Some(seconds) = measured.clock_offset_seconds else {
        return Verdict::unknown("the clock's offset was not measured", Vec::new());
    };
    let evidence = offset_evidence(time, measured, seconds);
    if Watched::ClockOffset.is_broken(measured) != Some(true) {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.measured.broken(Watched::ClockOffset)),
        &evidence
    ));
    let turn = turn(time, scope, policy, look());
    Verdict::fail(format!("the clock is {}", off(seconds)), since, turn, evidence)
}

fn offset_evidence(time: &TimeSync, measured: &Measurements, seconds: f64) -> Vec<Evidence> {
    let by = match time.tracked() {
        Some(tracked) => {
            let source = format!("{}, by {}", off(seconds), tracked.reference);
            Evidence::new(asked(time, "tracking"), source, "within 100 ms")
        }
        None => Evidence::new(KERNEL, off(seconds), "within 100 ms"),
    };
    let error = measured
        .clock_max_error_seconds
        .map(|error| Evidence::new(KERNEL, format!("greatest error {}", span(error)), ""));
    std::iter::once(by).chain(error).collect()
}

/// An offset in words.
fn off(seconds: f64) -> String {
    let side = if seconds < 0.0 { "behind" } else { "ahead" };
    format!("{} {side}", span(seconds.abs()))
}

/// A stretch of time in the unit that fits it.
fn span(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.3} s")
    }
}
