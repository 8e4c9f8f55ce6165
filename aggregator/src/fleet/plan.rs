//! What plans are made from: every pool with all that nodes, the catalogue and the advisories
//! tell of it. What nobody told stays unknown, and the plan says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::answer::Finding;
use nodeward_domain::check::Severity;
use nodeward_domain::component::Component;
use nodeward_domain::image::catalogue::NewestOffered;
use nodeward_domain::image::compare::{ComparedFix, MatchedImage, compare_fixes};
use nodeward_domain::image::drift::{DriftCause, drift};
use nodeward_domain::image::sources::Sources;
use nodeward_domain::image::{ImageLabel, ImageRelease, family_by_any_name};
use nodeward_domain::plan::input::{
    Drift, Fixes, Gain, Gained, KubernetesSupport, NodeHealth, OsName, PlanNode, PlanRequest,
    PoolInput, Pot, Repair, SoakEvidence, TargetFacts,
};
use nodeward_domain::plan::watch::{Observation, Sighting};
use nodeward_domain::pool::{OfferedImage, PoolKey};
use nodeward_domain::responsibility::{Automation, Responsible};

use super::{Fleet, NodeMemory};
use crate::advisories::Advisories;

/// One node, as plans see it, and what of it is about its pool.
struct Seen {
    node: PlanNode,
    kubernetes: Option<String>,
    drift: Option<Vec<Drift>>,
    /// Since when it has run its image, by the aggregator's clock.
    image_since: Option<Timestamp>,
}

