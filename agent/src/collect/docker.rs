//! Collects `docker`: its traces, its daemon, what serves the kubelet's protocol for it, and
//! what the kubelet that runs was told of its runtime. Sources: dockerd's manual, kubelet's
//! flags.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Docker, KubeletRuntime};
use nodeward_domain::observed::State;

use super::flags::Flags;
use super::time_sync::units;
use super::{Collected, state};
use crate::host::{Found, Host, HostError, find_processes};
use crate::reads::Read;

const TRACES: [&str; 9] = [
    "/etc/systemd/system/docker.service",
    "/usr/bin/cri-dockerd",
    "/usr/bin/dockerd",
    "/usr/lib/systemd/system/cri-docker.service",
    "/usr/lib/systemd/system/docker.service",
    "/usr/local/bin/cri-dockerd",
    "/usr/local/bin/dockerd",
    "/usr/sbin/dockerd",
    "/var/lib/docker",
];

/// `/var/run` is a link to `/run`.
const SOCKETS: [&str; 3] = ["/run/cri-dockerd.sock", "/run/docker.sock", "/run/dockershim.sock"];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&TRACES, "Whether it is there: programs, units and the folder of images."),
    Read::of(&SOCKETS, "Whether it is there. Nobody is asked over it."),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Docker(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Docker>, HostError> {
    let traces = units::unmasked(&host.root, host.root.existing(&TRACES)?)?;
    let sockets = host.root.existing(&SOCKETS)?;
    let first = |name: &str| -> Result<Option<Found>, HostError> {
        Ok(find_processes(&host.root, name)?.into_iter().next())
    };
    let process = first("dockerd")?.map(|found| found.process);
    let shim = first("cri-dockerd")?.map(|found| found.process);
    if traces.is_empty() && sockets.is_empty() && process.is_none() && shim.is_none() {
        return Ok(State::Absent);
    }
    let kubelet = first("kubelet")?.map(|found| {
        let flags = Flags::of(&found.arguments);
        let value = |name: &str| flags.value(name).unwrap_or_default().to_owned();
        KubeletRuntime {
            runtime: value("container-runtime"),
            endpoint: value("container-runtime-endpoint"),
        }
    });
    Ok(State::Present(Arc::new(Docker { traces, process, shim, sockets, kubelet })))
}
