//! Pods and budgets, written for these tests.

use serde_json::{Value, json};

use super::super::texts::SWEEP_FROM;
use super::*;

fn pod(number: u32, namespace: &str, node: &str, labels: &Value) -> wire::Pod {
    let uid = format!("00000000-0000-4000-8000-{number:012x}");
    let pod = json!({
        "metadata": {"name": format!("pod-{number}"), "namespace": namespace, "uid": uid,
                     "labels": labels,
                     "ownerReferences": [{"kind": "DaemonSet", "name": "ds", "controller": true}]},
        "spec": {"nodeName": node, "containers": [{"name": "c"}]},
        "status": {"phase": "Running",
                   "conditions": [{"type": "Ready", "status": "True",
                                   "lastTransitionTime": "2026-11-24T11:00:00Z"}],
                   "containerStatuses": [{"restartCount": 2, "state": {"running": {}}}]}
    });
    serde_json::from_value(pod).expect("a pod")
}

fn budget(name: &str, namespace: &str, selector: &Value) -> wire::DisruptionBudget {
    let budget = json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}-{name}")},
        "spec": {"minAvailable": 1, "selector": selector},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1,
                   "expectedPods": 1}
    });
    serde_json::from_value(budget).expect("a budget")
}

fn names(pods: &Pods, node: &str) -> Vec<String> {
    pods.of_node(node).pods.into_iter().map(|pod| pod.name.to_string()).collect()
}

#[test]
fn the_clusters_own_pods_and_our_agents_are_told_by_node() {
    let mut pods = Pods::new("nodeward".to_owned());
    assert_eq!(pods.take(pod(1, "kube-system", "N-1", &json!({}))), BTreeSet::from(["n-1".into()]));
    assert_eq!(pods.take(pod(2, "shop", "n-1", &json!({}))), BTreeSet::new());
    let agent = json!({"app.kubernetes.io/name": "nodeward-agent"});
    assert_eq!(pods.take(pod(3, "nodeward", "n-1", &agent)), BTreeSet::from(["n-1".into()]));
    // Elsewhere anybody may give his pods our labels.
    assert_eq!(pods.take(pod(4, "shop", "n-1", &agent)), BTreeSet::new());
    assert_eq!(names(&pods, "n-1"), ["pod-1", "pod-3"]);
    let told = pods.of_node("n-1");
    assert_eq!(told.agent().map(|pod| pod.name.as_str()), Some("pod-3"));
    assert_eq!(told.pods[0].owner, "DaemonSet ds");
    assert_eq!((told.pods[0].is_ready, told.pods[0].restarts), (true, 2));
    // The same once more is no news, another state is, and so is its end.
    assert_eq!(pods.take(pod(1, "kube-system", "n-1", &json!({}))), BTreeSet::new());
    let mut ill = pod(1, "kube-system", "n-1", &json!({}));
    ill.status.container_statuses[0].state.waiting =
        Some(wire::Stopped { reason: "CrashLoopBackOff".to_owned(), exit_code: 0 });
    ill.status.conditions[0].status = "False".to_owned();
    assert_eq!(pods.take(ill), BTreeSet::from(["n-1".into()]));
    let told = pods.of_node("n-1");
    assert_eq!((told.pods[0].waiting.as_str(), told.pods[0].is_ready), ("CrashLoopBackOff", false));
    assert_eq!(pods.gone("00000000-0000-4000-8000-000000000001"), ["n-1".to_owned()].into());
    assert_eq!(pods.gone("00000000-0000-4000-8000-000000000002"), BTreeSet::new());
    assert_eq!(names(&pods, "n-1"), ["pod-3"]);
    assert_eq!(pods.count(), 2);
}

#[test]
fn of_too_many_the_agent_is_the_last_to_be_left_out() {
    let mut pods = Pods::new("nodeward".to_owned());
    for number in 0..300 {
        pods.take(pod(number, "kube-system", "n", &json!({})));
    }
    let agent = json!({"app.kubernetes.io/name": "nodeward-agent"});
    pods.take(pod(900, "nodeward", "n", &agent));
    let told = pods.of_node("n");
    assert_eq!(told.pods.len(), PODS_OF_NODE);
    assert_eq!(told.agent().map(|pod| pod.name.as_str()), Some("pod-900"));
}

