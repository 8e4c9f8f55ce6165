//! Instants, in every form that vendors write them: RFC 3339 with any number of fractional
//! digits, without a zone, with ` UTC` behind them, or a day alone. All are UTC.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no instant")]
pub struct InstantError {
    text: String,
}

/// Longer than any way to write an instant.
const LONGEST: usize = 64;

/// Reads an instant.
pub fn read(text: &str) -> Result<Timestamp, InstantError> {
    let refuse = || InstantError { text: text.chars().take(LONGEST).collect() };
    let plain = text.trim();
    if plain.len() > LONGEST {
        return Err(refuse());
    }
    if let Ok(at) = plain.parse::<Timestamp>() {
        return Ok(at);
    }
    let plain = plain.strip_suffix(" UTC").unwrap_or(plain);
    let civil = match plain.parse::<DateTime>() {
        Ok(civil) => civil,
        Err(_) => plain.parse::<Date>().map_err(|_| refuse())?.to_datetime(Default::default()),
    };
    TimeZone::UTC.to_timestamp(civil).map_err(|_| refuse())
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The first instant of a day written as `01 Jul 2024`.
pub fn read_day(text: &str) -> Result<Timestamp, InstantError> {
    let refuse = || InstantError { text: text.chars().take(LONGEST).collect() };
    let mut words = text.split_ascii_whitespace();
    let (Some(day), Some(month), Some(year), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(refuse());
    };
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month).ok_or_else(refuse)?.0;
    let date =
        Date::new(year.parse().map_err(|_| refuse())?, month, day.parse().map_err(|_| refuse())?)
            .map_err(|_| refuse())?;
    TimeZone::UTC.to_timestamp(date.to_datetime(Default::default())).map_err(|_| refuse())
}

/// The instant that date(1) writes in the C locale: `Thu Jul 2 07:16:05 UTC 2026`.
pub fn read_date(text: &str) -> Result<Timestamp, InstantError> {
    let refuse = || InstantError { text: text.chars().take(LONGEST).collect() };
    let words: Vec<&str> = text.split_ascii_whitespace().take(7).collect();
    let [_, month, day, time, "UTC", year] = words.as_slice() else { return Err(refuse()) };
    let midnight = read_day(&format!("{day} {month} {year}")).map_err(|_| refuse())?;
    let time: Time = time.parse().map_err(|_| refuse())?;
    let since_midnight = time.duration_since(Time::midnight());
    midnight.checked_add(since_midnight).map_err(|_| refuse())
}

/// The last instant that a reader of today believes: dates that are still to come by more
/// than a day are a vendor's mistake, or somebody's attempt.
#[must_use]
pub fn is_to_come(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > SignedDuration::from_hours(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_vendors_use_is_read_as_utc() {
        for (text, expected) in [
            ("2024-07-01T09:06:31.434165Z", "2024-07-01T09:06:31.434165Z"),
            ("2025-02-05T22:13:23.7666667Z", "2025-02-05T22:13:23.7666667Z"),
            ("2025-02-24T13:05:27.341285907Z", "2025-02-24T13:05:27.341285907Z"),
            ("2025-02-18T00:00:00Z", "2025-02-18T00:00:00Z"),
            ("2012-01-09T15:04:05", "2012-01-09T15:04:05Z"),
            ("2012-01-09T15:04:05.12", "2012-01-09T15:04:05.12Z"),
            ("2024-01-26 09:15:00 UTC", "2024-01-26T09:15:00Z"),
            ("2024-01-26", "2024-01-26T00:00:00Z"),
            ("2026-10-21T16:54:24+07:00", "2026-10-21T09:54:24Z"),
        ] {
            let expected: Timestamp = expected.parse().expect("RFC 3339");
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "2024-13-01", "2024-01-26 09:15:00 CET"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(read_day("01 Jul 2024"), read("2024-07-01"));
        for text in ["1 July 2024", "31 Feb 2024", "Jul 2024", "01 Jul 2024 x", "01 Jul 99999"] {
            assert!(read_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_date_writes_is_read() {
        let expected = read("2026-07-02T07:16:05Z");
        assert_eq!(read_date("Thu Jul 2 07:16:05 UTC 2026"), expected);
        assert_eq!(read_date("  Thu Jul  2 07:16:05 UTC 2026"), expected);
        for text in [
            "",
            "Thu Jul 2 07:16:05 CEST 2026",
            "Thu Jul 32 07:16:05 UTC 2026",
            "Thu Jul 2 25:16:05 UTC 2026",
            "Thu Jul 2 07:16:05 PM UTC 2026",
            "Thu Jul 2 07:16:05 UTC 2026 x",
        ] {
            assert!(read_date(text).is_err(), "{text}");
        }
    }
}
