//! Checks of `time_sync`: does somebody keep the clock, by a source that answers, and on
//! a managed node by the provider's. Judged by what answers and how old the last update
//! is: chrony calls the clock synchronised long after its last source was lost. Facts:
//! chronyc(1), chrony.conf(5), adjtimex(2), and what AKS's images ship.

mod clock;
mod daemon;
mod source;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, confirmed, facts,
    of_a_provider, verdict_or,
};
use crate::component::Component;
use crate::facts::{ChronyAnswer, ConfiguredSource, TimeDaemon, TimeSync, Tracked, UnitFileState};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::{Policy, Standing};
use crate::responsibility::{Action, Responsible, Turn};

/// The rule that nodes take the time from the host they run on.
const RULE: &str = "time-chrony-localhost";

const CHRONY: &str = "chronyd";

const CHRONYC: &str = "https://chrony-project.org/doc/4.5/chronyc.html";
const AZURE: &str = "https://learn.microsoft.com/azure/virtual-machines/linux/time-sync";

/// A check of every machine.
const fn check(
    reason: &'static str,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::TimeSync,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider as shipped; customer where changed, or without a provider",
        summary,
        policy: PolicyLink::Cites(RULE),
        source,
        judge,
    }
}

/// A check of what a provider ships.
const fn shipped(
    reason: &'static str,
    responsible: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check { policy: PolicyLink::Decides(RULE), responsible, ..check(reason, summary, AZURE, judge) }
}

pub(super) const CHECKS: &[Check] = &[
    check("TimeDaemonDown", "No program keeps the clock", CHRONYC, daemon::down),
    check("TimeDaemonHung", "chronyd runs and does not answer", CHRONYC, daemon::hung),
    Check {
        responsible: "customer",
        ..check(
            "TimeDaemonsConflict",
            "Several programs steer the clock",
            CHRONYC,
            daemon::conflict,
        )
    },
    check(
        "ClockUnsynchronised",
        "The clock has not been synchronised",
        "https://man7.org/linux/man-pages/man2/adjtimex.2.html",
        clock::unsynchronised,
    ),
    check(
        "TimeSourceUnreachable",
        "chrony reaches none of its sources",
        CHRONYC,
        clock::unreachable,
    ),
    check(
        "ClockUpdateOverdue",
        "chrony reaches sources and has not updated the clock for sixteen intervals",
        CHRONYC,
        clock::overdue,
    ),
    check("ClockOffset", "The clock is off by more than 100 ms", CHRONYC, clock::offset),
    shipped(
        "TimeConfigChanged",
        "customer",
        "chrony's configuration names other sources than the provider's image",
        source::changed,
    ),
    shipped(
        "TimeSourceNotHost",
        "customer",
        "The clock follows another source than the host that the node runs on",
        source::not_host,
    ),
    shipped(
        "PtpClockNotHost",
        "provider as shipped; customer where changed",
        "The hardware clock that chrony is told to follow is not the host's",
        source::not_hosts_clock,
    ),
];

fn time_sync(history: &NodeHistory) -> Result<(&TimeSync, Timestamp), Verdict> {
    facts(&history.time_sync, "no clock")
}

/// What a program does to the clock while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Steers,
    /// The tools of hypervisors do, or do not, as they are set up inside and outside.
    MaySteer,
    /// It looks at it, or keeps another one: ptp4l a hardware clock.
    LeavesAlone,
}

fn keeping(daemon: &TimeDaemon) -> Keeping {
    match daemon.name.as_str() {
        _ if daemon.only_watches => Keeping::LeavesAlone,
        "ptp4l" => Keeping::LeavesAlone,
        "vmtoolsd" | "VBoxService" => Keeping::MaySteer,
        _ => Keeping::Steers,
    }
}

/// The running programs that do that.
fn running(time: &TimeSync, does: Keeping) -> impl Iterator<Item = &TimeDaemon> {
    time.daemons.iter().filter(move |daemon| keeping(daemon) == does && runs(time, daemon))
}

/// An answer of chronyd proves a process even where none can be seen.
fn runs(time: &TimeSync, daemon: &TimeDaemon) -> bool {
    daemon.process.is_some() || (daemon.name == CHRONY && time.tracked().is_some())
}

/// The programs that run, for evidence.
fn processes(time: &TimeSync, expected: &str) -> Vec<Evidence> {
    let seen = time.daemons.iter().filter_map(|daemon| {
        let process = daemon.process.as_ref()?;
        let watches = if daemon.only_watches { ", leaves the clock alone" } else { "" };
        Some(Evidence::new(
            "/proc",
            format!("pid {} {}{watches}", process.pid, daemon.name),
            expected,
        ))
    });
    let seen: Vec<Evidence> = seen.collect();
    match seen.is_empty() {
        true => vec![Evidence::new("/proc", "no time daemon", expected)],
        false => seen,
    }
}

