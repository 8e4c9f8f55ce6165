//! What the agent uses at rest: this machine as the host, a real containerd, TLS on, a
//! round every 30 seconds, beside Debian's prometheus-node-exporter that is scraped as
//! often. NODEWARD_BENCH_MINUTES says how long, 30 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

use nodeward_tests::authority::Authority;
use nodeward_tests::bench::programs::{Exporter, agent};
use nodeward_tests::bench::{Usage, mib};
use nodeward_tests::containerd::Containerd;
use nodeward_tests::service::{Aggregator, Program};

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
    let socket = containerd.socket();
    let agent =
        Program::start(&mut agent(&aggregator, &authority, "rest", INTERVAL, Some(&socket)));
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
