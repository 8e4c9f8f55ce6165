//! Checks of `update_channel`: does what updates the node fit what its provider was told, and
//! does it still run.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{AptPeriodic, DaemonUnit, LastRun, UpdateChannel};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::pool::NodeOsChannel;
use crate::responsibility::{Action, Responsible, Turn};

/// apt runs daily: after so long without it does not. Where it is told to run less often, twice
/// as long as that.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// On a system that is up for so long its timer, which runs daily and makes up for what was
/// missed, has come at least once.
const FIRST_RUN: SignedDuration = SignedDuration::from_hours(2 * 24);

const STAMP: &str = "/var/lib/apt/periodic/upgrade-stamp";

const CHANNELS: &str = "https://learn.microsoft.com/azure/aks/auto-upgrade-node-os-image";
const DEBIAN: &str = "https://wiki.debian.org/UnattendedUpgrades";

const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::UpdateChannel,
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
        "UnattendedUpgradesOn",
        Severity::Warning,
        "The node updates itself unattended, although its channel is not Unmanaged",
        CHANNELS,
        unattended_on,
    ),
    check(
        "UnattendedUpgradesStale",
        Severity::Warning,
        "Unattended upgrades are on and have not run for a week, or never on a node that is up for two days",
        DEBIAN,
        stale,
    ),
    check(
        "UpdatesNotAutomatic",
        Severity::Information,
        "Nothing on the node updates it, and no channel of a provider does",
        CHANNELS,
        not_automatic,
    ),
];

fn known(history: &NodeHistory) -> Result<(&UpdateChannel, Timestamp), Verdict> {
    facts(&history.update_channel, "nothing that updates")
}

/// The channel that the provider was told for the node's cluster, if that is known.
fn told(scope: &Scope) -> Option<NodeOsChannel> {
    let images = scope.outside.images?;
    images.catalogue().channel(&scope.outside.pool?.key)
}

fn evidence(channel: &UpdateChannel, expected: &str) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some(apt) = &channel.apt {
        let place = if apt.file.is_empty() { "/etc/apt/apt.conf.d" } else { &apt.file };
        let value = match apt.unattended_upgrade.as_str() {
            "" => "APT::Periodic::Unattended-Upgrade is not set".to_owned(),
            value => format!("APT::Periodic::Unattended-Upgrade \"{value}\""),
        };
        evidence.push(Evidence::new(place, value, expected));
    }
    let timers = channel.timers.iter().filter(|timer| {
        timer.name == "apt-daily-upgrade.timer" || timer.name.starts_with("dnf-automatic")
    });
    evidence.extend(timers.map(|timer| Evidence::new(&timer.name, timer.state.word(), "")));
    evidence
}

const fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

fn unattended_on(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "updates its nodes"));
    let (channel, since) = verdict_or!(known(history));
    let Some(by) = channel.unattended() else {
        return Verdict::pass(evidence(channel, ""));
    };
    match told(scope) {
        Some(NodeOsChannel::Unmanaged) => Verdict::pass(evidence(channel, "channel Unmanaged")),
        None => {
            let why = format!("{by} is on, and nobody told whether the channel is Unmanaged");
            Verdict::unknown(why, evidence(channel, ""))
        }
        Some(told) => {
            let message = format!(
                "{by} is on although the channel is {}: the node moves away from its image",
                told.word()
            );
            Verdict::fail(message, since, customer(Action::Reimage), evidence(channel, "off"))
        }
    }
}

