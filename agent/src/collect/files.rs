//! Collects `files`: how those files lie on the node that its provider or its distribution puts
//! there, and by which a node is what it is. Which ones and why stands in [`PLACES`]. What
//! stands in a file leaves the node as a digest at the most; a file that may hold nothing but
//! secrets is only looked at.

mod places;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::files::{FileContent, FileForm, ManagedFile};
use nodeward_domain::facts::{ComponentState, Files, UnreadPlace};
use nodeward_domain::observed::State;

use self::places::{Below, PLACES, Place, Taken};
use super::Collected;
use crate::host::{Host, HostError, Looked};

pub(super) use self::places::READS;

/// So many files are looked at; of more it is told how many there are. A node of AKS has some
/// eighty.
const FILES: usize = 512;

/// So many places that could not be looked at are told of.
const UNREAD: usize = 64;

/// A longer file is none that people write.
const LIMIT_BYTES: u64 = 256 * 1024;

/// Where the provider marks that it has set the node up.
const SET_UP: &str = "/opt/azure/containers/provision.complete";

/// What is written so soon after that belongs to it.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn collect(host: &Host) -> Collected {
    let mut looking = Looking {
        host,
        written_after: written_after(host),
        seen: Files { files: Vec::new(), left_out: 0, unread: Vec::new() },
    };
    for place in PLACES {
        looking.place(place);
    }
    let mut files = looking.seen;
    files.files.sort_by(|a, b| a.path.cmp(&b.path));
    files.files.dedup_by(|a, b| a.path == b.path);
    files.unread.sort();
    files.unread.truncate(UNREAD);
    let state = match files.files.is_empty() && files.unread.is_empty() {
        true => State::Absent,
        false => State::Present(Arc::new(files)),
    };
    ComponentState::Files(state).into()
}

/// From when on it is told when a file was written: always on a machine that nobody marks,
/// never where the mark's own time is not known.
fn written_after(host: &Host) -> Option<Timestamp> {
    match host.modified(SET_UP) {
        Ok(at) => at.checked_add(SETTLING).ok(),
        Err(HostError::Missing { .. }) => Some(Timestamp::MIN),
        Err(_) => None,
    }
}

/// One look at all places.
struct Looking<'a> {
    host: &'a Host,
    written_after: Option<Timestamp>,
    seen: Files,
}

impl Looking<'_> {
    fn place(&mut self, place: &Place) {
        match place.below {
            Below::Itself => self.one(place.path, place.taken),
            Below::Folder | Below::Units => self.folder(place.path, place),
        }
    }

    fn folder(&mut self, path: &str, place: &Place) {
        let names = match self.host.root.list(path) {
            Ok(names) => names,
            Err(HostError::Missing { .. }) => return,
            Err(error) => return self.unread(path, &error),
        };
        for name in names {
            let inside = format!("{path}/{name}");
            let taken = match place.not_opened.iter().any(|part| name.contains(part)) {
                true => Taken::NotOpened,
                false => place.taken,
            };
            let is_of_units = |name: &str| {
                let endings = [".d", ".wants", ".requires", ".upholds"];
                endings.iter().any(|ending| name.ends_with(ending))
            };
            // One level further down, where systemd looks too.
            if place.below == Below::Units && path == place.path && is_of_units(&name) {
                match self.host.root.look(&inside) {
                    Ok(looked) if looked.kind == "directory" => self.folder(&inside, place),
                    _ => self.one(&inside, taken),
                }
            } else {
                self.one(&inside, taken);
            }
        }
    }

    fn one(&mut self, path: &str, taken: Taken) {
        if self.seen.files.len() >= FILES {
            // Whether a single file is there is asked all the same: it may not be.
            if self.host.root.look(path).is_ok() {
                self.seen.left_out = self.seen.left_out.saturating_add(1);
            }
            return;
        }
        let looked = match self.host.root.look(path) {
            Ok(looked) => looked,
            Err(HostError::Missing { .. }) => return,
            Err(error) => return self.unread(path, &error),
        };
        let is_file = looked.kind == "regular file";
        let content = self.content(path, taken, &looked);
        let is_read = is_file && !matches!(content, FileContent::NotRead);
        let Looked { mode, uid, gid, size_bytes, .. } = looked;
        self.seen.files.push(ManagedFile {
            path: path.to_owned(),
            form: FileForm { content, mode, uid, gid },
            size_bytes: (is_read && !matches!(taken, Taken::Without(_))).then_some(size_bytes),
            written_at: is_file.then(|| self.written_at(path)).flatten(),
        });
    }

    fn content(&self, path: &str, taken: Taken, looked: &Looked) -> FileContent {
        if let Some(target) = &looked.link {
            return FileContent::Link(target.clone());
        }
        if looked.kind != "regular file" {
            return FileContent::Other(looked.kind.to_owned());
        }
        let words = match taken {
            Taken::NotOpened => return FileContent::NotRead,
            Taken::Whole => &[][..],
            Taken::Without(words) => words,
        };
        let digest = self.host.remembered.digests.of(&self.host.root, path, words, LIMIT_BYTES);
        match digest {
            Ok(digest) => FileContent::Digest(digest),
            Err(error) => FileContent::Unreadable(error.to_string()),
        }
    }

    fn written_at(&self, path: &str) -> Option<Timestamp> {
        let after = self.written_after?;
        self.host.modified(path).ok().filter(|at| *at > after)
    }

    fn unread(&mut self, path: &str, error: &HostError) {
        self.seen.unread.push(UnreadPlace { path: path.to_owned(), why: error.to_string() });
    }
}

#[cfg(test)]
mod tests;
