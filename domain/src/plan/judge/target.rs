//! Whether a pool can have its target, and what that brings to it.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{Judged, Rules, is_on};
use crate::image::{ImageLabel, build_of, is_known_line};
use crate::plan::blocker::Blocker;
use crate::plan::input::{Drift, Gain, LISTED, PlanNode, PoolInput, TargetFacts, unsupported_from};
use crate::plan::rollout::number;
use crate::plan::unknown::Unknown;
use crate::plan::warning::Warning;

/// What is known of offered images may be so old: the provider brings Linux images weekly.
const OFFERED_OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Judged {
    pub(super) fn of_target(
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
        if !is_known_line(&target.family) {
            self.unknowns.push(Unknown::Line { family: target.family.clone() });
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

    pub(super) fn of_gain(&mut self, pool: &PoolInput, facts: Option<&TargetFacts>) {
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
                listed.truncate(LISTED);
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
}
