//! Objects in the forms that a client may ask for in the place of whole ones: rows of a table,
//! as `kubectl get` prints them, and metadata alone. After Kubernetes'
//! `pkg/printers/internalversion` and `meta.k8s.io/v1`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::Resource;

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole.
    Whole,
    /// As rows.
    Table,
    /// Their metadata alone.
    Metadata,
}

impl Form {
    /// The first form of an `Accept` header that is known.
    #[must_use]
    pub(super) fn accepted(header: &str) -> Self {
        let known = |one: &str| {
            if one.contains("as=Table") {
                Some(Self::Table)
            } else if one.contains("as=PartialObjectMetadata") {
                Some(Self::Metadata)
            } else if one.trim() == "application/json" || one.trim() == "*/*" {
                Some(Self::Whole)
            } else {
                None
            }
        };
        header.split(',').find_map(known).unwrap_or(Self::Whole)
    }
}

/// A list in that form.
#[must_use]
pub(super) fn list(
    form: Form,
    resource: Resource,
    objects: &[&Value],
    metadata: &Value,
    now: Timestamp,
) -> Value {
    match form {
        Form::Whole => {
            // A list says once of what its objects are.
            let bare = objects.iter().map(|object| {
                let mut object = (*object).clone();
                if let Some(members) = object.as_object_mut() {
                    members.remove("kind");
                    members.remove("apiVersion");
                }
                object
            });
            json!({
                "kind": format!("{}List", resource.kind),
                "apiVersion": resource.api_version(),
                "metadata": metadata,
                "items": bare.collect::<Vec<_>>(),
            })
        }
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": objects.iter().map(|object| partial(object)).collect::<Vec<_>>(),
        }),
        Form::Table => table(resource, objects, metadata, true, now),
    }
}

/// One object in that form. A watch tells the columns of a table once.
#[must_use]
pub(super) fn one(
    form: Form,
    resource: Resource,
    object: &Value,
    columns: bool,
    now: Timestamp,
) -> Value {
    match form {
        Form::Whole => object.clone(),
        Form::Metadata => partial(object),
        Form::Table => {
            let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
            table(resource, &[object], &metadata, columns, now)
        }
    }
}

fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

fn table(
    resource: Resource,
    objects: &[&Value],
    metadata: &Value,
    with_columns: bool,
    now: Timestamp,
) -> Value {
    let rows = objects
        .iter()
        .map(|object| json!({ "cells": cells(resource, object, now), "object": partial(object) }));
    let columns = columns(resource).iter().map(|(name, priority)| {
        json!({
            "name": name,
            "type": if *name == "Restarts" || *name == "Allowed Disruptions" { "integer" } else { "string" },
            "format": if *name == "Name" { "name" } else { "" },
            "description": "",
            "priority": priority,
        })
    });
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": if with_columns { Value::from(columns.collect::<Vec<_>>()) } else { Value::Null },
        "rows": rows.collect::<Vec<_>>(),
    })
}

