//! Facts of `system_pods`: the pods of `kube-system` on a node, and the agent's own pod there,
//! as the cluster's API server tells of them. Sources: Kubernetes' API (`v1.Pod`).

use jiff::Timestamp;
use serde::Serialize;

use crate::text::Text;

use super::Headline;

/// The pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SystemPods {
    /// By namespace and name.
    pub pods: Vec<SystemPod>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SystemPod {
    /// Its namespace.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// What it belongs to, such as `DaemonSet kube-proxy`; empty where it belongs to nothing.
    pub owner: Text,
    /// Whether it is an agent of Nodeward.
    pub is_agent: bool,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: Text,
    /// Whether it is ready.
    pub is_ready: bool,
    /// Since when it has been so; none where nobody says.
    pub since: Option<Timestamp>,
    /// Why a container of it does not run, such as `CrashLoopBackOff`; else empty.
    pub waiting: Text,
    /// How often its containers were started anew, all together.
    pub restarts: u32,
    /// Whether its deletion was asked for.
    pub is_ending: bool,
}

impl SystemPod {
    /// What it belongs to, without its kind; its own name where it belongs to nothing.
    #[must_use]
    pub fn part_of(&self) -> &str {
        self.owner.split_once(' ').map_or(self.name.as_str(), |(_, name)| name)
    }

    /// Whether it should be ready: one that has done its work, or is being ended, need not.
    #[must_use]
    pub fn is_meant_to_run(&self) -> bool {
        !self.is_ending && !matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl SystemPods {
    /// The agent's pod.
    #[must_use]
    pub fn agent(&self) -> Option<&SystemPod> {
        self.pods.iter().find(|pod| pod.is_agent)
    }
}

impl Headline for SystemPods {
    fn headline(&self) -> String {
        let meant = || self.pods.iter().filter(|pod| pod.is_meant_to_run());
        let ready = meant().filter(|pod| pod.is_ready).count();
        format!("{ready} of {} are ready", meant().count())
    }
}
