//! Checks of `egress`, each by facts that are made for it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::Outcome;
use crate::facts::{ComponentState, Reach as Connection};
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;

const TIMED_OUT: Connection = Connection::TimedOut { after_milliseconds: 2000 };

fn late() -> Connection {
    Connection::NotProbed { why: "the agent itself was held up for 900 ms".to_owned() }
}

/// What the check answers of looks at these endpoints, one a minute.
fn judged(looks: &[&[Connection]]) -> Outcome {
    let mut history = NodeHistory::default();
    let mut now = Timestamp::UNIX_EPOCH;
    for (minute, reaches) in (0..).zip(looks) {
        now = Timestamp::from_second(minute * 60).expect("minutes");
        let endpoint = |(number, reach): (usize, &Connection)| EgressEndpoint {
            endpoint: format!("{number}.example:443"),
            reach: reach.clone(),
            issuer: String::new(),
        };
        let endpoints = reaches.iter().enumerate().map(endpoint).collect();
        let facts = Egress { proxy: String::new(), endpoints };
        let state = ComponentState::Egress(State::Present(Arc::new(facts)));
        history.observe(state, now, Duration::ZERO);
    }
    judge(&history, now)
}

fn judge(history: &NodeHistory, now: Timestamp) -> Outcome {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope {
        outside: Default::default(),
        platform: Platform::Aks,
        standing: Default::default(),
    };
    blocked(history, &scope, &policy, now).outcome
}

#[test]
fn one_attempt_accuses_nobody_and_three_of_one_endpoint_do() {
    use Connection::{Reached, Refused};
    assert_eq!(judged(&[&[Reached, Reached]]).word(), "pass");
    assert_eq!(judged(&[&[Reached, TIMED_OUT]]).word(), "unknown");
    assert_eq!(judged(&[&[Reached, TIMED_OUT][..]; 3]).word(), "fail");
    // Another one each time is a network that is busy.
    let in_turn: [&[Connection]; 4] =
        [&[TIMED_OUT, Reached], &[Reached, TIMED_OUT], &[TIMED_OUT, Reached], &[Reached, Refused]];
    assert_eq!(judged(&in_turn).word(), "unknown");
    // Whatever stops it counts, and the last of it is told.
    match judged(&[&[TIMED_OUT], &[Refused], &[Connection::NoSuchName]]) {
        Outcome::Fail { message, responsible, .. } => {
            assert!(message.ends_with("no such name"), "{message}");
            assert_eq!(responsible, Responsible::Customer);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agent_that_was_held_up_ends_the_row() {
    let looks: [&[Connection]; 4] = [&[TIMED_OUT], &[TIMED_OUT], &[late()], &[TIMED_OUT]];
    assert_eq!(judged(&looks).word(), "unknown");
    assert_eq!(judged(&[&[late()][..]; 5]).word(), "unknown");
    assert_eq!(
        judged(&[&[TIMED_OUT], &[TIMED_OUT], &[TIMED_OUT], &[Connection::Reached]]).word(),
        "pass"
    );
}

#[test]
fn what_nobody_asked_for_is_neither_healthy_nor_ill() {
    let mut history = NodeHistory::default();
    let off = State::NotApplicable("not asked for".to_owned());
    history.observe(ComponentState::Egress(off), Timestamp::UNIX_EPOCH, Duration::ZERO);
    assert_eq!(judge(&history, Timestamp::UNIX_EPOCH).word(), "not_applicable");
    assert_eq!(judged(&[&[]]).word(), "not_applicable");
    assert_eq!(judge(&NodeHistory::default(), Timestamp::UNIX_EPOCH).word(), "unknown");
}
