//! Serving: opens store and sockets, loads the fleet, answers until it is told to
//! stop, and then commits what is under way.

mod admin_socket;
mod error;
mod relay;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nodeward_proto::authority::Authority;
use nodeward_proto::v1::admin_service_server::AdminServiceServer;
use nodeward_proto::v1::enrol_service_server::EnrolServiceServer;
use nodeward_proto::v1::plan_service_server::PlanServiceServer;
use nodeward_proto::v1::query_service_server::QueryServiceServer;
use nodeward_proto::v1::report_service_server::ReportServiceServer;
use nodeward_proto::{DESCRIPTOR_SET, MESSAGE_LIMIT_BYTES};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use crate::access::{self, Access};
use crate::admin::Admin;
use crate::advisories::Advisories;
use crate::cluster;
use crate::config::Config;
use crate::connections::{self, Connections};
use crate::enrol::{self, Enrol};
use crate::fleet::Fleet;
use crate::import::Importer;
use crate::ingest::Ingest;
use crate::metrics::{Certificates, Metrics};
use crate::peer::{Authenticator, ByConnection, CertificateAuthenticator, LoopbackAuthenticator};
use crate::plans::Plans;
use crate::pull::{self, Puller};
use crate::query::Query;
use crate::reload::{self, ReloadError, Reloaded};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use crate::{health, http, tls};

pub use error::ServeError;
pub use relay::relay;

/// What moves with every report is saved this often, and unused contents forgotten.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// A request that takes longer is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Requests under way get this long to end once the aggregator stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Requests that one connection may have under way. Further ones have to wait for that.
const REQUESTS_PER_CONNECTION: u32 = 64;

/// A connection of another machine is ended after this long, so that authorities that are not
/// trusted any more, and certificates that were replaced, go out of use.
const CONNECTION_AGE: Duration = Duration::from_secs(3600);

/// So long before its end a certificate is told of.
const EXPIRES_SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// An aggregator that is ready to serve.
pub struct Aggregator {
    grpc: Option<TcpListener>,
    door: Door,
    http: TcpListener,
    admin: Option<(UnixListener, PathBuf)>,
    pull: Option<pull::Settings>,
    clusters: Vec<cluster::Watch>,
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    authenticator: Arc<dyn Authenticator>,
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregator").finish_non_exhaustive()
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> Result<(), ServeError> {
    let stopped = stopped_by_signals()?;
    Aggregator::open(config).await?.serve(stopped).await
}

/// Becomes true with SIGTERM or SIGINT.
fn stopped_by_signals() -> Result<watch::Receiver<bool>, ServeError> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("aggregator stops");
        stop.send_replace(true);
    });
    Ok(stopped)
}

/// How other machines connect and how agents enrol, opened.
struct Door {
    tls: Option<TcpListener>,
    certificates: Certificates,
    lifetime: Duration,
    access: Arc<Access>,
}

impl Door {
    async fn open(config: &Config) -> Result<Self, ServeError> {
        let mut certificates = Certificates::default();
        let tls = match config.tls()? {
            Some(settings) => {
                let shown = settings.open().map_err(ServeError::Tls)?;
                certificates.tls = Some(Arc::new(shown));
                Some(listen("--tls-listen", settings.address).await?)
            }
            None => None,
        };
        let mut lifetime = enrol::LIFETIME;
        if let Some((certificate, key, lasts)) = config.enrol()? {
            let authority = authority(certificate, key).map_err(ServeError::Authority)?;
            certificates.authority = Some(Arc::new(authority));
            lifetime = lasts;
        }
        let access = Arc::new(Access::new(config.access()?));
        Ok(Self { tls, certificates, lifetime, access })
    }

    /// Enrolment, where an authority gives certificates.
    fn enrol(&self) -> Option<EnrolServiceServer<Enrol>> {
        let (authority, trusted) =
            self.certificates.authority.clone().zip(self.certificates.tls.clone())?;
        let enrol = Enrol::new(Arc::clone(&self.access), authority, self.lifetime, trusted);
        Some(EnrolServiceServer::new(enrol).max_decoding_message_size(MESSAGE_LIMIT_BYTES))
    }
}

