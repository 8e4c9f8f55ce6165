//! What chrony is configured to do and says, to and from the wire.

use nodeward_domain::facts as domain;

use super::time_sync::unknown;
use super::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::chrony::configured_source::Directive;
use crate::v1::chrony::source::{Mode, State};
use crate::v1::chrony::tracked::Leap;

/// Limits of the lists: some ten times what a real machine shows.
const FILES: usize = 256;
const CONFIGURED: usize = 1024;
const SOURCES: usize = 256;

impl From<&domain::Chrony> for v1::Chrony {
    fn from(chrony: &domain::Chrony) -> Self {
        Self {
            files: chrony.files.clone(),
            configured: chrony.configured.iter().map(Into::into).collect(),
            endpoint: chrony.endpoint.clone(),
            answer: Some(v1::chrony::Answer { answer: Some(answer(&chrony.answer)) }),
            unverified: chrony.unverified.clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Chrony> for domain::Chrony {
    type Error = Invalid;

    fn try_from(chrony: v1::Chrony) -> Result<Self, Invalid> {
        Ok(Self {
            files: texts("files", chrony.files, FILES)?,
            configured: list("configured", chrony.configured, CONFIGURED, TryInto::try_into)?,
            endpoint: text(chrony.endpoint),
            answer: required("answer", chrony.answer)?
                .try_into()
                .map_err(|fault: Invalid| fault.within("answer"))?,
            unverified: Some(text(chrony.unverified)).filter(|why| !why.is_empty()),
        })
    }
}

impl From<&domain::ConfiguredSource> for v1::chrony::ConfiguredSource {
    fn from(source: &domain::ConfiguredSource) -> Self {
        use v1::chrony::phc_device::Target;
        Self {
            file: source.file.clone(),
            line: source.line,
            directive: match source.directive {
                domain::SourceDirective::Server => Directive::Server,
                domain::SourceDirective::Pool => Directive::Pool,
                domain::SourceDirective::Peer => Directive::Peer,
                domain::SourceDirective::Refclock => Directive::Refclock,
            }
            .into(),
            text: source.text.clone(),
            phc: source.phc.as_ref().map(|phc| v1::chrony::PhcDevice {
                path: phc.path.clone(),
                target: Some(match &phc.target {
                    domain::PhcTarget::Clock(clock) => Target::Clock(clock.clone()),
                    domain::PhcTarget::Missing => Target::Missing(v1::chrony::Missing {}),
                    domain::PhcTarget::Unread(why) => Target::Unread(why.clone()),
                }),
            }),
        }
    }
}

impl TryFrom<v1::chrony::ConfiguredSource> for domain::ConfiguredSource {
    type Error = Invalid;

    fn try_from(source: v1::chrony::ConfiguredSource) -> Result<Self, Invalid> {
        use v1::chrony::phc_device::Target;
        let phc = |phc: v1::chrony::PhcDevice| {
            Ok(domain::PhcDevice {
                path: text(phc.path),
                target: match required("phc.target", phc.target)? {
                    Target::Clock(clock) => {
                        domain::PhcTarget::Clock(name("phc.target.clock", clock)?)
                    }
                    Target::Missing(_) => domain::PhcTarget::Missing,
                    Target::Unread(why) => domain::PhcTarget::Unread(text(why)),
                },
            })
        };
        Ok(Self {
            file: text(source.file),
            line: source.line,
            directive: match Directive::try_from(source.directive) {
                Ok(Directive::Server) => domain::SourceDirective::Server,
                Ok(Directive::Pool) => domain::SourceDirective::Pool,
                Ok(Directive::Peer) => domain::SourceDirective::Peer,
                Ok(Directive::Refclock) => domain::SourceDirective::Refclock,
                Ok(Directive::Unspecified) | Err(_) => {
                    return Err(unknown("directive", source.directive));
                }
            },
            text: text(source.text),
            phc: source.phc.map(phc).transpose()?,
        })
    }
}

fn answer(answer: &domain::ChronyAnswer) -> v1::chrony::answer::Answer {
    use v1::chrony::answer::Answer;
    match answer.clone() {
        domain::ChronyAnswer::Answered(tracked) => Answer::Tracked((&tracked).into()),
        domain::ChronyAnswer::Refused => Answer::Refused(v1::chrony::Refused {}),
        domain::ChronyAnswer::TimedOut { call, after_milliseconds } => {
            Answer::TimedOut(v1::chrony::TimedOut { call, after_milliseconds })
        }
        domain::ChronyAnswer::Failed { call, why } => {
            Answer::Failed(v1::chrony::Failed { call, why })
        }
        domain::ChronyAnswer::NotAsked { why } => Answer::NotAsked(why),
    }
}

impl TryFrom<v1::chrony::Answer> for domain::ChronyAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::chrony::Answer) -> Result<Self, Invalid> {
        use v1::chrony::answer::Answer;
        Ok(match required("answer", answer.answer)? {
            Answer::Tracked(tracked) => Self::Answered(
                tracked.try_into().map_err(|fault: Invalid| fault.within("tracked"))?,
            ),
            Answer::Refused(_) => Self::Refused,
            Answer::TimedOut(timed_out) => Self::TimedOut {
                call: text(timed_out.call),
                after_milliseconds: timed_out.after_milliseconds,
            },
            Answer::Failed(failed) => {
                Self::Failed { call: text(failed.call), why: text(failed.why) }
            }
            Answer::NotAsked(why) => Self::NotAsked { why: text(why) },
        })
    }
}

impl From<&domain::Tracked> for v1::chrony::Tracked {
    fn from(tracked: &domain::Tracked) -> Self {
        Self {
            reference: tracked.reference.clone(),
            stratum: tracked.stratum,
            leap: match tracked.leap {
                domain::LeapStatus::Normal => Leap::Normal,
                domain::LeapStatus::InsertSecond => Leap::InsertSecond,
                domain::LeapStatus::DeleteSecond => Leap::DeleteSecond,
                domain::LeapStatus::Unsynchronised => Leap::Unsynchronised,
            }
            .into(),
            sources: tracked.sources.iter().map(Into::into).collect(),
            sources_left_out: tracked.sources_left_out,
            offline: tracked.offline,
            unresolved: tracked.unresolved,
        }
    }
}

impl TryFrom<v1::chrony::Tracked> for domain::Tracked {
    type Error = Invalid;