/// What chrony says, or the verdict that stands when it does not: only chrony is asked.
/// Why it was not heard is the matter of one check.
fn tracked(time: &TimeSync) -> Result<&Tracked, Verdict> {
    let Some((chrony, daemon)) = time.chrony.as_ref().zip(time.daemon(CHRONY)) else {
        return Err(Verdict::not_applicable("no chrony: only chrony says what it follows"));
    };
    match &chrony.answer {
        ChronyAnswer::Answered(tracked) => Ok(tracked),
        _ if daemon.process.is_none() => {
            Err(Verdict::not_applicable("chronyd does not run, see TimeDaemonDown"))
        }
        _ => Err(Verdict::not_applicable("chronyd was not heard, see TimeDaemonHung")),
    }
}

/// Where chrony was asked, for evidence.
fn asked(time: &TimeSync, what: &str) -> String {
    let endpoint = time.chrony.as_ref().map_or("", |chrony| chrony.endpoint.as_str());
    format!("{endpoint} {what}")
}

/// Whether chronyd follows sources and none of them answers.
fn is_unreachable(tracked: &Tracked) -> bool {
    !tracked.sources.iter().any(|source| source.is_reachable)
}

/// A clock that nobody keeps is the matter of another check, and in a container nobody's.
fn kept(time: &TimeSync) -> Result<(), Verdict> {
    match running(time, Keeping::Steers).next() {
        Some(_) => Ok(()),
        None if is_container(time) => Err(container(time)),
        None => Err(Verdict::not_applicable("nobody keeps the clock, see TimeDaemonDown")),
    }
}

fn is_container(time: &TimeSync) -> bool {
    !time.container_marks.is_empty()
}

fn container(time: &TimeSync) -> Verdict {
    let marks = time.container_marks.join(", ");
    Verdict::not_applicable(format!("a container, whose clock is its host's ({marks})"))
}

/// Lines of the configuration that no image of the provider has: it follows the host's
/// hardware clock and nothing else.
fn foreign_lines(time: &TimeSync) -> impl Iterator<Item = &ConfiguredSource> {
    let configured = time.chrony.iter().flat_map(|chrony| &chrony.configured);
    configured.filter(|source| source.phc.is_none())
}

/// Whether the configuration, where there is one, follows the host's clock. Some images
/// have none: there the clock is compiled in.
fn names_no_clock(time: &TimeSync) -> bool {
    time.chrony.as_ref().is_some_and(|chrony| {
        !chrony.files.is_empty() && !chrony.configured.iter().any(|source| source.phc.is_some())
    })
}

/// Whether somebody has changed how the provider's image keeps the clock.
fn is_changed(time: &TimeSync) -> bool {
    let others = running(time, Keeping::Steers).any(|daemon| daemon.name != CHRONY);
    let unit = time.daemon(CHRONY).and_then(|daemon| daemon.unit.as_ref());
    let switched_off = unit.is_some_and(|unit| unit.state != UnitFileState::Enabled);
    let removed = time.daemon(CHRONY).is_none();
    others
        || switched_off
        || removed
        || foreign_lines(time).next().is_some()
        || names_no_clock(time)
}

/// Whose turn it is when the clock is not kept as it should be: cause beats component, so
/// that what somebody changed is theirs. Auto-repair does not look at clocks.
fn turn(time: &TimeSync, scope: &Scope, policy: &Policy, by_operator: Action) -> Turn {
    let (responsible, action) = match (scope.platform, policy.rule(RULE)) {
        (Platform::Aks, _) if is_changed(time) => {
            (Responsible::Customer, by_hand(scope, by_operator))
        }
        (Platform::Aks, Standing::InForce(_)) => (Responsible::Provider, Action::Ticket),
        (Platform::Aks, Standing::Lacking { .. }) => {
            let missing = format!("policy rule {RULE}");
            (Responsible::Unknown { missing }, by_hand(scope, by_operator))
        }
        (Platform::Kubernetes | Platform::Plain, _) => (Responsible::Customer, by_operator),
        (Platform::Unknown, _) => {
            let missing = "platform of the node".to_owned();
            (Responsible::Unknown { missing }, by_operator)
        }
    };
    Turn { responsible, action, valid_until: None }
}

#[cfg(test)]
mod tests;
