//! Maintenance windows: when steps of a plan may begin.
//!
//! ```text
//! window := [days] HH:MM-HH:MM [zone] ["not" dates]
//! days   := "daily" | part *( "," part )      part  := day | day "-" day      (Mon ... Sun)
//! zone   := an IANA name, as Europe/Amsterdam | +HH:MM | -HH:MM | UTC; UTC where none is said
//! dates  := range *( "," range )              range := DATE | DATE ".." DATE  (2026-12-24)
//! ```
//!
//! A window that ends before it begins runs over midnight; its days are those on which it
//! opens. Dates that are not allowed are cut out of it from midnight to midnight of its zone.
//! How long a window is counts in real time: where clocks are put forward within it, it is an
//! hour shorter. Source of the form: the provider's planned maintenance (weekly schedules with
//! a time, a duration and dates that are not allowed).

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Finds a time zone by its name; none where there is none of that name.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<TimeZone>;

/// One window, which opens on some days of every week.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    days: [bool; 7],
    opens: Time,
    closes: Time,
    zone: TimeZone,
    not_allowed: Vec<(Date, Date)>,
}

/// One time that a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// From then on.
    pub opens_at: Timestamp,
    /// Until then, exclusive.
    pub closes_at: Timestamp,
}

impl Opening {
    /// How long that is, in real time.
    #[must_use]
    pub fn duration(&self) -> SignedDuration {
        self.closes_at.duration_since(self.opens_at)
    }
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("window {text:?}: {problem} at {at:?} (Sat 22:00-06:00 Europe/Amsterdam not 2026-12-24)")]
pub struct NoWindow {
    /// The text.
    pub text: String,
    /// The part of it that could not be read.
    pub at: String,
    /// What is wrong with it.
    pub problem: WindowProblem,
}

