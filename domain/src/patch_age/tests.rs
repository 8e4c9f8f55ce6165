//! Tests of whose turn it is: every point of the space, the cells by their stories, and the
//! instants around the line.

use super::*;
use crate::policy::DEFAULT_EDITION;

const NEWEST: &str = "202611.20.0";

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a moment")
}

fn policy(edition: &str) -> Policy {
    Policy::edition(edition).expect("a shipped edition")
}

fn ago(age: SignedDuration) -> Timestamp {
    now().checked_sub(age).expect("in range")
}

const DAYS_30: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A fix of 31 days that nothing special is known of.
fn fixed() -> Fixed {
    Fixed {
        package: Arc::from("openssl"),
        version: Some(Arc::from("3.0.2-0ubuntu1.21")),
        published: Some((ago(DAYS_30 + SignedDuration::from_hours(24)), DateKind::Advisory)),
        is_on_disk: false,
    }
}

/// A node on the newest image of AKS that lacks that fix.
fn situation() -> Situation<'static> {
    Situation {
        platform: Platform::Aks,
        known: Known::Fixed(fixed()),
        reboot_by: None,
        shipped: Shipped::ByImage,
        line: ImageLine::Alive,
        offered: offered(false, true),
        channel: None,
    }
}

/// Few are made, and each lives as long as the tests.
fn offered(has_fix: bool, is_on_newest: bool) -> &'static Offered {
    let newest = NEWEST.to_owned();
    let offered =
        Offered::Known { with_fix: has_fix.then(|| newest.clone()), newest, is_on_newest };
    Box::leak(Box::new(offered))
}

fn update() -> Action {
    let to = fixed().version.map(|version| version.to_string());
    Action::UpdatePackage { package: "openssl".to_owned(), to }
}

fn upgrade() -> Action {
    Action::UpgradeImage { to: Some(NEWEST.to_owned()) }
}

fn unknown(missing: &str) -> Responsible {
    Responsible::Unknown { missing: missing.to_owned() }
}

/// Who acts, and what; none when there is no finding.
fn turn(situation: &Situation<'_>, edition: &str) -> Option<(Responsible, Action)> {
    let turn = answer(situation, &policy(edition), now()).turn?;
    Some((turn.responsible, turn.action))
}

/// The step of the design, a situation, and whose turn it is.
type Cell<'a> = (u8, Situation<'a>, Option<(Responsible, Action)>);

#[test]
fn the_eleven_cells() {
    let by = Automation::NodeOsChannel;
    let waits = || Action::Wait { until: None };
    let automation = || (Responsible::Automation { by }, waits());
    let customer = |action: Action| (Responsible::Customer, action);
    let young = Fixed { published: Some((now(), DateKind::Advisory)), ..fixed() };
    let until = now().checked_add(DAYS_30).expect("in range");
    let on_disk = Known::Fixed(Fixed { is_on_disk: true, ..fixed() });
    let cells: Vec<Cell<'_>> = vec![
        (
            1,
            Situation { known: Known::Unreadable("version".to_owned()), ..situation() },
            Some((
                unknown("version"),
                Action::Investigate { at: "the package's version".to_owned() },
            )),
        ),
        (2, Situation { known: Known::NotAffected, ..situation() }, None),
        (2, Situation { known: Known::Withdrawn, ..situation() }, None),
        (2, Situation { known: Known::Mitigated("blocked".to_owned()), ..situation() }, None),
        (
            3,
            Situation { known: Known::Unfixed(Unfixed::WontFix), ..situation() },
            Some((Responsible::Vendor, waits())),
        ),
        (4, Situation { known: on_disk.clone(), ..situation() }, Some(customer(Action::Reboot))),
        (
            4,
            Situation { known: on_disk, reboot_by: Some(Automation::Kured), ..situation() },
            Some((Responsible::Automation { by: Automation::Kured }, waits())),
        ),
        (
            5,
            Situation { known: Known::Fixed(young), ..situation() },
            Some((Responsible::NobodyYet { until }, Action::Wait { until: Some(until) })),
        ),
        (6, Situation { shipped: Shipped::Later, ..situation() }, Some(customer(update()))),
        (
            7,
            Situation { line: ImageLine::Frozen, ..situation() },
            Some(customer(Action::MigrateOsSku)),
        ),
        (
            8,
            Situation { offered: offered(true, false), channel: Some(by), ..situation() },
            Some(automation()),
        ),
        (8, Situation { offered: offered(true, false), ..situation() }, Some(customer(upgrade()))),
        (9, Situation { offered: offered(false, false), ..situation() }, Some(customer(upgrade()))),
        (10, situation(), Some((Responsible::Provider, Action::HandIn))),
        (
            11,
            Situation { offered: &Offered::Unknown, ..situation() },
            Some((
                unknown("offered image"),
                Action::Investigate { at: "the images offered to the pool".to_owned() },
            )),
        ),
    ];
    for (cell, situation, expected) in cells {
        assert_eq!(turn(&situation, DEFAULT_EDITION), expected, "cell {cell}");
    }
}

