//! Follows one kind of object in one cluster: a list in pages, then a watch from where the
//! list stood, for ever. A watch that ends goes on from its last change or bookmark; one that
//! the API server has forgotten (410) begins with a list again. What fails is tried again
//! after a delay that doubles and is drawn at random, or after as long as the server asks for
//! where that is longer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Limits;
use super::ask::{AskError, Asker, Line, Watching};
use super::wire;
use crate::metrics::Metrics;

/// So much longer a page is after a list that was forgotten before it was whole.
const PAGE_GROWS: u32 = 4;

/// A kind of object that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Nodes,
    Pods,
    Budgets,
    Events,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Nodes, Self::Pods, Self::Budgets, Self::Events];

    /// The resource, as rights and metrics name it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Budgets => "poddisruptionbudgets",
            Self::Events => "events",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Nodes => "/api/v1/nodes",
            Self::Pods => "/api/v1/pods",
            Self::Budgets => "/apis/policy/v1/poddisruptionbudgets",
            Self::Events => "/api/v1/events",
        }
    }

    const fn fields(self) -> Option<&'static str> {
        match self {
            Self::Events => Some("involvedObject.kind=Node"),
            _ => None,
        }
    }

    fn read(self, raw: &RawValue) -> Object {
        fn one<T: DeserializeOwned>(
            kind: Kind,
            raw: &RawValue,
            object: fn(Box<T>) -> Object,
        ) -> Object {
            match serde_json::from_str(raw.get()) {
                Ok(read) => object(Box::new(read)),
                Err(error) => {
                    let named: wire::Named = serde_json::from_str(raw.get()).unwrap_or_default();
                    let placed: wire::Placed = serde_json::from_str(raw.get()).unwrap_or_default();
                    let (named, node) = (Box::new(named.metadata), placed.spec.node_name);
                    Object::Unreadable { kind, named, node, why: error.to_string() }
                }
            }
        }
        match self {
            Self::Nodes => one(self, raw, Object::Node),
            Self::Pods => one(self, raw, Object::Pod),
            Self::Budgets => one(self, raw, Object::Budget),
            Self::Events => one(self, raw, Object::Event),
        }
    }
}

/// An object, as much of it as is needed.
#[derive(Debug)]
pub(super) enum Object {
    Node(Box<wire::Node>),
    Pod(Box<wire::Pod>),
    Budget(Box<wire::DisruptionBudget>),
    Event(Box<wire::Event>),
    /// One that is not of its kind.
    Unreadable {
        kind: Kind,
        named: Box<wire::NamedMetadata>,
        /// Where it runs, of a pod and as far as it says so.
        node: String,
        why: String,
    },
}

/// What a follower tells.
#[derive(Debug)]
pub(super) enum News {
    /// A list begins.
    Begins(Kind),
    /// Objects that are there.
    There(Vec<Object>),
    /// The list is whole: what was not in it is gone.
    Listed(Kind),
    /// An object is gone.
    Gone(Object),
}

/// How one kind stands, for everybody who asks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Pulse {
    /// When what is known of it was last up to date: a list was whole, or a watch went on.
    pub answered_at: Option<Timestamp>,
    /// Whether it has been listed at all.
    pub is_listed: bool,
    /// Why the last question was not answered; none once one was.
    pub failure: Option<Failure>,
    /// The last watch that began has told nothing yet.
    is_quiet: bool,
}

impl Pulse {
    /// Whether it is known what there is of the kind, or why it is not.
    pub(super) const fn is_settled(&self) -> bool {
        self.is_listed || self.failure.is_some()
    }
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub why: String,
    /// Whether we have no right to ask it.
    pub is_refusal: bool,
}

/// A [`Pulse`] that its follower moves and others read.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedPulse(watch::Sender<Pulse>);

