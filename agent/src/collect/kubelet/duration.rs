//! Durations as Go reads and writes them, time.ParseDuration and Duration.String: the
//! same time is written in one way, so that two can be compared as texts.

const UNITS: [(&str, i64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// The duration as Go writes it; none when it is not one.
pub(super) fn canonical(text: &str) -> Option<String> {
    parse(text).map(write)
}

/// Nanoseconds of a text such as `4h`, `1h30m`, `1.5s` or `0`.
fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i64 = 0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let (whole, fraction) = count.split_once('.').unwrap_or((count, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(nanoseconds)?)?;
        total = total.checked_add(part(fraction, nanoseconds)?)?;
        if after.is_empty() {
            return Some(if negative { -total } else { total });
        }
        rest = after;
    }
}

/// So much of a unit as the digits behind the point say.
fn part(digits: &str, unit: i64) -> Option<i64> {
    let mut sum = 0;
    let mut unit = unit;
    for digit in digits.chars() {
        unit /= 10;
        sum += i64::from(digit.to_digit(10)?) * unit;
    }
    Some(sum)
}

fn write(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let decimal = |count: u64, unit: u64, name: &str| {
        let (whole, rest) = (count / unit, count % unit);
        let digits = unit.to_string().len() - 1;
        let fraction = format!("{rest:0digits$}");
        let fraction = fraction.trim_end_matches('0');
        match rest {
            0 => format!("{whole}{name}"),
            _ => format!("{whole}.{fraction}{name}"),
        }
    };
    let text = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => decimal(total, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(total, 1_000_000, "ms"),
        _ => {
            let minutes = total / 60_000_000_000;
            let seconds = decimal(total % 60_000_000_000, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        for (text, expected) in [
            ("4h", Some("4h0m0s")),
            ("4h0m0s", Some("4h0m0s")),
            ("240m", Some("4h0m0s")),
            ("1h30m", Some("1h30m0s")),
            ("10s", Some("10s")),
            ("1.5s", Some("1.5s")),
            ("100ms", Some("100ms")),
            ("0.1s", Some("100ms")),
            ("1500us", Some("1.5ms")),
            ("7ns", Some("7ns")),
            ("90s", Some("1m30s")),
            ("0", Some("0s")),
            ("0s", Some("0s")),
            ("0h0m", Some("0s")),
            ("-5m", Some("-5m0s")),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("5 s", None),
            ("1.2.3s", None),
            ("5d", None),
            ("99999999999h", None),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text:?}");
        }
    }
}
