//! What chrony is configured to do, and what chronyd says. Sources: chrony.conf(5),
//! chronyc(1).

use serde::{Deserialize, Serialize};

/// chrony on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chrony {
    /// The configuration files that chronyd reads, in its order.
    pub files: Vec<String>,
    /// The sources that they name, in the same order.
    pub configured: Vec<ConfiguredSource>,
    /// Where it was asked, such as `127.0.0.1:323`; empty when nowhere.
    pub endpoint: String,
    /// What it answered.
    pub answer: ChronyAnswer,
    /// Why it could not be seen that chronyd is who listens there; none where it was seen, or
    /// where nothing was asked. The answer is believed all the same.
    pub unverified: Option<String>,
}

/// A line of the configuration that names a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfiguredSource {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u32,
    /// What the line says that the source is.
    pub directive: SourceDirective,
    /// The line, with single blanks.
    pub text: String,
    /// The hardware clock that it names, if it names one.
    pub phc: Option<PhcDevice>,
}

/// A directive of chrony.conf(5) that names a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceDirective {
    /// `server`: one server of the network.
    Server,
    /// `pool`: a name that many servers have.
    Pool,
    /// `peer`: a server that asks in turn.
    Peer,
    /// `refclock`: a clock of this very machine.
    Refclock,
}

/// A device of a PTP hardware clock, as a configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhcDevice {
    /// Such as `/dev/ptp_hyperv`.
    pub path: String,
    /// What stands there.
    pub target: PhcTarget,
}

/// What stands where a configuration names a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhcTarget {
    /// The clock of that name below `/sys/class/ptp`.
    Clock(String),
    /// Nothing.
    Missing,
    /// What, could not be told, for this reason.
    Unread(String),
}

/// What chronyd answered on its command port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChronyAnswer {
    /// All that it was asked.
    Answered(Tracked),
    /// Nobody listens there.
    Refused,
    /// No answer in time: at most this many milliseconds were waited.
    TimedOut {
        /// What was asked, by chronyc's word.
        call: String,
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// What came was no answer.
    Failed {
        /// What was asked, by chronyc's word.
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

/// What chronyd says of clock and sources, without what moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// What the clock follows: an address, or the letters of a reference clock; empty when
    /// it has followed nothing yet. It stays when that is lost.
    pub reference: String,
    /// How many servers lie between the clock and one that needs none.
    pub stratum: u32,
    /// Whether the clock is synchronised. It stays so when every source is lost.
    pub leap: LeapStatus,
    /// The sources, by name.
    pub sources: Vec<TimeSource>,
    /// How many more there are.
    pub sources_left_out: u32,
    /// How many are switched off by command.
    pub offline: u32,
    /// How many have names that could not be resolved.
    pub unresolved: u32,
}

/// Whether the clock is synchronised, and whether a leap second comes at the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeapStatus {
    /// It is, and none comes.
    Normal,
    /// It is, and one second will be inserted.
    InsertSecond,
    /// It is, and one second will be left out.
    DeleteSecond,
    /// It never was.
    Unsynchronised,
}

/// A source of time, as chronyd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeSource {
    /// Its address, or the letters of a reference clock.
    pub name: String,
    /// What it is.
    pub mode: SourceMode,
    /// What chronyd makes of it.
    pub state: SourceState,
    /// How many servers lie between it and a clock that needs none.
    pub stratum: u32,
    /// It answered at least one of the last eight questions.
    pub is_reachable: bool,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceMode {
    /// A server of the network.
    Server,
    /// A server that asks in turn.
    Peer,
    /// A clock of this very machine.
    ReferenceClock,
}

/// What chronyd makes of a source. Whether one that may be selected is combined with the
/// selected one changes from poll to poll and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// The clock follows it.
    Selected,
    /// It may be selected.
    Selectable,
    /// It says another time than most.
    Falseticker,
    /// Its time varies too much.
    Jittery,
    /// It cannot be selected: not reachable, or not synchronised itself.
    Unselectable,
}

impl SourceState {
    /// The sign that chronyc shows.
    const fn sign(self) -> char {
        match self {
            Self::Selected => '*',
            Self::Selectable => '+',
            Self::Falseticker => 'x',
            Self::Jittery => '~',
            Self::Unselectable => '?',
        }
    }
}

impl std::fmt::Display for TimeSource {
    /// As chronyc shows it: `^* 192.0.2.1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.mode {
            SourceMode::Server => '^',
            SourceMode::Peer => '=',
            SourceMode::ReferenceClock => '#',
        };
        write!(f, "{mode}{} {}", self.state.sign(), self.name)
    }
}

impl std::fmt::Display for Tracked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.leap == LeapStatus::Unsynchronised {
            return f.write_str("not synchronised");
        }
        write!(f, "follows {}, stratum {}", self.reference, self.stratum)?;
        match self.sources.iter().filter(|source| source.is_reachable).count() {
            0 => f.write_str(", no source reachable"),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for ChronyAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(tracked) => tracked.fmt(f),
            Self::Refused => f.write_str("nobody listens"),
            Self::TimedOut { call, after_milliseconds } => {
                write!(f, "{call}: no answer within {after_milliseconds} ms")
            }
            Self::Failed { call, why } => write!(f, "{call}: {why}"),
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
        }
    }
}
