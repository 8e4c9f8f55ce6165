//! The checks on made-up nodes: each fails for its own cause alone, and is unknown where the
//! API server does not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::CHECKS;
use crate::check::{Judged, Outcome, Outside, judge_node, settle};
use crate::cluster::ClusterTruth;
use crate::component::Component;
use crate::facts::{
    ComponentState, ConditionStatus, Label, NodeCondition, NodeEvent, NodeObject, NodeSystem,
    NodeTaint, SystemPod, SystemPods,
};
use crate::node::NodeHistory;
use crate::observed::{State, Unavailable};
use crate::policy::{DEFAULT_EDITION, Policy};
use crate::responsibility::{Automation, Responsible};

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn before(minutes: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_mins(minutes)).expect("in range")
}

fn label(key: &str, value: &str) -> Label {
    Label { key: key.into(), value: value.into() }
}

fn condition(kind: &str, status: ConditionStatus, reason: &str) -> NodeCondition {
    NodeCondition {
        kind: kind.into(),
        status,
        reason: reason.into(),
        message: "".into(),
        since: Some(before(30)),
    }
}

/// A node of AKS that is well.
fn well() -> NodeObject {
    NodeObject {
        uid: "4d2ee5a3-6f0e-4f7e-9a2f-0d2f54f0a001".to_owned(),
        created_at: before(60 * 24 * 10),
        provider_id: "azure:///subscriptions/0/virtualMachines/0".to_owned(),
        labels: vec![
            label("kubernetes.azure.com/cluster", "MC_rg_c_westeurope"),
            label("kubernetes.azure.com/scalesetpriority", "spot"),
            label(
                "kubernetes.azure.com/node-image-version",
                "AKSUbuntu-2204gen2containerd-202611.17.0",
            ),
        ],
        annotations: vec![
            label("kubernetes.azure.com/live-patching-golden-timestamp", "20261101T000000Z"),
            label("kubernetes.azure.com/live-patching-current-timestamp", "20261101T000000Z"),
        ],
        taints: vec![NodeTaint {
            key: "kubernetes.azure.com/scalesetpriority".to_owned(),
            effect: "NoSchedule".to_owned(),
            value: "spot".to_owned(),
        }],
        is_unschedulable: false,
        deleted_at: None,
        system: NodeSystem {
            operating_system: "linux".to_owned(),
            kubelet_version: "v1.34.2".to_owned(),
            ..NodeSystem::default()
        },
        conditions: vec![
            condition("DiskPressure", ConditionStatus::False, "KubeletHasNoDiskPressure"),
            condition("KubeletProblem", ConditionStatus::False, "KubeletIsUp"),
            condition("NetworkUnavailable", ConditionStatus::False, "RouteCreated"),
            condition("Ready", ConditionStatus::True, "KubeletReady"),
            condition("VMEventScheduled", ConditionStatus::False, "NoVMEventScheduled"),
        ],
        events: Vec::new(),
    }
}

fn windows(version: &str, kernel: &str) -> NodeObject {
    let mut node = well();
    let label = label(
        "kubernetes.azure.com/node-image-version",
        &format!("AKSWindows-2022-containerd-gen2-{version}"),
    );
    node.labels.retain(|one| one.key != label.key);
    node.labels.push(label);
    node.system.operating_system = "windows".to_owned();
    node.system.kernel_version = kernel.to_owned();
    node
}

fn truth() -> ClusterTruth {
    ClusterTruth {
        cluster: "c".to_owned(),
        version: Some("v1.34.4".to_owned()),
        asked_since: before(600),
        answered_at: Some(now()),
        nodes: 3,
        ready: 2,
        shut_down: 0,
        last_ready_at: Some(now()),
        last_report_at: None,
    }
}

fn set(node: &mut NodeObject, kind: &str, status: ConditionStatus, reason: &str) {
    node.conditions.retain(|one| one.kind != kind);
    node.conditions.push(condition(kind, status, reason));
}

/// What the checks say of a node that has been so for `minutes`, looked at every ten.
fn judged(node: &State<NodeObject>, truth: &ClusterTruth, minutes: i64) -> Vec<Judged> {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let mut history = NodeHistory::default();
    for ago in (0..=minutes).rev().step_by(10) {
        let at = before(ago);
        history.observe(ComponentState::NodeObject(node.clone()), at, Duration::ZERO);
        settle(&mut history, &BTreeSet::from([Component::NodeObject]), &policy, at);
    }
    let outside = Outside { cluster: Some(truth), ..Outside::default() };
    judge_node(&history, outside, &policy, now())
        .into_iter()
        .filter(|judged| judged.check.component == Component::NodeObject)
        .collect()
}

fn failing(node: &NodeObject, truth: &ClusterTruth, minutes: i64) -> Vec<&'static str> {
    judged(&State::Present(Arc::new(node.clone())), truth, minutes)
        .into_iter()
        .filter(|one| matches!(one.verdict.outcome, Outcome::Fail { .. }))
        .map(|one| one.check.reason)
        .collect()
}

