//! Go's layouts of times, package time: a layout is the moment `Mon Jan 2 15:04:05 MST 2006`
//! written as times are to be. Only parsing, and of it what logs need.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// One part of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    LongMonth,
    ShortMonth,
    /// A number of one or two digits; with its width fixed.
    Month(bool),
    LongDay,
    ShortDay,
    Day(bool),
    /// Padded with spaces.
    SpacedDay,
    DayOfYear,
    Hour24,
    Hour12(bool),
    Minute(bool),
    Second(bool),
    Year,
    ShortYear,
    HalfDay,
    /// A name such as `MST`: only `UTC` says an offset.
    ZoneName,
    /// With `Z` for none, with colons, with minutes, with seconds.
    Offset {
        zulu: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// Digits behind a point or comma: so many, or as many as there are.
    Fraction(Option<usize>),
}

/// Every word of a layout that stands for a part. Longer ones before their beginnings.
fn words() -> Vec<(&'static str, Part)> {
    let offset = |zulu, colon, minutes, seconds| Part::Offset { zulu, colon, minutes, seconds };
    vec![
        ("January", Part::LongMonth),
        ("Jan", Part::ShortMonth),
        ("Monday", Part::LongDay),
        ("Mon", Part::ShortDay),
        ("MST", Part::ZoneName),
        ("2006", Part::Year),
        ("002", Part::DayOfYear),
        ("01", Part::Month(true)),
        ("02", Part::Day(true)),
        ("03", Part::Hour12(true)),
        ("04", Part::Minute(true)),
        ("05", Part::Second(true)),
        ("06", Part::ShortYear),
        ("15", Part::Hour24),
        ("_2", Part::SpacedDay),
        ("PM", Part::HalfDay),
        ("pm", Part::HalfDay),
        ("Z07:00:00", offset(true, true, true, true)),
        ("Z070000", offset(true, false, true, true)),
        ("Z07:00", offset(true, true, true, false)),
        ("Z0700", offset(true, false, true, false)),
        ("Z07", offset(true, false, false, false)),
        ("-07:00:00", offset(false, true, true, true)),
        ("-070000", offset(false, false, true, true)),
        ("-07:00", offset(false, true, true, false)),
        ("-0700", offset(false, false, true, false)),
        ("-07", offset(false, false, false, false)),
        ("1", Part::Month(false)),
        ("2", Part::Day(false)),
        ("3", Part::Hour12(false)),
        ("4", Part::Minute(false)),
        ("5", Part::Second(false)),
    ]
}

/// A layout, ready to read times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<Part>);

/// What was read of a time, so far.
#[derive(Debug, Default)]
struct Read {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: i8,
    is_afternoon: Option<bool>,
    is_twelve_hours: bool,
    minute: i8,
    second: i8,
    nanosecond: i32,
    offset: Option<Offset>,
}

