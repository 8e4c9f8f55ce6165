//! Every blocker, warning and unknown from the one fact that makes it.

use super::*;

type Change = fn(&mut PoolInput);

fn judged(change: Change) -> PoolPlan {
    let mut changed = pool("prod", "apps", 6);
    change(&mut changed);
    let plan = planned(&request(), &[changed, pool("stg", "apps", 6)]);
    plan.pool(&key("prod", "apps")).expect("a pool").clone()
}

fn settings(pool: &mut PoolInput) -> &mut PoolProfile {
    pool.profile.as_mut().expect("a profile")
}

const BLOCKERS: [(&str, Change); 27] = [
    ("unhealthy_nodes", |pool| {
        let reasons = vec!["NotReady".to_owned()];
        pool.nodes[2].health = NodeHealth::Unhealthy { reasons, who: Responsible::Customer };
    }),
    ("repair_in_progress", |pool| {
        let reasons = vec!["NotReady".to_owned()];
        pool.nodes[2].health = NodeHealth::Unhealthy { reasons, who: Responsible::Provider };
        pool.nodes[2].repair = Some(Repair { until: at("2026-07-23T13:00:00Z") });
    }),
    ("disruption_budget", |pool| {
        let budget = |name: &str, allowed| DisruptionBudget {
            namespace: "pg".to_owned(),
            name: name.to_owned(),
            allowed,
        };
        pool.disruption_budgets = Some(vec![budget("pg-main", 0), budget("web", 1)]);
    }),
    ("stale_reports", |pool| pool.nodes[0].is_stale = true),
    ("missing_reports", |pool| pool.nodes[0].last_reported = None),
    ("missing_reports", |pool| settings(pool).nodes = Some(7)),
    ("missing_reports", |pool| settings(pool).autoscaled = Some((8, 12))),
    ("nodes_unknown", |pool| {
        pool.nodes.clear();
        settings(pool).nodes = None;
    }),
    ("offered_unknown", |pool| pool.offered = None),
    ("mixed_families", |pool| {
        pool.nodes[0].image = Some(label("AKSUbuntu-2404gen2containerd-202605.14.0"));
    }),
    ("os_family_change", |pool| {
        let newest = label("AKSUbuntu-2404gen2containerd-202607.02.0");
        pool.offered.as_mut().expect("offered").image = newest;
    }),
    ("os_family_change", |pool| {
        pool.target.as_mut().expect("facts").os =
            Some(OsName { id: "ubuntu".to_owned(), version_id: "24.04".to_owned() });
    }),
    ("backwards", |pool| {
        pool.nodes[0].image = Some(label("AKSUbuntu-2204gen2containerd-202607.09.0"));
    }),
    ("target_too_old", |pool| {
        pool.target.as_mut().expect("facts").built_at = Some(at("2026-04-24T11:00:00Z"));
    }),
    // It is young enough now, and not when its wave is over: six batches of five minutes.
    ("target_too_old", |pool| {
        pool.target.as_mut().expect("facts").built_at = Some(at("2026-04-24T12:20:00Z"));
    }),
    ("kubernetes_unsupported", |pool| {
        pool.kubernetes = Some(KubernetesSupport::Outside { version: "1.29.4".to_owned() });
    }),
    ("quota_exceeded", |pool| pool.processors.as_mut().expect("a pot").left = 3),
    ("addresses_exceeded", |pool| pool.addresses.as_mut().expect("a pot").left = 30),
    ("drift_lost", |pool| {
        pool.drift = Some(vec![Drift::Package("falcon-sensor".to_owned())]);
    }),
    ("drift_decides", |pool| settings(pool).scaling = PoolScaling::NodeAutoProvisioning),
    ("unmanaged_channel", |pool| settings(pool).channel = Some(NodeOsChannel::Unmanaged)),
    ("stopped", |pool| settings(pool).power = Some(Power::Stopped)),
    ("operation_running", |pool| settings(pool).provisioning = Some("Upgrading".to_owned())),
    ("no_surge", |pool| settings(pool).upgrade.max_surge = Share::Nodes(0)),
    ("no_surge", |pool| {
        // In a pool of mode System nothing is taken away without one in its place.
        settings(pool).mode = Some(PoolMode::System);
        settings(pool).upgrade.max_surge = Share::Percent(0);
        settings(pool).upgrade.max_unavailable = Share::Nodes(1);
    }),
    ("over_disruption", |pool| {
        pool.nodes.extend((0..20).map(|index| node(&format!("more-{index}"))));
        settings(pool).nodes = Some(26);
        settings(pool).upgrade.max_surge = Share::Percent(100);
    }),
    ("scale_set_full", |pool| {
        pool.nodes.extend((0..994).map(|index| node(&format!("more-{index}"))));
        settings(pool).nodes = Some(1000);
    }),
];

