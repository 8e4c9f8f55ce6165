//! Whether one pool can go, by what is known of it now: its blockers, warnings and what nobody
//! knows. Sources: the rules that the variants of each name.

mod surge;
mod target;

use jiff::{SignedDuration, Timestamp};

use super::blocker::Blocker;
use super::input::{
    Accepted, Assumptions, KubernetesSupport, NodeHealth, PlanNode, PoolInput, Target,
};
use super::rollout::{Rollout, number};
use super::unknown::Unknown;
use super::warning::Warning;
use crate::image::ImageLabel;
use crate::policy::Policy;
use crate::pool::{NodeOsChannel, PoolMode, PoolScaling, Power};

pub(super) use surge::{Draw, PotOf, Pots, draws, pots};

/// Clocks of two machines may differ by so much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// What all pools of a plan are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) policy: &'a Policy,
    pub(super) target: &'a Target,
    pub(super) accept: &'a [Accepted],
    pub(super) assumed: &'a Assumptions,
    pub(super) pots: &'a Pots<'a>,
    /// Nodes that may be out of use at a time.
    pub(super) cap: u32,
    /// The longest window; none where it is always open.
    pub(super) longest: Option<SignedDuration>,
    pub(super) now: Timestamp,
}

/// What came out for one pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Judged {
    pub(super) target: Option<ImageLabel>,
    pub(super) unsupported_from: Option<Timestamp>,
    pub(super) to_upgrade: u32,
    pub(super) is_on_target: bool,
    pub(super) rollout: Option<Rollout>,
    pub(super) blockers: Vec<Blocker>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unknowns: Vec<Unknown>,
}

/// Whether an image is the target; without a day of security patches in the target any is.
pub(super) fn is_on(image: &ImageLabel, target: &ImageLabel) -> bool {
    image.family.eq_ignore_ascii_case(&target.family)
        && image.version == target.version
        && (target.patched.is_none() || image.patched == target.patched)
}

/// Judges one pool.
pub(super) fn judge(pool: &PoolInput, rules: &Rules<'_>) -> Judged {
    let target = rules.target.of(pool);
    let facts = target
        .as_ref()
        .and_then(|target| pool.target.as_ref().filter(|facts| is_on(&facts.image, target)));
    let mut judged = Judged { target, ..Judged::default() };
    let to_upgrade: Vec<&PlanNode> = pool
        .nodes
        .iter()
        .filter(|node| !node.is_quarantined && !matches!(node.health, NodeHealth::Lost { .. }))
        .filter(|node| match (&node.image, &judged.target) {
            (Some(image), Some(target)) => !is_on(image, target),
            _ => true,
        })
        .collect();
    judged.to_upgrade = number(to_upgrade.len());
    judged.of_reports(pool);
    if judged.is_all_there(pool) {
        judged.is_on_target = true;
        judged.warnings.clear();
        return judged;
    }
    judged.of_nodes(pool);
    judged.of_target(pool, facts, &to_upgrade, rules);
    judged.of_profile(pool, rules);
    judged.of_cluster(pool);
    judged.of_rollout(pool, &to_upgrade, rules);
    judged.of_gain(pool, facts);
    judged.of_clock(pool, rules);
    judged.accept(rules.accept);
    judged
}

fn names<'a>(nodes: impl Iterator<Item = &'a PlanNode>) -> Vec<String> {
    let mut names: Vec<String> = nodes.map(|node| node.name.clone()).collect();
    names.sort_unstable();
    names
}

impl Judged {
    fn is_all_there(&self, pool: &PoolInput) -> bool {
        let Some(target) = &self.target else { return false };
        if self.to_upgrade > 0 || !self.blockers.is_empty() {
            return false;
        }
        match pool.nodes.is_empty() {
            false => pool.nodes.iter().all(|node| !node.is_quarantined),
            true => {
                let claimed = pool.profile.as_ref().and_then(|profile| profile.image.as_ref());
                claimed.is_some_and(|claimed| is_on(claimed, target))
            }
        }
    }

    fn of_reports(&mut self, pool: &PoolInput) {
        let silent = names(pool.nodes.iter().filter(|node| node.last_reported.is_none()));
        let reported = number(pool.nodes.len() - silent.len());
        // The number of an autoscaled pool is that of the time when it was read.
        let expected = pool.profile.as_ref().and_then(|profile| match profile.autoscaled {
            Some((least, _)) => Some(least),
            None => profile.nodes,
        });
        if expected.is_none() && pool.nodes.is_empty() {
            self.blockers.push(Blocker::NodesUnknown);
        }
        let expected = expected.unwrap_or(0).max(number(pool.nodes.len()));
        if reported < expected {
            let (nodes, pool) = (silent, pool.key.pool.clone());
            self.blockers.push(Blocker::MissingReports { expected, reported, nodes, pool });
        }
        let is_lost = |node: &PlanNode| matches!(node.health, NodeHealth::Lost { .. });
        let stale = pool
            .nodes
            .iter()
            .filter(|node| node.is_stale && node.last_reported.is_some() && !is_lost(node));
        let stale = names(stale);
        if !stale.is_empty() {
            self.blockers.push(Blocker::StaleReports { nodes: stale });
        }
    }

