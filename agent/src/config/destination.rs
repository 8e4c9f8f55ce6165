//! Where reports go and who sends them. Over https the node's certificate says who it is;
//! plain text goes to an aggregator on the same machine alone, which believes a claim.

use std::net::IpAddr;
use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::{Config, ConfigError, host_name, invalid};
use crate::send::Identity;

const AGGREGATOR: &str = "--aggregator";

impl Config {
    /// The aggregator's endpoint, and how this agent shows it who it is.
    pub fn destination(&self) -> Result<(Endpoint, Identity), ConfigError> {
        let url = self.aggregator.as_deref().ok_or(ConfigError::Missing(AGGREGATOR))?;
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| invalid(AGGREGATOR, url, error.to_string()))?;
        match endpoint.uri().scheme_str() {
            Some("https") => self.over_tls(url, endpoint),
            Some("http") => self.in_plain_text(url, endpoint),
            _ => Err(invalid(AGGREGATOR, url, "must begin with https:// or http://")),
        }
    }

    fn over_tls(&self, url: &str, endpoint: Endpoint) -> Result<(Endpoint, Identity), ConfigError> {
        let claims = [("--cluster", &self.cluster), ("--node-name", &self.node_name)];
        if let Some((setting, _)) = claims.into_iter().find(|(_, claim)| claim.is_some()) {
            let why = "over https a node's identity comes from its certificate alone";
            return Err(ConfigError::Excluded { setting, why });
        }
        let [ca, certificate, key] = self.tls_files().map(|(setting, path)| {
            let path = path.as_ref().ok_or(ConfigError::Missing(setting))?;
            std::fs::read(path)
                .map_err(|error| invalid(setting, &path.display().to_string(), error.to_string()))
        });
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca?))
            .identity(tonic::transport::Identity::from_pem(certificate?, key?));
        let endpoint =
            endpoint.tls_config(tls).map_err(|error| invalid(AGGREGATOR, url, cause(&error)))?;
        Ok((endpoint, Identity::Certificate))
    }

    fn in_plain_text(
        &self,
        url: &str,
        endpoint: Endpoint,
    ) -> Result<(Endpoint, Identity), ConfigError> {
        if let Some((setting, _)) = self.tls_files().into_iter().find(|(_, path)| path.is_some()) {
            let why = "is for an aggregator at https://";
            return Err(ConfigError::Excluded { setting, why });
        }
        let host = endpoint.uri().host().unwrap_or_default();
        let on_loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !on_loopback {
            let why = if self.cluster.is_some() || self.node_name.is_some() {
                "is not on loopback: there --cluster and --node-name are refused, because a \
                 node's identity comes from its credential alone"
            } else {
                "is not on loopback: plain text never leaves the machine, use https://"
            };
            return Err(invalid(AGGREGATOR, url, why));
        }
        let node = self.node_name.clone().map_or_else(|| host_name(self.host_root()), Ok)?;
        let identity = Identity::Loopback {
            cluster: label("--cluster", self.cluster.as_deref().unwrap_or("local"))?,
            node: label("--node-name", &node)?,
        };
        Ok((endpoint, identity))
    }

    const fn tls_files(&self) -> [(&'static str, &Option<PathBuf>); 3] {
        [
            ("--tls-ca", &self.tls_ca),
            ("--tls-certificate", &self.tls_certificate),
            ("--tls-key", &self.tls_key),
        ]
    }
}

/// The innermost cause: the outer ones say no more than that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// A name as it may stand in request metadata.
fn label(setting: &'static str, value: &str) -> Result<MetadataValue<Ascii>, ConfigError> {
    let plain = !value.is_empty()
        && value.len() <= 253
        && value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
    value.parse().ok().filter(|_| plain).ok_or_else(|| {
        invalid(setting, value, "must be 1 to 253 of lower-case letters, digits, `-`, `.` and `_`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str) -> Config {
        Config {
            aggregator: Some(url.to_owned()),
            node_name: Some("a".to_owned()),
            ..Config::default()
        }
    }

    #[test]
    fn plain_text_goes_to_this_machine_alone() {
        for url in
            ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "http://127.9.9.9:1"]
        {
            assert!(to(url).destination().is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1:1", "http://example.com", "ftp://127.0.0.1", "nonsense", ""] {
            assert!(to(url).destination().is_err(), "{url}");
        }
    }

    #[test]
    fn a_claimed_identity_is_refused_off_this_machine_with_its_reason() {
        for (url, named) in [("http://10.0.0.1:1", "--node-name"), ("https://a:1", "--node-name")] {
            let error = to(url).destination().expect_err("a claim").to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn https_needs_its_three_files_and_plain_text_none() {
        let config = Config { node_name: None, ..to("https://a:1") };
        let error = config.destination().expect_err("no files").to_string();
        assert_eq!(error, "--tls-ca is needed");
        let config = Config { tls_key: Some("/key".into()), ..to("http://127.0.0.1:1") };
        let error = config.destination().expect_err("one too many").to_string();
        assert!(error.starts_with("--tls-key"), "{error}");
    }

    #[test]
    fn names_that_metadata_or_screens_could_choke_on_are_refused() {
        for name in ["", "Node", "a b", "a\n", "ä", "=1"] {
            let config = Config { node_name: Some(name.to_owned()), ..to("http://127.0.0.1:1") };
            assert!(config.destination().is_err(), "{name:?}");
        }
    }
}
