//! How a relay is told what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{Config, ConfigError, from_file};
use crate::relay;

/// Every setting of a relay; each may stand in the file under the flag's name.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RelayConfig {
    /// TOML file with any of these settings.
    #[arg(long, env = "NODEWARD_AGGREGATOR_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// The aggregator that reports are handed on to; needed: https://HOST:PORT.
    #[arg(long, env = "NODEWARD_RELAY_TO", value_name = "URL")]
    pub to: Option<String>,

    /// Authorities that its certificate must be signed by, PEM; needed. Taken anew when it
    /// changes, as certificate and key are.
    #[arg(long, env = "NODEWARD_RELAY_CA", value_name = "FILE")]
    pub to_ca: Option<PathBuf>,

    /// Certificate that is shown to it, PEM; needed. Its name says for which cluster this relay
    /// speaks: nodeward://CLUSTER/relay/NAME.
    #[arg(long, env = "NODEWARD_RELAY_CERTIFICATE", value_name = "FILE")]
    pub to_certificate: Option<PathBuf>,

    /// That certificate's private key, PEM; needed.
    #[arg(long, env = "NODEWARD_RELAY_KEY", value_name = "FILE")]
    pub to_key: Option<PathBuf>,

    /// Where /healthz, /readyz and /metrics are served [default: 127.0.0.1:7480].
    #[arg(long, env = "NODEWARD_HTTP_LISTEN", value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,

    /// Where the cluster's agents connect over TLS; needed, with the three --tls files.
    #[arg(long, env = "NODEWARD_TLS_LISTEN", value_name = "ADDR")]
    pub tls_listen: Option<SocketAddr>,

    /// Certificate chain that is shown to them, PEM. Taken anew when it changes, as its key and
    /// the authorities are.
    #[arg(long, env = "NODEWARD_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's private key, PEM.
    #[arg(long, env = "NODEWARD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Authorities that agents' certificates must be signed by, PEM.
    #[arg(long, env = "NODEWARD_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whose tokens are believed when agents enrol, TOML; see docs/identity.md.
    #[arg(long, env = "NODEWARD_ACCESS", value_name = "FILE")]
    pub access: Option<PathBuf>,

    /// Certificate of the authority that gives agents theirs, PEM; with its key agents may
    /// enrol. --tls-client-ca must have it too.
    #[arg(long, env = "NODEWARD_AUTHORITY_CERTIFICATE", value_name = "FILE")]
    pub authority_certificate: Option<PathBuf>,

    /// The authority's private key, PEM.
    #[arg(long, env = "NODEWARD_AUTHORITY_KEY", value_name = "FILE")]
    pub authority_key: Option<PathBuf>,

    /// How long an agent's certificate is in force, 10s to 24h [default: 24h].
    #[arg(long, env = "NODEWARD_CERTIFICATE_LIFETIME", value_name = "DURATION")]
    pub certificate_lifetime: Option<String>,

    /// Write logs as JSON, one object a line.
    #[arg(long, env = "NODEWARD_LOG_JSON")]
    #[serde(default)]
    pub log_json: bool,
}

impl RelayConfig {
    /// Fills what neither flag nor environment gave from the file, if one is named.
    pub fn with_file(self) -> Result<Self, ConfigError> {
        let Some(file) = from_file::<Self>(self.config.as_deref())? else { return Ok(self) };
        Ok(Self {
            config: self.config,
            to: self.to.or(file.to),
            to_ca: self.to_ca.or(file.to_ca),
            to_certificate: self.to_certificate.or(file.to_certificate),
            to_key: self.to_key.or(file.to_key),
            http_listen: self.http_listen.or(file.http_listen),
            tls_listen: self.tls_listen.or(file.tls_listen),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
            access: self.access.or(file.access),
            authority_certificate: self.authority_certificate.or(file.authority_certificate),
            authority_key: self.authority_key.or(file.authority_key),
            certificate_lifetime: self.certificate_lifetime.or(file.certificate_lifetime),
            log_json: self.log_json || file.log_json,
        })
    }

    /// Where reports are handed on to, and what is shown there.
    pub fn way(&self) -> Result<relay::Settings, ConfigError> {
        let url = self.to.clone().ok_or(ConfigError::RelayIncomplete("--to"))?;
        // Plain text would show every node's reports on the way, and no certificate.
        let host = url.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(ConfigError::RelayTo);
        }
        let file = |path: &Option<PathBuf>, setting| {
            path.clone().ok_or(ConfigError::RelayIncomplete(setting))
        };
        Ok(relay::Settings {
            url,
            ca: file(&self.to_ca, "--to-ca")?,
            certificate: file(&self.to_certificate, "--to-certificate")?,
            key: file(&self.to_key, "--to-key")?,
        })
    }

    /// What it has in common with an aggregator: how agents connect and enrol.
    #[must_use]
    pub fn as_aggregator(&self) -> Config {
        Config {
            http_listen: self.http_listen,
            tls_listen: self.tls_listen,
            tls_certificate: self.tls_certificate.clone(),
            tls_key: self.tls_key.clone(),
            tls_client_ca: self.tls_client_ca.clone(),
            access: self.access.clone(),
            authority_certificate: self.authority_certificate.clone(),
            authority_key: self.authority_key.clone(),
            certificate_lifetime: self.certificate_lifetime.clone(),
            log_json: self.log_json,
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_hands_on_over_tls_alone() {
        let to = |url: &str| {
            let file = Some(PathBuf::from("/f"));
            let config = RelayConfig {
                to: Some(url.to_owned()),
                to_ca: file.clone(),
                to_certificate: file.clone(),
                to_key: file,
                ..RelayConfig::default()
            };
            config.way()
        };
        assert_eq!(to("https://hub:7444").expect("an address").url, "https://hub:7444");
        for wrong in ["http://hub:7444", "hub:7444", "https://", "https://a:b@hub", "https://hub/x"]
        {
            let error = to(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("--to: ") && !error.contains("hub"), "{error}");
        }
        let none = RelayConfig::default().way().expect_err("nothing is told").to_string();
        assert!(none.starts_with("--to is needed"), "{none}");
    }
}
