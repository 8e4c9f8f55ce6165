//! Measurements: values that move without a change of state. Load and memory of the
//! machine that runs, and the agent's own use of it; never of another host root.

use nodeward_domain::measured::Measurements;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Takes measurements; keeps what the next ones need.
#[derive(Debug)]
pub struct Meter {
    /// None where the machine cannot be measured.
    system: Option<System>,
    own: Pid,
}

impl Default for Meter {
    fn default() -> Self {
        Self { system: System::new().ok(), own: Pid::from_u32(std::process::id()) }
    }
}

impl Meter {
    /// Measures now. What cannot be measured is left out.
    pub fn measure(&mut self) -> Measurements {
        let mut measured = Measurements {
            uptime_seconds: System::uptime().ok().and_then(exact),
            load_average_1m: System::load_average().ok().map(|load| load.one),
            ..Measurements::default()
        };
        let Some(system) = &mut self.system else {
            return measured;
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        // A machine without memory is one whose memory could not be read.
        if system.total_memory() > 0 {
            measured.memory_total_bytes = Some(system.total_memory());
            measured.memory_available_bytes = Some(system.available_memory());
        }
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[self.own]),
            true,
            ProcessRefreshKind::nothing().with_memory().with_cpu(),
        );
        if let Some(own) = system.process(self.own) {
            measured.agent_resident_bytes = Some(own.memory());
            measured.agent_cpu_seconds =
                exact(own.accumulated_cpu_time()).map(|milliseconds| milliseconds / 1000.0);
        }
        measured
    }
}

/// The number as a float, if it is small enough to be exact.
fn exact(number: u64) -> Option<f64> {
    u32::try_from(number).ok().map(f64::from)
}
