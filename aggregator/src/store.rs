//! What must outlive the process. A dozen operations behind one trait; every
//! implementation passes the same tests, in the crate `nodeward-tests`.

pub mod sqlite;

use std::pin::Pin;

use jiff::Timestamp;
use nodeward_domain::check::Presented;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

use crate::peer::Peer;

/// So many boots before the present one are remembered of a node, to refuse reports
/// that come too late.
pub const EARLIER_BOOTS: usize = 8;

/// The number of a change. Numbers grow with every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeNumber(pub i64);

/// What one report changes. Committed as a whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Who reported.
    pub peer: Peer,
    /// Boot id of the report.
    pub boot_id: String,
    /// Order of the report within the boot.
    pub seq: u64,
    /// When the report arrived, by the aggregator's clock.
    pub received_at: Timestamp,
    /// Contents that came along and are not stored yet.
    pub contents: Vec<Content>,
    /// Components whose content is another than before.
    pub transitions: Vec<Transition>,
}

/// From now on a component has this content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The component's name.
    pub component: String,
    /// Version of the content's form.
    pub form: u32,
    /// The content's name.
    pub digest: Digest,
    /// Since when, by the aggregator's clock.
    pub valid_from: Timestamp,
}

/// What moves with every report and may be lost with a crash: saved now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose report.
    pub peer: Peer,
    /// Boot id of the newest report.
    pub boot_id: String,
    /// Its order within the boot.
    pub seq: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What its agent showed of itself.
    pub shown: Presented,
    /// What was observed of its components.
    pub components: Vec<SeenComponent>,
    /// Its checks that fail.
    pub standings: Vec<SeenStanding>,
}

/// How long a check has been failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenStanding {
    /// The check's reason.
    pub reason: String,
    /// In how many rounds.
    pub observations: u32,
    /// Since when, by the aggregator's clock.
    pub since: Timestamp,
}

/// How a component's content held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenComponent {
    /// The component's name.
    pub component: String,
    /// The content that was observed.
    pub digest: Digest,
    /// How often in a row.
    pub observations: u32,
    /// When last, by the aggregator's clock.
    pub last_observed: Timestamp,
}

/// What one import changes. Committed as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedBatch {
    /// Last good states of feeds, in the place of those before.
    pub feeds: Vec<FeedBlob>,
    /// What was added to the ledger of dates; nothing of it is ever taken away.
    pub ledger: Vec<Vec<u8>>,
    /// When it was imported, by the aggregator's clock.
    pub imported_at: Option<Timestamp>,
    /// Documents about images that came with it, in the place of those of their names.
    pub documents: Vec<Document>,
}

impl FeedBatch {
    /// So many bytes are stored, more or less.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let feeds = self.feeds.iter().map(|feed| feed.state.len() + feed.content.len());
        let documents = self.documents.iter().map(|document| document.content.len());
        feeds.chain(self.ledger.iter().map(Vec::len)).chain(documents).sum()
    }
}

/// A feed as it is stored: opaque bytes, see `nodeward_feeds::stored`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedBlob {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: Vec<u8>,
    /// What it says.
    pub content: Vec<u8>,
}

/// All feeds as they are stored, and the ledger in the order in which it grew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredFeeds {
    /// By name.
    pub feeds: Vec<FeedBlob>,
    /// What each import added.
    pub ledger: Vec<Vec<u8>>,
}

/// What somebody handed in or made, kept whole: a release note of an image, a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its kind and name; another of the same takes its place.
    pub key: DocumentKey,
    /// When it was stored, by the aggregator's clock.
    pub stored_at: Timestamp,
    /// The name of the file that it came in, or nothing.
    pub file: String,
    /// Its bytes, packed as whoever stores it likes.
    pub content: Vec<u8>,
}

/// What is stored of documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredDocuments {
    /// Those that can be read, in their order.
    pub documents: Vec<Document>,
    /// Rows that cannot.
    pub spoilt: Vec<Spoilt>,
}

/// Names a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    /// Its kind.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
}

/// One life of a node, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNode {
    /// The node.
    pub peer: Peer,
    /// Boot id of the newest stored report.
    pub boot_id: String,
    /// Boot ids before that one, newest first.
    pub earlier_boots: Vec<String>,
    /// Order of the newest stored report within the boot.
    pub seq: u64,
    /// Whether it has ever reported: an API server may tell of a node that has not.
    pub has_reported: bool,
    /// When this life was first seen.
    pub first_seen: Timestamp,
    /// When its newest stored report arrived.
    pub last_seen: Timestamp,
    /// What its agent showed of itself, as last saved.
    pub shown: Presented,
    /// Its components' intervals that belong to the asked range, oldest first.
    pub intervals: Vec<Interval>,
    /// Its checks that failed, as last saved.
    pub standings: Vec<SeenStanding>,
}

