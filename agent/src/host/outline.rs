//! A few keys of a TOML file that may hold secrets beside them: read byte by byte, so
//! that of other values nothing is ever kept, not even in a buffer. TOML knows other forms
//! of an assignment, such as keys with dots, keys in quotes and tables in one line: of these
//! it is told that there is one.

use std::io::{Read, Result};

/// A table's heading or a value longer than this is not kept whole.
const KEPT_BYTES: usize = 4096;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The assignments, in order.
    pub assignments: Vec<Assignment>,
    /// Those of the keys that also stand somewhere else than in a comment or at the beginning
    /// of a line, so that another assignment may have been missed. Each once, in order.
    pub elsewhere: Vec<String>,
}

/// One assignment, `key = value` on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Heading of the table that it stands in, without brackets; empty before the first,
    /// and in tables whose heading does not begin as asked.
    pub table: String,
    /// The key.
    pub key: String,
    /// What stands behind `=`, without blanks around it and without a comment.
    pub value: String,
}

/// What the line that is being read has shown itself to be.
enum Line {
    /// Blanks so far.
    Blank,
    /// An opening bracket: a table's heading, or an element of a list.
    Bracket,
    /// So much of a heading.
    Heading(Vec<u8>),
    /// The heading of a table that is not asked for.
    OtherHeading,
    /// So much of a key, which is the beginning of one that is wanted.
    Key(Vec<u8>),
    /// A wanted key, its number, and then blanks.
    Named(usize),
    /// A wanted key's number and so much of its value.
    Value(usize, Vec<u8>),
    /// Another one.
    Other,
}

/// The assignments of these keys, in order. Tables are told by heading where it begins
/// with `tables`; of any other only that it begins is known.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the secrets beside it")]
pub(super) fn outline(file: impl Read, tables: &str, keys: &[&str]) -> Result<Outline> {
    let mut found = Outline::default();
    let mut table = String::new();
    let mut end = |line: Line, mentions: &Mentions<'_>| {
        let mut here = None;
        match line {
            Line::Heading(heading) => table = name(&heading),
            Line::OtherHeading => table.clear(),
            Line::Value(key, value) => {
                here = Some(key);
                found.assignments.push(Assignment {
                    table: table.clone(),
                    key: keys[key].to_owned(),
                    value: plain(&value),
                });
            }
            Line::Blank | Line::Bracket | Line::Key(_) | Line::Named(_) | Line::Other => {}
        }
        for key in mentions.found().filter(|key| Some(*key) != here) {
            if !found.elsewhere.iter().any(|found| found == keys[key]) {
                found.elsewhere.push(keys[key].to_owned());
            }
        }
    };
    let mut line = Line::Blank;
    let mut mentions = Mentions::of(keys);
    for byte in file.bytes() {
        let byte = byte?;
        mentions.next(byte);
        line = match byte {
            b'\n' => {
                end(line, &mentions);
                mentions = Mentions::of(keys);
                Line::Blank
            }
            byte => line.next(byte, tables, keys),
        };
    }
    end(line, &mentions);
    Ok(found)
}

/// Which keys stand anywhere on a line, outside of comments: how much of each has just been
/// read is all that is kept of it.
struct Mentions<'a> {
    keys: &'a [&'a str],
    matched: Vec<usize>,
    is_found: Vec<bool>,
    quote: Option<u8>,
    is_comment: bool,
}

impl<'a> Mentions<'a> {
    fn of(keys: &'a [&'a str]) -> Self {
        let (matched, is_found) = (vec![0; keys.len()], vec![false; keys.len()]);
        Self { keys, matched, is_found, quote: None, is_comment: false }
    }

    fn next(&mut self, byte: u8) {
        match (self.quote, byte) {
            (None, b'#') => self.is_comment = true,
            (None, b'"' | b'\'') => self.quote = Some(byte),
            (Some(quote), byte) if quote == byte => self.quote = None,
            _ => {}
        }
        if self.is_comment {
            return;
        }
        for (index, key) in self.keys.iter().enumerate() {
            let (key, matched) = (key.as_bytes(), &mut self.matched[index]);
            // None of the keys begins anew within itself.
            *matched = match key[*matched] == byte {
                true => *matched + 1,
                false => usize::from(key[0] == byte),
            };
            if *matched == key.len() {
                (self.is_found[index], *matched) = (true, 0);
            }
        }
    }

    fn found(&self) -> impl Iterator<Item = usize> {
        self.is_found.iter().enumerate().filter(|(_, is_found)| **is_found).map(|(key, _)| key)
    }
}

impl Line {
    /// The same line, one byte later.
    fn next(self, byte: u8, tables: &str, keys: &[&str]) -> Self {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\r');
        match self {
            Self::Blank if is_blank => Self::Blank,
            Self::Blank if byte == b'[' => Self::Bracket,
            Self::Blank => Self::Key(Vec::new()).next(byte, tables, keys),
            // What is quoted may be a secret in a list; a table that is asked for is not.
            Self::Bracket if byte.is_ascii_alphanumeric() || is_blank => {
                Self::Heading(Vec::new()).next(byte, tables, keys)
            }
            Self::Heading(heading) => match grown(heading, byte) {
                Some(heading) if is_start(&heading, tables) => Self::Heading(heading),
                _ => Self::OtherHeading,
            },
            Self::OtherHeading => Self::OtherHeading,
            Self::Key(key) if is_blank || byte == b'=' => {
                match keys.iter().position(|wanted| wanted.as_bytes() == key) {
                    Some(wanted) => Self::Named(wanted).next(byte, tables, keys),
                    None => Self::Other,
                }
            }
            Self::Key(mut key) => {
                key.push(byte);
                match keys.iter().any(|wanted| wanted.as_bytes().starts_with(&key)) {
                    true => Self::Key(key),
                    false => Self::Other,
                }
            }
            Self::Named(key) if is_blank => Self::Named(key),
            Self::Named(key) if byte == b'=' => Self::Value(key, Vec::new()),
            Self::Value(key, value) => {
                grown(value, byte).map_or(Self::Other, |value| Self::Value(key, value))
            }
            Self::Bracket | Self::Named(_) | Self::Other => Self::Other,
        }
    }
}

