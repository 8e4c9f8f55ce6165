//! What is held of all feeds: of each its last good state, and of all of them the ledger of
//! dates. An import is taken as a whole or not at all; what it adds is given back in the
//! form in which it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::feed::STALE_AFTER;
use nodeward_domain::advisory::ledger::{Extent, Recorded};
use nodeward_domain::advisory::{
    Advisory, Bulletin, Coverage, FeedState, Feeds, Ledger, MitigationReport, Revision, ScanReport,
    Stream,
};
use nodeward_domain::matching::{Index, TooManyStatements};

use crate::acceptance::{Acceptance, Refusal, Summary, accept, accept_part};
use crate::content::Content;
use crate::debian;
use crate::intake::{FeedContent, ReadFeed};
use crate::oval;
use crate::starter::{self, StarterError};

/// What whoever imports a feed says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// It has everything that the vendor has published on the streams in it.
    pub is_complete: bool,
    /// Of when it is, where it does not say so itself.
    pub as_of: Option<Timestamp>,
}

/// A feed as it is held.
#[derive(Debug, Clone)]
pub struct HeldFeed {
    /// How it stands.
    pub state: FeedState,
    /// What it says.
    pub content: FeedContent,
}

/// What an import did.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Whether it took the place of the last good state.
    pub acceptance: Acceptance,
    /// What it added to the ledger.
    pub recorded: Recorded,
}

/// Every feed, and the ledger.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Shared, so that an import can be tried on a copy.
    feeds: BTreeMap<Arc<str>, Arc<HeldFeed>>,
    ledger: Ledger,
}

impl Held {
    /// What comes with the program, and nothing else.
    pub fn starter() -> Result<Self, StarterError> {
        let content = starter::shipped()?;
        let as_of = content.as_of().unwrap_or(Timestamp::UNIX_EPOCH);
        let mut held = Self::default();
        let name: Arc<str> = Arc::from(starter::NAME);
        let revision = Revision { as_of, name: Arc::from(starter::revision()) };
        held.ledger.record(&name, Extent::Part, &revision, None, content.dated_fixes());
        let coverage =
            content.streams().into_keys().map(|stream| (stream, starter::coverage())).collect();
        let state = state(&name, as_of, &revision.name, as_of, coverage, &content);
        let content = FeedContent::Advisories(content);
        held.restore(HeldFeed { state, content });
        Ok(held)
    }

    /// Puts back a feed as it was stored.
    pub fn restore(&mut self, feed: HeldFeed) {
        self.feeds.insert(Arc::clone(&feed.state.name), Arc::new(feed));
    }

    /// Puts back the ledger as it was stored, beside what comes with the program.
    pub fn restore_ledger(&mut self, recorded: impl IntoIterator<Item = Recorded>) {
        self.ledger = Ledger::restored(recorded);
        if let Some(HeldFeed { state, content: FeedContent::Advisories(content) }) =
            self.feeds.get(starter::NAME).map(Arc::as_ref)
        {
            let revision = Revision { as_of: state.as_of, name: Arc::clone(&state.digest) };
            let fixes = content.dated_fixes();
            self.ledger.record(&state.name, Extent::Part, &revision, None, fixes);
        }
    }

    /// Takes what was read in the place of the last good state; or says why that one stays.
    /// Nothing has changed then.
    pub fn take(
        &mut self,
        read: ReadFeed,
        declared: &Declared,
        now: Timestamp,
    ) -> Result<Taken, Refusal> {
        match read.content {
            FeedContent::Advisories(content) => {
                let what = Read { name: read.name, digest: read.digest, is_whole: read.is_whole };
                self.take_advisories(&what, content, declared, now)
            }
            content => self.take_other(&read.name, &read.digest, content, declared, now),
        }
    }

