//! The programs together: what was acknowledged survives a kill, a stop is quick, a
//! bad envelope changes nothing, and reflection and health answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Kernel};
use nodeward_domain::observed::State;
use nodeward_proto::content::Content;
use nodeward_proto::report::timestamp;
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::host::HostCopy;
use nodeward_tests::project;
use nodeward_tests::service::{Aggregator, PATIENCE, Program, agent};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// Every component has been reported and judged.
fn is_whole(answer: &NodeAnswer) -> bool {
    answer.components.iter().all(|component| component.state == "present")
}

/// What of an answer must survive: everything but the times that move.
fn lasting(answer: &NodeAnswer) -> Vec<(Component, String, String)> {
    answer
        .components
        .iter()
        .map(|component| (component.component, component.state.clone(), component.headline.clone()))
        .collect()
}

fn reporting(aggregator: &Aggregator, host: &Path, name: &str, node: &str) -> Program {
    Program::start(
        agent("run", host, node)
            .args(["--aggregator", &aggregator.url(), "--recorded-answers"])
            .arg(project::answers(name)),
    )
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_kill_of_the_aggregator() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let host = HostCopy::of("aks-ubuntu-2204-broken");
    let aggregator = Aggregator::start(&store);
    let agent = reporting(&aggregator, host.path(), "aks-ubuntu-2204-broken", "a");
    let before = aggregator.answer_when("a", "a whole answer", is_whole).await;
    agent.kill();
    aggregator.program.kill();

    let aggregator = Aggregator::start(&store);
    let after = aggregator.answer_when("a", "the stored node", |_| true).await;
    assert_eq!(lasting(&after), lasting(&before));
}

#[tokio::test]
async fn an_agent_goes_on_by_itself_when_the_aggregator_returns() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let host = HostCopy::of("aks-ubuntu-2204");
    let aggregator = Aggregator::start(&store);
    let grpc = aggregator.grpc.clone();
    let _agent = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
    let before = aggregator.answer_when("a", "a whole answer", is_whole).await;
    aggregator.program.kill();
    std::fs::write(host.inside("/proc/sys/kernel/tainted"), "128\n").expect("written");

    let aggregator = Aggregator::start_on(&store, &grpc);
    let faulted = |answer: &NodeAnswer| {
        answer.findings.iter().any(|finding| finding.reason == "KernelFaulted")
    };
    let after = aggregator.answer_when("a", "what changed meanwhile", faulted).await;
    assert!(after.last_report_at > before.last_report_at);
    assert!(is_whole(&after), "{after:#?}");
}

#[tokio::test]
async fn a_killed_agent_leaves_its_last_facts_and_a_new_one_goes_on_from_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let host = HostCopy::of("aks-ubuntu-2204");
    let first = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
    let before = aggregator.answer_when("a", "a whole answer", is_whole).await;
    first.kill();
    let _second = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
    let newer = |answer: &NodeAnswer| answer.last_report_at > before.last_report_at;
    let after = aggregator.answer_when("a", "a report of the new agent", newer).await;
    assert_eq!(lasting(&after), lasting(&before));
}

#[tokio::test]
async fn collect_and_send_are_two_processes_and_each_survives_the_others_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let host = HostCopy::of("aks-ubuntu-2204");
    let socket = folder.path().join("s");
    let collect = || {
        Program::start(
            agent("collect", host.path(), "ignored")
                .arg("--socket")
                .arg(&socket)
                .arg("--recorded-answers")
                .arg(project::answers("aks-ubuntu-2204")),
        )
    };
    let send = || {
        // It has no access to the host: any other root must do.
        Program::start(
            agent("send", folder.path(), "a")
                .args(["--aggregator", &aggregator.url(), "--socket"])
                .arg(&socket),
        )
    };
    let first_collect = collect();
    let first_send = send();
    let mut last = aggregator.answer_when("a", "a whole answer", is_whole).await;

    first_collect.kill();
    let _second_collect = collect();
    for what in ["a report after the kill of collect", "another"] {
        let newer = |answer: &NodeAnswer| answer.last_report_at > last.last_report_at;
        last = aggregator.answer_when("a", what, newer).await;
    }
    first_send.kill();
    let _second_send = send();
    let newer = |answer: &NodeAnswer| answer.last_report_at > last.last_report_at;
    let after = aggregator.answer_when("a", "a report after the kill of send", newer).await;
    assert!(is_whole(&after), "{after:#?}");
}

