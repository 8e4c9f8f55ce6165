//! A node's place in the fleet: the life that reports there, and the lives that have ended.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use nodeward_domain::check::Presented;

use super::{Fleet, NodeMemory};
use crate::peer::{Peer, is_of_kubernetes};

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

/// Why a life of a node may not report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Superseded {
    /// Another one has begun since.
    #[error("has been made anew: this life of it has ended")]
    Ended,
    /// It may be one of which the API server has not told yet: an agent comes again.
    #[error(
        "is known under another UID, to its cluster's API server or by a certificate that reports"
    )]
    Another,
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

    /// Whether a life of the node may report that shows this. One certificate outlasts the life
    /// that it names, so that to come later is no proof: what the API server says decides, then
    /// which certificate is the newer one; one counts more than none, such as behind a relay,
    /// while who shows it reports; and where nothing of that is known one that has ended may not
    /// come back.
    pub fn admits(&self, peer: &Peer, shown: Presented, now: Timestamp) -> Result<(), Superseded> {
        let memory = self.memory();
        let Some(present) = memory.node.as_ref().filter(|node| node.peer().uid != peer.uid) else {
            return Ok(());
        };
        if is_of_kubernetes(&peer.uid)
            && let Some(object) = present.object()
        {
            return if object.uid == peer.uid { Ok(()) } else { Err(Superseded::Another) };
        }
        let order = match (shown.certificate(), present.shown().certificate()) {
            (Some(new), Some(old)) => new.not_before.cmp(&old.not_before),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) if !present.is_stale(now) => return Err(Superseded::Another),
            (None, Some(_) | None) => Ordering::Equal,
        };
        match order {
            Ordering::Greater => Ok(()),
            Ordering::Less => Err(Superseded::Ended),
            Ordering::Equal if memory.ended.contains(&peer.uid) => Err(Superseded::Ended),
            Ordering::Equal => Ok(()),
        }
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
