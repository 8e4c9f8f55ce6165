//! Who acts, by cause and by the state of the repair; what is no outage.

use super::*;
use crate::answer::About;
use crate::auto_repair::{Phase, RepairEvent, RepairStep};
use crate::check::{Outside, Severity};
use crate::policy::DEFAULT_EDITION;
use crate::responsibility::Automation;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minute * 60).expect("a time of our days")
}

fn policy() -> Policy {
    Policy::edition(DEFAULT_EDITION).expect("a shipped edition")
}

/// The answer about an AKS node with those findings, at a minute.
fn node(findings: Vec<Finding>, minute: i64) -> NodeAnswer {
    let about = About { cluster: "c", node: "n", last_report_at: Some(at(minute)), agent: None };
    let history = NodeHistory::default();
    let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), &policy(), at(minute));
    NodeAnswer { platform: Platform::Aks, findings, incomplete: Vec::new(), ..answer }
}

fn finding(reason: &str, severity: Severity, minute: i64) -> Finding {
    Finding {
        reason: reason.to_owned(),
        component: Component::Containerd,
        severity,
        message: "is broken".to_owned(),
        since: at(minute),
        responsible: Responsible::Automation { by: Automation::AutoRepair },
        action: Action::Wait { until: None },
        policy_rule: "auto-remediate-components".to_owned(),
        evidence: Vec::new(),
    }
}

fn change(minute: i64) -> Finding {
    Finding {
        responsible: Responsible::Customer,
        action: Action::Revert { change: "99-proxy.toml".to_owned() },
        policy_rule: "kubernetes-native-change".to_owned(),
        ..finding("Changed", Severity::Warning, minute)
    }
}

fn why(answer: &NodeAnswer, cluster: Option<&ClusterView>) -> WhyAnswer {
    WhyAnswer::of(answer, &NodeHistory::default(), cluster, &policy())
}

fn view(is_ready: bool, excluded_by: Option<Exclusion>) -> ClusterView {
    ClusterView { is_ready, since: at(0), events: Vec::new(), excluded_by }
}

#[test]
fn while_the_repair_can_act_it_is_its_turn_and_then_the_providers() {
    let down = || vec![finding("Down", Severity::Critical, 0)];
    for (minute, who) in [
        (10, Responsible::Automation { by: Automation::AutoRepair }),
        (60, Responsible::Automation { by: Automation::AutoRepair }),
        (80, Responsible::Provider),
    ] {
        let told = why(&node(down(), minute), None);
        assert_eq!((told.condition, told.since), (Condition::Ill, Some(at(0))));
        assert_eq!(told.responsible, Some(who), "minute {minute}");
        // By the clock alone: what is not known is said.
        assert!(told.repair.is_estimated && !told.complete);
        assert_eq!(told.standing(), Standing::Findings);
    }
}

#[test]
fn a_change_makes_it_the_customers_and_the_repair_cannot_help() {
    let told = why(&node(vec![finding("Down", Severity::Critical, 0), change(-5)], 10), None);
    assert_eq!(told.responsible, Some(Responsible::Customer));
    assert_eq!(told.action, Some(Action::Revert { change: "99-proxy.toml".to_owned() }));
    assert!(told.because.contains("CANNOT help"), "{}", told.because);
    let chain: Vec<&str> = told.chain.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(chain, ["Changed: is broken", "Down: is broken"]);
}

#[test]
fn what_keeps_the_repair_away_is_the_customers_to_look_at() {
    let down = node(vec![finding("Down", Severity::Critical, 0)], 10);
    let told = why(&down, Some(&view(false, Some(Exclusion::Shutdown))));
    assert_eq!(told.responsible, Some(Responsible::Customer));
    assert!(told.because.contains("shutdown"), "{}", told.because);
    assert!(!told.repair.is_estimated && told.repair.unknown.is_empty());
}

#[test]
fn a_node_in_maintenance_is_no_outage() {
    let down = node(vec![finding("Down", Severity::Critical, 0)], 10);
    let told = why(&down, Some(&view(false, Some(Exclusion::Upgrade))));
    assert_eq!((told.condition, told.responsible), (Condition::Maintenance, None));
    assert_ne!(told.repair.state, RepairState::Idle);
}

