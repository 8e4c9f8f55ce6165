//! Whose turn it is when a clock is not kept, and who must not be accused. That each check
//! fails alone is held by host roots elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{CONFIRMATIONS, Outcome, judge_node};
use crate::facts::{
    Chrony, ComponentState, DaemonUnit, Fips, KernelClock, LeapStatus, OsRelease, PhcDevice,
    PhcTarget, Process, PtpClock, SourceDirective, SourceMode, SourceState, TimeSource, UbuntuPro,
};
use crate::measured::Measurements;
use crate::observed::State;

fn daemon(name: &str, state: UnitFileState) -> TimeDaemon {
    TimeDaemon {
        name: name.to_owned(),
        traces: Vec::new(),
        unit: Some(DaemonUnit { name: format!("{name}.service"), state }),
        process: Some(Process {
            pid: 7,
            started_seconds_after_boot: 1,
            executable: String::new(),
            executable_replaced: false,
        }),
        only_watches: false,
    }
}

/// A clock that chrony keeps as AKS ships it.
fn shipped() -> TimeSync {
    let source = TimeSource {
        name: "PHC0".to_owned(),
        mode: SourceMode::ReferenceClock,
        state: SourceState::Selected,
        stratum: 0,
        is_reachable: true,
    };
    let target = PhcTarget::Clock("ptp0".to_owned());
    TimeSync {
        container_marks: Vec::new(),
        kernel: KernelClock::Read { status: 0, is_error_bounded: true, tai_offset_seconds: 0 },
        daemons: vec![daemon(CHRONY, UnitFileState::Enabled)],
        chrony: Some(Chrony {
            files: vec!["/etc/chrony/chrony.conf".to_owned()],
            configured: vec![ConfiguredSource {
                file: "/etc/chrony/chrony.conf".to_owned(),
                line: 1,
                directive: SourceDirective::Refclock,
                text: "refclock PHC /dev/ptp0".to_owned(),
                phc: Some(PhcDevice { path: "/dev/ptp0".to_owned(), target }),
            }],
            endpoint: "127.0.0.1:323".to_owned(),
            answer: ChronyAnswer::Answered(Tracked {
                reference: "PHC0".to_owned(),
                stratum: 1,
                leap: LeapStatus::Normal,
                sources: vec![source],
                sources_left_out: 0,
                offline: 0,
                unresolved: 0,
            }),
            unverified: None,
        }),
        ptp_clocks: vec![PtpClock { name: "ptp0".to_owned(), clock_name: "hyperv".to_owned() }],
    }
}

/// Without any program that keeps it.
fn down() -> TimeSync {
    let mut time = shipped();
    time.daemons[0].process = None;
    answered(&mut time, ChronyAnswer::Refused);
    time
}

fn answered(time: &mut TimeSync, answer: ChronyAnswer) {
    time.chrony.as_mut().expect("chrony").answer = answer;
}

fn server() -> ConfiguredSource {
    ConfiguredSource {
        file: "/etc/chrony/conf.d/a.conf".to_owned(),
        line: 3,
        directive: SourceDirective::Server,
        text: "server time.example".to_owned(),
        phc: None,
    }
}

/// A node that was seen so as often as a weak probe must be.
fn node(platform: Platform, time: TimeSync) -> NodeHistory {
    let marks = match platform {
        Platform::Aks => vec!["/opt/azure".to_owned()],
        _ => Vec::new(),
    };
    let os = OsRelease {
        path: String::new(),
        id: "debian".to_owned(),
        version_id: "12".to_owned(),
        version_codename: String::new(),
        pretty_name: String::new(),
        variant_id: String::new(),
        architecture: String::new(),
        fips: Fips::Off,
        ubuntu_pro: UbuntuPro::NotThere,
        provider_marks: marks,
    };
    let time = ComponentState::TimeSync(State::Present(Arc::new(time)));
    let mut history = NodeHistory::default();
    for second in 0..CONFIRMATIONS {
        let at = Timestamp::from_second(second.into()).expect("a small number of seconds");
        let measured = Measurements { clock_offset_seconds: Some(0.0), ..Measurements::default() };
        history.measured.observe(measured, at);
        let os = ComponentState::OsRelease(State::Present(Arc::new(os.clone())));
        let kubelet = ComponentState::Kubelet(State::Absent);
        for state in [os, kubelet, time.clone()] {
            history.observe(state, at, Duration::ZERO);
        }
    }
    history
}

