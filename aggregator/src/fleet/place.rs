//! A node's place in the fleet: the life that reports there, and the lives that have ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Fleet, NodeMemory};
use crate::peer::Peer;

/// One node's place.
#[derive(Debug)]
pub struct Place {
    /// Held while a report of this node is taken, so that each is committed and
    /// remembered before the next is looked at.
    pub turn: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
pub(crate) struct Memory {
    /// The life that reports; none before its first report is committed.
    pub(crate) node: Option<NodeMemory>,
    /// UIDs of lives that have ended.
    pub(crate) ended: Vec<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            turn: tokio::sync::Mutex::new(()),
            memory: Mutex::new(Memory { node: None, ended: Vec::new() }),
        }
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
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

/// A stay at a node's place.
#[derive(Debug)]
pub struct Visit<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) peer: &'a Peer,
    pub(crate) place: Arc<Place>,
}

impl std::ops::Deref for Visit<'_> {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if self.place.memory().node.is_some() {
            return;
        }
        let mut places = self.fleet.places.write().unwrap_or_else(PoisonError::into_inner);
        // The map's and ours: while the map is locked nobody gets another, and who has one
        // and waits for his turn takes the place away himself.
        if Arc::strong_count(&self.place) == 2 && self.place.memory().node.is_none() {
            places.remove(&(self.peer.cluster.clone(), self.peer.node.clone()));
        }
    }
}
