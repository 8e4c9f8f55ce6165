//! What was appended to a file since it was last looked at: whole lines, so many bytes a
//! round. A file that was replaced or cut is read from its beginning.

use std::fs::File;
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
        let identity = (metadata.dev(), metadata.ino(), metadata.created().ok());
        let length = metadata.len();
        let is_first = self.at.is_none();
        let begin = match self.at {
            Some((known, read)) if known == identity && read <= length => read,
            _ => 0,
        };
        let mut told = Told::default();
        let mut start = begin.max(length.saturating_sub(limit_bytes));
        if start > begin && !is_first {
            told.dropped = lines_between(&mut file, begin, start).map_err(reading)?;
        }
        file.seek(SeekFrom::Start(start)).map_err(reading)?;
        file.take(length - start).read_to_end(&mut told.bytes).map_err(reading)?;
        if start > begin {
            // The first line was cut off.
            let cut = told.bytes.iter().position(|byte| *byte == b'\n');
            let cut = cut.map_or(told.bytes.len(), |end| end + 1);
            told.bytes.drain(..cut);
            start += cut as u64;
            told.dropped += u64::from(!is_first);
        }
        let whole = told.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        told.bytes.truncate(whole);
        self.at = Some((identity, start + whole as u64));
        Ok(told)
    }
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
        std::fs::write(&path, "anew\n").expect("written");
        assert_eq!(read(100), ("anew\n".to_owned(), 0));
        std::fs::rename(&path, folder.path().join("log.1")).expect("rotated");
        append("another file\n");
        assert_eq!(read(100), ("another file\n".to_owned(), 0));
    }
}
