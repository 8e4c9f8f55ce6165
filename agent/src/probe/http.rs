//! Bounded HTTP/1.1 GETs to addresses of this machine. No redirects, no proxies, no
//! names: an endpoint is an address and a path. The facts keep the one line of an answer
//! that tells most; the body, as far as it is kept, is for the collector to parse.

mod body;
pub(super) mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use nodeward_domain::facts::HttpAnswer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::CONNECT_LIMIT;
pub use body::Keep;
pub use tls::{Secure, Token};

/// So much of one line is reported.
const LINE_LIMIT_CHARS: usize = 200;

/// One question to an endpoint.
#[derive(Debug, Clone)]
pub struct Get {
    /// Where it is served.
    pub address: SocketAddr,
    /// Its path.
    pub path: String,
    /// All of it must be over in this time, connecting included.
    pub limit: Duration,
    /// What is kept of the answer's body.
    pub keep: Keep,
    /// How it is asked over TLS; none for plain HTTP.
    pub secure: Option<Secure>,
}

impl Get {
    /// A question whose answer is kept whole.
    #[must_use]
    pub fn whole(address: SocketAddr, path: &str, limit: Duration) -> Self {
        Self { address, path: path.to_owned(), limit, keep: Keep::Whole, secure: None }
    }

    /// The endpoint's address as evidence names it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.secure.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.path)
    }
}

/// What was heard from an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer as facts keep it.
    pub answer: HttpAnswer,
    /// What was kept of the body; empty unless the endpoint answered.
    pub body: String,
    /// From the question to the answer's first line; none without an answer.
    pub took: Option<Duration>,
}

impl Reply {
    /// An answer with what was kept of its body, or why that could not be.
    pub(super) fn answered(status: u16, body: Result<Body, String>) -> Self {
        let body = match body {
            Ok(body) => body,
            Err(why) => return failed(format!("status {status}, body: {why}")).into(),
        };
        let is_whole = body.is_whole();
        let body = body.text();
        let line = if is_whole { telling_line(&body) } else { String::new() };
        Self { answer: HttpAnswer::Answered { status, body: line }, body, took: None }
    }
}

impl From<HttpAnswer> for Reply {
    fn from(answer: HttpAnswer) -> Self {
        Self { answer, body: String::new(), took: None }
    }
}

const fn failed(why: String) -> HttpAnswer {
    HttpAnswer::Failed { why }
}

pub(super) fn timed_out(limit: Duration) -> HttpAnswer {
    HttpAnswer::TimedOut { after_milliseconds: milliseconds(limit) }
}

fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// Asks, and tells refused, silent and answered apart.
pub async fn get(get: Get) -> Reply {
    let deadline = Instant::now() + get.limit;
    let stream = match timeout(CONNECT_LIMIT.min(get.limit), connect(get.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(answer)) => return answer.into(),
        Err(_) => return timed_out(CONNECT_LIMIT.min(get.limit)).into(),
    };
    let host = get.address.to_string();
    let Some(secure) = &get.secure else {
        return within(deadline, &get, exchange(stream, &host, &get)).await;
    };
    match timeout_at(deadline, secure.over(stream, get.address.ip())).await {
        Ok(Ok(stream)) => within(deadline, &get, exchange(stream, &host, &get)).await,
        Ok(Err(why)) => failed(format!("TLS: {why}")).into(),
        Err(_) => HttpAnswer::NoHandshake { after_milliseconds: milliseconds(get.limit) }.into(),
    }
}

async fn within(deadline: Instant, get: &Get, reply: impl Future<Output = Reply>) -> Reply {
    timeout_at(deadline, reply).await.unwrap_or_else(|_| timed_out(get.limit).into())
}

/// Connects from the very address that is asked, which only an address of this machine
/// allows: where a configuration or a process's arguments lead elsewhere, nobody is asked.
async fn connect(address: SocketAddr) -> Result<TcpStream, HttpAnswer> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(|error| failed(format!("socket: {error}")))?;
    if let Err(error) = socket.bind(SocketAddr::new(address.ip(), 0)) {
        let why = format!("{} is not an address of this machine: {error}", address.ip());
        return Err(HttpAnswer::NotAsked { why });
    }
    socket.connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => HttpAnswer::Refused,
        _ => failed(format!("connect: {error}")),
    })
}

/// One request to a host of that name, and its answer on a connection that stands.
pub(super) async fn exchange<S>(stream: S, host: &str, get: &Get) -> Reply
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(parts) => parts,
        Err(error) => return failed(format!("HTTP: {error}")).into(),
    };
    let driver = tokio::spawn(connection);
    let mut request = Request::get(&get.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("nodeward-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = get.secure.as_ref().and_then(Secure::token) {
        request = request.header(header::AUTHORIZATION, token);
    }
    let asked_at = Instant::now();
    let reply = match request.body(Empty::<Bytes>::new()) {
        Err(error) => failed(format!("request: {error}")).into(),
        Ok(request) => match sender.send_request(request).await {
            Err(error) => failed(format!("HTTP: {error}")).into(),
            Ok(response) => {
                let took = Some(asked_at.elapsed());
                let status = response.status().as_u16();
                let body = read(response.into_body(), get.keep, status).await;
                Reply { took, ..Reply::answered(status, body) }
            }
        },
    };
    driver.abort();
    reply
}

async fn read(mut body: Incoming, keep: Keep, status: u16) -> Result<Body, String> {
    let mut kept = Body::new(keep, status);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(piece) = frame.data_ref() {
            kept.take(piece)?;
        }
    }
    kept.end()
}

/// The line that tells most: of a list of checks the first that failed, which begins
/// with `[-]` in every component built on Kubernetes' health package, else the first.
fn telling_line(body: &str) -> String {
    let failed = body.lines().find(|line| line.starts_with("[-]"));
    failed
        .or_else(|| body.lines().next())
        .unwrap_or_default()
        .chars()
        .take(LINE_LIMIT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_of_checks_the_failed_one_is_told() {
        let list = "[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
        assert_eq!(telling_line(list), "[-]syncloop failed: reason withheld");
        assert_eq!(telling_line("ok"), "ok");
        assert_eq!(telling_line(""), "");
        assert_eq!(telling_line(&"x".repeat(999)).len(), LINE_LIMIT_CHARS);
    }
}
