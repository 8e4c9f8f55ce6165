//! Imports of what is known of node images: documents, kept whole in the store and put into
//! the catalogue of the next generation. Either all of them or none.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::image::catalogue::Catalogue;
use nodeward_feeds::acceptance::Acceptance;
use nodeward_feeds::held::Declared;
use nodeward_feeds::image_document::{
    Content, ImageDocument, ImageDocumentError, Kind, pack, read_image_document, unpack,
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
    /// Two files of one import are about one image, and say different things of it.
    #[error("{name}: {one} and {other} are both its {kind}, and differ")]
    Differ {
        /// The image, or the patch.
        name: String,
        /// The kind of both.
        kind: &'static str,
        /// The first file.
        one: String,
        /// The other.
        other: String,
    },
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
    // By kind and name, the file that a document of this import came in, and its bytes.
    let mut own: BTreeMap<(Kind, String), (String, Vec<u8>)> = BTreeMap::new();
    let mut notes = Vec::new();
    for ReadDocument { document, file, packed } in read.documents {
        let kind = document.kind;
        imported.remarks.extend(document.remarks());
        document.refuse_other_clusters(&file, &catalogue).map_err(ImageDocumentError::from)?;
        if matches!(kind, Kind::Note | Kind::List | Kind::Patch) {
            let key = (kind, document.name.clone());
            match own.get(&key) {
                Some((_, bytes)) if *bytes == packed => {}
                Some((one, _)) => {
                    let (name, one) = (document.name, one.clone());
                    return Err(ImagesError::Differ { name, kind: kind.word(), one, other: file });
                }
                None => {
                    own.insert(key, (file.clone(), packed.clone()));
                }
            }
        }
        if let Content::Note(release) = &document.content {
            let label = release.label();
            let known = catalogue.release(&label.family, &label.version);
            if known.is_some_and(|known| **known != **release) {
                imported.remarks.push(format!("{label}: replaced by what {file} says"));
            }
            notes.push(label);
        }
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
    for label in notes {
        let Some(release) = catalogue.release(&label.family, &label.version) else { continue };
        if let Some((other, packages)) = catalogue.far_longer_neighbour(release) {
            let own = release.listed().map_or(0, <[_]>::len);
            imported.remarks.push(format!(
                "{label}: lists {own} packages, and {other}, built next to it, {packages}: it may \
                 not be whole"
            ));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "AKSUbuntu-2204gen2containerd/202607.02.0.txt";

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().expect("a moment")
    }

    /// A note with so many packages.
    fn note(packages: usize) -> String {
        let list: String = (0..packages)
            .map(|index| format!("package{index}/jammy,now 1.0 amd64 [installed]\n"))
            .collect();
        format!(
            "Starting build on  Thu Jul 2 07:16:05 UTC 2026\n\
             === Installed Packages Begin\nListing...\n{list}=== Installed Packages End\n\
             === os-release Begin\nVERSION_ID=\"22.04\"\nID=ubuntu\n=== os-release End\n\
             Install completed successfully on  Thu Jul 2 07:32:57 UTC 2026\n\
             FIPS enabled: False\n"
        )
    }

    fn upgrades(group: &str) -> String {
        format!(
            "{{\"id\": \"/subscriptions/s1/resourceGroups/{group}/providers/\
             Microsoft.ContainerService/managedClusters/prod/agentPools/apps/upgradeProfiles/\
             default\", \"latestNodeImageVersion\": \
             \"AKSUbuntu-2204gen2containerd-202607.02.0\"}}"
        )
    }

    fn import(
        before: &Advisories,
        files: &[(&str, String)],
    ) -> Result<(Advisories, ImportedImages), String> {
        let read = files
            .iter()
            .map(|(file, text)| read_document(file, text.as_bytes(), &names_of(None), now()));
        let documents = read.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let read = ReadImages { documents, ..ReadImages::default() };
        let (advisories, _, imported) =
            next(before, read, now()).map_err(|error| error.to_string())?;
        Ok((advisories, imported))
    }

    fn empty() -> Advisories {
        Advisories::of(Default::default(), Images::default(), 0).expect("nothing in it")
    }

    #[test]
    fn two_notes_of_one_image_that_differ_are_refused_and_later_ones_told_of() {
        let other = "AKSUbuntu/gen2/2204containerd/202607.02.0.txt";
        let error =
            import(&empty(), &[(NOTE, note(3)), (other, note(4))]).map(|_| ()).expect_err("both");
        assert_eq!(
            error,
            format!(
                "AKSUbuntu-2204gen2containerd-202607.02.0: {NOTE} and {other} are both its note, \
                 and differ"
            )
        );
        let (first, imported) =
            import(&empty(), &[(NOTE, note(3)), (other, note(3))]).expect("the same twice");
        assert_eq!(imported.remarks, [""; 0]);
        let (_, imported) = import(&first, &[(other, note(4))]).expect("a later one");
        let expected =
            format!("AKSUbuntu-2204gen2containerd-202607.02.0: replaced by what {other} says");
        assert_eq!(imported.remarks, [expected]);
    }

    #[test]
    fn two_clusters_of_one_name_are_refused_in_one_import_and_in_the_next() {
        let (a, b) = (("a.json", upgrades("rg-a")), ("b.json", upgrades("rg-b")));
        let error =
            import(&empty(), &[a.clone(), b.clone()]).map(|_| ()).expect_err("two clusters");
        assert!(error.starts_with("b.json: s1/rg-a/prod and s1/rg-b/prod would both"), "{error}");
        let (first, _) = import(&empty(), std::slice::from_ref(&a)).expect("one");
        assert!(import(&first, &[a]).is_ok());
        assert_eq!(import(&first, &[b]).map(|_| ()), Err(error));
    }

    #[test]
    fn a_list_far_shorter_than_its_neighbours_is_remarked() {
        let short = NOTE.replace("02.0", "02.1");
        let (_, imported) = import(&empty(), &[(&short, note(4)), (NOTE, note(9))]).expect("notes");
        let expected = "AKSUbuntu-2204gen2containerd-202607.02.1: lists 4 packages, and \
                        202607.02.0, built next to it, 9: it may not be whole";
        assert_eq!(imported.remarks, [expected]);
    }
}
