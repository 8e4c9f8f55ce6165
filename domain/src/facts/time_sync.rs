//! Facts of `time_sync`: who keeps the machine's clock, from which source, and what the
//! kernel and chrony say of it. Sources: adjtimex(2), chrony.conf(5), chronyc(1),
//! systemd.unit(5), `Documentation/driver-api/ptp.rst` of Linux.

mod chrony;

use serde::Serialize;

pub use chrony::{
    Chrony, ChronyAnswer, ConfiguredSource, LeapStatus, PhcDevice, PhcTarget, SourceDirective,
    SourceMode, SourceState, TimeSource, Tracked,
};

use super::{Headline, Process};

/// Who keeps the machine's clock, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeSync {
    /// What says that this is a container, whose clock is its host's; empty on a machine.
    pub container_marks: Vec<String>,
    /// The clock's state in the kernel.
    pub kernel: KernelClock,
    /// The programs that can keep a clock and are installed or run, by name.
    pub daemons: Vec<TimeDaemon>,
    /// What chrony is configured to do and says; none where there is no trace of it.
    pub chrony: Option<Chrony>,
    /// The hardware clocks of the Precision Time Protocol, by name.
    pub ptp_clocks: Vec<PtpClock>,
}

/// The clock's state in the kernel, without what moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelClock {
    /// This.
    Read {
        /// The bits `STA_*` that somebody sets: PLL 0x1, FLL 0x8, INS 0x10, DEL 0x20,
        /// UNSYNC 0x40, FREQHOLD 0x80, CLOCKERR 0x1000, NANO 0x2000. Those that come and
        /// go by themselves are left out.
        status: u32,
        /// The greatest error that the kernel counts on is below its ceiling of 16 s:
        /// somebody has synchronised the clock and goes on doing so.
        is_error_bounded: bool,
        /// Between International Atomic Time and the clock; 0 when nobody has said it.
        tai_offset_seconds: i32,
    },
    /// It was not read, for this reason.
    Unread(String),
}

impl KernelClock {
    /// The bits of `status` that are a state; the rest moves by itself.
    pub const STATES: u32 = 0x30f9;

    /// `STA_UNSYNC`: nobody has told the kernel that the clock is synchronised, or chrony
    /// has and must not copy it to the clock on the board (no `rtcsync`).
    pub const UNSYNCHRONISED: u32 = 0x40;
}

/// A program that can keep a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeDaemon {
    /// The program's name.
    pub name: String,
    /// What its installation has left on disk.
    pub traces: Vec<String>,
    /// Its unit, where systemd has one.
    pub unit: Option<DaemonUnit>,
    /// Its process, when it runs.
    pub process: Option<Process>,
    /// It was started so that it looks at the clock and leaves it alone, as `chronyd -x`.
    pub only_watches: bool,
}

/// A unit, as far as files tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaemonUnit {
    /// Such as `chrony.service`.
    pub name: String,
    /// What starts it, if anything does.
    pub state: UnitFileState,
}

/// Whether systemd starts a unit by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitFileState {
    /// Another unit wants it.
    Enabled,
    /// No other unit wants it.
    Disabled,
    /// Nobody can start it.
    Masked,
}

impl UnitFileState {
    /// The word of systemctl.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Masked => "masked",
        }
    }
}

/// A hardware clock, below `/sys/class/ptp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PtpClock {
    /// Such as `ptp0`.
    pub name: String,
    /// What its driver calls it: `hyperv` is the clock of the host that a virtual machine
    /// of Azure runs on.
    pub clock_name: String,
}

impl TimeSync {
    /// The program of that name, if it is installed or runs.
    #[must_use]
    pub fn daemon(&self, name: &str) -> Option<&TimeDaemon> {
        self.daemons.iter().find(|daemon| daemon.name == name)
    }

    /// What chrony says, if it answered.
    #[must_use]
    pub fn tracked(&self) -> Option<&Tracked> {
        match self.chrony.as_ref()?.answer {
            ChronyAnswer::Answered(ref tracked) => Some(tracked),
            _ => None,
        }
    }
}

impl Headline for TimeSync {
    fn headline(&self) -> String {
        let running: Vec<String> = self
            .daemons
            .iter()
            .filter_map(|daemon| {
                let process = daemon.process.as_ref()?;
                Some(format!("{} pid {}", daemon.name, process.pid))
            })
            .collect();
        let who = match running.is_empty() {
            true => "no time daemon".to_owned(),
            false => running.join(", "),
        };
        let says = match (self.chrony.as_ref().map(|chrony| &chrony.answer), &self.kernel) {
            (Some(ChronyAnswer::Answered(tracked)), _) => tracked.to_string(),
            (Some(answer), _) if !running.is_empty() => answer.to_string(),
            (_, KernelClock::Read { is_error_bounded: true, .. }) => "synchronised".to_owned(),
            (_, KernelClock::Read { .. }) => "not synchronised".to_owned(),
            (_, KernelClock::Unread(why)) => format!("kernel clock not read: {why}"),
        };
        format!("{who}, {says}")
    }
}
