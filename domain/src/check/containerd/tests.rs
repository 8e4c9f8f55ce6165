//! What no host root can show: answers of other versions, and how verdicts pass by time.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::Outcome;
use crate::facts::containerd::{
    Configuration, Deprecation, FailedPlugin, ImageStores, Plugins, Replies, Reply, Server,
    ServerVersion, SystemdCgroup,
};
use crate::facts::{
    ComponentState, DatabaseLock, Package, PackageManager, Packages, Process, RuntimeCondition,
    RuntimeVersion, UnitState,
};
use crate::node::Holding;
use crate::observed::State;
use crate::policy::DEFAULT_EDITION;

fn serving(version: &str, conditions: &[(&str, bool)]) -> CriAnswer {
    CriAnswer::Serving {
        version: RuntimeVersion {
            name: NAME.to_owned(),
            version: version.to_owned(),
            api_version: "v1".to_owned(),
        },
        conditions: conditions
            .iter()
            .map(|(kind, status)| RuntimeCondition {
                kind: (*kind).to_owned(),
                status: *status,
                reason: String::new(),
                message: String::new(),
            })
            .collect(),
    }
}

/// A runtime of that version whose process is not seen.
pub(super) fn containerd(cri: CriAnswer) -> Containerd {
    Containerd {
        traces: Vec::new(),
        runc: Vec::new(),
        process: None,
        unit: UnitState::Unreadable { why: "no bus".to_owned() },
        configuration: Configuration { path: String::new(), systemd_cgroup: SystemdCgroup::Unset },
        socket: "/run/containerd/containerd.sock".to_owned(),
        cri,
        replies: Replies::not_asked("not in this test"),
    }
}

fn packages(name: &str, version: &str) -> ComponentState {
    let package = Package {
        name: name.to_owned(),
        architecture: "amd64".to_owned(),
        version: version.to_owned(),
        source: name.to_owned(),
        source_version: version.to_owned(),
        held: false,
        origin: String::new(),
    };
    ComponentState::Packages(State::Present(Arc::new(Packages {
        manager: PackageManager::Dpkg,
        path: "/var/lib/dpkg/status".to_owned(),
        installed: vec![package],
        unfinished: Vec::new(),
        lock: DatabaseLock::Free,
    })))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number of seconds")
}

/// An AKS node, on which the runtime has been seen so as often as a weak probe must be.
pub(super) fn seen(containerd: &Containerd) -> NodeHistory {
    let mut history = NodeHistory::default();
    for second in [0, 30, 60] {
        let state = State::Present(Arc::new(containerd.clone()));
        history.observe(ComponentState::Containerd(state), at(second), Duration::ZERO);
    }
    history
}

fn judged(reason: &str, history: &NodeHistory, now: i64) -> Verdict {
    let check = CHECKS.iter().find(|check| check.reason == reason).expect("a check");
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let scope = Scope {
        outside: Default::default(),
        platform: Platform::Aks,
        standing: Holding::default(),
    };
    (check.judge)(history, &scope, &policy, at(now))
}

/// The word of the outcome, and the reason if it is unknown.
fn outcome(reason: &str, containerd: &Containerd, state: Option<ComponentState>) -> String {
    let mut history = seen(containerd);
    if let Some(state) = state {
        history.observe(state, at(60), Duration::ZERO);
    }
    match judged(reason, &history, 60).outcome {
        Outcome::Unknown(why) => format!("unknown: {why}"),
        other => other.word().to_owned(),
    }
}

#[test]
fn without_a_look_at_its_file_the_versions_tell_whether_a_restart_is_pending() {
    const REASON: &str = "ContainerdRestartPending";
    let mut runtime = containerd(serving("1.7.31-1", &[]));
    let package = || Some(packages("moby-containerd", "1.7.33-ubuntu22.04u4"));
    assert_eq!(outcome(REASON, &runtime, package()), "fail");
    runtime.cri = serving("1.7.33-1", &[]);
    let same = outcome(REASON, &runtime, package());
    assert!(same.starts_with("unknown") && same.contains("revision"), "{same}");
    let none = outcome(REASON, &runtime, Some(packages("bash", "5")));
    assert!(none.contains("no package of containerd is installed"), "{none}");
    // Debian's names the whole version of its package.
    runtime.cri = serving("1.6.20~ds1", &[]);
    let version = "1.6.20~ds1-1+deb12u3";
    runtime.replies.version = Reply::Answered(ServerVersion {
        version: "1.6.20~ds1".to_owned(),
        revision: version.to_owned(),
    });
    assert_eq!(outcome(REASON, &runtime, Some(packages("containerd", version))), "pass");
}

#[test]
fn one_that_no_package_installs_is_not_compared_with_a_package() {
    const REASON: &str = "ContainerdNotAsPackaged";
    let mut runtime = containerd(serving("2.1.0", &[]));
    let package = || Some(packages("containerd", "1.6.20~ds1-1+deb12u3"));
    for (executable, expected) in
        [("/usr/local/bin/containerd", "not_applicable"), ("/usr/bin/containerd", "fail")]
    {
        runtime.process = Some(Process {
            pid: 1,
            started_seconds_after_boot: 1,
            executable: executable.to_owned(),
            executable_replaced: false,
        });
        assert_eq!(outcome(REASON, &runtime, package()), expected, "{executable}");
    }
}

