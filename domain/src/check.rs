//! Checks: each a question about one component that is answered from facts, with
//! evidence. One list per component; together they are the registry from which
//! screens, documents and `--explain` come.

mod api_server;
mod certificates;
mod cni;
mod conntrack;
mod containerd;
pub mod coverage;
mod dns;
mod docker;
mod egress;
mod extensions;
mod files;
mod filesystem;
mod kernel;
mod kernel_log;
mod kernel_modules;
mod kube_proxy;
mod kubelet;
mod linux_extension;
mod managed_images;
mod network;
mod node_access;
mod node_image;
mod node_object;
mod os_release;
mod packages;
mod pressure;
mod process_limits;
mod reboot;
mod swap_and_hugepages;
mod sysctl;
mod system_pods;
mod systemd;
mod time_sync;
mod tunnel;
mod unit;
mod update_channel;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

use crate::advisory::{Bulletin, Feeds};
use crate::cluster::ClusterTruth;
use crate::component::Component;
use crate::facts::NodeObject;
use crate::fixes::images::Images;
use crate::node::{History, Holding, NodeHistory};
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::{Policy, Standing};
use crate::pool::PoolTruth;
use crate::responsibility::{Action, Responsible, Turn};
use crate::siblings::Siblings;
use crate::standing::Shown;
use crate::with_components;

pub(crate) use packages::mitigated;
pub(crate) use sysctl::{is_command, is_made_of, is_set_by_others};

/// A weak probe must answer the same this many times in a row to be believed.
pub const CONFIRMATIONS: u32 = 3;

/// A question about a node, and how it is answered.
#[derive(Debug)]
pub struct Check {
    /// Stable name, PascalCase, never renamed.
    pub reason: &'static str,
    /// The component it is about.
    pub component: Component,
    /// Over what it is judged.
    pub scope: Reach,
    /// How bad a failure is.
    pub severity: Severity,
    /// Who usually must act; the verdict decides.
    pub responsible: &'static str,
    /// What a failure means, in one line.
    pub summary: &'static str,
    /// The policy rule behind it.
    pub policy: PolicyLink,
    /// Where the rule or the meaning of the facts was read.
    pub source: &'static str,
    /// Answers the question.
    pub judge: Judge,
}

/// Answers a check's question, from a node's history, for an instant.
pub type Judge = fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict;

/// Over what a check is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// One node.
    Node,
    /// One node, beside the others of its pool.
    Pool,
    /// One node, beside all others of its cluster.
    Cluster,
}

impl Reach {
    /// The word for screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pool => "pool",
            Self::Cluster => "cluster",
        }
    }
}

/// How bad a failure is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Workloads on the node suffer, or the node is out of support.
    Critical,
    /// Something needs to be done before it becomes critical.
    Warning,
    /// Worth knowing.
    Information,
}

impl Severity {
    /// The word of the severity.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// How a check hangs on the support policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyLink {
    /// The rule says who is responsible; without it the fact is still judged.
    Cites(&'static str),
    /// Without the rule there is nothing to judge.
    Decides(&'static str),
    /// No rule speaks of it.
    None,
}

impl PolicyLink {
    /// The rule's id.
    #[must_use]
    pub const fn rule(self) -> Option<&'static str> {
        match self {
            Self::Cites(rule) | Self::Decides(rule) => Some(rule),
            Self::None => None,
        }
    }
}

/// What is known beside nodes and policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outside<'a> {
    /// The feeds of advisories; none where none are at hand.
    pub feeds: Option<&'a Feeds>,
    /// Bulletins of the provider.
    pub bulletins: &'a [Bulletin],
    /// What is known of images; none where nothing is at hand.
    pub images: Option<&'a Images>,
    /// The node's pool and what its nodes run; none where that is not known.
    pub pool: Option<&'a PoolTruth>,
    /// What the API server says of the node's cluster; none where it is not asked.
    pub cluster: Option<&'a ClusterTruth>,
    /// What the nodes of its pool show that run its image; none where that is not known.
    pub siblings: Option<&'a Siblings>,
    /// What the node's agent showed of itself when it last reported.
    pub presented: Presented,
}

