//! The check of `egress`: can the node reach what the operator asked to be looked at, such as
//! the endpoints that the provider requires. A node under load answers late and accuses
//! nobody: an attempt that the agent itself was too late for is none, and an endpoint is
//! blocked when it was not reached in three rounds in a row.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, shortened,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{Egress, EgressEndpoint};
use crate::node::{Holding, NodeHistory};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) const CHECKS: &[Check] = &[Check {
    reason: "EgressBlocked",
    component: Component::Egress,
    scope: Reach::Node,
    severity: Severity::Critical,
    responsible: "customer",
    summary: "An endpoint that the node needs is not reached from it",
    policy: PolicyLink::Cites("egress-required"),
    source: "https://learn.microsoft.com/azure/aks/outbound-rules-control-egress",
    judge: blocked,
}];

fn tell(endpoint: &EgressEndpoint) -> Evidence {
    let issuer = match endpoint.issuer.as_str() {
        "" => String::new(),
        issuer => format!(", certificate issued by {issuer}"),
    };
    let actual = format!("{}{issuer}", endpoint.reach);
    Evidence::new(format!("https://{}", endpoint.endpoint), actual, "reached")
}

fn blocked(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (egress, _) = verdict_or!(facts(&history.egress, "not looked at"));
    if egress.endpoints.is_empty() {
        return Verdict::not_applicable("no endpoints were named");
    }
    let is_blocked = |one: &&EgressEndpoint| one.reach.is_blocked() == Some(true);
    let row = |one: &EgressEndpoint| {
        let is_so = |egress: &Egress| {
            egress.reach(&one.endpoint).and_then(|reach| reach.is_blocked()) == Some(true)
        };
        history.egress.holding(is_so)
    };
    let mut rows: Vec<(Holding, &EgressEndpoint)> =
        egress.endpoints.iter().filter(is_blocked).map(|one| (row(one), one)).collect();
    rows.sort_by_key(|(holding, _)| std::cmp::Reverse(holding.observations));
    let evidence: Vec<Evidence> = egress.endpoints.iter().map(tell).collect();
    if let Some((longest, first)) = rows.first() {
        let since = verdict_or!(confirmed(*longest, &evidence));
        let message = match rows.len() {
            1 => format!("{} is not reached: {}", first.endpoint, first.reach),
            count if count == egress.endpoints.len() => {
                format!("none of {count} endpoints is reached; {}: {}", first.endpoint, first.reach)
            }
            count => format!(
                "{count} of {} endpoints are not reached; {}: {}",
                egress.endpoints.len(),
                first.endpoint,
                first.reach
            ),
        };
        let at = format!(
            "firewall, network security group and routes of the node's subnet, for {}",
            first.endpoint
        );
        let turn = Turn {
            responsible: Responsible::Customer,
            action: Action::Investigate { at },
            valid_until: None,
        };
        let of_blocked = rows.iter().map(|(_, one)| tell(one)).collect();
        return Verdict::fail(message, since, turn, shortened(of_blocked));
    }
    let unknown = egress.endpoints.iter().find(|one| one.reach.is_blocked().is_none());
    match unknown {
        Some(one) => Verdict::unknown(format!("{}: {}", one.endpoint, one.reach), evidence),
        None => Verdict::pass(evidence),
    }
}
