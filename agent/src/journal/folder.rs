//! The journal of a folder, followed over its files: the one that is written to, and those
//! that it was before it was rotated. How far it was read is kept as the journal counts:
//! by the identifier of a sequence and the number in it.

use std::fs::File;
use std::time::{Duration, Instant};

use super::file::{Entry, JournalFile, Place, Remembered, Step};
use super::{Header, JournalError};
use crate::host::{HostError, HostRoot};

/// The file that is written to. Those of users are not read: no service writes there.
const ACTIVE: &str = "system.journal";

/// At the first look no more of each file is looked at, and of no more rotated files.
const FIRST_ENTRIES: u64 = 100_000;
const FIRST_FILES: usize = 3;

/// journald gives the file that it writes to another name before it makes the next one, and
/// makes that one empty. It is between the two for a moment; so long nobody worries.
const ROTATION: Duration = Duration::from_secs(10);

/// Who reads.
pub trait Look {
    /// Whether one more entry may be read in this round.
    fn allows_one(&mut self) -> bool;

    /// Whether the message of an entry is wanted.
    fn wants(&self, entry: &Entry) -> bool;

    /// Takes an entry that was wanted.
    fn take(&mut self, entry: &Entry, message: &str);
}

/// What a look at a folder has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Entries that were removed before they were read, as far as numbers tell: those of
    /// users' files may be among them.
    pub lost: u64,
    /// Entries that could not be read, and rotated files.
    pub skipped: u64,
    /// Files that the journal itself found damaged and has set aside.
    pub set_aside: u32,
    /// Not all that is there was read in this round.
    pub is_behind: bool,
}

/// A folder with a journal.
#[derive(Debug)]
pub struct Folder {
    path: String,
    at: Option<At>,
    /// Since when no file is written to.
    between: Option<Instant>,
    /// What a look has shown that then failed.
    untold: Looked,
}

/// How far it was read.
#[derive(Debug)]
struct At {
    seqnum_id: [u8; 16],
    seqnum: u64,
    realtime: u64,
    file_id: [u8; 16],
    place: Place,
    remembered: Remembered,
}

/// A file that was rotated; its name tells where it begins.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rotated {
    first_realtime: u64,
    first_seqnum: u64,
    seqnum_id: [u8; 16],
    name: String,
}

impl Rotated {
    /// By its name, `system@<sequence>-<first number>-<first time>.journal`.
    fn of(name: String) -> Option<Self> {
        let inner = name.strip_prefix("system@")?.strip_suffix(".journal")?;
        let (seqnum_id, rest) = inner.split_once('-')?;
        let (first_seqnum, first_realtime) = rest.split_once('-')?;
        let hexadecimal = |text: &str| {
            let is_plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        let (high, low) = seqnum_id.split_at_checked(16)?;
        let seqnum_id = u128::from(hexadecimal(high)?) << 64 | u128::from(hexadecimal(low)?);
        Some(Self {
            first_realtime: hexadecimal(first_realtime)?,
            first_seqnum: hexadecimal(first_seqnum)?,
            seqnum_id: seqnum_id.to_be_bytes(),
            name,
        })
    }
}

impl Folder {
    /// A folder, of which nothing was read yet.
    #[must_use]
    pub const fn new(path: String) -> Self {
        let untold = Looked { lost: 0, skipped: 0, set_aside: 0, is_behind: false };
        Self { path, at: None, between: None, untold }
    }

    /// Whether a journal is written there.
    pub fn is_there(root: &HostRoot, path: &str) -> Result<bool, HostError> {
        root.exists(&format!("{path}/{ACTIVE}"))
    }

    /// Whether there may be no file that is written to, because the last one was rotated and
    /// the next one is being made: of a folder that was read, and for a moment.
    #[must_use]
    pub fn may_be_between(&self) -> bool {
        self.at.is_some() && self.between.is_none_or(|since| since.elapsed() < ROTATION)
    }

