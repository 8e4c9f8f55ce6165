//! Order, batches, zones, and what waves share.

use super::*;

fn with_gain(mut pool: PoolInput, over_line: u32) -> PoolInput {
    let Gain::Known(gained) = &mut pool.gain else { panic!("a known gain") };
    gained.over_line = Fixes { count: over_line, ids: Vec::new() };
    pool
}

fn waves(plan: &Plan) -> Vec<Vec<String>> {
    let told = |wave: &Wave| wave.pools.iter().map(ToString::to_string).collect();
    plan.waves.iter().map(told).collect()
}

#[test]
fn the_rest_goes_by_risk_retired_per_disrupted_node() {
    let mut request = request();
    request.canary = Share::Nodes(0);
    let mut weighed = with_gain(pool("c", "weighed", 4), 1);
    let Gain::Known(gained) = &mut weighed.gain else { panic!("a known gain") };
    gained.weight_per_node = Some(1000);
    let mut unknown = pool("c", "unknown", 1);
    unknown.gain = Gain::Unknown { why: "no note".to_owned() };
    let pools = [
        unknown,
        with_gain(pool("c", "few", 2), 3),
        with_gain(pool("c", "many", 9), 40),
        with_gain(pool("c", "same-larger", 3), 40),
        weighed,
    ];
    assert_eq!(
        waves(&planned(&request, &pools)),
        [["c/weighed"], ["c/same-larger"], ["c/many"], ["c/few"], ["c/unknown"]]
    );
}

#[test]
fn the_canary_is_the_smallest_pool_of_each_line() {
    let other = "AKSAzureLinux-V3gen2-202607.02.0";
    let of_other_line = |name: &str, nodes: u32| {
        let mut pool = pool("b", name, nodes);
        pool.offered.as_mut().expect("offered").image = label(other);
        pool.target = None;
        for node in &mut pool.nodes {
            node.image = Some(label("AKSAzureLinux-V3gen2-202605.14.0"));
        }
        pool
    };
    let pools = [
        pool("a", "large", 8),
        pool("a", "small", 2),
        of_other_line("large", 9),
        of_other_line("small", 5),
    ];
    let mut request = request();
    let plan = planned(&request, &pools);
    assert_eq!(plan.waves[0].pools, [key("a", "small"), key("b", "small")]);
    assert_eq!((plan.waves[0].is_canary, plan.waves[0].soak_hours), (true, 12));
    let soaked = plan.waves[0].ends_at_earliest + SignedDuration::from_hours(12);
    assert_eq!(plan.waves[1].starts_at, soaked);
    assert!(plan.waves[1..].iter().all(|wave| !wave.is_canary && wave.soak_hours == 0));
    // Of a larger share, the next smallest is one too.
    request.canary = Share::Percent(75);
    let plan = planned(&request, &pools);
    let canaries: u32 = plan.waves.iter().map(|wave| u32::from(wave.is_canary)).sum();
    assert_eq!(canaries, 2, "{:?}", waves(&plan));
    assert_eq!(plan.waves[1].soak_hours, 12);
}

#[test]
fn batches_are_of_surge_and_unavailable_and_take_from_all_zones() {
    let mut zoned = pool("a", "apps", 7);
    for (index, node) in zoned.nodes.iter_mut().enumerate() {
        node.zone = Some(if index < 4 { "1" } else { "2" }.to_owned());
    }
    let profile = zoned.profile.as_mut().expect("a profile");
    profile.upgrade.max_surge = Share::Percent(20);
    profile.upgrade.max_unavailable = Share::Nodes(1);
    profile.upgrade.soak_minutes = 10;
    let plan = planned(&PlanRequest { max_disrupted: Share::Nodes(3), ..request() }, &[zoned]);
    let rollout = plan.pools[0].rollout.as_ref().expect("a rollout");
    assert_eq!((rollout.surge, rollout.unavailable, rollout.batch), (2, 1, 3));
    let names: Vec<Vec<&str>> = rollout
        .batches
        .iter()
        .map(|batch| batch.iter().map(|name| &name[name.len() - 1..]).collect())
        .collect();
    assert_eq!(names, [vec!["0", "4", "1"], vec!["5", "2", "6"], vec!["3"]]);
    assert_eq!(rollout.at_least, SignedDuration::from_mins(3 * 15));
    assert_eq!(rollout.at_most, SignedDuration::from_mins(3 * 45));
    // A batch of three could take all three nodes of zone 2.
    assert_eq!(plan.pools[0].warnings[0].word(), "zone_emptied");
}

#[test]
fn nodes_that_run_the_target_are_not_upgraded_again() {
    let mut half = pool("a", "apps", 6);
    half.nodes.iter_mut().take(4).for_each(|node| node.image = Some(label(NEW)));
    let plan = planned(&request(), &[half]);
    assert_eq!(plan.pools[0].to_upgrade, 2);
    let patched = format!("{NEW}-2026.07.20");
    let mut live = pool("a", "apps", 2);
    live.nodes.iter_mut().for_each(|node| node.image = Some(label(&patched)));
    assert_eq!(planned(&request(), &[live]).pools[0].standing, Standing::OnTarget);
}

#[test]
fn pools_of_one_wave_share_disruption_clusters_and_pots() {
    let mut request = request();
    (request.canary, request.max_disrupted) = (Share::Nodes(0), Share::Nodes(2));
    let pools = ["a", "b", "c"].map(|cluster| pool(cluster, "apps", 2));
    assert_eq!(waves(&planned(&request, &pools)), [vec!["a/apps", "b/apps"], vec!["c/apps"]]);
    request.max_disrupted = Share::Nodes(6);
    assert_eq!(planned(&request, &pools).waves.len(), 1);
    // Four processors for each of them are not left at the same time; where pools say otherwise
    // of one pot, the least counts.
    let mut poor = pools;
    poor[1].processors.as_mut().expect("a pot").left = 9;
    assert_eq!(planned(&request, &poor).waves.len(), 2);
    let one = ["x", "y", "z"].map(|name| pool("a", name, 2));
    assert_eq!(planned(&request, &one).waves.len(), 3);
    request.pools_at_once_per_cluster = 2;
    assert_eq!(planned(&request, &one).waves.len(), 2);
}