    fn take_advisories(
        &mut self,
        read: &Read,
        content: Content,
        declared: &Declared,
        now: Timestamp,
    ) -> Result<Taken, Refusal> {
        let last_good = self.feeds.get(&read.name).cloned();
        let mut before = last_good.as_deref().and_then(HeldFeed::summary);
        let mut summary = Summary::of(&content, Arc::clone(&read.digest), now);
        summary.as_of = declared.as_of.unwrap_or(summary.as_of);
        let is_whole = read.is_whole || declared.is_complete;
        let was_whole = last_good.as_deref().is_some_and(|last| was_whole(&last.state));
        // The newest of some parts says nothing of how old all the others are.
        if let Some(before) = before.as_mut().filter(|_| is_whole && !was_whole) {
            before.as_of = before.as_of.min(summary.as_of);
        }
        let acceptance = match is_whole {
            true => accept(before.as_ref(), &summary, now)?,
            false => accept_part(before.as_ref(), &summary, now)?,
        };
        // The same once more, and now declared complete: that is news.
        let acceptance = match acceptance {
            Acceptance::Same if declared.is_complete && !was_whole => {
                Acceptance::Replace { frozen: BTreeSet::new() }
            }
            acceptance => acceptance,
        };
        let extent = if is_whole { Extent::Whole } else { Extent::Part };
        let revision = Revision { as_of: summary.as_of, name: Arc::clone(&read.digest) };
        let baseline_until = oval::baseline_until(&read.name);
        // The same once more tells nothing new, unless it was there even earlier.
        let is_known = acceptance == Acceptance::Same
            && last_good.as_deref().is_some_and(|last| last.state.as_of <= revision.as_of);
        let entries = match is_known {
            true => Vec::new(),
            false => {
                let fixes = content.dated_fixes();
                self.ledger.record(&read.name, extent, &revision, baseline_until, fixes)
            }
        };
        let recorded =
            Recorded { feed: Arc::clone(&read.name), extent, revision, baseline_until, entries };
        if let Acceptance::Replace { frozen } = &acceptance {
            let mut content = content;
            let mut coverage = coverage(read, &content, declared);
            let mut as_of = summary.as_of;
            if let Some(HeldFeed { state, content: FeedContent::Advisories(last) }) =
                last_good.as_deref()
            {
                if is_whole {
                    if !read.is_whole {
                        keep_later(last, as_of, &mut content);
                    }
                    keep_frozen(frozen, state, last, &mut content, &mut coverage);
                } else {
                    as_of = add_to(state, last, as_of, &mut content, &mut coverage);
                }
            }
            let state = state(&read.name, as_of, &read.digest, now, coverage, &content);
            let content = FeedContent::Advisories(content);
            self.restore(HeldFeed { state, content });
        }
        Ok(Taken { acceptance, recorded })
    }

    /// Takes what has no dates of fixes.
    fn take_other(
        &mut self,
        name: &Arc<str>,
        digest: &Arc<str>,
        content: FeedContent,
        declared: &Declared,
        now: Timestamp,
    ) -> Result<Taken, Refusal> {
        let of_read = declared.as_of.or_else(|| content.as_of()).unwrap_or(now);
        let (before, is_empty) = (self.feeds.get(name), content.is_empty());
        let summary = |digest: &Arc<str>, as_of| Summary {
            digest: Arc::clone(digest),
            as_of,
            statements: BTreeMap::from([(Stream::of_os_release("", ""), usize::from(!is_empty))]),
        };
        let last_good = before.map(|feed| summary(&feed.state.digest, feed.state.as_of));
        // Reports are of single images: there is no file with all of them.
        let is_whole = declared.is_complete && matches!(content, FeedContent::Bulletins(_));
        let accept = if is_whole { accept } else { accept_part };
        let acceptance = accept(last_good.as_ref(), &summary(digest, of_read), now)?;
        let mut as_of = of_read;
        if matches!(acceptance, Acceptance::Replace { .. }) {
            let content = match (content, before.map(|feed| (&feed.state, &feed.content))) {
                (FeedContent::ScanReports(new), Some((state, FeedContent::ScanReports(last)))) => {
                    as_of = as_of.max(state.as_of);
                    FeedContent::ScanReports(with_last(new, last))
                }
                (FeedContent::Mitigations(new), Some((state, FeedContent::Mitigations(last)))) => {
                    as_of = as_of.max(state.as_of);
                    FeedContent::Mitigations(newest_of_each(new, last))
                }
                (FeedContent::Mitigations(new), _) => {
                    FeedContent::Mitigations(newest_of_each(new, &[]))
                }
                (FeedContent::Bulletins(new), Some((state, FeedContent::Bulletins(last))))
                    if !is_whole =>
                {
                    let is_newer = of_read >= state.as_of;
                    as_of = as_of.max(state.as_of);
                    FeedContent::Bulletins(with_others(new, last, is_newer))
                }
                (content, _) => content,
            };
            let mut state = state(name, as_of, digest, now, BTreeMap::new(), &Content::default());
            state.statements = content.len();
            self.restore(HeldFeed { state, content });
        }
        let revision = Revision { as_of: of_read, name: Arc::clone(digest) };
        let recorded = Recorded {
            feed: Arc::clone(name),
            extent: Extent::Part,
            revision,
            baseline_until: None,
            entries: Vec::new(),
        };
        Ok(Taken { acceptance, recorded })
    }

    /// A feed, if it is held.
    #[must_use]
    pub fn feed(&self, name: &str) -> Option<&HeldFeed> {
        self.feeds.get(name).map(Arc::as_ref)
    }

