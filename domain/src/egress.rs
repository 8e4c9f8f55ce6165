//! Which endpoints the way out is looked at by: lists of the provider's, one per cloud, from
//! `policies/egress/*.toml`, and endpoints that an operator names.

use std::collections::BTreeMap;

use serde::Deserialize;

const AKS: &str = include_str!("../policies/egress/aks.toml");

/// So many endpoints are looked at: they are tried side by side within one collector's time.
pub const LIMIT: usize = 16;

/// HTTPS, where no port is named.
const PORT: u16 = 443;

/// An endpoint outside of the cluster that serves TLS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its name, or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A list of the provider's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointList {
    /// Names with or without a port.
    endpoints: Vec<String>,
    /// Where it was read.
    pub source: String,
}

/// Why endpoints cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is neither.
    #[error("{0:?} is neither a list ({lists}) nor NAME or NAME:PORT", lists = names().join(", "))]
    Malformed(String),
    /// There are too many.
    #[error("{0} endpoints: at most {LIMIT} are looked at")]
    TooMany(usize),
}

/// The lists that come with Nodeward, by name.
#[must_use]
pub fn lists() -> BTreeMap<String, EndpointList> {
    // A test reads it: it cannot be wrong in a build that passed.
    toml::from_str(AKS).unwrap_or_default()
}

/// The names of the lists, sorted.
#[must_use]
pub fn names() -> Vec<String> {
    lists().into_keys().collect()
}

/// The endpoints behind names of lists and endpoints, sorted, each once.
pub fn endpoints(asked: &[String]) -> Result<Vec<Endpoint>, EndpointError> {
    let lists = lists();
    let mut all = Vec::new();
    for one in asked {
        match lists.get(one) {
            Some(list) => {
                for endpoint in &list.endpoints {
                    all.push(endpoint_of(endpoint)?);
                }
            }
            None => all.push(endpoint_of(one)?),
        }
    }
    all.sort();
    all.dedup();
    if all.len() > LIMIT { Err(EndpointError::TooMany(all.len())) } else { Ok(all) }
}

/// One endpoint as a person names it. A name has a dot, so that a mistake in a list's name
/// is seen.
fn endpoint_of(text: &str) -> Result<Endpoint, EndpointError> {
    // What stands before an `@` may be a password.
    let shown = text.rsplit_once('@').map_or(text, |(_, shown)| shown);
    let malformed = || EndpointError::Malformed(shown.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(malformed)?;
            (host, port.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(malformed)?,
        None => PORT,
    };
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let is_host = is_address || host.contains('.') && is_name(host);
    if !is_host {
        return Err(malformed());
    }
    Ok(Endpoint { host: host.to_lowercase(), port })
}

/// Whether that is a name of RFC 1123 §2.1, of at most 253 letters.
#[must_use]
pub fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<String> = asked.iter().map(|one| (*one).to_owned()).collect();
        let all = endpoints(&asked).map_err(|error| error.to_string())?;
        Ok(all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_lists_are_in_order_and_name_where_they_were_read() {
        let lists: BTreeMap<String, EndpointList> = toml::from_str(AKS).expect("TOML");
        assert_eq!(lists.keys().collect::<Vec<_>>(), ["aks-china", "aks-public"]);
        for (name, list) in lists {
            assert!(list.source.starts_with("https://"), "{name}");
            assert!(list.endpoints.is_sorted(), "{name}");
            assert_eq!(told(&[&name]).expect("endpoints").len(), list.endpoints.len());
        }
    }

    #[test]
    fn lists_and_endpoints_are_told_together_and_each_once() {
        assert_eq!(
            told(&["aks-china", "mcr.microsoft.com:443", "Registry.example.net:5000", "::1"]),
            Err("\"::1\" is neither a list (aks-china, aks-public) nor NAME or NAME:PORT"
                .to_owned())
        );
        let all = told(&["aks-china", "mcr.microsoft.com:443", "Registry.example.net:5000"]);
        assert_eq!(all.expect("endpoints").len(), 5);
        assert_eq!(
            told(&["[2001:db8::1]:8443", "192.0.2.1"]).expect("addresses"),
            ["192.0.2.1:443", "[2001:db8::1]:8443"]
        );
        assert_eq!(told(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_neither_is_refused_by_its_name() {
        for wrong in
            ["aks-pubic", "a b.c", "https://a.b", "a.b:0", "a.b:99999", "a..b", "-a.b", "[::1"]
        {
            let error = told(&[wrong]).expect_err(wrong);
            assert!(error.starts_with(&format!("{wrong:?}")), "{error}");
        }
        let many: Vec<String> = (0..17).map(|number| format!("a{number}.example")).collect();
        assert_eq!(endpoints(&many), Err(EndpointError::TooMany(17)));
    }
}