/// The answers of the checks of the clock, by reason.
fn judged(platform: Platform, time: TimeSync, edition: &str) -> Vec<(&'static str, Outcome)> {
    let policy = Policy::edition(edition).expect("a shipped edition");
    let now = Timestamp::from_second(100).expect("a small number of seconds");
    judge_node(&node(platform, time), Default::default(), &policy, now)
        .into_iter()
        .filter(|one| one.check.component == Component::TimeSync)
        .map(|one| (one.check.reason, one.verdict.outcome))
        .collect()
}

fn outcome(platform: Platform, time: TimeSync, reason: &str) -> Outcome {
    let judged = judged(platform, time, "aks-2026");
    judged.into_iter().find(|(one, _)| *one == reason).expect("a check").1
}

/// Who must act on that finding, what, and what is said of it.
fn turn_of(outcome: Outcome) -> (Responsible, String, String) {
    match outcome {
        Outcome::Fail { responsible, action, message, .. } => {
            (responsible, action.to_string(), message)
        }
        other => panic!("no finding: {other:?}"),
    }
}

#[test]
fn as_shipped_it_is_the_providers_turn_and_no_auto_repairs() {
    let (who, what, _) = turn_of(outcome(Platform::Aks, down(), "TimeDaemonDown"));
    assert_eq!((who, what.as_str()), (Responsible::Provider, "open a support request"));
}

#[test]
fn whatever_the_customer_changed_makes_it_the_customers_turn() {
    let changes: [fn(&mut TimeSync); 5] = [
        |time| time.chrony.as_mut().expect("chrony").configured.push(server()),
        |time| time.chrony.as_mut().expect("chrony").configured.clear(),
        |time| time.daemons[0].unit.as_mut().expect("a unit").state = UnitFileState::Masked,
        |time| time.daemons[0].unit.as_mut().expect("a unit").state = UnitFileState::Disabled,
        |time| (time.daemons, time.chrony) = (Vec::new(), None),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut time = down();
        change(&mut time);
        let (who, what, _) = turn_of(outcome(Platform::Aks, time, "TimeDaemonDown"));
        let reimage = "reimage the node from its node image";
        assert_eq!((who, what.as_str()), (Responsible::Customer, reimage), "change {number}");
    }
}

#[test]
fn an_edition_without_the_rule_says_that_it_cannot_be_said() {
    let judged = judged(Platform::Aks, down(), "aks-2020");
    let of = |reason| judged.iter().find(|(one, _)| *one == reason).expect("a check").1.clone();
    let missing = "policy rule time-chrony-localhost".to_owned();
    assert_eq!(turn_of(of("TimeDaemonDown")).0, Responsible::Unknown { missing });
    assert!(matches!(of("TimeConfigChanged"), Outcome::NotApplicable(_)));
}

#[test]
fn the_operator_is_told_what_starts_the_program_that_is_there() {
    let action = |change: fn(&mut TimeSync)| {
        let mut time = down();
        change(&mut time);
        let (who, what, _) = turn_of(outcome(Platform::Plain, time, "TimeDaemonDown"));
        assert_eq!(who, Responsible::Customer);
        what
    };
    assert_eq!(action(|_| {}), "systemctl restart chronyd.service");
    assert_eq!(
        action(
            |time| time.daemons[0].unit.as_mut().expect("a unit").state = UnitFileState::Disabled
        ),
        "systemctl enable --now chronyd.service"
    );
    assert_eq!(
        action(|time| time.daemons[0].unit.as_mut().expect("a unit").state = UnitFileState::Masked),
        "systemctl unmask chronyd.service && systemctl enable --now chronyd.service"
    );
    assert_eq!(
        action(|time| (time.daemons, time.chrony) = (Vec::new(), None)),
        "install a time daemon, such as chrony"
    );
}

#[test]
fn a_container_is_accused_of_nothing() {
    for mut time in [down(), shipped()] {
        time.container_marks = vec!["/run/systemd/container".to_owned()];
        time.kernel =
            KernelClock::Read { status: 0x40, is_error_bounded: false, tai_offset_seconds: 0 };
        time.daemons[0].only_watches = true;
        for (reason, outcome) in judged(Platform::Plain, time, "aks-2026") {
            assert!(
                matches!(outcome, Outcome::Pass | Outcome::NotApplicable(_)),
                "{reason}: {outcome:?}"
            );
        }
    }
}

