//! What an inventory says of a row, and what that means on one of its nodes, where the same
//! fix may be another one's turn.

use super::ScanVerdict;
use super::tally::Found;
use super::words::Ground;
use crate::advisory::Silence;
use crate::fixes::Lack;
use crate::fixes::node::Judged;
use crate::matching::{FixId, Standing};

/// What is known of a row, whoever's turn it may be.
pub(super) enum Known<'f> {
    /// These are lacking, by their places among what was assessed.
    Lacking(Vec<usize>),
    /// That has no fix for the node, or cannot be read; by its place there.
    Open(usize),
    /// The installed version has that fix.
    Fixed(usize, FixId),
    /// That fix is of other versions.
    OutOfRange(usize, FixId),
    /// Nothing is stated.
    Nothing(usize),
    /// Advisories do not go by such names.
    NoName(usize),
    /// No advisory covers it, or its version cannot be read: as it stands with the source.
    NotJudged(usize),
    /// It goes along with another kernel than the one that runs; and what that one lacks.
    GoesAlong { source: usize, running: Option<usize>, lacks: Option<FixId> },
    /// It belongs to a kernel, and which one runs is not known.
    NoKernel(usize),
    /// It is there in those versions.
    Versions(Vec<&'f str>),
}

impl<'f> Known<'f> {
    /// Of all that is known of the row on a node, what matters most there.
    pub(super) fn best(known: &[Self], judged: &'f Judged<'f>) -> Option<Found<'f>> {
        known.iter().filter_map(|one| one.on(judged)).min_by_key(Found::order)
    }

    /// How it stands on a node of the inventory.
    fn on(&self, judged: &'f Judged<'f>) -> Option<Found<'f>> {
        let source = |place: &usize| judged.matched.sources.get(*place);
        let turned = |place: &usize| {
            let turned = judged.assessed.turned.get(*place)?;
            let verdict = match (turned.lack, &turned.answer.turn) {
                (Lack::Missing(_), Some(_)) => ScanVerdict::AgreeMissing,
                (Lack::Missing(_), None) => ScanVerdict::Mitigated,
                (Lack::Unfixed(_), _) => ScanVerdict::NoFix,
                (Lack::OtherTier(_), _) => ScanVerdict::OtherTier,
                (Lack::Unreadable(_), _) => ScanVerdict::Unknown,
            };
            Some(Found { verdict, ground: Ground::Turned(judged, turned) })
        };
        let found = |verdict, ground| Some(Found { verdict, ground });
        match self {
            Self::Lacking(places) => places.iter().filter_map(turned).min_by_key(Found::order),
            Self::Open(place) => turned(place),
            Self::Fixed(place, fix) => {
                found(ScanVerdict::FixedAlready, Ground::Fixed(judged, source(place)?, *fix))
            }
            Self::OutOfRange(place, fix) => {
                found(ScanVerdict::NotAffected, Ground::OutOfRange(judged, source(place)?, *fix))
            }
            Self::Nothing(place) => {
                let verdict = match &judged.assessed.silence {
                    Silence::NothingMissing { .. } => ScanVerdict::NotAffected,
                    Silence::Unknown(_) => ScanVerdict::Unknown,
                };
                found(verdict, Ground::Nothing(judged, source(place)?))
            }
            Self::NoName(place) => {
                found(ScanVerdict::Unknown, Ground::NoName(judged, source(place)?))
            }
            Self::NotJudged(place) => {
                let source = source(place)?;
                let verdict = match source.standing {
                    Standing::NotCovered(_) | Standing::Upstream(_) => ScanVerdict::NotCovered,
                    _ => ScanVerdict::Unknown,
                };
                found(verdict, Ground::NotJudged(judged, source))
            }
            Self::GoesAlong { source: place, running, lacks } => {
                let running = running.as_ref().and_then(source);
                let ground = Ground::GoesAlong(judged, source(place)?, running, *lacks);
                found(ScanVerdict::NotRunning, ground)
            }
            Self::NoKernel(place) => {
                found(ScanVerdict::Unknown, Ground::NoKernel(judged, source(place)?))
            }
            Self::Versions(versions) => {
                found(ScanVerdict::OtherVersion, Ground::Versions(versions.clone()))
            }
        }
    }
}
