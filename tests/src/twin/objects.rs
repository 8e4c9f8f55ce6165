//! What the API server says of a twin's node: `tests/hosts/<base>.objects.json`, a Node, its
//! pods and events in the form in which they are served, with texts replaced.

use jiff::{SignedDuration, Timestamp};
use nodeward_aggregator::cluster::facts_of;
use nodeward_domain::cluster::ClusterTruth;
use nodeward_domain::facts::{NodeObject, SystemPods};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Replacement, Twin};
use crate::project;

/// What is changed of the objects.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TwinObjects {
    /// For how long it has been so.
    #[serde(default)]
    held_minutes: i64,
    /// Texts that stand there once.
    #[serde(default)]
    replace: Vec<Replacement>,
}

/// What is said of the cluster, where it is not what is usual.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TwinCluster {
    version: Option<String>,
    nodes: Option<usize>,
    ready: Option<usize>,
    shut_down: Option<usize>,
}

/// The objects, as a file holds them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Objects {
    node: Box<RawValue>,
    pods: Vec<Box<RawValue>>,
    events: Vec<Box<RawValue>>,
}

/// The facts of the API server about a host root's node, with those texts replaced.
///
/// # Panics
/// When the file is not in order, or a text does not stand there once.
#[must_use]
pub fn objects(base: &str, twin: Option<&Twin>, now: Timestamp) -> (NodeObject, SystemPods) {
    let path = project::root().join(format!("tests/hosts/{base}.objects.json"));
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{base}: {e}"));
    for Replacement { from, to } in twin.iter().flat_map(|twin| &twin.objects.replace) {
        assert_eq!(text.matches(from.as_str()).count(), 1, "{base}: {from:?} stands there once");
        text = text.replacen(from.as_str(), to, 1);
    }
    let objects: Objects = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{base}: {e}"));
    let texts = |all: &[Box<RawValue>]| all.iter().map(|one| one.get().to_owned()).collect();
    let (pods, events): (Vec<String>, Vec<String>) = (texts(&objects.pods), texts(&objects.events));
    facts_of(objects.node.get(), &pods, &events, now).unwrap_or_else(|e| panic!("{base}: {e}"))
}

impl Twin {
    /// The moments at which the API server was looked at, three at least, oldest first.
    #[must_use]
    pub fn looked_at(twin: Option<&Self>, now: Timestamp) -> Vec<Timestamp> {
        let held = twin.map_or(0, |twin| twin.objects.held_minutes).max(2);
        let step = (held / 20).max(1);
        (0..=held)
            .rev()
            .filter(|minute| minute % step == 0)
            .map(|minute| now - SignedDuration::from_mins(minute))
            .collect()
    }

    /// What the API server says of the cluster.
    #[must_use]
    pub fn cluster(twin: Option<&Self>, now: Timestamp) -> ClusterTruth {
        let usual = TwinCluster::default();
        let told = twin.map_or(&usual, |twin| &twin.cluster);
        ClusterTruth {
            cluster: "c".to_owned(),
            version: Some(told.version.clone().unwrap_or_else(|| "v1.35.5".to_owned())),
            asked_since: now - SignedDuration::from_hours(1),
            answered_at: Some(now),
            nodes: told.nodes.unwrap_or(3),
            ready: told.ready.unwrap_or(3),
            shut_down: told.shut_down.unwrap_or(0),
            last_ready_at: None,
            last_report_at: None,
        }
    }
}
