//! Why a node is ill: the cause first, then who repairs it and when, what happened in which
//! order, who else has it, and what it is not. Made from the verdicts on the node and the
//! states that are remembered of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::answer::{Finding, NodeAnswer, Standing, is_stale};
use crate::auto_repair::{ClusterView, Exclusion, Repair, RepairState, repair};
use crate::cause::{Cause, Causes, Graph, causes};
use crate::component::Component;
use crate::node::NodeHistory;
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};

/// So many events are told, the newest.
const CHAIN: usize = 30;

/// So many nodes that have the same are named.
const NAMED: usize = 3;

/// Why a node is ill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// The node's cluster.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Which kind of machine it is.
    pub platform: Platform,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition, for screens.
    pub provider: String,
    /// The instant for which this answer was made.
    pub as_of: Timestamp,
    /// When the node last reported, by the reader's clock; none without a report.
    pub last_report_at: Option<Timestamp>,
    /// How the node is.
    pub condition: Condition,
    /// Since when; none while it is well.
    pub since: Option<Timestamp>,
    /// Who must act; none where nobody must.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
    /// Why that one, in a line; empty where nobody must act.
    pub because: String,
    /// The causes: the first explains most.
    pub causes: Vec<Cause>,
    /// What else was found, which breaks nothing by itself.
    pub beside: Vec<Finding>,
    /// How the provider's repair of the node stands.
    pub repair: Repair,
    /// What happened, oldest first.
    pub chain: Vec<Event>,
    /// Who else has what the first cause rests on.
    pub siblings: Vec<Siblings>,
    /// Components that were looked at and are as they should be: these are not the cause.
    pub passed: Vec<Component>,
    /// Whether nothing is missing from the answer: if not, see `incomplete`.
    pub complete: bool,
    /// What is missing, a line each.
    pub incomplete: Vec<String>,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing that is known of keeps it from its work.
    Well,
    /// Something does.
    Ill,
    /// It has not reported lately: how it is nobody knows.
    Silent,
    /// An upgrade goes through it, which is no outage.
    Maintenance,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// When it was seen, or when it happened where that is known.
    pub at: Timestamp,
    /// Of which component; none for the node.
    pub component: Option<Component>,
    /// What, in one line.
    pub what: String,
}

/// Other nodes with the same finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siblings {
    /// The finding's check.
    pub reason: String,
    /// Of the same pool: how many have it, of how many.
    pub pool: (usize, usize),
    /// Of the same image, in whichever pool: how many have it, of how many.
    pub image: (usize, usize),
    /// Some that have it, by name.
    pub examples: Vec<String>,
}

/// Another node, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its name.
    pub node: String,
    /// Whether it is of the same pool.
    pub is_of_pool: bool,
    /// Whether it runs the same image.
    pub is_of_image: bool,
    /// The checks that fail on it.
    pub reasons: BTreeSet<String>,
}

impl WhyAnswer {
    /// Why the node is ill of which `answer` was made from that history. `cluster` is what its
    /// cluster's API server says of it, where that is asked.
    #[must_use]
    pub fn of(
        answer: &NodeAnswer,
        history: &NodeHistory,
        cluster: Option<&ClusterView>,
        policy: &Policy,
    ) -> Self {
        let now = answer.as_of;
        let Causes { causes, beside } = causes(&Graph::declared(), &answer.findings, policy);
        let broken_since = causes.iter().map(|cause| cause.since).min();
        let repair = repair(answer.platform, policy, broken_since, cluster, now);
        let condition = condition(answer, &causes, &repair);
        let repair = match condition {
            Condition::Silent => repair.of_silent(cluster),
            Condition::Well | Condition::Ill | Condition::Maintenance => repair,
        };
        let mut incomplete = answer.incomplete.clone();
        if condition != Condition::Well {
            incomplete.extend(repair.unknown.iter().cloned());
        }
        let turn =
            turn(condition, answer, &causes, &repair).or_else(|| beside.first().map(beside_turn));
        let since = match condition {
            Condition::Well => None,
            Condition::Ill => broken_since,
            Condition::Maintenance => cluster.map(|view| view.since),
            Condition::Silent => answer.last_report_at,
        };
        Self {
            cluster: answer.cluster.clone(),
            node: answer.node.clone(),
            platform: answer.platform,
            policy_edition: answer.policy_edition.clone(),
            provider: answer.provider.clone(),
            as_of: now,
            last_report_at: answer.last_report_at,
            condition,
            since,
            responsible: turn.as_ref().map(|turn| turn.responsible.clone()),
            action: turn.as_ref().map(|turn| turn.action.clone()),
            because: turn.map(|turn| turn.because).unwrap_or_default(),
            chain: chain(history, &causes, cluster),
            siblings: Vec::new(),
            passed: passed(answer),
            complete: incomplete.is_empty(),
            incomplete,
            causes,
            beside,
            repair,
        }
    }

