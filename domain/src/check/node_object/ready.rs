//! Is the node Ready, and is it meant to be. Whose turn a node is that is not, the machine of
//! the provider's repair decides: it looks at nothing but Ready.

use jiff::Timestamp;

use crate::auto_repair::{
    ClusterView, Exclusion, RepairState, SCALE_DOWN_TAINT, SHUTDOWN_TAINT, repair,
};
use crate::check::{Evidence, Scope, Verdict, facts, of_a_provider, verdict_or};
use crate::facts::{NODE_OBJECT, NodeObject};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Automation, Responsible, Turn};

/// Said where the API server has no such node.
pub(super) const GONE: &str = "the API server has no such node any more";

/// The label of a node that an upgrade could not drain.
const UPGRADE_STATUS: &str = "kubernetes.azure.com/upgrade-status";

pub(super) fn known(history: &NodeHistory) -> Result<(&NodeObject, Timestamp), Verdict> {
    facts(&history.node_object, GONE)
}

pub(super) const fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

/// Evidence out of a condition.
pub(super) fn told(object: &NodeObject, kind: &str, expected: &str) -> Vec<Evidence> {
    let Some(condition) = object.condition(kind) else { return Vec::new() };
    let mut actual = format!("{kind} {}", condition.status.word());
    for part in [&condition.reason, &condition.message] {
        if !part.is_empty() {
            actual.push_str(": ");
            actual.push_str(part);
        }
    }
    if let Some(since) = condition.since {
        actual.push_str(&format!(", since {since:.0} by the clock of who set it"));
    }
    vec![Evidence::new(NODE_OBJECT, actual, expected)]
}

pub(super) fn not_ready(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (object, _) = verdict_or!(known(history));
    let Some(view) = ClusterView::of(&history.node_object) else {
        return Verdict::unknown("the API server was not asked", Vec::new());
    };
    match object.is_ready() {
        None => {
            return Verdict::unknown(
                "the node has no condition Ready: it never registered",
                vec![],
            );
        }
        Some(true) => return Verdict::pass(told(object, "Ready", "True")),
        Some(false) => {}
    }
    match view.excluded_by {
        Some(Exclusion::Upgrade) => {
            return Verdict::not_applicable("an upgrade goes through the node: maintenance");
        }
        Some(Exclusion::Shutdown) => {
            return Verdict::not_applicable("the node's machine is shut down, see NodeShutDown");
        }
        Some(Exclusion::ScaleDown) => {
            return Verdict::not_applicable("the autoscaler is about to delete the node");
        }
        _ => {}
    }
    let repair = repair(scope.platform, policy, Some(view.since), Some(&view), now);
    let look = || Action::Investigate { at: "kubectl describe node, and the kubelet on it".into() };
    let turn = match &repair.state {
        RepairState::Pending { .. }
        | RepairState::AtWork { .. }
        | RepairState::Running { .. }
        | RepairState::Between { .. } => {
            let until = view.since.checked_add(policy.auto_repair_exhausted_after()).ok();
            Turn {
                responsible: Responsible::Automation { by: Automation::AutoRepair },
                action: Action::Wait { until },
                valid_until: until,
            }
        }
        RepairState::Exhausted { .. } => {
            Turn { responsible: Responsible::Provider, action: Action::Ticket, valid_until: None }
        }
        _ => customer(look()),
    };
    let mut evidence = told(object, "Ready", "True");
    evidence.push(Evidence::new("node auto-repair", repair.state.to_string(), ""));
    let why = object.condition("Ready").map(|ready| ready.reason.as_str()).unwrap_or_default();
    let message = match why {
        "NodeStatusUnknown" => "not Ready: the kubelet has stopped telling how it is".to_owned(),
        "" => "not Ready".to_owned(),
        why => format!("not Ready: {why}"),
    };
    Verdict::fail(message, view.since, turn, evidence)
}

pub(super) fn shut_down(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (object, since) = verdict_or!(known(history));
    let evidence = vec![Evidence::new(NODE_OBJECT, taint_list(object), "")];
    if !object.has_taint(SHUTDOWN_TAINT) {
        return Verdict::pass(evidence);
    }
    let since = history
        .node_object
        .holding(|object| object.has_taint(SHUTDOWN_TAINT))
        .since
        .unwrap_or(since);
    let start = Action::Repair { what: "start the machine, or scale the pool down".to_owned() };
    Verdict::fail("the node's machine is shut down", since, customer(start), evidence)
}

fn taint_list(object: &NodeObject) -> String {
    let taints: Vec<String> =
        object.taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
    if taints.is_empty() { "no taint".to_owned() } else { taints.join(", ") }
}

pub(super) fn cordoned(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (object, since) = verdict_or!(known(history));
    let evidence = vec![Evidence::new(
        NODE_OBJECT,
        format!("spec.unschedulable {}", object.is_unschedulable),
        "false",
    )];
    if !object.is_unschedulable {
        return Verdict::pass(evidence);
    }
    if matches!(Exclusion::of(object), Some(Exclusion::Upgrade)) {
        return Verdict::not_applicable("an upgrade goes through the node: maintenance");
    }
    if object.has_taint(SCALE_DOWN_TAINT) || object.deleted_at.is_some() {
        return Verdict::not_applicable("the node is about to be deleted");
    }
    let since =
        history.node_object.holding(|object| object.is_unschedulable).since.unwrap_or(since);
    let undo = Action::Repair { what: "kubectl uncordon, when the reason is gone".to_owned() };
    Verdict::fail("cordoned: no new pod comes to it", since, customer(undo), evidence)
}

pub(super) fn quarantined(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "upgrades its image"));
    let (object, since) = verdict_or!(known(history));
    let actual = object.label(UPGRADE_STATUS).unwrap_or("no such label");
    let evidence = vec![Evidence::new(UPGRADE_STATUS, actual, "")];
    if actual != "Quarantined" {
        return Verdict::pass(evidence);
    }
    let is_it = |object: &NodeObject| object.label(UPGRADE_STATUS) == Some("Quarantined");
    let since = history.node_object.holding(is_it).since.unwrap_or(since);
    let what = "free the node of the pods that could not be evicted, then take the label away";
    let turn = customer(Action::Repair { what: what.to_owned() });
    let message = "an upgrade could not drain the node and left it behind, cordoned";
    Verdict::fail(message, since, turn, evidence)
}
