//! The project's own programs, running: an aggregator on a store of the test, agents
//! that report to it, and a reader that asks it. What a test starts, its end stops.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nodeward_domain::answer::NodeAnswer;
use nodeward_proto::v1;
use nodeward_proto::v1::query_service_client::QueryServiceClient;
use tonic::transport::Channel;

use crate::authority::Authority;
use crate::programs;

/// Whatever is waited for must come in this time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A program of the project that a test has started.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it; its log goes where the test's own output goes.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        Self { child: command.stdin(Stdio::null()).spawn().expect("the program can be started") }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("the program is ours and has not been waited for");
    }

    /// Waits until it ends, for so long at most.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended_within(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program is ours") {
                return (status, started.elapsed());
            }
            assert!(started.elapsed() < limit, "the program has not ended within {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the program is ours").is_none()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a pid of Linux"))
}

/// The answer to one plain HTTP request. The standard library is enough to read one that
/// closes.
///
/// # Panics
/// When HTTP is not served there.
#[must_use]
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("HTTP is served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// What a program has logged since it started.
pub type Log = Arc<Mutex<String>>;

/// Starts a program that logs JSON, and waits for the line in which it says that it starts.
pub(crate) fn started(command: &mut Command, says: &str) -> (Program, serde_json::Value, Log) {
    let mut program = Program::start(command.stderr(Stdio::piped()));
    let log = program.child.stderr.take().expect("its log is piped");
    let mut lines = BufReader::new(log).lines();
    let mut said = String::new();
    let starts = loop {
        let line = lines
            .next()
            .and_then(Result::ok)
            .unwrap_or_else(|| panic!("the program did not start: {said}"));
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a JSON log: {line}"));
        if event["fields"]["message"] == says {
            break event;
        }
        said = line;
    };
    // The rest is read, so that the program never waits for a full pipe.
    let log = Log::default();
    let written = Arc::clone(&log);
    std::thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| {
            println!("{line}");
            let mut log = written.lock().expect("nobody panics with it");
            log.push_str(&line);
            log.push('\n');
        });
    });
    (program, starts, log)
}

/// An aggregator on ports that the system chose.
#[derive(Debug)]
pub struct Aggregator {
    /// The program.
    pub program: Program,
    /// Where gRPC is served, such as `127.0.0.1:40123`.
    pub grpc: String,
    /// Where HTTP is served.
    pub http: String,
    /// Where agents connect over TLS, if they may.
    pub tls: Option<String>,
    /// What it has logged since it started.
    log: Log,
}

impl Aggregator {
    /// Starts one on that store.
    #[must_use]
    pub fn start(store: &Path) -> Self {
        Self::start_on(store, "127.0.0.1:0")
    }

    /// Starts one that serves gRPC there.
    ///
    /// # Panics
    /// When it does not say that it starts.
    #[must_use]
    pub fn start_on(store: &Path, grpc: &str) -> Self {
        Self::start_with(store, grpc, |_| {})
    }

    /// Starts one to which agents may connect over mutual TLS.
    #[must_use]
    pub fn start_with_tls(store: &Path, authority: &Authority) -> Self {
        let shown = authority.server();
        Self::start_with(store, "127.0.0.1:0", |command| {
            command.args(["--tls-listen", "127.0.0.1:0"]);
            command.arg("--tls-certificate").arg(&shown.certificate);
            command.arg("--tls-key").arg(&shown.key);
            command.arg("--tls-client-ca").arg(authority.certificate());
        })
    }

    /// Starts one whose administrators' socket lies there.
    #[must_use]
    pub fn start_with_admin(store: &Path, socket: &Path) -> Self {
        Self::start_with(store, "127.0.0.1:0", |command| {
            command.arg("--admin-socket").arg(socket);
        })
    }

    /// The same, which pulls feeds from those addresses, whose server `authority` signed.
    #[must_use]
    pub fn start_with_feeds(
        store: &Path,
        socket: &Path,
        authority: &Authority,
        urls: &[String],
    ) -> Self {
        Self::start_with(store, "127.0.0.1:0", |command| {
            command.arg("--admin-socket").arg(socket);
            command.arg("--feed-ca").arg(authority.certificate());
            for url in urls {
                command.args(["--feed", url]);
            }
        })
    }

    /// Starts one that watches those clusters, each as `--kubernetes` takes it.
    #[must_use]
    pub fn start_watching(store: &Path, clusters: &[String]) -> Self {
        Self::start_with(store, "127.0.0.1:0", |command| {
            for cluster in clusters {
                command.args(["--kubernetes", cluster]);
            }
        })
    }

    /// Starts one with further settings.
    ///
    /// # Panics
    /// When it does not say that it starts.
    #[must_use]
    pub fn start_with(store: &Path, grpc: &str, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(programs::aggregator());
        command
            .args(["serve", "--insecure-loopback", "--log-json", "--http-listen", "127.0.0.1:0"])
            .args(["--grpc-listen", grpc])
            .arg("--store")
            .arg(format!("sqlite:{}", store.display()))
            // Also where the tests themselves run in a pod.
            .env_remove("KUBERNETES_SERVICE_HOST");
        more(&mut command);
        let (program, starts, log) = started(&mut command, "aggregator starts");
        let field = |name: &str| starts["fields"][name].as_str().expect("an address").to_owned();
        let tls = starts["fields"]["tls"].as_str().map(str::to_owned);
        Self { grpc: field("grpc"), http: field("http"), tls, log, program }
    }

    /// What it has logged since it started.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Its address for agents and readers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The answer to one plain HTTP request.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        get(&self.http, path)
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// When it does not end, or not well.
    pub async fn stop(mut self) {
        self.program.signal(Signal::SIGTERM);
        // Clients of the test go on meanwhile: it waits until they have hung up.
        let ended = tokio::task::spawn_blocking(move || self.program.ended_within(PATIENCE));
        let (status, _) = ended.await.expect("it ends in time");
        assert!(status.success(), "{status}");
    }

    /// A reader's connection.
    pub async fn reader(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::connect(self.url()).await.expect("the aggregator serves")
    }

    /// The answer about a node, as soon as it satisfies that.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn answer_when(
        &self,
        node: &str,
        what: &str,
        satisfies: impl Fn(&NodeAnswer) -> bool,
    ) -> NodeAnswer {
        self.answer_within(PATIENCE, node, what, satisfies).await
    }

    /// The same, with more or less patience.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn answer_within(
        &self,
        patience: Duration,
        node: &str,
        what: &str,
        satisfies: impl Fn(&NodeAnswer) -> bool,
    ) -> NodeAnswer {
        let deadline = Instant::now() + patience;
        let mut reader = self.reader().await;
        loop {
            let request = v1::GetNodeRequest { cluster: String::new(), node: node.to_owned() };
            let last = match reader.get_node(request).await {
                Ok(response) => {
                    let node = response.into_inner().node.expect("an answer");
                    let answer = NodeAnswer::try_from(node).expect("a valid answer");
                    if satisfies(&answer) {
                        return answer;
                    }
                    format!("{answer:#?}")
                }
                Err(status) => status.to_string(),
            };
            assert!(Instant::now() < deadline, "{what} did not come; last: {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The command of an agent that reports that host root every second.
#[must_use]
pub fn agent(mode: &str, host_root: &Path, node: &str) -> Command {
    let mut command = Command::new(programs::agent());
    command
        .arg(mode)
        .arg("--host-root")
        .arg(host_root)
        .args(["--node-name", node, "--interval", "1s"])
        .stderr(Stdio::null());
    command
}
