//! What readers are told, to and from the wire.

use jiff::Timestamp;
use nodeward_domain::answer::{
    Agent, CheckAnswer, ComponentAnswer, Finding, NodeAnswer, NodeRow, Standing,
};
use nodeward_domain::check::{Evidence, Severity};
use nodeward_domain::component::Component;
use nodeward_domain::fixes::answer::FixesAnswer;
use nodeward_domain::platform::Platform;
use nodeward_domain::presence::{How, Presence};

use crate::convert::{Invalid, list, required, timestamp_in, timestamp_out};
use crate::v1;

mod fixes;
mod image;
pub mod patch_age;
pub mod scan;
mod turn;

/// The most rows of one answer.
pub const PAGE_LIMIT: usize = 500;

/// Findings, components, checks or pieces of evidence that one answer may hold.
const ROWS: usize = 10_000;

/// One value of a small set, by its word.
fn word<T: Copy>(
    field: &str,
    value: &str,
    all: &[T],
    of: fn(T) -> &'static str,
) -> Result<T, Invalid> {
    all.iter()
        .copied()
        .find(|candidate| of(*candidate) == value)
        .ok_or_else(|| Invalid::new(field, format!("{value:?} is not known here")))
}

const PLATFORMS: [Platform; 4] =
    [Platform::Aks, Platform::Kubernetes, Platform::Plain, Platform::Unknown];
const STANDINGS: [Standing; 4] =
    [Standing::Findings, Standing::Incomplete, Standing::Clean, Standing::Gone];
const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::Information];

/// The standing of that word, if there is one.
pub fn standing(field: &str, value: &str) -> Result<Standing, Invalid> {
    word(field, value, &STANDINGS, Standing::word)
}

/// A point in time that must be there.
pub fn instant(field: &str, at: Option<prost_types::Timestamp>) -> Result<Timestamp, Invalid> {
    timestamp_in(field, at)
}

fn component(name: &str) -> Result<Component, Invalid> {
    Component::from_name(name)
        .ok_or_else(|| Invalid::new("component", format!("{name:?} is not known here")))
}

const PRESENCES: [How; 5] =
    [How::Reporting, How::Silent, How::NeverReported, How::WithoutAgent, How::Gone];

fn how(field: &str, value: &str) -> Result<How, Invalid> {
    word(field, value, &PRESENCES, How::word)
}

fn presence(presence: v1::Presence) -> Result<Presence, Invalid> {
    Ok(Presence {
        how: how("presence.how", &presence.how)?,
        since: optional_timestamp("presence.since", presence.since)?,
        because: presence.because,
    })
}

