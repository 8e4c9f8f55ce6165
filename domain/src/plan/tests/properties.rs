//! What holds of every plan, whatever the fleet is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

/// Fails where a plan breaks one of its promises.
pub(super) fn holds(plan: &Plan, pools: &[PoolInput]) {
    let by_key: BTreeMap<&PoolKey, &PoolInput> = pools.iter().map(|one| (&one.key, one)).collect();
    let pots = judge::pots(pools.iter());
    let mut placed = BTreeSet::new();
    let mut free_from = plan.request.created_at;
    for (index, wave) in plan.waves.iter().enumerate() {
        assert_eq!(usize::try_from(wave.number).expect("small"), index + 1);
        assert!(!wave.pools.is_empty());
        assert!(wave.starts_at >= wave.window_opens_at && wave.starts_at >= free_from);
        assert!(wave.ends_at_earliest <= wave.window_closes_at);
        let soak = SignedDuration::from_hours(i64::from(wave.soak_hours));
        free_from = wave.ends_at_earliest + soak;
        let (mut disrupted, mut per_cluster) = (0, BTreeMap::new());
        let mut drawn: BTreeMap<(judge::PotOf, &str), (u32, u32)> = BTreeMap::new();
        for key in &wave.pools {
            assert!(placed.insert(key), "{key} goes twice");
            let pool = plan.pool(key).expect("a pool of the plan");
            assert!(pool.standing.goes() && pool.blockers.is_empty());
            assert_eq!(pool.wave, Some(wave.number));
            let rollout = pool.rollout.as_ref().expect("a pool that goes has a rollout");
            of_rollout(pool, rollout);
            disrupted += rollout.batch;
            *per_cluster.entry(&key.cluster).or_insert(0) += 1;
            let span = pool.at.expect("a pool that goes has a time");
            assert!(span.ends_at_earliest <= wave.ends_at_earliest);
            assert!(pool.unsupported_from.is_none_or(|from| span.ends_at_earliest < from));
            let input = by_key[key];
            for draw in judge::draws(input, rollout.surge, &pots) {
                let entry = drawn.entry((draw.of, draw.pot)).or_insert((0, draw.left));
                entry.0 += draw.needs;
            }
        }
        assert_eq!(disrupted, wave.disrupted_at_once);
        assert!(disrupted <= plan.totals.disruption_cap);
        assert!(per_cluster.values().all(|pools| *pools <= plan.request.pools_at_once_per_cluster));
        assert!(drawn.values().all(|(taken, left)| taken <= left), "{drawn:?}");
    }
    for pool in &plan.pools {
        assert_eq!(pool.standing.goes(), placed.contains(&pool.key), "{}", pool.key);
        assert_eq!(pool.standing == Standing::Blocked, !pool.blockers.is_empty());
        assert_eq!(pool.rollback.is_some(), pool.standing.goes());
    }
    assert!(plan.goes() || !plan.explains.is_empty(), "a plan without a step explains itself");
}

fn of_rollout(pool: &PoolPlan, rollout: &Rollout) {
    let names: Vec<&String> = rollout.batches.iter().flatten().collect();
    let unique: BTreeSet<&String> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len(), "no node twice");
    assert_eq!(number(names.len()), pool.to_upgrade);
    let most = rollout.batches.iter().map(Vec::len).max().unwrap_or(0);
    assert_eq!(number(most), rollout.batch);
    assert!(rollout.batch <= rollout.surge + rollout.unavailable);
    assert!(rollout.at_least <= rollout.at_most);
    if rollout.batch > 0 {
        let batches = pool.to_upgrade.div_ceil(rollout.batch);
        assert_eq!(number(rollout.batches.len()), batches);
    }
}

/// Small numbers that a pool is made from.
type Seed = ((u8, u8, u8, u8), (u8, u8, u8, u8));

