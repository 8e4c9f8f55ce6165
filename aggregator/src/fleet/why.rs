//! Why a node is ill, with what the others of its pool and image show; what that means the
//! domain decides.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeward_domain::auto_repair::ClusterView;
use nodeward_domain::why::{Sibling, WhyAnswer};

use super::{Fleet, NoAnswer};

impl Fleet {
    /// Why one node is ill. An empty cluster stands for whichever has it.
    pub fn why(&self, cluster: &str, node: &str, now: Timestamp) -> Result<WhyAnswer, NoAnswer> {
        let advisories = self.advisories();
        let pools = self.pools();
        let (answer, own) = self.one(cluster, node, |node| {
            let answer = node.judged(&self.policy, &advisories, &pools, now, |history, answer| {
                let view = ClusterView::of(&history.node_object);
                WhyAnswer::of(answer, history, view.as_ref(), &self.policy)
            });
            (answer, node.stand())
        })?;
        let reasons: BTreeSet<String> = answer.asks_of_siblings().into_iter().collect();
        let Some(own) = own.filter(|_| !reasons.is_empty()) else { return Ok(answer) };
        let mut siblings = Vec::new();
        for place in self.all() {
            let memory = place.memory();
            let Some(other) = memory.node.as_ref().filter(|other| !other.is_stale(now)) else {
                continue;
            };
            let Some(stand) = other.stand() else { continue };
            let is_itself = (&stand.pool.cluster, &stand.node) == (&own.pool.cluster, &own.node);
            let is_of_pool = stand.pool == own.pool;
            let is_of_image = (&stand.sku, &stand.version) == (&own.sku, &own.version);
            if is_itself || !(is_of_pool || is_of_image) {
                continue;
            }
            let failing = other.failing(&self.policy, &advisories, &pools, now);
            let reasons = failing.intersection(&reasons).cloned().collect();
            siblings.push(Sibling { node: stand.node, is_of_pool, is_of_image, reasons });
        }
        Ok(answer.with_siblings(&siblings))
    }
}
