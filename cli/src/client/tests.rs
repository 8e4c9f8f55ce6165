//! The client against a server in the same process, which gives the answers it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nodeward_domain::advisory::AliasId;
use nodeward_proto::v1::query_service_server::{QueryService, QueryServiceServer};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response};

use super::*;

/// Lists one node a page; after the last page, or for ever.
#[derive(Debug, Default)]
struct Canned {
    pages: usize,
    endless: bool,
    /// So many questions for a node are answered with NOT_FOUND first.
    absent_for: usize,
    asked: Arc<AtomicUsize>,
}

fn node_row(name: String) -> v1::NodeRow {
    v1::NodeRow {
        cluster: "prod".to_owned(),
        node: name,
        platform: "aks".to_owned(),
        standing: "clean".to_owned(),
        ..v1::NodeRow::default()
    }
}

fn node_answer(name: String) -> v1::NodeAnswer {
    v1::NodeAnswer {
        cluster: "prod".to_owned(),
        node: name,
        platform: "aks".to_owned(),
        as_of: Some(epoch()),
        ..v1::NodeAnswer::default()
    }
}

/// The epoch, whose type is not named here.
fn epoch<T: Default>() -> T {
    T::default()
}

#[tonic::async_trait]
impl QueryService for Canned {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let token = request.into_inner().page_token;
        let page: usize = token.parse().unwrap_or(0);
        let next_page_token = match (self.endless, page + 1 < self.pages) {
            (true, _) => "1".to_owned(),
            (false, true) => (page + 1).to_string(),
            (false, false) => String::new(),
        };
        Ok(Response::new(v1::ListNodesResponse {
            as_of: Some(epoch()),
            nodes: vec![node_row(format!("node-{page}"))],
            next_page_token,
            ..v1::ListNodesResponse::default()
        }))
    }

    async fn get_node(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::GetNodeResponse>, Status> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let name = request.into_inner().node;
        match name.as_str() {
            _ if asked < self.absent_for => Err(Status::not_found("no such node")),
            "twice" => Err(Status::failed_precondition("in blue and in green")),
            "late" => Err(Status::deadline_exceeded("too slow")),
            "refused" => Err(Status::permission_denied("not yours")),
            "strange" => Ok(Response::new(v1::GetNodeResponse { node: None })),
            _ => Ok(Response::new(v1::GetNodeResponse { node: Some(node_answer(name)) })),
        }
    }

    async fn get_patch_age(
        &self,
        request: Request<v1::GetPatchAgeRequest>,
    ) -> Result<Response<v1::GetPatchAgeResponse>, Status> {
        let token = request.into_inner().page_token;
        let page: usize = token.parse().unwrap_or(0);
        let next_page_token = match (self.endless, page + 1 < self.pages) {
            (true, _) => "1".to_owned(),
            (false, true) => (page + 1).to_string(),
            (false, false) => String::new(),
        };
        Ok(Response::new(v1::GetPatchAgeResponse {
            as_of: Some(epoch()),
            rows: vec![v1::PatchAgeRow {
                subject: format!("USN-{page}-1"),
                step: "hand_in".to_owned(),
                ..v1::PatchAgeRow::default()
            }],
            next_page_token,
            counts: Some(v1::FixCounts::default()),
            shown: Some(v1::FixCounts::default()),
            ..v1::GetPatchAgeResponse::default()
        }))
    }

    async fn get_sysctl(
        &self,
        request: Request<v1::GetSysctlRequest>,
    ) -> Result<Response<v1::GetSysctlResponse>, Status> {
        let document = request.into_inner().node;
        Ok(Response::new(v1::GetSysctlResponse { as_of: Some(epoch()), document }))
    }

    async fn check_support(
        &self,
        _: Request<v1::CheckSupportRequest>,
    ) -> Result<Response<v1::CheckSupportResponse>, Status> {
        Err(Status::invalid_argument("policy: no such edition"))
    }

    async fn get_why(
        &self,
        _: Request<v1::GetWhyRequest>,
    ) -> Result<Response<v1::GetWhyResponse>, Status> {
        Ok(Response::new(v1::GetWhyResponse { as_of: Some(epoch()), document: "{}".to_owned() }))
    }

    async fn list_images(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn diff_images(
        &self,
        _: Request<v1::DiffImagesRequest>,
    ) -> Result<Response<v1::DiffImagesResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_image_variants(
        &self,
        _: Request<v1::ListImageVariantsRequest>,
    ) -> Result<Response<v1::ListImageVariantsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn get_first_fix(
        &self,
        _: Request<v1::GetFirstFixRequest>,
    ) -> Result<Response<v1::GetFirstFixResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_feeds(
        &self,
        _: Request<v1::ListFeedsRequest>,
    ) -> Result<Response<v1::ListFeedsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn label_scan(
        &self,
        request: Request<v1::LabelScanRequest>,
    ) -> Result<Response<v1::LabelScanResponse>, Status> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) as u64;
        let label = |row: v1::ReportedRow| v1::LabelledRow {
            place: row.place + u64::from(self.endless),
            verdict: "not_installed".to_owned(),
            why: row.package,
            ..v1::LabelledRow::default()
        };
        let what = "not judged".to_owned();
        Ok(Response::new(v1::LabelScanResponse {
            as_of: Some(epoch()),
            rows: request.into_inner().rows.into_iter().map(label).collect(),
            incomplete: vec![v1::Incomplete { what, nodes: asked }],
            nodes: 3,
            ..v1::LabelScanResponse::default()
        }))
    }
}

