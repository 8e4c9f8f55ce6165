//! A relay: takes the reports of one cluster's nodes as an aggregator does, and hands them on
//! to another aggregator, as which of them they come from. It acknowledges what that one has
//! acknowledged and keeps nothing, so nothing can be lost in it. Whom it speaks for says its
//! own certificate, there and here.

mod metrics;
mod share;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_proto::identity::{Clusters, Identity, Role};
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_proto::v1::report_service_server::ReportService;
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Extensions, Request, Response, Status, Streaming};

pub use metrics::RelayMetrics;

use crate::metrics::Outcome;
use crate::peer::{Authenticator as _, CertificateAuthenticator, Peer, certificate};
use crate::reload::{ReloadError, Reloaded};
use crate::tls;
use share::Shares;

/// A connection must stand in this time, TLS and all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A call that takes longer is given up. The aggregator itself gives up after a minute.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Who uploads and then sends nothing for so long is given up.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// So often a connection on which nothing moves is asked whether it still stands.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where a relay hands on to, and what it shows there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the aggregator, https://HOST:PORT.
    pub url: String,
    /// Authorities that its certificate must be signed by, PEM.
    pub ca: PathBuf,
    /// The relay's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The way to the aggregator, as the files have it now.
#[derive(Debug)]
pub struct Way {
    reports: Channel,
    /// A connection of their own: uploads that stall must keep no report waiting.
    uploads: Channel,
    /// The cluster that this relay speaks for.
    pub cluster: String,
    /// The relay's own certificate is in force until then.
    pub certificate_expires_at: Timestamp,
}

impl Settings {
    /// Reads the files. Nothing is connected before the first report. Needs a runtime.
    pub fn open(&self) -> Result<Reloaded<Way>, ReloadError> {
        let files = vec![self.ca.clone(), self.certificate.clone(), self.key.clone()];
        let url = self.url.clone();
        Reloaded::open("way to the aggregator", files, move |contents| match contents {
            [ca, certificate, key] => way(&url, ca, certificate, key),
            _ => Err("three files are needed".to_owned()),
        })
    }
}

fn way(url: &str, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Way, String> {
    let leaf = CertificateDer::from_pem_slice(certificate)
        .map_err(|_| "the relay's certificate cannot be read".to_owned())?;
    // One that is not in force yet is shown from now on all the same: the aggregator says so
    // until it is, and nobody has to touch the file again.
    let from = tls::in_force_from(&leaf).unwrap_or_default();
    let identity = certificate::identity(&leaf, Timestamp::now().max(from));
    let cluster = match identity.map_err(|status| status.message().to_owned())? {
        Identity::Holder { role: Role::Relay, clusters: Clusters::Only(names), .. } => {
            names.into_iter().next().ok_or("the certificate names no cluster")?
        }
        other => return Err(format!("{other}: is no relay's certificate")),
    };
    let certificate_expires_at =
        tls::expires_at(&leaf).ok_or("the certificate's end cannot be read")?;
    let shown = tonic::transport::Identity::from_pem(certificate, key);
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).identity(shown);
    // What is wrong with a key is not told.
    let unusable = "authorities, certificate or key cannot be used";
    let endpoint = Endpoint::from_shared(url.to_owned())
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|_| unusable.to_owned())?
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_while_idle(true);
    let (reports, uploads) = (endpoint.connect_lazy(), endpoint.connect_lazy());
    Ok(Way { reports, uploads, cluster, certificate_expires_at })
}

/// Takes reports and contents, and hands them on.
#[derive(Debug)]
pub struct Relay {
    way: Arc<Reloaded<Way>>,
    metrics: Arc<RelayMetrics>,
    reports: Shares,
    uploads: Shares,
}

impl Relay {
    /// Hands on over that way.
    #[must_use]
    pub fn new(way: Arc<Reloaded<Way>>, metrics: Arc<RelayMetrics>) -> Self {
        Self { way, metrics, reports: Shares::default(), uploads: Shares::default() }
    }

