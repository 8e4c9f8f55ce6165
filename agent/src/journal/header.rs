//! The head of a journal file: what it is, how its objects are written, how far it goes.

use super::{Bytes, JournalError, identifier, number, small_number};

const SIGNATURE: &[u8] = b"LPKSHHRH";

/// The first version of the format had so many bytes; later ones add to them.
const LEAST_BYTES: u64 = 208;

/// No version has as many.
const MOST_BYTES: u64 = 4096;

/// Incompatible flags that are understood: packed by XZ, LZ4 and ZSTD; with keyed hashes,
/// which nobody needs who looks nothing up; and with offsets of four bytes.
const COMPACT: u32 = 1 << 4;
const KNOWN: u32 = COMPACT | 0b1111;

/// What the writer says of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Closed in order.
    Offline,
    /// Open for writing, or its writer ended without closing it.
    Online,
    /// Rotated: nothing is written to it any more.
    Archived,
}

/// The head, as far as reading in order needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether it is being written to.
    pub state: State,
    /// Offsets have four bytes instead of eight.
    pub is_compact: bool,
    /// Which file it is.
    pub file_id: [u8; 16],
    /// Whose numbers its entries have.
    pub seqnum_id: [u8; 16],
    /// Where the head ends: no object lies before.
    pub header_bytes: u64,
    /// Where the objects end: no object lies behind, and nothing that the file does not have.
    pub end: u64,
    /// How many entries there are.
    pub entries: u64,
    /// The number of the first entry, and of the last.
    pub first_seqnum: u64,
    /// See [`Self::first_seqnum`].
    pub last_seqnum: u64,
    /// The first list of entries; zero where there is none.
    pub entry_array: u64,
    /// When the first entry was written, in microseconds.
    pub first_realtime: u64,
}

impl Header {
    /// Reads the head of a file.
    pub fn read(bytes: &impl Bytes) -> Result<Self, JournalError> {
        let mut head = [0; LEAST_BYTES as usize];
        if bytes.read_at(0, &mut head)? < head.len() {
            return Err(JournalError::NoJournal("it is shorter than a header"));
        }
        if !head.starts_with(SIGNATURE) {
            return Err(JournalError::NoJournal("it has another signature"));
        }
        let incompatible = small_number(&head, 12);
        if incompatible & !KNOWN != 0 {
            return Err(JournalError::Newer(incompatible));
        }
        let state = match head[16] {
            0 => State::Offline,
            1 => State::Online,
            2 => State::Archived,
            _ => return Err(JournalError::Damaged { at: 16, why: "no state has that number" }),
        };
        let header_bytes = number(&head, 88);
        if !(LEAST_BYTES..=MOST_BYTES).contains(&header_bytes) || !header_bytes.is_multiple_of(8) {
            return Err(JournalError::Damaged { at: 88, why: "no header is so long" });
        }
        let (end, length) = (header_bytes.saturating_add(number(&head, 96)), bytes.length()?);
        // One that is rotated is cut to where its objects end before its head says so.
        if end > length && objects_end(bytes, number(&head, 136))? > length {
            return Err(JournalError::Damaged { at: 96, why: "the file ends before its objects" });
        }
        Ok(Self {
            state,
            is_compact: incompatible & COMPACT != 0,
            file_id: identifier(&head, 24),
            seqnum_id: identifier(&head, 72),
            header_bytes,
            end: end.min(length),
            entries: number(&head, 152),
            last_seqnum: number(&head, 160),
            first_seqnum: number(&head, 168),
            entry_array: number(&head, 176),
            first_realtime: number(&head, 184),
        })
    }
}

/// Where the last object ends, which begins there.
fn objects_end(bytes: &impl Bytes, last: u64) -> Result<u64, JournalError> {
    let mut head = [0; 16];
    let read = bytes.read_at(last, &mut head)?;
    let size = if read == head.len() { number(&head, 8) } else { u64::MAX };
    Ok(last.saturating_add(size))
}
