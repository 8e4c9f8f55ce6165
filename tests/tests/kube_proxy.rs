//! kube-proxy as it really answers, healthy and broken, from live probe to verdict, each
//! with the verdict that a person would give. The node is a copy of an AKS host root whose
//! kube-proxy is told to serve where a stand-in does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Collector, Rounds};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::component::Component;
use nodeward_tests::capture::Capture;
use nodeward_tests::host::{HostCopy, own_network};
use nodeward_tests::judged::Judged;
use nodeward_tests::standin::{Answer, Does, Standin, answer};

/// The folder of kube-proxy's process, and of its pod's logs.
const PROCESS: &str = "/proc/10361";
const LOGS: &str =
    "/var/log/pods/kube-system_kube-proxy-x7k2m_5b0f3c1e-6a0d-4d6e-9a55-0c6f8f2f3f11";

/// A node with a kube-proxy behind stand-ins.
struct Node {
    copy: HostCopy,
}

impl Node {
    /// Its kube-proxy is told to serve there.
    fn serving_at(health: SocketAddr, metrics: SocketAddr) -> Self {
        let node = Self { copy: HostCopy::of("aks-ubuntu-2204") };
        node.start(&[
            format!("--healthz-bind-address={health}"),
            format!("--metrics-bind-address={metrics}"),
        ]);
        let own = own_network();
        for pid in [PROCESS, "/proc/1", "/proc/2"] {
            node.copy.in_network(pid, &own);
        }
        node
    }

    fn of(health: &Standin, metrics: &Standin) -> Self {
        Self::serving_at(health.address(), metrics.address())
    }

