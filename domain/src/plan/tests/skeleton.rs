//! A plan from end to end.

use super::*;

#[test]
fn a_plan_has_a_canary_a_soak_and_the_rest() {
    let pools = [pool("prod", "apps", 6), pool("prod", "web", 3), pool("stg", "apps", 4)];
    let mut request = request();
    request.windows = vec!["Sat 22:00-06:00 Europe/Amsterdam".to_owned()];
    let plan = planned(&request, &pools);
    let of = |wave: &Wave| wave.pools.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(of(&plan.waves[0]), ["prod/web"]);
    assert_eq!(plan.waves[0].starts_at, at("2026-07-25T20:00:00Z"));
    assert_eq!(plan.waves[0].ends_at_earliest, at("2026-07-25T20:15:00Z"));
    assert_eq!(plan.waves[0].soak_hours, 12);
    // Twelve hours later the window is over: the rest goes a week later.
    assert_eq!(of(&plan.waves[1]), ["stg/apps", "prod/apps"]);
    assert_eq!(plan.waves[1].starts_at, at("2026-08-01T20:00:00Z"));
    assert_eq!((plan.totals.go, plan.totals.over_line), (3, 21));
    let pool = plan.pool(&key("stg", "apps")).expect("a pool");
    assert_eq!((pool.standing, &pool.unknowns), (Standing::Go, &Vec::new()));
    assert_eq!(plan.explains, []);
    let rollback = pool.rollback.as_ref().expect("a way back");
    assert_eq!(rollback.until, at("2026-08-08T20:20:00Z"));
}

#[test]
fn a_stored_plan_is_the_same_plan() {
    let plan = planned(&request(), &[pool("prod", "apps", 6)]);
    let stored = serde_json::to_string(&plan).expect("a plan is plain");
    assert_eq!(serde_json::from_str::<Plan>(&stored).expect("what was stored"), plan);
}
