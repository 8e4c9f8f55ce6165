//! Objects as API servers write them, written for these tests, and those that a real one
//! answered with where the corpus is at hand.

use std::path::{Path, PathBuf};

use nodeward_proto::content::Content;
use serde_json::{Value, json};

use super::*;
use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::observed::State;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn read(object: &Value) -> Result<(String, NodeObject), Unreadable> {
    node(serde_json::from_value(object.clone()).expect("a node"), &mut Texts::default(), now())
}

fn aks() -> Value {
    json!({
        "metadata": {
            "name": "AKS-apps-12345678-vmss00000A",
            "uid": "0b7a35a1-5f0c-4a7c-9b1e-5a3f3c0f3e11",
            "creationTimestamp": "2026-10-01T08:00:00Z",
            "resourceVersion": "1234",
            "labels": {
                "agentpool": "apps",
                "kubernetes.azure.com/agentpool": "apps",
                "kubernetes.azure.com/node-image-version": "AKSUbuntu-2204gen2containerd-202610.05.0",
                "topology.kubernetes.io/zone": "westeurope-1",
                "karpenter.azure.com/sku-name": "Standard_D4s_v5",
                "node-role.kubernetes.io/agent": "",
                "team": "payments",
                "example.org/secret-plan": "x",
                "notkubernetes.io/x": "y"
            },
            "annotations": {
                "kubernetes.azure.com/live-patching-golden-timestamp": "20261101T000000Z",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                "csi.volume.kubernetes.io/nodeid": "{}"
            }
        },
        "spec": {
            "providerID": "azure:///subscriptions/0/resourceGroups/mc/providers/vmss/0",
            "taints": [
                {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute",
                 "timeAdded": "2026-11-24T11:00:00Z"},
                {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}
            ],
            "unschedulable": true
        },
        "status": {
            "conditions": [
                {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
                 "message": "Kubelet stopped posting node status.",
                 "lastHeartbeatTime": "2026-11-24T10:59:00Z",
                 "lastTransitionTime": "2026-11-24T11:00:00Z"},
                {"type": "KubeletProblem", "status": "Sure", "lastTransitionTime": null}
            ],
            "nodeInfo": {"operatingSystem": "linux", "osImage": "Ubuntu 22.04.5 LTS",
                         "kubeletVersion": "v1.34.9", "bootID": "b"},
            "images": [{"names": ["a"], "sizeBytes": 1}],
            "allocatable": {"cpu": "4"}
        }
    })
}

#[test]
fn a_node_is_taken_as_far_as_it_is_needed() {
    let (name, object) = read(&aks()).expect("a node");
    assert_eq!(name, "aks-apps-12345678-vmss00000a", "names are compared in lower case");
    let keys: Vec<&str> = object.labels.iter().map(|label| label.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "agentpool",
            "karpenter.azure.com/sku-name",
            "kubernetes.azure.com/agentpool",
            "kubernetes.azure.com/node-image-version",
            "node-role.kubernetes.io/agent",
            "topology.kubernetes.io/zone",
        ]
    );
    assert_eq!(object.annotations.len(), 1);
    assert_eq!(
        object.annotation("kubernetes.azure.com/live-patching-golden-timestamp"),
        Some("20261101T000000Z")
    );
    let taints: Vec<&str> = object.taints.iter().map(|taint| taint.key.as_str()).collect();
    assert_eq!(taints, ["CriticalAddonsOnly", "node.kubernetes.io/unreachable"]);
    assert!(object.is_unschedulable);
    assert_eq!(object.is_ready(), Some(false), "not known is not Ready");
    let problem = object.condition("KubeletProblem").expect("a condition");
    assert_eq!((problem.status, problem.since), (ConditionStatus::Unknown, None));
}

#[test]
fn a_heartbeat_is_no_change() {
    let mut later = aks();
    later["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-11-24T11:59:00Z");
    later["metadata"]["resourceVersion"] = json!("999");
    later["status"]["allocatable"]["cpu"] = json!("3");
    assert_eq!(read(&later), read(&aks()));
}