impl SharedPulse {
    pub(super) fn read(&self) -> Pulse {
        self.0.borrow().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Pulse)) {
        self.0.send_modify(change);
    }

    /// Waits until it is known what there is of the kind, or why it is not.
    pub(super) async fn settled(&self) {
        // It ends with us alone.
        let _ = self.0.subscribe().wait_for(Pulse::is_settled).await;
    }

    pub(super) fn answered(&self) {
        let now = Timestamp::now();
        self.change(|pulse| {
            pulse.answered_at = Some(now);
            pulse.failure = None;
        });
    }

    /// A watch was taken. Whether that is an answer: one that takes watches and then says
    /// nothing, not even bookmarks, is silent.
    fn is_taken(&self) -> bool {
        let mut was_quiet = false;
        self.change(|pulse| was_quiet = std::mem::replace(&mut pulse.is_quiet, true));
        !was_quiet
    }

    /// A watch has told something.
    fn has_told(&self) {
        self.change(|pulse| pulse.is_quiet = false);
    }

    pub(super) fn failed(&self, error: &AskError) {
        let is_refusal = matches!(error, AskError::Refused { .. });
        let failure = Failure { why: error.to_string(), is_refusal };
        self.change(|pulse| pulse.failure = Some(failure));
    }
}

/// Follows one kind.
pub(super) struct Follower {
    pub cluster: String,
    pub kind: Kind,
    pub asker: Asker,
    pub limits: Limits,
    pub pulse: SharedPulse,
    pub news: mpsc::Sender<News>,
    pub metrics: Arc<Metrics>,
}

/// Nobody listens any more.
struct Unheard;

/// Why a list or a watch has come to its end.
enum End {
    Ask(AskError),
    Unheard,
}

impl From<AskError> for End {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<Unheard> for End {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

impl Follower {
    /// Follows until nobody listens any more.
    pub(super) async fn run(self) {
        let mut delay = Delay::new(&self.limits);
        let mut since: Option<String> = None;
        let mut page = self.limits.page;
        loop {
            let began = Instant::now();
            let is_list = since.is_none();
            let ended = match since.take() {
                None => self.list(page).await.map(Some),
                Some(from) => self.watch(from, &mut since).await.map(|()| None),
            };
            let error = match ended {
                // That it goes on, its watch must show: from a list that is forgotten at once one
                // would be in a circle without a pause.
                Ok(Some(listed)) => {
                    since = Some(listed);
                    page = self.limits.page;
                    continue;
                }
                // A watch that ended in order. One that does so at once must not be asked for
                // without a pause.
                Ok(None) => {
                    if began.elapsed() < self.limits.backoff {
                        delay.wait(None).await;
                    } else {
                        delay.reset();
                    }
                    continue;
                }
                Err(End::Unheard) => return,
                Err(End::Ask(error)) => error,
            };
            if began.elapsed() > self.limits.backoff_most {
                delay.reset();
            }
            self.failed(&error, is_list);
            match error {
                // It forgets the list faster than we read it: fewer questions take less time.
                AskError::Gone if is_list => page = page.saturating_mul(PAGE_GROWS),
                // It may have been too long.
                AskError::Unreadable(_) => page = self.limits.page,
                _ => {}
            }
            let after = match error {
                // From where it cannot be read it will not be readable the next time either.
                AskError::Gone | AskError::Unreadable(_) => {
                    since = None;
                    None
                }
                AskError::Busy { after, .. } => after,
                _ => None,
            };
            delay.wait(after).await;
        }
    }

    fn failed(&self, error: &AskError, is_list: bool) {
        let (cluster, resource) = (&self.cluster, self.kind.word());
        self.metrics.watch_failed(cluster, resource, error.word());
        // One line for each change, not for each attempt.
        let why = error.to_string();
        let is_news = self.pulse.read().failure.is_none_or(|last| last.why != why);
        match error {
            AskError::Gone if !is_list => {
                tracing::info!(cluster, resource, why, "watch begins anew");
            }
            _ if is_news => tracing::warn!(cluster, resource, why, "API server does not answer"),
            _ => {}
        }
        // What a watch cannot go on from is listed at once. A list that breaks off says nothing.
        if is_list || !matches!(error, AskError::Gone) {
            self.pulse.failed(error);
        }
    }

