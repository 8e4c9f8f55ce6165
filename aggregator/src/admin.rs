//! What administrators may ask for: imports and pulls of feeds. Served on a socket of the file
//! system, to root and the user that the aggregator runs as, and over TLS to whoever has the role.

use std::io::{Cursor, Seek as _, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::image::named_by_path;
use nodeward_feeds::causes::with_causes;
use nodeward_feeds::held::Declared;
use nodeward_feeds::image_document::{Kind, LONGEST_DOCUMENT_BYTES, kind_of};
use nodeward_feeds::intake::{Intake, IntakeError};
use nodeward_proto::v1;
use nodeward_proto::v1::admin_service_server::AdminService;
use nodeward_proto::v1::import_feed_request::Part;
use tonic::{Request, Response, Status, Streaming};

use crate::access::Access;
use crate::images::{ImagesError, ReadDocument, ReadImages, names_of, read_document};
use crate::import::{ImportError, Importer};
use crate::pull::Puller;

/// The longest file that is taken.
const LONGEST_FILE_BYTES: u64 = 4 << 30;

/// So many files one import may have.
const MOST_FILES: usize = 2_000_000;

/// What administrators may ask for.
#[derive(Debug)]
pub struct Admin {
    importer: Importer,
    /// None where no feed is configured.
    puller: Option<Puller>,
    access: Arc<Access>,
}

impl Admin {
    /// With that importer, and that puller if there is one, for whom `access` lets.
    #[must_use]
    pub const fn new(importer: Importer, puller: Option<Puller>, access: Arc<Access>) -> Self {
        Self { importer, puller, access }
    }

    /// What is asked, if whoever asks may.
    async fn asked<T>(&self, request: Request<T>) -> Result<T, Status> {
        let (metadata, extensions, asked) = request.into_parts();
        self.access.may_administer(&metadata, &extensions).await?;
        Ok(asked)
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn import_feed(
        &self,
        request: Request<Streaming<v1::ImportFeedRequest>>,
    ) -> Result<Response<v1::ImportFeedResponse>, Status> {
        let parts = self.asked(request).await?;
        let now = Timestamp::now();
        let (declared, intake) = receive(parts).await?;
        let (read, passed_over, first_passed_over) = intake.finish();
        let imported = self.importer.import(read, declared, now).await;
        let imported = imported.map_err(|error| status(&error))?;
        let generation = imported.generation;
        Ok(Response::new(v1::ImportFeedResponse {
            feeds: self.importer.told(imported, now),
            passed_over: u64::try_from(passed_over).unwrap_or(u64::MAX),
            first_passed_over,
            generation,
        }))
    }

    async fn import_images(
        &self,
        request: Request<Streaming<v1::ImportImagesRequest>>,
    ) -> Result<Response<v1::ImportImagesResponse>, Status> {
        let parts = self.asked(request).await?;
        let now = whole_microsecond(Timestamp::now());
        let received = receive_images(parts, now).await?;
        let ReceivedImages {
            cluster,
            documents,
            reports,
            passed_over,
            first_passed_over,
            mut remarks,
        } = received;
        // What is passed over is no report.
        let (reports, ..) = reports.finish();
        let read = ReadImages { documents, reports, cluster };
        let imported = self.importer.import_images(read, now).await;
        let imported = imported.map_err(|error| image_status(&error))?;
        remarks.extend(imported.remarks);
        let documents =
            imported.documents.into_iter().map(|(kind, count, news)| v1::ImportedDocuments {
                kind: kind.word().to_owned(),
                count: u64::try_from(count).unwrap_or(u64::MAX),
                news: u64::try_from(news).unwrap_or(u64::MAX),
            });
        Ok(Response::new(v1::ImportImagesResponse {
            documents: documents.collect(),
            remarks,
            passed_over: u64::try_from(passed_over).unwrap_or(u64::MAX),
            first_passed_over,
            generation: imported.generation,
        }))
    }

    async fn pull_feeds(
        &self,
        request: Request<v1::PullFeedsRequest>,
    ) -> Result<Response<v1::PullFeedsResponse>, Status> {
        self.asked(request).await?;
        let Some(puller) = &self.puller else {
            let why = "no feed is configured: nodeward-aggregator serve --feed URL";
            return Err(Status::failed_precondition(why));
        };
        let pulled = puller.pull().await;
        let now = Timestamp::now();
        let sources = pulled.into_iter().map(|one| {
            let (outcome, why, feeds) = match one.outcome {
                Ok(Some(imported)) => {
                    ("imported", String::new(), self.importer.told(imported, now))
                }
                Ok(None) => ("not_modified", String::new(), Vec::new()),
                Err(error) => ("failed", with_causes(&error), Vec::new()),
            };
            v1::PulledFeed {
                url: one.url,
                outcome: outcome.to_owned(),
                why,
                bytes: one.bytes,
                feeds,
            }
        });
        Ok(Response::new(v1::PullFeedsResponse { sources: sources.collect() }))
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

/// A moment as precisely as the store keeps it, so that a restart changes no answer.
fn whole_microsecond(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// An error of an import of images with all of its causes, as the one who asked may mend it.
fn image_status(error: &ImagesError) -> Status {
    let text = with_causes(error);
    match error {
        ImagesError::Document(_) | ImagesError::Differ { .. } | ImagesError::Nothing => {
            Status::invalid_argument(text)
        }
        ImagesError::Report(error) => status(error),
        ImagesError::Store(_) => Status::unavailable(text),
        ImagesError::Advisories(_) | ImagesError::Stopped => Status::internal(text),
    }
}

/// What came of an import of images.
#[derive(Default)]
struct ReceivedImages {
    cluster: Option<String>,
    documents: Vec<ReadDocument>,
    reports: Intake,
    passed_over: usize,
    first_passed_over: String,
    /// Files that are named as notes are, and are none: whoever sees no news of an image should
    /// hear of them.
    remarks: Vec<String>,
}

/// So many files that are named as notes are told of by name.
const MOST_NAMED: usize = 20;

/// Takes documents about images, each in memory until it is whole: none is long.
async fn receive_images(
    mut parts: Streaming<v1::ImportImagesRequest>,
    now: Timestamp,
) -> Result<ReceivedImages, Status> {
    use v1::import_images_request::Part;
    let mut received = ReceivedImages::default();
    let mut file: Option<(v1::ImportFile, Vec<u8>)> = None;
    let mut files = 0;
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Head(head)) => {
                received.cluster = Some(head.cluster).filter(|cluster| !cluster.is_empty());
            }
            Some(Part::File(head)) => {
                files += 1;
                if files > MOST_FILES {
                    return Err(Status::invalid_argument(format!("more than {MOST_FILES} files")));
                }
                if let Some(whole) = file.replace((head, Vec::new())) {
                    received = received.read(whole, now).await?;
                }
            }
            Some(Part::Chunk(chunk)) => match &mut file {
                Some((head, bytes)) => {
                    if bytes.len() + chunk.len() > LONGEST_DOCUMENT_BYTES {
                        let limit = LONGEST_DOCUMENT_BYTES;
                        let why = format!("{}: more than {limit} bytes", head.name);
                        return Err(Status::invalid_argument(why));
                    }
                    bytes.extend_from_slice(&chunk);
                }
                None => return Err(Status::invalid_argument("chunk: no file has begun")),
            },
            None => return Err(Status::invalid_argument("part: is missing")),
        }
    }
    match file {
        Some(whole) => received.read(whole, now).await,
        None => Ok(received),
    }
}

impl ReceivedImages {
    /// Reads a whole file where blocking does no harm.
    async fn read(
        mut self,
        (head, bytes): (v1::ImportFile, Vec<u8>),
        now: Timestamp,
    ) -> Result<Self, Status> {
        let kind = kind_of(&head.name, &bytes);
        // What lies in a folder and is of no kind of ours is counted, not refused.
        if !head.is_named && kind.is_none() {
            if self.passed_over == 0 {
                self.first_passed_over.clone_from(&head.name);
            }
            self.passed_over += 1;
            if named_by_path(&head.name).is_some() && self.remarks.len() < MOST_NAMED {
                let what = if bytes.is_empty() { "it is empty" } else { "it is no note" };
                self.remarks
                    .push(format!("{}: named as a note of an image is, and {what}", head.name));
            }
            return Ok(self);
        }
        let read = tokio::task::spawn_blocking(move || {
            let names = names_of(self.cluster.as_deref());
            if kind == Some(Kind::Report) {
                self.reports
                    .named(&head.name, &mut Cursor::new(bytes))
                    .map_err(ImportError::from)?;
            } else {
                self.documents.push(read_document(&head.name, &bytes, &names, now)?);
            }
            Ok(self)
        });
        read.await.unwrap_or(Err(ImagesError::Stopped)).map_err(|error| image_status(&error))
    }
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
