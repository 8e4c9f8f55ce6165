//! Collecting: one collector per component, one file each. A few of a round run side by
//! side, each on a thread of its own with a time limit, so that a read that hangs or
//! a collector that panics costs its own component and nothing else.

mod api_server;
mod build;
mod certificates;
mod cni;
mod conntrack;
mod containerd;
mod dns;
mod docker;
mod egress;
mod extensions;
mod files;
mod filesystem;
mod flags;
mod folders;
mod kernel;
mod kernel_log;
mod kernel_modules;
mod kube_proxy;
mod kubelet;
mod linux_extension;
mod managed_images;
mod network;
mod node_access;
mod node_image;
mod os_release;
mod packages;
mod pressure;
mod process_limits;
mod reboot;
mod resolver;
mod swap_and_hugepages;
mod sysctl;
mod systemd;
mod time_sync;
mod tunnel;
mod update_channel;
mod x509;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, TrustBundle};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::{State, Unavailable};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::host::{Digests, Host, HostError, Kept, namespace, process};
pub use kernel_log::{LogWatch, Record, classify, record};
pub use packages::PackageList;

use crate::probe::systemd::SHARED as UNITS;
use crate::reads::{Read, Shared};

/// What was made of files that seldom change, kept while they stay the same.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Digests of files.
    pub digests: Digests,
    /// The authorities that the system believes.
    pub trust: Kept<TrustBundle>,
}

/// What reads one component.
#[derive(Debug, Clone, Copy)]
pub struct Collector {
    /// The component.
    pub component: Component,
    /// Reads it. Blocking; runs on a thread of its own.
    pub collect: fn(&Host) -> Collected,
    /// What is read for it alone.
    pub reads: &'static [Read],
    /// What is read for others too.
    pub shared: &'static [Shared],
}

impl Collector {
    const fn of(
        component: Component,
        collect: fn(&Host) -> Collected,
        reads: &'static [Read],
        shared: &'static [Shared],
    ) -> Self {
        Self { component, collect, reads, shared }
    }

    /// Everything that is read for it.
    pub fn all_reads(&self) -> impl Iterator<Item = &'static Read> {
        self.reads.iter().chain(self.shared.iter().flat_map(|shared| shared.reads))
    }
}

/// What one collector brings back.
#[derive(Debug)]
pub struct Collected {
    /// What it saw.
    pub state: ComponentState,
    /// What it measured on the way.
    pub measured: Measurements,
}

impl From<ComponentState> for Collected {
    fn from(state: ComponentState) -> Self {
        Self { state, measured: Measurements::default() }
    }
}

/// Every collector of this agent.
pub const COLLECTORS: [Collector; Component::COLLECTED.len()] = [
    Collector::of(Component::OsRelease, os_release::collect, os_release::READS, &[]),
    Collector::of(Component::NodeImage, node_image::collect, node_image::READS, &[]),
    Collector::of(Component::Kernel, kernel::collect, kernel::READS, &[]),
    Collector::of(Component::KernelModules, kernel_modules::collect, kernel_modules::READS, &[]),
    Collector::of(
        Component::Filesystem,
        filesystem::collect,
        filesystem::READS,
        &[process::SHARED],
    ),
    Collector::of(Component::Pressure, pressure::collect, pressure::READS, &[]),
    Collector::of(
        Component::ProcessLimits,
        process_limits::collect,
        process_limits::READS,
        &[namespace::SHARED],
    ),
    Collector::of(Component::Conntrack, conntrack::collect, conntrack::READS, &[namespace::SHARED]),
    Collector::of(
        Component::SwapAndHugepages,
        swap_and_hugepages::collect,
        swap_and_hugepages::READS,
        &[],
    ),
    Collector::of(Component::KernelLog, kernel_log::collect, kernel_log::READS, &[]),
    Collector::of(Component::Packages, packages::collect, packages::READS, &[]),
    Collector::of(Component::Reboot, reboot::collect, reboot::READS, &[]),
    Collector::of(Component::Sysctl, sysctl::collect, sysctl::READS, &[namespace::SHARED]),
    Collector::of(
        Component::TimeSync,
        time_sync::collect,
        time_sync::READS,
        &[process::SHARED, namespace::SHARED],
    ),
    Collector::of(
        Component::Containerd,
        containerd::collect,
        containerd::READS,
        &[process::SHARED, UNITS],
    ),
    Collector::of(Component::Docker, docker::collect, docker::READS, &[process::SHARED]),
    Collector::of(
        Component::ManagedImages,
        managed_images::collect,
        managed_images::READS,
        &[process::SHARED],
    ),
    Collector::of(
        Component::Kubelet,
        kubelet::collect,
        kubelet::READS,
        &[process::SHARED, UNITS, namespace::SHARED],
    ),
    Collector::of(
        Component::KubeProxy,
        kube_proxy::collect,
        kube_proxy::READS,
        &[process::SHARED, namespace::SHARED],
    ),
    Collector::of(Component::Cni, cni::collect, cni::READS, &[]),
    Collector::of(Component::Systemd, systemd::collect, systemd::READS, &[]),
    Collector::of(
        Component::Network,
        network::collect,
        network::READS,
        &[process::SHARED, namespace::SHARED, kubelet::TRACED, resolver::SHARED],
    ),
    Collector::of(
        Component::Dns,
        dns::collect,
        dns::READS,
        &[process::SHARED, namespace::SHARED, kubelet::SETTINGS],
    ),
    Collector::of(
        Component::Egress,
        egress::collect,
        egress::READS,
        &[namespace::SHARED, resolver::SHARED],
    ),
    Collector::of(
        Component::ApiServer,
        api_server::collect,
        api_server::READS,
        &[process::SHARED, namespace::SHARED, kubelet::TRACED, resolver::SHARED],
    ),
    Collector::of(
        Component::Tunnel,
        tunnel::collect,
        tunnel::READS,
        &[process::SHARED, namespace::SHARED],
    ),
    Collector::of(Component::UpdateChannel, update_channel::collect, update_channel::READS, &[]),
    Collector::of(Component::LinuxExtension, linux_extension::collect, linux_extension::READS, &[]),
    Collector::of(Component::Extensions, extensions::collect, extensions::READS, &[]),
    Collector::of(Component::Files, files::collect, files::READS, &[]),
    Collector::of(
        Component::NodeAccess,
        node_access::collect,
        node_access::READS,
        &[process::SHARED],
    ),
    Collector::of(Component::Certificates, certificates::collect, certificates::READS, &[]),
];

