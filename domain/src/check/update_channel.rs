//! Checks of `update_channel`: does what updates the node fit what its provider was told, and
//! does it still run.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{DaemonUnit, LastRun, UpdateChannel};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::pool::NodeOsChannel;
use crate::responsibility::{Action, Responsible, Turn};

/// apt runs daily: after so long without it does not.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);

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
        "Unattended upgrades are on and have not run for a week",
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
    let at = match &apt.last_run {
        LastRun::Never => return Verdict::not_applicable("it has not run yet"),
        LastRun::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
        LastRun::At(at) => *at,
    };
    let evidence = vec![Evidence::new(STAMP, format!("written at {at:.0}"), "within 7 days")];
    let stale_from = at.checked_add(STALE).unwrap_or(Timestamp::MAX);
    if now <= stale_from {
        let mut verdict = Verdict::pass(evidence);
        verdict.valid_until = stale_from.checked_add(SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let days = now.duration_since(at).as_hours() / 24;
    let message = format!("unattended-upgrades last ran {days} days ago");
    let look = Action::Investigate { at: "journalctl --unit apt-daily-upgrade".to_owned() };
    Verdict::fail(message, stale_from, customer(by_hand(scope, look)), evidence)
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
    let (message, what) = match scope.platform {
        Platform::Aks => (
            "channel Unmanaged leaves updates to the node, and nothing on it brings any",
            "set the channel to NodeImage or SecurityPatch",
        ),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => (
            "nothing on the node brings updates by itself",
            "switch on unattended-upgrades or dnf-automatic, or keep updating it by hand",
        ),
    };
    let turn = customer(Action::Repair { what: what.to_owned() });
    Verdict::fail(message, since, turn, evidence(channel, "on"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{AptPeriodic, ComponentState, UnitFileState};
    use crate::observed::State;
    use crate::policy::DEFAULT_EDITION;

    fn judged(reason: &str, platform: Platform, last_run: LastRun) -> Verdict {
        let channel = UpdateChannel {
            apt: Some(AptPeriodic {
                has_unattended_upgrade: true,
                enable: String::new(),
                unattended_upgrade: "1".to_owned(),
                file: "/etc/apt/apt.conf.d/20auto-upgrades".to_owned(),
                last_run,
            }),
            timers: vec![DaemonUnit {
                name: "apt-daily-upgrade.timer".to_owned(),
                state: UnitFileState::Enabled,
            }],
            ..UpdateChannel::default()
        };
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
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
}
