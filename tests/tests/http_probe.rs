//! HTTP probes against stand-ins: every way in which an endpoint answers or does not is
//! told from every other, within its limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use nodeward_agent::probe::Probes;
use nodeward_agent::probe::http::{Get, Keep, Reply};
use nodeward_domain::facts::HttpAnswer;
use nodeward_tests::capture::Capture;
use nodeward_tests::standin::{Answer, Does, Standin, answer};

/// Long enough for a stand-in that answers, short enough to wait for one that does not.
const LIMIT: Duration = Duration::from_millis(1500);

/// Asks as collectors do: from a thread that may block.
async fn ask<const N: usize>(gets: [Get; N]) -> [Reply; N] {
    let probes = Probes::Live { runtime: tokio::runtime::Handle::current() };
    tokio::task::spawn_blocking(move || probes.http(gets)).await.expect("no panic")
}

async fn one(address: SocketAddr, path: &str) -> Reply {
    let [reply] = ask([Get::whole(address, path, LIMIT)]).await;
    reply
}

fn answered(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer::Answered { status, body: body.to_owned() }
}

#[tokio::test]
async fn each_way_of_not_being_well_is_told_from_every_other() {
    let serving = Standin::by_path([
        ("/ok", answer(200, "ok")),
        ("/ill", answer(503, "[+]ping ok\n[-]sync failed: reason withheld\n")),
        ("/hang", Does::Hang),
        ("/hang-up", Does::HangUp),
        ("/long", answer(200, vec![b'x'; 70_000])),
    ]);
    let at = serving.address();
    assert_eq!(one(at, "/ok").await.answer, answered(200, "ok"));
    let ill = one(at, "/ill").await;
    assert_eq!(ill.answer, answered(503, "[-]sync failed: reason withheld"));
    assert_eq!(ill.body, "[+]ping ok\n[-]sync failed: reason withheld\n");
    assert_eq!(one(at, "/elsewhere").await.answer, answered(404, "404 page not found"));
    for (path, says) in [("/hang-up", "HTTP: "), ("/long", "longer than the 65536 bytes")] {
        match one(at, path).await.answer {
            HttpAnswer::Failed { why } => assert!(why.contains(says), "{path}: {why}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    let silent = HttpAnswer::TimedOut { after_milliseconds: 1500 };
    assert_eq!(one(at, "/hang").await.answer, silent);
    assert_eq!(one(Standin::stopped().address(), "/ok").await.answer, silent);
    assert_eq!(one(Standin::gone().address(), "/ok").await.answer, HttpAnswer::Refused);
}

#[tokio::test]
async fn an_address_of_another_machine_is_never_asked() {
    // The address of Azure's instance metadata, which a process's arguments might name.
    let reply = one("169.254.169.254:80".parse().expect("an address"), "/").await;
    match reply.answer {
        HttpAnswer::NotAsked { why } => assert!(why.contains("not an address of this"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_endpoint_on_ipv6_alone_is_asked_there() {
    let over = |stream| Ok(Box::new(stream) as Box<_>);
    let serving = Standin::serving_on(Ipv6Addr::LOCALHOST.into(), over, |_| answer(200, "six"));
    assert_eq!(one(serving.address(), "/").await.answer, answered(200, "six"));
    let asked = serving.asked().pop().expect("one question");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/"));
    assert_eq!(asked.headers["host"], serving.address().to_string());
}

#[tokio::test]
async fn several_that_hang_cost_one_limit() {
    let stopped = Standin::stopped();
    let started = Instant::now();
    let replies = ask([(); 4].map(|()| Get::whole(stopped.address(), "/", LIMIT))).await;
    assert!(started.elapsed() < 2 * LIMIT, "{:?}", started.elapsed());
    let silent = HttpAnswer::TimedOut { after_milliseconds: 1500 };
    assert!(replies.iter().all(|reply| reply.answer == silent), "{replies:?}");
}

#[tokio::test]
async fn of_metrics_the_named_series_are_kept_and_a_slow_answer_is_waited_for() {
    let body: String = (0..50_000).map(|number| format!("other{{le=\"{number}\"}} 1\n")).collect();
    let body = format!("# TYPE wanted gauge\nwanted 1\n{body}wanted{{a=\"b\"}} 2\n").into_bytes();
    let delay = Duration::from_millis(300);
    let metrics = Standin::serving(move |_| {
        Does::Answer(Answer { status: 200, headers: Vec::new(), body: body.clone(), delay })
    });
    let keep = Keep::Lines(|line| line.starts_with("wanted"));
    let limit = Duration::from_secs(5);
    let get = Get { keep, ..Get::whole(metrics.address(), "/metrics", limit) };
    let [reply] = ask([get]).await;
    assert_eq!(reply.answer, answered(200, ""));
    assert_eq!(reply.body, "wanted 1\nwanted{a=\"b\"} 2\n");
}

#[tokio::test]
async fn recorded_servers_are_played_as_they_were() {
    for (state, status) in [("healthy", 200), ("kubeproxy-nosync-75s", 503)] {
        let Some(capture) = Capture::of(state) else { return };
        let health = capture.standin("kube-proxy-10256");
        let reply = one(health.address(), "/livez").await;
        assert!(
            matches!(reply.answer, HttpAnswer::Answered { status: seen, .. } if seen == status)
        );
        assert!(reply.body.contains("\"currentTime\""), "{state}: {}", reply.body);
    }
    let gone = Capture::of("kubeproxy-killed").expect("a corpus").standin("kube-proxy-10249");
    assert_eq!(one(gone.address(), "/proxyMode").await.answer, HttpAnswer::Refused);
    let stopped = Capture::of("kubelet-sigstop-8s").expect("a corpus").standin("kubelet-10248");
    let silent = HttpAnswer::TimedOut { after_milliseconds: 1500 };
    assert_eq!(one(stopped.address(), "/healthz").await.answer, silent);
}
