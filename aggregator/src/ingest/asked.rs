//! Which agent has been asked for which content: a roll-out must not upload one list as
//! often as it has nodes, and an upload that fails must not leave a content unasked for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nodeward_proto::digest::Digest;

use crate::peer::Peer;

/// Who was asked has so long to upload before another is asked besides.
const ASKED_FOR: Duration = Duration::from_secs(30);

/// A content that nobody lacks any more is forgotten after this long, and so is who reports
/// nothing any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// It is looked this often for what is to be forgotten.
const SWEEP_AFTER: Duration = Duration::from_secs(10);

/// So many are asked at once for one content at the most.
const AT_ONCE: usize = 64;

/// Who has been asked for what, and when.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Questions>);

#[derive(Debug, Default)]
struct Questions {
    contents: HashMap<Digest, Question>,
    /// What the last report of each agent lacked, and when that was. Nobody can make more
    /// questions than one report has contents.
    lacked: HashMap<Peer, (Vec<Digest>, Instant)>,
    swept: Option<Instant>,
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
            self.widen();
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

    fn widen(&mut self) {
        self.at_once = self.at_once.saturating_mul(2).min(AT_ONCE);
    }
}

impl Questions {
    fn ask(&mut self, lacked: Vec<Digest>, peer: &Peer, now: Instant) -> Vec<Digest> {
        self.sweep(now);
        let before = self.lacked.remove(peer).map(|(before, _)| before).unwrap_or_default();
        for digest in before.iter().filter(|digest| !lacked.contains(digest)) {
            if let Some(question) = self.contents.get_mut(digest) {
                question.asked.retain(|(asked, _)| asked != peer);
                if question.asked.is_empty() {
                    self.contents.remove(digest);
                }
            }
        }
        let mut need = Vec::new();
        for digest in &lacked {
            let none = || Question { asked: Vec::new(), at_once: 1, last: now };
            if self.contents.entry(*digest).or_insert_with(none).ask(peer, now) {
                need.push(*digest);
            }
        }
        if !lacked.is_empty() {
            self.lacked.insert(peer.clone(), (lacked, now));
        }
        need
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP_AFTER) {
            return;
        }
        self.swept = Some(now);
        let is_new = |last: Instant| now.duration_since(last) < FORGOTTEN_AFTER;
        self.contents.retain(|_, one| is_new(one.last));
        self.lacked.retain(|_, (_, last)| is_new(*last));
    }
}

impl Asked {
    /// Of the contents that an agent's report has and nobody here, those to ask it for.
    pub(super) fn ask(&self, lacked: Vec<Digest>, peer: &Peer) -> Vec<Digest> {
        self.questions().ask(lacked, peer, Instant::now())
    }

    /// The content is here: nobody needs to be asked any more.
    pub(super) fn is_here(&self, digest: Digest) {
        self.questions().contents.remove(&digest);
    }

    /// That agent uploads the content. Nobody can end what another was asked for.
    pub(super) fn answered<'a>(&'a self, digest: Digest, peer: &'a Peer) -> Answered<'a> {
        Answered { asked: self, digest, peer }
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        let mut questions = self.asked.questions();
        if let Some(question) = questions.contents.get_mut(&self.digest) {
            let before = question.asked.len();
            question.asked.retain(|(asked, _)| asked != self.peer);
            if question.asked.len() < before {
                question.widen();
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

    #[test]
    fn what_one_invents_lasts_until_its_next_report() {
        let digest = |n: u32| Digest::of("packages", 1, &n.to_le_bytes());
        let began = Instant::now();
        let mut questions = Questions::default();
        let known = digest(0);
        assert_eq!(questions.ask(vec![known], &peer("b"), began), [known]);
        for report in 0..1000 {
            let invented: Vec<Digest> = (1..=128).map(|n| digest(report * 128 + n)).collect();
            let lacked = [vec![known], invented.clone()].concat();
            assert_eq!(questions.ask(lacked, &peer("a"), began), invented, "b is asked for it");
            assert_eq!((questions.contents.len(), questions.lacked.len()), (129, 2));
        }
        // Who has said nothing for long is forgotten with what he lacked.
        questions.ask(Vec::new(), &peer("c"), began + FORGOTTEN_AFTER);
        assert!(questions.contents.is_empty() && questions.lacked.is_empty());
    }

    #[test]
    fn one_whose_uploads_fail_does_not_make_everybody_upload() {
        let asked = Asked::default();
        let digest = Digest::of("packages", 1, b"x");
        for _ in 0..100 {
            asked.ask(vec![digest], &peer("a"));
            drop(asked.answered(digest, &peer("a")));
        }
        let asks =
            (0..1000).filter(|n| asked.ask(vec![digest], &peer(&format!("n-{n}"))) == [digest]);
        assert_eq!(asks.count(), AT_ONCE);
    }
}
