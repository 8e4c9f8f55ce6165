//! What further calls of the runtime brought, to and from the wire. Each stands in a
//! `oneof` of its own: its answer, or why there is none.

use nodeward_domain::facts::containerd as domain;

use super::OLDER_AGENT;
use crate::convert::{Invalid, list, name, text, texts};
use crate::v1;
use crate::v1::containerd_replies as wire;
use crate::v1::containerd_replies::{
    ImageFsInfoReply, ListPodSandboxReply, PluginsReply, RuntimeConfigReply, ServerReply,
    VersionReply,
};

/// The most that is accepted of each: some ten times what a real server has.
const FOLDERS: usize = 64;
const DEPRECATIONS: usize = 256;
const PLUGINS: usize = 1024;

/// Encodes one reply as one of two arms.
fn reply_out<T, R>(
    reply: &domain::Reply<T>,
    answered: impl Fn(&T) -> R,
    unanswered: fn(wire::Unanswered) -> R,
) -> Option<R> {
    use wire::unanswered::Reason;
    let reason = match reply {
        domain::Reply::Answered(answer) => return Some(answered(answer)),
        domain::Reply::Unimplemented { message } => Reason::Unimplemented(message.clone()),
        domain::Reply::TimedOut { after_milliseconds } => {
            Reason::TimedOutAfterMilliseconds(*after_milliseconds)
        }
        domain::Reply::Failed { why } => Reason::Failed(why.clone()),
        domain::Reply::NotAsked { why } => Reason::NotAsked(why.clone()),
    };
    Some(unanswered(wire::Unanswered { reason: Some(reason) }))
}

/// Decodes why there is no answer.
fn unanswered<T>(unanswered: wire::Unanswered) -> Result<domain::Reply<T>, Invalid> {
    use wire::unanswered::Reason;
    Ok(match unanswered.reason {
        Some(Reason::Unimplemented(message)) => {
            domain::Reply::Unimplemented { message: text(message) }
        }
        Some(Reason::TimedOutAfterMilliseconds(after_milliseconds)) => {
            domain::Reply::TimedOut { after_milliseconds }
        }
        Some(Reason::Failed(why)) => domain::Reply::Failed { why: text(why) },
        Some(Reason::NotAsked(why)) => domain::Reply::NotAsked { why: text(why) },
        None => return Err(Invalid::new("reason", "is missing or not known here")),
    })
}

impl From<&domain::Replies> for v1::ContainerdReplies {
    fn from(replies: &domain::Replies) -> Self {
        Self {
            list_pod_sandbox_reply: reply_out(
                &replies.list_pod_sandbox,
                |_| ListPodSandboxReply::SandboxList(wire::SandboxList {}),
                ListPodSandboxReply::NoSandboxList,
            ),
            runtime_config_reply: reply_out(
                &replies.runtime_config,
                |config| RuntimeConfigReply::Config(config_out(config)),
                RuntimeConfigReply::NoConfig,
            ),
            image_fs_info_reply: reply_out(
                &replies.image_fs_info,
                |stores| {
                    let folders = stores.folders.clone();
                    ImageFsInfoReply::ImageStores(wire::ImageStores { folders })
                },
                ImageFsInfoReply::NoImageStores,
            ),
            version_reply: reply_out(
                &replies.version,
                |said| {
                    VersionReply::ServerVersion(wire::ServerVersion {
                        version: said.version.clone(),
                        revision: said.revision.clone(),
                    })
                },
                VersionReply::NoServerVersion,
            ),
            server_reply: reply_out(
                &replies.server,
                |server| ServerReply::Identity(server_out(server)),
                ServerReply::NoIdentity,
            ),
            plugins_reply: reply_out(
                &replies.plugins,
                |plugins| PluginsReply::PluginList(plugins_out(plugins)),
                PluginsReply::NoPluginList,
            ),
        }
    }
}

impl TryFrom<v1::ContainerdReplies> for domain::Replies {
    type Error = Invalid;

    fn try_from(replies: v1::ContainerdReplies) -> Result<Self, Invalid> {
        /// The two arms of one call; a call that the sender did not know was not asked.
        macro_rules! reply {
            ($field:ident, $enum:ident::$answer:ident with $convert:expr, $none:ident) => {
                match replies.$field {
                    Some($enum::$answer(answer)) => $convert(answer).map(domain::Reply::Answered),
                    Some($enum::$none(reason)) => unanswered(reason),
                    None => Ok(domain::Reply::not_asked(OLDER_AGENT)),
                }
                .map_err(|invalid: Invalid| invalid.within(stringify!($field)))?
            };
        }
        Ok(Self {
            list_pod_sandbox: reply!(
                list_pod_sandbox_reply,
                ListPodSandboxReply::SandboxList with |_| Ok(domain::SandboxList {}),
                NoSandboxList
            ),
            runtime_config: reply!(
                runtime_config_reply, RuntimeConfigReply::Config with config_in, NoConfig
            ),
            image_fs_info: reply!(
                image_fs_info_reply, ImageFsInfoReply::ImageStores with stores_in, NoImageStores
            ),
            version: reply!(
                version_reply, VersionReply::ServerVersion with version_in, NoServerVersion
            ),
            server: reply!(server_reply, ServerReply::Identity with server_in, NoIdentity),
            plugins: reply!(plugins_reply, PluginsReply::PluginList with plugins_in, NoPluginList),
        })
    }
}

