//! Measurements: values that move without a change of state, such as a clock's offset or
//! a round trip. They stand outside of contents, so that they never make a new one; of
//! the few that checks judge it is remembered since when they have been out of bounds.

mod stalls;

use jiff::Timestamp;

use crate::node::Holding;
pub use stalls::Stall;
use stalls::Stalls;

/// Every measurement: what it is, its name, its kind (`quantity` is a number from zero
/// up, `signed` one of either sign, `count` a whole number). Runs the named macro with that list.
#[macro_export]
macro_rules! with_measurements {
    ($run:ident) => {
        $run! {
            /// Seconds since boot.
            uptime_seconds: quantity,
            /// Load average over one minute.
            load_average_1m: quantity,
            /// Memory of the node.
            memory_total_bytes: count,
            /// Memory of the node that is available to new processes.
            memory_available_bytes: count,
            /// Resident memory of the agent.
            agent_resident_bytes: count,
            /// Processor time of the agent since its start.
            agent_cpu_seconds: quantity,
            /// From the question to the answer of the slower of the runtime's first two calls.
            runtime_round_trip_seconds: quantity,
            /// When the newest package that takes effect at boot alone was installed, in
            /// seconds since 1970; where the package manager keeps that. No part of the
            /// packages' content: nodes with the same packages would differ in it.
            boot_packages_installed_at_seconds: count,
            /// How far the clock is ahead of what its keeper takes for true; behind when
            /// negative. chrony's own figure, elsewhere the kernel's.
            clock_offset_seconds: signed,
            /// How far the kernel counts on the clock being off at most; 16 is its ceiling.
            clock_max_error_seconds: quantity,
            /// How far whoever steers the clock thinks that it is off.
            clock_estimated_error_seconds: quantity,
            /// How much the time may have spread on its way to chrony.
            clock_root_dispersion_seconds: quantity,
            /// Since chrony last updated the clock.
            clock_update_age_seconds: quantity,
            /// Since chrony last had a good answer of any source.
            time_source_age_seconds: quantity,
            /// The interval at which chrony asks the source that the clock follows.
            time_source_poll_seconds: quantity,
            /// Since kube-proxy last wrote its rules for IPv4, or for both families before
            /// Kubernetes 1.33.
            kube_proxy_ipv4_sync_age_seconds: quantity,
            /// Since kube-proxy last wrote its rules for IPv6.
            kube_proxy_ipv6_sync_age_seconds: quantity,
            /// How long a change of the rules for IPv4, or for both families before
            /// Kubernetes 1.33, has been waiting at least; zero when none is.
            kube_proxy_ipv4_sync_pending_seconds: quantity,
            /// How long a change of the rules for IPv6 has been waiting at least.
            kube_proxy_ipv6_sync_pending_seconds: quantity,
            /// Since kube-proxy's start, rules that could not be written as a part and were
            /// written as a whole.
            kube_proxy_partial_restore_failures_total: count,
            /// Pod sandboxes that the runtime says are ready.
            ready_sandboxes: count,
            /// Since when the kubelet has last looked at its pods' processes, at the time of asking.
            kubelet_pleg_age_seconds: quantity,
            /// Calls of the kubelet to the runtime that failed, since its start.
            kubelet_runtime_errors_total: count,
            /// Failed renewals of the kubelet's client certificate, since its start.
            kubelet_certificate_renew_errors_total: count,
            /// Free on the system's file system, for others than root.
            filesystem_root_available_bytes: count,
            /// Inodes of it; zero where there is no such limit.
            filesystem_root_total_inodes: count,
            /// Inodes of it that are free.
            filesystem_root_free_inodes: count,
            /// The same of the kubelet's folder, where that lies on another file system.
            filesystem_kubelet_available_bytes: count,
            /// Inodes of it.
            filesystem_kubelet_total_inodes: count,
            /// Inodes of it that are free.
            filesystem_kubelet_free_inodes: count,
            /// The same of the container runtime's folder, where that lies on another one.
            filesystem_images_available_bytes: count,
            /// Inodes of it.
            filesystem_images_total_inodes: count,
            /// Inodes of it that are free.
            filesystem_images_free_inodes: count,
            /// The same of `/var/log`, where that lies on another one.
            filesystem_logs_available_bytes: count,
            /// Inodes of it.
            filesystem_logs_total_inodes: count,
            /// Inodes of it that are free.
            filesystem_logs_free_inodes: count,
            /// Mounts of the node, of devices and others.
            mounts: count,
            /// Since boot, for how long some task waited for a processor.
            pressure_cpu_some_seconds_total: quantity,
            /// The share of the last minute, as the kernel weighs it.
            pressure_cpu_some_1m_ratio: quantity,
            /// Since boot, for how long some task waited for memory.
            pressure_memory_some_seconds_total: quantity,
            /// The share of the last minute, as the kernel weighs it.
            pressure_memory_some_1m_ratio: quantity,
            /// Since boot, for how long all tasks that were not idle waited for memory.
            pressure_memory_full_seconds_total: quantity,
            /// The share of the last minute, as the kernel weighs it.
            pressure_memory_full_1m_ratio: quantity,
            /// Since boot, for how long some task waited for a disk.
            pressure_io_some_seconds_total: quantity,
            /// The share of the last minute, as the kernel weighs it.
            pressure_io_some_1m_ratio: quantity,
            /// Since boot, for how long all tasks that were not idle waited for a disk.
            pressure_io_full_seconds_total: quantity,
            /// The share of the last minute, as the kernel weighs it.
            pressure_io_full_1m_ratio: quantity,
            /// Tasks of the node: processes and their threads.
            tasks: count,
            /// Those of all pods.
            pods_tasks: count,
            /// Open files of the node.
            open_files: count,
            /// Processes that have ended and that nobody has waited for.
            zombies: count,
            /// Connections that the kernel follows.
            conntrack_entries: count,
            /// Memory that was swapped out.
            swap_used_bytes: count,
            /// Huge pages of the usual size that nobody uses.
            huge_pages_free: count,
            /// Lines of the kernel's log that were read, since the agent's start.
            kernel_log_lines_total: count,
            /// Lines of the kernel's log that were written over before they were read.
            kernel_log_lost_total: count,
            /// Lines of logs that were passed over, because a round reads so many at the most.
            kernel_log_dropped_total: count,
            /// From the question to the answer of the slowest nameserver that answered.
            dns_round_trip_seconds: quantity,
            /// From the look-up of its name to the API server's answer. Not taken in every
            /// round: one that was reached is asked again after two minutes.
            api_server_round_trip_seconds: quantity,
            /// Connections of the tunnel's agents on the node to the API server's side.
            tunnel_connections: count,
        }
    };
}

