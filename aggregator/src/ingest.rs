//! Takes reports: who speaks, what was said, is it next in the order, commit,
//! remember, and only then acknowledge.

mod asked;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_domain::check::Presented;
use nodeward_domain::component::Component;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;
use nodeward_proto::report::{Report, Reported, duration};
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_server::ReportService;
use tonic::{Request, Response, Status, Streaming};

use asked::Asked;

use crate::fleet::{Fleet, NodeMemory, Place, Turn};
use crate::metrics::{Metrics, Outcome};
use crate::peer::{Authenticator, Peer};
use crate::store::{Batch, Store, StoreError};

/// So long an agent waits at least before it reports again.
const NEXT_REPORT_AFTER: Duration = Duration::from_secs(1);

/// A report or an upload that takes longer is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Takes reports and contents.
pub struct Ingest {
    fleet: Arc<Fleet>,
    store: Arc<dyn Store>,
    authenticator: Arc<dyn Authenticator>,
    metrics: Arc<Metrics>,
    asked: Asked,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").finish_non_exhaustive()
    }
}

impl Ingest {
    /// Takes reports for that fleet, commits them to that store.
    #[must_use]
    pub fn new(
        fleet: Arc<Fleet>,
        store: Arc<dyn Store>,
        authenticator: Arc<dyn Authenticator>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { fleet, store, authenticator, metrics, asked: Asked::default() }
    }

    async fn take(
        &self,
        peer: &Peer,
        shown: Presented,
        report: v1::ReportRequest,
    ) -> Result<v1::ReportResponse, Status> {
        let mut report = Report::try_from(report)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
        self.without_told(peer, &mut report);
        let place = self.fleet.visit(peer);
        let _turn = place.turn.lock().await;
        let received_at = Timestamp::now();
        place.admits(peer, shown, received_at).map_err(|superseded| {
            let (cluster, node, uid) = (&peer.cluster, &peer.node, &peer.uid);
            tracing::warn!(cluster, node, uid, why = %superseded, "a report is refused");
            Status::failed_precondition(format!("node {node} {superseded}"))
        })?;
        // What needs no commit rests on what was committed.
        self.store.intact().map_err(|error| unavailable(&error))?;
        let turn = place.with_life(&peer.uid, |node| node.turn(&report)).unwrap_or(Turn::Next);
        match turn {
            Turn::Before(why) | Turn::Contradicts(why) => {
                return Err(Status::failed_precondition(why));
            }
            Turn::Again => {}
            Turn::Next => {
                self.commit(peer, &place, &mut report, received_at).await?;
                self.fleet.change(&place, peer, |node| node.shows(shown));
            }
        }
        Ok(self.acknowledge(peer, &place, &report, received_at))
    }

    /// Takes out of a report what no agent may speak for: that component alone is not taken.
    fn without_told(&self, peer: &Peer, report: &mut Report) {
        let count = report.components.len();
        report.components.retain(|reported| {
            !Component::from_name(&reported.component).is_some_and(Component::is_of_cluster)
        });
        let refused = count - report.components.len();
        if refused > 0 {
            self.metrics.component_refused(refused);
            let (cluster, node) = (&peer.cluster, &peer.node);
            tracing::warn!(cluster, node, refused, "an agent speaks for the API server");
        }
    }

    /// Commits what the report changes, then changes the memory.
    async fn commit(
        &self,
        peer: &Peer,
        place: &Place,
        report: &mut Report,
        received_at: Timestamp,
    ) -> Result<(), Status> {
        let lost = place.with_life(&peer.uid, |node| node.lost(report)).unwrap_or_default();
        report.components.extend(lost);
        let contents: Vec<Content> = report
            .components
            .iter_mut()
            .filter_map(content_of)
            .filter(|content| !self.fleet.has(content.digest()))
            .collect();
        let (transitions, begins_boot) = place
            .with_life(&peer.uid, |node| {
                (node.transitions(report, received_at), node.begins_boot(report))
            })
            .unwrap_or_else(|| {
                let node = NodeMemory::new(peer.clone());
                let mut transitions = node.transitions(report, received_at);
                transitions.extend(self.fleet.left_behind(place, peer));
                (transitions, true)
            });
        if begins_boot || !transitions.is_empty() || !contents.is_empty() {
            let batch = Batch {
                peer: peer.clone(),
                boot_id: report.boot_id.clone(),
                seq: report.seq,
                received_at,
                contents: contents.clone(),
                transitions,
            };
            self.store.append(batch).await.map_err(|error| unavailable(&error))?;
        }
        for content in &contents {
            self.fleet.remember(content);
        }
        self.recall(report).await.map_err(|error| unavailable(&error))?;
        self.fleet.change(place, peer, |node| {
            let policy = self.fleet.policy();
            node.take(report, received_at, policy, |digest| self.fleet.known(digest));
            node.forget_strangers(report);
        });
        for content in &contents {
            self.fleet.arrived(content.digest());
        }
        Ok(())
    }

