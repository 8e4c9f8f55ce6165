//! What clusters' API servers say, taken into the fleet: two components of each node that no
//! agent may speak for, and what holds for a cluster as a whole. It is committed as reports
//! are, so that what a node was lasts over a restart; what has not changed is observed anew in
//! memory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::cluster::{Budget, ClusterTruth};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, NodeObject};
use nodeward_domain::observed::State;
use nodeward_proto::content::Content;
use tokio::task::JoinSet;

use super::node::{NodeMemory, ToldContent};
use super::place::Memory;
use super::{Fleet, read};
use crate::peer::{Peer, is_of_kubernetes};
use crate::store::{Batch, Store, StoreError, Transition};

/// So many nodes are committed at once: what waits together is one group of the store.
const AT_ONCE: usize = 256;

/// A node that is gone from its cluster, and from which nothing is heard, is shown as gone for
/// so long.
pub(super) const GONE_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A cluster whose API server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCluster {
    /// What holds for it as a whole.
    pub truth: ClusterTruth,
    /// Its budgets of disruption, by namespace and name, and of when they are; none where they
    /// are not known.
    pub budgets: Option<(Arc<[Budget]>, Timestamp)>,
}

/// Every cluster whose API server is asked, by name.
pub(super) type Clusters = Arc<BTreeMap<String, Arc<KnownCluster>>>;

/// What an API server says of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The node's name.
    pub node: String,
    /// Its UID there; none where the API server has no such node, or does not say.
    pub uid: Option<String>,
    /// What is said.
    pub states: Vec<ComponentState>,
}

impl Fleet {
    /// Commits what an API server says of nodes, and remembers it. What fails keeps none of the
    /// others back.
    pub async fn take_told(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        cluster: &str,
        told: Vec<Told>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut under_way = JoinSet::new();
        let mut result = Ok(());
        let mut ended = |one: Option<Result<Result<(), StoreError>, tokio::task::JoinError>>| {
            if let Some(Ok(Err(error))) = one {
                result = Err(error);
            }
        };
        for one in told {
            if under_way.len() >= AT_ONCE {
                ended(under_way.join_next().await);
            }
            let (fleet, store) = (Arc::clone(self), Arc::clone(store));
            let cluster = cluster.to_owned();
            under_way.spawn(async move { fleet.take_one(&*store, cluster, one, now).await });
        }
        while let Some(one) = under_way.join_next().await {
            ended(Some(one));
        }
        result
    }

    async fn take_one(
        &self,
        store: &dyn Store,
        cluster: String,
        told: Told,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Told { node, uid, states } = told;
        let named = Peer { cluster, node, uid: uid.clone().unwrap_or_default() };
        let place = self.visit(&named);
        let _turn = place.turn.lock().await;
        let Some(peer) = whose(&place.memory(), &named, uid.as_deref()) else { return Ok(()) };
        let told: Vec<ToldContent> = states
            .into_iter()
            .map(|state| {
                let content = Content::of(&state);
                let digest = content.digest();
                // One content is held once, however many nodes have it.
                let state = self.known(digest).flatten().unwrap_or(state);
                ToldContent { form: content.form, digest, state, content }
            })
            .collect();
        let batch = |node: &NodeMemory, is_new: bool| {
            let transitions = node.told_transitions(&told, now);
            // Also what the store has lost is put there once more.
            let contents: Vec<Content> = told
                .iter()
                .filter(|one| !self.has(one.digest))
                .map(|one| one.content.clone())
                .collect();
            let is_news = is_new || !transitions.is_empty() || !contents.is_empty();
            is_news.then(|| Batch {
                peer: peer.clone(),
                boot_id: node.boot_id().to_owned(),
                seq: node.seq(),
                received_at: node.last_report_at().unwrap_or(now),
                contents,
                transitions,
            })
        };
        let batch = place
            .with_life(&peer.uid, |node| batch(node, false))
            .unwrap_or_else(|| batch(&NodeMemory::new(peer.clone()), true));
        if let Some(batch) = batch {
            store.append(batch).await?;
        }
        for one in &told {
            let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
            contents.entry(one.digest).or_insert_with(|| Some(one.state.clone()));
        }
        self.change_life(&place, &peer, false, |node| {
            node.take_told(&told, now, self.policy());
        });
        Ok(())
    }

    /// What an API server has said of a node on whose place another life is about to begin, as
    /// far as it goes on with that.
    pub(crate) fn left_behind(&self, place: &super::Place, peer: &Peer) -> Vec<Transition> {
        let memory = place.memory();
        let before = memory.node.as_ref().filter(|before| goes_on(before, peer));
        before.map(NodeMemory::left_behind).unwrap_or_default()
    }

