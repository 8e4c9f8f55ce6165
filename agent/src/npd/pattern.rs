//! Expressions of Go's package regexp (RE2 syntax), written anew for the crate `regex`: both
//! run in linear time and mean the same nearly everywhere. What differs is put right here:
//! classes `\d \w \s` and `\b` are of ASCII in Go, and inside of brackets `&&`, `--`, `~~`
//! and `[` are letters.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

/// The most that one compiled expression may take.
const SIZE_LIMIT_BYTES: usize = 1024 * 1024;

/// Go repeats nothing more often than that.
const REPEAT_LIMIT: u32 = 1000;

/// So deep groups may stand in each other.
const NEST_LIMIT: u32 = 100;

const DIGIT: &str = "0-9";
const SPACE: &str = "\\t\\n\\x0C\\r ";
const WORD: &str = "0-9A-Za-z_";

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

fn wrong<T>(why: impl Into<String>) -> Result<T, PatternError> {
    Err(PatternError(why.into()))
}

/// Compiles an expression of Go's.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let mut builder = RegexBuilder::new(&translated(pattern)?);
    builder.size_limit(SIZE_LIMIT_BYTES).dfa_size_limit(SIZE_LIMIT_BYTES).nest_limit(NEST_LIMIT);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            PatternError(format!("takes more than {limit} bytes when compiled"))
        }
        // Its message draws the expression over several lines: the last one says why.
        error => {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or("is not an expression");
            PatternError(why.trim_start_matches("error: ").to_owned())
        }
    })
}

/// The expression in the syntax of the crate `regex`.
fn translated(pattern: &str) -> Result<String, PatternError> {
    let mut reader = Reader { rest: pattern, out: String::with_capacity(pattern.len() * 2) };
    reader.all()?;
    Ok(reader.out)
}

