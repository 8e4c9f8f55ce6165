//! A fleet that watches clusters' API servers, in the process of the test and with little
//! patience, on a store of the test; and objects for those servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nodeward_aggregator::advisories::Advisories;
use nodeward_aggregator::cluster::{AGENT_NAMESPACE, Limits, Source, Watch};
use nodeward_aggregator::fleet::{Fleet, KnownCluster};
use nodeward_aggregator::ingest::Ingest;
use nodeward_aggregator::metrics::Metrics;
use nodeward_aggregator::peer::{Authenticator, Peer};
use nodeward_aggregator::store::sqlite::SqliteStore;
use nodeward_aggregator::store::{ChangeNumber, Store};
use nodeward_domain::answer::{ComponentAnswer, NodeAnswer};
use nodeward_domain::component::Component;
use nodeward_domain::facts::NodeObject;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_server::ReportService as _;
use serde_json::{Value, json};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::api_server::{ADMIN_TOKEN, ApiServer};

/// Whatever is waited for must come in this time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Little patience.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        page: 50,
        watch_seconds: 60,
        idle: Duration::from_secs(2),
        backoff: Duration::from_millis(20),
        backoff_most: Duration::from_millis(100),
        silence: SignedDuration::from_millis(1500),
        flush: Duration::from_millis(20),
        repeat: Duration::from_millis(100),
        version: Duration::from_millis(100),
    }
}

/// A fleet and its watches.
pub struct Watched {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    watches: Vec<tokio::task::JoinHandle<()>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Watched {
    /// The fleet of the store in that folder, which watches nothing yet.
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub async fn load(folder: &Path) -> Self {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&folder.join("store.db")).expect("a store"));
        let policy = Policy::edition(DEFAULT_EDITION).expect("the edition");
        let advisories = Advisories::starter().expect("the starter feed");
        let fleet = Fleet::load(policy, advisories, &*store, Timestamp::now()).await;
        let fleet = Arc::new(fleet.expect("a fleet"));
        let metrics = Arc::new(Metrics::new(Arc::clone(&fleet), Default::default()));
        Self { fleet, store, metrics, watches: Vec::new() }
    }

    /// Watches a server as a cluster of that name, as whoever shows that token.
    ///
    /// # Panics
    /// When its kubeconfig cannot be used.
    pub async fn watch_as(
        &mut self,
        cluster: &str,
        server: &ApiServer,
        token: &str,
        limits: Limits,
    ) {
        self.watch_by(cluster, server.kubeconfig(token), limits).await;
    }

    /// Watches by a kubeconfig as a cluster of that name.
    ///
    /// # Panics
    /// When it cannot be used.
    pub async fn watch_by(&mut self, cluster: &str, kubeconfig: PathBuf, limits: Limits) {
        let kubeconfig = Some(kubeconfig);
        let source = Source {
            cluster: cluster.to_owned(),
            kubeconfig,
            agent_namespace: AGENT_NAMESPACE.to_owned(),
        };
        let watch = Watch::open(&source, limits).await.expect("a watch");
        let (fleet, store, metrics) =
            (Arc::clone(&self.fleet), Arc::clone(&self.store), Arc::clone(&self.metrics));
        self.watches.push(tokio::spawn(watch.run(fleet, store, metrics)));
    }

    /// The same, with every right and little patience.
    pub async fn watch(&mut self, cluster: &str, server: &ApiServer) {
        server.bookmark_every(Duration::from_millis(100));
        self.watch_as(cluster, server, ADMIN_TOKEN, limits()).await;
    }

    /// Ends watches and store, as the end of the process does.
    ///
    /// # Panics
    /// When the store cannot be closed.
    pub async fn end(self) {
        for watch in &self.watches {
            watch.abort();
        }
        for watch in self.watches {
            let _ = watch.await;
        }
        self.store.save_seen(self.fleet.take_unsaved()).await.expect("saved");
        self.store.close().await.expect("closed");
    }

    /// Takes a report of that peer, as from a connection of its own.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn report(&self, peer: &Peer, report: v1::ReportRequest) -> Result<(), Status> {
        let (fleet, store) = (Arc::clone(&self.fleet), Arc::clone(&self.store));
        let authenticator = Arc::new(As(peer.clone()));
        let ingest = Ingest::new(fleet, store, authenticator, Arc::clone(&self.metrics));
        ingest.report(Request::new(report)).await.map(|_| ())
    }

    /// The answer about a node; none where the fleet has no such node.
    #[must_use]
    pub fn answer(&self, cluster: &str, node: &str) -> Option<NodeAnswer> {
        self.fleet.answer(cluster, node, Timestamp::now()).ok()
    }

    /// A component of the answer about a node; none where nobody has told of it.
    #[must_use]
    pub fn component(
        &self,
        cluster: &str,
        node: &str,
        component: Component,
    ) -> Option<ComponentAnswer> {
        let answer = self.answer(cluster, node)?;
        answer.components.into_iter().find(|one| one.component == component)
    }

    /// State and headline of what the API server says of a node.
    #[must_use]
    pub fn said(&self, cluster: &str, node: &str) -> Option<(String, String)> {
        let one = self.component(cluster, node, Component::NodeObject)?;
        Some((one.state, one.headline))
    }

    /// What the API server says of a node.
    #[must_use]
    pub fn object(&self, cluster: &str, node: &str) -> Option<Arc<NodeObject>> {
        let objects = self.fleet.node_objects(cluster);
        objects.into_iter().find(|(name, _)| name == node).map(|(_, object)| object)
    }

    /// What is known of a cluster.
    #[must_use]
    pub fn cluster(&self, cluster: &str) -> Option<Arc<KnownCluster>> {
        self.fleet.cluster(cluster)
    }

    /// The number of the store's last change.
    ///
    /// # Panics
    /// When the store does not say it.
    pub async fn changes(&self) -> ChangeNumber {
        self.store.load_since(ChangeNumber::default(), 1).await.expect("loaded").upto
    }
}

