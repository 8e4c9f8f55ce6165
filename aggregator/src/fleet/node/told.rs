//! The part of a node's life that its cluster's API server tells: two components beside those
//! of its agent, with the same histories, and no order but the time at which we were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::answer::is_stale;
use nodeward_domain::check::{registry, settle};
use nodeward_domain::cluster::ClusterTruth;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, NodeObject};
use nodeward_domain::node::Holding;
use nodeward_domain::observed::State;
use nodeward_domain::policy::Policy;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

use super::super::cluster::{GONE_KEPT, KnownCluster};
use super::super::pools::Pools;
use super::{NodeMemory, Standing};
use crate::peer::Peer;
use crate::store::Transition;

/// What an API server says of one component, and its content.
#[derive(Debug, Clone)]
pub(crate) struct ToldContent {
    pub form: u32,
    pub digest: Digest,
    pub state: ComponentState,
    pub content: Content,
}

impl NodeMemory {
    /// A life that an agent begins, of a node of which an API server has told already: what it
    /// said goes on.
    pub(crate) fn after(peer: Peer, before: &Self) -> Self {
        let mut node = Self::new(peer);
        for component in before.told() {
            for run in before.history.states(component) {
                let observations = before.observations(component);
                node.history.restore(run.state, run.since, run.observed_at, observations);
            }
            if let Some(standing) = before.standings.get(component.name()) {
                node.standings.insert(component.name().to_owned(), standing.clone());
            }
        }
        for check in registry().filter(|check| check.component.is_of_cluster()) {
            if let Holding { observations, since: Some(since) } =
                before.history.standings.of(check.reason)
            {
                node.history.standings.restore(check.reason.to_owned(), observations, since);
            }
        }
        node
    }

    /// What a life that goes on after this one is to have committed of it.
    pub(crate) fn left_behind(&self) -> Vec<Transition> {
        let left = self.told().filter_map(|component| {
            let standing = self.standings.get(component.name())?;
            let newest = self.history.newest(component)?;
            Some(Transition {
                component: component.name().to_owned(),
                form: standing.form,
                digest: standing.digest,
                valid_from: newest.since,
            })
        });
        left.collect()
    }

    /// The components that are another than before by what is told.
    pub(crate) fn told_transitions(&self, told: &[ToldContent], at: Timestamp) -> Vec<Transition> {
        told.iter()
            .filter(|one| {
                self.standings.get(one.state.component().name()).is_none_or(|standing| {
                    (standing.form, standing.digest) != (one.form, one.digest)
                })
            })
            .map(|one| {
                let component = one.state.component().name().to_owned();
                let valid_from = self.not_before(&component, at);
                Transition { component, form: one.form, digest: one.digest, valid_from }
            })
            .collect()
    }

    /// Takes what is told and has been committed.
    pub(crate) fn take_told(&mut self, told: &[ToldContent], at: Timestamp, policy: &Policy) {
        let mut observed = BTreeSet::new();
        for one in told {
            let component = one.state.component();
            let at = self.not_before(component.name(), at);
            self.history.observe(one.state.clone(), at, Duration::ZERO);
            let same = self.standings.get(component.name());
            let same = same.filter(|standing| standing.digest == one.digest);
            let observations = same.map_or(1, |standing| standing.observations.saturating_add(1));
            let standing = Standing {
                form: one.form,
                digest: one.digest,
                observations,
                last_observed: at,
                awaited: false,
            };
            self.standings.insert(component.name().to_owned(), standing);
            observed.insert(component);
        }
        settle(&mut self.history, &observed, policy, at);
        self.row = None;
        self.unsaved = true;
    }

    /// Observes once more what has not changed, of those components. That is not saved: what
    /// moves is saved with what changes.
    pub(crate) fn observe_again(
        &mut self,
        components: &BTreeSet<Component>,
        at: Timestamp,
        policy: &Policy,
    ) {
        let mut observed = BTreeSet::new();
        for component in components {
            let at = self.not_before(component.name(), at);
            let Some(standing) = self.standings.get_mut(component.name()) else { continue };
            let Some(newest) = self.history.newest(*component) else { continue };
            if standing.awaited {
                continue;
            }
            standing.observations = standing.observations.saturating_add(1);
            standing.last_observed = at;
            self.history.observe(newest.state, at, Duration::ZERO);
            observed.insert(*component);
        }
        if !observed.is_empty() {
            settle(&mut self.history, &observed, policy, at);
            self.row = None;
        }
    }

    /// That instant, or when the component was last observed where a clock went back.
    fn not_before(&self, component: &str, at: Timestamp) -> Timestamp {
        self.standings.get(component).map_or(at, |standing| standing.last_observed.max(at))
    }

    fn observations(&self, component: Component) -> u32 {
        self.standings.get(component.name()).map_or(1, |standing| standing.observations)
    }

    /// The components that an API server has told of, unless the node is gone from there.
    pub(crate) fn told(&self) -> impl Iterator<Item = Component> {
        Component::OF_CLUSTER.into_iter().filter(|component| {
            let newest = self.history.newest(*component);
            newest.is_some_and(|newest| !matches!(newest.state.word(), "absent"))
        })
    }

    /// What the API server last said of the node; none while it says nothing.
    pub(crate) fn object(&self) -> Option<Arc<NodeObject>> {
        self.history.node_object.state().and_then(State::shared)
    }

    /// The UID that the node has, or last had, at the API server; none where that is not known.
    pub(crate) fn object_uid(&self) -> Option<String> {
        let states = self.history.states(Component::NodeObject);
        states.into_iter().rev().find_map(|newest| match newest.state {
            ComponentState::NodeObject(State::Present(object)) => Some(object.uid.clone()),
            _ => None,
        })
    }

    /// Whether it has been gone from its cluster for so long, and silent, that nobody needs to
    /// be told of it any more.
    pub(crate) fn is_long_gone(&self, now: Timestamp) -> bool {
        let Some(newest) = self.history.newest(Component::NodeObject) else { return false };
        let is_long = |at: Timestamp| now.duration_since(at) > GONE_KEPT;
        newest.state.word() == "absent"
            && is_long(newest.since)
            && self.last_report_at.is_none_or(|at| is_stale(at, now) && is_long(at))
    }

    /// Where its agent's reports stand in their order.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// When anything of it was last observed.
    pub(crate) fn last_observed(&self) -> Timestamp {
        let observed = self.standings.values().map(|standing| standing.last_observed);
        observed.max().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What is known of its cluster.
    pub(crate) fn cluster<'a>(&self, pools: &'a Pools) -> Option<&'a ClusterTruth> {
        pools.cluster(&self.peer.cluster).map(|known| {
            let known: &KnownCluster = known;
            &known.truth
        })
    }
}