/// The most that one collector may take: a second to connect and five to answer, and
/// room for what it reads besides.
pub const COLLECTOR_LIMIT: Duration = Duration::from_secs(8);

/// So many collectors run side by side: the allocator keeps memory for every thread that
/// there ever was at once, and a node's other programs want the processors too.
const SIDE_BY_SIDE: usize = 4;

/// The next one waits for such a part of the limit until one of these is done. One that hangs
/// keeps nobody: if all did, the last of them would still have three quarters of the limit.
const TURNS: u32 = 40;

/// One component, observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What was seen.
    pub state: ComponentState,
    /// What was measured on the way.
    pub measured: Measurements,
    /// When the collector finished.
    pub observed_at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// What a collector brought back, when, and how long it took by itself.
type Done = (Collected, Timestamp, Duration);

/// Runs rounds of collectors on one host.
#[derive(Debug)]
pub struct Rounds {
    host: Arc<Host>,
    collectors: Vec<Collector>,
    limit: Duration,
    /// Collectors that overran their limit and whose thread has not come back.
    stuck: BTreeMap<Component, (JoinHandle<Done>, Timestamp)>,
}

impl Rounds {
    /// Rounds of all collectors with the usual limit.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self::with(host, COLLECTORS.to_vec(), COLLECTOR_LIMIT)
    }

    /// Rounds of other collectors, or with another limit.
    #[must_use]
    pub const fn with(host: Arc<Host>, collectors: Vec<Collector>, limit: Duration) -> Self {
        Self { host, collectors, limit, stuck: BTreeMap::new() }
    }

    /// Runs every collector once. Takes at most the limit, whatever they do.
    pub async fn run(&mut self) -> Vec<Observation> {
        let started = Instant::now();
        self.host.root.begin_round();
        let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let mut observations = Vec::with_capacity(self.collectors.len());
        let mut running = Vec::with_capacity(self.collectors.len());
        for collector in &self.collectors {
            let component = collector.component;
            if let Some((thread, since)) = self.stuck.get(&component) {
                if !thread.is_finished() {
                    let why = format!("the reading begun at {since:.0} still hangs");
                    observations.push(observation(component, unavailable(why), started));
                    continue;
                }
                self.stuck.remove(&component);
            }
            let turn = Arc::clone(&turns).acquire_owned();
            let turn = tokio::time::timeout(self.limit / TURNS, turn).await;
            let host = Arc::clone(&self.host);
            let collect = collector.collect;
            let thread = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let begun = Instant::now();
                let collected = collect(&host);
                (collected, Timestamp::now(), begun.elapsed())
            });
            running.push((component, thread));
        }
        let begun = Timestamp::now();
        for (component, mut thread) in running {
            let left = self.limit.saturating_sub(started.elapsed());
            let collected = match tokio::time::timeout(left, &mut thread).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(error)) => Err(unavailable(panic_message(error))),
                Err(_) => {
                    self.stuck.insert(component, (thread, begun));
                    let limit = self.limit.as_millis();
                    Err(unavailable(format!("not read within {limit} ms")))
                }
            };
            observations.push(match collected {
                Ok((Collected { state, measured }, observed_at, took)) => {
                    Observation { state, measured, observed_at, took }
                }
                Err(unavailable) => observation(component, unavailable, started),
            });
        }
        self.host.root.end_round();
        observations.sort_by_key(|observation| observation.state.component());
        observations
    }
}

fn observation(component: Component, unavailable: Unavailable, started: Instant) -> Observation {
    Observation {
        state: ComponentState::unavailable(component, unavailable),
        measured: Measurements::default(),
        observed_at: Timestamp::now(),
        took: started.elapsed(),
    }
}

const fn unavailable(why: String) -> Unavailable {
    Unavailable { place: String::new(), why }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    if !error.is_panic() {
        return "the agent is stopping".to_owned();
    }
    let payload = error.into_panic();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    format!("the collector failed: {message}")
}

/// A collector's own result as the component's state.
fn state<T>(result: Result<State<T>, HostError>) -> State<T> {
    result.unwrap_or_else(|error| State::Unavailable(error.into()))
}