/// What an agent showed of itself with a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presented {
    /// Not known: no report has come to whoever judges.
    NotSeen,
    /// No certificate of its own: over loopback, behind a relay, or because the node is looked
    /// at where it is and nobody reports.
    #[default]
    Nothing,
    /// This certificate.
    Certificate(Credential),
}

impl Presented {
    /// The certificate, if one was shown.
    #[must_use]
    pub const fn certificate(self) -> Option<Credential> {
        match self {
            Self::Certificate(credential) => Some(credential),
            Self::NotSeen | Self::Nothing => None,
        }
    }
}

/// How long a certificate is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// From then on.
    pub not_before: Timestamp,
    /// Until then, including that second.
    pub not_after: Timestamp,
}

/// What a check may look at besides the node's own history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// What is known beside nodes and policy.
    pub outside: Outside<'a>,
    /// Which kind of machine the node is.
    pub platform: Platform,
    /// For how many rounds this check has been failing, and since when.
    pub standing: Holding,
}

/// The answer of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Pass, fail, unknown or not applicable.
    pub outcome: Outcome,
    /// What the answer rests on.
    pub evidence: Vec<Evidence>,
    /// When the answer must be judged again although no new fact came.
    pub valid_until: Option<Timestamp>,
}

/// What a check answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail {
        /// What is wrong, in one line.
        message: String,
        /// Since when it has been seen to be so.
        since: Timestamp,
        /// Who must act.
        responsible: Responsible,
        /// What to do.
        action: Action,
    },
    /// It cannot be said, for this reason.
    Unknown(String),
    /// A weak probe says that something is wrong, and has not said so often enough.
    Confirming {
        /// How often in a row it has, of [`CONFIRMATIONS`].
        observations: u32,
    },
    /// The question has no meaning here, for this reason.
    NotApplicable(String),
}

impl Outcome {
    /// The word of the outcome: confirming is a way of not knowing.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::Unknown(_) | Self::Confirming { .. } => "unknown",
            Self::NotApplicable(_) => "not_applicable",
        }
    }
}

/// One thing that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// Path or endpoint that was read.
    pub source: String,
    /// What stood there.
    pub actual: String,
    /// What should stand there; empty when there is no one right value.
    pub expected: String,
}

impl Evidence {
    fn new(
        source: impl Into<String>,
        actual: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { source: source.into(), actual: actual.into(), expected: expected.into() }
    }
}

impl Verdict {
    fn pass(evidence: Vec<Evidence>) -> Self {
        Self { outcome: Outcome::Pass, evidence, valid_until: None }
    }

    fn fail(
        message: impl Into<String>,
        since: Timestamp,
        turn: Turn,
        evidence: Vec<Evidence>,
    ) -> Self {
        Self {
            outcome: Outcome::Fail {
                message: message.into(),
                since,
                responsible: turn.responsible,
                action: turn.action,
            },
            evidence,
            valid_until: turn.valid_until,
        }
    }

    fn unknown(why: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { outcome: Outcome::Unknown(why.into()), evidence, valid_until: None }
    }

    fn not_applicable(why: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::NotApplicable(why.into()),
            evidence: Vec::new(),
            valid_until: None,
        }
    }
}

/// So many pieces of evidence of one kind are named; the rest is counted.
const NAMED: usize = 10;

fn shortened(mut evidence: Vec<Evidence>) -> Vec<Evidence> {
    if evidence.len() > NAMED {
        let more = evidence.len() - NAMED;
        evidence.truncate(NAMED);
        evidence.push(Evidence::new("", format!("and {more} more"), ""));
    }
    evidence
}

/// A check and what it answered.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The check.
    pub check: &'static Check,
    /// Its answer.
    pub verdict: Verdict,
}

/// Every check, in the order of components and then of the component's own list.
pub fn registry() -> impl Iterator<Item = &'static Check> {
    macro_rules! lists {
        ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
            [$($word::CHECKS,)*]
        };
    }
    with_components!(lists).into_iter().flatten()
}

