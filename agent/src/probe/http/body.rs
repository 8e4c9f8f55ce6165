//! What is kept of an answer's body: all of it when it is small, or some lines of a long
//! one, such as metrics, of which no more than one line is ever held beside them.

/// So much of a body is kept.
const KEPT_LIMIT_BYTES: usize = 64 * 1024;

/// So long a body is looked through for lines.
const READ_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// A longer line is none of those that are looked for.
const LINE_LIMIT_BYTES: usize = 4 * 1024;

/// What is kept of an answer's body.
#[derive(Debug, Clone, Copy)]
pub enum Keep {
    /// All of it. A body of more than 64 KiB is a failure.
    Whole,
    /// Of an answer with status 200 those lines for which this holds; another one whole.
    Lines(fn(&str) -> bool),
}

impl Keep {
    /// What is kept of a body that lies here as a whole.
    pub(in crate::probe) fn of(self, status: u16, body: &[u8]) -> Result<Body, String> {
        let mut kept = Body::new(self, status);
        kept.take(body)?;
        kept.end()
    }
}

/// A body that arrives piece by piece.
#[derive(Debug)]
pub(in crate::probe) struct Body {
    /// None when it is kept whole.
    wanted: Option<fn(&str) -> bool>,
    kept: Vec<u8>,
    /// The line that is arriving; its beginning, when it is too long.
    line: Vec<u8>,
    read_bytes: usize,
}

impl Body {
    pub(super) const fn new(keep: Keep, status: u16) -> Self {
        let wanted = match keep {
            Keep::Lines(wanted) if status == 200 => Some(wanted),
            Keep::Lines(_) | Keep::Whole => None,
        };
        Self { wanted, kept: Vec::new(), line: Vec::new(), read_bytes: 0 }
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.read_bytes = self.read_bytes.saturating_add(piece.len());
        let limit = if self.wanted.is_some() { READ_LIMIT_BYTES } else { KEPT_LIMIT_BYTES };
        if self.read_bytes > limit {
            return Err(format!("longer than the {limit} bytes that are read of it"));
        }
        if self.wanted.is_none() {
            self.kept.extend_from_slice(piece);
            return Ok(());
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let room = (LINE_LIMIT_BYTES + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.line_ends()?;
            }
        }
        Ok(())
    }

    /// The body has ended.
    pub(super) fn end(mut self) -> Result<Self, String> {
        self.line_ends()?;
        Ok(self)
    }

    fn line_ends(&mut self) -> Result<(), String> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let Some(wanted) = self.wanted else { return Ok(()) };
        if line.len() < LINE_LIMIT_BYTES && std::str::from_utf8(line).is_ok_and(wanted) {
            self.kept.extend_from_slice(line);
            self.kept.push(b'\n');
        }
        if self.kept.len() > KEPT_LIMIT_BYTES {
            return Err(format!("more than {KEPT_LIMIT_BYTES} bytes in the lines looked for"));
        }
        Ok(())
    }

    /// Whether all of it was kept.
    pub(super) const fn is_whole(&self) -> bool {
        self.wanted.is_none()
    }

    /// What was kept, as text.
    pub(super) fn text(self) -> String {
        String::from_utf8(self.kept)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep::Lines(|line| line.starts_with("a "));

    /// What is kept of a body that arrives in pieces of that size.
    fn kept(status: u16, body: &[u8], size: usize) -> Result<String, String> {
        let mut arriving = Body::new(KEEP, status);
        body.chunks(size).try_for_each(|piece| arriving.take(piece))?;
        arriving.end().map(Body::text)
    }

    #[test]
    fn lines_are_found_however_they_arrive() {
        for size in 1..12 {
            let body = b"# HELP a\na 1\nb 2\na 3\n\xff\xfe\na 4";
            assert_eq!(kept(200, body, size), Ok("a 1\na 3\na 4\n".to_owned()), "{size}");
        }
        assert_eq!(kept(200, b"", 1), Ok(String::new()));
    }

    #[test]
    fn an_answer_that_is_no_list_is_kept_whole() {
        assert_eq!(kept(500, b"why\nnot", 3), Ok("why\nnot".to_owned()));
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let long = [b"a ".as_slice(), &[b'x'; 2 * LINE_LIMIT_BYTES], b"\na 2\n"].concat();
        assert_eq!(kept(200, &long, 1000), Ok("a 2\n".to_owned()));
        let many = b"a 1234567\n".repeat(KEPT_LIMIT_BYTES / 10 + 1);
        assert!(kept(200, &many, 1000).is_err_and(|why| why.contains("lines looked for")));
        let big = b"b\n".repeat(READ_LIMIT_BYTES / 2 + 1);
        assert!(kept(200, &big, 64 * 1024).is_err_and(|why| why.contains("8388608")));
        let whole = vec![b'x'; KEPT_LIMIT_BYTES + 1];
        assert!(kept(404, &whole, 64 * 1024).is_err_and(|why| why.contains("65536")));
        assert_eq!(kept(404, &whole[1..], 1000).map(|text| text.len()), Ok(KEPT_LIMIT_BYTES));
    }
}
