//! Facts of `kube_proxy`: its process, and what its health and metrics endpoints say. The
//! Node object shows nothing of a broken kube-proxy. Of its answers everything is left out
//! that moves while nothing happens: times of the last sync are measurements.

use serde::Serialize;

use super::{Headline, HttpAnswer, Process};

/// What was seen of kube-proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeProxy {
    /// What shows that it is meant to run here: its unit or the logs of its pod, sorted.
    pub traces: Vec<String>,
    /// The process, if one runs in the node's network.
    pub process: Option<Process>,
    /// The process runs inside of a container.
    pub in_container: bool,
    /// What its health endpoint says.
    pub health: ProxyHealth,
    /// Its other endpoint, such as `http://127.0.0.1:10249`; empty when it is told to have
    /// none.
    pub metrics_endpoint: String,
    /// What `/proxyMode` answered: the mode is the body.
    pub proxy_mode: HttpAnswer,
    /// What `/metrics` answered, without its body.
    pub metrics: HttpAnswer,
    /// Version, such as `v1.34.9`; empty where it does not say.
    pub version: String,
    /// Features in alpha that are on, sorted; none where it does not say.
    pub alpha_features: Option<Vec<String>>,
    /// What `/configz` answered, without its body.
    pub configz: HttpAnswer,
    /// The configuration that is in force; none where it does not say.
    pub configuration: Option<ProxyConfiguration>,
}

/// What the health endpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProxyHealth {
    /// The endpoint, such as `http://127.0.0.1:10256`; empty when it is told to have none.
    pub endpoint: String,
    /// What `/livez` answered: whether the rules are written in time. Its body is left out
    /// when it is the JSON of a kube-proxy.
    pub livez: HttpAnswer,
    /// What `/healthz` answered: that, and whether the node may be given traffic.
    pub healthz: HttpAnswer,
    /// What it says of each IP family, sorted; empty before Kubernetes 1.33.
    pub families: Vec<FamilyHealth>,
    /// Whether the node may be given traffic: not while it is being deleted.
    pub node_eligible: Option<bool>,
}

/// What kube-proxy says of the rules of one IP family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FamilyHealth {
    /// Such as `IPv4`.
    pub family: String,
    /// Whether they are written in time.
    pub is_healthy: bool,
}

/// The configuration that is in force, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProxyConfiguration {
    /// The mode; empty stands for the default.
    pub mode: String,
    /// Where it serves its health.
    pub health_bind_address: String,
    /// Where it serves the rest.
    pub metrics_bind_address: String,
    /// How often the rules are written anew, rounded up; none where it does not say.
    pub sync_period_seconds: Option<u32>,
    /// Features that were switched, sorted by name.
    pub feature_gates: Vec<FeatureGate>,
}

/// A feature that was switched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FeatureGate {
    /// Its name.
    pub name: String,
    /// On or off.
    pub is_on: bool,
}

impl ProxyHealth {
    /// The answer that tells the state of the rules: before Kubernetes 1.28 there is no
    /// `/livez`, and `/healthz` says the same.
    #[must_use]
    pub const fn answer(&self) -> &HttpAnswer {
        match self.livez {
            HttpAnswer::Answered { status: 404, .. } => &self.healthz,
            _ => &self.livez,
        }
    }

    /// The path of that answer.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        match self.livez {
            HttpAnswer::Answered { status: 404, .. } => "/healthz",
            _ => "/livez",
        }
    }

    /// The IP families whose rules are not written in time.
    pub fn late_families(&self) -> impl Iterator<Item = &str> {
        self.families.iter().filter(|one| !one.is_healthy).map(|one| one.family.as_str())
    }
}

impl KubeProxy {
    /// The mode that it runs in; none where it does not say.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        match (&self.proxy_mode, &self.configuration) {
            (HttpAnswer::Answered { status: 200, body }, _) if !body.is_empty() => Some(body),
            (_, Some(configuration)) if !configuration.mode.is_empty() => Some(&configuration.mode),
            _ => None,
        }
    }
}

impl Headline for KubeProxy {
    fn headline(&self) -> String {
        let process = self
            .process
            .as_ref()
            .map_or_else(|| "no process".to_owned(), |process| format!("pid {}", process.pid));
        let mut line = [&process, self.version.as_str(), self.mode().unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        line.push_str(&format!(", {} {}", &self.health.path()[1..], self.health.answer()));
        for family in self.health.late_families() {
            line.push_str(&format!(", {family} late"));
        }
        if self.health.node_eligible == Some(false) {
            line.push_str(", node not eligible for traffic");
        }
        line
    }
}