/// The check of that reason. Letter case is ignored, because people type it.
#[must_use]
pub fn find(reason: &str) -> Option<&'static Check> {
    registry().find(|check| check.reason.eq_ignore_ascii_case(reason))
}

/// Judges every check on one node.
#[must_use]
pub fn judge_node(
    history: &NodeHistory,
    outside: Outside<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Judged> {
    let platform = Platform::of(history);
    registry()
        .filter(|check| is_asked(history, check.component))
        .map(|check| Judged {
            check,
            verdict: judge(check, history, outside, platform, policy, now),
        })
        .collect()
}

/// Whether there is something to say about a component: of those that the API server tells,
/// only where it was asked; of those that an agent collects, only where one can run.
pub(crate) fn is_asked(history: &NodeHistory, component: Component) -> bool {
    if component.is_of_cluster() {
        return history.newest(component).is_some();
    }
    let is_windows = history.node_object.present().is_some_and(NodeObject::is_windows);
    !is_windows || history.newest(component).is_some()
}

/// Counts what a round has shown of the checks of those components, after its
/// observations have been added to the history. `at` is when the round was.
pub fn settle(
    history: &mut NodeHistory,
    components: &BTreeSet<Component>,
    policy: &Policy,
    at: Timestamp,
) {
    let platform = Platform::of(history);
    for check in registry().filter(|check| components.contains(&check.component)) {
        let shown = match judge(check, history, Outside::default(), platform, policy, at).outcome {
            Outcome::Fail { .. } | Outcome::Confirming { .. } => Shown::Broken,
            Outcome::Unknown(_) => Shown::Nothing,
            Outcome::Pass | Outcome::NotApplicable(_) => Shown::Fine,
        };
        history.standings.take(check.reason, shown, at);
    }
}

fn judge(
    check: &Check,
    history: &NodeHistory,
    outside: Outside<'_>,
    platform: Platform,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    if let PolicyLink::Decides(rule) = check.policy
        && let Standing::Lacking { first_edition } = policy.rule(rule)
    {
        let first = first_edition.unwrap_or("none");
        return Verdict::not_applicable(format!(
            "edition {} has no rule {rule}; first edition with it: {first}",
            policy.edition
        ));
    }
    let scope = Scope { outside, platform, standing: history.standings.of(check.reason) };
    let mut verdict = (check.judge)(history, &scope, policy, now);
    // Facts beside those that fail may have changed since.
    if let Outcome::Fail { since, .. } = &mut verdict.outcome
        && let Some(standing_since) = scope.standing.since
    {
        *since = standing_since.min(*since);
    }
    verdict
}

/// The facts of a component, or the verdict that stands when there are none:
/// could not be read is unknown, not there is not applicable.
fn facts<'a, T: PartialEq>(
    history: &'a History<T>,
    absent: &str,
) -> Result<(&'a T, Timestamp), Verdict> {
    let Some(run) = history.newest() else {
        return Err(Verdict::unknown("not reported yet", Vec::new()));
    };
    match &run.last.state {
        State::Present(facts) => Ok((facts, run.first_observed_at)),
        State::Absent => Err(Verdict::not_applicable(absent)),
        State::NotApplicable(why) => Err(Verdict::not_applicable(why.clone())),
        State::Unavailable(unavailable) => {
            Err(Verdict::unknown(format!("could not be read: {unavailable}"), Vec::new()))
        }
    }
}

/// Holds an answer down until a weak probe has given it often enough in a row.
fn confirmed(holding: Holding, evidence: &[Evidence]) -> Result<Timestamp, Verdict> {
    match holding.since {
        Some(since) if holding.observations >= CONFIRMATIONS => Ok(since),
        _ => Err(Verdict {
            outcome: Outcome::Confirming { observations: holding.observations },
            evidence: evidence.to_vec(),
            valid_until: None,
        }),
    }
}

/// Some questions need a provider that does something: `limits its parameters`.
fn of_a_provider(scope: &Scope, does: &str) -> Result<(), Verdict> {
    match scope.platform {
        Platform::Aks => Ok(()),
        Platform::Kubernetes | Platform::Plain => {
            Err(Verdict::not_applicable(format!("{}: no provider {does}", scope.platform.name())))
        }
        Platform::Unknown => Err(Verdict::unknown("the node's platform is not known", Vec::new())),
    }
}

