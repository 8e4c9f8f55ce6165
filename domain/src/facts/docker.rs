//! Facts of `docker`: whether Docker is on the node, and what the kubelet was told of its
//! runtime. Sources: dockerd's manual, kubelet's flags.

use serde::Serialize;

use super::{Headline, Process};

/// What was seen of Docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Docker {
    /// Paths that show it, sorted: programs, units, its folder of state.
    pub traces: Vec<String>,
    /// Its daemon, if one runs.
    pub process: Option<Process>,
    /// What serves the kubelet's protocol for it, `cri-dockerd`, if it runs.
    pub shim: Option<Process>,
    /// Its sockets that are there. A socket's file stays when its owner is gone.
    pub sockets: Vec<String>,
    /// What the kubelet that runs was told; none when none runs.
    pub kubelet: Option<KubeletRuntime>,
}

/// What a kubelet was told of its runtime, by flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KubeletRuntime {
    /// `--container-runtime`, which kubelets before 1.27 know; empty when it is not given.
    pub runtime: String,
    /// `--container-runtime-endpoint`; empty when it is not given.
    pub endpoint: String,
}

impl Headline for Docker {
    fn headline(&self) -> String {
        match (&self.process, self.traces.first()) {
            (Some(process), _) => format!("dockerd runs, pid {}", process.pid),
            (None, Some(trace)) => format!("{trace}, and no dockerd runs"),
            (None, None) => "no dockerd runs".to_owned(),
        }
    }
}