/// What stood before, for what may be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Piece,
    Repetition,
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn takes(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn all(&mut self) -> Result<(), PatternError> {
        let mut before = Before::Nothing;
        while let Some(next) = self.next() {
            before = match next {
                '\\' => self.escape()?,
                '[' => {
                    self.class()?;
                    Before::Piece
                }
                '(' => {
                    self.group()?;
                    Before::Nothing
                }
                '|' => {
                    self.out.push('|');
                    Before::Nothing
                }
                '*' | '+' | '?' => self.repeated(before, &next.to_string())?,
                '{' => match self.counted() {
                    Some(Ok(count)) => self.repeated(before, &count)?,
                    Some(Err(error)) => return Err(error),
                    None => {
                        self.out.push_str("\\{");
                        Before::Piece
                    }
                },
                ')' | '^' | '$' | '.' => {
                    self.out.push(next);
                    Before::Piece
                }
                letter => {
                    self.letter(letter);
                    Before::Piece
                }
            };
        }
        Ok(())
    }

    fn repeated(&mut self, before: Before, operator: &str) -> Result<Before, PatternError> {
        match before {
            Before::Nothing => return wrong(format!("{operator} has nothing to repeat")),
            Before::Repetition => return wrong(format!("{operator} repeats what is repeated")),
            Before::Piece => {}
        }
        self.out.push_str(operator);
        if self.takes("?") {
            self.out.push('?');
        }
        Ok(Before::Repetition)
    }

    /// `{n}`, `{n,}` or `{n,m}` behind its brace; none where the brace is a letter.
    fn counted(&mut self) -> Option<Result<String, PatternError>> {
        let end = self.rest.find('}')?;
        let inside = &self.rest[..end];
        let (least, most) = match inside.split_once(',') {
            Some((least, most)) => (least, Some(most)),
            None => (inside, None),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(least) || most.is_some_and(|most| !most.is_empty() && !is_number(most)) {
            return None;
        }
        let count = format!("{{{inside}}}");
        let limited = |text: &str| text.parse().ok().filter(|count: &u32| *count <= REPEAT_LIMIT);
        let is_good = limited(least).is_some_and(|least| match most {
            None | Some("") => true,
            Some(most) => limited(most).is_some_and(|most| least <= most),
        });
        if !is_good {
            return Some(wrong(format!("{count} is no count up to {REPEAT_LIMIT}")));
        }
        self.rest = &self.rest[end + 1..];
        Some(Ok(count))
    }

    /// What opens a group, behind its parenthesis.
    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        if !self.takes("?") {
            return Ok(());
        }
        self.out.push('?');
        if self.rest.starts_with("P<") || self.rest.starts_with('<') {
            let Some(end) = self.rest.find('>') else { return wrong("a group's name has no end") };
            let name = self.rest[..=end].to_owned();
            if name.starts_with("<=") || name.starts_with("<!") {
                return wrong("looks back, which Go does not either");
            }
            self.out.push_str(&name);
            self.rest = &self.rest[end + 1..];
            return Ok(());
        }
        while let Some(flag) = self.next() {
            self.out.push(flag);
            match flag {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' | ')' => return Ok(()),
                other => return wrong(format!("(?{other} opens no group")),
            }
        }
        wrong("a group has no end")
    }

    /// What follows a backslash, outside of brackets.
    fn escape(&mut self) -> Result<Before, PatternError> {
        let Some(next) = self.next() else { return wrong("ends with a backslash") };
        match next {
            'd' => self.set(DIGIT, false),
            'D' => self.set(DIGIT, true),
            's' => self.set(SPACE, false),
            'S' => self.set(SPACE, true),
            'w' => self.set(WORD, false),
            'W' => self.set(WORD, true),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("(?-u:\\B)"),
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            'p' | 'P' => self.property(next)?,
            'Q' => {
                let (quoted, after) = match self.rest.split_once("\\E") {
                    Some((quoted, after)) => (quoted, after),
                    None => (self.rest, ""),
                };
                self.rest = after;
                for letter in quoted.chars() {
                    self.letter(letter);
                }
                return Ok(if quoted.is_empty() { Before::Nothing } else { Before::Piece });
            }
            other => {
                let letter = self.escaped_letter(other)?;
                self.letter(letter);
            }
        }
        Ok(Before::Piece)
    }

    fn set(&mut self, set: &str, is_negated: bool) {
        self.out.push_str(if is_negated { "[^" } else { "[" });
        self.out.push_str(set);
        self.out.push(']');
    }

    /// `\pN` or `\p{Name}`, behind its letter.
    fn property(&mut self, kind: char) -> Result<(), PatternError> {
        let name = match self.next() {
            Some('{') => match self.rest.find('}') {
                Some(end) => {
                    let name = self.rest[..end].to_owned();
                    self.rest = &self.rest[end + 1..];
                    name
                }
                None => return wrong("a property's name has no end"),
            },
            Some(letter) => letter.to_string(),
            None => return wrong("a property has no name"),
        };
        if !name.trim_start_matches('^').bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return wrong(format!("\\{kind}{{{name}}} is no property"));
        }
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\{kind}{{{name}}}");
        Ok(())
    }

    /// One letter that is written with a backslash, of which `first` stands behind it.
    fn escaped_letter(&mut self, first: char) -> Result<char, PatternError> {
        Ok(match first {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => return self.hexadecimal(),
            '1'..='7' if !self.rest.starts_with(|c: char| c.is_digit(8)) => {
                return wrong(format!("\\{first} refers back, which Go does not either"));
            }
            '0'..='7' => {
                let mut value = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.next();
                    value = value * 8 + digit;
                }
                return char::from_u32(value).ok_or_else(|| PatternError("no letter".to_owned()));
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
            other => return wrong(format!("\\{other} means nothing")),
        })
    }

    fn hexadecimal(&mut self) -> Result<char, PatternError> {
        let digits = if self.takes("{") {
            let Some(end) = self.rest.find('}') else { return wrong("\\x{ has no end") };
            let digits = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            digits
        } else {
            let Some(digits) = self.rest.get(..2) else { return wrong("\\x needs two digits") };
            self.rest = &self.rest[2..];
            digits
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| is_number);
        match value.and_then(char::from_u32) {
            Some(letter) => Ok(letter),
            None => wrong(format!("\\x{{{digits}}} is no letter")),
        }
    }

    /// A letter that stands for itself.
    fn letter(&mut self, letter: char) {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "\\x{:02X}", u32::from(letter));
        } else {
            self.out.push(letter);
        }
    }

    /// A class behind its bracket.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.takes("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            if self.rest.is_empty() {
                return wrong("a class has no end");
            }
            if !is_first && self.takes("]") {
                self.out.push(']');
                return Ok(());
            }
            is_first = false;
            if self.rest.starts_with("[:") && self.named_class()? {
                continue;
            }
            let rest = self.rest;
            if let Some(set) = rest.strip_prefix('\\').and_then(|after| after.chars().next()) {
                let (set, is_negated) = match set {
                    'd' => (DIGIT, false),
                    'D' => (DIGIT, true),
                    's' => (SPACE, false),
                    'S' => (SPACE, true),
                    'w' => (WORD, false),
                    'W' => (WORD, true),
                    'p' | 'P' => {
                        self.rest = &rest[2..];
                        self.property(set)?;
                        continue;
                    }
                    _ => ("", false),
                };
                if !set.is_empty() {
                    self.rest = &rest[2..];
                    self.set(set, is_negated);
                    continue;
                }
            }
            self.range()?;
        }
    }

    /// `[:name:]` or `[:^name:]`; tells whether it is one.
    fn named_class(&mut self) -> Result<bool, PatternError> {
        let Some(end) = self.rest.find(":]") else { return Ok(false) };
        let name = &self.rest[2..end];
        let plain = name.strip_prefix('^').unwrap_or(name);
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !NAMES.contains(&plain) {
            return wrong(format!("[:{name}:] is no class"));
        }
        // Writing to a String cannot fail.
        let _ = write!(self.out, "[:{name}:]");
        self.rest = &self.rest[end + 2..];
        Ok(true)
    }

    /// A letter of a class, or a range of them.
    fn range(&mut self) -> Result<(), PatternError> {
        let low = self.class_letter()?;
        let mut high = low;
        // A `-` before the end stands for itself.
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
            self.next();
            high = self.class_letter()?;
            if high < low {
                return wrong(format!("{low}-{high} is no range"));
            }
        }
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high));
        Ok(())
    }

    fn class_letter(&mut self) -> Result<char, PatternError> {
        match self.next() {
            None => wrong("a class has no end"),
            Some('\\') => match self.next() {
                None => wrong("ends with a backslash"),
                Some(first) => self.escaped_letter(first),
            },
            Some(letter) => Ok(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the text that matches.
    fn found<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
        let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern:?}: {error}"));
        let found = regex.find(text.as_bytes())?;
        text.get(found.range())
    }

    #[test]
    fn classes_mean_what_they_mean_in_go() {
        for (pattern, text, expected) in [
            // Of ASCII alone.
            (r"\d+", "\u{664}\u{665}7", Some("7")),
            (r"\w+", "\u{e4}b_1", Some("b_1")),
            (r"\s", "\u{a0}\u{b}", None),
            (r"[\s]", "a\u{c}", Some("\u{c}")),
            (r"\S+", "\u{b}\u{a0} ", Some("\u{b}\u{a0}")),
            (r"\bx\b", "\u{e4}x\u{e4}", Some("x")),
            // Letters in brackets, where `regex` has operators.
            (r"[a&&b]+", "c&&ab", Some("&&ab")),
            (r"[+--]+", "*,-+", Some(",-+")),
            (r"[~~x]+", "a~x", Some("~x")),
            (r"[[]", "a[", Some("[")),
            (r"[a[b]+", "c[ab", Some("[ab")),
            (r"[]a]+", "b]a", Some("]a")),
            (r"[^]a]+", "]b", Some("b")),
            (r"[a-]+", "b-a", Some("-a")),
            (r"[\d-x]+", "a1-x", Some("1-x")),
            (r"[\D]+", "1ab2", Some("ab")),
            (r"[[:alpha:]_]+", "1a_b\u{e4}", Some("a_b")),
            (r"[[:^digit:]]+", "1ab2", Some("ab")),
            (r"[\]\\]+", "a]\\", Some("]\\")),
            (r"[^\n]*", "ab\ncd", Some("ab")),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn the_rest_means_what_it_means_in_go() {
        for (pattern, text, expected) in [
            (r"\Qa.b*\E+", "aa.b**", Some("a.b**")),
            (r"\Qa|b", "xa|b", Some("a|b")),
            (r"a{,2}", "aa{,2}", Some("a{,2}")),
            (r"{x}", "a{x}", Some("{x}")),
            (r"a{2}", "aaa", Some("aa")),
            (r"a{1,}?", "aaa", Some("a")),
            (r"\x41\x{42}\103", "ABC", Some("ABC")),
            (r"\<a\>", "a<a>", Some("<a>")),
            (r"\_\-\/\#\ ", "_-/# ", Some("_-/# ")),
            (r"(?i)straSSE", "STRASSE", Some("STRASSE")),
            (r"(?i:k)", "\u{212a}", Some("\u{212a}")),
            (r"(?P<name>a)(?<other>b)", "ab", Some("ab")),
            (r"(?s)a.b", "a\nb", Some("a\nb")),
            (r"a.b", "a\nb", None),
            (r"(?m)^b$", "a\nb\nc", Some("b")),
            (r"b$", "b\n", None),
            (r"\p{Greek}\pL\P{L}", "\u{3b1}a1", Some("\u{3b1}a1")),
            (r"(?U)a+", "aaa", Some("a")),
            (r"#a b", "#a b", Some("#a b")),
            (r"()|a", "a", Some("")),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn what_go_does_not_compile_is_refused_in_one_line() {
        for pattern in [
            "(",
            ")",
            "[",
            "[a",
            "[b-a]",
            "a**",
            "*a",
            "a{1001}",
            "a{2,1}",
            r"\1",
            r"\8",
            r"\y",
            r"\Z",
            r"a\",
            "(?x)a",
            "(?=a)",
            "(?<=a)",
            "(?<!a)",
            r"\p{Nothing}",
            "[[:nothing:]]",
            r"\xg0",
            r"\x{110000}",
            "(?P<n>a)(?P<n>b)",
            "(?",
            "(?i",
            r"[\d-a-",
        ] {
            let error = compile(pattern).expect_err(pattern).to_string();
            assert!(!error.is_empty() && !error.contains('\n'), "{pattern:?}: {error}");
        }
        let big = r"(\pL{1000}){1000}";
        assert!(compile(big).expect_err(big).to_string().contains("bytes"), "{big}");
    }
}