    fn start(&self, arguments: &[String]) {
        let line: String = [&["kube-proxy".to_owned()], arguments]
            .concat()
            .iter()
            .map(|a| format!("{a}\0"))
            .collect();
        self.write(&format!("{PROCESS}/cmdline"), &line);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.copy.inside(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn remove(&self, path: &str) {
        std::fs::remove_dir_all(self.copy.inside(path)).expect("it was there");
    }

    /// What is said of kube-proxy once a round has been seen often enough.
    async fn judged(&self) -> Judged {
        let is_proxy = |one: &Collector| one.component == Component::KubeProxy;
        let others = COLLECTORS.into_iter().filter(|one| !is_proxy(one)).collect();
        let mut seen = self.copy.round_of(others, COLLECTOR_LIMIT).await;
        let host = Host::new(
            HostRoot::open(self.copy.path()).expect("a directory"),
            Probes::Live { runtime: tokio::runtime::Handle::current() },
        );
        let only = COLLECTORS.into_iter().filter(is_proxy).collect();
        seen.extend(Rounds::with(Arc::new(host), only, COLLECTOR_LIMIT).run().await);
        Judged::of(Component::KubeProxy, &seen)
    }
}

const LIVEZ: &str = r#"{"lastUpdated":"2026-11-24T11:59:58Z","currentTime":"2026-11-24T11:59:58Z","healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-24T11:00:00Z","healthy":true}}}"#;
const HEALTHZ: &str = r#"{"lastUpdated":"2026-11-24T11:59:58Z","currentTime":"2026-11-24T11:59:58Z","nodeEligible":true,"healthy":true}"#;
const CONFIGZ: &str =
    r#"{"kubeproxy.config.k8s.io":{"HealthzBindAddress":"","Mode":"iptables","SyncPeriod":"30s"}}"#;
const METRICS: &str = "\
kubernetes_build_info{git_version=\"v1.34.9\"} 1
kubernetes_feature_enabled{name=\"AllAlpha\",stage=\"ALPHA\"} 0
kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1.7955179e+09
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.795518e+09
process_start_time_seconds 1.7942e+09
";

fn health(livez: Does, healthz: Does) -> Standin {
    Standin::by_path([("/livez", livez), ("/healthz", healthz)])
}

fn healthy() -> Standin {
    health(answer(200, LIVEZ), answer(200, HEALTHZ))
}

fn metrics_with(mode: &str, configz: &str, metrics: &str) -> Standin {
    Standin::by_path([
        ("/proxyMode", answer(200, mode)),
        ("/configz", answer(200, configz)),
        ("/metrics", answer(200, metrics)),
    ])
}

fn metrics() -> Standin {
    metrics_with("iptables", CONFIGZ, METRICS)
}

#[tokio::test]
async fn recorded_nodes_are_judged_as_a_person_would() {
    for (state, capture) in Capture::all() {
        let (health, others) =
            (capture.standin("kube-proxy-10256"), capture.standin("kube-proxy-10249"));
        let node = Node::of(&health, &others);
        if state == "kubeproxy-killed" {
            node.remove(PROCESS);
        }
        let judged = node.judged().await;
        match state.as_str() {
            "kubeproxy-killed" => judged.is("KubeProxyDown", "no kube-proxy process"),
            "kubeproxy-nosync-75s" => {
                judged.is("KubeProxyUnhealthy", "the rules of IPv4 are not written");
                assert_eq!(judged.check("KubeProxySyncStuck").outcome, "not_applicable");
            }
            _ => {
                judged.is_well();
                assert_eq!(
                    judged.component.headline, "pid 10361, v1.34.9, iptables, livez 200",
                    "{state}"
                );
            }
        }
    }
}

#[tokio::test]
async fn one_that_is_healthy_and_slow_is_healthy() {
    let delay = Duration::from_millis(1200);
    let body = LIVEZ.as_bytes().to_vec();
    let slow = Does::Answer(Answer { status: 200, headers: Vec::new(), body, delay });
    let (health, others) = (health(slow, answer(200, HEALTHZ)), metrics());
    Node::of(&health, &others).judged().await.is_well();
}

#[tokio::test]
async fn one_that_is_stopped_hangs() {
    let (health, others) = (Standin::stopped(), Standin::stopped());
    Node::of(&health, &others).judged().await.is("KubeProxyHung", "no answer within 3000 ms");
}

#[tokio::test]
async fn one_that_could_not_reach_the_api_server_at_its_start_serves_nothing() {
    let (health, others) = (Standin::gone(), Standin::gone());
    let judged = Node::of(&health, &others).judged().await;
    judged.is("KubeProxyNotServing", "opened neither of its ports");
    assert_eq!(judged.check("KubeProxyDown").outcome, "pass");
}

#[tokio::test]
async fn one_whose_health_port_was_taken_serves_no_health() {
    let (health, others) = (Standin::gone(), metrics());
    let judged = Node::of(&health, &others).judged().await;
    judged.is("KubeProxyNotServing", "nobody listens on its health endpoint");
}

#[tokio::test]
async fn one_that_has_ended_is_down_if_its_pod_is_there() {
    let (health, others) = (Standin::gone(), Standin::gone());
    let node = Node::of(&health, &others);
    let stat = std::fs::read_to_string(node.copy.inside(&format!("{PROCESS}/stat"))).expect("stat");
    // Nobody has waited for it.
    node.write(&format!("{PROCESS}/stat"), &stat.replace("(kube-proxy) S", "(kube-proxy) Z"));
    node.judged().await.is("KubeProxyDown", "no kube-proxy process");
    node.remove(LOGS);
    assert_eq!(node.judged().await.component.state, "absent");
}

#[tokio::test]
async fn a_node_that_is_being_deleted_is_no_fault_in_any_version() {
    let leaving = HEALTHZ.replace("\"nodeEligible\":true", "\"nodeEligible\":false");
    let old = r#"{"lastUpdated": "2023-05-03 14:22:17.1 +0000 UTC","currentTime": "2023-05-03 14:22:17.1 +0000 UTC", "nodeEligible": false}"#;
    for (livez, healthz) in [
        (answer(200, LIVEZ), answer(503, leaving)),
        (answer(404, "404 page not found\n"), answer(503, old)),
    ] {
        let (health, others) = (health(livez, healthz), metrics());
        let judged = Node::of(&health, &others).judged().await;
        judged.is_well();
        let headline = &judged.component.headline;
        assert!(headline.ends_with("node not eligible for traffic"), "{headline}");
    }
}

#[tokio::test]
async fn versions_without_livez_are_judged_by_healthz() {
    let old = r#"{"lastUpdated": "2023-05-03 14:22:17.1 +0000 UTC","currentTime": "2023-05-03 14:22:17.1 +0000 UTC"}"#;
    for (status, broken) in [(200, false), (503, true)] {
        let (health, others) =
            (health(answer(404, "404 page not found\n"), answer(status, old)), metrics());
        let judged = Node::of(&health, &others).judged().await;
        match broken {
            true => judged.is("KubeProxyUnhealthy", "healthz answers 503"),
            false => judged.is_well(),
        }
    }
}

#[tokio::test]
async fn the_status_code_counts_before_the_body() {
    let (health, others) = (health(answer(503, "not JSON"), answer(503, "")), metrics());
    let judged = Node::of(&health, &others).judged().await;
    judged.is("KubeProxyUnhealthy", "livez answers 503 not JSON");
    let (health, others) = (self::health(answer(403, "Forbidden"), answer(403, "")), metrics());
    let judged = Node::of(&health, &others).judged().await;
    judged.is_unknown("KubeProxyUnhealthy", "403 Forbidden");
}

#[tokio::test]
async fn rules_that_never_could_be_written_are_seen_although_it_calls_itself_healthy() {
    let lines: String = METRICS
        .lines()
        .filter(|line| !line.contains("rules_last_timestamp"))
        .map(|line| format!("{line}\n"))
        .collect();
    let (health, others) = (healthy(), metrics_with("iptables", CONFIGZ, &lines));
    let judged = Node::of(&health, &others).judged().await;
    judged.is("KubeProxySyncStuck", "changes of the rules of IPv4 are not written");
    // Half an hour is what this one was told to wait.
    let patient = CONFIGZ.replace("30s", "15m0s");
    let late = METRICS.replace("1.795518e+09", "1.7955178e+09");
    let late = late.replace("1.7955179e+09", "1.7955215e+09");
    let others = metrics_with("iptables", &patient, &late);
    Node::of(&health, &others).judged().await.is_well();
}

#[tokio::test]
async fn modes_and_features_that_the_provider_does_not_support_are_told() {
    for (mode, says) in [
        ("nftables", "a preview that is supported as best effort"),
        ("ipvs", "was chosen for this cluster"),
        ("userspace", "Microsoft does not offer"),
    ] {
        let (health, others) = (healthy(), metrics_with(mode, CONFIGZ, METRICS));
        Node::of(&health, &others).judged().await.is("KubeProxyModeNotDefault", says);
    }
    let alpha = format!("{METRICS}kubernetes_feature_enabled{{name=\"New\",stage=\"ALPHA\"}} 1\n");
    let (health, others) = (healthy(), metrics_with("iptables", CONFIGZ, &alpha));
    Node::of(&health, &others).judged().await.is("KubeProxyAlphaFeature", "in alpha: New");
}

#[tokio::test]
async fn it_is_found_on_a_node_with_ipv6_alone() {
    let over = |stream| Ok(Box::new(stream) as Box<_>);
    let on_six = |paths: [(&'static str, &'static str); 3]| {
        Standin::serving_on(Ipv6Addr::LOCALHOST.into(), over, move |asked| {
            let found = paths.iter().find(|(path, _)| *path == asked.path);
            found.map_or_else(|| answer(404, ""), |(_, body)| answer(200, *body))
        })
    };
    let health = on_six([("/livez", LIVEZ), ("/healthz", HEALTHZ), ("", "")]);
    let others = on_six([("/proxyMode", "iptables"), ("/configz", CONFIGZ), ("/metrics", METRICS)]);
    let any =
        |standin: &Standin| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), standin.address().port());
    let node = Node::serving_at(any(&health), any(&others));
    node.judged().await.is_well();
}

#[tokio::test]
async fn a_configuration_in_a_volume_of_its_pod_moves_it() {
    let (health, others) = (healthy(), metrics());
    let node = Node::of(&health, &others);
    node.start(&["--config=/var/lib/kube-proxy/config.conf".to_owned()]);
    let uid = LOGS.rsplit('_').next().expect("a UID");
    let file = format!(
        "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~configmap/kube-proxy/config.conf"
    );
    let told = format!(
        "kind: KubeProxyConfiguration\nhealthzBindAddress: {}\nmetricsBindAddress: {}\n",
        health.address(),
        others.address()
    );
    node.write(&file, &told);
    node.judged().await.is_well();
}

#[tokio::test]
async fn the_configuration_in_force_moves_it_too() {
    let (moved, gone) = (healthy(), Standin::gone());
    let told = format!("\"HealthzBindAddress\":\"{}\"", moved.address());
    let configz = CONFIGZ.replace("\"HealthzBindAddress\":\"\"", &told);
    let others = metrics_with("iptables", &configz, METRICS);
    Node::of(&gone, &others).judged().await.is_well();
}

#[tokio::test]
async fn one_that_is_told_to_serve_no_health_is_judged_by_the_rest() {
    let (gone, others) = (Standin::gone(), metrics());
    let node = Node::of(&gone, &others);
    let told = |metrics: &Standin| {
        let metrics = format!("--metrics-bind-address={}", metrics.address());
        ["--healthz-port=0".to_owned(), metrics]
    };
    node.start(&told(&others));
    let judged = node.judged().await;
    judged.is_unknown("KubeProxyUnhealthy", "kube-proxy is told not to serve it");
    for reason in ["KubeProxyDown", "KubeProxyNotServing", "KubeProxyHung", "KubeProxySyncStuck"] {
        assert_eq!(judged.check(reason).outcome, "pass", "{reason}");
    }
    node.start(&told(&gone));
    node.judged().await.is("KubeProxyNotServing", "opened neither of its ports");
}

#[tokio::test]
async fn on_a_loopback_that_is_not_the_nodes_a_refusal_proves_nothing() {
    let (health, others) = (Standin::gone(), Standin::gone());
    let node = Node::of(&health, &others);
    for pid in [PROCESS, "/proc/1", "/proc/2"] {
        node.copy.in_network(pid, "net:[1]");
    }
    let judged = node.judged().await;
    judged.is_unknown("KubeProxyNotServing", "the agent is not in the host's net namespace");
    // Without the right to look at the links.
    for pid in [PROCESS, "/proc/1", "/proc/2"] {
        node.remove(&format!("{pid}/ns"));
    }
    let judged = node.judged().await;
    judged.is_unknown("KubeProxyNotServing", "refused, but whether the agent is in the host's");
    let (health, others) = (healthy(), metrics());
    let node = Node::of(&health, &others);
    for pid in [PROCESS, "/proc/1", "/proc/2"] {
        node.remove(&format!("{pid}/ns"));
    }
    node.judged().await.is_well();
}

#[tokio::test]
async fn a_process_in_a_network_of_its_own_is_not_the_nodes() {
    let (health, others) = (healthy(), metrics());
    let node = Node::of(&health, &others);
    node.copy.in_network(PROCESS, "net:[1]");
    node.remove(LOGS);
    assert_eq!(node.judged().await.component.state, "absent");
}

#[tokio::test]
async fn absent_by_design_is_told_from_down() {
    let (health, others) = (Standin::gone(), Standin::gone());
    let node = Node::of(&health, &others);
    node.remove(PROCESS);
    node.remove(LOGS);
    assert_eq!(node.judged().await.component.state, "absent");
    node.write("/etc/cni/net.d/05-cilium.conflist", "{}");
    let judged = node.judged().await;
    assert_eq!(judged.component.state, "not_applicable");
    let headline = &judged.component.headline;
    assert!(headline.contains("/etc/cni/net.d/05-cilium.conflist"), "{headline}");
    // Cilium may run beside a kube-proxy that is meant to be there.
    node.write(&format!("{LOGS}/kube-proxy/0.log"), "");
    node.judged().await.is("KubeProxyDown", "no kube-proxy process");
}
