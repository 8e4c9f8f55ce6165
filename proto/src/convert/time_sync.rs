//! Facts of `time_sync` to and from the wire.

use nodeward_domain::facts as domain;

use super::facts::process;
use super::{Invalid, list, name, required, text, texts};
use crate::v1;
use v1::time_sync::{Unit, unit};

/// Limits of the lists: some ten times what a real machine shows.
const MARKS: usize = 16;
const DAEMONS: usize = 64;
const TRACES: usize = 64;
const CLOCKS: usize = 256;

impl From<&domain::TimeSync> for v1::TimeSync {
    fn from(time: &domain::TimeSync) -> Self {
        use v1::time_sync::kernel_clock::{Clock, Read};
        let clock = match &time.kernel {
            domain::KernelClock::Read { status, is_error_bounded, tai_offset_seconds } => {
                Clock::Read(Read {
                    status: *status,
                    is_error_bounded: *is_error_bounded,
                    tai_offset_seconds: *tai_offset_seconds,
                })
            }
            domain::KernelClock::Unread(why) => Clock::Unread(why.clone()),
        };
        Self {
            container_marks: time.container_marks.clone(),
            kernel: Some(v1::time_sync::KernelClock { clock: Some(clock) }),
            daemons: time.daemons.iter().map(Into::into).collect(),
            chrony: time.chrony.as_ref().map(Into::into),
            ptp_clocks: time
                .ptp_clocks
                .iter()
                .map(|clock| v1::time_sync::PtpClock {
                    name: clock.name.clone(),
                    clock_name: clock.clock_name.clone(),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::TimeSync> for domain::TimeSync {
    type Error = Invalid;

    fn try_from(time: v1::TimeSync) -> Result<Self, Invalid> {
        Ok(Self {
            container_marks: texts("container_marks", time.container_marks, MARKS)?,
            kernel: kernel(time.kernel)?,
            daemons: list("daemons", time.daemons, DAEMONS, TryInto::try_into)?,
            chrony: time
                .chrony
                .map(|chrony| chrony.try_into().map_err(|fault: Invalid| fault.within("chrony")))
                .transpose()?,
            ptp_clocks: list("ptp_clocks", time.ptp_clocks, CLOCKS, |clock| {
                Ok(domain::PtpClock {
                    name: name("name", clock.name)?,
                    clock_name: text(clock.clock_name),
                })
            })?,
        })
    }
}

fn kernel(kernel: Option<v1::time_sync::KernelClock>) -> Result<domain::KernelClock, Invalid> {
    use v1::time_sync::kernel_clock::Clock;
    Ok(match required("kernel.clock", required("kernel", kernel)?.clock)? {
        Clock::Read(read) => domain::KernelClock::Read {
            status: read.status,
            is_error_bounded: read.is_error_bounded,
            tai_offset_seconds: read.tai_offset_seconds,
        },
        Clock::Unread(why) => domain::KernelClock::Unread(text(why)),
    })
}

impl From<&domain::TimeDaemon> for v1::time_sync::Daemon {
    fn from(daemon: &domain::TimeDaemon) -> Self {
        Self {
            name: daemon.name.clone(),
            traces: daemon.traces.clone(),
            unit: daemon.unit.as_ref().map(|unit| Unit {
                name: unit.name.clone(),
                state: match unit.state {
                    domain::UnitFileState::Enabled => unit::State::Enabled,
                    domain::UnitFileState::Disabled => unit::State::Disabled,
                    domain::UnitFileState::Masked => unit::State::Masked,
                }
                .into(),
            }),
            process: daemon.process.as_ref().map(Into::into),
            only_watches: daemon.only_watches,
        }
    }
}

impl TryFrom<v1::time_sync::Daemon> for domain::TimeDaemon {
    type Error = Invalid;

    fn try_from(daemon: v1::time_sync::Daemon) -> Result<Self, Invalid> {
        let unit = |unit: Unit| {
            Ok(domain::DaemonUnit {
                name: name("unit.name", unit.name)?,
                state: match unit::State::try_from(unit.state) {
                    Ok(unit::State::Enabled) => domain::UnitFileState::Enabled,
                    Ok(unit::State::Disabled) => domain::UnitFileState::Disabled,
                    Ok(unit::State::Masked) => domain::UnitFileState::Masked,
                    Ok(unit::State::Unspecified) | Err(_) => {
                        return Err(unknown("unit.state", unit.state));
                    }
                },
            })
        };
        Ok(Self {
            name: name("name", daemon.name)?,
            traces: texts("traces", daemon.traces, TRACES)?,
            unit: daemon.unit.map(unit).transpose()?,
            process: process(daemon.process)?,
            only_watches: daemon.only_watches,
        })
    }
}

/// A number of an enumeration that this build does not know.
pub(super) fn unknown(field: &str, number: i32) -> Invalid {
    Invalid::new(field, format!("{number} is not known here"))
}
