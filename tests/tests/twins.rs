//! Every check can fail, and fails alone: each has a twin of a healthy host root on which
//! it is the one finding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::collect::COLLECTOR_LIMIT;
use nodeward_agent::probe::Recording;
use nodeward_domain::answer::{About, NodeAnswer};
use nodeward_domain::check::{CONFIRMATIONS, Outside, registry, settle};
use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_tests::host::HostCopy;
use nodeward_tests::project::answers;
use nodeward_tests::twin::{Twin, objects};

/// The moment at which host roots of the tests are looked at.
const NOW: &str = "2026-11-24T12:00:00Z";

/// The reasons of all findings on a node of which the API server tells, and its agent too where
/// it has one, after as many rounds as a weak probe needs.
async fn findings_of_cluster(base: &str, twin: Option<&Twin>) -> Vec<String> {
    let now: Timestamp = NOW.parse().expect("a moment");
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let mut history = NodeHistory::default();
    let has_agent = nodeward_tests::project::root().join("tests/hosts").join(base).is_dir();
    if has_agent {
        let mut host = HostCopy::of(base);
        host.answer_with(Recording::read(&answers(base)).expect("a recording"));
        let observations = host.round(COLLECTOR_LIMIT).await;
        let measured =
            observations.iter().fold(Default::default(), |all, one| one.measured.or(all));
        history.measured.observe(measured, now);
        for observation in observations {
            history.observe(observation.state, now, observation.took);
        }
    }
    let (node, pods) = objects(base, twin, now);
    let (node, pods) = (Arc::new(node), Arc::new(pods));
    for at in Twin::looked_at(twin, now) {
        let node = ComponentState::NodeObject(State::Present(Arc::clone(&node)));
        let pods = ComponentState::SystemPods(State::Present(Arc::clone(&pods)));
        history.observe(node, at, Duration::ZERO);
        history.observe(pods, at, Duration::ZERO);
        settle(&mut history, &Component::OF_CLUSTER.into_iter().collect(), &policy, at);
    }
    let last_report_at = has_agent.then_some(now);
    let about = About { cluster: "c", node: "n", last_report_at, agent: None };
    let truth = Twin::cluster(twin, now);
    let images = Images::default();
    let feeds = twin.map(Twin::held).unwrap_or_default().states();
    let outside = Outside {
        feeds: Some(&feeds),
        images: Some(&images),
        cluster: Some(&truth),
        ..Outside::default()
    };
    let (answer, _) = NodeAnswer::of(about, &history, outside, &policy, now);
    answer.findings.into_iter().map(|finding| finding.reason).collect()
}

/// Lets a round of a host root be observed at that moment.
async fn observe(history: &mut NodeHistory, host: &HostCopy, policy: &Policy, at: Timestamp) {
    let observations = host.round(COLLECTOR_LIMIT).await;
    let measured = observations.iter().fold(Default::default(), |all, one| one.measured.or(all));
    history.measured.observe(measured, at);
    for observation in observations {
        history.observe(observation.state, at, observation.took);
    }
    settle(history, &Component::ALL.into_iter().collect(), policy, at);
}

/// The reasons of all findings at that moment. What is known beside the node is the twin's;
/// nothing of an unchanged host root.
fn told(
    history: &NodeHistory,
    twin: Option<&Twin>,
    policy: &Policy,
    now: Timestamp,
) -> Vec<String> {
    let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
    let held = twin.map(Twin::held).unwrap_or_default();
    let (feeds, bulletins) = (held.states(), held.bulletins().cloned().collect::<Vec<_>>());
    let images = twin.map(|twin| twin.images(history.packages.present())).unwrap_or_default();
    let pool = twin.and_then(Twin::pool);
    let siblings = twin.and_then(|twin| twin.siblings(history));
    let outside = Outside {
        feeds: Some(&feeds),
        bulletins: &bulletins,
        images: Some(&images),
        pool: pool.as_ref(),
        siblings: siblings.as_ref(),
        cluster: None,
        presented: twin.map(Twin::credential).unwrap_or_default(),
    };
    let (answer, _) = NodeAnswer::of(about, history, outside, policy, now);
    answer.findings.into_iter().map(|finding| finding.reason).collect()
}

