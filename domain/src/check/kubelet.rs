//! Checks of `kubelet`: does it run and answer, what was it told, whom does it believe, and
//! are its certificates and its version still good.

mod access;
mod certificates;
mod configuration;
mod labels;
mod process;
mod secure_port;
mod supported;
#[cfg(test)]
mod tests;
mod version;

use jiff::Timestamp;

use super::{Check, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, unit};
use crate::component::Component;
use crate::facts::Kubelet;
use crate::facts::kubelet::{FileState, Setting, SettingSource};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const ABSENT: &str = "no trace of a kubelet";

pub(super) const CHECKS: &[Check] = &[
    process::DOWN,
    process::NOT_SERVING,
    process::HUNG,
    process::UNHEALTHY,
    secure_port::SYNC_LOOP_STUCK,
    secure_port::PLEG_STALE,
    process::EXECUTABLE_REPLACED,
    process::SEVERAL,
    unit::failed::<Kubelet>(),
    unit::restarting::<Kubelet>(),
    unit::disabled::<Kubelet>(),
    unit::stale::<Kubelet>(),
    unit::drop_in::<Kubelet>(),
    configuration::UNUSABLE,
    configuration::NOT_IN_FORCE,
    configuration::DRIFTED,
    access::AUTHORIZATION_OFF,
    access::ANONYMOUS,
    access::TOKENS_UNCHECKED,
    access::READ_ONLY_PORT,
    certificates::ROTATION_OFF,
    certificates::CLIENT_EXPIRED,
    certificates::CLIENT_EXPIRING,
    certificates::SERVING_EXPIRING,
    certificates::AUTHORITY_EXPIRING,
    certificates::SERVING_ROTATION_OFF,
    supported::ALPHA_FEATURE,
    supported::OUT_OF_RANGE,
    supported::KERNEL_DEFAULTS,
    supported::PREVIEW,
    labels::CHANGED,
    version::UNSUPPORTED,
];

type Judge = fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict;

/// A check of what the customer can change. `link` is rule and source.
const fn check(
    reason: &'static str,
    summary: &'static str,
    severity: Severity,
    (policy, source): (PolicyLink, &'static str),
    judge: Judge,
) -> Check {
    Check {
        reason,
        component: Component::Kubelet,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy,
        source,
        judge,
    }
}

/// A check of whether it works, which cites the provider's duty to repair it.
const fn broken_component(reason: &'static str, summary: &'static str, judge: Judge) -> Check {
    Check {
        responsible: "automation, then provider; customer without a provider",
        ..check(
            reason,
            summary,
            Severity::Critical,
            (
                PolicyLink::Cites("auto-remediate-components"),
                "https://kubernetes.io/docs/reference/instrumentation/node-metrics/",
            ),
            judge,
        )
    }
}

/// The customer puts it right by hand, on a node of a provider by reimaging it.
fn by_customer(scope: &Scope, action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action: by_hand(scope, action), valid_until: None }
}

/// A setting of a kubelet that runs, or why nothing can be said of it.
fn setting<'a>(kubelet: &'a Kubelet, key: &str) -> Result<&'a Setting, Verdict> {
    if kubelet.process.is_none() {
        return Err(Verdict::not_applicable("no kubelet runs"));
    }
    kubelet.configuration.setting(key).ok_or_else(|| {
        let files = &kubelet.configuration.files;
        let why = files.iter().find_map(|file| match &file.state {
            FileState::Good => None,
            FileState::Refused(why) | FileState::Unreadable(why) => {
                Some(format!("{}: {why}", file.path))
            }
        });
        let why = why.unwrap_or_else(|| "the agent does not report it".to_owned());
        Verdict::unknown(format!("what the kubelet was told is not known: {why}"), Vec::new())
    })
}

/// What holds, as evidence: the setting, its value, and where that comes from.
fn evidence(kubelet: &Kubelet, setting: &Setting, expected: &str) -> super::Evidence {
    let source = match &setting.in_force {
        Some(_) => format!("{}/configz", kubelet.secure_port.endpoint),
        None => match &setting.source {
            SettingSource::Default => "kubelet's default".to_owned(),
            told => told.to_string(),
        },
    };
    let value = setting.effective();
    let value = if value.is_empty() { "none" } else { value };
    super::Evidence::new(source, format!("{}: {value}", setting.key), expected)
}
