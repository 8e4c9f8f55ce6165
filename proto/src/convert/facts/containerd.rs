//! Facts of `containerd` to and from the wire.

mod replies;

use nodeward_domain::facts::containerd as domain;

use super::{TRACES, process, unit};
use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;

/// The most conditions that are accepted: some ten times what a runtime has.
const CONDITIONS: usize = 64;

/// Why a reported fact is missing that this build knows.
const OLDER_AGENT: &str = "the agent that reported this does not ask for it";

impl From<&domain::Containerd> for v1::Containerd {
    fn from(containerd: &domain::Containerd) -> Self {
        Self {
            traces: containerd.traces.clone(),
            process: containerd.process.as_ref().map(Into::into),
            unit: Some((&containerd.unit).into()),
            socket: containerd.socket.clone(),
            cri: Some((&containerd.cri).into()),
            runc: containerd.runc.clone(),
            configuration: Some((&containerd.configuration).into()),
            replies: Some((&containerd.replies).into()),
        }
    }
}

impl TryFrom<v1::Containerd> for domain::Containerd {
    type Error = Invalid;

    fn try_from(containerd: v1::Containerd) -> Result<Self, Invalid> {
        Ok(Self {
            traces: texts("traces", containerd.traces, TRACES)?,
            process: process(containerd.process)?,
            unit: unit::unit(containerd.unit)?,
            socket: text(containerd.socket),
            cri: required("cri", containerd.cri)?
                .try_into()
                .map_err(|invalid: Invalid| invalid.within("cri"))?,
            runc: texts("runc", containerd.runc, TRACES)?,
            configuration: match containerd.configuration {
                Some(configuration) => configuration
                    .try_into()
                    .map_err(|invalid: Invalid| invalid.within("configuration"))?,
                None => domain::Configuration {
                    path: String::new(),
                    systemd_cgroup: domain::SystemdCgroup::Unknown(OLDER_AGENT.to_owned()),
                },
            },
            replies: match containerd.replies {
                Some(replies) => {
                    replies.try_into().map_err(|invalid: Invalid| invalid.within("replies"))?
                }
                None => domain::Replies::not_asked(OLDER_AGENT),
            },
        })
    }
}

impl From<&domain::Configuration> for v1::ContainerdConfiguration {
    fn from(configuration: &domain::Configuration) -> Self {
        use v1::containerd_configuration::{SystemdCgroup, Unset};
        Self {
            path: configuration.path.clone(),
            systemd_cgroup: Some(match &configuration.systemd_cgroup {
                domain::SystemdCgroup::Set(set) => SystemdCgroup::Set(*set),
                domain::SystemdCgroup::Unset => SystemdCgroup::Unset(Unset {}),
                domain::SystemdCgroup::Unknown(why) => SystemdCgroup::Unknown(why.clone()),
            }),
        }
    }
}

impl TryFrom<v1::ContainerdConfiguration> for domain::Configuration {
    type Error = Invalid;

    fn try_from(configuration: v1::ContainerdConfiguration) -> Result<Self, Invalid> {
        use v1::containerd_configuration::SystemdCgroup;
        Ok(Self {
            path: text(configuration.path),
            systemd_cgroup: match required("systemd_cgroup", configuration.systemd_cgroup)? {
                SystemdCgroup::Set(set) => domain::SystemdCgroup::Set(set),
                SystemdCgroup::Unset(_) => domain::SystemdCgroup::Unset,
                SystemdCgroup::Unknown(why) => domain::SystemdCgroup::Unknown(text(why)),
            },
        })
    }
}

