//! The advisories that nodes are judged by: one generation of them at a time, made anew by
//! every import that changes something. What was matched is kept with the generation, once
//! for all nodes that are alike.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use nodeward_domain::advisory::{Bulletin, FeedStatus, Feeds, MitigationReport, ScanReport};
use nodeward_domain::check::Outside;
use nodeward_domain::cluster::ClusterTruth;
use nodeward_domain::fixes::images::Images;
use nodeward_domain::fixes::node::Judged;
use nodeward_domain::fixes::{Knowledge, Place};
use nodeward_domain::matching::{Index, MatchKey, Matched, TooManyStatements, match_inventory};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::policy::Policy;
use nodeward_domain::pool::Surroundings;
use nodeward_feeds::held::{Held, HeldFeed};
use nodeward_feeds::image_document::ImageDocumentError;
use nodeward_feeds::starter::StarterError;
use nodeward_feeds::stored::{self, StoredError};
use nodeward_proto::digest::Digest;

use crate::images::catalogue_of;
use crate::store::{FeedBlob, Spoilt, Store, StoreError};

/// Why there are no advisories to judge by.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoriesError {
    /// The table that comes with the program.
    #[error("starter feed: {0}")]
    Starter(#[from] StarterError),
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] TooManyStatements),
    /// The store does not give them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored of a feed cannot be read.
    #[error("store: feed {feed}: {source}")]
    Feed {
        /// The feed.
        feed: String,
        /// Why.
        source: StoredError,
    },
    /// How a feed stands cannot be read.
    #[error("store: feed {feed}: state: {source}")]
    State {
        /// The feed.
        feed: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A row cannot be read.
    #[error("store: {0}")]
    Row(Box<Spoilt>),
    /// A document about images cannot be read.
    #[error("store: {0}")]
    Document(ImageDocumentError),
    /// What is stored of the ledger cannot be read.
    #[error("store: ledger of dates, entry {entry}: {source}")]
    Ledger {
        /// Which of them.
        entry: usize,
        /// Why.
        source: StoredError,
    },
}

/// One generation of advisories.
pub struct Advisories {
    held: Held,
    index: Index,
    feeds: Feeds,
    /// How many dates of each feed were moved.
    moves: BTreeMap<String, usize>,
    images: Images,
    bulletins: Vec<Bulletin>,
    reports: Vec<ScanReport>,
    mitigations: Vec<MitigationReport>,
    matched: Mutex<BTreeMap<MatchKey, Kept>>,
}

/// What was matched, and whether it has been asked for of late.
struct Kept {
    matched: Arc<Matched>,
    is_used: bool,
}

