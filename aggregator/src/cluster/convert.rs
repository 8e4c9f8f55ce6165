//! The API server's objects as the domain has them. This is the edge: what moves with every
//! heartbeat stays outside, every text and list has a limit, names are compared in lower
//! case, and a time is taken from no node's own clock where the API server has one. What a
//! hostile node writes into its object costs that node alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::{
    ConditionStatus, Label, NodeCondition, NodeEvent, NodeObject, NodeSystem, NodeTaint,
};

use super::texts::Texts;
use super::wire;

/// Prefixes of labels that are kept, by the domain before the slash: those that Kubernetes
/// and AKS reserve (AKS: use-labels), and Karpenter's.
const LABEL_DOMAINS: [&str; 5] =
    ["kubernetes.io", "k8s.io", "kubernetes.azure.com", "karpenter.sh", "karpenter.azure.com"];

/// Labels without a domain that AKS sets beside those with one.
const PLAIN_LABELS: [&str; 4] = ["agentpool", "accelerator", "storageprofile", "storagetier"];

/// Annotations that are kept: of patches that are put in while the node runs, of an upgrade
/// that goes through the node, and of the autoscaler (AKS: node-auto-repair, AgentBaker).
const ANNOTATIONS: [&str; 7] = [
    "cluster-autoscaler.kubernetes.io/scale-down-disabled",
    "kubernetes.azure.com/azure-cluster-autoscaler-scale-down-disabled-reason",
    "kubernetes.azure.com/live-patching-current-timestamp",
    "kubernetes.azure.com/live-patching-custom-patching",
    "kubernetes.azure.com/live-patching-golden-timestamp",
    "kubernetes.azure.com/live-patching-kubelet-version",
    "kubernetes.azure.com/live-patching-repo-service",
];

/// Limits of lists: some ten times what a real node has, and less than the wire accepts.
const LABELS: usize = 256;
const TAINTS: usize = 64;
const CONDITIONS: usize = 128;

/// Limits of texts, in bytes. A label's value has 63 at most, its key 317.
const NAME_BYTES: usize = 320;
const TEXT_BYTES: usize = 1024;

/// A node may claim what it likes of its clock, but not that something will be.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// Why an object of an API server cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not what its kind should be.
    #[error("it is not of its kind: {0}")]
    Shape(String),
    /// Its name is none.
    #[error("metadata.name: is not a name")]
    Name,
    /// Its UID is none.
    #[error("metadata.uid: is not a UID")]
    Uid,
    /// When it was made cannot be told.
    #[error("metadata.creationTimestamp: is not a time")]
    Created,
}

/// The name by which a node is known, whatever the case in which somebody writes it: names of
/// nodes are in lower case in the API, host names and those who quote them need not be.
pub(super) fn node_name(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    crate::peer::is_name(&name).then_some(name)
}

/// A node's name and what is said of it, without its events.
pub(super) fn node(
    wire: wire::Node,
    texts: &mut Texts,
    now: Timestamp,
) -> Result<(String, NodeObject), Unreadable> {
    let wire::Node { metadata, spec, status } = wire;
    let name = node_name(&metadata.name).ok_or(Unreadable::Name)?;
    if !crate::peer::is_uid(&metadata.uid) {
        return Err(Unreadable::Uid);
    }
    let created_at =
        metadata.creation_timestamp.as_deref().and_then(time).ok_or(Unreadable::Created)?;
    let mut taints: Vec<NodeTaint> = spec
        .taints
        .into_iter()
        .filter(|taint| !taint.key.is_empty())
        .take(TAINTS)
        .map(|taint| NodeTaint {
            key: bounded(taint.key, NAME_BYTES),
            effect: bounded(taint.effect, NAME_BYTES),
            value: bounded(taint.value, NAME_BYTES),
        })
        .collect();
    taints.sort();
    taints.shrink_to_fit();
    let mut conditions: Vec<NodeCondition> = status
        .conditions
        .into_iter()
        .filter(|condition| !condition.kind.is_empty())
        .take(CONDITIONS)
        .map(|wire| condition(wire, texts, now))
        .collect();
    conditions.sort();
    conditions.shrink_to_fit();
    let system = status.node_info;
    let text = |text: String| bounded(text, NAME_BYTES);
    let object = NodeObject {
        uid: metadata.uid,
        created_at,
        provider_id: bounded(spec.provider_id, TEXT_BYTES),
        labels: pairs(metadata.labels, texts, is_kept_label),
        annotations: pairs(metadata.annotations, texts, |key| ANNOTATIONS.contains(&key)),
        taints,
        is_unschedulable: spec.unschedulable,
        deleted_at: metadata.deletion_timestamp.as_deref().and_then(time),
        system: NodeSystem {
            operating_system: text(system.operating_system),
            architecture: text(system.architecture),
            os_image: text(system.os_image),
            kernel_version: text(system.kernel_version),
            kubelet_version: text(system.kubelet_version),
            container_runtime_version: text(system.container_runtime_version),
            boot_id: text(system.boot_id),
        },
        conditions,
        events: Vec::new(),
    };
    Ok((name, object))
}