/// Names of columns, and 1 for those that only a wide table shows.
const fn columns(resource: Resource) -> &'static [(&'static str, u8)] {
    match resource.kind.as_bytes() {
        b"Node" => &[
            ("Name", 0),
            ("Status", 0),
            ("Roles", 0),
            ("Age", 0),
            ("Version", 0),
            ("Internal-IP", 1),
            ("External-IP", 1),
            ("OS-Image", 1),
            ("Kernel-Version", 1),
            ("Container-Runtime", 1),
        ],
        b"Pod" => &[
            ("Name", 0),
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
        b"Event" => &[("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0), ("Message", 0)],
        b"PodDisruptionBudget" => &[
            ("Name", 0),
            ("Min Available", 0),
            ("Max Unavailable", 0),
            ("Allowed Disruptions", 0),
            ("Age", 0),
        ],
        b"Namespace" => &[("Name", 0), ("Status", 0), ("Age", 0)],
        _ => &[("Name", 0), ("Age", 0)],
    }
}

fn cells(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = object["metadata"]["name"].clone();
    let age = json!(since(&object["metadata"]["creationTimestamp"], now));
    let or_none = |value: &Value| match value.as_str() {
        Some(text) if !text.is_empty() => json!(text),
        _ => json!("<none>"),
    };
    match resource.kind {
        "Node" => {
            let told = &object["status"]["nodeInfo"];
            let address = |kind: &str| {
                let all = object["status"]["addresses"].as_array().into_iter().flatten();
                let found =
                    all.filter(|one| one["type"] == *kind).map(|one| &one["address"]).next();
                or_none(found.unwrap_or(&Value::Null))
            };
            vec![
                name,
                json!(node_status(object)),
                json!(roles(object)),
                age,
                told["kubeletVersion"].clone(),
                address("InternalIP"),
                address("ExternalIP"),
                told["osImage"].clone(),
                told["kernelVersion"].clone(),
                told["containerRuntimeVersion"].clone(),
            ]
        }
        "Pod" => {
            let all = object["status"]["containerStatuses"].as_array();
            let states: Vec<&Value> = all.into_iter().flatten().collect();
            let ready = states.iter().filter(|one| one["ready"] == true).count();
            let wanted = object["spec"]["containers"].as_array().map_or(0, Vec::len);
            let restarts: u64 = states.iter().filter_map(|one| one["restartCount"].as_u64()).sum();
            vec![
                name,
                json!(format!("{ready}/{wanted}")),
                object["status"]["phase"].clone(),
                json!(restarts),
                age,
                or_none(&object["status"]["podIP"]),
                or_none(&object["spec"]["nodeName"]),
                json!("<none>"),
                json!("<none>"),
            ]
        }
        "Event" => {
            let last = match since(&object["lastTimestamp"], now) {
                unknown if unknown == "<unknown>" => since(&object["eventTime"], now),
                last => last,
            };
            let about = &object["involvedObject"];
            let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
            let about = format!("{kind}/{}", about["name"].as_str().unwrap_or_default());
            let message = object["message"].as_str().unwrap_or_default().trim();
            vec![
                json!(last),
                object["type"].clone(),
                object["reason"].clone(),
                json!(about),
                json!(message),
            ]
        }
        "PodDisruptionBudget" => {
            let or_not = |value: &Value| match value {
                Value::Null => json!("N/A"),
                Value::String(text) => json!(text),
                number => json!(number.to_string()),
            };
            let allowed = object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
            let spec = &object["spec"];
            vec![
                name,
                or_not(&spec["minAvailable"]),
                or_not(&spec["maxUnavailable"]),
                json!(allowed),
                age,
            ]
        }
        "Namespace" => vec![name, object["status"]["phase"].clone(), age],
        _ => vec![name, age],
    }
}

fn node_status(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|one| one["type"] == "Ready");
    let status = match ready.and_then(|ready| ready["status"].as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let unschedulable = object["spec"]["unschedulable"] == true;
    format!("{status}{}", if unschedulable { ",SchedulingDisabled" } else { "" })
}

fn roles(object: &Value) -> String {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let named = labels.filter_map(|(label, value)| {
        let role = label.strip_prefix("node-role.kubernetes.io/").map(str::to_owned);
        let old =
            (label == "kubernetes.io/role").then(|| value.as_str().unwrap_or_default().to_owned());
        role.or(old).filter(|role| !role.is_empty())
    });
    let mut roles: Vec<String> = named.collect();
    roles.sort();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

/// How long ago an instant is, as `k8s.io/apimachinery/pkg/util/duration` says it.
fn since(instant: &Value, now: Timestamp) -> String {
    let Some(instant) = instant.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    human(now.duration_since(instant).as_secs())
}

fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let both = |large: i64, unit: char, small: i64, part: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{part}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => both(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => both(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => both(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        _ => both(days / 365, 'y', days % 365, 'd'),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (345, "5m45s"),
            (360, "6m"),
            (601, "10m"),
            (11_000, "3h3m"),
            (172_799, "47h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
