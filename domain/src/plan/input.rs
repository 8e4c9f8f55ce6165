//! What a plan is made from besides the request: for each node pool what is known of it. The
//! fleet fills it in; what it does not know stays none or unknown, and the plan says so. Where
//! each fact comes from stands beside it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answer::{Finding, NodeAnswer};
use crate::check::{Severity, find, midnight};
use crate::component::Component;
use crate::image::drift::{DriftCause, DriftedPackage};
use crate::image::{ImageLabel, build_of};
use crate::policy::{KubernetesMinor, Policy};
use crate::pool::{ClusterResource, NodeOsChannel, OfferedImage, PoolKey, PoolProfile};
use crate::responsibility::{Automation, Responsible};
use crate::version::kubernetes::KubernetesVersion;

pub use super::request::{Accepted, Assumptions, PlanRequest, Target};

/// What is known of one node pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolInput {
    /// Which pool.
    pub key: PoolKey,
    /// What the operator's tools say of it; none where only its nodes are known.
    pub profile: Option<PoolProfile>,
    /// The resource group of its cluster, where it is known.
    pub resource_group: Option<String>,
    /// Its cluster as the provider names it, where that is known.
    #[serde(default)]
    pub resource: Option<ClusterResource>,
    /// The channel of its cluster, where that was told apart from the pool.
    #[serde(default)]
    pub cluster_channel: Option<NodeOsChannel>,
    /// Its nodes, as they report.
    pub nodes: Vec<PlanNode>,
    /// The newest image that is offered to it; none where nobody knows.
    pub offered: Option<OfferedImage>,
    /// What is known of the image that [`Target::of`] names; none where nothing is.
    pub target: Option<TargetFacts>,
    /// What that image brings.
    pub gain: Gain,
    /// What was changed on its nodes by hand and would be lost: packages and files. None where
    /// nobody looked.
    pub drift: Option<Vec<Drift>>,
    /// The PodDisruptionBudgets of the pods on its nodes; none without the Kubernetes API.
    pub disruption_budgets: Option<Vec<DisruptionBudget>>,
    /// What is left of the quota on processors in its region; none where it was not given.
    pub processors: Option<Pot>,
    /// What is left of the addresses of its subnet; none where it was not given.
    pub addresses: Option<Pot>,
    /// Whether its version of Kubernetes is supported; none where that is not known.
    pub kubernetes: Option<KubernetesSupport>,
    /// How the target does elsewhere in the fleet; none where that is not known.
    pub soak: Option<SoakEvidence>,
}

impl PoolInput {
    /// A pool of which nothing but its nodes is known.
    #[must_use]
    pub fn of_nodes(key: PoolKey, nodes: Vec<PlanNode>) -> Self {
        Self {
            key,
            profile: None,
            resource_group: None,
            resource: None,
            cluster_channel: None,
            nodes,
            offered: None,
            target: None,
            gain: Gain::Unknown { why: "nobody compared the images".to_owned() },
            drift: None,
            disruption_budgets: None,
            processors: None,
            addresses: None,
            kubernetes: None,
            soak: None,
        }
    }

    /// The channel that brings node images into it: the pool's own, or else its cluster's.
    #[must_use]
    pub fn channel(&self) -> Option<NodeOsChannel> {
        self.profile.as_ref().and_then(|profile| profile.channel).or(self.cluster_channel)
    }
}

/// What is known of one node of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNode {
    /// Its name.
    pub name: String,
    /// Its life: the UID of its Node object, where it is known.
    pub uid: Option<String>,
    /// The boot it is in, where it is known.
    pub boot: Option<String>,
    /// Its availability zone, where it is known.
    pub zone: Option<String>,
    /// The image that it runs, as its disk says; never what a label or the provider claims.
    pub image: Option<ImageLabel>,
    /// Its operating system, where it is known.
    pub os: Option<OsName>,
    /// When it last reported; none when it never has.
    pub last_reported: Option<Timestamp>,
    /// Its last report is too old to judge by.
    pub is_stale: bool,
    /// Whether it is well.
    pub health: NodeHealth,
    /// The provider's repair is at it.
    pub repair: Option<Repair>,
    /// An upgrade could not drain it, and left it out of use on its old image.
    pub is_quarantined: bool,
}

