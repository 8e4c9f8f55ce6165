//! Imports of what is known of node images: documents, kept whole in the store and put into
//! the catalogue of the next generation. Either all of them or none.

use std::num::NonZero;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_feeds::acceptance::Acceptance;
use nodeward_feeds::held::Declared;
use nodeward_feeds::image_document::{
    ImageDocument, ImageDocumentError, Kind, pack, read_image_document, unpack,
};
use nodeward_feeds::intake::ReadFeed;
use nodeward_feeds::offered::ClusterNames;

use crate::advisories::{Advisories, AdvisoriesError};
use crate::fleet::Fleet;
use crate::import::{ImportError, Turn, take};
use crate::store::{Document, DocumentKey, FeedBatch, Store, StoreError};

/// Why an import of images changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A file was refused.
    #[error(transparent)]
    Document(#[from] ImageDocumentError),
    /// There is nothing among the files.
    #[error("no file of a known kind is among them")]
    Nothing,
    /// A report of the provider's scanner was refused.
    #[error(transparent)]
    Report(#[from] ImportError),
    /// The next generation could not be made.
    #[error(transparent)]
    Advisories(#[from] AdvisoriesError),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It came to an end before its time.
    #[error("the import was stopped")]
    Stopped,
}

/// What an import of images did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedImages {
    /// Of each kind, so many documents, and how many of them were news.
    pub documents: Vec<(Kind, usize, usize)>,
    /// What stands in files and could not be used.
    pub remarks: Vec<String>,
    /// The generation from now on.
    pub generation: u64,
}

/// A document on its way in.
#[derive(Debug)]
pub struct ReadDocument {
    /// What it says.
    pub document: ImageDocument,
    /// The file that it came in.
    pub file: String,
    /// Its bytes, packed.
    pub packed: Vec<u8>,
}

/// All that came in with one import.
#[derive(Debug, Default)]
pub struct ReadImages {
    /// Documents, each of one file.
    pub documents: Vec<ReadDocument>,
    /// Reports of the provider's scanner, as the feeds that they make.
    pub reports: Vec<ReadFeed>,
    /// What the cluster of documents that tell of pools is called; none as the provider calls
    /// it.
    pub cluster: Option<String>,
}

/// Reads a file.
pub fn read_document(
    file: &str,
    bytes: &[u8],
    names: &ClusterNames,
    now: Timestamp,
) -> Result<ReadDocument, ImageDocumentError> {
    let document = read_image_document(file, bytes, names, now)?;
    Ok(ReadDocument { document, file: file.to_owned(), packed: pack(bytes) })
}

/// Puts what was read into the store and into the next generation.
pub async fn import_images(
    fleet: &Fleet,
    store: &Arc<dyn Store>,
    turn: &Turn,
    read: ReadImages,
    now: Timestamp,
) -> Result<ImportedImages, ImagesError> {
    if read.documents.is_empty() && read.reports.is_empty() {
        return Err(ImagesError::Nothing);
    }
    let _turn = turn.lock().await;
    let before = fleet.advisories();
    let made = tokio::task::spawn_blocking(move || next(&before, read, now));
    let (advisories, batch, imported) = made.await.map_err(|_| ImagesError::Stopped)??;
    store.append_feeds(batch).await?;
    fleet.put_advisories(advisories);
    for (kind, count, news) in &imported.documents {
        tracing::info!(kind = kind.word(), count, news, "documents about images imported");
    }
    Ok(imported)
}

fn next(
    before: &Advisories,
    read: ReadImages,
    now: Timestamp,
) -> Result<(Advisories, FeedBatch, ImportedImages), ImagesError> {
    let mut held = before.held().clone();
    let (mut batch, reports) = take(&mut held, read.reports, &Declared::default(), now)?;
    let mut catalogue = before.images().catalogue().clone();
    let mut imported = ImportedImages { generation: before.generation() + 1, ..Default::default() };
    for (_, acceptance, files, _) in reports {
        let is_news = matches!(acceptance, Acceptance::Replace { .. });
        imported.count(Kind::Report, files, if is_news { files } else { 0 });
    }
    for ReadDocument { document, file, packed } in read.documents {
        let kind = document.kind;
        imported.remarks.extend(document.remarks());
        let cluster = read.cluster.as_deref();
        // A file that names no cluster is told again under the one that was named.
        let name = match (cluster, kind) {
            (Some(cluster), Kind::Offered) => format!("{} {cluster}", document.name),
            _ => document.name.clone(),
        };
        batch.documents.push(Document {
            key: DocumentKey { kind: kind.word().to_owned(), name },
            stored_at: now,
            file: match cluster {
                Some(cluster) if kind == Kind::Offered => format!("{cluster}\n{file}"),
                _ => format!("\n{file}"),
            },
            content: packed,
        });
        let is_news = document.put_into(&mut catalogue);
        imported.count(kind, 1, usize::from(is_news));
    }
    imported.documents.sort();
    let advisories = Advisories::of(held, Images::with(catalogue), imported.generation)?;
    Ok((advisories, batch, imported))
}

impl ImportedImages {
    /// Counts documents of a kind.
    fn count(&mut self, kind: Kind, count: usize, news: usize) {
        match self.documents.iter_mut().find(|(counted, ..)| *counted == kind) {
            Some((_, all, with_news)) => {
                *all += count;
                *with_news += news;
            }
            None => self.documents.push((kind, count, news)),
        }
    }
}

/// The catalogue out of the documents of the store. A document that cannot be read any more
/// costs itself alone.
#[must_use]
pub fn catalogue_of(documents: &[Document]) -> (Catalogue, Vec<ImageDocumentError>) {
    let mut catalogue = Catalogue::default();
    let mut spoilt = Vec::new();
    let kinds = [Kind::Note, Kind::List, Kind::Patch, Kind::Announced, Kind::Offered];
    let of_images: Vec<&Document> = documents
        .iter()
        .filter(|document| kinds.iter().any(|kind| kind.word() == document.key.kind))
        .collect();
    // Thousands may be kept: every processor reads some, and they are put in in their order.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let each = of_images.len().div_ceil(processors).max(1);
    let read: Vec<Vec<Read>> = std::thread::scope(|scope| {
        let readers: Vec<_> = of_images
            .chunks(each)
            .map(|some| scope.spawn(|| some.iter().map(|one| read_stored(one)).collect()))
            .collect();
        let lost = |_| {
            let why = "its reader stopped, and so those beside it are missing too".to_owned();
            vec![Err(ImageDocumentError::Packed { name: "a document".to_owned(), why })]
        };
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(lost)).collect()
    });
    for read in read.into_iter().flatten() {
        match read {
            Ok(document) => {
                document.put_into(&mut catalogue);
            }
            Err(error) => spoilt.push(error),
        }
    }
    (catalogue, spoilt)
}

/// A document that was read, or why it cannot be.
type Read = Result<ImageDocument, ImageDocumentError>;

fn read_stored(Document { key, stored_at, file, content }: &Document) -> Read {
    let (cluster, file) = file.split_once('\n').unwrap_or(("", file));
    let names = names_of(Some(cluster).filter(|cluster| !cluster.is_empty()));
    let bytes = unpack(&key.name, content)?;
    read_image_document(file, &bytes, &names, *stored_at)
}

/// What clusters are called: as was said, or as the provider calls them.
#[must_use]
pub fn names_of(cluster: Option<&str>) -> ClusterNames {
    cluster.map_or_else(ClusterNames::default, ClusterNames::one)
}
