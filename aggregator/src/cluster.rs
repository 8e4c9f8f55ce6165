//! The watch of clusters: what their API servers say of nodes, of the pods that a cluster
//! stands on, of budgets of disruption, and of events about nodes. It is asked for with the
//! rights to get, list and watch these four and nothing else (docs/cluster.md), and put into
//! the fleet as what it is: components that no agent may speak for.
//!
//! [`follow`](self) lists and watches each kind, [`convert`](self) is the edge to the domain,
//! [`keep`](self) holds what was told and hands on what has changed.

mod ask;
mod convert;
mod events;
mod follow;
mod keep;
mod pods;
mod selector;
mod texts;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use nodeward_domain::facts::{NodeObject, SystemPods};
use nodeward_feeds::causes::with_causes;
use tokio::sync::mpsc;

pub use convert::Unreadable;

use crate::fleet::Fleet;
use crate::kubernetes::is_of_credential;
use crate::metrics::Metrics;
use crate::store::Store;
use ask::Asker;
use follow::{Delay, Follower, Kind};
use keep::{Keeper, Pulses};
use pods::Pods;

/// A connection to an API server must stand in this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The namespace that `manifests/` put agents in.
pub const AGENT_NAMESPACE: &str = "nodeward";

/// So much news may wait to be taken. A page of a list is one, and has some megabytes.
const NEWS: usize = 2;

/// A cluster whose API server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The cluster's name.
    pub cluster: String,
    /// Where its kubeconfig lies; none inside of the cluster itself, whose service account is
    /// used.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of its agents: whoever may make pods elsewhere makes none of ours.
    pub agent_namespace: String,
}

impl Source {
    /// Reads `CLUSTER` or `CLUSTER=KUBECONFIG`. None of anything else.
    #[must_use]
    pub fn read(text: &str, agent_namespace: &str) -> Option<Self> {
        let (cluster, kubeconfig) = match text.split_once('=') {
            Some((_, "")) => return None,
            Some((cluster, path)) => (cluster, Some(PathBuf::from(path))),
            None => (text, None),
        };
        crate::peer::is_name(cluster).then(|| Self {
            cluster: cluster.to_owned(),
            kubeconfig,
            agent_namespace: agent_namespace.to_owned(),
        })
    }
}

/// How patient the watch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects of one page of a list.
    pub page: u32,
    /// After so many seconds the API server ends a watch in order.
    pub watch_seconds: u32,
    /// An answer goes on within this time or is given up. API servers send a bookmark every
    /// minute.
    pub idle: Duration,
    /// How long to wait before a question is asked again, at first and at most.
    pub backoff: Duration,
    /// See `backoff`.
    pub backoff_most: Duration,
    /// After so long without an answer nothing of what was said is believed any more.
    pub silence: SignedDuration,
    /// What has changed is committed this often.
    pub flush: Duration,
    /// What has not changed is observed anew this often.
    pub repeat: Duration,
    /// How often the API server's version is asked for.
    pub version: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page: 500,
            watch_seconds: 290,
            idle: Duration::from_secs(150),
            backoff: Duration::from_millis(800),
            backoff_most: Duration::from_secs(30),
            silence: SignedDuration::from_mins(5),
            flush: Duration::from_secs(1),
            repeat: Duration::from_secs(60),
            version: Duration::from_secs(60),
        }
    }
}

/// Why a cluster cannot be watched. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error("{path}: {why}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// We are not inside of a cluster, or have no service account there.
    #[error("the service account of this cluster cannot be used: {0}")]
    InCluster(String),
    /// No client can be made of what was read.
    #[error("no client for its API server: {0}")]
    Client(String),
}

/// The watch of one cluster, ready to begin.
pub struct Watch {
    source: Source,
    config: kube::Config,
    /// None where the program of a kubeconfig did not give its credential yet.
    client: Option<kube::Client>,
    limits: Limits,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("cluster", &self.source.cluster).finish_non_exhaustive()
    }
}

impl Watch {
    /// The watch of that cluster. Nothing is asked yet.
    pub async fn open(source: &Source, limits: Limits) -> Result<Self, ClusterError> {
        let mut config = match &source.kubeconfig {
            Some(path) => of_kubeconfig(path).await?,
            None => kube::Config::incluster()
                .map_err(|error| ClusterError::InCluster(with_causes(&error)))?,
        };
        config.connect_timeout = Some(CONNECT_LIMIT);
        // Each kind waits by itself, as long as the server asks for.
        config.default_retry = false;
        let client = match kube::Client::try_from(config.clone()) {
            Ok(client) => Some(client),
            // A program that fails now may not fail the next time, and stops nothing else.
            Err(error) if is_of_credential(&error) => {
                let (cluster, why) = (&source.cluster, ask::causes_of(&error));
                tracing::error!(cluster, why, "the cluster is not watched yet");
                None
            }
            Err(error) => return Err(ClusterError::Client(ask::causes_of(&error))),
        };
        Ok(Self { source: source.clone(), config, client, limits })
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.source.cluster
    }

