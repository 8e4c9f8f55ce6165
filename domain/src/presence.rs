//! Whether a node speaks for itself, and if it does not, since when and why, as far as the
//! cluster's API server tells. Only where that is asked can it be said that a node is there
//! and has never reported, or reported once and is gone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::answer::is_stale;
use crate::auto_repair::{Exclusion, SHUTDOWN_TAINT};
use crate::facts::{ConditionStatus, NodeObject, SystemPod};
use crate::node::NodeHistory;
use crate::observed::State;

/// How a node is present, and what is known of it where it is silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// How.
    pub how: How,
    /// Since when; none while it reports.
    pub since: Option<Timestamp>,
    /// What explains it, a line each, what is surest first.
    pub because: Vec<String>,
}

/// How a node is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It reports.
    Reporting,
    /// It has reported, and does not any more.
    Silent,
    /// The API server has it, and no agent has ever reported from there.
    NeverReported,
    /// It runs a system for which there is no agent: the API server alone tells of it.
    WithoutAgent,
    /// The API server has it no more.
    Gone,
}

impl How {
    /// The word on screens and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reporting => "reporting",
            Self::Silent => "silent",
            Self::NeverReported => "never_reported",
            Self::WithoutAgent => "without_agent",
            Self::Gone => "gone",
        }
    }
}

impl Presence {
    /// How a node is present; none where its API server was not asked, or does not answer.
    #[must_use]
    pub fn of(
        history: &NodeHistory,
        last_report_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Self> {
        let newest = history.node_object.newest()?;
        let object = match &newest.last.state {
            State::Present(object) => object,
            State::Absent => return Some(gone(newest.first_observed_at, last_report_at, now)),
            State::NotApplicable(_) | State::Unavailable(_) => return None,
        };
        let reports = last_report_at.is_some_and(|at| !is_stale(at, now));
        if reports {
            return Some(Self { how: How::Reporting, since: None, because: Vec::new() });
        }
        if object.is_windows() && last_report_at.is_none() {
            let because = vec![
                "no agent runs on Windows: what the API server says is all there is".to_owned(),
            ];
            let since = Some(object.created_at);
            return Some(Self { how: How::WithoutAgent, since, because });
        }
        let how = match last_report_at {
            Some(_) => How::Silent,
            None => How::NeverReported,
        };
        let since = last_report_at.or(Some(object.created_at));
        Some(Self { how, since, because: reasons(object, history) })
    }

    /// What is said of it in a list of what is missing; none where nothing is.
    #[must_use]
    pub fn lacking(&self) -> Option<String> {
        let what = match self.how {
            How::Reporting | How::WithoutAgent | How::Gone => return None,
            How::Silent => "the node is silent",
            How::NeverReported => "no agent has ever reported from the node",
        };
        let because = self.because.first().map(String::as_str).unwrap_or("why is not known");
        Some(format!("{what}: {because}"))
    }
}

fn gone(since: Timestamp, last_report_at: Option<Timestamp>, now: Timestamp) -> Presence {
    let mut because = vec![format!("the API server has had no such node since {since:.0}")];
    if let Some(at) = last_report_at.filter(|at| !is_stale(*at, now)) {
        because.push(format!(
            "its agent still reports, last at {at:.0}: the machine runs outside of the cluster"
        ));
    }
    Presence { how: How::Gone, since: Some(since), because }
}

/// Why a node may be silent, what is surest first.
fn reasons(object: &NodeObject, history: &NodeHistory) -> Vec<String> {
    let mut because = Vec::new();
    if object.has_taint(SHUTDOWN_TAINT) {
        because.push("its machine is shut down".to_owned());
    }
    match Exclusion::of(object) {
        Some(Exclusion::Upgrade) => {
            because.push("an upgrade goes through it: maintenance".to_owned());
        }
        Some(Exclusion::ScaleDown) => {
            because.push("the autoscaler is about to delete it".to_owned());
        }
        Some(Exclusion::NeverRegistered) => {
            because.push("its kubelet has never registered".to_owned());
        }
        _ => {}
    }
    if object.deleted_at.is_some() {
        because.push("its deletion was asked for".to_owned());
    }
    let ready = object.condition("Ready").map(|ready| (ready.status, ready.since));
    match ready {
        Some((ConditionStatus::Unknown, since)) => {
            let since = since.map(|at| format!(" since {at:.0}")).unwrap_or_default();
            because.push(format!(
                "its kubelet has stopped telling how it is as well{since}: the machine or its \
                 network is down, or both are stuck"
            ));
        }
        Some((ConditionStatus::False, _)) => {
            because.push("it is not Ready, and its kubelet still speaks".to_owned());
        }
        _ => {}
    }
    because.extend(of_agent(history, ready.is_some_and(|(one, _)| one == ConditionStatus::True)));
    because
}

/// What the agent's own pod tells.
fn of_agent(history: &NodeHistory, is_ready: bool) -> Option<String> {
    let pods = history.system_pods.present()?;
    let Some(pod) = pods.agent() else {
        return Some(
            "no pod of the agent is on it: a taint, or the agent's DaemonSet, keeps it away"
                .to_owned(),
        );
    };
    let SystemPod { namespace, name, waiting, phase, restarts, .. } = pod;
    let look = format!("kubectl -n {namespace} logs {name}");
    Some(match (waiting.as_str(), pod.is_ready, is_ready) {
        ("", true, true) => {
            format!("the agent's pod is ready: its way to the aggregator is broken ({look})")
        }
        ("", true, false) => {
            format!("the agent's pod was ready when the kubelet last spoke ({look})")
        }
        ("", false, _) => {
            format!("the agent's pod is {phase}, not ready, {restarts} restarts ({look})")
        }
        (why, ..) => format!("the agent's pod does not run: {why}, {restarts} restarts ({look})"),
    })
}

#[cfg(test)]
mod tests;
