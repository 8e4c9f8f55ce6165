//! Checks of `dns`, each by facts that are made for it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, find};
use crate::facts::{
    ApiServer, ComponentState, HttpAnswer, Nameserver, Reach as Connection, ServerCertificate,
};
use crate::observed::{State, Unavailable};
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).expect("a small number of minutes")
}

fn file(path: &str, nameservers: &[&str]) -> ResolverFile {
    ResolverFile {
        path: path.to_owned(),
        is_there: true,
        nameservers: nameservers.iter().map(|one| (*one).to_owned()).collect(),
        search: Vec::new(),
        options: Vec::new(),
    }
}

fn answered(code: &str) -> NameserverAnswer {
    NameserverAnswer::Answered { code: code.to_owned() }
}

const SILENT: NameserverAnswer = NameserverAnswer::TimedOut { after_milliseconds: 3000 };

fn not_asked() -> NameserverAnswer {
    NameserverAnswer::NotAsked { why: "another network".to_owned() }
}

/// A node with those nameservers, each with its answer, and no kubelet.
fn node(answers: &[(&str, NameserverAnswer)]) -> Dns {
    let addresses: Vec<&str> = answers.iter().map(|(address, _)| *address).collect();
    let nameserver = |(address, answer): &(&str, NameserverAnswer)| Nameserver {
        address: (*address).to_owned(),
        answer: answer.clone(),
    };
    Dns {
        node: file("/etc/resolv.conf", &addresses),
        uplink: None,
        pods: PodResolver::NoKubelet,
        nameservers: answers.iter().map(nameserver).collect(),
        local_dns: LocalDns::NotUsed,
    }
}

/// What a check answers of looks, one a minute, and the last of them now.
fn judged(reason: &str, looks: Vec<Dns>) -> Outcome {
    let mut history = NodeHistory::default();
    let mut now = at(0);
    for (minute, dns) in (0..).zip(looks) {
        now = at(minute);
        let state = ComponentState::Dns(State::Present(Arc::new(dns)));
        history.observe(state, now, Duration::ZERO);
    }
    judge(reason, &history, now)
}

fn judge(reason: &str, history: &NodeHistory, now: Timestamp) -> Outcome {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope {
        outside: Default::default(),
        platform: Platform::Plain,
        standing: Default::default(),
    };
    (find(reason).expect("a check").judge)(history, &scope, &policy, now).outcome
}

#[test]
fn one_lost_datagram_is_no_silent_nameserver() {
    let well = || node(&[("192.0.2.1", answered("NOERROR")), ("192.0.2.2", answered("NOERROR"))]);
    let first = || node(&[("192.0.2.1", SILENT), ("192.0.2.2", answered("NOERROR"))]);
    let second = || node(&[("192.0.2.1", answered("NOERROR")), ("192.0.2.2", SILENT)]);
    let said = |looks| judged("NameserverUnreachable", looks).word();
    assert_eq!(said(vec![well(), well(), first()]), "unknown");
    assert_eq!(said(vec![first(), well(), first(), well(), first()]), "unknown");
    // Two that are silent in turn are not one that is.
    assert_eq!(said(vec![first(), second(), first(), second()]), "unknown");
    assert_eq!(said(vec![first(), first(), first()]), "fail");
    assert_eq!(said(vec![first(), first(), first(), well()]), "pass");
}

