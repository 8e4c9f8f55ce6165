//! Waves: which pools go at the same time, and when. A wave's pools begin together; the next
//! wave begins when all of them may be over. No wave is put where the shortest time that it
//! takes does not fit into what is left of a window; what the provider does beyond that end,
//! it does by its own rules.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::judge::PotOf;
use super::order::Candidate;
use super::window::Opening;

/// What waves are bound by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Nodes that may be out of use at a time, of all pools together.
    pub(super) cap: u32,
    /// Pools of one cluster at a time.
    pub(super) per_cluster: u32,
    /// How long to wait behind the canary.
    pub(super) soak: SignedDuration,
}

/// A wave with its time.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) is_canary: bool,
    /// By index, in their order.
    pub(super) pools: Vec<usize>,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) window: Opening,
}

/// Why a pool got no wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Its target turns too old before it would be over.
    Deadline,
    /// No window is left.
    NoWindow,
}

/// Waves in their order, and the pools, by index, that got none.
pub(super) fn schedule(
    canaries: Vec<Candidate<'_>>,
    rest: Vec<Candidate<'_>>,
    bounds: &Bounds,
    openings: &[Opening],
) -> (Vec<Timed>, Vec<(usize, Late)>) {
    let mut placing = Placing { openings, next: 0, cursor: Timestamp::MIN, late: Vec::new() };
    let mut waves = Vec::new();
    for pools in packed(canaries, bounds) {
        waves.extend(placing.place(pools, true));
    }
    if !waves.is_empty() {
        placing.cursor = placing.cursor.checked_add(bounds.soak).unwrap_or(Timestamp::MAX);
    }
    for pools in packed(rest, bounds) {
        waves.extend(placing.place(pools, false));
    }
    (waves, placing.late)
}

struct Placing<'o> {
    openings: &'o [Opening],
    /// The first opening that is not over.
    next: usize,
    /// Nothing begins before.
    cursor: Timestamp,
    late: Vec<(usize, Late)>,
}

impl Placing<'_> {
    fn place(&mut self, mut pools: Vec<Candidate<'_>>, is_canary: bool) -> Option<Timed> {
        // Without its late pools a wave is shorter, and begins no later.
        loop {
            let length = pools.iter().map(|pool| pool.at_least).max()?;
            let Some((starts_at, ends_at, window)) = self.fit(length) else {
                // A shorter pool of the wave may still find a window.
                let (longest, shorter): (Vec<_>, Vec<_>) =
                    pools.into_iter().partition(|pool| pool.at_least == length);
                self.late.extend(longest.iter().map(|pool| (pool.index, Late::NoWindow)));
                pools = shorter;
                continue;
            };
            let is_late = |pool: &Candidate<'_>| {
                let end = starts_at.checked_add(pool.at_least).unwrap_or(Timestamp::MAX);
                pool.deadline.is_some_and(|deadline| end >= deadline)
            };
            let (late, in_time): (Vec<_>, Vec<_>) = pools.into_iter().partition(is_late);
            if late.is_empty() {
                self.cursor = ends_at;
                let pools = in_time.iter().map(|pool| pool.index).collect();
                return Some(Timed { is_canary, pools, starts_at, ends_at, window });
            }
            self.late.extend(late.iter().map(|pool| (pool.index, Late::Deadline)));
            pools = in_time;
        }
    }

    fn fit(&mut self, length: SignedDuration) -> Option<(Timestamp, Timestamp, Opening)> {
        while self.openings.get(self.next)?.closes_at <= self.cursor {
            self.next += 1;
        }
        self.openings.get(self.next..)?.iter().find_map(|opening| {
            let starts_at = opening.opens_at.max(self.cursor);
            let ends_at = starts_at.checked_add(length).ok()?;
            (ends_at <= opening.closes_at).then_some((starts_at, ends_at, *opening))
        })
    }
}

/// What pools of one wave share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'a> {
    Disruption,
    Cluster(&'a str),
    Pot(PotOf, &'a str),
}

/// How much of something a pool takes, and how much there is of it in a wave.
type Take<'a> = (Shared<'a>, u64, u64);

fn takes<'a>(pool: &Candidate<'a>, bounds: &Bounds) -> Vec<Take<'a>> {
    let mut takes = vec![
        (Shared::Disruption, u64::from(pool.batch), u64::from(bounds.cap)),
        (Shared::Cluster(&pool.key.cluster), 1, u64::from(bounds.per_cluster)),
    ];
    takes.extend(
        pool.draws.iter().map(|draw| {
            (Shared::Pot(draw.of, draw.pot), u64::from(draw.needs), u64::from(draw.left))
        }),
    );
    takes
}

/// Each pool goes into the first wave that has room for it in everything that it takes. Room
/// only shrinks: for one amount of one thing, a wave that was full stays so, and is never looked
/// at again.
fn packed<'a>(pools: Vec<Candidate<'a>>, bounds: &Bounds) -> Vec<Vec<Candidate<'a>>> {
    let mut waves: Vec<Vec<Candidate<'a>>> = Vec::new();
    let mut taken: Vec<BTreeMap<Shared<'a>, u64>> = Vec::new();
    let mut first_with_room: BTreeMap<Take<'a>, usize> = BTreeMap::new();
    for pool in pools {
        let takes = takes(&pool, bounds);
        let mut wave = 0;
        loop {
            let before = wave;
            for take in &takes {
                let (shared, amount, limit) = take;
                let first = first_with_room.entry(*take).or_insert(0);
                let has_room = |at: usize| {
                    let used = taken.get(at).and_then(|of_wave| of_wave.get(shared));
                    // Alone it has room everywhere: what is too much for a wave is blocked.
                    used.is_none_or(|used| used.saturating_add(*amount) <= *limit)
                };
                while !has_room(*first) {
                    *first += 1;
                }
                wave = wave.max(*first);
                while !has_room(wave) {
                    wave += 1;
                }
            }
            if wave == before {
                break;
            }
        }
        if wave >= waves.len() {
            waves.resize_with(wave + 1, Vec::new);
            taken.resize_with(wave + 1, BTreeMap::new);
        }
        for (shared, amount, _) in takes {
            *taken[wave].entry(shared).or_insert(0) += amount;
        }
        waves[wave].push(pool);
    }
    waves
}
