//! The pages of a database: from its file, and those that the log has newer from there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::log::Log;
use crate::host::{HostError, HostRoot};

/// The header of a database, at the beginning of page 1.
pub(super) const HEADER_BYTES: usize = 100;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// More than any package database of a node: 5,000 packages take some 300 MiB.
const LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// So much of the file is read at once: the pages of a long row mostly follow each other.
const STRETCH_BYTES: usize = 64 * 1024;

/// A part of the file or of the log that was read.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// The number of its first page; none of a page from the log, which is alone.
    first: Option<u32>,
    bytes: Vec<u8>,
}

/// The pages of one database.
#[derive(Debug)]
pub(super) struct Pages {
    path: String,
    file: File,
    log: Option<Log>,
    page_bytes: usize,
    /// Without what each page keeps for extensions.
    usable_bytes: usize,
    count: u32,
}

impl Pages {
    pub(super) fn open(
        root: &HostRoot,
        path: &str,
        file: File,
        length_bytes: u64,
    ) -> Result<Self, HostError> {
        if length_bytes > LIMIT_BYTES {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes: LIMIT_BYTES });
        }
        let fault = |why: &str| HostError::Malformed { path: path.to_owned(), why: why.to_owned() };
        let mut header = Vec::new();
        read_at(&file, path, 0, HEADER_BYTES, &mut header)?;
        if header.is_empty() {
            return Err(fault("is empty"));
        }
        if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
            return Err(fault("is not a SQLite database"));
        }
        let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        if !page_bytes.is_power_of_two() || page_bytes < 512 {
            return Err(fault("has a page size that no database has"));
        }
        let mut pages = Self {
            log: Log::open(root, &format!("{path}-wal"), page_bytes)?,
            path: path.to_owned(),
            file,
            page_bytes,
            usable_bytes: page_bytes,
            count: 1,
        };
        let mut stretch = Stretch::default();
        let first = pages.page(1, &mut stretch)?;
        pages.usable_bytes = page_bytes - usize::from(first[20]);
        if pages.usable_bytes < 480 {
            return Err(fault("keeps more of each page than a database may"));
        }
        pages.count = pages.count_of(first, length_bytes)?;
        Ok(pages)
    }

    /// How many pages there are, all of which must be somewhere.
    fn count_of(&self, header: &[u8], length_bytes: u64) -> Result<u32, HostError> {
        let in_file = u32::try_from(length_bytes / self.page_bytes as u64).unwrap_or(u32::MAX);
        let number = |at: usize| word(header, at).unwrap_or_default();
        // A writer of before SQLite 3.7.0 leaves a count that is not its own.
        let is_counted = number(28) != 0 && number(24) == number(92);
        let count = match &self.log {
            Some(log) => log.page_count(),
            None if is_counted => number(28),
            None => in_file,
        };
        if let Some(lacking) =
            (in_file.saturating_add(1)..=count).find(|page| !self.is_logged(*page))
        {
            return Err(self.fault(format!("ends before page {lacking} of {count}: truncated")));
        }
        Ok(count)
    }

    fn is_logged(&self, number: u32) -> bool {
        self.log.as_ref().is_some_and(|log| log.offset_of(number).is_some())
    }

    /// A page, by its number from 1. `stretch` is read anew when the page is not in it.
    pub(super) fn page<'s>(
        &self,
        number: u32,
        stretch: &'s mut Stretch,
    ) -> Result<&'s [u8], HostError> {
        if number == 0 || number > self.count {
            return Err(self.fault(format!("names page {number}, it has {}", self.count)));
        }
        let logged = self.log.as_ref().and_then(|log| Some((log, log.offset_of(number)?)));
        let (file, path, first, offset, length) = match logged {
            Some((log, offset)) => (log.file(), log.path(), None, offset, self.page_bytes),
            None => {
                let begun = stretch.first.and_then(|first| number.checked_sub(first));
                let at = begun.map_or(usize::MAX, |pages| pages as usize * self.page_bytes);
                if at < stretch.bytes.len() {
                    let page = stretch.bytes.get(at..at + self.page_bytes);
                    return page.ok_or_else(|| cut(&self.path, number));
                }
                let offset = u64::from(number - 1) * self.page_bytes as u64;
                let length = self.page_bytes.max(STRETCH_BYTES);
                (&self.file, self.path.as_str(), Some(number), offset, length)
            }
        };
        stretch.first = first;
        read_at(file, path, offset, length, &mut stretch.bytes)?;
        stretch.bytes.get(..self.page_bytes).ok_or_else(|| cut(path, number))
    }

    pub(super) fn log_is_steady(&self, root: &HostRoot) -> Result<bool, HostError> {
        self.log.as_ref().map_or(Ok(true), |log| log.is_steady(root))
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    pub(super) const fn usable_bytes(&self) -> usize {
        self.usable_bytes
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn fault(&self, why: String) -> HostError {
        HostError::Malformed { path: self.path.clone(), why }
    }
}

fn cut(path: &str, number: u32) -> HostError {
    HostError::Malformed { path: path.to_owned(), why: format!("ends in page {number}: truncated") }
}

/// Reads at most so many bytes from there on: fewer where the file ends.
pub(super) fn read_at(
    file: &File,
    path: &str,
    offset: u64,
    length_bytes: usize,
    into: &mut Vec<u8>,
) -> Result<(), HostError> {
    into.resize(length_bytes, 0);
    let mut read = 0;
    while read < length_bytes {
        match file.read_at(&mut into[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HostError::reading(path, &error)),
        }
    }
    into.truncate(read);
    Ok(())
}

/// The 32-bit number at that place, most significant byte first.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