/// A client of a server that answers so.
fn client_of(canned: Canned) -> Client {
    let any_port = "127.0.0.1:0".parse().expect("an address");
    let incoming = TcpIncoming::bind(any_port).expect("a free port");
    let url = format!("http://{}", incoming.local_addr().expect("bound"));
    let service = QueryServiceServer::new(canned);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Client::new(&Address::plain(&url)).expect("a good address")
}

#[tokio::test]
async fn pages_of_fixes_are_followed_to_the_last_and_an_endless_one_is_refused() {
    let mut client = client_of(Canned { pages: 3, ..Canned::default() });
    let answer = client.patch_age(&Asked::default(), By::Fix).await.expect("an answer");
    let subjects: Vec<&str> = answer.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["USN-0-1", "USN-1-1", "USN-2-1"]);
    let mut client = client_of(Canned { endless: true, ..Canned::default() });
    let error = client.patch_age(&Asked::default(), By::Fix).await.expect_err("endless");
    assert!(error.to_string().contains("next_page_token"), "{error}");
}

#[tokio::test]
async fn a_scan_is_labelled_batch_after_batch_and_in_its_order() {
    let row = |number: usize| Reported {
        id: AliasId::of("CVE-2026-0001"),
        package: format!("package-{number}"),
        installed: String::new(),
        target: "x".repeat(if number == 1 { 300_000 } else { 0 }),
    };
    for rows in [0, 1, 2_000, 2_001, 5_000] {
        let rows: Vec<Reported> = (0..rows).map(row).collect();
        let mut client = client_of(Canned::default());
        let labels = client.label_scan("", &rows).await.expect("labels");
        assert_eq!(labels.rows.len(), rows.len());
        for (row, labelled) in rows.iter().zip(&labels.rows) {
            assert_eq!(labelled.why, row.package);
        }
        let batches = rows.len().div_ceil(SCAN_ROWS).max(1);
        assert_eq!(labels.incomplete["not judged"], batches - 1, "the most of all batches");
    }
    let long: Vec<Reported> = (0..5).map(|_| row(1)).collect();
    assert_eq!([batch(&long), batch(&long[..1]), batch(&[])], [1, 1, 0]);
    let mut client = client_of(Canned { endless: true, ..Canned::default() });
    let error = client.label_scan("", &[row(0)]).await.expect_err("another place");
    assert!(error.to_string().contains("rows: are not those"), "{error}");
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let mut client = client_of(Canned { pages: 3, ..Canned::default() });
    let nodes = client.nodes("", None).await.expect("an answer");
    let names: Vec<&str> = nodes.rows.iter().map(|row| row.node.as_str()).collect();
    assert_eq!(names, ["node-0", "node-1", "node-2"]);
}

#[tokio::test]
async fn a_server_that_gives_the_same_page_for_ever_is_not_followed() {
    let mut client = client_of(Canned { endless: true, ..Canned::default() });
    assert!(matches!(client.nodes("", None).await, Err(AskError::Invalid(_))));
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let mut client = client_of(Canned::default());
    assert!(matches!(client.node("", "twice").await, Err(AskError::Ambiguous(_))));
    assert!(matches!(client.node("", "late").await, Err(AskError::Unreachable { .. })));
    assert!(matches!(
        client.node("", "refused").await,
        Err(AskError::Refused { code: Code::PermissionDenied, .. })
    ));
    assert!(matches!(client.node("", "strange").await, Err(AskError::Invalid(_))));
    assert_eq!(client.node("", "a").await.expect("an answer").node, "a");

    let mut client = client_of(Canned { absent_for: 1, ..Canned::default() });
    assert!(matches!(client.node("", "a").await, Err(AskError::NoSuchNode(_))));
}

#[tokio::test]
async fn a_document_that_is_none_is_no_answer() {
    let mut client = client_of(Canned::default());
    assert!(matches!(client.sysctl("", "{").await, Err(AskError::Invalid(_))));
    assert!(matches!(client.why("", "a").await, Err(AskError::Invalid(_))));
    let refused = client.support(v1::CheckSupportRequest::default()).await;
    assert!(matches!(refused, Err(AskError::Cannot(why)) if why.contains("no such edition")));
}

#[tokio::test]
async fn a_wait_ends_with_the_report_or_on_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let canned = Canned { absent_for: 2, asked: Arc::clone(&asked), ..Canned::default() };
    let wait = Duration::from_secs(30);
    let answer = client_of(canned).node_when_reported("", "a", wait).await.expect("reported");
    assert_eq!(answer.node, "a");
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    let canned = Canned { absent_for: usize::MAX, ..Canned::default() };
    let wait = Duration::from_millis(300);
    let error = client_of(canned).node_when_reported("", "a", wait).await.expect_err("too late");
    assert!(matches!(&error, AskError::NotInTime { last, .. } if last == "no such node"));
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_prolong_a_wait() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let mut client = Client::new(&Address::plain(&url)).expect("a good address");
    let began = std::time::Instant::now();
    let wait = Duration::from_millis(300);
    let error = client.node_when_reported("", "a", wait).await.expect_err("nobody answers");
    assert!(matches!(error, AskError::NotInTime { .. }));
    assert!(began.elapsed() < CONNECT_LIMIT);
}

#[test]
fn an_address_is_http_or_https_with_what_is_shown() {
    for url in ["", "nonsense", "https://127.0.0.1:7443", "ftp://127.0.0.1", "127.0.0.1:7443"] {
        assert!(
            matches!(Client::new(&Address::plain(url)), Err(AskError::Address { .. })),
            "{url}"
        );
    }
}