#[test]
fn why_a_container_does_not_run_is_told() {
    let with = |state: Value| {
        let mut pods = Pods::new("nodeward".to_owned());
        let mut one = pod(1, "kube-system", "n", &json!({}));
        one.status.container_statuses[0].state = serde_json::from_value(state).expect("a state");
        pods.take(one);
        pods.of_node("n").pods.remove(0).waiting
    };
    assert_eq!(with(json!({"running": {"startedAt": "x"}})), "");
    assert_eq!(with(json!({"waiting": {"reason": "ImagePullBackOff"}})), "ImagePullBackOff");
    assert_eq!(with(json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}})), "OOMKilled");
    assert_eq!(with(json!({"terminated": {"reason": "Completed", "exitCode": 0}})), "");
}

#[test]
fn what_a_list_does_not_name_is_gone() {
    let mut pods = Pods::new("nodeward".to_owned());
    pods.begin();
    for number in 1..=3 {
        pods.take(pod(number, "kube-system", &format!("n-{number}"), &json!({})));
    }
    pods.begin_budgets();
    pods.take_budget(budget("a", "shop", &json!({})));
    pods.begin();
    pods.take(pod(2, "kube-system", "n-2", &json!({})));
    assert_eq!(pods.end(), BTreeSet::from(["n-1".into(), "n-3".into()]));
    assert_eq!(pods.count(), 1);
    assert_eq!(pods.budgets().len(), 1);
    pods.begin_budgets();
    pods.end_budgets();
    assert_eq!(pods.budgets().len(), 0);
}

#[test]
fn a_budget_names_the_nodes_on_which_its_pods_run() {
    let mut pods = Pods::new("nodeward".to_owned());
    let web = json!({"app": "web"});
    pods.take(pod(1, "shop", "n-1", &web));
    pods.take(pod(2, "shop", "n-2", &web));
    pods.take(pod(3, "shop", "n-3", &json!({"app": "other"})));
    pods.take(pod(4, "other", "n-4", &web));
    pods.take(pod(5, "shop", "", &web));
    let mut done = pod(6, "shop", "n-6", &web);
    done.status.phase = "Succeeded".to_owned();
    pods.take(done);
    pods.take_budget(budget("web", "shop", &json!({"matchLabels": web})));
    pods.take_budget(budget("all", "shop", &json!({})));
    pods.take_budget(budget("none", "shop", &Value::Null));
    let nodes = |pods: &mut Pods, name: &str| {
        let budgets = pods.budgets();
        budgets.iter().find(|budget| budget.name == name).expect("a budget").nodes.clone()
    };
    assert_eq!(nodes(&mut pods, "web"), ["n-1", "n-2"]);
    assert_eq!(nodes(&mut pods, "all"), ["n-1", "n-2", "n-3"]);
    assert!(nodes(&mut pods, "none").is_empty());
    // Other labels, another node, an end: each is seen.
    pods.take(pod(3, "shop", "n-3", &web));
    assert_eq!(nodes(&mut pods, "web"), ["n-1", "n-2", "n-3"]);
    pods.gone("00000000-0000-4000-8000-000000000001");
    assert_eq!(nodes(&mut pods, "web"), ["n-2", "n-3"]);
    pods.budget_gone("shop-web");
    assert_eq!(pods.budgets().len(), 2);
}

#[test]
fn texts_that_nobody_has_any_more_are_forgotten() {
    let mut pods = Pods::new("nodeward".to_owned());
    for number in 0..30_000 {
        let label = json!({"statefulset.kubernetes.io/pod-name": format!("pod-{number}")});
        pods.take(pod(number, "shop", "n", &label));
        if number >= 100 {
            pods.gone(&format!("00000000-0000-4000-8000-{:012x}", number - 100));
        }
    }
    assert_eq!(pods.count(), 100);
    assert!(pods.texts.len() <= SWEEP_FROM + 2, "{}", pods.texts.len());
}
