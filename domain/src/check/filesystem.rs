//! Checks of `filesystem`: did one become read-only by itself, and is there room left, for
//! pods, for images and for the system. Judged by what the kernel says of mounts, never by
//! lines of a log, and by the thresholds from which the kubelet itself acts.

mod full;
#[cfg(test)]
mod tests;
mod threshold;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, confirmed, facts,
    shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::{BlockMount, Filesystem};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const EVICTION: &str =
    "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/";
/// Warns at 5 % of space and of inodes.
const NODE_MIXIN: &str =
    "https://github.com/prometheus/node_exporter/blob/master/docs/node-mixin/config.libsonnet";
const GARBAGE: &str =
    "https://kubernetes.io/docs/concepts/architecture/garbage-collection/#containers-images";

const ABSENT: &str = "no file systems";

const fn check(
    reason: &'static str,
    summary: &'static str,
    severity: Severity,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Filesystem,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::None,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "FilesystemReadOnly",
        "A file system became read-only while it is mounted to be written to",
        Severity::Critical,
        "https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html",
        read_only,
    ),
    check(
        "NodeFilesystemFull",
        "The kubelet's file system has less space than it needs to keep pods",
        Severity::Critical,
        EVICTION,
        full::kubelets,
    ),
    check(
        "ImageFilesystemFull",
        "The file system of images has less space than the kubelet needs to keep pods",
        Severity::Critical,
        EVICTION,
        full::images,
    ),
    check(
        "FilesystemInodesLow",
        "A file system has hardly any inodes left: no file can be made on it soon",
        Severity::Critical,
        EVICTION,
        full::inodes,
    ),
    check(
        "FilesystemNearlyFull",
        "The file system of the system or of its logs has less than 5 % of its space left",
        Severity::Warning,
        NODE_MIXIN,
        full::systems,
    ),
    check(
        "ImageHeadroomLow",
        "The file system of images is fuller than the kubelet means it to be: pulling an image or updating the node may find no room",
        Severity::Warning,
        GARBAGE,
        full::headroom,
    ),
];

fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

fn filesystem(history: &NodeHistory) -> Result<(&Filesystem, Timestamp), Verdict> {
    facts(&history.filesystem, ABSENT)
}

fn read_only(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (filesystem, since) = verdict_or!(filesystem(history));
    let broken: Vec<&BlockMount> =
        filesystem.mounts.iter().filter(|mount| mount.went_read_only).collect();
    let message = match broken.as_slice() {
        [] => {
            let count = filesystem.mounts.len() + filesystem.untold as usize;
            let actual = format!("{count} file systems of devices as they were mounted");
            return Verdict::pass(vec![Evidence::new(&filesystem.source, actual, "")]);
        }
        [one] => format!("{} ({}, {}) became read-only", one.mount_point, one.kind, one.source),
        more => format!("{} file systems became read-only", more.len()),
    };
    let evidence = broken.iter().map(|mount| {
        let actual = format!("{}: mounted rw, file system ro", mount.mount_point);
        Evidence::new(&filesystem.source, actual, "both rw")
    });
    let evidence = shortened(evidence.collect());
    let look = Action::Investigate { at: "the kernel's log for errors of the device".to_owned() };
    // What a volume of a pod has suffered no new image heals. Auto-repair looks at Ready alone.
    let is_nodes =
        |mount: &BlockMount| filesystem.places.iter().any(|place| place.device == mount.device);
    let action = match broken.iter().all(|mount| is_nodes(mount)) {
        true => by_hand(scope, look),
        false => look,
    };
    Verdict::fail(message, since, customer(action), evidence)
}
