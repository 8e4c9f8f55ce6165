//! What of an address may be repeated: people write passwords into them (RFC 3986, 3.2.1), and
//! signatures behind a question mark.

use std::borrow::Cow;

/// An address as it may be shown: without what stands before its host, and without its query.
/// What is no address is taken for one that was mistyped: all up to the last `@` is left out.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_scheme = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let scheme = text.split_once("://").map(|(scheme, _)| scheme).filter(|one| is_scheme(one));
    let scheme = scheme.map_or(0, |scheme| scheme.len() + "://".len());
    let (scheme, rest) = text.split_at(scheme);
    let (user, host) = match rest.rsplit_once('@') {
        Some((_, host)) => ("…@", host),
        None => ("", rest),
    };
    let (host, query) = match host.split_once('?') {
        Some((host, _)) if !scheme.is_empty() => (host, "?…"),
        _ => (host, ""),
    };
    if user.is_empty() && query.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{scheme}{user}{host}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_host_or_behind_a_question_mark_is_not_shown() {
        for (text, expected) in [
            ("https://example.org:7444/a", "https://example.org:7444/a"),
            ("127.0.0.1:7443", "127.0.0.1:7443"),
            ("http://user:secret@host:1", "http://…@host:1"),
            ("http://user:sec@ret@host", "http://…@host"),
            ("http://user:se/cr?et@host", "http://…@host"),
            ("user:secret@host", "…@host"),
            ("user:se://cret@host", "…@host"),
            ("us=er:secret@host", "…@host"),
            ("https://a.example/x?sig=secret", "https://a.example/x?…"),
            ("https://user:secret@a.example/x?sig=secret", "https://…@a.example/x?…"),
            ("is that so?", "is that so?"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