impl Aggregator {
    /// Opens sockets and store, and loads the fleet.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        let path = config.store()?;
        let policy = config.policy()?;
        let pull = config.pull()?;
        let clusters = config.clusters().await?;
        // Sockets first: whoever finds his port taken leaves no store behind.
        let grpc = match config.grpc_listen()? {
            Some(address) => Some(listen("--grpc-listen", address).await?),
            None => None,
        };
        let http = listen("--http-listen", config.http_listen()).await?;
        let door = Door::open(config).await?;
        let admin = match &config.admin_socket {
            Some(path) => Some((admin_socket::listen(path).await?, path.clone())),
            None => None,
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path)?);
        let edition = policy.edition.clone();
        let (advisories, spoilt) = Advisories::load(store.as_ref()).await?;
        for error in &spoilt {
            tracing::error!(%error, "a feed or a document is spoilt and left out until it is imported again");
        }
        let now = jiff::Timestamp::now();
        let fleet = Arc::new(Fleet::load(policy, advisories, store.as_ref(), now).await?);
        let nodes = fleet.rows(&crate::fleet::Filter::default(), jiff::Timestamp::now()).len();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            store = %path.display(),
            grpc = grpc.as_ref().map(address),
            http = %address(&http),
            tls = door.tls.as_ref().map(address),
            policy = edition,
            nodes,
            "aggregator starts"
        );
        let metrics = Arc::new(Metrics::new(Arc::clone(&fleet), door.certificates.clone()));
        let plain = match grpc {
            Some(_) => Some(LoopbackAuthenticator::new(store_id(store.as_ref()).await?)),
            None => None,
        };
        let authenticator = Arc::new(ByConnection { plain, tls: CertificateAuthenticator });
        Ok(Self { grpc, door, http, admin, pull, clusters, store, fleet, metrics, authenticator })
    }

    /// Serves until it is told to stop, then commits what is under way.
    pub async fn serve(self, stopped: watch::Receiver<bool>) -> Result<(), ServeError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let ingest = Ingest::new(
            Arc::clone(&self.fleet),
            Arc::clone(&self.store),
            self.authenticator,
            Arc::clone(&self.metrics),
        );
        let ingest =
            ReportServiceServer::new(ingest).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let query = Query::new(Arc::clone(&self.fleet), Arc::clone(&self.door.access));
        let query = QueryServiceServer::new(query).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let (fleet, store) = (Arc::clone(&self.fleet), Arc::clone(&self.store));
        let plans = Plans::load(fleet, store, Arc::clone(&self.door.access)).await?;
        let plans = PlanServiceServer::new(plans).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        reporter.set_serving::<ReportServiceServer<Ingest>>().await;
        reporter.set_serving::<PlanServiceServer<Plans>>().await;
        reporter.set_serving::<QueryServiceServer<Query>>().await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let limit = connections::limit();
        let importer = Importer::new(Arc::clone(&self.fleet), Arc::clone(&self.store));
        let puller = self.pull.map(|settings| Puller::new(settings, importer.clone()));
        let admin = Admin::new(importer, puller.clone(), Arc::clone(&self.door.access));
        let admin = AdminServiceServer::new(admin).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let enrol = self.door.enrol();
        let certificates = self.door.certificates;
        let of_others = self.door.tls.zip(certificates.tls.clone()).map(|(listener, shown)| {
            server_for_others()
                .add_service(health.clone())
                .add_service(InterceptedService::new(ingest.clone(), access::shows_certificate))
                .add_service(InterceptedService::new(query.clone(), access::shows_credential))
                .add_service(InterceptedService::new(plans.clone(), access::shows_credential))
                .add_service(InterceptedService::new(admin.clone(), access::shows_credential))
                .add_optional_service(enrol)
                .serve_with_incoming_shutdown(
                    tls::incoming(Connections::of(listener, limit), shown),
                    told_to_stop(stopped.clone()),
                )
        });
        let of_others = served(of_others);
        let of_this_machine = match self.grpc {
            Some(listener) => {
                let server = server()
                    .add_service(health)
                    .add_service(reflection().build_v1()?)
                    // Many tools still ask the older one alone.
                    .add_service(reflection().build_v1alpha()?)
                    .add_service(ingest)
                    .add_service(query)
                    .add_service(plans);
                let connections = Connections::of(listener, limit).into_stream();
                let stop = told_to_stop(stopped.clone());
                Some(server.serve_with_incoming_shutdown(connections, stop))
            }
            None => None,
        };
        let of_this_machine = served(of_this_machine);
        let admin = serve_admin(self.admin, admin, stopped.clone());
        let router = http::router(Arc::clone(&self.store), Arc::clone(&self.metrics));
        let http = axum::serve(Connections::of(self.http, limit), router)
            .with_graceful_shutdown(told_to_stop(stopped.clone()))
            .into_future();
        let late = async {
            told_to_stop(stopped.clone()).await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        let served = async {
            let (grpc, tls, admin, http) = tokio::join!(of_this_machine, of_others, admin, http);
            grpc.and(tls).and(admin).map_err(ServeError::from).and(http.map_err(ServeError::Http))
        };
        let watches = watch_for_ever(self.clusters, &self.fleet, &self.store, &self.metrics);
        let result = tokio::select! {
            result = served => result,
            () = save_for_ever(&self.fleet, self.store.as_ref()) => Ok(()),
            () = pull_for_ever(puller) => Ok(()),
            () = watches => Ok(()),
            () = look_for_ever(&certificates) => Ok(()),
            () = health::tell::<ReportServiceServer<Ingest>>(self.store.as_ref(), &reporter) => Ok(()),
            () = late => {
                tracing::warn!("connections were still open when the time to stop was over");
                Ok(())
            }
        };
        // Whatever failed before, the store is left in order.
        let saved = self.store.save_seen(self.fleet.take_unsaved()).await;
        let closed = self.store.close().await;
        result.and(saved.and(closed).map_err(ServeError::from))
    }
}

