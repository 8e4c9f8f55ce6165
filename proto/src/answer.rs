//! What readers are told, to and from the wire.

use jiff::Timestamp;
use nodeward_domain::answer::{
    Agent, CheckAnswer, ComponentAnswer, Finding, NodeAnswer, NodeRow, Standing,
};
use nodeward_domain::check::{Evidence, Severity};
use nodeward_domain::component::Component;
use nodeward_domain::platform::Platform;
use nodeward_domain::responsibility::{Action, Automation, Responsible};

use crate::convert::{Invalid, list, required, timestamp_in, timestamp_out};
use crate::v1;

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
const STANDINGS: [Standing; 3] = [Standing::Findings, Standing::Incomplete, Standing::Clean];
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

impl From<&Responsible> for v1::Responsible {
    fn from(responsible: &Responsible) -> Self {
        use v1::responsible::{Customer, Provider, Vendor, Who};
        let who = match responsible {
            Responsible::Customer => Who::Customer(Customer {}),
            Responsible::Provider => Who::Provider(Provider {}),
            Responsible::Automation { by: Automation::AutoRepair } => {
                Who::Automation("auto_repair".to_owned())
            }
            Responsible::Automation { by: Automation::Kured } => {
                Who::Automation("kured".to_owned())
            }
            Responsible::Automation { by: Automation::NodeOsChannel } => {
                Who::Automation("node_os_channel".to_owned())
            }
            Responsible::Vendor => Who::Vendor(Vendor {}),
            Responsible::NobodyYet { until } => Who::NobodyUntil(timestamp_out(*until)),
            Responsible::Unknown { missing } => Who::Unknown(missing.clone()),
        };
        Self { who: Some(who) }
    }
}

impl TryFrom<v1::Responsible> for Responsible {
    type Error = Invalid;

    fn try_from(responsible: v1::Responsible) -> Result<Self, Invalid> {
        use v1::responsible::Who;
        Ok(match required("responsible.who", responsible.who)? {
            Who::Customer(_) => Self::Customer,
            Who::Provider(_) => Self::Provider,
            Who::Automation(by) if by == "auto_repair" => {
                Self::Automation { by: Automation::AutoRepair }
            }
            Who::Automation(by) if by == "kured" => Self::Automation { by: Automation::Kured },
            Who::Automation(by) if by == "node_os_channel" => {
                Self::Automation { by: Automation::NodeOsChannel }
            }
            Who::Automation(by) => {
                return Err(Invalid::new(
                    "responsible.automation",
                    format!("{by:?} is not known here"),
                ));
            }
            Who::Vendor(_) => Self::Vendor,
            Who::NobodyUntil(until) => {
                Self::NobodyYet { until: timestamp_in("responsible.nobody_until", Some(until))? }
            }
            Who::Unknown(missing) => Self::Unknown { missing },
        })
    }
}

impl From<&Action> for v1::Action {
    fn from(action: &Action) -> Self {
        use v1::action::{
            Action as Wire, HandIn, MigrateOsSku, Reboot, Reimage, Ticket, UpdatePackage,
            UpgradeImage, Wait,
        };
        let action = match action.clone() {
            Action::Wait { until } => Wire::Wait(Wait { until: until.map(timestamp_out) }),
            Action::Ticket => Wire::Ticket(Ticket {}),
            Action::Reboot => Wire::Reboot(Reboot {}),
            Action::MigrateOsSku => Wire::MigrateOsSku(MigrateOsSku {}),
            Action::Reimage => Wire::Reimage(Reimage {}),
            Action::RestartUnit { unit } => Wire::RestartUnit(unit),
            Action::Revert { change } => Wire::Revert(change),
            Action::Repair { what } => Wire::Repair(what),
            Action::Investigate { at } => Wire::Investigate(at),
            Action::HandIn => Wire::HandIn(HandIn {}),
            Action::UpdatePackage { package, to } => {
                Wire::UpdatePackage(UpdatePackage { package, to })
            }
            Action::UpgradeImage { to } => Wire::UpgradeImage(UpgradeImage { to }),
        };
        Self { action: Some(action) }
    }
}

impl TryFrom<v1::Action> for Action {
    type Error = Invalid;