/// The reasons of all findings after as many rounds as a weak probe needs, in each of
/// which local endpoints answer what `answers` has for it.
async fn findings(
    mut host: HostCopy,
    twin: Option<&Twin>,
    answers: impl Fn(usize) -> Recording,
) -> Vec<String> {
    let now: Timestamp = NOW.parse().expect("a moment");
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let mut history = NodeHistory::default();
    for round in 1..=CONFIRMATIONS {
        let at = now - SignedDuration::from_secs(30 * i64::from(CONFIRMATIONS - round));
        host.answer_with(answers(round as usize - 1));
        observe(&mut history, &host, &policy, at).await;
    }
    told(&history, twin, &policy, now)
}

/// Files, access, certificates and Docker are judged by what is: what is put right clears
/// by itself.
#[tokio::test]
async fn what_is_put_right_clears_by_itself() {
    const JUDGED_AT_ONCE: [Component; 4] =
        [Component::Files, Component::NodeAccess, Component::Certificates, Component::Docker];
    let now: Timestamp = NOW.parse().expect("a moment");
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let mut cleared = 0;
    // What a connection shows is no part of a host root; see the tests of identity.
    let of_hosts = registry().filter(|check| check.reason != "AgentCertificateExpiring");
    for check in of_hosts.filter(|check| JUDGED_AT_ONCE.contains(&check.component)) {
        for (name, twin) in Twin::of(check.reason) {
            let mut history = NodeHistory::default();
            let before = now - SignedDuration::from_secs(30);
            observe(&mut history, &twin.made(), &policy, before).await;
            let failed = told(&history, Some(&twin), &policy, before);
            assert!(failed.iter().any(|reason| reason == check.reason), "{name}: {failed:?}");
            observe(&mut history, &HostCopy::of(&twin.base), &policy, now).await;
            assert_eq!(told(&history, Some(&twin), &policy, now), Vec::<String>::new(), "{name}");
            cleared += 1;
        }
    }
    assert!(cleared >= 12, "{cleared}");
}

#[tokio::test]
async fn every_check_fails_alone_on_its_twin() {
    let mut healthy = BTreeSet::new();
    let mut wrong = Vec::new();
    for (check, name, twin) in registry()
        .filter(|check| !check.component.is_of_cluster())
        .flat_map(|check| Twin::of(check.reason).into_iter().map(move |(n, twin)| (check, n, twin)))
    {
        assert!(!twin.story.is_empty(), "{name}: nobody says what happened");
        if healthy.insert(twin.base.clone()) {
            let recording = Recording::read(&answers(&twin.base)).expect("a recording");
            let found = findings(HostCopy::of(&twin.base), None, |_| recording.clone()).await;
            assert_eq!(found, Vec::<String>::new(), "{} is not healthy", twin.base);
        }
        let found = findings(twin.made(), Some(&twin), |round| twin.answers(round)).await;
        let mut expected = twin.beside.clone();
        expected.push(check.reason.to_owned());
        if found.iter().collect::<BTreeSet<_>>() != expected.iter().collect::<BTreeSet<_>>() {
            wrong.push(format!("{name}: found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_check_of_the_api_server_fails_alone_on_its_twin() {
    let mut healthy = BTreeSet::new();
    let mut wrong = Vec::new();
    for check in registry().filter(|check| check.component.is_of_cluster()) {
        for (name, twin) in Twin::of(check.reason) {
            assert!(!twin.story.is_empty(), "{name}: nobody says what happened");
            if healthy.insert(twin.base.clone()) {
                let found = findings_of_cluster(&twin.base, None).await;
                assert_eq!(found, Vec::<String>::new(), "{} is not healthy", twin.base);
            }
            let found = findings_of_cluster(&twin.base, Some(&twin)).await;
            let mut expected = twin.beside.clone();
            expected.push(check.reason.to_owned());
            if found.iter().collect::<BTreeSet<_>>() != expected.iter().collect::<BTreeSet<_>>() {
                wrong.push(format!("{name}: found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_twin_is_of_a_check() {
    let folder = nodeward_tests::project::root().join("tests/twins");
    for entry in std::fs::read_dir(folder).expect("the twins") {
        let name = entry.expect("readable").file_name().into_string().expect("text");
        let name = name.strip_suffix(".toml").expect("a twin is a TOML file");
        let reason = name.split('.').next();
        assert!(registry().any(|check| Some(check.reason) == reason), "{name} is of no check");
    }
}