    /// Lists everything, page by page. Returns the change at which the list stands.
    async fn list(&self, size: u32) -> Result<String, End> {
        self.metrics.watch_listed(&self.cluster, self.kind.word());
        let mut token = String::new();
        let mut is_first = true;
        loop {
            let (path, fields) = (self.kind.path(), self.kind.fields());
            let text = self.asker.page(path, fields, size, &token).await?;
            if std::mem::take(&mut is_first) {
                self.tell(News::Begins(self.kind)).await?;
            }
            let (objects, metadata) = self.objects(&text)?;
            drop(text);
            self.tell(News::There(objects)).await?;
            if metadata.next.is_empty() {
                self.tell(News::Listed(self.kind)).await?;
                // A page alone is no answer: what is shown would be as old as before.
                self.answered();
                self.pulse.change(|pulse| pulse.is_listed = true);
                return Ok(metadata.resource_version);
            }
            token = metadata.next;
        }
    }

    /// The objects of a page.
    fn objects(&self, text: &[u8]) -> Result<(Vec<Object>, wire::ListMetadata), AskError> {
        let text = String::from_utf8_lossy(text);
        let page: wire::Page<'_> =
            serde_json::from_str(&text).map_err(|error| AskError::Unreadable(error.to_string()))?;
        // What is no list says of nothing that it is gone.
        if !page.kind.ends_with("List") || page.metadata.resource_version.is_empty() {
            return Err(AskError::Unreadable("it is no list that stands anywhere".to_owned()));
        }
        let items = page.items.unwrap_or_default();
        let objects = items.into_iter().map(|raw| self.kind.read(raw)).collect();
        Ok((objects, page.metadata))
    }

    /// Watches from that change on, until the answer ends. `since` becomes the last change that
    /// was told, however it ends.
    async fn watch(&self, from: String, since: &mut Option<String>) -> Result<(), End> {
        let (path, fields, seconds) =
            (self.kind.path(), self.kind.fields(), self.limits.watch_seconds);
        let asked = self.asker.watch(path, fields, seconds, &from).await;
        let at = since.insert(from);
        let mut watching: Watching = asked?;
        if self.pulse.is_taken() {
            self.answered();
        }
        let read = |kind: &str, raw: &RawValue| {
            let named: wire::Named = serde_json::from_str(raw.get()).unwrap_or_default();
            (kind == "DELETED", named.metadata.resource_version, self.kind.read(raw))
        };
        while let Some(line) = watching.next(read).await? {
            self.pulse.has_told();
            self.answered();
            let version = match line {
                Line::Bookmark(version) => version,
                Line::Told((is_gone, version, object)) => {
                    let news = if is_gone { News::Gone(object) } else { News::There(vec![object]) };
                    self.tell(news).await?;
                    version
                }
            };
            if !version.is_empty() {
                *at = version;
            }
        }
        Ok(())
    }

    fn answered(&self) {
        self.pulse.answered();
        self.metrics.watch_answered(&self.cluster, self.kind.word(), Timestamp::now());
    }

    async fn tell(&self, news: News) -> Result<(), Unheard> {
        self.news.send(news).await.map_err(|_| Unheard)
    }
}

/// How long to wait before the next attempt.
pub(super) struct Delay {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Delay {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self { first: limits.backoff, most: limits.backoff_most, next: limits.backoff }
    }

    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits as long as it is our turn to, or as the server asks for if that is longer. At random
    /// up to half as long again, so that watches which broke together do not come back together.
    pub(super) async fn wait(&mut self, asked: Option<Duration>) {
        let length = asked.unwrap_or_default().max(self.next);
        self.next = (self.next * 2).min(self.most);
        tokio::time::sleep(length.mul_f64(1.0 + drawn() / 2.0)).await;
    }
}

/// A number in [0, 1) that differs from call to call. It spreads load and protects nothing, so
/// the hasher's seed is random enough.
fn drawn() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let drawn = RandomState::new().hash_one(Instant::now());
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}
