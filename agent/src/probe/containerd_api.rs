//! containerd's own services `version` and `introspection`: who the server is, and which
//! of its parts have not started. Both stand above its namespaces.

use nodeward_domain::facts::containerd::{
    Deprecation, FailedPlugin, Plugins, Reply, Server, ServerVersion,
};
use tonic::transport::Channel;

use super::call::{Deadline, reply, told};
use introspection::introspection_client::IntrospectionClient;
use version::version_client::VersionClient;

/// Generated messages and client of our own small copy of the service `version`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod version {
    include!("../gen/containerd.services.version.v1.rs");
}

/// Generated messages and client of our own small copy of the service `introspection`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod introspection {
    include!("../gen/containerd.services.introspection.v1.rs");
}

/// A server that answers with more than this is not one we know.
const ANSWER_LIMIT_BYTES: usize = 1024 * 1024;

/// What containerd's own services answered.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) version: Reply<ServerVersion>,
    pub(super) server: Reply<Server>,
    pub(super) plugins: Reply<Plugins>,
}

/// Asks them, side by side.
pub(super) async fn ask(channel: &Channel, deadline: Deadline) -> Own {
    let mut version =
        VersionClient::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let client =
        || IntrospectionClient::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let (mut server, mut plugins) = (client(), client());
    let every = introspection::PluginsRequest { filters: Vec::new() };
    let (version, server, plugins) = tokio::join!(
        deadline.wait(version.version(())),
        deadline.wait(server.server(())),
        deadline.wait(plugins.plugins(every)),
    );
    Own {
        version: reply(version, |said| ServerVersion {
            version: told(&said.version),
            revision: told(&said.revision),
        }),
        server: reply(server, |server| identity(&server)),
        plugins: reply(plugins, |list| parts(list.plugins)),
    }
}

fn identity(server: &introspection::ServerResponse) -> Server {
    let mut deprecations: Vec<Deprecation> = server
        .deprecations
        .iter()
        .map(|one| Deprecation { id: told(&one.id), message: told(&one.message) })
        .collect();
    deprecations.sort_unstable();
    Server { uuid: told(&server.uuid), pid: Some(server.pid).filter(|pid| *pid > 0), deprecations }
}

fn parts(plugins: Vec<introspection::Plugin>) -> Plugins {
    let all = plugins.len();
    let mut failed: Vec<FailedPlugin> = plugins
        .into_iter()
        .filter_map(|mut plugin| {
            let error = plugin.init_err?;
            Some(FailedPlugin {
                kind: told(&plugin.r#type),
                id: told(&plugin.id),
                folder: told(&plugin.exports.remove("root").unwrap_or_default()),
                message: told(&error.message),
            })
        })
        .collect();
    failed.sort_unstable();
    Plugins { started: u32::try_from(all - failed.len()).unwrap_or(u32::MAX), failed }
}