#[tokio::test]
async fn sigterm_stops_every_program_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut aggregator = Aggregator::start(&folder.path().join("store.db"));
    let host = HostCopy::of("aks-ubuntu-2204");
    let mut agent = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
    aggregator.answer_when("a", "a whole answer", is_whole).await;
    agent.signal(Signal::SIGTERM);
    let (status, took) = agent.ended_within(PATIENCE);
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(1), "the agent took {took:?}");
    aggregator.program.signal(Signal::SIGTERM);
    let (status, _) = aggregator.program.ended_within(PATIENCE);
    assert!(status.success(), "{status}");
}

mod real_fuse {
    use super::*;
    use nodeward_tests::host::HangingMount;

    #[tokio::test]
    async fn sigterm_stops_an_agent_within_a_second_while_a_host_read_hangs() {
        let folder = tempfile::tempdir().expect("a folder");
        let aggregator = Aggregator::start(&folder.path().join("store.db"));
        let host = HostCopy::of("aks-ubuntu-2204");
        let _mount = HangingMount::over(&host.inside("/var/lib/dpkg"));
        let mut agent = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
        let hangs = |answer: &NodeAnswer| {
            answer.components.iter().any(|component| component.state == "unavailable")
        };
        let answer = aggregator.answer_when("a", "the hanging component", hangs).await;
        assert!(
            answer.incomplete.iter().any(|line| line.contains("packages")),
            "{:?}",
            answer.incomplete
        );
        agent.signal(Signal::SIGTERM);
        let (status, took) = agent.ended_within(PATIENCE);
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(1), "the agent took {took:?}");
    }
}

const BOOT: &str = "11111111-2222-3333-4444-555555555555";

fn kernel(tainted: u64) -> v1::ComponentReport {
    let content = Content::of(&ComponentState::Kernel(State::Present(
        Kernel {
            release: "6.1.0".to_owned(),
            version: "#1".to_owned(),
            boot_id: BOOT.to_owned(),
            tainted,
            command_line: Vec::new(),
        }
        .into(),
    )));
    v1::ComponentReport {
        component: content.component.clone(),
        form: content.form,
        digest: content.digest().as_bytes().to_vec(),
        content: Some(content.bytes),
        observed_at: Some(timestamp(jiff::Timestamp::now())),
        took: Some(prost_types::Duration::default()),
    }
}

