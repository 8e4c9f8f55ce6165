//! Nameservers, asked over UDP from the agent's own network: whether one answers at all, and
//! what the addresses of a name are. Each question is sent twice at the most, because a
//! datagram may be lost, and every wait has an end.

pub mod wire;

use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nodeward_domain::facts::NameserverAnswer;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::held_up;
use wire::{Answer, Kind, Question, Received};

/// The port of nameservers.
const PORT: u16 = 53;

/// So long one nameserver is waited for, and so often it is asked in that time.
pub const LIMIT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 2;

/// More messages than this that answer no question of ours are a flood.
const STRANGERS: u32 = 64;

/// An answer to such a question has some hundred bytes; one over UDP without extensions
/// never more than 512.
const ANSWER_BYTES: usize = 4096;

/// What came of asking one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What it answered.
    pub answer: NameserverAnswer,
    /// From the question to the answer; none without one.
    pub took: Option<Duration>,
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAddress {
    /// The nameserver says that there is none.
    NoSuchName,
    /// No nameserver could tell, the last one for this reason.
    NotResolved(String),
    /// The agent was too late itself, so that it says nothing.
    HeldUp(String),
}

/// Why there is no answer.
enum Silence {
    Refused,
    TimedOut,
    Failed(String),
    HeldUp(String),
}

/// Asks a nameserver for those of the root, which every one of them may know.
pub async fn nameserver(address: IpAddr) -> Heard {
    let asked = Instant::now();
    let answer = match ask(address, "", Kind::Nameservers, LIMIT).await {
        Ok(answer) => {
            let answer = NameserverAnswer::Answered { code: answer.code_name() };
            return Heard { answer, took: Some(asked.elapsed()) };
        }
        Err(Silence::Refused) => NameserverAnswer::Refused,
        Err(Silence::TimedOut) => NameserverAnswer::TimedOut {
            after_milliseconds: u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX),
        },
        Err(Silence::Failed(why)) => NameserverAnswer::Failed { why },
        Err(Silence::HeldUp(why)) => NameserverAnswer::NotAsked { why },
    };
    Heard { answer, took: None }
}

/// The addresses of a name, those of IPv4 first, by the first nameserver that can tell.
/// `limit` holds for all of them together.
pub async fn addresses(
    nameservers: &[IpAddr],
    name: &str,
    limit: Duration,
) -> Result<Vec<IpAddr>, NoAddress> {
    let mut last = NoAddress::NotResolved("the node has no nameserver".to_owned());
    let each = limit / u32::try_from(nameservers.len().max(1)).unwrap_or(u32::MAX);
    for nameserver in nameservers {
        let (ipv4, ipv6) = tokio::join!(
            ask(*nameserver, name, Kind::Ipv4, each),
            ask(*nameserver, name, Kind::Ipv6, each)
        );
        let answers = [ipv4, ipv6];
        let mut all = Vec::new();
        let mut why = None;
        for answer in answers {
            match answer {
                Ok(Answer { code: 0 | 3, addresses, .. }) => all.extend(addresses),
                Ok(answer) => {
                    why = Some(NoAddress::NotResolved(format!(
                        "{nameserver} answers {}",
                        answer.code_name()
                    )));
                }
                Err(silence) => why = Some(silence.of(*nameserver, each)),
            }
        }
        if !all.is_empty() {
            return Ok(all);
        }
        match why {
            None => return Err(NoAddress::NoSuchName),
            Some(why) => last = why,
        }
    }
    Err(last)
}

impl Silence {
    fn of(self, nameserver: IpAddr, limit: Duration) -> NoAddress {
        NoAddress::NotResolved(match self {
            Self::HeldUp(why) => return NoAddress::HeldUp(why),
            Self::Refused => format!("nobody listens at {nameserver}"),
            Self::TimedOut => {
                format!("{nameserver} does not answer within {} ms", limit.as_millis())
            }
            Self::Failed(why) => format!("{nameserver}: {why}"),
        })
    }
}

/// Asks one question.
async fn ask(address: IpAddr, name: &str, kind: Kind, limit: Duration) -> Result<Answer, Silence> {
    // A number that nobody else can guess; so is the port, which the kernel draws.
    let id = RandomState::new().hash_one((address, name, kind as u8)) as u16;
    let question = Question::new(id, name, kind)
        .ok_or_else(|| Silence::Failed(format!("{name:?} is no name")))?;
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let failed = |error: &std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => Silence::Refused,
        _ => Silence::Failed(error.to_string()),
    };
    // A connected socket hears that address alone, and hears that nobody listens.
    let socket = UdpSocket::bind((any, 0)).await.map_err(|error| failed(&error))?;
    socket.connect(SocketAddr::new(address, PORT)).await.map_err(|error| failed(&error))?;
    let begun = Instant::now();
    let mut strangers = 0;
    for attempt in 1..=ATTEMPTS {
        socket.send(question.message()).await.map_err(|error| failed(&error))?;
        let until = begun + limit * attempt / ATTEMPTS;
        let mut message = [0; ANSWER_BYTES];
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut message)).await {
            let length = received.map_err(|error| failed(&error))?;
            match question.received(&message[..length]) {
                Received::Answer(answer) => return Ok(answer),
                Received::Spoilt(why) => return Err(Silence::Failed(why.to_owned())),
                Received::Other => strangers += 1,
            }
            if strangers > STRANGERS {
                let why = "a flood of messages that answer no question".to_owned();
                return Err(Silence::Failed(why));
            }
        }
    }
    if let Some(why) = held_up(begun, limit) {
        return Err(Silence::HeldUp(why));
    }
    Err(match strangers {
        0 => Silence::TimedOut,
        _ => Silence::Failed("what answers does not speak DNS".to_owned()),
    })
}
