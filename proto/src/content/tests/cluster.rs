//! Facts of the API server, made at random.

use jiff::Timestamp;
use nodeward_domain::facts::{
    ConditionStatus, Label, NodeCondition, NodeEvent, NodeObject, NodeSystem, NodeTaint, SystemPod,
    SystemPods,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{NAME, TEXT};

fn at() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000).prop_map(|second| Timestamp::from_second(second).expect("in range"))
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    vec((NAME, TEXT).prop_map(|(key, value)| Label { key: key.into(), value: value.into() }), 0..3)
}

pub(super) fn node_object() -> impl Strategy<Value = NodeObject> {
    let taint =
        (NAME, TEXT, TEXT).prop_map(|(key, effect, value)| NodeTaint { key, effect, value });
    let status = prop_oneof![
        Just(ConditionStatus::True),
        Just(ConditionStatus::False),
        Just(ConditionStatus::Unknown),
    ];
    let condition = (NAME, status, TEXT, TEXT, option::of(at())).prop_map(
        |(kind, status, reason, message, since)| NodeCondition {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message: message.into(),
            since,
        },
    );
    let event = (at(), NAME, TEXT, any::<bool>(), TEXT).prop_map(
        |(at, reason, source, is_warning, message)| NodeEvent {
            at,
            reason,
            source,
            is_warning,
            message,
        },
    );
    let system = [TEXT; 7].prop_map(
        |[
            operating_system,
            architecture,
            os_image,
            kernel_version,
            kubelet_version,
            container_runtime_version,
            boot_id,
        ]| NodeSystem {
            operating_system,
            architecture,
            os_image,
            kernel_version,
            kubelet_version,
            container_runtime_version,
            boot_id,
        },
    );
    let names = (NAME, at(), TEXT, option::of(at()), any::<bool>());
    let lists = (labels(), labels(), vec(taint, 0..3), vec(condition, 0..3), vec(event, 0..3));
    (names, system, lists).prop_map(|(names, system, lists)| {
        let (uid, created_at, provider_id, deleted_at, is_unschedulable) = names;
        let (labels, annotations, taints, conditions, events) = lists;
        NodeObject {
            uid,
            created_at,
            provider_id,
            labels,
            annotations,
            taints,
            is_unschedulable,
            deleted_at,
            system,
            conditions,
            events,
        }
    })
}

pub(super) fn system_pods() -> impl Strategy<Value = SystemPods> {
    let names = (NAME, NAME, TEXT, TEXT, TEXT);
    let rest = (any::<bool>(), any::<bool>(), any::<bool>(), option::of(at()), any::<u32>());
    let pod = (names, rest).prop_map(|(names, rest)| {
        let (namespace, name, owner, phase, waiting) = names;
        let (is_agent, is_ready, is_ending, since, restarts) = rest;
        SystemPod {
            namespace: namespace.into(),
            name: name.into(),
            owner: owner.into(),
            is_agent,
            phase: phase.into(),
            is_ready,
            since,
            waiting: waiting.into(),
            restarts,
            is_ending,
        }
    });
    vec(pod, 0..3).prop_map(|pods| SystemPods { pods })
}
