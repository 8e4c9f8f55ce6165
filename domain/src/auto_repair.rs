//! The provider's repair of nodes as a machine with states: what it waits for, what it does,
//! when it has done all it will, and what keeps it away. Its times and steps stand in the
//! policy (`[auto_repair]`, of AKS's page on node auto-repair). What it really did stands in
//! the cluster's API server; without that the machine is run by the clock alone, and says so.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::facts::{ConditionStatus, NodeObject};
use crate::node::{History, Holding};
use crate::platform::Platform;
use crate::policy::{AutoRepair, Policy, Standing};

/// The rule by which the provider repairs nodes.
const RULE: &str = "auto-remediate-components";

/// What is done to a node, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairStep {
    /// It is restarted.
    Reboot,
    /// Its disk is made anew from its image.
    Reimage,
    /// It is moved to another machine.
    Redeploy,
}

impl RepairStep {
    /// The word of the step.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Reimage => "reimage",
            Self::Redeploy => "redeploy",
        }
    }
}

/// What an event of `aks-auto-repair` says of a step: `NodeRebootStart` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has begun.
    Start,
    /// It has ended, which does not say that the node is well.
    End,
    /// It has failed.
    Error,
}

/// An event of the repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairEvent {
    /// When.
    pub at: Timestamp,
    /// Of which step.
    pub step: RepairStep,
    /// What became of it.
    pub phase: Phase,
}

/// What keeps the repair away from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// The annotations of an upgrade that goes through it.
    Upgrade,
    /// The taint `node.cloudprovider.kubernetes.io/shutdown`.
    Shutdown,
    /// The taint `ToBeDeletedByClusterAutoscaler`.
    ScaleDown,
    /// A fault of the network keeps its status from arriving.
    NetworkFault,
    /// It has never registered with the API server.
    NeverRegistered,
}

impl Exclusion {
    /// What it is, for people.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Upgrade => "an upgrade goes through the node (its annotations say so)",
            Self::Shutdown => {
                "its machine is shut down (taint node.cloudprovider.kubernetes.io/shutdown)"
            }
            Self::ScaleDown => {
                "the autoscaler is about to delete it (taint ToBeDeletedByClusterAutoscaler)"
            }
            Self::NetworkFault => "a fault of the network keeps its status from arriving",
            Self::NeverRegistered => "it has never registered",
        }
    }
}

/// What the cluster's API server says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Whether the node is Ready.
    pub is_ready: bool,
    /// Since when it has been so.
    pub since: Timestamp,
    /// Events of the repair, in any order.
    pub events: Vec<RepairEvent>,
    /// What keeps the repair away, the first to be named.
    pub excluded_by: Option<Exclusion>,
}

/// Who tells of the repair's steps, by events.
pub const REPAIR_SOURCE: &str = "aks-auto-repair";

/// The taint of a node whose machine is shut down.
pub const SHUTDOWN_TAINT: &str = "node.cloudprovider.kubernetes.io/shutdown";

/// The taint of a node that the autoscaler is about to delete.
pub const SCALE_DOWN_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// The two annotations that a node carries together while an upgrade goes through it.
pub const UPGRADE_ANNOTATIONS: [(&str, &str); 2] = [
    ("cluster-autoscaler.kubernetes.io/scale-down-disabled", "true"),
    ("kubernetes.azure.com/azure-cluster-autoscaler-scale-down-disabled-reason", "upgrade"),
];

impl RepairEvent {
    /// The step that an event tells of; none where it tells of something else.
    #[must_use]
    pub fn parse(reason: &str, at: Timestamp) -> Option<Self> {
        let rest = reason.strip_prefix("Node")?;
        let (step, phase) = [
            ("Reboot", RepairStep::Reboot),
            ("Reimage", RepairStep::Reimage),
            ("Redeploy", RepairStep::Redeploy),
        ]
        .into_iter()
        .find_map(|(word, step)| Some((step, rest.strip_prefix(word)?)))?;
        let phase = match phase {
            "Start" => Phase::Start,
            "End" => Phase::End,
            "Error" => Phase::Error,
            _ => return None,
        };
        Some(Self { at, step, phase })
    }
}

