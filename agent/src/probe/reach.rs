//! Connections that leave the machine: a name is looked up at the node's own nameservers,
//! then TCP, the TLS handshake, and at the most one question without a credential. Whom the
//! certificate is by is told, and where authorities are given, whether one of them signed
//! it; neither ends the attempt.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nodeward_domain::egress::Endpoint;
use nodeward_domain::facts::{HttpAnswer, Reach};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::held_up;
use super::http::{Get, Keep, Secure, tls};
use super::resolver::{self, NoAddress};

/// So long each step may take.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(1500);
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// So many addresses of a name are tried, within the limit of one.
const TRIED: usize = 4;

/// What is told of an issuer.
const ISSUER_CHARS: usize = 200;

/// What names lead to: the node's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The node's nameservers.
    pub nameservers: Vec<IpAddr>,
    /// What `/etc/hosts` says of that name, hosts(5).
    pub written: Vec<IpAddr>,
    /// The names that nameservers are asked for in its place, in order, by the search list of
    /// resolv.conf(5): the first that is found counts.
    pub asked: Vec<String>,
}

/// Where to, and what for.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Where to.
    pub endpoint: Endpoint,
    /// What is asked there; nothing where the handshake is enough.
    pub path: Option<&'static str>,
    /// How its name is looked up.
    pub names: Names,
    /// What is asked for in the handshake and looked for in the certificate, where that is
    /// another name.
    pub server_name: Option<String>,
    /// Authorities of which one should have signed its certificate, in DER; nothing is
    /// compared without.
    pub authorities: Vec<Vec<u8>>,
}

impl Errand {
    /// The address as evidence names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.endpoint, self.path.unwrap_or_default())
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How far the connection got.
    pub reach: Reach,
    /// What was answered to the question.
    pub answer: HttpAnswer,
    /// Who issued the certificate; empty where none was shown.
    pub issuer: String,
    /// Whether an authority signed it, for that name and for now, or why not; none where
    /// nothing was compared.
    pub verified: Option<Result<(), String>>,
    /// All of it, when it was answered.
    pub took: Option<Duration>,
    /// The addresses that its name has led to.
    pub addresses: Vec<IpAddr>,
}

impl Seen {
    /// A connection that got no further.
    #[must_use]
    pub fn stopped(reach: Reach) -> Self {
        let answer = HttpAnswer::NotAsked { why: "the endpoint was not reached".to_owned() };
        let (issuer, addresses) = (String::new(), Vec::new());
        Self { reach, answer, issuer, verified: None, took: None, addresses }
    }
}

/// Goes there.
pub async fn go(errand: Errand) -> Seen {
    let begun = Instant::now();
    let mut addresses = Vec::new();
    match attempt(&errand, &mut addresses).await {
        Ok(seen) => Seen { took: Some(begun.elapsed()), addresses, ..seen },
        Err(reach) => Seen { addresses, ..Seen::stopped(reach) },
    }
}

