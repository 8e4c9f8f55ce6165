//! `update_channel` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, optional_timestamp, text, timestamp_in, timestamp_out};
use crate::v1;
use crate::v1::update_channel::{Apt, LivePatch, Timer, apt::LastRun, timer::State};

/// Timers: far more than are looked for.
const TIMERS: usize = 64;

impl From<&domain::UpdateChannel> for v1::UpdateChannel {
    fn from(channel: &domain::UpdateChannel) -> Self {
        let timer = |timer: &domain::DaemonUnit| Timer {
            name: timer.name.clone(),
            state: match timer.state {
                domain::UnitFileState::Enabled => State::Enabled,
                domain::UnitFileState::Disabled => State::Disabled,
                domain::UnitFileState::Masked => State::Masked,
            }
            .into(),
        };
        Self {
            apt: channel.apt.as_ref().map(Into::into),
            dnf_applies: channel.dnf_applies,
            timers: channel.timers.iter().map(timer).collect(),
            has_snapd: channel.has_snapd,
            live_patch: channel.live_patch.as_ref().map(|left| LivePatch {
                path: left.path.clone(),
                timestamp: left.timestamp.clone(),
            }),
        }
    }
}

impl TryFrom<v1::UpdateChannel> for domain::UpdateChannel {
    type Error = Invalid;

    fn try_from(channel: v1::UpdateChannel) -> Result<Self, Invalid> {
        Ok(Self {
            apt: channel
                .apt
                .map(TryInto::try_into)
                .transpose()
                .map_err(|invalid: Invalid| invalid.within("apt"))?,
            dnf_applies: channel.dnf_applies,
            timers: list("timers", channel.timers, TIMERS, |timer| {
                Ok(domain::DaemonUnit {
                    name: name("name", timer.name)?,
                    state: match State::try_from(timer.state) {
                        Ok(State::Enabled) => domain::UnitFileState::Enabled,
                        Ok(State::Disabled) => domain::UnitFileState::Disabled,
                        Ok(State::Masked) => domain::UnitFileState::Masked,
                        Ok(State::Unspecified) | Err(_) => {
                            let why = format!("{} is not a state known here", timer.state);
                            return Err(Invalid::new("state", why));
                        }
                    },
                })
            })?,
            has_snapd: channel.has_snapd,
            live_patch: channel.live_patch.map(|left| domain::LivePatch {
                path: text(left.path),
                timestamp: text(left.timestamp),
            }),
        })
    }
}

impl From<&domain::AptPeriodic> for Apt {
    fn from(apt: &domain::AptPeriodic) -> Self {
        Self {
            has_unattended_upgrade: apt.has_unattended_upgrade,
            enable: apt.enable.clone(),
            unattended_upgrade: apt.unattended_upgrade.clone(),
            file: apt.file.clone(),
            configured_at: apt.configured_at.map(timestamp_out),
            last_run: match &apt.last_run {
                domain::LastRun::Never => None,
                domain::LastRun::At(at) => Some(LastRun::LastRunAt(timestamp_out(*at))),
                domain::LastRun::Unreadable(why) => Some(LastRun::LastRunUnread(why.clone())),
            },
        }
    }
}

impl TryFrom<Apt> for domain::AptPeriodic {
    type Error = Invalid;

    fn try_from(apt: Apt) -> Result<Self, Invalid> {
        Ok(Self {
            has_unattended_upgrade: apt.has_unattended_upgrade,
            enable: text(apt.enable),
            unattended_upgrade: text(apt.unattended_upgrade),
            file: text(apt.file),
            configured_at: optional_timestamp("configured_at", apt.configured_at)?,
            last_run: match apt.last_run {
                None => domain::LastRun::Never,
                Some(LastRun::LastRunAt(at)) => {
                    domain::LastRun::At(timestamp_in("last_run_at", Some(at))?)
                }
                Some(LastRun::LastRunUnread(why)) => domain::LastRun::Unreadable(text(why)),
            },
        })
    }
}
