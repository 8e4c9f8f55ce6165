//! Checks of file systems, over facts and measurements that are made here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::check::{Outcome, find};
use crate::facts::kubelet::{Configuration, SecurePort, Setting, SettingSource};
use crate::facts::{
    ComponentState, FilesystemPlace, FilesystemSize, HttpAnswer, Kubelet, PlaceRole, UnitState,
};
use crate::measured::Measurements;
use crate::node::Holding;
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;

const GIB: u64 = 1 << 30;

/// A node of one disk of 100 GiB, or with another one for images.
fn node(images_on: &str, evictions: Option<&str>, measured: Measurements) -> NodeHistory {
    let place = |role, path: &str, device: &str| FilesystemPlace {
        role,
        path: path.to_owned(),
        device: device.to_owned(),
        mount_point: if device == "8:1" { "/" } else { path }.to_owned(),
        size: FilesystemSize::Bytes(100 * GIB),
    };
    let filesystem = Filesystem {
        source: "/proc/1/mountinfo".to_owned(),
        mounts: vec![BlockMount {
            device: "8:1".to_owned(),
            source: "/dev/sda1".to_owned(),
            kind: "ext4".to_owned(),
            mount_point: "/".to_owned(),
            went_read_only: false,
        }],
        untold: 0,
        places: vec![
            place(PlaceRole::Root, "/", "8:1"),
            place(PlaceRole::Kubelet, "/var/lib/kubelet", "8:1"),
            place(PlaceRole::Images, "/var/lib/containerd", images_on),
            place(PlaceRole::Logs, "/var/log", "8:1"),
        ],
    };
    let mut history = NodeHistory::default();
    let mut observe = |state| history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
    observe(ComponentState::Filesystem(State::Present(Arc::new(filesystem))));
    observe(ComponentState::Kubelet(match evictions {
        Some(evictions) => State::Present(Arc::new(kubelet(evictions))),
        None => State::Absent,
    }));
    history.measured.observe(measured, Timestamp::UNIX_EPOCH);
    history
}

fn kubelet(evictions: &str) -> Kubelet {
    let setting = |key: &str, value: &str| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        source: SettingSource::Default,
        in_force: None,
    };
    let settings =
        vec![setting("evictionHard", evictions), setting("imageGCHighThresholdPercent", "85")];
    Kubelet {
        traces: Vec::new(),
        process: None,
        unit: UnitState::NoSystemd,
        other_pids: Vec::new(),
        version: None,
        healthz_endpoint: String::new(),
        healthz: HttpAnswer::Refused,
        registers_azure_labels: false,
        node_labels: Vec::new(),
        configuration: Configuration { settings, ..Configuration::default() },
        certificates: Vec::new(),
        secure_port: SecurePort::not_asked("a test"),
    }
}

fn root(available: u64) -> Measurements {
    Measurements {
        filesystem_root_available_bytes: Some(available),
        filesystem_root_total_inodes: Some(1000),
        filesystem_root_free_inodes: Some(500),
        ..Measurements::default()
    }
}

/// What a check answers once it has been failing for that many rounds.
fn judged(reason: &str, history: &NodeHistory, rounds: u32) -> Verdict {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let standing = Holding { observations: rounds, since: Some(Timestamp::UNIX_EPOCH) };
    let scope = Scope { outside: Default::default(), platform: Platform::Kubernetes, standing };
    let check = find(reason).expect("a check");
    (check.judge)(history, &scope, &policy, Timestamp::UNIX_EPOCH)
}

fn word(reason: &str, history: &NodeHistory) -> &'static str {
    judged(reason, history, 3).outcome.word()
}

const AKS: &str = "memory.available=100Mi,nodefs.available=10%,nodefs.inodesFree=5%";

