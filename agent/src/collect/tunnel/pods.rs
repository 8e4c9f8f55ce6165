//! Pods of the tunnel's agents: the kubelet names the folder of a pod's logs by namespace,
//! name and UID, and the pod's cgroup by that UID.

use nix::errno::Errno;

use crate::collect::folders::cgroups_are_there;
use crate::host::{HostError, HostRoot};

pub(super) const LOGS: &str = "/var/log/pods";

/// How a folder of an agent's begins, and of its autoscaler, which is none.
const AGENT: &str = "kube-system_konnectivity-agent";
const AUTOSCALER: &str = "kube-system_konnectivity-agent-autoscaler";

/// So many agents of a node are looked at.
const LOOKED_AT: usize = 8;

/// Where the cgroup of a pod lies: by the driver that uses systemd and by the plain one, in
/// version 2 and in version 1, and for each class of service.
pub(super) const CGROUPS: [&str; 12] = [
    "/sys/fs/cgroup/kubepods.slice/kubepods-pod{uid}.slice",
    "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice",
    "/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice",
    "/sys/fs/cgroup/kubepods/pod{uid}",
    "/sys/fs/cgroup/kubepods/burstable/pod{uid}",
    "/sys/fs/cgroup/kubepods/besteffort/pod{uid}",
    "/sys/fs/cgroup/pids/kubepods.slice/kubepods-pod{uid}.slice",
    "/sys/fs/cgroup/pids/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice",
    "/sys/fs/cgroup/pids/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice",
    "/sys/fs/cgroup/pids/kubepods/pod{uid}",
    "/sys/fs/cgroup/pids/kubepods/burstable/pod{uid}",
    "/sys/fs/cgroup/pids/kubepods/besteffort/pod{uid}",
];

/// A pod of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    uid: String,
}

/// The pods of agents that have not ended, by name.
pub(super) fn active(root: &HostRoot) -> Result<Vec<Pod>, HostError> {
    let folders = match root.list(LOGS) {
        Err(HostError::Missing { .. }) => Vec::new(),
        folders => folders?,
    };
    let is_agent = |name: &&String| name.starts_with(AGENT) && !name.starts_with(AUTOSCALER);
    let mut pods = Vec::new();
    let mut has_ended = false;
    for folder in folders.iter().filter(is_agent).take(LOOKED_AT) {
        let mut parts = folder.split('_').skip(1);
        let (Some(name), Some(uid), None) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let pod = Pod { name: name.to_owned(), uid: uid.to_owned() };
        match is_active(root, &pod)? {
            true => pods.push(pod),
            false => has_ended = true,
        }
    }
    // Without the tree nobody can tell that a pod has none in it.
    if has_ended && pods.is_empty() {
        cgroups_are_there(root)?;
    }
    Ok(pods)
}

/// systemd's names of slices use dashes otherwise.
fn in_slice(uid: &str) -> String {
    uid.replace('-', "_")
}

fn is_active(root: &HostRoot, pod: &Pod) -> Result<bool, HostError> {
    for place in CGROUPS {
        let uid = if place.ends_with(".slice") { in_slice(&pod.uid) } else { pod.uid.clone() };
        if root.exists(&place.replace("{uid}", &uid))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The pod that a process belongs to; none when to none of these, or when it has ended.
pub(super) fn owner(root: &HostRoot, pid: u32, pods: &[Pod]) -> Result<Option<Pod>, HostError> {
    let cgroup = match root.read_text(&format!("/proc/{pid}/cgroup"), 64 * 1024) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ESRCH, .. }) => {
            return Ok(None);
        }
        cgroup => cgroup?,
    };
    let is_its = |pod: &&Pod| {
        [pod.uid.clone(), in_slice(&pod.uid)]
            .iter()
            .any(|uid| cgroup.contains(&format!("pod{uid}")))
    };
    Ok(pods.iter().find(is_its).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_tree_of_groups_nobody_says_that_a_pod_has_ended() {
        const UID: &str = "c1d6f0a2-7b3e-4f55-8a10-2f9d6e4b7c31";
        let folder = tempfile::tempdir().expect("a folder");
        let made = |path: &str| {
            std::fs::create_dir_all(folder.path().join(&path[1..])).expect("made");
        };
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(active(&root), Ok(Vec::new()), "no pod at all");
        made(&format!("{LOGS}/kube-system_konnectivity-agent-a_{UID}"));
        assert_eq!(active(&root).expect_err("no tree").path(), "/sys/fs/cgroup");
        made("/sys/fs/cgroup");
        assert!(active(&root).is_err(), "not mounted");
        made("/sys/fs/cgroup/kubepods");
        assert_eq!(active(&root), Ok(Vec::new()), "it has ended");
        made(&format!("/sys/fs/cgroup/kubepods/pod{UID}"));
        assert_eq!(active(&root).expect("readable").len(), 1);
    }
}
