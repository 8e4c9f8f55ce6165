//! Small conversions that several messages share, and the error that names a field.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

mod chrony;
pub(crate) mod facts;
mod time_sync;

/// Received data that cannot be taken as it is, and the place of the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// The field's path, such as `components[2].digest`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }

    /// The same fault, seen from one level further out.
    pub(crate) fn within(self, outer: impl std::fmt::Display) -> Self {
        Self { field: format!("{outer}.{}", self.field), why: self.why }
    }
}

/// The longest text that is kept of one field, in bytes.
pub(crate) const TEXT_LIMIT_BYTES: usize = 4096;

/// The text. Of one that is too long its beginning, how long it was and the first bytes of
/// its SHA-256: what differs stays different, and a message without an end does not blind
/// us to everything else that its component says.
pub(crate) fn text(mut text: String) -> String {
    if text.len() <= TEXT_LIMIT_BYTES {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    let mut end = format!("… ({} bytes, SHA-256 ", text.len());
    for byte in &digest[..8] {
        // Writing to a String cannot fail.
        let _ = write!(end, "{byte:02x}");
    }
    end.push_str("…)");
    text.truncate(text.floor_char_boundary(TEXT_LIMIT_BYTES - end.len()));
    text.push_str(&end);
    text
}

/// The text, unless it is empty.
pub(crate) fn name(field: &str, value: String) -> Result<String, Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    Ok(text(value))
}

/// The list, each element converted, unless it has too many.
pub(crate) fn list<A, B>(
    field: &str,
    values: Vec<A>,
    limit: usize,
    mut convert: impl FnMut(A) -> Result<B, Invalid>,
) -> Result<Vec<B>, Invalid> {
    if values.len() > limit {
        return Err(Invalid::new(
            field,
            format!("has {} entries, at most {limit} are accepted", values.len()),
        ));
    }
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            convert(value).map_err(|invalid| invalid.within(format_args!("{field}[{index}]")))
        })
        .collect()
}

/// A list of texts.
pub(crate) fn texts(
    field: &str,
    values: Vec<String>,
    limit: usize,
) -> Result<Vec<String>, Invalid> {
    list(field, values, limit, |value| Ok(text(value)))
}

/// What must be there.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::new(field, "is missing"))
}

pub(crate) fn timestamp_out(timestamp: Timestamp) -> prost_types::Timestamp {
    let mut seconds = timestamp.as_second();
    let mut nanos = timestamp.subsec_nanosecond();
    if nanos < 0 {
        // Before 1970 the domain counts the fraction towards zero, the wire upwards.
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    prost_types::Timestamp { seconds, nanos }
}

pub(crate) fn timestamp_in(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<Timestamp, Invalid> {
    let timestamp = required(field, timestamp)?;
    if !(0..1_000_000_000).contains(&timestamp.nanos) {
        return Err(Invalid::new(field, format!("{} nanoseconds", timestamp.nanos)));
    }
    Timestamp::new(timestamp.seconds, timestamp.nanos)
        .map_err(|_| Invalid::new(field, format!("{} seconds is out of range", timestamp.seconds)))
}

/// A moment that may be left out.
pub(crate) fn optional_timestamp(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Invalid> {
    timestamp.map(|timestamp| timestamp_in(field, Some(timestamp))).transpose()
}

pub(crate) fn duration_out(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

pub(crate) fn duration_in(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Duration, Invalid> {
    let duration = required(field, duration)?;
    let parts = (u64::try_from(duration.seconds), u32::try_from(duration.nanos));
    match parts {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(Invalid::new(
            field,
            format!("{} s {} ns is not a duration", duration.seconds, duration.nanos),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn timestamps_round_trip(seconds in -100_000_000_000i64..100_000_000_000, nanos in 0i32..1_000_000_000) {
            let timestamp = Timestamp::new(seconds, nanos).expect("inside the range");
            prop_assert_eq!(timestamp_in("at", Some(timestamp_out(timestamp))), Ok(timestamp));
        }

        #[test]
        fn no_timestamp_on_the_wire_panics(seconds: i64, nanos: i32) {
            let _ = timestamp_in("at", Some(prost_types::Timestamp { seconds, nanos }));
            let _ = duration_in("took", Some(prost_types::Duration { seconds, nanos }));
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_stays_another_than_its_like() {
        let long = "ä".repeat(TEXT_LIMIT_BYTES);
        let cut = text(long.clone());
        assert!(cut.len() <= TEXT_LIMIT_BYTES && cut.starts_with("ääää"), "{cut}");
        assert!(cut.contains("… (8192 bytes, SHA-256 "), "{cut}");
        assert_ne!(cut, text(format!("{}ö", &long[2..])));
        assert_eq!(cut, text(cut.clone()), "cut once");
        let whole = "x".repeat(TEXT_LIMIT_BYTES);
        assert_eq!(text(whole.clone()), whole);
    }

    #[test]
    fn a_fault_in_a_list_names_its_place() {
        let fault =
            list("rows", vec![1, 2], 5, |_: i32| Err::<(), _>(Invalid::new("name", "is empty")));
        assert_eq!(fault.expect_err("both fail").field, "rows[0].name");
        let fault = texts("rows", vec![String::new(); 6], 5).expect_err("too many");
        assert_eq!(fault.to_string(), "rows: has 6 entries, at most 5 are accepted");
    }
}
