//! The write-ahead log of a database: which pages it has newer than the file. Form:
//! <https://www.sqlite.org/walformat.html>. As SQLite does, it is believed up to the
//! last commit whose frames are whole, and not at all when its header is not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;

use super::pages::{read_at, word};
use crate::host::{HostError, HostRoot};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The last bit says in which order the checksum takes bytes: 1 is most significant first.
const MAGIC: u32 = 0x377f_0682;

/// rpm lets the log grow until its transaction has ended.
const LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// A log with at least one transaction.
#[derive(Debug)]
pub(super) struct Log {
    path: String,
    file: File,
    header: Vec<u8>,
    /// Where the newest content of a page begins.
    offsets: BTreeMap<u32, u64>,
    /// Pages of the database after the last transaction.
    page_count: u32,
    /// Where the last transaction ends.
    end: u64,
}

impl Log {
    /// The log, if there is one that holds a transaction.
    pub(super) fn open(
        root: &HostRoot,
        path: &str,
        page_bytes: usize,
    ) -> Result<Option<Self>, HostError> {
        let file = match root.file(path) {
            Ok(file) => file,
            Err(HostError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let reading = |error: std::io::Error| HostError::reading(path, &error);
        if file.metadata().map_err(reading)?.len() > LIMIT_BYTES {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes: LIMIT_BYTES });
        }
        let header = read_header(&file, path)?;
        let Some(mut sum) = Checksum::of_header(&header) else {
            return Ok(None);
        };
        if word(&header, 8) != Some(page_bytes as u32) {
            let why = format!("has pages of another size than the database's {page_bytes} bytes");
            return Err(HostError::Malformed { path: path.to_owned(), why });
        }
        let mut log = Self {
            path: path.to_owned(),
            header,
            offsets: BTreeMap::new(),
            page_count: 0,
            end: HEADER_BYTES as u64,
            file,
        };
        log.index(&mut sum, page_bytes)?;
        Ok((!log.offsets.is_empty()).then_some(log))
    }

    /// Finds the newest frame of each page, up to the last transaction that is whole.
    fn index(&mut self, sum: &mut Checksum, page_bytes: usize) -> Result<(), HostError> {
        let mut frames = BufReader::with_capacity(64 * 1024, &self.file);
        let mut frame = vec![0; HEADER_BYTES];
        let reading = |error: std::io::Error| HostError::reading(&self.path, &error);
        frames.read_exact(&mut frame).map_err(reading)?;
        frame.resize(FRAME_HEADER_BYTES + page_bytes, 0);
        let mut begun: Vec<(u32, u64)> = Vec::new();
        let mut at = HEADER_BYTES as u64;
        loop {
            match frames.read_exact(&mut frame) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(reading(error)),
            }
            let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
            let number = word(head, 0).unwrap_or_default();
            sum.add(&head[..8]);
            sum.add(page);
            // Frames of the log's former round follow the last one of this.
            if number == 0 || head[8..16] != self.header[16..24] || !sum.is(&head[16..]) {
                return Ok(());
            }
            begun.push((number, at + FRAME_HEADER_BYTES as u64));
            at += frame.len() as u64;
            let page_count = word(head, 4).unwrap_or_default();
            if page_count != 0 {
                self.offsets.extend(begun.drain(..));
                self.page_count = page_count;
                self.end = at;
            }
        }
    }

    /// Whether what was read of it is still there: a writer begins the log anew, under
    /// other salts, only when the database's file has everything.
    pub(super) fn is_steady(&self, root: &HostRoot) -> Result<bool, HostError> {
        let named = match root.file(&self.path) {
            Ok(named) => named,
            Err(HostError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let reading = |error: std::io::Error| HostError::reading(&self.path, &error);
        let (now, named) =
            (self.file.metadata().map_err(reading)?, named.metadata().map_err(reading)?);
        Ok((now.dev(), now.ino()) == (named.dev(), named.ino())
            && now.len() >= self.end
            && read_header(&self.file, &self.path)? == self.header)
    }

    pub(super) fn offset_of(&self, page: u32) -> Option<u64> {
        self.offsets.get(&page).copied()
    }

    pub(super) const fn page_count(&self) -> u32 {
        self.page_count
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

fn read_header(file: &File, path: &str) -> Result<Vec<u8>, HostError> {
    let mut header = Vec::new();
    read_at(file, path, 0, HEADER_BYTES, &mut header)?;
    Ok(header)
}

/// The checksum that runs through the log.
struct Checksum {
    is_big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    /// After the log's header; none when that is not whole or of another form.
    fn of_header(header: &[u8]) -> Option<Self> {
        let magic = word(header, 0)?;
        if magic & !1 != MAGIC || word(header, 4)? != 3_007_000 {
            return None;
        }
        let mut sum = Self { is_big_endian: magic & 1 == 1, sums: (0, 0) };
        sum.add(header.get(..24)?);
        sum.is(header.get(24..)?).then_some(sum)
    }

    fn add(&mut self, bytes: &[u8]) {
        let read = if self.is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        let (mut first, mut second) = self.sums;
        for [one, two] in pairs {
            first = first.wrapping_add(read(*one)).wrapping_add(second);
            second = second.wrapping_add(read(*two)).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    fn is(&self, bytes: &[u8]) -> bool {
        word(bytes, 0) == Some(self.sums.0) && word(bytes, 4) == Some(self.sums.1)
    }
}