#[test]
fn on_one_disk_the_worst_finding_stands_for_the_others() {
    for (available, node, image, headroom) in [
        (50 * GIB, "pass", "not_applicable", "pass"),
        (12 * GIB, "pass", "not_applicable", "fail"),
        (9 * GIB, "fail", "not_applicable", "not_applicable"),
    ] {
        let history = self::node("8:1", Some(AKS), root(available));
        assert_eq!(word("NodeFilesystemFull", &history), node, "{available}");
        assert_eq!(word("ImageFilesystemFull", &history), image, "{available}");
        assert_eq!(word("ImageHeadroomLow", &history), headroom, "{available}");
        // The kubelet watches the same file system.
        assert_eq!(word("FilesystemNearlyFull", &history), "not_applicable");
    }
    let default = "imagefs.available=15%,nodefs.available=10%";
    let history = node("8:1", Some(default), root(12 * GIB));
    assert_eq!(word("ImageFilesystemFull", &history), "fail");
    assert_eq!(word("ImageHeadroomLow", &history), "not_applicable");
    let history = node("8:1", Some(default), root(9 * GIB));
    assert_eq!(word("NodeFilesystemFull", &history), "fail");
    assert_eq!(word("ImageFilesystemFull", &history), "not_applicable");
}

#[test]
fn a_disk_for_images_is_judged_by_itself() {
    let measured =
        Measurements { filesystem_images_available_bytes: Some(2 * GIB), ..root(50 * GIB) };
    let history = node("8:16", Some("imagefs.available=5Gi,nodefs.available=10%"), measured);
    assert_eq!(word("NodeFilesystemFull", &history), "pass");
    let verdict = judged("ImageFilesystemFull", &history, 3);
    let Outcome::Fail { message, responsible, .. } = verdict.outcome else {
        panic!("{:?}", verdict.outcome)
    };
    assert_eq!(
        message,
        "2.0 % of the space of /var/lib/containerd is left: the kubelet evicts pods"
    );
    assert_eq!(responsible, Responsible::Customer);
    assert_eq!(verdict.evidence[0].actual, "2.0 GiB of 100.0 GiB available (2.0 %)");
    assert_eq!(verdict.evidence[0].expected, "at least 5Gi (evictionHard imagefs.available)");
}

#[test]
fn one_reading_is_no_finding_and_none_is_no_room() {
    let history = node("8:1", Some(AKS), root(GIB));
    let verdict = judged("NodeFilesystemFull", &history, 2);
    assert_eq!(verdict.outcome, Outcome::Confirming { observations: 2 });
    let history = node("8:1", Some(AKS), Measurements::default());
    for reason in ["NodeFilesystemFull", "FilesystemInodesLow", "ImageHeadroomLow"] {
        assert_eq!(word(reason, &history), "unknown", "{reason}");
    }
}

#[test]
fn without_a_kubelet_the_systems_own_line_holds() {
    let history = node("8:1", None, root(4 * GIB));
    assert_eq!(word("FilesystemNearlyFull", &history), "fail");
    assert_eq!(word("NodeFilesystemFull", &history), "not_applicable");
    assert_eq!(word("ImageHeadroomLow", &history), "not_applicable");
    assert_eq!(word("FilesystemNearlyFull", &node("8:1", None, root(6 * GIB))), "pass");
}

#[test]
fn inodes_run_out_by_themselves() {
    let few = |free| Measurements { filesystem_root_free_inodes: Some(free), ..root(50 * GIB) };
    for evictions in [Some(AKS), None] {
        assert_eq!(word("FilesystemInodesLow", &node("8:1", evictions, few(49))), "fail");
        assert_eq!(word("FilesystemInodesLow", &node("8:1", evictions, few(50))), "pass");
    }
    // btrfs has no such limit.
    let none = Measurements { filesystem_root_total_inodes: Some(0), ..few(0) };
    assert_eq!(word("FilesystemInodesLow", &node("8:1", None, none)), "not_applicable");
}

#[test]
fn what_became_read_only_names_where() {
    let mut history = node("8:1", Some(AKS), root(50 * GIB));
    assert_eq!(word("FilesystemReadOnly", &history), "pass");
    let mut facts = history.filesystem.present().expect("facts").clone();
    facts.mounts[0].went_read_only = true;
    let state = ComponentState::Filesystem(State::Present(Arc::new(facts)));
    history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
    let verdict = judged("FilesystemReadOnly", &history, 0);
    let Outcome::Fail { message, .. } = verdict.outcome else { panic!("{:?}", verdict.outcome) };
    assert_eq!(message, "/ (ext4, /dev/sda1) became read-only");
    assert_eq!(verdict.evidence[0].actual, "/: mounted rw, file system ro");
}
