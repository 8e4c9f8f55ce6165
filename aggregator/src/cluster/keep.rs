//! What one API server has told, held together, and handed on to the fleet where it has
//! changed. An API server that has fallen silent takes its word back: what it last said is
//! kept here, and no component of the fleet shows it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use nodeward_domain::cluster::ClusterTruth;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, NodeObject};
use nodeward_domain::observed::{State, Unavailable};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::Limits;
use super::convert::{self, Unreadable, bounded};
use super::events::Events;
use super::follow::{Kind, News, Object, SharedPulse};
use super::pods::Pods;
use super::texts::Texts;
use super::wire;
use crate::fleet::{Fleet, KnownCluster, Told};
use crate::store::Store;

/// The taint of a machine that is shut down (Kubernetes: well-known labels and taints).
const SHUT_DOWN: &str = "node.cloudprovider.kubernetes.io/shutdown";

/// Limit of the version's text, in bytes.
const VERSION_BYTES: usize = 64;

/// How the kinds stand, and what the version is.
#[derive(Debug, Default, Clone)]
pub(super) struct Pulses {
    kinds: [SharedPulse; Kind::ALL.len()],
    pub version: SharedPulse,
    told: Arc<Mutex<Option<String>>>,
}

impl Pulses {
    pub(super) fn of(&self, kind: Kind) -> &SharedPulse {
        let [nodes, pods, budgets, events] = &self.kinds;
        match kind {
            Kind::Nodes => nodes,
            Kind::Pods => pods,
            Kind::Budgets => budgets,
            Kind::Events => events,
        }
    }

    pub(super) fn told_version(&self, version: String) {
        self.version.answered();
        let version = Some(bounded(version, VERSION_BYTES)).filter(|version| !version.is_empty());
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    fn version(&self) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the API server last answered anything.
    fn answered_at(&self) -> Option<Timestamp> {
        let kinds = self.kinds.iter().chain([&self.version]);
        kinds.filter_map(|pulse| pulse.read().answered_at).max()
    }
}

/// A node as it was last told.
#[derive(Debug)]
struct Node {
    /// What is said of it, or why that cannot be read.
    object: Result<Arc<NodeObject>, String>,
    uid: Option<String>,
    round: u32,
}

/// Holds what one API server tells.
pub(super) struct Keeper {
    cluster: String,
    limits: Limits,
    pulses: Pulses,
    fleet: Arc<Fleet>,
    store: Arc<dyn Store>,
    nodes: BTreeMap<String, Node>,
    round: u32,
    /// What nodes say alike.
    texts: Texts,
    pods: Pods,
    events: Events,
    /// Nodes about which something is to be handed on: what they are, and their pods.
    new_objects: BTreeSet<String>,
    new_pods: BTreeSet<String>,
    /// Why nothing is said of nodes, or of pods; none while it is.
    no_nodes: Option<String>,
    no_pods: Option<String>,
    has_begun: bool,
    asked_since: Timestamp,
    last_ready_at: Option<Timestamp>,
    last_truth: Option<(Timestamp, ClusterTruth)>,
}

impl Keeper {
    pub(super) fn new(
        cluster: String,
        limits: Limits,
        pulses: Pulses,
        pods: Pods,
        fleet: Arc<Fleet>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            cluster,
            limits,
            pulses,
            fleet,
            store,
            nodes: BTreeMap::new(),
            round: 0,
            texts: Texts::default(),
            pods,
            events: Events::default(),
            new_objects: BTreeSet::new(),
            new_pods: BTreeSet::new(),
            no_nodes: None,
            no_pods: None,
            has_begun: false,
            asked_since: Timestamp::now(),
            last_ready_at: None,
            last_truth: None,
        }
    }

