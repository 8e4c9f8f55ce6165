//! Checks of `kernel_modules`: does a rule that keeps a module out find it loaded. Which
//! modules should be kept out is said by bulletins: check `BulletinApplies`.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::ModuleRule;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) const CHECKS: &[Check] = &[Check {
    reason: "ModuleBlockStale",
    component: Component::KernelModules,
    scope: Reach::Node,
    severity: Severity::Warning,
    responsible: "customer",
    summary: "A module is kept from being loaded and is loaded: the rule came too late and holds from the next boot on",
    policy: PolicyLink::None,
    source: "https://man7.org/linux/man-pages/man5/modprobe.d.5.html",
    judge: block_stale,
}];

fn block_stale(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (modules, since) = verdict_or!(facts(&history.kernel_modules, "no modules"));
    let blocks = modules.blocks().count();
    if blocks == 0 {
        return Verdict::not_applicable("no rule keeps a module from being loaded");
    }
    let stale = modules.stale_blocks();
    let message = match stale.as_slice() {
        [] => {
            let actual = format!("none loaded of {blocks} that are kept out");
            return Verdict::pass(vec![Evidence::new("/proc/modules", actual, "")]);
        }
        [rule] => format!("{} is kept from being loaded, and is loaded", rule.module),
        more => format!("{} modules are kept from being loaded, and are loaded", more.len()),
    };
    // A module that is not in use could be unloaded instead. Whether it is moves with every
    // program that opens it, so it is no fact here, and a reboot always helps.
    let turn =
        Turn { responsible: Responsible::Customer, action: Action::Reboot, valid_until: None };
    let evidence = stale.into_iter().map(evidence).collect();
    Verdict::fail(message, since, turn, shortened(evidence))
}

fn evidence(rule: &ModuleRule) -> Evidence {
    let ModuleRule { module, path, line, .. } = rule;
    Evidence::new(format!("{path}:{line}"), format!("{module} is loaded"), "not loaded")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::Outcome;
    use crate::facts::{ComponentState, KernelModules, ModuleRuleKind};
    use crate::observed::{State, Unavailable};
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    fn judged(state: State<KernelModules>) -> Verdict {
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
        history.observe(ComponentState::KernelModules(state), at, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let scope = Scope {
            outside: Default::default(),
            platform: Platform::Plain,
            standing: Default::default(),
        };
        (CHECKS[0].judge)(&history, &scope, &policy, at)
    }

    fn present(loaded: &[&str], rules: &[(&str, ModuleRuleKind)]) -> Verdict {
        let rule = |(module, kind): &(&str, ModuleRuleKind)| ModuleRule {
            module: (*module).to_owned(),
            kind: *kind,
            path: "/etc/modprobe.d/a.conf".to_owned(),
            line: 2,
        };
        judged(State::Present(Arc::new(KernelModules {
            loaded: loaded.iter().map(|name| (*name).to_owned()).collect(),
            rules: rules.iter().map(rule).collect(),
        })))
    }

    #[test]
    fn a_blocked_module_that_is_loaded_waits_for_a_reboot() {
        use ModuleRuleKind::{Blacklist, Install};
        let stale = present(&["esp4", "xt_set"], &[("esp4", Install), ("esp6", Install)]);
        let Outcome::Fail { message, responsible, action, .. } = stale.outcome else {
            panic!("{:?}", stale.outcome)
        };
        assert_eq!(message, "esp4 is kept from being loaded, and is loaded");
        assert_eq!((responsible, action), (Responsible::Customer, Action::Reboot));
        assert_eq!(stale.evidence[0].source, "/etc/modprobe.d/a.conf:2");
        assert_eq!(present(&["esp4"], &[("esp6", Install)]).outcome, Outcome::Pass);
        // Whoever names it may load it, so that it being loaded says nothing.
        let named = present(&["pcspkr"], &[("pcspkr", Blacklist)]);
        assert!(matches!(named.outcome, Outcome::NotApplicable(_)), "{:?}", named.outcome);
    }

    #[test]
    fn modules_that_could_not_be_read_are_unknown() {
        let why = Unavailable { place: "/proc/modules".to_owned(), why: "EACCES".to_owned() };
        let verdict = judged(State::Unavailable(why));
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)), "{:?}", verdict.outcome);
    }
}