/// A server with the limits that hold for every connection.
fn server() -> Server {
    Server::builder()
        .timeout(REQUEST_LIMIT)
        .max_concurrent_streams(REQUESTS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
}

/// The same for other machines. An import may take its time; what agents send is limited where
/// it is taken.
fn server_for_others() -> Server {
    Server::builder()
        .max_concurrent_streams(REQUESTS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .max_connection_age(CONNECTION_AGE)
}

/// Serves, if there is something to serve.
async fn served(
    serving: Option<impl Future<Output = Result<(), tonic::transport::Error>>>,
) -> Result<(), tonic::transport::Error> {
    match serving {
        Some(serving) => serving.await,
        None => Ok(()),
    }
}

/// The authority that gives agents their certificates.
fn authority(certificate: PathBuf, key: PathBuf) -> Result<Reloaded<Authority>, ReloadError> {
    Reloaded::open("authority", vec![certificate, key], |contents| {
        let text = |index: usize| contents.get(index).and_then(|one| std::str::from_utf8(one).ok());
        let (certificate, key) = text(0).zip(text(1)).ok_or("is not text")?;
        Authority::from_pem(certificate, key).map_err(|error| error.to_string())
    })
}

/// Looks whether certificates have changed, and says when one is about to end.
async fn look_for_ever(certificates: &Certificates) {
    let mut ticks = tokio::time::interval(reload::EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = BTreeSet::new();
    loop {
        ticks.tick().await;
        certificates.look();
        let soon = jiff::Timestamp::now() + EXPIRES_SOON;
        for (certificate, end) in certificates.ends() {
            // Each is told once, and its successor is another one.
            if end <= soon && told.insert((certificate, end)) {
                tracing::warn!(certificate, expires_at = %end, "a certificate is about to expire");
            }
        }
    }
}

/// Serves administrators on their socket, if there is one. An import may take its time.
async fn serve_admin(
    admin: Option<(UnixListener, PathBuf)>,
    service: AdminServiceServer<Admin>,
    stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let Some((listener, path)) = admin else { return Ok(()) };
    let served = Server::builder()
        .max_concurrent_streams(REQUESTS_PER_CONNECTION)
        .add_service(service)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), told_to_stop(stopped))
        .await;
    // Whoever comes next must not take it for one that serves.
    let _ = std::fs::remove_file(path);
    served
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let mut example = address;
        example.set_port(address.port().checked_add(1000).unwrap_or(17443));
        ServeError::Listen { setting, address, example, source }
    })
}

/// Where a socket listens: with port 0 the system has chosen.
fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An end of the channel is as good as the word.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Saves what moves with every report, and forgets contents that nobody has.
async fn save_for_ever(fleet: &Fleet, store: &dyn Store) {
    let mut ticks = tokio::time::interval(SAVE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let unsaved = fleet.take_unsaved();
        if !unsaved.is_empty()
            && let Err(error) = store.save_seen(unsaved).await
        {
            tracing::error!(%error, "times of last reports were not saved");
        }
        fleet.forget_unused();
    }
}

/// Pulls feeds, if any are configured.
async fn pull_for_ever(puller: Option<Puller>) {
    match puller {
        Some(puller) => puller.run().await,
        None => std::future::pending().await,
    }
}

/// Watches clusters, if any are configured. Each runs by itself.
async fn watch_for_ever(
    watches: Vec<cluster::Watch>,
    fleet: &Arc<Fleet>,
    store: &Arc<dyn Store>,
    metrics: &Arc<Metrics>,
) {
    let asked = watches.iter().map(|watch| watch.cluster().to_owned()).collect();
    if let Err(error) = fleet.nobody_asks(store, &asked, jiff::Timestamp::now()).await {
        tracing::error!(%error, "what API servers once said was not taken back");
    }
    let mut running = tokio::task::JoinSet::new();
    for watch in watches {
        running.spawn(watch.run(Arc::clone(fleet), Arc::clone(store), Arc::clone(metrics)));
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "the watch of a cluster broke off");
        }
    }
    std::future::pending::<()>().await;
}

/// What names the store to the peers of this machine, see `LoopbackAuthenticator`: random,
/// made once.
async fn store_id(store: &dyn Store) -> Result<String, StoreError> {
    let random = tokio::fs::read_to_string("/proc/sys/kernel/random/uuid")
        .await
        .unwrap_or_else(|_| jiff::Timestamp::now().to_string());
    store.setting("store_id", random.trim().to_owned()).await
}
