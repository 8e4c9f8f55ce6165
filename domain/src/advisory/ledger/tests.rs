//! Tests of the ledger of dates.

use proptest::prelude::*;

use super::*;
use crate::advisory::AliasId;

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + day * 86_400).expect("a moment")
}

fn revision(day: i64) -> Revision {
    Revision { as_of: at(day), name: Arc::from(format!("of day {day}")) }
}

fn key(source: &str) -> FixKey {
    FixKey {
        stream: Stream::of_os_release("azurelinux", "3.0"),
        source: Arc::from(source),
        fixed: Arc::from("0:1.0-2.azl3"),
        subject: AliasId::of("CVE-2025-0001"),
    }
}

fn advisory(day: i64) -> Option<Dated> {
    Some(Dated { at: at(day), kind: DateKind::Advisory })
}

fn changelog(day: i64) -> Option<Dated> {
    Some(Dated { at: at(day), kind: DateKind::Changelog })
}

/// What one feed said of the fix in revisions of those days.
fn ledger(said: &[(i64, &[Option<Dated>])]) -> Ledger {
    let mut ledger = Ledger::default();
    for (day, dates) in said {
        let fixes = dates.iter().map(|dated| (key("openssh"), *dated));
        ledger.record(&Arc::from("oval"), Extent::Whole, &revision(*day), None, fixes);
    }
    ledger
}

fn published(ledger: &Ledger) -> (Timestamp, DateKind) {
    let published = ledger.published(&key("openssh")).expect("a date");
    (published.at, published.kind)
}

#[test]
fn a_date_that_moves_never_makes_a_fix_younger_and_is_logged() {
    let ledger =
        ledger(&[(0, &[]), (10, &[advisory(9)]), (20, &[advisory(15)]), (30, &[advisory(9)])]);
    assert_eq!(published(&ledger), (at(9), DateKind::Advisory));
    let moves = ledger.moves(&key("openssh"));
    let of = |day: i64| Stated::Dated(advisory(day).expect("dated"));
    let seen: Vec<_> = moves.iter().map(|one| (one.revision.as_of, one.from, one.to)).collect();
    assert_eq!(seen, [(at(20), of(9), of(15)), (at(30), of(15), of(9))]);
}

#[test]
fn a_date_that_moves_back_makes_a_fix_older() {
    let ledger = ledger(&[(0, &[]), (10, &[advisory(9)]), (20, &[advisory(2)])]);
    assert_eq!(published(&ledger), (at(2), DateKind::Advisory));
}

#[test]
fn a_fix_without_a_date_counts_from_the_revision_that_first_had_it() {
    assert_eq!(published(&ledger(&[(0, &[]), (10, &[None])])), (at(10), DateKind::FirstSeen));
    // It was there before its later date.
    let late = ledger(&[(0, &[]), (10, &[None]), (20, &[advisory(18)])]);
    assert_eq!(published(&late), (at(10), DateKind::FirstSeen));
    // How long it has been there the first revision cannot tell.
    assert_eq!(published(&ledger(&[(10, &[None])])), (at(10), DateKind::Baseline));
}

#[test]
fn what_vanishes_keeps_its_date_and_is_logged() {
    let ledger = ledger(&[(0, &[]), (10, &[advisory(9)]), (20, &[])]);
    assert_eq!(published(&ledger), (at(9), DateKind::Advisory));
    assert_eq!(ledger.moves(&key("openssh")).last().map(|one| one.to), Some(Stated::Absent));
}

#[test]
fn a_changelog_counts_only_where_no_advisory_is_dated() {
    let changelogs = |ledger: &mut Ledger| {
        let fixes = [(key("openssh"), changelog(3))];
        ledger.record(&Arc::from("changelogs"), Extent::Part, &revision(30), None, fixes);
    };
    let mut alone = Ledger::default();
    changelogs(&mut alone);
    assert_eq!(published(&alone), (at(3), DateKind::Changelog));
    let mut with_advisory = ledger(&[(0, &[]), (10, &[advisory(9)])]);
    changelogs(&mut with_advisory);
    assert_eq!(published(&with_advisory), (at(9), DateKind::Advisory));
    // It stays to be seen.
    assert!(with_advisory.dates(&key("openssh")).iter().any(|date| date.at == at(3)));
}

#[test]
fn a_stamp_of_when_the_feed_began_is_at_least_so_old() {
    let mut ledger = Ledger::default();
    let fixes = [(key("openssh"), advisory(0))];
    ledger.record(&Arc::from("oval"), Extent::Whole, &revision(5), Some(at(0)), fixes);
    assert_eq!(published(&ledger), (at(0), DateKind::Baseline));
}

