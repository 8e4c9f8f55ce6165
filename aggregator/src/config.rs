//! How an aggregator is told what to do: flags before environment before TOML file.
//! A key that is not known is refused.

mod relay;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use nodeward_domain::address::shown;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy, PolicyError};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use relay::RelayConfig;

use crate::access::{AccessError, Settings};
use crate::cluster::{self, ClusterError};
use crate::enrol;
use crate::pull;
use crate::store::sqlite;
use crate::tls::TlsSettings;

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
    /// Take the reports of one cluster's nodes and hand them on to another aggregator.
    Relay {
        /// Configuration.
        #[command(flatten)]
        config: Box<RelayConfig>,
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

    /// Where agents and readers of this machine connect in plain text, with
    /// --insecure-loopback [default: 127.0.0.1:7443].
    #[arg(long, env = "NODEWARD_GRPC_LISTEN", value_name = "ADDR")]
    pub grpc_listen: Option<SocketAddr>,

    /// Where /healthz, /readyz and /metrics are served [default: 127.0.0.1:7480].
    #[arg(long, env = "NODEWARD_HTTP_LISTEN", value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,

    /// Where other machines connect over TLS: agents with a certificate, readers and
    /// administrators with one or a token; needs the three --tls files.
    #[arg(long, env = "NODEWARD_TLS_LISTEN", value_name = "ADDR")]
    pub tls_listen: Option<SocketAddr>,

    /// Certificate chain that is shown to them, PEM. Taken anew when it changes, as its key and
    /// the authorities are.
    #[arg(long, env = "NODEWARD_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's private key, PEM.
    #[arg(long, env = "NODEWARD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Authorities that client certificates must be signed by, PEM.
    #[arg(long, env = "NODEWARD_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whose tokens are believed and what their holders may do, TOML; see docs/identity.md.
    #[arg(long, env = "NODEWARD_ACCESS", value_name = "FILE")]
    pub access: Option<PathBuf>,

    /// Certificate of the authority that gives agents theirs, PEM; with its key agents may
    /// enrol. --tls-client-ca must have it too.
    #[arg(long, env = "NODEWARD_AUTHORITY_CERTIFICATE", value_name = "FILE")]
    pub authority_certificate: Option<PathBuf>,

    /// The authority's private key, PEM.
    #[arg(long, env = "NODEWARD_AUTHORITY_KEY", value_name = "FILE")]
    pub authority_key: Option<PathBuf>,

    /// How long an agent's certificate is in force, 10s to 24h [default: 24h].
    #[arg(long, env = "NODEWARD_CERTIFICATE_LIFETIME", value_name = "DURATION")]
    pub certificate_lifetime: Option<String>,

    /// A socket of the file system for imports of feeds, for root and this user alone. Over TLS
    /// it takes the role admin.
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

    /// The namespace of agents in those clusters: pods of others are none of ours, whatever
    /// their labels say [default: nodeward].
    #[arg(long, env = "NODEWARD_AGENT_NAMESPACE", value_name = "NAMESPACE")]
    pub agent_namespace: Option<String>,

    /// Serve in plain text to this machine alone, and believe its agents their names. Not in a
    /// cluster, where a port-forward would come from this machine too.
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
    /// There is no way to serve.
    #[error("--tls-listen is needed for other machines, or --insecure-loopback for this one alone")]
    NotSecured,
    /// Plain text in a cluster.
    #[error("--insecure-loopback: not in a cluster, where a port-forward comes from loopback too")]
    InCluster,
    /// An address for plain text without the flag.
    #[error("--grpc-listen is for plain text: it needs --insecure-loopback")]
    PlainUnused,
    /// Who may do what cannot be read.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The settings of enrolment are needed together.
    #[error(
        "{0} is needed: agents enrol with --authority-certificate, --authority-key and --tls-listen"
    )]
    EnrolIncomplete(&'static str),
    /// A certificate's life is none that makes sense.
    #[error("--certificate-lifetime {0:?}: must be a duration from 10s to 24h")]
    Lifetime(String),
    /// The settings of TLS are needed together.
    #[error("{0} is needed: --tls-listen needs --tls-certificate, --tls-key and --tls-client-ca")]
    TlsIncomplete(&'static str),
    /// A setting of a relay is needed.
    #[error("{0} is needed: a relay hands on with --to, --to-ca, --to-certificate and --to-key")]
    RelayIncomplete(&'static str),
    /// The address of the aggregator is none. It is not told: a password may be in it.
    #[error("--to: must be like https://nodeward.example.org:7444, without path or password")]
    RelayTo,
    /// A relay serves nobody.
    #[error("--tls-listen is needed: agents reach a relay over TLS alone")]
    RelayUnreached,
    /// A file of TLS is given, and nothing is served over TLS.
    #[error("{0} without --tls-listen")]
    TlsUnused(&'static str),
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
        let Some(file) = from_file::<Self>(self.config.as_deref())? else { return Ok(self) };
        Ok(Self {
            config: self.config,
            store: self.store.or(file.store),
            grpc_listen: self.grpc_listen.or(file.grpc_listen),
            http_listen: self.http_listen.or(file.http_listen),
            tls_listen: self.tls_listen.or(file.tls_listen),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
            access: self.access.or(file.access),
            authority_certificate: self.authority_certificate.or(file.authority_certificate),
            authority_key: self.authority_key.or(file.authority_key),
            certificate_lifetime: self.certificate_lifetime.or(file.certificate_lifetime),
            admin_socket: self.admin_socket.or(file.admin_socket),
            feed: if self.feed.is_empty() { file.feed } else { self.feed },
            feed_interval: self.feed_interval.or(file.feed_interval),
            feed_ca: self.feed_ca.or(file.feed_ca),
            kubernetes: if self.kubernetes.is_empty() { file.kubernetes } else { self.kubernetes },
            agent_namespace: self.agent_namespace.or(file.agent_namespace),
            insecure_loopback: self.insecure_loopback || file.insecure_loopback,
            policy: self.policy.or(file.policy),
            log_json: self.log_json || file.log_json,
        })
    }

    /// The file of the embedded store.
    pub fn store(&self) -> Result<PathBuf, ConfigError> {
        let store = self.store.as_deref().ok_or(ConfigError::NoStore)?;
        sqlite::path_of(store).ok_or_else(|| ConfigError::Store(shown(store).into_owned()))
    }

    /// What is pulled, how often, and by whose authorities; none when nothing is.
    pub fn pull(&self) -> Result<Option<pull::Settings>, ConfigError> {
        if self.feed.is_empty() {
            return Ok(None);
        }
        let sources = self.feed.iter().map(|text| {
            pull::Source::read(text).ok_or_else(|| ConfigError::Feed(shown(text).into_owned()))
        });
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
        let agents = self.agent_namespace.as_deref().unwrap_or(cluster::AGENT_NAMESPACE);
        for text in &self.kubernetes {
            let source = cluster::Source::read(text, agents)
                .ok_or_else(|| ConfigError::Kubernetes(text.clone()))?;
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

    /// Where gRPC is served in plain text; none where it is not.
    pub fn grpc_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        const SETTING: &str = "--grpc-listen";
        if !self.insecure_loopback {
            return match (self.grpc_listen, self.tls_listen) {
                (_, None) => Err(ConfigError::NotSecured),
                (Some(_), _) => Err(ConfigError::PlainUnused),
                (None, Some(_)) => Ok(None),
            };
        }
        if is_in_cluster() {
            return Err(ConfigError::InCluster);
        }
        let address = self.grpc_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7443)));
        if address.ip().is_loopback() {
            Ok(Some(address))
        } else {
            Err(ConfigError::NotLoopback { setting: SETTING, address })
        }
    }

    /// Where HTTP is served. It has nothing but health and metrics, so it may be anywhere.
    #[must_use]
    pub fn http_listen(&self) -> SocketAddr {
        self.http_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7480)))
    }

    /// Where other machines connect over TLS, and how; none when it is not asked for.
    pub fn tls(&self) -> Result<Option<TlsSettings>, ConfigError> {
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
        let [certificate, key, client_ca] =
            files.map(|(setting, path)| path.clone().ok_or(ConfigError::TlsIncomplete(setting)));
        let (certificate, key, client_ca) = (certificate?, key?, client_ca?);
        Ok(Some(TlsSettings { address, certificate, key, client_ca }))
    }

    /// The files of the authority that gives agents their certificates, and how long these are
    /// in force; none when nobody enrols.
    pub fn enrol(&self) -> Result<Option<(PathBuf, PathBuf, Duration)>, ConfigError> {
        let lifetime = match &self.certificate_lifetime {
            None => enrol::LIFETIME,
            Some(text) => text
                .parse::<SignedDuration>()
                .ok()
                .and_then(|length| Duration::try_from(length).ok())
                .filter(|length| (enrol::SHORTEST_LIFETIME..=enrol::LIFETIME).contains(length))
                .ok_or_else(|| ConfigError::Lifetime(text.clone()))?,
        };
        match (&self.authority_certificate, &self.authority_key, self.tls_listen) {
            (None, None, _) => Ok(None),
            (None, Some(_), _) => Err(ConfigError::EnrolIncomplete("--authority-certificate")),
            (Some(_), None, _) => Err(ConfigError::EnrolIncomplete("--authority-key")),
            (Some(_), Some(_), None) => Err(ConfigError::EnrolIncomplete("--tls-listen")),
            (Some(certificate), Some(key), Some(_)) => {
                Ok(Some((certificate.clone(), key.clone(), lifetime)))
            }
        }
    }

    /// Who may do what. Without a file certificates alone count. Needs a runtime.
    pub fn access(&self) -> Result<Settings, ConfigError> {
        match &self.access {
            Some(path) => Ok(Settings::read(path)?),
            None => Ok(Settings::default()),
        }
    }

    /// The edition of the support policy.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        Ok(Policy::edition(self.policy.as_deref().unwrap_or(DEFAULT_EDITION))?)
    }
}