#[test]
fn every_blocker_comes_of_its_fact_alone_and_says_who_and_what() {
    for (word, change) in BLOCKERS {
        let pool = judged(change);
        let words: Vec<&str> = pool.blockers.iter().map(Blocker::word).collect();
        assert_eq!(words, [word], "{:?}", pool.blockers);
        assert_eq!((pool.standing, pool.wave), (Standing::Blocked, None), "{word}");
        let blocker = &pool.blockers[0];
        assert!(!blocker.to_string().is_empty() && !blocker.next().is_empty(), "{word}");
    }
}

#[test]
fn blockers_name_who_must_act() {
    let who = |change: Change| judged(change).blockers[0].who().word("Microsoft");
    assert_eq!(who(BLOCKERS[0].1), "YOU");
    assert_eq!(who(BLOCKERS[1].1), "AUTOMATION");
    assert_eq!(who(|pool| pool.offered = None), "UNKNOWN");
    assert_eq!(
        who(|pool| settings(pool).scaling = PoolScaling::NodeAutoProvisioning),
        "AUTOMATION"
    );
}

const WARNINGS: [(&str, Change); 11] = [
    ("pods_unknown", |pool| {
        pool.nodes[0].health = NodeHealth::Lost { pods_unknown: Some(12) };
        pool.nodes[0].is_stale = true;
    }),
    ("zone_emptied", |pool| {
        for (index, node) in pool.nodes.iter_mut().enumerate() {
            node.zone = Some(format!("westeurope-{}", index % 3 + 1));
        }
        settings(pool).upgrade.max_surge = Share::Percent(33);
    }),
    ("brings_back", |pool| {
        let Gain::Known(gained) = &mut pool.gain else { panic!("a known gain") };
        gained.brought_back = Fixes::of(["USN-9".to_owned()]);
    }),
    ("gains_nothing", |pool| pool.gain = Gain::Known(Box::default())),
    ("soak_unhealthy", |pool| pool.soak.as_mut().expect("soak").unhealthy = 2),
    ("quarantined", |pool| pool.nodes[0].is_quarantined = true),
    ("platform_only", |pool| {
        pool.kubernetes = Some(KubernetesSupport::PlatformOnly { version: "1.32.9".to_owned() });
    }),
    ("last_failed", |pool| settings(pool).provisioning = Some("Failed".to_owned())),
    ("claim_differs", |pool| settings(pool).image = Some(label(NEW))),
    ("offered_old", |pool| {
        pool.offered.as_mut().expect("offered").as_of = at("2026-07-10T12:00:00Z");
    }),
    ("unavailable_ignored", |pool| {
        settings(pool).mode = Some(PoolMode::System);
        settings(pool).upgrade.max_unavailable = Share::Percent(10);
    }),
];

#[test]
fn every_warning_comes_of_its_fact_alone_and_lets_the_pool_go() {
    for (word, change) in WARNINGS {
        let pool = judged(change);
        let words: Vec<&str> = pool.warnings.iter().map(Warning::word).collect();
        assert_eq!(words, [word], "{:?}", pool.warnings);
        assert_eq!(pool.standing, Standing::Warn, "{word}: {:?}", pool.blockers);
        assert!(!pool.warnings[0].next().is_empty(), "{word}");
    }
}

const UNKNOWNS: [(&str, Change); 17] = [
    ("disruption_budgets", |pool| pool.disruption_budgets = None),
    ("quota", |pool| pool.processors = None),
    ("quota", |pool| settings(pool).processors_per_node = None),
    ("addresses", |pool| pool.addresses = None),
    ("kubernetes_support", |pool| pool.kubernetes = None),
    ("drift", |pool| pool.drift = None),
    ("gain", |pool| pool.gain = Gain::Unknown { why: "no release note".to_owned() }),
    ("target_packages", |pool| pool.target.as_mut().expect("facts").has_packages = false),
    ("operating_system", |pool| pool.target.as_mut().expect("facts").os = None),
    ("line", |pool| {
        let image = label("AKSMars-9-202607.02.0");
        pool.offered.as_mut().expect("offered").image = image.clone();
        pool.target.as_mut().expect("facts").image = image;
        for node in &mut pool.nodes {
            node.image = Some(label("AKSMars-9-202605.14.0"));
        }
    }),
    ("node_image", |pool| pool.nodes[0].image = None),
    ("health", |pool| {
        pool.nodes[0].health = NodeHealth::Unknown { why: "no report yet".to_owned() };
    }),
    ("zones", |pool| pool.nodes[0].zone = Some("westeurope-1".to_owned())),
    ("soak", |pool| pool.soak = None),
    ("channel", |pool| settings(pool).channel = None),
    // A clock that jumped.
    ("clock", |pool| pool.nodes[0].last_reported = Some(at("2031-01-01T00:00:00Z"))),
    ("clock", |pool| {
        pool.offered.as_mut().expect("offered").as_of = at("2031-01-01T00:00:00Z");
    }),
];

