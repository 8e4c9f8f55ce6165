//! Does a unit stand out, and whose turn is it: that of whoever brought it.

use jiff::Timestamp;

use super::{PLACE, known};
use crate::check::{Evidence, Scope, Verdict, by_hand, shortened, verdict_or};
use crate::facts::{RemarkableUnit, UnitMask};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::restarts::{LOOP, Restarts, WINDOW};

/// Units that have checks of their own.
const JUDGED_ELSEWHERE: [&str; 2] = ["containerd.service", "kubelet.service"];

/// Units that keep the clock: whether they run is told by `TimeDaemonDown`.
const TIME_DAEMONS: [&str; 6] = [
    "chrony.service",
    "chronyd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "systemd-timesyncd.service",
];

/// Units of tools of the provider's: whether they run is told by `LinuxExtensionToolDown`.
const TOOLS: [&str; 2] = ["node-exporter.service", "node-problem-detector.service"];

/// Units that no system does without, bootup(7).
const ESSENTIAL: [&str; 9] = [
    "dbus.service",
    "dbus.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-tmpfiles-setup.service",
    "systemd-udevd.service",
    "systemd-user-sessions.service",
];

/// Who brought a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// The operator of a node that no provider runs.
    Customer,
    /// It cannot be said.
    Unknown,
    /// The provider.
    Provider,
}

impl Owner {
    /// By its name: what the provider brings the edition lists. Where its file lies tells
    /// nothing, for the provider's own lie in the folder of administrators too.
    fn of(unit: &RemarkableUnit, scope: &Scope, policy: &Policy) -> Self {
        match scope.platform {
            Platform::Kubernetes | Platform::Plain => Self::Customer,
            Platform::Unknown => Self::Unknown,
            Platform::Aks if policy.provider_units.has(&unit.name) => Self::Provider,
            Platform::Aks => Self::Unknown,
        }
    }
}

/// Whose turn it is with these units. One of which nobody knows who brought it comes before the
/// provider's: it may be what breaks that, and a ticket would ask the wrong one.
fn turn(units: &[&RemarkableUnit], scope: &Scope, policy: &Policy) -> Turn {
    let of = |unit: &RemarkableUnit| Owner::of(unit, scope, policy);
    let first = units.iter().min_by_key(|unit| of(unit));
    let owner = first.map_or(Owner::Unknown, |unit| of(unit));
    let name = first.map_or("", |unit| unit.name.as_str());
    let journal = Action::Investigate { at: format!("journalctl --unit {name}") };
    let (responsible, action) = match owner {
        Owner::Customer => (Responsible::Customer, journal),
        Owner::Provider => (Responsible::Provider, Action::Ticket),
        Owner::Unknown => {
            let missing = match scope.platform {
                Platform::Unknown => "platform of the node".to_owned(),
                _ => format!("who brought {name}"),
            };
            (Responsible::Unknown { missing }, journal)
        }
    };
    Turn { responsible, action, valid_until: None }
}

fn evidence(unit: &RemarkableUnit, expected: &str) -> Evidence {
    let RemarkableUnit { name, active_state, sub_state, result, restarts, .. } = unit;
    let mut actual = format!("{active_state} ({sub_state})");
    if !result.is_empty() {
        actual.push_str(&format!(", Result={result}"));
    }
    if *restarts > 0 {
        actual.push_str(&format!(", NRestarts={restarts}"));
    }
    Evidence::new(name, actual, expected)
}

/// How many units, by name where it is one.
fn named(units: &[&RemarkableUnit], one: &str, more: &str) -> String {
    match units {
        [unit] => format!("{} {one}", unit.name),
        _ => format!("{} units {more}", units.len()),
    }
}

pub(super) fn failed(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (systemd, since) = verdict_or!(known(history));
    let is_elsewhere = |name: &str| {
        JUDGED_ELSEWHERE.contains(&name)
            || TIME_DAEMONS.contains(&name)
            || (scope.platform == Platform::Aks && TOOLS.contains(&name))
    };
    let failed: Vec<&RemarkableUnit> =
        systemd.failed().filter(|unit| !is_elsewhere(&unit.name)).collect();
    if failed.is_empty() {
        let state = format!("SystemState={}", systemd.manager.system_state);
        return Verdict::pass(vec![Evidence::new(PLACE, state, "no unit has failed")]);
    }
    let message = match failed.as_slice() {
        [unit] if !unit.result.is_empty() => format!("{} has failed: {}", unit.name, unit.result),
        units => named(units, "has failed", "have failed"),
    };
    let turn = turn(&failed, scope, policy);
    let evidence = failed.iter().map(|unit| evidence(unit, "not failed")).collect();
    Verdict::fail(message, since, turn, shortened(evidence))
}

