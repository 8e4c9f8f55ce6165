//! One bounded HTTP/1.1 GET to an address on this machine. No redirects, no proxies,
//! no names: a health endpoint is an address and a path.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use nodeward_domain::facts::HttpAnswer;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CONNECT_LIMIT;

/// So much of an answer's body is read; the rest is not asked for.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// So much of one line is reported.
const LINE_LIMIT_CHARS: usize = 200;

/// Asks, and tells refused, silent and answered apart. `limit` holds for all of it.
pub async fn get(address: SocketAddr, path: &str, limit: Duration) -> HttpAnswer {
    timeout(limit, exchange(address, path)).await.unwrap_or_else(|_| timed_out(limit))
}

fn timed_out(limit: Duration) -> HttpAnswer {
    HttpAnswer::TimedOut {
        after_milliseconds: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn exchange(address: SocketAddr, path: &str) -> HttpAnswer {
    let failed = |why: String| HttpAnswer::Failed { why };
    let stream = match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return HttpAnswer::Refused;
        }
        Ok(Err(error)) => return failed(format!("connect: {error}")),
        Err(_) => return timed_out(CONNECT_LIMIT),
    };
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(parts) => parts,
        Err(error) => return failed(format!("HTTP: {error}")),
    };
    let driver = tokio::spawn(connection);
    let answer = match Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, concat!("nodeward-agent/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
    {
        Err(error) => failed(format!("request: {error}")),
        Ok(request) => match sender.send_request(request).await {
            Err(error) => failed(format!("HTTP: {error}")),
            Ok(response) => {
                let status = response.status().as_u16();
                match Limited::new(response.into_body(), BODY_LIMIT_BYTES).collect().await {
                    Err(error) => failed(format!("status {status}, body: {error}")),
                    Ok(body) => {
                        HttpAnswer::Answered { status, body: telling_line(&body.to_bytes()) }
                    }
                }
            }
        },
    };
    driver.abort();
    answer
}

/// The line that tells most: of a list of checks the first that failed, which begins
/// with `[-]` in every component built on Kubernetes' health package, else the first.
fn telling_line(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
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
        let list = b"[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
        assert_eq!(telling_line(list), "[-]syncloop failed: reason withheld");
        assert_eq!(telling_line(b"ok"), "ok");
        assert_eq!(telling_line(b""), "");
        assert_eq!(telling_line(&[b'x'; 999]).len(), LINE_LIMIT_CHARS);
    }
}
