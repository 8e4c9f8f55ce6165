//! Collects `kubelet`: traces of an installation, the process, and its health
//! endpoint, which it may have moved by flag or configuration file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, HttpAnswer, Kubelet};
use nodeward_domain::observed::State;

use super::state;
use crate::host::{Found, Host, HostError, find_processes};

/// What an installation leaves on disk.
const TRACES: [&str; 7] = [
    "/etc/systemd/system/kubelet.service",
    "/lib/systemd/system/kubelet.service",
    "/opt/bin/kubelet",
    "/usr/bin/kubelet",
    "/usr/lib/systemd/system/kubelet.service",
    "/usr/local/bin/kubelet",
    "/var/lib/kubelet/config.yaml",
];

/// Where the configuration lies when no flag names it: upstream's place, AKS's place.
const CONFIGURATIONS: [&str; 2] =
    ["/var/lib/kubelet/config.yaml", "/etc/default/kubeletconfig.json"];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// The health endpoint must answer in this time, connecting included.
const CALL_LIMIT: Duration = Duration::from_secs(3);

pub(super) fn collect(host: &Host) -> ComponentState {
    ComponentState::Kubelet(state(read(host)))
}

fn read(host: &Host) -> Result<State<Kubelet>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let found = find_processes(&host.root, "kubelet")?.into_iter().next();
    if traces.is_empty() && found.is_none() {
        return Ok(State::Absent);
    }
    let arguments = found.as_ref().map_or(&[][..], |found| found.arguments.as_slice());
    let (healthz_endpoint, healthz) = match endpoint(host, arguments)? {
        Some(address) => {
            let healthz = host.probes.http_get(address, "/healthz", CALL_LIMIT);
            (format!("http://{address}/healthz"), healthz)
        }
        None => {
            let why = "the kubelet is configured without a health endpoint".to_owned();
            (String::new(), HttpAnswer::NotAsked { why })
        }
    };
    Ok(State::Present(Arc::new(Kubelet {
        traces,
        registers_azure_labels: registers_azure_labels(arguments),
        process: found.map(|Found { process, .. }| process),
        healthz_endpoint,
        healthz,
    })))
}

/// The value of a flag, in both spellings. The last one counts, as in the kubelet.
fn flag<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let mut value = None;
    let mut arguments = arguments.iter().map(String::as_str).peekable();
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.strip_prefix("--").and_then(|flag| flag.strip_prefix(name))
        else {
            continue;
        };
        if let Some(inline) = rest.strip_prefix('=') {
            value = Some(inline);
        } else if rest.is_empty() {
            value = arguments.peek().copied();
        }
    }
    value
}

fn registers_azure_labels(arguments: &[String]) -> bool {
    flag(arguments, "node-labels").is_some_and(|labels| {
        labels.split(',').any(|label| label.starts_with("kubernetes.azure.com/"))
    })
}

/// Where the kubelet serves its health: flag, configuration file, or 127.0.0.1:10248.
/// None when it is told not to.
fn endpoint(host: &Host, arguments: &[String]) -> Result<Option<SocketAddr>, HostError> {
    let mut address = None;
    let mut port = None;
    let named = flag(arguments, "config");
    let candidates = named.as_ref().map_or(&CONFIGURATIONS[..], std::slice::from_ref);
    for path in candidates {
        match host.root.read_text(path, LIMIT_BYTES) {
            Ok(text) => {
                address = top_level(&text, "healthzBindAddress").map(str::to_owned);
                port = top_level(&text, "healthzPort").map(str::to_owned);
                break;
            }
            Err(HostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(flag) = flag(arguments, "healthz-bind-address") {
        address = Some(flag.to_owned());
    }
    if let Some(flag) = flag(arguments, "healthz-port") {
        port = Some(flag.to_owned());
    }
    let path = named.unwrap_or("/var/lib/kubelet/config.yaml");
    let malformed = |why: String| HostError::Malformed { path: path.to_owned(), why };
    let port: u16 = port.map_or(Ok(10248), |port| {
        port.parse().map_err(|_| malformed(format!("healthzPort {port:?} is not a port")))
    })?;
    let address: IpAddr = address.map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), |address| {
        address
            .parse()
            .map_err(|_| malformed(format!("healthzBindAddress {address:?} is not an address")))
    })?;
    // An address for "all" is asked on loopback.
    let address = match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        one => one,
    };
    Ok((port != 0).then_some(SocketAddr::new(address, port)))
}

/// A plain value at the top level of a configuration file, YAML or indented JSON.
fn top_level<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        // Two spaces or a tab are the first level of indented JSON, none that of YAML.
        let is_json = text.trim_start().starts_with('{');
        let nested = line.starts_with("   ") || line.starts_with("\t\t");
        if (is_json && nested) || (!is_json && line.starts_with([' ', '\t'])) {
            return None;
        }
        let (found, value) = line.split_once(':')?;
        (found.trim().trim_matches('"') == key)
            .then(|| value.trim().trim_end_matches(',').trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_are_read_in_both_spellings_and_the_last_counts() {
        let line = arguments("kubelet --config=/a --healthz-port 1 --healthz-port=2 --v=2");
        assert_eq!(flag(&line, "config"), Some("/a"));
        assert_eq!(flag(&line, "healthz-port"), Some("2"));
        assert_eq!(flag(&line, "healthz"), None);
    }

    #[test]
    fn only_labels_of_the_provider_make_an_aks_node() {
        let azure = arguments("kubelet --node-labels=a=b,kubernetes.azure.com/mode=system");
        let other = arguments("kubelet --node-labels=x=kubernetes.azure.com/mode");
        assert!(registers_azure_labels(&azure));
        assert!(!registers_azure_labels(&other));
    }

    #[test]
    fn configuration_is_read_at_the_top_level_only() {
        let yaml =
            "kind: KubeletConfiguration\nhealthzPort: 10999\nnested:\n  healthzBindAddress: x\n";
        assert_eq!(top_level(yaml, "healthzPort"), Some("10999"));
        assert_eq!(top_level(yaml, "healthzBindAddress"), None);
        let json = "{\n  \"healthzBindAddress\": \"127.0.0.2\",\n  \"a\": {\n    \"healthzPort\": 1\n  }\n}";
        assert_eq!(top_level(json, "healthzBindAddress"), Some("127.0.0.2"));
        assert_eq!(top_level(json, "healthzPort"), None);
    }
}
