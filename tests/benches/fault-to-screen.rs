//! How long it takes from a fault on a node to a reader's answer: the file system of the
//! logs runs full, at any moment between two rounds of a real agent, and is emptied again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nodeward_domain::answer::NodeAnswer;
use nodeward_tests::authority::Authority;
use nodeward_tests::bench::bursts::spread;
use nodeward_tests::bench::busy::in_own_namespaces;
use nodeward_tests::bench::programs::agent;
use nodeward_tests::service::{Aggregator, Program};

const INTERVAL: Duration = Duration::from_secs(10);
const FAULTS: u32 = 10;

/// Of 64 MiB so much is written: less than 5 % is left.
const FILL_BYTES: usize = 63 << 20;
const FILLED: &str = "/var/log/filled";

fn is_shown(answer: &NodeAnswer) -> bool {
    answer.findings.iter().any(|finding| {
        finding.reason == "FilesystemNearlyFull" && finding.message.contains("/var/log")
    })
}

#[tokio::main]
async fn main() {
    in_own_namespaces();
    let size = Some("size=64m");
    mount(Some("tmpfs"), "/var/log", Some("tmpfs"), MsFlags::empty(), size).expect("mounted");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let _agent = Program::start(&mut agent(&aggregator, &authority, "faulty", INTERVAL, None));
    aggregator.answer_when("faulty", "the report", |_| true).await;
    let mut waits = Vec::new();
    for fault in 0..FAULTS {
        aggregator.answer_when("faulty", "a good answer", |answer| !is_shown(answer)).await;
        // Every time later between two rounds; three and ten have no common part.
        tokio::time::sleep(INTERVAL / FAULTS * (fault * 3 % FAULTS)).await;
        std::fs::write(FILLED, vec![1; FILL_BYTES]).expect("written");
        let since = Instant::now();
        aggregator.answer_when("faulty", "the fault", is_shown).await;
        waits.push(since.elapsed().as_secs_f64());
        std::fs::remove_file(FILLED).expect("removed");
    }
    let interval = INTERVAL.as_secs_f64();
    let (least, middle, most) = spread(&waits);
    println!(
        "from fault to answer, a round every {interval:.0} s: {FAULTS} faults, {middle:.2} s (least {least:.2}, most {most:.2}); beyond the interval at the most {:.2} s; goal 2 s",
        most - interval
    );
    let each: Vec<String> = waits.iter().map(|wait| format!("{wait:.2}")).collect();
    println!("  each: {}", each.join(", "));
}
