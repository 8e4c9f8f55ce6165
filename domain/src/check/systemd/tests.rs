//! Checks of `systemd`, each by facts that are made for it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, find};
use crate::facts::{ComponentState, RemarkableUnit, SystemManager, UnitMask};
use crate::observed::State;
use crate::policy::DEFAULT_EDITION;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).expect("a small number of minutes")
}

fn unit(name: &str, state: &str) -> RemarkableUnit {
    RemarkableUnit {
        name: name.to_owned(),
        active_state: state.to_owned(),
        sub_state: state.to_owned(),
        path: format!("/usr/lib/systemd/system/{name}"),
        ..RemarkableUnit::default()
    }
}

fn facts_of(state: &str, units: Vec<RemarkableUnit>, masked: &[&str]) -> ComponentState {
    let mask = |name: &&str| UnitMask {
        name: (*name).to_owned(),
        path: format!("/etc/systemd/system/{name}"),
    };
    ComponentState::Systemd(State::Present(Arc::new(Systemd {
        manager: SystemManager {
            version: "252".to_owned(),
            system_state: state.to_owned(),
            units,
            left_out: 0,
        },
        masked: masked.iter().map(mask).collect(),
    })))
}

/// What a check answers of looks, one a minute, and the last of them now.
fn judged(reason: &str, platform: Platform, looks: Vec<ComponentState>) -> Verdict {
    let mut history = NodeHistory::default();
    let mut now = at(0);
    for (minute, state) in (0..).zip(looks) {
        now = at(minute);
        history.observe(state, now, Duration::ZERO);
    }
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
    (find(reason).expect("a check").judge)(&history, &scope, &policy, now)
}

