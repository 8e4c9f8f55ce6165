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
