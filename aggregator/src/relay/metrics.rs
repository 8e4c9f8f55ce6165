//! What a relay counts for Prometheus: the calls that it hands on, and until when its
//! certificates are in force.

use prometheus_client::registry::Registry;

use crate::metrics::{Calls, Certificates, text};

/// The counters and the registry that shows them.
#[derive(Debug)]
pub struct RelayMetrics {
    registry: Registry,
    /// Calls of agents, by what the aggregator answered.
    pub calls: Calls,
}

impl RelayMetrics {
    /// Counters at zero.
    #[must_use]
    pub fn new(certificates: Certificates) -> Self {
        let mut registry = Registry::with_prefix("nodeward");
        // Under names of their own: the aggregator counts each of these calls too.
        let calls = Calls::shown_by(registry.sub_registry_with_prefix("relay"));
        registry.register_collector(Box::new(certificates));
        Self { registry, calls }
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        text(&self.registry)
    }
}