    fn try_from(action: v1::Action) -> Result<Self, Invalid> {
        use v1::action::Action as Wire;
        Ok(match required("action.action", action.action)? {
            Wire::Wait(wait) => {
                Self::Wait { until: optional_timestamp("action.wait.until", wait.until)? }
            }
            Wire::Ticket(_) => Self::Ticket,
            Wire::Reboot(_) => Self::Reboot,
            Wire::MigrateOsSku(_) => Self::MigrateOsSku,
            Wire::Reimage(_) => Self::Reimage,
            Wire::RestartUnit(unit) => Self::RestartUnit { unit },
            Wire::Revert(change) => Self::Revert { change },
            Wire::Repair(what) => Self::Repair { what },
            Wire::Investigate(at) => Self::Investigate { at },
            Wire::HandIn(_) => Self::HandIn,
            Wire::UpdatePackage(wire) => Self::UpdatePackage { package: wire.package, to: wire.to },
            Wire::UpgradeImage(wire) => Self::UpgradeImage { to: wire.to },
        })
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
                    evidence: check.evidence.into_iter().map(Into::into).collect(),
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    fn responsible() -> Vec<Responsible> {
        vec![
            Responsible::Customer,
            Responsible::Provider,
            Responsible::Automation { by: Automation::AutoRepair },
            Responsible::Automation { by: Automation::Kured },
            Responsible::Automation { by: Automation::NodeOsChannel },
            Responsible::Vendor,
            Responsible::NobodyYet { until: at(7) },
            Responsible::Unknown { missing: "the offered image".to_owned() },
        ]
    }

    fn actions() -> Vec<Action> {
        let text = || "x.service".to_owned();
        vec![
            Action::Wait { until: Some(at(9)) },
            Action::Wait { until: None },
            Action::Ticket,
            Action::Reboot,
            Action::MigrateOsSku,
            Action::Reimage,
            Action::HandIn,
            Action::UpdatePackage { package: text(), to: None },
            Action::UpdatePackage { package: text(), to: Some(text()) },
            Action::UpgradeImage { to: None },
            Action::UpgradeImage { to: Some(text()) },
            Action::RestartUnit { unit: text() },
            Action::Revert { change: text() },
            Action::Repair { what: text() },
            Action::Investigate { at: text() },
        ]
    }

    fn finding(responsible: Responsible, action: Action, severity: Severity) -> Finding {
        Finding {
            reason: "KubeletDown".to_owned(),
            component: Component::Kubelet,
            severity,
            message: "no kubelet process".to_owned(),
            since: at(3),
            responsible,
            action,
            policy_rule: "auto-remediate-components".to_owned(),
            evidence: vec![Evidence {
                source: "/proc".to_owned(),
                actual: "none".to_owned(),
                expected: "one".to_owned(),
            }],
        }
    }

    fn answer(platform: Platform) -> NodeAnswer {
        let mut findings: Vec<Finding> = responsible()
            .into_iter()
            .map(|responsible| finding(responsible, Action::Ticket, Severity::Warning))
            .collect();
        findings.extend(
            actions()
                .into_iter()
                .map(|action| finding(Responsible::Customer, action, Severity::Critical)),
        );
        findings.push(finding(Responsible::Vendor, Action::Reboot, Severity::Information));
        NodeAnswer {
            cluster: "c".to_owned(),
            node: "n".to_owned(),
            platform,
            policy_edition: "aks-2026".to_owned(),
            provider: "Microsoft".to_owned(),
            as_of: at(10),
            last_report_at: Some(at(9)),
            agent: (platform == Platform::Aks)
                .then(|| Agent { version: "0.1.0".to_owned(), path_resolution: "walk".to_owned() }),
            complete: false,
            incomplete: vec!["kernel: could not be read".to_owned()],
            findings,
            components: vec![ComponentAnswer {
                component: Component::Kernel,
                state: "unavailable".to_owned(),
                headline: "could not be read".to_owned(),
                observed_at: None,
                checks: vec![CheckAnswer {
                    reason: "KernelFaulted".to_owned(),
                    outcome: "unknown".to_owned(),
                    detail: "could not be read".to_owned(),
                    evidence: Vec::new(),
                }],
            }],
        }
    }

    #[test]
    fn answers_and_rows_come_back_as_they_went() {
        for platform in PLATFORMS {
            let answer = answer(platform);
            assert_eq!(NodeAnswer::try_from(v1::NodeAnswer::from(&answer)), Ok(answer.clone()));
            let row = answer.row();
            assert_eq!(NodeRow::try_from(v1::NodeRow::from(&row)), Ok(row));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_place() {
        let spoilt = |spoil: fn(&mut v1::NodeAnswer)| {
            let mut answer = v1::NodeAnswer::from(&answer(Platform::Aks));
            spoil(&mut answer);
            NodeAnswer::try_from(answer).expect_err("spoilt").field
        };
        assert_eq!(spoilt(|answer| answer.as_of = None), "as_of");
        assert_eq!(spoilt(|answer| answer.platform = "mars".to_owned()), "platform");
        assert_eq!(
            spoilt(|answer| answer.findings[1].severity = "bad".to_owned()),
            "findings[1].severity"
        );
        assert_eq!(
            spoilt(|answer| answer.findings[0].responsible = None),
            "findings[0].responsible"
        );
    }
}