fn config_out(config: &domain::RuntimeConfig) -> wire::RuntimeConfig {
    let driver = match config.cgroup_driver {
        None => wire::CgroupDriver::Unspecified,
        Some(domain::CgroupDriver::Systemd) => wire::CgroupDriver::Systemd,
        Some(domain::CgroupDriver::Cgroupfs) => wire::CgroupDriver::Cgroupfs,
    };
    wire::RuntimeConfig { cgroup_driver: driver.into() }
}

fn config_in(config: wire::RuntimeConfig) -> Result<domain::RuntimeConfig, Invalid> {
    let cgroup_driver = match wire::CgroupDriver::try_from(config.cgroup_driver) {
        Ok(wire::CgroupDriver::Unspecified) => None,
        Ok(wire::CgroupDriver::Systemd) => Some(domain::CgroupDriver::Systemd),
        Ok(wire::CgroupDriver::Cgroupfs) => Some(domain::CgroupDriver::Cgroupfs),
        Err(_) => {
            let why = format!("{} is not a driver known here", config.cgroup_driver);
            return Err(Invalid::new("cgroup_driver", why));
        }
    };
    Ok(domain::RuntimeConfig { cgroup_driver })
}

fn stores_in(stores: wire::ImageStores) -> Result<domain::ImageStores, Invalid> {
    Ok(domain::ImageStores { folders: texts("folders", stores.folders, FOLDERS)? })
}

fn version_in(said: wire::ServerVersion) -> Result<domain::ServerVersion, Invalid> {
    Ok(domain::ServerVersion { version: text(said.version), revision: text(said.revision) })
}

fn server_out(server: &domain::Server) -> wire::Server {
    wire::Server {
        uuid: server.uuid.clone(),
        pid: server.pid.unwrap_or_default(),
        deprecations: server
            .deprecations
            .iter()
            .map(|one| wire::Deprecation { id: one.id.clone(), message: one.message.clone() })
            .collect(),
    }
}

fn server_in(server: wire::Server) -> Result<domain::Server, Invalid> {
    Ok(domain::Server {
        uuid: text(server.uuid),
        pid: Some(server.pid).filter(|pid| *pid > 0),
        deprecations: list("deprecations", server.deprecations, DEPRECATIONS, |one| {
            Ok(domain::Deprecation { id: name("id", one.id)?, message: text(one.message) })
        })?,
    })
}

fn plugins_out(plugins: &domain::Plugins) -> wire::Plugins {
    wire::Plugins {
        started: plugins.started,
        failed: plugins
            .failed
            .iter()
            .map(|plugin| wire::FailedPlugin {
                r#type: plugin.kind.clone(),
                id: plugin.id.clone(),
                folder: plugin.folder.clone(),
                message: plugin.message.clone(),
            })
            .collect(),
    }
}

fn plugins_in(plugins: wire::Plugins) -> Result<domain::Plugins, Invalid> {
    Ok(domain::Plugins {
        started: plugins.started,
        failed: list("failed", plugins.failed, PLUGINS, |plugin| {
            Ok(domain::FailedPlugin {
                kind: name("type", plugin.r#type)?,
                id: text(plugin.id),
                folder: text(plugin.folder),
                message: text(plugin.message),
            })
        })?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "[a-zA-Z0-9./-]{1,12}";
    const TEXT: &str = "\\PC{0,20}";

    fn reply<T: std::fmt::Debug + Clone>(
        answer: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = domain::Reply<T>> {
        prop_oneof![
            3 => answer.prop_map(domain::Reply::Answered),
            1 => TEXT.prop_map(|message| domain::Reply::Unimplemented { message }),
            1 => any::<u64>()
                .prop_map(|after_milliseconds| domain::Reply::TimedOut { after_milliseconds }),
            1 => TEXT.prop_map(|why| domain::Reply::Failed { why }),
            1 => TEXT.prop_map(|why| domain::Reply::NotAsked { why }),
        ]
    }

    /// Any replies, for the round trip of contents.
    pub(crate) fn replies() -> impl Strategy<Value = domain::Replies> {
        let driver = option::of(prop_oneof![
            Just(domain::CgroupDriver::Systemd),
            Just(domain::CgroupDriver::Cgroupfs),
        ]);
        let deprecation =
            (NAME, TEXT).prop_map(|(id, message)| domain::Deprecation { id, message });
        let server = (TEXT, option::of(1..u64::MAX), vec(deprecation, 0..3))
            .prop_map(|(uuid, pid, deprecations)| domain::Server { uuid, pid, deprecations });
        let failed = (NAME, TEXT, TEXT, TEXT).prop_map(|(kind, id, folder, message)| {
            domain::FailedPlugin { kind, id, folder, message }
        });
        let plugins = (any::<u32>(), vec(failed, 0..3))
            .prop_map(|(started, failed)| domain::Plugins { started, failed });
        (
            reply(Just(domain::SandboxList {})),
            reply(driver.prop_map(|cgroup_driver| domain::RuntimeConfig { cgroup_driver })),
            reply(vec(TEXT, 0..3).prop_map(|folders| domain::ImageStores { folders })),
            reply(
                (TEXT, TEXT)
                    .prop_map(|(version, revision)| domain::ServerVersion { version, revision }),
            ),
            reply(server),
            reply(plugins),
        )
            .prop_map(
                |(list_pod_sandbox, runtime_config, image_fs_info, version, server, plugins)| {
                    domain::Replies {
                        list_pod_sandbox,
                        runtime_config,
                        image_fs_info,
                        version,
                        server,
                        plugins,
                    }
                },
            )
    }
}
