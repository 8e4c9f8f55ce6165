//! Collects `kube_proxy`: whether it is meant to run here, its process, and what its two
//! endpoints answer. It mostly is a pod in the node's network, so processes inside of
//! containers are looked at, and its configuration may lie in a volume of the pod.

mod answers;
mod heard;
mod metrics;
mod presence;
mod served;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::facts::{ComponentState, KubeProxy, ProxyHealth};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::Collected;
use crate::host::{Found, Host, HostError, find_processes_anywhere};
use crate::reads::Read;
use metrics::Metrics;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&presence::UNITS, "Whether it is there: kube-proxy is meant to run here."),
    Read::of(
        &["/var/log/pods"],
        "The names of the folders: whether the kubelet has a pod of kube-proxy.",
    ),
    Read::of(
        &["/var/log/pods/{pod}/kube-proxy"],
        "Whether it is there. Logs themselves are not read.",
    ),
    Read::of(
        &["/run/cilium/cilium.sock"],
        "Whether it is there: without a kube-proxy Cilium leads traffic. Nobody connects to it.",
    ),
    Read::of(
        &["/run/cilium/state"],
        "Whether it is there: without a kube-proxy Cilium leads traffic.",
    ),
    Read::of(&["/etc/cni/net.d"], "The names of the files, for the same reason."),
    Read::of(
        &["/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~configmap"],
        "The names of the volumes of kube-proxy's pod.",
    ),
    Read::usually(
        &["/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~configmap/{volume}/{name}"],
        "kube-proxy's `--config`",
        "`healthzBindAddress` and `metricsBindAddress`. Of a kube-proxy outside of containers the \
         file itself.",
    ),
    Read::usually(
        &["http://{address}/livez"],
        "`healthzBindAddress`",
        "Whether changes of Services reach the node's rules; usually at 127.0.0.1:10256 or \
         [::1]:10256.",
    ),
    Read::usually(
        &["http://{address}/healthz"],
        "`healthzBindAddress`",
        "The same, and whether the node is to get traffic.",
    ),
    Read::usually(
        &["http://{address}/proxyMode"],
        "`metricsBindAddress`",
        "How it leads traffic; usually at 127.0.0.1:10249 or [::1]:10249.",
    ),
    Read::usually(
        &["http://{address}/configz"],
        "`metricsBindAddress`",
        "The configuration that is in force.",
    ),
    Read::usually(
        &["http://{address}/metrics"],
        "`metricsBindAddress`",
        "Version, features in alpha, when rules were last asked for and last written, failures, \
         and its start. Other lines are not kept.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    match read(host) {
        Ok((state, measured)) => Collected { state: ComponentState::KubeProxy(state), measured },
        Err(error) => ComponentState::KubeProxy(State::Unavailable(error.into())).into(),
    }
}

fn read(host: &Host) -> Result<(State<KubeProxy>, Measurements), HostError> {
    let found = find_processes_anywhere(&host.root, "kube-proxy")?.into_iter().next();
    let pods = presence::pods(&host.root)?;
    let traces = presence::traces(&host.root, &pods)?;
    if found.is_none() && traces.is_empty() {
        let state = match presence::cilium(&host.root)? {
            Some(sign) => State::NotApplicable(format!(
                "no kube-proxy by design: Cilium leads traffic to pods ({sign})"
            )),
            None => State::Absent,
        };
        return Ok((state, Measurements::default()));
    }
    let served = served::read(&host.root, found.as_ref(), &pods)?;
    let heard = heard::ask(host, &served);
    let health = answers::health(&heard.livez.body, &heard.healthz.body);
    let configuration = answers::configuration(&heard.configz.body);
    let metrics = Metrics::read(&heard.metrics.body);
    let measured = metrics.measured(health.current_time.unwrap_or_else(Timestamp::now));
    let (process, in_container) = match found {
        Some(Found { process, in_container, .. }) => (Some(process), in_container),
        None => (None, false),
    };
    let state = State::Present(Arc::new(KubeProxy {
        traces,
        process,
        in_container,
        health: ProxyHealth {
            endpoint: endpoint(heard.health_at),
            livez: answers::without_body(heard.livez),
            healthz: answers::without_body(heard.healthz),
            families: health.families,
            node_eligible: health.node_eligible,
        },
        metrics_endpoint: endpoint(heard.metrics_at),
        proxy_mode: heard.proxy_mode.answer,
        metrics: heard.metrics.answer,
        version: metrics.build.version.unwrap_or_default(),
        alpha_features: metrics.build.alpha_features,
        configz: answers::without_body(heard.configz),
        configuration,
    }));
    Ok((state, measured))
}

fn endpoint(address: Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| format!("http://{address}"))
}
