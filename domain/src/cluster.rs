//! What the API server of one cluster says beside single nodes: its version, how many nodes
//! are Ready, and what its budgets of disruption allow. Gathered by the aggregator.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a cluster whose API server is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterTruth {
    /// The cluster's name.
    pub cluster: String,
    /// The API server's version, such as `v1.34.9`; none where it has not said it.
    pub version: Option<String>,
    /// Since when it has been asked without a restart of who asks.
    pub asked_since: Timestamp,
    /// When it last answered; none where it never has.
    pub answered_at: Option<Timestamp>,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many of them are Ready.
    pub ready: usize,
    /// How many of them carry the taint of a machine that is shut down.
    pub shut_down: usize,
    /// When a node was last seen Ready; none where none was since `asked_since`.
    pub last_ready_at: Option<Timestamp>,
    /// When a node of it last reported; none where none has.
    pub last_report_at: Option<Timestamp>,
}

/// A budget of disruption (`PodDisruptionBudget`), and where the pods are that it guards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many of its pods may be evicted now, as its controller says.
    pub disruptions_allowed: u32,
    /// How many of its pods are healthy.
    pub healthy: u32,
    /// How many it wants healthy.
    pub desired: u32,
    /// How many pods it guards.
    pub expected: u32,
    /// The nodes that they run on, by name.
    pub nodes: Vec<String>,
}