/// An operating system by the names of os-release(5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OsName {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version_id: String,
}

impl std::fmt::Display for OsName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.version_id)
    }
}

/// Whether a node is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeHealth {
    /// It is Ready and has no critical finding.
    Ready,
    /// It is not Ready, or has critical findings.
    Unhealthy {
        /// The reasons: conditions, and checks by their reason.
        reasons: Vec<String>,
        /// Who must act on them.
        who: Responsible,
    },
    /// Its machine is gone, and its Node object is still there.
    Lost {
        /// How many pods are shown as Unknown for it, where that is known.
        pods_unknown: Option<u32>,
    },
    /// It cannot be said.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Components without which a node cannot be drained, or nothing runs on it.
const VITAL: [Component; 4] =
    [Component::Kubelet, Component::Containerd, Component::KubeProxy, Component::Cni];

/// What the API server says of a node on which no upgrade begins.
const VITAL_IN_CLUSTER: [&str; 2] = ["NodeNetworkUnavailable", "NodeNotReady"];

impl NodeHealth {
    /// By what is said of a node: an upgrade does not begin on one that is not well. One whose
    /// kubelet or runtime nobody could look at is not known to be. Of a silent node only what
    /// the API server says is of now.
    #[must_use]
    pub fn of(answer: &NodeAnswer, is_stale: bool) -> Self {
        let is_of_now = |one: &&Finding| !is_stale || one.component.is_of_cluster();
        let critical = answer.findings.iter().filter(|one| one.severity == Severity::Critical);
        let vital: Vec<&Finding> = critical
            .filter(|one| {
                VITAL.contains(&one.component) || VITAL_IN_CLUSTER.contains(&one.reason.as_str())
            })
            .filter(is_of_now)
            .collect();
        if let Some(first) = vital.first() {
            let reasons = vital.iter().map(|finding| finding.reason.clone()).collect();
            return Self::Unhealthy { reasons, who: first.responsible.clone() };
        }
        if is_stale {
            return Self::Unknown { why: "its last report is too old".to_owned() };
        }
        // A weak sign of something critical that the next rounds will confirm or not.
        let mut vital_checks = answer
            .components
            .iter()
            .filter(|one| VITAL.contains(&one.component))
            .flat_map(|one| &one.checks);
        let doubted = vital_checks.find(|one| {
            one.is_confirming()
                && find(&one.reason).is_some_and(|check| check.severity == Severity::Critical)
        });
        if let Some(check) = doubted {
            return Self::Unknown { why: format!("{}: {}", check.reason, check.detail) };
        }
        let unseen = answer.components.iter().find(|one| {
            VITAL.contains(&one.component)
                && matches!(one.state.as_str(), "unavailable" | "not_reported")
        });
        match unseen {
            Some(one) => Self::Unknown { why: format!("{}: {}", one.component, one.headline) },
            None => Self::Ready,
        }
    }
}

/// The provider's repair of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When it must be taken to have done all it will.
    pub until: Timestamp,
}

impl Repair {
    /// The provider's repair, where a finding says that it will act.
    #[must_use]
    pub fn of(findings: &[Finding], policy: &Policy) -> Option<Self> {
        let by = Responsible::Automation { by: Automation::AutoRepair };
        let repaired = findings.iter().filter(|finding| finding.responsible == by);
        let since = repaired.map(|finding| finding.since).min()?;
        let until = since.checked_add(policy.auto_repair_exhausted_after());
        Some(Self { until: until.unwrap_or(Timestamp::MAX) })
    }
}

/// What is known of an image that a plan leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Which image.
    pub image: ImageLabel,
    /// When its build began, by its note.
    pub built_at: Option<Timestamp>,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// Its operating system.
    pub os: Option<OsName>,
    /// Its list of packages is known.
    pub has_packages: bool,
}