/// Awaits a step. When the agent itself was late, the step says nothing.
async fn step<T>(
    limit: Duration,
    step: impl Future<Output = T>,
    timed_out: fn(u64) -> Reach,
) -> Result<T, Reach> {
    let begun = Instant::now();
    timeout(limit, step).await.map_err(|_| match held_up(begun, limit) {
        Some(why) => Reach::NotProbed { why },
        None => timed_out(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
    })
}

async fn attempt(errand: &Errand, addresses: &mut Vec<IpAddr>) -> Result<Seen, Reach> {
    let host = errand.endpoint.host.as_str();
    *addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) if !errand.names.written.is_empty() => errand.names.written.clone(),
        Err(_) => look_up(errand).await?,
    };
    let stream = connect(addresses, errand.endpoint.port).await?;
    let secure = Secure::anonymous().map_err(|why| Reach::NotProbed { why })?;
    let name = errand.server_name.as_deref().unwrap_or(host);
    let handshake = step(HANDSHAKE_LIMIT, secure.over_named(stream, name), |limit| {
        Reach::NoHandshake { after_milliseconds: limit }
    });
    let stream = match handshake.await? {
        Ok(stream) => stream,
        Err(error) => return stopped_handshake(&error),
    };
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let issuer = shown.first().map_or_else(String::new, |shown| issuer(shown));
    let verified =
        (!errand.authorities.is_empty()).then(|| tls::verify(&errand.authorities, shown, name));
    let answer = match errand.path {
        None => HttpAnswer::NotAsked { why: "the handshake was enough".to_owned() },
        Some(path) => {
            let get = Get {
                address: SocketAddr::new(addresses[0], errand.endpoint.port),
                path: path.to_owned(),
                limit: ANSWER_LIMIT,
                keep: Keep::Whole,
                secure: None,
            };
            let begun = Instant::now();
            let host = errand.endpoint.to_string();
            let asked = super::http::exchange(stream, &host, &get);
            match timeout(ANSWER_LIMIT, asked).await {
                Ok(reply) => reply.answer,
                Err(_) => match held_up(begun, ANSWER_LIMIT) {
                    Some(why) => HttpAnswer::NotAsked { why },
                    None => super::http::timed_out(ANSWER_LIMIT),
                },
            }
        }
    };
    Ok(Seen { answer, issuer, verified, ..Seen::stopped(Reach::Reached) })
}

/// All names have the time of one.
async fn look_up(errand: &Errand) -> Result<Vec<IpAddr>, Reach> {
    let Errand { names, endpoint, .. } = errand;
    let own = [endpoint.host.clone()];
    let asked = if names.asked.is_empty() { &own[..] } else { &names.asked };
    let begun = Instant::now();
    let mut last = Reach::NoSuchName;
    for name in asked {
        let left = LOOK_UP_LIMIT.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        // One that nobody could tell of may be the one that is meant.
        match resolver::addresses(&names.nameservers, name, left).await {
            Ok(addresses) => return Ok(addresses),
            Err(NoAddress::NoSuchName) => {}
            Err(NoAddress::NotResolved(why)) => last = Reach::NotResolved { why },
            Err(NoAddress::HeldUp(why)) => return Err(Reach::NotProbed { why }),
        }
    }
    Err(last)
}

/// A connection to the first address that takes one; of those that do not the first says why.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Reach> {
    let mut first = None;
    let each = CONNECT_LIMIT / u32::try_from(addresses.len().clamp(1, TRIED)).unwrap_or(1);
    for address in addresses.iter().take(TRIED) {
        let connected = step(each, TcpStream::connect((*address, port)), |limit| Reach::TimedOut {
            after_milliseconds: limit,
        });
        let reach = match connected.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => refusal(&error),
            Err(reach) => reach,
        };
        first.get_or_insert(reach);
    }
    Err(first.unwrap_or(Reach::NoSuchName))
}

fn refusal(error: &std::io::Error) -> Reach {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Reach::Refused,
        ErrorKind::TimedOut => Reach::NoRoute { why: "the kernel gave up".to_owned() },
        _ => Reach::NoRoute { why: error.to_string() },
    }
}

/// An alert is an answer in TLS: what is not agreed upon was reached all the same.
fn stopped_handshake(error: &std::io::Error) -> Result<Seen, Reach> {
    match tls::trouble(error) {
        tls::Trouble::Answered(why) => {
            Ok(Seen { answer: HttpAnswer::Failed { why }, ..Seen::stopped(Reach::Reached) })
        }
        tls::Trouble::NoTls(why) => Err(Reach::NotTls { why }),
        tls::Trouble::CutOff(why) => Err(Reach::CutOff { why }),
    }
}

/// Who issued a certificate, by its own words.
fn issuer(der: &[u8]) -> String {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => {
            certificate.issuer().to_string().chars().take(ISSUER_CHARS).collect()
        }
        Err(_) => "nobody: it is no X.509 certificate".to_owned(),
    }
}
