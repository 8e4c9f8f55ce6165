//! Does exactly one program keep the clock, and does it answer.

use jiff::Timestamp;

use super::{
    CHRONY, Keeping, confirmed, container, is_container, processes, running, time_sync, turn,
    verdict_or,
};
use crate::check::{Evidence, Scope, Verdict, by_hand};
use crate::facts::{ChronyAnswer, TimeDaemon, TimeSync, UnitFileState};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

fn is_down(time: &TimeSync) -> bool {
    running(time, Keeping::Steers).next().is_none()
}

pub(super) fn down(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    let mut evidence = processes(time, "a program that keeps the clock");
    if !is_down(time) {
        return Verdict::pass(evidence);
    }
    if is_container(time) {
        return container(time);
    }
    if let Some(tools) = running(time, Keeping::MaySteer).next() {
        let why = format!("{} may keep the clock; whether it does no file tells", tools.name);
        return Verdict::unknown(why, evidence);
    }
    evidence.extend(time.daemons.iter().filter_map(|daemon| {
        let unit = daemon.unit.as_ref()?;
        Some(Evidence::new(&unit.name, unit.state.word(), "enabled and running"))
    }));
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.time_sync.holding(is_down)),
        &evidence
    ));
    let message = match running(time, Keeping::LeavesAlone).next() {
        Some(watcher) => format!("{} runs and leaves the clock alone", watcher.name),
        None => "no program keeps the clock".to_owned(),
    };
    Verdict::fail(message, since, turn(time, scope, policy, start(time)), evidence)
}

/// What gets a program going: the one that is meant to keep the clock, or else any.
fn start(time: &TimeSync) -> Action {
    let keepers = || time.daemons.iter().filter(|daemon| super::keeping(daemon) == Keeping::Steers);
    let unit = |daemon: &TimeDaemon| daemon.unit.clone();
    let enabled = |unit: &crate::facts::DaemonUnit| unit.state == UnitFileState::Enabled;
    let what = match keepers().filter_map(unit).find(enabled).or_else(|| keepers().find_map(unit)) {
        Some(unit) if unit.state == UnitFileState::Enabled => {
            return Action::RestartUnit { unit: unit.name };
        }
        Some(unit) if unit.state == UnitFileState::Masked => {
            format!("systemctl unmask {0} && systemctl enable --now {0}", unit.name)
        }
        Some(unit) => format!("systemctl enable --now {}", unit.name),
        None => "install a time daemon, such as chrony".to_owned(),
    };
    Action::Repair { what }
}

fn is_hung(time: &TimeSync) -> bool {
    let answer = time.chrony.as_ref().map(|chrony| &chrony.answer);
    let runs = time.daemon(CHRONY).is_some_and(|daemon| daemon.process.is_some());
    runs && matches!(answer, Some(ChronyAnswer::TimedOut { .. }))
}

pub(super) fn hung(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    let evidence = evidence(time);
    if !is_hung(time) {
        return heard(time, evidence);
    }
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.time_sync.holding(is_hung)),
        &evidence
    ));
    let unit = time.daemon(CHRONY).and_then(|daemon| daemon.unit.as_ref());
    let unit = unit.map_or("chronyd.service", |unit| unit.name.as_str()).to_owned();
    let turn = turn(time, scope, policy, Action::RestartUnit { unit });
    Verdict::fail("chronyd runs and does not answer", since, turn, evidence)
}

/// The answer about a chronyd that does not hang, as far as it can be told.
fn heard(time: &TimeSync, evidence: Vec<Evidence>) -> Verdict {
    let Some((chrony, daemon)) = time.chrony.as_ref().zip(time.daemon(CHRONY)) else {
        return Verdict::not_applicable("no chrony: only chrony is asked");
    };
    match &chrony.answer {
        ChronyAnswer::Answered(_) => Verdict::pass(evidence),
        _ if daemon.process.is_none() => {
            Verdict::not_applicable("chronyd does not run, see TimeDaemonDown")
        }
        answer => Verdict::unknown(format!("chronyd was not heard: {answer}"), evidence),
    }
}

fn evidence(time: &TimeSync) -> Vec<Evidence> {
    let answers = time.chrony.iter().map(|chrony| {
        Evidence::new(&chrony.endpoint, chrony.answer.to_string(), "an answer in time")
    });
    let unverified = time.chrony.iter().filter_map(|chrony| {
        let why = chrony.unverified.as_ref()?;
        let says = format!("who answers could not be seen: {why}");
        Some(Evidence::new(&chrony.endpoint, says, "chronyd"))
    });
    processes(time, "").into_iter().chain(answers).chain(unverified).collect()
}

fn is_conflict(time: &TimeSync) -> bool {
    running(time, Keeping::Steers).count() > 1
}

pub(super) fn conflict(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (time, _) = verdict_or!(time_sync(history));
    verdict_or!(super::kept(time));
    let evidence = processes(time, "one program that steers the clock");
    if !is_conflict(time) {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(
        scope.standing.or_longer(history.time_sync.holding(is_conflict)),
        &evidence
    ));
    let steering: Vec<&TimeDaemon> = running(time, Keeping::Steers).collect();
    // chrony is what providers and distributions ship; without it the first one stays.
    let stays = steering.iter().position(|daemon| daemon.name == CHRONY).unwrap_or(0);
    let others = steering.iter().enumerate().filter(|(at, _)| *at != stays);
    let units: Vec<&str> = others
        .map(|(_, daemon)| daemon.unit.as_ref().map_or(daemon.name.as_str(), |unit| &unit.name))
        .collect();
    let names: Vec<&str> = steering.iter().map(|daemon| daemon.name.as_str()).collect();
    let what = format!("systemctl disable --now {}", units.join(" "));
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(scope, Action::Repair { what }),
        valid_until: None,
    };
    let message = format!("{} steer the clock against each other", names.join(" and "));
    Verdict::fail(message, since, turn, evidence)
}
