//! Collects `containerd`: traces of an installation, the process, and what the
//! runtime answers over its socket.

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, Containerd, CriAnswer};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, find_processes};
use crate::probe::cri::Heard;

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

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Containerd(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Containerd>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let found = find_processes(&host.root, "containerd")?;
    let (unit, Heard { answer, listener }) =
        host.probes.beside_unit(&host.root, "containerd.service", || {
            host.probes.cri(&host.root, &host.containerd_socket, CALL_LIMIT)
        });
    let silent = matches!(answer, CriAnswer::NoSocket | CriAnswer::NotAsked { .. });
    if traces.is_empty()
        && found.is_empty()
        && silent
        && !host.root.exists(&host.containerd_socket)?
    {
        return Ok(State::Absent);
    }
    // A machine may run several: the one that is meant is the one behind the socket.
    let process = found
        .into_iter()
        .map(|found| found.process)
        .find(|process| listener.is_none_or(|listener| listener == process.pid));
    Ok(State::Present(Arc::new(Containerd {
        traces,
        process,
        unit,
        socket: host.containerd_socket.clone(),
        cri: answer,
    })))
}