#[test]
fn of_two_statements_in_one_revision_the_earlier_counts() {
    assert_eq!(
        published(&ledger(&[(0, &[]), (10, &[advisory(8), None, advisory(4)])])),
        (at(4), DateKind::Advisory)
    );
}

/// Revisions by day, each with what it says of three fixes.
fn revisions() -> impl Strategy<Value = Vec<(i64, [Option<Option<i64>>; 3])>> {
    let stated =
        prop_oneof![Just(None), Just(Some(None)), (0_i64..4).prop_map(|day| Some(Some(day)))];
    let revision = (0_i64..12, [stated.clone(), stated.clone(), stated]);
    prop::collection::vec(revision, 0..10).prop_map(|list| {
        // A revision is named by what it says, so one day has one.
        list.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
    })
}

fn record(
    ledger: &mut Ledger,
    extent: Extent,
    day: i64,
    said: &[Option<Option<i64>>; 3],
) -> Vec<Entry> {
    let fixes = ["a", "b", "c"]
        .into_iter()
        .zip(said)
        .filter_map(|(source, stated)| Some((key(source), (*stated)?.and_then(advisory))));
    ledger.record(&Arc::from("feed"), extent, &revision(day), None, fixes)
}

proptest! {
    #[test]
    fn revisions_in_any_order_and_more_than_once_make_the_same_ledger(
        (ordered, shuffled, again) in revisions().prop_flat_map(|list| {
            (Just(list.clone()), Just(list.clone()).prop_shuffle(), Just(list).prop_shuffle())
        }),
        extent in prop_oneof![Just(Extent::Whole), Just(Extent::Part)],
    ) {
        let mut one = Ledger::default();
        ordered.iter().for_each(|(day, said)| {
            record(&mut one, extent, *day, said);
        });
        let mut other = Ledger::default();
        shuffled.iter().chain(&again).for_each(|(day, said)| {
            record(&mut other, extent, *day, said);
        });
        // A fix that no revision has leaves no trace that differs.
        prop_assert_eq!(&one, &other);
    }

    #[test]
    fn what_is_stored_of_each_revision_makes_the_ledger_again(
        (recorded, stored) in revisions().prop_shuffle().prop_flat_map(|list| {
            let places: Vec<usize> = (0..list.len()).collect();
            (Just(list), Just(places).prop_shuffle())
        }),
        extent in prop_oneof![Just(Extent::Whole), Just(Extent::Part)],
    ) {
        let mut ledger = Ledger::default();
        let all: Vec<Recorded> = recorded
            .iter()
            .map(|(day, said)| Recorded {
                feed: Arc::from("feed"),
                extent,
                revision: revision(*day),
                baseline_until: None,
                entries: record(&mut ledger, extent, *day, said),
            })
            .collect();
        let restored = Ledger::restored(stored.iter().map(|place| all[*place].clone()));
        prop_assert_eq!(ledger, restored);
    }

    #[test]
    fn another_revision_never_makes_a_fix_younger(list in revisions().prop_shuffle()) {
        let mut ledger = Ledger::default();
        let mut before: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (day, said) in &list {
            record(&mut ledger, Extent::Whole, *day, said);
            for source in ["a", "b", "c"] {
                let Some(published) = ledger.published(&key(source)) else { continue };
                if let Some(earlier) = before.insert(source, published.at) {
                    prop_assert!(published.at <= earlier, "{} {}", source, published.at);
                }
            }
        }
    }

    #[test]
    fn the_ledger_remembers_every_change_between_neighbours(list in revisions()) {
        let mut ledger = Ledger::default();
        list.iter().rev().for_each(|(day, said)| {
            record(&mut ledger, Extent::Whole, *day, said);
        });
        let stated = |said: &Option<Option<i64>>| match said {
            None => Stated::Absent,
            Some(None) => Stated::Undated,
            Some(Some(day)) => Stated::Dated(advisory(*day).expect("dated")),
        };
        let mut changes = Vec::new();
        let mut before = Stated::Absent;
        for (day, said) in &list {
            let now = stated(&said[0]);
            if now != before {
                changes.push((at(*day), before, now));
            }
            before = now;
        }
        let moves: Vec<_> = ledger
            .moves(&key("a"))
            .iter()
            .map(|one| (one.revision.as_of, one.from, one.to))
            .collect();
        // The first of them is that it came, which is no move.
        prop_assert_eq!(&moves[..], changes.get(1..).unwrap_or_default());
    }
}