#[test]
fn events_of_the_repair_stand_in_the_chain_and_decide_where_it_is() {
    let down = node(vec![finding("Down", Severity::Critical, 0)], 25);
    let events = vec![RepairEvent { at: at(16), step: RepairStep::Reboot, phase: Phase::Start }];
    let told = why(&down, Some(&ClusterView { events, ..view(false, None) }));
    let step = RepairStep::Reboot;
    assert_eq!(told.repair.state, RepairState::Running { step, round: 1, since: at(16) });
    assert_eq!(
        told.chain.last().map(|event| event.what.as_str()),
        Some("auto-repair: reboot begins")
    );
}

#[test]
fn a_silent_node_is_not_called_ill_or_well() {
    let mut silent = node(vec![finding("Down", Severity::Critical, 0)], 60);
    silent.last_report_at = Some(at(20));
    let told = why(&silent, None);
    assert_eq!((told.condition, told.since), (Condition::Silent, Some(at(20))));
    // A finding that is known beats what is not.
    assert_eq!(told.standing(), Standing::Findings);
    assert_eq!(told.repair.state, RepairState::Untold);
    silent.findings.clear();
    assert_eq!(why(&silent, None).standing(), Standing::Incomplete);
}

#[test]
fn what_breaks_nothing_makes_no_node_ill() {
    let told = why(&node(vec![change(0)], 10), None);
    assert_eq!((told.condition, told.since), (Condition::Well, None));
    assert_eq!(told.beside.len(), 1);
    assert_eq!(told.chain, []);
}

#[test]
fn what_breaks_nothing_is_a_finding_and_somebodys_turn_all_the_same() {
    let mut known = node(vec![change(0)], 10);
    let told = why(&known, None);
    assert_eq!(told.responsible, Some(Responsible::Customer));
    assert_eq!(told.action, Some(Action::Revert { change: "99-proxy.toml".to_owned() }));
    assert!(told.because.starts_with("Changed was found"), "{}", told.because);
    assert_eq!(told.standing(), Standing::Findings);
    // Beside it something else is not known.
    known.incomplete.push("one thing".to_owned());
    assert_eq!(why(&known, None).standing(), Standing::Findings);
    known.findings.clear();
    assert_eq!(why(&known, None).standing(), Standing::Incomplete);
    known.incomplete.clear();
    let told = why(&known, None);
    assert_eq!((told.standing(), told.responsible), (Standing::Clean, None));
    // What an upgrade breaks is no outage; what else was found stays one.
    let view = view(false, Some(Exclusion::Upgrade));
    let down = || finding("Down", Severity::Critical, 0);
    assert_ne!(why(&node(vec![down()], 10), Some(&view)).standing(), Standing::Findings);
    let mut beside = change(0);
    beside.component = Component::Packages;
    let told = why(&node(vec![down(), beside], 10), Some(&view));
    assert_eq!((told.condition, told.standing()), (Condition::Maintenance, Standing::Findings));
}

#[test]
fn siblings_are_counted_by_pool_and_by_image() {
    let sibling = |node: &str, is_of_pool, is_of_image, reasons: &[&str]| Sibling {
        node: node.to_owned(),
        is_of_pool,
        is_of_image,
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    };
    let findings = vec![finding("Down", Severity::Critical, 0), change(-5)];
    let told = why(&node(findings, 10), None).with_siblings(&[
        sibling("b", true, true, &["Changed"]),
        sibling("a", true, false, &["Changed", "Down"]),
        sibling("d", false, true, &[]),
    ]);
    let reasons: Vec<&str> = told.siblings.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons, ["Changed", "Down"]);
    assert_eq!((told.siblings[0].pool, told.siblings[0].image), ((2, 2), (1, 2)));
    assert_eq!((told.siblings[1].pool, told.siblings[1].image), ((1, 2), (0, 2)));
    assert_eq!(told.siblings[0].examples, ["a", "b"]);
}
