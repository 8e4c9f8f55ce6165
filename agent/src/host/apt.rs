//! A few settings of a file of apt.conf(5), which may hold passwords of proxies beside them:
//! read byte by byte, so that of other values nothing is ever kept, not even in a buffer.

use std::io::{Read, Result};

/// A key or value longer than this is not one of those that are looked for.
const KEPT_BYTES: usize = 256;

/// Where reading stands in the text.
enum At {
    /// Between words.
    Between,
    /// In a key, or in a value without quotes.
    Word,
    /// In a value with quotes.
    Quoted,
    /// After a slash, which may begin a comment.
    Slash,
    /// In a comment up to the end of the line.
    Line,
    /// In a comment up to a star and a slash; whether the last byte was a star.
    Block(bool),
}

/// What has been read of the statement so far.
#[derive(Default)]
struct Statement {
    /// Keys of the blocks around it, each with what is around that, in lower case.
    around: Vec<String>,
    /// Its own key; none before it.
    key: Option<String>,
    /// The word that is being read.
    word: Vec<u8>,
    /// Whether the word is to be kept: a key, or the value of a key that is looked for.
    is_kept: bool,
}

impl Statement {
    /// The whole key, in lower case: apt takes no notice of case.
    fn path(&self) -> String {
        let key = self.key.as_deref().unwrap_or_default();
        match self.around.last() {
            Some(around) if !around.is_empty() => format!("{around}::{key}"),
            _ => key.to_owned(),
        }
    }

    fn push(&mut self, byte: u8) {
        if self.is_kept && self.word.len() < KEPT_BYTES {
            self.word.push(byte);
        }
    }

    fn taken(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.word)).into_owned()
    }
}

/// The values of these keys, which are in lower case and with all that is around them, as the
/// file sets them, in order: the number of the key, and the value.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the secrets beside them")]
pub(super) fn settings(file: impl Read, wanted: &[&str]) -> Result<Vec<(usize, String)>> {
    let mut found = Vec::new();
    let mut at = At::Between;
    let mut statement = Statement::default();
    let number = |path: &str| wanted.iter().position(|wanted| *wanted == path);
    for byte in file.bytes() {
        let byte = byte?;
        at = match (at, byte) {
            (At::Line, b'\n') => At::Between,
            (At::Line, _) => At::Line,
            (At::Block(true), b'/') => At::Between,
            (At::Block(_), byte) => At::Block(byte == b'*'),
            (At::Slash, b'/') => At::Line,
            (At::Slash, b'*') => At::Block(false),
            (At::Quoted, b'"') => {
                if let Some(number) = number(&statement.path()) {
                    found.push((number, statement.taken()));
                }
                statement.word.clear();
                At::Between
            }
            (At::Quoted, byte) => {
                statement.push(byte);
                At::Quoted
            }
            (state @ (At::Between | At::Word | At::Slash), byte) => {
                let ends = matches!(byte, b';' | b'{' | b'}' | b'"') || byte.is_ascii_whitespace();
                if matches!(state, At::Word) && ends {
                    end_of_word(&mut statement, &number, &mut found);
                }
                match byte {
                    b'"' => {
                        statement.is_kept = number(&statement.path()).is_some();
                        At::Quoted
                    }
                    b'{' => {
                        let path = statement.path();
                        statement.around.push(path);
                        statement.key = None;
                        At::Between
                    }
                    b'}' => {
                        statement.around.pop();
                        statement.key = None;
                        At::Between
                    }
                    b';' => {
                        statement.key = None;
                        At::Between
                    }
                    _ if byte.is_ascii_whitespace() => At::Between,
                    b'#' if !matches!(state, At::Word) => At::Line,
                    b'/' if !matches!(state, At::Word) => At::Slash,
                    byte => {
                        if !matches!(state, At::Word) {
                            let is_key = statement.key.is_none();
                            statement.is_kept = is_key || number(&statement.path()).is_some();
                        }
                        statement.push(byte);
                        At::Word
                    }
                }
            }
        };
    }
    if matches!(at, At::Word) {
        end_of_word(&mut statement, &number, &mut found);
    }
    Ok(found)
}

fn end_of_word(
    statement: &mut Statement,
    number: &impl Fn(&str) -> Option<usize>,
    found: &mut Vec<(usize, String)>,
) {
    let word = statement.taken();
    match statement.key {
        None => statement.key = Some(word.to_ascii_lowercase()),
        Some(_) => {
            if let Some(number) = number(&statement.path()) {
                found.push((number, word));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [&str; 2] = ["apt::periodic::enable", "apt::periodic::unattended-upgrade"];

    fn read(text: &str) -> Vec<(usize, String)> {
        settings(text.as_bytes(), &WANTED).expect("readable")
    }

    #[test]
    fn every_form_of_a_setting_is_read() {
        let one = |number, value: &str| vec![(number, value.to_owned())];
        for (text, expected) in [
            ("APT::Periodic::Unattended-Upgrade \"1\";\n", one(1, "1")),
            ("APT::Periodic { Unattended-Upgrade \"1\"; };", one(1, "1")),
            ("APT {\n  Periodic {\n    Enable \"0\";\n  };\n};\n", one(0, "0")),
            ("apt::periodic::enable 0;", one(0, "0")),
            ("apt::periodic::enable 0", one(0, "0")),
            ("APT::Periodic::Enable \"always\"; // no\n", one(0, "always")),
            ("// APT::Periodic::Enable \"1\";\n# APT::Periodic::Enable \"1\";\n", Vec::new()),
            ("/* APT::Periodic::Enable \"1\"; **/\nA \"b//c\";", Vec::new()),
            ("Acquire::http::Proxy \"http://me:secret@proxy/\";\n", Vec::new()),
            ("Unattended-Upgrade { Allowed-Origins { \"a\"; \"b\"; }; };", Vec::new()),
            ("", Vec::new()),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        let both = "APT::Periodic { Enable \"1\"; Unattended-Upgrade \"0\"; };\nX \"1\";\n\
                    APT::Periodic::Unattended-Upgrade \"1\";";
        let expected = [(0, "1"), (1, "0"), (1, "1")].map(|(n, value)| (n, value.to_owned()));
        assert_eq!(read(both), expected);
    }
}
