//! Facts of `update_channel`: what on the node brings updates by itself. Sources: apt.conf(5)
//! and apt's `apt.systemd.daily`, dnf-automatic(8), and what the live patching of AKS leaves.

use jiff::Timestamp;
use serde::Serialize;

use super::{DaemonUnit, Headline, UnitFileState};

/// What was seen of what updates the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpdateChannel {
    /// apt's own periodic work; none where there is no apt.
    pub apt: Option<AptPeriodic>,
    /// `apply_updates` of dnf-automatic; none where it is not configured.
    pub dnf_applies: Option<bool>,
    /// Timers that start updates, of those that are there, sorted by name.
    pub timers: Vec<DaemonUnit>,
    /// snapd is installed, which refreshes snaps by itself.
    pub has_snapd: bool,
    /// What live patching has left; none when it never ran.
    pub live_patch: Option<LivePatch>,
}

/// What apt does periodically, as its configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AptPeriodic {
    /// The program that upgrades unattended is installed.
    pub has_unattended_upgrade: bool,
    /// `APT::Periodic::Enable`; empty when nothing sets it, which is on.
    pub enable: String,
    /// `APT::Periodic::Unattended-Upgrade`; empty when nothing sets it, which is off.
    pub unattended_upgrade: String,
    /// The file that sets the last of these; empty when none does.
    pub file: String,
    /// When that file was written; none where that is not known.
    pub configured_at: Option<Timestamp>,
    /// When upgrades were last brought.
    pub last_run: LastRun,
}

/// When something last ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LastRun {
    /// There is no trace that it ever did.
    Never,
    /// Then.
    At(Timestamp),
    /// It could not be told, for this reason.
    Unreadable(String),
}

/// What live patching has left on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LivePatch {
    /// The file that it left.
    pub path: String,
    /// The state of packages that it took, such as `20250623T000000Z`; empty when its
    /// sources do not name one.
    pub timestamp: String,
}

impl UpdateChannel {
    /// The state of a timer; none when there is no such timer.
    #[must_use]
    pub fn timer(&self, name: &str) -> Option<UnitFileState> {
        self.timers.iter().find(|timer| timer.name == name).map(|timer| timer.state)
    }

    /// What brings updates onto the node by itself; none when nothing does. Live patching is
    /// the provider's and does nothing where it is not wanted.
    #[must_use]
    pub fn unattended(&self) -> Option<&'static str> {
        let is_enabled = |name| self.timer(name) == Some(UnitFileState::Enabled);
        let by_apt = self.apt.as_ref().is_some_and(AptPeriodic::upgrades);
        if by_apt && is_enabled("apt-daily-upgrade.timer") {
            return Some("unattended-upgrades");
        }
        let by_dnf = is_enabled("dnf-automatic.timer") && self.dnf_applies == Some(true);
        (by_dnf || is_enabled("dnf-automatic-install.timer")).then_some("dnf-automatic")
    }
}

impl AptPeriodic {
    /// Whether its configuration says that upgrades are brought unattended.
    #[must_use]
    pub fn upgrades(&self) -> bool {
        let is_on = |value: &str| !value.is_empty() && value != "0";
        let is_enabled = self.enable.is_empty() || is_on(&self.enable);
        self.has_unattended_upgrade && is_enabled && is_on(&self.unattended_upgrade)
    }

    /// How many days lie between two runs, as the configuration says; none where it says so in
    /// another unit, such as `12h`, or `always`. Source: apt's `apt.systemd.daily`.
    #[must_use]
    pub fn interval(&self) -> Option<u32> {
        let value = &self.unattended_upgrade;
        value.strip_suffix('d').unwrap_or(value).parse().ok()
    }
}

impl Headline for UpdateChannel {
    fn headline(&self) -> String {
        let mut told = vec![match self.unattended() {
            Some(by) => format!("updated by {by}"),
            None => "nothing updates it unattended".to_owned(),
        }];
        if let Some(live_patch) = &self.live_patch {
            told.push(match live_patch.timestamp.as_str() {
                "" => "live patched".to_owned(),
                timestamp => format!("live patched to {timestamp}"),
            });
        }
        told.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt(enable: &str, unattended_upgrade: &str) -> AptPeriodic {
        AptPeriodic {
            has_unattended_upgrade: true,
            enable: enable.to_owned(),
            unattended_upgrade: unattended_upgrade.to_owned(),
            file: String::new(),
            configured_at: None,
            last_run: LastRun::Never,
        }
    }

    fn timer(name: &str, state: UnitFileState) -> DaemonUnit {
        DaemonUnit { name: name.to_owned(), state }
    }

    #[test]
    fn apt_upgrades_by_itself_where_program_configuration_and_timer_agree() {
        let with = |apt, state| UpdateChannel {
            apt: Some(apt),
            timers: vec![timer("apt-daily-upgrade.timer", state)],
            ..UpdateChannel::default()
        };
        let enabled = UnitFileState::Enabled;
        assert_eq!(with(apt("", "1"), enabled).unattended(), Some("unattended-upgrades"));
        for none in [
            with(apt("", ""), enabled),
            with(apt("", "0"), enabled),
            with(apt("0", "1"), enabled),
            with(apt("", "1"), UnitFileState::Masked),
            with(AptPeriodic { has_unattended_upgrade: false, ..apt("", "1") }, enabled),
        ] {
            assert_eq!(none.unattended(), None, "{none:?}");
        }
    }

    #[test]
    fn an_interval_is_told_in_days() {
        for (value, days) in
            [("1", Some(1)), ("14", Some(14)), ("7d", Some(7)), ("12h", None), ("always", None)]
        {
            assert_eq!(apt("", value).interval(), days, "{value}");
        }
    }

    #[test]
    fn dnf_installs_by_its_timer_or_by_its_configuration() {
        let with = |name, dnf_applies| UpdateChannel {
            dnf_applies,
            timers: vec![timer(name, UnitFileState::Enabled)],
            ..UpdateChannel::default()
        };
        let by_dnf = Some("dnf-automatic");
        assert_eq!(with("dnf-automatic-install.timer", Some(false)).unattended(), by_dnf);
        assert_eq!(with("dnf-automatic.timer", Some(true)).unattended(), by_dnf);
        assert_eq!(with("dnf-automatic.timer", None).unattended(), None);
        assert_eq!(with("dnf-automatic-notifyonly.timer", Some(true)).unattended(), None);
    }
}