#[test]
fn what_is_not_known_is_listed_and_never_reads_as_fine() {
    for (word, change) in UNKNOWNS {
        let pool = judged(change);
        let words: Vec<&str> = pool.unknowns.iter().map(Unknown::word).collect();
        assert_eq!(words, [word], "{:?}", pool.unknowns);
        assert_eq!(pool.standing, Standing::Go, "{word}: {:?}", pool.blockers);
        assert!(!pool.unknowns[0].next().is_empty(), "{word}");
    }
}

#[test]
fn of_a_pool_of_which_only_nodes_are_known_everything_else_is_unknown() {
    let nodes = vec![node("a"), node("b")];
    let mut bare = PoolInput::of_nodes(key("prod", "apps"), nodes);
    let plan = planned(&request(), std::slice::from_ref(&bare));
    assert_eq!(plan.pools[0].blockers, [Blocker::OfferedUnknown]);
    bare.offered = pool("prod", "apps", 1).offered;
    let plan = planned(&request(), &[bare]);
    let words: Vec<&str> = plan.pools[0].unknowns.iter().map(Unknown::word).collect();
    assert_eq!(
        words,
        [
            "operating_system",
            "profile",
            "disruption_budgets",
            "kubernetes_support",
            "quota",
            "addresses",
            "zones",
            "gain",
            "target_packages",
            "drift",
            "soak"
        ]
    );
    assert_eq!(plan.pools[0].standing, Standing::Go);
    assert_eq!(plan.explains, [Explanation::NotKnown { pools: 1 }]);
}

#[test]
fn a_target_by_its_label_is_taken_and_blocks_pools_of_another_line() {
    let mut request = request();
    request.target = Target::parse(NEW).expect("a label");
    assert_eq!(request.target.to_string(), NEW);
    let mut other = pool("prod", "other", 2);
    let noble = "AKSUbuntu-2404gen2containerd-202607.02.0";
    other.offered.as_mut().expect("offered").image = label(noble);
    for node in &mut other.nodes {
        node.image = Some(label("AKSUbuntu-2404gen2containerd-202605.14.0"));
    }
    let plan = planned(&request, &[pool("prod", "apps", 2), other]);
    let of = |name: &str| plan.pool(&key("prod", name)).expect("a pool");
    assert_eq!(of("apps").standing, Standing::Go);
    assert_eq!(of("other").standing, Standing::Blocked);
    let words: Vec<&str> = of("other").blockers.iter().map(Blocker::word).collect();
    assert!(words.contains(&"os_family_change"), "{words:?}");
}

#[test]
fn the_age_of_a_target_without_a_day_is_unknown() {
    let windows = |name: &str| label(&format!("AKSWindows-2022-containerd-{name}"));
    let pool = judged(|pool| {
        pool.offered.as_mut().expect("offered").image =
            label("AKSWindows-2022-containerd-20348.5499.260812");
        pool.target = None;
        for node in &mut pool.nodes {
            node.image = Some(label("AKSWindows-2022-containerd-20348.5400.260712"));
        }
    });
    assert!(pool.unknowns.contains(&Unknown::TargetAge), "{:?}", pool.unknowns);
    assert_eq!(pool.target, Some(windows("20348.5499.260812")));
}

#[test]
fn the_operator_can_accept_what_is_lost() {
    let mut drifted = pool("prod", "apps", 6);
    drifted.drift = Some(vec![Drift::File("/etc/motd".to_owned())]);
    settings(&mut drifted).channel = Some(NodeOsChannel::Unmanaged);
    let mut request = request();
    request.accept = vec![Accepted::Drift, Accepted::Unmanaged];
    let plan = planned(&request, &[drifted]);
    assert_eq!((plan.pools[0].standing, plan.pools[0].warnings.len()), (Standing::Warn, 2));
}

