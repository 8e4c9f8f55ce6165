//! `kube_proxy` to and from the wire.

use nodeward_domain::facts as domain;

use super::{TRACES, process};
use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;

/// Limits of the lists: some ten times what a real node shows.
const FAMILIES: usize = 16;
const FEATURES: usize = 4096;

impl From<&domain::KubeProxy> for v1::KubeProxy {
    fn from(proxy: &domain::KubeProxy) -> Self {
        Self {
            traces: proxy.traces.clone(),
            process: proxy.process.as_ref().map(Into::into),
            in_container: proxy.in_container,
            health: Some((&proxy.health).into()),
            metrics_endpoint: proxy.metrics_endpoint.clone(),
            proxy_mode: Some((&proxy.proxy_mode).into()),
            metrics: Some((&proxy.metrics).into()),
            version: proxy.version.clone(),
            alpha_features: proxy
                .alpha_features
                .clone()
                .map(|names| v1::kube_proxy::AlphaFeatures { names }),
            configz: Some((&proxy.configz).into()),
            configuration: proxy.configuration.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::KubeProxy> for domain::KubeProxy {
    type Error = Invalid;

    fn try_from(proxy: v1::KubeProxy) -> Result<Self, Invalid> {
        Ok(Self {
            traces: texts("traces", proxy.traces, TRACES)?,
            process: process(proxy.process)?,
            in_container: proxy.in_container,
            health: required("health", proxy.health)?
                .try_into()
                .map_err(|invalid: Invalid| invalid.within("health"))?,
            metrics_endpoint: text(proxy.metrics_endpoint),
            proxy_mode: answer("proxy_mode", proxy.proxy_mode)?,
            metrics: answer("metrics", proxy.metrics)?,
            version: text(proxy.version),
            alpha_features: proxy
                .alpha_features
                .map(|features| texts("alpha_features.names", features.names, FEATURES))
                .transpose()?,
            configz: answer("configz", proxy.configz)?,
            configuration: proxy
                .configuration
                .map(TryInto::try_into)
                .transpose()
                .map_err(|invalid: Invalid| invalid.within("configuration"))?,
        })
    }
}

/// An answer that every kube-proxy has.
fn answer(field: &str, wire: Option<v1::HttpAnswer>) -> Result<domain::HttpAnswer, Invalid> {
    required(field, wire)?.try_into().map_err(|invalid: Invalid| invalid.within(field))
}

impl From<&domain::ProxyHealth> for v1::kube_proxy::Health {
    fn from(health: &domain::ProxyHealth) -> Self {
        Self {
            endpoint: health.endpoint.clone(),
            livez: Some((&health.livez).into()),
            healthz: Some((&health.healthz).into()),
            families: health
                .families
                .iter()
                .map(|one| v1::kube_proxy::Family {
                    family: one.family.clone(),
                    is_healthy: one.is_healthy,
                })
                .collect(),
            node_eligible: health.node_eligible,
        }
    }
}

impl TryFrom<v1::kube_proxy::Health> for domain::ProxyHealth {
    type Error = Invalid;

    fn try_from(health: v1::kube_proxy::Health) -> Result<Self, Invalid> {
        Ok(Self {
            endpoint: text(health.endpoint),
            livez: answer("livez", health.livez)?,
            healthz: answer("healthz", health.healthz)?,
            families: list("families", health.families, FAMILIES, |one| {
                Ok(domain::FamilyHealth {
                    family: name("family", one.family)?,
                    is_healthy: one.is_healthy,
                })
            })?,
            node_eligible: health.node_eligible,
        })
    }
}

impl From<&domain::ProxyConfiguration> for v1::kube_proxy::Configuration {
    fn from(configuration: &domain::ProxyConfiguration) -> Self {
        Self {
            mode: configuration.mode.clone(),
            health_bind_address: configuration.health_bind_address.clone(),
            metrics_bind_address: configuration.metrics_bind_address.clone(),
            sync_period_seconds: configuration.sync_period_seconds,
            feature_gates: configuration
                .feature_gates
                .iter()
                .map(|gate| v1::kube_proxy::FeatureGate {
                    name: gate.name.clone(),
                    is_on: gate.is_on,
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::kube_proxy::Configuration> for domain::ProxyConfiguration {
    type Error = Invalid;

    fn try_from(wire: v1::kube_proxy::Configuration) -> Result<Self, Invalid> {
        Ok(Self {
            mode: text(wire.mode),
            health_bind_address: text(wire.health_bind_address),
            metrics_bind_address: text(wire.metrics_bind_address),
            sync_period_seconds: wire.sync_period_seconds,
            feature_gates: list("feature_gates", wire.feature_gates, FEATURES, |gate| {
                Ok(domain::FeatureGate { name: name("name", gate.name)?, is_on: gate.is_on })
            })?,
        })
    }
}