fn responsible(verdict: &Verdict) -> &Responsible {
    match &verdict.outcome {
        Outcome::Fail { responsible, .. } => responsible,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_unit_is_the_turn_of_whoever_brought_it() {
    let mut own = unit("mine.service", "failed");
    own.path = "/etc/systemd/system/mine.service".to_owned();
    let of_a_package = unit("fwupd-refresh.service", "failed");
    let providers = unit("localdns-exporter@3-1.service", "failed");
    let judge = |platform, units: &[&RemarkableUnit]| {
        let units = units.iter().map(|unit| (*unit).clone()).collect();
        judged("UnitFailed", platform, vec![facts_of("degraded", units, &[])])
    };
    let aks = Platform::Aks;
    assert_eq!(responsible(&judge(aks, &[&providers])), &Responsible::Provider);
    // The provider's units lie in that folder too: it blames nobody.
    let missing = "who brought mine.service".to_owned();
    assert_eq!(responsible(&judge(aks, &[&own, &providers])), &Responsible::Unknown { missing });
    assert_eq!(responsible(&judge(Platform::Plain, &[&own])), &Responsible::Customer);
    let missing = "who brought fwupd-refresh.service".to_owned();
    assert_eq!(responsible(&judge(aks, &[&of_a_package])), &Responsible::Unknown { missing });
    assert_eq!(responsible(&judge(Platform::Plain, &[&providers])), &Responsible::Customer);
    let elsewhere = [unit("kubelet.service", "failed"), unit("chrony.service", "failed")];
    assert_eq!(judge(aks, &elsewhere.each_ref()).outcome, Outcome::Pass);
}

/// Units that AgentBaker lays on its images or switches on there, of today and of former times.
#[test]
fn units_of_the_image_and_of_its_provisioning_are_the_providers() {
    for name in [
        "reconcile-private-hosts.service",
        "logrotate.service",
        "bind-mount.service",
        "dhcpv6.service",
        "ensure-no-dup.service",
        "kms.service",
        "teleportd.service",
        "emit-kubelet-active-flags.service",
        "format-mount-nvme-root.service",
        "kubelet-monitor.timer",
        "label-nodes.service",
        "package-update.service",
        "update_certs_mariner.service",
        "localdns-exporter@3-1.service",
    ] {
        let mut failed = unit(name, "failed");
        failed.path = format!("/etc/systemd/system/{name}");
        let looks = vec![facts_of("degraded", vec![failed], &[])];
        let verdict = judged("UnitFailed", Platform::Aks, looks);
        assert_eq!(responsible(&verdict), &Responsible::Provider, "{name}");
    }
}

#[test]
fn a_unit_that_is_restarted_five_times_in_twenty_minutes_loops() {
    let look = |restarts: u32| {
        let mut unit = unit("flap.service", "active");
        unit.restarts = restarts;
        unit.main_started_microseconds_after_boot = u64::from(restarts) * 1000;
        facts_of("running", vec![unit], &[])
    };
    let reason = "UnitRestartsRepeatedly";
    let none = || facts_of("running", Vec::new(), &[]);
    let verdict = judged(reason, Platform::Plain, vec![none(), look(2), look(5)]);
    assert_eq!(responsible(&verdict), &Responsible::Customer);
    assert_eq!(verdict.valid_until, Some(at(21)));
    assert_eq!(judged(reason, Platform::Plain, vec![none(), look(4)]).outcome, Outcome::Pass);
    // One look alone does not tell when it was restarted.
    let verdict = judged(reason, Platform::Plain, vec![look(40)]);
    assert!(matches!(verdict.outcome, Outcome::Unknown(_)), "{verdict:?}");
    assert_eq!(verdict.valid_until, Some(at(20)));
    let settled = (0..21).map(|_| look(40)).collect();
    assert_eq!(judged(reason, Platform::Plain, settled).outcome, Outcome::Pass);
}

#[test]
fn what_a_distribution_or_an_operator_may_mask_is_no_finding() {
    let judge = |platform, names: &[&str]| {
        judged("UnitMasked", platform, vec![facts_of("running", Vec::new(), names)])
    };
    let harmless = ["systemd-timesyncd.service", "apt-daily.timer", "kubelet.service"];
    assert_eq!(judge(Platform::Aks, &harmless).outcome, Outcome::Pass);
    assert_eq!(judge(Platform::Plain, &["node-exporter.service"]).outcome, Outcome::Pass);
    let masked = judge(Platform::Aks, &["node-exporter.service"]);
    assert_eq!(responsible(&masked), &Responsible::Customer);
    assert!(matches!(judge(Platform::Plain, &["dbus.service"]).outcome, Outcome::Fail { .. }));
}

#[test]
fn a_system_may_take_a_while_to_come_up() {
    let judge = |state: &str, minutes| {
        let looks = (0..=minutes).map(|_| facts_of(state, Vec::new(), &[])).collect();
        judged("SystemNotRunning", Platform::Plain, looks).outcome
    };
    assert_eq!(judge("degraded", 0), Outcome::Pass);
    assert!(matches!(judge("starting", 15), Outcome::Unknown(_)));
    assert!(matches!(judge("starting", 16), Outcome::Fail { .. }));
    assert!(matches!(judge("maintenance", 0), Outcome::Fail { .. }));
    assert!(matches!(judge("stopping", 0), Outcome::NotApplicable(_)));
    assert!(matches!(judge("offline", 0), Outcome::Unknown(_)));
}

#[test]
fn a_changed_file_waits_for_systemd() {
    let mut changed = unit("mine.service", "active");
    changed.needs_daemon_reload = true;
    let judge = |platform| {
        let looks = vec![facts_of("running", vec![changed.clone()], &[])];
        judged("DaemonReloadPending", platform, looks)
    };
    let Outcome::Fail { action, .. } = judge(Platform::Plain).outcome else { panic!("passed") };
    assert_eq!(action.to_string(), "systemctl daemon-reload");
    assert!(matches!(judge(Platform::Aks).outcome, Outcome::Fail { action: Action::Reimage, .. }));
}
