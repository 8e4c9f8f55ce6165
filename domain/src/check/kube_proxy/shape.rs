//! The shape that kube-proxy is in: one at a time, so that one check owns it.

use crate::check::Evidence;
use crate::facts::{HttpAnswer, KubeProxy};

/// The shape that kube-proxy is in, as its process and its two endpoints show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Down,
    NotServing,
    Hung,
    Unhealthy,
    Healthy,
    /// Its answers name none of these.
    Unclear,
}

impl Shape {
    pub(super) fn of(proxy: &KubeProxy) -> Self {
        let (health, other) = (proxy.health.answer(), &proxy.proxy_mode);
        let is_told_off = proxy.health.endpoint.is_empty();
        // An answer on a port proves a process even where none can be seen.
        let answers = |answer: &HttpAnswer| {
            matches!(answer, HttpAnswer::Answered { .. } | HttpAnswer::TimedOut { .. })
        };
        let gives_nothing = |answer: &HttpAnswer| {
            matches!(answer, HttpAnswer::Refused | HttpAnswer::NotAsked { .. })
        };
        match health {
            HttpAnswer::TimedOut { .. } => Self::Hung,
            HttpAnswer::Answered { status: 200, .. } => Self::Healthy,
            // The node is being deleted: this is how load balancers are told.
            HttpAnswer::Answered { .. } if is_only_leaving(proxy) => Self::Healthy,
            HttpAnswer::Answered { status: 500.., .. } => Self::Unhealthy,
            _ if is_told_off && matches!(other, HttpAnswer::TimedOut { .. }) => Self::Hung,
            _ if proxy.process.is_none() && gives_nothing(health) && !answers(other) => Self::Down,
            HttpAnswer::Refused => Self::NotServing,
            _ if is_told_off && *other == HttpAnswer::Refused => Self::NotServing,
            _ => Self::Unclear,
        }
    }

    /// The check that stands for what lies behind a broken answer, as for containerd.
    pub(super) const fn owner(self) -> Option<&'static str> {
        match self {
            Self::Down => Some("KubeProxyDown"),
            Self::NotServing => Some("KubeProxyNotServing"),
            Self::Hung => Some("KubeProxyHung"),
            Self::Unhealthy => Some("KubeProxyUnhealthy"),
            Self::Healthy | Self::Unclear => None,
        }
    }
}

/// Before Kubernetes 1.28 one answer says both, whether the rules are written in time and
/// whether the node may be given traffic.
fn is_only_leaving(proxy: &KubeProxy) -> bool {
    proxy.health.path() == "/healthz"
        && proxy.health.node_eligible == Some(false)
        && proxy.health.late_families().next().is_none()
}

/// What a question about one shape rests on.
pub(super) fn evidence(proxy: &KubeProxy, shape: Shape) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if matches!(shape, Shape::Down | Shape::NotServing) {
        let process = proxy.process.as_ref().map_or_else(
            || "no kube-proxy process in the node's network".to_owned(),
            |process| format!("pid {} {}", process.pid, process.executable),
        );
        evidence.push(Evidence::new("/proc", process, "one kube-proxy process"));
    }
    let mut answer = proxy.health.answer().to_string();
    for family in proxy.health.late_families() {
        answer.push_str(&format!(", {family} not healthy"));
    }
    let health = place(&proxy.health.endpoint, proxy.health.path());
    evidence.push(Evidence::new(health, answer, "200"));
    if shape == Shape::NotServing || proxy.health.endpoint.is_empty() {
        let other = place(&proxy.metrics_endpoint, "/proxyMode");
        evidence.push(Evidence::new(other, proxy.proxy_mode.to_string(), "200"));
    }
    if shape == Shape::Unhealthy && proxy.health.node_eligible == Some(false) {
        let place = place(&proxy.health.endpoint, "/healthz");
        evidence.push(Evidence::new(place, "nodeEligible=false: the node is being deleted", ""));
    }
    evidence
}

/// The place of an answer: an endpoint that is told off has none but its path.
pub(super) fn place(endpoint: &str, path: &str) -> String {
    format!("{endpoint}{path}")
}
