//! A screen for everything that can stand in a plan: each blocker and each warning from inputs
//! that were built for it, also those that no node and no document can tell yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeward_aggregator::plans::zone;
use nodeward_cli::arguments::Format;
use nodeward_cli::screen::{self, Style};
use nodeward_domain::image::ImageLabel;
use nodeward_domain::plan::input::{
    Accepted, DisruptionBudget, Drift, Fixes, Gain, Gained, KubernetesSupport, NodeHealth, OsName,
    PlanNode, PlanRequest, PoolInput, Pot, Repair, SoakEvidence, Target, TargetFacts,
};
use nodeward_domain::plan::{Blocker, Plan, Warning, create};
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_domain::pool::{
    NodeOsChannel, OfferedImage, PoolKey, PoolMode, PoolProfile, PoolScaling, Power, Share,
};
use nodeward_domain::responsibility::Responsible;
use nodeward_tests::project;

const OLD: &str = "AKSUbuntu-2204gen2containerd-202611.03.0";
const NEW: &str = "AKSUbuntu-2204gen2containerd-202611.17.0";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn now() -> Timestamp {
    at("2026-11-24T12:00:00Z")
}

fn label(text: &str) -> ImageLabel {
    ImageLabel::parse(text).expect("a label")
}

fn node(name: String) -> PlanNode {
    PlanNode {
        name,
        uid: None,
        boot: None,
        zone: None,
        image: Some(label(OLD)),
        os: Some(ubuntu("22.04")),
        last_reported: Some(now()),
        is_stale: false,
        health: NodeHealth::Ready,
        repair: None,
        is_quarantined: false,
    }
}

fn ubuntu(version_id: &str) -> OsName {
    OsName { id: "ubuntu".to_owned(), version_id: version_id.to_owned() }
}

/// A pool of two nodes of which everything is known, and that can go.
fn pool(name: &str) -> PoolInput {
    let key = PoolKey { cluster: "prod".to_owned(), pool: name.to_owned() };
    let profile = PoolProfile {
        nodes: Some(2),
        mode: Some(PoolMode::User),
        image: Some(label(OLD)),
        processors_per_node: Some(8),
        addresses_per_node: Some(31),
        power: Some(Power::Running),
        provisioning: Some("Succeeded".to_owned()),
        channel: Some(NodeOsChannel::None),
        ..PoolProfile::unstated(key.clone(), now())
    };
    let ids = |count: u32| Fixes::of((0..count).map(|id| format!("USN-{id}-1 curl")));
    PoolInput {
        profile: Some(profile),
        cluster_channel: None,
        resource_group: Some("rg".to_owned()),
        resource: None,
        nodes: (0..2).map(|index| node(format!("{name}-{index}"))).collect(),
        offered: Some(OfferedImage { key: key.clone(), image: label(NEW), as_of: now() }),
        target: Some(TargetFacts {
            image: label(NEW),
            built_at: Some(at("2026-11-17T06:00:00Z")),
            published_at: None,
            os: Some(ubuntu("22.04")),
            has_packages: true,
        }),
        gain: Gain::Known(Box::new(Gained {
            over_line: ids(2),
            all: ids(3),
            left: ids(1),
            ..Gained::default()
        })),
        drift: Some(Vec::new()),
        disruption_budgets: Some(Vec::new()),
        processors: Some(Pot { name: "of prod".to_owned(), left: 80 }),
        addresses: Some(Pot { name: "the subnet of prod/*".to_owned(), left: 400 }),
        kubernetes: Some(KubernetesSupport::Supported),
        soak: Some(SoakEvidence { pools: 4, nodes: 61, days: 5, ..SoakEvidence::default() }),
        key,
    }
}

fn settings(pool: &mut PoolInput) -> &mut PoolProfile {
    pool.profile.as_mut().expect("a profile")
}

type Change = fn(&mut PoolInput);

