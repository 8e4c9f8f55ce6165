//! Sending: reports the newest round, and only what the aggregator lacks of it. There
//! is no spool: what could not be sent is overtaken by the next round.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeward_proto::report::timestamp;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_proto::{CHUNK_BYTES, INLINE_LIMIT_BYTES, v1};
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::credential::{Credential, CredentialError};

/// A report must be acknowledged in this time.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// An upload must be acknowledged in this time.
const UPLOAD_LIMIT: Duration = Duration::from_secs(60);

/// The first wait after a failure; doubled with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest wait after failures.
const LAST_BACKOFF: Duration = Duration::from_secs(60);

/// The way to the aggregator, and how an agent shows who it is. Nothing of it stands in the
/// report itself.
#[derive(Debug)]
pub enum Way {
    /// In plain text on this machine: a claim, which an aggregator on loopback honours.
    Loopback {
        /// Where it listens.
        endpoint: Box<Endpoint>,
        /// Request metadata `nodeward-cluster`.
        cluster: MetadataValue<Ascii>,
        /// Request metadata `nodeward-node`.
        node: MetadataValue<Ascii>,
    },
    /// Over TLS: the client certificate says it.
    Tls(Box<Credential>),
}

/// Reports rounds to one aggregator.
#[derive(Debug)]
pub struct Sender {
    way: Way,
    /// The connection in plain text, if that is the way.
    plain: Option<Channel>,
    /// Digests that the aggregator has acknowledged, of the newest round only.
    known: BTreeSet<Vec<u8>>,
}

impl Sender {
    /// A sender on that way. Connects with the first report.
    #[must_use]
    pub fn new(way: Way) -> Self {
        let plain = match &way {
            Way::Loopback { endpoint, .. } => {
                Some((**endpoint).clone().connect_timeout(Duration::from_secs(5)).connect_lazy())
            }
            Way::Tls(_) => None,
        };
        Self { way, plain, known: BTreeSet::new() }
    }

    /// A client that shows the newest credential.
    async fn client(&mut self) -> Result<ReportServiceClient<Channel>, Status> {
        let channel = match (&mut self.way, &self.plain) {
            (Way::Tls(credential), _) => {
                let channel = credential.channel().await;
                channel.map_err(|error| match error {
                    CredentialError::Refused(status) => status,
                    other => Status::unauthenticated(other.to_string()),
                })?
            }
            (Way::Loopback { .. }, Some(plain)) => plain.clone(),
            (Way::Loopback { .. }, None) => return Err(Status::internal("no way is open")),
        };
        Ok(ReportServiceClient::new(channel))
    }

    /// Reports the newest round, and again with every newer one, for ever.
    pub async fn run(mut self, mut rounds: watch::Receiver<Option<Arc<v1::Round>>>) {
        let mut backoff = FIRST_BACKOFF;
        let mut failing = false;
        while rounds.changed().await.is_ok() {
            loop {
                let Some(round) = rounds.borrow_and_update().clone() else {
                    break;
                };
                match self.report(&round).await {
                    Ok(response) => {
                        if failing {
                            tracing::info!("reports are acknowledged again");
                        }
                        failing = false;
                        backoff = FIRST_BACKOFF;
                        log_verdict(round.seq, &response);
                        tokio::time::sleep(wait_of(&response)).await;
                        break;
                    }
                    Err(status) => {
                        if !failing {
                            tracing::warn!(
                                code = ?status.code(),
                                why = status.message(),
                                "the aggregator does not acknowledge reports"
                            );
                        }
                        failing = true;
                        // The whole of it is drawn, so that a fleet that lost its
                        // aggregator at one moment does not return at one moment.
                        tokio::time::sleep(backoff.mul_f64(0.5 + drawn() / 2.0)).await;
                        backoff = (backoff * 2).min(LAST_BACKOFF);
                    }
                }
            }
        }
    }

    /// Reports one round and uploads what is asked for. Returns after the aggregator
    /// has committed all of it.
    pub async fn report(&mut self, round: &v1::Round) -> Result<v1::ReportResponse, Status> {
        let mut client = self.client().await?;
        let reported = self.report_by(&mut client, round).await;
        if let Way::Tls(credential) = &mut self.way {
            credential.ended(reported.as_ref().map(|_| ()));
        }
        reported
    }

