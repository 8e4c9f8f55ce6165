//! The fleet in memory: every node by cluster and name, and every content once,
//! however many nodes have it. Queries are answered from here alone; what must last
//! is in the store.

mod node;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use nodeward_domain::answer::{NodeAnswer, NodeRow, Standing};
use nodeward_domain::facts::ComponentState;
use nodeward_domain::node::RUNS_KEPT;
use nodeward_domain::policy::Policy;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

pub use node::{NodeMemory, Turn};

use crate::peer::Peer;
use crate::store::{ChangeNumber, Seen, Store, StoreError};

/// A node's place in the fleet: cluster first, as everywhere.
pub type Key = (String, String);

/// One node's place.
#[derive(Debug)]
pub struct Place {
    /// Held while a report of this node is taken, so that each is committed and
    /// remembered before the next is looked at.
    pub turn: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// The life that reports; none before its first report is committed.
    node: Option<NodeMemory>,
    /// UIDs of lives that have ended.
    ended: Vec<String>,
}

/// Every node, every content.
#[derive(Debug)]
pub struct Fleet {
    policy: Policy,
    places: RwLock<BTreeMap<Key, Arc<Place>>>,
    /// Decoded contents; none inside for a component that this build does not know.
    contents: RwLock<HashMap<Digest, Option<ComponentState>>>,
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

impl Place {
    fn new() -> Self {
        Self {
            turn: tokio::sync::Mutex::new(()),
            memory: Mutex::new(Memory { node: None, ended: Vec::new() }),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that life of the node has ended: another has reported since.
    #[must_use]
    pub fn has_ended(&self, uid: &str) -> bool {
        self.memory().ended.iter().any(|ended| ended == uid)
    }

    /// Looks at the life that reports, if it is that one.
    pub fn with_life<T>(&self, uid: &str, look: impl FnOnce(&NodeMemory) -> T) -> Option<T> {
        self.memory().node.as_ref().filter(|node| node.peer().uid == uid).map(look)
    }
}

impl Fleet {
    /// A fleet without nodes, judged by that policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, places: RwLock::new(BTreeMap::new()), contents: RwLock::new(HashMap::new()) }
    }

    /// The fleet as it was stored.
    pub async fn load(policy: Policy, store: &dyn Store) -> Result<Self, StoreError> {
        let fleet = Self::new(policy);
        let (nodes, _) = store.load_since(ChangeNumber::default(), RUNS_KEPT).await?;
        for stored in nodes {
            for interval in &stored.intervals {
                if !fleet.has(interval.digest)
                    && let Some(content) = store.content(interval.digest).await?
                {
                    fleet.remember(&content);
                }
            }
            let place = fleet.place(&stored.peer);
            let node = NodeMemory::restore(stored, |digest| fleet.known(digest));
            let mut memory = place.memory();
            // Lives come in the order of their beginnings: the last is the one that reports.
            if let Some(ended) = memory.node.replace(node) {
                memory.ended.push(ended.peer().uid.clone());
            }
        }
        Ok(fleet)
    }

    /// The policy by which nodes are judged.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A node's place, made when it is not there yet.
    pub fn place(&self, peer: &Peer) -> Arc<Place> {
        let key = (peer.cluster.clone(), peer.node.clone());
        if let Some(place) = read(&self.places).get(&key) {
            return Arc::clone(place);
        }
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(key).or_insert_with(|| Arc::new(Place::new())))
    }

    /// Changes the life that reports under this peer; another life ends by it.
    pub fn change<T>(
        &self,
        place: &Place,
        peer: &Peer,
        now: Timestamp,
        change: impl FnOnce(&mut NodeMemory) -> T,
    ) -> T {
        let mut memory = place.memory();
        if memory.node.as_ref().is_none_or(|node| node.peer().uid != peer.uid)
            && let Some(ended) = memory.node.replace(NodeMemory::new(peer.clone(), now))
        {
            memory.ended.push(ended.peer().uid.clone());
        }
        let node = memory.node.get_or_insert_with(|| NodeMemory::new(peer.clone(), now));
        change(node)
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
        for place in self.all() {
            if let Some(node) = &mut place.memory().node {
                node.arrived(digest, state.as_ref(), &self.policy);
            }
        }
    }

    /// Forgets contents that no node stands on any more. They stay in the store.
    pub fn forget_unused(&self) {
        let mut used = HashSet::new();
        for place in self.all() {
            if let Some(node) = &place.memory().node {
                used.extend(node.digests());
            }
        }
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.retain(|digest, _| used.contains(digest));
    }

    fn all(&self) -> Vec<Arc<Place>> {
        read(&self.places).values().cloned().collect()
    }

    /// The rows of all nodes that match, by cluster and name.
    #[must_use]
    pub fn rows(&self, filter: &Filter, now: Timestamp) -> Vec<NodeRow> {
        self.all()
            .iter()
            .filter_map(|place| {
                let mut memory = place.memory();
                let node = memory.node.as_mut()?;
                let in_cluster =
                    filter.cluster.as_ref().is_none_or(|cluster| *cluster == node.peer().cluster);
                if !in_cluster {
                    return None;
                }
                let row = node.row(&self.policy, now);
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
        let answers: Vec<NodeAnswer> = read(&self.places)
            .iter()
            .filter(|((of_cluster, name), _)| {
                name == node && (cluster.is_empty() || of_cluster == cluster)
            })
            .filter_map(|(_, place)| {
                place.memory().node.as_ref().map(|node| node.answer(&self.policy, now))
            })
            .collect();
        match <[NodeAnswer; 1]>::try_from(answers) {
            Ok([answer]) => Ok(answer),
            Err(none) if none.is_empty() => Err(NoAnswer::Unknown(node.to_owned())),
            Err(several) => Err(NoAnswer::Ambiguous {
                node: node.to_owned(),
                clusters: several.into_iter().map(|answer| answer.cluster).collect(),
            }),
        }
    }

    /// What moved since it was last asked, to be saved lazily.
    #[must_use]
    pub fn take_unsaved(&self) -> Vec<Seen> {
        self.all().iter().filter_map(|place| place.memory().node.as_mut()?.take_unsaved()).collect()
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
