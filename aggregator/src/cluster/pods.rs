//! Every pod of a cluster in as few bytes as will do: where it runs and which labels it has,
//! for budgets of disruption; and of those that the cluster itself stands on, and of our own
//! agents, what becomes of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nodeward_domain::cluster::Budget;
use nodeward_domain::facts::{SystemPod, SystemPods};
use nodeward_domain::text::Text;

use super::convert::{bounded, node_name, time};
use super::texts::{Labels, Texts};
use super::wire;

/// The namespace of the cluster's own pods.
const SYSTEM: &str = "kube-system";

/// Limit of names and words, in bytes. A pod's name has 253 at most.
const NAME_BYTES: usize = 320;

/// Pods of the cluster's own on one node beyond these are not told.
const PODS_OF_NODE: usize = 256;

/// Names a pod for as long as it lives: its UID's 128 bits.
type PodId = u128;

/// A pod.
#[derive(Debug)]
struct Pod {
    namespace: Text,
    /// The node that it runs on; none before it has one.
    node: Option<Text>,
    labels: Labels,
    /// In which list it was last seen.
    round: u32,
    /// Whether it is done, so that nothing guards it any more.
    is_done: bool,
    system: Option<Box<System>>,
}

/// What becomes of a pod of the cluster's own.
#[derive(Debug, PartialEq, Eq)]
struct System {
    name: Text,
    owner: Text,
    phase: Text,
    waiting: Text,
    since: Option<jiff::Timestamp>,
    restarts: u32,
    is_agent: bool,
    is_ready: bool,
    is_ending: bool,
}

/// A pod of which is known that it is there, and where.
#[derive(Debug)]
struct Unreadable {
    name: String,
    node: String,
    round: u32,
}

/// A budget of disruption, before anybody has looked for its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guard {
    namespace: String,
    name: String,
    selector: Option<wire::Selector>,
    disruptions_allowed: u32,
    healthy: u32,
    desired: u32,
    expected: u32,
    round: u32,
}

/// Pods and budgets of one cluster.
#[derive(Debug, Default)]
pub(super) struct Pods {
    /// Where our own agents are.
    agent_namespace: String,
    pods: HashMap<PodId, Pod>,
    /// The cluster's own pods on each node.
    system: HashMap<Text, BTreeSet<PodId>>,
    /// Those of them that cannot be read.
    unreadable: HashMap<PodId, Unreadable>,
    budgets: BTreeMap<String, Guard>,
    texts: Texts,
    round: u32,
    budget_round: u32,
    are_budgets_old: bool,
    told_budgets: Arc<[Budget]>,
}

impl Pods {
    /// None yet. Our own agents are in that namespace.
    pub(super) fn new(agent_namespace: String) -> Self {
        Self { agent_namespace, ..Self::default() }
    }

    /// A list of pods begins: what is not in it is gone when it ends.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// The list has ended. Names nodes whose own pods are others than before.
    pub(super) fn end(&mut self) -> BTreeSet<String> {
        let round = self.round;
        let gone: Vec<PodId> =
            self.pods.iter().filter(|(_, pod)| pod.round != round).map(|(id, _)| *id).collect();
        let mut changed: BTreeSet<String> =
            gone.into_iter().filter_map(|id| self.remove(id)).collect();
        self.unreadable.retain(|_, one| {
            let is_there = one.round == round;
            if !is_there {
                changed.insert(one.node.clone());
            }
            is_there
        });
        changed
    }