#[test]
fn nothing_is_said_against_a_node_that_is_well() {
    assert_eq!(failing(&well(), &truth(), 60), Vec::<&str>::new());
}

#[test]
fn each_check_fails_alone() {
    let made = |change: &dyn Fn(&mut NodeObject)| {
        let mut node = well();
        change(&mut node);
        node
    };
    let mut cases: Vec<(&str, NodeObject)> = vec![
        (
            "NodeNotReady",
            made(&|node| set(node, "Ready", ConditionStatus::False, "KubeletNotReady")),
        ),
        (
            "NodeShutDown",
            made(&|node| {
                node.taints.push(NodeTaint {
                    key: "node.cloudprovider.kubernetes.io/shutdown".to_owned(),
                    effect: "NoSchedule".to_owned(),
                    value: String::new(),
                });
                set(node, "Ready", ConditionStatus::Unknown, "NodeStatusUnknown");
            }),
        ),
        ("NodeCordoned", made(&|node| node.is_unschedulable = true)),
        (
            "NodeQuarantined",
            made(&|node| {
                node.labels.push(label("kubernetes.azure.com/upgrade-status", "Quarantined"));
            }),
        ),
        (
            "NodeUnderPressure",
            made(&|node| {
                set(node, "DiskPressure", ConditionStatus::True, "KubeletHasDiskPressure");
            }),
        ),
        (
            "NodeNetworkUnavailable",
            made(&|node| {
                set(node, "NetworkUnavailable", ConditionStatus::True, "NoRouteCreated");
            }),
        ),
        (
            "NodeProblemReported",
            made(&|node| set(node, "KubeletProblem", ConditionStatus::True, "KubeletIsDown")),
        ),
        (
            "MachineEventScheduled",
            made(&|node| {
                set(node, "VMEventScheduled", ConditionStatus::True, "VMEventScheduled");
            }),
        ),
        (
            "NodeProblemEvent",
            made(&|node| {
                node.events.push(NodeEvent {
                    at: before(29),
                    reason: "EgressBlocked".to_owned(),
                    source: "node-egress-monitor".to_owned(),
                    is_warning: true,
                    message: "Required endpoints are unreachable".to_owned(),
                });
            }),
        ),
        ("KubeletVersionSkew", made(&|node| node.system.kubelet_version = "v1.30.9".to_owned())),
        ("ProviderTaintMissing", made(&|node| node.taints.clear())),
        ("WindowsUpdateMissing", windows("20348.5499.261013", "10.0.20348.5499")),
    ];
    let newer = made(&|node| node.system.kubelet_version = "v1.35.0".to_owned());
    cases.push(("KubeletVersionSkew", newer));
    for (reason, node) in cases {
        assert_eq!(failing(&node, &truth(), 60), [reason]);
    }
    let stuck = made(&|node| {
        node.annotations = vec![
            label("kubernetes.azure.com/live-patching-golden-timestamp", "20261120T000000Z"),
            label("kubernetes.azure.com/live-patching-current-timestamp", "20261101T000000Z"),
        ];
    });
    assert_eq!(failing(&stuck, &truth(), 60), Vec::<&str>::new());
    assert_eq!(failing(&stuck, &truth(), 25 * 60), ["LivePatchBehind"]);
    let old = windows("20348.5499.260812", "10.0.20348.5499");
    assert_eq!(failing(&old, &truth(), 0), ["WindowsUpdateMissing", "WindowsImageUnsupportedAge"]);
    let retired = windows("17763.8500.261111", "10.0.17763.8500");
    assert_eq!(failing(&retired, &truth(), 0), ["WindowsRetired"]);
    let none = ClusterTruth { ready: 0, shut_down: 3, last_ready_at: None, ..truth() };
    assert_eq!(failing(&well(), &none, 0), ["ClusterWithoutReadyNode"]);
}

#[test]
fn every_check_is_unknown_while_the_api_server_does_not_answer() {
    let unavailable = Unavailable { place: "API server".to_owned(), why: "silent".to_owned() };
    let all = judged(&State::Unavailable(unavailable), &truth(), 0);
    assert_eq!(all.len(), CHECKS.len());
    for one in all {
        let outcome = one.verdict.outcome;
        let is_of_provider =
            matches!(&outcome, Outcome::NotApplicable(why) if why.contains("no provider"));
        assert!(
            matches!(outcome, Outcome::Unknown(_)) || is_of_provider,
            "{}: {outcome:?}",
            one.check.reason
        );
    }
}

