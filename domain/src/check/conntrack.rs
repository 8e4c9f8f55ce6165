//! Checks of `conntrack`: is the kernel's table of connections nearly full. Once it is,
//! packets of new connections are dropped. Source: the kernel's nf_conntrack parameters.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, verdict_or,
};
use crate::component::Component;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// So much of the table may be used. A share of it is always in use for a while longer than
/// the connections themselves.
const USED: f64 = 0.9;

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

pub(super) const CHECKS: &[Check] = &[Check {
    reason: "ConntrackNearlyFull",
    component: Component::Conntrack,
    scope: Reach::Node,
    severity: Severity::Warning,
    responsible: "customer",
    summary: "The kernel follows more than 90 % of the connections that it has room for, and drops what goes beyond",
    policy: PolicyLink::None,
    source: "https://docs.kernel.org/networking/nf_conntrack-sysctl.html",
    judge: nearly_full,
}];

fn nearly_full(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (table, _) = verdict_or!(facts(&history.conntrack, "no table of connections"));
    let Some(entries) = history.measured.newest().conntrack_entries else {
        return Verdict::unknown(format!("{COUNT} was not measured"), Vec::new());
    };
    let max = table.max_entries;
    if max == 0 {
        let actual = format!("{entries}, no limit");
        return Verdict::pass(vec![Evidence::new(COUNT, actual, "")]);
    }
    let ratio = entries as f64 / max as f64;
    let share = format!("{:.1} %", ratio * 100.0);
    let evidence =
        vec![Evidence::new(COUNT, format!("{entries} of {max} ({share})"), "at most 90 %")];
    if ratio <= USED {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    // kube-proxy sizes the table at its start unless the node's configuration does.
    let raise = match scope.platform {
        Platform::Aks => "netNetfilterNfConntrackMax of linuxOSConfig",
        Platform::Kubernetes => "kube-proxy's conntrack.maxPerCore",
        Platform::Plain | Platform::Unknown => "net.netfilter.nf_conntrack_max",
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate {
            at: format!("which pods keep so many connections (conntrack -L), and raise {raise}"),
        },
        valid_until: None,
    };
    let message = format!("{entries} of {max} connections are followed ({share})");
    Verdict::fail(message, since, turn, evidence)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::Outcome;
    use crate::facts::{ComponentState, Conntrack};
    use crate::measured::Measurements;
    use crate::node::Holding;
    use crate::observed::State;
    use crate::policy::DEFAULT_EDITION;

    fn judged(max_entries: u64, entries: Option<u64>, rounds: u32) -> Outcome {
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
        let state = State::Present(Arc::new(Conntrack { max_entries }));
        history.observe(ComponentState::Conntrack(state), at, Duration::ZERO);
        let measured = Measurements { conntrack_entries: entries, ..Measurements::default() };
        history.measured.observe(measured, at);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let standing = Holding { observations: rounds, since: Some(at) };
        let scope = Scope { outside: Default::default(), platform: Platform::Aks, standing };
        nearly_full(&history, &scope, &policy, at).outcome
    }

    #[test]
    fn more_than_nine_tenths_for_three_rounds_is_nearly_full() {
        assert_eq!(judged(100, Some(90), 3), Outcome::Pass);
        assert_eq!(judged(100, Some(91), 3).word(), "fail");
        assert_eq!(judged(100, Some(91), 1), Outcome::Confirming { observations: 1 });
        assert_eq!(judged(0, Some(91), 3), Outcome::Pass);
        assert_eq!(judged(100, None, 3).word(), "unknown");
    }
}
