//! The end of a file of records that are all of one length, such as those of utmp(5).

use std::io::{Read as _, Seek as _, SeekFrom};

use super::{HostError, HostRoot};

impl HostRoot {
    /// The last `limit_bytes` of a regular file at the most, and how long it is as a whole.
    pub fn read_end(&self, path: &str, limit_bytes: u64) -> Result<(Vec<u8>, u64), HostError> {
        let reading = |error: std::io::Error| HostError::reading(path, &error);
        let mut file = self.file(path)?;
        let length = file.metadata().map_err(reading)?.len();
        let start = length.saturating_sub(limit_bytes);
        file.seek(SeekFrom::Start(start)).map_err(reading)?;
        let mut bytes = Vec::new();
        file.take(length - start).read_to_end(&mut bytes).map_err(reading)?;
        Ok((bytes, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read_and_the_length_told() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), "0123456789").expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(root.read_end("/a", 4), Ok((b"6789".to_vec(), 10)));
        assert_eq!(root.read_end("/a", 40), Ok((b"0123456789".to_vec(), 10)));
        assert!(matches!(root.read_end("/b", 4), Err(HostError::Missing { .. })));
    }
}
