//! `node_object` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{
    Invalid, list, name, optional_timestamp, required, text, timestamp_in, timestamp_out,
};
use crate::v1;
use crate::v1::node_object::{Condition, Event, Pair, Status, System, Taint};

/// Limits of the lists: some ten times what a real node has.
const LABELS: usize = 512;
const TAINTS: usize = 128;
const CONDITIONS: usize = 256;
const EVENTS: usize = 256;

fn pairs_out(labels: &[domain::Label]) -> Vec<Pair> {
    labels
        .iter()
        .map(|label| Pair { key: label.key.to_string(), value: label.value.to_string() })
        .collect()
}

fn pairs_in(field: &str, pairs: Vec<Pair>) -> Result<Vec<domain::Label>, Invalid> {
    list(field, pairs, LABELS, |pair| {
        Ok(domain::Label { key: name("key", pair.key)?.into(), value: text(pair.value).into() })
    })
}

impl From<&domain::NodeObject> for v1::NodeObject {
    fn from(object: &domain::NodeObject) -> Self {
        let taint = |taint: &domain::NodeTaint| Taint {
            key: taint.key.clone(),
            effect: taint.effect.clone(),
            value: taint.value.clone(),
        };
        let condition = |condition: &domain::NodeCondition| Condition {
            kind: condition.kind.to_string(),
            status: match condition.status {
                domain::ConditionStatus::True => Status::True,
                domain::ConditionStatus::False => Status::False,
                domain::ConditionStatus::Unknown => Status::Unknown,
            }
            .into(),
            reason: condition.reason.to_string(),
            message: condition.message.to_string(),
            since: condition.since.map(timestamp_out),
        };
        let event = |event: &domain::NodeEvent| Event {
            at: Some(timestamp_out(event.at)),
            reason: event.reason.clone(),
            source: event.source.clone(),
            is_warning: event.is_warning,
            message: event.message.clone(),
        };
        let system = &object.system;
        Self {
            uid: object.uid.clone(),
            created_at: Some(timestamp_out(object.created_at)),
            provider_id: object.provider_id.clone(),
            labels: pairs_out(&object.labels),
            annotations: pairs_out(&object.annotations),
            taints: object.taints.iter().map(taint).collect(),
            is_unschedulable: object.is_unschedulable,
            deleted_at: object.deleted_at.map(timestamp_out),
            system: Some(System {
                operating_system: system.operating_system.clone(),
                architecture: system.architecture.clone(),
                os_image: system.os_image.clone(),
                kernel_version: system.kernel_version.clone(),
                kubelet_version: system.kubelet_version.clone(),
                container_runtime_version: system.container_runtime_version.clone(),
                boot_id: system.boot_id.clone(),
            }),
            conditions: object.conditions.iter().map(condition).collect(),
            events: object.events.iter().map(event).collect(),
        }
    }
}

impl TryFrom<v1::NodeObject> for domain::NodeObject {
    type Error = Invalid;

    fn try_from(object: v1::NodeObject) -> Result<Self, Invalid> {
        let system = required("system", object.system)?;
        Ok(Self {
            uid: name("uid", object.uid)?,
            created_at: timestamp_in("created_at", object.created_at)?,
            provider_id: text(object.provider_id),
            labels: pairs_in("labels", object.labels)?,
            annotations: pairs_in("annotations", object.annotations)?,
            taints: list("taints", object.taints, TAINTS, |taint| {
                Ok(domain::NodeTaint {
                    key: name("key", taint.key)?,
                    effect: text(taint.effect),
                    value: text(taint.value),
                })
            })?,
            is_unschedulable: object.is_unschedulable,
            deleted_at: optional_timestamp("deleted_at", object.deleted_at)?,
            system: domain::NodeSystem {
                operating_system: text(system.operating_system),
                architecture: text(system.architecture),
                os_image: text(system.os_image),
                kernel_version: text(system.kernel_version),
                kubelet_version: text(system.kubelet_version),
                container_runtime_version: text(system.container_runtime_version),
                boot_id: text(system.boot_id),
            },
            conditions: list("conditions", object.conditions, CONDITIONS, |condition| {
                let status = match condition.status() {
                    Status::True => domain::ConditionStatus::True,
                    Status::False => domain::ConditionStatus::False,
                    Status::Unknown => domain::ConditionStatus::Unknown,
                    Status::Unspecified => return Err(Invalid::new("status", "is missing")),
                };
                Ok(domain::NodeCondition {
                    status,
                    kind: name("kind", condition.kind)?.into(),
                    reason: text(condition.reason).into(),
                    message: text(condition.message).into(),
                    since: optional_timestamp("since", condition.since)?,
                })
            })?,
            events: list("events", object.events, EVENTS, |event| {
                Ok(domain::NodeEvent {
                    at: timestamp_in("at", event.at)?,
                    reason: name("reason", event.reason)?,
                    source: text(event.source),
                    is_warning: event.is_warning,
                    message: text(event.message),
                })
            })?,
        })
    }
}
