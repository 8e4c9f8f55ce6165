//! What is counted for Prometheus: the aggregator's own work as it happens, and the
//! fleet's standing at the moment of the scrape.

mod calls;
mod certificates;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::answer::Standing;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

pub use calls::{Calls, Outcome};
pub use certificates::Certificates;

use crate::fleet::{Filter, Fleet};

/// One kind of object in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResource {
    cluster: String,
    resource: &'static str,
}

/// What keeps a watch from its answer, by cluster and kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFailure {
    cluster: String,
    resource: &'static str,
    failure: &'static str,
}

/// The counters and the registry that shows them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls of agents.
    pub calls: Calls,
    components_refused: Counter,
    watch_answered: Family<ByResource, Gauge>,
    watch_lists: Family<ByResource, Counter>,
    watch_failures: Family<ByFailure, Counter>,
}

impl Metrics {
    /// Counters at zero, the standing of that fleet, and until when certificates are in force.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, certificates: Certificates) -> Self {
        let mut registry = Registry::with_prefix("nodeward");
        let calls = Calls::shown_by(&mut registry);
        let components_refused = Counter::default();
        registry.register(
            "components_refused",
            "Components of agents' reports that only an API server may speak for",
            components_refused.clone(),
        );
        let watch_answered = Family::<ByResource, Gauge>::default();
        registry.register(
            "cluster_last_answer_timestamp_seconds",
            "When a cluster's API server last answered, by resource",
            watch_answered.clone(),
        );
        let watch_lists = Family::<ByResource, Counter>::default();
        registry.register(
            "cluster_lists",
            "Lists that were begun at a cluster's API server, by resource",
            watch_lists.clone(),
        );
        let watch_failures = Family::<ByFailure, Counter>::default();
        registry.register(
            "cluster_failures",
            "Questions that a cluster's API server did not answer, by resource and failure",
            watch_failures.clone(),
        );
        registry.register_collector(Box::new(FleetStanding { fleet }));
        registry.register_collector(Box::new(certificates));
        Self { registry, calls, components_refused, watch_answered, watch_lists, watch_failures }
    }

    /// Counts components that an agent may not speak for.
    pub fn component_refused(&self, count: usize) {
        self.components_refused.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Notes when an API server last answered.
    pub fn watch_answered(&self, cluster: &str, resource: &'static str, at: Timestamp) {
        let labels = ByResource { cluster: cluster.to_owned(), resource };
        self.watch_answered.get_or_create(&labels).set(at.as_second());
    }

    /// Counts a list that begins.
    pub fn watch_listed(&self, cluster: &str, resource: &'static str) {
        let labels = ByResource { cluster: cluster.to_owned(), resource };
        self.watch_lists.get_or_create(&labels).inc();
    }

    /// Counts a question that was not answered.
    pub fn watch_failed(&self, cluster: &str, resource: &'static str, failure: &'static str) {
        let labels = ByFailure { cluster: cluster.to_owned(), resource, failure };
        self.watch_failures.get_or_create(&labels).inc();
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        text(&self.registry)
    }
}

/// What a registry shows, in the OpenMetrics text format.
pub(crate) fn text(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// Counts nodes when asked, so that no gauge can lag behind the fleet.
#[derive(Debug)]
struct FleetStanding {
    fleet: Arc<Fleet>,
}

impl Collector for FleetStanding {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let rows = self.fleet.rows(&Filter::default(), Timestamp::now());
        let mut standings = BTreeMap::from(
            [Standing::Findings, Standing::Incomplete, Standing::Clean, Standing::Gone]
                .map(|standing| (standing.word(), 0u64)),
        );
        let mut turns: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &rows {
            *standings.entry(row.standing.word()).or_default() += 1;
            if row.findings > 0 {
                *turns.entry(&row.acts_first).or_default() += 1;
            }
        }
        let help = "Rows of the store that turned out to be spoilt";
        ConstCounter::new(self.fleet.spoilt()).encode(encoder.encode_descriptor(
            "store_spoilt_rows",
            help,
            None,
            MetricType::Counter,
        )?)?;
        gauges(&mut encoder, "nodes", "Nodes by standing", "standing", &standings)?;
        gauges(
            &mut encoder,
            "nodes_with_findings",
            "Nodes with findings, by who acts first",
            "acts_first",
            &turns,
        )
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: &BTreeMap<&str, u64>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (value, count) in values {
        let labels = [(label, *value)];
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
