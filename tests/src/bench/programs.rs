//! What the benchmarks of the agent start: the agent as it is shipped, reporting over
//! mutual TLS, and its peer.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::programs;
use crate::service::{Aggregator, PATIENCE, Program};

/// The agent on this very machine, as a node of that name.
///
/// # Panics
/// When the aggregator does not serve over TLS.
#[must_use]
pub fn agent(
    aggregator: &Aggregator,
    authority: &Authority,
    node: &str,
    interval: Duration,
    containerd: Option<&Path>,
) -> Command {
    let shown = authority.client(Some(&format!("nodeward://prod/node/{node}/1")));
    let address = aggregator.tls.as_ref().expect("it serves over TLS");
    let mut command = Command::new(programs::shipped_agent());
    // As Dockerfile and manifests set them, unless the caller of the benchmark does.
    for (key, value) in [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")] {
        if std::env::var_os(key).is_none() {
            command.env(key, value);
        }
    }
    command
        .args(["run", "--interval", &format!("{}s", interval.as_secs())])
        .args(["--aggregator", &format!("https://{address}")])
        .arg("--tls-ca")
        .arg(authority.certificate())
        .arg("--tls-certificate")
        .arg(&shown.certificate)
        .arg("--tls-key")
        .arg(&shown.key)
        .stderr(Stdio::null());
    if let Some(socket) = containerd {
        command.arg("--containerd-socket").arg(socket);
    }
    command
}

/// The peer, on a port of its own.
#[derive(Debug)]
pub struct Exporter {
    /// The program.
    pub program: Program,
    address: String,
}

impl Exporter {
    /// Starts Debian's prometheus-node-exporter.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start() -> Self {
        // The port is free when it is asked for; nobody else of the benchmark listens.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let program = Program::start(
            Command::new(programs::installed("prometheus-node-exporter"))
                .arg(format!("--web.listen-address={address}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        Self { program, address }
    }

    /// Scrapes it once; gives the bytes of the answer.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn scrape(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut socket = loop {
            match TcpStream::connect(&self.address).await {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < deadline, "no exporter: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        socket.write_all(request).await.expect("written");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "the exporter does not answer");
        answer.len()
    }
}
