//! One node with everything that its fixes were judged by, so that rows and sums are made
//! only when somebody asks for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::answer::FixesAnswer;
use super::counts::FixCounts;
use super::opinion::{self, Container, Opinion};
use super::row::{self, FixRow};
use super::{Assessed, Circumstances, Knowledge, Lack, Place, Turned, assess};
use crate::advisory::AliasId;
use crate::matching::{FixId, Inventory, Matched, Missing};
use crate::node::NodeHistory;
use crate::policy::Policy;

/// Who a node is, for sums over many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAbout {
    /// Its cluster.
    pub cluster: String,
    /// Its name.
    pub node: String,
    /// Its pool; empty where it is not known.
    pub pool: String,
    /// The image that it was made from; empty where it is not known.
    pub image: String,
    /// Whether its last report is too old to be believed.
    pub is_stale: bool,
}

/// Labels that name the pool of a node, the surest first.
const POOL_LABELS: [&str; 2] = ["kubernetes.azure.com/agentpool", "agentpool"];

/// The pool of a node, by the labels that its kubelet registers, or, of a node on which no agent
/// looked, by those in the API server; none where they do not tell.
#[must_use]
pub fn pool_of(history: &NodeHistory) -> Option<&str> {
    let image = history.node_image.present();
    let registered = image.and_then(|image| POOL_LABELS.iter().find_map(|key| image.label(key)));
    let in_cluster = || {
        let object = history.node_object.present()?;
        POOL_LABELS.iter().find_map(|key| object.label(key))
    };
    registered.or_else(in_cluster).filter(|pool| !pool.is_empty())
}

impl NodeAbout {
    /// By what the node shows of itself.
    #[must_use]
    pub fn of(cluster: &str, node: &str, history: &NodeHistory, is_stale: bool) -> Self {
        let image = history.node_image.present();
        let pool = pool_of(history).unwrap_or_default();
        let name = image.and_then(|image| image.name.as_ref());
        Self {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            pool: pool.to_owned(),
            image: name.map(|name| format!("{}-{}", name.sku, name.version)).unwrap_or_default(),
            is_stale,
        }
    }
}

/// A node and what was found about its fixes.
#[derive(Debug)]
pub struct NodeFixes<'a> {
    /// Who it is.
    pub about: NodeAbout,
    /// What was found; or why nothing could be.
    pub judged: Result<Judged<'a>, String>,
}

/// What was found about the fixes of one node.
#[derive(Debug)]
pub struct Judged<'a> {
    /// What is known beside the node.
    pub knowledge: Knowledge<'a>,
    /// The policy.
    pub policy: &'a Policy,
    /// What matching depended on.
    pub inventory: Inventory,
    /// What was matched.
    pub matched: Arc<Matched>,
    /// Whose turn each of it is.
    pub assessed: Assessed,
    /// The container images that run in kube-system.
    pub containers: Vec<Container>,
    /// What the provider's own scanner says of the node's image.
    pub opinion: Option<Opinion>,
}

impl<'a> Judged<'a> {
    /// Judges a node. `matched` gives the result of matching an inventory; nodes that are
    /// alike share one.
    pub fn of(
        place: Place<'_>,
        history: &NodeHistory,
        knowledge: Knowledge<'a>,
        policy: &'a Policy,
        now: Timestamp,
        matched: impl FnOnce(&Inventory) -> Arc<Matched>,
    ) -> Result<Self, String> {
        let inventory = super::inventory(history, knowledge.bulletins)?;
        let matched = matched(&inventory);
        let circumstances = Circumstances::of(place, history, policy, now);
        let assessed = assess(knowledge, &inventory, &matched, &circumstances, policy, now);
        let reports = knowledge.reports;
        let images = history.managed_images.present();
        let containers = opinion::containers(reports, images, circumstances.platform, policy, now);
        let mut judged =
            Self { knowledge, policy, inventory, matched, assessed, containers, opinion: None };
        if !reports.is_empty() {
            let found = judged.matched.cves_without_kernel(knowledge.index);
            judged.opinion = opinion::opinion(reports, circumstances.image, &found);
        }
        Ok(judged)
    }