    /// Brings contents back into memory that only the store has. One that is spoilt there
    /// is as good as none: it is asked for and replaced.
    async fn recall(&self, report: &Report) -> Result<(), StoreError> {
        for reported in &report.components {
            if self.fleet.has(reported.digest) {
                continue;
            }
            match self.store.content(reported.digest).await {
                Ok(Some(content)) => self.fleet.remember(&content),
                Ok(None) => {}
                Err(StoreError::Spoilt(row)) => self.fleet.count_spoilt(&row),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn acknowledge(
        &self,
        peer: &Peer,
        place: &Place,
        report: &Report,
        now: Timestamp,
    ) -> v1::ReportResponse {
        let digests = report.components.iter().map(|reported| reported.digest);
        let lacked: Vec<Digest> = digests.filter(|digest| !self.fleet.has(*digest)).collect();
        let need = self.asked.ask(lacked, peer);
        let need = need.into_iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let advisories = self.fleet.advisories();
        let pools = self.fleet.pools();
        let verdict = self.fleet.change(place, peer, |node| {
            let row = node.row(self.fleet.policy(), &advisories, &pools, now);
            v1::VerdictSummary {
                findings: u32::try_from(row.findings).unwrap_or(u32::MAX),
                unknown: u32::try_from(row.unknown).unwrap_or(u32::MAX),
                acts_first: row.acts_first.clone(),
            }
        });
        v1::ReportResponse {
            need,
            next_report_after: Some(duration(NEXT_REPORT_AFTER)),
            endpoints: Vec::new(),
            verdict: Some(verdict),
        }
    }

    async fn store_content(&self, peer: &Peer, content: Content) -> Result<(), Status> {
        let digest = content.digest();
        if !self.fleet.has(digest) {
            // Nobody fills the store with what no node has reported.
            let awaited = self
                .fleet
                .find(peer)
                .and_then(|place| place.with_life(&peer.uid, |node| node.awaits(digest)));
            if awaited != Some(true) {
                return Err(Status::failed_precondition(
                    "header.digest: is of no component that this node has reported",
                ));
            }
            self.store.put_content(content.clone()).await.map_err(|error| unavailable(&error))?;
            self.fleet.remember(&content);
            self.fleet.arrived(digest);
            self.asked.is_here(digest);
        }
        self.store.intact().map_err(|error| unavailable(&error))
    }

    /// Takes an upload. However it ends, nobody is asked for that content any more: who
    /// still lacks it asks again.
    async fn upload(
        &self,
        peer: &Peer,
        parts: &mut Streaming<v1::PutContentRequest>,
    ) -> Result<(), Status> {
        let header = upload::header(parts).await?;
        let _asked =
            Digest::from_bytes(&header.digest).map(|digest| self.asked.answered(digest, peer));
        let content = upload::assemble(header, parts).await?;
        self.store_content(peer, content).await
    }
}

/// A limit of our own: nobody keeps a request open for longer.
async fn within<T>(taking: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let taken = tokio::time::timeout(REQUEST_LIMIT, taking).await;
    taken.unwrap_or_else(|_| Err(Status::deadline_exceeded("took longer than a minute")))
}

/// The content that came along with a component, taken out of the report.
fn content_of(reported: &mut Reported) -> Option<Content> {
    let bytes = reported.content.take()?;
    Some(Content { component: reported.component.clone(), form: reported.form, bytes })
}

fn unavailable(error: &StoreError) -> Status {
    tracing::error!(%error, "nothing of the report was acknowledged");
    Status::unavailable("the store does not commit; nothing of it was acknowledged")
}

#[tonic::async_trait]
impl ReportService for Ingest {
    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let started = Instant::now();
        let (metadata, extensions, report) = request.into_parts();
        let result = match self.authenticator.authenticate(&metadata, &extensions) {
            Ok(peer) => {
                let shown = self.authenticator.shown(&extensions);
                within(self.take(&peer, shown, report)).await
            }
            Err(status) => Err(status),
        };
        self.metrics.calls.report(Outcome::of(&result), started.elapsed());
        result.map(Response::new)
    }

    async fn put_content(
        &self,
        request: Request<Streaming<v1::PutContentRequest>>,
    ) -> Result<Response<v1::PutContentResponse>, Status> {
        let (metadata, extensions, mut parts) = request.into_parts();
        let stored = match self.authenticator.authenticate(&metadata, &extensions) {
            Ok(peer) => within(self.upload(&peer, &mut parts)).await,
            Err(status) => Err(status),
        };
        self.metrics.calls.content(Outcome::of(&stored));
        stored.map(|()| Response::new(v1::PutContentResponse {}))
    }
}

#[cfg(test)]
mod tests;