    fn try_from(tracked: v1::chrony::Tracked) -> Result<Self, Invalid> {
        Ok(Self {
            reference: text(tracked.reference),
            stratum: tracked.stratum,
            leap: match Leap::try_from(tracked.leap) {
                Ok(Leap::Normal) => domain::LeapStatus::Normal,
                Ok(Leap::InsertSecond) => domain::LeapStatus::InsertSecond,
                Ok(Leap::DeleteSecond) => domain::LeapStatus::DeleteSecond,
                Ok(Leap::Unsynchronised) => domain::LeapStatus::Unsynchronised,
                Ok(Leap::Unspecified) | Err(_) => return Err(unknown("leap", tracked.leap)),
            },
            sources: list("sources", tracked.sources, SOURCES, TryInto::try_into)?,
            sources_left_out: tracked.sources_left_out,
            offline: tracked.offline,
            unresolved: tracked.unresolved,
        })
    }
}

impl From<&domain::TimeSource> for v1::chrony::Source {
    fn from(source: &domain::TimeSource) -> Self {
        Self {
            name: source.name.clone(),
            mode: match source.mode {
                domain::SourceMode::Server => Mode::Server,
                domain::SourceMode::Peer => Mode::Peer,
                domain::SourceMode::ReferenceClock => Mode::ReferenceClock,
            }
            .into(),
            state: match source.state {
                domain::SourceState::Selected => State::Selected,
                domain::SourceState::Selectable => State::Selectable,
                domain::SourceState::Falseticker => State::Falseticker,
                domain::SourceState::Jittery => State::Jittery,
                domain::SourceState::Unselectable => State::Unselectable,
            }
            .into(),
            stratum: source.stratum,
            is_reachable: source.is_reachable,
        }
    }
}

impl TryFrom<v1::chrony::Source> for domain::TimeSource {
    type Error = Invalid;

    fn try_from(source: v1::chrony::Source) -> Result<Self, Invalid> {
        Ok(Self {
            name: text(source.name),
            mode: match Mode::try_from(source.mode) {
                Ok(Mode::Server) => domain::SourceMode::Server,
                Ok(Mode::Peer) => domain::SourceMode::Peer,
                Ok(Mode::ReferenceClock) => domain::SourceMode::ReferenceClock,
                Ok(Mode::Unspecified) | Err(_) => return Err(unknown("mode", source.mode)),
            },
            state: match State::try_from(source.state) {
                Ok(State::Selected) => domain::SourceState::Selected,
                Ok(State::Selectable) => domain::SourceState::Selectable,
                Ok(State::Falseticker) => domain::SourceState::Falseticker,
                Ok(State::Jittery) => domain::SourceState::Jittery,
                Ok(State::Unselectable) => domain::SourceState::Unselectable,
                Ok(State::Unspecified) | Err(_) => return Err(unknown("state", source.state)),
            },
            stratum: source.stratum,
            is_reachable: source.is_reachable,
        })
    }
}
