//! How long it takes from a fault on a node to a reader's answer: the file system of the
//! logs runs full, at any moment between two rounds of a real agent, and is emptied again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::check::CONFIRMATIONS;
use nodeward_tests::authority::Authority;
use nodeward_tests::bench::busy::in_own_namespaces;
use nodeward_tests::bench::intervals::spread;
use nodeward_tests::bench::programs::agent;
use nodeward_tests::service::{Aggregator, Program};

const INTERVAL: Duration = Duration::from_secs(5);
const FAULTS: u32 = 10;

/// Of 64 MiB so much is written: less than 5 % is left.
const FILL_BYTES: usize = 63 << 20;
const FILLED: &str = "/var/log/filled";

const REASON: &str = "FilesystemNearlyFull";

/// Whether the answer names it: as a finding, or as one that waits to be seen more often.
fn is_told(answer: &NodeAnswer) -> bool {
    let mut checks = answer.components.iter().flat_map(|one| &one.checks);
    is_finding(answer) || checks.any(|one| one.reason == REASON && one.is_confirming())
}

fn is_finding(answer: &NodeAnswer) -> bool {
    answer.findings.iter().any(|finding| finding.reason == REASON)
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
    let (mut told, mut confirmed) = (Vec::new(), Vec::new());
    for fault in 0..FAULTS {
        aggregator.answer_when("faulty", "a good answer", |answer| !is_told(answer)).await;
        // Every time later between two rounds; three and ten have no common part.
        tokio::time::sleep(INTERVAL / FAULTS * (fault * 3 % FAULTS)).await;
        std::fs::write(FILLED, vec![1; FILL_BYTES]).expect("written");
        let since = Instant::now();
        aggregator.answer_when("faulty", "the first word of it", is_told).await;
        told.push(since.elapsed().as_secs_f64());
        aggregator.answer_when("faulty", "the finding", is_finding).await;
        confirmed.push(since.elapsed().as_secs_f64());
        std::fs::remove_file(FILLED).expect("removed");
    }
    let interval = INTERVAL.as_secs_f64();
    println!("from fault to answer, {FAULTS} faults, a round every {interval:.0} s");
    for (name, waits, rounds, goal) in [
        ("first told, as what waits to be confirmed", &told, 1.0, "; goal 2 s"),
        ("a finding, seen three times", &confirmed, f64::from(CONFIRMATIONS), ""),
    ] {
        let (least, middle, most) = spread(waits);
        let beyond = most - interval * rounds;
        println!(
            "  {name}: {middle:.2} s (least {least:.2}, most {most:.2}); beyond {rounds:.0} intervals at the most {beyond:.2} s{goal}"
        );
        let each: Vec<String> = waits.iter().map(|wait| format!("{wait:.2}")).collect();
        println!("    each: {}", each.join(", "));
    }
}
