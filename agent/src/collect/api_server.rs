//! Collects `api_server`: which one the kubelet is told to use, how far a connection from the
//! node gets, and what it answers to somebody without a credential. No token is ever shown:
//! a refusal proves as much as a welcome.

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::egress::{Endpoint, is_name};
use nodeward_domain::facts::{ApiServer, ComponentState, Reach, ServerCertificate};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;
use x509_parser::pem::Pem;

use super::{Collected, kubelet, resolver};
use crate::host::{Host, HostError};
use crate::probe::reach::{Errand, Seen};
use crate::reads::Read;

/// Where the kubeconfig lies when no kubelet runs that says it: AKS's place, kubeadm's.
const USUAL: [&str; 2] = ["/var/lib/kubelet/kubeconfig", "/etc/kubernetes/kubelet.conf"];

/// Where the cluster's authorities lie, where the kubeconfig has them in itself: the same two.
const AUTHORITIES: [&str; 2] = ["/etc/kubernetes/certs/ca.crt", "/etc/kubernetes/pki/ca.crt"];

const LIMIT_BYTES: u64 = 128 * 1024;

/// So many authorities of a file are compared.
const COMPARED: usize = 64;

/// HTTPS, where the kubeconfig names no port.
const PORT: u16 = 443;

/// What answers is asked again after this long: a whole fleet asks one server.
const AGAIN_AFTER: Duration = Duration::from_secs(120);

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::usually(
        &USUAL,
        "the kubelet's `--kubeconfig`",
        "The lines `server`, `certificate-authority`, `tls-server-name` and \
         `insecure-skip-tls-verify`, and whether there is a `proxy-url`. Reading goes byte by byte \
         and stops before the credentials, which stand behind them.",
    ),
    Read::usually(
        &AUTHORITIES,
        "`certificate-authority` in it",
        "The authorities of which one must have signed the API server's certificate.",
    ),
    Read::usually(
        &["https://{server}/livez"],
        "`server` in it",
        "Whether it is reached, whom its certificate is by, and its answer to somebody without a \
         credential. Its name is looked up at the node's nameservers. What answered is asked \
         again after two minutes; what did not, in every round.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    match read(host) {
        Ok((state, measured)) => Collected { state: ComponentState::ApiServer(state), measured },
        Err(error) => ComponentState::ApiServer(State::Unavailable(error.into())).into(),
    }
}

fn read(host: &Host) -> Result<(State<ApiServer>, Measurements), HostError> {
    let not_applicable =
        |why: &str| Ok((State::NotApplicable(why.to_owned()), Measurements::default()));
    let Some(flag) = kubelet::flag(host, "kubeconfig")? else {
        return not_applicable("no kubelet, which would use one");
    };
    let path = match flag {
        Some(path) => Some(path),
        None => host.root.existing(&USUAL)?.into_iter().next(),
    };
    let Some(path) = path else {
        return not_applicable("the kubelet is told no kubeconfig, and uses no API server");
    };
    let kubeconfig = host.root.read_kubeconfig(&path, LIMIT_BYTES)?;
    let malformed = |why: &str| HostError::Malformed { path: path.clone(), why: why.to_owned() };
    let server = match kubeconfig.servers.as_slice() {
        [server] => server.clone(),
        [] => return Err(malformed("names no server before its credentials")),
        _ => return Err(malformed("names several servers")),
    };
    if !kubeconfig.is_whole {
        return Err(malformed("has a key before its users that is not known here"));
    }
    let server_name = match kubeconfig.server_names.as_slice() {
        [] => None,
        [name] if is_name(name) || name.parse::<std::net::IpAddr>().is_ok() => Some(name.clone()),
        _ => return Err(malformed("has a tls-server-name that is no name, or several")),
    };
    let endpoint = endpoint(&server)
        .ok_or_else(|| malformed("names a server that is no https://NAME:PORT"))?;
    // What stands in the kubeconfig itself counts before what it names; without either it is
    // the system's own authorities that count (client-go, clientcmd/api/v1/types.go).
    let authority = match (kubeconfig.has_inline_authority, kubeconfig.authorities.as_slice()) {
        (true, _) => {
            let there = host.root.existing(&AUTHORITIES)?.into_iter().next();
            there.ok_or("the cluster's authorities are in no file that is read")
        }
        (false, [authority]) => Ok(beside(&path, authority)),
        (false, []) => Err("the kubeconfig names no authorities: the system's own are believed"),
        (false, _) => Err("the kubeconfig names several files of authorities"),
    };
    let authority = authority.map_err(str::to_owned).and_then(|path| {
        let read = authorities(host, &path).map_err(|error| format!("{path}: {error}"))?;
        Ok((path, read))
    });
    let errand = Errand {
        names: resolver::names(host, &endpoint.host)?,
        endpoint,
        server_name,
        path: Some("/livez"),
        authorities: authority.as_ref().map_or_else(|_| Vec::new(), |(_, read)| read.clone()),
    };
    let not_gone = |why: String| Seen::stopped(Reach::NotProbed { why });
    let seen = match kubeconfig.has_proxy {
        // What answers at the address itself says nothing of that way.
        true => not_gone(format!("{path} leads through a proxy (proxy-url), which is not asked")),
        false => {
            let seen = host.reach(vec![errand], AGAIN_AFTER).pop();
            seen.unwrap_or_else(|| not_gone("nobody went".to_owned()))
        }
    };
    let certificate = match (seen.verified, authority) {
        _ if kubeconfig.is_insecure => {
            let why = format!("{path} says insecure-skip-tls-verify: whoever answers is believed");
            ServerCertificate::NotCompared(why)
        }
        (Some(Ok(())), Ok((authority, _))) => ServerCertificate::Verified { authority },
        (Some(Err(why)), Ok((authority, _))) => {
            ServerCertificate::Refused { authority, issuer: seen.issuer, why }
        }
        (None, Ok(_)) => ServerCertificate::NotCompared("no certificate was shown".to_owned()),
        (_, Err(why)) => ServerCertificate::NotCompared(why),
    };
    let measured = Measurements {
        api_server_round_trip_seconds: seen.took.map(|took| took.as_secs_f64()),
        ..Measurements::default()
    };
    let (reach, livez) = (seen.reach, seen.answer);
    let is_unverified = Some(kubeconfig.is_insecure);
    let api = ApiServer { kubeconfig: path, server, reach, livez, certificate, is_unverified };
    Ok((State::Present(Arc::new(api)), measured))
}