/// When an image turns too old to be supported (rule `node-image-age`), counted from its build
/// or else from the day in its version, which errs early. None where neither is known, or the
/// edition has no such rule.
#[must_use]
pub fn unsupported_from(
    image: &ImageLabel,
    built_at: Option<Timestamp>,
    policy: &Policy,
) -> Option<Timestamp> {
    let limit = policy.node_image_age.as_ref()?.unsupported_after_days;
    let built = built_at.or_else(|| build_of(&image.version).map(|(day, _)| day))?;
    let after = SignedDuration::from_hours(24 * i64::from(limit));
    Some(built.checked_add(after).unwrap_or(Timestamp::MAX))
}

/// What a target brings to a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    /// It was compared.
    Known(Box<Gained>),
    /// It was not.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Gain {
    /// What is known.
    #[must_use]
    pub fn known(&self) -> Option<&Gained> {
        match self {
            Self::Known(gained) => Some(gained),
            Self::Unknown { .. } => None,
        }
    }
}

/// What a target is known to bring to a pool. Fixes are counted once a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gained {
    /// Fixes that are missing now, are older than the line that the policy draws, and come
    /// with it.
    pub over_line: Fixes,
    /// All fixes that are missing now and come with it.
    pub all: Fixes,
    /// Fixes that stay missing.
    pub left: Fixes,
    /// Fixes that are there now and would be missing again.
    pub brought_back: Fixes,
    /// The risk that it retires on one node, in points of severity: what `over_line` is
    /// weighed by. None where severities are not known: each fix is one point.
    pub weight_per_node: Option<u64>,
}

impl Gained {
    /// Points of risk that are retired on each node that is disrupted.
    #[must_use]
    pub fn risk_per_node(&self) -> u64 {
        self.weight_per_node.unwrap_or_else(|| u64::from(self.over_line.count))
    }
}

/// Some fixes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fixes {
    /// How many there are.
    pub count: u32,
    /// Their ids, as far as they were listed: at most [`LISTED`].
    pub ids: Vec<String>,
}

/// So many ids stand in a list; the count stands beside it.
pub const LISTED: usize = 20;

impl Fixes {
    /// All of these, of which as many are listed as may be.
    pub fn of(ids: impl IntoIterator<Item = String>) -> Self {
        let mut fixes = Self::default();
        for id in ids {
            fixes.count = fixes.count.saturating_add(1);
            if fixes.ids.len() < LISTED {
                fixes.ids.push(id);
            }
        }
        fixes
    }
}

/// Something on nodes that reimaging undoes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// A package that the image did not bring.
    Package(String),
    /// A file that is not as the image brought it.
    File(String),
}

impl Drift {
    /// What of a node's packages a new image does not bring along: updates and patches it has,
    /// or brings again, but not what somebody installed, removed or set back.
    pub fn lost(drifted: &[DriftedPackage]) -> impl Iterator<Item = Self> {
        let is_lost =
            |cause: DriftCause| !matches!(cause, DriftCause::SecurityPatch | DriftCause::Updated);
        let lost = drifted.iter().filter(move |one| is_lost(one.cause));
        lost.map(|one| Self::Package(format!("{}: {}", one.name, one.cause.words())))
    }
}

impl Drift {
    /// The files among a node's findings that a new image does not bring along: those that
    /// somebody changed or added. One that is gone comes back.
    pub fn lost_files(findings: &[Finding]) -> impl Iterator<Item = Self> {
        let is_lost = |one: &&Finding| matches!(one.reason.as_str(), "FileDrifted" | "FileAdded");
        let evidence = findings.iter().filter(is_lost).flat_map(|one| &one.evidence);
        evidence.filter(|one| !one.source.is_empty()).map(|one| Self::File(one.source.clone()))
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Package(name) => write!(f, "package {name}"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// A PodDisruptionBudget of pods on a pool's nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisruptionBudget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many pods may be disrupted now.
    pub allowed: u32,
}

/// What several pools draw from: a quota, the addresses of a subnet. Where they say otherwise of
/// one pot, the least counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pot {
    /// Its name: pools that draw from one pot name the same.
    pub name: String,
    /// How much is left.
    pub left: u32,
}

/// Whether a version of Kubernetes is supported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KubernetesSupport {
    /// It is.
    Supported,
    /// Its nodes are still upgraded, and that is all: the provider's platform support.
    PlatformOnly {
        /// The version.
        version: String,
    },
    /// It is not.
    Outside {
        /// The version.
        version: String,
    },
}

