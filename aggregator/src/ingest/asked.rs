//! Which agent has been asked for which content: a roll-out must not upload one list as
//! often as it has nodes, and an upload that fails must not leave a content unasked for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nodeward_proto::digest::Digest;

use crate::peer::Peer;

/// One agent at a time is asked for a content; after this long without it, another.
const ASKED_FOR: Duration = Duration::from_secs(30);

/// Who has been asked for what, and when.
#[derive(Debug, Default)]
pub(super) struct Asked {
    contents: Mutex<HashMap<Digest, (Peer, Instant)>>,
}

/// An answer to such a question, good or not: as it goes away, the question does.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    asked: &'a Asked,
    digest: Digest,
    peer: &'a Peer,
}

impl Asked {
    /// Whether that agent is the one to ask. Who was asked and reports without having
    /// uploaded is asked again.
    pub(super) fn ask(&self, digest: Digest, peer: &Peer) -> bool {
        let mut contents = self.contents();
        contents.retain(|_, (_, since)| since.elapsed() < ASKED_FOR);
        let (asked, _) = contents.entry(digest).or_insert_with(|| (peer.clone(), Instant::now()));
        asked == peer
    }

    /// That agent uploads the content. Nobody can end what another was asked for.
    pub(super) fn answered<'a>(&'a self, digest: Digest, peer: &'a Peer) -> Answered<'a> {
        Answered { asked: self, digest, peer }
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Digest, (Peer, Instant)>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        let mut contents = self.asked.contents();
        if contents.get(&self.digest).is_some_and(|(asked, _)| asked == self.peer) {
            contents.remove(&self.digest);
        }
    }
}
