//! Whether one pool can go, by what is known of it now: its blockers, warnings and what nobody
//! knows. Sources: the rules that the variants of each name.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::blocker::Blocker;
use super::input::{
    Accepted, Assumptions, Drift, Gain, KubernetesSupport, NodeHealth, PlanNode, PoolInput, Pot,
    Target, TargetFacts, unsupported_from,
};
use super::rollout::{self, NoSurge, Rollout, SCALE_SET_LIMIT, by_zone, number, rollout};
use super::unknown::Unknown;
use super::warning::Warning;
use crate::image::{ImageLabel, build_of};
use crate::policy::Policy;
use crate::pool::{NodeOsChannel, PoolMode, PoolProfile, PoolScaling, Power, UpgradeSettings};

/// What is known of offered images may be so old: the provider brings Linux images weekly.
const OFFERED_OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Clocks of two machines may differ by so much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// What all pools of a plan are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) policy: &'a Policy,
    pub(super) target: &'a Target,
    pub(super) accept: &'a [Accepted],
    pub(super) assumed: &'a Assumptions,
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
        let expected = expected.unwrap_or(0).max(number(pool.nodes.len()));
        if reported < expected {
            self.blockers.push(Blocker::MissingReports { expected, reported, nodes: silent });
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

    fn of_target(
        &mut self,
        pool: &PoolInput,
        facts: Option<&TargetFacts>,
        to_upgrade: &[&PlanNode],
        rules: &Rules<'_>,
    ) {
        let families: BTreeSet<&str> = pool
            .nodes
            .iter()
            .filter_map(|node| node.image.as_ref().map(|image| image.family.as_str()))
            .collect();
        if families.len() > 1 {
            let families = families.iter().map(|family| (*family).to_owned()).collect();
            self.blockers.push(Blocker::MixedFamilies { families });
        }
        let Some(offered) = &pool.offered else {
            self.blockers.push(Blocker::OfferedUnknown);
            return;
        };
        let Some(target) = self.target.clone() else { return };
        if rules.now.duration_since(offered.as_of) > OFFERED_OLD {
            self.warnings.push(Warning::OfferedOld { as_of: offered.as_of });
        }
        if !is_on(&offered.image, &target) {
            let (image, newest) = (target.clone(), offered.image.clone());
            self.blockers.push(match build_of(&image.version) < build_of(&newest.version) {
                true => Blocker::NotNewest { image, newest },
                false => Blocker::ImageNotOffered { image, newest, as_of: offered.as_of },
            });
        }
        let newer = to_upgrade.iter().filter_map(|node| node.image.as_ref()).find(|image| {
            image.family.eq_ignore_ascii_case(&target.family)
                && build_of(&image.version) > build_of(&target.version)
                && build_of(&target.version).is_some()
        });
        if let Some(runs) = newer {
            let blocker = Blocker::Backwards { runs: runs.clone(), offered: target.clone() };
            self.blockers.push(blocker);
        }
        self.of_systems(&target, facts, to_upgrade, families.len() <= 1);
        if let Some(from) = unsupported_from(&target, facts.and_then(|f| f.built_at), rules.policy)
        {
            self.unsupported_from = Some(from);
            if rules.now >= from {
                self.blockers.push(Blocker::TargetTooOld { image: target, from });
            }
        } else if rules.policy.node_image_age.is_some() {
            self.unknowns.push(Unknown::TargetAge);
        }
    }

    fn of_systems(
        &mut self,
        target: &ImageLabel,
        facts: Option<&TargetFacts>,
        to_upgrade: &[&PlanNode],
        is_one_family: bool,
    ) {
        let other = to_upgrade
            .iter()
            .filter_map(|node| node.image.as_ref())
            .find(|image| !image.family.eq_ignore_ascii_case(&target.family));
        let os = facts.and_then(|facts| facts.os.as_ref());
        let other_os = os.and_then(|os| {
            let mut of_nodes = to_upgrade.iter().filter_map(|node| node.os.as_ref());
            of_nodes.find(|of_node| *of_node != os).map(|of_node| (of_node, os))
        });
        match (other, other_os) {
            (_, Some((from, to))) => self
                .blockers
                .push(Blocker::OsFamilyChange { from: from.to_string(), to: to.to_string() }),
            (Some(from), None) if is_one_family => self.blockers.push(Blocker::OsFamilyChange {
                from: from.family.clone(),
                to: target.family.clone(),
            }),
            _ => {}
        }
        if os.is_none() || to_upgrade.iter().any(|node| node.os.is_none()) {
            self.unknowns.push(Unknown::OperatingSystem);
        }
    }

    fn of_profile(&mut self, pool: &PoolInput, rules: &Rules<'_>) {
        let Some(profile) = &pool.profile else {
            self.unknowns.push(Unknown::Profile);
            return;
        };
        if profile.scaling == PoolScaling::NodeAutoProvisioning {
            self.blockers.push(Blocker::DriftDecides);
        }
        match profile.channel {
            Some(NodeOsChannel::Unmanaged) => self.blockers.push(Blocker::UnmanagedChannel),
            Some(_) => {}
            None => self.unknowns.push(Unknown::Channel),
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

    fn of_rollout(&mut self, pool: &PoolInput, to_upgrade: &[&PlanNode], rules: &Rules<'_>) {
        let defaults = UpgradeSettings::default();
        let profile = pool.profile.as_ref();
        let settings = profile.map_or(&defaults, |profile| &profile.upgrade);
        let mode = profile.and_then(|profile| profile.mode);
        let of_pool = number(pool.nodes.len());
        let rollout = match rollout(settings, mode, of_pool, to_upgrade, rules.assumed) {
            Ok(rollout) => rollout,
            Err(NoSurge) => {
                self.blockers.push(Blocker::NoSurge);
                return;
            }
        };
        if rollout.batch > rules.cap {
            let (batch, cap) = (rollout.batch, rules.cap);
            self.blockers.push(Blocker::OverDisruption { batch, cap });
        }
        if let Some(longest) = rules.longest.filter(|longest| rollout.at_least > *longest) {
            let at_least = rollout.at_least;
            self.blockers.push(Blocker::LongerThanWindows { at_least, longest });
        }
        let with_surge = of_pool.saturating_add(rollout.surge);
        if with_surge > SCALE_SET_LIMIT {
            self.blockers.push(Blocker::ScaleSetFull { nodes: with_surge, limit: SCALE_SET_LIMIT });
        }
        if rollout.surge > 0 {
            self.of_pots(pool, rollout.surge);
        }
        self.of_zones(pool, &rollout);
        self.rollout = Some(rollout);
    }

    fn of_pots(&mut self, pool: &PoolInput, surge: u32) {
        match draws(pool.processors.as_ref(), processors(pool.profile.as_ref()), surge) {
            None => self.unknowns.push(Unknown::Quota),
            Some((pot, needs)) if needs > pot.left => {
                let (pot, left) = (pot.name.clone(), pot.left);
                self.blockers.push(Blocker::QuotaExceeded { pot, needs, left });
            }
            Some(_) => {}
        }
        match draws(pool.addresses.as_ref(), addresses(pool.profile.as_ref()), surge) {
            None => self.unknowns.push(Unknown::Addresses),
            Some((pot, needs)) if needs > pot.left => {
                let (pot, left) = (pot.name.clone(), pot.left);
                self.blockers.push(Blocker::AddressesExceeded { pot, needs, left });
            }
            Some(_) => {}
        }
    }

    fn of_zones(&mut self, pool: &PoolInput, rollout: &rollout::Rollout) {
        let all: Vec<&PlanNode> = pool.nodes.iter().collect();
        let zones = by_zone(&all);
        let has_stated = pool.profile.as_ref().is_none_or(|profile| !profile.zones.is_empty());
        if zones.contains_key("") && all.len() > 1 && (zones.len() > 1 || has_stated) {
            self.unknowns.push(Unknown::Zones);
        }
        // A batch of one node cannot be smaller: nothing is to be done about it.
        if zones.len() > 1 && rollout.batch > 1 {
            let zones: Vec<String> = zones
                .iter()
                .filter(|(zone, names)| !zone.is_empty() && number(names.len()) <= rollout.batch)
                .map(|(zone, _)| (*zone).to_owned())
                .collect();
            if !zones.is_empty() {
                self.warnings.push(Warning::ZoneEmptied { zones, batch: rollout.batch });
            }
        }
    }

    fn of_gain(&mut self, pool: &PoolInput, facts: Option<&TargetFacts>) {
        match &pool.gain {
            Gain::Unknown { why } => self.unknowns.push(Unknown::Gain { why: why.clone() }),
            Gain::Known(gained) => {
                if gained.brought_back.count > 0 {
                    let back = &gained.brought_back;
                    let (count, ids) = (back.count, back.ids.clone());
                    self.warnings.push(Warning::BringsBack { count, ids });
                }
                if gained.all.count == 0 && self.to_upgrade > 0 {
                    self.warnings.push(Warning::GainsNothing);
                }
            }
        }
        if !facts.is_some_and(|facts| facts.has_packages) {
            self.unknowns.push(Unknown::TargetPackages);
        }
        match &pool.drift {
            None => self.unknowns.push(Unknown::Drift),
            Some(drift) if drift.is_empty() => {}
            Some(drift) => {
                let mut listed: Vec<Drift> = drift.clone();
                listed.sort_unstable();
                listed.truncate(super::input::LISTED);
                let count = number(drift.len());
                self.blockers.push(Blocker::DriftLost { drift: listed, count });
            }
        }
        match pool.soak.as_ref().filter(|soak| soak.nodes > 0) {
            None => self.unknowns.push(Unknown::Soak),
            Some(soak) if soak.unhealthy > 0 || !soak.new_conditions.is_empty() => {
                self.warnings.push(Warning::SoakUnhealthy {
                    unhealthy: soak.unhealthy,
                    of: soak.nodes,
                    new_conditions: soak.new_conditions.clone(),
                });
            }
            Some(_) => {}
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

fn processors(profile: Option<&PoolProfile>) -> Option<u32> {
    profile.and_then(|profile| profile.processors_per_node)
}

fn addresses(profile: Option<&PoolProfile>) -> Option<u32> {
    profile.and_then(|profile| profile.addresses_per_node)
}

/// What a surge draws from a pot; none where either is not known.
fn draws(pot: Option<&Pot>, per_node: Option<u32>, surge: u32) -> Option<(&Pot, u32)> {
    Some((pot?, per_node?.saturating_mul(surge)))
}

/// What a pool's surge draws from the pots that it shares: processors, then addresses.
pub(super) fn all_draws(pool: &PoolInput, surge: u32) -> impl Iterator<Item = (bool, &Pot, u32)> {
    let of_processors = draws(pool.processors.as_ref(), processors(pool.profile.as_ref()), surge);
    let of_addresses = draws(pool.addresses.as_ref(), addresses(pool.profile.as_ref()), surge);
    let processors = of_processors.into_iter().map(|(pot, needs)| (false, pot, needs));
    processors.chain(of_addresses.into_iter().map(|(pot, needs)| (true, pot, needs)))
}
