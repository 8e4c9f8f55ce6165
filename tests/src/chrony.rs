//! A real chronyd that follows another one, both in a network of their own. Neither
//! touches this machine's clock. What a test starts, its end stops.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nodeward_agent::probe::chrony::{Answer, Asker, Report, ask};
use tempfile::TempDir;

use crate::network::Network;
use crate::programs::installed;
use crate::service::{PATIENCE, Program};

/// Where the server serves; the client asks it every second.
const SERVER: &str = "port 11123\nlocal stratum 2\nallow 127.0.0.1\ncmdport 0\n";
const CLIENT: &str = "server 127.0.0.1 port 11123 iburst minpoll 0 maxpoll 0\nport 0\n";

/// Where the client answers: chronyd's usual port, in the network of the test.
pub const ADDRESS: &str = "127.0.0.1:323";

/// Two chronyd, one of which follows the other.
#[derive(Debug)]
pub struct Chrony {
    client: Option<Program>,
    server: Option<Program>,
    network: Network,
    folder: TempDir,
}

impl Chrony {
    /// Starts both and waits until the client has synchronised.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start() -> Self {
        let chrony = Self::without_client();
        let client = chrony.spawn("client", CLIENT);
        let chrony = Self { client: Some(client), ..chrony };
        chrony.wait_until("synchronised", |report| report.reference == "127.0.0.1");
        chrony
    }

    /// Starts the server alone.
    #[must_use]
    pub fn without_client() -> Self {
        let folder = tempfile::Builder::new().prefix("nwt").tempdir_in("/tmp").expect("a folder");
        let chrony = Self { client: None, server: None, network: Network::new(), folder };
        std::fs::write(chrony.path("client.conf"), chrony.configuration("client", CLIENT))
            .expect("written");
        let server = chrony.spawn("server", SERVER);
        Self { server: Some(server), ..chrony }
    }

    fn configuration(&self, name: &str, lines: &str) -> String {
        let pid = self.path(&format!("{name}.pid"));
        // A slash in the place of a socket's path closes the Unix socket.
        format!("{lines}bindcmdaddress /\npidfile {}\n", pid.display())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The client's configuration file, for one that a test starts itself.
    #[must_use]
    pub fn client_configuration(&self) -> std::path::PathBuf {
        self.path("client.conf")
    }

    fn spawn(&self, name: &str, lines: &str) -> Program {
        let file = self.path(&format!("{name}.conf"));
        std::fs::write(&file, self.configuration(name, lines)).expect("written");
        self.network.inside(move || Program::start(&mut chronyd(&file)))
    }

    /// Its network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// What the client answers to an agent on its network.
    #[must_use]
    pub fn ask(&self) -> Answer {
        self.network.inside(|| ask(ADDRESS.parse().expect("an address"), Duration::from_secs(5)))
    }

    /// Something that asks the client question by question.
    ///
    /// # Panics
    /// When there is no socket for it.
    #[must_use]
    pub fn asker(&self) -> Asker {
        let address = ADDRESS.parse().expect("an address");
        self.network.inside(move || Asker::new(address, PATIENCE)).expect("a socket")
    }

    /// What chronyc prints for that command, as comma-separated values.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn chronyc(&self, command: &'static str) -> String {
        let output = self.network.inside(move || {
            Command::new(installed("chronyc")).args(["-c", "-h", "127.0.0.1", command]).output()
        });
        let output = output.expect("chronyc runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Waits until the client's answer is like that.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask();
            match answer {
                Answer::Answered(report) if holds(&report) => return report,
                other => assert!(Instant::now() < deadline, "not {what}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sends the client a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal_client(&self, signal: Signal) {
        self.client.as_ref().expect("it runs").signal(signal);
    }

    /// Ends the client at once.
    pub fn kill_client(&mut self) {
        self.client.take().into_iter().for_each(Program::kill);
    }

    /// Ends the server at once: the client's only source is lost.
    pub fn kill_server(&mut self) {
        self.server.take().into_iter().for_each(Program::kill);
    }

    /// Starts the server again.
    pub fn start_server(&mut self) {
        let server = self.spawn("server", SERVER);
        self.server = Some(server);
    }
}

/// The command of a chronyd that leaves the clock alone.
#[must_use]
pub fn chronyd(configuration: &Path) -> Command {
    let mut command = Command::new(installed("chronyd"));
    command.args(["-d", "-x", "-u", "root", "-f"]).arg(configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