    /// The checks of which it is asked who else fails them: those of the first cause.
    #[must_use]
    pub fn asks_of_siblings(&self) -> Vec<String> {
        let Some(first) = self.causes.first() else { return Vec::new() };
        let change = first.change.iter().map(|change| &change.finding);
        let mut reasons: Vec<String> = Vec::new();
        for finding in change.chain(&first.findings) {
            if !reasons.contains(&finding.reason) {
                reasons.push(finding.reason.clone());
            }
        }
        reasons
    }

    /// Adds what others have, of the same pool or image, without the node itself.
    #[must_use]
    pub fn with_siblings(mut self, siblings: &[Sibling]) -> Self {
        self.siblings = self
            .asks_of_siblings()
            .into_iter()
            .map(|reason| {
                let has = |one: &&Sibling| one.reasons.contains(&reason);
                let of_pool = || siblings.iter().filter(|one| one.is_of_pool);
                let of_image = || siblings.iter().filter(|one| one.is_of_image);
                let mut examples: Vec<String> =
                    siblings.iter().filter(has).map(|one| one.node.clone()).collect();
                examples.sort();
                examples.dedup();
                examples.truncate(NAMED);
                Siblings {
                    pool: (of_pool().filter(has).count(), of_pool().count()),
                    image: (of_image().filter(has).count(), of_image().count()),
                    examples,
                    reason,
                }
            })
            .collect();
        self
    }

    /// Findings, incomplete or clean: a known finding beats incompleteness, also one that
    /// breaks nothing, and one of a node that has fallen silent. What an upgrade breaks is none.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        let is_broken = match self.condition {
            Condition::Ill | Condition::Silent => !self.causes.is_empty(),
            Condition::Well | Condition::Maintenance => false,
        };
        match (is_broken || !self.beside.is_empty(), self.condition, self.complete) {
            (true, ..) => Standing::Findings,
            (false, Condition::Silent, _) | (false, _, false) => Standing::Incomplete,
            (false, _, true) => Standing::Clean,
        }
    }
}

fn condition(answer: &NodeAnswer, causes: &[Cause], repair: &Repair) -> Condition {
    if matches!(repair.state, RepairState::Excluded { by: Exclusion::Upgrade }) {
        return Condition::Maintenance;
    }
    if answer.last_report_at.is_none_or(|at| is_stale(at, answer.as_of)) {
        return Condition::Silent;
    }
    if causes.is_empty() { Condition::Well } else { Condition::Ill }
}

/// Whose turn it is, and why.
struct Turn {
    responsible: Responsible,
    action: Action,
    because: String,
}

