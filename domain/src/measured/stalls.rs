//! How long tasks waited between two rounds: the kernel's counters of pressure stall
//! information only grow, so that what lies between two readings is exact.

use jiff::Timestamp;

use super::Measurements;

/// Who waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stall {
    /// Some task for a processor.
    CpuSome,
    /// Some task for memory.
    MemorySome,
    /// All tasks that are not idle, for memory.
    MemoryFull,
    /// Some task for a disk.
    IoSome,
    /// All tasks that are not idle, for a disk.
    IoFull,
}

impl Stall {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::CpuSome, Self::MemorySome, Self::MemoryFull, Self::IoSome, Self::IoFull];

    /// Since boot, in seconds.
    #[must_use]
    pub const fn seconds_total(self, measured: &Measurements) -> Option<f64> {
        match self {
            Self::CpuSome => measured.pressure_cpu_some_seconds_total,
            Self::MemorySome => measured.pressure_memory_some_seconds_total,
            Self::MemoryFull => measured.pressure_memory_full_seconds_total,
            Self::IoSome => measured.pressure_io_some_seconds_total,
            Self::IoFull => measured.pressure_io_full_seconds_total,
        }
    }

    /// The kernel's own average over the last minute.
    #[must_use]
    pub const fn minute_ratio(self, measured: &Measurements) -> Option<f64> {
        match self {
            Self::CpuSome => measured.pressure_cpu_some_1m_ratio,
            Self::MemorySome => measured.pressure_memory_some_1m_ratio,
            Self::MemoryFull => measured.pressure_memory_full_1m_ratio,
            Self::IoSome => measured.pressure_io_some_1m_ratio,
            Self::IoFull => measured.pressure_io_full_1m_ratio,
        }
    }
}

/// The counters of the last round, and the shares between it and the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Stalls {
    at: Option<Timestamp>,
    totals: [Option<f64>; Stall::ALL.len()],
    shares: [Option<f64>; Stall::ALL.len()],
}

impl Stalls {
    pub(super) fn observe(&mut self, measured: &Measurements, at: Timestamp) {
        let passed = self.at.map(|before| at.duration_since(before).as_secs_f64());
        for (at, stall) in Stall::ALL.into_iter().enumerate() {
            let total = stall.seconds_total(measured);
            // A smaller one is of another boot; the same one may be the same reading, of which
            // the kernel's own average says more.
            self.shares[at] = match (self.totals[at], total, passed) {
                (Some(before), Some(now), Some(passed)) if now > before && passed > 0.0 => {
                    Some(((now - before) / passed).min(1.0))
                }
                _ => None,
            };
            self.totals[at] = total;
        }
        self.at = Some(at);
    }

    pub(super) const fn share(&self, stall: Stall) -> Option<f64> {
        self.shares[stall as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_lies_between_two_readings() {
        let mut stalls = Stalls::default();
        let mut share = |second: i64, total: Option<f64>| {
            let at = Timestamp::from_second(second).expect("a small number of seconds");
            let measured =
                Measurements { pressure_io_full_seconds_total: total, ..Measurements::default() };
            stalls.observe(&measured, at);
            assert_eq!(stalls.share(Stall::MemoryFull), None);
            stalls.share(Stall::IoFull)
        };
        assert_eq!(share(0, Some(100.0)), None);
        assert_eq!(share(30, Some(103.0)), Some(0.1));
        // Counted on while the reading before was under way.
        assert_eq!(share(40, Some(114.0)), Some(1.0));
        assert_eq!(share(70, Some(114.0)), None);
        // Booted anew.
        assert_eq!(share(100, Some(3.0)), None);
        assert_eq!(share(130, Some(6.0)), Some(0.1));
        assert_eq!(share(160, None), None);
        assert_eq!(share(190, Some(9.0)), None);
        // Two readings of one moment.
        assert_eq!(share(190, Some(9.5)), None);
    }
}
