//! Checks of `systemd`: has the system come up, and does a unit stand out. Units of the
//! kubelet, the container runtime and the time daemons have checks of their own. Meaning of
//! the properties: org.freedesktop.systemd1(5), systemctl(1).

mod units;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, verdict_or};
use crate::component::Component;
use crate::facts::Systemd;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// So long a boot may take.
const BOOT: SignedDuration = SignedDuration::from_mins(15);

const SYSTEMCTL: &str = "https://www.freedesktop.org/software/systemd/man/latest/systemctl.html";
const PROPERTIES: &str =
    "https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html";

const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Systemd,
        scope: Reach::Node,
        severity,
        responsible: "whoever brought the unit",
        summary,
        policy: PolicyLink::None,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        responsible: "customer; automation, then provider on AKS",
        ..check(
            "SystemNotRunning",
            Severity::Critical,
            "The system is in maintenance, or has not come up within 15 minutes",
            SYSTEMCTL,
            not_running,
        )
    },
    check(
        "UnitFailed",
        Severity::Warning,
        "A unit has failed and systemd does not restart it any more",
        SYSTEMCTL,
        units::failed,
    ),
    check(
        "UnitRestartsRepeatedly",
        Severity::Warning,
        "A unit was restarted five times or more within 20 minutes",
        "https://github.com/aws/eks-node-monitoring-agent/blob/main/pkg/reasons/reasons.yaml",
        units::restarts,
    ),
    Check {
        responsible: "customer",
        ..check(
            "UnitMasked",
            Severity::Warning,
            "A unit that every node needs, or that the provider brings, was masked: nothing can start it",
            "https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html",
            units::masked,
        )
    },
    Check {
        responsible: "customer",
        ..check(
            "DaemonReloadPending",
            Severity::Information,
            "Files of a unit were changed since systemd has read them, and are not in force",
            PROPERTIES,
            units::reload_pending,
        )
    },
];

const ABSENT: &str = "the host runs without systemd";

/// What systemd calls itself, as a place.
const PLACE: &str = "org.freedesktop.systemd1";

fn known(history: &NodeHistory) -> Result<(&Systemd, Timestamp), Verdict> {
    facts(&history.systemd, ABSENT)
}

fn not_running(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (systemd, since) = verdict_or!(known(history));
    let state = systemd.manager.system_state.as_str();
    let evidence =
        vec![Evidence::new(PLACE, format!("SystemState={state}"), "running or degraded")];
    // Other facts of the component may have changed since.
    let state_since = history
        .systemd
        .holding(|systemd| systemd.manager.system_state == state)
        .since
        .unwrap_or(since);
    let message = match state {
        // What has failed is told by name.
        "running" | "degraded" => return Verdict::pass(evidence),
        "initializing" | "starting" => {
            let late_from = state_since.checked_add(BOOT).unwrap_or(Timestamp::MAX);
            if now <= late_from {
                let mut verdict = Verdict::unknown("the system is coming up", evidence);
                verdict.valid_until = late_from.checked_add(SignedDuration::from_secs(1)).ok();
                return verdict;
            }
            "the system has not come up within 15 minutes: a job of systemd waits"
        }
        "maintenance" => "the system is in maintenance: only rescue or emergency runs",
        "stopping" => return Verdict::not_applicable("the system is shutting down"),
        _ => return Verdict::unknown("the state is not one that is known here", evidence),
    };
    let turn = match scope.platform {
        Platform::Aks => crate::responsibility::turn_for_broken_component(
            scope.platform,
            policy,
            scope.standing.since.unwrap_or(state_since),
            now,
            "kubelet.service",
        ),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => Turn {
            responsible: Responsible::Customer,
            action: Action::Investigate {
                at: "systemctl list-jobs and systemctl status".to_owned(),
            },
            valid_until: None,
        },
    };
    Verdict::fail(message, state_since, turn, evidence)
}

#[cfg(test)]
mod tests;
