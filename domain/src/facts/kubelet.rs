//! Facts of `kubelet`: its process and what its own health endpoint says. The
//! endpoint is a ping: it proves that a process answers, nothing about the runtime.

use serde::Serialize;

use super::{Headline, HttpAnswer, Process, UnitState};

/// What was seen of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kubelet {
    /// Paths that show an installation, such as the binary or the unit, sorted.
    pub traces: Vec<String>,
    /// The process, if one runs.
    pub process: Option<Process>,
    /// Its unit, `kubelet.service`.
    pub unit: UnitState,
    /// The health endpoint that was asked.
    pub healthz_endpoint: String,
    /// What it answered.
    pub healthz: HttpAnswer,
    /// The kubelet registers its node with a label below `kubernetes.azure.com/`.
    pub registers_azure_labels: bool,
}

impl Headline for Kubelet {
    fn headline(&self) -> String {
        let process = self
            .process
            .as_ref()
            .map_or_else(|| "no process".to_owned(), |process| format!("pid {}", process.pid));
        format!("{process}, healthz {}", self.healthz)
    }
}
