//! What a kubelet does, healthy and broken, from its ports to the verdict that a person
//! would give, by stand-ins that answer as real kubelets did; and what its files on disk
//! say when they cannot be used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod on_disk;
mod recorded;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_agent::collect::Observation;
use nodeward_domain::component::Component;
use nodeward_domain::facts::kubelet::{Credential, FileState, SettingSource};
use nodeward_domain::facts::{ComponentState, Containerd, CriAnswer, HttpAnswer, Kubelet as Facts};
use nodeward_domain::observed::State;
use nodeward_tests::authority::Authority;
use nodeward_tests::capture::Capture;
use nodeward_tests::judged::Judged;
use nodeward_tests::kubelet::{Kubelet, serving_tls};
use nodeward_tests::standin::{Answer, Asked, Does, Standin, answer};

/// Metrics of a kubelet that has just looked at its pods' processes.
fn metrics() -> Does {
    let seen = Timestamp::now().as_second();
    answer(
        200,
        format!(
            "kubelet_pleg_last_seen_seconds {seen}\n\
             kubernetes_build_info{{git_version=\"v1.35.5\",major=\"1\",minor=\"35\"}} 1\n\
             kubernetes_feature_enabled{{name=\"AllAlpha\",stage=\"ALPHA\"}} 0\n\
             kubernetes_feature_enabled{{name=\"Other\",stage=\"BETA\"}} 1\n"
        ),
    )
}

const WELL: &str = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n";

fn late(status: u16, body: &str, delay: Duration) -> Does {
    let body = body.as_bytes().to_vec();
    Does::Answer(Answer { status, headers: Vec::new(), body, delay })
}

fn ok(_: &Asked) -> Does {
    answer(200, "ok")
}

/// A kubelet that is well but for `/metrics` and `/configz`, which a test may change.
fn with(metrics: fn() -> Does, configz: impl Fn() -> Does + Send + Sync + 'static) -> Kubelet {
    let secure = move |asked: &Asked| match asked.path.as_str() {
        "/healthz?verbose" => answer(200, WELL),
        "/metrics" => metrics(),
        "/configz" => configz(),
        _ => answer(404, "404 page not found\n"),
    };
    Kubelet::answering(ok, secure).with_token("t0ken\n")
}

fn judged(observed: &[Observation]) -> Judged {
    Judged::of(Component::Kubelet, observed)
}

/// The reasons of what is wrong.
fn failed(judged: &Judged) -> Vec<&str> {
    judged.findings.iter().map(|(reason, _)| reason.as_str()).collect()
}

/// What one check answered: its word and, where there is one, why.
fn said(judged: &Judged, reason: &str) -> String {
    let check = judged.check(reason);
    format!("{}: {}", check.outcome, check.detail).trim_end_matches(": ").to_owned()
}

fn facts(observed: &[Observation]) -> Arc<Facts> {
    observed
        .iter()
        .find_map(|one| match &one.state {
            ComponentState::Kubelet(State::Present(facts)) => Some(Arc::clone(facts)),
            _ => None,
        })
        .expect("a kubelet")
}

/// The same with a container runtime that accepts calls and answers none.
fn with_hung_runtime(mut observed: Vec<Observation>) -> Vec<Observation> {
    for one in &mut observed {
        if let ComponentState::Containerd(State::Present(containerd)) = &one.state {
            let cri = CriAnswer::TimedOut { call: "Version".to_owned(), after_milliseconds: 5000 };
            let hung = Containerd { cri, ..Containerd::clone(containerd) };
            one.state = ComponentState::Containerd(State::Present(Arc::new(hung)));
        }
    }
    observed
}

#[tokio::test]
async fn a_well_kubelet_that_takes_our_token_leaves_nothing_open() {
    let kubelet = with(metrics, || answer(404, ""));
    // It serves on ports of its own, which /configz has to say, too.
    let told = facts(&kubelet.observed().await);
    assert_eq!(told.secure_port.credential, Credential::Token);
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    for reason in ["KubeletSyncLoopStuck", "KubeletPlegStale", "KubeletAlphaFeature"] {
        assert_eq!(said(&answers, reason), "pass", "{reason}");
    }
    assert_eq!(told.version.as_ref().map(|known| known.version.as_str()), Some("v1.35.5"));
    let asked = kubelet.secure.asked();
    assert!(asked.iter().all(|one| one.headers["authorization"] == "Bearer t0ken"), "{asked:?}");
    let on_health = kubelet.health.asked();
    assert!(on_health.iter().all(|one| !one.headers.contains_key("authorization")));
}

