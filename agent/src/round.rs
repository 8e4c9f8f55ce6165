//! A round: the observations of one moment, ready to be reported. Its order among all
//! rounds of the node is (boot id, seq), taken from the kernel that the agent runs on.

use nodeward_domain::measured::Measurements;
use nodeward_proto::content::Content;
use nodeward_proto::report::{Reported, measurements};
use nodeward_proto::v1;

use crate::collect::Observation;
use crate::host::Resolution;

/// Why a round could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The kernel's boot id could not be read.
    #[error("/proc/sys/kernel/random/boot_id: cannot be read")]
    BootId(#[source] std::io::Error),
    /// The time since boot could not be read.
    #[error("CLOCK_BOOTTIME cannot be read")]
    BootTime(#[source] nix::errno::Errno),
}

/// Where a round stands among all rounds of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Boot id of the kernel that the agent runs on.
    pub boot_id: String,
    /// CLOCK_BOOTTIME in milliseconds.
    pub seq: u64,
}

impl Order {
    /// The order of a round that begins now.
    pub fn now() -> Result<Self, OrderError> {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_err(OrderError::BootId)?
            .trim()
            .to_owned();
        let since_boot = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
            .map(std::time::Duration::from)
            .map_err(OrderError::BootTime)?;
        // A clock that starts at zero must not give the zero that means "missing".
        let seq = u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX).max(1);
        Ok(Self { boot_id, seq })
    }
}

/// Puts a round together: what was measured on the machine and by each collector, and
/// every component with its content.
#[must_use]
pub fn round(
    order: Order,
    measured: Measurements,
    observations: &[Observation],
    resolution: Resolution,
) -> v1::Round {
    let measured = observations.iter().fold(measured, |all, one| all.or(one.measured));
    let components = observations
        .iter()
        .map(|observation| {
            let content = Content::of(&observation.state);
            (&Reported {
                digest: content.digest(),
                component: content.component,
                form: content.form,
                content: Some(content.bytes),
                observed_at: observation.observed_at,
                took: observation.took,
            })
                .into()
        })
        .collect();
    v1::Round {
        boot_id: order.boot_id,
        seq: order.seq,
        measurements: Some(measurements(measured)),
        components,
        path_resolution: resolution.word().to_owned(),
    }
}