#[test]
fn who_repairs_a_node_that_is_not_ready_hangs_on_how_long_and_on_what_keeps_the_repair_away() {
    let mut node = well();
    set(&mut node, "Ready", ConditionStatus::False, "KubeletNotReady");
    let turn = |node: &NodeObject, minutes| {
        let all = judged(&State::Present(Arc::new(node.clone())), &truth(), minutes);
        let one = all.into_iter().find(|one| one.check.reason == "NodeNotReady");
        one.expect("asked").verdict.outcome
    };
    let Outcome::Fail { responsible, .. } = turn(&node, 20) else { panic!("not Ready") };
    assert_eq!(responsible, Responsible::Automation { by: Automation::AutoRepair });
    let Outcome::Fail { responsible, .. } = turn(&node, 80) else { panic!("not Ready") };
    assert_eq!(responsible, Responsible::Provider);

    let mut upgraded = node.clone();
    upgraded
        .annotations
        .extend(crate::auto_repair::UPGRADE_ANNOTATIONS.map(|(key, value)| label(key, value)));
    assert!(matches!(turn(&upgraded, 80), Outcome::NotApplicable(_)), "maintenance is no outage");
    upgraded.annotations.pop();
    assert!(matches!(turn(&upgraded, 80), Outcome::Fail { .. }), "one of the two says nothing");

    // A node's own clock is never used for age: Ready=False is dated by the kubelet.
    node.conditions.iter_mut().for_each(|one| one.since = Some(before(60 * 24 * 300)));
    let Outcome::Fail { since, .. } = turn(&node, 20) else { panic!("not Ready") };
    assert_eq!(since, before(20));
    // Unknown is set by the API server's side, whose clock is believed.
    set(&mut node, "Ready", ConditionStatus::Unknown, "NodeStatusUnknown");
    let Outcome::Fail { since, .. } = turn(&node, 20) else { panic!("not Ready") };
    assert_eq!(since, before(30));
}

#[test]
fn a_windows_label_that_its_kernel_contradicts_is_not_believed() {
    let forged = windows("20348.9999.261111", "10.0.20348.5499");
    let all = judged(&State::Present(Arc::new(forged)), &truth(), 0);
    let of = |reason| {
        let one = all.iter().find(|one| one.check.reason == reason).expect("asked");
        one.verdict.outcome.word()
    };
    assert_eq!(of("WindowsUpdateMissing"), "unknown");
    assert_eq!(of("WindowsImageUnsupportedAge"), "unknown");
}

#[test]
fn a_cluster_without_a_ready_node_is_unknown_until_every_machine_is_shut_down() {
    let outcome = |truth: &ClusterTruth| {
        let all = judged(&State::Present(Arc::new(well())), truth, 0);
        let one = all.into_iter().find(|one| one.check.reason == "ClusterWithoutReadyNode");
        one.expect("asked").verdict.outcome
    };
    let none = ClusterTruth { ready: 0, last_ready_at: Some(before(60)), ..truth() };
    let Outcome::Unknown(why) = outcome(&none) else { panic!("nobody knows") };
    assert!(why.contains("2026-12-24 at the earliest"), "{why}");
    let reported = ClusterTruth { last_report_at: Some(before(10)), ..none.clone() };
    assert_eq!(outcome(&reported), Outcome::Pass, "a report proves a machine");
    let long_ago = ClusterTruth { last_report_at: Some(before(20)), ..none };
    assert!(matches!(outcome(&long_ago), Outcome::Unknown(_)));
}

#[test]
fn pods_are_accused_after_ten_minutes_and_not_on_a_node_that_is_not_ready() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let pod = |is_ready, waiting: &str, restarts| SystemPod {
        namespace: "kube-system".into(),
        name: "coredns-1".into(),
        owner: "ReplicaSet coredns".into(),
        is_agent: false,
        phase: "Running".into(),
        is_ready,
        since: None,
        waiting: waiting.into(),
        restarts,
        is_ending: false,
    };
    let failing = |node: &NodeObject, pods: &[(i64, SystemPod)]| -> Vec<(&str, Responsible)> {
        let mut history = NodeHistory::default();
        let node = ComponentState::NodeObject(State::Present(Arc::new(node.clone())));
        history.observe(node, before(60), Duration::ZERO);
        for (ago, pod) in pods {
            let pods = SystemPods { pods: vec![pod.clone()] };
            let state = ComponentState::SystemPods(State::Present(Arc::new(pods)));
            history.observe(state, before(*ago), Duration::ZERO);
        }
        let judged = judge_node(&history, Outside::default(), &policy, now());
        let of_pods = judged.into_iter().filter(|one| one.check.component == Component::SystemPods);
        of_pods
            .filter_map(|one| match one.verdict.outcome {
                Outcome::Fail { responsible, .. } => Some((one.check.reason, responsible)),
                _ => None,
            })
            .collect()
    };
    let down = [(11, pod(false, "", 0)), (0, pod(false, "", 0))];
    assert_eq!(failing(&well(), &down), [("SystemPodNotReady", Responsible::Provider)]);
    assert_eq!(failing(&well(), &[(9, pod(false, "", 0))]), []);
    let flapping = [(11, pod(true, "", 1)), (0, pod(true, "", 6))];
    assert_eq!(failing(&well(), &flapping), [("SystemPodRestarting", Responsible::Provider)]);
    assert_eq!(failing(&well(), &[(11, pod(true, "", 1)), (0, pod(true, "", 5))]), []);
    let mut ill = well();
    set(&mut ill, "Ready", ConditionStatus::False, "KubeletNotReady");
    assert_eq!(failing(&ill, &down), []);
}