    /// Watches for ever.
    pub async fn run(self, fleet: Arc<Fleet>, store: Arc<dyn Store>, metrics: Arc<Metrics>) {
        let Self { source, config, client, limits } = self;
        let Source { cluster, agent_namespace, .. } = source;
        let (sender, news) = mpsc::channel(NEWS);
        let pulses = Pulses::default();
        let asking = async {
            let client = match client {
                Some(client) => client,
                None => client_of(&config, &pulses, limits).await,
            };
            let asker = Asker::new(client, limits.idle);
            let follower = |kind: Kind| {
                let follower = Follower {
                    cluster: cluster.clone(),
                    kind,
                    asker: asker.clone(),
                    limits,
                    pulse: pulses.of(kind).clone(),
                    news: sender.clone(),
                    metrics: Arc::clone(&metrics),
                };
                follower.run()
            };
            let [nodes, pods, budgets, events] = Kind::ALL.map(follower);
            // Before nodes are listed every name that an event is about is a stranger's.
            let events = async {
                pulses.of(Kind::Nodes).settled().await;
                events.await;
            };
            let version = ask_version(&asker, &pulses, limits);
            tokio::join!(nodes, pods, budgets, events, version);
        };
        let pods = Pods::new(agent_namespace);
        let keeper = Keeper::new(cluster.clone(), limits, pulses.clone(), pods, fleet, store);
        tokio::join!(asking, keeper.run(news));
    }
}

/// A client, once the program of the kubeconfig gives its credential. Nothing is known of the
/// cluster until then, and said so.
async fn client_of(config: &kube::Config, pulses: &Pulses, limits: Limits) -> kube::Client {
    let mut delay = Delay::new(&limits);
    loop {
        let error = match kube::Client::try_from(config.clone()) {
            Ok(client) => return client,
            Err(error) => ask::AskError::Lost(ask::causes_of(&error)),
        };
        for kind in Kind::ALL {
            pulses.of(kind).failed(&error);
        }
        pulses.version.failed(&error);
        delay.wait(None).await;
    }
}

async fn of_kubeconfig(path: &Path) -> Result<kube::Config, ClusterError> {
    let failed = |why: String| ClusterError::Kubeconfig { path: path.to_owned(), why };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| {
        failed(match error {
            // What cannot be read may be shown by its reader, and is next to credentials.
            KubeconfigError::Parse(_) => "it is not a kubeconfig".to_owned(),
            other => with_causes(&other),
        })
    })?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| failed(with_causes(&error)))
}

/// The facts that a node's object, its pods and events about it make, each as the API server
/// writes it in JSON: what a watch would show of that node. Pods of other nodes and events about
/// other objects are left out.
///
/// # Errors
/// When one of them is not of its kind, or the node is not named or dated as nodes are.
pub fn facts_of(
    node: &str,
    pods: &[String],
    events: &[String],
    now: Timestamp,
) -> Result<(NodeObject, SystemPods), Unreadable> {
    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
        serde_json::from_str(text).map_err(|error| Unreadable::Shape(error.to_string()))
    }
    let (name, mut object) = convert::node(read(node)?, &mut texts::Texts::default(), now)?;
    let mut kept = Pods::new(AGENT_NAMESPACE.to_owned());
    for pod in pods {
        kept.take(read(pod)?);
    }
    let mut told = events::Events::default();
    for event in events {
        if let Some(event) = convert::event(read(event)?, now) {
            told.take(event, true, now);
        }
    }
    object.events = told.of(&name, &object, now);
    let pods = kept.of_node(&name);
    Ok((object, pods))
}

/// Asks for the version now and then: it changes with every upgrade.
async fn ask_version(asker: &Asker, pulses: &Pulses, limits: Limits) {
    let mut delay = Delay::new(&limits);
    loop {
        match asker.version().await {
            Ok(version) => {
                pulses.told_version(version);
                delay.reset();
                tokio::time::sleep(limits.version).await;
            }
            Err(error) => {
                let after = match &error {
                    ask::AskError::Busy { after, .. } => *after,
                    _ => None,
                };
                pulses.version.failed(&error);
                delay.wait(after).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_a_kubeconfig_that_cannot_be_used_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for text in [
            "users: [{name: a, user: {token: s3cret}}\n",
            "users:\n- name: a\n  user:\n    token: s3cret\n  : [\n",
            "apiVersion: v1\nclusters: s3cret\n",
            "apiVersion: v1\nusers: [{name: a, user: {token: {s3cret: 1}}}]\n",
            "apiVersion: v1\nkind: Config\n",
        ] {
            std::fs::write(file.path(), text).expect("written");
            let kubeconfig = Some(file.path().to_owned());
            let agent_namespace = AGENT_NAMESPACE.to_owned();
            let source = Source { cluster: "c".to_owned(), kubeconfig, agent_namespace };
            let refused = Watch::open(&source, Limits::default()).await.expect_err(text);
            let refused = refused.to_string();
            assert!(!refused.contains("s3cret"), "{refused}");
            assert!(refused.starts_with(&file.path().display().to_string()), "{refused}");
        }
    }

    #[test]
    fn a_cluster_has_a_name_and_may_have_a_kubeconfig() {
        let read =
            |text| Source::read(text, AGENT_NAMESPACE).map(|one| (one.cluster, one.kubeconfig));
        assert_eq!(read("prod"), Some(("prod".to_owned(), None)));
        let path = PathBuf::from("/etc/prod=1.yaml");
        assert_eq!(read("prod=/etc/prod=1.yaml"), Some(("prod".to_owned(), Some(path))));
        for wrong in ["", "=", "prod=", "=/etc/x", "Prod", "a b=/etc/x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