impl Fleet {
    /// Every pool that nodes or the provider's tools tell of.
    #[must_use]
    pub fn plan_inputs(&self, request: &PlanRequest, now: Timestamp) -> Vec<PoolInput> {
        let advisories = self.advisories();
        let mut pools: BTreeMap<PoolKey, Vec<Seen>> = BTreeMap::new();
        for key in advisories.images().catalogue().pool_keys() {
            pools.entry(key.clone()).or_default();
        }
        let all = self.pools();
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let Some(key) = node.pool() else { continue };
            let answer = node.answer(self.policy(), &advisories, &all, now);
            let seen = self.seen(node, &advisories, &answer.findings, now);
            pools.entry(key).or_default().push(seen);
        }
        let soak = soak(&pools, now);
        let sources = self.sources();
        let mut targets: BTreeMap<ImageLabel, Target> = BTreeMap::new();
        pools
            .into_iter()
            .map(|(key, seen)| {
                let mut input = self.input(key, seen, &advisories, now);
                if let Some(label) = request.target.of(&input) {
                    let target = targets
                        .entry(label.clone())
                        .or_insert_with(|| self.target(&advisories, &label, &sources));
                    input.target = Some(target.facts.clone());
                    input.gain = self.gain(&advisories, &input.key, target, now);
                    input.soak = soak.get(&label).map(|one| one.without(&input.key));
                }
                input
            })
            .collect()
    }

    /// What is seen of the pools of plans now: nodes, and what the provider claims.
    #[must_use]
    pub fn sightings(&self) -> Vec<Observation> {
        let advisories = self.advisories();
        let catalogue = advisories.images().catalogue();
        let mut sightings = Vec::new();
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let Some(pool) = node.pool() else { continue };
            let peer = node.peer();
            sightings.push(Observation::Node(Sighting {
                at: node.last_report_at(),
                uid: Some(peer.uid.clone()),
                boot: Some(node.boot_id().to_owned()),
                image: node.image_label(),
                ..Sighting::of(node.last_report_at(), &pool, &peer.node)
            }));
        }
        for key in catalogue.pool_keys() {
            if let Some(pool) = catalogue.pool(key) {
                sightings.push(Observation::Claim {
                    at: pool.as_of,
                    pool: key.clone(),
                    image: pool.image,
                });
            }
        }
        sightings
    }

    fn input(
        &self,
        key: PoolKey,
        seen: Vec<Seen>,
        advisories: &Advisories,
        now: Timestamp,
    ) -> PoolInput {
        let catalogue = advisories.images().catalogue();
        let profile = catalogue.pool(&key);
        let family = seen.iter().find_map(|one| one.node.image.as_ref().map(|one| &one.family));
        let offered = match catalogue.newest_offered(&key, family.map(String::as_str), now) {
            NewestOffered::Known { image, span } => {
                Some(OfferedImage { key: key.clone(), image: image.clone(), as_of: span.as_of })
            }
            NewestOffered::Untold | NewestOffered::Stale { .. } => None,
        };
        let of_profile = profile.as_ref().and_then(|profile| profile.kubernetes.clone());
        let kubernetes = of_profile.or_else(|| seen.iter().find_map(|one| one.kubernetes.clone()));
        let drift: Option<BTreeSet<Drift>> = seen
            .iter()
            .map(|one| one.drift.clone())
            .collect::<Option<Vec<_>>>()
            .filter(|all| !all.is_empty())
            .map(|all| all.into_iter().flatten().collect());
        let quota = catalogue.quotas().find(|quota| quota.cluster == key.cluster);
        let subnet = catalogue.subnets().find(|subnet| subnet.pools.covers(&key));
        PoolInput {
            resource_group: profile.as_ref().and_then(|profile| profile.resource_group.clone()),
            profile,
            offered,
            drift: drift.map(|all| all.into_iter().collect()),
            processors: quota.map(|quota| Pot {
                name: format!(
                    "processors of {} {}",
                    quota.cluster,
                    quota.region.as_deref().unwrap_or_default()
                ),
                left: quota.processors_free,
            }),
            addresses: subnet.map(|subnet| Pot {
                name: format!("addresses of {}", subnet.pools),
                left: subnet.addresses_free,
            }),
            kubernetes: kubernetes
                .and_then(|version| KubernetesSupport::of(&version, self.policy(), now)),
            ..PoolInput::of_nodes(key, seen.into_iter().map(|one| one.node).collect())
        }
    }

    fn seen(
        &self,
        node: &NodeMemory,
        advisories: &Advisories,
        findings: &[Finding],
        now: Timestamp,
    ) -> Seen {
        let peer = node.peer();
        let is_stale = node.is_stale(now);
        let image = node.image_label();
        let drift = image.as_ref().and_then(|image| {
            let release = self.release(advisories, image).ok()?;
            let (_, packages) = node.installed()?;
            drift(&release, &packages, node.label().as_ref())
        });
        let is_lost =
            |cause: DriftCause| !matches!(cause, DriftCause::SecurityPatch | DriftCause::Updated);
        Seen {
            node: PlanNode {
                name: peer.node.clone(),
                uid: Some(peer.uid.clone()),
                boot: Some(node.boot_id().to_owned()),
                zone: node.zone(),
                image,
                os: node.system().map(|(id, version_id, _)| OsName { id, version_id }),
                last_reported: Some(node.last_report_at()),
                is_stale,
                health: match is_stale {
                    true => NodeHealth::Unknown { why: "its last report is too old".to_owned() },
                    false => health(findings),
                },
                repair: self.repair(findings),
                is_quarantined: false,
            },
            kubernetes: node.kubernetes(),
            drift: drift.map(|all| {
                let lost = all.into_iter().filter(|one| is_lost(one.cause));
                lost.map(|one| Drift::Package(format!("{}: {}", one.name, one.cause.words())))
                    .collect()
            }),
            image_since: node.image_since(),
        }
    }

    /// The provider's repair, where a finding says that it will act.
    fn repair(&self, findings: &[Finding]) -> Option<Repair> {
        let by = Responsible::Automation { by: Automation::AutoRepair };
        let repaired = findings.iter().filter(|finding| finding.responsible == by);
        let since = repaired.map(|finding| finding.since).min()?;
        let until = since.checked_add(self.policy().auto_repair_exhausted_after());
        Some(Repair { until: until.unwrap_or(Timestamp::MAX) })
    }

    fn target(&self, advisories: &Advisories, label: &ImageLabel, sources: &Sources) -> Target {
        let catalogue = advisories.images().catalogue();
        let release = self.release(advisories, label);
        let index = advisories.knowledge().index;
        let matched = match &release {
            Ok(release) => MatchedImage::of(release, sources, index).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        let os = |release: &Arc<ImageRelease>| {
            let (id, version_id) = (release.os_id.clone()?, release.os_version_id.clone()?);
            Some(OsName { id, version_id })
        };
        Target {
            facts: TargetFacts {
                image: label.clone(),
                built_at: release.as_ref().ok().and_then(|release| release.built_at),
                published_at: catalogue.announced_at(&label.family, &label.version),
                os: release.as_ref().ok().and_then(os),
                has_packages: matched.is_ok(),
            },
            matched,
        }
    }

    fn gain(
        &self,
        advisories: &Advisories,
        pool: &PoolKey,
        target: &Target,
        now: Timestamp,
    ) -> Gain {
        let unknown = |why: String| Gain::Unknown { why };
        let to = match &target.matched {
            Ok(to) => to,
            Err(why) => return unknown(why.clone()),
        };
        let (from, matched) = self.lacking(advisories, pool, now);
        if matched.is_empty() {
            return unknown("no node of the pool tells which fixes it lacks".to_owned());
        }
        if from.not_judged > 0 {
            return unknown(format!("{} of its nodes cannot be judged", from.not_judged));
        }
        let matched: Vec<_> = matched.iter().map(Arc::as_ref).collect();
        let index = advisories.knowledge().index;
        let compared = compare_fixes(&matched, to, index, self.policy(), now);
        let ids = |fixes: &[ComparedFix]| {
            Fixes::of(fixes.iter().map(|fix| format!("{} {}", fix.record, fix.source)))
        };
        let over: Vec<ComparedFix> =
            compared.gained.iter().filter(|fix| fix.is_over).cloned().collect();
        Gain::Known(Box::new(Gained {
            over_line: ids(&over),
            all: ids(&compared.gained),
            left: ids(&[compared.left, compared.unclear].concat()),
            brought_back: ids(&compared.brought_back),
            weight_per_node: None,
        }))
    }
}

