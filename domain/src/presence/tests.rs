//! Nodes that speak, that do not, that never did and that are no more.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::facts::{ComponentState, NodeCondition, NodeSystem, NodeTaint, SystemPods};
use crate::observed::Unavailable;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minute * 60).expect("a time of our days")
}

fn node(os: &str, ready: ConditionStatus) -> NodeObject {
    NodeObject {
        uid: "u".to_owned(),
        created_at: at(0),
        provider_id: String::new(),
        labels: Vec::new(),
        annotations: Vec::new(),
        taints: Vec::new(),
        is_unschedulable: false,
        deleted_at: None,
        system: NodeSystem { operating_system: os.to_owned(), ..NodeSystem::default() },
        conditions: vec![NodeCondition {
            kind: "Ready".into(),
            status: ready,
            reason: "".into(),
            message: "".into(),
            since: Some(at(5)),
        }],
        events: Vec::new(),
    }
}

fn presence(state: State<NodeObject>, last_report_at: Option<i64>) -> Option<Presence> {
    let mut history = NodeHistory::default();
    history.observe(ComponentState::NodeObject(state), at(50), Duration::ZERO);
    let pods = State::Present(Arc::new(SystemPods::default()));
    history.observe(ComponentState::SystemPods(pods), at(50), Duration::ZERO);
    Presence::of(&history, last_report_at.map(at), at(100))
}

fn there(node: NodeObject) -> State<NodeObject> {
    State::Present(Arc::new(node))
}

#[test]
fn how_a_node_is_present_hangs_on_its_reports_and_on_the_api_server() {
    let linux = || there(node("linux", ConditionStatus::True));
    let how = |state, last| presence(state, last).map(|one| (one.how, one.since));
    assert_eq!(how(linux(), Some(99)), Some((How::Reporting, None)));
    assert_eq!(how(linux(), Some(80)), Some((How::Silent, Some(at(80)))));
    assert_eq!(how(linux(), None), Some((How::NeverReported, Some(at(0)))));
    let windows = there(node("windows", ConditionStatus::True));
    assert_eq!(how(windows, None), Some((How::WithoutAgent, Some(at(0)))));
    assert_eq!(how(State::Absent, Some(80)), Some((How::Gone, Some(at(50)))));
    let unavailable = Unavailable { place: String::new(), why: "away".to_owned() };
    assert_eq!(how(State::Unavailable(unavailable), Some(80)), None, "nobody can say");
}

#[test]
fn a_node_that_is_gone_and_reports_is_told_so() {
    let gone = presence(State::Absent, Some(99)).expect("asked");
    assert!(gone.because.iter().any(|line| line.contains("still reports")), "{gone:?}");
}

#[test]
fn why_a_node_is_silent_is_told_with_what_is_surest_first() {
    let mut shut_down = node("linux", ConditionStatus::Unknown);
    shut_down.taints.push(NodeTaint {
        key: SHUTDOWN_TAINT.to_owned(),
        effect: String::new(),
        value: String::new(),
    });
    let because = |node| presence(there(node), Some(80)).expect("asked").because;
    assert_eq!(because(shut_down).first().map(String::as_str), Some("its machine is shut down"));
    let stuck = because(node("linux", ConditionStatus::Unknown));
    assert!(stuck.iter().any(|line| line.contains("kubelet has stopped")), "{stuck:?}");
    let ready = because(node("linux", ConditionStatus::True));
    assert!(ready.iter().any(|line| line.starts_with("no pod of the agent")), "{ready:?}");
}
