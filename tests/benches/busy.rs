//! What a round of the agent costs on a busy node, with all collectors: 300 processes that
//! sleep, four mounts for each of 110 pods, 20,000 connections that are tracked, a real
//! containerd, TLS on; beside Debian's prometheus-node-exporter on the same node.
//! NODEWARD_BENCH_ROUNDS says how many rounds, 30 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::Duration;

use nodeward_tests::authority::Authority;
use nodeward_tests::bench::busy::{
    connections, in_own_namespaces, mounts_of_pods, sleeping_processes,
};
use nodeward_tests::bench::intervals::{self, processor_time, reads, spread};
use nodeward_tests::bench::programs::{Exporter, agent};
use nodeward_tests::bench::{Usage, mib};
use nodeward_tests::containerd::Containerd;
use nodeward_tests::service::{Aggregator, Program};

const PROCESSES: usize = 300;
const PODS: usize = 110;
const CONNECTIONS: u16 = 20_000;

/// Long enough for a round on a machine that has other work.
const INTERVAL: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    in_own_namespaces();
    let rounds = std::env::var("NODEWARD_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(30);
    mounts_of_pods(PODS);
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let containerd = Containerd::start();
    containerd.write_network();
    let _sleeping = sleeping_processes(PROCESSES);
    let tracked = connections(CONNECTIONS);
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let socket = containerd.socket();
    let agent =
        Program::start(&mut agent(&aggregator, &authority, "busy", INTERVAL, Some(&socket)));
    let answer = aggregator.answer_when("busy", "the report", |_| true).await;
    let exporter = Exporter::start();
    let mut scraped = exporter.scrape().await;

    // What a start costs is not what a round costs.
    intervals::rounds(agent.pid(), 3, INTERVAL).await;
    let before = reads(agent.pid());
    let costs = intervals::rounds(agent.pid(), rounds, INTERVAL).await;
    let after = reads(agent.pid());
    let mut scrapes = Vec::new();
    for _ in 0..rounds {
        let before = processor_time(exporter.program.pid());
        scraped = exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let used = processor_time(exporter.program.pid()) - before;
        scrapes.push(used.as_secs_f64() * 1000.0);
    }
    let mounts = std::fs::read_to_string("/proc/1/mountinfo").expect("mounts").lines().count();
    let processes = std::fs::read_dir("/proc").expect("procfs");
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes =
        processes.flatten().filter(|one| one.file_name().to_str().is_some_and(is_process));
    println!(
        "a busy node: {} processes, {mounts} mounts, {} connections tracked, {} components",
        processes.count(),
        tracked.map_or("no".to_owned(), |count| count.to_string()),
        answer.components.len()
    );
    for (name, what, costs, pid, goal) in [
        ("nodeward-agent", "a round", &costs, agent.pid(), "; goal 60 ms, 20 MiB"),
        ("prometheus-node-exporter", "a scrape", &scrapes, exporter.program.pid(), ""),
    ] {
        let (least, middle, most) = spread(costs);
        let usage = Usage::of(pid);
        println!(
            "  {name}: {what} takes {middle:.1} ms of processor time (least {least:.1}, most {most:.1}, {} of them), PSS {:.1} MiB, resident {:.1}, peak {:.1}{goal}",
            costs.len(),
            mib(usage.pss_bytes),
            mib(usage.resident_bytes),
            mib(usage.peak_bytes)
        );
    }
    let rounds = u64::try_from(costs.len()).expect("few");
    println!(
        "  a round of the agent: {} calls that read, {} KiB; a scrape of the exporter: {} KiB answered",
        (after.0 - before.0) / rounds,
        (after.1 - before.1) / rounds / 1024,
        scraped / 1024
    );
}
