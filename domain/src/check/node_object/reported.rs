//! What kubelet and node-problem-detector have said of the node by conditions and events. Of
//! conditions only those are judged whose meaning is known: of some `True` is good. A condition
//! that a detector forgot to take back stays what it is, and the evidence says since when.
//! Names: node-problem-detector's own files, AKS's page on it.

use jiff::{SignedDuration, Timestamp};

use super::ready::{customer, known, not_ready, told};
use crate::auto_repair::{Exclusion, REPAIR_SOURCE};
use crate::check::{Evidence, Outcome, Scope, Verdict, shortened, verdict_or};
use crate::facts::{ConditionStatus, NODE_OBJECT, NodeCondition, NodeEvent, NodeObject};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

/// Conditions of the kubelet: it evicts pods while one of them holds.
const PRESSURES: [&str; 3] = ["DiskPressure", "MemoryPressure", "PIDPressure"];

/// Conditions of node-problem-detector that mean ill while they hold: its own and AKS's.
const PROBLEMS: [&str; 20] = [
    "ContainerRuntimeProblem",
    "CorruptDockerOverlay2",
    "CperHardwareErrorFatal",
    "FilesystemCorruptionProblem",
    "FrequentContainerdRestart",
    "FrequentDockerRestart",
    "FrequentKubeletRestart",
    "FrequentUnregisterNetDevice",
    "GPUClockThrottling",
    "GPUMissing",
    "IBLinkFlapping",
    "KernelDeadlock",
    "KubeletProblem",
    "NVLinkStatusInactive",
    "NetworkProblem",
    "ReadonlyFilesystem",
    "UnhealthyNvidiaDCGMServices",
    "UnhealthyNvidiaDevicePlugin",
    "XIDErrors",
    "XfsShutdown",
];

/// Set while the platform has something in mind for the machine.
const SCHEDULED: &str = "VMEventScheduled";

/// Events that tell of a problem, of node-problem-detector on AKS.
const EVENTS: [&str; 14] = [
    "CNICannotStatFS",
    "ContainerRuntimeIsDown",
    "DNSProblem",
    "DockerSocketCannotConnect",
    "EgressBlocked",
    "FilesystemCorruptionDetected",
    "KernelOops",
    "KubeletIsDown",
    "KubeletRPCDeadlineExceeded",
    "KubeletRPCNoSuchContainer",
    "OOMKilling",
    "PLEGUnhealthy",
    "TaskHung",
    "UnregisterNetDevice",
];

/// An event says nothing of now once it is so old.
const FRESH: SignedDuration = SignedDuration::from_mins(30);

/// An event of a time that is still to come by more than this was written by a wrong clock.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// Those conditions of these kinds that hold.
fn holding<'a>(object: &'a NodeObject, kinds: &[&str]) -> Vec<&'a NodeCondition> {
    object
        .conditions
        .iter()
        .filter(|one| one.status == ConditionStatus::True && kinds.contains(&one.kind.as_str()))
        .collect()
}

/// Whose kubelet has stopped speaking, of that one nothing is known.
fn silent(object: &NodeObject, kinds: &[&str]) -> Option<Verdict> {
    let unknown = object
        .conditions
        .iter()
        .find(|one| one.status == ConditionStatus::Unknown && kinds.contains(&one.kind.as_str()))?;
    let why = format!("{} is unknown: {}", unknown.kind, unknown.reason);
    Some(Verdict::unknown(why, told(object, &unknown.kind, "False")))
}

/// Since when these conditions have held, by the clock of who asks.
fn since(history: &NodeHistory, kinds: &[&str]) -> Timestamp {
    let holds = |object: &NodeObject| !holding(object, kinds).is_empty();
    history.node_object.holding(holds).since.unwrap_or(Timestamp::MAX)
}

fn named(conditions: &[&NodeCondition]) -> String {
    let words: Vec<String> = conditions
        .iter()
        .map(|one| match one.reason.is_empty() || one.reason == one.kind {
            true => one.kind.to_string(),
            false => format!("{} ({})", one.kind, one.reason),
        })
        .collect();
    words.join(", ")
}

fn evidence(object: &NodeObject, conditions: &[&NodeCondition]) -> Vec<Evidence> {
    let all = conditions.iter().flat_map(|one| told(object, &one.kind, "False"));
    shortened(all.collect())
}

pub(super) fn pressure(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (object, _) = verdict_or!(known(history));
    let under = holding(object, &PRESSURES);
    if under.is_empty() {
        let all = PRESSURES.iter().flat_map(|kind| told(object, kind, "False")).collect();
        return silent(object, &PRESSURES).unwrap_or_else(|| Verdict::pass(all));
    }
    let turn = customer(Action::Investigate {
        at: "what fills the node: kubectl describe node, and events of eviction".to_owned(),
    });
    let since = since(history, &PRESSURES).min(now);
    Verdict::fail(named(&under), since, turn, evidence(object, &under))
}