    /// How all feeds stand.
    #[must_use]
    pub fn states(&self) -> Feeds {
        let mut feeds = Feeds::default();
        self.feeds.values().for_each(|feed| feeds.put(feed.state.clone()));
        feeds
    }

    /// The ledger of dates.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// All bulletins, by feed and as they stood.
    pub fn bulletins(&self) -> impl Iterator<Item = &Bulletin> {
        self.feeds.values().flat_map(|feed| match &feed.content {
            FeedContent::Bulletins(bulletins) => bulletins.as_slice(),
            _ => &[],
        })
    }

    /// All mitigation reports of the provider.
    pub fn mitigation_reports(&self) -> impl Iterator<Item = &MitigationReport> {
        self.feeds.values().flat_map(|feed| match &feed.content {
            FeedContent::Mitigations(reports) => reports.as_slice(),
            _ => &[],
        })
    }

    /// All scan reports of the provider.
    pub fn scan_reports(&self) -> impl Iterator<Item = &ScanReport> {
        self.feeds.values().flat_map(|feed| match &feed.content {
            FeedContent::ScanReports(reports) => reports.as_slice(),
            _ => &[],
        })
    }

    /// The index of all advisories, as that generation.
    pub fn index(&self, generation: u64) -> Result<Index, TooManyStatements> {
        let contents = || {
            self.feeds.values().filter_map(|feed| match &feed.content {
                FeedContent::Advisories(content) => Some(content),
                _ => None,
            })
        };
        let withdrawn: BTreeSet<Arc<str>> =
            contents().flat_map(|content| content.withdrawn.iter().cloned()).collect();
        let advisories = contents().flat_map(|content| &content.advisories);
        Index::build(generation, advisories, &withdrawn, |key| self.ledger.published(key))
    }
}

/// What is read, without its content.
struct Read {
    name: Arc<str>,
    digest: Arc<str>,
    is_whole: bool,
}

impl HeldFeed {
    /// What the next state is held against.
    fn summary(&self) -> Option<Summary> {
        let FeedContent::Advisories(content) = &self.content else { return None };
        Some(Summary {
            digest: Arc::clone(&self.state.digest),
            as_of: self.state.as_of,
            statements: content.streams(),
        })
    }
}

fn state(
    name: &Arc<str>,
    as_of: Timestamp,
    digest: &Arc<str>,
    imported_at: Timestamp,
    coverage: BTreeMap<Stream, Coverage>,
    content: &Content,
) -> FeedState {
    FeedState {
        name: Arc::clone(name),
        as_of,
        imported_at,
        newest_published: content.newest_published(),
        digest: Arc::clone(digest),
        coverage,
        statements: content.advisories.len(),
        left_out: content.left_out.clone(),
        stale_after: STALE_AFTER,
    }
}

/// Whether all of a feed was read once, for any stream.
fn was_whole(state: &FeedState) -> bool {
    state.coverage.values().any(|one| !matches!(one, Coverage::Partial(_)))
}

/// For what a feed is complete: by its format, or because whoever imports it says so.
fn coverage(read: &Read, content: &Content, declared: &Declared) -> BTreeMap<Stream, Coverage> {
    let tells_fixes: BTreeSet<&Stream> = content
        .advisories
        .iter()
        .filter(|advisory| advisory.is_notice_of_fix())
        .map(|advisory| &advisory.stream)
        .collect();
    let of = |stream: &Stream| {
        if !tells_fixes.contains(stream) {
            return Coverage::Partial("it tells of vulnerabilities, not of every fix".to_owned());
        }
        if !read.is_whole && !declared.is_complete {
            return Coverage::Partial("nobody has declared it complete".to_owned());
        }
        if let Some(packages) = content.gaps.get(stream) {
            return Coverage::Partial(format!(
                "it does not say which versions {packages} of its packages are fixed in"
            ));
        }
        match debian::ended(stream) {
            Some(ended) => Coverage::Frozen(ended),
            None => Coverage::Complete,
        }
    };
    let streams = content.streams().into_keys();
    streams
        .chain(content.gaps.keys().cloned())
        .map(|stream| (stream.clone(), of(&stream)))
        .collect()
}

