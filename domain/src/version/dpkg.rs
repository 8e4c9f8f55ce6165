//! Debian version order, deb-version(7): epoch, upstream version, revision.

use std::cmp::Ordering;

/// Compares two versions as dpkg does. A version without epoch has epoch 0, one
/// without revision has the empty revision, which equals `0`.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_upstream, left_revision) = split(left);
    let (right_epoch, right_upstream, right_revision) = split(right);
    compare_digits(left_epoch, right_epoch)
        .then_with(|| compare_part(left_upstream, right_upstream))
        .then_with(|| compare_part(left_revision, right_revision))
}

/// Epoch, upstream version and revision.
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Compares two runs of digits by value, however long they are.
fn compare_digits(left: &str, right: &str) -> Ordering {
    let left = left.trim_start_matches('0');
    let right = right.trim_start_matches('0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Where a byte sorts inside a non-digit part: `~` before the end, the end before
/// letters, letters before all else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

fn compare_part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = take(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = take(right, |byte| !byte.is_ascii_digit());
        let longest = left_text.len().max(right_text.len());
        for index in 0..longest {
            let order = weight(left_text.as_bytes().get(index).copied())
                .cmp(&weight(right_text.as_bytes().get(index).copied()));
            if order.is_ne() {
                return order;
            }
        }
        let (left_digits, left_rest) = take(left_rest, |byte| byte.is_ascii_digit());
        let (right_digits, right_rest) = take(right_rest, |byte| byte.is_ascii_digit());
        let order = compare_digits(left_digits, right_digits);
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// Splits off the longest start whose bytes all satisfy `wanted`.
fn take(text: &str, wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !wanted(byte)).unwrap_or(text.len());
    // A multi-byte character is never a digit, so `end` never falls inside one.
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cases_that_deb_version_names() {
        for (left, order, right) in [
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0", Ordering::Less, "1.0-1"),
            ("1.0", Ordering::Equal, "1.0-0"),
            ("1:0.9", Ordering::Greater, "2.0"),
            ("1.0a", Ordering::Less, "1.0+"),
            ("1.10", Ordering::Greater, "1.9"),
            ("5.15.0-1102-azure", Ordering::Less, "5.15.0-1116-azure"),
            ("1.0-1~deb12u1", Ordering::Less, "1.0-1"),
            ("1.007", Ordering::Equal, "1.7"),
            ("20240101000000000000000000001", Ordering::Greater, "20240101000000000000000000000"),
        ] {
            assert_eq!(compare(left, right), order, "{left} {right}");
            assert_eq!(compare(right, left), order.reverse(), "{right} {left}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_and_the_order_is_total(
            a in "[0-9a-z:~+.é-]{0,12}", b in "[0-9a-z:~+.é-]{0,12}", c in "[0-9a-z:~+.é-]{0,12}",
        ) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }
}
