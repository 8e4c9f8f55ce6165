//! Sums over missing fixes, of one node or of many: whose turn they are, what is over the
//! policy's line, and what was not judged.

use jiff::Timestamp;
use serde::Serialize;

use super::opinion::{Active, Container};
use super::row::line;
use super::{Assessed, Lack, Turned};
use crate::matching::{Index, Matched};
use crate::policy::Policy;
use crate::responsibility::Responsible;

/// Sums over the fixes of one node, or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FixCounts {
    /// Fixes that the customer must bring onto nodes.
    pub customer: usize,
    /// Fixes that the provider owes.
    pub provider: usize,
    /// Fixes that something will bring onto nodes by itself.
    pub automation: usize,
    /// Fixes that are too young for anybody to owe them.
    pub nobody_yet: usize,
    /// Vulnerabilities without a fix that the node may have.
    pub no_fix: usize,
    /// Fixes of which it cannot be said whose they are.
    pub unknown: usize,
    /// Fixes that are lacking, while something keeps what they mend from being used.
    pub mitigated: usize,
    /// Fixes that are older than the policy's line, whoever must act.
    pub over_line: usize,
    /// Statements on installed packages that cannot be read.
    pub unreadable: usize,
    /// Source packages that were judged.
    pub judged: usize,
    /// Source packages that no advisory covers.
    pub not_covered: usize,
    /// Source packages that cannot be judged.
    pub not_judged: usize,
    /// Container images of kube-system that no report speaks of.
    pub containers_not_covered: usize,
}

impl FixCounts {
    /// Missing fixes that are findings: those that somebody owes, and those of which it
    /// cannot be said who does.
    #[must_use]
    pub const fn findings(&self) -> usize {
        self.customer + self.provider + self.automation + self.unknown
    }

    /// Adds other sums.
    pub const fn add(&mut self, other: &Self) {
        self.customer += other.customer;
        self.provider += other.provider;
        self.automation += other.automation;
        self.nobody_yet += other.nobody_yet;
        self.no_fix += other.no_fix;
        self.unknown += other.unknown;
        self.mitigated += other.mitigated;
        self.over_line += other.over_line;
        self.unreadable += other.unreadable;
        self.judged += other.judged;
        self.not_covered += other.not_covered;
        self.not_judged += other.not_judged;
        self.containers_not_covered += other.containers_not_covered;
    }

    /// Counts one answer.
    pub(super) const fn count(&mut self, turned: &Turned) {
        if matches!(turned.lack, Lack::Unreadable(_)) {
            self.unreadable += 1;
            return;
        }
        let Some(turn) = &turned.answer.turn else {
            if matches!(turned.lack, Lack::Missing(_)) {
                self.mitigated += 1;
            }
            return;
        };
        self.count_turn(&turn.responsible);
    }

    /// Counts a container image: all that it lacks since one moment comes with a newer image.
    pub(super) fn count_container(
        &mut self,
        container: &Container,
        policy: &Policy,
        now: Timestamp,
    ) {
        let Some(active) = &container.active else {
            self.containers_not_covered += 1;
            return;
        };
        for one in active {
            self.count_active(one, policy, now);
        }
    }

    /// Counts what a container image lacks since one moment.
    pub(super) fn count_active(&mut self, active: &Active, policy: &Policy, now: Timestamp) {
        if let Some(turn) = &active.answer.turn {
            self.count_turn(&turn.responsible);
            let line = line(active.answer.step, active.since, policy);
            self.over_line += usize::from(line.is_some_and(|line| now > line));
        }
    }

    const fn count_turn(&mut self, responsible: &Responsible) {
        match responsible {
            Responsible::Customer => self.customer += 1,
            Responsible::Provider => self.provider += 1,
            Responsible::Automation { .. } => self.automation += 1,
            Responsible::NobodyYet { .. } => self.nobody_yet += 1,
            Responsible::Vendor => self.no_fix += 1,
            Responsible::Unknown { .. } => self.unknown += 1,
        }
    }
}

impl Assessed {
    /// The sums.
    #[must_use]
    pub fn counts(
        &self,
        index: &Index,
        matched: &Matched,
        policy: &Policy,
        now: Timestamp,
    ) -> FixCounts {
        let mut counts = FixCounts {
            judged: self.judged,
            not_covered: self.not_covered,
            not_judged: self.unknown,
            ..FixCounts::default()
        };
        for turned in &self.turned {
            counts.count(turned);
            if let (Lack::Missing(place), Some(_)) = (turned.lack, &turned.answer.turn) {
                let published = matched.missing.get(place).and_then(|one| index.published(one.fix));
                let line = published.and_then(|(at, _)| line(turned.answer.step, at, policy));
                counts.over_line += usize::from(line.is_some_and(|line| now > line));
            }
        }
        counts
    }
}
