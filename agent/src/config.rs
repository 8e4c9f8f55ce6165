//! How an agent is told what to do: flags before environment before TOML file. One
//! struct for all; a key that is not known is refused.

mod destination;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use nodeward_domain::address::shown;
use nodeward_domain::egress::endpoints;
use serde::Deserialize;

use crate::credential::CredentialError;
use crate::host::{Beyond, HostRoot};

/// Observes this node and reports to an aggregator.
#[derive(Debug, Parser)]
#[command(name = "nodeward-agent", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What an agent can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect and send in one process, for plain machines.
    Run {
        /// Configuration.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Collect only, and hand rounds to `send` over a Unix socket. Needs the host.
    Collect {
        /// Configuration.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Send only what `collect` hands over. Needs no access to the host.
    Send {
        /// Configuration.
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// Every setting; each may stand in the file under the flag's name.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// TOML file with any of these settings.
    #[arg(long, env = "NODEWARD_AGENT_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Where the aggregator listens; `run` and `send` need it: https://HOST:PORT, or http://127.0.0.1:7443 on the
    /// same machine.
    #[arg(long, env = "NODEWARD_AGGREGATOR", value_name = "URL")]
    pub aggregator: Option<String>,

    /// The node's root directory [default: /].
    #[arg(long, env = "NODEWARD_HOST_ROOT", value_name = "DIR")]
    pub host_root: Option<PathBuf>,

    /// Time between rounds, such as 30s or 2m [default: 30s].
    #[arg(long, env = "NODEWARD_INTERVAL", value_name = "DURATION")]
    pub interval: Option<String>,

    /// Unix socket between `collect` and `send`; both need it.
    #[arg(long, env = "NODEWARD_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Cluster to report as; only for an aggregator on loopback [default: local].
    #[arg(long, env = "NODEWARD_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,

    /// Node to report as; only for an aggregator on loopback [default: the host name].
    #[arg(long, env = "NODEWARD_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,

    /// Authorities that the aggregator's certificate must be signed by, PEM; for https.
    #[arg(long, env = "NODEWARD_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// A file with this pod's token for the aggregator, read anew each time; for https. It is
    /// exchanged for a certificate, which the agent renews by itself.
    #[arg(long, env = "NODEWARD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// This node's certificate, which says who it is, PEM; for https without a token. Taken anew
    /// when it changes, as its key is.
    #[arg(long, env = "NODEWARD_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's private key, PEM; for https.
    #[arg(long, env = "NODEWARD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The container runtime's socket on the host
    /// [default: /run/containerd/containerd.sock].
    #[arg(long, env = "NODEWARD_CONTAINERD_SOCKET", value_name = "PATH")]
    pub containerd_socket: Option<String>,

    /// A file with a bearer token for this node's kubelet, read anew every round. It is shown
    /// on an address of this machine alone, to a server whose certificate is the kubelet's.
    #[arg(long, env = "NODEWARD_KUBELET_TOKEN_FILE", value_name = "FILE")]
    pub kubelet_token_file: Option<PathBuf>,

    /// Recorded answers of local endpoints, for a host root that is not running.
    #[arg(long, env = "NODEWARD_RECORDED_ANSWERS", value_name = "FILE")]
    pub recorded_answers: Option<PathBuf>,

    /// A folder with files of node-problem-detector: rules for logs are followed, plugins
    /// listed and never run.
    #[arg(long, env = "NODEWARD_NPD_CONFIG", value_name = "DIR")]
    pub npd_config: Option<PathBuf>,

    /// Endpoints outside of the cluster that are looked at: NAME or NAME:PORT, or the lists
    /// aks-public and aks-china. None is, without this; without a value the first of them.
    // Nothing else stands without a name: a value may follow behind a blank.
    #[arg(
        long,
        env = "NODEWARD_EGRESS",
        value_name = "ENDPOINT",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = "aks-public"
    )]
    pub egress: Option<Vec<String>>,

    /// Ask the kernel what rules of nf_tables do with traffic that the node lives by. It tells
    /// those alone who have CAP_NET_ADMIN in the node's network.
    #[arg(long, env = "NODEWARD_PACKET_FILTER")]
    #[serde(default)]
    pub packet_filter: bool,

    /// Write logs as JSON, one object a line.
    #[arg(long, env = "NODEWARD_LOG_JSON")]
    #[serde(default)]
    pub log_json: bool,
}

