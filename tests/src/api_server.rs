//! A stand-in for the Kubernetes API server, which no package registry has: nodes, pods,
//! disruption budgets, events, leases and namespaces to list and watch, TokenReview,
//! SelfSubjectReview and the issuer's keys, over TLS. It answers as a real one does; what a test
//! needs broken can be broken: compacted, throttled, slow, hung, gone, with a clock that is off.

mod answer;
pub mod objects;
mod serve;
mod table;
pub mod tokens;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::authority::Authority;
use crate::service::PATIENCE;
use objects::{Objects, Rights};
use tokens::{Issuer, Token};

/// The token of a user who may do everything.
pub const ADMIN_TOKEN: &str = "admin-of-the-tests";

/// What a stand-in was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with its query.
    pub path: String,
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never answers.
    Hang,
    /// It ends the connection without an answer.
    HangUp,
    /// It answers after this long.
    Slow(Duration),
    /// It answers 429 and says when to come again.
    TooManyRequests {
        /// In so many seconds.
        retry_after_seconds: u64,
    },
    /// It answers 500.
    Fails,
    /// It answers 410: from there nothing can go on.
    Forgotten,
    /// Somebody in its place answers 200 and an object without anything in it.
    Empty,
    /// Somebody in its place knows no such page.
    NoPage,
}

/// What open watches and connections are told.
#[derive(Debug, Clone, Default)]
struct Told {
    changes: u64,
    expired: u64,
    closed: u64,
    away: bool,
}

/// A fault, on which paths, how often.
#[derive(Debug)]
struct Broken {
    prefix: String,
    fault: Fault,
    times: usize,
}

struct State {
    objects: Objects,
    rights: Rights,
    issuer: Issuer,
    /// Names of users by their static token.
    users: BTreeMap<String, String>,
    broken: Vec<Broken>,
    asked: Vec<Asked>,
    clock_off: SignedDuration,
    stopped_at: Option<Timestamp>,
    bookmark_every: Duration,
    tells_nodes: bool,
    tells_audiences: bool,
}

impl State {
    fn now(&self) -> Timestamp {
        self.stopped_at.unwrap_or_else(|| Timestamp::now() + self.clock_off)
    }

    /// Notes a request, and says what is broken on its path.
    fn fault(&mut self, asked: Asked) -> Option<Fault> {
        let place = self.broken.iter().position(|one| asked.path.starts_with(&one.prefix));
        self.asked.push(asked);
        let broken = &mut self.broken[place?];
        broken.times -= 1;
        let fault = broken.fault;
        if broken.times == 0 {
            self.broken.remove(place?);
        }
        Some(fault)
    }
}

