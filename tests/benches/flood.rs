//! What a flood of 100,000 lines costs the agent: into the kernel's real log, over ten
//! seconds and as fast as it goes, and into a file that a rule of node-problem-detector
//! follows. What was lost must have been counted. It writes to the log of the whole machine.
//! NODEWARD_BENCH_INTERVAL says how many seconds lie between rounds, 10 by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_tests::authority::Authority;
use nodeward_tests::bench::intervals::processor_time;
use nodeward_tests::bench::programs::agent;
use nodeward_tests::bench::{Usage, mib};
use nodeward_tests::service::{Aggregator, Program};

const LINES: u64 = 100_000;

/// Of so many lines one is of a class.
const TOLD: u64 = 100;

/// The kernel lets through ten lines of each who has opened its log, and no more for a while.
const LINES_OF_ONE: u64 = 8;

fn line(number: u64, tag: &str) -> String {
    match number.is_multiple_of(TOLD) {
        true => format!("unregister_netdevice: waiting for {tag} to become free. Usage count = 1"),
        false => format!("audit: type=1400 {tag} apparmor=\"ALLOWED\" operation=\"open\" {number}"),
    }
}

/// Waits so that no more than that rate is kept.
fn paced(number: u64, since: Instant, per_second: Option<u64>) {
    let due = per_second.map(|rate| Duration::from_secs_f64(number as f64 / rate as f64));
    if let Some(rest) = due.and_then(|due| due.checked_sub(since.elapsed())) {
        std::thread::sleep(rest);
    }
}

fn into_kmsg(tag: &str, per_second: Option<u64>) {
    let since = Instant::now();
    for first in (0..LINES).step_by(usize::try_from(LINES_OF_ONE).expect("few")) {
        let mut log = File::options().write(true).open("/dev/kmsg").expect("it may be written");
        for number in first..(first + LINES_OF_ONE).min(LINES) {
            log.write_all(format!("<5>{}\n", line(number, tag)).as_bytes()).expect("written");
        }
        paced(first, since, per_second);
    }
}

fn into_file(path: &Path, per_second: Option<u64>) {
    let since = Instant::now();
    let mut log = File::options().append(true).open(path).expect("it may be written");
    for first in (0..LINES).step_by(1000) {
        let mut text = String::new();
        for number in first..first + 1000 {
            let now = jiff::Timestamp::now();
            text.push_str(&format!("{now:.3} msg={}\n", line(number, "flood")));
        }
        log.write_all(text.as_bytes()).expect("written");
        paced(first, since, per_second);
    }
}

/// How many lines were lost so far, by what the node's answer says of the log.
fn lost(answer: &NodeAnswer) -> u64 {
    let log = answer.components.iter().find(|one| one.component == Component::KernelLog);
    let headline = &log.expect("a log").headline;
    let lost = headline.split("; ").find_map(|part| part.strip_suffix(" lost"));
    lost.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// How many lines of the class were seen so far.
fn told(answer: &NodeAnswer) -> u64 {
    let log = answer.components.iter().find(|one| one.component == Component::KernelLog);
    let headline = &log.expect("a log").headline;
    let words = headline.split([' ', ',', ';']).collect::<Vec<&str>>();
    let at = words.iter().position(|word| *word == "unregister_netdevice");
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let seconds = std::env::var("NODEWARD_BENCH_INTERVAL").ok().and_then(|text| text.parse().ok());
    let interval = Duration::from_secs(seconds.unwrap_or(10));
    let folder = tempfile::tempdir().expect("a folder");
    let (rules, file) = (folder.path().join("rules"), folder.path().join("flood.log"));
    std::fs::create_dir(&rules).expect("made");
    std::fs::write(&file, "").expect("made");
    let rule = serde_json::json!({
        "plugin": "filelog", "source": "flood", "logPath": file, "lookback": "1h", "bufferSize": 10,
        "pluginConfig": {
            "timestamp": "^[^ ]*", "message": "msg=(.*)",
            "timestampFormat": "2006-01-02T15:04:05.000Z",
        },
        "conditions": [{"type": "Flooded"}],
        "rules": [
            {"type": "temporary", "reason": "Waits", "pattern": "waiting for [a-z]+ to become free.*"},
            {"type": "permanent", "condition": "Flooded", "reason": "Hung",
             "pattern": "task \\S+:\\w+ blocked for more than \\w+ seconds\\."},
        ],
    });
    std::fs::write(rules.join("flood.json"), rule.to_string()).expect("written");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let mut command = agent(&aggregator, &authority, "flood", interval, None);
    let agent = Program::start(command.arg("--npd-config").arg(&rules));
    aggregator.answer_when("flood", "the report", |_| true).await;
    tokio::time::sleep(interval * 3).await;

    println!("a flood of {LINES} lines, a round every {} s", interval.as_secs());
    let tag = format!("nw{}", std::process::id());
    for (name, into_the_file, per_second) in [
        ("/dev/kmsg, over ten seconds", false, Some(LINES / 10)),
        ("/dev/kmsg, as fast as it goes", false, None),
        ("a file with rules, over ten seconds", true, Some(LINES / 10)),
        ("a file with rules, as fast as it goes", true, None),
    ] {
        let before = aggregator.answer_when("flood", "the report", |_| true).await;
        // The peak is counted anew, proc_pid_clear_refs(5).
        std::fs::write(format!("/proc/{}/clear_refs", agent.pid()), "5").expect("ours");
        let (started, cpu) = (Instant::now(), processor_time(agent.pid()));
        let (file, tag) = (file.clone(), tag.clone());
        let write = move || match into_the_file {
            true => into_file(&file, per_second),
            false => into_kmsg(&tag, per_second),
        };
        tokio::task::spawn_blocking(write).await.expect("written");
        let written = started.elapsed();
        // What is left when the last line was written is read within some rounds.
        tokio::time::sleep(interval * 3).await;
        let elapsed = started.elapsed().as_secs_f64();
        let used = (processor_time(agent.pid()) - cpu).as_secs_f64();
        let after = aggregator.answer_when("flood", "the report", |_| true).await;
        let lost = lost(&after).saturating_sub(lost(&before));
        let usage = Usage::of(agent.pid());
        println!(
            "  {name}: written in {:.1} s; {} lines seen, {lost} lost and counted; {:.1} % of a core ({used:.2} s of {elapsed:.0} s), peak {:.1} MiB, PSS {:.1} MiB; goal 20 %, 30 MiB",
            written.as_secs_f64(),
            LINES.saturating_sub(lost),
            100.0 * used / elapsed,
            mib(usage.peak_bytes),
            mib(usage.pss_bytes)
        );
        if !into_the_file {
            let told = told(&after).saturating_sub(told(&before));
            println!("    {told} of the {} lines of a class were found in it", LINES / TOLD);
        }
    }
}
