//! Hands files of feeds to the aggregator, on its socket for administrators or over https.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::address::shown;
use nodeward_domain::advisory::FeedStatus;
use nodeward_feeds::image_document;
use nodeward_feeds::intake::is_wanted_in_folder;
use nodeward_proto::CHUNK_BYTES;
use nodeward_proto::report::{Invalid, timestamp};
use nodeward_proto::v1;
use nodeward_proto::v1::admin_service_client::AdminServiceClient;
use nodeward_proto::v1::import_feed_request::Part;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::address::{Address, Bearer};
use crate::paths::{self, Found, PathError};

/// A connection must stand in this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// So many parts may be on their way.
const PARTS: usize = 16;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A path cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file cannot be read to its end.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing that can be a feed lies there.
    #[error("{path}: no file of a known kind is in it")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// The aggregator cannot be reached.
    #[error("the aggregator at {place} cannot be reached: {why}")]
    Unreachable {
        /// Its socket, or its address.
        place: String,
        /// Why.
        why: String,
    },
    /// The aggregator refuses what it was given.
    #[error("nothing was imported: {0}")]
    Refused(String),
    /// The aggregator's answer is none that this build understands.
    #[error("the aggregator's answer is not valid: {0}")]
    Invalid(#[from] Invalid),
}

/// The way to the aggregator.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its socket on this machine, …
    pub socket: &'a Path,
    /// … or its address, where that is https.
    pub address: &'a Address,
}

impl Line<'_> {
    fn unreachable(self, why: String) -> AdminError {
        let place = if self.address.is_https() {
            shown(&self.address.url).into_owned()
        } else {
            self.socket.display().to_string()
        };
        AdminError::Unreachable { place, why }
    }

    async fn client(
        self,
    ) -> Result<AdminServiceClient<InterceptedService<Channel, Bearer>>, AdminError> {
        let (endpoint, bearer) = if self.address.is_https() {
            self.address.endpoint().map_err(|why| self.unreachable(why))?
        } else {
            let endpoint = Endpoint::from_shared(format!("unix:{}", self.socket.display()));
            (endpoint.map_err(|error| self.unreachable(error.to_string()))?, Bearer::default())
        };
        let channel = endpoint.connect_timeout(CONNECT_LIMIT).connect().await;
        let channel = channel.map_err(|error| self.unreachable(innermost(&error)))?;
        Ok(AdminServiceClient::with_interceptor(channel, bearer))
    }
}

/// What became of the files.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    /// The feeds that they made.
    pub feeds: Vec<ImportedFeed>,
    /// Files of no known kind that lay beside them.
    pub passed_over: u64,
    /// The first of these.
    pub first_passed_over: String,
}

/// What became of one feed.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedFeed {
    /// `replaced`, `same`, or `older`: only its dates are new.
    pub outcome: String,
    /// So many files it was made of.
    pub files: u64,
    /// So many dates were new or moved.
    pub dates: u64,
    /// How it stands now.
    pub feed: Option<FeedStatus>,
}

/// What came of all addresses.
#[derive(Debug, Clone, Serialize)]
pub struct Pulled {
    /// In the order in which they are configured.
    pub sources: Vec<PulledSource>,
}

/// What came of one address.
#[derive(Debug, Clone, Serialize)]
pub struct PulledSource {
    /// The address.
    pub url: String,
    /// `imported`, `not_modified` or `failed`.
    pub outcome: String,
    /// Why it failed; empty otherwise.
    pub why: String,
    /// So many bytes came.
    pub bytes: u64,
    /// The feeds that were in it.
    pub feeds: Vec<ImportedFeed>,
}

impl TryFrom<v1::ImportedFeed> for ImportedFeed {
    type Error = Invalid;

    fn try_from(one: v1::ImportedFeed) -> Result<Self, Invalid> {
        Ok(Self {
            feed: one.feed.map(FeedStatus::try_from).transpose()?,
            outcome: one.outcome,
            files: one.files,
            dates: one.dates,
        })
    }
}

/// Has the configured feeds pulled.
pub async fn pull(line: &Line<'_>) -> Result<Pulled, AdminError> {
    let mut client = line.client().await?;
    let unreachable = |why: String| line.unreachable(why);
    let answer = client.pull_feeds(v1::PullFeedsRequest {}).await;
    let answer = answer.map_err(|status| refused(&status, unreachable))?.into_inner();
    let sources = answer.sources.into_iter().map(|one| {
        let feeds = one.feeds.into_iter().map(ImportedFeed::try_from);
        Ok(PulledSource {
            url: one.url,
            outcome: one.outcome,
            why: one.why,
            bytes: one.bytes,
            feeds: feeds.collect::<Result<_, Invalid>>()?,
        })
    });
    Ok(Pulled { sources: sources.collect::<Result<_, Invalid>>()? })
}

