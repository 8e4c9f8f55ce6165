//! The fleet as the store has it. What the store cannot give back costs its own component
//! alone, and what a wrong clock wrote is not believed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use nodeward_domain::node::RUNS_KEPT;
use nodeward_domain::policy::Policy;
use nodeward_proto::digest::Digest;

use super::{Fleet, NodeMemory};
use crate::advisories::Advisories;
use crate::store::{ChangeNumber, Interval, Spoilt, Store, StoreError, StoredNode};

impl Fleet {
    /// The fleet as it was stored, for this moment.
    pub async fn load(
        policy: Policy,
        advisories: Advisories,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let fleet = Self::new(policy, advisories);
        let loaded = store.load_since(ChangeNumber::default(), RUNS_KEPT).await?;
        // Many nodes stand on one content.
        let mut spoilt = HashMap::new();
        for mut stored in loaded.nodes {
            for standing in &mut stored.standings {
                standing.since = standing.since.min(now);
            }
            let mut lost = Vec::new();
            for interval in &mut stored.intervals {
                not_ahead(interval, now);
                if let Some(why) = fleet.recall(interval.digest, store, &mut spoilt).await?
                    && interval.valid_to.is_none()
                {
                    lost.push((interval.component.clone(), why));
                }
            }
            fleet.restore(stored, &lost, now);
        }
        for spoilt in &loaded.spoilt {
            fleet.count_spoilt(spoilt);
            if let Some((peer, component)) = &spoilt.component
                && let Some(place) = fleet.find(peer)
                && let Some(node) =
                    place.memory().node.as_mut().filter(|node| node.peer().uid == peer.uid)
            {
                node.unreadable(component, &spoilt.to_string(), now);
            }
        }
        fleet.forget_gone(now);
        Ok(fleet)
    }

    /// Remembers a content that a node stands on. Returns why that cannot be when it is
    /// spoilt.
    async fn recall(
        &self,
        digest: Digest,
        store: &dyn Store,
        spoilt: &mut HashMap<Digest, Spoilt>,
    ) -> Result<Option<String>, StoreError> {
        if !self.has(digest) && !spoilt.contains_key(&digest) {
            match store.content(digest).await {
                Ok(Some(content)) => self.remember(&content),
                Ok(None) => {}
                Err(StoreError::Spoilt(row)) => {
                    self.count_spoilt(&row);
                    spoilt.insert(digest, *row);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(spoilt.get(&digest).map(ToString::to_string))
    }

    fn restore(&self, stored: StoredNode, lost: &[(String, String)], now: Timestamp) {
        let place = self.place(&stored.peer);
        let mut node = NodeMemory::restore(stored, |digest| self.known(digest));
        for (component, why) in lost {
            node.unreadable(component, why, now);
        }
        let mut memory = place.memory();
        // Lives come in the order of their last changes: the last is the one that reports.
        if let Some(ended) = memory.node.replace(node) {
            memory.ended.push(ended.peer().uid.clone());
        }
        self.are_pools_old.store(true, Ordering::Release);
    }
}

/// Nothing has been so since a time that is still to come: the clock ran ahead when that
/// was written. When the node last reported stays as it was written, so that the node is
/// stale until it reports again.
fn not_ahead(interval: &mut Interval, now: Timestamp) {
    interval.valid_from = interval.valid_from.min(now);
    interval.last_observed = interval.last_observed.min(now);
}
