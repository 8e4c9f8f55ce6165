//! Which kind of machine a node is. A pure function of what was observed, so that a
//! plain machine is never accused of being a broken managed node.

use serde::{Deserialize, Serialize};

use crate::facts::NodeObject;
use crate::node::NodeHistory;
use crate::observed::State;

/// The label by which AKS names a node's cluster.
const CLUSTER_LABEL: &str = "kubernetes.azure.com/cluster";

/// What the names of Azure's machines begin with.
const AZURE: &str = "azure://";

/// Who, besides its operator, takes care of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// A node of Azure Kubernetes Service.
    Aks,
    /// A Kubernetes node without a provider that takes part in its care.
    Kubernetes,
    /// A machine that shows no trace of Kubernetes.
    Plain,
    /// What would tell could not be read.
    Unknown,
}

impl Platform {
    /// The platform of a node, from the marks of the image builder on disk, the
    /// labels that the kubelet registers, and whether there is a kubelet at all.
    #[must_use]
    pub fn of(history: &NodeHistory) -> Self {
        if let Some(object) = history.node_object.present()
            && history.os_release.newest().is_none()
        {
            return Self::of_object(object);
        }
        let os_release = history.os_release.state();
        let kubelet = history.kubelet.state();
        let marked = os_release
            .and_then(State::present)
            .is_some_and(|os_release| !os_release.provider_marks.is_empty());
        let labelled =
            kubelet.and_then(State::present).is_some_and(|kubelet| kubelet.registers_azure_labels);
        if marked || labelled {
            return Self::Aks;
        }
        match (os_release, kubelet) {
            // A mark may stand where we could not look.
            (None | Some(State::Unavailable(_)), _) | (_, None | Some(State::Unavailable(_))) => {
                Self::Unknown
            }
            (_, Some(State::Present(_))) => Self::Kubernetes,
            (_, Some(State::Absent | State::NotApplicable(_))) => Self::Plain,
        }
    }

    /// The platform of a node that no agent has told of, by what the API server says alone.
    fn of_object(object: &NodeObject) -> Self {
        match object.label(CLUSTER_LABEL).is_some() && object.provider_id.starts_with(AZURE) {
            true => Self::Aks,
            false => Self::Kubernetes,
        }
    }

    /// The platform's name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aks => "AKS node",
            Self::Kubernetes => "Kubernetes node without a provider",
            Self::Plain => "plain machine",
            Self::Unknown => "platform unknown",
        }
    }

    /// The word of the platform on the wire and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Aks => "aks",
            Self::Kubernetes => "kubernetes",
            Self::Plain => "plain",
            Self::Unknown => "unknown",
        }
    }
}
