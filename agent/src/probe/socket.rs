//! Connecting to a Unix socket of the host.

use std::io::{ErrorKind, Result};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::CONNECT_LIMIT;

/// Between two attempts to connect to a listener whose queue is full.
const CONNECT_AGAIN: Duration = Duration::from_millis(50);

/// Connects to the socket that was found inside the host root, within [`CONNECT_LIMIT`];
/// `TimedOut` when it cannot be done by then. The handle keeps that socket: its path
/// might lead elsewhere by now, and might be too long for a socket address.
pub(super) async fn connect(handle: OwnedFd) -> Result<UnixStream> {
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
    timeout(CONNECT_LIMIT, attempts).await?
}
