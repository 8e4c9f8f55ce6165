//! Imports of feeds: files come in, are read as a whole, and what they say takes the place of
//! the last good state, in the store first and then in memory. Either all of it or none.
//!
//! Served on a socket of the file system: only the user that the aggregator runs as, and
//! root, may do it.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_feeds::acceptance::{Acceptance, Refusal};
use nodeward_feeds::held::{Declared, Taken};
use nodeward_feeds::intake::{Intake, IntakeError, ReadFeed};
use nodeward_feeds::stored::{self, StoredError};
use nodeward_proto::v1;
use nodeward_proto::v1::admin_service_server::AdminService;
use nodeward_proto::v1::import_feed_request::Part;
use tokio::sync::Mutex;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status, Streaming};

use crate::advisories::{Advisories, AdvisoriesError};
use crate::fleet::Fleet;
use crate::store::{FeedBatch, FeedBlob, Store, StoreError};

/// The longest file that is taken.
const LONGEST_FILE_BYTES: u64 = 4 << 30;

/// So many files one import may have.
const MOST_FILES: usize = 2_000_000;

/// Why an import changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file was refused.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// No feed came of the files.
    #[error("no file of a known kind is among them")]
    Nothing,
    /// A feed was refused as a whole.
    #[error("feed {feed}: {source}; the last good state stays")]
    Refused {
        /// The feed.
        feed: String,
        /// Why.
        source: Refusal,
    },
    /// The next generation could not be made.
    #[error(transparent)]
    Advisories(#[from] AdvisoriesError),
    /// It could not be packed.
    #[error("it cannot be packed: {0}")]
    Packed(#[from] StoredError),
    /// Its state could not be written.
    #[error("it cannot be packed: {0}")]
    State(#[from] serde_json::Error),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It came to an end before its time.
    #[error("the import was stopped")]
    Stopped,
}

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// Each feed, what became of it, of how many files it was made, and how many dates it
    /// brought.
    pub feeds: Vec<(String, Acceptance, usize, usize)>,
    /// The generation of advisories from now on.
    pub generation: u64,
}

/// Takes feeds in.
#[derive(Clone)]
pub struct Importer {
    fleet: Arc<Fleet>,
    store: Arc<dyn Store>,
    /// One after the other: each begins with what the last one left.
    turn: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

impl Importer {
    /// For that fleet and store.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, store: Arc<dyn Store>) -> Self {
        Self { fleet, store, turn: Arc::default() }
    }

    /// Puts what was read in the place of the last good states.
    pub async fn import(
        &self,
        read: Vec<ReadFeed>,
        declared: Declared,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        if read.is_empty() {
            return Err(ImportError::Nothing);
        }
        let _turn = self.turn.lock().await;
        let before = self.fleet.advisories();
        let made = tokio::task::spawn_blocking(move || next(&before, read, &declared, now));
        let (advisories, batch, imported) = made.await.map_err(|_| ImportError::Stopped)??;
        self.store.append_feeds(batch).await?;
        self.fleet.put_advisories(advisories);
        for (feed, acceptance, files, dates) in &imported.feeds {
            tracing::info!(feed, ?acceptance, files, dates, "feed imported");
        }
        Ok(imported)
    }
}

/// The next generation, and what of it is to be stored.
fn next(
    before: &Advisories,
    read: Vec<ReadFeed>,
    declared: &Declared,
    now: Timestamp,
) -> Result<(Advisories, FeedBatch, Imported), ImportError> {
    let mut held = before.held().clone();
    let mut batch = FeedBatch { imported_at: Some(now), ..FeedBatch::default() };
    let mut feeds = Vec::new();
    for feed in read {
        let (name, files) = (feed.name.to_string(), feed.files);
        let Taken { acceptance, recorded } = held
            .take(feed, declared, now)
            .map_err(|source| ImportError::Refused { feed: name.clone(), source })?;
        if acceptance != Acceptance::Same || !recorded.entries.is_empty() {
            batch.ledger.push(stored::pack_recorded(&recorded)?);
        }
        if matches!(acceptance, Acceptance::Replace { .. })
            && let Some(feed) = held.feed(&name)
        {
            batch.feeds.push(FeedBlob {
                name: name.clone(),
                state: serde_json::to_vec(&feed.state)?,
                content: stored::pack_content(&feed.content)?,
            });
        }
        feeds.push((name, acceptance, files, recorded.entries.len()));
    }
    let generation = before.generation() + 1;
    let advisories = Advisories::of(held, before.images().clone(), generation)?;
    Ok((advisories, batch, Imported { feeds, generation }))
}

#[tonic::async_trait]
impl AdminService for Importer {
    async fn import_feed(
        &self,
        request: Request<Streaming<v1::ImportFeedRequest>>,
    ) -> Result<Response<v1::ImportFeedResponse>, Status> {
        may(&request)?;
        let now = Timestamp::now();
        let (declared, intake) = receive(request.into_inner()).await?;
        let (read, passed_over, first_passed_over) = intake.finish();
        let imported = self.import(read, declared, now).await.map_err(|error| status(&error))?;
        let statuses = self.fleet.advisories().statuses(now);
        let feeds = imported
            .feeds
            .into_iter()
            .map(|(name, acceptance, files, dates)| v1::ImportedFeed {
                feed: statuses.iter().find(|feed| feed.name == name).map(Into::into),
                outcome: match acceptance {
                    Acceptance::Replace { .. } => "replaced",
                    Acceptance::Same => "same",
                    Acceptance::Older => "older",
                }
                .to_owned(),
                files: u64::try_from(files).unwrap_or(u64::MAX),
                dates: u64::try_from(dates).unwrap_or(u64::MAX),
            })
            .collect();
        Ok(Response::new(v1::ImportFeedResponse {
            feeds,
            passed_over: u64::try_from(passed_over).unwrap_or(u64::MAX),
            first_passed_over,
            generation: imported.generation,
        }))
    }
}

/// Whether whoever asks may: the socket says which user he is.
fn may<T>(request: &Request<T>) -> Result<(), Status> {
    let user = request
        .extensions()
        .get::<UdsConnectInfo>()
        .and_then(|connection| connection.peer_cred.as_ref().map(|peer| peer.uid()));
    let own = nix::unistd::geteuid().as_raw();
    match user {
        Some(user) if user == 0 || user == own => Ok(()),
        Some(user) => Err(Status::permission_denied(format!("user {user} may not import"))),
        None => Err(Status::unauthenticated("the socket does not say who asks")),
    }
}

/// An error with all of its causes, as the one who asked may mend it.
fn status(error: &ImportError) -> Status {
    let text = with_causes(error);
    match error {
        ImportError::Intake(_) | ImportError::Nothing => Status::invalid_argument(text),
        ImportError::Refused { .. } => Status::failed_precondition(text),
        ImportError::Store(_) => Status::unavailable(text),
        _ => Status::internal(text),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let next = one.to_string();
        // Transparent errors say the same as their cause.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = one.source();
    }
    text
}

/// Takes the files, each on a file without a name until it is whole.
async fn receive(
    mut parts: Streaming<v1::ImportFeedRequest>,
) -> Result<(Declared, Intake), Status> {
    let mut declared = Declared::default();
    let mut intake = Intake::default();
    let mut file: Option<Spooled> = None;
    let mut files = 0;
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Head(head)) => {
                let as_of = head
                    .as_of
                    .map(|at| nodeward_proto::answer::instant("head.as_of", Some(at)))
                    .transpose()
                    .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
                declared = Declared { is_complete: head.is_complete, as_of };
            }
            Some(Part::File(head)) => {
                files += 1;
                if files > MOST_FILES {
                    return Err(Status::invalid_argument(format!("more than {MOST_FILES} files")));
                }
                if let Some(whole) = file.take() {
                    intake = whole.read(intake).await?;
                }
                file = Some(Spooled::new(head)?);
            }
            Some(Part::Chunk(chunk)) => match &mut file {
                Some(file) => file.add(&chunk)?,
                None => return Err(Status::invalid_argument("chunk: no file has begun")),
            },
            None => return Err(Status::invalid_argument("part: is missing")),
        }
    }
    if let Some(whole) = file {
        intake = whole.read(intake).await?;
    }
    Ok((declared, intake))
}

