//! Which agent has been asked for which content: a roll-out must not upload one list as
//! often as it has nodes, and an upload that fails must not leave a content unasked for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nodeward_proto::digest::Digest;

use crate::peer::Peer;

/// Who was asked has so long to upload before another is asked besides.
const ASKED_FOR: Duration = Duration::from_secs(30);

/// A content that nobody lacks any more is forgotten after this long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Who has been asked for what, and when.
#[derive(Debug, Default)]
pub(super) struct Asked {
    contents: Mutex<HashMap<Digest, Question>>,
}

/// Who has been asked for one content.
#[derive(Debug)]
struct Question {
    asked: Vec<(Peer, Instant)>,
    /// So many may be asked at once. It doubles whenever one did not do as he was asked: whoever
    /// does not upload, or uploads what it is not, keeps the others waiting for moments.
    at_once: usize,
    last: Instant,
}

/// An answer to such a question: as it goes away, the question to that agent does.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    asked: &'a Asked,
    digest: Digest,
    peer: &'a Peer,
}

impl Question {
    /// Whether that agent is one to ask at that moment. Who was asked and reports without having
    /// uploaded is asked again.
    fn ask(&mut self, peer: &Peer, now: Instant) -> bool {
        self.last = now;
        let before = self.asked.len();
        self.asked.retain(|(_, since)| now.duration_since(*since) < ASKED_FOR);
        if self.asked.len() < before {
            self.at_once = self.at_once.saturating_mul(2);
        }
        if self.asked.iter().any(|(asked, _)| asked == peer) {
            return true;
        }
        let may = self.asked.len() < self.at_once;
        if may {
            self.asked.push((peer.clone(), now));
        }
        may
    }
}

impl Asked {
    /// Whether that agent is one to ask for that content.
    pub(super) fn ask(&self, digest: Digest, peer: &Peer) -> bool {
        let now = Instant::now();
        let mut contents = self.contents();
        contents.retain(|_, one| now.duration_since(one.last) < FORGOTTEN_AFTER);
        let none = || Question { asked: Vec::new(), at_once: 1, last: now };
        contents.entry(digest).or_insert_with(none).ask(peer, now)
    }

    /// The content is here: nobody needs to be asked any more.
    pub(super) fn is_here(&self, digest: Digest) {
        self.contents().remove(&digest);
    }

    /// That agent uploads the content. Nobody can end what another was asked for.
    pub(super) fn answered<'a>(&'a self, digest: Digest, peer: &'a Peer) -> Answered<'a> {
        Answered { asked: self, digest, peer }
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Digest, Question>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        let mut contents = self.asked.contents();
        if let Some(question) = contents.get_mut(&self.digest) {
            let before = question.asked.len();
            question.asked.retain(|(asked, _)| asked != self.peer);
            if question.asked.len() < before {
                question.at_once = question.at_once.saturating_mul(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(node: &str) -> Peer {
        Peer { cluster: "c".to_owned(), node: node.to_owned(), uid: "1".to_owned() }
    }

    #[test]
    fn whoever_never_uploads_keeps_the_others_waiting_for_a_moment() {
        let began = Instant::now();
        let mut question = Question { asked: Vec::new(), at_once: 1, last: began };
        // Three that never upload, and always report first.
        let liars = ["x", "y", "z"].map(peer);
        let mut first = None;
        for second in 0..300 {
            let now = began + Duration::from_secs(second);
            for liar in &liars {
                question.ask(liar, now);
            }
            if question.ask(&peer("a"), now) {
                first = Some(second);
                break;
            }
        }
        assert_eq!(first, Some(60), "after 1 and 2 at once there are 4");
    }
}
