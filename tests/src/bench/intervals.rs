//! What single rounds of a program cost that works at intervals and rests between them.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

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

/// Processor time of each of the next rounds of a process that has one every `interval`, in
/// milliseconds. Counting begins while it rests, so that each interval has one whole round.
///
/// # Panics
/// When the process ends, or never rests.
pub async fn rounds(pid: u32, count: usize, interval: Duration) -> Vec<f64> {
    let deadline = Instant::now() + interval * 10;
    let (mut last, mut changed) = (processor_time(pid), Instant::now());
    while changed.elapsed() < interval / 4 {
        assert!(Instant::now() < deadline, "it never rests");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = processor_time(pid);
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
    let mut ticks = tokio::time::interval(interval);
    ticks.tick().await;
    let mut costs = Vec::new();
    while costs.len() < count {
        ticks.tick().await;
        let now = processor_time(pid);
        costs.push((now - last).as_secs_f64() * 1000.0);
        last = now;
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