/// What is wrong with a part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowProblem {
    /// Nothing is said.
    #[error("nothing is said")]
    Empty,
    /// It is no day.
    #[error("no day of the week")]
    Day,
    /// It is no time from and to.
    #[error("no time from and to")]
    Times,
    /// It opens and closes at the same time.
    #[error("it is never open")]
    NeverOpen,
    /// The zone is not known.
    #[error("no time zone of that name")]
    Zone,
    /// It is no date.
    #[error("no date, or one that ends before it begins")]
    Date,
    /// Something is behind the end.
    #[error("not expected")]
    Rest,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Window {
    /// Reads a window; `zones` finds time zones by their IANA names.
    pub fn parse(text: &str, zones: Zones<'_>) -> Result<Self, NoWindow> {
        let problem =
            |problem, at: &str| NoWindow { text: text.to_owned(), at: at.to_owned(), problem };
        let mut words = text.split_whitespace().peekable();
        let first = *words.peek().ok_or_else(|| problem(WindowProblem::Empty, text))?;
        let mut days = [true; 7];
        if !first.contains(':') {
            days = read_days(first).map_err(|at| problem(WindowProblem::Day, at))?;
            words.next();
        }
        let times = words.next().ok_or_else(|| problem(WindowProblem::Times, text))?;
        let (opens, closes) =
            read_times(times).ok_or_else(|| problem(WindowProblem::Times, times))?;
        // From midnight to midnight is the whole day, and no other time to itself is anything.
        if opens == closes && times != "00:00-24:00" {
            return Err(problem(WindowProblem::NeverOpen, times));
        }
        let mut zone = TimeZone::UTC;
        if let Some(name) = words.next_if(|word| !word.eq_ignore_ascii_case("not")) {
            zone = fixed(name)
                .or_else(|| zones(name))
                .ok_or_else(|| problem(WindowProblem::Zone, name))?;
        }
        let mut not_allowed = Vec::new();
        if let Some(word) = words.next() {
            if !word.eq_ignore_ascii_case("not") {
                return Err(problem(WindowProblem::Rest, word));
            }
            let ranges = words.flat_map(|word| word.split(',')).filter(|range| !range.is_empty());
            for range in ranges {
                let read = read_dates(range).ok_or_else(|| problem(WindowProblem::Date, range))?;
                not_allowed.push(read);
            }
            if not_allowed.is_empty() {
                return Err(problem(WindowProblem::Date, word));
            }
        }
        Ok(Self { days, opens, closes, zone, not_allowed })
    }

    /// Every time that it is open between two instants, in their order, cut to them.
    #[must_use]
    pub fn openings(&self, from: Timestamp, until: Timestamp) -> Vec<Opening> {
        let mut openings = Vec::new();
        // A window of the day before may still be open.
        let Ok(mut day) = self.zone.to_datetime(from).date().yesterday() else { return openings };
        let last = self.zone.to_datetime(until).date();
        while day <= last {
            if self.is_of(day) {
                openings.extend(self.on(day).into_iter().flat_map(|whole| self.allowed(whole)));
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        let cut = openings.into_iter().filter_map(|opening| {
            let opens_at = opening.opens_at.max(from);
            let closes_at = opening.closes_at.min(until);
            (opens_at < closes_at).then_some(Opening { opens_at, closes_at })
        });
        cut.collect()
    }

    fn is_of(&self, day: Date) -> bool {
        usize::try_from(day.weekday().to_monday_zero_offset())
            .is_ok_and(|offset| self.days.get(offset).copied().unwrap_or(false))
    }

    fn on(&self, day: Date) -> Option<Opening> {
        let closing = if self.closes <= self.opens { day.tomorrow().ok()? } else { day };
        let opens_at = self.zone.to_timestamp(day.to_datetime(self.opens)).ok()?;
        let closes_at = self.zone.to_timestamp(closing.to_datetime(self.closes)).ok()?;
        // Where clocks are put forward a window within the missing hour is none.
        (opens_at < closes_at).then_some(Opening { opens_at, closes_at })
    }

    /// What is left of it without the dates that are not allowed.
    fn allowed(&self, whole: Opening) -> Vec<Opening> {
        let mut left = vec![whole];
        for (first, last) in &self.not_allowed {
            let midnight = |day: Date| self.zone.to_timestamp(day.to_datetime(Time::midnight()));
            let from = midnight(*first).unwrap_or(Timestamp::MIN);
            let after = last
                .tomorrow()
                .map_or(Timestamp::MAX, |day| midnight(day).unwrap_or(Timestamp::MAX));
            left = left
                .into_iter()
                .flat_map(|one| {
                    [
                        Opening { closes_at: one.closes_at.min(from), ..one },
                        Opening { opens_at: one.opens_at.max(after), ..one },
                    ]
                })
                .filter(|one| one.opens_at < one.closes_at)
                .collect();
        }
        left
    }
}

/// Every time that one of several windows is open, in their order; where two overlap or touch
/// they are one. Without a window it is always open.
#[must_use]
pub fn openings(windows: &[Window], from: Timestamp, until: Timestamp) -> Vec<Opening> {
    if windows.is_empty() {
        return vec![Opening { opens_at: from, closes_at: until }];
    }
    let mut all: Vec<Opening> =
        windows.iter().flat_map(|window| window.openings(from, until)).collect();
    all.sort_unstable();
    let mut merged: Vec<Opening> = Vec::with_capacity(all.len());
    for opening in all {
        match merged.last_mut() {
            Some(last) if opening.opens_at <= last.closes_at => {
                last.closes_at = last.closes_at.max(opening.closes_at);
            }
            _ => merged.push(opening),
        }
    }
    merged
}

fn read_days(text: &str) -> Result<[bool; 7], &str> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (offset_of(first), offset_of(last)) else {
            return Err(part);
        };
        // Fri-Mon goes over the end of the week.
        let length = (last + 7 - first) % 7;
        for offset in first..=first + length {
            days[offset % 7] = true;
        }
    }
    Ok(days)
}

fn offset_of(day: &str) -> Option<usize> {
    DAYS.iter().position(|(short, weekday)| {
        day.eq_ignore_ascii_case(short) || day.eq_ignore_ascii_case(&format!("{weekday:?}"))
    })
}

fn read_times(text: &str) -> Option<(Time, Time)> {
    let (opens, closes) = text.split_once('-')?;
    Some((read_time(opens)?, read_time(closes)?))
}

/// `22:00`; `24:00` is midnight.
fn read_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let are_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(hour) || !are_digits(minute) {
        return None;
    }
    match (hour.parse().ok()?, minute.parse().ok()?) {
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

/// `+02:00`, `-05:30`, `UTC`, `Z`.
fn fixed(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
        return Some(TimeZone::UTC);
    }
    let (sign, time) = match name.split_at_checked(1)? {
        ("+", time) => (1, time),
        ("-", time) => (-1, time),
        _ => return None,
    };
    let time = read_time(time)?;
    let seconds = (i32::from(time.hour()) * 60 + i32::from(time.minute())) * 60;
    Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
}

fn read_dates(text: &str) -> Option<(Date, Date)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last): (Date, Date) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// So far ahead plans go.
#[must_use]
pub(super) fn horizon(from: Timestamp) -> Timestamp {
    from.checked_add((366 * 24).hours()).unwrap_or(Timestamp::MAX)
}
