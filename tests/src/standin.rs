//! Stand-ins for servers that no package registry has, such as kubelet and kube-proxy:
//! HTTP/1.1 on a loopback port that the system chose, with every answer told by the test.
//! They can be slow, hang, hang up, be stopped, or be gone.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpSocket;

/// What a stand-in was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers by name, in lower case.
    pub headers: BTreeMap<String, String>,
}

/// What a stand-in does when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It answers.
    Answer(Answer),
    /// It never answers; the asker has to go.
    Hang,
    /// It ends the connection without an answer.
    HangUp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Headers besides those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// It comes after this long.
    pub delay: Duration,
}

/// An answer with that status and body, at once.
#[must_use]
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Does {
    Does::Answer(Answer { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO })
}

/// A connection, be it plain or with encryption over it.
pub trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// What is laid over a connection once it was accepted, such as TLS. On an error the
/// connection ends.
pub type Over = dyn Fn(TcpStream) -> std::io::Result<Box<dyn Stream>> + Send + Sync;

/// How a stand-in answers each question.
type Answers = dyn Fn(&Asked) -> Does + Send + Sync;

/// A server that a test has started; its end ends it.
#[derive(Debug)]
pub struct Standin {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ends: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
    listener: Option<TcpListener>,
    /// Holds the port of one that does not serve.
    _held: Option<Held>,
}

/// A port of ours on which nobody answers.
#[derive(Debug)]
enum Held {
    Listening { _listener: TcpListener },
    Bound { _socket: TcpSocket },
}

impl Standin {
    /// Serves on 127.0.0.1; each question says what is done.
    #[must_use]
    pub fn serving(answers: impl Fn(&Asked) -> Does + Send + Sync + 'static) -> Self {
        Self::serving_on(Ipv4Addr::LOCALHOST.into(), |stream| Ok(Box::new(stream)), answers)
    }

    /// Serves by path; another path is answered by 404, as Go's servers do.
    #[must_use]
    pub fn by_path<P: Into<String>>(answers: impl IntoIterator<Item = (P, Does)>) -> Self {
        let answers: BTreeMap<String, Does> =
            answers.into_iter().map(|(path, does)| (path.into(), does)).collect();
        Self::serving(by_path(answers))
    }

    /// Serves on an address of this machine, with something laid over each connection.
    ///
    /// # Panics
    /// When there is no such address.
    #[must_use]
    pub fn serving_on(
        ip: IpAddr,
        over: impl Fn(TcpStream) -> std::io::Result<Box<dyn Stream>> + Send + Sync + 'static,
        answers: impl Fn(&Asked) -> Does + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0)).expect("an address of ours");
        let mut standin = Self::holding(listener.local_addr().expect("it is bound"), None);
        standin.listener = Some(listener.try_clone().expect("a descriptor more"));
        let (asked, ends) = (Arc::clone(&standin.asked), Arc::clone(&standin.ends));
        let (over, answers): (Arc<Over>, Arc<Answers>) = (Arc::new(over), Arc::new(answers));
        standin.accepts = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (asked, ends) = (Arc::clone(&asked), Arc::clone(&ends));
                let (over, answers) = (Arc::clone(&over), Arc::clone(&answers));
                std::thread::spawn(move || {
                    // One that waits looks now and then whether the stand-in has ended.
                    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                    if let Ok(mut stream) = over(stream) {
                        // The asker may go at any time.
                        let _ = converse(&mut stream, &asked, &*answers, &ends);
                    }
                });
            }
        }));
        standin
    }

    /// One that was stopped by a signal: the kernel accepts for it and nothing answers.
    #[must_use]
    pub fn stopped() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        Self::holding(address, Some(Held::Listening { _listener: listener }))
    }

    /// One that is gone: a port that is kept from everybody else and refuses.
    #[must_use]
    pub fn gone() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback");
        let address = socket.local_addr().expect("it is bound");
        Self::holding(address, Some(Held::Bound { _socket: socket }))
    }

    fn holding(address: SocketAddr, held: Option<Held>) -> Self {
        let (asked, ends) = Default::default();
        Self { address, asked, ends, accepts: None, listener: None, _held: held }
    }

    /// Where it stands.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(accepts) = self.accepts.take() {
            // Wakes the one that accepts, also where a packet filter lets no connection through.
            if let Some(listener) = &self.listener {
                let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
            }
            let _ = accepts.join();
        }
    }
}

/// What is done by path; another path is answered by 404, as Go's servers do.
pub fn by_path(answers: BTreeMap<String, Does>) -> impl Fn(&Asked) -> Does + Send + Sync {
    move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        answers.get(path).cloned().unwrap_or_else(|| answer(404, "404 page not found\n"))
    }
}

/// One question and what is done then; the connection ends with it.
fn converse(
    stream: &mut dyn Stream,
    asked: &Mutex<Vec<Asked>>,
    answers: &Answers,
    ends: &AtomicBool,
) -> std::io::Result<()> {
    let Some(question) = question(stream, ends)? else { return Ok(()) };
    let does = answers(&question);
    asked.lock().expect("nobody panics with it").push(question);
    match does {
        Does::HangUp => Ok(()),
        Does::Hang => read_until(stream, ends, |_| false).map(|_| ()),
        Does::Answer(answer) => {
            std::thread::sleep(answer.delay);
            let mut head = format!("HTTP/1.1 {} \r\n", answer.status);
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            let length = answer.body.len();
            head.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(&answer.body)?;
            stream.flush()
        }
    }
}

/// The head of a request; none when the asker has gone or the stand-in ends.
fn question(stream: &mut dyn Stream, ends: &AtomicBool) -> std::io::Result<Option<Asked>> {
    let Some(head) = read_until(stream, ends, |read| read.ends_with(b"\r\n\r\n"))? else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    Ok(Some(Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
    }))
}

/// What arrives until it is enough; none when the asker has gone or the stand-in ends.
fn read_until(
    stream: &mut dyn Stream,
    ends: &AtomicBool,
    enough: fn(&[u8]) -> bool,
) -> std::io::Result<Option<Vec<u8>>> {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    let mut read = Vec::new();
    let mut byte = [0];
    while !ends.load(Ordering::SeqCst) {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => read.push(byte[0]),
            Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => {}
            Err(error) => return Err(error),
        }
        if enough(&read) {
            return Ok(Some(read));
        }
    }
    Ok(None)
}
