//! Checks of `api_server`, each by facts that are made for it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, find};
use crate::facts::ComponentState;
use crate::observed::State;
use crate::policy::DEFAULT_EDITION;

fn answered(status: u16) -> HttpAnswer {
    HttpAnswer::Answered { status, body: String::new() }
}

fn facts_of(reach: Connection, livez: HttpAnswer) -> ApiServer {
    let certificate = match reach {
        Connection::Reached => ServerCertificate::Verified { authority: "/ca.crt".to_owned() },
        _ => ServerCertificate::NotCompared("no certificate was shown".to_owned()),
    };
    ApiServer {
        kubeconfig: "/var/lib/kubelet/kubeconfig".to_owned(),
        server: "https://a.example:443".to_owned(),
        reach,
        livez,
        certificate,
        is_unverified: Some(false),
    }
}

fn stopped(reach: Connection) -> ApiServer {
    facts_of(reach, HttpAnswer::NotAsked { why: "the endpoint was not reached".to_owned() })
}

/// What a check answers of so many looks that all saw that.
fn judged(reason: &str, platform: Platform, looks: i64, api: &ApiServer) -> Outcome {
    let mut history = NodeHistory::default();
    let mut now = Timestamp::UNIX_EPOCH;
    for minute in 0..looks {
        now = Timestamp::from_second(minute * 60).expect("minutes");
        let state = ComponentState::ApiServer(State::Present(Arc::new(api.clone())));
        history.observe(state, now, Duration::ZERO);
    }
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
    (find(reason).expect("a check").judge)(&history, &scope, &policy, now).outcome
}

#[test]
fn a_refusal_to_answer_nobody_proves_that_it_runs() {
    for status in [200, 401, 403, 404, 429] {
        let api = facts_of(Connection::Reached, answered(status));
        for check in CHECKS {
            let said = judged(check.reason, Platform::Aks, 1, &api);
            assert_eq!(said, Outcome::Pass, "{status}: {}", check.reason);
        }
    }
    let ill = facts_of(Connection::Reached, answered(503));
    assert_eq!(judged("ApiServerUnreachable", Platform::Aks, 3, &ill), Outcome::Pass);
    assert_eq!(judged("ApiServerUnhealthy", Platform::Aks, 2, &ill).word(), "unknown");
    assert_eq!(judged("ApiServerUnhealthy", Platform::Aks, 3, &ill).word(), "fail");
}

#[test]
fn whose_side_the_fault_lies_on_decides_who_acts() {
    let responsible =
        |platform, reach| match judged("ApiServerUnreachable", platform, 3, &stopped(reach)) {
            Outcome::Fail { responsible, .. } => responsible,
            other => panic!("{other:?}"),
        };
    let timed_out = Connection::TimedOut { after_milliseconds: 2000 };
    let no_route = Connection::NoRoute { why: "no route to host".to_owned() };
    assert_eq!(responsible(Platform::Aks, Connection::NoSuchName), Responsible::Customer);
    assert_eq!(responsible(Platform::Aks, no_route), Responsible::Customer);
    let unclear = responsible(Platform::Aks, timed_out.clone());
    assert!(matches!(unclear, Responsible::Unknown { .. }), "{unclear:?}");
    assert_eq!(responsible(Platform::Kubernetes, timed_out), Responsible::Customer);
    let unclear = responsible(Platform::Unknown, Connection::Refused);
    assert!(matches!(unclear, Responsible::Unknown { .. }), "{unclear:?}");
}

const UNVERIFIED: &str = "ApiServerUnverified";

#[test]
fn whoever_believes_anybody_is_told_so_and_compares_nothing() {
    let mut api = facts_of(Connection::Reached, answered(401));
    assert_eq!(judged(UNVERIFIED, Platform::Aks, 1, &api), Outcome::Pass);
    api.is_unverified = None;
    assert_eq!(judged(UNVERIFIED, Platform::Aks, 1, &api).word(), "unknown");
    api.is_unverified = Some(true);
    api.certificate = ServerCertificate::NotCompared("whoever answers is believed".to_owned());
    assert_eq!(judged(UNVERIFIED, Platform::Aks, 1, &api).word(), "fail");
    let compared = judged("ApiServerCertificateUnknown", Platform::Aks, 1, &api);
    assert_eq!(compared.word(), "not_applicable");
}

#[test]
fn one_that_is_not_reached_is_told_once_and_one_that_was_not_tried_is_unknown() {
    let refused = stopped(Connection::Refused);
    assert_eq!(judged("ApiServerUnreachable", Platform::Aks, 2, &refused).word(), "unknown");
    for reason in ["ApiServerUnhealthy", "ApiServerCertificateUnknown"] {
        assert_eq!(judged(reason, Platform::Aks, 3, &refused).word(), "not_applicable");
    }
    let not_tried = stopped(Connection::NotProbed { why: "another network".to_owned() });
    // What the kubeconfig says is known all the same.
    for check in CHECKS.iter().filter(|check| check.reason != UNVERIFIED) {
        let said = judged(check.reason, Platform::Aks, 3, &not_tried);
        assert_eq!(said.word(), "unknown", "{}", check.reason);
    }
    // The handshake is answered, and nothing else.
    let silent = HttpAnswer::TimedOut { after_milliseconds: 1000 };
    let hung = facts_of(Connection::Reached, silent);
    assert_eq!(judged("ApiServerUnreachable", Platform::Aks, 3, &hung).word(), "fail");
}
