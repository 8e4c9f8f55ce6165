//! Certificates that may report, and those that must not; rotation under a running aggregator.

use std::time::{Duration, Instant};

use nodeward_domain::answer::NodeAnswer;
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::authority::{Authority, Credential};
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::reporter::report;
use nodeward_tests::service::PATIENCE;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

const NODE: &str = "nodeward://prod/node/a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

async fn reported(channel: Channel, seq: u64) -> Result<(), Status> {
    ReportServiceClient::new(channel).report(report(seq, 0)).await.map(|_| ())
}

/// What comes of a report over a new connection; none where TLS itself refuses.
async fn outcome(cluster: &InCluster, shown: &Credential, trusted: &Authority) -> Option<Code> {
    let read = |path| std::fs::read(path).expect("a file of the test");
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(&trusted.certificate())))
        .domain_name("localhost")
        .identity(Identity::from_pem(read(&shown.certificate), read(&shown.key)));
    let endpoint = Endpoint::from_shared(cluster.url()).expect("an address");
    let channel = endpoint.tls_config(tls).expect("good files").connect().await.ok()?;
    match reported(channel, u64::from(std::process::id())).await {
        Ok(()) => Some(Code::Ok),
        // The connection breaks at one moment or another.
        Err(status)
            if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) =>
        {
            None
        }
        Err(status) => Some(status.code()),
    }
}

#[tokio::test]
async fn foreign_expired_nameless_and_shared_ones() {
    let cluster = InCluster::start();
    let (own, foreign) = (&cluster.authority, Authority::default());
    let good = own.client(Some(NODE));
    assert_eq!(outcome(&cluster, &good, own).await, Some(Code::Ok));
    assert_eq!(outcome(&cluster, &foreign.client(Some(NODE)), own).await, None, "foreign CA");
    assert_eq!(outcome(&cluster, &own.client_for(NODE, -60), own).await, None, "expired");
    assert_eq!(outcome(&cluster, &good, &foreign).await, None, "a foreign server");
    let other = "nodeward://prod/node/b/8a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";
    for uris in [
        &[][..],
        &["nodeward://prod/node/a"],
        &["nodeward://prod/node/a/"],
        // One for all pods of a DaemonSet.
        &["nodeward://prod/node/*/9a2f3a6e"],
        &["nodeward://prod/daemonset/nodeward-agent"],
        &[NODE, other],
    ] {
        let shown = own.client_of(uris);
        assert_eq!(outcome(&cluster, &shown, own).await, Some(Code::Unauthenticated), "{uris:?}");
    }
}

#[tokio::test]
async fn two_machines_that_share_one_node_s_certificate_are_told_apart() {
    let cluster = InCluster::start();
    let shown = cluster.authority.client(Some(NODE));
    let of =
        |boot_id: &str, seq| v1::ReportRequest { boot_id: boot_id.to_owned(), ..report(seq, 0) };
    let (one, two) =
        ("10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000");
    let mut client = ReportServiceClient::new(cluster.connect_as(&shown).await);
    client.report(of(one, 1)).await.expect("the node");
    // It may have been booted anew.
    client.report(of(two, 1)).await.expect("another boot");
    let refused = client.report(of(one, 2)).await.expect_err("the first once more");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("boot_id"), "{refused}");
}

#[tokio::test]
async fn one_that_ends_ends_a_connection_that_lasts() {
    let cluster = InCluster::start();
    let channel = cluster.connect_as(&cluster.authority.client_for(NODE, 3)).await;
    reported(channel.clone(), 1).await.expect("in force");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let refused = reported(channel, 2).await.expect_err("over");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    assert!(refused.message().contains("has expired"), "{refused}");
}

#[tokio::test]
async fn certificates_and_authorities_change_without_a_restart() {
    let cluster = InCluster::start();
    let (old, new) = (&cluster.authority, Authority::default());
    let of_old = old.client(Some(NODE));
    let of_new = new.client(Some("nodeward://prod/node/b/8a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d"));
    assert_eq!(outcome(&cluster, &of_old, old).await, Some(Code::Ok));
    // What cannot be used leaves everything as it is.
    std::fs::write(old.certificate(), "no certificate").expect("written");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(cluster.aggregator.log().contains("the last good one stays in force"));
    let keep = new.server();
    for (from, to) in [
        (&new.certificate(), &old.certificate()),
        (&keep.certificate, &cluster.shown.certificate),
        (&keep.key, &cluster.shown.key),
    ] {
        std::fs::copy(from, to).expect("copied");
    }
    let deadline = Instant::now() + PATIENCE;
    while outcome(&cluster, &of_new, &new).await != Some(Code::Ok) {
        assert!(Instant::now() < deadline, "{}", cluster.aggregator.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(outcome(&cluster, &of_old, &new).await, None, "of an authority that is gone");
}

#[tokio::test]
async fn when_certificates_end_is_a_metric() {
    let cluster = InCluster::start();
    let metrics = cluster.aggregator.get("/metrics");
    for certificate in ["server", "client_authority", "issuing_authority"] {
        let name = "nodeward_certificate_expires_timestamp_seconds";
        let begin = format!("{name}{{certificate=\"{certificate}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&begin));
        let end: i64 = line.expect("it is there").parse().expect("a number");
        assert!(end > jiff::Timestamp::now().as_second());
    }
}

#[tokio::test]
async fn in_a_cluster_nothing_is_served_in_plain_text() {
    let folder = tempfile::tempdir().expect("a folder");
    // A port-forward comes from the pod's own loopback.
    let output = std::process::Command::new(nodeward_tests::programs::aggregator())
        .args(["serve", "--insecure-loopback", "--grpc-listen", "127.0.0.1:0"])
        .arg("--store")
        .arg(format!("sqlite:{}", folder.path().join("store.db").display()))
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--insecure-loopback: not in a cluster"), "{said}");
}

#[tokio::test]
async fn one_that_ends_soon_is_a_finding_until_another_one_is_shown() {
    let cluster = InCluster::start();
    let says = |answer: &NodeAnswer| {
        answer.findings.iter().any(|finding| finding.reason == "AgentCertificateExpiring")
    };
    let ends = cluster.authority.client_for(NODE, 3600);
    reported(cluster.connect_as(&ends).await, 1).await.expect("taken");
    cluster.aggregator.answer_when("a", "a finding", says).await;
    let next = cluster.authority.client(Some(NODE));
    reported(cluster.connect_as(&next).await, 2).await.expect("taken");
    cluster.aggregator.answer_when("a", "none any more", |answer| !says(answer)).await;
}