macro_rules! kind {
    (quantity) => {
        f64
    };
    (signed) => {
        f64
    };
    (count) => {
        u64
    };
}

macro_rules! define {
    ($($(#[$what:meta])* $name:ident: $kind:ident,)*) => {
        /// What was measured in one round; none where it could not be measured.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Measurements {
            $($(#[$what])* pub $name: Option<kind!($kind)>,)*
        }

        impl Measurements {
            /// These, and where something was not measured, what `others` have.
            #[must_use]
            pub fn or(self, others: Self) -> Self {
                Self { $($name: self.$name.or(others.$name),)* }
            }
        }
    };
}

with_measurements!(define);

/// A bound that a check judges, by the measurement alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// The container runtime takes longer than a second for calls that do nothing.
    RuntimeSlow,
    /// The clock is off by more than 100 ms.
    ClockOffset,
    /// The clock's last update is older than sixteen intervals of its source.
    ClockUpdateOverdue,
    /// A change of kube-proxy's rules has been waiting for more than a minute.
    KubeProxySyncPending,
    /// The kubelet has not looked at its pods' processes for longer than the three minutes
    /// after which it calls itself ill.
    PlegStale,
}

impl Watched {
    /// Every bound.
    pub const ALL: [Self; 5] = [
        Self::RuntimeSlow,
        Self::ClockOffset,
        Self::ClockUpdateOverdue,
        Self::KubeProxySyncPending,
        Self::PlegStale,
    ];

    /// Whether the measurement is out of bounds; none when it was not taken.
    #[must_use]
    pub fn is_broken(self, measured: &Measurements) -> Option<bool> {
        match self {
            Self::RuntimeSlow => measured.runtime_round_trip_seconds.map(|seconds| seconds > 1.0),
            Self::ClockOffset => measured.clock_offset_seconds.map(|seconds| seconds.abs() > 0.1),
            Self::ClockUpdateOverdue => {
                let poll = measured.time_source_poll_seconds?;
                measured.clock_update_age_seconds.map(|age| age > 16.0 * poll.max(1.0))
            }
            Self::KubeProxySyncPending => measured
                .kube_proxy_ipv4_sync_pending_seconds
                .into_iter()
                .chain(measured.kube_proxy_ipv6_sync_pending_seconds)
                .reduce(f64::max)
                .map(|seconds| seconds > 60.0),
            Self::PlegStale => measured.kubelet_pleg_age_seconds.map(|seconds| seconds > 180.0),
        }
    }
}

/// What was last measured on one node, and since when what has been out of bounds.
/// Kept in memory alone: after a restart the counting begins anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    newest: Measurements,
    broken: [Holding; Watched::ALL.len()],
    stalls: Stalls,
}

impl Measured {
    /// Adds the measurements of the next round.
    pub fn observe(&mut self, measured: Measurements, at: Timestamp) {
        self.newest = measured;
        self.stalls.observe(&measured, at);
        for (watched, holding) in Watched::ALL.into_iter().zip(&mut self.broken) {
            *holding = match watched.is_broken(&measured) {
                Some(true) => Holding {
                    observations: holding.observations.saturating_add(1),
                    since: holding.since.or(Some(at)),
                },
                Some(false) | None => Holding::default(),
            };
        }
    }

    /// What was measured in the newest round.
    #[must_use]
    pub const fn newest(&self) -> &Measurements {
        &self.newest
    }

    /// The share of the time between the last two rounds in which tasks waited; none where
    /// nothing tells it, or where nothing was measured anew.
    #[must_use]
    pub const fn share(&self, stall: Stall) -> Option<f64> {
        self.stalls.share(stall)
    }

    /// For how many rounds in a row, up to now, a bound has been broken, and since when.
    #[must_use]
    pub const fn broken(&self, watched: Watched) -> Holding {
        self.broken[watched as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(seconds: f64) -> Measurements {
        Measurements { runtime_round_trip_seconds: Some(seconds), ..Measurements::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    #[test]
    fn a_bound_is_broken_in_a_row_since_its_first_round() {
        let mut measured = Measured::default();
        measured.observe(slow(0.1), at(1));
        assert_eq!(measured.broken(Watched::RuntimeSlow), Holding::default());
        measured.observe(slow(2.0), at(2));
        measured.observe(slow(3.0), at(3));
        let broken = measured.broken(Watched::RuntimeSlow);
        assert_eq!(broken, Holding { observations: 2, since: Some(at(2)) });
    }

    #[test]
    fn what_is_not_measured_breaks_nothing_and_ends_the_row() {
        let mut measured = Measured::default();
        measured.observe(slow(2.0), at(1));
        measured.observe(Measurements::default(), at(2));
        assert_eq!(measured.broken(Watched::RuntimeSlow), Holding::default());
    }

    #[test]
    fn what_was_measured_anew_counts_before_what_was_measured_before() {
        let both = slow(2.0).or(Measurements { uptime_seconds: Some(7.0), ..slow(1.0) });
        assert_eq!(both, Measurements { uptime_seconds: Some(7.0), ..slow(2.0) });
    }
}
