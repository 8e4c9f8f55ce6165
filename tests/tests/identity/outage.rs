//! A node in trouble: its kubelet hangs and the API server is away. That is when it must be heard.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::presence::How;
use nodeward_tests::in_cluster::InCluster;
use nodeward_tests::kubelet::Kubelet;
use nodeward_tests::programs;
use nodeward_tests::service::Program;
use nodeward_tests::standin::{Asked, Does, answer};

/// A certificate of the agent ends so soon, and is renewed many times while it lasts.
const LIFETIME: &str = "10s";

/// So old a last report may be at most: reports come each second, on a busy machine too.
const FRESH: SignedDuration = SignedDuration::from_secs(20);

/// How long both are away: seconds here, 25 minutes in `make prove`.
fn lasts() -> Duration {
    let told = std::env::var("NODEWARD_OUTAGE_SECONDS").ok();
    Duration::from_secs(told.map_or(25, |seconds| seconds.parse().expect("a number of seconds")))
}

fn says(answer: &NodeAnswer, reason: &str) -> bool {
    answer.findings.iter().any(|finding| finding.reason == reason)
}

fn how(answer: &NodeAnswer) -> Option<How> {
    answer.presence.as_ref().map(|presence| presence.how)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_kubelet_and_api_server_stop_reports_that_and_is_never_silent() {
    let cluster = InCluster::start_watching(LIFETIME);
    let hangs = Arc::new(AtomicBool::new(false));
    let does = {
        let hangs = Arc::clone(&hangs);
        move |_: &Asked| match hangs.load(Ordering::Relaxed) {
            true => Does::Hang,
            false => answer(200, "ok"),
        }
    };
    let kubelet = Kubelet::answering(does.clone(), does);
    kubelet.is_of_this_machine();
    let log = cluster.folder.path().join("agent.log");
    let _agent = Program::start(
        Command::new(programs::agent())
            .args(["run", "--interval", "1s", "--log-json", "--aggregator", &cluster.url()])
            .arg("--host-root")
            .arg(kubelet.root())
            .arg("--tls-ca")
            .arg(cluster.authority.certificate())
            .arg("--token-file")
            .arg(cluster.write("token", &cluster.token("a")))
            .stderr(Stdio::from(std::fs::File::create(&log).expect("a file"))),
    );
    let well =
        |answer: &NodeAnswer| how(answer) == Some(How::Reporting) && !says(answer, "KubeletHung");
    cluster.aggregator.answer_when("a", "a node that reports and is well", well).await;

    hangs.store(true, Ordering::Relaxed);
    cluster.api.go_away();
    let began = Instant::now();
    cluster.aggregator.answer_when("a", "a kubelet that hangs", |a| says(a, "KubeletHung")).await;
    let mut looks = 0;
    while began.elapsed() < lasts() {
        let answer = cluster.aggregator.answer_when("a", "an answer", |_| true).await;
        assert!(says(&answer, "KubeletHung"), "{answer:#?}");
        assert!(matches!(how(&answer), None | Some(How::Reporting)), "{:?}", answer.presence);
        let age = Timestamp::now().duration_since(answer.last_report_at.expect("it reported"));
        assert!(age < FRESH, "the last report is {age:#} old");
        looks += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let told = std::fs::read_to_string(&log).expect("a log");
    let renewed = told.matches("certificate received").count();
    // Once in its life at least, while nobody could be asked.
    assert!(renewed as u64 > began.elapsed().as_secs() / 10, "{renewed} certificates: {told}");

    hangs.store(false, Ordering::Relaxed);
    cluster.api.mend();
    cluster.aggregator.answer_when("a", "a node that is well again", well).await;
    println!(
        "{} s without kubelet and API server: {looks} answers, each with KubeletHung and none \
         silent, {renewed} certificates",
        began.elapsed().as_secs()
    );
}
