//! What the files of the unit say: will it start with the node, is what they say in
//! force, did somebody add to them.

use jiff::Timestamp;

use super::{InUnit, Known, customer, known};
use crate::check::{Evidence, Outcome, Scope, Verdict, by_hand, of_a_provider, verdict_or};
use crate::facts::{Unit, UnitFile};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};

/// Why a unit will not start with the node, and what helps; none when it will.
fn obstacle<T: InUnit>(unit: Option<&Unit>, file_state: &str) -> Option<(String, Action)> {
    let unit_name = T::UNIT;
    let repair = |verb: &str| Action::Repair { what: format!("systemctl {verb} {unit_name}") };
    let load_state = unit.map_or("loaded", |unit| unit.load_state.as_str());
    match (load_state, file_state) {
        ("masked", _) | (_, "masked" | "masked-runtime") => {
            Some(("masked".to_owned(), repair("unmask")))
        }
        ("loaded", "disabled") => Some(("disabled".to_owned(), repair("enable"))),
        ("loaded", "bad") => Some(("not readable as a unit file".to_owned(), repair("status"))),
        ("loaded", _) => None,
        (other, _) => Some((format!("not loaded: {other}"), repair("status"))),
    }
}

pub(super) fn disabled<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let Known { unit, file_state, since } = verdict_or!(known::<T>(history, scope));
    let actual = unit.map_or_else(
        || format!("not loaded, UnitFileState={file_state}"),
        |unit| format!("LoadState={}, UnitFileState={file_state}", unit.load_state),
    );
    let evidence = vec![Evidence::new(T::UNIT, actual, "loaded and enabled")];
    match obstacle::<T>(unit, file_state) {
        None => Verdict::pass(evidence),
        Some((what, action)) => {
            let message = format!("{} is {what}: it will not start with the node", T::UNIT);
            Verdict::fail(message, since, customer(by_hand(scope, action)), evidence)
        }
    }
}

pub(super) fn stale<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let Known { unit, since, .. } = verdict_or!(known::<T>(history, scope));
    let Some(unit) = unit else {
        return Verdict::not_applicable(format!("{} is not loaded", T::UNIT));
    };
    if unit.load_state != "loaded" {
        return Verdict::not_applicable(format!("see {}", T::REASONS.disabled));
    }
    let newer: Vec<Evidence> = newer_files(unit)
        .map(|(file, modified_at, started_at)| {
            let actual = format!("changed at {modified_at:.0}");
            Evidence::new(&file.path, actual, format!("before the start at {started_at:.0}"))
        })
        .collect();
    let reload = Evidence::new(
        T::UNIT,
        format!("NeedDaemonReload={}", unit.needs_daemon_reload),
        "NeedDaemonReload=false",
    );
    if unit.needs_daemon_reload || !newer.is_empty() {
        let message = match unit.needs_daemon_reload {
            true => "its files were changed and systemd has not read them again",
            false => "its files were changed after it was started",
        };
        let action = match unit.needs_daemon_reload {
            true => Action::Repair {
                what: format!("systemctl daemon-reload, then systemctl restart {}", T::UNIT),
            },
            false => Action::RestartUnit { unit: T::UNIT.to_owned() },
        };
        let evidence = std::iter::once(reload).chain(newer).collect();
        let message = format!("{}: {message}", T::UNIT);
        return Verdict::fail(message, since, customer(by_hand(scope, action)), evidence);
    }
    match unit.files().find(|file| file.modified_at.is_none()) {
        Some(file) if unit.main_pid != 0 => {
            let why = format!("when {} was changed could not be seen", file.path);
            Verdict::unknown(why, vec![reload])
        }
        _ => Verdict::pass(vec![reload]),
    }
}

/// The files that were changed after the running process was started, with both times.
fn newer_files(unit: &Unit) -> impl Iterator<Item = (&UnitFile, Timestamp, Timestamp)> {
    let started_at = unit.main_started_at.filter(|_| unit.main_pid != 0);
    unit.files()
        .filter_map(move |file| Some((file, file.modified_at?, started_at?)))
        .filter(|(_, modified_at, started_at)| modified_at > started_at)
}

/// The names of drop-ins that the provider ships for the unit, if the edition has them.
pub(super) fn shipped<T: InUnit>(policy: &Policy) -> Option<&[String]> {
    let of_unit = policy.shipped_drop_ins.iter().find(|shipped| shipped.unit == T::UNIT);
    of_unit.map(|shipped| shipped.names.as_slice())
}

/// The drop-ins that somebody added in the places of administrators. Those below `/usr`
/// come with a package.
pub(super) fn added_drop_ins<'a>(unit: &'a Unit, shipped: Option<&[String]>) -> Vec<&'a UnitFile> {
    let Some(shipped) = shipped else { return Vec::new() };
    let is_added = |file: &&UnitFile| {
        ["/etc/", "/run/"].iter().any(|place| file.path.starts_with(place))
            && !shipped.iter().any(|shipped| shipped == name(file))
    };
    unit.drop_ins.iter().filter(is_added).collect()
}

fn name(file: &UnitFile) -> &str {
    file.path.rsplit('/').next().unwrap_or_default()
}

pub(super) fn drop_in<T: InUnit>(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "ships its units"));
    let Known { unit, since, .. } = verdict_or!(known::<T>(history, scope));
    let Some(unit) = unit else {
        return Verdict::not_applicable(format!("{} is not loaded", T::UNIT));
    };
    let Some(shipped) = shipped::<T>(policy) else {
        let why = format!("edition {} names no drop-ins of {}", policy.edition, T::UNIT);
        return Verdict::not_applicable(why);
    };
    let added = added_drop_ins(unit, Some(shipped));
    let Some(first) = added.first() else {
        let names: Vec<&str> = unit.drop_ins.iter().map(name).collect();
        let actual = format!("drop-ins: {}", names.join(" "));
        return Verdict::pass(vec![Evidence::new(T::UNIT, actual.trim_end(), "as shipped")]);
    };
    let evidence =
        added.iter().map(|file| Evidence::new(&file.path, "a drop-in", "none")).collect();
    let message = match added.len() {
        1 => format!("{} is changed by {}", T::UNIT, first.path),
        count => format!("{} is changed by {count} drop-ins", T::UNIT),
    };
    let turn = customer(Action::Revert {
        change: "it, or keep it in the DaemonSet that writes it".to_owned(),
    });
    Verdict::fail(message, since, turn, evidence)
}

/// Puts the customer in charge of a component that does not run because its unit was
/// disabled or masked: that is what keeps it down.
pub(in crate::check) fn with_cause<T: InUnit>(
    mut verdict: Verdict,
    history: &NodeHistory,
    scope: &Scope,
) -> Verdict {
    if let Outcome::Fail { message, responsible, action, .. } = &mut verdict.outcome
        && let Ok(Known { unit, file_state, .. }) = known::<T>(history, scope)
        && let Some((what, repair)) = obstacle::<T>(unit, file_state)
    {
        *message = format!("{message}; {} is {what}", T::UNIT);
        *responsible = Responsible::Customer;
        *action = by_hand(scope, repair);
        verdict.valid_until = None;
    }
    verdict
}
