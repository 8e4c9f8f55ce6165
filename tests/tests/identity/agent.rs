//! The agent's own program: it enrols, reports, renews over itself, and tells no secret.

use std::process::{Command, Stdio};
use std::time::Duration;

use nodeward_tests::api_server::ADMIN_TOKEN;
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::service::Program;
use nodeward_tests::{programs, project};

fn agent(cluster: &InCluster, token: &std::path::Path) -> Command {
    let mut agent = Command::new(programs::agent());
    agent
        .args(["run", "--interval", "1s", "--log-json", "--aggregator", &cluster.url()])
        .arg("--host-root")
        .arg(project::host("debian-12-plain"))
        .arg("--tls-ca")
        .arg(cluster.authority.certificate())
        .arg("--token-file")
        .arg(token)
        .env("NODEWARD_LOG", "debug");
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_and_goes_on_without_the_api_server() {
    let cluster = InCluster::start_with("10s", "");
    let token = cluster.token("a");
    let file = cluster.write("token", &token);
    let log = cluster.folder.path().join("agent.log");
    let written = std::fs::File::create(&log).expect("a file");
    let mut program = Program::start(agent(&cluster, &file).stderr(Stdio::from(written)));
    let first = cluster.aggregator.answer_when("a", "the first report", |_| true).await;
    assert_eq!(first.cluster, "prod");
    // Its kubelet and the API server are down, and its token is gone.
    cluster.api.go_away();
    std::fs::remove_file(&file).expect("removed");
    tokio::time::sleep(Duration::from_secs(14)).await;
    let before = cluster.aggregator.answer_when("a", "a report", |_| true).await.last_report_at;
    cluster
        .aggregator
        .answer_when("a", "a report after the first certificate's end", |answer| {
            answer.last_report_at > before
        })
        .await;
    assert!(program.runs());
    let told = std::fs::read_to_string(&log).expect("a log");
    assert!(told.matches("certificate received").count() >= 2, "{told}");
    let signature = token.rsplit('.').next().expect("parts");
    assert!(!told.contains(signature) && !told.contains("PRIVATE KEY"), "{told}");
    assert!(!cluster.aggregator.log().contains(signature));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_refused_comes_again_with_its_next_token() {
    let cluster = InCluster::start();
    // The kubelet writes a new one before the old one ends.
    let file = cluster.write("token", "no.such.token");
    let _program = Program::start(&mut agent(&cluster, &file));
    tokio::time::sleep(Duration::from_secs(2)).await;
    std::fs::write(&file, cluster.token("b")).expect("written");
    cluster.aggregator.answer_when("b", "the report", |_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_asks_over_tls_with_the_command() {
    let cluster = InCluster::start();
    let node = cluster.authority.client(Some("nodeward://prod/node/a/1"));
    let channel = cluster.connect_as(&node).await;
    nodeward_proto::v1::report_service_client::ReportServiceClient::new(channel)
        .report(nodeward_tests::reporter::report(1, 0))
        .await
        .expect("taken");
    let reader = cluster.authority.client(Some("nodeward://prod/reader/ann"));
    let port = cluster.url().rsplit(':').next().expect("a port").to_owned();
    let ask = |more: &[&std::ffi::OsStr]| {
        Command::new(programs::nodeward())
            .args(["nodes", "-o", "json", "--aggregator", &format!("https://localhost:{port}")])
            .arg("--tls-ca")
            .arg(cluster.authority.certificate())
            .args(more)
            .output()
            .expect("it runs")
    };
    let shown = ask(&[
        "--tls-certificate".as_ref(),
        reader.certificate.as_os_str(),
        "--tls-key".as_ref(),
        reader.key.as_os_str(),
    ]);
    let told = String::from_utf8_lossy(&shown.stdout);
    assert!(told.contains("\"prod\""), "{told}{}", String::from_utf8_lossy(&shown.stderr));
    let token = cluster.write("reader-token", ADMIN_TOKEN);
    let refused = ask(&["--token-file".as_ref(), token.as_os_str()]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("token cannot be read") && !said.contains(ADMIN_TOKEN), "{said}");
    assert!(ask(&[]).status.code() == Some(2));
}
