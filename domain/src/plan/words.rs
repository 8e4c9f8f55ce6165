//! Small words of plans that several screens share.

use std::fmt::Display;

use jiff::SignedDuration;

/// So many stand in a line; the rest is counted.
const SHOWN: usize = 5;

/// `a, b, c`, and how many more there are.
pub(super) fn list<T: Display>(all: &[T]) -> String {
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `35 min`, `4 h`, `4 h 05 min`, `3 d 2 h`: minutes, rounded up so that no time reads shorter
/// than it is.
#[must_use]
pub fn duration(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let minutes = seconds / 60 + i64::from(seconds % 60 != 0);
    if minutes < 60 {
        return format!("{minutes} min");
    }
    if minutes < 23 * 60 {
        let (hours, rest) = (minutes / 60, minutes % 60);
        return if rest == 0 { format!("{hours} h") } else { format!("{hours} h {rest:02} min") };
    }
    let hours = minutes / 60 + i64::from(minutes % 60 != 0);
    match (hours / 24, hours % 24) {
        (0, hours) => format!("{hours} h"),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// `1 node`, `2 nodes`.
pub(super) fn count(nodes: &[String]) -> String {
    counted(nodes.len(), "node")
}

/// `1 pool`, `2 pools`.
pub(super) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_units_and_never_shorter() {
        for (seconds, expected) in [
            (0, "0 min"),
            (1, "1 min"),
            (2100, "35 min"),
            (14_400, "4 h"),
            (14_700, "4 h 05 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
            (90_060, "1 d 2 h"),
            (86_340, "1 d"),
            (-5, "0 min"),
        ] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(list(&[1, 2, 3, 4, 5, 6, 7]), "1, 2, 3, 4, 5 and 2 more");
        assert_eq!(list::<u8>(&[]), "");
    }
}