pub(super) fn restarts(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (systemd, since) = verdict_or!(known(history));
    let minutes = WINDOW.as_mins();
    let expected = format!("fewer than {LOOP} restarts in {minutes} minutes");
    let restarted: Vec<(&RemarkableUnit, Option<&Restarts>)> = systemd
        .manager
        .units
        .iter()
        .filter(|unit| unit.restarts > 0 && !unit.has_failed())
        .filter(|unit| !JUDGED_ELSEWHERE.contains(&unit.name.as_str()))
        .map(|unit| (unit, history.unit_restarts.of(&unit.name)))
        .collect();
    let looping: Vec<(&RemarkableUnit, &Restarts, Timestamp)> = restarted
        .iter()
        .filter_map(|(unit, watched)| Some((*unit, (*watched)?)))
        .filter_map(|(unit, watched)| Some((unit, watched, watched.loops_until(now)?)))
        .collect();
    if !looping.is_empty() {
        let units: Vec<&RemarkableUnit> = looping.iter().map(|(unit, ..)| *unit).collect();
        let since = looping.iter().filter_map(|(_, watched, _)| watched.since(now)).min();
        let message = match looping.as_slice() {
            [(unit, watched, _)] => {
                let count = watched.count(now);
                format!("{} was restarted {count} times in {minutes} minutes", unit.name)
            }
            more => format!("{} units were restarted again and again", more.len()),
        };
        let evidence = looping.iter().map(|(unit, watched, _)| {
            let mut evidence = evidence(unit, &expected);
            evidence.actual.push_str(&format!(", {} restarts seen", watched.count(now)));
            evidence
        });
        let evidence = shortened(evidence.collect());
        let mut turn = turn(&units, scope, policy);
        turn.valid_until = looping.iter().map(|(.., until)| *until).min();
        return Verdict::fail(message, since.unwrap_or(now), turn, evidence);
    }
    let uptime = history.measured.newest().uptime_seconds;
    let unsettled = restarted
        .iter()
        .filter_map(|(unit, watched)| too_early(unit, *watched, uptime, (since, now)))
        .min();
    let evidence: Vec<Evidence> = match restarted.is_empty() {
        true => vec![Evidence::new(PLACE, "NRestarts=0 of every unit that runs", &expected)],
        false => restarted.iter().map(|(unit, _)| evidence(unit, &expected)).collect(),
    };
    match unsettled {
        Some(until) => Verdict {
            valid_until: Some(until),
            ..Verdict::unknown(
                "a unit has been restarted often; whether it still is takes longer to see",
                shortened(evidence),
            )
        },
        None => Verdict::pass(shortened(evidence)),
    }
}

/// Until when it cannot be said that a unit does not loop: it has been restarted often, not
/// long ago, and has not been watched for as long as that is looked back.
fn too_early(
    unit: &RemarkableUnit,
    watched: Option<&Restarts>,
    uptime_seconds: Option<f64>,
    (since, now): (Timestamp, Timestamp),
) -> Option<Timestamp> {
    let started = unit.main_started_microseconds_after_boot as f64 / 1e6;
    let is_young = uptime_seconds.is_none_or(|uptime| uptime - started < WINDOW.as_secs_f64());
    let watched_since = watched.and_then(Restarts::watched_since).unwrap_or(since);
    let until = watched_since.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
    (unit.restarts >= LOOP && is_young && now < until).then_some(until)
}

pub(super) fn masked(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    let (systemd, since) = verdict_or!(known(history));
    let is_the_providers =
        |name: &str| scope.platform == Platform::Aks && policy.provider_units.has(name);
    let masked: Vec<&UnitMask> = systemd
        .masked
        .iter()
        .filter(|mask| !JUDGED_ELSEWHERE.contains(&mask.name.as_str()))
        .filter(|mask| ESSENTIAL.contains(&mask.name.as_str()) || is_the_providers(&mask.name))
        .collect();
    let Some(first) = masked.first() else {
        let actual = format!("{} masked units", systemd.masked.len());
        return Verdict::pass(vec![Evidence::new(
            "/etc/systemd/system",
            actual,
            "none that matter",
        )]);
    };
    let message = match masked.len() {
        1 => format!("{} is masked: nothing can start it", first.name),
        more => format!("{more} units are masked that a node needs"),
    };
    let evidence = masked.iter().map(|mask| Evidence::new(&mask.path, "a mask", "a unit"));
    let names: Vec<&str> = masked.iter().map(|mask| mask.name.as_str()).collect();
    let action = Action::Repair { what: format!("systemctl unmask {}", names.join(" ")) };
    let action = by_hand(scope, action);
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, shortened(evidence.collect()))
}

pub(super) fn reload_pending(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (systemd, since) = verdict_or!(known(history));
    let stale: Vec<&RemarkableUnit> = systemd
        .manager
        .units
        .iter()
        .filter(|unit| unit.needs_daemon_reload)
        .filter(|unit| !JUDGED_ELSEWHERE.contains(&unit.name.as_str()))
        .collect();
    if stale.is_empty() {
        let actual = "NeedDaemonReload of no unit that runs";
        return Verdict::pass(vec![Evidence::new(PLACE, actual, "")]);
    }
    let message = named(
        &stale,
        "was changed on disk, and systemd has not read it again",
        "were changed on disk, and systemd has not read them again",
    );
    let evidence = stale.iter().map(|unit| {
        let place = if unit.path.is_empty() { &unit.name } else { &unit.path };
        Evidence::new(place, "NeedDaemonReload=true", "NeedDaemonReload=false")
    });
    let action = by_hand(scope, Action::Repair { what: "systemctl daemon-reload".to_owned() });
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, shortened(evidence.collect()))
}