    /// When the newest entry was written that was looked at, in microseconds; none before the
    /// first look. Where nothing is written, it is since when was looked for.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.at.as_ref().map(|at| at.realtime)
    }

    /// Reads what is new; at the first look, what was written since that time, in
    /// microseconds.
    pub fn look(
        &mut self,
        root: &HostRoot,
        since: u64,
        look: &mut impl Look,
    ) -> Result<Looked, HostError> {
        let active = self.active(root)?;
        let names = root.list(&self.path)?;
        let Looked { lost, skipped, .. } = std::mem::take(&mut self.untold);
        let mut looked = Looked { lost, skipped, ..Looked::default() };
        let mut rotated = Vec::new();
        for name in names {
            if name.starts_with("system") && name.ends_with(".journal~") {
                looked.set_aside += 1;
            }
            rotated.extend(Rotated::of(name));
        }
        rotated.sort();
        let mut is_first = true;
        for one in self.unread(rotated, active.as_ref().map(JournalFile::header), since) {
            let file = match self.open(root, &one.name) {
                Ok(file) => file.rotated(),
                // Removed since its folder was listed: what was in it is lost.
                Err(HostError::Missing { .. }) => {
                    is_first = true;
                    continue;
                }
                Err(_) => {
                    looked.skipped += 1;
                    continue;
                }
            };
            looked.lost += self.gap(file.header(), is_first);
            is_first = false;
            if self.read(file, since, look, &mut looked).is_err() {
                looked.skipped += 1;
            }
            if looked.is_behind {
                return Ok(looked);
            }
        }
        let Some(active) = active else { return Ok(looked) };
        looked.lost += self.gap(active.header(), is_first);
        let path = format!("{}/{ACTIVE}", self.path);
        match self.read(active, since, look, &mut looked) {
            Ok(()) => Ok(looked),
            Err(error) => {
                self.untold = looked;
                Err(told(&path, error))
            }
        }
    }

    fn open(&self, root: &HostRoot, name: &str) -> Result<JournalFile<File>, HostError> {
        let path = format!("{}/{name}", self.path);
        JournalFile::open(root.file(&path)?).map_err(|error| told(&path, error))
    }

    /// The file that is written to; none in the moment between two.
    fn active(&mut self, root: &HostRoot) -> Result<Option<JournalFile<File>>, HostError> {
        let path = format!("{}/{ACTIVE}", self.path);
        let file = root.file(&path).and_then(|file| {
            let length = file.metadata().map_err(|error| HostError::reading(&path, &error))?.len();
            if length > 0 { Ok(file) } else { Err(HostError::Missing { path: path.clone() }) }
        });
        match file {
            Err(HostError::Missing { .. }) if self.may_be_between() => {
                self.between.get_or_insert_with(Instant::now);
                Ok(None)
            }
            file => {
                let file = JournalFile::open(file?).map_err(|error| told(&path, error))?;
                self.between = None;
                Ok(Some(file))
            }
        }
    }

    /// Rotated files with entries that were not read, oldest first.
    fn unread(
        &self,
        mut rotated: Vec<Rotated>,
        active: Option<&Header>,
        since: u64,
    ) -> Vec<Rotated> {
        let Some(at) = &self.at else {
            let active = active.filter(|active| active.entries > 0);
            let mut begins = active.map_or(u64::MAX, |active| active.first_realtime);
            let mut first = rotated.len();
            while first > 0 && begins > since && rotated.len() - first < FIRST_FILES {
                first -= 1;
                begins = rotated[first].first_realtime;
            }
            return rotated.split_off(first);
        };
        if active.is_some_and(|active| active.file_id == at.file_id) {
            return Vec::new();
        }
        // The last file that begins before the next number has it, if it is there at all.
        let is_own = |one: &Rotated| one.seqnum_id == at.seqnum_id;
        let begins = rotated
            .iter()
            .filter(|one| is_own(one) && one.first_seqnum <= at.seqnum.saturating_add(1))
            .map(|one| one.first_seqnum)
            .max();
        rotated.retain(|one| match is_own(one) {
            true => one.first_seqnum >= begins.unwrap_or_default(),
            false => one.first_realtime > at.realtime,
        });
        rotated
    }

