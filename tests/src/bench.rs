//! What the benchmarks share: the use of a process as the kernel counts it, and a host
//! root of the size that a real node has. Figures are printed, never asserted: a slow
//! machine must not fail a build.

pub mod busy;
pub mod intervals;
pub mod programs;

use std::time::Duration;

use crate::host::HostCopy;

/// Ticks a second in `/proc/PID/stat`.
const USER_HZ: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Memory that it holds alone, and its share of what it holds with others.
    pub pss_bytes: u64,
    /// Resident memory now.
    pub resident_bytes: u64,
    /// The most that was ever resident.
    pub peak_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Of that process, which must run.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the process runs")
        };
        let (status, smaps, stat) = (read("status"), read("smaps_rollup"), read("stat"));
        let kib = |text: &str, key: &str| field(text, key) * 1024;
        // After the name, which may have blanks: utime and stime are the 12th and 13th.
        let after = stat.rsplit_once(") ").expect("proc_pid_stat(5)").1;
        let ticks: f64 = after
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<f64>().expect("a number"))
            .sum();
        Self {
            cpu: Duration::from_secs_f64(ticks / USER_HZ),
            pss_bytes: kib(&smaps, "Pss:"),
            resident_bytes: kib(&status, "VmRSS:"),
            peak_bytes: kib(&status, "VmHWM:"),
            threads: field(&status, "Threads:"),
        }
    }
}

fn field(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key)).expect("a line of procfs");
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
}

/// Mebibytes, for people.
#[must_use]
pub fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

/// The middle of some figures.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty(), "nothing was measured");
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A copy of an AKS host root with that many packages, each as long as on a real node.
///
/// # Panics
/// When the host root has more already.
#[must_use]
pub fn host_with_packages(packages: usize) -> HostCopy {
    let host = HostCopy::of("aks-ubuntu-2204");
    let path = host.inside("/var/lib/dpkg/status");
    let mut status = std::fs::read_to_string(&path).expect("a status file");
    let there = status.matches("\nStatus: install ok installed\n").count();
    assert!(there <= packages, "the host root has {there} already");
    for number in there..packages {
        status.push_str(&stanza(number));
    }
    std::fs::write(&path, status).expect("written");
    host
}

/// A stanza of some 1,100 bytes, the mean of an Ubuntu node image.
fn stanza(number: usize) -> String {
    let depends: String =
        (0..9).map(|at| format!("libpart{number}-{at} (>= 1.2.{at}), ")).collect();
    let files: String = (0..6)
        .map(|at| format!(" /etc/package{number}/part{at}.conf {:032x}\n", number * 7 + at))
        .collect();
    format!(
        "\nPackage: package{number}\nStatus: install ok installed\nPriority: optional\n\
         Section: libs\nInstalled-Size: {number}\n\
         Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>\n\
         Architecture: amd64\nMulti-Arch: same\nSource: source{source}\n\
         Version: 1.{number}-0ubuntu3.{patch}\nDepends: {depends}libc6 (>= 2.34)\n\
         Conffiles:\n{files}Description: package {number} of a node image\n \
         It does what packages do, and says so in a description of some lines, of which\n \
         none is of interest to anybody who counts packages.\n .\n \
         This is the last of them.\nHomepage: https://example.com/package{number}\n",
        source = number / 3,
        patch = number % 17,
    )
}
