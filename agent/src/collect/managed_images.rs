//! Collects `managed_images`: the container images that run in the namespace `kube-system`,
//! as the container runtime lists them over its socket.

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{ComponentState, CriAnswer, ManagedImages};
use nodeward_domain::observed::{State, Unavailable};

use super::{Collected, containerd, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

/// Connecting and both calls together may take this time.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The kubelet's state, without which no pod runs on a machine.
const KUBELET: &str = "/var/lib/kubelet";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::usually(
        &["/run/containerd/containerd.sock"],
        "`--containerd-socket`",
        "The calls `ListContainers` (of those that run in the namespace `kube-system` their names \
         and images; at most 1,000) and `ListImages` (of all images; the tags and digests of those \
         that run are kept) of the CRI v1. An answer to both, or none.",
    ),
    Read::of(&containerd::TRACES, "Whether it is there, where the runtime does not answer."),
    Read::of(
        &[KUBELET],
        "Whether it is there, where the runtime serves no CRI: without a kubelet it need not.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::ManagedImages(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<ManagedImages>, HostError> {
    let socket = &host.containerd_socket;
    let why = match host.probes.managed_images(&host.root, socket, CALL_LIMIT) {
        Ok(images) => return Ok(State::Present(Arc::new(ManagedImages { images }))),
        Err(why) => why,
    };
    if containerd::is_absent(host, &why)? {
        return Ok(State::Absent);
    }
    let serves_none = matches!(why, CriAnswer::NoSocket | CriAnswer::Unimplemented { .. });
    if serves_none && !host.root.exists(KUBELET)? {
        let why = "no CRI is served, and there is no kubelet that would use it";
        return Ok(State::NotApplicable(why.to_owned()));
    }
    Ok(State::Unavailable(Unavailable { place: socket.clone(), why: why.to_string() }))
}