struct Shared {
    state: Mutex<State>,
    told: watch::Sender<Told>,
    /// How many connections are open.
    open: watch::Sender<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// An API server that a test has started; its end ends it.
pub struct ApiServer {
    shared: Arc<Shared>,
    authority: Authority,
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    folder: tempfile::TempDir,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// An empty one on loopback. [`ADMIN_TOKEN`] may do everything; every service account whose
    /// token is shown needs [`ApiServer::allow`].
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let authority = Authority::default();
        let shown = authority.server();
        let pem = |path| std::fs::read(path).expect("a file of the test");
        let certificates = pem(&shown.certificate);
        let chain = CertificateDer::pem_slice_iter(&certificates);
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_slice(&pem(&shown.key)).expect("a key");
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate and its key");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
        listener.set_nonblocking(true).expect("a socket of ours");
        let address = listener.local_addr().expect("it is bound");
        let mut rights = Rights::default();
        rights.allow("kubernetes-admin", "*", "*");
        let state = State {
            objects: Objects::default(),
            rights,
            issuer: Issuer::new(&format!("https://{address}")),
            users: BTreeMap::from([(ADMIN_TOKEN.to_owned(), "kubernetes-admin".to_owned())]),
            broken: Vec::new(),
            asked: Vec::new(),
            clock_off: SignedDuration::ZERO,
            stopped_at: None,
            bookmark_every: Duration::from_secs(1),
            tells_nodes: true,
            tells_audiences: true,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            told: watch::Sender::default(),
            open: watch::Sender::default(),
        });
        runtime.spawn(serve::serve(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            Arc::clone(&shared),
        ));
        let folder = tempfile::tempdir().expect("a folder");
        Self { shared, authority, address, runtime: Some(runtime), folder }
    }

    /// Its address, which is also the issuer of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A file with the authority that its certificate is signed by, PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.authority.certificate()
    }

    /// A kubeconfig file of whoever shows that token.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        let path =
            tempfile::tempdir_in(self.folder.path()).expect("a folder").keep().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: t\n\
             clusters: [{{name: t, cluster: {{server: '{}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: t, user: {{token: '{token}'}}}}]\n\
             contexts: [{{name: t, context: {{cluster: t, user: t}}}}]\n",
            self.url(),
            self.ca().display(),
        );
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A file with that token, for programs that read one.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn token_file(&self, token: &str) -> PathBuf {
        let path = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep().join("token");
        std::fs::write(&path, token).expect("written");
        path
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.lock());
        self.shared.told.send_modify(|told| told.changes += 1);
        changed
    }

    /// Creates or replaces an object, by its `kind`, namespace and name; answers it as it is held.
    pub fn put(&self, object: Value) -> Value {
        self.change(|state| {
            let now = state.now();
            state.objects.put(object, now)
        })
    }

    /// Holds the objects of a list that was captured, as they are.
    ///
    /// # Panics
    /// When it is no list.
    pub fn put_captured(&self, list: &Value) {
        let items = list["items"].as_array().expect("a list").clone();
        self.change(|state| items.into_iter().for_each(|one| state.objects.put_as_captured(one)));
    }

    /// Takes an object away.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) {
        let removed = self.change(|state| state.objects.remove(kind, namespace, name));
        assert!(removed, "{kind} {namespace}/{name} is not there");
    }

    /// The revision of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.lock().objects.revision()
    }

    /// Forgets all changes so far: a watch or a page that begins before is told 410.
    pub fn compact(&self) {
        self.change(|state| state.objects.compact());
    }

    /// Ends every watch with 410.
    pub fn expire_watches(&self) {
        self.shared.told.send_modify(|told| told.expired += 1);
    }

    /// Ends every watch, as a server does whose time for it is over.
    pub fn close_watches(&self) {
        self.shared.told.send_modify(|told| told.closed += 1);
    }

    /// Time between two bookmarks of watches that begin from now on.
    pub fn bookmark_every(&self, every: Duration) {
        self.shared.lock().bookmark_every = every;
    }

    /// Breaks the next `times` requests whose path begins so.
    pub fn break_path(&self, prefix: &str, fault: Fault, times: usize) {
        self.shared.lock().broken.push(Broken { prefix: prefix.to_owned(), fault, times });
    }

    /// Mends everything that was broken.
    pub fn mend(&self) {
        self.shared.lock().broken.clear();
        self.shared.told.send_modify(|told| told.away = false);
    }

    /// Ends all connections, and every new one at once, until it is mended. Comes back when
    /// none is open: what changes afterwards nobody hears of.
    ///
    /// # Panics
    /// When one stays open.
    pub fn go_away(&self) {
        self.shared.told.send_modify(|told| told.away = true);
        let deadline = Instant::now() + PATIENCE;
        while *self.shared.open.borrow() > 0 {
            assert!(Instant::now() < deadline, "a connection stays open");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets its clock be off by so much.
    pub fn set_clock_off(&self, by: SignedDuration) {
        self.shared.lock().clock_off = by;
    }

    /// Stops its clock.
    pub fn stop_clock_at(&self, instant: Timestamp) {
        self.shared.lock().stopped_at = Some(instant);
    }

    /// As before Kubernetes 1.30: tokens and reviews say nothing of a pod's node.
    pub fn tells_no_nodes(&self) {
        self.shared.lock().tells_nodes = false;
    }

    /// As an API server that knows nothing of audiences: its reviews do not tell for whom a token
    /// is good.
    pub fn tells_no_audiences(&self) {
        self.shared.lock().tells_audiences = false;
    }

    /// Lets a user, such as `system:serviceaccount:NAMESPACE:NAME`, do that; `*` stands for all
    /// verbs or all resources. A resource of a group is written `leases.coordination.k8s.io`.
    pub fn allow(&self, user: &str, verb: &str, resource: &str) {
        self.shared.lock().rights.allow(user, verb, resource);
    }

    /// Takes all rights of a user away.
    pub fn withdraw(&self, user: &str) {
        self.shared.lock().rights.withdraw(user);
    }

    /// Issues a token.
    #[must_use]
    pub fn token(&self, asked: &Token) -> String {
        let mut state = self.shared.lock();
        let claims = state.claims(asked);
        state.issuer.sign(asked.algorithm, &claims)
    }

    /// The claims of such a token, for one that is to be made otherwise.
    #[must_use]
    pub fn claims(&self, asked: &Token) -> Value {
        self.shared.lock().claims(asked)
    }

    /// Signs claims as they are.
    #[must_use]
    pub fn sign(&self, algorithm: jsonwebtoken::Algorithm, claims: &Value) -> String {
        self.shared.lock().issuer.sign(algorithm, claims)
    }

    /// The issuer's public keys.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.shared.lock().issuer.jwks()
    }

    /// Everything that it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }
}

impl State {
    fn claims(&mut self, asked: &Token) -> Value {
        let now = self.now();
        let mut claims = self.issuer.claims(asked, &self.objects, now);
        if !self.tells_nodes
            && let Some(told) = claims["kubernetes.io"].as_object_mut()
        {
            told.remove("node");
        }
        claims
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Watches last, and nobody waits for them.
            runtime.shutdown_background();
        }
    }
}
