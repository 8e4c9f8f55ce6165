//! How often a unit, or a process, was restarted of late. Between two crashes a looping
//! unit is active and well, so what systemd counts is compared from one look to the next.
//! The few runs that a history keeps would not do: a unit that loops changes with every
//! look, and four looks are two minutes.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::facts::{Process, RemarkableUnit, Unit};

/// Restarts longer ago than this are forgotten.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(20);

/// So many restarts within [`WINDOW`] are a loop. node-problem-detector's own files count
/// the same.
pub const LOOP: u32 = 5;

/// The restarts of one unit or process that were seen within [`WINDOW`]. Kept in memory
/// alone: after a restart of the aggregator the stored runs tell what they can.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restarts {
    /// The first look since which there was no gap as long as the window.
    first: Option<Timestamp>,
    /// The last look, and what was counted.
    last: Option<(Timestamp, Count)>,
    /// When a look saw how many, oldest first.
    seen: VecDeque<(Timestamp, u32)>,
}

/// What tells one start of a unit from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    /// Restarts by systemd since the last start by hand.
    restarts: u32,
    /// When its main process was started, in microseconds after boot; zero when never.
    started: u64,
    /// The process, where no unit tells: two may have been started within one second.
    pid: u32,
}

impl Count {
    const fn of(unit: &Unit) -> Self {
        Self { restarts: unit.restarts, started: unit.main_started_microseconds_after_boot, pid: 0 }
    }

    /// How often the unit was started anew since `before`.
    fn since(self, before: Self) -> u32 {
        if self.started < before.started {
            // Another boot: whatever is counted happened in it.
            return self.restarts;
        }
        match self.restarts.checked_sub(before.restarts) {
            Some(0) => {
                let is_later = self.started > before.started && before.started > 0;
                u32::from(is_later || self.pid != before.pid)
            }
            Some(more) => more,
            // A start by hand has set the count to zero.
            None => self.restarts.saturating_add(1),
        }
    }
}

impl Restarts {
    /// Compares the unit with what it was at the last look.
    pub fn observe(&mut self, unit: &Unit, at: Timestamp) {
        self.take(Count::of(unit), at);
    }

    /// Compares a process with the one of the last look, where nobody counts its restarts.
    pub fn observe_process(&mut self, process: &Process, at: Timestamp) {
        let started = process.started_seconds_after_boot.saturating_mul(1_000_000);
        self.take(Count { restarts: 0, started, pid: process.pid }, at);
    }

    fn take(&mut self, count: Count, at: Timestamp) {
        match self.last {
            Some((last, before)) if at.duration_since(last) < WINDOW => {
                let restarts = count.since(before);
                if restarts > 0 {
                    self.seen.push_back((at, restarts));
                }
            }
            // Nobody looked for so long: when it was restarted meanwhile cannot be said.
            _ => self.first = Some(at),
        }
        self.last = Some((at, count));
        while self.seen.front().is_some_and(|(seen, _)| at.duration_since(*seen) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Since when the unit has been looked at without such a gap.
    #[must_use]
    pub const fn watched_since(&self) -> Option<Timestamp> {
        self.first
    }

    /// How many restarts were seen in the window before `now`.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> u32 {
        self.recent(now).map(|(_, restarts)| restarts).fold(0, u32::saturating_add)
    }

    /// When the first of those was seen.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.recent(now).map(|(at, _)| at).next()
    }

    /// Until when the unit counts as looping if no more restarts come; none when there
    /// are too few of them.
    #[must_use]
    pub fn loops_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut count = 0u32;
        let newest_first = self.seen.iter().rev().filter(|(at, _)| is_recent(*at, now));
        newest_first.copied().find_map(|(at, restarts)| {
            count = count.saturating_add(restarts);
            (count >= LOOP).then(|| at.checked_add(WINDOW).unwrap_or(Timestamp::MAX))
        })
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, u32)> {
        self.seen.iter().copied().filter(move |(at, _)| is_recent(*at, now))
    }
}

/// The restarts of units that systemd tells of, by name. A unit without restarts is not told
/// of, and has had none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitRestarts {
    /// The last look at all units.
    last: Option<Timestamp>,
    units: BTreeMap<String, Restarts>,
}

impl UnitRestarts {
    /// Compares the units with what they were at the last look.
    pub fn observe(&mut self, units: &[RemarkableUnit], at: Timestamp) {
        let before = self.last.replace(at).filter(|last| at.duration_since(*last) < WINDOW);
        for unit in units.iter().filter(|unit| unit.restarts > 0) {
            let started = unit.main_started_microseconds_after_boot;
            let restarts = self.units.entry(unit.name.clone()).or_insert_with(|| {
                let mut restarts = Restarts::default();
                if let Some(before) = before {
                    restarts.take(Count { restarts: 0, started: 0, pid: 0 }, before);
                }
                restarts
            });
            restarts.take(Count { restarts: unit.restarts, started, pid: 0 }, at);
        }
        // One that was started by hand since is told of again once systemd restarts it.
        let is_told = |name: &String| units.iter().any(|unit| unit.name == *name);
        self.units.retain(|name, restarts| {
            is_told(name) || restarts.last.is_some_and(|(last, _)| is_recent(last, at))
        });
    }

