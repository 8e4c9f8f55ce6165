//! Files of systemd's journal, read as they lie on disk, without its library and without
//! a child process. Source: <https://systemd.io/JOURNAL_FILE_FORMAT>.
//!
//! Whoever writes such a file is a stranger: every offset is held against the file before
//! it is followed, what is chained must lead forward, and of nothing more is read or
//! unpacked than a limit. What does not hold costs its own entry, which is counted.

mod file;
mod folder;
mod header;
mod unpack;

use std::io;

pub use file::{Entry, Fields, JournalFile, Place, Step};
pub use folder::{Folder, Look, Looked};
pub use header::{Header, State};

/// Why a file cannot be read as one of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It does not begin as such a file does.
    #[error("is no file of the journal: {0}")]
    NoJournal(&'static str),
    /// It is of a form that came later.
    #[error("is of a form that is not known here: incompatible flags {0:#x}")]
    Newer(u32),
    /// It contradicts itself.
    #[error("is damaged at byte {at}: {why}")]
    Damaged {
        /// Where.
        at: u64,
        /// What does not hold.
        why: &'static str,
    },
}

/// Bytes that can be read at any place.
pub trait Bytes {
    /// Reads what is there, up to the end of the buffer; less only at the end of the bytes.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// How many there are.
    fn length(&self) -> io::Result<u64>;
}

impl Bytes for std::fs::File {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match std::os::unix::fs::FileExt::read_at(
                self,
                &mut buffer[filled..],
                at.saturating_add(filled as u64),
            ) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Bytes for &[u8] {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// A number of eight bytes, least first, as all of them stand in the file; zero where the
/// bytes end, which no caller lets happen.
fn number(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
    u64::from_le_bytes(eight.unwrap_or_default())
}

/// The same of four bytes.
fn small_number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default())
}

/// An identifier of sixteen bytes.
fn identifier(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..at + 16).and_then(|sixteen| sixteen.try_into().ok()).unwrap_or_default()
}
