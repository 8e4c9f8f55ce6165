//! How many bytes an unchanged report puts on the wire, TLS and HTTP/2 included, in both
//! directions: counted by a relay between a real agent and a real aggregator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nodeward_tests::authority::Authority;
use nodeward_tests::bench::host_with_packages;
use nodeward_tests::programs;
use nodeward_tests::service::{Aggregator, Program};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// So many reports are counted.
const REPORTS: u64 = 20;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let (up, down) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let relay = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = relay.local_addr().expect("an address");
    let to = aggregator.tls.clone().expect("it serves over TLS");
    tokio::spawn(relay_for_ever(relay, to, Arc::clone(&up), Arc::clone(&down)));

    let host = host_with_packages(750);
    let shown = authority.client(Some("nodeward://prod/node/bench/1"));
    let mut agent = std::process::Command::new(programs::agent());
    agent
        .args(["run", "--interval", "1s", "--aggregator", &format!("https://{address}")])
        .arg("--host-root")
        .arg(host.path())
        .arg("--tls-ca")
        .arg(authority.certificate())
        .arg("--tls-certificate")
        .arg(&shown.certificate)
        .arg("--tls-key")
        .arg(&shown.key)
        .stderr(std::process::Stdio::null());
    let _agent = Program::start(&mut agent);
    aggregator.answer_when("bench", "the report", |_| true).await;
    // What is new travels with the first reports; then nothing changes any more.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let first = [up.load(Ordering::Relaxed), down.load(Ordering::Relaxed)];
    let reports = acknowledged(&aggregator).await;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = acknowledged(&aggregator).await - reports;
        if now >= REPORTS {
            let [up, down] =
                [up.load(Ordering::Relaxed) - first[0], down.load(Ordering::Relaxed) - first[1]];
            println!("an unchanged report on the wire, with TLS and HTTP/2, mean of {now}");
            println!(
                "  from the agent {} bytes, to the agent {} bytes; goal 1536 bytes",
                up / now,
                down / now
            );
            println!(
                "  until then, the facts of 750 packages once: {} bytes from the agent",
                first[0]
            );
            return;
        }
    }
}

/// How many reports the aggregator has acknowledged, by its own counter.
async fn acknowledged(aggregator: &Aggregator) -> u64 {
    let mut socket = TcpStream::connect(&aggregator.http).await.expect("it serves HTTP");
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    socket.write_all(request).await.expect("written");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("text");
    text.lines()
        .find_map(|line| line.strip_prefix("nodeward_reports_total{outcome=\"acknowledged\"} "))
        .map_or(0, |count| count.trim().parse().expect("a number"))
}

async fn relay_for_ever(relay: TcpListener, to: String, up: Arc<AtomicU64>, down: Arc<AtomicU64>) {
    while let Ok((agent, _)) = relay.accept().await {
        let aggregator = TcpStream::connect(&to).await.expect("the aggregator serves");
        let (agent_in, agent_out) = agent.into_split();
        let (aggregator_in, aggregator_out) = aggregator.into_split();
        tokio::spawn(count(agent_in, aggregator_out, Arc::clone(&up)));
        tokio::spawn(count(aggregator_in, agent_out, Arc::clone(&down)));
    }
}

async fn count(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counted: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        counted.fetch_add(length as u64, Ordering::Relaxed);
    }
}
