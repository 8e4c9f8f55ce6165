//! Reports made by hand, for tests of what an aggregator takes: an agent would never
//! send most of them.

use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Kernel, KernelImages};
use nodeward_domain::observed::State;
use nodeward_proto::content::Content;
use nodeward_proto::report::timestamp;
use nodeward_proto::v1;
use nodeward_proto::v1::put_content_request::Part;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::service::Aggregator;

/// The boot of every such report.
pub const BOOT: &str = "11111111-2222-3333-4444-555555555555";

/// The kernel with that taint mask, as a component of a report.
#[must_use]
pub fn kernel(tainted: u64) -> v1::ComponentReport {
    component(&ComponentState::Kernel(State::Present(
        Kernel {
            release: "6.1.0".to_owned(),
            version: "#1".to_owned(),
            boot_id: BOOT.to_owned(),
            booted_at: None,
            images: KernelImages::Releases(Vec::new()),
            tainted,
            command_line: Vec::new(),
        }
        .into(),
    )))
}

/// Kernel parameters that are not there, as a component of a report.
#[must_use]
pub fn no_sysctl() -> v1::ComponentReport {
    component(&ComponentState::Sysctl(State::Absent))
}

/// A component of a report in that state.
#[must_use]
pub fn component(state: &ComponentState) -> v1::ComponentReport {
    let content = Content::of(state);
    v1::ComponentReport {
        component: content.component.clone(),
        form: content.form,
        digest: content.digest().as_bytes().to_vec(),
        content: Some(content.bytes),
        observed_at: Some(timestamp(jiff::Timestamp::now())),
        took: Some(prost_types::Duration::default()),
    }
}

/// A good report of a kernel with that taint mask.
#[must_use]
pub fn report(seq: u64, tainted: u64) -> v1::ReportRequest {
    v1::ReportRequest {
        boot_id: BOOT.to_owned(),
        seq,
        measurements: Some(v1::Measurements::default()),
        components: vec![kernel(tainted)],
        agent_version: "0.1.0".to_owned(),
        sent_at: Some(timestamp(jiff::Timestamp::now())),
        path_resolution: "openat2".to_owned(),
    }
}

/// Reports as node `a`.
pub async fn send(
    client: &mut ReportServiceClient<Channel>,
    report: v1::ReportRequest,
) -> Result<v1::ReportResponse, Status> {
    send_as("a", client, report).await
}

/// Reports as that node.
///
/// # Panics
/// When the name is none.
pub async fn send_as(
    node: &str,
    client: &mut ReportServiceClient<Channel>,
    report: v1::ReportRequest,
) -> Result<v1::ReportResponse, Status> {
    let mut request = Request::new(report);
    request.metadata_mut().insert("nodeward-cluster", "local".parse().expect("ascii"));
    request.metadata_mut().insert("nodeward-node", node.parse().expect("ascii"));
    client.report(request).await.map(tonic::Response::into_inner)
}

/// Uploads the content of a component as node `a`.
///
/// # Panics
/// When the component has none.
pub async fn put(
    client: &mut ReportServiceClient<Channel>,
    component: v1::ComponentReport,
) -> Result<(), Status> {
    let content = component.content.expect("a content");
    let header = v1::ContentHeader {
        component: component.component,
        form: component.form,
        digest: component.digest,
        size_bytes: content.len() as u64,
    };
    let parts = [Part::Header(header), Part::Chunk(content)];
    let parts = parts.map(|part| v1::PutContentRequest { part: Some(part) });
    let mut request = Request::new(tokio_stream::iter(parts));
    request.metadata_mut().insert("nodeward-cluster", "local".parse().expect("ascii"));
    request.metadata_mut().insert("nodeward-node", "a".parse().expect("ascii"));
    client.put_content(request).await.map(|_| ())
}

/// A connection for reports.
///
/// # Panics
/// When the aggregator does not serve.
pub async fn reporter(aggregator: &Aggregator) -> ReportServiceClient<Channel> {
    ReportServiceClient::connect(aggregator.url()).await.expect("the aggregator serves")
}

/// What of an answer must survive: everything but the times that move.
#[must_use]
pub fn lasting(answer: &NodeAnswer) -> Vec<(Component, String, String)> {
    answer
        .components
        .iter()
        .map(|component| (component.component, component.state.clone(), component.headline.clone()))
        .collect()
}
