//! Agents on other machines: mutual TLS, and an identity that is the certificate's alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use nodeward_proto::v1;
use nodeward_proto::v1::query_service_client::QueryServiceClient;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::authority::{Authority, Credential};
use nodeward_tests::reporter::report;
use nodeward_tests::service::{Aggregator, PATIENCE, Program};
use nodeward_tests::{programs, project};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

/// The certificate's name of a node.
const NODE: &str = "nodeward://prod/node/aks-a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

fn pem(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file of the test")
}

/// A connection that trusts one authority and shows a credential, if it has one.
async fn connect(
    aggregator: &Aggregator,
    trusted: &Authority,
    shown: Option<&Credential>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pem(&trusted.certificate())))
        .domain_name("localhost");
    if let Some(Credential { certificate, key }) = shown {
        tls = tls.identity(Identity::from_pem(pem(certificate), pem(key)));
    }
    let address = aggregator.tls.as_ref().expect("it serves over TLS");
    Endpoint::from_shared(format!("https://{address}"))
        .expect("an address")
        .tls_config(tls)
        .expect("good files")
        .connect()
        .await
}

/// What a report over such a connection is answered. TLS 1.3 tells a client only with
/// the first answer that its certificate was refused.
async fn reported(channel: Result<Channel, tonic::transport::Error>) -> Result<(), Code> {
    let channel = channel.map_err(|_| Code::Unavailable)?;
    let answer = ReportServiceClient::new(channel).report(report(1, 0)).await;
    answer.map(|_| ()).map_err(|status: Status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reports_over_tls_as_the_node_of_its_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let shown = authority.client(Some(NODE));
    let address = aggregator.tls.as_ref().expect("it serves over TLS");
    let mut agent = std::process::Command::new(programs::agent());
    agent
        .args(["run", "--interval", "1s", "--aggregator", &format!("https://{address}")])
        .arg("--host-root")
        .arg(project::host("debian-12-plain"))
        .arg("--tls-ca")
        .arg(authority.certificate())
        .arg("--tls-certificate")
        .arg(&shown.certificate)
        .arg("--tls-key")
        .arg(&shown.key);
    let _agent = Program::start(&mut agent);
    let answer = aggregator.answer_when("aks-a", "the report", |_| true).await;
    assert_eq!((answer.cluster.as_str(), answer.node.as_str()), ("prod", "aks-a"));
}

#[tokio::test]
async fn whoever_shows_no_good_certificate_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, foreign) = (Authority::default(), Authority::default());
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let good = authority.client(Some(NODE));
    assert_eq!(reported(connect(&aggregator, &authority, Some(&good)).await).await, Ok(()));

    for (what, shown, code) in [
        ("none", None, Code::Unauthenticated),
        ("of a foreign authority", Some(foreign.client(Some(NODE))), Code::Unavailable),
        ("without a name", Some(authority.client(None)), Code::Unauthenticated),
        (
            "without a UID",
            Some(authority.client(Some("nodeward://prod/node/aks-a/"))),
            Code::Unauthenticated,
        ),
    ] {
        let answer = reported(connect(&aggregator, &authority, shown.as_ref()).await).await;
        match answer {
            // The connection breaks at one moment or another.
            Err(Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled)
                if code == Code::Unavailable => {}
            answer => assert_eq!(answer, Err(code), "{what}"),
        }
    }
    assert!(connect(&aggregator, &foreign, Some(&good)).await.is_err(), "a foreign server");
}

#[tokio::test]
async fn names_that_are_claimed_beside_a_certificate_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let shown = authority.client(Some(NODE));
    let channel = connect(&aggregator, &authority, Some(&shown)).await.expect("connected");
    let mut client = ReportServiceClient::new(channel);
    let claims = nodeward_tests::reporter::send_as("aks-b", &mut client, report(1, 0)).await;
    assert_eq!(claims.expect_err("another's name").code(), Code::PermissionDenied);
    client.report(report(1, 0)).await.expect("taken");
    let mut reader = aggregator.reader().await;
    let listed = reader.list_nodes(v1::ListNodesRequest::default()).await.expect("listed");
    let names: Vec<String> = listed.into_inner().nodes.into_iter().map(|node| node.node).collect();
    assert_eq!(names, ["aks-a"]);
}

#[tokio::test]
async fn an_agent_may_not_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let shown = authority.client(Some(NODE));
    let channel = connect(&aggregator, &authority, Some(&shown)).await.expect("connected");
    let asked = QueryServiceClient::new(channel).list_nodes(v1::ListNodesRequest::default()).await;
    assert_eq!(asked.expect_err("no reader").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn plain_text_is_not_spoken_where_tls_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::default();
    let aggregator = Aggregator::start_with_tls(&folder.path().join("store.db"), &authority);
    let address = aggregator.tls.as_ref().expect("it serves over TLS");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    // As a client of HTTP/2 without TLS begins: a server of it would answer with its settings.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("written");
    let mut heard = Vec::new();
    // It may break the connection as it ends it.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it ends");
    // An alert of TLS (RFC 8446, section 6), or nothing.
    assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
}