    /// Who speaks, if it is a node of the cluster, and the way on.
    fn peer(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(Peer, Arc<Way>), Status> {
        let peer = CertificateAuthenticator.authenticate(metadata, extensions)?;
        let way = self.way.get();
        if peer.cluster == way.cluster {
            return Ok((peer, way));
        }
        let (cluster, claimed) = (&way.cluster, &peer.cluster);
        tracing::warn!(cluster, claimed, node = peer.node, "refused: a node of another cluster");
        Err(Status::permission_denied("this relay speaks for another cluster"))
    }

    async fn hand_on(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        report: v1::ReportRequest,
    ) -> Result<v1::ReportResponse, Status> {
        let (peer, way) = self.peer(metadata, extensions)?;
        let _share = self.reports.take(&peer.node).ok_or_else(|| too_many(&peer))?;
        let request = speaking_for(&peer, report)?;
        let answered = ReportServiceClient::new(way.reports.clone()).report(request).await;
        let mut answer = answered.map_err(|status| heard(&status))?.into_inner();
        // Where the aggregator is to be met is not for agents that cannot reach it.
        answer.endpoints.clear();
        Ok(answer)
    }

    async fn hand_on_content(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        mut parts: Streaming<v1::PutContentRequest>,
    ) -> Result<(), Status> {
        let (peer, way) = self.peer(metadata, extensions)?;
        let _share = self.uploads.take(&peer.node).ok_or_else(|| too_many(&peer))?;
        // Nothing is begun there before there is something to hand on.
        let first = next_part(&mut parts).await?;
        let (sends, forwarded) = mpsc::channel(1);
        let request = speaking_for(&peer, ReceiverStream::new(forwarded))?;
        let mut client = ReportServiceClient::new(way.uploads.clone());
        tokio::select! {
            answer = client.put_content(request) => {
                answer.map(|_| ()).map_err(|status| heard(&status))
            }
            // What broke off on its way in must not look whole on its way out: the call is
            // dropped, which the aggregator hears as broken off too.
            broken = broken_off(first, parts, sends) => Err(broken),
        }
    }
}

/// Hands parts on; comes back only when they break off.
async fn broken_off(
    first: Option<v1::PutContentRequest>,
    mut parts: Streaming<v1::PutContentRequest>,
    sends: mpsc::Sender<v1::PutContentRequest>,
) -> Status {
    let mut next = first;
    while let Some(part) = next {
        if sends.send(part).await.is_err() {
            break;
        }
        next = match next_part(&mut parts).await {
            Ok(next) => next,
            Err(status) => return status,
        };
    }
    drop(sends);
    std::future::pending().await
}

/// The next part that a node sends; none behind the last.
async fn next_part(
    parts: &mut Streaming<v1::PutContentRequest>,
) -> Result<Option<v1::PutContentRequest>, Status> {
    let came = tokio::time::timeout(IDLE_LIMIT, parts.message()).await;
    came.unwrap_or_else(|_| Err(Status::deadline_exceeded("nothing more came of the upload")))
}

/// The node has as many calls under way as it may.
fn too_many(peer: &Peer) -> Status {
    tracing::warn!(node = peer.node, "a call is refused: others of the node are under way");
    Status::unavailable("other calls of this node are under way")
}

/// A request for a node: the aggregator believes a relay the nodes of its cluster.
fn speaking_for<T>(peer: &Peer, message: T) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    for (key, value) in [
        ("nodeward-cluster", &peer.cluster),
        ("nodeward-node", &peer.node),
        ("nodeward-node-uid", &peer.uid),
    ] {
        let value = value.parse().map_err(|_| Status::internal(format!("{key}: is no text")))?;
        request.metadata_mut().insert(key, value);
    }
    Ok(request)
}

/// What a node hears of the aggregator's answer. What is about the report is the node's; what is
/// about this relay is not, and the node comes again.
fn heard(status: &Status) -> Status {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::ResourceExhausted => Status::new(status.code(), status.message()),
        Code::Unauthenticated | Code::PermissionDenied => {
            tracing::error!(why = status.message(), "the aggregator refuses this relay");
            let why = status.message();
            Status::unavailable(format!("the aggregator refuses this relay: {why}"))
        }
        _ => {
            let why = source_of(status);
            tracing::warn!(why, "nothing was handed on");
            Status::unavailable(format!("the relay does not get through: {why}"))
        }
    }
}

/// What went wrong in the end: of a connection that was not made the outermost word says little.
fn source_of(status: &Status) -> String {
    let mut innermost: &dyn std::error::Error = status;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if std::error::Error::source(status).is_some() {
        innermost.to_string()
    } else {
        status.message().to_owned()
    }
}

/// A limit of our own: nobody keeps a call open for longer.
async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answered = tokio::time::timeout(CALL_LIMIT, call).await;
    answered.unwrap_or_else(|_| Err(Status::unavailable("the aggregator took over a minute")))
}

#[tonic::async_trait]
impl ReportService for Relay {
    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let started = Instant::now();
        let (metadata, extensions, report) = request.into_parts();
        let result = within(self.hand_on(&metadata, &extensions, report)).await;
        self.metrics.calls.report(Outcome::of(&result), started.elapsed());
        result.map(Response::new)
    }

    async fn put_content(
        &self,
        request: Request<Streaming<v1::PutContentRequest>>,
    ) -> Result<Response<v1::PutContentResponse>, Status> {
        let (metadata, extensions, parts) = request.into_parts();
        let result = within(self.hand_on_content(&metadata, &extensions, parts)).await;
        self.metrics.calls.content(Outcome::of(&result));
        result.map(|()| Response::new(v1::PutContentResponse {}))
    }
}
