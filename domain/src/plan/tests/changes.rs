//! A plan judged again: what has changed since.

use super::*;

fn changed(change: fn(&mut PoolInput)) -> Check {
    let before = pool("prod", "apps", 4);
    let plan = planned(&request(), std::slice::from_ref(&before));
    let mut after = before;
    change(&mut after);
    check(&plan, &[after], &policy(), at("2026-07-23T11:59:00Z"))
}

#[test]
fn a_pool_that_is_blocked_now_fails_the_check() {
    let check = changed(|pool| pool.nodes[0].is_stale = true);
    assert!(check.fails());
    assert_eq!(
        check.changes[0].to_string(),
        "prod/apps went and is blocked now: 1 node silent for too long: prod-apps-0000"
    );
    assert_eq!(check.still_go, 0);
}

#[test]
fn a_newer_image_and_new_warnings_are_told_and_do_not_fail() {
    let check = changed(|pool| {
        pool.offered.as_mut().expect("offered").image =
            label("AKSUbuntu-2204gen2containerd-202607.16.0");
        pool.soak.as_mut().expect("soak").unhealthy = 3;
    });
    assert!(!check.fails());
    let Change::TargetSuperseded { newest, .. } = &check.changes[0] else {
        panic!("{:?}", check.changes)
    };
    assert_eq!(newest.version, "202607.16.0");
    assert!(matches!(&check.changes[1], Change::NewWarnings { warnings, .. }
        if warnings[0].word() == "soak_unhealthy"));
}

#[test]
fn pools_come_and_go_and_reach_their_target() {
    let (mut blocked, apps) = (pool("prod", "db", 2), pool("prod", "apps", 2));
    blocked.nodes[0].is_stale = true;
    let gone = pool("prod", "gone", 2);
    let plan = planned(&request(), &[blocked, apps, gone]);
    let mut there = pool("prod", "apps", 2);
    there.nodes.iter_mut().for_each(|node| node.image = Some(label(NEW)));
    let fresh = [pool("prod", "db", 2), there, pool("stg", "new", 1)];
    let check = check(&plan, &fresh, &policy(), now());
    let told: Vec<String> = check.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "prod/apps runs its target",
            "prod/db was blocked and can go now: plan again",
            "prod/gone is gone",
            "stg/new is new, and in no wave"
        ]
    );
    assert!(!check.fails());
}

#[test]
fn an_upgrade_that_runs_does_not_block_itself_and_is_overdue_one_day() {
    let before = pool("prod", "apps", 4);
    let plan = planned(&request(), std::slice::from_ref(&before));
    let mut running = before;
    running.profile.as_mut().expect("a profile").provisioning = Some("Upgrading".to_owned());
    let fresh = [running];
    assert!(!check(&plan, &fresh, &policy(), at("2026-07-23T12:10:00Z")).fails());
    assert!(check(&plan, &fresh, &policy(), at("2026-07-23T11:59:00Z")).fails());
    // Four batches of at most 35 minutes.
    let late = check(&plan, &fresh, &policy(), at("2026-07-23T14:21:00Z"));
    assert!(matches!(late.changes[0], Change::Overdue { nodes: 4, .. }), "{:?}", late.changes);
}

#[test]
fn a_target_that_turns_too_old_before_its_wave_blocks_on_the_way() {
    let check = changed(|pool| {
        pool.target.as_mut().expect("facts").built_at = Some(at("2026-04-24T12:10:00Z"));
    });
    assert!(check.fails(), "{:?}", check.changes);
    // A clock that jumps far ahead makes no pool go.
    let plan = planned(&request(), &[pool("prod", "apps", 4)]);
    let far = super::check(&plan, &[pool("prod", "apps", 4)], &policy(), Timestamp::MAX);
    assert!(far.fails());
    let back = super::check(&plan, &[pool("prod", "apps", 4)], &policy(), Timestamp::MIN);
    assert!(!back.fails());
}

#[test]
fn what_only_the_schedule_blocked_stays_blocked_until_another_plan() {
    let mut late = pool("prod", "apps", 4);
    // Young enough now, and not at the end of the window.
    late.target.as_mut().expect("facts").built_at = Some(at("2026-04-25T00:00:00Z"));
    let mut request = request();
    request.windows = vec!["Sat 22:00-06:00".to_owned()];
    let plan = planned(&request, std::slice::from_ref(&late));
    assert_eq!(plan.pools[0].blockers[0].word(), "target_too_old");
    assert_eq!(check(&plan, std::slice::from_ref(&late), &policy(), now()).changes, []);
    let newest = label("AKSUbuntu-2204gen2containerd-202607.16.0");
    late.offered.as_mut().expect("offered").image = newest;
    let check = check(&plan, &[late], &policy(), now());
    assert!(matches!(check.changes[..], [Change::TargetSuperseded { .. }, Change::NowGoes { .. }]));
}