impl std::fmt::Debug for Advisories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advisories").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Advisories {
    /// What comes with the program, and nothing else.
    pub fn starter() -> Result<Self, AdvisoriesError> {
        Self::of(Held::starter()?, Images::default(), 1)
    }

    /// Of what is held, as that generation.
    pub fn of(held: Held, images: Images, generation: u64) -> Result<Self, AdvisoriesError> {
        let index = held.index(generation)?;
        let feeds = held.states();
        let moves = feeds
            .iter()
            .map(|feed| (feed.name.to_string(), held.ledger().moves_of(&feed.name)))
            .collect();
        let bulletins = held.bulletins().cloned().collect();
        let reports = held.scan_reports().cloned().collect();
        let mitigations = held.mitigation_reports().cloned().collect();
        Ok(Self {
            held,
            index,
            feeds,
            moves,
            images,
            bulletins,
            reports,
            mitigations,
            matched: Mutex::default(),
        })
    }

    /// As they are stored, and what of it cannot be read: a feed that is spoilt costs itself
    /// alone, and says nothing until it is imported again.
    pub async fn load(store: &dyn Store) -> Result<(Self, Vec<AdvisoriesError>), AdvisoriesError> {
        let stored = store.feeds().await?;
        let mut held = Held::starter()?;
        let mut spoilt = Vec::new();
        for feed in &stored.feeds {
            match read_feed(feed) {
                Ok(feed) => held.restore(feed),
                Err(error) => spoilt.push(error),
            }
        }
        let mut ledger = Vec::with_capacity(stored.ledger.len());
        for (entry, added) in (1..).zip(&stored.ledger) {
            match stored::unpack_recorded(added) {
                Ok(recorded) => ledger.push(recorded),
                Err(source) => spoilt.push(AdvisoriesError::Ledger { entry, source }),
            }
        }
        held.restore_ledger(ledger);
        let stored = store.documents().await?;
        spoilt.extend(stored.spoilt.into_iter().map(|row| AdvisoriesError::Row(Box::new(row))));
        let (catalogue, unread) = catalogue_of(&stored.documents);
        spoilt.extend(unread.into_iter().map(AdvisoriesError::Document));
        Ok((Self::of(held, Images::with(catalogue), 1)?, spoilt))
    }

    /// Which generation this is.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.index.generation()
    }

    /// What is held of feeds.
    #[must_use]
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// What is known of images.
    #[must_use]
    pub const fn images(&self) -> &Images {
        &self.images
    }

    /// How many dates of a feed were moved by its vendor.
    #[must_use]
    pub fn moves(&self, feed: &str) -> usize {
        self.moves.get(feed).copied().unwrap_or_default()
    }

    /// How the feeds stand.
    #[must_use]
    pub fn statuses(&self, now: Timestamp) -> Vec<FeedStatus> {
        self.feeds.iter().map(|feed| feed.status(self.moves(&feed.name), now)).collect()
    }

    /// For the domain.
    #[must_use]
    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            index: &self.index,
            feeds: &self.feeds,
            images: &self.images,
            bulletins: &self.bulletins,
            reports: &self.reports,
            mitigations: &self.mitigations,
        }
    }

    /// What checks of one node look at, beside the node.
    #[must_use]
    pub fn outside<'a>(
        &'a self,
        surroundings: Option<&'a Surroundings>,
        cluster: Option<&'a ClusterTruth>,
    ) -> Outside<'a> {
        let pool = surroundings.and_then(|one| one.pool.as_ref());
        let siblings = surroundings.map(|one| &one.siblings);
        Outside { pool, siblings, cluster, ..self.knowledge().outside() }
    }

    /// Judges the fixes of a node whose list of packages has that digest; or says why that
    /// cannot be.
    pub fn judge<'a>(
        &'a self,
        place: Place<'_>,
        history: &NodeHistory,
        packages: Option<Digest>,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Result<Judged<'a>, String> {
        Judged::of(place, history, self.knowledge(), policy, now, |inventory| {
            let Some(packages) = packages else {
                return Arc::new(match_inventory(&self.index, inventory));
            };
            let key = MatchKey::of(
                Arc::from(packages.to_string()),
                inventory,
                history.kernel.present(),
                self.generation(),
                Arc::from(policy.edition.as_str()),
            );
            if let Some(kept) = self.lock().get_mut(&key) {
                kept.is_used = true;
                return Arc::clone(&kept.matched);
            }
            // Outside of the lock: two that are alike may be matched twice, once.
            let matched = Arc::new(match_inventory(&self.index, inventory));
            let kept = Kept { matched: Arc::clone(&matched), is_used: true };
            self.lock().insert(key, kept);
            matched
        })
    }

    /// Forgets what was matched and has not been asked for since it was last called.
    pub fn forget_unused(&self) {
        self.lock().retain(|_, kept| std::mem::take(&mut kept.is_used));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<MatchKey, Kept>> {
        self.matched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_feed(feed: &FeedBlob) -> Result<HeldFeed, AdvisoriesError> {
    let name = || feed.name.clone();
    let state = serde_json::from_slice(&feed.state)
        .map_err(|source| AdvisoriesError::State { feed: name(), source })?;
    let content = stored::unpack_content(&feed.content)
        .map_err(|source| AdvisoriesError::Feed { feed: name(), source })?;
    Ok(HeldFeed { state, content })
}