    fn of_nodes(&mut self, pool: &PoolInput) {
        let (mut reasons, mut who) = (Vec::new(), None);
        let (mut lost, mut pods_unknown) = (Vec::new(), Some(0u32));
        let (mut unhealthy, mut unknown) = (Vec::new(), Vec::new());
        let mut sorted: Vec<&PlanNode> = pool.nodes.iter().collect();
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        for node in sorted {
            match &node.health {
                NodeHealth::Ready => {}
                NodeHealth::Unhealthy { reasons: of_node, who: of_whom } => {
                    if node.repair.is_none() {
                        unhealthy.push(node.name.clone());
                        if who.is_none() {
                            reasons.clone_from(of_node);
                            who = Some(of_whom.clone());
                        }
                    }
                }
                NodeHealth::Lost { pods_unknown: pods } => {
                    lost.push(node.name.clone());
                    pods_unknown = pods_unknown.zip(*pods).map(|(all, of)| all.saturating_add(of));
                }
                NodeHealth::Unknown { .. } => unknown.push(node.name.clone()),
            }
        }
        if let Some(who) = who {
            self.blockers.push(Blocker::UnhealthyNodes { nodes: unhealthy, reasons, who });
        }
        let repairs = pool.nodes.iter().filter_map(|node| node.repair.map(|repair| repair.until));
        if let Some(until) = repairs.max() {
            let nodes = names(pool.nodes.iter().filter(|node| node.repair.is_some()));
            self.blockers.push(Blocker::RepairInProgress { nodes, until });
        }
        if !lost.is_empty() {
            self.warnings.push(Warning::PodsUnknown { nodes: lost, pods: pods_unknown });
        }
        if !unknown.is_empty() {
            self.unknowns.push(Unknown::Health { nodes: unknown });
        }
        let quarantined = names(pool.nodes.iter().filter(|node| node.is_quarantined));
        if !quarantined.is_empty() {
            self.warnings.push(Warning::Quarantined { nodes: quarantined });
        }
        let no_image = names(pool.nodes.iter().filter(|node| node.image.is_none()));
        if !no_image.is_empty() {
            self.unknowns.push(Unknown::NodeImage { nodes: no_image });
        }
    }

    fn of_profile(&mut self, pool: &PoolInput, rules: &Rules<'_>) {
        match (pool.channel(), &pool.profile) {
            (Some(NodeOsChannel::Unmanaged), _) => self.blockers.push(Blocker::UnmanagedChannel),
            (Some(_), _) => {}
            (None, Some(_)) => self.unknowns.push(Unknown::Channel),
            // Nothing at all was told of it, which is said below.
            (None, None) => {}
        }
        let Some(profile) = &pool.profile else {
            self.unknowns.push(Unknown::Profile);
            return;
        };
        if profile.scaling == PoolScaling::NodeAutoProvisioning {
            self.blockers.push(Blocker::DriftDecides);
        }
        if profile.power == Some(Power::Stopped) {
            self.blockers.push(Blocker::Stopped);
        }
        match profile.provisioning.as_deref() {
            None => {}
            Some(state) if state.eq_ignore_ascii_case("succeeded") => {}
            Some(state)
                if ["failed", "canceled", "cancelled"]
                    .iter()
                    .any(|ended| state.eq_ignore_ascii_case(ended)) =>
            {
                self.warnings.push(Warning::LastFailed { state: state.to_owned() });
            }
            Some(state) => {
                self.blockers.push(Blocker::OperationRunning { state: state.to_owned() });
            }
        }
        if let (Some(claimed), Some(target)) = (&profile.image, &self.target)
            && is_on(claimed, target)
            && self.to_upgrade > 0
        {
            let nodes = self.to_upgrade;
            self.warnings.push(Warning::ClaimDiffers { claimed: claimed.clone(), nodes });
        }
        let set = profile.upgrade.max_unavailable;
        if profile.mode == Some(PoolMode::System) && set.of(u32::MAX) > 0 {
            self.warnings.push(Warning::UnavailableIgnored { set });
        }
        if profile.as_of > later(rules.now, SignedDuration::from_hours(24)) {
            self.unknowns.push(Unknown::Clock { what: "the time of its settings".to_owned() });
        }
    }

    fn of_cluster(&mut self, pool: &PoolInput) {
        match &pool.disruption_budgets {
            None => self.unknowns.push(Unknown::DisruptionBudgets),
            Some(budgets) => {
                let none = budgets.iter().filter(|budget| budget.allowed == 0);
                let mut budgets: Vec<String> =
                    none.map(|budget| format!("{}/{}", budget.namespace, budget.name)).collect();
                budgets.sort_unstable();
                if !budgets.is_empty() {
                    self.blockers.push(Blocker::DisruptionBudget { budgets });
                }
            }
        }
        match &pool.kubernetes {
            None => self.unknowns.push(Unknown::KubernetesSupport),
            Some(KubernetesSupport::Supported) => {}
            Some(KubernetesSupport::PlatformOnly { version }) => {
                self.warnings.push(Warning::PlatformOnly { version: version.clone() });
            }
            Some(KubernetesSupport::Outside { version }) => {
                let version = version.clone();
                self.blockers.push(Blocker::KubernetesUnsupported { version });
            }
        }
    }

    fn of_clock(&mut self, pool: &PoolInput, rules: &Rules<'_>) {
        let limit = later(rules.now, CLOCKS_DIFFER);
        let is_to_come = |node: &&PlanNode| node.last_reported.is_some_and(|at| at > limit);
        if let Some(node) = pool.nodes.iter().filter(is_to_come).min_by_key(|node| &node.name) {
            self.unknowns.push(Unknown::Clock { what: format!("the report of {}", node.name) });
        }
        if pool.offered.as_ref().is_some_and(|offered| offered.as_of > limit) {
            self.unknowns
                .push(Unknown::Clock { what: "what is known of offered images".to_owned() });
        }
    }

    fn accept(&mut self, accepted: &[Accepted]) {
        let (taken, left): (Vec<Blocker>, Vec<Blocker>) = std::mem::take(&mut self.blockers)
            .into_iter()
            .partition(|blocker| blocker.accepted_by().is_some_and(|by| accepted.contains(&by)));
        self.blockers = left;
        self.warnings.extend(taken.into_iter().map(|blocker| Warning::Accepted { blocker }));
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