/// A part of a feed adds to what is held of it, and takes nothing away: of a record that
/// both have the newer one counts. Gives of when the whole then is.
fn add_to(
    state: &FeedState,
    last: &Content,
    as_of: Timestamp,
    content: &mut Content,
    coverage: &mut BTreeMap<Stream, Coverage>,
) -> Timestamp {
    let records = |content: &Content| -> BTreeSet<Arc<str>> {
        content.advisories.iter().map(|one| Arc::clone(&one.record)).collect()
    };
    if as_of < state.as_of {
        let newer = records(last);
        content.advisories.retain(|one| !newer.contains(&one.record));
        content.withdrawn.retain(|record| !newer.contains(record));
    }
    let (stated, withdrawn) = (records(content), content.withdrawn.clone());
    let is_replaced = |record: &Arc<str>| stated.contains(record) || withdrawn.contains(record);
    let kept = last.advisories.iter().filter(|one| !is_replaced(&one.record));
    content.advisories.extend(kept.cloned());
    let kept = last.withdrawn.iter().filter(|record| !stated.contains(*record));
    content.withdrawn.extend(kept.cloned());
    // What was whole stays so, as of when it was: nothing was taken away from it.
    coverage.extend(state.coverage.clone());
    if was_whole(state) { state.as_of } else { as_of.max(state.as_of) }
}

/// Keeps what parts told that was published after the whole that takes their place: of that
/// its silence says nothing.
fn keep_later(last: &Content, as_of: Timestamp, content: &mut Content) {
    let stated: BTreeSet<Arc<str>> =
        content.advisories.iter().map(|one| Arc::clone(&one.record)).collect();
    let is_later = |one: &&Advisory| {
        one.published.is_some_and(|published| published.at > as_of)
            && !stated.contains(&one.record)
            && !content.withdrawn.contains(&one.record)
    };
    let later: Vec<Advisory> = last.advisories.iter().filter(is_later).cloned().collect();
    content.advisories.extend(later);
}

/// Keeps the last known state of streams that the vendor has closed.
fn keep_frozen(
    frozen: &BTreeSet<Stream>,
    state: &FeedState,
    last: &Content,
    content: &mut Content,
    coverage: &mut BTreeMap<Stream, Coverage>,
) {
    for stream in frozen {
        let since = match state.coverage.get(stream) {
            Some(Coverage::Frozen(since)) => *since,
            _ => state.as_of,
        };
        let before = last.advisories.iter().filter(|advisory| advisory.stream == *stream);
        content.advisories.retain(|advisory| advisory.stream != *stream);
        content.advisories.extend(before.cloned());
        let coverage_then = match state.coverage.get(stream) {
            Some(Coverage::Partial(why)) => Coverage::Partial(why.clone()),
            _ => Coverage::Frozen(since),
        };
        coverage.insert(stream.clone(), coverage_then);
    }
}

/// Bulletins beside those that are held: of one that both have the newer word counts.
fn with_others(mut new: Vec<Bulletin>, last: &[Bulletin], is_newer: bool) -> Vec<Bulletin> {
    let has = |all: &[Bulletin], id: &str| all.iter().any(|one| *one.id == *id);
    if !is_newer {
        new.retain(|one| !has(last, &one.id));
    }
    let kept: Vec<Bulletin> = last.iter().filter(|one| !has(&new, &one.id)).cloned().collect();
    new.extend(kept);
    new.sort_by(|a, b| a.id.cmp(&b.id));
    new
}

/// Reports beside those of other images, and the oldest of the same one: since when something
/// has been known only that tells.
fn with_last(mut new: Vec<ScanReport>, last: &[ScanReport]) -> Vec<ScanReport> {
    new.extend(last.iter().cloned());
    new.sort_by(|a, b| {
        (&a.family, &a.version, a.reported_at).cmp(&(&b.family, &b.version, b.reported_at))
    });
    new.dedup();
    let of_one =
        |a: &ScanReport, b: &ScanReport| (&a.family, &a.version) == (&b.family, &b.version);
    new.chunk_by(of_one)
        .flat_map(|reports| match reports {
            [oldest, .., newest] => vec![oldest.clone(), newest.clone()],
            all => all.to_vec(),
        })
        .collect()
}

/// Reports beside those of other packages: the newest one of each.
fn newest_of_each(
    mut new: Vec<MitigationReport>,
    last: &[MitigationReport],
) -> Vec<MitigationReport> {
    new.extend(last.iter().cloned());
    new.sort_by(|a, b| (&a.package, b.reported_at).cmp(&(&b.package, a.reported_at)));
    new.dedup_by(|a, b| a.package == b.package);
    new
}

impl FeedContent {
    /// Of when it is, as far as it says so.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        match self {
            Self::Advisories(content) => content.as_of(),
            Self::Bulletins(bulletins) => bulletins.iter().map(|one| one.published).max(),
            Self::ScanReports(reports) => reports.iter().map(|one| one.reported_at).max(),
            Self::Mitigations(reports) => reports.iter().map(|one| one.reported_at).max(),
        }
    }

    /// How many statements, bulletins or reports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Advisories(content) => content.advisories.len(),
            Self::Bulletins(bulletins) => bulletins.len(),
            Self::ScanReports(reports) => reports.len(),
            Self::Mitigations(reports) => reports.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