/// Hands files over.
pub async fn import(
    line: &Line<'_>,
    paths: &[PathBuf],
    is_complete: bool,
    as_of: Option<Timestamp>,
) -> Result<Imported, AdminError> {
    let files = found(paths, is_wanted_in_folder)?;
    let unreachable = |why: String| line.unreachable(why);
    let mut client = line.client().await?;
    let (parts, sent) = mpsc::channel(PARTS);
    let head = v1::ImportHead { is_complete, as_of: as_of.map(timestamp) };
    let sending = tokio::task::spawn_blocking(move || send(&files, head, &parts));
    let answer = client.import_feed(ReceiverStream::new(sent)).await;
    let sent = sending.await.unwrap_or(Ok(()));
    let answer = match answer {
        // What could not be read here is why the stream ended.
        Err(status) => {
            sent?;
            return Err(refused(&status, unreachable));
        }
        Ok(answer) => answer.into_inner(),
    };
    sent?;
    let feeds = answer.feeds.into_iter().map(ImportedFeed::try_from);
    Ok(Imported {
        feeds: feeds.collect::<Result<_, Invalid>>()?,
        passed_over: answer.passed_over,
        first_passed_over: answer.first_passed_over,
    })
}

/// What became of documents about images.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedImages {
    /// By kind.
    pub documents: Vec<ImportedDocuments>,
    /// What stands in files and could not be used.
    pub remarks: Vec<String>,
    /// Files of no known kind that lay beside them.
    pub passed_over: u64,
    /// The first of these.
    pub first_passed_over: String,
}

/// Documents of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedDocuments {
    /// `note`, `list`, `patch`, `announced`, `offered` or `report`.
    pub kind: String,
    /// So many.
    pub count: u64,
    /// So many of them said something that was not known.
    pub news: u64,
}

/// Hands documents about images over. `cluster` is what the cluster of those that tell of
/// pools is called here.
pub async fn import_images(
    line: &Line<'_>,
    paths: &[PathBuf],
    cluster: Option<&str>,
) -> Result<ImportedImages, AdminError> {
    use v1::import_images_request::Part;
    let files = found(paths, image_document::is_wanted_in_folder)?;
    let unreachable = |why: String| line.unreachable(why);
    let mut client = line.client().await?;
    let (parts, sent) = mpsc::channel(PARTS);
    let head = v1::ImportImagesHead { cluster: cluster.unwrap_or_default().to_owned() };
    let sending = tokio::task::spawn_blocking(move || {
        let give =
            |part: Part| parts.blocking_send(v1::ImportImagesRequest { part: Some(part) }).is_ok();
        if !give(Part::Head(head)) {
            return Ok(());
        }
        send_files(&files, |piece| {
            give(match piece {
                Piece::File(file) => Part::File(file),
                Piece::Chunk(chunk) => Part::Chunk(chunk),
            })
        })
    });
    let answer = client.import_images(ReceiverStream::new(sent)).await;
    let sent = sending.await.unwrap_or(Ok(()));
    let answer = match answer {
        // What could not be read here is why the stream ended.
        Err(status) => {
            sent?;
            return Err(refused(&status, unreachable));
        }
        Ok(answer) => answer.into_inner(),
    };
    sent?;
    let documents = answer.documents.into_iter().map(|one| ImportedDocuments {
        kind: one.kind,
        count: one.count,
        news: one.news,
    });
    Ok(ImportedImages {
        documents: documents.collect(),
        remarks: answer.remarks,
        passed_over: answer.passed_over,
        first_passed_over: answer.first_passed_over,
    })
}

/// The files below some paths: whoever mistypes a path hears of it before anything is sent.
fn found(paths: &[PathBuf], is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Found>, AdminError> {
    let mut files = Vec::new();
    for path in paths {
        let found: Vec<Found> = paths::files(path)?
            .into_iter()
            .filter(|found| found.is_named() || is_wanted(&found.below))
            .collect();
        if found.is_empty() {
            return Err(AdminError::Nothing { path: path.clone() });
        }
        files.extend(found);
    }
    Ok(files)
}

fn refused(status: &Status, unreachable: impl Fn(String) -> AdminError) -> AdminError {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unauthenticated => AdminError::Refused(status.message().to_owned()),
        _ => unreachable(status.message().to_owned()),
    }
}

/// Reads the files and sends them, part by part; an end of the other side ends it.
fn send(
    files: &[Found],
    head: v1::ImportHead,
    parts: &mpsc::Sender<v1::ImportFeedRequest>,
) -> Result<(), AdminError> {
    let give = |part| parts.blocking_send(v1::ImportFeedRequest { part: Some(part) }).is_ok();
    if !give(Part::Head(head)) {
        return Ok(());
    }
    send_files(files, |piece| {
        give(match piece {
            Piece::File(file) => Part::File(file),
            Piece::Chunk(chunk) => Part::Chunk(chunk),
        })
    })
}

/// A file begins, or its next bytes.
enum Piece {
    File(v1::ImportFile),
    Chunk(Vec<u8>),
}

/// Reads files and gives them away piece by piece, until nobody takes them any more.
fn send_files(files: &[Found], give: impl Fn(Piece) -> bool) -> Result<(), AdminError> {
    for found in files {
        let mut file = paths::open(&found.path)?;
        let name = found.path.to_string_lossy().into_owned();
        if !give(Piece::File(v1::ImportFile { name, is_named: found.is_named() })) {
            return Ok(());
        }
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let limit = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
            let read = file.by_ref().take(limit).read_to_end(&mut chunk);
            read.map_err(|source| AdminError::Unreadable { path: found.path.clone(), source })?;
            if chunk.is_empty() {
                break;
            }
            if !give(Piece::Chunk(chunk)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The cause that says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
