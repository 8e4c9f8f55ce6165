//! Will the provider stop the cluster. It does when for 30 days no node was Ready and no
//! machine ran. Whether machines run only the provider knows: a report of any agent proves one,
//! and the taint of machines that are shut down proves that none does. In between it is unknown,
//! with the earliest day on which the cluster would be stopped.

use jiff::{SignedDuration, Timestamp};

use super::ready::{customer, known};
use crate::check::{Evidence, Scope, Verdict, of_a_provider, verdict_or};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

/// So long no node may be Ready and no machine run.
const STOPPED_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A report proves for so long that a machine runs.
const PROOF: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn zero_ready(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "stops clusters"));
    verdict_or!(known(history));
    let Some(truth) = scope.outside.cluster else {
        return Verdict::unknown("how many nodes are Ready was not told", Vec::new());
    };
    let mut evidence = vec![Evidence::new(
        "API server, nodes",
        format!("{} of {} nodes are Ready", truth.ready, truth.nodes),
        "one at least",
    )];
    if truth.ready > 0 {
        return Verdict::pass(evidence);
    }
    let reported = truth.last_report_at.filter(|at| now.duration_since(*at) <= PROOF);
    if let Some(at) = reported {
        let actual = format!("at {at:.0}: its machine runs");
        evidence.push(Evidence::new("last report of an agent", actual, ""));
        let mut verdict = Verdict::pass(evidence);
        verdict.valid_until = at.checked_add(PROOF + SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let proof = truth.last_ready_at.into_iter().chain(truth.last_report_at).max();
    let (from, since) = match proof {
        Some(at) => (at, "the last proof that one ran"),
        None => (truth.asked_since, "the beginning of the watch, before which nothing is known"),
    };
    let stopped_at = from.checked_add(STOPPED_AFTER).unwrap_or(Timestamp::MAX);
    evidence.push(Evidence::new("counted from", format!("{from:.0}, {since}"), ""));
    let day = stopped_at.strftime("%Y-%m-%d").to_string();
    if truth.nodes > 0 && truth.shut_down == truth.nodes {
        let message = format!(
            "all {} machines are shut down: out of support, and stopped about {day}",
            truth.nodes
        );
        let action = Action::Repair { what: format!("start a machine before {day}") };
        return Verdict::fail(message, from, customer(action), evidence);
    }
    let why = format!(
        "no node is Ready, and whether a machine runs the provider alone knows: stopped on {day} \
         at the earliest"
    );
    Verdict::unknown(why, evidence)
}
