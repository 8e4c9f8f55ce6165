//! What the agent uses at rest: this machine as the host, a real containerd, TLS on, a
//! round every 30 seconds, beside Debian's prometheus-node-exporter that is scraped as
//! often. NODEWARD_BENCH_MINUTES says how long, 30 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodeward_tests::authority::Authority;
use nodeward_tests::bench::{Usage, mib};
use nodeward_tests::containerd::Containerd;
use nodeward_tests::programs;
use nodeward_tests::service::{Aggregator, PATIENCE, Program};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Between two rounds of the agent, and between two scrapes of its peer.
const INTERVAL: Duration = Duration::from_secs(30);

/// What a start costs is not what rest costs.
const SETTLED: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let minutes = std::env::var("NODEWARD_BENCH_MINUTES").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(60 * minutes.unwrap_or(30));
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let containerd = Containerd::start();
    containerd.write_network();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let agent = Program::start(&mut agent(&aggregator, &authority, &containerd));
    aggregator.answer_when("rest", "the report", |_| true).await;
    let exporter = Exporter::start();
    let mut scraped = exporter.scrape().await;
    tokio::time::sleep(SETTLED).await;

    let started = Instant::now();
    let first = [Usage::of(agent.pid()), Usage::of(exporter.program.pid())];
    println!("at rest for {} min, a round and a scrape every 30 s", length.as_secs() / 60);
    while started.elapsed() < length {
        tokio::time::sleep(INTERVAL).await;
        scraped = exporter.scrape().await;
    }
    let elapsed = started.elapsed().as_secs_f64();
    let last = [Usage::of(agent.pid()), Usage::of(exporter.program.pid())];
    for (name, first, last, goal) in [
        ("nodeward-agent", first[0], last[0], "; goal 10 MiB PSS, 0.1 %"),
        ("prometheus-node-exporter", first[1], last[1], ""),
    ] {
        let cpu = (last.cpu - first.cpu).as_secs_f64();
        println!(
            "  {name}: PSS {:.1} MiB (resident {:.1}, peak {:.1}), {:.3} % of a core ({cpu:.2} s of {elapsed:.0} s), {} threads{goal}",
            mib(last.pss_bytes),
            mib(last.resident_bytes),
            mib(last.peak_bytes),
            100.0 * cpu / elapsed,
            last.threads
        );
    }
    println!("  a scrape of the exporter: {scraped} bytes");
}

/// The agent on this very machine.
fn agent(aggregator: &Aggregator, authority: &Authority, containerd: &Containerd) -> Command {
    let shown = authority.client(Some("nodeward://prod/node/rest/1"));
    let address = aggregator.tls.as_ref().expect("it serves over TLS");
    let mut command = Command::new(programs::shipped_agent());
    // As Dockerfile and manifests set them, unless the caller of the benchmark does.
    for (key, value) in [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")] {
        if std::env::var_os(key).is_none() {
            command.env(key, value);
        }
    }
    command
        .args(["run", "--interval", "30s", "--aggregator", &format!("https://{address}")])
        .arg("--containerd-socket")
        .arg(containerd.socket())
        .arg("--tls-ca")
        .arg(authority.certificate())
        .arg("--tls-certificate")
        .arg(&shown.certificate)
        .arg("--tls-key")
        .arg(&shown.key)
        .stderr(Stdio::null());
    command
}

/// The peer, on a port of its own.
struct Exporter {
    program: Program,
    address: String,
}

impl Exporter {
    fn start() -> Self {
        // The port is free when it is asked for; nobody else of this bench listens.
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
    async fn scrape(&self) -> usize {
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
