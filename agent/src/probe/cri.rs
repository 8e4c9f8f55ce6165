//! The Container Runtime Interface v1 over a Unix socket: `Version` and `Status`, the
//! two calls that read and that every runtime answers at once.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nodeward_domain::facts::{CriAnswer, RuntimeCondition, RuntimeVersion};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::CONNECT_LIMIT;
use crate::host::{HostError, HostRoot};
use api::runtime_service_client::RuntimeServiceClient;

/// Generated messages and client of our own small copy of `runtime.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod api {
    include!("../gen/runtime.v1.rs");
}

/// Between two attempts to connect to a listener whose queue is full.
const CONNECT_AGAIN: Duration = Duration::from_millis(50);

/// A runtime that answers with more than this is not one we know.
const ANSWER_LIMIT_BYTES: usize = 1024 * 1024;

/// What was heard on the socket.
#[derive(Debug)]
pub struct Heard {
    /// The runtime's answer.
    pub answer: CriAnswer,
    /// The process that listens there, if the kernel shows it to us.
    pub listener: Option<u32>,
}

impl From<CriAnswer> for Heard {
    fn from(answer: CriAnswer) -> Self {
        Self { answer, listener: None }
    }
}

/// Asks the runtime. `limit` holds for both calls together, which run side by side, so
/// that a runtime that hangs costs one limit and not two.
pub fn ask(
    runtime: &tokio::runtime::Handle,
    root: &HostRoot,
    socket: &str,
    limit: Duration,
) -> Heard {
    let handle = match root.socket(socket) {
        Ok(handle) => handle,
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return CriAnswer::NoSocket.into();
        }
        Err(HostError::System { errno: Errno::EACCES | Errno::EPERM, .. }) => {
            return not_allowed().into();
        }
        Err(error) => return failed("connect", error.to_string()).into(),
    };
    runtime.block_on(async {
        let stream = match connect(handle).await {
            Ok(stream) => stream,
            Err(answer) => return answer.into(),
        };
        // The kernel keeps who called listen(2), even while that process is stopped.
        let listener = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let listener = listener.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        let answer = match channel(stream).await {
            Ok(channel) => call(channel, limit).await,
            Err(answer) => answer,
        };
        Heard { answer, listener }
    })
}

fn failed(call: &str, why: String) -> CriAnswer {
    CriAnswer::Failed { call: call.to_owned(), why }
}

/// A right that the agent lacks is no fault of the runtime.
fn not_allowed() -> CriAnswer {
    CriAnswer::NotAsked { why: "permission denied: the agent may not open the socket".to_owned() }
}

fn timed_out(call: &str, limit: Duration) -> CriAnswer {
    CriAnswer::TimedOut {
        call: call.to_owned(),
        after_milliseconds: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn connect(handle: OwnedFd) -> Result<UnixStream, CriAnswer> {
    // The handle keeps the socket that was found inside the root; its path might lead
    // elsewhere by now, and might be too long for a socket address.
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let attempts = async {
        loop {
            match UnixStream::connect(&path).await {
                // The queue of a listener that accepts nobody is full.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(CONNECT_AGAIN).await;
                }
                connected => return connected,
            }
        }
    };
    match timeout(CONNECT_LIMIT, attempts).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ConnectionRefused => CriAnswer::Refused,
            ErrorKind::PermissionDenied => not_allowed(),
            _ => failed("connect", error.to_string()),
        }),
        Err(_) => Err(timed_out("connect", CONNECT_LIMIT)),
    }
}

async fn channel(stream: UnixStream) -> Result<Channel, CriAnswer> {
    let mut stream = Some(TokioIo::new(stream));
    // containerd wants the authority `localhost`.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = stream.take();
            async move { stream.ok_or_else(|| std::io::Error::other("connection lost")) }
        }))
        .await
        .map_err(|error| failed("connect", error.to_string()))
}

async fn call(channel: Channel, limit: Duration) -> CriAnswer {
    let mut version_client =
        RuntimeServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let mut status_client = version_client.clone();
    let (version, status) = tokio::join!(
        timeout(limit, version_client.version(api::VersionRequest { version: "v1".to_owned() })),
        timeout(limit, status_client.status(api::StatusRequest { verbose: false })),
    );
    let version = match version {
        Err(_) => return timed_out("Version", limit),
        Ok(Err(status)) => return refused("Version", &status),
        Ok(Ok(version)) => version.into_inner(),
    };
    let status = match status {
        Err(_) => return timed_out("Status", limit),
        Ok(Err(status)) => return refused("Status", &status),
        Ok(Ok(status)) => status.into_inner().status.unwrap_or_default(),
    };
    let mut conditions: Vec<RuntimeCondition> = status
        .conditions
        .into_iter()
        .map(|condition| RuntimeCondition {
            kind: condition.r#type,
            status: condition.status,
            reason: condition.reason,
            message: condition.message,
        })
        .collect();
    conditions.sort_unstable();
    CriAnswer::Serving {
        version: RuntimeVersion {
            name: version.runtime_name,
            version: version.runtime_version,
            api_version: version.runtime_api_version,
        },
        conditions,
    }
}

fn refused(call: &str, status: &tonic::Status) -> CriAnswer {
    if status.code() == Code::Unimplemented {
        CriAnswer::Unimplemented { message: status.message().to_owned() }
    } else {
        failed(call, format!("{:?}: {}", status.code(), status.message()))
    }
}