/// The authorities of a file, in DER. At least one.
fn authorities(host: &Host, path: &str) -> Result<Vec<Vec<u8>>, HostError> {
    let pem = host.root.read_certificates(path, LIMIT_BYTES)?;
    let blocks = Pem::iter_from_buffer(&pem).take(COMPARED);
    let read: Vec<Vec<u8>> = blocks.filter_map(|block| Some(block.ok()?.contents)).collect();
    match read.is_empty() {
        true => Err(HostError::Malformed {
            path: path.to_owned(),
            why: "has no certificate".to_owned(),
        }),
        false => Ok(read),
    }
}

/// A file that a kubeconfig names: seen from the folder that it lies in (client-go,
/// clientcmd/loader.go, `ResolveLocalPaths`).
fn beside(kubeconfig: &str, named: &str) -> String {
    match (named.starts_with('/'), kubeconfig.rsplit_once('/')) {
        (false, Some((folder, _))) => format!("{folder}/{named}"),
        _ => named.to_owned(),
    }
}

/// Where a server is, `https://NAME:PORT` with or without a path.
fn endpoint(server: &str) -> Option<Endpoint> {
    let place = server.strip_prefix("https://")?.split('/').next()?;
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => PORT,
    };
    let is_place = host.parse::<std::net::IpAddr>().is_ok() || is_name(host);
    is_place.then(|| Endpoint { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_where_the_kubeconfig_lies() {
        assert_eq!(beside("/var/lib/kubelet/kubeconfig", "ca.crt"), "/var/lib/kubelet/ca.crt");
        assert_eq!(beside("/var/lib/kubelet/kubeconfig", "/etc/ca.crt"), "/etc/ca.crt");
    }

    #[test]
    fn a_server_is_a_name_or_an_address_with_or_without_a_port() {
        for (server, expected) in [
            ("https://a.hcp.example:443", Some("a.hcp.example:443")),
            ("https://a.hcp.example", Some("a.hcp.example:443")),
            ("https://192.0.2.1:6443/", Some("192.0.2.1:6443")),
            ("https://[2001:db8::1]:6443", Some("[2001:db8::1]:6443")),
            ("https://localhost:6443/k8s/clusters/c-1", Some("localhost:6443")),
            ("http://a.example:8080", None),
            ("https://user:secret@a.example", None),
            ("https://a b", None),
            ("https://a:port", None),
            ("https://", None),
        ] {
            let read = endpoint(server).map(|endpoint| endpoint.to_string());
            assert_eq!(read.as_deref(), expected, "{server}");
        }
    }
}
