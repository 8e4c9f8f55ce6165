//! The three ways of running: `run`, and `collect` and `send` as two processes. Each
//! stops within a second of SIGTERM or SIGINT, even when a host read hangs.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nodeward_proto::v1;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::collect::{LogWatch, Rounds};
use crate::config::{Config, ConfigError};
use crate::frame;
use crate::host::{Host, HostError, HostRoot};
use crate::measure::Meter;
use crate::npd::{self, NpdError};
use crate::probe::{Probes, Recording, RecordingError};
use crate::round::{Order, OrderError, round};
use crate::send::Sender;

/// Why an agent could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host root cannot be opened.
    #[error("--host-root {path}: {error}", path = error.path())]
    HostRoot {
        /// What failed.
        error: HostError,
    },
    /// The recording cannot be used.
    #[error("--recorded-answers {source}: {cause}", cause = cause(source))]
    Recording {
        /// What failed.
        #[from]
        source: RecordingError,
    },
    /// Rules that were to be imported cannot be used.
    #[error(transparent)]
    Npd(#[from] NpdError),
    /// The kernel does not say which boot this is.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The socket between `collect` and `send` cannot be made.
    #[error("--socket {path}: {source}")]
    Socket {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(String::new, ToString::to_string)
}

/// The newest round, or none before the first.
type Newest = Option<Arc<v1::Round>>;

/// The host that a configuration names. Needs a runtime, on which live probes run.
pub fn host(config: &Config) -> Result<Host, ServiceError> {
    let root =
        HostRoot::open(config.host_root()).map_err(|error| ServiceError::HostRoot { error })?;
    let probes = match &config.recorded_answers {
        Some(path) => Probes::Recorded(Box::new(Recording::read(path)?)),
        None => Probes::of(&root, tokio::runtime::Handle::current()),
    };
    let log = match &config.npd_config {
        Some(folder) => LogWatch::with(npd::read(folder)?),
        None => LogWatch::default(),
    };
    Ok(Host {
        containerd_socket: config.containerd_socket().to_owned(),
        kubelet_token_file: config.kubelet_token_file.clone(),
        beyond: config.beyond()?,
        asks_packet_filter: config.packet_filter,
        log,
        ..Host::new(root, probes)
    })
}

/// Collects and sends in one process.
pub async fn run(config: &Config) -> Result<(), ServiceError> {
    let interval = config.interval()?;
    // First: without it not even the node's name can be read.
    let host = host(config)?;
    let way = config.destination()?;
    log_start(config, &host);
    let (newest, rounds) = watch::channel(None);
    let sender = Sender::new(way);
    tokio::select! {
        result = collect_for_ever(host, interval, &newest) => result,
        () = sender.run(rounds) => Ok(()),
        result = stop_signal() => result,
    }
}

/// Collects, and hands every round to whoever connects to the socket.
pub async fn collect(config: &Config) -> Result<(), ServiceError> {
    let interval = config.interval()?;
    let path = config.socket()?;
    let host = host(config)?;
    log_start(config, &host);
    let listener = listen(path)
        .map_err(|source| ServiceError::Socket { path: path.display().to_string(), source })?;
    let (newest, rounds) = watch::channel(None);
    tokio::select! {
        result = collect_for_ever(host, interval, &newest) => result,
        () = hand_over(listener, rounds) => Ok(()),
        result = stop_signal() => result,
    }
}

/// Sends what `collect` hands over.
pub async fn send(config: &Config) -> Result<(), ServiceError> {
    let way = config.destination()?;
    let path = config.socket()?.to_owned();
    let (newest, rounds) = watch::channel(None);
    let sender = Sender::new(way);
    tokio::select! {
        () = take_over(&path, &newest) => Ok(()),
        () = sender.run(rounds) => Ok(()),
        result = stop_signal() => result,
    }
}

fn log_start(config: &Config, host: &Host) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        host_root = %config.host_root().display(),
        path_resolution = host.root.resolution().word(),
        "agent starts"
    );
}

/// Resolves with the first signal that asks to stop.
async fn stop_signal() -> Result<(), ServiceError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServiceError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServiceError::Signal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("agent stops");
    Ok(())
}

async fn collect_for_ever(
    host: Host,
    interval: Duration,
    newest: &watch::Sender<Newest>,
) -> Result<(), ServiceError> {
    let resolution = host.root.resolution();
    let mut rounds = Rounds::new(Arc::new(host));
    let mut meter = Meter::default();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let order = Order::now()?;
        let observations = rounds.run().await;
        let round = round(order, meter.measure(), &observations, resolution);
        newest.send_replace(Some(Arc::new(round)));
    }
}

/// Listens on the socket, in place of one that a former process left behind. Readable
/// and writable by owner and group: `send` runs under the group of the folder.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                "another collect listens there",
            ));
        }
        // Whatever else is refused, only a socket was left behind by one of us.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            if !path.symlink_metadata()?.file_type().is_socket() {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::AlreadyExists,
                    "something else than a socket lies there",
                ));
            }
            std::fs::remove_file(path)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Writes the newest round to every connection, and each newer one after it.
async fn hand_over(listener: UnixListener, rounds: watch::Receiver<Newest>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tracing::info!("send has connected");
                tokio::spawn(hand_to(socket, rounds.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn hand_to(mut socket: UnixStream, mut rounds: watch::Receiver<Newest>) {
    rounds.mark_changed();
    while rounds.changed().await.is_ok() {
        let Some(round) = rounds.borrow_and_update().clone() else {
            continue;
        };
        if let Err(error) = frame::write(&mut socket, &round).await {
            tracing::info!(%error, "send has gone");
            return;
        }
    }
}

/// Reads rounds from `collect`, and connects again whenever it goes away.
async fn take_over(path: &Path, newest: &watch::Sender<Newest>) {
    let mut waiting = false;
    loop {
        match UnixStream::connect(path).await {
            Ok(mut socket) => {
                tracing::info!("connected to collect");
                waiting = false;
                loop {
                    match frame::read(&mut socket).await {
                        Ok(round) => {
                            newest.send_replace(Some(Arc::new(round)));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "collect has gone");
                            break;
                        }
                    }
                }
            }
            Err(error) if !waiting => {
                waiting = true;
                tracing::warn!(%error, socket = %path.display(), "waiting for collect");
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "precious").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("made");
        for path in [&file, &link] {
            assert!(listen(path).is_err(), "{}", path.display());
        }
        assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");

        let socket = folder.path().join("socket");
        let first = listen(&socket).expect("a new socket");
        assert!(listen(&socket).is_err(), "somebody listens");
        drop(first);
        assert!(listen(&socket).is_ok(), "nobody listens any more");
    }
}