#[test]
fn warnings_are_believed_where_the_version_counts_them_and_not_where_they_are_ignored() {
    const REASON: &str = "ContainerdDeprecations";
    const CONDITION: &str = "ContainerdHasNoDeprecationWarnings";
    let server =
        |deprecations| Reply::Answered(Server { uuid: String::new(), pid: None, deprecations });
    let one = Deprecation { id: "a".to_owned(), message: "use b".to_owned() };
    for (version, conditions, deprecations, expected) in [
        ("1.6.20~ds1", &[][..], vec![], "not_applicable"),
        ("1.7.11", &[], vec![], "not_applicable"),
        ("1.6.27", &[], vec![], "pass"),
        ("1.7.12", &[], vec![one.clone()], "fail"),
        ("2.0.0", &[(CONDITION, false)], vec![], "fail"),
        // The configuration says that they shall be ignored.
        ("2.0.0", &[(CONDITION, true)], vec![one], "pass"),
    ] {
        let mut runtime = containerd(serving(version, conditions));
        runtime.replies.server = server(deprecations);
        assert_eq!(outcome(REASON, &runtime, None), expected, "{version} {conditions:?}");
    }
}

#[test]
fn of_snapshotters_the_one_in_use_counts() {
    let mut runtime = containerd(serving("2.2.4", &[]));
    let failed = |id: &str, folder: &str| FailedPlugin {
        kind: "io.containerd.snapshotter.v1".to_owned(),
        id: id.to_owned(),
        folder: folder.to_owned(),
        message: "skip plugin".to_owned(),
    };
    runtime.replies.plugins = Reply::Answered(Plugins {
        started: 40,
        failed: vec![failed("overlaybd", "/mnt/images"), failed("zfs", "/var/zfs")],
    });
    for (folder, expected) in [
        ("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs", "pass"),
        ("/mnt/images", "fail"),
        ("/elsewhere/io.containerd.snapshotter.v1.zfs", "fail"),
        ("/elsewhere/io.containerd.snapshotter.v1.xzfs", "pass"),
    ] {
        let folders = vec![folder.to_owned()];
        runtime.replies.image_fs_info = Reply::Answered(ImageStores { folders });
        assert_eq!(outcome("PluginFailed", &runtime, None), expected, "{folder}");
    }
}

#[test]
fn another_runtime_on_the_socket_is_not_asked_for_containerds_own() {
    let mut answer = serving("1.30.0", &[]);
    if let CriAnswer::Serving { version, .. } = &mut answer {
        version.name = "cri-o".to_owned();
    }
    let mut runtime = containerd(answer);
    runtime.replies.plugins = Reply::Unimplemented { message: "unknown service".to_owned() };
    for reason in ["PluginFailed", "ContainerdNotAsPackaged", "ContainerdDeprecations"] {
        assert_eq!(outcome(reason, &runtime, None), "not_applicable", "{reason}");
    }
}

#[test]
fn without_a_unit_the_starts_of_the_process_are_counted_and_forgotten_in_time() {
    let mut history = NodeHistory::default();
    for (pid, second) in (1..).zip([0, 30, 60, 90, 120, 150]) {
        let mut runtime = containerd(serving("1.7.33", &[]));
        runtime.process = Some(Process {
            pid,
            started_seconds_after_boot: u64::from(pid) * 30,
            executable: "/usr/bin/containerd".to_owned(),
            executable_replaced: false,
        });
        let state = ComponentState::Containerd(State::Present(Arc::new(runtime)));
        history.observe(state, at(second), Duration::ZERO);
    }
    let verdict = judged("ContainerdRestarting", &history, 160);
    let Outcome::Fail { since, .. } = verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!(since, at(30));
    let end = at(30) + crate::restarts::WINDOW;
    assert_eq!(verdict.valid_until, Some(end));
    let after = judged("ContainerdRestarting", &history, end.as_second());
    assert_eq!(after.outcome, Outcome::Pass);
}

#[test]
fn a_crash_loop_that_nobody_else_counts_comes_to_the_end_of_the_providers_repair() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let mut history = NodeHistory::default();
    let mark = crate::facts::OsRelease {
        path: "/etc/os-release".to_owned(),
        id: "ubuntu".to_owned(),
        version_id: "22.04".to_owned(),
        version_codename: String::new(),
        pretty_name: String::new(),
        variant_id: String::new(),
        architecture: String::new(),
        fips: crate::facts::Fips::Off,
        ubuntu_pro: crate::facts::UbuntuPro::NotThere,
        provider_marks: vec!["/opt/azure/vhd-install.complete".to_owned()],
    };
    let mut last = None;
    // Eighty minutes, a look every four minutes: so rarely that restarts are no loop.
    for look in 0..20u32 {
        let at = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(i64::from(look) * 4);
        let mut seen = containerd(CriAnswer::Refused);
        // Each time another error keeps the facts from being the same.
        seen.traces = vec![format!("/var/lib/containerd/{look}")];
        for state in [
            ComponentState::OsRelease(State::Present(Arc::new(mark.clone()))),
            ComponentState::Containerd(State::Present(Arc::new(seen))),
        ] {
            history.observe(state, at, Duration::ZERO);
        }
        crate::check::settle(&mut history, &Component::ALL.into_iter().collect(), &policy, at);
        let judged = crate::check::judge_node(&history, Default::default(), &policy, at);
        let one = judged.into_iter().find(|one| one.check.reason == "ContainerdDown");
        last = Some(one.expect("a check").verdict.outcome);
    }
    match last {
        Some(Outcome::Fail { since, responsible, .. }) => {
            assert_eq!(since, Timestamp::UNIX_EPOCH);
            assert_eq!(responsible, crate::responsibility::Responsible::Provider);
        }
        other => panic!("{other:?}"),
    }
}
