//! Facts of `kubelet`: its process, what it was told by flags and files, its
//! certificates, and what its two ports say. The health endpoint is a ping: it proves
//! that a process answers, nothing about the runtime.

mod certificate;
mod configuration;
mod secure_port;

use serde::Serialize;

pub use certificate::{Certificate, CertificateContent, CertificateFile, CertificateRole};
pub use configuration::{
    Configuration, ConfigurationFile, FileRole, FileState, Flag, Setting, SettingSource, Written,
};
pub use secure_port::{Credential, SecurePort};

use super::{Headline, HttpAnswer, Label, Process, UnitState};

/// What was seen of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kubelet {
    /// Paths that show an installation, such as the binary or the unit, sorted.
    pub traces: Vec<String>,
    /// The process, if one runs.
    pub process: Option<Process>,
    /// Its unit, `kubelet.service`.
    pub unit: UnitState,
    /// Further kubelets of the host, by pid: there should be none.
    pub other_pids: Vec<u32>,
    /// Its version; none when nothing that may be read says it.
    pub version: Option<Version>,
    /// The health endpoint that was asked.
    pub healthz_endpoint: String,
    /// What it answered.
    pub healthz: HttpAnswer,
    /// The kubelet registers its node with a label below `kubernetes.azure.com/`.
    pub registers_azure_labels: bool,
    /// Labels that the running process registers its node with, sorted.
    pub node_labels: Vec<Label>,
    /// What it was told.
    pub configuration: Configuration,
    /// Its certificates and those that it trusts.
    pub certificates: Vec<CertificateFile>,
    /// Its port for the API server.
    pub secure_port: SecurePort,
}

/// The version of a kubelet, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Such as `v1.34.9`.
    pub version: String,
    /// An endpoint or a path.
    pub source: String,
}

impl Headline for Kubelet {
    fn headline(&self) -> String {
        let process = self
            .process
            .as_ref()
            .map_or_else(|| "no process".to_owned(), |process| format!("pid {}", process.pid));
        let version =
            self.version.as_ref().map_or_else(String::new, |known| format!(", {}", known.version));
        format!("{process}{version}, healthz {}", self.healthz)
    }
}