/// Waits until there is something to be seen.
///
/// # Panics
/// When there is not.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for: {what}");
        tokio::time::sleep(pause).await;
        // To look at thousands of nodes takes time that these need.
        pause = (pause * 5 / 4).min(Duration::from_millis(250));
    }
}

/// Believes everybody to be this one.
#[derive(Debug)]
struct As(Peer);

impl Authenticator for As {
    fn authenticate(&self, _: &MetadataMap, _: &Extensions) -> Result<Peer, Status> {
        Ok(self.0.clone())
    }
}

/// A node that is Ready, or is not.
#[must_use]
pub fn node(name: &str, ready: &str) -> Value {
    json!({
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.azure.com/agentpool": "apps",
                "kubernetes.io/hostname": name,
                "team": "payments",
            },
        },
        "spec": { "providerID": format!("azure:///{name}") },
        "status": {
            "conditions": [
                { "type": "DiskPressure", "status": "False", "reason": "KubeletHasNoDiskPressure",
                  "message": "kubelet has no disk pressure",
                  "lastHeartbeatTime": "2026-11-24T11:00:00Z",
                  "lastTransitionTime": "2026-11-24T10:00:00Z" },
                { "type": "Ready", "status": ready, "reason": "KubeletReady",
                  "message": "kubelet is posting ready status",
                  "lastHeartbeatTime": "2026-11-24T11:00:00Z",
                  "lastTransitionTime": "2026-11-24T10:00:00Z" },
            ],
            "nodeInfo": { "operatingSystem": "linux", "osImage": "Ubuntu 22.04.5 LTS",
                          "kubeletVersion": "v1.34.9", "kernelVersion": "5.15.0-1102-azure" },
        },
    })
}

/// A pod that is ready.
#[must_use]
pub fn pod(namespace: &str, name: &str, node: &str, app: &str) -> Value {
    json!({
        "kind": "Pod",
        "metadata": { "namespace": namespace, "name": name, "labels": { "app": app },
                      "ownerReferences": [{ "kind": "DaemonSet", "name": app,
                                            "controller": true }] },
        "spec": { "nodeName": node, "containers": [{ "name": app, "image": "i" }] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True",
                             "lastTransitionTime": "2026-11-24T10:00:00Z" }],
            "containerStatuses": [{ "name": app, "ready": true, "restartCount": 0,
                                    "state": { "running": {} } }],
        },
    })
}

/// A budget of disruption over pods of that label.
#[must_use]
pub fn budget(namespace: &str, name: &str, app: &str) -> Value {
    json!({
        "kind": "PodDisruptionBudget",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": app } } },
        "status": { "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2,
                    "expectedPods": 2 },
    })
}

/// An event about a node.
#[must_use]
pub fn event(name: &str, node: &str, reason: &str, source: &str) -> Value {
    json!({
        "kind": "Event",
        "metadata": { "namespace": "default", "name": name },
        "involvedObject": { "kind": "Node", "name": node, "uid": node },
        "reason": reason, "message": format!("{reason} of {node}"), "type": "Normal",
        "source": { "component": source }, "count": 1,
    })
}
