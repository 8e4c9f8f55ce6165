//! Units of systemd to and from the wire.

use nodeward_domain::facts as domain;

use super::super::{Invalid, list, name, optional_timestamp, required, text, timestamp_out};
use super::TOO_OLD;
use crate::v1;

/// Drop-ins of one unit: some ten times what a real node shows.
const DROP_INS: usize = 256;

impl From<&domain::UnitState> for v1::UnitState {
    fn from(unit: &domain::UnitState) -> Self {
        use v1::unit_state::{NoSystemd, NotLoaded, State};
        let state = match unit {
            domain::UnitState::NoSystemd => State::NoSystemd(NoSystemd {}),
            domain::UnitState::Unreadable { why } => State::Unreadable(why.clone()),
            domain::UnitState::NotLoaded { file_state } => {
                State::NotLoaded(NotLoaded { file_state: file_state.clone() })
            }
            domain::UnitState::Loaded(unit) => State::Loaded(unit.as_ref().into()),
        };
        Self { state: Some(state) }
    }
}

impl TryFrom<v1::UnitState> for domain::UnitState {
    type Error = Invalid;

    fn try_from(unit: v1::UnitState) -> Result<Self, Invalid> {
        use v1::unit_state::State;
        Ok(match required("state", unit.state)? {
            State::NoSystemd(_) => Self::NoSystemd,
            State::Unreadable(why) => Self::Unreadable { why: text(why) },
            State::NotLoaded(not_loaded) => {
                Self::NotLoaded { file_state: text(not_loaded.file_state) }
            }
            State::Loaded(unit) => {
                let unit = domain::Unit::try_from(unit);
                Self::Loaded(Box::new(unit.map_err(|invalid| invalid.within("loaded"))?))
            }
        })
    }
}

/// The unit of a component. An agent of before does not report it.
pub(super) fn unit(unit: Option<v1::UnitState>) -> Result<domain::UnitState, Invalid> {
    match unit {
        Some(unit) => unit.try_into().map_err(|invalid: Invalid| invalid.within("unit")),
        None => Ok(domain::UnitState::Unreadable { why: TOO_OLD.to_owned() }),
    }
}

impl From<&domain::Unit> for v1::Unit {
    fn from(unit: &domain::Unit) -> Self {
        Self {
            load_state: unit.load_state.clone(),
            active_state: unit.active_state.clone(),
            sub_state: unit.sub_state.clone(),
            result: unit.result.clone(),
            file_state: unit.file_state.clone(),
            restarts: unit.restarts,
            main_pid: unit.main_pid,
            main_started_microseconds_after_boot: unit.main_started_microseconds_after_boot,
            main_started_at: unit.main_started_at.map(timestamp_out),
            start_began_microseconds_after_boot: unit.start_began_microseconds_after_boot,
            needs_daemon_reload: unit.needs_daemon_reload,
            watchdog_microseconds: unit.watchdog_microseconds,
            open_files_limit: unit.open_files_limit,
            file: unit.file.as_ref().map(Into::into),
            drop_ins: unit.drop_ins.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Unit> for domain::Unit {
    type Error = Invalid;

    fn try_from(unit: v1::Unit) -> Result<Self, Invalid> {
        Ok(Self {
            load_state: text(unit.load_state),
            active_state: text(unit.active_state),
            sub_state: text(unit.sub_state),
            result: text(unit.result),
            file_state: text(unit.file_state),
            restarts: unit.restarts,
            main_pid: unit.main_pid,
            main_started_microseconds_after_boot: unit.main_started_microseconds_after_boot,
            main_started_at: optional_timestamp("main_started_at", unit.main_started_at)?,
            start_began_microseconds_after_boot: unit.start_began_microseconds_after_boot,
            needs_daemon_reload: unit.needs_daemon_reload,
            watchdog_microseconds: unit.watchdog_microseconds,
            open_files_limit: unit.open_files_limit,
            file: unit
                .file
                .map(|file| file.try_into().map_err(|invalid: Invalid| invalid.within("file")))
                .transpose()?,
            drop_ins: list("drop_ins", unit.drop_ins, DROP_INS, TryInto::try_into)?,
        })
    }
}

impl From<&domain::UnitFile> for v1::UnitFile {
    fn from(file: &domain::UnitFile) -> Self {
        Self { path: file.path.clone(), modified_at: file.modified_at.map(timestamp_out) }
    }
}

impl TryFrom<v1::UnitFile> for domain::UnitFile {
    type Error = Invalid;

    fn try_from(file: v1::UnitFile) -> Result<Self, Invalid> {
        Ok(Self {
            path: name("path", file.path)?,
            modified_at: optional_timestamp("modified_at", file.modified_at)?,
        })
    }
}
