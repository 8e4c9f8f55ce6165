//! A plan as stages of Azure Kubernetes Fleet Manager. Source of the form and of its limits: the
//! provider's page on update strategies (`stages[{name, maxConcurrency, groups[{name}],
//! afterStageWaitInSeconds}]`, at most 50 groups in a stage).
//!
//! Fleet Manager upgrades clusters, not pools. What that loses stands in `notes`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plan::words::list;
use crate::plan::{Plan, Standing, Wave};

/// At most so many groups are in one stage.
const GROUPS: usize = 50;

/// Names of stages and groups are no longer.
const NAME: usize = 50;

/// Stages, in their order, in the words of the provider's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FleetStages {
    /// The stages.
    pub stages: Vec<Stage>,
    /// What the stages cannot say; not for the provider.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How many of its groups go at a time.
    pub max_concurrency: u32,
    /// Its groups.
    pub groups: Vec<Group>,
    /// How long to wait behind it, seconds.
    pub after_stage_wait_in_seconds: u64,
}

/// One group of member clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name: that of the cluster.
    pub name: String,
}

/// The stages of a plan. Each cluster is a group of its name and stands in the stage of its
/// first wave; clusters with a pool that must not be upgraded are left out.
#[must_use]
pub fn fleet_stages(plan: &Plan) -> FleetStages {
    let mut clusters: BTreeMap<&str, OfCluster> = BTreeMap::new();
    for pool in &plan.pools {
        let cluster = clusters.entry(&pool.key.cluster).or_default();
        let batch = pool.rollout.as_ref().map_or(0, |rollout| rollout.batch);
        cluster.batch = cluster.batch.saturating_add(batch);
        cluster.is_blocked |= pool.standing == Standing::Blocked;
        if let Some(wave) = pool.wave {
            cluster.wave = Some(cluster.wave.map_or(wave, |first| first.min(wave)));
            cluster.waves += u32::from(cluster.last != Some(wave));
            cluster.last = Some(wave);
        }
    }
    let mut fleet = FleetStages { stages: Vec::new(), notes: Vec::new() };
    let cap = plan.totals.disruption_cap;
    for wave in &plan.waves {
        let of_wave: Vec<(&str, u32)> = clusters
            .iter()
            .filter(|(name, cluster)| {
                cluster.wave == Some(wave.number) && !cluster.is_blocked && is_name(name)
            })
            .map(|(name, cluster)| (*name, cluster.batch))
            .collect();
        fleet.stages.extend(stages_of(wave, &of_wave, cap));
    }
    fleet.note(plan, &clusters);
    fleet
}

#[derive(Debug, Default)]
struct OfCluster {
    /// Its first wave.
    wave: Option<u32>,
    last: Option<u32>,
    /// In how many runs of waves its pools are; more than one is more than one wave.
    waves: u32,
    /// Nodes out of use when all of its pools are upgraded at the same time.
    batch: u32,
    is_blocked: bool,
}

/// Stages of one wave; the wait is behind the last of them.
fn stages_of(wave: &Wave, clusters: &[(&str, u32)], cap: u32) -> Vec<Stage> {
    let parts = clusters.chunks(GROUPS);
    let count = parts.len();
    let stages = parts.enumerate().map(|(part, clusters)| {
        let number = wave.number;
        let is_last = part + 1 == count;
        Stage {
            name: match (wave.is_canary, count) {
                (true, 1) => format!("wave-{number}-canary"),
                (false, 1) => format!("wave-{number}"),
                (true, _) => format!("wave-{number}-canary-part-{}", part + 1),
                (false, _) => format!("wave-{number}-part-{}", part + 1),
            },
            max_concurrency: concurrency(clusters, cap),
            groups: clusters.iter().map(|(name, _)| Group { name: (*name).to_owned() }).collect(),
            after_stage_wait_in_seconds: match is_last {
                true => u64::from(wave.soak_hours) * 3600,
                false => 0,
            },
        }
    });
    stages.collect()
}

/// As many clusters at a time as stay within the cap, even if they are the largest; at least one.
fn concurrency(clusters: &[(&str, u32)], cap: u32) -> u32 {
    let mut batches: Vec<u32> = clusters.iter().map(|(_, batch)| *batch).collect();
    batches.sort_unstable_by(|one, other| other.cmp(one));
    let (mut sum, mut count) = (0u32, 0u32);
    for batch in batches {
        sum = sum.saturating_add(batch);
        if sum > cap {
            break;
        }
        count += 1;
    }
    count.max(1)
}

/// Whether a cluster's name may be a group's: lower-case letters, digits and dashes within.
fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME
        && name.bytes().all(|byte| is_word(byte) || byte == b'-')
        && name.bytes().next().is_some_and(is_word)
        && name.bytes().next_back().is_some_and(is_word)
}

impl FleetStages {
    fn note(&mut self, plan: &Plan, clusters: &BTreeMap<&str, OfCluster>) {
        let names = |is_one: &dyn Fn(&str, &OfCluster) -> bool| -> Vec<String> {
            let going = clusters.iter().filter(|(_, cluster)| cluster.wave.is_some());
            let named = going.filter(|(name, cluster)| is_one(name, cluster));
            named.map(|(name, _)| super::plain(name)).collect()
        };
        let blocked = names(&|_, cluster| cluster.is_blocked);
        if !blocked.is_empty() {
            self.notes.push(format!(
                "left out, because a pool of theirs is blocked and Fleet Manager upgrades whole \
                 clusters: {}",
                list(&blocked)
            ));
        }
        let odd = names(&|name, cluster| !cluster.is_blocked && !is_name(name));
        if !odd.is_empty() {
            let odd = list(&odd);
            self.notes.push(format!("left out, because their names cannot be groups': {odd}"));
        }
        let several =
            names(&|name, cluster| !cluster.is_blocked && is_name(name) && cluster.waves > 1);
        if !several.is_empty() {
            self.notes.push(format!(
                "upgraded whole in their first stage, though their pools have several waves: {}",
                list(&several)
            ));
        }
        let has_canary = self.stages.first().is_some_and(|stage| stage.name.contains("canary"));
        if !self.stages.is_empty() && !has_canary && plan.waves.iter().any(|wave| wave.is_canary) {
            self.notes.push(
                "no stage is the canary and nothing soaks: all clusters of the canary are left out"
                    .to_owned(),
            );
        }
        if !self.stages.is_empty() {
            self.notes.push(
                "each group is named like its cluster: put every member cluster into a group of \
                 its name"
                    .to_owned(),
            );
            self.notes.push(
                "Fleet Manager keeps the maintenance windows of each cluster, not those of the \
                 plan; a run that pins an image may fail once the image is 90 days old"
                    .to_owned(),
            );
        }
        if plan.waves.is_empty() {
            self.notes.extend(plan.explains.iter().map(ToString::to_string));
        }
    }
}
