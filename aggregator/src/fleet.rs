//! The fleet in memory: every node by cluster and name, and every content once,
//! however many nodes have it. Queries are answered from here alone; what must last
//! is in the store.

mod cluster;
mod images;
mod load;
mod node;
mod place;
mod plan;
pub mod pools;
mod support;
mod why;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use nodeward_domain::answer::sysctl::SysctlAnswer;
use nodeward_domain::answer::{NodeAnswer, NodeRow, Standing};
use nodeward_domain::facts::ComponentState;
use nodeward_domain::fixes::fleet::{Asked, By, PatchAge, patch_age};
use nodeward_domain::fixes::node::NodeFixes;
use nodeward_domain::fixes::scan::{Reported, ScanLabels, label};
use nodeward_domain::policy::Policy;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;
use nodeward_proto::identity::Clusters;

pub use cluster::{KnownCluster, Told};
pub use images::{AskedDiff, NoImage};
pub use node::{NodeMemory, Turn};
pub use place::{Place, Superseded, Visit};
pub use pools::Pools;
pub use support::{AskedSupport, NoSupport};

use crate::advisories::Advisories;
use crate::peer::Peer;
use crate::store::{Seen, Spoilt};

/// A node's place in the fleet: cluster first, as everywhere.
pub type Key = (String, String);

/// Every node, every content. Several may look at the same fleet, each at some clusters of it.
#[derive(Debug)]
pub struct Fleet {
    policy: Arc<Policy>,
    advisories: Arc<RwLock<Arc<Advisories>>>,
    places: Arc<RwLock<BTreeMap<Key, Arc<Place>>>>,
    /// Decoded contents; none inside for a component that this build does not know.
    contents: Arc<RwLock<HashMap<Digest, Option<ComponentState>>>>,
    /// What nodes showed of pools when it was last gathered.
    pools: Arc<RwLock<Arc<Pools>>>,
    /// Whether a node has shown something else since.
    are_pools_old: Arc<AtomicBool>,
    /// What is known of clusters whose API servers are asked.
    clusters: Arc<RwLock<cluster::Clusters>>,
    /// How many rows of the store turned out to be spoilt.
    spoilt: Arc<AtomicU64>,
    /// The clusters that answers are about.
    seen: Clusters,
}

/// Which nodes are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this cluster.
    pub cluster: Option<String>,
    /// Only with this standing.
    pub standing: Option<Standing>,
}

/// Why there is no answer about a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// None of that name has reported.
    #[error("no node {0:?} has reported")]
    Unknown(String),
    /// Several clusters have one.
    #[error("node {node:?} is in several clusters: {}", clusters.join(", "))]
    Ambiguous {
        /// The name.
        node: String,
        /// The clusters.
        clusters: Vec<String>,
    },
}

impl Fleet {
    /// A fleet without nodes, judged by that policy and those advisories.
    #[must_use]
    pub fn new(policy: Policy, advisories: Advisories) -> Self {
        Self {
            policy: Arc::new(policy),
            advisories: Arc::new(RwLock::new(Arc::new(advisories))),
            places: Arc::default(),
            contents: Arc::default(),
            pools: Arc::default(),
            are_pools_old: Arc::new(AtomicBool::new(true)),
            clusters: Arc::default(),
            spoilt: Arc::default(),
            seen: Clusters::All,
        }
    }

