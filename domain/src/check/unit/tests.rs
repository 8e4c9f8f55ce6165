//! Units whose state alone would mislead, and what is made of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::check::{Outcome, Verdict, judge_node};
use crate::facts::containerd::{Configuration, Replies, SystemdCgroup};
use crate::facts::kubelet::SecurePort;
use crate::facts::{
    ComponentState, Containerd, CriAnswer, Fips, HttpAnswer, Kubelet, OsRelease, Process,
    UbuntuPro, Unit, UnitFile, UnitState,
};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::policy::{DEFAULT_EDITION, Policy};
use crate::responsibility::{Action, Responsible};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a moment")
}

/// A file that was changed so many seconds before the unit was started.
fn file(path: &str, before: i64) -> UnitFile {
    let modified_at = at(-7200 - before);
    UnitFile { path: path.to_owned(), modified_at: Some(modified_at) }
}

/// A unit that has run for two hours.
fn unit() -> Unit {
    Unit {
        load_state: "loaded".to_owned(),
        active_state: "active".to_owned(),
        sub_state: "running".to_owned(),
        result: "success".to_owned(),
        file_state: "enabled".to_owned(),
        main_pid: 7,
        main_started_microseconds_after_boot: 1_000_000,
        main_started_at: Some(at(-7200)),
        file: Some(file("/etc/systemd/system/kubelet.service", 60)),
        drop_ins: vec![file("/etc/systemd/system/kubelet.service.d/10-watchdog.conf", 50)],
        ..Unit::default()
    }
}

fn kubelet(unit: UnitState, runs: bool) -> Kubelet {
    Kubelet {
        traces: Vec::new(),
        process: runs.then(|| Process {
            pid: 7,
            started_seconds_after_boot: 1,
            executable: "/usr/bin/kubelet".to_owned(),
            executable_replaced: false,
        }),
        unit,
        healthz_endpoint: "http://127.0.0.1:10248/healthz".to_owned(),
        healthz: match runs {
            true => HttpAnswer::Answered { status: 200, body: "ok".to_owned() },
            false => HttpAnswer::Refused,
        },
        registers_azure_labels: false,
        other_pids: Vec::new(),
        version: None,
        node_labels: Vec::new(),
        configuration: crate::facts::kubelet::Configuration::default(),
        certificates: Vec::new(),
        secure_port: SecurePort::not_asked("nobody asks here"),
    }
}

/// A node that was looked at every 30 seconds, last at zero.
#[derive(Clone, Copy)]
struct Node {
    is_aks: bool,
}

impl Node {
    fn judged(self, reason: &str, looks: Vec<Kubelet>) -> Verdict {
        let mut history = NodeHistory::default();
        let os_release = OsRelease {
            path: "/etc/os-release".to_owned(),
            id: "ubuntu".to_owned(),
            version_id: "22.04".to_owned(),
            version_codename: String::new(),
            pretty_name: String::new(),
            variant_id: String::new(),
            architecture: String::new(),
            fips: Fips::Off,
            ubuntu_pro: UbuntuPro::NotThere,
            provider_marks: self.is_aks.then(|| "/opt/azure".to_owned()).into_iter().collect(),
        };
        let mut observe = |state, at| history.observe(state, at, Duration::ZERO);
        observe(ComponentState::OsRelease(State::Present(Arc::new(os_release))), at(0));
        let first = 1 - i64::try_from(looks.len()).expect("few");
        for (look, kubelet) in (first..).zip(looks) {
            observe(ComponentState::Kubelet(State::Present(Arc::new(kubelet))), at(30 * look));
        }
        judged(reason, &history)
    }
}

fn judged(reason: &str, history: &NodeHistory) -> Verdict {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let verdicts = judge_node(history, Default::default(), &policy, at(0));
    verdicts.into_iter().find(|one| one.check.reason == reason).expect("a check").verdict
}

const AKS: Node = Node { is_aks: true };
const OWN: Node = Node { is_aks: false };

/// The same three times, as weak probes need it.
fn thrice(kubelet: &Kubelet) -> Vec<Kubelet> {
    vec![kubelet.clone(); 3]
}

fn failed(verdict: &Verdict) -> (&str, &Responsible, &Action) {
    match &verdict.outcome {
        Outcome::Fail { message, responsible, action, .. } => (message, responsible, action),
        other => panic!("{other:?}"),
    }
}

