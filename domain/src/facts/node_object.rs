//! Facts of `node_object`: what the cluster's API server says of a node, without what moves
//! with every heartbeat. The aggregator asks for it; no agent may speak for the API server.
//! Sources: Kubernetes' API (`v1.Node`, `v1.Event`), AKS's documentation of labels, taints,
//! node auto-repair and node-problem-detector.

use jiff::Timestamp;
use serde::Serialize;

use super::{Headline, Label};
use crate::text::Text;

/// Where a node's facts of the API server come from, for evidence.
pub const NODE_OBJECT: &str = "API server, nodes";

/// What the API server says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeObject {
    /// Its UID: a node that is made anew under its name has another.
    pub uid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The provider's name of its machine; empty without one.
    pub provider_id: String,
    /// Its labels of Kubernetes and of its provider, by key.
    pub labels: Vec<Label>,
    /// Annotations that say something of its care, by key.
    pub annotations: Vec<Label>,
    /// Its taints, by key and effect.
    pub taints: Vec<NodeTaint>,
    /// Whether it is cordoned.
    pub is_unschedulable: bool,
    /// When its deletion was asked for; none where it was not.
    pub deleted_at: Option<Timestamp>,
    /// What its kubelet says of the system.
    pub system: NodeSystem,
    /// Its conditions, by kind.
    pub conditions: Vec<NodeCondition>,
    /// What events tell of it, oldest first, the newest of each reason alone where they are
    /// not steps of its repair.
    pub events: Vec<NodeEvent>,
}

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeTaint {
    /// Such as `node.cloudprovider.kubernetes.io/shutdown`.
    pub key: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// Its value; often empty.
    pub value: String,
}

/// `nodeInfo`, which the node's own kubelet writes: claims, as its labels are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NodeSystem {
    /// `linux` or `windows`.
    pub operating_system: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `Ubuntu 22.04.5 LTS`.
    pub os_image: String,
    /// Such as `5.15.0-1102-azure`, or of Windows `10.0.20348.5499`.
    pub kernel_version: String,
    /// Such as `v1.34.9`.
    pub kubelet_version: String,
    /// Such as `containerd://1.7.28-1`.
    pub container_runtime_version: String,
    /// Of its boot.
    pub boot_id: String,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeCondition {
    /// Such as `Ready`.
    pub kind: Text,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Such as `KubeletNotReady`.
    pub reason: Text,
    /// For people.
    pub message: Text,
    /// Since when, by the clock of who set it; none where it does not say.
    pub since: Option<Timestamp>,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// The API's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// An event about the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeEvent {
    /// When it was last seen.
    pub at: Timestamp,
    /// Such as `NodeRebootStart`.
    pub reason: String,
    /// Who tells it, such as `aks-auto-repair`.
    pub source: String,
    /// Whether it is a warning.
    pub is_warning: bool,
    /// For people.
    pub message: String,
}

impl NodeObject {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|label| label.key == key).map(|label| label.value.as_str())
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.iter().find(|one| one.key == key).map(|one| one.value.as_str())
    }

    /// The condition of that kind.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&NodeCondition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether it has a taint of that key.
    #[must_use]
    pub fn has_taint(&self, key: &str) -> bool {
        self.taints.iter().any(|taint| taint.key == key)
    }

    /// Whether it is Ready. Not known counts as not Ready, as for the provider's repair; none
    /// where it has no such condition.
    #[must_use]
    pub fn is_ready(&self) -> Option<bool> {
        self.condition("Ready").map(|ready| ready.status == ConditionStatus::True)
    }

    /// Whether it runs Windows.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.system.operating_system == "windows"
            || self.label("kubernetes.io/os") == Some("windows")
    }
}

impl Headline for NodeObject {
    fn headline(&self) -> String {
        let ready =
            self.condition("Ready").map_or("no word on Ready", |ready| match ready.status {
                ConditionStatus::True => "Ready",
                ConditionStatus::False => "not Ready",
                ConditionStatus::Unknown => "Ready is unknown",
            });
        let mut headline = ready.to_owned();
        if self.is_unschedulable {
            headline.push_str(", cordoned");
        }
        let system = &self.system;
        for part in [&system.os_image, &system.kubelet_version] {
            if !part.is_empty() {
                headline.push_str(", ");
                headline.push_str(part);
            }
        }
        headline
    }
}
