//! Where kube-proxy serves its health and the rest: configuration file, or without one
//! flags, or its defaults of 10256 and 10249, as in kube-proxy's own order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::flags::Flags;
use super::presence::{Pod, unless_missing};
use crate::host::{Found, HostError, HostRoot};

/// The ports that kube-proxy has unless it is told others.
pub(super) const HEALTH: u16 = 10256;
const METRICS: u16 = 10249;

const LIMIT_BYTES: u64 = 1024 * 1024;

/// Where it serves, the likelier address first; no address where it is told not to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) health: Vec<SocketAddr>,
    pub(super) metrics: Vec<SocketAddr>,
}

/// What a process was told, or what it does by itself.
pub(super) fn read(
    root: &HostRoot,
    found: Option<&Found>,
    pods: &[Pod],
) -> Result<Served, HostError> {
    let flags = Flags::of(found.map_or(&[][..], |found| found.arguments.as_slice()));
    // With a file the flags are ignored.
    if let Some(path) = flags.value("config") {
        let path = match found {
            Some(found) if found.in_container => in_volumes(root, pods, path)?,
            _ => Some(path.to_owned()),
        };
        let file = match path {
            Some(path) => {
                unless_missing(root.read_text(&path, LIMIT_BYTES))?.map(|text| (path, text))
            }
            None => None,
        };
        return file.map_or_else(|| Ok(defaults()), |(path, text)| by_file(&path, &text));
    }
    Ok(Served {
        health: by_flags(&flags, "healthz", HEALTH)?,
        metrics: by_flags(&flags, "metrics", METRICS)?,
    })
}

/// A file of a pod's container, in the pod's volumes that come from a ConfigMap.
fn in_volumes(root: &HostRoot, pods: &[Pod], path: &str) -> Result<Option<String>, HostError> {
    let name = path.rsplit('/').next().unwrap_or_default();
    for pod in pods {
        let volumes = format!("/var/lib/kubelet/pods/{}/volumes/kubernetes.io~configmap", pod.uid);
        for volume in unless_missing(root.list(&volumes))?.unwrap_or_default() {
            let file = format!("{volumes}/{volume}/{name}");
            if root.exists(&file)? {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

fn defaults() -> Served {
    Served { health: anywhere(HEALTH), metrics: anywhere(METRICS) }
}

/// A node may have IPv6 alone: then kube-proxy is there.
fn anywhere(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

fn by_flags(flags: &Flags, which: &str, port: u16) -> Result<Vec<SocketAddr>, HostError> {
    let ports = format!("{which}-port");
    let port = match flags.value(&ports) {
        Some(told) => told.parse().map_err(|_| malformed(&ports, told))?,
        None => port,
    };
    let name = format!("{which}-bind-address");
    match flags.value(&name) {
        _ if port == 0 => Ok(Vec::new()),
        Some("") => Ok(Vec::new()),
        Some(address) => addresses(&name, address, port),
        None => Ok(anywhere(port)),
    }
}

/// An empty value in a file stands for the default.
fn by_file(path: &str, text: &str) -> Result<Served, HostError> {
    let told = |key: &str, port| match top_level(text, key) {
        Some(address) if !address.is_empty() => addresses(path, &address, port),
        _ => Ok(anywhere(port)),
    };
    Ok(Served {
        health: told("healthzBindAddress", HEALTH)?,
        metrics: told("metricsBindAddress", METRICS)?,
    })
}

/// A plain value at the top level of a file in JSON or YAML.
fn top_level(text: &str, key: &str) -> Option<String> {
    if text.trim_start().starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        return json.get(key)?.as_str().map(str::to_owned);
    }
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let value = value.split(" #").next().unwrap_or_default();
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Where an address with or without a port is reached on this machine: one for "all" on
/// loopback.
pub(super) fn addresses(
    source: &str,
    address: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, HostError> {
    let bound = address
        .parse::<SocketAddr>()
        .or_else(|_| address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)))
        .map_err(|_| malformed(source, address))?;
    Ok(match bound.ip() {
        IpAddr::V4(any) if any.is_unspecified() => {
            vec![(Ipv4Addr::LOCALHOST, bound.port()).into()]
        }
        IpAddr::V6(any) if any.is_unspecified() => {
            vec![
                (Ipv6Addr::LOCALHOST, bound.port()).into(),
                (Ipv4Addr::LOCALHOST, bound.port()).into(),
            ]
        }
        _ => vec![bound],
    })
}

fn malformed(source: &str, told: &str) -> HostError {
    HostError::Malformed { path: source.to_owned(), why: format!("{told:?} is not an address") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Served {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let flags = Flags::of(&arguments);
        Served {
            health: by_flags(&flags, "healthz", HEALTH).expect(line),
            metrics: by_flags(&flags, "metrics", METRICS).expect(line),
        }
    }

    fn at(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().expect("an address")).collect()
    }

    #[test]
    fn flags_move_and_switch_off() {
        let told = flags("kube-proxy --metrics-bind-address=0.0.0.0:10249 --v=3");
        assert_eq!(told.health, at(&["127.0.0.1:10256", "[::1]:10256"]));
        assert_eq!(told.metrics, at(&["127.0.0.1:10249"]));
        let told = flags("kube-proxy --healthz-bind-address= --metrics-port=0");
        assert_eq!((told.health, told.metrics), (Vec::new(), Vec::new()));
        let told = flags("kube-proxy --healthz-bind-address [::]:7 --metrics-bind-address=::1");
        assert_eq!(told.health, at(&["[::1]:7", "127.0.0.1:7"]));
        assert_eq!(told.metrics, at(&["[::1]:10249"]));
        let wrong = ["kube-proxy", "--metrics-bind-address=x"].map(str::to_owned);
        assert!(by_flags(&Flags::of(&wrong), "metrics", METRICS).is_err());
    }

    #[test]
    fn a_file_moves_and_leaves_what_is_empty_at_its_default() {
        let yaml = "kind: KubeProxyConfiguration\nhealthzBindAddress: \"0.0.0.0:7\" # moved\n\
                    metricsBindAddress: \"\"\nnested:\n  healthzBindAddress: 1.1.1.1:1\n";
        let json = r#"{"healthzBindAddress": "0.0.0.0:7", "metricsBindAddress": ""}"#;
        for text in [yaml, json] {
            let told = by_file("/f", text).expect(text);
            assert_eq!(told.health, at(&["127.0.0.1:7"]));
            assert_eq!(told.metrics, at(&["127.0.0.1:10249", "[::1]:10249"]));
        }
        assert!(by_file("/f", "healthzBindAddress: nowhere\n").is_err());
    }
}
