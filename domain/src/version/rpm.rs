//! rpm's version order, rpm-version(7): epoch, version, release, each compared segment
//! by segment as rpmvercmp does, with `~` before and `^` after the end.

use std::cmp::Ordering;

/// Compares two versions of the form `epoch:version-release` as rpm does. A version
/// without epoch has epoch 0; one without release sorts before all that have one.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Evr::of(left), Evr::of(right));
    compare_segments(left.epoch, right.epoch)
        .then_with(|| compare_segments(left.version, right.version))
        .then_with(|| match (left.release, right.release) {
            (Some(left), Some(right)) => compare_segments(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
}

/// Epoch, version and release, as rpm takes them apart.
struct Evr<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Evr<'a> {
    fn of(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            // Only digits, or nothing, before the colon are an epoch.
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
            _ => ("", text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        Self { epoch: if epoch.is_empty() { "0" } else { epoch }, version, release }
    }
}

/// One step of a version: what separates segments is no step of its own. The order of
/// the variants is the order of versions that differ there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step<'a> {
    /// `~`: a version before this one is finished.
    Tilde,
    /// Nothing follows.
    End,
    /// `^`: something that came after this one was finished.
    Caret,
    /// A run of letters, by their codes.
    Letters(&'a str),
    /// A run of digits without leading zeros: the longer is the greater.
    Digits { length: usize, digits: &'a str },
}

/// Compares two parts as rpmvercmp does. All but letters and digits of ASCII, `~` and
/// `^` only separates.
fn compare_segments(mut left: &str, mut right: &str) -> Ordering {
    loop {
        let (left_step, left_rest) = step(left);
        let (right_step, right_rest) = step(right);
        let order = left_step.cmp(&right_step);
        if order.is_ne() || left_step == Step::End {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The first step of a text, and what follows it.
fn step(text: &str) -> (Step<'_>, &str) {
    let separates = |letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '~' | '^');
    let text = text.trim_start_matches(separates);
    match text.as_bytes().first() {
        None => (Step::End, text),
        Some(b'~') => (Step::Tilde, &text[1..]),
        Some(b'^') => (Step::Caret, &text[1..]),
        Some(first) => {
            let is_number = first.is_ascii_digit();
            let is_same = |byte: u8| match is_number {
                true => byte.is_ascii_digit(),
                false => byte.is_ascii_alphabetic(),
            };
            // A multi-byte character is neither, so `end` never falls inside one.
            let end = text.bytes().position(|byte| !is_same(byte)).unwrap_or(text.len());
            let (run, rest) = text.split_at(end);
            if !is_number {
                return (Step::Letters(run), rest);
            }
            let digits = run.trim_start_matches('0');
            (Step::Digits { length: digits.len(), digits }, rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use Ordering::{Equal, Greater, Less};

    /// What rpm's own tests say of its order, and what its manual does.
    const CASES: [(&str, Ordering, &str); 64] = [
        ("1.0", Equal, "1.0"),
        ("1.0", Less, "2.0"),
        ("2.0.1", Equal, "2.0.1"),
        ("2.0", Less, "2.0.1"),
        ("2.0.1a", Equal, "2.0.1a"),
        ("2.0.1a", Greater, "2.0.1"),
        ("5.5p1", Equal, "5.5p1"),
        ("5.5p1", Less, "5.5p2"),
        ("5.5p10", Equal, "5.5p10"),
        ("5.5p1", Less, "5.5p10"),
        ("10xyz", Less, "10.1xyz"),
        ("xyz10", Equal, "xyz10"),
        ("xyz10", Less, "xyz10.1"),
        ("xyz.4", Equal, "xyz.4"),
        ("xyz.4", Less, "8"),
        ("xyz.4", Less, "2"),
        ("5.5p2", Less, "5.6p1"),
        ("5.6p1", Less, "6.5p1"),
        ("6.0.rc1", Greater, "6.0"),
        ("10b2", Greater, "10a1"),
        ("1.0aa", Equal, "1.0aa"),
        ("1.0a", Less, "1.0aa"),
        ("10.0001", Equal, "10.0001"),
        ("10.0001", Equal, "10.1"),
        ("10.0001", Less, "10.0039"),
        ("4.999.9", Less, "5.0"),
        ("20101121", Equal, "20101121"),
        ("20101121", Less, "20101122"),
        ("2_0", Equal, "2_0"),
        ("2.0", Equal, "2_0"),
        ("a", Equal, "a"),
        ("a+", Equal, "a_"),
        ("+a", Equal, "_a"),
        ("+_", Equal, "_+"),
        ("+", Equal, "_"),
        ("1.0~rc1", Equal, "1.0~rc1"),
        ("1.0~rc1", Less, "1.0"),
        ("1.0~rc1", Less, "1.0~rc2"),
        ("1.0~rc1~git123", Equal, "1.0~rc1~git123"),
        ("1.0~rc1~git123", Less, "1.0~rc1"),
        ("1.0^", Equal, "1.0^"),
        ("1.0^", Greater, "1.0"),
        ("1.0^git1", Equal, "1.0^git1"),
        ("1.0^git1", Greater, "1.0"),
        ("1.0^git1", Less, "1.0^git2"),
        ("1.0^git1", Less, "1.01"),
        ("1.0^20160101", Less, "1.0.1"),
        ("1.0^20160101^git1", Equal, "1.0^20160101^git1"),
        ("1.0^20160102", Greater, "1.0^20160101^git1"),
        ("1.0~rc1^git1", Greater, "1.0~rc1"),
        ("1.0^git1~pre", Less, "1.0^git1"),
        ("1b.fc17", Equal, "1b.fc17"),
        ("1b.fc17", Less, "1.fc17"),
        ("1g.fc17", Greater, "1.fc17~"),
        ("1.1.α", Equal, "1.1.β"),
        ("1.1.αα", Equal, "1.1.α"),
        ("1-1", Greater, "1"),
        ("1-", Greater, "1"),
        ("1:0.9-1", Greater, "2.0-1"),
        ("0:1-1", Equal, "1-1"),
        (":1-1", Equal, "1-1"),
        ("a:1", Less, "9"),
        ("6.6.35.1-5.azl3", Less, "6.6.35.1-10.azl3"),
        ("99999999999999999999999", Greater, "99999999999999999999998"),
    ];

    #[test]
    fn the_cases_that_rpm_names() {
        for (left, order, right) in CASES {
            assert_eq!(compare(left, right), order, "{left} {right}");
            assert_eq!(compare(right, left), order.reverse(), "{right} {left}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_and_the_order_is_total(
            a in "[0-3a-cA:~^+.é-]{0,12}", b in "[0-3a-cA:~^+.é-]{0,12}", c in "[0-3a-cA:~^+.é-]{0,12}",
        ) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }
}