/// The text with one byte more, unless it is too long to be kept.
fn grown(mut text: Vec<u8>, byte: u8) -> Option<Vec<u8>> {
    text.push(byte);
    (text.len() <= KEPT_BYTES).then_some(text)
}

/// Whether the text is the start of one that begins so, or already one.
fn is_start(text: &[u8], begins_with: &str) -> bool {
    let begins_with = begins_with.as_bytes();
    let length = text.len().min(begins_with.len());
    text[..length] == begins_with[..length]
}

/// A heading without its closing bracket; empty when it has none.
fn name(heading: &[u8]) -> String {
    let heading = String::from_utf8_lossy(heading);
    heading.rsplit_once(']').map(|(name, _)| name.trim().to_owned()).unwrap_or_default()
}

/// A value without blanks and comment. No value that is wanted has a `#` in it.
fn plain(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    value.split('#').next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let read = outline(text.as_bytes(), "plugins.", &["SystemdCgroup", "imports"]);
        let read = read.expect("readable").assignments.into_iter();
        read.map(|one| (one.table, one.key, one.value)).collect()
    }

    fn one(table: &str, key: &str, value: &str) -> Vec<(String, String, String)> {
        vec![(table.to_owned(), key.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_key_is_found_with_its_table() {
        for (text, expected) in [
            ("imports = [\"a\"]\n", one("", "imports", "[\"a\"]")),
            (" \timports=[ ] # none\n", one("", "imports", "[ ]")),
            ("[plugins.\"a.b\".c]\n SystemdCgroup = true", {
                one("plugins.\"a.b\".c", "SystemdCgroup", "true")
            }),
            (
                "[plugins.a] # it\nSystemdCgroup=false\r\n",
                one("plugins.a", "SystemdCgroup", "false"),
            ),
            // A heading that is not asked for ends the table before it.
            ("[plugins.a]\n[metrics]\nimports = 1\n", one("", "imports", "1")),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_else_is_kept() {
        for text in [
            "",
            "SystemdCgroups = true\nSystemd = true\n# SystemdCgroup = true\n",
            "xSystemdCgroup = true\nSystemdCgroup\n",
            "password = \"imports = [1]\"\n",
            "[[\"imports = 1\"]]\n",
        ] {
            assert_eq!(read(text), Vec::new(), "{text:?}");
        }
    }

    #[test]
    fn what_stands_in_another_form_is_told_to_be_there() {
        for (text, expected) in [
            ("SystemdCgroup = true # SystemdCgroup\n# imports\n", &[][..]),
            ("runtimes.runc.options.SystemdCgroup = true\n", &["SystemdCgroup"]),
            ("\"SystemdCgroup\" = true\n", &["SystemdCgroup"]),
            ("options = { a = \"#\", SystemdCgroup = true }\n", &["SystemdCgroup"]),
            ("a = { SystemdSystemdCgroup = 1, imports = [] }\n", &["SystemdCgroup", "imports"]),
            ("Systemd\nCgroup = 1\na = 1 # SystemdCgroup\n", &[]),
        ] {
            let read = outline(text.as_bytes(), "plugins.", &["SystemdCgroup", "imports"]);
            assert_eq!(read.expect("readable").elsewhere, expected, "{text:?}");
        }
    }

    /// Each byte is a call, so that a file is read once, until it has changed.
    #[test]
    fn a_file_that_has_not_changed_is_not_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let text = format!("# {}\nroot = \"/x\"\n", "a".repeat(2000));
        std::fs::write(&path, &text).expect("written");
        let root = crate::host::HostRoot::open(folder.path()).expect("a directory");
        let calls = || {
            let text = std::fs::read_to_string("/proc/thread-self/io").expect("counts");
            let line = text.lines().find_map(|line| line.strip_prefix("syscr: "));
            line.expect("proc_pid_io(5)").parse::<u64>().expect("a number")
        };
        let read = || {
            let before = calls();
            let outline = root.read_outline("/a", "", &["root"], 10_000).expect("read");
            (outline.assignments[0].value.clone(), calls() - before)
        };
        std::thread::sleep(crate::host::kept::SETTLED * 2);
        let (value, first) = read();
        assert!(value == "\"/x\"" && first > 2000, "{first} calls");
        let (value, second) = read();
        assert!(value == "\"/x\"" && second < 100, "{second} calls");
        // Other keys of the same file are others.
        let other = root.read_outline("/a", "", &["roots"], 10_000).expect("read");
        assert!(other.assignments.is_empty());
        std::fs::write(&path, text.replace("/x", "/y")).expect("written");
        let (value, third) = read();
        assert!(value == "\"/y\"" && third > 2000, "{third} calls");
    }
}
