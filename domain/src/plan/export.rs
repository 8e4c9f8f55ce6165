//! A plan written for the tools that act on it: a script of the provider's commands, stages of
//! its fleet manager, a ticket for people. Pure text. Names come from hosts and operators, and
//! stay inert wherever they are put: quoted for the shell, escaped for Markdown, without
//! control characters anywhere.

mod fleet;
mod script;
mod ticket;

pub use fleet::{FleetStages, Group, Stage, fleet_stages};
pub use script::script;
pub use ticket::ticket;

/// A text without what moves a cursor, ends a line or turns the direction of writing.
fn plain(text: &str) -> String {
    let is_odd = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|letter| if is_odd(letter) { '?' } else { letter }).collect()
}

/// One word for the shell: as it is where that is safe, and else in single quotes.
fn quoted(text: &str) -> String {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+,=".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_safe) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\0', "").replace('\'', r"'\''")),
    }
}

/// A text for Markdown that reads as it is: nothing of it is markup, a link or a mention.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        if matches!(
            letter,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '('
                | ')'
                | '#'
                | '!'
                | '|'
                | '~'
                | '&'
                | '@'
                | '$'
        ) || (letter == '.' && escaped.to_ascii_lowercase().ends_with("www"))
            || (letter == '/' && escaped.ends_with('/'))
        {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_the_shell_stays_one_word() {
        for (text, expected) in [
            ("prod-weu-1", "prod-weu-1"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm -rf /)", "'$(rm -rf /)'"),
            ("it's", r"'it'\''s'"),
            ("a\nb", "'a\nb'"),
            ("`x`;y", "'`x`;y'"),
            ("~root", "'~root'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_text_for_markdown_is_no_markup() {
        for (text, expected) in [
            ("prod-weu-1/apps", "prod-weu-1/apps"),
            ("<script>", r"\<script\>"),
            ("a|b", r"a\|b"),
            ("[x](https://e.org)", r"\[x\]\(https:/\/e.org\)"),
            ("@all #1 `x`", r"\@all \#1 \`x\`"),
            ("a\n# b\u{202e}", r"a?\# b?"),
            ("www.e.org", r"www\.e.org"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