#[test]
fn a_row_of_one_lasts_while_another_comes_and_goes() {
    let both = || node(&[("192.0.2.1", SILENT), ("192.0.2.2", answered("SERVFAIL"))]);
    let first = || node(&[("192.0.2.1", SILENT), ("192.0.2.2", answered("NOERROR"))]);
    match judged("NameserverUnreachable", vec![both(), first(), both()]) {
        Outcome::Fail { message, since, .. } => {
            assert!(message.contains("192.0.2.1"), "{message}");
            assert_eq!(since, at(0));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(judged("NameserverFailing", vec![both(), first(), both()]).word(), "unknown");
    assert_eq!(judged("NameserverFailing", vec![both(), both(), both()]).word(), "fail");
}

#[test]
fn a_server_that_refuses_to_tell_of_the_root_answers_and_proves_nothing() {
    for code in ["REFUSED", "NOTIMP"] {
        let refusing =
            || node(&[("192.0.2.1", answered(code)), ("192.0.2.2", answered("NOERROR"))]);
        for reason in ["AllNameserversUnreachable", "NameserverUnreachable"] {
            assert_eq!(judged(reason, vec![refusing(); 3]).word(), "pass", "{reason}");
        }
        assert_eq!(judged("NameserverFailing", vec![refusing(); 3]).word(), "unknown", "{code}");
    }
}

#[test]
fn who_serves_some_names_alone_is_not_accused_of_failing() {
    let judged_with = |server: &str, reach: Connection, second: &str| {
        let mut history = NodeHistory::default();
        for minute in 0..3 {
            let dns = node(&[("192.0.2.1", answered("SERVFAIL")), ("192.0.2.2", answered(second))]);
            let state = ComponentState::Dns(State::Present(Arc::new(dns)));
            history.observe(state, at(minute), Duration::ZERO);
        }
        let api = ApiServer {
            kubeconfig: "/k".to_owned(),
            server: server.to_owned(),
            reach,
            livez: HttpAnswer::NotAsked { why: "no".to_owned() },
            certificate: ServerCertificate::NotCompared("no".to_owned()),
            is_unverified: Some(false),
        };
        let state = ComponentState::ApiServer(State::Present(Arc::new(api)));
        history.observe(state, at(2), Duration::ZERO);
        judge("NameserverFailing", &history, at(2)).word()
    };
    const NAMED: &str = "https://a.example:443";
    let not_resolved = || Connection::NotResolved { why: "SERVFAIL".to_owned() };
    assert_eq!(judged_with(NAMED, Connection::Reached, "SERVFAIL"), "unknown");
    assert_eq!(judged_with(NAMED, Connection::Refused, "REFUSED"), "unknown");
    assert_eq!(judged_with(NAMED, not_resolved(), "SERVFAIL"), "fail");
    // The other one may have found the name, and an address is no name.
    assert_eq!(judged_with(NAMED, Connection::Reached, "NOERROR"), "fail");
    assert_eq!(judged_with("https://192.0.2.7:6443", Connection::Reached, "SERVFAIL"), "fail");
}

#[test]
fn all_of_one_file_are_told_once() {
    let dead = || node(&[("192.0.2.1", SILENT), ("192.0.2.2", NameserverAnswer::Refused)]);
    assert_eq!(judged("AllNameserversUnreachable", vec![dead(); 2]).word(), "unknown");
    assert_eq!(judged("AllNameserversUnreachable", vec![dead(); 3]).word(), "fail");
    assert_eq!(judged("NameserverUnreachable", vec![dead(); 3]).word(), "not_applicable");
    // Pods ask another than the node, and that one is dead.
    let pods = || Dns {
        pods: PodResolver::File(file("/run/a", &["192.0.2.9"])),
        nameservers: vec![
            Nameserver { address: "192.0.2.1".to_owned(), answer: answered("NOERROR") },
            Nameserver { address: "192.0.2.9".to_owned(), answer: SILENT },
        ],
        ..node(&[("192.0.2.1", answered("NOERROR"))])
    };
    match judged("AllNameserversUnreachable", vec![pods(); 3]) {
        Outcome::Fail { message, .. } => assert!(message.contains("/run/a"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_not_asked_is_unknown() {
    let some = || node(&[("192.0.2.1", SILENT), ("192.0.2.2", not_asked())]);
    for reason in ["AllNameserversUnreachable", "NameserverUnreachable", "NameserverFailing"] {
        assert_eq!(judged(reason, vec![node(&[("192.0.2.1", not_asked())]); 3]).word(), "unknown");
    }
    assert_eq!(judged("AllNameserversUnreachable", vec![some(); 3]).word(), "unknown");
    let mut history = NodeHistory::default();
    let unread = Unavailable { place: "/etc/resolv.conf".to_owned(), why: "EACCES".to_owned() };
    history.observe(ComponentState::Dns(State::Unavailable(unread)), at(0), Duration::ZERO);
    for check in CHECKS {
        assert_eq!(judge(check.reason, &history, at(0)).word(), "unknown", "{}", check.reason);
    }
}

#[test]
fn without_a_named_nameserver_that_on_loopback_decides() {
    let implied = |answer: NameserverAnswer| Dns {
        node: ResolverFile { is_there: false, ..file("/etc/resolv.conf", &[]) },
        ..node(&[("127.0.0.1", answer)])
    };
    let said = |answer: NameserverAnswer, looks| {
        judged("ResolverConfigurationMissing", vec![implied(answer); looks]).word()
    };
    assert_eq!(said(answered("NOERROR"), 1), "pass");
    assert_eq!(said(NameserverAnswer::Refused, 1), "unknown");
    assert_eq!(said(NameserverAnswer::Refused, 3), "fail");
    assert_eq!(said(not_asked(), 3), "unknown");
    let all = vec![implied(NameserverAnswer::Refused); 3];
    assert_eq!(judged("AllNameserversUnreachable", all.clone()).word(), "not_applicable");
    assert_eq!(judged("NameserverUnreachable", all).word(), "not_applicable");
}

#[test]
fn a_loop_is_that_of_pods_alone() {
    let stub = |pods| vec![Dns { pods, ..node(&[("127.0.0.53", answered("NOERROR"))]) }];
    let said = |pods| judged("ResolverLoop", stub(pods)).word();
    assert_eq!(said(PodResolver::File(file("/etc/resolv.conf", &["127.0.0.53"]))), "fail");
    assert_eq!(said(PodResolver::File(file("/a", &["::1"]))), "fail");
    assert_eq!(said(PodResolver::File(file("/a", &["168.63.129.16"]))), "pass");
    // A fourth is handed to nobody.
    let four = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"];
    assert_eq!(said(PodResolver::File(file("/a", &four))), "pass");
    assert_eq!(said(PodResolver::NoKubelet), "not_applicable");
    assert_eq!(said(PodResolver::Off), "not_applicable");
    assert_eq!(said(PodResolver::Unreadable("EACCES".to_owned())), "unknown");
}

#[test]
fn a_localdns_that_starts_anew_is_none_that_is_down() {
    let with = |local_dns| Dns { local_dns, ..node(&[("169.254.10.10", answered("NOERROR"))]) };
    let unit = |state: &str| with(LocalDns::Unit(state.to_owned()));
    let said = |looks| judged("LocalDnsDown", looks).word();
    assert_eq!(said(vec![unit("active (running)")]), "pass");
    let starts = vec![unit("active (running)"), unit("activating (auto-restart)")];
    assert_eq!(said(starts), "unknown");
    assert_eq!(said(vec![unit("failed (failed)"); 3]), "fail");
    assert_eq!(said(vec![with(LocalDns::NoUnit); 3]), "fail");
    assert_eq!(said(vec![with(LocalDns::NotUsed); 3]), "not_applicable");
    assert_eq!(said(vec![with(LocalDns::Unreadable("no bus".to_owned())); 3]), "unknown");
}
