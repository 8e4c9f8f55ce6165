//! May containerd have as many files open as the provider sets? What it starts inherits the
//! limit. Where the customer asked the provider for another, the provider's own drop-in says so.

use jiff::Timestamp;

use crate::check::{Evidence, Scope, Verdict, by_hand, facts, of_a_provider, verdict_or};
use crate::facts::UnitState;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) fn open_files(
    history: &NodeHistory,
    scope: &Scope<'_>,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    const UNIT: &str = "containerd.service";
    verdict_or!(of_a_provider(scope, "sets limits"));
    let (containerd, since) = verdict_or!(facts(&history.containerd, "no containerd is there"));
    let Some(set) = policy.open_files_limits.iter().find(|one| one.unit == UNIT) else {
        let why = format!("edition {} names no limit of {UNIT}", policy.edition);
        return Verdict::not_applicable(why);
    };
    let unit = match &containerd.unit {
        UnitState::Loaded(unit) => unit,
        UnitState::Unreadable { why } => return Verdict::unknown(why, Vec::new()),
        UnitState::NoSystemd => return Verdict::not_applicable("the host runs without systemd"),
        UnitState::NotLoaded { .. } => {
            return Verdict::not_applicable(format!("{UNIT} is not loaded"));
        }
    };
    let Some(limit) = unit.open_files_limit else {
        return Verdict::unknown("the node's agent is too old to report it", Vec::new());
    };
    // systemd tells of no limit by the greatest number.
    let actual = if limit == u64::MAX { "infinity".to_owned() } else { limit.to_string() };
    let evidence = Evidence::new(UNIT, format!("LimitNOFILE={actual}"), set.limit.to_string());
    let is_custom = |path: &str| path.rsplit('/').next() == Some(&set.custom_drop_in);
    let custom = unit.drop_ins.iter().find(|file| is_custom(&file.path));
    if limit >= set.limit || custom.is_some() {
        let custom = custom.map(|file| Evidence::new(&file.path, "sets it as asked for", ""));
        return Verdict::pass([evidence].into_iter().chain(custom).collect());
    }
    let message = format!("{UNIT} may have {actual} files open, of {}", set.limit);
    let action = by_hand(scope, Action::Revert { change: "LimitNOFILE of containerd".to_owned() });
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, vec![evidence])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{containerd, seen};
    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{Containerd, CriAnswer, Unit, UnitFile};
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    fn judged(limit: Option<u64>, drop_in: &str) -> Outcome {
        let unit = Unit {
            open_files_limit: limit,
            drop_ins: vec![UnitFile { path: drop_in.to_owned(), modified_at: None }],
            ..Unit::default()
        };
        let history = seen(&Containerd {
            unit: UnitState::Loaded(Box::new(unit)),
            ..containerd(CriAnswer::NoSocket)
        });
        let scope = Scope {
            outside: Default::default(),
            platform: Platform::Aks,
            standing: Default::default(),
        };
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let check = find("ContainerdFileLimitLow").expect("a check");
        (check.judge)(&history, &scope, &policy, Timestamp::UNIX_EPOCH).outcome
    }

    #[test]
    fn a_lower_limit_is_the_customers_unless_it_was_asked_for() {
        const OTHER: &str = "/etc/systemd/system/containerd.service.d/exec_start.conf";
        const ASKED: &str = "/etc/systemd/system/containerd.service.d/set_ulimits.conf";
        assert_eq!(judged(Some(1_048_576), OTHER), Outcome::Pass);
        assert_eq!(judged(Some(u64::MAX), OTHER), Outcome::Pass);
        assert_eq!(judged(Some(1_048_575), OTHER).word(), "fail");
        assert_eq!(judged(Some(65_536), ASKED), Outcome::Pass);
        assert_eq!(judged(None, OTHER).word(), "unknown");
    }
}
