//! Checks of `tunnel`, each by facts that are made for it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::Outcome;
use crate::facts::{ComponentState, Process};
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;
use crate::responsibility::Responsible;

fn agent(pod: &str, runs: bool, connections: TunnelConnections) -> TunnelAgent {
    let process = Process {
        pid: 7,
        started_seconds_after_boot: 1,
        executable: "/proxy-agent".to_owned(),
        executable_replaced: false,
    };
    TunnelAgent {
        pod: pod.to_owned(),
        process: runs.then_some(process),
        server: if runs { "a.example:443".to_owned() } else { String::new() },
        connections,
        health_port: None,
        listens: None,
    }
}

fn well(pod: &str) -> TunnelAgent {
    agent(pod, true, TunnelConnections::Standing)
}

fn alone(pod: &str) -> TunnelAgent {
    agent(pod, true, TunnelConnections::NoneStanding)
}

fn ended(pod: &str) -> TunnelAgent {
    agent(pod, false, TunnelConnections::Unknown("it has no process".to_owned()))
}

/// What a check answers of looks at these agents, one a minute.
fn judged(
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
    platform: Platform,
    looks: Vec<State<Tunnel>>,
) -> Outcome {
    let mut history = NodeHistory::default();
    let mut now = Timestamp::UNIX_EPOCH;
    for (minute, state) in (0..).zip(looks) {
        now = Timestamp::from_second(minute * 60).expect("minutes");
        history.observe(ComponentState::Tunnel(state), now, Duration::ZERO);
    }
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
    judge(&history, &scope, &policy, now).outcome
}

fn seen(agents: &[TunnelAgent]) -> State<Tunnel> {
    State::Present(Arc::new(Tunnel { agents: agents.to_vec() }))
}

#[test]
fn an_agent_is_alone_after_three_looks_of_its_own() {
    let said = |looks| judged(not_connected, Platform::Aks, looks).word();
    assert_eq!(said(vec![seen(&[well("a")])]), "pass");
    assert_eq!(said(vec![seen(&[alone("a")]); 2]), "unknown");
    assert_eq!(said(vec![seen(&[alone("a")]); 3]), "fail");
    // One is replaced by another, which is not connected yet.
    let replaced = vec![seen(&[alone("a")]), seen(&[alone("a")]), seen(&[alone("b")])];
    assert_eq!(said(replaced), "unknown");
    let mended = vec![seen(&[alone("a")]), seen(&[alone("a")]), seen(&[well("a")])];
    assert_eq!(said(mended), "pass");
    let unknown = agent("a", true, TunnelConnections::Unknown("EACCES".to_owned()));
    assert_eq!(said(vec![seen(&[unknown]); 3]), "unknown");
}

#[test]
fn one_that_has_ended_is_down_and_not_alone() {
    let looks = || vec![seen(&[ended("a")]); 3];
    assert_eq!(judged(down, Platform::Aks, looks()).word(), "fail");
    assert_eq!(judged(not_connected, Platform::Aks, looks()).word(), "not_applicable");
    assert_eq!(judged(down, Platform::Aks, vec![seen(&[ended("a")])]).word(), "unknown");
    assert_eq!(judged(down, Platform::Aks, vec![seen(&[alone("a")]); 3]).word(), "pass");
    match judged(down, Platform::Kubernetes, looks()) {
        Outcome::Fail { responsible, action, .. } => {
            assert_eq!(responsible, Responsible::Customer);
            assert!(matches!(action, Action::Investigate { .. }), "{action:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_none_runs_nothing_is_said_of_the_cluster() {
    let none = || vec![State::NotApplicable("it runs on some nodes".to_owned())];
    for judge in [down, not_connected] {
        assert_eq!(judged(judge, Platform::Aks, none()).word(), "not_applicable");
        assert_eq!(judged(judge, Platform::Aks, Vec::new()).word(), "unknown");
    }
}