impl Layout {
    /// Takes a layout apart.
    #[must_use]
    pub fn new(layout: &str) -> Self {
        let words = words();
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            if let Some((part, length)) = fraction(rest) {
                parts.push(part);
                rest = &rest[length..];
                continue;
            }
            let word = words.iter().find(|(word, _)| {
                // As Go: `Jan` may be the beginning of any name but not of `January`, and
                // `_2006` is an underscore and a year.
                rest.starts_with(word)
                    && !(*word == "_2" && rest.starts_with("_2006"))
                    && !(matches!(*word, "Jan" | "Mon")
                        && rest[3..].starts_with(|c: char| c.is_ascii_lowercase()))
            });
            match word {
                Some((word, part)) => {
                    parts.push(part.clone());
                    rest = &rest[word.len()..];
                }
                None => {
                    if let Some(Part::Literal(literal)) = parts.last_mut() {
                        literal.push(first);
                    } else {
                        parts.push(Part::Literal(first.to_string()));
                    }
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        Self(parts)
    }

    /// The moment that a text in this layout says. Without an offset it is of that zone,
    /// without a year of the year that `now` is in.
    #[must_use]
    pub fn parse(&self, text: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let mut read = Read::default();
        let mut rest = text;
        for (index, part) in self.0.iter().enumerate() {
            rest = read.take(part, rest)?;
            // Go takes a fraction behind seconds although its layout has none.
            let is_asked = matches!(self.0.get(index + 1), Some(Part::Fraction(_)));
            if matches!(part, Part::Second(_)) && !is_asked {
                rest = read.fraction(None, rest).unwrap_or(rest);
            }
        }
        if !rest.is_empty() {
            return None;
        }
        read.moment(zone, now)
    }
}

/// A fraction of a second in a layout, with its length: `.000`, `,000`, `.999`; only such
/// whose digits end there, and, as Go has it, of nines only such.
fn fraction(layout: &str) -> Option<(Part, usize)> {
    let digits = layout.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = digits.chars().take_while(|other| *other == digit).count();
    if digits[count..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((Part::Fraction((digit == '0').then_some(count)), count + 1))
}

/// A number of up to two digits, or of two.
fn number(text: &str, is_fixed: bool) -> Option<(i8, &str)> {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if count == 0 || (is_fixed && count < 2) {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<(i16, &str)> {
    let head = text.get(..count).filter(|head| head.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((head.parse().ok()?, &text[count..]))
}

/// One of the names, or their first three letters, without regard to case.
fn named<'a>(text: &'a str, names: &[&str], is_long: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if is_long { name } else { &name[..3] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}

impl Read {
    /// Takes a part from the beginning of a text, and returns what is left.
    fn take<'a>(&mut self, part: &Part, text: &'a str) -> Option<&'a str> {
        let month = |index: usize| i8::try_from(index + 1).ok();
        Some(match part {
            Part::Literal(literal) => literally(literal, text)?,
            Part::LongMonth | Part::ShortMonth => {
                let (index, rest) = named(text, &MONTHS, *part == Part::LongMonth)?;
                self.month = month(index);
                rest
            }
            Part::LongDay | Part::ShortDay => named(text, &DAYS, *part == Part::LongDay)?.1,
            Part::Month(is_fixed) => {
                let (value, rest) = number(text, *is_fixed)?;
                self.month = Some(value);
                rest
            }
            Part::Day(is_fixed) => {
                let (value, rest) = number(text, *is_fixed)?;
                self.day = Some(value);
                rest
            }
            Part::SpacedDay => {
                let (value, rest) = number(text.strip_prefix(' ').unwrap_or(text), false)?;
                self.day = Some(value);
                rest
            }
            Part::DayOfYear => {
                let (value, rest) = digits(text, 3)?;
                self.day_of_year = Some(value);
                rest
            }
            Part::Hour24 => {
                let (value, rest) = number(text, false)?;
                self.hour = value;
                rest
            }
            Part::Hour12(is_fixed) => {
                let (value, rest) = number(text, *is_fixed)?;
                (self.hour, self.is_twelve_hours) = (value, true);
                rest
            }
            Part::Minute(is_fixed) => {
                let (value, rest) = number(text, *is_fixed)?;
                self.minute = value;
                rest
            }
            Part::Second(is_fixed) => {
                let (value, rest) = number(text, *is_fixed)?;
                self.second = value;
                rest
            }
            Part::Year => {
                let (value, rest) = digits(text, 4)?;
                self.year = Some(value);
                rest
            }
            Part::ShortYear => {
                let (value, rest) = digits(text, 2)?;
                self.year = Some(if value >= 69 { 1900 + value } else { 2000 + value });
                rest
            }
            Part::HalfDay => {
                let head = text.get(..2)?;
                self.is_afternoon = Some(match head {
                    "PM" | "pm" => true,
                    "AM" | "am" => false,
                    _ => return None,
                });
                &text[2..]
            }
            Part::ZoneName => {
                let end = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                match name {
                    "UTC" => self.offset = Some(Offset::UTC),
                    _ if (3..=5).contains(&name.len()) => {}
                    _ => return None,
                }
                rest
            }
            Part::Offset { zulu, colon, minutes, seconds } => {
                self.zone_offset(text, *zulu, *colon, *minutes, *seconds)?
            }
            Part::Fraction(count) => match self.fraction(*count, text) {
                Some(rest) => rest,
                // `.999` also stands for none at all.
                None if count.is_none() => text,
                None => return None,
            },
        })
    }

    fn zone_offset<'a>(
        &mut self,
        text: &'a str,
        zulu: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    ) -> Option<&'a str> {
        if zulu && let Some(rest) = text.strip_prefix('Z') {
            self.offset = Some(Offset::UTC);
            return Some(rest);
        }
        let (is_west, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => return None,
        };
        let mut total = 0;
        for (is_there, scale) in [(true, 3600), (minutes, 60), (seconds, 1)] {
            if !is_there {
                continue;
            }
            if scale < 3600 && colon {
                rest = rest.strip_prefix(':')?;
            }
            let (value, after) = digits(rest, 2)?;
            total += i32::from(value) * scale;
            rest = after;
        }
        self.offset = Some(Offset::from_seconds(if is_west { -total } else { total }).ok()?);
        Some(rest)
    }

    /// Digits behind a point or comma.
    fn fraction<'a>(&mut self, count: Option<usize>, text: &'a str) -> Option<&'a str> {
        let after = text.strip_prefix(['.', ','])?;
        let there = after.bytes().take_while(u8::is_ascii_digit).count();
        if there == 0 || count.is_some_and(|count| count != there) {
            return None;
        }
        let mut nanoseconds = 0;
        for digit in after.bytes().take(there).chain(std::iter::repeat(b'0')).take(9) {
            nanoseconds = nanoseconds * 10 + i32::from(digit - b'0');
        }
        self.nanosecond = nanoseconds;
        Some(&after[there..])
    }