fn report(seq: u64, tainted: u64) -> v1::ReportRequest {
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

async fn send(
    client: &mut ReportServiceClient<Channel>,
    report: v1::ReportRequest,
) -> Result<v1::ReportResponse, Status> {
    send_as("a", client, report).await
}

async fn send_as(
    node: &str,
    client: &mut ReportServiceClient<Channel>,
    report: v1::ReportRequest,
) -> Result<v1::ReportResponse, Status> {
    let mut request = Request::new(report);
    request.metadata_mut().insert("nodeward-cluster", "local".parse().expect("ascii"));
    request.metadata_mut().insert("nodeward-node", node.parse().expect("ascii"));
    client.report(request).await.map(tonic::Response::into_inner)
}

async fn reporter(aggregator: &Aggregator) -> ReportServiceClient<Channel> {
    ReportServiceClient::connect(aggregator.url()).await.expect("the aggregator serves")
}

/// Kills while reports are under way; a few here, any number by hand.
const KILLS: u64 = 6;

/// The taint mask that the aggregator shows of a node, which the test made its counter.
async fn shown_counter(aggregator: &Aggregator, node: &str) -> u64 {
    let answer = aggregator.answer_when(node, "the stored node", |_| true).await;
    let checks = answer.components.into_iter().flat_map(|component| component.checks);
    let check = checks.into_iter().find(|check| check.reason == "KernelFaulted");
    check.expect("a check of ours").evidence[0].actual.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_whenever_the_aggregator_is_killed() {
    const NODES: [&str; 4] = ["a", "b", "c", "d"];
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let mut counter = 1;
    let mut acknowledged = 0_usize;
    for kill in 0..KILLS {
        let aggregator = Aggregator::start(&store);
        let first = counter;
        let reporters: Vec<_> = NODES
            .map(|node| {
                let url = aggregator.url();
                tokio::spawn(async move {
                    let mut last = None;
                    let mut client = ReportServiceClient::connect(url).await.expect("it serves");
                    // Every report changes the kernel's content, until there is no answer.
                    for next in first.. {
                        if send_as(node, &mut client, report(next, next)).await.is_err() {
                            return (node, last, next);
                        }
                        last = Some(next);
                    }
                    unreachable!("numbers do not end before the aggregator does")
                })
            })
            .into_iter()
            .collect();
        tokio::time::sleep(Duration::from_millis(40 + 45 * kill)).await;
        aggregator.program.kill();

        let aggregator = Aggregator::start(&store);
        for reporter in reporters {
            let (node, last, in_flight) = reporter.await.expect("a reporter does not panic");
            let Some(last) = last else { continue };
            acknowledged += usize::try_from(last - first).expect("few") + 1;
            let shown = shown_counter(&aggregator, node).await;
            assert!(
                (last..=in_flight).contains(&shown),
                "kill {kill}: {node} shows {shown}, acknowledged was {last}"
            );
            counter = counter.max(in_flight + 1);
        }
        aggregator.program.kill();
    }
    println!("{KILLS} kills, {acknowledged} acknowledged reports, none lost");
    assert!(acknowledged > 100, "only {acknowledged} reports: nothing was under way");
}

/// The same report, with one field spoilt.
fn spoilt(spoil: impl FnOnce(&mut v1::ReportRequest)) -> v1::ReportRequest {
    let mut report = report(10, 128);
    spoil(&mut report);
    report
}

#[tokio::test]
async fn a_malformed_envelope_is_refused_by_its_field_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    send(&mut client, report(5, 0)).await.expect("a good report");
    let before = aggregator.answer_when("a", "the node", |_| true).await;

    let bad = [
        ("boot_id", spoilt(|report| report.boot_id.clear())),
        ("boot_id", spoilt(|report| report.boot_id = "not hex!".to_owned())),
        ("seq", spoilt(|report| report.seq = 0)),
        ("sent_at", spoilt(|report| report.sent_at = None)),
        ("measurements", spoilt(|report| report.measurements = None)),
        (
            "measurements.uptime_seconds",
            spoilt(|report| {
                report.measurements = Some(v1::Measurements {
                    uptime_seconds: Some(f64::NAN),
                    ..v1::Measurements::default()
                });
            }),
        ),
        ("components[0].component", spoilt(|report| report.components[0].component.clear())),
        ("components[0].digest", spoilt(|report| report.components[0].digest = vec![0; 31])),
        ("components[0].digest", spoilt(|report| report.components[0].digest = vec![0; 32])),
        ("components[0].observed_at", spoilt(|report| report.components[0].observed_at = None)),
        (
            "components[0].took",
            spoilt(|report| {
                report.components[0].took = Some(prost_types::Duration { seconds: -1, nanos: 0 });
            }),
        ),
        ("components[1].component", spoilt(|report| report.components.push(kernel(0)))),
        ("components", spoilt(|report| report.components = vec![kernel(0); 1000])),
    ];
    for (field, report) in bad {
        let refused = send(&mut client, report).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with(&format!("{field}: ")), "{field}: {refused}");
    }
    let too_late = send(&mut client, report(4, 128)).await.expect_err("an order backwards");
    let rebooted = v1::ReportRequest { boot_id: "99".to_owned(), ..report(1, 0) };
    send(&mut client, rebooted).await.expect("a later boot");
    let much_too_late = send(&mut client, report(100, 128)).await.expect_err("an earlier boot");
    for (why, refused) in [("seq: ", too_late), ("boot_id: ", much_too_late)] {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().starts_with(why), "{refused}");
    }
    let after = aggregator.answer_when("a", "the node", |_| true).await;
    assert_eq!(lasting(&after), lasting(&before));
    assert!(after.findings.is_empty(), "{:?}", after.findings);
}

