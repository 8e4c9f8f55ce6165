//! Lines of a syslog daemon's files, in its two forms: with a time of RFC 3339, or of
//! RFC 3164, which has neither year nor zone.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::npd::Layout;

/// A line that is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyslogLine<'a> {
    /// When it was written.
    pub(super) at: Timestamp,
    /// Who wrote it: the tag without its pid.
    pub(super) tag: &'a str,
    /// What it says.
    pub(super) message: &'a str,
}

/// Takes lines apart.
#[derive(Debug)]
pub(super) struct Syslog {
    former: Layout,
    zone: TimeZone,
    now: Timestamp,
}

/// How long the time of RFC 3164 is.
const FORMER_LENGTH: usize = "Nov 24 12:00:00".len();

/// A line cannot be from so far ahead: it is from the year before.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

impl Syslog {
    /// For lines of a host whose clocks show that zone.
    #[must_use]
    pub(super) fn new(zone: TimeZone, now: Timestamp) -> Self {
        Self { former: Layout::new("Jan _2 15:04:05"), zone, now }
    }

    /// Takes a line apart; none where it is of neither form.
    #[must_use]
    pub(super) fn line<'a>(&self, line: &'a str) -> Option<SyslogLine<'a>> {
        let (at, rest) = match line.split_once(' ').map(|(head, rest)| (head.parse(), rest)) {
            Some((Ok(at), rest)) => (at, rest),
            _ => {
                let (head, rest) = line.split_at_checked(FORMER_LENGTH)?;
                let at = self.former.parse(head, &self.zone, self.now)?;
                (self.not_ahead(at), rest.strip_prefix(' ')?)
            }
        };
        let (_host, rest) = rest.split_once(' ')?;
        let (tag, message) = rest.split_once(':')?;
        let tag = tag.split_once('[').map_or(tag, |(tag, _)| tag);
        let is_tag = !tag.is_empty() && !tag.contains(' ');
        is_tag.then(|| SyslogLine { at, tag, message: message.trim() })
    }

    fn not_ahead(&self, at: Timestamp) -> Timestamp {
        if at.duration_since(self.now) <= AHEAD {
            return at;
        }
        let moment = self.zone.to_datetime(at);
        let before = moment.checked_sub(jiff::Span::new().years(1));
        before.and_then(|before| self.zone.to_timestamp(before)).unwrap_or(at)
    }
}

/// A message of the kernel's without what may stand before it: `[  12.345678]` and `[  T12]`.
#[must_use]
pub(super) fn kernels(message: &str) -> &str {
    let mut rest = message;
    for _ in 0..2 {
        let inside = rest.strip_prefix('[').and_then(|after| after.split_once(']'));
        match inside {
            Some((inside, after))
                if inside
                    .trim_start()
                    .trim_start_matches(['T', 'C'])
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.') =>
            {
                rest = after.trim_start();
            }
            _ => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_taken_apart() {
        let now = "2026-01-02T12:00:00Z".parse().expect("a moment");
        let syslog = Syslog::new(TimeZone::fixed(jiff::tz::offset(1)), now);
        for (line, at, tag, message) in [
            (
                "2026-01-02T11:59:01.5+01:00 node kernel: [ 12.5] hello: world",
                "2026-01-02T10:59:01.5Z",
                "kernel",
                "[ 12.5] hello: world",
            ),
            ("Jan  2 12:59:01 node sshd[77]: in", "2026-01-02T11:59:01Z", "sshd", "in"),
            ("Dec 31 23:59:01 node kernel: old", "2025-12-31T22:59:01Z", "kernel", "old"),
        ] {
            let expected = SyslogLine { at: at.parse().expect("a moment"), tag, message };
            assert_eq!(syslog.line(line), Some(expected), "{line}");
        }
        for line in
            ["", "Jan  2 12:59:01", "Jan  2 12:59:01 node", "Jan  2 12:59:01 node x y", "\u{e4}"]
        {
            assert_eq!(syslog.line(line), None, "{line}");
        }
    }

    #[test]
    fn times_since_boot_are_no_part_of_a_message() {
        for (message, kernels_own) in [
            ("[   12.345678] BUG: x", "BUG: x"),
            ("[   12.345678][   T77] BUG: x", "BUG: x"),
            ("[Hardware Error]: x", "[Hardware Error]: x"),
            ("BUG: x", "BUG: x"),
        ] {
            assert_eq!(kernels(message), kernels_own);
        }
    }
}