fn optional_timestamp(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Invalid> {
    timestamp.map(|timestamp| timestamp_in(field, Some(timestamp))).transpose()
}

/// A count as it travels; more than fits is the most that fits.
fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl From<&NodeRow> for v1::NodeRow {
    fn from(row: &NodeRow) -> Self {
        Self {
            cluster: row.cluster.clone(),
            node: row.node.clone(),
            platform: row.platform.word().to_owned(),
            standing: row.standing.word().to_owned(),
            findings: count(row.findings),
            unknown: count(row.unknown),
            acts_first: row.acts_first.clone(),
            worst: row.worst.clone(),
            action: row.action.clone(),
            last_report_at: row.last_report_at.map(timestamp_out),
            fixes: count(row.fixes),
            over_line: count(row.over_line),
            presence: row.presence.map(How::word).unwrap_or_default().to_owned(),
        }
    }
}

impl TryFrom<v1::NodeRow> for NodeRow {
    type Error = Invalid;

    fn try_from(row: v1::NodeRow) -> Result<Self, Invalid> {
        Ok(Self {
            platform: word("platform", &row.platform, &PLATFORMS, Platform::word)?,
            standing: standing("standing", &row.standing)?,
            cluster: row.cluster,
            node: row.node,
            findings: row.findings as usize,
            unknown: row.unknown as usize,
            acts_first: row.acts_first,
            worst: row.worst,
            action: row.action,
            last_report_at: optional_timestamp("last_report_at", row.last_report_at)?,
            fixes: row.fixes as usize,
            over_line: row.over_line as usize,
            presence: match row.presence.as_str() {
                "" => None,
                word => Some(how("presence", word)?),
            },
        })
    }
}

impl From<&NodeAnswer> for v1::NodeAnswer {
    fn from(answer: &NodeAnswer) -> Self {
        Self {
            cluster: answer.cluster.clone(),
            node: answer.node.clone(),
            platform: answer.platform.word().to_owned(),
            policy_edition: answer.policy_edition.clone(),
            provider: answer.provider.clone(),
            as_of: Some(timestamp_out(answer.as_of)),
            last_report_at: answer.last_report_at.map(timestamp_out),
            incomplete: answer.incomplete.clone(),
            findings: answer.findings.iter().map(Into::into).collect(),
            components: answer.components.iter().map(Into::into).collect(),
            agent: answer.agent.as_ref().map(|agent| v1::Agent {
                version: agent.version.clone(),
                path_resolution: agent.path_resolution.clone(),
            }),
            fixes: answer.fixes.as_ref().map(Into::into),
            presence: answer.presence.as_ref().map(|presence| v1::Presence {
                how: presence.how.word().to_owned(),
                since: presence.since.map(timestamp_out),
                because: presence.because.clone(),
            }),
        }
    }
}

impl TryFrom<v1::NodeAnswer> for NodeAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::NodeAnswer) -> Result<Self, Invalid> {
        Ok(Self {
            platform: word("platform", &answer.platform, &PLATFORMS, Platform::word)?,
            cluster: answer.cluster,
            node: answer.node,
            policy_edition: answer.policy_edition,
            provider: answer.provider,
            as_of: timestamp_in("as_of", answer.as_of)?,
            last_report_at: optional_timestamp("last_report_at", answer.last_report_at)?,
            complete: answer.incomplete.is_empty(),
            incomplete: answer.incomplete,
            findings: list("findings", answer.findings, ROWS, Finding::try_from)?,
            components: list("components", answer.components, ROWS, ComponentAnswer::try_from)?,
            agent: answer.agent.map(|agent| Agent {
                version: agent.version,
                path_resolution: agent.path_resolution,
            }),
            fixes: answer
                .fixes
                .map(|fixes| {
                    FixesAnswer::try_from(fixes).map_err(|invalid| invalid.within("fixes"))
                })
                .transpose()?,
            presence: answer.presence.map(presence).transpose()?,
        })
    }
}

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            reason: finding.reason.clone(),
            component: finding.component.name().to_owned(),
            severity: finding.severity.word().to_owned(),
            message: finding.message.clone(),
            since: Some(timestamp_out(finding.since)),
            responsible: Some((&finding.responsible).into()),
            action: Some((&finding.action).into()),
            policy_rule: finding.policy_rule.clone(),
            evidence: finding.evidence.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = Invalid;

    fn try_from(finding: v1::Finding) -> Result<Self, Invalid> {
        Ok(Self {
            component: component(&finding.component)?,
            severity: word("severity", &finding.severity, &SEVERITIES, Severity::word)?,
            since: timestamp_in("since", finding.since)?,
            responsible: required("responsible", finding.responsible)?.try_into()?,
            action: required("action", finding.action)?.try_into()?,
            evidence: finding.evidence.into_iter().map(Into::into).collect(),
            reason: finding.reason,
            message: finding.message,
            policy_rule: finding.policy_rule,
        })
    }
}

impl From<&Evidence> for v1::Evidence {
    fn from(evidence: &Evidence) -> Self {
        Self {
            source: evidence.source.clone(),
            actual: evidence.actual.clone(),
            expected: evidence.expected.clone(),
        }
    }
}

impl From<v1::Evidence> for Evidence {
    fn from(evidence: v1::Evidence) -> Self {
        Self { source: evidence.source, actual: evidence.actual, expected: evidence.expected }
    }
}

impl From<&ComponentAnswer> for v1::ComponentAnswer {
    fn from(answer: &ComponentAnswer) -> Self {
        Self {
            component: answer.component.name().to_owned(),
            state: answer.state.clone(),
            headline: answer.headline.clone(),
            observed_at: answer.observed_at.map(timestamp_out),
            checks: answer
                .checks
                .iter()
                .map(|check| v1::CheckAnswer {
                    reason: check.reason.clone(),
                    outcome: check.outcome.clone(),
                    detail: check.detail.clone(),
                    confirming: check.confirming,
                    evidence: check.evidence.iter().map(Into::into).collect(),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::ComponentAnswer> for ComponentAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::ComponentAnswer) -> Result<Self, Invalid> {
        Ok(Self {
            component: component(&answer.component)?,
            state: answer.state,
            headline: answer.headline,
            observed_at: optional_timestamp("observed_at", answer.observed_at)?,
            checks: answer
                .checks
                .into_iter()
                .map(|check| CheckAnswer {
                    reason: check.reason,
                    outcome: check.outcome,
                    detail: check.detail,
                    confirming: check.confirming,
                    evidence: check.evidence.into_iter().map(Into::into).collect(),
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests;