    /// Keeps until nobody tells anything any more.
    pub(super) async fn run(mut self, mut news: mpsc::Receiver<News>) {
        // The API server forgets events after an hour; what was remembered of them lasts.
        let now = Timestamp::now();
        for (node, object) in self.fleet.node_objects(&self.cluster) {
            self.events.remember(&node, &object, now);
        }
        let mut flush = tokio::time::interval(self.limits.flush);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut repeat = tokio::time::interval(self.limits.repeat);
        repeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = news.recv() => match told {
                    Some(told) => self.take(told, Timestamp::now()),
                    None => return,
                },
                _ = flush.tick() => self.flush(Timestamp::now()).await,
                _ = repeat.tick() => self.repeat(Timestamp::now()).await,
            }
        }
    }

    fn take(&mut self, news: News, now: Timestamp) {
        match news {
            News::Begins(Kind::Nodes) => self.round = self.round.wrapping_add(1),
            News::Begins(Kind::Pods) => self.pods.begin(),
            News::Begins(Kind::Budgets) => self.pods.begin_budgets(),
            News::Listed(Kind::Nodes) => {
                let round = self.round;
                let left: Vec<String> = self
                    .nodes
                    .iter()
                    .filter(|(_, node)| node.round != round)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in left {
                    self.nodes.remove(&name);
                    self.changed(&name);
                }
                tracing::info!(cluster = self.cluster, nodes = self.nodes.len(), "nodes listed");
            }
            News::Listed(Kind::Pods) => {
                let changed = self.pods.end();
                self.new_pods.extend(changed);
                // Nodes on which there is none are told of too.
                self.new_pods.extend(self.nodes.keys().cloned());
                tracing::info!(cluster = self.cluster, pods = self.pods.count(), "pods listed");
            }
            News::Listed(Kind::Budgets) => self.pods.end_budgets(),
            // An event that is gone there has still been told.
            News::Begins(Kind::Events) | News::Listed(Kind::Events) => {}
            News::There(objects) => {
                for object in objects {
                    self.there(object, now);
                }
            }
            News::Gone(object) => self.gone(object),
        }
    }

    fn there(&mut self, object: Object, now: Timestamp) {
        match object {
            Object::Node(wire) => self.node(*wire, now),
            Object::Pod(wire) => {
                let changed = self.pods.take(*wire);
                self.new_pods.extend(changed);
            }
            Object::Budget(wire) => self.pods.take_budget(*wire),
            Object::Event(wire) => {
                let Some(told) = convert::event(*wire, now) else { return };
                let name = told.node.clone();
                if self.events.take(told, self.nodes.contains_key(&name), now) {
                    self.with_events(&name, now);
                }
            }
            Object::Unreadable { kind, named, node, why } => {
                let why = Unreadable::Shape(why);
                if kind == Kind::Nodes {
                    return self.unreadable(&named.name, &why);
                }
                let (cluster, resource) = (&self.cluster, kind.word());
                let object = &named.name;
                tracing::warn!(cluster, resource, object, %why, "an object cannot be read");
                if kind == Kind::Pods {
                    let changed = self.pods.unreadable(*named, &node);
                    self.new_pods.extend(changed);
                }
            }
        }
    }

    fn node(&mut self, wire: wire::Node, now: Timestamp) {
        let name = wire.metadata.name.clone();
        let (name, mut object) = match convert::node(wire, &mut self.texts, now) {
            Ok(read) => read,
            Err(error) => return self.unreadable(&name, &error),
        };
        let before = self.nodes.get(&name).and_then(|node| node.object.as_ref().ok()).cloned();
        let before = before.filter(|before| before.uid == object.uid);
        if let Some(before) = &before {
            convert::steady(&mut object, before);
        }
        if object.is_ready() == Some(true) {
            self.last_ready_at = Some(now);
        }
        self.events.meet(&name, now);
        object.events = self.events.of(&name, &object, now);
        let (uid, round) = (Some(object.uid.clone()), self.round);
        // Most that is told of a node is that it is still there.
        let object = match before.filter(|before| **before == object) {
            Some(same) => same,
            None => {
                self.new_objects.insert(name.clone());
                if !self.nodes.contains_key(&name) {
                    self.new_pods.insert(name.clone());
                }
                Arc::new(object)
            }
        };
        self.nodes.insert(name, Node { object: Ok(object), uid, round });
    }

    /// What is said of a node cannot be read: that costs this node alone.
    fn unreadable(&mut self, name: &str, error: &Unreadable) {
        let why = bounded(error.to_string(), 512);
        tracing::warn!(cluster = self.cluster, node = name, why, "a node cannot be read");
        let Some(name) = convert::node_name(name) else { return };
        let uid = self.nodes.get(&name).and_then(|node| node.uid.clone());
        self.changed(&name);
        self.nodes.insert(name, Node { object: Err(why), uid, round: self.round });
    }

    fn with_events(&mut self, name: &str, now: Timestamp) {
        let Some(Node { object: Ok(object), .. }) = self.nodes.get_mut(name) else { return };
        let events = self.events.of(name, object, now);
        if events != object.events {
            *object = Arc::new(NodeObject { events, ..NodeObject::clone(object) });
            self.new_objects.insert(name.to_owned());
        }
    }

    fn gone(&mut self, object: Object) {
        match object {
            Object::Node(wire) => self.node_gone(&wire.metadata.name, &wire.metadata.uid),
            Object::Pod(wire) => self.new_pods.extend(self.pods.gone(&wire.metadata.uid)),
            Object::Budget(wire) => self.pods.budget_gone(&wire.metadata.uid),
            Object::Event(_) => {}
            // Who is gone stands there all the same.
            Object::Unreadable { kind, named, .. } => {
                let wire::NamedMetadata { name, uid, .. } = &*named;
                match kind {
                    Kind::Nodes => self.node_gone(name, uid),
                    Kind::Pods => self.new_pods.extend(self.pods.gone(uid)),
                    Kind::Budgets => self.pods.budget_gone(uid),
                    Kind::Events => {}
                }
            }
        }
    }

    fn node_gone(&mut self, name: &str, uid: &str) {
        let Some(name) = convert::node_name(name) else { return };
        // Another of its name may be there already.
        let is_same = |node: &Node| node.uid.as_ref().is_none_or(|known| known == uid);
        if self.nodes.get(&name).is_some_and(is_same) {
            self.nodes.remove(&name);
            self.changed(&name);
        }
    }

    fn changed(&mut self, name: &str) {
        self.new_objects.insert(name.to_owned());
        self.new_pods.insert(name.to_owned());
    }

    /// Hands on what has changed. What cannot be committed is handed on the next time.
    async fn flush(&mut self, now: Timestamp) {
        self.listen(now);
        if !self.has_begun {
            // Everything is there, or it is known why it is not: else every node would begin
            // with a few states that last for a moment.
            self.has_begun = Kind::ALL.iter().all(|kind| self.pulses.of(*kind).read().is_settled());
            if !self.has_begun && self.no_nodes.is_none() {
                return;
            }
            self.has_begun = true;
            self.reconcile();
            self.tell_truth(now);
        }
        if self.new_objects.is_empty() && self.new_pods.is_empty() {
            return;
        }
        let objects = std::mem::take(&mut self.new_objects);
        let pods = std::mem::take(&mut self.new_pods);
        let names: BTreeSet<&String> = objects.iter().chain(&pods).collect();
        let told: Vec<Told> = names
            .into_iter()
            .map(|name| {
                let object = objects.contains(name).then(|| self.object(name)).flatten();
                let pods = pods.contains(name).then(|| self.system_pods(name)).flatten();
                let uid = self.nodes.get(name).and_then(|node| node.uid.clone());
                let states = object.into_iter().chain(pods).collect();
                Told { node: name.clone(), uid, states }
            })
            .filter(|told| !told.states.is_empty())
            .collect();
        let (cluster, store) = (&self.cluster, &self.store);
        if let Err(error) = self.fleet.take_told(store, cluster, told, now).await {
            tracing::error!(cluster, %error, "what the API server says was not committed");
            self.new_objects.extend(objects);
            self.new_pods.extend(pods);
        } else {
            self.tell_truth(now);
        }
    }

    /// What is to be shown of a node; none while nothing is known yet.
    fn object(&self, name: &str) -> Option<ComponentState> {
        if let Some(why) = &self.no_nodes {
            return Some(unavailable(Component::NodeObject, Kind::Nodes, why));
        }
        Some(match self.nodes.get(name).map(|node| &node.object) {
            Some(Ok(object)) => ComponentState::NodeObject(State::Present(Arc::clone(object))),
            Some(Err(why)) => unavailable(Component::NodeObject, Kind::Nodes, why),
            None if self.pulses.of(Kind::Nodes).read().is_listed => {
                ComponentState::NodeObject(State::Absent)
            }
            None => return None,
        })
    }

    fn system_pods(&self, name: &str) -> Option<ComponentState> {
        if let Some(why) = &self.no_pods {
            return Some(unavailable(Component::SystemPods, Kind::Pods, why));
        }
        let is_listed = |kind| self.pulses.of(kind).read().is_listed;
        if let Some(pod) = self.pods.unreadable_on(name) {
            let why = format!("the pod {pod} cannot be read");
            return Some(unavailable(Component::SystemPods, Kind::Pods, &why));
        }
        if self.nodes.contains_key(name) {
            return is_listed(Kind::Pods).then(|| {
                let pods = self.pods.of_node(name);
                ComponentState::SystemPods(State::Present(Arc::new(pods)))
            });
        }
        // A node that is not there has no pods, whoever still names it.
        is_listed(Kind::Nodes).then_some(ComponentState::SystemPods(State::Absent))
    }

    /// Looks whether the API server still answers. What falls silent, and what speaks again,
    /// is news of every node.
    fn listen(&mut self, now: Timestamp) {
        let nodes = self.silence(Kind::Nodes, self.no_nodes.as_ref(), now);
        if nodes.is_some() != self.no_nodes.is_some() {
            self.no_nodes = nodes;
            self.log_silence(Kind::Nodes, self.no_nodes.as_deref());
            self.new_objects.extend(self.nodes.keys().cloned());
            self.new_objects.extend(self.fleet.nodes_of(&self.cluster));
        }
        let pods = self.silence(Kind::Pods, self.no_pods.as_ref(), now);
        if pods.is_some() != self.no_pods.is_some() {
            self.no_pods = pods;
            self.log_silence(Kind::Pods, self.no_pods.as_deref());
            self.new_pods.extend(self.nodes.keys().cloned());
            self.new_pods.extend(self.fleet.nodes_of(&self.cluster));
        }
    }

    /// Why nothing of that kind may be shown; the same words for as long as it lasts.
    fn silence(&self, kind: Kind, said: Option<&String>, now: Timestamp) -> Option<String> {
        let pulse = self.pulses.of(kind).read();
        let last = pulse.answered_at.unwrap_or(self.asked_since);
        let is_refused = pulse.failure.as_ref().is_some_and(|failure| failure.is_refusal);
        // Without the right to ask there is no use in waiting, unless it was ours until now.
        let is_silent = now.duration_since(last) > self.limits.silence
            || (is_refused && pulse.answered_at.is_none());
        if !is_silent {
            return None;
        }
        said.cloned().or_else(|| {
            let why = pulse.failure.map(|failure| failure.why).unwrap_or_default();
            let since = match pulse.answered_at {
                _ if is_refused => format!("the API server gives no right to {}", kind.word()),
                Some(at) => format!("the API server has not answered since {at:.0}"),
                None => format!("the API server has never answered, asked since {last:.0}"),
            };
            Some(if why.is_empty() { since } else { format!("{since}: {why}") })
        })
    }

    fn log_silence(&self, kind: Kind, why: Option<&str>) {
        let (cluster, resource) = (&self.cluster, kind.word());
        match why {
            Some(why) => tracing::error!(cluster, resource, why, "nothing is known any more"),
            None => tracing::info!(cluster, resource, "the API server answers again"),
        }
    }

    /// Nodes that only the fleet knows are news too: the API server does not have them.
    fn reconcile(&mut self) {
        for name in self.fleet.nodes_of(&self.cluster) {
            if !self.nodes.contains_key(&name) {
                self.changed(&name);
            }
        }
    }

    /// What has not changed is observed once more.
    async fn repeat(&mut self, now: Timestamp) {
        if !self.has_begun {
            return;
        }
        for name in self.events.expire(now) {
            self.with_events(&name, now);
        }
        let dropped = self.events.dropped();
        if dropped > 0 {
            tracing::warn!(
                cluster = self.cluster,
                dropped,
                "events of names that are no nodes are left out"
            );
        }
        self.reconcile();
        self.flush(now).await;
        let silent = [
            (Component::NodeObject, self.no_nodes.is_some()),
            (Component::SystemPods, self.no_pods.is_some()),
        ];
        let heard: BTreeSet<Component> =
            silent.into_iter().filter(|(_, is)| !is).map(|(component, _)| component).collect();
        // What waits to be committed is not what was said last.
        let waits = |node: &str| self.new_objects.contains(node) || self.new_pods.contains(node);
        self.fleet.observe_again(&self.cluster, &heard, waits, now);
        self.fleet.forget_gone(now);
        self.tell_truth(now);
    }

    /// Says what holds for the cluster as a whole.
    fn tell_truth(&mut self, now: Timestamp) {
        let objects = || self.nodes.values().filter_map(|node| node.object.as_ref().ok());
        let ready = objects().filter(|object| object.is_ready() == Some(true)).count();
        let shut_down = objects().filter(|object| object.has_taint(SHUT_DOWN)).count();
        if ready > 0 && self.no_nodes.is_none() {
            // It is so for as long as the API server says so.
            let said = self.pulses.of(Kind::Nodes).read().answered_at;
            self.last_ready_at = said.or(self.last_ready_at);
        }
        let truth = ClusterTruth {
            cluster: self.cluster.clone(),
            version: self.pulses.version(),
            asked_since: self.asked_since,
            answered_at: self.pulses.answered_at(),
            nodes: self.nodes.len(),
            ready,
            shut_down,
            last_ready_at: self.last_ready_at,
            last_report_at: self.fleet.last_report_of(&self.cluster),
        };
        // Whatever is judged by it is judged again when it changes: not for times alone, unless
        // these were told long ago.
        let is_as_told = self.last_truth.as_ref().is_some_and(|(at, last)| {
            let last = ClusterTruth {
                answered_at: truth.answered_at,
                last_ready_at: truth.last_ready_at,
                last_report_at: truth.last_report_at,
                ..last.clone()
            };
            last == truth && now.duration_since(*at).unsigned_abs() < self.limits.repeat
        });
        if !is_as_told {
            let told = |kind: Kind| {
                let pulse = self.pulses.of(kind).read();
                let last = pulse.answered_at.filter(|_| pulse.is_listed)?;
                (now.duration_since(last) <= self.limits.silence).then_some(last)
            };
            // Budgets without the pods that they guard would seem to guard none.
            let as_of = told(Kind::Budgets).zip(told(Kind::Pods)).map(|(a, b)| a.min(b));
            let budgets = as_of.map(|as_of| (self.pods.budgets(), as_of));
            self.last_truth = Some((now, truth.clone()));
            self.fleet.put_cluster(KnownCluster { truth, budgets });
        }
    }
}

fn unavailable(component: Component, kind: Kind, why: &str) -> ComponentState {
    let place = format!("API server, {}", kind.word());
    ComponentState::unavailable(component, Unavailable { place, why: why.to_owned() })
}