#[test]
fn numbers_that_move_in_a_message_are_no_change() {
    let with = |message: &str| {
        let mut object = aks();
        object["status"]["conditions"][0]["message"] = json!(message);
        read(&object).expect("a node").1
    };
    let pleg = "PLEG is not healthy: pleg was last seen active 4m12s ago; threshold is 3m0s";
    let before = with(pleg);
    let mut later = with(&pleg.replace("4m12s", "5m13.25s"));
    assert_ne!(later, before);
    steady(&mut later, &before);
    assert_eq!(later, before);
    let mut other = with("container runtime is down");
    steady(&mut other, &before);
    assert_ne!(other, before, "other words are another state");
    let mut worse = with("node of 12 has 2 failed mounts");
    steady(&mut worse, &with("node of 12 has bad mounts"));
    assert!(worse.conditions.iter().any(|one| one.message.ends_with("2 failed mounts")));
}

#[test]
fn what_a_hostile_node_writes_has_an_end() {
    let mut hostile = aks();
    let long = "é".repeat(5000);
    for n in 0..5000 {
        hostile["metadata"]["labels"][format!("kubernetes.azure.com/x{n:04}")] = json!(long);
    }
    hostile["metadata"]["annotations"][ANNOTATIONS[0]] = json!(long);
    let condition = hostile["status"]["conditions"][0].clone();
    let conditions: Vec<Value> = (0..5000)
        .map(|n| {
            let mut one = condition.clone();
            one["type"] = json!(format!("{n}{long}"));
            one["message"] = json!(format!("\u{1b}[2J{long}"));
            one["lastTransitionTime"] = json!("9999-01-01T00:00:00Z");
            one
        })
        .collect();
    hostile["status"]["conditions"] = json!(conditions);
    hostile["status"]["nodeInfo"]["osImage"] = json!(long);
    let taint = json!({"key": long, "effect": long, "value": long});
    hostile["spec"]["taints"] = json!(vec![taint; 5000]);
    let (_, object) = read(&hostile).expect("a node");
    assert_eq!(object.labels.len(), LABELS);
    assert_eq!(object.conditions.len(), CONDITIONS);
    assert_eq!(object.taints.len(), TAINTS);
    assert!(object.conditions.iter().all(|one| one.since.is_none()), "nothing is to come");
    let state = ComponentState::NodeObject(State::Present(object.into()));
    let content = Content::of(&state);
    assert!(content.bytes.len() < 600_000, "{}", content.bytes.len());
    assert_eq!(content.decode(), Some(state), "what is stored is what was told");
}

#[test]
fn a_node_without_name_uid_or_creation_is_refused_by_name_of_the_field() {
    for (path, value, expected) in [
        ("name", json!("a b"), Unreadable::Name),
        ("name", json!("x".repeat(300)), Unreadable::Name),
        ("uid", json!("../x"), Unreadable::Uid),
        ("uid", Value::Null, Unreadable::Uid),
        ("creationTimestamp", json!("yesterday"), Unreadable::Created),
        ("creationTimestamp", json!("-009999-01-01T00:00:00Z"), Unreadable::Created),
        ("creationTimestamp", Value::Null, Unreadable::Created),
    ] {
        let mut object = aks();
        object["metadata"][path] = value;
        assert_eq!(read(&object), Err(expected), "{path}");
    }
}

#[test]
fn every_state_has_the_same_bytes_and_comes_back() {
    let state = ComponentState::NodeObject(State::Present(read(&aks()).expect("a node").1.into()));
    assert_eq!(state.component(), Component::NodeObject);
    assert_eq!(Content::of(&state).decode(), Some(state));
}

fn told(event: &Value) -> Option<ToldEvent> {
    super::event(serde_json::from_value(event.clone()).expect("an event"), now())
}

fn reboot() -> Value {
    json!({
        "metadata": {"name": "x.1", "creationTimestamp": "2026-11-24T11:00:00Z"},
        "involvedObject": {"kind": "Node", "name": "AKS-apps-1-vmss00000A",
                           "uid": "AKS-apps-1-vmss00000A"},
        "reason": "NodeRebootStart", "type": "Normal", "message": "Node auto-repair reboots",
        "source": {"component": "aks-auto-repair"}, "count": 1,
        "firstTimestamp": "2026-11-24T03:00:00Z", "lastTimestamp": "2026-11-24T03:00:00Z",
        "eventTime": null, "reportingComponent": ""
    })
}