fn is_unknown(verdict: &Verdict) -> bool {
    matches!(verdict.outcome, Outcome::Unknown(_))
}

fn is_not_applicable(verdict: &Verdict) -> bool {
    matches!(verdict.outcome, Outcome::NotApplicable(_))
}

#[test]
fn a_failed_unit_is_told_instead_of_a_process_that_is_gone() {
    let gone = Unit {
        active_state: "failed".to_owned(),
        result: "start-limit-hit".to_owned(),
        main_pid: 0,
        ..unit()
    };
    let looks = thrice(&kubelet(UnitState::Loaded(Box::new(gone)), false));
    let verdict = OWN.judged("KubeletUnitFailed", looks.clone());
    let (message, responsible, action) = failed(&verdict);
    assert_eq!(message, "kubelet.service has failed: start-limit-hit");
    assert_eq!(*responsible, Responsible::Customer);
    assert_eq!(*action, Action::RestartUnit { unit: "kubelet.service".to_owned() });
    assert!(is_not_applicable(&OWN.judged("KubeletDown", looks)));
}

#[test]
fn a_failed_unit_says_nothing_of_a_kubelet_that_something_else_started() {
    let gone = Unit { active_state: "failed".to_owned(), main_pid: 0, ..unit() };
    let looks = thrice(&kubelet(UnitState::Loaded(Box::new(gone)), true));
    assert!(is_not_applicable(&OWN.judged("KubeletUnitFailed", looks.clone())));
    assert_eq!(OWN.judged("KubeletDown", looks).outcome, Outcome::Pass);
}

#[test]
fn a_broken_unit_with_an_added_drop_in_is_the_customers() {
    let mut gone = Unit { active_state: "failed".to_owned(), main_pid: 0, ..unit() };
    let drop_in = "/etc/systemd/system/kubelet.service.d/99-proxy.conf";
    gone.drop_ins.push(file(drop_in, 40));
    let looks = thrice(&kubelet(UnitState::Loaded(Box::new(gone)), false));
    let verdict = AKS.judged("KubeletUnitFailed", looks.clone());
    let (message, responsible, action) = failed(&verdict);
    assert!(message.contains("auto-repair"), "{message}");
    assert_eq!(*responsible, Responsible::Customer);
    assert_eq!(*action, Action::Revert { change: drop_in.to_owned() });
    assert!(is_not_applicable(&OWN.judged("KubeletDropInAdded", looks)), "nobody ships them");
}

#[test]
fn only_drop_ins_in_the_places_of_administrators_count_as_added() {
    for (path, is_added) in [
        ("/etc/systemd/system/kubelet.service.d/99-x.conf", true),
        ("/run/systemd/system/kubelet.service.d/50-CPUQuota.conf", true),
        ("/etc/systemd/system.control/kubelet.service.d/50-CPUQuota.conf", true),
        ("/usr/lib/systemd/system/service.d/10-timeout-abort.conf", false),
        ("/etc/systemd/system/kubelet.service.d/10-tlsbootstrap.conf", false),
    ] {
        let changed = Unit { drop_ins: vec![file(path, 40)], ..unit() };
        let looks = vec![kubelet(UnitState::Loaded(Box::new(changed)), true)];
        let verdict = AKS.judged("KubeletDropInAdded", looks);
        assert_eq!(matches!(verdict.outcome, Outcome::Fail { .. }), is_added, "{path}");
    }
}

#[test]
fn a_kubelet_that_somebody_disabled_is_down_by_the_customers_hand() {
    for (unit, what) in [
        (UnitState::NotLoaded { file_state: "disabled".to_owned() }, "disabled"),
        (UnitState::NotLoaded { file_state: "masked".to_owned() }, "masked"),
    ] {
        let looks = thrice(&kubelet(unit, false));
        let verdict = AKS.judged("KubeletDown", looks.clone());
        let (message, responsible, action) = failed(&verdict);
        assert!(message.ends_with(&format!("kubelet.service is {what}")), "{message}");
        assert_eq!((responsible, action), (&Responsible::Customer, &Action::Reimage));
        let verdict = OWN.judged("KubeletUnitDisabled", looks);
        let Action::Repair { what: command } = failed(&verdict).2 else { panic!("{verdict:?}") };
        assert!(command.starts_with("systemctl "), "{command}");
    }
}

