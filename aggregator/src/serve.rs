//! Serving: opens store and sockets, loads the fleet, answers until it is told to
//! stop, and then commits what is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nodeward_proto::v1::query_service_server::QueryServiceServer;
use nodeward_proto::v1::report_service_server::ReportServiceServer;
use nodeward_proto::{DESCRIPTOR_SET, MESSAGE_LIMIT_BYTES};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::config::{Config, ConfigError};
use crate::fleet::Fleet;
use crate::http;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::peer::{Authenticator, ByConnection, CertificateAuthenticator, LoopbackAuthenticator};
use crate::query::Query;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// What moves with every report is saved this often, and unused contents forgotten.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// A request that takes longer is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Requests under way get this long to end once the aggregator stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Requests that one connection may have under way.
const REQUESTS_PER_CONNECTION: usize = 64;

/// Why an aggregator could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("{setting} {address}: {source}; choose another with {setting} {example}")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Another value that is likely to work.
        example: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Serving gRPC failed.
    #[error("gRPC: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// Certificates or key cannot be used.
    #[error("--tls-certificate, --tls-key, --tls-client-ca: {0}")]
    Tls(#[source] tonic::transport::Error),
    /// Serving HTTP failed.
    #[error("HTTP: {0}")]
    Http(#[source] std::io::Error),
    /// Reflection could not be set up.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
}

/// An aggregator that is ready to serve.
pub struct Aggregator {
    grpc: TcpListener,
    tls: Option<(TcpListener, ServerTlsConfig)>,
    http: TcpListener,
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
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    let aggregator = Aggregator::open(config).await?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("aggregator stops");
        stop.send_replace(true);
    });
    aggregator.serve(stopped).await
}

impl Aggregator {
    /// Opens sockets and store, and loads the fleet.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        let path = config.store()?;
        let policy = config.policy()?;
        // Sockets first: a second aggregator must not touch the store of the first.
        let grpc = listen("--grpc-listen", config.grpc_listen()?).await?;
        let http = listen("--http-listen", config.http_listen()?).await?;
        let tls = match config.tls()? {
            Some((address, tls)) => Some((listen("--tls-listen", address).await?, tls)),
            None => None,
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path)?);
        let edition = policy.edition.clone();
        let fleet = Arc::new(Fleet::load(policy, store.as_ref()).await?);
        let nodes = fleet.rows(&crate::fleet::Filter::default(), jiff::Timestamp::now()).len();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            store = %path.display(),
            grpc = %address(&grpc),
            http = %address(&http),
            tls = tls.as_ref().map(|(listener, _)| address(listener)),
            policy = edition,
            nodes,
            "aggregator starts"
        );
        let machine_id = machine_id(store.as_ref()).await?;
        let metrics = Arc::new(Metrics::new(Arc::clone(&fleet)));
        let plain = LoopbackAuthenticator::new(machine_id);
        let authenticator = Arc::new(ByConnection { plain, tls: CertificateAuthenticator });
        Ok(Self { grpc, tls, http, store, fleet, metrics, authenticator })
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
        let query = QueryServiceServer::new(Query::new(Arc::clone(&self.fleet)))
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        reporter.set_serving::<ReportServiceServer<Ingest>>().await;
        reporter.set_serving::<QueryServiceServer<Query>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        // Other machines report; questions are answered on this machine alone, as long as
        // nobody can show that he may ask them.
        let tls = serve_tls(self.tls, health.clone(), ingest.clone(), stopped.clone())?;
        let grpc = server()
            .add_service(health)
            .add_service(reflection)
            .add_service(ingest)
            .add_service(query)
            .serve_with_incoming_shutdown(
                TcpIncoming::from(self.grpc).with_nodelay(Some(true)),
                told_to_stop(stopped.clone()),
            );
        let router = http::router(Arc::clone(&self.store), Arc::clone(&self.metrics));
        let http = axum::serve(self.http, router)
            .with_graceful_shutdown(told_to_stop(stopped.clone()))
            .into_future();
        let limit = async {
            told_to_stop(stopped.clone()).await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        let served = async {
            let (grpc, tls, http) = tokio::join!(grpc, tls, http);
            grpc.and(tls).map_err(ServeError::from).and(http.map_err(ServeError::Http))
        };
        let result = tokio::select! {
            result = served => result,
            () = save_for_ever(&self.fleet, self.store.as_ref()) => Ok(()),
            () = limit => {
                tracing::warn!("connections were still open when the time to stop was over");
                Ok(())
            }
        };
        self.store.save_seen(self.fleet.take_unsaved()).await?;
        self.store.close().await?;
        result
    }
}

/// A server with the limits that hold for every connection.
fn server() -> Server {
    Server::builder()
        .timeout(REQUEST_LIMIT)
        .concurrency_limit_per_connection(REQUESTS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
}

/// Serves agents over mutual TLS, if that is asked for.
fn serve_tls<H>(
    tls: Option<(TcpListener, ServerTlsConfig)>,
    health: HealthServer<H>,
    ingest: ReportServiceServer<Ingest>,
    stopped: watch::Receiver<bool>,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>>, ServeError>
where
    H: Health,
{
    let served = tls
        .map(|(listener, tls)| {
            let served = server()
                .tls_config(tls)
                .map_err(ServeError::Tls)?
                .add_service(health)
                .add_service(ingest)
                .serve_with_incoming_shutdown(
                    TcpIncoming::from(listener).with_nodelay(Some(true)),
                    told_to_stop(stopped),
                );
            Ok::<_, ServeError>(served)
        })
        .transpose()?;
    Ok(async move {
        match served {
            Some(served) => served.await,
            None => Ok(()),
        }
    })
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

/// What names this machine: machine-id(5), or where there is none a random name that
/// the store keeps.
async fn machine_id(store: &dyn Store) -> Result<String, StoreError> {
    let own = tokio::fs::read_to_string("/etc/machine-id").await.unwrap_or_default();
    match own.trim() {
        "" | "uninitialized" => {
            let random = tokio::fs::read_to_string("/proc/sys/kernel/random/uuid")
                .await
                .unwrap_or_else(|_| jiff::Timestamp::now().to_string());
            store.setting("machine_id", random.trim().to_owned()).await
        }
        own => Ok(own.to_owned()),
    }
}
