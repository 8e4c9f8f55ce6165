//! The certificates of a PEM file (RFC 7468) that may hold a private key behind them, as
//! a kubelet's does: read byte by byte, because a buffer would take the key in, and never
//! further than the first letter that tells another block from a certificate.

use std::io::{Read, Result};

const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &[u8] = b"-----END CERTIFICATE-----";

/// Lines of a block have 64 letters; a longer one is none.
const LINE_LIMIT_BYTES: usize = 256;

/// The certificates of a file, up to the first block that is none, as PEM; nothing that
/// stands between them is kept. A file of more than the limit is not read on.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the key behind them")]
pub(super) fn certificates_of(file: impl Read) -> Result<Vec<u8>> {
    let mut reader = Reader::default();
    for byte in file.bytes() {
        if !reader.goes_on_after(byte?) {
            break;
        }
    }
    reader.line_ends();
    Ok(reader.certificates)
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    /// Whole blocks.
    certificates: Vec<u8>,
    /// The certificate that is being read.
    block: Option<Vec<u8>>,
    /// The line that is being read, as far as it may belong to a certificate.
    line: Vec<u8>,
    /// It does not.
    skips: bool,
}

impl Reader {
    /// Takes the next byte, and says whether more may be read.
    fn goes_on_after(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' => self.line_ends(),
            _ if self.skips => true,
            // Blanks before a line, and the return that some systems put behind it.
            b' ' | b'\t' | b'\r' if self.line.is_empty() || byte == b'\r' => true,
            _ => {
                self.line.push(byte);
                match self.block {
                    Some(_) => self.is_of_certificate(),
                    None => self.is_beginning(),
                }
            }
        }
    }

    /// Outside of a block a line matters as long as it is the beginning of a certificate's
    /// first. One of another block is the end.
    fn is_beginning(&mut self) -> bool {
        if BEGIN_CERTIFICATE.starts_with(&self.line) {
            return true;
        }
        self.skips = true;
        !self.line.starts_with(BEGIN)
    }

    /// In a certificate a line with a dash is its last one; any other is not read on.
    fn is_of_certificate(&self) -> bool {
        let is_last = END_CERTIFICATE.starts_with(&self.line);
        self.line.len() <= LINE_LIMIT_BYTES && (is_last || self.line[0] != b'-')
    }

    fn line_ends(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        self.skips = false;
        match &mut self.block {
            None if line == BEGIN_CERTIFICATE => self.block = Some(with_newline(&line)),
            None => {}
            Some(block) => {
                block.extend(with_newline(&line));
                if line == END_CERTIFICATE {
                    self.certificates.append(block);
                    self.block = None;
                }
            }
        }
        true
    }
}

fn with_newline(line: &[u8]) -> Vec<u8> {
    [line, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str =
        "-----BEGIN CERTIFICATE-----\nMIIB\nAg==\n-----END CERTIFICATE-----\n";

    /// A file that remembers how far it was read, and hands out no more than was asked for.
    struct Watched<'a> {
        text: &'a [u8],
        read: usize,
        largest: usize,
    }

    impl Read for Watched<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            let count = (&self.text[self.read..]).read(into)?;
            self.read += count;
            self.largest = self.largest.max(into.len());
            Ok(count)
        }
    }

    /// What is kept of a text, and what of it was read at all.
    fn taken(text: &str) -> (String, String) {
        let mut file = Watched { text: text.as_bytes(), read: 0, largest: 0 };
        let kept = certificates_of(&mut file).expect("readable");
        assert!(file.largest <= 1, "{} bytes were asked for at once", file.largest);
        (String::from_utf8(kept).expect("text"), text[..file.read].to_owned())
    }

    #[test]
    fn nothing_of_a_key_is_read() {
        for key in [
            "-----BEGIN EC PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN EC PARAMETERS-----",
            "-----BEGIN CERTIFICATE REQUEST-----",
        ] {
            for between in ["", "\n", "comment\n", "  \r\n"] {
                let text = format!("{CERTIFICATE}{between}{key}\nsecret\nsecret==\n{CERTIFICATE}");
                let (kept, read) = taken(&text);
                assert_eq!(kept, CERTIFICATE, "{key}");
                let last = read.lines().last().expect("a line");
                assert!(last.len() <= key.len() && key.starts_with(last), "{key}: {last:?}");
                assert!(!read.contains("secret"), "{key}: {read:?}");
            }
            // The key first: what lies behind it is not read.
            let (kept, read) = taken(&format!("{key}\nsecret\n-----END X-----\n{CERTIFICATE}"));
            assert_eq!((kept.as_str(), read.contains("secret")), ("", false), "{key}");
            // A certificate that was cut off before the key.
            let (kept, read) =
                taken(&format!("-----BEGIN CERTIFICATE-----\nMIIB\n{key}\nsecret\n"));
            assert_eq!((kept.as_str(), read.contains("secret")), ("", false), "{key}");
        }
    }

    #[test]
    fn certificates_are_kept_and_nothing_between_them() {
        let returns = CERTIFICATE.replace('\n', "\r\n");
        for text in [
            format!("{CERTIFICATE}{CERTIFICATE}"),
            format!("subject=CN = a\n{CERTIFICATE}\n# b\n{returns}"),
            format!("{CERTIFICATE}{}", CERTIFICATE.trim_end()),
        ] {
            assert_eq!(taken(&text).0, CERTIFICATE.repeat(2), "{text:?}");
        }
        assert_eq!(taken("").0, "");
        assert_eq!(taken("-----BEGIN CERTIFICATE-----\nMIIB\n").0, "");
        let long = format!("-----BEGIN CERTIFICATE-----\n{}\n", "A".repeat(2 * LINE_LIMIT_BYTES));
        let (kept, read) = taken(&long);
        assert!(kept.is_empty() && read.len() < long.len(), "{}", read.len());
    }
}
