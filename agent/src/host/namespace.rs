//! Namespaces of the host, namespaces(7): the kernel shows a reader much of `/proc` and
//! every loopback port as those of the reader's own.

use nodeward_domain::facts::HttpAnswer;

use super::{Host, HostRoot};
use crate::reads::{Read, Shared};

/// What is read to tell whether a namespace is the node's.
pub(crate) const SHARED: Shared = Shared { word: "namespaces", reads: READS };

const READS: &[Read] = &[Read::of(
    &["/proc/{pid}/ns/{namespace}"],
    "Of processes 1 and 2, and of a kube-proxy, which namespace they are in; of processes 1 and 2 \
     only in a container. Needs SYS_PTRACE: without it, whether it is the node's is not known.",
)];

/// Why what the agent sees is not, or may not be, the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// It is in another namespace of that name.
    Another(&'static str),
    /// Whether it is could not be told: the links may be read with SYS_PTRACE alone.
    NotKnown(&'static str),
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Another(link) => write!(f, "the agent is not in the host's {link} namespace"),
            Self::NotKnown(link) => {
                write!(f, "whether the agent is in the host's {link} namespace is not known")
            }
        }
    }
}

impl Foreign {
    /// On a loopback that may not be the host's an answer proves something, a refusal
    /// nothing.
    #[must_use]
    pub fn unless_refused(&self, answer: HttpAnswer) -> HttpAnswer {
        match answer {
            HttpAnswer::Refused => HttpAnswer::NotAsked { why: format!("refused, but {self}") },
            answer => answer,
        }
    }
}

impl Host {
    /// Why the agent's namespace, named as below `/proc/PID/ns`, is not the host's; none
    /// when it is, or when nothing of the running machine is asked.
    #[must_use]
    pub fn foreign(&self, link: &'static str) -> Option<Foreign> {
        let is_own_root = self.root.path() == std::path::Path::new("/");
        if !self.probes.is_live() || is_own_root {
            return None;
        }
        // A thread may have namespaces of its own.
        let own = std::fs::read_link(format!("/proc/thread-self/ns/{link}")).ok()?;
        match namespace(&self.root, link) {
            Some(theirs) if own.as_os_str() == theirs.as_str() => None,
            Some(_) => Some(Foreign::Another(link)),
            None => Some(Foreign::NotKnown(link)),
        }
    }
}

/// The host's namespace of that name; none when it may not be seen.
#[must_use]
pub fn namespace(root: &HostRoot, link: &str) -> Option<String> {
    // Process 1 may be closed even to root; kernel threads are in the host's namespaces.
    ["1", "2"].into_iter().find_map(|pid| root.read_link(&format!("/proc/{pid}/ns/{link}")).ok())
}