#[tokio::test]
async fn settings_that_cannot_be_compared_are_not_as_told() {
    for (configz, why) in [
        ("{\"kubeletconfig\": {", "EOF while parsing"),
        ("{}", "has no kubeletconfig"),
        ("{\"kubeletconfig\": {\"maxPods\": \"many\"}}", "maxPods is not a whole number"),
    ] {
        let kubelet = with(metrics, move || answer(200, configz));
        let answers = kubelet.judged().await;
        let said = said(&answers, "KubeletConfigurationDrifted");
        assert!(said.starts_with("unknown") && said.contains(why), "{configz}: {said}");
    }
}

#[tokio::test]
async fn a_token_is_shown_to_nobody_but_the_kubelet() {
    let kubelet = with(metrics, || answer(404, ""));
    // Another program has taken the port: its certificate is not the one on disk.
    let other = kubelet.another_certificate();
    std::fs::copy(&other.certificate, kubelet.serving_certificate()).expect("copied");
    let observed = kubelet.observed().await;
    assert_eq!(kubelet.secure.asked(), Vec::new());
    let answers = judged(&observed);
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletSyncLoopStuck");
    assert!(why.starts_with("unknown") && why.contains("not the one on disk"), "{why}");

    // Without a certificate to compare with, it is asked as nobody.
    std::fs::remove_file(kubelet.serving_certificate()).expect("removed");
    let told = facts(&kubelet.observed().await);
    assert!(
        matches!(&told.secure_port.credential, Credential::Unusable(why) if why.contains("not there"))
    );
    let asked = kubelet.secure.asked();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|one| !one.headers.contains_key("authorization")), "{asked:?}");
}

#[tokio::test]
async fn without_a_credential_it_is_up_and_details_are_unknown() {
    let kubelet = Kubelet::answering(ok, |_| answer(401, "Unauthorized"));
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    for reason in [
        "KubeletSyncLoopStuck",
        "KubeletPlegStale",
        "KubeletConfigurationDrifted",
        "KubernetesUnsupported",
    ] {
        let why = said(&answers, reason);
        assert!(why.starts_with("unknown") && why.contains("--kubelet-token-file"), "{why}");
    }
    // Files say the rest.
    for reason in
        ["KubeletAnonymousAccess", "KubeletAlphaFeature", "KubeletConfigurationNotInForce"]
    {
        assert_eq!(said(&answers, reason), "pass", "{reason}");
    }
}

#[tokio::test]
async fn a_refusal_at_once_is_about_our_rights() {
    let wrong = Kubelet::answering(ok, |_| answer(401, "Unauthorized")).with_token("stale");
    let why = said(&wrong.judged().await, "KubeletSyncLoopStuck");
    assert!(why.starts_with("unknown") && why.contains("does not take our token"), "{why}");

    // As Kubernetes 1.34 and, with nodes/proxy alone, 1.32 and older refuse.
    for subresource in ["healthz proxy", "proxy"] {
        let forbidden = format!(
            "Forbidden (user=system:serviceaccount:nodeward:collect, verb=get, resource=nodes, \
             subresource(s)=[{subresource}])"
        );
        let secure = move |asked: &Asked| match asked.path.as_str() {
            "/metrics" => metrics(),
            _ => answer(403, forbidden.clone()),
        };
        let answers = Kubelet::answering(ok, secure).with_token("t").judged().await;
        assert_eq!(failed(&answers), Vec::<&str>::new());
        let why = said(&answers, "KubeletSyncLoopStuck");
        assert!(why.starts_with("unknown") && why.contains(subresource), "{why}");
        assert!(said(&answers, "KubeletConfigurationDrifted").contains(subresource));
        assert_eq!(said(&answers, "KubeletPlegStale"), "pass");
    }
}

#[tokio::test]
async fn a_refusal_that_comes_late_or_never_is_about_the_api_server() {
    let late_refusal = |asked: &Asked| match asked.path.as_str() {
        "/metrics" => late(401, "Unauthorized", Duration::from_secs(20)),
        _ => late(401, "Unauthorized", Duration::from_millis(1500)),
    };
    let kubelet = Kubelet::answering(ok, late_refusal).with_token("t");
    let started = Instant::now();
    let answers = kubelet.judged().await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(failed(&answers), Vec::<&str>::new());
    for reason in ["KubeletSyncLoopStuck", "KubeletPlegStale", "KubernetesUnsupported"] {
        let why = said(&answers, reason);
        assert!(why.starts_with("unknown") && why.contains("API server"), "{reason}: {why}");
    }
}

#[tokio::test]
async fn nobody_on_the_health_port_is_a_fault_only_in_the_nodes_network() {
    let kubelet = Kubelet::at(Standin::gone(), Standin::gone(), Authority::default());
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), ["KubeletNotServing"]);
    assert!(said(&answers, "KubeletHung").ends_with("see KubeletNotServing"));
    kubelet.in_network("net:[1]");
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletNotServing");
    assert!(why.contains("the agent is not in the host's net namespace"), "{why}");
}

