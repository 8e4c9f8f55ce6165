//! One life of one node in memory: the order of its reports, the content that each
//! component has, and the history that the domain judges. No input or output here.

mod told;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::advisory::Stream;
use nodeward_domain::answer::sysctl::SysctlAnswer;
use nodeward_domain::answer::{About, Agent, NodeAnswer, NodeRow, is_stale};
use nodeward_domain::check::{Outcome, Outside, Presented, judge_node, settle};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Files, NodeAccess, Packages};
use nodeward_domain::fixes::Place;
use nodeward_domain::fixes::node::{NodeAbout, NodeFixes, pool_of};
use nodeward_domain::image::{ImageLabel, NODE_IMAGE_LABEL};
use nodeward_domain::node::{Holding, NodeHistory};
use nodeward_domain::observed::{State, Unavailable};
use nodeward_domain::policy::Policy;
use nodeward_domain::pool::{PoolKey, Surroundings};
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;
use nodeward_proto::report::{Report, Reported};

pub(super) use told::ToldContent;

use super::cluster::KnownCluster;
use super::pools::{Pools, Stand};
use crate::advisories::Advisories;
use crate::peer::Peer;
use crate::store::{Seen, SeenComponent, SeenStanding, StoredNode, Transition};

/// An agent reports a round within moments: an observation that claims to be older
/// than this has a broken clock behind it.
const OLDEST_OBSERVATION: SignedDuration = SignedDuration::from_hours(1);

/// What one component was last reported to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    form: u32,
    digest: Digest,
    observations: u32,
    last_observed: Timestamp,
    /// Its content has been asked for and is not here yet.
    awaited: bool,
}

/// Where a report stands in the order of its node's reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// After all others.
    Next,
    /// The newest one once more.
    Again,
    /// Before the newest one, for this reason.
    Before(String),
    /// In the place of the newest one, and says something else: in this field.
    Contradicts(String),
}

/// One life of a node.
#[derive(Debug)]
pub struct NodeMemory {
    peer: Peer,
    boot_id: String,
    earlier_boots: Vec<String>,
    seq: u64,
    /// None where only an API server has told of it.
    last_report_at: Option<Timestamp>,
    /// As of the last report to this aggregator: nothing is judged by it.
    agent: Option<Agent>,
    /// What its agent showed of itself with the last report.
    shown: Presented,
    standings: BTreeMap<String, Standing>,
    history: NodeHistory,
    /// The node's row, and what it was judged by.
    row: Option<Row>,
    /// Whether there is something to save lazily.
    unsaved: bool,
}

/// A row, and how long it is right.
#[derive(Debug)]
struct Row {
    row: NodeRow,
    valid_until: Option<Timestamp>,
    /// Which generation of advisories it was judged by.
    generation: u64,
    /// What the other nodes showed.
    surroundings: Option<Arc<Surroundings>>,
    /// What was known of its cluster.
    cluster: Option<Arc<KnownCluster>>,
}

/// A component's content, if it is here. None inside: not known to this build.
type Known = Option<Option<ComponentState>>;

