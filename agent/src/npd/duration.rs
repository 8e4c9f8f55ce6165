//! Lengths of time as Go writes them, time.ParseDuration: `300ms`, `1.5h`, `1h15m30s`, `0`.

use jiff::SignedDuration;

/// Nanoseconds of each unit.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The length of time, or none where Go takes it for none.
#[must_use]
pub fn duration(text: &str) -> Option<SignedDuration> {
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(*scale)?)?;
        total = total.checked_add(part(fraction, *scale))?;
        // As Go: the nanoseconds must fit 63 bits.
        i64::try_from(total).ok()?;
        rest = after;
    }
    let nanoseconds = i64::try_from(total).ok()?;
    Some(SignedDuration::from_nanos(if is_negative { -nanoseconds } else { nanoseconds }))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A fraction of a unit. Digits beyond the eighteenth say less than a nanosecond.
fn part(digits: &str, scale: u64) -> u64 {
    let mut value: u128 = 0;
    let mut one: u128 = 1;
    for digit in digits.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        one *= 10;
    }
    u64::try_from(value * u128::from(scale) / one).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_go_reads_them() {
        for (text, milliseconds) in [
            ("0", Some(0)),
            ("300ms", Some(300)),
            ("1.5h", Some(5_400_000)),
            ("1h15m30.5s", Some(4_530_500)),
            ("-5m", Some(-300_000)),
            ("+.5s", Some(500)),
            ("1.s", Some(1000)),
            ("10h", Some(36_000_000)),
            ("", None),
            ("-", None),
            ("5", None),
            ("5 m", None),
            (".s", None),
            ("1d", None),
            ("9223372036s9h", None),
        ] {
            let read = duration(text).map(|length| length.as_millis());
            assert_eq!(read, milliseconds, "{text:?}");
        }
    }
}