#[tokio::test]
async fn the_same_report_twice_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    let first = send(&mut client, report(5, 128)).await.expect("a good report");
    let before = aggregator.answer_when("a", "the node", |_| true).await;
    let again = send(&mut client, report(5, 128)).await.expect("once more");
    let after = aggregator.answer_when("a", "the node", |_| true).await;
    assert_eq!(first, again);
    assert_eq!(before.last_report_at, after.last_report_at);
}

#[tokio::test]
async fn nobody_reports_without_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    let refused = client.report(Request::new(report(5, 0))).await.expect_err("without a name");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let nodes = aggregator.reader().await.list_nodes(v1::ListNodesRequest::default()).await;
    assert_eq!(nodes.expect("a list").into_inner().nodes, []);
}

#[tokio::test]
async fn what_is_lacking_is_asked_for_once_and_taken_only_if_it_is_that() {
    use v1::put_content_request::Part;
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    let mut lacking = report(5, 128);
    let bytes = lacking.components[0].content.take().expect("a content");
    let digest = lacking.components[0].digest.clone();
    let response = send(&mut client, lacking.clone()).await.expect("a good report");
    assert_eq!(response.need, std::slice::from_ref(&digest));
    lacking.seq = 6;
    let response = send(&mut client, lacking).await.expect("a good report");
    assert_eq!(response.need, Vec::<Vec<u8>>::new(), "asked a second time at once");
    let waiting = aggregator.answer_when("a", "the node", |_| true).await;
    assert!(!waiting.complete && waiting.findings.is_empty(), "{waiting:#?}");

    let put = |header: v1::ContentHeader, chunks: Vec<Vec<u8>>| {
        let parts =
            std::iter::once(Part::Header(header)).chain(chunks.into_iter().map(Part::Chunk));
        let parts: Vec<_> = parts.map(|part| v1::PutContentRequest { part: Some(part) }).collect();
        let mut request = Request::new(tokio_stream::iter(parts));
        request.metadata_mut().insert("nodeward-cluster", "local".parse().expect("ascii"));
        request.metadata_mut().insert("nodeward-node", "a".parse().expect("ascii"));
        request
    };
    let header = v1::ContentHeader {
        component: "kernel".to_owned(),
        form: 1,
        digest,
        size_bytes: bytes.len() as u64,
    };
    let mut other = bytes.clone();
    other[0] ^= 1;
    let huge = v1::ContentHeader { size_bytes: 1 << 40, ..header.clone() };
    for (field, request) in [
        ("header.digest", put(header.clone(), vec![other])),
        ("header.size_bytes", put(header.clone(), vec![bytes[..3].to_vec()])),
        ("chunk", put(header.clone(), vec![bytes.clone(), bytes.clone()])),
        ("header.size_bytes", put(huge, vec![])),
    ] {
        let refused = client.put_content(request).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(&format!("{field}: ")), "{field}: {refused}");
    }
    let unasked = Content { component: "kernel".to_owned(), form: 1, bytes: b"unasked".to_vec() };
    let header_of_unasked = v1::ContentHeader {
        digest: unasked.digest().as_bytes().to_vec(),
        size_bytes: unasked.bytes.len() as u64,
        ..header.clone()
    };
    let refused = client.put_content(put(header_of_unasked, vec![unasked.bytes])).await;
    assert_eq!(refused.expect_err("nobody asked for it").code(), Code::FailedPrecondition);
    client.put_content(put(header, vec![bytes])).await.expect("what was asked for");
    let faulted = |answer: &NodeAnswer| answer.findings.len() == 1;
    aggregator.answer_when("a", "the finding", faulted).await;
}