    fn moment(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let hour = match (self.is_twelve_hours, self.is_afternoon) {
            (_, Some(true)) if self.hour < 12 => self.hour + 12,
            (_, Some(false)) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let year = self.year.unwrap_or_else(|| zone.to_datetime(now).year());
        let date = match self.day_of_year {
            Some(day) => {
                let first = Date::new(year, 1, 1).ok()?;
                first.checked_add(SignedDuration::from_hours(24 * (i64::from(day) - 1))).ok()?
            }
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let moment = DateTime::from_parts(date, time);
        match self.offset {
            Some(offset) => offset.to_timestamp(moment).ok(),
            None => zone.to_timestamp(moment).ok(),
        }
    }
}

/// Takes a literal; as Go, one space of it stands for any number of them.
fn literally<'a>(literal: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    let mut wanted = literal.chars().peekable();
    while let Some(letter) = wanted.next() {
        if letter != ' ' {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        while wanted.next_if_eq(&' ').is_some() {}
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        rest = rest.trim_start_matches(' ');
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(layout: &str, text: &str) -> Option<String> {
        let now = "2026-11-24T12:00:00Z".parse().expect("a moment");
        let zone = TimeZone::fixed(Offset::from_hours(2).expect("an offset"));
        Layout::new(layout).parse(text, &zone, now).map(|at| at.to_string())
    }

    #[test]
    fn times_of_logs_are_read() {
        for (layout, text, expected) in [
            ("Jan _2 15:04:05", "Nov  4 16:10:01", Some("2026-11-04T14:10:01Z")),
            ("Jan _2 15:04:05", "Nov 24 16:10:01", Some("2026-11-24T14:10:01Z")),
            ("Jan _2 15:04:05", "Nov 24 16:10:01.25", Some("2026-11-24T14:10:01.25Z")),
            (
                "2006-01-02T15:04:05.999999999-07:00",
                "2026-11-24T11:59:58.114207331+01:00",
                Some("2026-11-24T10:59:58.114207331Z"),
            ),
            (
                "2006-01-02T15:04:05.999999999Z",
                "2026-11-24T11:59:58.1Z",
                Some("2026-11-24T09:59:58.1Z"),
            ),
            ("2006-01-02T15:04:05Z07:00", "2026-11-24T11:59:58Z", Some("2026-11-24T11:59:58Z")),
            ("2006/01/02 03:04:05 PM", "2026/11/24 01:00:00 PM", Some("2026-11-24T11:00:00Z")),
            (
                "02/Jan/2006:15:04:05 -0700",
                "24/Nov/2026:01:02:03 +0000",
                Some("2026-11-24T01:02:03Z"),
            ),
            (
                "Monday, 02-Jan-06 15:04:05 MST",
                "Tuesday, 24-Nov-26 01:02:03 UTC",
                Some("2026-11-24T01:02:03Z"),
            ),
            ("2006-002 15:04", "2026-032 04:05", Some("2026-02-01T02:05:00Z")),
            ("2006-01-02 15:04:05.000", "2026-11-24 01:02:03.5", None),
            ("Jan _2 15:04:05", "Nov 31 16:10:01", None),
            ("Jan _2 15:04:05", "Nov 24 16:10:01 more", None),
            ("Jan _2 15:04:05", "\u{e4}\u{e4}\u{e4}", None),
            ("Jan _2 15:04:05", "", None),
        ] {
            assert_eq!(parsed(layout, text).as_deref(), expected, "{layout:?} {text:?}");
        }
    }
}
