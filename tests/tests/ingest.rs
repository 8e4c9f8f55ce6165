//! What an aggregator takes and what it refuses, report by report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_proto::content::Content;
use nodeward_proto::v1;
use nodeward_tests::reporter::{kernel, lasting, no_sysctl, report, reporter, send, send_as};
use nodeward_tests::service::Aggregator;
use tonic::{Code, Request};

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
        ("components", spoilt(|report| report.components.clear())),
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
async fn what_a_later_report_no_longer_names_is_not_taken_for_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    let mut client = reporter(&aggregator).await;
    let of = |answer: &NodeAnswer, component: Component| {
        let one = answer.components.iter().find(|one| one.component == component);
        one.expect("every component").state.clone()
    };
    let mut both = report(5, 0);
    both.components.push(no_sysctl());
    send(&mut client, both).await.expect("a good report");
    let answer = aggregator.answer_when("a", "both", |_| true).await;
    assert_eq!(of(&answer, Component::Sysctl), "absent");

    send(&mut client, report(6, 0)).await.expect("a report of one component");
    let is_lost = |answer: &NodeAnswer| of(answer, Component::Sysctl) == "unavailable";
    let answer = aggregator.answer_when("a", "the loss", is_lost).await;
    assert!(!answer.complete);
    assert_eq!(of(&answer, Component::Kernel), "present");
    // Not even a restart brings back what nobody has looked at since.
    aggregator.program.kill();
    let aggregator = Aggregator::start(&store);
    let answer = aggregator.answer_when("a", "the node", |_| true).await;
    assert_eq!(of(&answer, Component::Sysctl), "unavailable");
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
    let response = send_as("b", &mut client, lacking).await.expect("a good report");
    assert_eq!(response.need, Vec::<Vec<u8>>::new(), "another one was asked too");
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
            Component::Sysctl
            | Component::Conntrack
            | Component::Filesystem
            | Component::KernelLog
            | Component::KernelModules
            | Component::ManagedImages
            | Component::NodeImage
            | Component::Pressure
            | Component::ProcessLimits
            | Component::Reboot
            | Component::SwapAndHugepages
            | Component::TimeSync
            | Component::KubeProxy
            | Component::NodeObject
            | Component::SystemPods
            | Component::Cni
            | Component::Systemd
            | Component::Network
            | Component::Dns
            | Component::Egress
            | Component::ApiServer
            | Component::Tunnel
            | Component::UpdateChannel
            | Component::LinuxExtension
            | Component::Extensions
            | Component::Files
            | Component::NodeAccess
            | Component::Certificates
            | Component::Docker => ("not_reported", "not reported"),
        };
        assert_eq!(component.state, expected.0, "{component:?}");
        assert!(component.headline.contains(expected.1), "{component:?}");
    }
    assert!(!answer.complete);
}
