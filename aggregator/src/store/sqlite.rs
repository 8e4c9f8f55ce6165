//! The embedded store: one SQLite file with a write-ahead log. One thread owns the
//! writing connection and commits whatever has queued up as one group, with full
//! synchronisation; reads run on a connection of their own.

mod commit;
mod files;
mod read;
mod schema;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::{
    Batch, ChangeNumber, Document, FeedBatch, Interval, Loaded, Seen, Store, StoreError,
    StoreFuture, StoredDocuments, StoredFeeds,
};
use files::{Files, OpenFiles};
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

/// So many operations may wait for the writer before callers have to wait themselves.
const QUEUE: usize = 1024;

/// So many operations are committed as one group at most.
const GROUP: usize = 256;

/// An operation of the writer, and who waits for it.
enum Write {
    Append(Box<Batch>, oneshot::Sender<Result<ChangeNumber, StoreError>>),
    Content(Content, oneshot::Sender<Result<ChangeNumber, StoreError>>),
    Documents(Vec<Document>, oneshot::Sender<Result<ChangeNumber, StoreError>>),
    Feeds(Box<FeedBatch>, oneshot::Sender<Result<ChangeNumber, StoreError>>),
    Seen(Vec<Seen>, oneshot::Sender<Result<(), StoreError>>),
    Setting(&'static str, String, oneshot::Sender<Result<String, StoreError>>),
    Ping(oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The embedded store.
pub struct SqliteStore {
    writes: mpsc::Sender<Write>,
    /// None once the store is closed.
    reader: Arc<Mutex<Option<Connection>>>,
    files: Arc<OpenFiles>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |why: String| StoreError::Open { place: path.display().to_string(), why };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let files = Files::take(path).map_err(failed)?;
        let open = |flags: OpenFlags| {
            let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(files.database(), flags)
        };
        let sqlite = |error: rusqlite::Error| failed(schema::why(&error));
        let mut writer = open(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        schema::prepare(&mut writer).map_err(failed)?;
        let reader = open(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
        schema::tune(&reader).map_err(sqlite)?;
        let files = Arc::new(files.opened().map_err(failed)?);
        let (writes, queue) = mpsc::channel(QUEUE);
        let of_writer = Arc::clone(&files);
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || commit::run(writer, of_writer, queue))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { writes, reader: Arc::new(Mutex::new(Some(reader))), files })
    }

    /// Hands an operation to the writer and waits for its commit.
    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Write + Send + 'static,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move {
            let (done, committed) = oneshot::channel();
            self.writes.send(write(done)).await.map_err(|_| StoreError::Closed)?;
            committed.await.map_err(|_| StoreError::Closed)?
        })
    }

    /// Reads on a thread that may block.
    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let reader = Arc::clone(&self.reader);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let reader = reader.as_ref().ok_or(StoreError::Closed)?;
                read(reader).map_err(|error| failed(operation, &error))
            })
            .await
            .unwrap_or(Err(StoreError::Closed))
        })
    }
}

fn failed(operation: &'static str, error: &rusqlite::Error) -> StoreError {
    StoreError::Operation { operation, why: schema::why(error) }
}

impl Store for SqliteStore {
    fn append(&self, batch: Batch) -> StoreFuture<'_, ChangeNumber> {
        self.write(|done| Write::Append(Box::new(batch), done))
    }

    fn put_content(&self, content: Content) -> StoreFuture<'_, ChangeNumber> {
        self.write(|done| Write::Content(content, done))
    }

    fn save_seen(&self, seen: Vec<Seen>) -> StoreFuture<'_, ()> {
        self.write(|done| Write::Seen(seen, done))
    }

    fn load_since(&self, after: ChangeNumber, intervals: usize) -> StoreFuture<'_, Loaded> {
        self.read("load", move |reader| read::load_since(reader, after, intervals))
    }

    fn content(&self, digest: Digest) -> StoreFuture<'_, Option<Content>> {
        let read = self.read("content", move |reader| read::content(reader, digest));
        Box::pin(async move { read.await?.map_err(|row| StoreError::Spoilt(Box::new(row))) })
    }

    fn missing(&self, digests: Vec<Digest>) -> StoreFuture<'_, Vec<Digest>> {
        self.read("missing content", move |reader| read::missing(reader, digests))
    }

    fn intervals(&self, cluster: String, node: String) -> StoreFuture<'_, Vec<(String, Interval)>> {
        self.read("intervals", move |reader| read::intervals(reader, &cluster, &node))
    }

    fn append_feeds(&self, batch: FeedBatch) -> StoreFuture<'_, ChangeNumber> {
        self.write(|done| Write::Feeds(Box::new(batch), done))
    }

    fn feeds(&self) -> StoreFuture<'_, StoredFeeds> {
        self.read("feeds", read::feeds)
    }

    fn put_documents(&self, documents: Vec<Document>) -> StoreFuture<'_, ChangeNumber> {
        self.write(|done| Write::Documents(documents, done))
    }

    fn documents(&self) -> StoreFuture<'_, StoredDocuments> {
        self.read("documents", read::documents)
    }

    fn setting(&self, key: &'static str, make: String) -> StoreFuture<'_, String> {
        self.write(move |done| Write::Setting(key, make, done))
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.write(Write::Ping)
    }

    fn intact(&self) -> Result<(), StoreError> {
        self.files.intact()
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        let reader = Arc::clone(&self.reader);
        Box::pin(async move {
            // Waits for whoever reads. The writer can only bring everything into the one
            // file when nobody reads any more.
            let left = tokio::task::spawn_blocking(move || {
                reader.lock().unwrap_or_else(PoisonError::into_inner).take();
            });
            left.await.map_err(|_| StoreError::Closed)?;
            self.write(Write::Close).await
        })
    }
}

/// The file behind an address such as `sqlite:/var/lib/nodeward/store.db`.
#[must_use]
pub fn path_of(address: &str) -> Option<PathBuf> {
    address.strip_prefix("sqlite:").filter(|path| !path.is_empty()).map(PathBuf::from)
}