#[tokio::test]
async fn what_is_not_understood_costs_its_own_component_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    let of = |component: &str, form: u32, bytes: &[u8]| {
        let content = Content { component: component.to_owned(), form, bytes: bytes.to_vec() };
        v1::ComponentReport {
            component: content.component.clone(),
            form,
            digest: content.digest().as_bytes().to_vec(),
            content: Some(content.bytes),
            ..kernel(0)
        }
    };
    let good = kernel(128);
    let kernel_bytes = good.content.clone().expect("a content");
    let mut newer = report(5, 0);
    newer.components = vec![
        good,
        of("graphics_card", 1, b"of a later version"),
        of("kubelet", 2, b"in a later form"),
        of("packages", 1, b"\xff\xff no protobuf"),
        of("os_release", 1, &kernel_bytes),
        of("containerd", 1, b""),
    ];
    send(&mut client, newer).await.expect("a good envelope");
    let answer = aggregator.answer_when("a", "the node", |_| true).await;
    assert_eq!(answer.findings.len(), 1, "{:?}", answer.findings);
    for component in &answer.components {
        let expected = match component.component {
            Component::Kernel => ("present", "tainted"),
            Component::Kubelet => ("unavailable", "form 2"),
            Component::OsRelease => ("unavailable", "facts of another component"),
            Component::Packages | Component::Containerd => ("unavailable", "not valid"),
        };
        assert_eq!(component.state, expected.0, "{component:?}");
        assert!(component.headline.contains(expected.1), "{component:?}");
    }
    assert!(!answer.complete);
}

#[tokio::test]
async fn reflection_names_the_services_and_health_says_that_they_serve() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let channel = Channel::from_shared(aggregator.url())
        .expect("an address")
        .connect()
        .await
        .expect("the aggregator serves");
    let ask =
        |request| ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut answers = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::iter([
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("nodeward.v1.QueryService".to_owned())),
        ]))
        .await
        .expect("reflection serves")
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.expect("an answer").and_then(|answer| answer.message_response)
    else {
        panic!("no list of services");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["nodeward.v1.ReportService", "nodeward.v1.QueryService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{name} not in {names:?}");
        let health = HealthClient::new(channel.clone())
            .check(HealthCheckRequest { service: name.replace("grpc.health.v1.Health", "") })
            .await
            .expect("health serves");
        assert_eq!(health.into_inner().status(), ServingStatus::Serving, "{name}");
    }
    let Some(MessageResponse::FileDescriptorResponse(files)) =
        answers.message().await.expect("an answer").and_then(|answer| answer.message_response)
    else {
        panic!("no file of the service");
    };
    assert!(!files.file_descriptor_proto.is_empty());
}

/// One plain HTTP request; the standard library is enough to read an answer that closes.
fn get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("HTTP is served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    send(&mut client, report(5, 128)).await.expect("a good report");
    send(&mut client, spoilt(|report| report.boot_id.clear())).await.expect_err("a bad one");
    assert!(get(&aggregator.http, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&aggregator.http, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&aggregator.http, "/nowhere").starts_with("HTTP/1.1 404"));
    let metrics = get(&aggregator.http, "/metrics");
    for line in [
        "nodeward_reports_total{outcome=\"acknowledged\"} 1",
        "nodeward_reports_total{outcome=\"refused\"} 1",
        "nodeward_nodes{standing=\"findings\"} 1",
        "nodeward_nodes_with_findings{acts_first=\"YOU\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_to_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    for setting in ["--grpc-listen", "--http-listen"] {
        let free = ["--grpc-listen", "--http-listen"].into_iter().find(|other| *other != setting);
        let output = std::process::Command::new(nodeward_tests::programs::aggregator())
            .args(["serve", "--insecure-loopback", setting, &address])
            .args([free.expect("the other"), "127.0.0.1:0"])
            .arg(format!("--store=sqlite:{}", folder.path().join("store.db").display()))
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("{setting} {address}")), "{said}");
        assert!(said.contains("choose another"), "{said}");
        assert!(!folder.path().join("store.db").exists(), "the store was touched");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    std::fs::write(&store, "this is no database, however long one looks at it").expect("written");
    let started = Instant::now();
    let output = std::process::Command::new(nodeward_tests::programs::aggregator())
        .args(["serve", "--insecure-loopback", "--grpc-listen=127.0.0.1:0"])
        .args(["--http-listen=127.0.0.1:0"])
        .arg(format!("--store=sqlite:{}", store.display()))
        .output()
        .expect("the program runs");
    assert!(!output.status.success());
    assert!(started.elapsed() < PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("store.db") && said.contains("not a database"), "{said}");
}