fn condition(wire: wire::Condition, texts: &mut Texts, now: Timestamp) -> NodeCondition {
    let latest = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    NodeCondition {
        kind: texts.get(&bounded(wire.kind, NAME_BYTES)),
        // The API knows three words. What else may come says nothing.
        status: match wire.status.as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        },
        reason: texts.get(&bounded(wire.reason, NAME_BYTES)),
        message: texts.get(&bounded(wire.message, TEXT_BYTES)),
        since: wire.last_transition_time.as_deref().and_then(time).filter(|at| *at <= latest),
    }
}

/// Keeps the words that were there before where nothing but numbers in them has moved: "last
/// seen active 4m12s ago" would be another state of the node with every heartbeat.
pub(super) fn steady(object: &mut NodeObject, before: &NodeObject) {
    for condition in &mut object.conditions {
        let is_same = |one: &&NodeCondition| {
            (&one.kind, one.status, &one.reason)
                == (&condition.kind, condition.status, &condition.reason)
                && is_alike(&one.message, &condition.message)
        };
        if let Some(same) = before.conditions.iter().find(is_same) {
            condition.message.clone_from(&same.message);
        }
    }
}

/// Whether two texts are the same but for their numbers, and units of time beside these.
fn is_alike(a: &str, b: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split(' ').filter(|word| !is_number(word))
    }
    a == b || words(a).eq(words(b))
}

/// A number, a time or a length of time, such as `4m12.5s`, `3` or `12:00:07`.
fn is_number(word: &str) -> bool {
    let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_digit() || b"hmsunTZ.:+-%".contains(&b))
}

fn is_kept_label(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, _)) => LABEL_DOMAINS.iter().any(|kept| {
            domain.strip_suffix(kept).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }),
        None => PLAIN_LABELS.contains(&key),
    }
}

/// Those of the pairs that are kept, by key.
fn pairs(
    pairs: BTreeMap<String, String>,
    texts: &mut Texts,
    is_kept: impl Fn(&str) -> bool,
) -> Vec<Label> {
    let mut kept: Vec<Label> = pairs
        .into_iter()
        .filter(|(key, _)| is_kept(key))
        .take(LABELS)
        .map(|(key, value)| Label {
            key: texts.get(&bounded(key, NAME_BYTES)),
            value: texts.get(&bounded(value, NAME_BYTES)),
        })
        .collect();
    kept.shrink_to_fit();
    kept
}

/// An event and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToldEvent {
    /// The node's name.
    pub node: String,
    /// The node's UID, where whoever tells it knows it: many write the name there.
    pub uid: Option<String>,
    /// What is told.
    pub event: NodeEvent,
}

/// An event about a node; none of one about something else, or without a reason.
pub(super) fn event(wire: wire::Event, now: Timestamp) -> Option<ToldEvent> {
    let about = wire.involved_object;
    if about.kind != "Node" || wire.reason.is_empty() {
        return None;
    }
    let node = node_name(&about.name)?;
    let is_uid = crate::peer::is_uid(&about.uid) && !about.uid.eq_ignore_ascii_case(&about.name);
    // The API server's own clock says when it was first told. Who tells it says when it last
    // happened, by a clock that may be the node's: never before the first, never to come.
    let created = wire.metadata.creation_timestamp.as_deref().and_then(time);
    let series = wire.series.and_then(|series| series.last_observed_time);
    let is_repeated = wire.count > 1 || series.is_some();
    let told = [series, wire.last_timestamp, wire.event_time]
        .into_iter()
        .flatten()
        .find_map(|text| time(&text));
    let at = match (created, told) {
        (Some(created), Some(told)) if is_repeated => told.max(created),
        (Some(created), _) => created,
        (None, told) => told?,
    };
    let source = [wire.source.component, wire.reporting_component]
        .into_iter()
        .find(|source| !source.is_empty())
        .unwrap_or_default();
    Some(ToldEvent {
        node,
        uid: is_uid.then_some(about.uid),
        event: NodeEvent {
            at: at.min(now),
            reason: bounded(wire.reason, NAME_BYTES),
            source: bounded(source, NAME_BYTES),
            is_warning: wire.kind == "Warning",
            message: bounded(wire.message, TEXT_BYTES),
        },
    })
}

/// A time of the API, RFC 3339; none of what is not one, or lies before 1970.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at: &Timestamp| *at >= Timestamp::UNIX_EPOCH)
}

/// The text, or as much of it as is kept.
pub(super) fn bounded(mut text: String, bytes: usize) -> String {
    const END: &str = "…";
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - END.len()));
        text.push_str(END);
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests;