/// By the name of a pool, what is changed on it.
const POOLS: [(&str, Change); 35] = [
    ("a-canary", |_| {}),
    ("addresses", |pool| pool.addresses.as_mut().expect("a pot").left = 30),
    ("backwards", |pool| {
        pool.nodes[0].image = Some(label("AKSUbuntu-2204gen2containerd-202611.24.0"));
    }),
    ("budget", |pool| {
        let budget = |name: &str, allowed| DisruptionBudget {
            namespace: "pg".to_owned(),
            name: name.to_owned(),
            allowed,
        };
        pool.disruption_budgets = Some(vec![budget("pg-main", 0), budget("web", 1)]);
    }),
    ("drift", |pool| pool.drift = Some(vec![Drift::File("/etc/motd".to_owned())])),
    ("full", |pool| {
        pool.nodes.extend((2..1000).map(|index| node(format!("full-{index}"))));
        settings(pool).nodes = Some(1000);
    }),
    ("kubernetes", |pool| {
        pool.kubernetes = Some(KubernetesSupport::Outside { version: "1.29.4".to_owned() });
    }),
    ("long", |pool| settings(pool).upgrade.soak_minutes = 600),
    ("missing", |pool| pool.nodes[0].last_reported = None),
    ("mixed", |pool| {
        pool.nodes[0].image = Some(label("AKSUbuntu-2404gen2containerd-202611.03.0"));
    }),
    ("nap", |pool| settings(pool).scaling = PoolScaling::NodeAutoProvisioning),
    ("no-nodes", |pool| {
        pool.nodes.clear();
        settings(pool).nodes = None;
    }),
    ("no-surge", |pool| settings(pool).upgrade.max_surge = Share::Nodes(0)),
    ("old-target", |pool| {
        pool.target.as_mut().expect("facts").built_at = Some(at("2026-08-20T06:00:00Z"));
    }),
    ("os", |pool| pool.target.as_mut().expect("facts").os = Some(ubuntu("24.04"))),
    ("over", |pool| {
        pool.nodes.extend((2..6).map(|index| node(format!("over-{index}"))));
        settings(pool).nodes = Some(6);
        settings(pool).upgrade.max_surge = Share::Percent(100);
    }),
    ("quota", |pool| pool.processors.as_mut().expect("a pot").name = "of nothing".to_owned()),
    ("repair", |pool| pool.nodes[0].repair = Some(Repair { until: at("2026-11-24T13:00:00Z") })),
    ("running", |pool| settings(pool).provisioning = Some("Upgrading".to_owned())),
    ("sick", |pool| {
        let reasons = vec!["NotReady".to_owned(), "ContainerdDown".to_owned()];
        pool.nodes[0].health = NodeHealth::Unhealthy { reasons, who: Responsible::Provider };
    }),
    ("silent", |pool| pool.nodes[0].is_stale = true),
    ("stopped", |pool| settings(pool).power = Some(Power::Stopped)),
    ("unmanaged", |pool| settings(pool).channel = Some(NodeOsChannel::Unmanaged)),
    ("unoffered", |pool| pool.offered = None),
    ("w-back", |pool| {
        let Gain::Known(gained) = &mut pool.gain else { panic!("a known gain") };
        gained.brought_back = Fixes::of(["USN-9-1 tar".to_owned()]);
    }),
    ("w-claim", |pool| settings(pool).image = Some(label(NEW))),
    ("w-failed", |pool| settings(pool).provisioning = Some("Failed".to_owned())),
    ("w-lost", |pool| {
        pool.nodes[0].health = NodeHealth::Lost { pods_unknown: Some(12) };
        pool.nodes[0].is_stale = true;
    }),
    ("w-nothing", |pool| pool.gain = Gain::Known(Box::default())),
    ("w-offered", |pool| pool.offered.as_mut().expect("one").as_of = at("2026-11-14T12:00:00Z")),
    ("w-platform", |pool| {
        pool.kubernetes = Some(KubernetesSupport::PlatformOnly { version: "1.33.9".to_owned() });
    }),
    ("w-quarantine", |pool| pool.nodes[0].is_quarantined = true),
    ("w-soak", |pool| {
        let soak = pool.soak.as_mut().expect("soak");
        (soak.unhealthy, soak.new_conditions) = (2, vec!["NotReady".to_owned()]);
    }),
    ("w-system", |pool| {
        settings(pool).mode = Some(PoolMode::System);
        settings(pool).upgrade.max_unavailable = Share::Percent(10);
    }),
    ("w-zone", |pool| {
        for (zone, node) in ["1", "2"].iter().zip(&mut pool.nodes) {
            node.zone = Some(format!("westeurope-{zone}"));
        }
        settings(pool).upgrade.max_surge = Share::Nodes(2);
    }),
];

/// The place of every blocker: a new one has to be given its own, and then a screen.
const fn place(blocker: &Blocker) -> usize {
    match blocker {
        Blocker::UnhealthyNodes { .. } => 0,
        Blocker::RepairInProgress { .. } => 1,
        Blocker::DisruptionBudget { .. } => 2,
        Blocker::StaleReports { .. } => 3,
        Blocker::MissingReports { .. } => 4,
        Blocker::OfferedUnknown => 5,
        Blocker::ImageNotOffered { .. } => 6,
        Blocker::NotNewest { .. } => 7,
        Blocker::Backwards { .. } => 8,
        Blocker::TargetTooOld { .. } => 9,
        Blocker::KubernetesUnsupported { .. } => 10,
        Blocker::OsFamilyChange { .. } => 11,
        Blocker::MixedFamilies { .. } => 12,
        Blocker::QuotaExceeded { .. } => 13,
        Blocker::AddressesExceeded { .. } => 14,
        Blocker::ScaleSetFull { .. } => 15,
        Blocker::DriftLost { .. } => 16,
        Blocker::DriftDecides => 17,
        Blocker::UnmanagedChannel => 18,
        Blocker::Stopped => 19,
        Blocker::OperationRunning { .. } => 20,
        Blocker::NoSurge => 21,
        Blocker::OverDisruption { .. } => 22,
        Blocker::LongerThanWindows { .. } => 23,
        Blocker::NoWindowLeft { .. } => 24,
        Blocker::NodesUnknown => 25,
    }
}

