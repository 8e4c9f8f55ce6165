//! Tests of plans: a fleet to plan for, and one file per question.

mod blockers;
mod changes;
mod exports;
mod order;
mod properties;
mod simulator;
mod skeleton;
mod upgrades;
mod windows;

use jiff::{SignedDuration, Timestamp};

use super::input::*;
use super::rollout::number;
use super::*;
use crate::policy::Policy;
use crate::pool::*;
use crate::responsibility::Responsible;

pub(super) const OLD: &str = "AKSUbuntu-2204gen2containerd-202605.14.0";
pub(super) const NEW: &str = "AKSUbuntu-2204gen2containerd-202607.02.0";

/// Thursday, 23 July 2026, 12:00 UTC.
pub(super) fn now() -> Timestamp {
    at("2026-07-23T12:00:00Z")
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

pub(super) fn label(text: &str) -> ImageLabel {
    ImageLabel::parse(text).expect("a label")
}

pub(super) fn policy() -> Policy {
    Policy::edition(crate::policy::DEFAULT_EDITION).expect("the usual edition")
}

pub(super) fn key(cluster: &str, pool: &str) -> PoolKey {
    PoolKey { cluster: cluster.to_owned(), pool: pool.to_owned() }
}

pub(super) fn ubuntu() -> OsName {
    OsName { id: "ubuntu".to_owned(), version_id: "22.04".to_owned() }
}

pub(super) fn node(name: &str) -> PlanNode {
    PlanNode {
        name: name.to_owned(),
        uid: Some(format!("uid-{name}")),
        boot: Some(format!("boot-{name}")),
        zone: None,
        image: Some(label(OLD)),
        os: Some(ubuntu()),
        last_reported: Some(now()),
        is_stale: false,
        health: NodeHealth::Ready,
        repair: None,
        is_quarantined: false,
    }
}

pub(super) fn profile(key: &PoolKey, nodes: u32) -> PoolProfile {
    PoolProfile {
        key: key.clone(),
        as_of: now(),
        resource_group: None,
        resource: None,
        nodes: Some(nodes),
        autoscaled: None,
        mode: Some(PoolMode::User),
        kubernetes: Some("1.35.2".to_owned()),
        image: Some(label(OLD)),
        os_sku: Some("Ubuntu".to_owned()),
        vm_size: Some("Standard_D4s_v5".to_owned()),
        processors_per_node: Some(4),
        addresses_per_node: Some(31),
        zones: Vec::new(),
        region: Some("westeurope".to_owned()),
        power: Some(Power::Running),
        provisioning: Some("Succeeded".to_owned()),
        scaling: PoolScaling::ScaleSet,
        channel: Some(NodeOsChannel::None),
        upgrade: UpgradeSettings::default(),
        tags: Some(vec![("env".to_owned(), "prod".to_owned())]),
    }
}

/// A pool of which everything is known, and that can go.
pub(super) fn pool(cluster: &str, name: &str, nodes: u32) -> PoolInput {
    let key = key(cluster, name);
    let ids = |count: u32| Fixes::of((0..count).map(|id| format!("USN-{id}")));
    PoolInput {
        profile: Some(profile(&key, nodes)),
        resource_group: Some("rg-weu".to_owned()),
        resource: None,
        cluster_channel: None,
        nodes: (0..nodes).map(|index| node(&format!("{cluster}-{name}-{index:04}"))).collect(),
        offered: Some(OfferedImage { key: key.clone(), image: label(NEW), as_of: now() }),
        target: Some(TargetFacts {
            image: label(NEW),
            built_at: Some(at("2026-07-02T08:00:00Z")),
            published_at: Some(at("2026-07-08T08:00:00Z")),
            os: Some(ubuntu()),
            has_packages: true,
        }),
        gain: Gain::Known(Box::new(Gained {
            over_line: ids(7),
            all: ids(9),
            left: ids(1),
            brought_back: Fixes::default(),
            weight_per_node: None,
        })),
        drift: Some(Vec::new()),
        disruption_budgets: Some(Vec::new()),
        processors: Some(Pot { name: "westeurope".to_owned(), left: 400 }),
        addresses: Some(Pot { name: "subnet-a".to_owned(), left: 4000 }),
        kubernetes: Some(KubernetesSupport::Supported),
        soak: Some(SoakEvidence { pools: 4, nodes: 61, days: 5, ..SoakEvidence::default() }),
        key,
    }
}

pub(super) fn request() -> PlanRequest {
    PlanRequest { max_disrupted: Share::Percent(50), ..PlanRequest::new("wknd-0725", now()) }
}

/// Zones by the rules that are in force in 2026, as a POSIX string says them.
pub(super) fn zones(name: &str) -> Option<jiff::tz::TimeZone> {
    let posix = match name {
        "Europe/Amsterdam" => "CET-1CEST,M3.5.0,M10.5.0/3",
        "America/New_York" => "EST5EDT,M3.2.0,M11.1.0",
        "Asia/Kolkata" => "IST-5:30",
        _ => return None,
    };
    jiff::tz::TimeZone::posix(posix).ok()
}

pub(super) fn planned(request: &PlanRequest, pools: &[PoolInput]) -> Plan {
    create(request, pools, &policy(), &zones).expect("a plan")
}
