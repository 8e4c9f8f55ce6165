//! Which nodes are asked about their support; what is said of them the domain decides.

use std::borrow::Cow;

use jiff::Timestamp;
use nodeward_domain::policy::{Policy, PolicyError};
use nodeward_domain::support::{Support, SupportAnswer};

use super::{Fleet, NodeMemory};

/// Whose support is asked for, and by which edition. Empty means all, and the fleet's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedSupport {
    /// Only nodes of this cluster, …
    pub cluster: String,
    /// … of this pool, …
    pub pool: String,
    /// … or this node.
    pub node: String,
    /// The edition.
    pub policy: String,
}

/// Why nothing is said of the support of nodes.
#[derive(Debug, thiserror::Error)]
pub enum NoSupport {
    /// There is no such edition.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no such node.
    #[error("{0}: no such node has reported")]
    NoNode(String),
}

impl Fleet {
    /// How the nodes stand to the rules of a support policy.
    pub fn support(
        &self,
        asked: &AskedSupport,
        now: Timestamp,
    ) -> Result<SupportAnswer, NoSupport> {
        let policy = match asked.policy.as_str() {
            "" => Cow::Borrowed(self.policy()),
            edition => Cow::Owned(Policy::edition(edition)?),
        };
        let advisories = self.advisories();
        let pools = self.pools();
        let mut support = Support::new(&policy, asked.scope(), now);
        let mut is_any = false;
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = memory.node.as_ref().filter(|node| asked.is_about(node)) else {
                continue;
            };
            is_any = true;
            node.judged(&policy, &advisories, &pools, now, |history, answer| {
                support.take(history, answer);
            });
        }
        if !is_any && !asked.is_about_all() {
            return Err(NoSupport::NoNode(asked.scope()));
        }
        Ok(support.answer())
    }
}

impl AskedSupport {
    fn is_about(&self, node: &NodeMemory) -> bool {
        let is = |asked: &str, actual: &str| asked.is_empty() || asked == actual;
        let is_of_pool =
            || self.pool.is_empty() || node.pool().is_some_and(|key| key.pool == self.pool);
        is(&self.cluster, &node.peer().cluster) && is(&self.node, &node.peer().node) && is_of_pool()
    }

    const fn is_about_all(&self) -> bool {
        self.cluster.is_empty() && self.pool.is_empty() && self.node.is_empty()
    }

    /// Of which nodes, for people.
    fn scope(&self) -> String {
        let named = [("node", &self.node), ("pool", &self.pool), ("cluster", &self.cluster)];
        let named: Vec<String> = named
            .into_iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(what, name)| format!("{what} {name}"))
            .collect();
        if named.is_empty() { "all clusters".to_owned() } else { named.join(" of ") }
    }
}