impl Exclusion {
    /// What keeps the repair away from a node, as far as its object tells; the first by name.
    #[must_use]
    pub fn of(object: &NodeObject) -> Option<Self> {
        let is_upgraded =
            UPGRADE_ANNOTATIONS.iter().all(|(key, value)| object.annotation(key) == Some(*value));
        if is_upgraded {
            Some(Self::Upgrade)
        } else if object.has_taint(SHUTDOWN_TAINT) {
            Some(Self::Shutdown)
        } else if object.has_taint(SCALE_DOWN_TAINT) {
            Some(Self::ScaleDown)
        } else if object.condition("Ready").is_none() {
            Some(Self::NeverRegistered)
        } else {
            None
        }
    }
}

impl ClusterView {
    /// What the API server says of a node, out of what is remembered of it; none where it was
    /// not asked, or does not know the node.
    ///
    /// Since when it is not Ready is counted from when that was first seen, by the clock of who
    /// asks. The condition's own time is believed where the API server's side has set it, which
    /// is while Ready is `Unknown`: any other the node's kubelet writes, by a clock of its own.
    #[must_use]
    pub fn of(history: &History<NodeObject>) -> Option<Self> {
        let object = history.present()?;
        let ready = object.is_ready();
        let Holding { since: first_seen, .. } =
            history.holding(|object| object.is_ready() == ready);
        let first_seen = first_seen?;
        let told = object
            .condition("Ready")
            .filter(|ready| ready.status == ConditionStatus::Unknown)
            .and_then(|ready| ready.since);
        let events = object.events.iter().filter(|event| event.source == REPAIR_SOURCE);
        Some(Self {
            is_ready: ready == Some(true),
            since: told.map_or(first_seen, |told| told.min(first_seen)),
            events: events
                .filter_map(|event| RepairEvent::parse(&event.reason, event.at))
                .collect(),
            excluded_by: Exclusion::of(object),
        })
    }
}

/// How the repair of a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Where it is.
    pub state: RepairState,
    /// Whether that rests on the clock alone, and not on what the API server says.
    pub is_estimated: bool,
    /// What is not known of it, a line each.
    pub unknown: Vec<String>,
    /// Where times and steps were read.
    pub source: String,
}

/// Where a repair is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RepairState {
    /// There is nothing to repair: the node is Ready, or nothing keeps it from that.
    Idle,
    /// It cannot be told, as the node is silent.
    Untold,
    /// Nobody repairs this node by himself, for this reason.
    Nobody {
        /// Why.
        why: String,
    },
    /// It is kept away.
    Excluded {
        /// By what.
        by: Exclusion,
    },
    /// It waits until the node has been ill for long enough.
    Pending {
        /// Since when the node has been ill.
        since: Timestamp,
        /// What will be done first.
        step: RepairStep,
        /// When that is, at the earliest.
        at: Timestamp,
    },
    /// It is at work by the clock; which step is under way is not known.
    AtWork {
        /// Since when, at the earliest.
        since: Timestamp,
        /// When it must be taken to have done all it will.
        until: Timestamp,
    },
    /// A step is under way.
    Running {
        /// Which.
        step: RepairStep,
        /// In which round, from 1.
        round: u32,
        /// Since when.
        since: Timestamp,
    },
    /// A step has ended and the node is still ill.
    Between {
        /// The step that has ended, or failed.
        last: RepairStep,
        /// When.
        at: Timestamp,
        /// What comes next.
        next: RepairStep,
        /// In which round.
        round: u32,
    },
    /// It has done all it will.
    Exhausted {
        /// Since when.
        since: Timestamp,
        /// How many rounds it went; none where that is not known.
        rounds: Option<u32>,
    },
}

impl RepairState {
    /// Whether it will still do something by itself.
    #[must_use]
    pub const fn will_act(&self) -> bool {
        match self {
            Self::Pending { .. }
            | Self::AtWork { .. }
            | Self::Running { .. }
            | Self::Between { .. } => true,
            Self::Idle
            | Self::Untold
            | Self::Nobody { .. }
            | Self::Excluded { .. }
            | Self::Exhausted { .. } => false,
        }
    }
}

