//! The relay's own program between agents of one cluster and the aggregator of many.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nodeward_domain::component::Component;
use nodeward_proto::v1;
use nodeward_proto::v1::put_content_request::Part;
use nodeward_proto::v1::query_service_client::QueryServiceClient;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::authority::Authority;
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::relay::Relay;
use nodeward_tests::reporter::report;
use nodeward_tests::service::{PATIENCE, Program};
use nodeward_tests::{programs, project};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;
use tonic::Code;

const RELAY: &str = "nodeward://prod/relay/r";
const NODE: &str = "nodeward://prod/node/a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

fn localhost(cluster: &InCluster) -> String {
    format!("https://localhost:{}", cluster.url().rsplit(':').next().expect("a port"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_agent_is_seen_through_a_relay_as_the_node_that_it_is() {
    let cluster = InCluster::start();
    let relay =
        Relay::start(&cluster, &localhost(&cluster), &cluster.authority.client(Some(RELAY)));
    let token = cluster.write("token", &cluster.token("a"));
    let _agent = Program::start(
        Command::new(programs::agent())
            .args(["run", "--interval", "1s", "--aggregator", &relay.url()])
            .arg("--host-root")
            .arg(project::host("aks-ubuntu-2204"))
            .arg("--recorded-answers")
            .arg(project::answers("aks-ubuntu-2204"))
            .arg("--tls-ca")
            .arg(cluster.authority.certificate())
            .arg("--token-file")
            .arg(token),
    );
    // Packages are too long for a report, and come by an upload.
    let is_whole = |answer: &nodeward_domain::answer::NodeAnswer| {
        let mut packages = answer.components.iter();
        packages.any(|one| one.component == Component::Packages && one.state == "present")
    };
    let answer = cluster.aggregator.answer_when("a", "packages", is_whole).await;
    assert_eq!((answer.cluster.as_str(), answer.node.as_str()), ("prod", "a"));
    assert!(relay.log().contains("node prod/a ("), "{}", relay.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_takes_nodes_of_its_cluster_and_answers_no_question() {
    let cluster = InCluster::start();
    let relay =
        Relay::start(&cluster, &localhost(&cluster), &cluster.authority.client(Some(RELAY)));
    let connect = async |uri: &str| {
        cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(uri))).await
    };
    let own = connect(NODE).await;
    ReportServiceClient::new(own.clone()).report(report(1, 0)).await.expect("its own");
    for (uri, code) in [
        ("nodeward://test/node/a/1", Code::PermissionDenied),
        ("nodeward://test/relay/r", Code::PermissionDenied),
        ("nodeward://prod/reader/ann", Code::PermissionDenied),
    ] {
        let names = [("nodeward-cluster", "test"), ("nodeward-node", "n")];
        let mut request = tonic::Request::new(report(2, 0));
        for (key, value) in names.into_iter().chain([("nodeward-node-uid", "1")]) {
            request.metadata_mut().insert(key, value.parse().expect("metadata"));
        }
        let refused = ReportServiceClient::new(connect(uri).await).report(request).await;
        assert_eq!(refused.expect_err(uri).code(), code, "{uri}");
    }
    let asked = QueryServiceClient::new(connect("nodeward://*/admin/ann").await)
        .list_nodes(v1::ListNodesRequest::default())
        .await;
    assert_eq!(asked.expect_err("a question").code(), Code::Unimplemented);
    // What the aggregator says of a report the node hears as it was said.
    let wrong = ReportServiceClient::new(own).report(report(1, 1)).await.expect_err("contradicts");
    assert_eq!(wrong.code(), Code::FailedPrecondition);
    assert!(wrong.message().contains("components[0].digest"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_that_the_aggregator_has_not() {
    let cluster = InCluster::start();
    // A place where nobody listens yet.
    let place = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = place.local_addr().expect("an address");
    drop(place);
    let to = format!("https://localhost:{}", address.port());
    let relay = Relay::start(&cluster, &to, &cluster.authority.client(Some(RELAY)));
    let node = cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(NODE))).await;
    let mut client = ReportServiceClient::new(node);
    let away = client.report(report(1, 0)).await.expect_err("nobody is there");
    assert_eq!(away.code(), Code::Unavailable, "{away}");
    // The aggregator comes.
    let hub = cluster.aggregator.tls.clone().expect("TLS");
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(&hub).await.expect("it is there");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    });
    let deadline = Instant::now() + PATIENCE;
    while let Err(status) = client.report(report(1, 0)).await {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(Instant::now() < deadline, "{status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = cluster.aggregator.answer_when("a", "the report", |_| true).await;
    assert_eq!(answer.cluster, "prod");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_not_handed_on_as_a_whole_one() {
    let cluster = InCluster::start();
    let relay =
        Relay::start(&cluster, &localhost(&cluster), &cluster.authority.client(Some(RELAY)));
    let node = cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(NODE))).await;
    let mut client = ReportServiceClient::new(node);
    let mut first = report(1, 0);
    let content = first.components[0].content.take().expect("a content");
    let digest = first.components[0].digest.clone();
    let needed = client.report(first.clone()).await.expect("taken").into_inner().need;
    assert_eq!(needed, std::slice::from_ref(&digest));
    let header = Part::Header(v1::ContentHeader {
        component: first.components[0].component.clone(),
        form: first.components[0].form,
        digest: digest.clone(),
        size_bytes: content.len() as u64,
    });
    let part = |part| v1::PutContentRequest { part: Some(part) };
    let whole = [part(header), part(Part::Chunk(content))];
    // It waits with its last part, and goes.
    let parts =
        tokio_stream::iter(whole.clone().into_iter().take(1)).chain(tokio_stream::pending());
    let broken = tokio::time::timeout(Duration::from_millis(500), client.put_content(parts)).await;
    assert!(broken.is_err(), "{broken:?}");
    // Whoever broke off may begin again at once, and what is whole is taken.
    client.put_content(tokio_stream::iter(whole)).await.expect("whole");
    let again = client.report(first).await.expect("the same again").into_inner();
    assert!(again.need.is_empty(), "{again:?}");
    let pages = cluster.aggregator.get("/metrics");
    assert!(pages.contains("nodeward_contents_total{outcome=\"acknowledged\"} 1\n"), "{pages}");
}

/// All nodes share the relay's way on: one that begins uploads and sends nothing keeps no other
/// waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stalls_stops_no_other_s_uploads() {
    let cluster = InCluster::start();
    let relay =
        Relay::start(&cluster, &localhost(&cluster), &cluster.authority.client(Some(RELAY)));
    let stalls = cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(NODE))).await;
    let mut first = report(1, 0);
    let content = first.components[0].content.take().expect("a content");
    let header = v1::PutContentRequest {
        part: Some(Part::Header(v1::ContentHeader {
            component: first.components[0].component.clone(),
            form: first.components[0].form,
            digest: first.components[0].digest.clone(),
            size_bytes: content.len() as u64,
        })),
    };
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let parts = tokio_stream::once(header.clone()).chain(tokio_stream::pending());
        let mut client = ReportServiceClient::new(stalls.clone());
        uploads.spawn(async move { client.put_content(parts).await.expect_err("never whole") });
    }
    for _ in 0..98 {
        let refused = uploads.join_next().await.expect("98 are refused").expect("it ends");
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    }
    let other = NODE.replace("/a/", "/b/");
    let other = cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(&other))).await;
    let mut client = ReportServiceClient::new(other);
    let needed = client.report(first.clone()).await.expect("taken").into_inner().need;
    assert_eq!(needed, [first.components[0].digest.clone()]);
    let whole = [header.clone(), v1::PutContentRequest { part: Some(Part::Chunk(content)) }];
    let put = client.put_content(tokio_stream::iter(whole));
    tokio::time::timeout(PATIENCE, put).await.expect("at once").expect("whole");
    // The two that stall are given up as nothing more comes.
    let stalled = uploads.join_next().await.expect("two are left").expect("it ends");
    assert_eq!(stalled.code(), Code::DeadlineExceeded, "{stalled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_refused_does_not_make_its_nodes_enrol_again() {
    let cluster = InCluster::start();
    let relay_of = |shown| Relay::start(&cluster, &localhost(&cluster), shown);
    let foreign = Authority::default();
    let shown = foreign.client(Some(RELAY));
    let relay = relay_of(&shown);
    let node = cluster.connect_to_as(relay.url(), &cluster.authority.client(Some(NODE))).await;
    let mut client = ReportServiceClient::new(node);
    let refused = client.report(report(1, 0)).await.expect_err("a foreign relay");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    // It is given a good one, and goes on without a restart.
    let good = cluster.authority.client(Some(RELAY));
    std::fs::copy(&good.key, &shown.key).expect("copied");
    std::fs::copy(&good.certificate, &shown.certificate).expect("copied");
    let deadline = Instant::now() + PATIENCE;
    while let Err(status) = client.report(report(1, 0)).await {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(Instant::now() < deadline, "{status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_says_how_long_its_certificates_last_and_stops_when_told() {
    let cluster = InCluster::start();
    let mut relay =
        Relay::start(&cluster, &localhost(&cluster), &cluster.authority.client(Some(RELAY)));
    let pages = nodeward_tests::service::get(&relay.http, "/metrics");
    for certificate in ["server", "client_authority", "issuing_authority", "relay"] {
        let line = format!(
            "nodeward_certificate_expires_timestamp_seconds{{certificate=\"{certificate}\""
        );
        assert!(pages.contains(&line), "{pages}");
    }
    relay.program.signal(Signal::SIGTERM);
    let (status, _) = relay.program.ended_within(PATIENCE);
    assert!(status.success(), "{status}");
}

#[test]
fn a_relay_needs_a_relay_s_certificate_and_says_what_is_missing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let cluster = InCluster::start();
    let refused = |to: &str, uri: &str| {
        let shown = cluster.authority.client(Some(uri));
        let output = Relay::command(&cluster, to, &shown).output().expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for uri in [NODE, "nodeward://prod/reader/ann", "nodeward://*/admin/ann"] {
        let said = refused("https://localhost:1", uri);
        assert!(said.contains("is no relay's certificate"), "{uri}: {said}");
    }
    let said = refused("http://root:secret@hub:7444", RELAY);
    assert!(said.contains("--to: must be like") && !said.contains("secret"), "{said}");
}
