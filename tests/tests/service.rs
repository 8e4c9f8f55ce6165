//! The programs together: what was acknowledged survives a kill, a stop is quick, and
//! reflection, health and metrics answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nodeward_domain::answer::NodeAnswer;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::counts::count;
use nodeward_tests::host::HostCopy;
use nodeward_tests::project;
use nodeward_tests::reporter::{lasting, report, reporter, send, send_as};
use nodeward_tests::service::{Aggregator, PATIENCE, Program, agent};
use tonic::transport::Channel;

/// Every component has been reported and judged.
fn is_whole(answer: &NodeAnswer) -> bool {
    // Nodes of AKS today have no Docker, and nobody asked where this one reaches.
    let read = ["present", "absent", "not_applicable"];
    answer.components.iter().all(|component| read.contains(&component.state.as_str()))
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
        // Each has a mount of its own: who looks up a name while another program's lookup of
        // it hangs waits for that program, and no signal ends such a wait.
        let (host, other) = (HostCopy::of("aks-ubuntu-2204"), HostCopy::of("aks-ubuntu-2204"));
        let _mount = HangingMount::over(&host.inside("/var/lib/dpkg"));
        let _other_mount = HangingMount::over(&other.inside("/var/lib/dpkg"));
        let mut agent = reporting(&aggregator, host.path(), "aks-ubuntu-2204", "a");
        let mut collect = Program::start(
            crate::agent("collect", other.path(), "ignored")
                .arg("--socket")
                .arg(folder.path().join("s")),
        );
        let hangs = |answer: &NodeAnswer| {
            answer.components.iter().any(|component| component.state == "unavailable")
        };
        let answer = aggregator.answer_when("a", "the hanging component", hangs).await;
        assert!(
            answer.incomplete.iter().any(|line| line.contains("packages")),
            "{:?}",
            answer.incomplete
        );
        for program in [&mut agent, &mut collect] {
            program.signal(Signal::SIGTERM);
            let (status, took) = program.ended_within(PATIENCE);
            assert!(status.success(), "{status}");
            assert!(took < Duration::from_secs(1), "it took {took:?}");
        }
    }
}

/// Kills while reports are under way, unless `NODEWARD_KILLS` says how many.
const KILLS: usize = 6;

/// After the reports that must be, each of so many kills in a row waits a little longer.
const MOMENTS: usize = 20;

/// So many reports are acknowledged at least before each of them, however slow the machine.
const BEFORE_A_KILL: usize = 20;

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
    let kills = count("NODEWARD_KILLS", KILLS);
    for kill in 0..kills {
        let aggregator = Aggregator::start(&store);
        let first = counter;
        let under_way = Arc::new(AtomicUsize::new(0));
        let reporters: Vec<_> = NODES
            .map(|node| {
                let url = aggregator.url();
                let under_way = Arc::clone(&under_way);
                tokio::spawn(async move {
                    let mut last = None;
                    let mut client = ReportServiceClient::connect(url).await.expect("it serves");
                    // Every report changes the kernel's content, until there is no answer.
                    for next in first.. {
                        if send_as(node, &mut client, report(next, next)).await.is_err() {
                            return (node, last, next);
                        }
                        last = Some(next);
                        under_way.fetch_add(1, Relaxed);
                    }
                    unreachable!("numbers do not end before the aggregator does")
                })
            })
            .into_iter()
            .collect();
        let deadline = Instant::now() + PATIENCE;
        while under_way.load(Relaxed) < BEFORE_A_KILL {
            assert!(Instant::now() < deadline, "reports are not acknowledged");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let moment = u64::try_from(kill % MOMENTS).expect("few");
        tokio::time::sleep(Duration::from_millis(7 * moment)).await;
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
    println!("{kills} kills, {acknowledged} acknowledged reports, none lost");
    assert!(acknowledged >= BEFORE_A_KILL * kills);
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

#[tokio::test]
async fn tools_that_know_the_older_reflection_alone_are_answered_too() {
    use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let endpoint = Channel::from_shared(aggregator.url()).expect("an address");
    let mut client = ServerReflectionClient::new(endpoint.connect().await.expect("it serves"));
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answer = client.server_reflection_info(tokio_stream::iter([ask])).await;
    let answer = answer.expect("reflection serves").into_inner().message().await;
    let Some(MessageResponse::ListServicesResponse(list)) =
        answer.expect("an answer").and_then(|answer| answer.message_response)
    else {
        panic!("no list of services");
    };
    assert!(list.service.iter().any(|service| service.name == "nodeward.v1.QueryService"));
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let aggregator = Aggregator::start(&folder.path().join("store.db"));
    let mut client = reporter(&aggregator).await;
    send(&mut client, report(5, 128)).await.expect("a good report");
    let malformed = nodeward_proto::v1::ReportRequest { boot_id: String::new(), ..report(6, 0) };
    send(&mut client, malformed).await.expect_err("a bad one");
    assert!(aggregator.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(aggregator.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(aggregator.get("/nowhere").starts_with("HTTP/1.1 404"));
    let metrics = aggregator.get("/metrics");
    for line in [
        "nodeward_reports_total{outcome=\"acknowledged\"} 1",
        "nodeward_reports_total{outcome=\"refused\"} 1",
        "nodeward_store_spoilt_rows_total 0",
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
