//! How an aggregator is told what to do: flags before environment before TOML file.
//! A key that is not known is refused.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy, PolicyError};
use serde::Deserialize;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::cluster::{self, ClusterError};
use crate::pull;
use crate::store::sqlite;

/// Remembers what agents report and answers for nodes and fleet.
#[derive(Debug, Parser)]
#[command(name = "nodeward-aggregator", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What an aggregator can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take reports and answer queries.
    Serve {
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
    #[arg(long, env = "NODEWARD_AGGREGATOR_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Where to remember; needed: sqlite:PATH.
    #[arg(long, env = "NODEWARD_STORE", value_name = "STORE")]
    pub store: Option<String>,

    /// Where agents and readers connect [default: 127.0.0.1:7443].
    #[arg(long, env = "NODEWARD_GRPC_LISTEN", value_name = "ADDR")]
    pub grpc_listen: Option<SocketAddr>,

    /// Where /healthz, /readyz and /metrics are served [default: 127.0.0.1:7480].
    #[arg(long, env = "NODEWARD_HTTP_LISTEN", value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,

    /// Where agents of other machines connect over mutual TLS; needs the three --tls files.
    #[arg(long, env = "NODEWARD_TLS_LISTEN", value_name = "ADDR")]
    pub tls_listen: Option<SocketAddr>,

    /// Certificate chain that is shown to agents, PEM.
    #[arg(long, env = "NODEWARD_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's private key, PEM.
    #[arg(long, env = "NODEWARD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Authorities that agents' certificates must be signed by, PEM.
    #[arg(long, env = "NODEWARD_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// A socket of the file system for imports of feeds, for root and this user alone.
    #[arg(long, env = "NODEWARD_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,

    /// An https:// address of a feed to pull; `,complete` behind it says that it has everything
    /// that its vendor published on the releases in it. May be given several times.
    #[arg(
        long = "feed",
        env = "NODEWARD_FEED",
        value_name = "URL[,complete]",
        value_delimiter = ' '
    )]
    #[serde(default)]
    pub feed: Vec<String>,

    /// How often feeds are pulled, such as 6h [default: 6h].
    #[arg(long, env = "NODEWARD_FEED_INTERVAL", value_name = "DURATION")]
    pub feed_interval: Option<String>,

    /// Authorities that servers of feeds must be signed by, PEM [default: those of the system].
    #[arg(long, env = "NODEWARD_FEED_CA", value_name = "FILE")]
    pub feed_ca: Option<PathBuf>,

    /// A cluster whose API server is asked for nodes, pods, budgets and events: `CLUSTER` from
    /// inside of it, by its service account, or `CLUSTER=KUBECONFIG`. May be given several times.
    #[arg(
        long = "kubernetes",
        env = "NODEWARD_KUBERNETES",
        value_name = "CLUSTER[=KUBECONFIG]",
        value_delimiter = ' '
    )]
    #[serde(default)]
    pub kubernetes: Vec<String>,

    /// Serve in plain text to this machine alone, and believe its agents their names; needed
    /// in this version.
    #[arg(long, env = "NODEWARD_INSECURE_LOOPBACK")]
    #[serde(default)]
    pub insecure_loopback: bool,

    /// Edition of the support policy [default: aks-2026].
    #[arg(long, env = "NODEWARD_POLICY", value_name = "EDITION")]
    pub policy: Option<String>,

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
    /// No store is named.
    #[error("--store is needed, such as --store sqlite:/var/lib/nodeward/store.db")]
    NoStore,
    /// A feed's address is none.
    #[error("--feed {0:?}: must be like https://example.org/feed.tar.xz, or that with ,complete")]
    Feed(String),
    /// An interval is none.
    #[error("--feed-interval {0:?}: must be a duration of a minute at least, such as 6h")]
    FeedInterval(String),
    /// The authorities cannot be used.
    #[error("--feed-ca {path}: {why}")]
    FeedCa {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A cluster to be asked is none.
    #[error("--kubernetes {0:?}: must be CLUSTER, or CLUSTER=KUBECONFIG")]
    Kubernetes(String),
    /// A cluster is to be asked twice.
    #[error("--kubernetes {0}: is given twice")]
    KubernetesTwice(String),
    /// A cluster cannot be asked.
    #[error("--kubernetes {cluster}: {source}")]
    Cluster {
        /// The cluster.
        cluster: String,
        /// Why.
        source: ClusterError,
    },
    /// The store's address is of no known kind.
    #[error("--store {0:?}: must be sqlite:PATH")]
    Store(String),
    /// Without the flag there is no way to serve yet.
    #[error("--insecure-loopback is needed: this version serves in plain text on loopback only")]
    NotSecured,
    /// The settings of TLS are needed together.
    #[error("{0} is needed: --tls-listen needs --tls-certificate, --tls-key and --tls-client-ca")]
    TlsIncomplete(&'static str),
    /// A file of TLS is given, and nothing is served over TLS.
    #[error("{0} without --tls-listen")]
    TlsUnused(&'static str),
    /// A file of TLS cannot be read.
    #[error("{setting} {path}: {source}")]
    TlsFile {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Plain text may not leave the machine.
    #[error("{setting} {address}: plain text is served on loopback only")]
    NotLoopback {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
    },
    /// The edition cannot be used.
    #[error("--policy: {0}")]
    Policy(#[from] PolicyError),
}

impl Config {
    /// Fills what neither flag nor environment gave from the file, if one is named.
    pub fn with_file(self) -> Result<Self, ConfigError> {
        let Some(path) = self.config.clone() else { return Ok(self) };
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let file: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::Malformed { path, why: format!("line {line}: {}", error.message()) }
        })?;
        Ok(Self {
            config: self.config,
            store: self.store.or(file.store),
            grpc_listen: self.grpc_listen.or(file.grpc_listen),
            http_listen: self.http_listen.or(file.http_listen),
            tls_listen: self.tls_listen.or(file.tls_listen),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
            admin_socket: self.admin_socket.or(file.admin_socket),
            feed: if self.feed.is_empty() { file.feed } else { self.feed },
            feed_interval: self.feed_interval.or(file.feed_interval),
            feed_ca: self.feed_ca.or(file.feed_ca),
            kubernetes: if self.kubernetes.is_empty() { file.kubernetes } else { self.kubernetes },
            insecure_loopback: self.insecure_loopback || file.insecure_loopback,
            policy: self.policy.or(file.policy),
            log_json: self.log_json || file.log_json,
        })
    }

    /// The file of the embedded store.
    pub fn store(&self) -> Result<PathBuf, ConfigError> {
        let store = self.store.as_deref().ok_or(ConfigError::NoStore)?;
        sqlite::path_of(store).ok_or_else(|| ConfigError::Store(store.to_owned()))
    }

    /// What is pulled, how often, and by whose authorities; none when nothing is.
    pub fn pull(&self) -> Result<Option<pull::Settings>, ConfigError> {
        if self.feed.is_empty() {
            return Ok(None);
        }
        let sources = self
            .feed
            .iter()
            .map(|text| pull::Source::read(text).ok_or_else(|| ConfigError::Feed(text.clone())));
        let interval = match &self.feed_interval {
            None => pull::INTERVAL,
            Some(text) => text
                .parse::<SignedDuration>()
                .ok()
                .and_then(|length| Duration::try_from(length).ok())
                .filter(|length| *length >= pull::SHORTEST_INTERVAL)
                .ok_or_else(|| ConfigError::FeedInterval(text.clone()))?,
        };
        let authorities = pull::authorities(self.feed_ca.as_deref())
            .map_err(|(path, why)| ConfigError::FeedCa { path, why })?;
        Ok(Some(pull::Settings {
            sources: sources.collect::<Result<_, _>>()?,
            interval,
            authorities,
        }))
    }

    /// The clusters whose API servers are asked, each ready to be watched.
    pub async fn clusters(&self) -> Result<Vec<cluster::Watch>, ConfigError> {
        let mut watches: Vec<cluster::Watch> = Vec::new();
        for text in &self.kubernetes {
            let source =
                cluster::Source::read(text).ok_or_else(|| ConfigError::Kubernetes(text.clone()))?;
            if watches.iter().any(|watch| watch.cluster() == source.cluster) {
                return Err(ConfigError::KubernetesTwice(source.cluster));
            }
            let opened = cluster::Watch::open(&source, cluster::Limits::default()).await;
            watches.push(opened.map_err(|error| ConfigError::Cluster {
                cluster: source.cluster,
                source: error,
            })?);
        }
        Ok(watches)
    }

    /// Where gRPC is served.
    pub fn grpc_listen(&self) -> Result<SocketAddr, ConfigError> {
        let address = self.grpc_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7443)));
        self.on_loopback("--grpc-listen", address)
    }

    /// Where HTTP is served.
    pub fn http_listen(&self) -> Result<SocketAddr, ConfigError> {
        let address = self.http_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7480)));
        self.on_loopback("--http-listen", address)
    }

    fn on_loopback(
        &self,
        setting: &'static str,
        address: SocketAddr,
    ) -> Result<SocketAddr, ConfigError> {
        if !self.insecure_loopback {
            Err(ConfigError::NotSecured)
        } else if !address.ip().is_loopback() {
            Err(ConfigError::NotLoopback { setting, address })
        } else {
            Ok(address)
        }
    }

    /// Where agents connect over mutual TLS, and how; none when it is not asked for.
    pub fn tls(&self) -> Result<Option<(SocketAddr, ServerTlsConfig)>, ConfigError> {
        let files = [
            ("--tls-certificate", &self.tls_certificate),
            ("--tls-key", &self.tls_key),
            ("--tls-client-ca", &self.tls_client_ca),
        ];
        let Some(address) = self.tls_listen else {
            return match files.into_iter().find(|(_, path)| path.is_some()) {
                Some((setting, _)) => Err(ConfigError::TlsUnused(setting)),
                None => Ok(None),
            };
        };
        let read = |(setting, path): (&'static str, &Option<PathBuf>)| {
            let path = path.as_ref().ok_or(ConfigError::TlsIncomplete(setting))?;
            std::fs::read(path).map_err(|source| ConfigError::TlsFile {
                setting,
                path: path.clone(),
                source,
            })
        };
        let [certificate, key, client_ca] = files;
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(read(certificate)?, read(key)?))
            .client_ca_root(Certificate::from_pem(read(client_ca)?));
        Ok(Some((address, tls)))
    }

    /// The edition of the support policy.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        Ok(Policy::edition(self.policy.as_deref().unwrap_or(DEFAULT_EDITION))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_needs_its_flag_and_loopback() {
        assert!(matches!(Config::default().grpc_listen(), Err(ConfigError::NotSecured)));
        let mut config = Config { insecure_loopback: true, ..Config::default() };
        assert!(config.grpc_listen().is_ok());
        config.http_listen = "0.0.0.0:80".parse().ok();
        let error = config.http_listen().expect_err("every address").to_string();
        assert!(error.contains("--http-listen 0.0.0.0:80"), "{error}");
    }

    #[test]
    fn a_store_is_needed_and_has_a_kind() {
        let store = |store: Option<&str>| {
            Config { store: store.map(str::to_owned), ..Config::default() }.store()
        };
        assert_eq!(store(Some("sqlite:/a/b")).expect("a store"), PathBuf::from("/a/b"));
        for wrong in [None, Some("sqlite:"), Some("/a/b"), Some("mysql:x")] {
            assert!(store(wrong).is_err(), "{wrong:?}");
        }
    }
}
