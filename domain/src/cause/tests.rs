//! Every edge of the graph decides an answer, and no edge is there twice.

use super::*;
use crate::policy::DEFAULT_EDITION;
use crate::responsibility::{Action, Automation};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + minute * 60).expect("a time of our days")
}

fn policy() -> Policy {
    Policy::edition(DEFAULT_EDITION).expect("a shipped edition")
}

/// Something critical that is the provider's to repair.
fn broken(component: Component, minute: i64) -> Finding {
    Finding {
        reason: format!("{component}-broken"),
        component,
        severity: Severity::Critical,
        message: String::new(),
        since: at(minute),
        responsible: Responsible::Automation { by: Automation::AutoRepair },
        action: Action::Wait { until: None },
        policy_rule: "auto-remediate-components".to_owned(),
        evidence: Vec::new(),
    }
}

/// A change by the customer.
fn changed(component: Component, severity: Severity, minute: i64) -> Finding {
    Finding {
        reason: format!("{component}-changed"),
        severity,
        responsible: Responsible::Customer,
        action: Action::Revert { change: "it".to_owned() },
        policy_rule: "kubernetes-native-change".to_owned(),
        ..broken(component, minute)
    }
}

fn found(graph: &Graph, findings: &[Finding]) -> Vec<Component> {
    causes(graph, findings, &policy()).causes.iter().map(|cause| cause.component).collect()
}

fn without(graph: &Graph, from: Component, to: Component) -> Graph {
    let mut graph = graph.clone();
    graph.edges.entry(from).or_default().remove(&to);
    graph
}

#[test]
fn nothing_stands_on_itself() {
    let graph = Graph::declared();
    for component in Component::ALL {
        assert!(!graph.ground(component).contains(&component), "{component}");
    }
}

#[test]
fn each_edge_that_is_taken_away_changes_the_answer() {
    let graph = Graph::declared();
    let mut edges = 0;
    for from in Component::ALL {
        for to in depends_on(from) {
            edges += 1;
            let findings = [broken(from, 0), broken(*to, 0)];
            assert_eq!(found(&graph, &findings), [*to], "{from} stands on {to}");
            let mut both = found(&without(&graph, from, *to), &findings);
            both.sort();
            let mut expected = vec![from, *to];
            expected.sort();
            assert_eq!(both, expected, "{from} -> {to} follows from other edges: leave it out");
        }
    }
    assert!(edges > 0);
}

#[test]
fn the_deepest_explains_what_stands_on_it_over_whatever_is_well() {
    let findings = [
        broken(Component::KubeProxy, 3),
        broken(Component::Kubelet, 2),
        broken(Component::Kernel, 1),
    ];
    let told = causes(&Graph::declared(), &findings, &policy());
    assert_eq!(told.causes.len(), 1);
    assert_eq!(told.causes[0].component, Component::Kernel);
    assert_eq!(told.causes[0].explains, [Component::Kubelet, Component::KubeProxy]);
    assert_eq!(told.causes[0].since, at(1));
}

#[test]
fn independent_faults_stand_apart_the_one_that_explains_more_first() {
    let findings = [
        broken(Component::Packages, 0),
        broken(Component::Containerd, 5),
        broken(Component::Kubelet, 6),
    ];
    assert_eq!(found(&Graph::declared(), &findings), [Component::Containerd, Component::Packages]);
}

#[test]
fn what_broke_later_explains_nothing_that_was_broken_before() {
    let findings = [broken(Component::Kubelet, 0), broken(Component::Containerd, 30)];
    assert_eq!(found(&Graph::declared(), &findings), [Component::Kubelet, Component::Containerd]);
    // Within the time in which looks may pass each other it may.
    let findings = [broken(Component::Kubelet, 0), broken(Component::Containerd, 5)];
    assert_eq!(found(&Graph::declared(), &findings), [Component::Containerd]);
}

#[test]
fn a_change_right_before_makes_it_the_customers() {
    let confidence = |severity, minute: i64| {
        let findings =
            [broken(Component::Containerd, 0), changed(Component::Containerd, severity, minute)];
        let told = causes(&Graph::declared(), &findings, &policy());
        // One that is none of the cause stands beside it.
        let change = told.causes[0].change.as_ref().map(|change| change.confidence);
        assert_eq!(told.beside.is_empty(), change.is_some());
        change
    };
    assert_eq!(confidence(Severity::Warning, -10), Some(Confidence::Medium));
    assert_eq!(confidence(Severity::Warning, 0), Some(Confidence::Low));
    assert_eq!(confidence(Severity::Warning, -61), None);
    assert_eq!(confidence(Severity::Warning, 6), None);
    let own = [changed(Component::Kubelet, Severity::Critical, 0)];
    let told = causes(&Graph::declared(), &own, &policy());
    let change = told.causes[0].change.as_ref().expect("it is a change itself");
    assert_eq!(change.confidence, Confidence::High);
}

#[test]
fn a_file_that_was_changed_is_a_change_of_the_component_that_reads_it() {
    let change = |path: &str| {
        let evidence =
            Evidence { source: path.to_owned(), actual: String::new(), expected: String::new() };
        let file = Finding {
            evidence: vec![evidence],
            ..changed(Component::Files, Severity::Information, -10)
        };
        let told = causes(&Graph::declared(), &[broken(Component::Containerd, 0), file], &policy());
        told.causes[0].change.as_ref().map(|change| change.confidence)
    };
    assert_eq!(change("/etc/containerd/conf.d/99-proxy.toml"), Some(Confidence::Medium));
    assert_eq!(
        change("/etc/systemd/system/containerd.service.d/99-proxy.conf"),
        Some(Confidence::Medium)
    );
    assert_eq!(change("/etc/ssh/sshd_config"), None);
    assert_eq!(change("/etc/systemd/system/kubelet.service"), None);
}

#[test]
fn a_change_of_another_component_or_of_nobody_knows_whom_is_none() {
    let other =
        [broken(Component::Containerd, 0), changed(Component::Packages, Severity::Warning, -1)];
    let told = causes(&Graph::declared(), &other, &policy());
    assert_eq!(told.causes[0].change, None);
    let unknown = Finding {
        responsible: Responsible::Unknown { missing: "platform of the node".to_owned() },
        ..changed(Component::Containerd, Severity::Warning, -1)
    };
    let told = causes(&Graph::declared(), &[broken(Component::Containerd, 0), unknown], &policy());
    assert_eq!(told.causes[0].change, None);
}

#[test]
fn what_breaks_nothing_is_no_cause() {
    let findings = [changed(Component::Sysctl, Severity::Warning, 0)];
    let told = causes(&Graph::declared(), &findings, &policy());
    assert_eq!(told.causes, []);
    assert_eq!(told.beside, findings);
}
