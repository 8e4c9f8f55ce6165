//! A connection to the runtime's Unix socket, and who listens there.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nodeward_domain::facts::CriAnswer;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::super::call::milliseconds;
use super::super::{CONNECT_LIMIT, socket};
use crate::host::{HostError, HostRoot};

/// The socket below the host root, or what its absence says of the runtime.
pub(super) fn find(root: &HostRoot, socket: &str) -> Result<OwnedFd, CriAnswer> {
    root.socket(socket).map_err(|error| match error {
        HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. } => {
            CriAnswer::NoSocket
        }
        HostError::System { errno: Errno::EACCES | Errno::EPERM, .. } => not_allowed(),
        error => failed(error.to_string()),
    })
}

fn failed(why: String) -> CriAnswer {
    CriAnswer::Failed { call: "connect".to_owned(), why }
}

/// A right that the agent lacks is no fault of the runtime.
fn not_allowed() -> CriAnswer {
    CriAnswer::NotAsked { why: "permission denied: the agent may not open the socket".to_owned() }
}

/// Connects, within a second.
pub(super) async fn connect(handle: OwnedFd) -> Result<UnixStream, CriAnswer> {
    socket::connect(handle).await.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => CriAnswer::Refused,
        ErrorKind::PermissionDenied => not_allowed(),
        ErrorKind::TimedOut => CriAnswer::TimedOut {
            call: "connect".to_owned(),
            after_milliseconds: milliseconds(CONNECT_LIMIT),
        },
        _ => failed(error.to_string()),
    })
}

/// The process that listens there, if the kernel shows it to us. It keeps who called
/// listen(2), even while that process is stopped.
pub(super) fn listener(stream: &UnixStream) -> Option<u32> {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid())?;
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// gRPC on that connection.
pub(super) async fn channel(stream: UnixStream) -> Result<Channel, CriAnswer> {
    let mut stream = Some(TokioIo::new(stream));
    // containerd wants the authority `localhost`.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = stream.take();
            async move { stream.ok_or_else(|| std::io::Error::other("connection lost")) }
        }))
        .await
        .map_err(|error| failed(error.to_string()))
}
