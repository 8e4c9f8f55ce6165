//! A relay of cluster `prod` in front of the aggregator of a test.

use std::path::Path;
use std::process::Command;

use crate::authority::Credential;
use crate::in_cluster::InCluster;
use crate::programs;
use crate::service::{Log, Program, started};

/// A relay on ports that the system chose.
#[derive(Debug)]
pub struct Relay {
    /// The program.
    pub program: Program,
    /// Where agents connect over TLS.
    pub tls: String,
    /// Where HTTP is served.
    pub http: String,
    log: Log,
}

impl Relay {
    /// One that hands on to that address, shows that certificate there, and lets the cluster's
    /// agents enrol.
    ///
    /// # Panics
    /// When it does not say that it starts.
    #[must_use]
    pub fn start(cluster: &InCluster, to: &str, shown: &Credential) -> Self {
        let mut command = Self::command(cluster, to, shown);
        let (program, starts, log) = started(&mut command, "relay starts");
        let field = |name: &str| starts["fields"][name].as_str().expect("an address").to_owned();
        assert_eq!(starts["fields"]["cluster"], "prod");
        Self { tls: field("tls"), http: field("http"), program, log }
    }

    /// The program with its settings.
    #[must_use]
    pub fn command(cluster: &InCluster, to: &str, shown: &Credential) -> Command {
        let ca = cluster.authority.certificate();
        let door = &cluster.shown;
        let mut command = Command::new(programs::aggregator());
        command.args(["relay", "--log-json", "--to", to, "--http-listen", "127.0.0.1:0"]);
        command.args(["--tls-listen", "127.0.0.1:0"]);
        let access = cluster.folder.path().join("access.toml");
        let key = cluster.authority.key();
        let files: [(&str, &Path); 9] = [
            ("--to-ca", &ca),
            ("--to-certificate", &shown.certificate),
            ("--to-key", &shown.key),
            ("--tls-certificate", &door.certificate),
            ("--tls-key", &door.key),
            ("--tls-client-ca", &ca),
            ("--authority-certificate", &ca),
            ("--authority-key", &key),
            ("--access", &access),
        ];
        for (setting, path) in files {
            command.arg(setting).arg(path);
        }
        command
    }

    /// Where agents connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.tls.rsplit(':').next().unwrap_or_default())
    }

    /// What it has logged since it started.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }
}
