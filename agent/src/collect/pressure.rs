//! Collects `pressure`: how long tasks wait for processors, memory and disks, from the
//! kernel's pressure stall information, `/proc/pressure`.

use std::sync::Arc;

use nix::errno::Errno;
use nodeward_domain::facts::{ComponentState, Pressure};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

/// Two lines of some fifty bytes.
const LIMIT_BYTES: u64 = 4096;

const FOLDER: &str = "/proc/pressure";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory"],
        "How long some task, or all that were not idle, waited: since boot and as the share of the \
         last minute. Not there: the kernel does not tell it.",
    ),
    Read::of(
        &["/proc/pressure", "/proc/sys/kernel"],
        "Whether the first is there, and else the second: without procfs that says nothing.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(host, &mut measured));
    // What was measured on the way to an error is worth what the rest is.
    Collected { state: ComponentState::Pressure(state), measured }
}

fn read(host: &Host, measured: &mut Measurements) -> Result<State<Pressure>, HostError> {
    const PROCFS: &str = "/proc/sys/kernel";
    const WHY: &str = "the kernel tells no pressure stall information (CONFIG_PSI, psi=)";
    if !host.root.exists(FOLDER)? {
        return match host.root.exists(PROCFS)? {
            true => Ok(State::NotApplicable(WHY.to_owned())),
            false => Err(HostError::Missing { path: FOLDER.to_owned() }),
        };
    }
    let mut resources = Vec::new();
    for resource in ["cpu", "io", "memory"] {
        let path = format!("{FOLDER}/{resource}");
        let text = match host.root.read_text(&path, LIMIT_BYTES) {
            // Kernels before 5.18 show the files although nothing is told.
            Err(HostError::System { errno: Errno::EOPNOTSUPP, .. }) => {
                return Ok(State::NotApplicable(WHY.to_owned()));
            }
            text => text?,
        };
        let malformed = || HostError::Malformed {
            path: path.clone(),
            why: "is empty, cut off, or not in the form of pressure stall information".to_owned(),
        };
        let some = waiting(&text, "some").ok_or_else(malformed)?;
        let m = &mut *measured;
        match resource {
            "cpu" => take(
                &mut m.pressure_cpu_some_seconds_total,
                &mut m.pressure_cpu_some_1m_ratio,
                some,
            ),
            "memory" => {
                let full = waiting(&text, "full").ok_or_else(malformed)?;
                take(
                    &mut m.pressure_memory_some_seconds_total,
                    &mut m.pressure_memory_some_1m_ratio,
                    some,
                );
                take(
                    &mut m.pressure_memory_full_seconds_total,
                    &mut m.pressure_memory_full_1m_ratio,
                    full,
                );
            }
            _ => {
                let full = waiting(&text, "full").ok_or_else(malformed)?;
                take(&mut m.pressure_io_some_seconds_total, &mut m.pressure_io_some_1m_ratio, some);
                take(&mut m.pressure_io_full_seconds_total, &mut m.pressure_io_full_1m_ratio, full);
            }
        }
        resources.push(resource.to_owned());
    }
    Ok(State::Present(Arc::new(Pressure { resources })))
}

/// How long tasks waited.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Waiting {
    seconds_total: f64,
    minute_ratio: f64,
}

const fn take(total: &mut Option<f64>, minute: &mut Option<f64>, seen: Waiting) {
    *total = Some(seen.seconds_total);
    *minute = Some(seen.minute_ratio);
}

/// What a line of that kind says: `some avg10=0.00 avg60=0.12 avg300=0.05 total=123456`.
fn waiting(text: &str, kind: &str) -> Option<Waiting> {
    // The kernel ends every line: one without an end has been cut off.
    let whole = text.strip_suffix('\n')?;
    let line = whole.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
    let value = |name: &str| {
        let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
        fields.find_map(|(key, value)| (key == name).then_some(value))
    };
    let percent: f64 = value("avg60")?.parse().ok()?;
    let microseconds: u64 = value("total")?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(Waiting {
        seconds_total: microseconds as f64 / 1e6,
        minute_ratio: percent / 100.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_total_and_average() {
        let text = "some avg10=1.00 avg60=12.50 avg300=5.00 total=2500000\n\
                    full avg10=0.00 avg60=0.25 avg300=0.00 total=7\n";
        let some = waiting(text, "some").expect("a line");
        assert_eq!(some, Waiting { seconds_total: 2.5, minute_ratio: 0.125 });
        let full = waiting(text, "full").expect("a line");
        assert_eq!(full, Waiting { seconds_total: 0.000_007, minute_ratio: 0.0025 });
        for wrong in [
            "",
            "some avg10=1.00 avg60=12.50 avg300=5.00 total=25",
            "some avg10=1.00 avg60=x avg300=5.00 total=25\n",
            "some avg10=1.00 avg300=5.00 total=25\n",
            "some avg10=1.00 avg60=12.50 avg300=5.00\n",
            "some avg10=1.00 avg60=101.00 avg300=5.00 total=25\n",
            "something avg60=1.00 total=25\n",
        ] {
            assert_eq!(waiting(wrong, "some"), None, "{wrong:?}");
        }
    }
}
