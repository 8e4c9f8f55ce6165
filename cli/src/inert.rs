//! Text that a node made, made harmless: a host name or an error message must not move
//! the cursor, hide a line, or run as a formula.

use std::borrow::Cow;

/// Characters that a terminal obeys or that turn or hide the text around them.
const fn is_live(letter: char) -> bool {
    letter.is_ascii_control()
        || matches!(
            letter,
            '\u{80}'..='\u{9f}' // C1 controls, which some terminals obey
            | '\u{ad}'          // soft hyphen
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}' // letters without a shape
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{2028}'..='\u{202e}' // separators, direction overrides
            | '\u{2060}'..='\u{2069}' // joiners, isolates
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' // tags
        )
}

/// The text for a terminal: what would be obeyed is shown as its code.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_live) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            live if is_live(live) => shown.extend(live.escape_unicode()),
            plain => shown.push(plain),
        }
    }
    Cow::Owned(shown)
}

/// The text for a cell of a CSV file: as for a terminal, and no spreadsheet takes it
/// for a formula.
#[must_use]
pub fn cell(value: &str) -> Cow<'_, str> {
    let shown = text(value);
    if shown.starts_with(['=', '+', '-', '@', '|', '%']) {
        return Cow::Owned(format!("'{shown}"));
    }
    shown
}

/// A JSON document with escapes in the place of what a terminal would obey. Such
/// characters stand in strings alone, where an escape means the same.
#[must_use]
pub fn json(document: &str) -> String {
    let mut written = String::with_capacity(document.len());
    for letter in document.chars() {
        if is_live(letter) && !letter.is_ascii_control() {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                written.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            written.push(letter);
        }
    }
    written
}

/// A YAML document with the replacement character in the place of what a terminal would
/// obey: where an escape may stand hangs on the quotes around it.
#[must_use]
pub fn yaml(document: &str) -> String {
    document.replace(|letter| is_live(letter) && !letter.is_ascii_control(), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_code() {
        for (made, shown) in [
            ("plain ä €", "plain ä €"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\r\nb\tc", "a\\u{d}\\nb\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}txt.exe", "abc\\u{202e}txt.exe"),
            ("a\u{200b}b", "a\\u{200b}b"),
            ("\u{7f}", "\\u{7f}"),
        ] {
            assert_eq!(text(made), shown);
        }
    }

    #[test]
    fn documents_say_the_same_and_turn_nothing_around() {
        let made = "a\u{9b}b\u{202e}c\u{e0001}d\n";
        let document = json(&serde_json::to_string_pretty(&[made]).expect("JSON"));
        assert!(!document.contains(|letter: char| is_live(letter) && letter != '\n'));
        let read: Vec<String> = serde_json::from_str(&document).expect("still JSON");
        assert_eq!(read, [made]);
        let document = yaml(&serde_yaml_ng::to_string(&[made]).expect("YAML"));
        assert!(!document.contains(|letter: char| is_live(letter) && letter != '\n'));
        serde_yaml_ng::from_str::<Vec<String>>(&document).expect("still YAML");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (made, shown) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\\t=1"),
            ("1=1", "1=1"),
            ("", ""),
        ] {
            assert_eq!(cell(made), shown);
        }
    }
}
