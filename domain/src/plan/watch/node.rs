//! One node through an upgrade: which phase it is in, by what was last seen of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Sighting;
use crate::image::ImageLabel;
use crate::plan::PlannedNode;
use crate::plan::judge::is_on;

/// How far one node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing has happened to it.
    Pending,
    /// It is cordoned: its drain has begun, or is over.
    Drained,
    /// It is new in the pool, and not Ready yet.
    Surged,
    /// It is back under its name in another life or from another disk, and not Ready yet.
    Reimaged,
    /// It is Ready, and has not told of its image, or of another than the target.
    Joined,
    /// Its disk names the target.
    Verified,
    /// The upgrade gave it up: it is out of use on its old image.
    Quarantined,
    /// It is not there any more.
    Gone,
}

impl Phase {
    /// The word that screens show.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Drained => "drained",
            Self::Surged => "surged",
            Self::Reimaged => "reimaged",
            Self::Joined => "joined",
            Self::Verified => "verified",
            Self::Quarantined => "quarantined",
            Self::Gone => "gone",
        }
    }

    /// Whether the upgrade is at it.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Drained | Self::Surged | Self::Reimaged | Self::Joined)
    }
}

/// What an observation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    OutOfOrder,
    Same,
    Moved,
}

/// One node that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeWatch {
    /// As it was planned; none for one that came later.
    planned: Option<PlannedNode>,
    uid: Option<String>,
    boot: Option<String>,
    pub(super) image: Option<ImageLabel>,
    pub(super) is_ready: Option<bool>,
    is_cordoned: bool,
    is_quarantined: bool,
    is_gone: bool,
    /// In another life, or booted from another disk, than it was planned.
    is_remade: bool,
    pub(super) phase: Phase,
    /// When it came into its phase; none since before the plan.
    pub(super) since: Option<Timestamp>,
    seen_at: Option<Timestamp>,
}

impl NodeWatch {
    pub(super) fn planned(node: PlannedNode, target: &ImageLabel) -> Self {
        let mut watch = Self {
            uid: node.uid.clone(),
            boot: node.boot.clone(),
            image: node.image.clone(),
            planned: Some(node),
            is_ready: None,
            is_cordoned: false,
            is_quarantined: false,
            is_gone: false,
            is_remade: false,
            phase: Phase::Pending,
            since: None,
            seen_at: None,
        };
        watch.phase = watch.phase_now(target);
        watch
    }

    pub(super) fn surged(sighting: &Sighting, target: &ImageLabel) -> Self {
        let mut watch = Self {
            planned: None,
            uid: None,
            boot: None,
            image: None,
            is_ready: None,
            is_cordoned: false,
            is_quarantined: false,
            is_gone: false,
            is_remade: false,
            phase: Phase::Surged,
            since: Some(sighting.at),
            seen_at: None,
        };
        watch.see(sighting, target);
        watch
    }

    /// Whether it runs something that is known not to be the target.
    pub(super) fn is_known_old(&self, target: &ImageLabel) -> bool {
        self.image.as_ref().is_some_and(|image| !is_on(image, target))
    }

    pub(super) fn see(&mut self, sighting: &Sighting, target: &ImageLabel) -> Step {
        if self.seen_at.is_some_and(|seen_at| seen_at > sighting.at) {
            return Step::OutOfOrder;
        }
        self.seen_at = Some(sighting.at);
        let is_other = |known: &Option<String>, seen: &Option<String>| matches!((known, seen), (Some(known), Some(seen)) if known != seen);
        let is_other_life = is_other(&self.uid, &sighting.uid);
        let is_other_boot = is_other(&self.boot, &sighting.boot);
        if is_other_life || is_other_boot || self.is_gone {
            // Of an earlier life or boot nothing is known to hold still.
            (self.image, self.is_ready, self.is_gone) = (None, None, false);
            if is_other_life {
                (self.is_cordoned, self.is_quarantined, self.boot) = (false, false, None);
            }
        }
        let take = |known: &mut Option<String>, seen: &Option<String>| {
            if seen.is_some() {
                known.clone_from(seen);
            }
        };
        take(&mut self.uid, &sighting.uid);
        take(&mut self.boot, &sighting.boot);
        if sighting.image.is_some() {
            self.image.clone_from(&sighting.image);
        }
        self.is_ready = sighting.is_ready.or(self.is_ready);
        self.is_cordoned = sighting.is_cordoned.unwrap_or(self.is_cordoned);
        self.is_quarantined = sighting.is_quarantined.unwrap_or(self.is_quarantined);
        self.is_remade = self.planned.as_ref().is_some_and(|planned| {
            // A node that booted from its old disk was not reimaged; it was restarted.
            let is_restarted = self.image.is_some() && self.image == planned.image;
            is_other(&planned.uid, &self.uid)
                || (is_other(&planned.boot, &self.boot) && !is_restarted)
        });
        self.turn(sighting.at, target)
    }

    pub(super) fn lose(&mut self, at: Timestamp) -> Step {
        if self.seen_at.is_some_and(|seen_at| seen_at > at) {
            return Step::OutOfOrder;
        }
        (self.seen_at, self.is_gone) = (Some(at), true);
        match self.phase {
            Phase::Gone => Step::Same,
            _ => {
                (self.phase, self.since) = (Phase::Gone, Some(at));
                Step::Moved
            }
        }
    }

    fn turn(&mut self, at: Timestamp, target: &ImageLabel) -> Step {
        let phase = self.phase_now(target);
        if phase == self.phase {
            return Step::Same;
        }
        (self.phase, self.since) = (phase, Some(at));
        Step::Moved
    }

    fn phase_now(&self, target: &ImageLabel) -> Phase {
        if self.is_gone {
            return Phase::Gone;
        }
        if self.is_quarantined {
            return Phase::Quarantined;
        }
        if self.image.as_ref().is_some_and(|image| is_on(image, target)) {
            return Phase::Verified;
        }
        let is_ready = self.is_ready == Some(true);
        match (self.planned.is_some(), self.is_remade) {
            (false, _) if is_ready => Phase::Joined,
            (false, _) => Phase::Surged,
            (true, true) if is_ready => Phase::Joined,
            (true, true) => Phase::Reimaged,
            (true, false) if self.is_cordoned => Phase::Drained,
            (true, false) => Phase::Pending,
        }
    }
}
