//! Small conversions that several messages share, and the error that names a field.

use std::time::Duration;

use jiff::Timestamp;

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

/// The longest text that is accepted in one field, in bytes.
pub(crate) const TEXT_LIMIT_BYTES: usize = 4096;

/// The text, unless it is too long.
pub(crate) fn text(field: &str, text: String) -> Result<String, Invalid> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(Invalid::new(
            field,
            format!("{} bytes long, at most {TEXT_LIMIT_BYTES} are accepted", text.len()),
        ));
    }
    Ok(text)
}

/// The text, unless it is too long or empty.
pub(crate) fn name(field: &str, value: String) -> Result<String, Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    text(field, value)
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
    if values.len() > limit {
        return list(field, values, limit, Ok);
    }
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| text(&format!("{field}[{index}]"), value))
        .collect()
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
    fn a_fault_in_a_list_names_its_place() {
        let fault =
            list("rows", vec![1, 2], 5, |_: i32| Err::<(), _>(Invalid::new("name", "is empty")));
        assert_eq!(fault.expect_err("both fail").field, "rows[0].name");
        let fault = texts("rows", vec![String::new(); 6], 5).expect_err("too many");
        assert_eq!(fault.to_string(), "rows: has 6 entries, at most 5 are accepted");
    }
}