impl KubernetesSupport {
    /// By the calendar of a policy edition; none where the edition does not know the version.
    /// The minor before the oldest that is supported is upgraded by the provider still.
    #[must_use]
    pub fn of(text: &str, policy: &Policy, now: Timestamp) -> Option<Self> {
        let version = KubernetesVersion::parse(text)?;
        let is_over = |minor: &&KubernetesMinor, is_long_term: bool| {
            let last = if is_long_term { minor.long_term_until } else { minor.supported_until };
            let end = last.tomorrow().ok().and_then(midnight);
            end.is_none_or(|end| now >= end)
        };
        let minors = &policy.kubernetes_minors;
        let named = || version.to_string();
        match minors.iter().find(|minor| minor.is_of(version)) {
            Some(minor) if !is_over(&minor, version.is_long_term()) => Some(Self::Supported),
            Some(_) => {
                let next = KubernetesVersion { minor: version.minor + 1, ..version };
                let is_next_supported =
                    minors.iter().any(|minor| minor.is_of(next) && !is_over(&minor, false));
                Some(match is_next_supported {
                    true => Self::PlatformOnly { version: named() },
                    false => Self::Outside { version: named() },
                })
            }
            // Older than all that the edition knows.
            None if !minors.is_empty() && !minors.iter().any(|one| one.is_before(version)) => {
                Some(Self::Outside { version: named() })
            }
            None => None,
        }
    }
}

/// How an image does on the fleet's own nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SoakEvidence {
    /// How many pools have nodes on it.
    pub pools: u32,
    /// How many nodes run it.
    pub nodes: u32,
    /// For how many whole days the first of them has.
    pub days: u32,
    /// How many of them are unhealthy.
    pub unhealthy: u32,
    /// Conditions and checks that those nodes did not fail before it.
    pub new_conditions: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::About;
    use crate::check::Outside;
    use crate::node::NodeHistory;
    use crate::policy::DEFAULT_EDITION;

    #[test]
    fn files_that_were_changed_or_added_are_lost_and_one_that_is_gone_comes_back() {
        let finding = |reason: &str, sources: &[&str]| Finding {
            reason: reason.to_owned(),
            component: Component::Files,
            severity: Severity::Information,
            message: String::new(),
            since: Timestamp::UNIX_EPOCH,
            responsible: Responsible::Customer,
            action: crate::responsibility::Action::Reimage,
            policy_rule: String::new(),
            evidence: sources
                .iter()
                .map(|source| crate::check::Evidence {
                    source: (*source).to_owned(),
                    actual: String::new(),
                    expected: String::new(),
                })
                .collect(),
        };
        let findings = [
            finding("FileDrifted", &["/a", ""]),
            finding("FileAdded", &["/b"]),
            finding("FileMissing", &["/c"]),
            finding("LoginRecent", &["/d"]),
        ];
        let lost: Vec<Drift> = Drift::lost_files(&findings).collect();
        assert_eq!(lost, ["/a", "/b"].map(|path| Drift::File(path.to_owned())));
    }

    #[test]
    fn a_node_whose_kubelet_nobody_could_look_at_is_not_known_to_be_well() {
        let now = Timestamp::from_second(1_790_000_000).expect("a moment");
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
        let history = NodeHistory::default();
        let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), &policy, now);
        let health = NodeHealth::of(&answer, false);
        assert!(matches!(&health, NodeHealth::Unknown { why } if why.contains("containerd")));
        assert!(matches!(NodeHealth::of(&answer, true), NodeHealth::Unknown { .. }));
    }
}
