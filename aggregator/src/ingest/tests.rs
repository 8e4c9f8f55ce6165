//! What reports and uploads leave in memory, whom it asks for contents, and what it says
//! to a report that contradicts another.

use std::net::SocketAddr;

use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_proto::report::timestamp;
use nodeward_proto::v1::put_content_request::Part;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_proto::v1::report_service_server::ReportServiceServer;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::{Channel, Server, server::TcpIncoming};

use super::*;
use crate::advisories::Advisories;
use crate::peer::LoopbackAuthenticator;
use crate::store::sqlite::SqliteStore;

/// An ingest that serves, in the process of the test.
struct Served {
    ingest: Arc<Ingest>,
    client: ReportServiceClient<Channel>,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("store.db")).expect("a store");
        let fleet = Arc::new(Fleet::new(
            Policy::edition(DEFAULT_EDITION).expect("the edition"),
            Advisories::starter().expect("the starter feed"),
        ));
        let metrics =
            Arc::new(Metrics::new(Arc::clone(&fleet), crate::metrics::Certificates::default()));
        let authenticator = Arc::new(LoopbackAuthenticator::new("store".to_owned()));
        let ingest = Arc::new(Ingest::new(fleet, Arc::new(store), authenticator, metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let service = ReportServiceServer::from_arc(Arc::clone(&ingest));
        tokio::spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
        );
        let client =
            ReportServiceClient::connect(format!("http://{address}")).await.expect("it serves");
        Self { ingest, client, _folder: folder }
    }

    async fn report(
        &mut self,
        node: &str,
        report: &v1::ReportRequest,
    ) -> Result<v1::ReportResponse, Status> {
        let answer = self.client.report(of(node, report.clone())).await;
        answer.map(Response::into_inner)
    }

    /// Uploads that content under another one's name, which is refused, or its own.
    async fn put(&mut self, node: &str, digest: Vec<u8>, bytes: Vec<u8>) -> Result<(), Status> {
        let header = v1::ContentHeader {
            component: "stranger".to_owned(),
            form: 1,
            digest,
            size_bytes: bytes.len() as u64,
        };
        let parts = [Part::Header(header), Part::Chunk(bytes)]
            .map(|part| v1::PutContentRequest { part: Some(part) });
        let answer = self.client.put_content(of(node, tokio_stream::iter(parts))).await;
        answer.map(|_| ())
    }

    fn places(&self) -> usize {
        self.ingest.fleet.all().len()
    }
}

fn of<T>(node: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("nodeward-cluster", "local".parse().expect("metadata"));
    request.metadata_mut().insert("nodeward-node", node.parse().expect("metadata"));
    request
}

fn content(bytes: &[u8]) -> Content {
    Content { component: "stranger".to_owned(), form: 1, bytes: bytes.to_vec() }
}

/// A report that names these contents as components, and brings none along.
fn report(seq: u64, components: &[(&str, &Content)]) -> v1::ReportRequest {
    let now = Some(timestamp(Timestamp::now()));
    let components = components.iter().map(|(name, content)| v1::ComponentReport {
        component: (*name).to_owned(),
        form: 1,
        digest: content.digest().as_bytes().to_vec(),
        content: None,
        observed_at: now,
        took: Some(duration(Duration::ZERO)),
    });
    v1::ReportRequest {
        boot_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        seq,
        measurements: Some(v1::Measurements::default()),
        components: components.collect(),
        agent_version: "0.1.0".to_owned(),
        sent_at: now,
        path_resolution: "openat2".to_owned(),
    }
}

#[tokio::test]
async fn whoever_was_asked_is_asked_until_the_content_is_here_and_nobody_else_is() {
    let mut served = Served::start().await;
    let lacking = content(b"lacking");
    let digest = vec![lacking.digest().as_bytes().to_vec()];
    let of_seq = |seq| report(seq, &[("stranger", &lacking)]);
    let none: Vec<Vec<u8>> = Vec::new();
    // Asked, and nothing came: the same report, and a later one.
    for seq in [5, 5, 6] {
        assert_eq!(served.report("a", &of_seq(seq)).await.expect("taken").need, digest, "{seq}");
        assert_eq!(served.report("b", &of_seq(seq)).await.expect("taken").need, none, "{seq}");
    }
    // Another one's failure is not the asked one's.
    let spoilt = || b"spoilt".to_vec();
    served.put("b", digest[0].clone(), spoilt()).await.expect_err("not the content");
    assert_eq!(served.report("b", &of_seq(7)).await.expect("taken").need, none);
    // Its own is: now it is the turn of whoever comes first, and of one more.
    served.put("a", digest[0].clone(), spoilt()).await.expect_err("not the content");
    assert_eq!(served.report("b", &of_seq(8)).await.expect("taken").need, digest);
    assert_eq!(served.report("a", &of_seq(8)).await.expect("taken").need, digest);
    assert_eq!(served.report("c", &of_seq(8)).await.expect("taken").need, none);
    served.put("b", digest[0].clone(), lacking.bytes.clone()).await.expect("the content");
    assert_eq!(served.report("a", &of_seq(9)).await.expect("taken").need, none);
}

#[tokio::test]
async fn a_report_in_the_place_of_another_must_say_the_same() {
    let mut served = Served::start().await;
    let (one, other) = (content(b"one"), content(b"other"));
    served.report("a", &report(5, &[("stranger", &one)])).await.expect("taken");
    served.report("a", &report(5, &[("stranger", &one)])).await.expect("once more");
    for components in [[("stranger", &other)].as_slice(), &[("stranger", &one), ("new", &one)]] {
        let refused = served.report("a", &report(5, components)).await.expect_err("another");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let field = format!("components[{}].digest: ", components.len() - 1);
        assert!(refused.message().starts_with(&field), "{refused}");
    }
    served.report("a", &report(6, &[("stranger", &other)])).await.expect("the next");
}

#[tokio::test]
async fn who_is_refused_takes_up_no_memory() {
    let mut served = Served::start().await;
    for node in 0..20 {
        let bytes = vec![node];
        let digest = content(&bytes).digest().as_bytes().to_vec();
        let refused = served.put(&format!("n{node}"), digest, bytes).await;
        assert_eq!(refused.expect_err("never reported").code(), Code::FailedPrecondition);
    }
    assert_eq!(served.places(), 0);
    let stranger = content(b"stranger");
    let of_seq = |seq| report(seq, &[("stranger", &stranger)]);
    served.report("a", &of_seq(5)).await.expect("taken");
    served.report("a", &of_seq(4)).await.expect_err("backwards");
    assert_eq!(served.places(), 1);
    // A store that does not commit refuses everybody new.
    served.ingest.store.close().await.expect("closed");
    for node in ["b", "c", "d"] {
        served.report(node, &of_seq(5)).await.expect_err("not committed");
    }
    assert_eq!(served.places(), 1);
}

#[tokio::test]
async fn names_of_components_that_a_node_invents_do_not_pile_up() {
    let mut served = Served::start().await;
    let stranger = content(b"stranger");
    for (seq, name) in (1..).zip(["one", "two", "three", "four"]) {
        served.report("a", &report(seq, &[(name, &stranger)])).await.expect("taken");
    }
    let places = served.ingest.fleet.all();
    let [place] = places.as_slice() else { panic!("one node, not {places:?}") };
    let memory = place.memory();
    assert_eq!(memory.node.as_ref().map(|node| node.digests().count()), Some(1));
}