impl From<&domain::CriAnswer> for v1::CriAnswer {
    fn from(answer: &domain::CriAnswer) -> Self {
        use v1::cri_answer::{Answer, Failed, NoSocket, Refused, Serving, TimedOut};
        let answer = match answer.clone() {
            domain::CriAnswer::NoSocket => Answer::NoSocket(NoSocket {}),
            domain::CriAnswer::Refused => Answer::Refused(Refused {}),
            domain::CriAnswer::TimedOut { call, after_milliseconds } => {
                Answer::TimedOut(TimedOut { call, after_milliseconds })
            }
            domain::CriAnswer::Unimplemented { message } => Answer::Unimplemented(message),
            domain::CriAnswer::Failed { call, why } => Answer::Failed(Failed { call, why }),
            domain::CriAnswer::Serving { version, conditions } => Answer::Serving(Serving {
                runtime_name: version.name,
                runtime_version: version.version,
                runtime_api_version: version.api_version,
                conditions: conditions
                    .into_iter()
                    .map(|condition| v1::RuntimeCondition {
                        r#type: condition.kind,
                        status: condition.status,
                        reason: condition.reason,
                        message: condition.message,
                    })
                    .collect(),
            }),
            domain::CriAnswer::NotAsked { why } => Answer::NotAsked(why),
        };
        Self { answer: Some(answer) }
    }
}

impl TryFrom<v1::CriAnswer> for domain::CriAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::CriAnswer) -> Result<Self, Invalid> {
        use v1::cri_answer::Answer;
        Ok(match required("answer", answer.answer)? {
            Answer::NoSocket(_) => Self::NoSocket,
            Answer::Refused(_) => Self::Refused,
            Answer::TimedOut(timed_out) => Self::TimedOut {
                call: text(timed_out.call),
                after_milliseconds: timed_out.after_milliseconds,
            },
            Answer::Unimplemented(message) => Self::Unimplemented { message: text(message) },
            Answer::Failed(failed) => {
                Self::Failed { call: text(failed.call), why: text(failed.why) }
            }
            Answer::Serving(serving) => Self::Serving {
                version: domain::RuntimeVersion {
                    name: text(serving.runtime_name),
                    version: text(serving.runtime_version),
                    api_version: text(serving.runtime_api_version),
                },
                conditions: list(
                    "serving.conditions",
                    serving.conditions,
                    CONDITIONS,
                    |condition| {
                        Ok(domain::RuntimeCondition {
                            kind: name("type", condition.r#type)?,
                            status: condition.status,
                            reason: text(condition.reason),
                            message: text(condition.message),
                        })
                    },
                )?,
            },
            Answer::NotAsked(why) => Self::NotAsked { why: text(why) },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    const TEXT: &str = "\\PC{0,20}";

    /// Any configuration, for the round trip of contents.
    pub(crate) fn configuration() -> impl Strategy<Value = domain::Configuration> {
        let systemd_cgroup = prop_oneof![
            any::<bool>().prop_map(domain::SystemdCgroup::Set),
            Just(domain::SystemdCgroup::Unset),
            TEXT.prop_map(domain::SystemdCgroup::Unknown),
        ];
        (TEXT, systemd_cgroup)
            .prop_map(|(path, systemd_cgroup)| domain::Configuration { path, systemd_cgroup })
    }

    pub(crate) use super::replies::tests::replies;

    /// What the first version of the agent reported: the fields 1 to 4 alone.
    #[test]
    fn what_an_older_agent_did_not_report_is_not_taken_for_healthy() {
        let cri = v1::CriAnswer { answer: Some(v1::cri_answer::Answer::NotAsked(String::new())) };
        let reported = v1::Containerd { cri: Some(cri), ..v1::Containerd::default() };
        let decoded = v1::Containerd::decode(reported.encode_to_vec().as_slice());
        let facts = domain::Containerd::try_from(decoded.expect("bytes of ours")).expect("valid");
        assert_eq!(facts.replies, domain::Replies::not_asked(OLDER_AGENT));
        assert_eq!(
            facts.configuration.systemd_cgroup,
            domain::SystemdCgroup::Unknown(OLDER_AGENT.to_owned())
        );
    }
}
