//! Certificates that may report, and those that must not; rotation under a running aggregator.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeward_domain::answer::NodeAnswer;
use nodeward_proto::v1;
use nodeward_proto::v1::enrol_service_client::EnrolServiceClient;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::api_server::Fault;
use nodeward_tests::authority::{Authority, Credential};
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::reporter::report;
use nodeward_tests::service::PATIENCE;
use rcgen::{KeyPair, PublicKeyData as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::Channel;
use tonic::{Code, Status};

const NODE: &str = "nodeward://prod/node/a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

async fn reported(channel: Channel, seq: u64) -> Result<(), Status> {
    ReportServiceClient::new(channel).report(report(seq, 0)).await.map(|_| ())
}

/// What comes of a report over a new connection: the code of its answer, or why TLS refuses.
async fn outcome(
    cluster: &InCluster,
    shown: &Credential,
    trusted: &Authority,
) -> Result<Code, String> {
    let read = |path: &Path| CertificateDer::from_pem_file(path).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(read(&trusted.certificate())).expect("an authority");
    let certificate = read(&shown.certificate);
    let key = PrivateKeyDer::from_pem_file(&shown.key).expect("a key");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = cluster.aggregator.tls.as_ref().expect("it serves over TLS");
    let stream = TcpStream::connect(address).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("a name");
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let mut stream = connected.map_err(|error| error.to_string())?;
    // With TLS 1.3 a client hears of a refusal once it listens; whoever is let in hears HTTP/2.
    stream.read_u8().await.map_err(|error| error.to_string())?;
    let answer = reported(cluster.connect_as(shown).await, u64::from(std::process::id())).await;
    Ok(answer.map_or_else(|status| status.code(), |()| Code::Ok))
}

/// TLS itself refused, for this reason.
#[track_caller]
fn refuses(outcome: &Result<Code, String>, why: &str) {
    assert!(outcome.as_ref().is_err_and(|told| told.contains(why)), "{why}: {outcome:?}");
}

#[tokio::test]
async fn foreign_expired_nameless_and_shared_ones() {
    let cluster = InCluster::start();
    let (own, foreign) = (&cluster.authority, Authority::default());
    let good = own.client(Some(NODE));
    assert_eq!(outcome(&cluster, &good, own).await, Ok(Code::Ok));
    // It has the name of the good one, and another key.
    refuses(&outcome(&cluster, &foreign.client(Some(NODE)), own).await, "alert: DecryptError");
    refuses(&outcome(&cluster, &own.client_for(NODE, -60), own).await, "alert: CertificateExpired");
    refuses(&outcome(&cluster, &good, &foreign).await, "peer certificate: BadSignature");
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
        assert_eq!(outcome(&cluster, &shown, own).await, Ok(Code::Unauthenticated), "{uris:?}");
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
    assert_eq!(outcome(&cluster, &of_old, old).await, Ok(Code::Ok));
    let plain = old.client(Some("nodeward://plain/node/c/7a2f3a6e0c2b4a6b8d0e1c1f3a2b4c5d"));
    let lasting = cluster.connect_as(&plain).await;
    renewed(lasting.clone()).await.expect("a plain machine goes on");
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
    while outcome(&cluster, &of_new, &new).await != Ok(Code::Ok) {
        assert!(Instant::now() < deadline, "{}", cluster.aggregator.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    refuses(&outcome(&cluster, &of_old, &new).await, "alert: DecryptError");
    // Over a connection from before nothing is renewed by the authority in the place of its own.
    let refused = renewed(lasting).await.expect_err("of an authority that is gone");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("not trusted any more"), "{refused}");
}

/// Asks for the next certificate over a connection.
async fn renewed(channel: Channel) -> Result<(), Status> {
    let public_key = KeyPair::generate().expect("a key").subject_public_key_info();
    let asked = v1::EnrolRequest { public_key };
    EnrolServiceClient::new(channel).renew(asked).await.map(|_| ())
}

#[tokio::test]
async fn nobody_vouches_for_nodes_of_a_cluster_that_is_not_asked() {
    let cluster = InCluster::start();
    let of = |uri| cluster.authority.client(Some(uri));
    let other = of("nodeward://other/node/a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d");
    let refused = renewed(cluster.connect_as(&other).await).await.expect_err("nobody is asked");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("nothing is known here of the node's cluster"), "{refused}");
}

/// What is ours to mend is not taken for an API server that is away, and what a proxy says not
/// for its word.
#[tokio::test]
async fn nobody_renews_while_the_aggregator_itself_cannot_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "a token\nof two lines").expect("written");
    let stranger = Authority::default();
    let stranger = stranger.certificate();
    let more = |name: &str, rest: String| {
        format!(
            "[[cluster]]\nname = {name:?}\nissuer = \"https://{name}.example\"\n\
             api-server = \"$ISSUER\"\n{rest}"
        )
    };
    let good = folder.path().join("good");
    std::fs::write(&good, "a-token").expect("written");
    let text = [
        more("unusable", format!("api-server-token-file = {token:?}\n")),
        more(
            "untrusted",
            format!("api-server-token-file = {good:?}\napi-server-ca = {stranger:?}\n"),
        ),
    ];
    let cluster = InCluster::start_with("24h", &text.concat());
    for (name, why) in [("unusable", "our own token"), ("untrusted", "certificate is not trusted")]
    {
        let shown = cluster.authority.client(Some(&NODE.replace("prod", name)));
        let refused = renewed(cluster.connect_as(&shown).await).await.expect_err(name);
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert!(refused.message().contains(why), "{refused}");
    }
    // Some proxy that does not find its way says nothing of the node.
    cluster.api.break_path("/api/v1/nodes/", Fault::NoPage, 1);
    let shown = cluster.authority.client(Some(NODE));
    renewed(cluster.connect_as(&shown).await).await.expect("as while nobody answers");
    let refused = renewed(cluster.connect_as(&shown).await).await.expect_err("it answers");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
}