pub(super) fn seeded(index: usize, seed: Seed) -> PoolInput {
    let ((cluster, nodes, surge, unavailable), (zones, flaw, gain, line)) = seed;
    let mut pool = pool(&format!("c{cluster}"), &format!("p{index:03}"), u32::from(nodes));
    let share = |number: u8| match number % 3 {
        0 => Share::Percent(u32::from(number) * 4),
        _ => Share::Nodes(u32::from(number % 6)),
    };
    let profile = pool.profile.as_mut().expect("a profile");
    profile.upgrade.max_surge = share(surge);
    profile.upgrade.max_unavailable = share(unavailable);
    profile.upgrade.soak_minutes = u32::from(gain % 31);
    for (index, node) in (0..).zip(&mut pool.nodes) {
        node.zone = (zones > 0).then(|| format!("z{}", index % u32::from(zones)));
        if (index + u32::from(gain)).is_multiple_of(5) {
            node.image = Some(label(NEW));
        }
    }
    if line.is_multiple_of(2) {
        let other = |image: &ImageLabel| ImageLabel {
            family: "AKSAzureLinux-V3gen2".to_owned(),
            ..image.clone()
        };
        let images = pool.nodes.iter_mut().filter_map(|node| node.image.as_mut());
        images.for_each(|image| *image = other(image));
        pool.target = None;
        let offered = pool.offered.as_mut().expect("offered");
        offered.image = other(&offered.image);
    }
    if let Gain::Known(gained) = &mut pool.gain {
        gained.over_line.count = u32::from(gain);
    }
    match flaw {
        0 => pool.offered = None,
        1 => pool.nodes.iter_mut().take(1).for_each(|node| node.is_stale = true),
        2 => pool.kubernetes = Some(KubernetesSupport::Outside { version: "1.29.0".to_owned() }),
        3 => pool.processors.as_mut().expect("a pot").left = 20,
        4 => {
            if let Some(facts) = &mut pool.target {
                facts.built_at = Some(at("2026-04-28T03:00:00Z"));
            }
        }
        5 => {
            pool = PoolInput { offered: pool.offered, ..PoolInput::of_nodes(pool.key, pool.nodes) }
        }
        _ => {}
    }
    pool
}

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let seed = ((0..4u8, 0..14u8, 0..40u8, 0..9u8), (0..4u8, 0..16u8, 0..60u8, 0..4u8));
    prop::collection::vec(seed, 0..24)
}

const WINDOWS: [&[&str]; 4] = [
    &[],
    &["Sat 22:00-06:00 Europe/Amsterdam"],
    &["daily 01:00-03:00 America/New_York not 2026-07-24..2026-07-30", "Sun 02:00-04:00"],
    &["Mon-Fri 23:00-00:30 Asia/Kolkata"],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_plan_keeps_its_promises(
        seeds in seeds(),
        (window, percent, per_cluster, canary) in (0..WINDOWS.len(), 1..60u32, 1..4u32, 0..30u32),
    ) {
        let pools: Vec<PoolInput> =
            seeds.into_iter().enumerate().map(|(index, seed)| seeded(index, seed)).collect();
        let request = PlanRequest {
            windows: WINDOWS[window].iter().map(|text| (*text).to_owned()).collect(),
            max_disrupted: Share::Percent(percent),
            pools_at_once_per_cluster: per_cluster,
            canary: Share::Percent(canary),
            ..request()
        };
        let plan = planned(&request, &pools);
        holds(&plan, &pools);
        if window == 2 {
            let zone = zones("America/New_York").expect("a zone");
            let forbidden = date(2026, 7, 24)..=date(2026, 7, 30);
            for wave in plan.waves.iter().filter(|wave| {
                // The second window, on Sundays of UTC, allows them.
                wave.window_opens_at.to_string().get(11..16) != Some("02:00")
            }) {
                prop_assert!(!forbidden.contains(&zone.to_datetime(wave.starts_at).date()));
            }
        }
        let mut turned = pools.clone();
        turned.reverse();
        prop_assert_eq!(&planned(&request, &turned), &plan, "the order of pools does not matter");
        // Nothing has changed: nothing is told.
        let check = check(&plan, &pools, &policy(), now());
        prop_assert!(!check.fails(), "{:?}", check.changes);
        prop_assert_eq!(check.changes, Vec::new());
    }

    #[test]
    fn a_batch_is_never_larger_with_less_surge(
        nodes in 1..40u32, surge in 0..60u32, less in 0..60u32, unavailable in 0..4u32,
    ) {
        let batch = |percent: u32| {
            let nodes: Vec<PlanNode> = (0..nodes).map(|index| node(&index.to_string())).collect();
            let nodes: Vec<&PlanNode> = nodes.iter().collect();
            let settings = UpgradeSettings {
                max_surge: Share::Percent(percent),
                max_unavailable: Share::Nodes(unavailable),
                ..UpgradeSettings::default()
            };
            let assumed = Assumptions::default();
            let count = number(nodes.len());
            let rollout = rollout::rollout(&settings, Some(PoolMode::User), count, &nodes, &assumed);
            rollout.map_or(0, |rollout| rollout.batch)
        };
        prop_assert!(batch(surge.saturating_sub(less)) <= batch(surge));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[ -~]{0,40}|[a-z*=!,: ]{0,30}|[0-9:. +-]{0,30}") {
        let _ = selection::Selection::parse(&text);
        let _ = window::Window::parse(&text, &zones);
        let _ = Target::parse(&text);
    }
}