/// The first instant of a day, UTC.
pub(crate) fn midnight(day: civil::Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(day.to_datetime(civil::Time::midnight())).ok()
}

/// What an operator of a plain node does by hand. On AKS nodes are changed by
/// Kubernetes means alone (rule `kubernetes-native-change`), and what was changed
/// otherwise is lost and undone by reimaging.
fn by_hand(scope: &Scope, action: Action) -> Action {
    match scope.platform {
        Platform::Aks => Action::Reimage,
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => action,
    }
}

/// Unwraps the good case of a step that may already know the verdict.
macro_rules! verdict_or {
    ($step:expr) => {
        match $step {
            Ok(value) => value,
            Err(verdict) => return verdict,
        }
    };
}
use verdict_or;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::facts::{ComponentState, Kernel, KernelImages};

    #[test]
    fn reasons_are_unique_and_pascal_case() {
        let mut seen = BTreeSet::new();
        for check in registry() {
            assert!(seen.insert(check.reason), "{} stands twice", check.reason);
            assert!(
                check.reason.starts_with(|first: char| first.is_ascii_uppercase())
                    && check.reason.chars().all(|letter| letter.is_ascii_alphanumeric()),
                "{} is not PascalCase",
                check.reason
            );
        }
    }

    #[test]
    fn every_rule_that_a_check_names_stands_in_an_edition() {
        for check in registry() {
            let Some(rule) = check.policy.rule() else {
                continue;
            };
            assert!(
                Policy::editions().any(|edition| {
                    let policy = Policy::edition(edition).expect("a shipped edition");
                    matches!(policy.rule(rule), Standing::InForce(_))
                }),
                "{}: no edition has {rule}",
                check.reason
            );
        }
    }

    #[test]
    fn a_node_that_never_reported_passes_nothing() {
        let policy = Policy::edition(crate::policy::DEFAULT_EDITION).expect("a shipped edition");
        for judged in
            judge_node(&NodeHistory::default(), Outside::default(), &policy, Timestamp::UNIX_EPOCH)
        {
            assert!(
                matches!(judged.verdict.outcome, Outcome::Unknown(_)),
                "{} answers {:?}",
                judged.check.reason,
                judged.verdict.outcome
            );
        }
    }

    /// A kernel with that taint mask.
    fn kernel(tainted: u64) -> ComponentState {
        ComponentState::Kernel(State::Present(Arc::new(Kernel {
            release: "6.1.0".to_owned(),
            version: String::new(),
            boot_id: String::new(),
            booted_at: None,
            images: KernelImages::Releases(Vec::new()),
            tainted,
            command_line: Vec::new(),
        })))
    }

    #[test]
    fn a_failure_lasts_since_its_first_round_whatever_else_changes() {
        const LOCKUP: u64 = 1 << 14;
        let policy = Policy::edition(crate::policy::DEFAULT_EDITION).expect("a shipped edition");
        let at = |second| Timestamp::from_second(second).expect("a small number of seconds");
        let mut history = NodeHistory::default();
        let mut since = None;
        for second in 1..20 {
            // Another harmless bit every round: more states than a history keeps.
            let state = kernel(LOCKUP | (1 << (15 + second)));
            history.observe(state, at(second), Duration::ZERO);
            settle(&mut history, &BTreeSet::from([Component::Kernel]), &policy, at(second));
            let judged = judge_node(&history, Outside::default(), &policy, at(second));
            let one = judged.iter().find(|one| one.check.reason == "KernelFaulted");
            since = match one.expect("a check").verdict.outcome {
                Outcome::Fail { since, .. } => Some(since),
                ref other => panic!("{other:?}"),
            };
        }
        assert_eq!(since, Some(at(1)));
        assert_eq!(history.standings.of("KernelFaulted").observations, 19);

        history.observe(kernel(0), at(20), Duration::ZERO);
        settle(&mut history, &BTreeSet::from([Component::Kernel]), &policy, at(20));
        assert_eq!(history.standings.of("KernelFaulted"), Holding::default());
    }
}