#[test]
fn at_exactly_thirty_days_it_is_still_nobodys() {
    let second = SignedDuration::from_secs(1);
    for (age, step) in [
        (DAYS_30 - second, Step::Young),
        (DAYS_30, Step::Young),
        (DAYS_30 + SignedDuration::from_nanos(1), Step::HandIn),
        (DAYS_30 + second, Step::HandIn),
        // The package was on the node before its notice.
        (SignedDuration::from_hours(-100), Step::Young),
    ] {
        let published = Some((ago(age), DateKind::Advisory));
        let known = Known::Fixed(Fixed { published, ..fixed() });
        let given = answer(&Situation { known, ..situation() }, &policy(DEFAULT_EDITION), now());
        assert_eq!(given.step, step, "{age:?}");
        if step == Step::Young {
            let turn = given.turn.expect("a turn");
            let crossing = ago(age).checked_add(DAYS_30).expect("in range");
            assert_eq!(turn.valid_until, Some(crossing));
            assert_eq!(turn.responsible, Responsible::NobodyYet { until: crossing });
        }
    }
    assert_eq!(age(ago(SignedDuration::from_hours(-100)), now()), SignedDuration::ZERO);
}

#[test]
fn what_is_at_least_so_old_is_over_when_that_is_over_and_unknown_before() {
    let of = |age, kind| {
        let known = Known::Fixed(Fixed { published: Some((ago(age), kind)), ..fixed() });
        answer(&Situation { known, ..situation() }, &policy(DEFAULT_EDITION), now())
    };
    let day = SignedDuration::from_hours(24);
    assert_eq!(of(DAYS_30 + day, DateKind::Baseline).step, Step::HandIn);
    let young = of(DAYS_30 - day, DateKind::Baseline);
    assert_eq!(young.step, Step::Undated);
    // It need not be asked again before it is over for certain.
    assert_eq!(young.turn.expect("a turn").valid_until, now().checked_add(day).ok());
    assert_eq!(of(DAYS_30 - day, DateKind::FirstSeen).step, Step::Young);
}

#[test]
fn a_node_without_a_provider_is_updated_by_its_operator() {
    for platform in [Platform::Kubernetes, Platform::Plain] {
        let plain = Situation { platform, ..situation() };
        assert_eq!(turn(&plain, DEFAULT_EDITION), Some((Responsible::Customer, update())));
        let unfixed = Situation { known: Known::Unfixed(Unfixed::Pending), ..plain.clone() };
        assert_eq!(answer(&unfixed, &policy(DEFAULT_EDITION), now()).step, Step::NoFix);
        let known = Known::Fixed(Fixed { is_on_disk: true, ..fixed() });
        let waiting = Situation { known, ..plain };
        assert_eq!(answer(&waiting, &policy(DEFAULT_EDITION), now()).step, Step::NotRunning);
    }
}

#[test]
fn without_the_rule_nothing_is_claimed_of_the_provider() {
    let old = "aks-2020";
    assert_eq!(policy(old).patch_age_limit(), None);
    assert_eq!(answer(&situation(), &policy(old), now()).step, Step::NoRule);
    // What the customer has to do in any case is his.
    let image = Situation { offered: offered(true, false), ..situation() };
    assert_eq!(turn(&image, old), Some((Responsible::Customer, upgrade())));
}

#[test]
fn silence_is_nothing_missing_only_where_a_feed_is_complete_and_fresh() {
    let of = |silence| Situation { known: Known::Nothing(silence), ..situation() };
    let complete = Silence::NothingMissing { as_of: now(), valid_until: now() };
    assert_eq!(turn(&of(complete), DEFAULT_EDITION), None);
    let partial = of(Silence::Unknown("partial feed starter".to_owned()));
    let turn = answer(&partial, &policy(DEFAULT_EDITION), now()).turn.expect("unknown");
    assert_eq!(turn.responsible, unknown("partial feed starter"));
}