/// Cause beats component: what the customer's change has broken is the customer's, and the
/// provider's repair, which would only do the same again, cannot help.
fn turn(
    condition: Condition,
    answer: &NodeAnswer,
    causes: &[Cause],
    repair: &Repair,
) -> Option<Turn> {
    // Of a silent node only what the API server says is of now.
    let is_of_now = |cause: &&Cause| condition == Condition::Ill || cause.component.is_of_cluster();
    let first = causes.iter().find(is_of_now);
    if condition == Condition::Silent && first.is_none() {
        let because = answer.presence.as_ref().and_then(|presence| presence.because.first());
        return Some(Turn {
            responsible: Responsible::Unknown { missing: "a report of the node".to_owned() },
            action: Action::Investigate {
                at: "kubectl describe node, and the agent's pod".to_owned(),
            },
            because: because
                .cloned()
                .unwrap_or_else(|| "a silent node shows nothing of its own".to_owned()),
        });
    }
    if !matches!(condition, Condition::Ill | Condition::Silent) {
        return None;
    }
    let first = first?;
    if let Some(change) = &first.change {
        let finding = &change.finding;
        let because = match repair.state.will_act() {
            true => format!(
                "{} is a change of yours: auto-repair will act and CANNOT help, as it puts the \
                 node up again and not what changed it",
                finding.reason
            ),
            false => format!("{} is a change of yours", finding.reason),
        };
        return Some(Turn {
            responsible: finding.responsible.clone(),
            action: finding.action.clone(),
            because,
        });
    }
    let finding = first.findings.first()?;
    let by_repair = matches!(finding.responsible, Responsible::Automation { .. });
    let (responsible, action, because) = match &repair.state {
        RepairState::Excluded { by } if by_repair => (
            Responsible::Customer,
            Action::Investigate { at: "what keeps auto-repair away".to_owned() },
            format!("auto-repair is kept away: {}", by.what()),
        ),
        RepairState::Exhausted { .. } if by_repair => {
            (Responsible::Provider, Action::Ticket, format!("auto-repair {}", repair.state))
        }
        state if by_repair => {
            (finding.responsible.clone(), finding.action.clone(), format!("auto-repair {state}"))
        }
        _ => (
            finding.responsible.clone(),
            finding.action.clone(),
            format!("{} is what breaks the node", finding.reason),
        ),
    };
    Some(Turn { responsible, action, because })
}

/// Whose turn it is with a finding that breaks nothing, where nothing else is to be done.
fn beside_turn(finding: &Finding) -> Turn {
    Turn {
        responsible: finding.responsible.clone(),
        action: finding.action.clone(),
        because: format!("{} was found, and keeps the node from nothing", finding.reason),
    }
}

/// What happened, as it was seen: starts of the node, states of the components that take part,
/// findings, and what the repair did.
fn chain(history: &NodeHistory, causes: &[Cause], cluster: Option<&ClusterView>) -> Vec<Event> {
    let mut events = BTreeSet::new();
    if causes.is_empty() && cluster.is_none_or(|view| view.is_ready) {
        return Vec::new();
    }
    let kernel = history.kernel.state().and_then(State::present);
    if let Some(at) = kernel.and_then(|kernel| kernel.booted_at) {
        let what = "the node was started".to_owned();
        events.insert(Event { at, component: None, what });
    }
    let graph = Graph::declared();
    let mut take_part: BTreeSet<Component> = BTreeSet::new();
    for cause in causes {
        take_part.insert(cause.component);
        take_part.extend(cause.explains.iter().copied());
        take_part.extend(graph.ground(cause.component));
        let change = cause.change.iter().map(|change| &change.finding);
        for finding in cause.findings.iter().chain(change) {
            let what = format!("{}: {}", finding.reason, finding.message);
            events.insert(Event { at: finding.since, component: Some(finding.component), what });
        }
    }
    for component in take_part {
        // What was first seen of it did not happen then.
        for pair in history.states(component).windows(2) {
            let [before, after] = pair else { continue };
            let (was, is) = (before.state.headline(), after.state.headline());
            if was != is {
                let what = format!("now {is}");
                events.insert(Event { at: after.since, component: Some(component), what });
            }
        }
    }
    if let Some(view) = cluster {
        let state = if view.is_ready { "Ready" } else { "not Ready" };
        let what = format!("the API server takes the node for {state}");
        events.insert(Event { at: view.since, component: None, what });
        for event in &view.events {
            let phase = match event.phase {
                crate::auto_repair::Phase::Start => "begins",
                crate::auto_repair::Phase::End => "has ended",
                crate::auto_repair::Phase::Error => "has failed",
            };
            let what = format!("auto-repair: {} {phase}", event.step.word());
            events.insert(Event { at: event.at, component: None, what });
        }
    }
    let skipped = events.len().saturating_sub(CHAIN);
    events.into_iter().skip(skipped).collect()
}

/// Components of which something was judged and nothing is wrong or open.
fn passed(answer: &NodeAnswer) -> Vec<Component> {
    answer
        .components
        .iter()
        .filter(|component| {
            let is = |outcome: &str| component.checks.iter().any(|one| one.outcome == outcome);
            is("pass") && !is("fail") && !is("unknown")
        })
        .map(|component| component.component)
        .collect()
}

#[cfg(test)]
mod tests;