    /// The restarts of one unit; none of one of which systemd has not told.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Restarts> {
        self.units.get(name)
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a small number of minutes")
    }

    fn count(restarts: u32, started: u64) -> Count {
        Count { restarts, started, pid: 0 }
    }

    #[test]
    fn restarts_are_what_systemd_counts_and_starts_by_hand() {
        for (before, after, restarts, what) in [
            (count(2, 100), count(2, 100), 0, "nothing happened"),
            (count(2, 100), count(5, 400), 3, "systemd restarted it"),
            (count(0, 100), count(0, 400), 1, "restarted by hand"),
            (count(7, 100), count(0, 400), 1, "restarted by hand, which resets the count"),
            (count(7, 100), count(2, 400), 3, "restarted by hand and twice by systemd"),
            (count(7, 900), count(0, 50), 0, "the node was rebooted"),
            (count(7, 900), count(4, 50), 4, "the node was rebooted and it loops"),
            (count(0, 0), count(0, 50), 0, "its first start"),
        ] {
            assert_eq!(after.since(before), restarts, "{what}");
        }
    }

    /// A unit that had been restarted so often at these minutes.
    fn watched(looks: &[(i64, u32)]) -> Restarts {
        let mut watched = Restarts::default();
        for (minute, restarts) in looks {
            let unit = Unit { restarts: *restarts, ..Unit::default() };
            watched.observe(&unit, at(*minute));
        }
        watched
    }

    #[test]
    fn only_restarts_between_looks_within_the_window_count() {
        let looks = watched(&[(0, 40), (1, 42), (2, 42), (10, 45)]);
        assert_eq!(looks.count(at(10)), 5);
        assert_eq!(looks.count(at(21)), 3);
        assert_eq!(looks.count(at(30)), 0);
        assert_eq!(looks.watched_since(), Some(at(0)));
    }

    #[test]
    fn of_a_process_each_start_that_is_seen_counts() {
        let mut watched = Restarts::default();
        for (minute, started) in [(0, 30), (1, 30), (2, 95), (3, 150), (4, 12), (5, 40)] {
            let process = Process {
                pid: 1,
                started_seconds_after_boot: started,
                executable: String::new(),
                executable_replaced: false,
            };
            watched.observe_process(&process, at(minute));
        }
        // The fourth minute was after another boot.
        assert_eq!(watched.count(at(5)), 3);
    }

    #[test]
    fn restarts_while_nobody_looked_are_not_taken_for_recent() {
        let looks = watched(&[(0, 0), (30, 50)]);
        assert_eq!((looks.count(at(30)), looks.watched_since()), (0, Some(at(30))));
        assert_eq!(watched(&[(0, 0), (30, 50), (31, 52)]).count(at(31)), 2);
    }

    /// Units of which systemd tells so many restarts.
    fn told(units: &[(&str, u32, u64)]) -> Vec<RemarkableUnit> {
        let unit = |(name, restarts, started): &(&str, u32, u64)| RemarkableUnit {
            name: (*name).to_owned(),
            restarts: *restarts,
            main_started_microseconds_after_boot: *started,
            ..RemarkableUnit::default()
        };
        units.iter().map(unit).collect()
    }

    #[test]
    fn a_unit_that_was_not_told_of_had_no_restarts() {
        let mut all = UnitRestarts::default();
        all.observe(&told(&[("old", 40, 7)]), at(0));
        all.observe(&told(&[("old", 40, 7), ("new", 6, 100)]), at(1));
        let count = |all: &UnitRestarts, name| all.of(name).map(|one| one.count(at(2)));
        assert_eq!((count(&all, "old"), count(&all, "new")), (Some(0), Some(6)));
        // Started by hand, which sets the count to zero, and restarted once since.
        all.observe(&told(&[("old", 40, 7)]), at(2));
        assert_eq!(count(&all, "new"), Some(6));
        all.observe(&told(&[("new", 1, 300)]), at(3));
        assert_eq!(all.of("new").map(|one| one.count(at(3))), Some(8));
        // After a day the one that is no longer told of is forgotten.
        all.observe(&told(&[("new", 1, 300)]), at(24 * 60));
        assert_eq!(
            (count(&all, "old"), all.of("new").map(|one| one.count(at(24 * 60)))),
            (None, Some(0))
        );
    }

    #[test]
    fn a_loop_lasts_until_too_few_restarts_are_left() {
        assert_eq!(watched(&[(0, 0), (1, 4)]).loops_until(at(1)), None);
        let looks = watched(&[(0, 0), (1, 2), (5, 4), (6, 5)]);
        assert_eq!((looks.since(at(7)), looks.loops_until(at(7))), (Some(at(1)), Some(at(21))));
        assert_eq!(looks.loops_until(at(21)), None);
    }
}
