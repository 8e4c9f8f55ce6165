//! One sample of the Prometheus text format: a name, labels and a value.

use std::borrow::Cow;

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// Labels in the order in which they stand there.
    labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
}

impl<'a> Series<'a> {
    /// Reads a line; none for a comment and for what is no sample.
    #[must_use]
    pub fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                rest = rest.trim_start_matches([',', ' ']);
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.push((label, value));
                rest = after;
            }
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        (!name.is_empty() && name != "#").then_some(Self { name, labels, value })
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_ref())
    }
}

/// The text up to its closing quote, and what comes after that.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' if !text[..at].contains('\\') => return Some((text[..at].into(), &text[at + 1..])),
            '"' => return Some((value.into(), &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_a_name_labels_and_a_value() {
        let line = r#"enabled{name="A,\"b\\ }\n",stage=""} 1.5e+09 1700000000"#;
        let series = Series::read(line).expect("a sample");
        assert_eq!((series.name, series.value), ("enabled", 1.5e9));
        assert_eq!(series.label("name"), Some("A,\"b\\ }\n"));
        assert_eq!(series.label("stage"), Some(""));
        assert_eq!(series.label("other"), None);
        assert_eq!(Series::read("up 1").map(|series| series.value), Some(1.0));
        assert_eq!(Series::read("ttl{} +Inf").map(|series| series.value), Some(f64::INFINITY));
    }

    #[test]
    fn what_is_no_sample_is_none() {
        for line in ["", "# HELP a b", "# a 1", "name", "a{b=\"c} 1", "a{b=\"c\"", "a x", "{} 1"] {
            assert_eq!(Series::read(line), None, "{line}");
        }
    }
}
