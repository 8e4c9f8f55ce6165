//! How long the facts of a host root with 750 packages take, and how much memory, beside
//! syft's cataloguer of the same packages. `make bench` runs it in the release profile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nodeward_agent::collect::COLLECTOR_LIMIT;
use nodeward_domain::component::Component;
use nodeward_tests::bench::{Usage, host_with_packages, median, mib};
use nodeward_tests::host::HostCopy;
use nodeward_tests::service::{Aggregator, PATIENCE, Program, agent};

const PACKAGES: usize = 750;
const ROUNDS: usize = 50;

/// Syft is asked so often, after once that does not count.
const SYFT_RUNS: usize = 3;

fn main() {
    let host = host_with_packages(PACKAGES);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("facts of a host root with {PACKAGES} packages");
    rounds(&runtime, &host);
    runtime.block_on(peak(&host));
    match syft() {
        Some(program) => peer(&program, host.path()),
        None => println!("  syft: not installed; NODEWARD_SYFT names it"),
    }
}

/// All collectors side by side, and each component's own share.
fn rounds(runtime: &tokio::runtime::Runtime, host: &HostCopy) {
    runtime.block_on(host.round(COLLECTOR_LIMIT));
    let before = own_cpu();
    let mut took = Vec::new();
    let mut slowest = std::collections::BTreeMap::<Component, Vec<f64>>::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let seen = runtime.block_on(host.round(COLLECTOR_LIMIT));
        took.push(milliseconds(started.elapsed()));
        for one in seen {
            slowest.entry(one.state.component()).or_default().push(milliseconds(one.took));
        }
    }
    let cpu = milliseconds(own_cpu() - before) / 50.0;
    let worst = took.iter().copied().fold(0.0, f64::max);
    println!(
        "  all facts: median {:.1} ms, worst {worst:.1} ms of {ROUNDS} rounds; goal 15 ms",
        median(took)
    );
    println!("  processor time: {cpu:.1} ms a round");
    for (component, took) in slowest {
        println!("    {component}: done after {:.1} ms (median)", median(took));
    }
}

fn own_cpu() -> Duration {
    cpu(UsageWho::RUSAGE_SELF)
}

fn cpu(who: UsageWho) -> Duration {
    let used = getrusage(who).expect("getrusage(2)");
    let time = |value: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(value.tv_sec()).expect("time is not negative");
        let micros = u64::try_from(value.tv_usec()).expect("time is not negative");
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    time(used.user_time()) + time(used.system_time())
}

/// The most memory that the agent itself ever had, after some rounds and reports.
async fn peak(host: &HostCopy) {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut command = agent("run", host.path(), "bench");
    let agent = Program::start(command.args(["--aggregator", &aggregator.url()]));
    aggregator.answer_when("bench", "the report", |_| true).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let used = Usage::of(agent.pid());
    println!(
        "  agent after some rounds: peak {:.1} MiB resident, PSS {:.1} MiB, {} threads; goal 12 MiB peak",
        mib(used.peak_bytes),
        mib(used.pss_bytes),
        used.threads
    );
}

/// The program that `scripts/bench` has installed, or that somebody names.
fn syft() -> Option<PathBuf> {
    std::env::var_os("NODEWARD_SYFT").map(PathBuf::from).filter(|path| path.is_file())
}

fn peer(program: &Path, root: &Path) {
    let mut took = Vec::new();
    let before = cpu(UsageWho::RUSAGE_CHILDREN);
    for run in 0..=SYFT_RUNS {
        let started = Instant::now();
        let status = Command::new(program)
            .args(["scan", "--quiet", "--select-catalogers", "dpkg", "--output", "json"])
            .arg(format!("dir:{}", root.display()))
            .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("syft runs");
        assert!(status.success(), "syft failed: {status}");
        assert!(started.elapsed() < PATIENCE * 4, "syft does not end");
        if run > 0 {
            took.push(milliseconds(started.elapsed()));
        }
    }
    let spent = milliseconds(cpu(UsageWho::RUSAGE_CHILDREN) - before) / 4.0;
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage(2)").max_rss();
    let peak = u64::try_from(peak).expect("not negative") * 1024;
    println!(
        "  syft, dpkg cataloguer alone: median {:.0} ms of {SYFT_RUNS} runs, {spent:.0} ms processor time a run; largest child {:.0} MiB",
        median(took),
        mib(peak)
    );
}

fn milliseconds(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}
