//! Connections that are taken, and how many at most: whoever opens them must not use up
//! the files of the process, which the store needs too.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// So many connections one listener has at most.
const CONNECTIONS: usize = 4096;

/// There are three listeners: plain gRPC, gRPC over TLS, HTTP.
const LISTENERS: u64 = 3;

/// Open files that are no connections: store, logs, runtime.
const OTHER_FILES: u64 = 64;

/// Between two tries when the system has no connection to give.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How many connections each listener may have: the limit of this build, or what the
/// process may open, which is raised as far as the system lets it.
#[must_use]
pub fn limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS };
    let wanted = CONNECTIONS as u64 * LISTENERS + OTHER_FILES;
    let raised = soft.max(wanted.min(hard));
    let files = match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    let each = files.saturating_sub(OTHER_FILES) / LISTENERS;
    usize::try_from(each).unwrap_or(CONNECTIONS).clamp(1, CONNECTIONS)
}

/// Takes connections, up to a limit. Those above it are closed at once, so that whoever
/// is there hears it and comes again.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    free: Arc<Semaphore>,
    refusing: bool,
}

impl Connections {
    /// At most so many of that listener.
    #[must_use]
    pub fn of(listener: TcpListener, limit: usize) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(limit)), refusing: false }
    }

    async fn next(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(taken) => taken,
                Err(error) => {
                    // Without a pause it would be asked over and over, see accept(2), EMFILE.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(AGAIN_AFTER).await;
                    continue;
                }
            };
            let free = Arc::clone(&self.free).try_acquire_owned();
            let refused = free.is_err();
            if refused && !self.refusing {
                tracing::warn!(%address, "no more connections are taken until others end");
            }
            self.refusing = refused;
            if let Ok(place) = free {
                // Without it a small answer waits for more to send; no more than that.
                let _ = stream.set_nodelay(true);
                return (Connection { stream, _place: place }, address);
            }
        }
    }

    /// The connections as tonic takes them, until it takes no more.
    #[must_use]
    pub fn into_stream(mut self) -> ReceiverStream<std::io::Result<Connection>> {
        let (give, taken) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let connection = tokio::select! {
                    (connection, _) = self.next() => connection,
                    () = give.closed() => return,
                };
                if give.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
        });
        ReceiverStream::new(taken)
    }
}

impl axum::serve::Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that holds its place among those that are taken.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn one_too_many_is_closed_and_the_next_is_taken_when_another_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut taken = Connections::of(listener, 2).into_stream();
        let connect = || async { TcpStream::connect(address).await.expect("connected") };
        let (_first, _second) = (connect().await, connect().await);
        let one = taken.next().await.expect("taken").expect("good");
        let _two = taken.next().await.expect("taken").expect("good");
        let mut third = connect().await;
        assert_eq!(third.read(&mut [0]).await.expect("closed in order"), 0);
        drop(one);
        let _fourth = connect().await;
        assert!(taken.next().await.expect("taken").is_ok());
    }

    #[test]
    fn the_limit_leaves_files_for_the_store() {
        let limit = limit();
        let (files, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert!((1..=CONNECTIONS).contains(&limit), "{limit}");
        assert!(limit == 1 || limit as u64 * LISTENERS + OTHER_FILES <= files, "{limit} {files}");
    }
}