/// An image that pools are to have.
struct Target {
    facts: TargetFacts,
    matched: Result<MatchedImage, String>,
}

/// Components without which a node cannot be drained, or nothing runs on it.
const VITAL: [Component; 4] =
    [Component::Kubelet, Component::Containerd, Component::KubeProxy, Component::Cni];

/// Whether a node is well, by its findings: an upgrade does not begin on one that is not.
fn health(findings: &[Finding]) -> NodeHealth {
    let vital: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Critical)
        .filter(|finding| VITAL.contains(&finding.component))
        .collect();
    match vital.first() {
        None => NodeHealth::Ready,
        Some(first) => NodeHealth::Unhealthy {
            reasons: vital.iter().map(|finding| finding.reason.clone()).collect(),
            who: first.responsible.clone(),
        },
    }
}

/// How an image does, by pool.
#[derive(Default)]
struct Soak {
    by_pool: BTreeMap<PoolKey, (u32, u32)>,
    since: Option<Timestamp>,
    now: Timestamp,
}

impl Soak {
    /// How it does in the other pools of the fleet.
    fn without(&self, pool: &PoolKey) -> SoakEvidence {
        let others = self.by_pool.iter().filter(|(key, _)| *key != pool);
        let (mut evidence, mut is_any) = (SoakEvidence::default(), false);
        for (_, (nodes, unhealthy)) in others {
            is_any = true;
            evidence.pools += 1;
            evidence.nodes += nodes;
            evidence.unhealthy += unhealthy;
        }
        if let (true, Some(since)) = (is_any, self.since) {
            let days = self.now.duration_since(since).as_hours() / 24;
            evidence.days = u32::try_from(days).unwrap_or_default();
        }
        evidence
    }
}

fn soak(pools: &BTreeMap<PoolKey, Vec<Seen>>, now: Timestamp) -> BTreeMap<ImageLabel, Soak> {
    let mut soak: BTreeMap<ImageLabel, Soak> = BTreeMap::new();
    for (key, seen) in pools {
        for one in seen {
            let Some(image) = &one.node.image else { continue };
            let of_image =
                soak.entry(image.clone()).or_insert_with(|| Soak { now, ..Soak::default() });
            let (nodes, unhealthy) = of_image.by_pool.entry(key.clone()).or_default();
            *nodes += 1;
            *unhealthy += u32::from(one.node.health != NodeHealth::Ready);
            of_image.since = [of_image.since, one.image_since].into_iter().flatten().min();
        }
    }
    soak
}

impl NodeMemory {
    /// The image that its disk names.
    fn image_label(&self) -> Option<ImageLabel> {
        let stand = self.image_name()?;
        let (sku, version) = stand;
        Some(ImageLabel { family: family_by_any_name(&sku), version, patched: None })
    }
}
