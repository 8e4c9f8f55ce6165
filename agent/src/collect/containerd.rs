//! Collects `containerd`: traces of an installation, the process, its configuration
//! file, and what the runtime answers over its socket.

mod configuration;

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, Containerd, CriAnswer};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Found, Host, HostError, find_processes};
use crate::reads::Read;
use configuration::configuration;

/// What an installation leaves on disk.
pub(super) const TRACES: [&str; 8] = [
    "/etc/containerd",
    "/etc/systemd/system/containerd.service",
    "/lib/systemd/system/containerd.service",
    "/opt/containerd/bin/containerd",
    "/usr/bin/containerd",
    "/usr/lib/systemd/system/containerd.service",
    "/usr/local/bin/containerd",
    "/var/lib/containerd",
];

/// Where runc may lie.
const RUNC: [&str; 4] =
    ["/usr/bin/runc", "/usr/local/bin/runc", "/usr/local/sbin/runc", "/usr/sbin/runc"];

/// Connecting and all calls together may take this time.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&TRACES, "Whether it is there: a trace of an installation."),
    Read::of(&RUNC, "Whether it is there."),
    Read::usually(
        &["/etc/containerd/config.toml"],
        "containerd's `--config`",
        "The values of `SystemdCgroup`, `default_runtime_name` and `imports`, byte by byte: the \
         file may hold passwords of registries, and of its other lines nothing is kept, not even \
         in a buffer.",
    ),
    Read::usually(
        &["/run/containerd/containerd.sock"],
        "`--containerd-socket`",
        "The calls `Version`, `Status` (without `verbose`, whose answer may hold passwords of \
         registries), `ListPodSandbox` (how many are ready), `RuntimeConfig` and `ImageFsInfo` of \
         the CRI v1, `Version`, `Server` and `Plugins` of containerd's own services, and which \
         process listens. Not there: nobody can be asked. Refused, or no answer in time: told as \
         that.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(host, &mut measured));
    Collected { state: ComponentState::Containerd(state), measured }
}

fn read(host: &Host, measured: &mut Measurements) -> Result<State<Containerd>, HostError> {
    let traces = host.root.existing(&TRACES)?;
    let found = find_processes(&host.root, "containerd")?;
    let (unit, heard) = host.probes.beside_unit(&host.root, "containerd.service", || {
        host.probes.cri(&host.root, &host.containerd_socket, CALL_LIMIT)
    });
    if is_without_trace(host, &traces, &found, &heard.answer)? {
        return Ok(State::Absent);
    }
    measured.runtime_round_trip_seconds = heard.round_trip.map(|trip| trip.as_secs_f64());
    measured.ready_sandboxes = heard.ready_sandboxes;
    // A machine may run several: the one that is meant is the one behind the socket.
    let found = found
        .into_iter()
        .find(|found| heard.listener.is_none_or(|listener| listener == found.process.pid));
    let arguments = found.as_ref().map_or(&[][..], |found| found.arguments.as_slice());
    Ok(State::Present(Arc::new(Containerd {
        traces,
        runc: host.root.existing(&RUNC)?,
        configuration: configuration(&host.root, arguments),
        process: found.map(|Found { process, .. }| process),
        unit,
        socket: host.containerd_socket.clone(),
        cri: heard.answer,
        replies: heard.replies,
    })))
}

/// Whether nothing on the host shows a runtime that answers so.
pub(super) fn is_absent(host: &Host, answer: &CriAnswer) -> Result<bool, HostError> {
    let found = find_processes(&host.root, "containerd")?;
    is_without_trace(host, &host.root.existing(&TRACES)?, &found, answer)
}

fn is_without_trace(
    host: &Host,
    traces: &[String],
    found: &[Found],
    answer: &CriAnswer,
) -> Result<bool, HostError> {
    let is_silent = matches!(answer, CriAnswer::NoSocket | CriAnswer::NotAsked { .. });
    let is_seen = !traces.is_empty() || !found.is_empty();
    Ok(is_silent && !is_seen && !host.root.exists(&host.containerd_socket)?)
}