/// Settings from a TOML file, if one is named.
fn from_file<T: DeserializeOwned>(path: Option<&Path>) -> Result<Option<T>, ConfigError> {
    let Some(path) = path.map(Path::to_owned) else { return Ok(None) };
    let text = std::fs::read_to_string(&path)
        .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    toml::from_str(&text).map(Some).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        ConfigError::Malformed { path, why: format!("line {line}: {}", error.message()) }
    })
}

/// Whether this process runs in a pod: Kubernetes tells every one of them where its API is.
fn is_in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_needs_its_flag_and_loopback() {
        assert!(matches!(Config::default().grpc_listen(), Err(ConfigError::NotSecured)));
        let mut config = Config { insecure_loopback: true, ..Config::default() };
        assert!(config.grpc_listen().is_ok());
        config.grpc_listen = "0.0.0.0:80".parse().ok();
        let error = config.grpc_listen().expect_err("every address").to_string();
        assert!(error.contains("--grpc-listen 0.0.0.0:80"), "{error}");
        let tls = "127.0.0.1:1".parse().ok();
        let mut config = Config { tls_listen: tls, ..Config::default() };
        assert!(matches!(config.grpc_listen(), Ok(None)));
        config.grpc_listen = "127.0.0.1:2".parse().ok();
        assert!(matches!(config.grpc_listen(), Err(ConfigError::PlainUnused)));
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
