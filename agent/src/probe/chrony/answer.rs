//! What chronyd answered, in the form in which recordings have it.

use nodeward_domain::facts::{LeapStatus, SourceMode, SourceState};
use serde::{Deserialize, Serialize};

/// What chronyd answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It answered all questions.
    Answered(Report),
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut {
        /// The question.
        call: String,
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// What came is no answer.
    Failed {
        /// The question.
        call: String,
        /// What went wrong.
        why: String,
    },
    /// Nothing was asked, for this reason.
    NotAsked {
        /// Why not.
        why: String,
    },
}

/// What chronyd says of clock and sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What the clock is synchronised to; empty when to nothing.
    pub reference: String,
    /// How many servers lie between the clock and one that needs none.
    pub stratum: u16,
    /// Whether the clock is synchronised, and whether a leap second comes.
    pub leap: LeapStatus,
    /// How long ago the clock was last updated; none when it never was.
    pub update_age_seconds: Option<f64>,
    /// How far the clock is ahead of what chronyd takes for true; behind when negative.
    pub offset_seconds: f64,
    /// How much the reference's time may have spread on its way.
    pub root_dispersion_seconds: f64,
    /// The sources, by name.
    pub sources: Vec<ReportedSource>,
    /// How many more there are.
    #[serde(default)]
    pub sources_left_out: u32,
    /// How many are switched off by command.
    #[serde(default)]
    pub offline: u32,
    /// How many have names that could not be resolved.
    #[serde(default)]
    pub unresolved: u32,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedSource {
    /// Its address, or the letters of a reference clock.
    pub name: String,
    /// What it is.
    pub mode: SourceMode,
    /// What the daemon makes of it.
    pub state: SourceState,
    /// How many servers lie between it and a clock that needs none.
    pub stratum: u16,
    /// The interval at which it is asked, as a power of two in seconds.
    pub poll: i16,
    /// Which of the last eight questions it answered, one bit each; 255 is all of them.
    pub reach: u16,
    /// How long ago the last good answer came; none when none ever did.
    pub sample_age_seconds: Option<u32>,
}
