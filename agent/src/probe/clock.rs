//! The kernel's own state of the clock, by adjtimex(2) without any bit of `modes`: a
//! question that changes nothing and needs no right.

use rtime_clock::adjtime::{Timex, adjtimex};
use serde::{Deserialize, Serialize};

/// `STA_NANO`: the offset counts nanoseconds, else microseconds.
const NANOSECONDS: i32 = 0x2000;

/// What the kernel says of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelTime {
    /// `STA_*` of `linux/timex.h`, as one number.
    pub status: u32,
    /// So much is still to be added to the clock by the kernel itself.
    pub offset_seconds: f64,
    /// How far the clock may be off. It grows by itself, 500 parts per million, up to 16
    /// seconds, whenever nobody renews it.
    pub max_error_seconds: f64,
    /// How far whoever steers the clock thinks that it is off.
    pub estimated_error_seconds: f64,
    /// Between International Atomic Time and the clock; 0 when nobody has said it.
    pub tai_offset_seconds: i32,
}

/// Reads it from the running kernel.
pub fn read() -> std::io::Result<KernelTime> {
    let mut timex = Timex::new();
    adjtimex(&mut timex)?;
    let timex = timex.0;
    let unit = if timex.status & NANOSECONDS == 0 { 1e6 } else { 1e9 };
    Ok(KernelTime {
        status: timex.status.cast_unsigned(),
        offset_seconds: timex.offset as f64 / unit,
        max_error_seconds: timex.maxerror.max(0) as f64 / 1e6,
        estimated_error_seconds: timex.esterror.max(0) as f64 / 1e6,
        tai_offset_seconds: timex.tai,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_says_it_without_any_right() {
        let time = read().expect("adjtimex(2) is allowed to everybody");
        assert!((0.0..=16.0).contains(&time.max_error_seconds), "{time:?}");
        assert!(time.estimated_error_seconds >= 0.0, "{time:?}");
    }
}