impl std::fmt::Display for RepairState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Idle => f.write_str("has nothing to do"),
            Self::Untold => f.write_str("cannot be told: the node is silent"),
            Self::Nobody { why } => write!(f, "does not repair this node: {why}"),
            Self::Excluded { by } => write!(f, "is kept away: {}", by.what()),
            Self::Pending { step, at, .. } => {
                write!(f, "waits, and will {} at {at:.0} at the earliest", step.word())
            }
            Self::AtWork { since, until } => write!(
                f,
                "should be at work since {since:.0}, and will have done all it does by {until:.0}"
            ),
            Self::Running { step, round, since } => {
                write!(f, "is at it since {since:.0}: {}, round {round}", step.word())
            }
            Self::Between { last, at, next, round } => write!(
                f,
                "ended its {} at {at:.0} without success; next is {}, round {round}",
                last.word(),
                next.word()
            ),
            Self::Exhausted { since, rounds: Some(rounds) } => {
                let many = if *rounds == 1 { "round" } else { "rounds" };
                write!(f, "is exhausted since {since:.0}, after {rounds} {many}")
            }
            Self::Exhausted { since, rounds: None } => {
                write!(f, "must be taken to be exhausted since {since:.0}")
            }
        }
    }
}

/// How the repair of a node stands that has shown itself to be broken since `broken_since`.
/// `cluster` is what the API server says, which decides where it is known: the repair looks
/// at nothing else.
#[must_use]
pub fn repair(
    platform: Platform,
    policy: &Policy,
    broken_since: Option<Timestamp>,
    cluster: Option<&ClusterView>,
    now: Timestamp,
) -> Repair {
    let numbers = &policy.auto_repair;
    let state = match (nobody(platform, policy), cluster) {
        (Some(why), _) => RepairState::Nobody { why },
        (None, Some(view)) => by_cluster(numbers, view, now),
        (None, None) => {
            broken_since.map_or(RepairState::Idle, |since| by_clock(numbers, since, now))
        }
    };
    let is_sure = matches!(state, RepairState::Nobody { .. } | RepairState::Idle);
    let is_estimated = cluster.is_none() && !is_sure;
    let unknown = if is_estimated { lacking() } else { Vec::new() };
    Repair { state, is_estimated, unknown, source: numbers.source.clone() }
}

