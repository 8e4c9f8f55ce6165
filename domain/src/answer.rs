//! Answers: the verdicts on a node folded into what every screen shows, so that
//! terminal, page, query and metric cannot disagree.

pub mod sysctl;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::check::{CONFIRMATIONS, Evidence, Outcome, Outside, Severity, is_asked, judge_node};
use crate::component::Component;
use crate::fixes::answer::{FirstTurn, FixesAnswer};
use crate::fixes::counts::FixCounts;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::presence::{How, Presence};
use crate::responsibility::{Action, Responsible};

/// A node that has not reported for longer than this is stale: its last answer may
/// no longer be true.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// A report from a time that is still to come by more than this was stored while a clock
/// ran ahead: when it really came nobody knows, so that it counts as stale.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// Whether a node whose last report is from then may have changed since.
#[must_use]
pub fn is_stale(last_report_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(last_report_at);
    age > STALE_AFTER || age < -AHEAD
}

/// What there is to say about one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeAnswer {
    /// The node's cluster.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Which kind of machine it is.
    pub platform: Platform,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition, for screens.
    pub provider: String,
    /// The instant for which this answer was made.
    pub as_of: Timestamp,
    /// When the node last reported, by the reader's clock; none without a report.
    pub last_report_at: Option<Timestamp>,
    /// The agent that reported it; none where no agent has since the answer's maker began.
    pub agent: Option<Agent>,
    /// How the node is present; none where no API server is asked for it, or it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
    /// Whether nothing is missing from the answer: if not, see `incomplete`.
    pub complete: bool,
    /// What is missing, a line each. "Could not read" stands here, never in a pass.
    pub incomplete: Vec<String>,
    /// Failed checks, worst first. The first names who acts first.
    pub findings: Vec<Finding>,
    /// Every component, with what was seen and every check of it.
    pub components: Vec<ComponentAnswer>,
    /// The fixes that the node lacks; none where that was not asked for, or, said in
    /// `incomplete`, cannot be told.
    pub fixes: Option<FixesAnswer>,
}

/// One failed check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's reason.
    pub reason: String,
    /// The component it is about.
    pub component: Component,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Since when it has been seen to be so.
    pub since: Timestamp,
    /// Who must act.
    pub responsible: Responsible,
    /// What to do.
    pub action: Action,
    /// The policy rule behind it, by id; empty when no rule speaks of it.
    pub policy_rule: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

/// What there is to say about one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentAnswer {
    /// The component.
    pub component: Component,
    /// `present`, `absent`, `not_applicable`, `unavailable` or `not_reported`.
    pub state: String,
    /// What was seen, in one line.
    pub headline: String,
    /// When it was last observed, by the reader's clock: an aggregator moves what the node's
    /// clock said by the difference to its own.
    pub observed_at: Option<Timestamp>,
    /// The component's checks and what each answered.
    pub checks: Vec<CheckAnswer>,
}

/// What one check answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckAnswer {
    /// The check's reason.
    pub reason: String,
    /// `pass`, `fail`, `unknown` or `not_applicable`.
    pub outcome: String,
    /// Why, for `unknown` and `not_applicable`; what is wrong, for `fail`.
    pub detail: String,
    /// How often it has seen what is wrong and must be seen more often before it counts; none
    /// where nothing waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirming: Option<u32>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

impl CheckAnswer {
    /// Whether what it saw is wrong and must be seen more often before it counts.
    #[must_use]
    pub const fn is_confirming(&self) -> bool {
        self.confirming.is_some()
    }
}

/// The shape of a node's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There are findings.
    Findings,
    /// There are none, and something could not be seen.
    Incomplete,
    /// There are none.
    Clean,
    /// The node is no more: nothing of it counts.
    Gone,
}

impl Standing {
    /// The word of the standing.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Incomplete => "incomplete",
            Self::Clean => "clean",
            Self::Gone => "gone",
        }
    }
}

/// A node's agent, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent {
    /// Its version.
    pub version: String,
    /// How it keeps paths inside of the host root: `openat2`, or `walk` where the kernel
    /// lacks that call.
    pub path_resolution: String,
}

/// Who a node is and when it last spoke; what identity and transport know.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The node's cluster.
    pub cluster: &'a str,
    /// The node's name.
    pub node: &'a str,
    /// When its last report arrived, by the reader's clock.
    pub last_report_at: Option<Timestamp>,
    /// The agent that reported it, if one has since we began.
    pub agent: Option<&'a Agent>,
}