pub(super) fn network(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    const KIND: &str = "NetworkUnavailable";
    let (object, _) = verdict_or!(known(history));
    if object.condition(KIND).is_none() {
        return Verdict::not_applicable("whoever makes the pod network does not set it");
    }
    let down = holding(object, &[KIND]);
    if down.is_empty() {
        let told = told(object, KIND, "False");
        return silent(object, &[KIND]).unwrap_or_else(|| Verdict::pass(told));
    }
    let since = since(history, &[KIND]).min(now);
    // The repair looks at Ready alone: whose turn it is hangs on that.
    let turn = match not_ready(history, scope, policy, now).outcome {
        Outcome::Fail { responsible, action, .. } => {
            crate::responsibility::Turn { responsible, action, valid_until: None }
        }
        _ => customer(Action::Investigate { at: "the pods that set up the network".to_owned() }),
    };
    Verdict::fail(named(&down), since, turn, evidence(object, &down))
}

pub(super) fn problem(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (object, _) = verdict_or!(known(history));
    let there: Vec<&NodeCondition> =
        object.conditions.iter().filter(|one| PROBLEMS.contains(&one.kind.as_str())).collect();
    if there.is_empty() {
        return Verdict::not_applicable("node-problem-detector has set no condition on the node");
    }
    let ill = holding(object, &PROBLEMS);
    if ill.is_empty() {
        let all = evidence(object, &there);
        return silent(object, &PROBLEMS).unwrap_or_else(|| Verdict::pass(all));
    }
    // The provider's repair does not look at these.
    let mut told = evidence(object, &ill);
    if object.is_ready() == Some(true) {
        let actual = "the node is Ready: the provider's repair looks at nothing else";
        told.push(Evidence::new(NODE_OBJECT, actual, ""));
    }
    let turn = customer(Action::Investigate {
        at: "what the condition says; one that was never taken back goes with a restart of \
             node-problem-detector"
            .to_owned(),
    });
    Verdict::fail(named(&ill), since(history, &PROBLEMS).min(now), turn, told)
}

pub(super) fn scheduled(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (object, _) = verdict_or!(known(history));
    if object.condition(SCHEDULED).is_none() {
        return Verdict::not_applicable("nothing on the node tells of the platform's events");
    }
    let due = holding(object, &[SCHEDULED]);
    if due.is_empty() {
        let told = told(object, SCHEDULED, "False");
        return silent(object, &[SCHEDULED]).unwrap_or_else(|| Verdict::pass(told));
    }
    let turn = customer(Action::Repair {
        what: "move pods that must not stop: kubectl drain; freezes and reboots end by themselves"
            .to_owned(),
    });
    let since = since(history, &[SCHEDULED]).min(now);
    Verdict::fail("the platform has an event for the machine", since, turn, evidence(object, &due))
}

fn is_of_problem(event: &NodeEvent) -> bool {
    event.is_warning && event.source != REPAIR_SOURCE && EVENTS.contains(&event.reason.as_str())
}

pub(super) fn event(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (object, _) = verdict_or!(known(history));
    if matches!(Exclusion::of(object), Some(Exclusion::Upgrade)) {
        return Verdict::not_applicable("an upgrade goes through the node: maintenance");
    }
    let oldest = now.checked_sub(FRESH).unwrap_or(Timestamp::MIN);
    let newest = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let all = || object.events.iter().filter(|event| is_of_problem(event));
    let line = |event: &NodeEvent| {
        let actual = format!("{} at {:.0}: {}", event.reason, event.at, event.message);
        Evidence::new(format!("events of {}", event.source), actual, "")
    };
    if let Some(odd) = all().find(|event| event.at > newest) {
        return Verdict::unknown("an event is of a time that is still to come", vec![line(odd)]);
    }
    let fresh: Vec<&NodeEvent> = all().filter(|event| event.at >= oldest).collect();
    let Some(first) = fresh.iter().map(|event| event.at).min() else {
        return Verdict::pass(Vec::new());
    };
    let last = fresh.iter().map(|event| event.at).max().unwrap_or(first);
    let mut names: Vec<&str> = fresh.iter().map(|event| event.reason.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut turn = customer(Action::Investigate {
        at: "what the event names; under load a plugin that was too slow tells of problems that \
             are none"
            .to_owned(),
    });
    turn.valid_until = last.checked_add(FRESH + SignedDuration::from_secs(1)).ok();
    let evidence = shortened(fresh.iter().map(|event| line(event)).collect());
    Verdict::fail(names.join(", "), first, turn, evidence)
}