#[test]
fn a_node_without_the_unit_or_without_systemd_is_not_judged_by_it() {
    let nothing = UnitState::NotLoaded { file_state: String::new() };
    for unit in [nothing, UnitState::NoSystemd] {
        for runs in [true, false] {
            for reason in [
                "KubeletUnitFailed",
                "KubeletRestarting",
                "KubeletUnitDisabled",
                "KubeletUnitStale",
                "KubeletDropInAdded",
            ] {
                let verdict = AKS.judged(reason, vec![kubelet(unit.clone(), runs)]);
                assert!(is_not_applicable(&verdict), "{reason}: {verdict:?}");
            }
        }
    }
}

#[test]
fn a_unit_that_could_not_be_read_is_unknown_and_never_well() {
    let unit = UnitState::Unreadable { why: "permission denied".to_owned() };
    for reason in ["KubeletUnitFailed", "KubeletRestarting", "KubeletUnitStale"] {
        assert!(is_unknown(&OWN.judged(reason, vec![kubelet(unit.clone(), true)])), "{reason}");
    }
}

#[test]
fn a_loop_is_seen_by_restarts_although_the_unit_is_active_at_every_look() {
    let look = |restarts: u32, started: u64| {
        let unit = Unit {
            restarts,
            main_started_microseconds_after_boot: started,
            main_started_at: Some(at(-5)),
            ..unit()
        };
        kubelet(UnitState::Loaded(Box::new(unit)), true)
    };
    let verdict = OWN.judged("KubeletRestarting", vec![look(0, 1), look(3, 2), look(6, 3)]);
    assert_eq!(failed(&verdict).0, "kubelet.service was restarted 6 times in 20 minutes");
    // Then only the three of the last look are left.
    assert_eq!(verdict.valid_until, Some(at(-30) + SignedDuration::from_mins(20)));
    // One look cannot say whether many restarts were today or last month.
    assert!(is_unknown(&OWN.judged("KubeletRestarting", vec![look(6, 3)])));
    let looks = vec![look(2, 1), look(2, 1)];
    assert_eq!(OWN.judged("KubeletRestarting", looks).outcome, Outcome::Pass);
}

#[test]
fn many_restarts_long_ago_are_none_of_today() {
    let looks = vec![kubelet(UnitState::Loaded(Box::new(Unit { restarts: 90, ..unit() })), true)];
    assert_eq!(OWN.judged("KubeletRestarting", looks).outcome, Outcome::Pass);
}

#[test]
fn what_was_written_after_the_start_is_not_in_force() {
    let stale = |change: fn(&mut Unit)| {
        let mut unit = unit();
        change(&mut unit);
        OWN.judged("KubeletUnitStale", vec![kubelet(UnitState::Loaded(Box::new(unit)), true)])
    };
    assert_eq!(stale(|_| ()).outcome, Outcome::Pass);
    let verdict = stale(|unit| unit.needs_daemon_reload = true);
    assert!(failed(&verdict).0.contains("not read them again"));
    let verdict = stale(|unit| unit.drop_ins.push(file("/etc/x.conf", -1)));
    assert!(failed(&verdict).0.contains("after it was started"));
    assert_eq!(verdict.evidence[1].source, "/etc/x.conf");
    let unseen = stale(|unit| {
        unit.drop_ins.push(UnitFile { path: "/etc/x.conf".to_owned(), modified_at: None });
    });
    assert!(is_unknown(&unseen));
}

#[test]
fn a_container_runtime_that_nothing_needs_is_not_judged() {
    let containerd = Containerd {
        traces: Vec::new(),
        runc: Vec::new(),
        process: None,
        unit: UnitState::Loaded(Box::new(Unit {
            active_state: "failed".to_owned(),
            main_pid: 0,
            ..unit()
        })),
        socket: "/run/containerd/containerd.sock".to_owned(),
        cri: CriAnswer::Refused,
        configuration: Configuration { path: String::new(), systemd_cgroup: SystemdCgroup::Unset },
        replies: Replies::not_asked("not in this test"),
    };
    let mut history = NodeHistory::default();
    for state in [
        ComponentState::OsRelease(State::Absent),
        ComponentState::Kubelet(State::Absent),
        ComponentState::Containerd(State::Present(Arc::new(containerd))),
    ] {
        history.observe(state, at(0), Duration::ZERO);
    }
    assert!(is_not_applicable(&judged("ContainerdUnitFailed", &history)));
}
