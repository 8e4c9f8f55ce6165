//! Collects `kubelet`: traces of an installation, the process, and its health
//! endpoint, which it may have moved by flag or configuration file.

mod endpoint;

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, HttpAnswer, Kubelet};
use nodeward_domain::observed::State;

use super::flag::flag;
use super::{Collected, state};
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

/// The health endpoint must answer in this time, connecting included.
const CALL_LIMIT: Duration = Duration::from_secs(3);

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Kubelet(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Kubelet>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let found = find_processes(&host.root, "kubelet")?.into_iter().next();
    if traces.is_empty() && found.is_none() {
        return Ok(State::Absent);
    }
    let arguments = found.as_ref().map_or(&[][..], |found| found.arguments.as_slice());
    let address = endpoint::healthz(&host.root, arguments)?;
    let (unit, (healthz_endpoint, healthz)) =
        host.probes.beside_unit(&host.root, "kubelet.service", || match address {
            Some(address) => {
                let healthz = host.probes.http_get(address, "/healthz", CALL_LIMIT);
                (format!("http://{address}/healthz"), healthz)
            }
            None => {
                let why = "the kubelet is configured without a health endpoint".to_owned();
                (String::new(), HttpAnswer::NotAsked { why })
            }
        });
    Ok(State::Present(Arc::new(Kubelet {
        traces,
        registers_azure_labels: registers_azure_labels(arguments),
        process: found.map(|Found { process, .. }| process),
        unit,
        healthz_endpoint,
        healthz,
    })))
}

fn registers_azure_labels(arguments: &[String]) -> bool {
    flag(arguments, "node-labels").is_some_and(|labels| {
        labels.split(',').any(|label| label.starts_with("kubernetes.azure.com/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_labels_of_the_provider_make_an_aks_node() {
        let azure = arguments("kubelet --node-labels=a=b,kubernetes.azure.com/mode=system");
        let other = arguments("kubelet --node-labels=x=kubernetes.azure.com/mode");
        assert!(registers_azure_labels(&azure));
        assert!(!registers_azure_labels(&other));
    }
}