/// What the API server would tell, a line each.
fn lacking() -> Vec<String> {
    [
        "whether and since when the API server takes the node for not Ready: the repair looks at \
         nothing else (kubectl get node)",
        "what the repair has done so far (kubectl get events, source aks-auto-repair)",
        "whether it is kept away by a taint or by an upgrade (kubectl describe node)",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Repair {
    /// The same of a node that is silent: what it showed last says nothing of now. What the
    /// API server says stays.
    #[must_use]
    pub fn of_silent(self, cluster: Option<&ClusterView>) -> Self {
        if cluster.is_some() || matches!(self.state, RepairState::Nobody { .. }) {
            return self;
        }
        Self { state: RepairState::Untold, is_estimated: false, unknown: lacking(), ..self }
    }
}

/// Why nobody repairs a node by himself.
fn nobody(platform: Platform, policy: &Policy) -> Option<String> {
    match platform {
        Platform::Kubernetes | Platform::Plain => {
            Some(format!("{}: no provider repairs it", platform.name()))
        }
        Platform::Unknown => Some("the node's platform is not known".to_owned()),
        Platform::Aks => match policy.rule(RULE) {
            Standing::InForce(_) => None,
            Standing::Lacking { .. } => {
                Some(format!("edition {} has no rule {RULE}", policy.edition))
            }
        },
    }
}

fn minutes(number: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(number))
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// When the first step comes, at the earliest.
fn first_step_at(numbers: &AutoRepair, since: Timestamp) -> Timestamp {
    after(since, minutes(numbers.not_ready_for_minutes) + minutes(numbers.unhealthy_for_minutes))
}

fn by_clock(numbers: &AutoRepair, since: Timestamp, now: Timestamp) -> RepairState {
    let first = first_step_at(numbers, since);
    let exhausted = after(since, minutes(numbers.exhausted_after_minutes));
    match numbers.steps.first() {
        Some(step) if now < first => RepairState::Pending { since, step: *step, at: first },
        Some(_) if now <= exhausted => RepairState::AtWork { since: first, until: exhausted },
        _ => RepairState::Exhausted { since: exhausted, rounds: None },
    }
}

fn by_cluster(numbers: &AutoRepair, view: &ClusterView, now: Timestamp) -> RepairState {
    if view.is_ready {
        return RepairState::Idle;
    }
    if let Some(by) = view.excluded_by {
        return RepairState::Excluded { by };
    }
    // Those from before belong to another illness.
    let mut events: Vec<&RepairEvent> =
        view.events.iter().filter(|event| event.at >= view.since && event.at <= now).collect();
    events.sort_by_key(|event| event.at);
    let Some(last) = events.last() else { return by_clock(numbers, view.since, now) };
    let round = rounds(&events);
    if last.phase == Phase::Start {
        // No step takes longer than all of them: its end was not told, or its beginning was not
        // true. Events are what whoever may write them says.
        let end = after(last.at, minutes(numbers.exhausted_after_minutes));
        if now > end {
            return RepairState::Exhausted { since: end, rounds: Some(round) };
        }
        return RepairState::Running { step: last.step, round, since: last.at };
    }
    let exhausted = after(view.since, minutes(numbers.exhausted_after_minutes));
    let next = numbers
        .steps
        .iter()
        .position(|step| *step == last.step)
        .and_then(|place| numbers.steps.get(place + 1))
        .map(|step| (*step, round))
        .or_else(|| {
            let first = numbers.steps.first().filter(|_| round < numbers.rounds)?;
            Some((*first, round + 1))
        });
    match next {
        Some((next, in_round)) if now <= exhausted => {
            RepairState::Between { last: last.step, at: last.at, next, round: in_round }
        }
        Some(_) => RepairState::Exhausted { since: exhausted, rounds: Some(round) },
        None => RepairState::Exhausted { since: last.at, rounds: Some(round) },
    }
}

/// In which round the last event is: one begins whenever the steps begin anew.
fn rounds(events: &[&RepairEvent]) -> u32 {
    let mut round = 1;
    let mut last: Option<RepairStep> = None;
    for event in events.iter().filter(|event| event.phase == Phase::Start) {
        if last.is_some_and(|last| event.step <= last) {
            round += 1;
        }
        last = Some(event.step);
    }
    round
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULT_EDITION;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + minute * 60).expect("a time of our days")
    }

    fn policy() -> Policy {
        Policy::edition(DEFAULT_EDITION).expect("a shipped edition")
    }

    fn event(minute: i64, step: RepairStep, phase: Phase) -> RepairEvent {
        RepairEvent { at: at(minute), step, phase }
    }

    /// By what the API server says of a node that has not been Ready since minute 0.
    fn seen(events: Vec<RepairEvent>, minute: i64) -> RepairState {
        let view = ClusterView { is_ready: false, since: at(0), events, excluded_by: None };
        repair(Platform::Aks, &policy(), None, Some(&view), at(minute)).state
    }

    fn by_clock_at(minute: i64) -> RepairState {
        let told = repair(Platform::Aks, &policy(), Some(at(0)), None, at(minute));
        assert!(told.is_estimated && told.unknown.len() == 3);
        told.state
    }

    #[test]
    fn by_the_clock_it_waits_works_and_is_exhausted() {
        let pending = RepairState::Pending { since: at(0), step: RepairStep::Reboot, at: at(15) };
        assert_eq!(by_clock_at(0), pending);
        assert_eq!(by_clock_at(14), pending);
        let at_work = RepairState::AtWork { since: at(15), until: at(75) };
        assert_eq!(by_clock_at(15), at_work);
        assert_eq!(by_clock_at(75), at_work);
        assert_eq!(by_clock_at(76), RepairState::Exhausted { since: at(75), rounds: None });
    }

    #[test]
    fn by_events_it_goes_through_its_steps_and_rounds() {
        use Phase::{End, Error, Start};
        use RepairStep::{Reboot, Redeploy, Reimage};
        let mut events = vec![event(15, Reboot, Start)];
        let running = |step, round, minute| RepairState::Running { step, round, since: at(minute) };
        assert_eq!(seen(events.clone(), 16), running(Reboot, 1, 15));
        // Whose end is never told.
        assert_eq!(seen(events.clone(), 90), running(Reboot, 1, 15));
        let given_up = RepairState::Exhausted { since: at(90), rounds: Some(1) };
        assert_eq!(seen(events.clone(), 91), given_up);
        events.push(event(20, Reboot, End));
        let between =
            |last, minute, next, round| RepairState::Between { last, at: at(minute), next, round };
        assert_eq!(seen(events.clone(), 21), between(Reboot, 20, Reimage, 1));
        events.extend([event(22, Reimage, Start), event(30, Reimage, Error)]);
        assert_eq!(seen(events.clone(), 31), between(Reimage, 30, Redeploy, 1));
        events.extend([event(32, Redeploy, Start), event(40, Redeploy, End)]);
        assert_eq!(seen(events.clone(), 41), between(Redeploy, 40, Reboot, 2));
        for start in [42, 55] {
            events.extend([
                event(start, Reboot, Start),
                event(start + 2, Reboot, End),
                event(start + 3, Reimage, Start),
                event(start + 5, Reimage, End),
                event(start + 6, Redeploy, Start),
                event(start + 9, Redeploy, End),
            ]);
        }
        let exhausted = RepairState::Exhausted { since: at(64), rounds: Some(3) };
        assert_eq!(seen(events, 65), exhausted);
    }

    #[test]
    fn a_sequence_that_stops_is_taken_for_exhausted_when_its_time_is_over() {
        let events = || {
            vec![
                event(15, RepairStep::Reboot, Phase::Start),
                event(20, RepairStep::Reboot, Phase::End),
            ]
        };
        assert!(seen(events(), 75).will_act());
        let exhausted = RepairState::Exhausted { since: at(75), rounds: Some(1) };
        assert_eq!(seen(events(), 76), exhausted);
    }

    #[test]
    fn events_of_an_earlier_illness_do_not_count() {
        let earlier = vec![event(-60, RepairStep::Redeploy, Phase::End)];
        assert!(matches!(seen(earlier, 5), RepairState::Pending { .. }));
    }

    #[test]
    fn what_is_ready_or_excluded_is_not_repaired() {
        let view = |is_ready, excluded_by| ClusterView {
            is_ready,
            since: at(0),
            events: Vec::new(),
            excluded_by,
        };
        let state = |view: &ClusterView| {
            repair(Platform::Aks, &policy(), Some(at(0)), Some(view), at(30)).state
        };
        assert_eq!(state(&view(true, None)), RepairState::Idle);
        for by in [
            Exclusion::Upgrade,
            Exclusion::Shutdown,
            Exclusion::ScaleDown,
            Exclusion::NetworkFault,
            Exclusion::NeverRegistered,
        ] {
            let excluded = state(&view(false, Some(by)));
            assert_eq!(excluded, RepairState::Excluded { by });
            assert!(!excluded.will_act());
        }
    }

    #[test]
    fn without_a_provider_nobody_repairs() {
        for platform in [Platform::Kubernetes, Platform::Plain, Platform::Unknown] {
            let told = repair(platform, &policy(), Some(at(0)), None, at(30));
            assert!(matches!(told.state, RepairState::Nobody { .. }), "{platform:?}");
            assert_eq!(told.unknown, Vec::<String>::new());
        }
    }

    #[test]
    fn every_edition_names_the_steps() {
        for edition in Policy::editions() {
            let policy = Policy::edition(edition).expect("a shipped edition");
            let told = repair(Platform::Aks, &policy, Some(at(0)), None, at(0));
            assert!(matches!(told.state, RepairState::Pending { .. }), "{edition}");
        }
    }
}
