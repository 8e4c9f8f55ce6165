//! Collects `containerd`: traces of an installation, the process, and what the
//! runtime answers over its socket.

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, Containerd, CriAnswer};
use nodeward_domain::observed::State;

use super::state;
use crate::host::{Host, HostError, find_processes};

/// What an installation leaves on disk.
const TRACES: [&str; 8] = [
    "/etc/containerd",
    "/etc/systemd/system/containerd.service",
    "/lib/systemd/system/containerd.service",
    "/opt/containerd/bin/containerd",
    "/usr/bin/containerd",
    "/usr/lib/systemd/system/containerd.service",
    "/usr/local/bin/containerd",
    "/var/lib/containerd",
];

/// Both calls together must be answered in this time.
const CALL_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn collect(host: &Host) -> ComponentState {
    ComponentState::Containerd(state(read(host)))
}

fn read(host: &Host) -> Result<State<Containerd>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let process = find_processes(&host.root, "containerd")?.into_iter().next();
    let cri = host.probes.cri(&host.root, &host.containerd_socket, CALL_LIMIT);
    let silent = matches!(cri, CriAnswer::NoSocket | CriAnswer::NotAsked { .. });
    if traces.is_empty() && process.is_none() && silent {
        return Ok(State::Absent);
    }
    Ok(State::Present(Arc::new(Containerd {
        traces,
        process: process.map(|found| found.process),
        socket: host.containerd_socket.clone(),
        cri,
    })))
}