    /// The sums.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> FixCounts {
        let mut counts =
            self.assessed.counts(self.knowledge.index, &self.matched, self.policy, now);
        for container in &self.containers {
            counts.count_container(container, self.policy, now);
        }
        counts
    }

    /// What could not be said, a line each.
    #[must_use]
    pub fn incomplete(&self) -> Vec<String> {
        self.assessed.incomplete(&self.inventory.stream)
    }

    /// When the fix of something was published, as far as that is known.
    pub(super) fn published(&self, lack: Lack) -> Option<Timestamp> {
        match lack {
            Lack::Missing(place) => {
                let missing = self.matched.missing.get(place)?;
                self.knowledge.index.published(missing.fix).map(|(at, _)| at)
            }
            Lack::Unfixed(_) | Lack::OtherTier(_) | Lack::Unreadable(_) => None,
        }
    }

    /// The statement that something lacking rests on, and the place of its source package.
    pub(super) fn fix(&self, lack: Lack) -> Option<(usize, FixId)> {
        let matched = &self.matched;
        let (source, fix) = match lack {
            Lack::Missing(place) => matched.missing.get(place).map(|one| (one.source, one.fix))?,
            Lack::Unfixed(place) => matched.unfixed.get(place).map(|one| (one.source, one.fix))?,
            Lack::OtherTier(place) => {
                matched.other_tiers.get(place).map(|one| (one.source, one.fix))?
            }
            Lack::Unreadable(_) => return None,
        };
        Some((source, fix))
    }

    /// What cannot be read of a statement.
    pub(super) fn unreadable(&self, lack: Lack) -> Option<&str> {
        match lack {
            Lack::Unreadable(place) => Some(&self.matched.unreadable.get(place)?.why),
            _ => None,
        }
    }

    /// What of a lacking fix an earlier notice has fixed on the node: a second notice, which
    /// mends what the first one broke, does not open again what that had fixed.
    pub(super) fn mended(&self, missing: &Missing) -> BTreeSet<AliasId> {
        let index = self.knowledge.index;
        let is_reissue = index.record_name(missing.fix).is_some_and(is_reissue);
        let Some(source) = self.matched.sources.get(missing.source).filter(|_| is_reissue) else {
            return BTreeSet::new();
        };
        let stream = self.inventory.stream.in_tier(missing.tier.clone());
        let is_lacking = |fix| {
            let mut all = self.matched.missing.iter();
            all.any(|one| one.source == missing.source && one.fix == fix)
        };
        index
            .alias_ids(missing.fix)
            .filter(|id| {
                let first = index.first_fix(&stream, &source.source, id);
                first.is_some_and(|first| first != missing.fix && !is_lacking(first))
            })
            .cloned()
            .collect()
    }

    /// The sums alone, for lists of nodes.
    #[must_use]
    pub fn summary(&self, now: Timestamp) -> FixesAnswer {
        FixesAnswer::summary(self, now)
    }

    /// One thing that is lacking, for screens, and the place of its source package.
    #[must_use]
    pub fn row(&self, turned: &Turned) -> Option<(usize, FixRow)> {
        row::row(self, turned)
    }

    /// All of it, for screens.
    #[must_use]
    pub fn answer(&self, now: Timestamp) -> FixesAnswer {
        FixesAnswer::of(self, now)
    }
}

/// Whether a record's name says that it is not the first of its number: `USN-6859-2`.
pub(super) fn is_reissue(record: &str) -> bool {
    let number = record.rsplit_once('-').and_then(|(_, number)| number.parse::<u32>().ok());
    crate::advisory::is_notice(record) && number.is_some_and(|number| (2..100).contains(&number))
}
