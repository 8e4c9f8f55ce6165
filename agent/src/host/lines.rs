//! Long files of the kernel's, line by line: never is more than one line of them in memory.

use std::io::{BufRead as _, BufReader, Read as _};

use super::{HostError, HostRoot};

impl HostRoot {
    /// Shows every line of a regular file of at most `limit_bytes`, of which none is longer
    /// than `line_limit_bytes`. The kernel ends every line: a last one without an end was cut
    /// off, and is refused as what is no text is.
    pub fn each_line(
        &self,
        path: &str,
        (limit_bytes, line_limit_bytes): (u64, u64),
        mut look: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), HostError> {
        let malformed = |why: String| HostError::Malformed { path: path.to_owned(), why };
        let mut left = BufReader::new(self.file(path)?.take(limit_bytes.saturating_add(1)));
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            let read =
                (&mut left).take(line_limit_bytes.saturating_add(1)).read_until(b'\n', &mut line);
            let read = read.map_err(|error| HostError::reading(path, &error))?;
            if left.get_ref().limit() == 0 {
                return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
            }
            if read == 0 {
                return Ok(());
            }
            if read as u64 > line_limit_bytes {
                let why = format!("line {number} is longer than {line_limit_bytes} bytes");
                return Err(malformed(why));
            }
            let Some(text) = line.strip_suffix(b"\n") else {
                return Err(malformed("ends in the middle of a line: truncated".to_owned()));
            };
            let text = std::str::from_utf8(text)
                .map_err(|_| malformed(format!("line {number} is not UTF-8")))?;
            look(text).map_err(|why| malformed(format!("line {number}: {why}")))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, HostError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), text).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let mut lines = Vec::new();
        root.each_line("/a", (20, 8), |line| {
            lines.push(line.to_owned());
            if line == "bad" { Err("is bad".to_owned()) } else { Ok(()) }
        })?;
        Ok(lines)
    }

    #[test]
    fn lines_are_shown_one_by_one_within_their_limits() {
        assert_eq!(read(b""), Ok(Vec::new()));
        assert_eq!(read(b"a\n\nb\n"), Ok(["a", "", "b"].map(str::to_owned).to_vec()));
        for (text, says) in [
            (&b"a\nb"[..], "ends in the middle of a line: truncated"),
            (b"a\nbad\n", "line 2: is bad"),
            (b"a\n\xff\n", "line 2 is not UTF-8"),
            (b"123456789\n", "line 1 is longer than 8 bytes"),
            (b"1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n1\n", "longer than the 20 bytes that are read of it"),
        ] {
            let error = read(text).expect_err(says);
            assert_eq!((error.path(), error.to_string().as_str()), ("/a", says));
        }
    }
}
