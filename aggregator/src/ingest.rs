//! Takes reports: who speaks, what was said, is it next in the order, commit,
//! remember, and only then acknowledge.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;
use nodeward_proto::report::{Report, Reported, duration};
use nodeward_proto::v1::put_content_request::Part;
use nodeward_proto::v1::report_service_server::ReportService;
use nodeward_proto::{CONTENT_LIMIT_BYTES, v1};
use tonic::{Request, Response, Status, Streaming};

use crate::fleet::{Fleet, Place, Turn};
use crate::metrics::{Metrics, Outcome};
use crate::peer::{Authenticator, Peer};
use crate::store::{Batch, Store, StoreError};

/// One agent at a time is asked for a content; after this long without it, another.
const ASKED_FOR: Duration = Duration::from_secs(30);

/// So long an agent waits at least before it reports again.
const NEXT_REPORT_AFTER: Duration = Duration::from_secs(1);

/// Takes reports and contents.
pub struct Ingest {
    fleet: Arc<Fleet>,
    store: Arc<dyn Store>,
    authenticator: Arc<dyn Authenticator>,
    metrics: Arc<Metrics>,
    /// Contents that an agent has been asked for, and when.
    asked: Mutex<HashMap<Digest, Instant>>,
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
        Self { fleet, store, authenticator, metrics, asked: Mutex::new(HashMap::new()) }
    }

    async fn take(
        &self,
        peer: &Peer,
        report: v1::ReportRequest,
    ) -> Result<v1::ReportResponse, Status> {
        let mut report = Report::try_from(report)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
        let place = self.fleet.place(peer);
        if place.has_ended(&peer.uid) {
            return Err(Status::failed_precondition(format!(
                "node {} has been made anew: this life of it has ended",
                peer.node
            )));
        }
        let _turn = place.turn.lock().await;
        let received_at = Timestamp::now();
        let turn = place.with_life(&peer.uid, |node| node.turn(&report)).unwrap_or(Turn::Next);
        match turn {
            Turn::Before(why) => return Err(Status::failed_precondition(why)),
            Turn::Again => {}
            Turn::Next => self.commit(peer, &place, &mut report, received_at).await?,
        }
        Ok(self.acknowledge(peer, &place, &report, received_at))
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
                let node = crate::fleet::NodeMemory::new(peer.clone(), received_at);
                (node.transitions(report, received_at), true)
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
        self.fleet.change(place, peer, received_at, |node| {
            let policy = self.fleet.policy();
            node.take(report, received_at, policy, |digest| self.fleet.known(digest));
        });
        for content in &contents {
            self.fleet.arrived(content.digest());
        }
        Ok(())
    }

    /// Brings contents back into memory that only the store has.
    async fn recall(&self, report: &Report) -> Result<(), StoreError> {
        for reported in &report.components {
            if !self.fleet.has(reported.digest)
                && let Some(content) = self.store.content(reported.digest).await?
            {
                self.fleet.remember(&content);
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
        let need = report
            .components
            .iter()
            .map(|reported| reported.digest)
            .filter(|digest| !self.fleet.has(*digest) && self.may_ask(*digest))
            .map(|digest| digest.as_bytes().to_vec())
            .collect();
        let verdict = self.fleet.change(place, peer, now, |node| {
            let row = node.row(self.fleet.policy(), now);
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

    /// Whether this agent is the one to ask for a content: a roll-out must not upload
    /// one list as often as it has nodes.
    fn may_ask(&self, digest: Digest) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, since| since.elapsed() < ASKED_FOR);
        match asked.entry(digest) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Instant::now());
                true
            }
        }
    }

    async fn store_content(&self, peer: &Peer, content: Content) -> Result<(), Status> {
        let digest = content.digest();
        if !self.fleet.has(digest) {
            // Nobody fills the store with what no node has reported.
            let awaited = self.fleet.place(peer).with_life(&peer.uid, |node| node.awaits(digest));
            if awaited != Some(true) {
                return Err(Status::failed_precondition(
                    "header.digest: is of no component that this node has reported",
                ));
            }
            self.store.put_content(content.clone()).await.map_err(|error| unavailable(&error))?;
            self.fleet.remember(&content);
            self.fleet.arrived(digest);
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        Ok(())
    }
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

/// Puts the parts of an upload together and looks whether they are what was announced.
async fn assemble(parts: &mut Streaming<v1::PutContentRequest>) -> Result<Content, Status> {
    let refuse = |why: String| Status::invalid_argument(why);
    let Some(v1::PutContentRequest { part: Some(Part::Header(header)) }) = parts.message().await?
    else {
        return Err(refuse("header: must be the first part".to_owned()));
    };
    let size = usize::try_from(header.size_bytes).unwrap_or(usize::MAX);
    if size > CONTENT_LIMIT_BYTES {
        return Err(refuse(format!(
            "header.size_bytes: {size}, at most {CONTENT_LIMIT_BYTES} are accepted"
        )));
    }
    // Grows with what really comes, not with what was announced.
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(refuse("chunk: only chunks follow the header".to_owned()));
        };
        if bytes.len() + chunk.len() > size {
            return Err(refuse(format!("chunk: more than the {size} bytes of header.size_bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() != size {
        return Err(refuse(format!("header.size_bytes: {size}, but {} came", bytes.len())));
    }
    let content = Content { component: header.component, form: header.form, bytes };
    if Digest::from_bytes(&header.digest) != Some(content.digest()) {
        return Err(refuse("header.digest: is not the digest of the content".to_owned()));
    }
    Ok(content)
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
            Ok(peer) => self.take(&peer, report).await,
            Err(status) => Err(status),
        };
        self.metrics.report(Outcome::of(&result), started.elapsed());
        result.map(Response::new)
    }

    async fn put_content(
        &self,
        request: Request<Streaming<v1::PutContentRequest>>,
    ) -> Result<Response<v1::PutContentResponse>, Status> {
        let (metadata, extensions, mut parts) = request.into_parts();
        let stored = match self.authenticator.authenticate(&metadata, &extensions) {
            Ok(peer) => match assemble(&mut parts).await {
                Ok(content) => self.store_content(&peer, content).await,
                Err(status) => Err(status),
            },
            Err(status) => Err(status),
        };
        self.metrics.content(Outcome::of(&stored));
        stored.map(|()| Response::new(v1::PutContentResponse {}))
    }
}