#[test]
fn a_target_that_the_provider_would_not_bring_blocks() {
    let word = |version: &str| {
        let mut request = request();
        request.target = Target::parse(version).expect("a target");
        let plan = planned(&request, &[pool("prod", "apps", 6)]);
        plan.pools[0].blockers.iter().map(Blocker::word).collect::<Vec<_>>()
    };
    assert_eq!(word("202607.02.0"), Vec::<&str>::new());
    assert_eq!(word("202606.08.1"), ["not_newest"]);
    assert_eq!(word("202608.01.0"), ["image_not_offered"]);
    assert_eq!(Target::parse("latest"), None);
    assert_eq!(Target::parse("Newest-Offered"), Some(Target::NewestOffered));
}

#[test]
fn a_plan_without_a_step_explains_itself() {
    let explains = |request: &PlanRequest, pools: &[PoolInput]| {
        let plan = planned(request, pools);
        assert!(!plan.goes() && plan.waves.is_empty());
        plan.explains[0].to_string()
    };
    let mut request = request();
    assert!(explains(&request, &[]).contains("no pool is known"));
    request.select = "cluster=dev-*".to_owned();
    assert!(explains(&request, &[pool("prod", "apps", 1)]).contains("takes none of 1 pool"));
    request.select = String::new();
    let mut there = pool("prod", "apps", 2);
    there.nodes.iter_mut().for_each(|node| node.image = Some(label(NEW)));
    assert!(explains(&request, std::slice::from_ref(&there)).contains("run their target"));
    let mut silent = pool("prod", "web", 2);
    silent.nodes[0].is_stale = true;
    let text = explains(&request, &[there, silent]);
    assert_eq!(text, "no pool goes: 1 blocked, 1 on target; blocked by stale_reports (1)");
}

#[test]
fn a_pool_without_nodes_goes_and_takes_no_time() {
    let plan = planned(&request(), &[pool("prod", "spot", 0), pool("prod", "apps", 3)]);
    let spot = plan.pool(&key("prod", "spot")).expect("a pool");
    assert_eq!((spot.standing, spot.to_upgrade), (Standing::Go, 0));
    let rollout = spot.rollout.as_ref().expect("a rollout");
    assert_eq!((rollout.batches.len(), rollout.at_least.as_secs()), (0, 0));
    // It proves nothing: the canary is the pool with nodes.
    assert_eq!(plan.waves[0].pools, [key("prod", "apps")]);
    let mut there = pool("prod", "spot", 0);
    settings(&mut there).image = Some(label(NEW));
    assert_eq!(planned(&request(), &[there]).pools[0].standing, Standing::OnTarget);
}

#[test]
fn an_edition_without_the_rule_draws_no_line_for_the_target() {
    let old = Policy::edition("aks-2020").expect("a shipped edition");
    let mut aged = pool("prod", "apps", 2);
    aged.target.as_mut().expect("facts").built_at = Some(at("2025-01-01T00:00:00Z"));
    let plan = create(&request(), &[aged], &old, &zones).expect("a plan");
    assert_eq!(plan.pools[0].standing, Standing::Go);
}

#[test]
fn a_bad_request_is_a_clear_error() {
    let error = |change: fn(&mut PlanRequest)| {
        let mut request = request();
        change(&mut request);
        create(&request, &[pool("prod", "apps", 1)], &policy(), &zones)
            .expect_err("a bad request")
            .to_string()
    };
    assert!(error(|request| request.name = "a b".to_owned()).contains("no name"));
    assert!(error(|request| request.name = "$(x)".to_owned()).contains("no name"));
    assert!(error(|request| request.select = "colour=red".to_owned()).contains("colour"));
    assert!(error(|request| request.windows = vec!["Sat".to_owned()]).contains("Sat"));
    assert!(error(|request| request.max_disrupted = Share::Percent(0)).contains("no step"));
    assert!(error(|request| request.pools_at_once_per_cluster = 0).contains("one is the least"));
    assert!(error(|request| request.target = Target::Version("1".to_owned())).contains("target"));
    assert!(
        error(|request| {
            let never = "daily 22:00-06:00 UTC not 2026-01-01..2030-01-01";
            request.windows = vec![never.to_owned()];
        })
        .contains("no window opens")
    );
    let twice = [pool("prod", "apps", 1), pool("prod", "apps", 2)];
    let twice = create(&request(), &twice, &policy(), &zones).expect_err("one key twice");
    assert!(twice.to_string().contains("prod/apps is there twice"));
}