impl NodeAnswer {
    /// Judges a node and folds the verdicts. The second value is when the answer must
    /// be made again although no new fact came.
    #[must_use]
    pub fn of(
        about: About<'_>,
        history: &NodeHistory,
        outside: Outside<'_>,
        policy: &Policy,
        now: Timestamp,
    ) -> (Self, Option<Timestamp>) {
        let judged = judge_node(history, outside, policy, now);
        let mut valid_until: Option<Timestamp> = None;
        let mut incomplete = Vec::new();
        let mut findings = Vec::new();

        for one in &judged {
            if let Some(until) = one.verdict.valid_until {
                valid_until = Some(valid_until.map_or(until, |earliest| earliest.min(until)));
            }
            if let Outcome::Fail { message, since, responsible, action } = &one.verdict.outcome {
                findings.push(Finding {
                    reason: one.check.reason.to_owned(),
                    component: one.check.component,
                    severity: one.check.severity,
                    message: message.clone(),
                    since: *since,
                    responsible: responsible.clone(),
                    action: action.clone(),
                    policy_rule: one.check.policy.rule().unwrap_or_default().to_owned(),
                    evidence: one.verdict.evidence.clone(),
                });
            }
        }
        findings.sort_by(|a, b| {
            (a.severity, &a.responsible, a.since, &a.reason).cmp(&(
                b.severity,
                &b.responsible,
                b.since,
                &b.reason,
            ))
        });

        let components: Vec<ComponentAnswer> = Component::ALL
            .into_iter()
            .filter(|component| is_asked(history, *component))
            .map(|component| {
                let newest = history.newest(component);
                let checks: Vec<CheckAnswer> = judged
                    .iter()
                    .filter(|one| one.check.component == component)
                    .map(|one| CheckAnswer {
                        reason: one.check.reason.to_owned(),
                        outcome: one.verdict.outcome.word().to_owned(),
                        detail: match &one.verdict.outcome {
                            Outcome::Pass => String::new(),
                            Outcome::Fail { message, .. } => message.clone(),
                            Outcome::Unknown(why) | Outcome::NotApplicable(why) => why.clone(),
                            Outcome::Confirming { observations } => {
                                format!("confirming {observations}/{CONFIRMATIONS}")
                            }
                        },
                        confirming: match one.verdict.outcome {
                            Outcome::Confirming { observations } => Some(observations),
                            _ => None,
                        },
                        evidence: one.verdict.evidence.clone(),
                    })
                    .collect();
                ComponentAnswer {
                    component,
                    state: newest
                        .as_ref()
                        .map_or("not_reported", |newest| newest.state.word())
                        .to_owned(),
                    headline: newest.as_ref().map_or_else(
                        || "not reported yet".to_owned(),
                        |newest| newest.state.headline(),
                    ),
                    observed_at: newest.map(|newest| newest.observed_at),
                    checks,
                }
            })
            .collect();

        let presence = Presence::of(history, about.last_report_at, now);
        let how = presence.as_ref().map(|presence| presence.how);
        incomplete.extend(presence.as_ref().and_then(Presence::lacking));
        match about.last_report_at {
            // Nobody waits for a report of it.
            None if matches!(how, Some(How::WithoutAgent | How::Gone | How::NeverReported)) => {}
            None => incomplete.push("the node has not reported yet".to_owned()),
            Some(at) if at > now && is_stale(at, now) => {
                incomplete.push(format!(
                    "the last report is from {at:.0}, which is still to come: stale"
                ));
                let met = at.checked_sub(AHEAD).unwrap_or(at);
                valid_until = Some(valid_until.map_or(met, |earliest| earliest.min(met)));
            }
            Some(at) if is_stale(at, now) => {
                incomplete.push(format!("the last report is from {at:.0}: stale"));
                // Falls due again with the next report, which is judged anyway.
            }
            Some(at) => {
                let stale_at = at.checked_add(STALE_AFTER).unwrap_or(Timestamp::MAX);
                valid_until = Some(valid_until.map_or(stale_at, |earliest| earliest.min(stale_at)));
            }
        }
        for component in &components {
            match component.state.as_str() {
                "unavailable" | "not_reported" => {
                    incomplete.push(format!("{}: {}", component.component, component.headline));
                }
                _ => {
                    // An unreadable component says it once; here stand the checks that
                    // stay open although their component was read.
                    for check in component.checks.iter().filter(|check| check.outcome == "unknown")
                    {
                        incomplete.push(format!("{}: {}", check.reason, check.detail));
                    }
                }
            }
        }

        // What a node showed that is no more is nobody's turn, and nothing is missing of it.
        if how == Some(How::Gone) {
            findings.clear();
            incomplete.clear();
        }

        let answer = Self {
            cluster: about.cluster.to_owned(),
            node: about.node.to_owned(),
            platform: Platform::of(history),
            policy_edition: policy.edition.clone(),
            provider: policy.provider.clone(),
            as_of: now,
            last_report_at: about.last_report_at,
            agent: about.agent.cloned(),
            presence,
            complete: incomplete.is_empty(),
            incomplete,
            findings,
            components,
            fixes: None,
        };
        (answer, valid_until)
    }