    /// The same fleet, whose answers are about those clusters alone. Nodes are judged as before,
    /// with what others show.
    #[must_use]
    pub fn seen_by(&self, clusters: Clusters) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            advisories: Arc::clone(&self.advisories),
            places: Arc::clone(&self.places),
            contents: Arc::clone(&self.contents),
            pools: Arc::clone(&self.pools),
            are_pools_old: Arc::clone(&self.are_pools_old),
            clusters: Arc::clone(&self.clusters),
            spoilt: Arc::clone(&self.spoilt),
            seen: clusters,
        }
    }

    /// Whether answers are about that cluster.
    pub(crate) fn sees(&self, cluster: &str) -> bool {
        self.seen.has(cluster)
    }

    /// The policy by which nodes are judged.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The advisories by which nodes are judged now.
    #[must_use]
    pub fn advisories(&self) -> Arc<Advisories> {
        Arc::clone(&read(&self.advisories))
    }

    /// Puts the next generation of advisories in the place of the last one.
    pub fn put_advisories(&self, advisories: Advisories) {
        let mut place = self.advisories.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(advisories);
    }

    /// A node's place, if it has one.
    #[must_use]
    pub fn find(&self, peer: &Peer) -> Option<Arc<Place>> {
        let key = (peer.cluster.clone(), peer.node.clone());
        read(&self.places).get(&key).cloned()
    }

    /// Goes to a node's place, which is made when it is not there yet, and taken away
    /// afterwards when nothing has been put there: who is refused takes up no memory.
    pub fn visit<'a>(&'a self, peer: &'a Peer) -> Visit<'a> {
        Visit { fleet: self, peer, place: self.place(peer) }
    }

    fn place(&self, peer: &Peer) -> Arc<Place> {
        if let Some(place) = self.find(peer) {
            return place;
        }
        let key = (peer.cluster.clone(), peer.node.clone());
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(key).or_insert_with(|| Arc::new(Place::new())))
    }

    /// Changes the life that reports under this peer; another life ends by it, and what an API
    /// server said of the same node goes on.
    pub fn change<T>(
        &self,
        place: &Place,
        peer: &Peer,
        change: impl FnOnce(&mut NodeMemory) -> T,
    ) -> T {
        self.change_life(place, peer, true, change)
    }

    fn change_life<T>(
        &self,
        place: &Place,
        peer: &Peer,
        goes_on: bool,
        change: impl FnOnce(&mut NodeMemory) -> T,
    ) -> T {
        let mut memory = place.memory();
        if memory.node.as_ref().is_none_or(|node| node.peer().uid != peer.uid)
            && let Some(ended) = memory.node.replace(NodeMemory::new(peer.clone()))
        {
            memory.ended.retain(|uid| *uid != peer.uid);
            memory.ended.push(ended.peer().uid.clone());
            if goes_on && cluster::goes_on(&ended, peer) {
                memory.node = Some(NodeMemory::after(peer.clone(), &ended));
            }
        }
        let node = memory.node.get_or_insert_with(|| NodeMemory::new(peer.clone()));
        // What others are held beside: equal contents are one, so that this compares pointers.
        let shown = |node: &NodeMemory| (node.stand(), node.files(), node.access());
        let before = shown(node);
        let changed = change(node);
        if shown(node) != before {
            self.are_pools_old.store(true, Ordering::Release);
        }
        changed
    }

    /// What nodes show of their pools and images. No node's memory may be held meanwhile.
    #[must_use]
    pub fn pools(&self) -> Arc<Pools> {
        if self.are_pools_old.swap(false, Ordering::AcqRel) {
            let gathered = Arc::new(Pools::of(&self.every()));
            let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
            *pools = gathered;
        }
        let pools = Arc::clone(&read(&self.pools));
        let clusters = Arc::clone(&read(&self.clusters));
        if Arc::ptr_eq(pools.clusters(), &clusters) {
            return pools;
        }
        let pools = Arc::new(pools.with_clusters(clusters));
        *self.pools.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&pools);
        pools
    }

    /// Whether a content is here.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        read(&self.contents).contains_key(&digest)
    }

    /// A content, decoded; none outside when it is not here, none inside when this
    /// build does not know its component.
    #[must_use]
    pub fn known(&self, digest: Digest) -> Option<Option<ComponentState>> {
        read(&self.contents).get(&digest).cloned()
    }

    /// Decodes a content and keeps it.
    pub fn remember(&self, content: &Content) {
        let digest = content.digest();
        let state = content.decode();
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.entry(digest).or_insert(state);
    }

    /// Tells every node that waits for it that a content has come.
    pub fn arrived(&self, digest: Digest) {
        let Some(state) = self.known(digest) else { return };
        for place in self.every() {
            if let Some(node) = &mut place.memory().node {
                node.arrived(digest, state.as_ref(), &self.policy);
                self.are_pools_old.store(true, Ordering::Release);
            }
        }
    }

    /// Forgets contents that no node stands on any more. They stay in the store.
    pub fn forget_unused(&self) {
        let mut used = HashSet::new();
        for place in self.every() {
            if let Some(node) = &place.memory().node {
                used.extend(node.digests());
            }
        }
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.retain(|digest, _| used.contains(digest));
        self.advisories().forget_unused();
    }

    /// The place of every node that answers are about.
    pub(crate) fn all(&self) -> Vec<Arc<Place>> {
        let places = read(&self.places);
        let seen = places.iter().filter(|((cluster, _), _)| self.sees(cluster));
        seen.map(|(_, place)| Arc::clone(place)).collect()
    }

    /// Every node's place, whoever asks.
    fn every(&self) -> Vec<Arc<Place>> {
        read(&self.places).values().cloned().collect()
    }

    /// The rows of all nodes that match, by cluster and name.
    #[must_use]
    pub fn rows(&self, filter: &Filter, now: Timestamp) -> Vec<NodeRow> {
        let advisories = self.advisories();
        let places = self.all();
        let pools = self.pools();
        places
            .iter()
            .filter_map(|place| {
                let mut memory = place.memory();
                let node = memory.node.as_mut()?;
                let in_cluster =
                    filter.cluster.as_ref().is_none_or(|cluster| *cluster == node.peer().cluster);
                if !in_cluster {
                    return None;
                }
                let row = node.row(&self.policy, &advisories, &pools, now);
                filter.standing.is_none_or(|standing| standing == row.standing).then(|| row.clone())
            })
            .collect()
    }

    /// All there is to say about one node. An empty cluster stands for whichever has it.
    pub fn answer(
        &self,
        cluster: &str,
        node: &str,
        now: Timestamp,
    ) -> Result<NodeAnswer, NoAnswer> {
        let advisories = self.advisories();
        let pools = self.pools();
        self.one(cluster, node, |node| node.answer(&self.policy, &advisories, &pools, now))
    }

    /// The kernel parameters of one node. An empty cluster stands for whichever has it.
    pub fn sysctl(
        &self,
        cluster: &str,
        node: &str,
        now: Timestamp,
    ) -> Result<SysctlAnswer, NoAnswer> {
        let advisories = self.advisories();
        let pools = self.pools();
        self.one(cluster, node, |node| node.sysctl(&self.policy, &advisories, &pools, now))
    }

    /// What is told of the one node of that name. Names are in lower case, whatever the case in
    /// which somebody writes them.
    fn one<T>(
        &self,
        cluster: &str,
        node: &str,
        tell: impl Fn(&NodeMemory) -> T,
    ) -> Result<T, NoAnswer> {
        let node = node.to_ascii_lowercase();
        let told: Vec<(String, T)> = read(&self.places)
            .iter()
            .filter(|((of_cluster, name), _)| {
                *name == node
                    && (cluster.is_empty() || of_cluster == cluster)
                    && self.sees(of_cluster)
            })
            .filter_map(|((of_cluster, _), place)| {
                let memory = place.memory();
                memory.node.as_ref().map(|node| (of_cluster.clone(), tell(node)))
            })
            .collect();
        match <[(String, T); 1]>::try_from(told) {
            Ok([(_, one)]) => Ok(one),
            Err(none) if none.is_empty() => Err(NoAnswer::Unknown(node)),
            Err(several) => Err(NoAnswer::Ambiguous {
                node,
                clusters: several.into_iter().map(|(cluster, _)| cluster).collect(),
            }),
        }
    }

    /// The fixes that nodes lack, folded.
    #[must_use]
    pub fn patch_age(&self, asked: &Asked, by: By, now: Timestamp) -> PatchAge {
        let advisories = self.advisories();
        let places = self.all();
        let nodes = self.fixes(&places, &advisories, now);
        patch_age(nodes, asked, by, &self.policy, advisories.statuses(now), now)
    }

    /// Labels the rows of a scanner's list by what nodes lack: those of `cluster` alone where
    /// one is named.
    #[must_use]
    pub fn label_scan(
        &self,
        cluster: Option<&str>,
        rows: &[Reported],
        now: Timestamp,
    ) -> ScanLabels {
        let advisories = self.advisories();
        let places = self.all();
        let nodes = self.fixes(&places, &advisories, now);
        label(nodes, cluster, rows, &self.policy, advisories.statuses(now), now)
    }

    /// The fixes that each node lacks, one node after the other.
    fn fixes<'a>(
        &'a self,
        places: &'a [Arc<Place>],
        advisories: &'a Advisories,
        now: Timestamp,
    ) -> impl Iterator<Item = NodeFixes<'a>> {
        let pools = self.pools();
        places.iter().filter_map(move |place| {
            let memory = place.memory();
            memory.node.as_ref().map(|node| node.fixes(&self.policy, advisories, &pools, now))
        })
    }

    /// Counts a row of the store that is spoilt, and says so to whoever can mend it.
    pub fn count_spoilt(&self, spoilt: &Spoilt) {
        self.spoilt.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            table = spoilt.table,
            row = spoilt.row,
            why = spoilt.why,
            "a row of the store is spoilt and left out; what it held is taken from the next report"
        );
    }

    /// How many rows of the store turned out to be spoilt.
    #[must_use]
    pub fn spoilt(&self) -> u64 {
        self.spoilt.load(Ordering::Relaxed)
    }

    /// What moved since it was last asked, to be saved lazily.
    #[must_use]
    pub fn take_unsaved(&self) -> Vec<Seen> {
        self.every()
            .iter()
            .filter_map(|place| place.memory().node.as_mut()?.take_unsaved())
            .collect()
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
