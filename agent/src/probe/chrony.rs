//! chronyd, asked over UDP on loopback for what `chronyc tracking`, `sources` and
//! `activity` show. Its Unix socket would need a socket of our own in its folder, which
//! is writing on the host, so it is left alone.

mod answer;
pub mod reply;
pub mod wire;

use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use answer::{Answer, Report, ReportedSource};
use reply::{Activity, Source, Tracking};
use wire::{Fields, Question, Received, Refusal};

/// Between two requests of the same question, as a datagram may be lost.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// So often a question is asked.
const ATTEMPTS: u16 = 3;

/// More messages than this that answer no question of ours are a flood.
const STRANGERS: u32 = 64;

/// So many sources are asked for; the rest is counted.
const SOURCES: u32 = 64;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Nobody listens.
    Refused,
    /// Nothing came in time, asked for that.
    TimedOut(Question),
    /// What came is no answer to that.
    Failed(Question, String),
    /// The daemon answers, but not that.
    Refusal(Question, Refusal),
}

/// Asks for everything. `limit` holds for all questions together.
#[must_use]
pub fn ask(address: SocketAddr, limit: Duration) -> Answer {
    match Asker::new(address, limit).and_then(Asker::report) {
        Ok(report) => Answer::Answered(report),
        Err(Silence::Refused) => Answer::Refused,
        Err(Silence::TimedOut(question)) => Answer::TimedOut {
            call: question.name().to_owned(),
            after_milliseconds: u64::try_from(patience(limit).as_millis()).unwrap_or(u64::MAX),
        },
        Err(Silence::Failed(question, why)) => {
            Answer::Failed { call: question.name().to_owned(), why }
        }
        Err(Silence::Refusal(question, refusal)) => {
            Answer::Failed { call: question.name().to_owned(), why: refusal.to_string() }
        }
    }
}

/// How long one question is waited for.
fn patience(limit: Duration) -> Duration {
    limit.min(ASK_AGAIN * u32::from(ATTEMPTS))
}

/// Asks one chronyd.
#[derive(Debug)]
pub struct Asker {
    socket: UdpSocket,
    deadline: Instant,
    limit: Duration,
    sequence: u32,
    strangers: u32,
}

impl Asker {
    /// Prepares to ask; nothing is sent yet.
    pub fn new(address: SocketAddr, limit: Duration) -> Result<Self, Silence> {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // A connected socket hears that address alone, and hears that nobody listens.
        let socket = UdpSocket::bind((any, 0))
            .and_then(|socket| socket.connect(address).map(|()| socket))
            .map_err(|error| Silence::Failed(Question::Tracking, error.to_string()))?;
        // Numbers that nobody else on the machine can guess.
        let sequence = RandomState::new().hash_one(address) as u32;
        Ok(Self { socket, deadline: Instant::now() + limit, limit, sequence, strangers: 0 })
    }

    /// What the daemon makes of the clock.
    pub fn tracking(&mut self) -> Result<Tracking, Silence> {
        self.answered(Question::Tracking, Tracking::read)
    }

    /// How many sources are in which state of activity.
    pub fn activity(&mut self) -> Result<Activity, Silence> {
        self.answered(Question::Activity, Activity::read)
    }

    /// Its sources in its own order, as many as are asked for, and how many more it has.
    pub fn sources(&mut self) -> Result<(Vec<Source>, u32), Silence> {
        let count = self.answered(Question::SourceCount, reply::source_count)?;
        let mut sources = Vec::new();
        for index in 0..count.min(SOURCES) {
            match self.answered(Question::Source(index), Source::read) {
                Ok(source) => sources.push(source),
                // One went away since they were counted.
                Err(Silence::Refusal(_, Refusal::NoSuchSource)) => {}
                Err(silence) => return Err(silence),
            }
        }
        Ok((sources, count.saturating_sub(SOURCES)))
    }

    fn report(mut self) -> Result<Report, Silence> {
        let tracking = self.tracking()?;
        let (sources, sources_left_out) = self.sources()?;
        let activity = self.activity()?;
        let mut sources: Vec<ReportedSource> = sources
            .into_iter()
            // They are counted among the unresolved.
            .filter(|source| !source.is_unresolved())
            .map(|source| ReportedSource {
                name: source.name,
                mode: source.mode,
                state: source.state,
                stratum: source.stratum,
                poll: source.poll,
                reach: source.reach,
                sample_age_seconds: source.sample_age_seconds,
            })
            .collect();
        sources.sort_by(|one, other| (&one.name, one.mode).cmp(&(&other.name, other.mode)));
        Ok(Report {
            update_age_seconds: tracking.reference_time.map(age_seconds),
            reference: tracking.reference,
            stratum: tracking.stratum,
            leap: tracking.leap,
            offset_seconds: -tracking.correction_seconds,
            root_dispersion_seconds: tracking.root_dispersion_seconds,
            sources,
            sources_left_out,
            offline: activity.offline,
            unresolved: activity.unresolved,
        })
    }

    fn answered<T>(
        &mut self,
        question: Question,
        read: fn(Fields<'_>) -> Option<T>,
    ) -> Result<T, Silence> {
        self.sequence = self.sequence.wrapping_add(1);
        let asked = Instant::now();
        let until = self.deadline.min(asked + patience(self.limit));
        for attempt in 0..ATTEMPTS {
            let request = question.request(self.sequence, attempt);
            self.socket.send(&request).map_err(|error| silence(question, &error))?;
            let next = until.min(asked + ASK_AGAIN * (u32::from(attempt) + 1));
            if let Some(answer) = self.hear(question, read, next)? {
                return Ok(answer);
            }
        }
        Err(match self.strangers {
            0 => Silence::TimedOut(question),
            _ => Silence::Failed(question, "what answers there is not chrony".to_owned()),
        })
    }

    /// Waits for the answer until then, and passes over whatever else comes.
    fn hear<T>(
        &mut self,
        question: Question,
        read: fn(Fields<'_>) -> Option<T>,
        until: Instant,
    ) -> Result<Option<T>, Silence> {
        // One byte more than any reply has, so that a longer one is seen to be none.
        let mut message = [0; wire::REQUEST_BYTES + 1];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left)).map_err(|error| silence(question, &error))?;
            let length = match self.socket.recv(&mut message) {
                Ok(length) => length,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(silence(question, &error)),
            };
            match question.received(&message[..length], self.sequence) {
                Received::Reply(fields) => {
                    return read(fields).map(Some).ok_or_else(|| {
                        Silence::Failed(question, "a reply with values that are none".to_owned())
                    });
                }
                Received::Refused(refusal) => return Err(Silence::Refusal(question, refusal)),
                Received::Stranger => self.strangers += 1,
            }
            if self.strangers > STRANGERS {
                return Err(Silence::Failed(
                    question,
                    "what answers there is not chrony".to_owned(),
                ));
            }
        }
    }
}

fn silence(question: Question, error: &std::io::Error) -> Silence {
    match error.kind() {
        ErrorKind::ConnectionRefused => Silence::Refused,
        _ => Silence::Failed(question, error.to_string()),
    }
}

/// How long ago that was, by the clock that is asked about. An update of the future was
/// just now: the clock has been set back since.
fn age_seconds(at: Timestamp) -> f64 {
    Timestamp::now().duration_since(at).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests;
