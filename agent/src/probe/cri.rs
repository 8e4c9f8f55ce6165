//! The container runtime behind a Unix socket: of the Container Runtime Interface v1,
//! and of containerd's own services, the calls that read. `Status` is asked without
//! `verbose`, whose answer may hold passwords of registries.

mod connection;
pub(super) mod images;

use std::time::Duration;

use nodeward_domain::facts::containerd::{
    CgroupDriver, ImageStores, Replies, RuntimeConfig, SandboxList,
};
use nodeward_domain::facts::{CriAnswer, RuntimeCondition, RuntimeVersion};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::call::{Deadline, Unanswered, reply, told};
use super::containerd_api;
use crate::host::HostRoot;
use api::image_service_client::ImageServiceClient;
use api::runtime_service_client::RuntimeServiceClient;

/// Generated messages and clients of our own small copy of `runtime.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod api {
    include!("../gen/runtime.v1.rs");
}

/// A runtime that answers with more than this is not one we know.
const ANSWER_LIMIT_BYTES: usize = 1024 * 1024;

/// A list of sandboxes or containers carries every annotation of their pods, and a pod may
/// have 256 KiB of these: some 60 such pods, or a thousand with 16 KiB each. What is longer
/// is told as not known, and the other answers count.
const LIST_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// What was heard on the socket.
#[derive(Debug)]
pub struct Heard {
    /// The runtime's answer to the first two calls.
    pub answer: CriAnswer,
    /// What the calls beside them brought.
    pub replies: Replies,
    /// The process that listens there, if the kernel shows it to us.
    pub listener: Option<u32>,
    /// From the question to the answer of the slower of the first two calls; none when
    /// one of them was not answered.
    pub round_trip: Option<Duration>,
    /// Sandboxes that are ready; none when they could not be listed.
    pub ready_sandboxes: Option<u64>,
}

impl From<CriAnswer> for Heard {
    /// Nobody could be asked.
    fn from(answer: CriAnswer) -> Self {
        let replies = Replies::not_asked(&match &answer {
            CriAnswer::NotAsked { why } => why.clone(),
            other => other.to_string(),
        });
        Self { answer, replies, listener: None, round_trip: None, ready_sandboxes: None }
    }
}

/// Asks the runtime. `limit` holds for all calls together, which run side by side, so
/// that a runtime that hangs costs it once.
pub fn ask(
    runtime: &tokio::runtime::Handle,
    root: &HostRoot,
    socket: &str,
    limit: Duration,
) -> Heard {
    let handle = match connection::find(root, socket) {
        Ok(handle) => handle,
        Err(answer) => return answer.into(),
    };
    runtime.block_on(async {
        let deadline = Deadline::after(limit);
        let stream = match connection::connect(handle).await {
            Ok(stream) => stream,
            Err(answer) => return answer.into(),
        };
        let listener = connection::listener(&stream);
        let heard = match connection::channel(stream).await {
            Ok(channel) => call(&channel, deadline).await,
            Err(answer) => answer.into(),
        };
        Heard { listener, ..heard }
    })
}

async fn call(channel: &Channel, deadline: Deadline) -> Heard {
    let client =
        || RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let (mut version, mut status, mut config) = (client(), client(), client());
    let mut sandboxes = client().max_decoding_message_size(LIST_LIMIT_BYTES);
    let mut images =
        ImageServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let started = Instant::now();
    let (version, status, sandboxes, config, images, own) = tokio::join!(
        async {
            let asked = api::VersionRequest { version: "v1".to_owned() };
            (deadline.wait(version.version(asked)).await, started.elapsed())
        },
        async {
            let asked = api::StatusRequest { verbose: false };
            (deadline.wait(status.status(asked)).await, started.elapsed())
        },
        deadline.wait(sandboxes.list_pod_sandbox(ready())),
        deadline.wait(config.runtime_config(api::RuntimeConfigRequest {})),
        deadline.wait(images.image_fs_info(api::ImageFsInfoRequest {})),
        containerd_api::ask(channel, deadline),
    );
    let round_trip = match (&version, &status) {
        ((Ok(_), version), (Ok(_), status)) => Some(*version.max(status)),
        _ => None,
    };
    let ready_sandboxes = sandboxes.as_ref().ok().map(|list| list.items.len() as u64);
    Heard {
        answer: answer(version.0, status.0),
        replies: Replies {
            list_pod_sandbox: reply(sandboxes, |_| SandboxList {}),
            runtime_config: reply(config, runtime_config),
            image_fs_info: reply(images, image_stores),
            version: own.version,
            server: own.server,
            plugins: own.plugins,
        },
        listener: None,
        round_trip,
        ready_sandboxes,
    }
}

/// The answer of the first two calls.
fn answer(
    version: Result<api::VersionResponse, Unanswered>,
    status: Result<api::StatusResponse, Unanswered>,
) -> CriAnswer {
    let version = match version {
        Ok(version) => version,
        Err(unanswered) => return unanswered.to_answer("Version"),
    };
    let status = match status {
        Ok(status) => status.status.unwrap_or_default(),
        Err(unanswered) => return unanswered.to_answer("Status"),
    };
    let mut conditions: Vec<RuntimeCondition> = status
        .conditions
        .iter()
        .map(|condition| RuntimeCondition {
            kind: told(&condition.r#type),
            status: condition.status,
            reason: told(&condition.reason),
            message: told(&condition.message),
        })
        .collect();
    conditions.sort_unstable();
    CriAnswer::Serving {
        version: RuntimeVersion {
            name: told(&version.runtime_name),
            version: told(&version.runtime_version),
            api_version: told(&version.runtime_api_version),
        },
        conditions,
    }
}

/// Only those that are ready.
fn ready() -> api::ListPodSandboxRequest {
    let state = api::PodSandboxStateValue { state: api::PodSandboxState::SandboxReady.into() };
    api::ListPodSandboxRequest { filter: Some(api::PodSandboxFilter { state: Some(state) }) }
}

fn runtime_config(config: api::RuntimeConfigResponse) -> RuntimeConfig {
    let driver = config.linux.map(|linux| linux.cgroup_driver());
    RuntimeConfig {
        cgroup_driver: driver.map(|driver| match driver {
            // Zero, and so never on the wire.
            api::CgroupDriver::Systemd => CgroupDriver::Systemd,
            api::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
        }),
    }
}

fn image_stores(stores: api::ImageFsInfoResponse) -> ImageStores {
    let mut folders: Vec<String> = stores
        .image_filesystems
        .into_iter()
        .filter_map(|store| store.fs_id)
        .map(|id| told(&id.mountpoint))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    ImageStores { folders }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_is_zero_is_still_said() {
        let linux = |driver| api::LinuxRuntimeConfiguration { cgroup_driver: driver };
        for (said, expected) in [
            (Some(linux(0)), Some(CgroupDriver::Systemd)),
            (Some(linux(1)), Some(CgroupDriver::Cgroupfs)),
            (None, None),
        ] {
            let read = runtime_config(api::RuntimeConfigResponse { linux: said });
            assert_eq!(read.cgroup_driver, expected);
        }
    }
}