/// Why a configuration cannot be used. Each is one line and names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("--config {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("--config {path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why, in one line.
        why: String,
    },
    /// A setting that is needed is missing.
    #[error("{0} is needed")]
    Missing(&'static str),
    /// A setting has a value that makes no sense.
    #[error("{setting} {value:?}: {why}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// Its value, without what may be a password.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// What is to be shown to the aggregator cannot be used.
    #[error("--tls-ca, --tls-certificate, --tls-key: {0}")]
    Credential(#[source] CredentialError),
    /// Two settings exclude each other.
    #[error("{setting}: {why}")]
    Excluded {
        /// The setting that must go.
        setting: &'static str,
        /// What excludes it.
        why: &'static str,
    },
}

fn invalid(setting: &'static str, value: &str, why: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { setting, value: shown(value).into_owned(), why: why.into() }
}

impl Config {
    /// Fills what neither flag nor environment gave from the file, if one is named.
    pub fn with_file(self) -> Result<Self, ConfigError> {
        let Some(path) = self.config.clone() else {
            return Ok(self);
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let file: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::Malformed { path, why: format!("line {line}: {}", error.message()) }
        })?;
        Ok(Self {
            config: self.config,
            aggregator: self.aggregator.or(file.aggregator),
            host_root: self.host_root.or(file.host_root),
            interval: self.interval.or(file.interval),
            socket: self.socket.or(file.socket),
            cluster: self.cluster.or(file.cluster),
            node_name: self.node_name.or(file.node_name),
            tls_ca: self.tls_ca.or(file.tls_ca),
            token_file: self.token_file.or(file.token_file),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            containerd_socket: self.containerd_socket.or(file.containerd_socket),
            kubelet_token_file: self.kubelet_token_file.or(file.kubelet_token_file),
            recorded_answers: self.recorded_answers.or(file.recorded_answers),
            npd_config: self.npd_config.or(file.npd_config),
            egress: self.egress.or(file.egress),
            packet_filter: self.packet_filter || file.packet_filter,
            log_json: self.log_json || file.log_json,
        })
    }

    /// The node's root directory.
    #[must_use]
    pub fn host_root(&self) -> &Path {
        self.host_root.as_deref().unwrap_or_else(|| Path::new("/"))
    }

    /// The container runtime's socket on the host.
    #[must_use]
    pub fn containerd_socket(&self) -> &str {
        self.containerd_socket.as_deref().unwrap_or("/run/containerd/containerd.sock")
    }

    /// What lies beyond the machine and is looked at.
    pub fn beyond(&self) -> Result<Beyond, ConfigError> {
        let Some(asked) = &self.egress else { return Ok(Beyond::default()) };
        let found = endpoints(asked);
        let found = found.map_err(|error| invalid("--egress", &asked.join(","), error.to_string()));
        Ok(Beyond::asking(found?))
    }

    /// The Unix socket between `collect` and `send`.
    pub fn socket(&self) -> Result<&Path, ConfigError> {
        self.socket.as_deref().ok_or(ConfigError::Missing("--socket"))
    }

    /// Time between rounds.
    pub fn interval(&self) -> Result<Duration, ConfigError> {
        const SETTING: &str = "--interval";
        let text = self.interval.as_deref().unwrap_or("30s");
        let length: SignedDuration =
            text.parse().map_err(|_| invalid(SETTING, text, "is not a duration like 30s"))?;
        match Duration::try_from(length) {
            Ok(length) if (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&length) => {
                Ok(length)
            }
            _ => Err(invalid(SETTING, text, "must be between 1s and 5m")),
        }
    }
}

/// The name of the machine below a root, in lower case as Kubernetes has it: the running
/// kernel's, or what hostname(5) says where nothing runs.
pub fn host_name(root: &Path) -> Result<String, ConfigError> {
    let name = if root == Path::new("/") {
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
    } else {
        HostRoot::open(root).ok().and_then(|root| {
            HOST_NAMES.into_iter().find_map(|path| named(&root.read_text(path, 4096).ok()?))
        })
    };
    name.and_then(|name| named(&name))
        .ok_or(ConfigError::Missing("--node-name (the host has no readable name)"))
}

/// Where the name of a host stands, the first that has one counts.
const HOST_NAMES: [&str; 2] = ["/etc/hostname", "/proc/sys/kernel/hostname"];

/// The name in a file of the form of hostname(5).
fn named(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit_and_bounds() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("2m", Some(120)),
            ("0s", None),
            ("-5s", None),
            ("30", None),
            ("6m", None),
        ] {
            let config = Config { interval: Some(text.to_owned()), ..Config::default() };
            assert_eq!(config.interval().ok().map(|d| d.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn the_file_fills_gaps_and_unknown_keys_are_refused_with_their_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, "interval = \"5s\"\ncluster = \"from-file\"\n").expect("written");
        let config = Config {
            config: Some(path.clone()),
            cluster: Some("from-flag".to_owned()),
            ..Config::default()
        };
        let config = config.with_file().expect("a good file");
        assert_eq!(config.cluster.as_deref(), Some("from-flag"));
        assert_eq!(config.interval.as_deref(), Some("5s"));

        std::fs::write(&path, "interval = \"5s\"\nintervall = 1\n").expect("written");
        let config = Config { config: Some(path), ..Config::default() };
        let error = config.with_file().expect_err("a bad key").to_string();
        assert!(error.contains("line 2") && error.contains("intervall"), "{error}");
    }

    #[test]
    fn a_host_is_named_by_the_first_file_that_has_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        let error = host_name(folder.path()).expect_err("no file").to_string();
        assert!(error.starts_with("--node-name"), "{error}");
        write("proc/sys/kernel/hostname", b"Running\n");
        write("etc/hostname", b"\xff\xfe\n");
        assert_eq!(host_name(folder.path()).expect("a name"), "running");
        write("etc/hostname", b"# set by the installer\n\nOrchard\n");
        assert_eq!(host_name(folder.path()).expect("a name"), "orchard");
    }
}