    /// Observes once more what API servers said of the nodes of a cluster, where it has not
    /// changed: of those components.
    pub fn observe_again(
        &self,
        cluster: &str,
        components: &BTreeSet<Component>,
        is_left_out: impl Fn(&str) -> bool,
        now: Timestamp,
    ) {
        for place in self.of_cluster(cluster) {
            if let Some(node) = &mut place.memory().node
                && !is_left_out(&node.peer().node)
            {
                node.observe_again(components, now, self.policy());
            }
        }
    }

    /// Forgets nodes that have been gone from their cluster for long, and from which nothing is
    /// heard. The store keeps what was known of them.
    pub fn forget_gone(&self, now: Timestamp) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| {
            // Who is visiting keeps the place.
            Arc::strong_count(place) > 1
                || !place.memory().node.as_ref().is_some_and(|node| node.is_long_gone(now))
        });
    }

    /// Says of nodes whose cluster's API server is not asked any more that it is not: what it
    /// once said must not stand for what is.
    pub async fn nobody_asks(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        asked: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let Peer { cluster, node: name, .. } = node.peer();
            if asked.contains(cluster) {
                continue;
            }
            let why = "the cluster's API server is not asked any more";
            let states = node.told().map(|component| match component {
                Component::NodeObject => {
                    ComponentState::NodeObject(State::NotApplicable(why.to_owned()))
                }
                _ => ComponentState::SystemPods(State::NotApplicable(why.to_owned())),
            });
            let states: Vec<ComponentState> = states.collect();
            if !states.is_empty() {
                let one = Told { node: name.clone(), uid: None, states };
                told.entry(cluster.clone()).or_default().push(one);
            }
        }
        for (cluster, told) in told {
            self.take_told(store, &cluster, told, now).await?;
        }
        Ok(())
    }

    /// The names of the nodes of a cluster.
    #[must_use]
    pub fn nodes_of(&self, cluster: &str) -> Vec<String> {
        let places = self.of_cluster(cluster);
        let names = places
            .iter()
            .filter_map(|place| place.memory().node.as_ref().map(|node| node.peer().node.clone()));
        names.collect()
    }

    /// What the API server last said of the nodes of a cluster, where it is remembered.
    #[must_use]
    pub fn node_objects(&self, cluster: &str) -> Vec<(String, Arc<NodeObject>)> {
        let places = self.of_cluster(cluster);
        let objects = places.iter().filter_map(|place| {
            let memory = place.memory();
            let node = memory.node.as_ref()?;
            Some((node.peer().node.clone(), node.object()?))
        });
        objects.collect()
    }

    /// When a node of a cluster last reported.
    #[must_use]
    pub fn last_report_of(&self, cluster: &str) -> Option<Timestamp> {
        let places = self.of_cluster(cluster);
        places.iter().filter_map(|place| place.memory().node.as_ref()?.last_report_at()).max()
    }

    /// What is known of a cluster, if its API server is asked.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<Arc<KnownCluster>> {
        self.pools().cluster(name).cloned()
    }

    /// Puts what is known of a cluster in the place of what was.
    pub fn put_cluster(&self, cluster: KnownCluster) {
        let mut clusters = self.clusters.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = BTreeMap::clone(&clusters);
        next.insert(cluster.truth.cluster.clone(), Arc::new(cluster));
        *clusters = Arc::new(next);
    }

    fn of_cluster(&self, cluster: &str) -> Vec<Arc<super::Place>> {
        let from = (cluster.to_owned(), String::new());
        let places = read(&self.places);
        let of_cluster = places.range(from..).take_while(|((of, _), _)| of == cluster);
        of_cluster.map(|(_, place)| Arc::clone(place)).collect()
    }
}

/// Whose life an API server speaks of; none where it names none and none is remembered. What it
/// says of a life that another has ended begins that one again: it tells things in their order,
/// so that its last word is right even where an agent was faster.
fn whose(memory: &Memory, named: &Peer, uid: Option<&str>) -> Option<Peer> {
    let Some(node) = &memory.node else {
        return uid.map(|_| named.clone());
    };
    let own = node.peer();
    // An agent of a plain machine has a UID of our own making, which tells no lives of the
    // API's apart. Kubernetes' own does.
    let is_another = uid.is_some_and(|uid| uid != own.uid) && is_of_kubernetes(&own.uid);
    Some(if is_another { named.clone() } else { own.clone() })
}

/// Whether a life that an agent begins goes on with what an API server said of the one before:
/// not where the two are different nodes of one name.
pub(super) fn goes_on(before: &NodeMemory, peer: &Peer) -> bool {
    let (own, other) = (&before.peer().node, &peer.node);
    let is_same_node = before.object_uid().is_some_and(|uid| uid == peer.uid);
    own == other && (is_same_node || !is_of_kubernetes(&peer.uid))
}