    /// How many entries there were between what was read and the first file that is left.
    /// Within files nothing is lost, and numbers that one lacks are those of users' files.
    fn gap(&self, header: &Header, is_first: bool) -> u64 {
        match &self.at {
            Some(at)
                if is_first
                    && at.file_id != header.file_id
                    && at.seqnum_id == header.seqnum_id
                    && header.entries > 0 =>
            {
                header.first_seqnum.saturating_sub(at.seqnum.saturating_add(1))
            }
            _ => 0,
        }
    }

    fn read(
        &mut self,
        mut file: JournalFile<File>,
        since: u64,
        look: &mut impl Look,
        looked: &mut Looked,
    ) -> Result<(), JournalError> {
        let header = *file.header();
        let (mut seqnum, mut realtime) = match self.at.take() {
            Some(at) if at.file_id == header.file_id => {
                file.resume(at.place, at.remembered);
                (at.seqnum, at.realtime)
            }
            Some(at) => {
                let is_own = at.seqnum_id == header.seqnum_id;
                let found = match is_own {
                    true => file.seek(|number, _| number <= at.seqnum, u64::MAX),
                    false => file.seek(|_, time| time <= at.realtime, u64::MAX),
                };
                match found {
                    Ok(_) if is_own => (at.seqnum, at.realtime),
                    Ok(before) => (before.unwrap_or_default(), at.realtime),
                    Err(error) => {
                        self.at = Some(at);
                        return Err(error);
                    }
                }
            }
            // The head's own last number may be that of an entry that is being written.
            None => {
                let before = file.seek(|_, time| time < since, FIRST_ENTRIES)?;
                (before.unwrap_or_else(|| header.first_seqnum.saturating_sub(1)), since)
            }
        };
        let read = loop {
            if !look.allows_one() {
                looked.is_behind = true;
                break Ok(());
            }
            let mut seen = realtime;
            let step = file.read_next(|entry| {
                seen = entry.realtime;
                look.wants(entry)
            });
            realtime = realtime.max(seen);
            match step {
                Ok(Step::Entry(entry, message)) => {
                    seqnum = entry.seqnum;
                    look.take(&entry, &message);
                }
                Ok(Step::Passed(number)) => seqnum = number,
                Ok(Step::Skipped) => looked.skipped += 1,
                Ok(Step::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let (place, remembered) = file.leave();
        let (seqnum_id, file_id) = (header.seqnum_id, header.file_id);
        self.at = Some(At { seqnum_id, seqnum, realtime, file_id, place, remembered });
        read
    }
}

fn told(path: &str, error: JournalError) -> HostError {
    match error {
        JournalError::Unreadable(error) => HostError::reading(path, &error),
        other => HostError::Malformed { path: path.to_owned(), why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_rotated_file_tells_where_it_begins() {
        let name =
            "system@0005f3b2a1c04d7e8f90a1b2c3d4e5f6-000000000000002a-0005f3b2a1c04d7e.journal";
        let rotated = Rotated::of(name.to_owned()).expect("a rotated file");
        assert_eq!((rotated.first_seqnum, rotated.first_realtime), (42, 0x0005_f3b2_a1c0_4d7e));
        assert_eq!(rotated.seqnum_id[..3], [0, 5, 0xf3]);
        for name in [
            "system.journal",
            "system@0005f3b2a1c04d7e-a1b2c3d4e5f60718.journal~",
            "system@x-000000000000002a-0005f3b2a1c04d7e.journal",
            "user-1000@0005f3b2a1c04d7e8f90a1b2c3d4e5f6-000000000000002a-0005f3b2a1c04d7e.journal",
            "system@0005f3b2a1c04d7e8f90a1b2c3d4e5f6-2a-0005f3b2a1c04d7e.journal",
        ] {
            assert_eq!(Rotated::of(name.to_owned()), None, "{name}");
        }
    }
}