impl NodeMemory {
    /// A life that begins with its first report, or with what an API server tells of it.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            boot_id: String::new(),
            earlier_boots: Vec::new(),
            seq: 0,
            last_report_at: None,
            agent: None,
            shown: Presented::NotSeen,
            standings: BTreeMap::new(),
            history: NodeHistory::default(),
            row: None,
            unsaved: false,
        }
    }

    /// A life as it was stored; `content` finds what its intervals name.
    pub fn restore(stored: StoredNode, mut content: impl FnMut(Digest) -> Known) -> Self {
        let mut node = Self::new(stored.peer);
        node.last_report_at = stored.has_reported.then_some(stored.last_seen);
        node.boot_id = stored.boot_id;
        node.earlier_boots = stored.earlier_boots;
        node.seq = stored.seq;
        node.shown = stored.shown;
        for standing in stored.standings {
            let SeenStanding { reason, observations, since } = standing;
            node.history.standings.restore(reason, observations, since);
        }
        for interval in stored.intervals {
            let known = content(interval.digest);
            if let Some(Some(state)) = &known {
                node.history.restore(
                    state.clone(),
                    interval.valid_from,
                    interval.last_observed,
                    interval.observations,
                );
            }
            node.standings.insert(
                interval.component,
                Standing {
                    form: interval.form,
                    digest: interval.digest,
                    observations: interval.observations,
                    last_observed: interval.last_observed,
                    awaited: known.is_none(),
                },
            );
        }
        node
    }

    /// Whose life this is.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Where a report stands in the order.
    #[must_use]
    pub fn turn(&self, report: &Report) -> Turn {
        if self.boot_id.is_empty() {
            Turn::Next
        } else if report.boot_id == self.boot_id {
            match report.seq.cmp(&self.seq) {
                std::cmp::Ordering::Greater => Turn::Next,
                std::cmp::Ordering::Equal => self.again(report),
                std::cmp::Ordering::Less => {
                    Turn::Before(format!("seq: {} is before {}", report.seq, self.seq))
                }
            }
        } else if self.earlier_boots.contains(&report.boot_id) {
            Turn::Before("boot_id: is of an earlier boot".to_owned())
        } else {
            Turn::Next
        }
    }

    fn again(&self, report: &Report) -> Turn {
        let other = report.components.iter().position(|reported| {
            self.standings
                .get(&reported.component)
                .is_none_or(|standing| standing.digest != reported.digest)
        });
        match other {
            None => Turn::Again,
            Some(index) => Turn::Contradicts(format!(
                "components[{index}].digest: seq {} was reported with another one",
                report.seq
            )),
        }
    }

    /// Whether the report begins a boot that was not seen before.
    #[must_use]
    pub fn begins_boot(&self, report: &Report) -> bool {
        report.boot_id != self.boot_id
    }

    /// The components whose content is another than before.
    #[must_use]
    pub fn transitions(&self, report: &Report, received_at: Timestamp) -> Vec<Transition> {
        report
            .components
            .iter()
            .filter(|reported| {
                self.standings.get(&reported.component).is_none_or(|standing| {
                    (standing.form, standing.digest) != (reported.form, reported.digest)
                })
            })
            .map(|reported| Transition {
                component: reported.component.clone(),
                form: reported.form,
                digest: reported.digest,
                valid_from: self.observed_at(report, reported, received_at),
            })
            .collect()
    }

    /// When a component was observed, by the aggregator's clock: the node's own clock
    /// is set right by the difference between its sending and our receiving. Never
    /// later than now, never before what was observed last.
    fn observed_at(
        &self,
        report: &Report,
        reported: &Reported,
        received_at: Timestamp,
    ) -> Timestamp {
        let age = report.sent_at.duration_since(reported.observed_at);
        let age = age.clamp(SignedDuration::ZERO, OLDEST_OBSERVATION);
        let earliest = self
            .standings
            .get(&reported.component)
            .map_or(Timestamp::MIN, |standing| standing.last_observed);
        received_at.checked_sub(age).unwrap_or(received_at).max(earliest).min(received_at)
    }

    /// What the report does not name although an earlier one did: what was seen then must
    /// not stand in for what nobody looks at any more.
    #[must_use]
    pub fn lost(&self, report: &Report) -> Vec<Reported> {
        self.standings
            .keys()
            .filter(|name| report.components.iter().all(|one| one.component != **name))
            .filter_map(|name| Component::from_name(name))
            // No agent speaks of these.
            .filter(|component| !component.is_of_cluster())
            .map(|component| {
                let why = "the last report does not name it".to_owned();
                let unavailable = Unavailable { place: String::new(), why };
                let state = ComponentState::unavailable(component, unavailable);
                let content = Content::of(&state);
                Reported {
                    digest: content.digest(),
                    component: content.component,
                    form: content.form,
                    content: Some(content.bytes),
                    observed_at: report.sent_at,
                    took: Duration::ZERO,
                }
            })
            .collect()
    }

    /// Takes a report that is next in the order and has been committed.
    pub fn take(
        &mut self,
        report: &Report,
        received_at: Timestamp,
        policy: &Policy,
        mut content: impl FnMut(Digest) -> Known,
    ) {
        if report.boot_id != self.boot_id {
            let last = std::mem::replace(&mut self.boot_id, report.boot_id.clone());
            if !last.is_empty() {
                self.earlier_boots.insert(0, last);
                self.earlier_boots.truncate(crate::store::EARLIER_BOOTS);
            }
        }
        self.seq = report.seq;
        self.last_report_at = Some(received_at);
        self.agent = Some(Agent {
            version: report.agent_version.clone(),
            path_resolution: report.path_resolution.clone(),
        });
        self.history.measured.observe(report.measurements, received_at);
        self.row = None;
        self.unsaved = true;
        let mut observed = BTreeSet::new();
        for reported in &report.components {
            let last_observed = self.observed_at(report, reported, received_at);
            let known = content(reported.digest);
            if let Some(Some(state)) = &known {
                self.history.observe(state.clone(), last_observed, reported.took);
                observed.insert(state.component());
            }
            let observations = self
                .standings
                .get(&reported.component)
                .filter(|standing| standing.digest == reported.digest)
                .map_or(1, |standing| standing.observations.saturating_add(1));
            self.standings.insert(
                reported.component.clone(),
                Standing {
                    form: reported.form,
                    digest: reported.digest,
                    observations,
                    last_observed,
                    awaited: known.is_none(),
                },
            );
        }
        settle(&mut self.history, &observed, policy, received_at);
    }

    /// What its agent shows of itself with a report.
    pub fn shows(&mut self, shown: Presented) {
        if self.shown != shown {
            self.shown = shown;
            self.row = None;
            self.unsaved = true;
        }
    }

    /// What its agent last showed of itself.
    pub(super) const fn shown(&self) -> Presented {
        self.shown
    }

    /// What the store has of a component cannot be read: the component is unavailable
    /// until it is reported and its content is here.
    pub fn unreadable(&mut self, component: &str, why: &str, now: Timestamp) {
        if let Some(component) = Component::from_name(component) {
            let unavailable = Unavailable { place: "the store".to_owned(), why: why.to_owned() };
            let state = ComponentState::unavailable(component, unavailable);
            self.history.observe(state, now, Duration::ZERO);
            self.row = None;
        }
    }

    /// Forgets components that this build does not know and the report does not name: a
    /// node that invents names must not fill the memory with them.
    pub fn forget_strangers(&mut self, report: &Report) {
        self.standings.retain(|name, _| {
            Component::from_name(name).is_some()
                || report.components.iter().any(|reported| reported.component == *name)
        });
    }

    /// A content has come that components of this node may have been waiting for.
    pub fn arrived(&mut self, digest: Digest, state: Option<&ComponentState>, policy: &Policy) {
        for standing in self.standings.values_mut().filter(|standing| standing.digest == digest) {
            if std::mem::take(&mut standing.awaited)
                && let Some(state) = state
            {
                let at = standing.last_observed;
                self.history.observe(state.clone(), at, Duration::ZERO);
                settle(&mut self.history, &BTreeSet::from([state.component()]), policy, at);
                self.row = None;
            }
        }
    }

    /// Whether a component of this node waits for that content.
    #[must_use]
    pub fn awaits(&self, digest: Digest) -> bool {
        self.standings.values().any(|standing| standing.awaited && standing.digest == digest)
    }

    /// The contents that this node's components have.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.standings.values().map(|standing| standing.digest)
    }

    /// The node's pool and image, as it shows them; none where it does not.
    #[must_use]
    pub fn stand(&self) -> Option<Stand> {
        let image = self.history.node_image.present()?.name.as_ref()?;
        Some(Stand {
            pool: PoolKey {
                cluster: self.peer.cluster.clone(),
                pool: pool_of(&self.history)?.to_owned(),
            },
            node: self.peer.node.clone(),
            sku: image.sku.clone(),
            version: image.version.clone(),
            packages: self.packages().map(|digest| digest.to_string()),
        })
    }

    /// What is known beside the node's history.
    fn outside<'a>(
        &self,
        advisories: &'a Advisories,
        surroundings: Option<&'a Surroundings>,
        pools: &'a Pools,
    ) -> Outside<'a> {
        let outside = advisories.outside(surroundings, self.cluster(pools));
        Outside { presented: self.shown, ..outside }
    }

    /// All there is to say about the node, judged for `now`.
    #[must_use]
    pub fn answer(
        &self,
        policy: &Policy,
        advisories: &Advisories,
        pools: &Pools,
        now: Timestamp,
    ) -> NodeAnswer {
        let history = self.present();
        let surroundings = pools.around(self.stand().as_ref()).map(|one| &**one);
        let place = Place { cluster: &self.peer.cluster, surroundings };
        let judged = advisories.judge(place, &history, self.packages(), policy, now);
        let outside = self.outside(advisories, surroundings, pools);
        let (answer, _) = NodeAnswer::of(self.about(), &history, outside, policy, now);
        answer.with_fixes(judged.map(|judged| judged.answer(now)))
    }

    /// The node's kernel parameters.
    pub(super) fn sysctl(
        &self,
        policy: &Policy,
        advisories: &Advisories,
        pools: &Pools,
        now: Timestamp,
    ) -> SysctlAnswer {
        let history = self.present();
        let surroundings = pools.around(self.stand().as_ref()).map(|one| &**one);
        let outside = self.outside(advisories, surroundings, pools);
        let (answer, _) = NodeAnswer::of(self.about(), &history, outside, policy, now);
        SysctlAnswer::of(&answer, &history, policy)
    }

    /// Tells what is made of the node's history and of the answer about it, in which the fixes
    /// that it lacks are sums alone.
    pub(super) fn judged<T>(
        &self,
        policy: &Policy,
        advisories: &Advisories,
        pools: &Pools,
        now: Timestamp,
        tell: impl FnOnce(&NodeHistory, &NodeAnswer) -> T,
    ) -> T {
        let history = self.present();
        let surroundings = pools.around(self.stand().as_ref()).map(|one| &**one);
        let place = Place { cluster: &self.peer.cluster, surroundings };
        let judged = advisories.judge(place, &history, self.packages(), policy, now);
        let outside = self.outside(advisories, surroundings, pools);
        let (answer, _) = NodeAnswer::of(self.about(), &history, outside, policy, now);
        tell(&history, &answer.with_fixes(judged.map(|judged| judged.summary(now))))
    }

    /// The checks that fail on the node, by reason.
    pub(super) fn failing(
        &self,
        policy: &Policy,
        advisories: &Advisories,
        pools: &Pools,
        now: Timestamp,
    ) -> BTreeSet<String> {
        let history = self.present();
        let surroundings = pools.around(self.stand().as_ref()).map(|one| &**one);
        let outside = self.outside(advisories, surroundings, pools);
        judge_node(&history, outside, policy, now)
            .into_iter()
            .filter(|judged| matches!(judged.verdict.outcome, Outcome::Fail { .. }))
            .map(|judged| judged.check.reason.to_owned())
            .collect()
    }

    /// The node in one row, judged again only when the last one is no longer right.
    pub fn row(
        &mut self,
        policy: &Policy,
        advisories: &Advisories,
        pools: &Pools,
        now: Timestamp,
    ) -> &NodeRow {
        let generation = advisories.generation();
        let surroundings = pools.around(self.stand().as_ref());
        let right = self.row.take().filter(|last| {
            last.generation == generation
                && last.surroundings.as_ref() == surroundings
                && is_same(last.cluster.as_ref(), pools.cluster(&self.peer.cluster))
                && last.valid_until.is_none_or(|valid_until| now < valid_until)
        });
        let row = right.unwrap_or_else(|| {
            let history = self.present();
            let around = surroundings.map(|one| &**one);
            let place = Place { cluster: &self.peer.cluster, surroundings: around };
            let judged = advisories.judge(place, &history, self.packages(), policy, now);
            let outside = self.outside(advisories, around, pools);
            let (answer, valid_until) =
                NodeAnswer::of(self.about(), &history, outside, policy, now);
            let of_fixes = judged.as_ref().ok().and_then(|judged| judged.assessed.valid_until);
            let answer = answer.with_fixes(judged.map(|judged| judged.summary(now)));
            let valid_until = [valid_until, of_fixes].into_iter().flatten().min();
            let surroundings = surroundings.cloned();
            let cluster = pools.cluster(&self.peer.cluster).cloned();
            Row { row: answer.row(), valid_until, generation, surroundings, cluster }
        });
        &self.row.insert(row).row
    }

    /// Its cluster and pool, as it shows them.
    pub(super) fn pool(&self) -> Option<PoolKey> {
        let pool = pool_of(&self.history)?.to_owned();
        Some(PoolKey { cluster: self.peer.cluster.clone(), pool })
    }

    /// The line and version of its image, as its disk names them.
    pub(super) fn image_name(&self) -> Option<(String, String)> {
        let name = self.history.node_image.present()?.name.as_ref()?;
        Some((name.sku.clone(), name.version.clone()))
    }

    /// Since when it has run its image, as far as is remembered.
    pub(super) fn image_since(&self) -> Option<Timestamp> {
        self.history.node_image.newest().map(|run| run.first_observed_at)
    }

    /// Its image as its label names it: that may be forged, and may name a security patch.
    pub(super) fn label(&self) -> Option<ImageLabel> {
        let image = self.history.node_image.present()?;
        ImageLabel::parse(image.label(NODE_IMAGE_LABEL)?).ok()
    }

    /// Its availability zone, where its kubelet is told of it.
    pub(super) fn zone(&self) -> Option<String> {
        let image = self.history.node_image.present()?;
        image.label("topology.kubernetes.io/zone").map(str::to_owned)
    }

    /// The version of its kubelet.
    pub(super) fn kubernetes(&self) -> Option<String> {
        let kubelet = self.history.kubelet.present()?;
        kubelet.version.as_ref().map(|version| version.version.clone())
    }

    /// When its last report arrived; none where none has.
    pub(super) const fn last_report_at(&self) -> Option<Timestamp> {
        self.last_report_at
    }

    /// Whether that is too long ago to be believed, or there was none.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.last_report_at.is_none_or(|at| is_stale(at, now))
    }

    /// The boot of its last report.
    pub(super) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// `ID` and `VERSION_ID` of its system, and the release of the kernel that runs.
    pub(super) fn system(&self) -> Option<(String, String, Option<String>)> {
        let os = self.history.os_release.present()?;
        let kernel = self.history.kernel.present().map(|kernel| kernel.release.clone());
        Some((os.id.clone(), os.version_id.clone(), kernel))
    }

    /// The fixes that the node lacks, for sums over many.
    pub fn fixes<'a>(
        &self,
        policy: &'a Policy,
        advisories: &'a Advisories,
        pools: &Pools,
        now: Timestamp,
    ) -> NodeFixes<'a> {
        let history = self.present();
        let is_stale = self.is_stale(now);
        let surroundings = pools.around(self.stand().as_ref()).map(|one| &**one);
        let place = Place { cluster: &self.peer.cluster, surroundings };
        NodeFixes {
            about: NodeAbout::of(&self.peer.cluster, &self.peer.node, &history, is_stale),
            judged: advisories.judge(place, &history, self.packages(), policy, now),
        }
    }

    /// What the node has installed, with its release; none where either is not known.
    #[must_use]
    pub fn installed(&self) -> Option<(Stream, Arc<Packages>)> {
        let os = self.history.os_release.present()?;
        let packages = self.history.packages.state().and_then(State::shared)?;
        Some((Stream::of_os_release(&os.id, &os.version_id), packages))
    }

    /// The files that its provider or its distribution put there, as they lie on it.
    pub(super) fn files(&self) -> Option<Arc<Files>> {
        self.history.files.state().and_then(State::shared)
    }

    /// Who may log in to it.
    pub(super) fn access(&self) -> Option<Arc<NodeAccess>> {
        self.history.node_access.state().and_then(State::shared)
    }

    fn about(&self) -> About<'_> {
        About {
            cluster: &self.peer.cluster,
            node: &self.peer.node,
            last_report_at: self.last_report_at,
            agent: self.agent.as_ref(),
        }
    }

    /// The content that the node's packages have.
    fn packages(&self) -> Option<Digest> {
        self.standings.get(Component::Packages.name()).map(|standing| standing.digest)
    }

    /// The history as it may be judged: what was seen before is no longer so where newer
    /// facts are awaited, and must not stand in for them.
    fn present(&self) -> Cow<'_, NodeHistory> {
        let awaited: Vec<(Component, Timestamp)> = self
            .standings
            .iter()
            .filter(|(_, standing)| standing.awaited)
            .filter_map(|(name, standing)| {
                Some((Component::from_name(name)?, standing.last_observed))
            })
            // Without facts from before it says already that there are none.
            .filter(|(component, _)| {
                let newest = self.history.newest(*component);
                newest.is_some_and(|newest| newest.state.word() != "unavailable")
            })
            .collect();
        if awaited.is_empty() {
            return Cow::Borrowed(&self.history);
        }
        let mut history = self.history.clone();
        for (component, observed_at) in awaited {
            let why = "its newest facts are not here yet, the agent is asked for them".to_owned();
            let unavailable = Unavailable { place: String::new(), why };
            history.observe(
                ComponentState::unavailable(component, unavailable),
                observed_at,
                Duration::ZERO,
            );
        }
        Cow::Owned(history)
    }

    /// What moved since it was last asked, to be saved lazily.
    pub fn take_unsaved(&mut self) -> Option<Seen> {
        std::mem::take(&mut self.unsaved).then(|| Seen {
            peer: self.peer.clone(),
            boot_id: self.boot_id.clone(),
            seq: self.seq,
            received_at: self.last_report_at.unwrap_or_else(|| self.last_observed()),
            shown: self.shown,
            components: self
                .standings
                .iter()
                .map(|(component, standing)| SeenComponent {
                    component: component.clone(),
                    digest: standing.digest,
                    observations: standing.observations,
                    last_observed: standing.last_observed,
                })
                .collect(),
            standings: self
                .history
                .standings
                .iter()
                .filter_map(|(reason, holding)| {
                    let Holding { observations, since: Some(since) } = holding else {
                        return None;
                    };
                    Some(SeenStanding { reason: reason.to_owned(), observations, since })
                })
                .collect(),
        })
    }
}

/// Whether two are one and the same, not only alike: what is known of a cluster has times in it.
fn is_same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
