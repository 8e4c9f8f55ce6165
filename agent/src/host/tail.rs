//! What was appended to a file since it was last looked at: whole lines, so many bytes a
//! round. A file that was replaced or cut is read from its beginning; of the one before it
//! the rest is read where logrotate(8) has put it, `NAME.1`, and else counts as lost.

use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use super::{HostError, HostRoot};

/// Of what is passed over lines are counted in so many bytes at the most; in the rest as
/// many are taken for granted as there were in those.
const COUNTED_BYTES: u64 = 16 * 1024 * 1024;

/// How far a file has been read.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// Which file it is, and the first byte that was not read.
    at: Option<(Which, u64)>,
}

/// Device, inode and, where the file system keeps it, when the file was made: the next file
/// may get the inode of one that is gone.
type Which = (u64, u64, Option<SystemTime>);

/// What a look has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Whole lines.
    pub bytes: Vec<u8>,
    /// Lines that were passed over, because more was written than is read at once.
    pub dropped: u64,
}

impl Tail {
    /// Reads what is new, the last `limit_bytes` of it. At the first look that is the end
    /// of the file, and nothing before it counts as dropped.
    pub fn read(
        &mut self,
        root: &HostRoot,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Told, HostError> {
        let reading = |error: std::io::Error| HostError::reading(path, &error);
        let mut file = root.file(path)?;
        let metadata = file.metadata().map_err(reading)?;
        let identity = identity(&metadata);
        let length = metadata.len();
        let (begin, mut told) = match self.at {
            None => (length.saturating_sub(limit_bytes), Told::default()),
            Some((known, read)) if known == identity && read <= length => (read, Told::default()),
            Some((known, read)) => (0, rest(root, path, known, read, limit_bytes)),
        };
        let is_cut = self.at.is_none() && begin > 0;
        let Told { mut bytes, dropped } =
            section(&mut file, begin, length, limit_bytes, is_cut).map_err(reading)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.at = Some((identity, length - (bytes.len() - whole) as u64));
        bytes.truncate(whole);
        told.bytes.append(&mut bytes);
        told.dropped = told.dropped.saturating_add(dropped);
        Ok(told)
    }
}

fn identity(metadata: &Metadata) -> Which {
    (metadata.dev(), metadata.ino(), metadata.created().ok())
}

/// What stood unread at the end of a file that another one has taken the place of. Where it is
/// gone, or was emptied, nobody knows how much that was: it counts as one line, so that
/// silence is not taken for proof.
fn rest(root: &HostRoot, path: &str, known: Which, read: u64, limit_bytes: u64) -> Told {
    let rotated = || {
        let mut file = root.file(&format!("{path}.1")).ok()?;
        let metadata = file.metadata().ok()?;
        let is_it = identity(&metadata) == known && read <= metadata.len();
        is_it.then(|| section(&mut file, read, metadata.len(), limit_bytes, false).ok())?
    };
    let Some(mut told) = rotated() else { return Told { bytes: Vec::new(), dropped: 1 } };
    // Nobody writes its last line to an end any more.
    if told.bytes.last().is_some_and(|byte| *byte != b'\n') {
        told.bytes.push(b'\n');
    }
    told
}

/// What stands between two places of a file, the last `limit_bytes` of it. Where that begins
/// in the middle of a line, or the whole does, the line is left out.
fn section(
    file: &mut File,
    begin: u64,
    end: u64,
    limit_bytes: u64,
    is_cut: bool,
) -> std::io::Result<Told> {
    let mut told = Told::default();
    let start = begin.max(end.saturating_sub(limit_bytes));
    if start > begin {
        // The line that was cut off is one of them.
        told.dropped = lines_between(file, begin, start)?.saturating_add(1);
    }
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut told.bytes)?;
    if start > begin || is_cut {
        let cut = told.bytes.iter().position(|byte| *byte == b'\n');
        told.bytes.drain(..cut.map_or(told.bytes.len(), |end| end + 1));
    }
    Ok(told)
}

/// How many lines end there.
fn lines_between(file: &mut File, begin: u64, end: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(begin))?;
    let counted = (end - begin).min(COUNTED_BYTES);
    let mut part = file.by_ref().take(counted);
    let (mut buffer, mut lines) = (vec![0; 64 * 1024], 0u64);
    loop {
        match part.read(&mut buffer)? {
            0 => break,
            length => {
                lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
    }
    let all = u128::from(lines) * u128::from(end - begin) / u128::from(counted.max(1));
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_appended_is_read_once_and_by_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let path = folder.path().join("log");
        let append = |text: &str| {
            let mut file = File::options().create(true).append(true).open(&path).expect("opened");
            file.write_all(text.as_bytes()).expect("written");
        };
        let mut tail = Tail::default();
        let mut read = |limit| {
            let told = tail.read(&root, "/log", limit).expect("a file");
            (String::from_utf8(told.bytes).expect("text"), told.dropped)
        };
        append("one\ntwo\nthr");
        // The first look begins in the middle of a line.
        assert_eq!(read(9), ("two\n".to_owned(), 0));
        append("ee\n");
        assert_eq!(read(100), ("three\n".to_owned(), 0));
        assert_eq!(read(100), (String::new(), 0));
        append("a\nb\nc\nd\ne\n");
        // The line that was cut off is one of those that were dropped.
        assert_eq!(read(5), ("d\ne\n".to_owned(), 3));
        // What stood unread in it when it was emptied nobody knows.
        std::fs::write(&path, "anew\n").expect("written");
        assert_eq!(read(100), ("anew\n".to_owned(), 1));
        // What was written before a rotation stands in the rotated file.
        append("left\nand cut");
        std::fs::rename(&path, folder.path().join("log.1")).expect("rotated");
        append("another file\n");
        assert_eq!(read(100), ("left\nand cut\nanother file\n".to_owned(), 0));
        // It was rotated, and packed or removed.
        append("lost\n");
        std::fs::rename(&path, folder.path().join("log.2.gz")).expect("rotated");
        append("the third\n");
        assert_eq!(read(100), ("the third\n".to_owned(), 1));
    }
}
