//! Do kubelet and runtime make control groups the same way? Where one leaves them to
//! systemd and the other writes them itself, two masters share one tree, and the node
//! becomes unstable when resources are short.

use jiff::Timestamp;

use super::{Check, check, runtime};
use crate::check::{Evidence, PolicyLink, Scope, Severity, Verdict, by_hand, facts, verdict_or};
use crate::facts::containerd::SystemdCgroup;
use crate::facts::{Containerd, Kubelet};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::kubernetes::KubernetesVersion;

pub(super) const MISMATCH: Check = Check {
    severity: Severity::Warning,
    responsible: "customer",
    policy: PolicyLink::Cites("kubernetes-native-change"),
    source: "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/configure-cgroup-driver/",
    ..check(
        "CgroupDriverMismatch",
        "Kubelet and container runtime make control groups in different ways",
        mismatch,
    )
};

const SYSTEMD: &str = "systemd";
const CGROUPFS: &str = "cgroupfs";

/// The runtime's driver and what says so; or why it is not known.
fn of_runtime(containerd: &Containerd) -> Result<(&'static str, String), String> {
    let told = containerd.replies.runtime_config.answered();
    if let Some(driver) = told.and_then(|config| config.cgroup_driver) {
        return Ok((driver.word(), format!("{} RuntimeConfig", containerd.socket)));
    }
    let configuration = &containerd.configuration;
    let driver = match &configuration.systemd_cgroup {
        SystemdCgroup::Set(true) => SYSTEMD,
        // What runc does when nothing is told.
        SystemdCgroup::Set(false) | SystemdCgroup::Unset => CGROUPFS,
        SystemdCgroup::Unknown(why) => return Err(why.clone()),
    };
    Ok((driver, configuration.path.clone()))
}

/// Whether a kubelet asks the runtime and does as it does: by default since 1.31, if the
/// runtime knows the call.
fn follows(kubelet: &Kubelet, containerd: &Containerd) -> bool {
    let version = kubelet.version.as_ref().and_then(|it| KubernetesVersion::parse(&it.version));
    containerd.replies.runtime_config.answered().is_some()
        && version.is_some_and(|version| (version.major, version.minor) >= (1, 31))
}

fn mismatch(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, "no kubelet is installed"));
    if kubelet.process.is_none() {
        return Verdict::not_applicable("no kubelet runs");
    }
    let (of_runtime, told_by) = match of_runtime(containerd) {
        Ok(known) => known,
        Err(why) => {
            return Verdict::unknown(
                format!("the runtime's driver is not known: {why}"),
                Vec::new(),
            );
        }
    };
    let Some(setting) = kubelet.configuration.setting("cgroupDriver") else {
        return Verdict::unknown("what the kubelet was told is not known", Vec::new());
    };
    let of_kubelet = setting.effective();
    let evidence = vec![
        Evidence::new(told_by, of_runtime, ""),
        Evidence::new(
            setting.source.to_string(),
            format!("cgroupDriver: {of_kubelet}"),
            of_runtime,
        ),
    ];
    if of_kubelet == of_runtime || follows(kubelet, containerd) {
        return Verdict::pass(evidence);
    }
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(
            scope,
            Action::Revert { change: "the driver of control groups".to_owned() },
        ),
        valid_until: None,
    };
    let so = |one: &Containerd| self::of_runtime(one).is_ok_and(|(driver, _)| driver == of_runtime);
    let since = since.max(super::since(history, so));
    let message = format!("the kubelet uses {of_kubelet}, the runtime {of_runtime}");
    Verdict::fail(message, since, turn, evidence)
}
