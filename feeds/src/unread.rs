//! What every parser asks of a file before it reads it: that it is no longer than any of
//! its kind, and, where the format is text, that it is text.

/// Why a file is not read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is longer than any of its kind.
    #[error("{file}: {bytes} bytes are more than are read of such a file, {longest}")]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
        /// The longest that is read.
        longest: usize,
    },
    /// It is no text.
    #[error("{file}: no UTF-8")]
    NoText {
        /// The file.
        file: String,
        /// Where.
        #[source]
        source: std::str::Utf8Error,
    },
}

/// Refuses a file that is too long.
pub(crate) fn bounded(file: &str, bytes: &[u8], longest: usize) -> Result<(), Unread> {
    if bytes.len() <= longest {
        return Ok(());
    }
    Err(Unread::TooLong { file: file.to_owned(), bytes: bytes.len(), longest })
}

/// The text of a file that is not too long.
pub(crate) fn text<'a>(file: &str, bytes: &'a [u8], longest: usize) -> Result<&'a str, Unread> {
    bounded(file, bytes, longest)?;
    std::str::from_utf8(bytes).map_err(|source| Unread::NoText { file: file.to_owned(), source })
}

/// UTF-8's byte order mark, with which programs of Windows begin a text.
pub(crate) const MARK: &str = "\u{feff}";

/// A file without the byte order mark that it may begin with.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_read_is_named() {
        assert_eq!(text("a", b"abc", 3), Ok("abc"));
        let why = |bytes: &[u8]| text("a", bytes, 3).expect_err("refused").to_string();
        assert_eq!(why(b"abcd"), "a: 4 bytes are more than are read of such a file, 3");
        assert_eq!(why(b"\xff"), "a: no UTF-8");
    }
}
