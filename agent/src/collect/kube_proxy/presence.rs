//! Whether kube-proxy is meant to run on a node: its unit, or its pod, of which the kubelet
//! keeps the logs as long as the pod is on the node. A binary or an image that lies there
//! says nothing. Where there is neither, Cilium may lead traffic to pods by design.

use nix::errno::Errno;

use crate::collect::time_sync::units;
use crate::host::{HostError, HostRoot, find_processes_anywhere};

const POD_LOGS: &str = "/var/log/pods";

/// What an enabled or hand-written unit leaves.
pub(super) const UNITS: [&str; 2] = [
    "/etc/systemd/system/kube-proxy.service",
    "/etc/systemd/system/multi-user.target.wants/kube-proxy.service",
];

/// What the agent of Cilium leaves in its state folder: its socket and its own state.
const CILIUM: [&str; 2] = ["/run/cilium/cilium.sock", "/run/cilium/state"];

/// A pod of kube-proxy that the kubelet runs or tries to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) logs: String,
    pub(super) uid: String,
}

/// The pods of kube-proxy on the node. The name of a folder of logs is made of namespace,
/// pod and UID; in it there is one folder for each container.
pub(super) fn pods(root: &HostRoot) -> Result<Vec<Pod>, HostError> {
    let names = unless_missing(root.list(POD_LOGS))?.unwrap_or_default();
    let mut pods = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("kube-system_kube-proxy")) {
        let logs = format!("{POD_LOGS}/{name}");
        if let Some((_, uid)) = name.rsplit_once('_')
            && root.exists(&format!("{logs}/kube-proxy"))?
        {
            pods.push(Pod { logs, uid: uid.to_owned() });
        }
    }
    Ok(pods)
}

/// What shows that it is meant to run here, sorted.
pub(super) fn traces(root: &HostRoot, pods: &[Pod]) -> Result<Vec<String>, HostError> {
    let mut traces = units::unmasked(root, root.existing(&UNITS)?)?;
    traces.extend(pods.iter().map(|pod| pod.logs.clone()));
    Ok(traces)
}

/// A sign that Cilium leads traffic to pods.
pub(super) fn cilium(root: &HostRoot) -> Result<Option<String>, HostError> {
    if !find_processes_anywhere(root, "cilium-agent")?.is_empty() {
        return Ok(Some("process cilium-agent".to_owned()));
    }
    if let Some(state) = root.existing(&CILIUM)?.into_iter().next() {
        return Ok(Some(state));
    }
    let networks = unless_missing(root.list("/etc/cni/net.d"))?.unwrap_or_default();
    let of_cilium = networks.into_iter().find(|name| {
        name.contains("cilium") && (name.ends_with(".conf") || name.ends_with(".conflist"))
    });
    Ok(of_cilium.map(|name| format!("/etc/cni/net.d/{name}")))
}

/// None where there is no such folder.
pub(super) fn unless_missing<T>(read: Result<T, HostError>) -> Result<Option<T>, HostError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