fn stale(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (channel, _) = verdict_or!(known(history));
    let apt = match (channel.unattended(), &channel.apt) {
        (Some("unattended-upgrades"), Some(apt)) => apt,
        _ => return Verdict::not_applicable("unattended-upgrades is off"),
    };
    let look = Action::Investigate { at: "journalctl --unit apt-daily-upgrade".to_owned() };
    let at = match &apt.last_run {
        LastRun::Never => return never_ran(history, scope, apt, look, now),
        LastRun::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
        LastRun::At(at) => *at,
    };
    let stale = apt
        .interval()
        .map_or(STALE, |days| STALE.max(SignedDuration::from_hours(48 * i64::from(days))));
    let expected = format!("within {} days", stale.as_hours() / 24);
    let evidence = vec![Evidence::new(STAMP, format!("written at {at:.0}"), expected)];
    let stale_from = at.checked_add(stale).unwrap_or(Timestamp::MAX);
    if now <= stale_from {
        let mut verdict = Verdict::pass(evidence);
        verdict.valid_until = stale_from.checked_add(SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let days = now.duration_since(at).as_hours() / 24;
    let message = format!("unattended-upgrades last ran {days} days ago");
    Verdict::fail(message, stale_from, customer(by_hand(scope, look)), evidence)
}

/// It is on, and there is no trace that it ever ran: no fault of a node that came up just now, or
/// on which it was switched on just now.
fn never_ran(
    history: &NodeHistory,
    scope: &Scope,
    apt: &AptPeriodic,
    look: Action,
    now: Timestamp,
) -> Verdict {
    let stamp = Evidence::new(STAMP, "not there", "written daily");
    let Some(booted_at) = history.kernel.present().and_then(|kernel| kernel.booted_at) else {
        let why = "it has not run yet, and since when the node is up is not known";
        return Verdict::unknown(why, vec![stamp]);
    };
    let on_since = apt.configured_at.map_or(booted_at, |at| at.max(booted_at));
    let late_from = on_since.checked_add(FIRST_RUN).unwrap_or(Timestamp::MAX);
    let evidence = vec![stamp, Evidence::new("/proc/stat", format!("up since {booted_at:.0}"), "")];
    if now <= late_from {
        let why = format!("it has not run yet: it is on, and the node up, since {on_since:.0}");
        let mut verdict = Verdict::not_applicable(why);
        verdict.valid_until = late_from.checked_add(SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let days = now.duration_since(on_since).as_hours() / 24;
    let message = format!("unattended-upgrades is on for {days} days and never ran");
    Verdict::fail(message, late_from, customer(by_hand(scope, look)), evidence)
}

fn not_automatic(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (channel, since) = verdict_or!(known(history));
    match (scope.platform, told(scope)) {
        (Platform::Plain | Platform::Kubernetes, _) => {}
        (Platform::Unknown, _) => {
            return Verdict::unknown("the node's platform is not known", Vec::new());
        }
        (Platform::Aks, Some(NodeOsChannel::Unmanaged)) => {}
        (Platform::Aks, Some(told)) => {
            let why = format!("channel {} is the provider's, see ImageBehind", told.word());
            return Verdict::not_applicable(why);
        }
        (Platform::Aks, None) => {
            return Verdict::not_applicable("nobody told of a channel that leaves it to the node");
        }
    }
    if channel.unattended().is_some() {
        return Verdict::pass(evidence(channel, ""));
    }
    let is_dnf = |timer: &DaemonUnit| timer.name.starts_with("dnf-automatic");
    let has_dnf = channel.dnf_applies.is_some() || channel.timers.iter().any(is_dnf);
    if channel.apt.is_none() && !has_dnf {
        // Other systems have other ways, such as whole images.
        return Verdict::not_applicable("neither apt nor dnf-automatic is there");
    }
    // It is configured, and what would start it does not: whoever looks at the file is misled.
    let asleep = channel.apt.as_ref().filter(|apt| apt.upgrades()).map(|_| {
        match channel.timer("apt-daily-upgrade.timer") {
            Some(state) => {
                format!("unattended-upgrades is configured, and its timer is {}", state.word())
            }
            None => "unattended-upgrades is configured, and its timer is not there".to_owned(),
        }
    });
    let (message, what) = match scope.platform {
        Platform::Aks => (
            "channel Unmanaged leaves updates to the node, and nothing on it brings any".to_owned(),
            "set the channel to NodeImage or SecurityPatch",
        ),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown if asleep.is_some() => (
            "nothing on the node brings updates by itself".to_owned(),
            "enable apt-daily-upgrade.timer, or keep updating it by hand",
        ),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => (
            "nothing on the node brings updates by itself".to_owned(),
            "switch on unattended-upgrades or dnf-automatic, or keep updating it by hand",
        ),
    };
    let message = asleep.map_or(message.clone(), |asleep| format!("{message}: {asleep}"));
    let turn = customer(Action::Repair { what: what.to_owned() });
    Verdict::fail(message, since, turn, evidence(channel, "on"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{ComponentState, Kernel, KernelImages, UnitFileState};
    use crate::observed::State;
    use crate::policy::DEFAULT_EDITION;

    fn judged(reason: &str, platform: Platform, last_run: LastRun) -> Verdict {
        judged_after(reason, platform, last_run, (Some(0), None), UnitFileState::Enabled)
    }

    /// On a node that is up for so many hours and was configured so many hours ago, with its
    /// timer in that state.
    fn judged_after(
        reason: &str,
        platform: Platform,
        last_run: LastRun,
        (up_hours, configured_hours): (Option<i64>, Option<i64>),
        timer: UnitFileState,
    ) -> Verdict {
        let ago = |hours: i64| Timestamp::UNIX_EPOCH - SignedDuration::from_hours(hours);
        let configured_at = configured_hours.map(ago);
        let channel = UpdateChannel {
            apt: Some(AptPeriodic {
                has_unattended_upgrade: true,
                enable: String::new(),
                unattended_upgrade: "1".to_owned(),
                file: "/etc/apt/apt.conf.d/20auto-upgrades".to_owned(),
                configured_at,
                last_run,
            }),
            timers: vec![DaemonUnit { name: "apt-daily-upgrade.timer".to_owned(), state: timer }],
            ..UpdateChannel::default()
        };
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
        if let Some(hours) = up_hours {
            let kernel = Kernel {
                release: "6.1.0".to_owned(),
                version: String::new(),
                boot_id: String::new(),
                booted_at: Some(ago(hours)),
                images: KernelImages::Releases(Vec::new()),
                tainted: 0,
                command_line: Vec::new(),
            };
            let state = ComponentState::Kernel(State::Present(Arc::new(kernel)));
            history.observe(state, at, Duration::ZERO);
        }
        let state = ComponentState::UpdateChannel(State::Present(Arc::new(channel)));
        history.observe(state, at, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
        (find(reason).expect("a check").judge)(&history, &scope, &policy, at)
    }

    #[test]
    fn without_a_channel_that_was_told_nobody_is_accused() {
        let verdict = judged("UnattendedUpgradesOn", Platform::Aks, LastRun::Never);
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)), "{verdict:?}");
        let verdict = judged("UpdatesNotAutomatic", Platform::Aks, LastRun::Never);
        assert!(matches!(verdict.outcome, Outcome::NotApplicable(_)), "{verdict:?}");
        let verdict = judged("UpdatesNotAutomatic", Platform::Plain, LastRun::Never);
        assert_eq!(verdict.outcome, Outcome::Pass);
    }

    #[test]
    fn a_run_of_less_than_a_week_ago_is_good_until_then() {
        let ago = |hours: i64| {
            let at = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(hours);
            judged("UnattendedUpgradesStale", Platform::Plain, LastRun::At(at))
        };
        assert_eq!(ago(7 * 24).outcome, Outcome::Pass);
        assert_eq!(ago(7 * 24).valid_until, Timestamp::from_second(1).ok());
        assert!(matches!(ago(7 * 24 + 1).outcome, Outcome::Fail { .. }));
        let unread = LastRun::Unreadable("EACCES".to_owned());
        let verdict = judged("UnattendedUpgradesStale", Platform::Plain, unread);
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)), "{verdict:?}");
    }

    #[test]
    fn what_is_on_and_never_ran_is_no_healthy_channel() {
        let judge = |up_hours, configured_hours| {
            let (platform, timer) = (Platform::Plain, UnitFileState::Enabled);
            let hours = (up_hours, configured_hours);
            judged_after("UnattendedUpgradesStale", platform, LastRun::Never, hours, timer)
        };
        let young = judge(Some(48), None);
        assert!(matches!(young.outcome, Outcome::NotApplicable(_)), "{young:?}");
        assert_eq!(young.valid_until, Timestamp::from_second(1).ok());
        let Outcome::Fail { message, since, .. } = judge(Some(72), Some(500)).outcome else {
            panic!("it passed")
        };
        assert!(message.contains("never ran"), "{message}");
        assert_eq!(since, Timestamp::UNIX_EPOCH - SignedDuration::from_hours(24));
        // On a node that is up for long it was switched on just now.
        let switched_on = judge(Some(500), Some(1));
        assert!(matches!(switched_on.outcome, Outcome::NotApplicable(_)), "{switched_on:?}");
        assert!(matches!(judge(None, None).outcome, Outcome::Unknown(_)));
    }

    #[test]
    fn a_timer_that_is_off_is_told_beside_the_configuration_that_is_on() {
        for (timer, word) in
            [(UnitFileState::Masked, "masked"), (UnitFileState::Disabled, "disabled")]
        {
            let verdict = judged_after(
                "UpdatesNotAutomatic",
                Platform::Plain,
                LastRun::Never,
                (Some(0), None),
                timer,
            );
            let Outcome::Fail { message, .. } = verdict.outcome else { panic!("it passed") };
            assert!(message.ends_with(&format!("its timer is {word}")), "{message}");
        }
    }
}
