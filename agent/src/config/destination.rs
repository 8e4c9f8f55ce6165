//! Where reports go and who sends them. Over https the node's certificate says who it is, one in
//! files or one that the agent enrols for; plain text goes to an aggregator on the same machine alone, which believes a claim.

use std::net::IpAddr;
use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;

use super::{Config, ConfigError, host_name, invalid};
use crate::credential::{Credential, Target};
use crate::send::Way;

const AGGREGATOR: &str = "--aggregator";

impl Config {
    /// The way to the aggregator, and how this agent shows it who it is.
    pub fn destination(&self) -> Result<Way, ConfigError> {
        let url = self.aggregator.as_deref().ok_or(ConfigError::Missing(AGGREGATOR))?;
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| invalid(AGGREGATOR, url, error.to_string()))?;
        if endpoint.uri().authority().is_some_and(|one| one.as_str().contains('@')) {
            return Err(invalid(AGGREGATOR, url, "has a user before its host: none is asked for"));
        }
        match endpoint.uri().scheme_str() {
            Some("https") => self.over_tls(&endpoint),
            Some("http") => self.in_plain_text(url, endpoint),
            _ => Err(invalid(AGGREGATOR, url, "must begin with https:// or http://")),
        }
    }

    fn over_tls(&self, endpoint: &Endpoint) -> Result<Way, ConfigError> {
        let claims = [("--cluster", &self.cluster), ("--node-name", &self.node_name)];
        if let Some((setting, _)) = claims.into_iter().find(|(_, claim)| claim.is_some()) {
            let why = "over https a node's identity comes from its certificate alone";
            return Err(ConfigError::Excluded { setting, why });
        }
        let target = Target::of(endpoint.uri()).map_err(ConfigError::Credential)?;
        let ca = self.tls_ca.clone().ok_or(ConfigError::Missing("--tls-ca"))?;
        let credential = match (&self.token_file, &self.tls_certificate, &self.tls_key) {
            (Some(token_file), None, None) => Credential::enrolled(target, ca, token_file.clone()),
            (None, Some(certificate), Some(key)) => {
                Credential::files(target, ca, certificate.clone(), key.clone())
            }
            (Some(_), ..) => {
                let why = "a certificate is either enrolled for or read from files";
                return Err(ConfigError::Excluded { setting: "--token-file", why });
            }
            (None, None, _) => {
                return Err(ConfigError::Missing(
                    "--token-file, or --tls-certificate with its key,",
                ));
            }
            (None, Some(_), None) => return Err(ConfigError::Missing("--tls-key")),
        };
        Ok(Way::Tls(Box::new(credential.map_err(ConfigError::Credential)?)))
    }

    fn in_plain_text(&self, url: &str, endpoint: Endpoint) -> Result<Way, ConfigError> {
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
        Ok(Way::Loopback {
            endpoint: Box::new(endpoint),
            cluster: label("--cluster", self.cluster.as_deref().unwrap_or("local"))?,
            node: label("--node-name", &node)?,
        })
    }

    const fn tls_files(&self) -> [(&'static str, &Option<PathBuf>); 4] {
        [
            ("--token-file", &self.token_file),
            ("--tls-ca", &self.tls_ca),
            ("--tls-certificate", &self.tls_certificate),
            ("--tls-key", &self.tls_key),
        ]
    }
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
    fn https_needs_its_files_and_plain_text_none() {
        let config = Config { node_name: None, ..to("https://a:1") };
        let error = config.destination().expect_err("no files").to_string();
        assert_eq!(error, "--tls-ca is needed");
        let config = Config { tls_ca: Some("/ca".into()), ..config };
        let error = config.destination().expect_err("nothing to show").to_string();
        assert!(error.starts_with("--token-file, or --tls-certificate"), "{error}");
        let config = Config { token_file: Some("/t".into()), tls_key: Some("/k".into()), ..config };
        let error = config.destination().expect_err("both").to_string();
        assert!(error.starts_with("--token-file: a certificate is either"), "{error}");
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