    async fn report_by(
        &mut self,
        client: &mut ReportServiceClient<Channel>,
        round: &v1::Round,
    ) -> Result<v1::ReportResponse, Status> {
        let response = self.call(client, round).await?;
        let mut known: BTreeSet<Vec<u8>> =
            round.components.iter().map(|component| component.digest.clone()).collect();
        for digest in &response.need {
            known.remove(digest);
        }
        self.known = known;
        for digest in &response.need {
            let Some(component) =
                round.components.iter().find(|component| component.digest == *digest)
            else {
                continue;
            };
            self.upload(client, component).await?;
            self.known.insert(digest.clone());
        }
        Ok(response)
    }

    async fn call(
        &self,
        client: &mut ReportServiceClient<Channel>,
        round: &v1::Round,
    ) -> Result<v1::ReportResponse, Status> {
        let components = round
            .components
            .iter()
            .map(|component| {
                let inline = component.content.as_ref().is_some_and(|content| {
                    content.len() <= INLINE_LIMIT_BYTES && !self.known.contains(&component.digest)
                });
                let mut component = component.clone();
                if !inline {
                    component.content = None;
                }
                component
            })
            .collect();
        let mut request = Request::new(v1::ReportRequest {
            boot_id: round.boot_id.clone(),
            seq: round.seq,
            measurements: round.measurements,
            components,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            path_resolution: round.path_resolution.clone(),
            sent_at: Some(timestamp(jiff::Timestamp::now())),
        });
        request.set_timeout(REPORT_LIMIT);
        self.identify(&mut request);
        within(REPORT_LIMIT, client.report(request)).await
    }

    async fn upload(
        &self,
        client: &mut ReportServiceClient<Channel>,
        component: &v1::ComponentReport,
    ) -> Result<(), Status> {
        use v1::put_content_request::Part;
        let content = component.content.clone().unwrap_or_default();
        let header = v1::ContentHeader {
            component: component.component.clone(),
            form: component.form,
            digest: component.digest.clone(),
            size_bytes: content.len() as u64,
        };
        let parts: Vec<v1::PutContentRequest> = std::iter::once(Part::Header(header))
            .chain(content.chunks(CHUNK_BYTES).map(|chunk| Part::Chunk(chunk.to_vec())))
            .map(|part| v1::PutContentRequest { part: Some(part) })
            .collect();
        let mut request = Request::new(tokio_stream::iter(parts));
        request.set_timeout(UPLOAD_LIMIT);
        self.identify(&mut request);
        within(UPLOAD_LIMIT, client.put_content(request)).await?;
        Ok(())
    }

    fn identify<T>(&self, request: &mut Request<T>) {
        if let Way::Loopback { cluster, node, .. } = &self.way {
            let metadata = request.metadata_mut();
            metadata.insert("nodeward-cluster", cluster.clone());
            metadata.insert("nodeward-node", node.clone());
        }
    }
}

/// A deadline on our side too: one that is only sent along binds nobody who hangs.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(limit, call).await {
        Ok(response) => response.map(tonic::Response::into_inner),
        Err(_) => Err(Status::new(
            Code::DeadlineExceeded,
            format!("no acknowledgement within {} s", limit.as_secs()),
        )),
    }
}

/// How long the aggregator asks to wait; it cannot silence an agent for longer than
/// five minutes.
fn wait_of(response: &v1::ReportResponse) -> Duration {
    let wait = response.next_report_after.unwrap_or_default();
    Duration::from_secs(u64::try_from(wait.seconds).unwrap_or(0)).min(Duration::from_secs(300))
}

fn log_verdict(seq: u64, response: &v1::ReportResponse) {
    let verdict = response.verdict.clone().unwrap_or_default();
    tracing::info!(
        seq,
        findings = verdict.findings,
        unknown = verdict.unknown,
        acts_first = verdict.acts_first,
        uploaded = response.need.len(),
        "report acknowledged"
    );
}

/// A number in [0, 1) that differs from process to process and from call to call. It
/// spreads load and protects nothing, so the hasher's seed is random enough.
pub(crate) fn drawn() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let drawn = RandomState::new().hash_one(Instant::now());
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}
