//! Does the unit run, and does it go on running.

use jiff::Timestamp;

use super::files::{added_drop_ins, shipped};
use super::{InUnit, Known, customer, evidence, known};
use crate::check::{Evidence, Scope, Verdict, verdict_or};
use crate::facts::Unit;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, turn_for_broken_component};
use crate::restarts::{LOOP, Restarts, WINDOW};

/// `ActiveState` of a unit that systemd has given up.
const FAILED: &str = "failed";

pub(super) fn failed<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let Known { unit, since, .. } = verdict_or!(known::<T>(history, scope));
    let Some(unit) = unit else {
        return Verdict::pass(vec![Evidence::new(T::UNIT, "not loaded", "not failed")]);
    };
    let evidence = vec![evidence::<T>(unit, "active")];
    if unit.active_state != FAILED {
        return Verdict::pass(evidence);
    }
    let message = format!("{} has failed: {}", T::UNIT, unit.result);
    broken::<T>(message, unit, (since, scope, policy, now), evidence)
}

pub(super) fn restarting<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let Known { unit, since, .. } = verdict_or!(known::<T>(history, scope));
    let Some(unit) = unit else {
        return Verdict::pass(vec![Evidence::new(T::UNIT, "not loaded", "not restarted")]);
    };
    if unit.active_state == FAILED {
        return Verdict::not_applicable(format!(
            "systemd restarts it no more, see {}",
            T::REASONS.failed
        ));
    }
    let minutes = WINDOW.as_mins();
    let expected = format!("fewer than {LOOP} restarts in {minutes} minutes");
    let Some(watched) = history.restarts.get(&T::COMPONENT) else {
        return Verdict::unknown("its restarts were not counted yet", Vec::new());
    };
    let count = watched.count(now);
    let mut evidence = vec![evidence::<T>(unit, "")];
    evidence.push(Evidence::new(T::UNIT, format!("{count} restarts seen"), expected));
    if let Some(until) = watched.loops_until(now) {
        let since = watched.since(now).unwrap_or(since);
        let message = format!("{} was restarted {count} times in {minutes} minutes", T::UNIT);
        let mut verdict = broken::<T>(message, unit, (since, scope, policy, now), evidence);
        verdict.valid_until = Some(verdict.valid_until.map_or(until, |at| at.min(until)));
        return verdict;
    }
    match too_early(unit, watched, now) {
        Some(until) => Verdict {
            valid_until: Some(until),
            ..Verdict::unknown(
                "it has been restarted often; whether it still is takes longer to see",
                evidence,
            )
        },
        None => Verdict::pass(evidence),
    }
}

/// Until when it cannot be said that a unit does not loop: it has been restarted often,
/// not long ago, and has not been watched for as long as that is looked back.
fn too_early(unit: &Unit, watched: &Restarts, now: Timestamp) -> Option<Timestamp> {
    let is_young = unit.main_started_at.is_none_or(|started| now.duration_since(started) < WINDOW);
    let until = watched.watched_since()?.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
    (unit.restarts >= LOOP && is_young && now < until).then_some(until)
}

/// The verdict on a component that is broken: the provider's turn, unless the customer
/// has changed the unit. Then its repair does not take the change back.
fn broken<T: InUnit>(
    message: String,
    unit: &Unit,
    (since, scope, policy, now): (Timestamp, &Scope, &Policy, Timestamp),
    mut evidence: Vec<Evidence>,
) -> Verdict {
    let added = match scope.platform {
        Platform::Aks => added_drop_ins(unit, shipped::<T>(policy)),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => Vec::new(),
    };
    let since = scope.standing.since.unwrap_or(since);
    let Some(first) = added.first() else {
        let turn = turn_for_broken_component(scope.platform, policy, since, now, T::UNIT);
        return Verdict::fail(message, since, turn, evidence);
    };
    let turn = customer(Action::Revert { change: first.path.clone() });
    let message = format!("{message}; a drop-in was added that auto-repair does not take back");
    evidence.extend(added.iter().map(|file| Evidence::new(&file.path, "a drop-in", "none")));
    Verdict::fail(message, since, turn, evidence)
}

/// The check that stands for a component that does not run: what its unit says of it is
/// the better answer.
pub(in crate::check) fn stands_for_down<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    now: Timestamp,
) -> Option<&'static str> {
    let unit = known::<T>(history, scope).ok()?.unit?;
    let watched = history.restarts.get(&T::COMPONENT);
    if unit.active_state == FAILED {
        Some(T::REASONS.failed)
    } else if watched.is_some_and(|watched| watched.loops_until(now).is_some()) {
        Some(T::REASONS.restarting)
    } else {
        None
    }
}
