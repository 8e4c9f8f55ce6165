//! Imports of feeds: what files say takes the place of the last good state, in the store
//! first and then in memory. Either all of it or none.

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_feeds::acceptance::{Acceptance, Refusal};
use nodeward_feeds::held::{Declared, Held, Taken};
use nodeward_feeds::intake::{IntakeError, ReadFeed};
use nodeward_feeds::stored::{self, StoredError};
use nodeward_proto::v1;
use tokio::sync::Mutex;

use crate::advisories::{Advisories, AdvisoriesError};
use crate::fleet::Fleet;
use crate::images::{ImagesError, ImportedImages, ReadImages, import_images};
use crate::store::{FeedBatch, FeedBlob, Store, StoreError};

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
    pub feeds: TakenFeeds,
    /// The generation of advisories from now on.
    pub generation: u64,
}

/// One import after the other: each begins with what the last one left.
pub type Turn = Arc<Mutex<()>>;

/// Takes feeds in, and documents about images.
#[derive(Clone)]
pub struct Importer {
    fleet: Arc<Fleet>,
    store: Arc<dyn Store>,
    turn: Turn,
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

    /// Puts documents about images, and the provider's reports on them, beside and in the
    /// place of those that are known.
    pub async fn import_images(
        &self,
        read: ReadImages,
        now: Timestamp,
    ) -> Result<ImportedImages, ImagesError> {
        import_images(&self.fleet, &self.store, &self.turn, read, now).await
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
        let last = Arc::clone(&before);
        let made = tokio::task::spawn_blocking(move || next(&last, read, &declared, now));
        let (advisories, batch, imported) = made.await.map_err(|_| ImportError::Stopped)??;
        self.store.append_feeds(batch).await?;
        self.fleet.put_advisories(advisories);
        let after = self.fleet.advisories();
        for (feed, acceptance, files, dates) in &imported.feeds {
            tracing::info!(feed, ?acceptance, files, dates, "feed imported");
            let moved = after.moves(feed).saturating_sub(before.moves(feed));
            if moved > 0 {
                tracing::warn!(feed, moved, "the vendor moved dates; the earliest ones count on");
            }
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
    let (batch, feeds) = take(&mut held, read, declared, now)?;
    let generation = before.generation() + 1;
    let advisories = Advisories::of(held, before.images().clone(), generation)?;
    Ok((advisories, batch, Imported { feeds, generation }))
}

/// What became of each feed, see [`Imported::feeds`].
pub(crate) type TakenFeeds = Vec<(String, Acceptance, usize, usize)>;

/// Puts feeds in the place of the last good states. Gives what of it is to be stored.
pub(crate) fn take(
    held: &mut Held,
    read: Vec<ReadFeed>,
    declared: &Declared,
    now: Timestamp,
) -> Result<(FeedBatch, TakenFeeds), ImportError> {
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
    Ok((batch, feeds))
}

impl Importer {
    /// An import as it is told.
    #[must_use]
    pub fn told(&self, imported: Imported, now: Timestamp) -> Vec<v1::ImportedFeed> {
        let statuses = self.fleet.advisories().statuses(now);
        imported
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
            .collect()
    }
}
