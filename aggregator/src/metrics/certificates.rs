//! Until when certificates are in force, so that an alert comes before they end.

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_proto::authority::Authority;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::relay::Way;
use crate::reload::Reloaded;
use crate::tls::Shown;

/// The certificates that the aggregator works with.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// What the listener for other machines shows and trusts, if there is one.
    pub tls: Option<Arc<Reloaded<Shown>>>,
    /// What enrolment signs with, if there is one.
    pub authority: Option<Arc<Reloaded<Authority>>>,
    /// What a relay shows to the aggregator that it hands on to, if this is one.
    pub relay: Option<Arc<Reloaded<Way>>>,
}

impl Certificates {
    /// Each by its name, and until when it is in force.
    #[must_use]
    pub fn ends(&self) -> Vec<(&'static str, Timestamp)> {
        let mut ends = Vec::new();
        if let Some(tls) = &self.tls {
            let shown = tls.get();
            ends.push(("server", shown.certificate_expires_at));
            ends.push(("client_authority", shown.authority_expires_at));
        }
        if let Some(authority) = &self.authority {
            ends.push(("issuing_authority", authority.get().not_after()));
        }
        if let Some(relay) = &self.relay {
            ends.push(("relay", relay.get().certificate_expires_at));
        }
        ends
    }

    /// Looks whether their files have changed.
    pub fn look(&self) {
        if let Some(tls) = &self.tls {
            tls.look();
        }
        if let Some(authority) = &self.authority {
            authority.look();
        }
        if let Some(relay) = &self.relay {
            relay.look();
        }
    }
}

impl Collector for Certificates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "When a certificate of the aggregator expires, in seconds of Unix time";
        let name = "certificate_expires_timestamp_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (certificate, end) in self.ends() {
            let labels = [("certificate", certificate)];
            ConstGauge::new(end.as_second()).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
