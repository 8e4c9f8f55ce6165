//! An AKS node whose container runtime is a real one of this machine: everything else is
//! a copy of a host root of the tests, so that what the runtime says matters.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Collector, Observation, Rounds};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::answer::{About, NodeAnswer};
use nodeward_domain::check::{CONFIRMATIONS, settle};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Containerd as Facts, ManagedImages};
use nodeward_domain::measured::Measurements;
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};

use crate::host::HostCopy;
use crate::programs::installed;
use crate::service::PATIENCE;

/// The runtime that the host root's kubelet uses.
const ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// What one round of the agent sees of a runtime.
#[derive(Debug)]
pub struct Seen {
    /// The facts.
    pub facts: Arc<Facts>,
    /// What was measured on the way.
    pub measured: Measurements,
}

/// An agent that looks at the runtime behind a socket of this machine, round by round.
#[derive(Debug)]
pub struct Looking(Rounds);

impl Looking {
    /// Begins.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self::at_component(socket, Component::Containerd)
    }

    fn at_component(socket: &Path, component: Component) -> Self {
        let host = Host {
            containerd_socket: socket.display().to_string(),
            ..Host::new(
                HostRoot::open(Path::new("/")).expect("the root"),
                Probes::Live { runtime: tokio::runtime::Handle::current() },
            )
        };
        let is_it = |one: &Collector| one.component == component;
        let only = COLLECTORS.into_iter().filter(is_it).collect();
        Self(Rounds::with(Arc::new(host), only, COLLECTOR_LIMIT))
    }

    /// One round.
    ///
    /// # Panics
    /// When there is no trace of a runtime, or it could not be read.
    pub async fn look(&mut self) -> Seen {
        match self.0.run().await.into_iter().next() {
            Some(Observation {
                state: ComponentState::Containerd(State::Present(facts)),
                measured,
                ..
            }) => Seen { facts, measured },
            other => panic!("no containerd: {other:?}"),
        }
    }
}

/// One round that looks which images run in `kube-system`, by the runtime behind a socket of
/// this machine.
///
/// # Panics
/// When no round was made.
pub async fn managed_images(socket: &Path) -> State<ManagedImages> {
    let Looking(mut rounds) = Looking::at_component(socket, Component::ManagedImages);
    match rounds.run().await.into_iter().next() {
        Some(Observation { state: ComponentState::ManagedImages(state), .. }) => state,
        other => panic!("no images: {other:?}"),
    }
}

/// A node, and what is remembered of it.
#[derive(Debug)]
pub struct Node {
    copy: HostCopy,
    history: NodeHistory,
    observed: u32,
}

impl Default for Node {
    /// A node on which the package of this machine's containerd is installed.
    fn default() -> Self {
        let copy = HostCopy::of("aks-ubuntu-2204");
        let installed = format!("Version: {}", installed_version());
        let packaged = [("Version: 1.7.33-ubuntu22.04u4", installed.as_str())];
        copy.replace("/var/lib/dpkg/status", &packaged);
        Self { copy, history: NodeHistory::default(), observed: 0 }
    }
}

impl Node {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(self.observed) * 30)
    }

    /// Its kubelet uses the runtime behind that socket, and makes control groups as one
    /// does that nobody has configured.
    fn use_runtime_at(&mut self, socket: &str) {
        const LINE: &str = "/proc/41552/cmdline";
        let arguments =
            [(ENDPOINT, socket), ("--cgroup-driver=systemd", "--cgroup-driver=cgroupfs")];
        self.copy.replace(LINE, &arguments);
        let cgroups = (r#""cgroupDriver": "systemd""#, r#""cgroupDriver": "cgroupfs""#);
        self.copy.answer_replacing(&[(ENDPOINT, socket), cgroups]);
    }

    /// One more round of the node, half a minute later, with that runtime.
    pub async fn observe(&mut self, seen: &Seen) {
        if self.observed == 0 {
            self.use_runtime_at(&seen.facts.socket);
        }
        let at = self.now();
        self.observed += 1;
        self.history.measured.observe(seen.measured, at);
        for Observation { state, took, .. } in self.copy.round(COLLECTOR_LIMIT).await {
            let state = match state {
                ComponentState::Containerd(_) => {
                    ComponentState::Containerd(State::Present(Arc::clone(&seen.facts)))
                }
                other => other,
            };
            self.history.observe(state, at, took);
        }
        settle(&mut self.history, &Component::ALL.into_iter().collect(), &policy(), at);
    }

    /// Looks as often as a weak probe must be asked, and judges.
    pub async fn judged(&mut self, socket: &Path) -> (Arc<Facts>, Vec<String>) {
        let mut looking = Looking::at(socket);
        for _ in 1..CONFIRMATIONS {
            let seen = looking.look().await;
            self.observe(&seen).await;
        }
        let seen = looking.look().await;
        self.observe(&seen).await;
        (seen.facts, self.findings())
    }

    /// Looks until the finding is gone, and gives the facts that cleared it.
    ///
    /// # Panics
    /// When it does not go.
    pub async fn cleared(&mut self, socket: &Path, finding: &str) -> Arc<Facts> {
        let deadline = Instant::now() + PATIENCE;
        let mut looking = Looking::at(socket);
        loop {
            let seen = looking.look().await;
            self.observe(&seen).await;
            if !self.findings().iter().any(|one| one == finding) {
                return seen.facts;
            }
            assert!(Instant::now() < deadline, "{finding} did not clear: {}", seen.facts.cri);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The reasons of all findings.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let now = self.now();
        let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
        let (answer, _) = NodeAnswer::of(about, &self.history, Default::default(), &policy(), now);
        answer.findings.into_iter().map(|finding| finding.reason).collect()
    }
}

fn policy() -> Policy {
    Policy::edition(DEFAULT_EDITION).expect("the usual edition")
}

/// The version that this machine's containerd names: `… 1.6.20~ds1 1.6.20~ds1-1+deb12u3`.
fn installed_version() -> String {
    let output = std::process::Command::new(installed("containerd")).arg("--version").output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    text.split_whitespace().nth(2).expect("its version").to_owned()
}
