//! What single rounds of a program cost that works in bursts and rests between them.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// After so long without work a burst is over.
const QUIET: Duration = Duration::from_millis(300);

/// What a process has used, its threads that have ended included.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn processor_time(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid of Linux"));
    let clock = ClockId::pid_cpu_clock_id(pid).expect("the process runs");
    clock_gettime(clock).expect("a clock").into()
}

/// Processor time of each of the next bursts, in milliseconds.
///
/// # Panics
/// When the process ends, or never rests.
pub async fn bursts(pid: u32, count: usize, limit: Duration) -> Vec<f64> {
    let deadline = Instant::now() + limit;
    let mut costs = Vec::new();
    let mut before = processor_time(pid);
    let (mut last, mut changed) = (before, Instant::now());
    while costs.len() < count {
        assert!(Instant::now() < deadline, "{} bursts in {limit:?}", costs.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = processor_time(pid);
        if now != last {
            (last, changed) = (now, Instant::now());
        } else if last != before && changed.elapsed() > QUIET {
            let cost = (last - before).as_secs_f64() * 1000.0;
            // A timer that wakes for nothing is no round.
            if cost > 1.0 {
                costs.push(cost);
            }
            before = last;
        }
    }
    costs
}

/// Calls that read, and bytes that were read, by the kernel's count; proc_pid_io(5).
///
/// # Panics
/// When the process does not run.
#[must_use]
pub fn reads(pid: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("the process runs");
    (super::field(&text, "syscr:"), super::field(&text, "rchar:"))
}

/// The least, the middle and the most of some figures.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn spread(figures: &[f64]) -> (f64, f64, f64) {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, super::median(figures.to_vec()), most)
}
