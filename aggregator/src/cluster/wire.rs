//! What is read of the API server's objects, and nothing else of them: `v1.Node`, `v1.Pod`,
//! `v1.Event`, `policy/v1.PodDisruptionBudget` (Kubernetes' API reference). Whatever may be
//! left out or `null` there may be so here.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A page of a list. Its objects are read one by one, so that one which cannot be read costs
/// itself alone.
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    /// `NodeList` and the like.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub metadata: ListMetadata,
    #[serde(default, borrow)]
    pub items: Option<Vec<&'a RawValue>>,
}

/// Where a list stands.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMetadata {
    #[serde(deserialize_with = "or_default")]
    pub resource_version: String,
    /// Names the next page; empty with the last.
    #[serde(deserialize_with = "or_default", rename = "continue")]
    pub next: String,
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
pub(super) struct Change<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// What says who an object is, and at which change it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    #[serde(deserialize_with = "or_default")]
    pub metadata: NamedMetadata,
}

/// Where a pod runs. Read by itself: one whose `spec` is odd still has a name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Placed {
    #[serde(deserialize_with = "or_default")]
    pub spec: PlacedSpec,
}

/// See [`Placed`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlacedSpec {
    #[serde(deserialize_with = "or_default")]
    pub node_name: String,
}

/// See [`Named`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NamedMetadata {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    #[serde(deserialize_with = "or_default")]
    pub resource_version: String,
}

/// Why the API server does not do what it was asked (`v1.Status`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub code: Option<u16>,
    #[serde(deserialize_with = "or_default")]
    pub message: String,
}

/// The API server's version.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Version {
    #[serde(deserialize_with = "or_default")]
    pub git_version: String,
}

/// `v1.Node`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    #[serde(deserialize_with = "or_default")]
    pub metadata: NodeMetadata,
    #[serde(deserialize_with = "or_default")]
    pub spec: NodeSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeMetadata {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeSpec {
    #[serde(rename = "providerID", deserialize_with = "or_default")]
    pub provider_id: String,
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
    #[serde(deserialize_with = "or_default")]
    pub unschedulable: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taint {
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    #[serde(deserialize_with = "or_default")]
    pub effect: String,
    #[serde(deserialize_with = "or_default")]
    pub value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub node_info: NodeInfo,
}

/// A condition of a node or a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    pub last_transition_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeInfo {
    #[serde(deserialize_with = "or_default")]
    pub operating_system: String,
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    #[serde(deserialize_with = "or_default")]
    pub os_image: String,
    #[serde(deserialize_with = "or_default")]
    pub kernel_version: String,
    #[serde(deserialize_with = "or_default")]
    pub kubelet_version: String,
    #[serde(deserialize_with = "or_default")]
    pub container_runtime_version: String,
    #[serde(rename = "bootID", deserialize_with = "or_default")]
    pub boot_id: String,
}

/// `v1.Pod`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    #[serde(deserialize_with = "or_default")]
    pub metadata: PodMetadata,
    #[serde(deserialize_with = "or_default")]
    pub spec: PodSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodMetadata {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    pub deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    pub node_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    #[serde(deserialize_with = "or_default")]
    pub phase: String,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub init_container_statuses: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    pub container_statuses: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    #[serde(deserialize_with = "or_default")]
    pub restart_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub waiting: Option<Stopped>,
    pub terminated: Option<Stopped>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stopped {
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    #[serde(deserialize_with = "or_default")]
    pub exit_code: i32,
}

/// `policy/v1.PodDisruptionBudget`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DisruptionBudget {
    #[serde(deserialize_with = "or_default")]
    pub metadata: BudgetMetadata,
    #[serde(deserialize_with = "or_default")]
    pub spec: BudgetSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BudgetMetadata {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BudgetSpec {
    /// Without one it selects no pod, with an empty one all of its namespace.
    pub selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BudgetStatus {
    #[serde(deserialize_with = "or_default")]
    pub disruptions_allowed: i64,
    #[serde(deserialize_with = "or_default")]
    pub current_healthy: i64,
    #[serde(deserialize_with = "or_default")]
    pub desired_healthy: i64,
    #[serde(deserialize_with = "or_default")]
    pub expected_pods: i64,
}

/// `metav1.LabelSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Selector {
    #[serde(deserialize_with = "or_default")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub match_expressions: Vec<Requirement>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Requirement {
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[serde(deserialize_with = "or_default")]
    pub operator: String,
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
}

/// `v1.Event`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    #[serde(deserialize_with = "or_default")]
    pub metadata: EventMetadata,
    #[serde(deserialize_with = "or_default")]
    pub involved_object: InvolvedObject,
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub count: i64,
    pub last_timestamp: Option<String>,
    pub event_time: Option<String>,
    pub series: Option<Series>,
    #[serde(deserialize_with = "or_default")]
    pub source: Source,
    #[serde(deserialize_with = "or_default")]
    pub reporting_component: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EventMetadata {
    pub creation_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InvolvedObject {
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Series {
    pub last_observed_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    #[serde(deserialize_with = "or_default")]
    pub component: String,
}

/// What is `null` is as good as left out.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
