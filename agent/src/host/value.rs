//! One value of a file of assignments that may hold secrets beside it: read byte by
//! byte, so that of other lines nothing is ever kept, not even in a buffer.

use std::io::{Read, Result};

/// What the line that is being read has shown itself to be.
enum Line {
    /// Its beginning is so much of the key and its `=`.
    Beginning(usize),
    /// The key was there; this is the value so far.
    Value(Vec<u8>),
    /// Another one.
    Other,
}

/// The value of the last line `key=value`, blanks before it left out, as systemd reads an
/// `EnvironmentFile`, systemd.exec(5); none when no line has that key.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take in the secrets beside it")]
pub(super) fn value_of(file: impl Read, key: &str) -> Result<Option<Vec<u8>>> {
    let wanted = format!("{key}=").into_bytes();
    let mut line = Line::Beginning(0);
    let mut last = None;
    for byte in file.bytes() {
        line = match (line, byte?) {
            (Line::Value(value), b'\n') => {
                last = Some(value);
                Line::Beginning(0)
            }
            (_, b'\n') | (Line::Beginning(0), b' ' | b'\t') => Line::Beginning(0),
            (Line::Value(mut value), byte) => {
                value.push(byte);
                Line::Value(value)
            }
            (Line::Beginning(length), byte) if wanted[length] == byte => {
                match length + 1 == wanted.len() {
                    true => Line::Value(Vec::new()),
                    false => Line::Beginning(length + 1),
                }
            }
            _ => Line::Other,
        };
    }
    Ok(match line {
        Line::Value(value) => Some(value),
        Line::Beginning(_) | Line::Other => last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_the_key_counts() {
        let value = |text: &str| {
            let value = value_of(text.as_bytes(), "KEY").expect("readable");
            value.map(|value| String::from_utf8(value).expect("text"))
        };
        for (text, expected) in [
            ("KEY=a=b,c\n", Some("a=b,c")),
            ("KEY=a\nTOKEN=secret\nKEY=d\n", Some("d")),
            ("KEY=a\n KEY=d", Some("d")),
            ("KEY=a\n#KEY=d\nKE", Some("a")),
            ("TOKEN=secret\nKEY=v", Some("v")),
            ("KEY=\n", Some("")),
            ("KEYS=v\nXKEY=v\nKEY\n", None),
            ("KKEY=v\nKEY=w\n", Some("w")),
            ("", None),
        ] {
            assert_eq!(value(text).as_deref(), expected, "{text:?}");
        }
    }
}
