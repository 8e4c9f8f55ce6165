//! Feeds that tests write, their import into a running aggregator, and a server of them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Authority;
use crate::programs;

/// A notice on Ubuntu 22.04 that no node of the tests lacks, in OSV's form.
pub const NOTICE: &str = r#"{"schema_version": "1.7.0", "id": "USN-9901-1",
 "published": "2026-11-01T10:00:00Z", "modified": "2026-11-01T10:00:00Z",
 "upstream": ["UBUNTU-CVE-2026-99001"],
 "affected": [{"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "openssl"},
  "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.2-0ubuntu1"}]}]}]}"#;

/// Imports a file or folder, as of this very moment.
///
/// # Panics
/// When the program cannot be started.
#[must_use]
pub fn import(socket: &Path, path: &Path, more: &[&str]) -> Output {
    Command::new(programs::nodeward())
        .args(["feed", "import", "--as-of", &jiff::Timestamp::now().to_string(), "--admin-socket"])
        .arg(socket)
        .arg(path)
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

/// A server of feeds over HTTPS, on threads of its own: what it answers is a function of
/// the path, and it counts how often it was asked and with which validators.
#[derive(Debug)]
pub struct FeedServer {
    /// Its address, such as `https://localhost:40123`.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a server answers.
#[derive(Debug, Clone)]
pub struct FeedAnswer {
    /// The status line's code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The length that is told; the body's own when none is.
    pub told_bytes: Option<usize>,
    /// The entity tag.
    pub etag: &'static str,
}

impl FeedAnswer {
    /// A body that is there.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), told_bytes: None, etag: "\"one\"" }
    }
}

impl FeedServer {
    /// Serves what `answer` gives for a path.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(
        authority: &Authority,
        answer: impl Fn(&str) -> FeedAnswer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let config = Arc::new(server_config(authority));
        let answer = Arc::new(answer);
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a connection");
                    let stream = StreamOwned::new(connection, socket.expect("a socket"));
                    // A reader that goes away is the test's own business.
                    let _ = serve(stream, &*answer, &heard);
                });
            }
        });
        Self { url: format!("https://localhost:{port}"), asked }
    }

    /// Every request so far: its path, and behind it the tag that was sent along.
    ///
    /// # Panics
    /// When a thread of the server panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn server_config(authority: &Authority) -> ServerConfig {
    let shown = authority.server();
    let chain = CertificateDer::pem_file_iter(&shown.certificate)
        .expect("a file")
        .collect::<Result<_, _>>()
        .expect("certificates");
    let key = PrivateKeyDer::from_pem_file(&shown.key).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate")
}

fn serve(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    answer: &(impl Fn(&str) -> FeedAnswer + ?Sized),
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let tag = request
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("if-none-match: ").map(str::to_owned))
        .unwrap_or_default();
    asked.lock().expect("no panic").push(format!("{path} {tag}"));
    let FeedAnswer { status, body, told_bytes, etag } = answer(&path);
    let is_known = status == 200 && !tag.is_empty() && tag == etag;
    let head = match is_known {
        true => "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned(),
        false => format!(
            "HTTP/1.1 {status} Said\r\netag: {etag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            told_bytes.unwrap_or(body.len())
        ),
    };
    stream.write_all(head.as_bytes())?;
    if !is_known {
        stream.write_all(&body)?;
    }
    stream.conn.send_close_notify();
    stream.flush()
}