#[test]
fn a_program_that_leaves_the_clock_alone_keeps_none() {
    let mut time = shipped();
    time.daemons[0].only_watches = true;
    let (_, _, message) = turn_of(outcome(Platform::Plain, time, "TimeDaemonDown"));
    assert_eq!(message, "chronyd runs and leaves the clock alone");
}

#[test]
fn tools_of_a_hypervisor_may_keep_it() {
    let mut time = down();
    time.daemons.push(daemon("vmtoolsd", UnitFileState::Enabled));
    let outcome = outcome(Platform::Plain, time, "TimeDaemonDown");
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn what_was_not_heard_is_unknown_once_and_accuses_nobody() {
    let failed = || ChronyAnswer::Failed { call: "tracking".to_owned(), why: "odd".to_owned() };
    let not_asked = || ChronyAnswer::NotAsked { why: "cmdport 0".to_owned() };
    for answer in [ChronyAnswer::Refused, failed(), not_asked()] {
        let mut time = shipped();
        answered(&mut time, answer);
        for platform in [Platform::Aks, Platform::Plain] {
            for (reason, outcome) in judged(platform, time.clone(), "aks-2026") {
                match outcome {
                    Outcome::Unknown(_) => assert_eq!(reason, "TimeDaemonHung"),
                    Outcome::Pass | Outcome::NotApplicable(_) => {}
                    other => panic!("{reason}: {other:?}"),
                }
            }
        }
    }
}

/// A machine whose clock another program than chrony keeps.
fn timesyncd(is_error_bounded: bool) -> TimeSync {
    TimeSync {
        kernel: KernelClock::Read { status: 0, is_error_bounded, tai_offset_seconds: 0 },
        daemons: vec![daemon("systemd-timesyncd", UnitFileState::Enabled)],
        chrony: None,
        ..shipped()
    }
}

#[test]
fn the_kernels_word_counts_for_every_program() {
    let good = judged(Platform::Plain, timesyncd(true), "aks-2026");
    assert!(
        good.iter().all(|(_, one)| matches!(one, Outcome::Pass | Outcome::NotApplicable(_))),
        "{good:?}"
    );
    let (who, what, _) = turn_of(outcome(Platform::Plain, timesyncd(false), "ClockUnsynchronised"));
    assert_eq!(who, Responsible::Customer);
    assert_eq!(what, "look at timedatectl and the daemon's log");
    // On a managed node that is another source than the host.
    let (who, _, message) = turn_of(outcome(Platform::Aks, timesyncd(true), "TimeSourceNotHost"));
    assert_eq!(who, Responsible::Customer);
    assert_eq!(message, "systemd-timesyncd keeps the clock, not chrony by the host's");
}

#[test]
fn the_clock_of_a_network_card_is_the_providers_as_shipped_and_else_the_customers() {
    let mut time = shipped();
    time.ptp_clocks[0].clock_name = "mlx5_ptp".to_owned();
    let (who, _, message) = turn_of(outcome(Platform::Aks, time.clone(), "PtpClockNotHost"));
    assert_eq!(who, Responsible::Provider);
    assert_eq!(message, "/dev/ptp0 is mlx5_ptp, not the host's clock");
    time.chrony.as_mut().expect("chrony").configured.push(server());
    let (who, _, _) = turn_of(outcome(Platform::Aks, time, "PtpClockNotHost"));
    assert_eq!(who, Responsible::Customer);
    let mut time = shipped();
    time.chrony.as_mut().expect("chrony").configured[0].phc.as_mut().expect("a device").target =
        PhcTarget::Missing;
    let (_, _, message) = turn_of(outcome(Platform::Aks, time, "PtpClockNotHost"));
    assert_eq!(message, "/dev/ptp0 is not there, not the host's clock");
}

#[test]
fn an_answer_of_whom_nobody_could_see_is_believed_and_that_is_told() {
    let mut time = shipped();
    let why = "/proc/7/fd: EACCES: Permission denied";
    time.chrony.as_mut().expect("chrony").unverified = Some(why.to_owned());
    let mut history = NodeHistory::default();
    let state = ComponentState::TimeSync(State::Present(Arc::new(time)));
    history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
    let policy = Policy::edition("aks-2026").expect("a shipped edition");
    let (platform, standing) = (Platform::Aks, Default::default());
    let scope = Scope { outside: Default::default(), platform, standing };
    let verdict = daemon::hung(&history, &scope, &policy, Timestamp::UNIX_EPOCH);
    assert_eq!(verdict.outcome, Outcome::Pass);
    assert!(verdict.evidence.iter().any(|piece| piece.actual.contains(why)), "{verdict:?}");
}