#[tokio::test]
async fn a_stopped_kubelet_hangs_on_both_ports() {
    let kubelet =
        Kubelet::at(Standin::stopped(), Standin::stopped(), Authority::default()).with_token("t");
    let observed = kubelet.observed().await;
    let port = &facts(&observed).secure_port;
    assert!(
        matches!(port.credential, Credential::Token),
        "the certificate of the host root is there: {port:?}"
    );
    assert_eq!(port.healthz, HttpAnswer::NoHandshake { after_milliseconds: 5000 });
    let answers = judged(&observed);
    assert_eq!(failed(&answers), ["KubeletHung"]);
    assert!(said(&answers, "KubeletSyncLoopStuck").ends_with("see KubeletHung"));
}

#[tokio::test]
async fn tls_that_never_completes_beside_a_health_endpoint_that_answers_is_unknown() {
    let health = Standin::serving(ok);
    let kubelet = Kubelet::at(health, Standin::stopped(), Authority::default());
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletSyncLoopStuck");
    assert!(why.starts_with("unknown") && why.contains("no TLS handshake"), "{why}");
}

#[tokio::test]
async fn a_kubelet_that_is_gone_refuses_on_both_ports() {
    let kubelet = Kubelet::at(Standin::gone(), Standin::gone(), Authority::default());
    kubelet.ends();
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), ["KubeletDown"]);
    assert!(said(&answers, "KubeletConfigurationDrifted").starts_with("not_applicable"));
}

#[tokio::test]
async fn a_loop_that_is_stuck_is_the_kubelets_own_fault() {
    let stuck =
        "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
    let secure = move |asked: &Asked| match asked.path.as_str() {
        "/healthz?verbose" => answer(500, stuck),
        _ => metrics(),
    };
    let answers = Kubelet::answering(ok, secure).with_token("t").judged().await;
    assert_eq!(failed(&answers), ["KubeletSyncLoopStuck"]);
}

#[tokio::test]
async fn of_a_hung_runtime_the_kubelet_is_not_accused() {
    let kubelet = with(|| Does::Hang, || answer(404, ""));
    let observed = kubelet.observed().await;
    let answers = judged(&with_hung_runtime(observed));
    assert_eq!(failed(&answers), Vec::<&str>::new());
    assert_eq!(said(&answers, "KubeletSyncLoopStuck"), "pass");
    for reason in ["KubeletPlegStale", "KubernetesUnsupported"] {
        assert!(said(&answers, reason).ends_with("see ContainerdHung"), "{reason}");
    }
}

#[tokio::test]
async fn pods_processes_that_nobody_looks_at_are_told() {
    let kubelet = with(
        || answer(200, "kubelet_pleg_last_seen_seconds 1.7e+09\n"),
        || answer(404, "404 page not found\n"),
    );
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), ["KubeletPlegStale"]);
    let why = said(&answers, "KubernetesUnsupported");
    assert!(why.starts_with("unknown") && why.contains("do not tell"), "{why}");
    assert!(said(&answers, "KubeletConfigurationDrifted").contains("does not serve it"));
}

#[tokio::test]
async fn plain_http_where_tls_is_served_and_tls_where_it_is_not() {
    // A health endpoint that was moved onto the port of TLS.
    let https = "Client sent an HTTP request to an HTTPS server.\n";
    let kubelet = Kubelet::answering(move |_| answer(400, https), |_| answer(401, "Unauthorized"));
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletUnhealthy");
    assert!(why.starts_with("unknown") && why.contains("HTTP request to an HTTPS"), "{why}");

    let no_tls = |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        let _ = stream.read(&mut [0; 1024]);
        Err(std::io::Error::other("it has said all"))
    };
    let plain = Standin::serving_on(Ipv4Addr::LOCALHOST.into(), no_tls, ok);
    let plain = Kubelet::at(Standin::serving(ok), plain, Authority::default());
    let answers = plain.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletSyncLoopStuck");
    assert!(why.starts_with("unknown") && why.contains("TLS: "), "{why}");
}

#[tokio::test]
async fn several_answers_that_do_not_come_cost_one_limit() {
    let kubelet = Kubelet::answering(|_| Does::Hang, |_| Does::Hang).with_token("t");
    let started = Instant::now();
    let observed = kubelet.observed().await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let port = &facts(&observed).secure_port;
    assert_eq!(port.metrics, HttpAnswer::TimedOut { after_milliseconds: 5000 });
    assert_eq!(failed(&judged(&observed)), ["KubeletHung"]);
}
