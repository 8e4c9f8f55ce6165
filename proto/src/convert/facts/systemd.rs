//! `systemd` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, text};
use crate::v1;
use crate::v1::systemd::{Mask, Unit};

/// Limits of the lists: what an agent names at the most, and room for more.
const UNITS: usize = 256;
const MASKED: usize = 1024;

impl From<&domain::Systemd> for v1::Systemd {
    fn from(systemd: &domain::Systemd) -> Self {
        let domain::SystemManager { version, system_state, units, left_out } = &systemd.manager;
        let unit = |unit: &domain::RemarkableUnit| Unit {
            name: unit.name.clone(),
            active_state: unit.active_state.clone(),
            sub_state: unit.sub_state.clone(),
            result: unit.result.clone(),
            restarts: unit.restarts,
            main_started_microseconds_after_boot: unit.main_started_microseconds_after_boot,
            needs_daemon_reload: unit.needs_daemon_reload,
            path: unit.path.clone(),
        };
        let mask =
            |mask: &domain::UnitMask| Mask { name: mask.name.clone(), path: mask.path.clone() };
        Self {
            version: version.clone(),
            system_state: system_state.clone(),
            units: units.iter().map(unit).collect(),
            left_out: *left_out,
            masked: systemd.masked.iter().map(mask).collect(),
        }
    }
}

impl TryFrom<v1::Systemd> for domain::Systemd {
    type Error = Invalid;

    fn try_from(systemd: v1::Systemd) -> Result<Self, Invalid> {
        let manager = domain::SystemManager {
            version: text(systemd.version),
            system_state: name("system_state", systemd.system_state)?,
            units: list("units", systemd.units, UNITS, |unit| {
                Ok(domain::RemarkableUnit {
                    name: name("name", unit.name)?,
                    active_state: text(unit.active_state),
                    sub_state: text(unit.sub_state),
                    result: text(unit.result),
                    restarts: unit.restarts,
                    main_started_microseconds_after_boot: unit.main_started_microseconds_after_boot,
                    needs_daemon_reload: unit.needs_daemon_reload,
                    path: text(unit.path),
                })
            })?,
            left_out: systemd.left_out,
        };
        let masked = list("masked", systemd.masked, MASKED, |mask| {
            Ok(domain::UnitMask { name: name("name", mask.name)?, path: text(mask.path) })
        })?;
        Ok(Self { manager, masked })
    }
}