/// The same of warnings.
const fn place_of_warning(warning: &Warning) -> usize {
    match warning {
        Warning::PodsUnknown { .. } => 0,
        Warning::ZoneEmptied { .. } => 1,
        Warning::BringsBack { .. } => 2,
        Warning::GainsNothing => 3,
        Warning::SoakUnhealthy { .. } => 4,
        Warning::Quarantined { .. } => 5,
        Warning::PlatformOnly { .. } => 6,
        Warning::LastFailed { .. } => 7,
        Warning::ClaimDiffers { .. } => 8,
        Warning::OfferedOld { .. } => 9,
        Warning::UnavailableIgnored { .. } => 10,
        Warning::Accepted { .. } => 11,
    }
}

fn planned(request: &PlanRequest, pools: &[PoolInput]) -> Plan {
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    create(request, pools, &policy, &zone).expect("a plan")
}

/// Plans in which every blocker and every warning stands.
fn plans() -> Vec<Plan> {
    let windows = vec!["Sat 22:00-06:00 Europe/Amsterdam".to_owned()];
    let max_disrupted = Share::Nodes(2);
    let request = |name: &str| PlanRequest {
        windows: windows.clone(),
        max_disrupted,
        ..PlanRequest::new(name, now())
    };
    let all: Vec<PoolInput> = POOLS
        .iter()
        .map(|(name, change)| {
            let mut pool = pool(name);
            change(&mut pool);
            // Each draws from pots of its own, so that one does not empty another's.
            if *name == "quota" {
                pool.processors.as_mut().expect("a pot").left = 3;
            } else if let Some(pot) = &mut pool.processors {
                pot.name = format!("of {name}");
            }
            if let Some(pot) = &mut pool.addresses {
                pot.name = format!("the subnet of prod/{name}");
            }
            pool
        })
        .collect();
    let version = |name: &str, target: &str| PlanRequest {
        target: Target::parse(target).expect("a target"),
        ..request(name)
    };
    let mut accepted = all.iter().find(|pool| pool.key.pool == "drift").expect("it").clone();
    settings(&mut accepted).channel = Some(NodeOsChannel::Unmanaged);
    vec![
        planned(&request("everything"), &all),
        planned(&version("unoffered", "202612.01.0"), &all[..1]),
        planned(&version("older", "202611.10.0"), &all[..1]),
        // Behind the canary nothing is left of the time that is planned.
        planned(
            &PlanRequest { soak_hours: 100_000, ..request("late") },
            &[pool("a-canary"), pool("web")],
        ),
        planned(
            &PlanRequest {
                accept: vec![Accepted::Drift, Accepted::Unmanaged],
                ..request("accepted")
            },
            &[accepted],
        ),
    ]
}

#[test]
fn every_blocker_and_every_warning_has_a_screen() {
    let plans = plans();
    let pools = || plans.iter().flat_map(|plan| &plan.pools);
    let blockers: BTreeSet<usize> = pools().flat_map(|pool| &pool.blockers).map(place).collect();
    assert_eq!(blockers, (0..26).collect());
    let warnings: BTreeSet<usize> =
        pools().flat_map(|pool| &pool.warnings).map(place_of_warning).collect();
    assert_eq!(warnings, (0..12).collect());
    let mut text = String::new();
    for plan in &plans {
        let style = Style { format: Format::Wide, width: 100, aggregator: None };
        let shown = screen::plan(plan, style).expect("a screen");
        for pool in &plan.pools {
            let one_line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_shown = |words: &str| {
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(one_line.contains(&words), "{}: {words} is not shown", pool.key);
            };
            for blocker in &pool.blockers {
                is_shown(&blocker.to_string());
                is_shown(&blocker.next());
            }
            for warning in &pool.warnings {
                is_shown(&warning.to_string());
                is_shown(&warning.next());
            }
        }
        text.push_str(&shown);
        text.push('\n');
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    project::assert_committed(&project::root().join("tests/screens/plans.txt"), &text);
}