#[tokio::test]
async fn the_newer_certificate_is_of_the_present_life() {
    let cluster = InCluster::start();
    let of = |uid: u32, seconds: i64| {
        let uri = format!("nodeward://prod/node/a/9a2f3a6e-0c2b-4a6b-8d0e-{uid:012x}");
        cluster.authority.client_since(&uri, seconds)
    };
    let (first, second) = (of(1, 3600), of(2, 60));
    let report = |shown: Credential, seq| {
        let cluster = &cluster;
        async move { reported(cluster.connect_as(&shown).await, seq).await }
    };
    report(second.clone(), 1).await.expect("the node");
    let refused = report(first.clone(), 1).await.expect_err("its certificate outlasts its life");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    report(second, 2).await.expect("it goes on");
    report(of(3, 10), 1).await.expect("made anew");
    assert!(report(first, 2).await.is_err());
}

/// What shows no certificate, as behind a relay, ends no life that shows one, and begins none
/// that keeps one out.
#[tokio::test]
async fn a_certificate_counts_more_than_none() {
    let cluster = InCluster::start();
    let mut relay = ReportServiceClient::new(
        cluster.connect_as(&cluster.authority.client(Some("nodeward://prod/relay/r"))).await,
    );
    let mut handed_on = async |node: &str, seq| {
        let mut request = tonic::Request::new(report(seq, 0));
        for (key, value) in [
            ("cluster", "prod"),
            ("node", node),
            ("node-uid", "00000000-0000-4000-8000-00000000000f"),
        ] {
            let key = format!("nodeward-{key}").parse::<tonic::metadata::MetadataKey<_>>();
            request.metadata_mut().insert(key.expect("a key"), value.parse().expect("metadata"));
        }
        relay.report(request).await.map(|_| ())
    };
    let own = cluster.authority.client(Some(NODE));
    reported(cluster.connect_as(&own).await, 1).await.expect("the node");
    let refused = handed_on("a", 1).await.expect_err("another life without a certificate");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("known under another UID"), "{refused}");
    reported(cluster.connect_as(&own).await, 2).await.expect("it goes on");

    handed_on("b", 1).await.expect("nobody else is there");
    let own = cluster.authority.client(Some(&NODE.replace("/a/", "/b/")));
    reported(cluster.connect_as(&own).await, 1).await.expect("it shows a certificate");
    handed_on("b", 2).await.expect_err("and so it stays");
    reported(cluster.connect_as(&own).await, 2).await.expect("it goes on");
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