#[test]
fn an_event_is_dated_by_the_api_server() {
    let first = told(&reboot()).expect("an event");
    assert_eq!(first.node, "aks-apps-1-vmss00000a");
    assert_eq!(first.uid, None, "a name is no UID");
    assert_eq!(first.event.at, "2026-11-24T11:00:00Z".parse().expect("a time"));
    assert_eq!(first.event.source, "aks-auto-repair");
    // Told again: by the teller's clock, within what the API server knows.
    for (last, expected) in [
        ("2026-11-24T11:30:00Z", "2026-11-24T11:30:00Z"),
        ("2026-11-24T03:30:00Z", "2026-11-24T11:00:00Z"),
        ("2036-11-24T03:30:00Z", "2026-11-24T12:00:00Z"),
        ("0001-01-01T00:00:00Z", "2026-11-24T11:00:00Z"),
    ] {
        let mut again = reboot();
        again["count"] = json!(7);
        again["lastTimestamp"] = json!(last);
        let at = told(&again).expect("an event").event.at;
        assert_eq!(at, expected.parse().expect("a time"), "{last}");
    }
}

#[test]
fn a_newer_kind_of_event_says_the_same_in_other_fields() {
    let mut series = reboot();
    series["count"] = json!(null);
    series["lastTimestamp"] = json!(null);
    series["source"] = json!({});
    series["reportingComponent"] = json!("kubelet");
    series["eventTime"] = json!("2026-11-24T11:00:00.123456Z");
    series["series"] = json!({"count": 3, "lastObservedTime": "2026-11-24T11:20:00.000001Z"});
    series["involvedObject"]["uid"] = json!("0b7a35a1-5f0c-4a7c-9b1e-5a3f3c0f3e11");
    let told = told(&series).expect("an event");
    assert_eq!(told.event.source, "kubelet");
    assert_eq!(told.event.at, "2026-11-24T11:20:00.000001Z".parse().expect("a time"));
    assert_eq!(told.uid.as_deref(), Some("0b7a35a1-5f0c-4a7c-9b1e-5a3f3c0f3e11"));
}

#[test]
fn an_event_about_something_else_is_none() {
    for (field, value) in [("kind", json!("Pod")), ("name", json!("a/b"))] {
        let mut other = reboot();
        other["involvedObject"][field] = value;
        assert_eq!(told(&other), None, "{field}");
    }
    let mut nameless = reboot();
    nameless["reason"] = json!("");
    assert_eq!(told(&nameless), None);
}

/// The captures of the corpus, where it is at hand.
fn captures() -> Option<PathBuf> {
    let corpus = std::env::var_os("NODEWARD_CORPUS")?;
    Some(Path::new(&corpus).join("captures")).filter(|captures| captures.is_dir())
}

fn items(path: &Path) -> Vec<Value> {
    let text = std::fs::read(path).expect("a capture");
    let list: Value = serde_json::from_slice(&text).expect("a list");
    list["items"].as_array().expect("items").clone()
}

#[test]
fn nodes_and_events_of_a_real_api_server_are_understood() {
    let Some(captures) = captures() else { return };
    for (scenario, status, reason) in [
        ("healthy", ConditionStatus::True, "KubeletReady"),
        ("kubelet-sigstop-8s", ConditionStatus::True, "KubeletReady"),
        ("kubelet-killed-60s", ConditionStatus::Unknown, "NodeStatusUnknown"),
        ("containerd-killed-50s", ConditionStatus::False, "KubeletNotReady"),
        ("cni-missing", ConditionStatus::False, "KubeletNotReady"),
    ] {
        let folder = captures.join(scenario);
        let nodes = items(&folder.join("node.json"));
        let (name, object) = read(&nodes[0]).expect("a node");
        let ready = object.condition("Ready").expect("Ready");
        assert_eq!((ready.status, ready.reason.as_str()), (status, reason), "{scenario}");
        assert_eq!(object.label("kubernetes.azure.com/agentpool"), Some("nodepool1"));
        assert_eq!(object.system.kubelet_version, "v1.34.9");
        let state = ComponentState::NodeObject(State::Present(object.into()));
        assert_eq!(Content::of(&state).decode(), Some(state));
        let events = items(&folder.join("events.json"));
        let of_nodes = events.iter().filter_map(told);
        let own: Vec<ToldEvent> = of_nodes.filter(|told| told.node == name).collect();
        assert!(own.iter().any(|told| told.event.reason == "Starting"), "{scenario}");
    }
}
