//! Imports of what is known of node images: documents, kept whole in the store and put into
//! the catalogue of the next generation. Either all of them or none.

use std::num::NonZero;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_feeds::image_document::{
    ImageDocument, ImageDocumentError, Kind, pack, read_image_document, unpack,
};
use nodeward_feeds::offered::ClusterNames;

use crate::advisories::{Advisories, AdvisoriesError};
use crate::fleet::Fleet;
use crate::import::Turn;
use crate::store::{Document, DocumentKey, Store, StoreError};

/// Why an import of images changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A file was refused.
    #[error(transparent)]
    Document(#[from] ImageDocumentError),
    /// There is nothing among the files.
    #[error("no file of a known kind is among them")]
    Nothing,
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
    read: Vec<ReadDocument>,
    cluster: Option<String>,
    now: Timestamp,
) -> Result<ImportedImages, ImagesError> {
    if read.is_empty() {
        return Err(ImagesError::Nothing);
    }
    let _turn = turn.lock().await;
    let before = fleet.advisories();
    let made = tokio::task::spawn_blocking(move || next(&before, read, cluster.as_deref(), now));
    let (advisories, documents, imported) = made.await.map_err(|_| ImagesError::Stopped)??;
    store.put_documents(documents).await?;
    fleet.put_advisories(advisories);
    for (kind, count, news) in &imported.documents {
        tracing::info!(kind = kind.word(), count, news, "documents about images imported");
    }
    Ok(imported)
}

fn next(
    before: &Advisories,
    read: Vec<ReadDocument>,
    cluster: Option<&str>,
    now: Timestamp,
) -> Result<(Advisories, Vec<Document>, ImportedImages), AdvisoriesError> {
    let mut catalogue = before.images().catalogue().clone();
    let mut imported = ImportedImages { generation: before.generation() + 1, ..Default::default() };
    let mut documents = Vec::with_capacity(read.len());
    for ReadDocument { document, file, packed } in read {
        let kind = document.kind;
        imported.remarks.extend(document.remarks());
        // A file that names no cluster is told again under the one that was named.
        let name = match (cluster, kind) {
            (Some(cluster), Kind::Offered) => format!("{} {cluster}", document.name),
            _ => document.name.clone(),
        };
        documents.push(Document {
            key: DocumentKey { kind: kind.word().to_owned(), name },
            stored_at: now,
            file: match cluster {
                Some(cluster) if kind == Kind::Offered => format!("{cluster}\n{file}"),
                _ => format!("\n{file}"),
            },
            content: packed,
        });
        let is_news = document.put_into(&mut catalogue);
        let counted = imported.documents.iter_mut().find(|(counted, ..)| *counted == kind);
        match counted {
            Some((_, count, news)) => {
                *count += 1;
                *news += usize::from(is_news);
            }
            None => imported.documents.push((kind, 1, usize::from(is_news))),
        }
    }
    imported.documents.sort();
    let images = Images::with(catalogue);
    let advisories = Advisories::of(before.held().clone(), images, imported.generation)?;
    Ok((advisories, documents, imported))
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