/// A file on its way in.
struct Spooled {
    head: v1::ImportFile,
    file: std::fs::File,
    bytes: u64,
}

impl Spooled {
    fn new(head: v1::ImportFile) -> Result<Self, Status> {
        let file = tempfile::tempfile()
            .map_err(|error| Status::internal(format!("{}: cannot be kept: {error}", head.name)))?;
        Ok(Self { head, file, bytes: 0 })
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), Status> {
        let Self { head, file, bytes } = self;
        *bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if *bytes > LONGEST_FILE_BYTES {
            let limit = LONGEST_FILE_BYTES;
            return Err(Status::invalid_argument(format!(
                "{}: more than {limit} bytes",
                head.name
            )));
        }
        file.write_all(chunk)
            .map_err(|error| Status::internal(format!("{}: cannot be kept: {error}", head.name)))
    }

    /// Reads it where blocking does no harm.
    async fn read(mut self, mut intake: Intake) -> Result<Intake, Status> {
        let read = tokio::task::spawn_blocking(move || {
            let unreadable =
                |source| IntakeError::Unreadable { file: self.head.name.clone(), source };
            self.file.rewind().map_err(unreadable)?;
            if self.head.is_named {
                intake.named(&self.head.name, &mut self.file)?;
            } else {
                intake.beside(&self.head.name, &mut self.file)?;
            }
            Ok(intake)
        });
        read.await.unwrap_or(Err(ImportError::Stopped)).map_err(|error: ImportError| status(&error))
    }
}