/// Every point of the space.
fn space() -> Vec<Situation<'static>> {
    let second = SignedDuration::from_secs(1);
    let mut known = vec![
        Known::Nothing(Silence::NothingMissing { as_of: now(), valid_until: now() }),
        Known::Nothing(Silence::Unknown("stale".to_owned())),
        Known::Nothing(Silence::Unknown("partial feed".to_owned())),
        Known::Unreadable("version".to_owned()),
        Known::NotAffected,
        Known::Withdrawn,
        Known::Mitigated("blocked".to_owned()),
        Known::Unfixed(Unfixed::Pending),
        Known::OtherTier("pro".to_owned()),
        Known::Fixed(Fixed { published: None, ..fixed() }),
    ];
    for age in [SignedDuration::ZERO, DAYS_30 - second, DAYS_30, DAYS_30 + second] {
        for kind in
            [DateKind::Advisory, DateKind::Changelog, DateKind::FirstSeen, DateKind::Baseline]
        {
            for is_on_disk in [false, true] {
                let published = Some((ago(age), kind));
                known.push(Known::Fixed(Fixed { published, is_on_disk, ..fixed() }));
            }
        }
    }
    let offers = [
        &Offered::Unknown,
        offered(false, false),
        offered(false, true),
        offered(true, false),
        offered(true, true),
    ];
    let platforms = [Platform::Aks, Platform::Kubernetes, Platform::Plain, Platform::Unknown];
    let mut space = Vec::new();
    for platform in platforms {
        for known in &known {
            for reboot_by in [None, Some(Automation::Kured)] {
                for shipped in [Shipped::ByImage, Shipped::Later, Shipped::Unknown] {
                    for line in [ImageLine::Alive, ImageLine::Frozen, ImageLine::Retired] {
                        for offered in offers {
                            for channel in [None, Some(Automation::NodeOsChannel)] {
                                space.push(Situation {
                                    platform,
                                    known: known.clone(),
                                    reboot_by,
                                    shipped,
                                    line,
                                    offered,
                                    channel,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    space
}

/// The steps as a list of conditions, of which the first that holds decides: written down
/// once more, so that the order of the code is held against that of the design.
fn by_list(situation: &Situation<'_>, has_rule: bool) -> Step {
    let is_aks = situation.platform == Platform::Aks;
    let fixed = match &situation.known {
        Known::Fixed(fixed) => Some(fixed),
        _ => None,
    };
    let age = fixed.and_then(|fixed| fixed.published).map(|(published, _)| age(published, now()));
    let is_young = age.is_some_and(|age| age <= DAYS_30);
    let is_at_least =
        fixed.and_then(|fixed| fixed.published).is_some_and(|(_, kind)| kind == DateKind::Baseline);
    let has_fix = matches!(situation.offered, Offered::Known { with_fix: Some(_), .. });
    let is_on_newest = matches!(situation.offered, Offered::Known { is_on_newest: true, .. });
    let conditions = [
        (
            matches!(situation.known, Known::Nothing(Silence::Unknown(_)) | Known::Unreadable(_)),
            Step::Unreadable,
        ),
        (
            matches!(
                situation.known,
                Known::Nothing(_) | Known::NotAffected | Known::Withdrawn | Known::Mitigated(_)
            ),
            Step::NoFinding,
        ),
        (matches!(situation.known, Known::Unfixed(_) | Known::OtherTier(_)), Step::NoFix),
        (fixed.is_some_and(|fixed| fixed.is_on_disk), Step::NotRunning),
        (matches!(situation.platform, Platform::Kubernetes | Platform::Plain), Step::NoProvider),
        (!is_aks, Step::PlatformUnknown),
        (has_rule && age.is_none(), Step::Undated),
        (has_rule && is_young && is_at_least, Step::Undated),
        (has_rule && is_young, Step::Young),
        (situation.shipped == Shipped::Later, Step::NotShipped),
        (situation.line != ImageLine::Alive, Step::LineEnded),
        (has_fix, Step::OfferedImage),
        (!has_rule, Step::NoRule),
        (*situation.offered == Offered::Unknown, Step::OfferedUnknown),
        (!is_on_newest, Step::NotOnNewest),
        (situation.shipped == Shipped::Unknown, Step::ShippedUnknown),
        (true, Step::HandIn),
    ];
    conditions.into_iter().find(|(holds, _)| *holds).expect("the last one holds").1
}

// The page of proof tells how many points there were.
#[allow(clippy::disallowed_macros, clippy::print_stdout)]
#[test]
fn every_point_of_the_space_has_exactly_the_one_answer_that_the_order_gives() {
    let space = space();
    assert_eq!(space.len(), 4 * 42 * 2 * 3 * 3 * 5 * 2);
    let editions = [DEFAULT_EDITION, "aks-2020"];
    for edition in editions {
        let policy = policy(edition);
        let has_rule = policy.patch_age_limit().is_some();
        for situation in &space {
            let given = answer(situation, &policy, now());
            assert_eq!(given.step, by_list(situation, has_rule), "{edition} {situation:?}");
            assert_eq!(given.turn.is_none(), given.step == Step::NoFinding, "{situation:?}");
            let Some(turn) = given.turn else { continue };
            // The provider is asked for one thing only, and by no edition without the line.
            let asks = turn.responsible == Responsible::Provider;
            assert_eq!(asks, given.step == Step::HandIn && has_rule, "{situation:?}");
            assert_eq!(asks, turn.action == Action::HandIn, "{situation:?}");
            // Nothing is waited for that has no end but what others do by themselves.
            if let Responsible::NobodyYet { until } = turn.responsible {
                assert!(now() <= until && turn.valid_until == Some(until), "{situation:?}");
            }
        }
    }
    println!("{} points under {} editions have one answer each", space.len(), editions.len());
}
