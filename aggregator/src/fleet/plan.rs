//! What plans are made from: every pool with all that nodes, the catalogue and the advisories
//! tell of it. What nobody told stays unknown, and the plan says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::Silence;
use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::image::catalogue::NewestOffered;
use nodeward_domain::image::compare::{ComparedFix, MatchedImage, compare_fixes};
use nodeward_domain::image::drift::drift;
use nodeward_domain::image::sources::Sources;
use nodeward_domain::image::{ImageLabel, ImageRelease, family_by_any_name};
use nodeward_domain::plan::input::{
    DisruptionBudget, Drift, Fixes, Gain, Gained, KubernetesSupport, NodeHealth, OsName, PlanNode,
    PlanRequest, PoolInput, Pot, Repair, SoakEvidence, TargetFacts,
};
use nodeward_domain::plan::watch::{Observation, Sighting};
use nodeward_domain::pool::{OfferedImage, PoolKey, PoolProfile, Quota};

use super::{Fleet, NodeMemory};
use crate::advisories::Advisories;

/// The check by which the API server's word of a quarantine is told.
const QUARANTINED: &str = "NodeQuarantined";

/// What images are made of.
type Releases = BTreeMap<ImageLabel, Arc<ImageRelease>>;

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
        let told = advisories.images().catalogue().pool_keys();
        for key in told.filter(|key| self.sees(&key.cluster)) {
            pools.entry(key.clone()).or_default();
        }
        let all = self.pools();
        let releases = self.releases(&advisories);
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let Some(key) = node.pool() else { continue };
            let answer = node.answer(self.policy(), &advisories, &all, now);
            if answer.is_gone() {
                continue;
            }
            let seen = self.seen(node, &releases, &answer, now);
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
            let last = node.last_report_at();
            // Since when a node is as it is tells how long it has stood still: of its last
            // report alone it would seem to have moved just now.
            let since = node.image_since().filter(|since| last.is_some_and(|last| *since < last));
            let times = since.into_iter().chain(last);
            sightings.extend(times.map(|at| {
                Observation::Node(Sighting {
                    uid: Some(peer.uid.clone()),
                    boot: Some(node.boot_id().to_owned()),
                    image: node.image_label(),
                    ..Sighting::of(at, &pool, &peer.node)
                })
            }));
        }
        for key in catalogue.pool_keys().filter(|key| self.sees(&key.cluster)) {
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
        let seen = without_gone(seen, profile.as_ref());
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
        let quota = Quota::of_surge(catalogue.quotas(), &key, profile.as_ref());
        // What names the pool itself goes before any pattern, the longer pattern before the
        // shorter.
        let subnet = catalogue
            .subnets()
            .filter(|subnet| subnet.pools.covers(&key))
            .max_by_key(|subnet| (subnet.pools.exact().is_some(), subnet.pools.pool.len()));
        PoolInput {
            resource_group: profile.as_ref().and_then(|profile| profile.resource_group.clone()),
            resource: profile.as_ref().and_then(|profile| profile.resource.clone()),
            cluster_channel: catalogue.channel(&key),
            profile,
            offered,
            drift: drift.map(|all| all.into_iter().collect()),
            processors: quota.map(|quota| Pot {
                name: [&quota.region, &quota.vm_family]
                    .into_iter()
                    .flatten()
                    .fold(format!("of {}", quota.cluster), |name, part| format!("{name}, {part}")),
                left: quota.processors_free,
            }),
            addresses: subnet.map(|subnet| Pot {
                name: format!("the subnet of {}", subnet.pools),
                left: subnet.addresses_free,
            }),
            disruption_budgets: self.budgets(&key, &seen),
            kubernetes: kubernetes
                .and_then(|version| KubernetesSupport::of(&version, self.policy(), now)),
            ..PoolInput::of_nodes(key, seen.into_iter().map(|one| one.node).collect())
        }
    }

    /// The budgets of disruption that guard pods on a pool's nodes; none where the API server is
    /// not asked for them.
    fn budgets(&self, key: &PoolKey, seen: &[Seen]) -> Option<Vec<DisruptionBudget>> {
        let cluster = self.cluster(&key.cluster)?;
        let (budgets, _) = cluster.budgets.as_ref()?;
        let is_here = |node: &String| seen.iter().any(|one| one.node.name == *node);
        let here = budgets.iter().filter(|budget| budget.nodes.iter().any(is_here));
        let of_pool = here.map(|budget| DisruptionBudget {
            namespace: budget.namespace.clone(),
            name: budget.name.clone(),
            allowed: budget.disruptions_allowed,
        });
        Some(of_pool.collect())
    }

    /// What the images that nodes run are made of. An image without a note is learned from all
    /// nodes, so that no node's memory may be held meanwhile.
    fn releases(&self, advisories: &Advisories) -> Releases {
        let labels = self.all().into_iter().filter_map(|place| {
            let memory = place.memory();
            memory.node.as_ref().and_then(NodeMemory::image_label)
        });
        let labels: BTreeSet<ImageLabel> = labels.collect();
        let known = labels.into_iter().filter_map(|label| {
            let release = self.release(advisories, &label).ok()?;
            Some((label, release))
        });
        known.collect()
    }

    fn seen(
        &self,
        node: &NodeMemory,
        releases: &Releases,
        answer: &NodeAnswer,
        now: Timestamp,
    ) -> Seen {
        let peer = node.peer();
        let is_stale = node.is_stale(now);
        let image = node.image_label();
        let drift = image.as_ref().and_then(|image| {
            let release = releases.get(image)?;
            let (_, packages) = node.installed()?;
            drift(release, &packages, node.label().as_ref())
        });
        Seen {
            node: PlanNode {
                name: peer.node.clone(),
                uid: Some(peer.uid.clone()),
                boot: Some(node.boot_id().to_owned()),
                zone: node.zone(),
                image,
                os: node.system().map(|(id, version_id, _)| OsName { id, version_id }),
                last_reported: node.last_report_at(),
                is_stale,
                health: NodeHealth::of(answer, is_stale),
                repair: Repair::of(&answer.findings, self.policy()),
                is_quarantined: answer.findings.iter().any(|one| one.reason == QUARANTINED),
            },
            kubernetes: node.kubernetes(),
            drift: drift
                .map(|all| Drift::lost(&all).chain(Drift::lost_files(&answer.findings)).collect()),
            image_since: node.image_since(),
        }
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
        // Of a feed that is not whole, silence does not mean that nothing is gained.
        let stream = &to.inventory.inventory.stream;
        if let (true, Silence::Unknown(why)) =
            (compared.gained.is_empty(), advisories.knowledge().feeds.silence(stream, now))
        {
            return unknown(why);
        }
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

/// The nodes of a pool without those that are gone. Nothing says yet that a node was removed, and
/// every upgrade with surge leaves one behind: where the provider counts no more nodes than
/// report, one that had fallen silent before it counted is none of them.
fn without_gone(seen: Vec<Seen>, profile: Option<&PoolProfile>) -> Vec<Seen> {
    let Some((profile, count)) = profile.and_then(|profile| Some((profile, profile.nodes?))) else {
        return seen;
    };
    let reporting = seen.iter().filter(|one| !one.node.is_stale).count();
    if profile.autoscaled.is_some() || usize::try_from(count).is_ok_and(|count| reporting < count) {
        return seen;
    }
    let is_gone = |node: &PlanNode| {
        node.is_stale && node.last_reported.is_some_and(|last| last < profile.as_of)
    };
    seen.into_iter().filter(|one| !is_gone(&one.node)).collect()
}

/// An image that pools are to have.
struct Target {
    facts: TargetFacts,
    matched: Result<MatchedImage, String>,
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