/// What was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The lives of nodes, in the order of their last changes: the present one is the last.
    pub nodes: Vec<StoredNode>,
    /// Everything up to this change is among them.
    pub upto: ChangeNumber,
    /// What could not be read, and so is not among them.
    pub spoilt: Vec<Spoilt>,
}

/// A row of the store that cannot be what was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table {table}, row {row}: {why}")]
pub struct Spoilt {
    /// The table.
    pub table: &'static str,
    /// The row's key, for people.
    pub row: String,
    /// What is wrong with it.
    pub why: String,
    /// The component that stood on it; none when none did, or none can be told.
    pub component: Option<(Peer, String)>,
}

/// A stretch of time in which a component had one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The component's name.
    pub component: String,
    /// Version of the content's form.
    pub form: u32,
    /// The content's name.
    pub digest: Digest,
    /// First observation, by the aggregator's clock.
    pub valid_from: Timestamp,
    /// When another content took its place; none while it stands.
    pub valid_to: Option<Timestamp>,
    /// How often in a row it was observed, as last saved.
    pub observations: u32,
    /// When it was last observed, as last saved.
    pub last_observed: Timestamp,
}

/// Why the store did not do what was asked. What failed has changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store could not be opened.
    #[error("store {place}: {why}")]
    Open {
        /// Where it lies.
        place: String,
        /// Why.
        why: String,
    },
    /// An operation failed.
    #[error("store: {operation}: {why}")]
    Operation {
        /// Which one.
        operation: &'static str,
        /// Why.
        why: String,
    },
    /// A row cannot be what was stored.
    #[error("store: {0}")]
    Spoilt(Box<Spoilt>),
    /// A file of the store is not there any more. Nothing is committed until it is back,
    /// or the aggregator starts again.
    #[error("store: {place}: {why}")]
    Gone {
        /// The file.
        place: String,
        /// What became of it.
        why: String,
    },
    /// The store is closed.
    #[error("store: closed")]
    Closed,
}

/// What an operation promises.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where things last.
pub trait Store: Send + Sync + 'static {
    /// Commits what one report changes. Resolves after it would survive power loss.
    fn append(&self, batch: Batch) -> StoreFuture<'_, ChangeNumber>;

    /// Commits one content. Resolves after it would survive power loss.
    fn put_content(&self, content: Content) -> StoreFuture<'_, ChangeNumber>;

    /// Saves what moves with every report; may be lost.
    fn save_seen(&self, seen: Vec<Seen>) -> StoreFuture<'_, ()>;

    /// Everything that changed after that number. After `ChangeNumber(0)`: everything, with
    /// the last `intervals` of each component. A row that is spoilt costs itself alone.
    fn load_since(&self, after: ChangeNumber, intervals: usize) -> StoreFuture<'_, Loaded>;

    /// The content of that name. Fails with `Spoilt` when what is here is another; putting
    /// the content once more replaces it.
    fn content(&self, digest: Digest) -> StoreFuture<'_, Option<Content>>;

    /// Those of the names that have no content here.
    fn missing(&self, digests: Vec<Digest>) -> StoreFuture<'_, Vec<Digest>>;

    /// Every interval of one node's lives, oldest first, without those that are spoilt.
    fn intervals(&self, cluster: String, node: String) -> StoreFuture<'_, Vec<(String, Interval)>>;

    /// Commits what an import changes. Resolves after it would survive power loss.
    fn append_feeds(&self, batch: FeedBatch) -> StoreFuture<'_, ChangeNumber>;

    /// All feeds, and the ledger.
    fn feeds(&self) -> StoreFuture<'_, StoredFeeds>;

    /// Commits documents, all or none. Resolves after they would survive power loss.
    fn put_documents(&self, documents: Vec<Document>) -> StoreFuture<'_, ChangeNumber>;

    /// All documents, in the order in which they were stored. A row that is spoilt costs itself
    /// alone.
    fn documents(&self) -> StoreFuture<'_, StoredDocuments>;

    /// A value that belongs to the store as a whole, made by `make` when it is not
    /// there yet.
    fn setting(&self, key: &'static str, make: String) -> StoreFuture<'_, String>;

    /// Whether the store commits: it commits something, as much as it last failed to.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// Whether what was committed can still be found, as far as a glance tells. An answer
    /// that says something was stored must not be given otherwise.
    fn intact(&self) -> Result<(), StoreError>;

    /// Commits what is under way and closes. Later operations fail. Afterwards another
    /// process may have the store, and its file can be copied.
    fn close(&self) -> StoreFuture<'_, ()>;
}