    /// Adds what was found about fixes; or why nothing could be.
    #[must_use]
    pub fn with_fixes(mut self, fixes: Result<FixesAnswer, String>) -> Self {
        match fixes {
            // Of a node that is no more none is missing.
            Ok(_) if self.is_gone() => {}
            Ok(fixes) => {
                self.incomplete.extend(fixes.incomplete.iter().cloned());
                self.fixes = Some(fixes);
            }
            Err(_) if self.is_gone() => {}
            // Of Windows it is known how old the image is, and no more.
            Err(_) if self.is_without_agent() => {}
            Err(why) => self.incomplete.push(format!("fixes: cannot be told ({why})")),
        }
        self.complete = self.incomplete.is_empty();
        self
    }

    /// Whether the API server has the node no more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.how == How::Gone)
    }

    /// Whether no agent can run on the node.
    fn is_without_agent(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.how == How::WithoutAgent)
    }

    /// The sums of the fixes that the node lacks; all zero where nothing is known of them.
    #[must_use]
    pub fn fix_counts(&self) -> FixCounts {
        self.fixes.as_ref().map(|fixes| fixes.counts).unwrap_or_default()
    }

    /// Findings, incomplete or clean: a known finding beats incompleteness.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.is_gone() {
            Standing::Gone
        } else if !self.findings.is_empty() || self.fix_counts().findings() > 0 {
            Standing::Findings
        } else if self.complete {
            Standing::Clean
        } else {
            Standing::Incomplete
        }
    }

    /// Who acts first, as screens say it; a dash when nobody needs to.
    #[must_use]
    pub fn acts_first(&self) -> String {
        let finding = self.findings.first().map(|first| &first.responsible);
        let fix = || self.first_fix().map(|first| &first.responsible);
        finding
            .or_else(fix)
            .map_or_else(|| "-".to_owned(), |responsible| responsible.word(&self.provider))
    }

    /// Whose turn comes first among missing fixes that are findings.
    fn first_fix(&self) -> Option<&FirstTurn> {
        let fixes = self.fixes.as_ref().filter(|fixes| fixes.counts.findings() > 0)?;
        fixes.first.as_ref()
    }

    /// The answer in one row.
    #[must_use]
    pub fn row(&self) -> NodeRow {
        let counts = self.fix_counts();
        let finding = self.findings.first();
        let action = finding.map(|first| &first.action);
        NodeRow {
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            platform: self.platform,
            standing: self.standing(),
            findings: self.findings.len(),
            unknown: self.incomplete.len(),
            acts_first: self.acts_first(),
            worst: finding.map(|first| first.reason.clone()).unwrap_or_default(),
            action: action
                .or_else(|| self.first_fix().map(|first| &first.action))
                .map(ToString::to_string)
                .unwrap_or_default(),
            fixes: counts.findings(),
            over_line: counts.over_line,
            last_report_at: self.last_report_at,
            presence: self.presence.as_ref().map(|presence| presence.how),
        }
    }
}

/// A node in a list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// The node's cluster.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Which kind of machine it is.
    pub platform: Platform,
    /// Findings, incomplete or clean.
    pub standing: Standing,
    /// How many checks failed.
    pub findings: usize,
    /// How many things could not be said.
    pub unknown: usize,
    /// Who acts first.
    pub acts_first: String,
    /// The reason of the worst finding; empty without one.
    pub worst: String,
    /// What to do first; empty where nothing is to be done.
    pub action: String,
    /// Missing fixes that are findings: that somebody owes, or nobody knows who does.
    pub fixes: usize,
    /// Missing fixes that are older than the policy's line, whoever must act.
    pub over_line: usize,
    /// When the node last reported, by the reader's clock.
    pub last_report_at: Option<Timestamp>,
    /// How the node is present; none where no API server is asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<How>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULT_EDITION;

    fn stale(age: SignedDuration) -> (bool, Option<Timestamp>) {
        let now = Timestamp::from_second(1_790_000_000).expect("a time of our days");
        let last_report_at = now.checked_sub(age).expect("in range");
        let about =
            About { cluster: "c", node: "n", last_report_at: Some(last_report_at), agent: None };
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let (answer, valid_until) =
            NodeAnswer::of(about, &NodeHistory::default(), Outside::default(), &policy, now);
        let says = answer.incomplete.iter().any(|line| line.ends_with(": stale"));
        assert_eq!(says, is_stale(last_report_at, now));
        (says, valid_until)
    }

    #[test]
    fn a_report_that_is_too_old_or_still_to_come_is_stale() {
        for (seconds, expected) in [
            (-60 * 60 * 24 * 400, true),
            (-61, true),
            (-60, false),
            (0, false),
            (900, false),
            (901, true),
        ] {
            assert_eq!(stale(SignedDuration::from_secs(seconds)).0, expected, "{seconds} s old");
        }
    }

    #[test]
    fn an_answer_falls_due_when_its_report_grows_old_or_its_time_comes() {
        for seconds in [-3600, 0] {
            assert!(stale(SignedDuration::from_secs(seconds)).1.is_some(), "{seconds} s old");
        }
    }
}