    /// A pod is there, or is another than before. Names the nodes whose own pods are others.
    pub(super) fn take(&mut self, wire: wire::Pod) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let Some(id) = pod_id(&wire.metadata.uid) else { return changed };
        changed.extend(self.unreadable.remove(&id).map(|one| one.node));
        let is_agent =
            wire.metadata.namespace == self.agent_namespace && is_agent(&wire.metadata.labels);
        let is_system = is_agent || wire.metadata.namespace == SYSTEM;
        let namespace = bounded(wire.metadata.namespace.clone(), NAME_BYTES);
        let namespace = self.texts.get(&namespace);
        let is_done = matches!(wire.status.phase.as_str(), "Succeeded" | "Failed");
        let node = node_name(&wire.spec.node_name).map(|node| self.texts.get(&node));
        let labels = self.texts.labels(&wire.metadata.labels);
        let system = is_system.then(|| Box::new(self.system(wire, is_agent)));
        let pod = Pod { namespace, node, labels, round: self.round, is_done, system };
        if let Some(before) = self.pods.get_mut(&id) {
            if (&before.node, &before.system) == (&pod.node, &pod.system) {
                self.are_budgets_old |=
                    before.labels != pod.labels || before.is_done != pod.is_done;
                *before = pod;
                return changed;
            }
            changed.extend(self.remove(id));
        }
        if let (Some(node), Some(_)) = (&pod.node, &pod.system) {
            self.system.entry(node.clone()).or_default().insert(id);
            changed.insert(node.to_string());
        }
        self.pods.insert(id, pod);
        self.are_budgets_old = true;
        changed
    }

    /// A pod is there and cannot be read: what was told of it before does not hold any more.
    /// Names the node of whose own pods nothing is known while that is so.
    pub(super) fn unreadable(&mut self, named: wire::NamedMetadata, node: &str) -> Option<String> {
        let id = pod_id(&named.uid)?;
        let known = self.pods.get_mut(&id);
        let was_system = known.as_ref().is_some_and(|pod| pod.system.is_some());
        let before = known.as_ref().and_then(|pod| pod.node.as_ref().map(Text::to_string));
        if let Some(pod) = known {
            pod.round = self.round;
        }
        // Whether it is our agent's its labels would tell.
        let may_be_system = [SYSTEM, &self.agent_namespace].contains(&named.namespace.as_str());
        if !was_system && !may_be_system {
            return None;
        }
        // A pod stays on the node that it was put on.
        let node = node_name(node).or(before)?;
        let name = bounded(named.name, NAME_BYTES);
        let (of_node, round) = (node.clone(), self.round);
        self.unreadable.insert(id, Unreadable { name, node: of_node, round });
        Some(node)
    }

    /// A pod of the cluster's own on a node, or the agent's, that cannot be read.
    pub(super) fn unreadable_on(&self, node: &str) -> Option<&str> {
        let on_it = self.unreadable.values().filter(|one| one.node == node);
        on_it.map(|one| one.name.as_str()).min()
    }

    /// A pod is gone. Names the nodes whose own pods are others by it.
    pub(super) fn gone(&mut self, uid: &str) -> BTreeSet<String> {
        let Some(id) = pod_id(uid) else { return BTreeSet::new() };
        let unreadable = self.unreadable.remove(&id).map(|one| one.node);
        self.remove(id).into_iter().chain(unreadable).collect()
    }

    fn remove(&mut self, id: PodId) -> Option<String> {
        let pod = self.pods.remove(&id)?;
        self.are_budgets_old = true;
        let node = pod.node?;
        pod.system?;
        let of_node = self.system.get_mut(&node)?;
        of_node.remove(&id);
        if of_node.is_empty() {
            self.system.remove(&node);
        }
        Some(node.to_string())
    }

    fn system(&mut self, wire: wire::Pod, is_agent: bool) -> System {
        let wire::Pod { metadata, status, .. } = wire;
        let controller = metadata.owner_references.iter().find(|owner| owner.controller);
        let owner = controller.or(metadata.owner_references.first());
        let owner = owner.map(|owner| format!("{} {}", owner.kind, owner.name));
        let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
        let containers = || status.init_container_statuses.iter().chain(&status.container_statuses);
        let restarts = containers().fold(0, |sum: i64, one| sum.saturating_add(one.restart_count));
        let waiting = containers()
            .find_map(|one| one.state.waiting.as_ref())
            // One that has ended well has done its work.
            .or_else(|| {
                let mut ended = containers().filter_map(|one| one.state.terminated.as_ref());
                ended.find(|ended| ended.exit_code != 0)
            })
            .map(|stopped| stopped.reason.clone())
            .unwrap_or_default();
        System {
            name: bounded(metadata.name, NAME_BYTES).into(),
            owner: self.texts.get(&bounded(owner.unwrap_or_default(), NAME_BYTES)),
            phase: self.texts.get(&bounded(status.phase, NAME_BYTES)),
            waiting: self.texts.get(&bounded(waiting, NAME_BYTES)),
            since: ready.and_then(|ready| time(ready.last_transition_time.as_deref()?)),
            restarts: u32::try_from(restarts.max(0)).unwrap_or(u32::MAX),
            is_agent,
            is_ready: ready.is_some_and(|ready| ready.status == "True"),
            is_ending: metadata.deletion_timestamp.is_some(),
        }
    }

    /// The cluster's own pods on a node, and the agent's.
    pub(super) fn of_node(&self, node: &str) -> SystemPods {
        let ids = self.system.get(node).into_iter().flatten();
        let pods = ids.filter_map(|id| self.pods.get(id));
        let mut pods: Vec<SystemPod> = pods
            .filter_map(|pod| {
                let system = pod.system.as_deref()?;
                Some(SystemPod {
                    namespace: pod.namespace.clone(),
                    name: system.name.clone(),
                    owner: system.owner.clone(),
                    is_agent: system.is_agent,
                    phase: system.phase.clone(),
                    is_ready: system.is_ready,
                    since: system.since,
                    waiting: system.waiting.clone(),
                    restarts: system.restarts,
                    is_ending: system.is_ending,
                })
            })
            // The wire has no pod without a name.
            .filter(|pod| !pod.name.is_empty() && !pod.namespace.is_empty())
            .collect();
        // The agent's own and those of the system are the last to be left out.
        pods.sort_by_cached_key(|pod| (!pod.is_agent, pod.namespace != SYSTEM, pod.clone()));
        pods.truncate(PODS_OF_NODE);
        pods.sort();
        pods.shrink_to_fit();
        SystemPods { pods }
    }

    /// A list of budgets begins.
    pub(super) fn begin_budgets(&mut self) {
        self.budget_round = self.budget_round.wrapping_add(1);
    }

    /// The list has ended.
    pub(super) fn end_budgets(&mut self) {
        let round = self.budget_round;
        self.budgets.retain(|_, budget| budget.round == round);
        self.are_budgets_old = true;
    }

    /// A budget is there, or is another than before.
    pub(super) fn take_budget(&mut self, wire: wire::DisruptionBudget) {
        let wire::DisruptionBudget { metadata, spec, status } = wire;
        let count = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
        let guard = Guard {
            namespace: bounded(metadata.namespace, NAME_BYTES),
            name: bounded(metadata.name, NAME_BYTES),
            selector: spec.selector,
            disruptions_allowed: count(status.disruptions_allowed),
            healthy: count(status.current_healthy),
            desired: count(status.desired_healthy),
            expected: count(status.expected_pods),
            round: self.budget_round,
        };
        self.are_budgets_old = true;
        self.budgets.insert(metadata.uid, guard);
    }

    /// A budget is gone.
    pub(super) fn budget_gone(&mut self, uid: &str) {
        self.are_budgets_old |= self.budgets.remove(uid).is_some();
    }

    /// Every budget, with the nodes on which its pods run; made anew where something that it
    /// hangs on has changed.
    pub(super) fn budgets(&mut self) -> Arc<[Budget]> {
        if std::mem::take(&mut self.are_budgets_old) {
            self.told_budgets = self.count_budgets();
        }
        Arc::clone(&self.told_budgets)
    }

    fn count_budgets(&self) -> Arc<[Budget]> {
        let mut by_namespace: BTreeMap<&str, Vec<(&Guard, BTreeSet<&str>)>> = BTreeMap::new();
        for guard in self.budgets.values() {
            by_namespace.entry(&guard.namespace).or_default().push((guard, BTreeSet::new()));
        }
        for pod in self.pods.values().filter(|pod| !pod.is_done) {
            let Some(node) = pod.node.as_deref() else { continue };
            for (guard, nodes) in by_namespace.get_mut(&*pod.namespace).into_iter().flatten() {
                let value = |key: &str| {
                    let found = pod.labels.iter().find(|(name, _)| **name == *key);
                    found.map(|(_, value)| &**value)
                };
                if guard.selector.as_ref().is_some_and(|selector| selector.selects(value)) {
                    nodes.insert(node);
                }
            }
        }
        let mut budgets: Vec<Budget> = by_namespace
            .into_values()
            .flatten()
            .map(|(guard, nodes)| Budget {
                namespace: guard.namespace.clone(),
                name: guard.name.clone(),
                disruptions_allowed: guard.disruptions_allowed,
                healthy: guard.healthy,
                desired: guard.desired,
                expected: guard.expected,
                nodes: nodes.into_iter().map(str::to_owned).collect(),
            })
            .collect();
        budgets.sort();
        budgets.into()
    }

    /// How many pods there are.
    pub(super) fn count(&self) -> usize {
        self.pods.len()
    }
}

/// Whether a pod of the agents' namespace is one, as `manifests/` labels them.
fn is_agent(labels: &BTreeMap<String, String>) -> bool {
    let is = |key: &str, value: &str| labels.get(key).is_some_and(|one| one == value);
    is("app.kubernetes.io/name", "nodeward-agent")
        || is("app.kubernetes.io/name", "nodeward") && is("app.kubernetes.io/component", "agent")
}

/// The 128 bits of a UID such as `2fdc435e-6962-4325-a73f-f3b984afff21`. The API server gives
/// every pod one; a static pod has its own there too.
fn pod_id(uid: &str) -> Option<PodId> {
    let digits: String = uid.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    PodId::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests;
