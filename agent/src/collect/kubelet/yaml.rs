//! A YAML document as the JSON that a kubelet makes of it before it reads it. Plain
//! scalars are those of YAML 1.1, as in the kubelet's own reader. Aliases, which make a
//! small file a big tree, are not read. Of a key that stands twice the last one counts.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Number, Value};

/// Deeper than this no configuration goes.
const DEPTH: usize = 32;

/// Why a text was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not YAML of which a configuration could be made.
    Wrong(String),
    /// It has something that is not read here.
    NotRead(String),
}

/// The first document of a text.
pub(super) fn read(text: &str) -> Result<Value, Fault> {
    let mut events = Events(Parser::new_from_str(text));
    loop {
        match events.next()? {
            (Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, _) => return Ok(Value::Null),
            (Event::StreamStart | Event::Nothing, _) => {}
            (event, span) => return events.value(event, span, 0),
        }
    }
}

struct Events<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>>(I);

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Events<'a, I> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.0.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(wrong(error.marker().line(), error.info())),
            None => Err(Fault::Wrong("ends in the middle".to_owned())),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, Fault> {
        let line = span.start.line();
        if depth > DEPTH {
            return Err(Fault::NotRead(format!("line {line}: too deep")));
        }
        match event {
            Event::Scalar(text, ScalarStyle::Plain, _, None) => Ok(plain(&text)),
            Event::Scalar(_, _, _, Some(_)) => {
                Err(Fault::NotRead(format!("line {line}: a tag, which is not read here")))
            }
            Event::Scalar(text, _, _, None) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(..) => {
                let mut values = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Value::Array(values)),
                        (event, span) => values.push(self.value(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => self.mapping(depth),
            Event::Alias(_) => {
                Err(Fault::NotRead(format!("line {line}: an alias, which is not read here")))
            }
            _ => Err(wrong(line, "not a value")),
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members = Map::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(members)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(wrong(span.start.line(), "a key that is not a text")),
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span, depth + 1)?;
            members.insert(key, value);
        }
    }
}

fn wrong(line: usize, why: &str) -> Fault {
    Fault::Wrong(format!("line {line}: {why}"))
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        text => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    // Underscores may stand between digits, wherever the first is one.
    let text = match text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) {
        true => text.replace('_', ""),
        false => text.to_owned(),
    };
    if let Some(number) = whole(&text) {
        return Some(number.into());
    }
    // `Inf` and `nan` are numbers to Rust and words to YAML.
    let is_numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let float: f64 = is_numeric.then(|| text.parse().ok()).flatten()?;
    Number::from_f64(float)
}

/// A whole number in the notations of Go: sixteens after `0x`, twos after `0b`, eights after
/// `0o` or `0`.
fn whole(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Only the first sign is one.
    digits.starts_with(|first: char| first.is_ascii_hexdigit()).then_some(())?;
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_flows_and_scalars_become_json() {
        let text = "# a comment\na: {enabled: false, ttl: 10s}\nb: [x, 'y', \"2\"]\nc:\n- d: 1\n  e: 1.5\n\
                    f: ~\ng: yes\nh: \"yes\"\ni: 10%\nj: 4h\nk: -1\nl: Inf\nm:\n";
        assert_eq!(
            read(text),
            Ok(json!({
                "a": {"enabled": false, "ttl": "10s"}, "b": ["x", "y", "2"],
                "c": [{"d": 1, "e": 1.5}], "f": null, "g": true, "h": "yes", "i": "10%",
                "j": "4h", "k": -1, "l": "Inf", "m": null,
            }))
        );
        assert_eq!(read(""), Ok(Value::Null));
        assert_eq!(read("---\na: 1\n---\nb: 2\n"), Ok(json!({"a": 1})));
    }

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        for (text, number) in [
            ("0", json!(0)),
            ("10_250", json!(10250)),
            ("0x2a", json!(42)),
            ("0b11", json!(3)),
            ("0o17", json!(15)),
            ("017", json!(15)),
            ("-017", json!(-15)),
            ("+5", json!(5)),
            ("09", json!(9.0)),
            ("0x", json!("0x")),
            ("--5", json!("--5")),
            ("0x-5", json!("0x-5")),
            ("_1", json!("_1")),
            ("a_1", json!("a_1")),
            ("4h", json!("4h")),
        ] {
            assert_eq!(read(&format!("a: {text}")), Ok(json!({ "a": number })), "{text}");
        }
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        assert_eq!(read("a: 1\na: 2\n"), Ok(json!({"a": 2})));
    }

    #[test]
    fn what_is_not_read_is_said_with_its_line() {
        let wrong = |why: &str| Err(Fault::Wrong(why.to_owned()));
        let not_read = |why: &str| Err(Fault::NotRead(why.to_owned()));
        assert_eq!(read("a: &x 1\nb: *x\n"), not_read("line 2: an alias, which is not read here"));
        assert_eq!(read("a: !!int \"1\"\n"), not_read("line 1: a tag, which is not read here"));
        assert_eq!(read("? [a]\n: b\n"), wrong("line 1: a key that is not a text"));
        let broken = read("a: [1\nb: 2\n").expect_err("broken");
        assert!(matches!(&broken, Fault::Wrong(why) if why.starts_with("line 2")), "{broken:?}");
        let deep = "[".repeat(DEPTH + 2) + &"]".repeat(DEPTH + 2);
        assert_eq!(read(&deep), not_read("line 1: too deep"));
    }
}
