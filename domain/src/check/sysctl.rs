//! Checks of `sysctl`: are kernel parameters what the host's files say, and within what
//! the provider supports. Sources: sysctl.d(5); the ranges of AKS's custom node
//! configuration, which stand in the policy.

use jiff::Timestamp;

use super::{
    Check, Evidence, NAMED, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts,
    of_a_provider, shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::{ExpectedValue, LiveValue, Setting};
use crate::node::NodeHistory;
use crate::policy::{Policy, SysctlRange};
use crate::responsibility::{Action, Responsible, Turn};

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "SysctlDrifted",
        component: Component::Sysctl,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Kernel parameters are not what the host's own files set them to",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        source: "https://www.freedesktop.org/software/systemd/man/latest/sysctl.d.html",
        judge: drifted,
    },
    Check {
        reason: "SysctlOutOfRange",
        component: Component::Sysctl,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Kernel parameters are outside the range that the provider supports",
        policy: PolicyLink::Decides("custom-node-configuration"),
        source: "https://learn.microsoft.com/azure/aks/custom-node-configuration",
        judge: out_of_range,
    },
];

const ABSENT: &str = "no kernel parameters";

/// Parameters that others set by design after the files were applied: kube-proxy sizes
/// the connection table by the processors, network plugins set up their interfaces.
fn is_set_by_others(key: &str) -> bool {
    matches!(key, "net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max")
        || key.ends_with(".rp_filter")
        || key.ends_with(".forwarding")
}

fn place(setting: &Setting) -> String {
    format!("/proc/sys/{}", setting.key.replace('.', "/"))
}

/// The parameters that could not be read, among those that matter to a check.
fn unread<'a>(settings: impl Iterator<Item = &'a Setting>) -> Vec<Evidence> {
    settings
        .filter_map(|setting| match &setting.live {
            LiveValue::Unreadable(why) => Some(Evidence::new(place(setting), why, "")),
            LiveValue::Value(_) | LiveValue::Missing => None,
        })
        .collect()
}

fn drifted(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (sysctl, since) = verdict_or!(facts(&history.sysctl, ABSENT));
    let named: Vec<(&Setting, &ExpectedValue)> = sysctl
        .settings
        .iter()
        .filter(|setting| !is_set_by_others(&setting.key))
        .filter_map(|setting| Some((setting, setting.expected.as_ref()?)))
        .collect();
    if named.is_empty() {
        return Verdict::not_applicable("no file of the host sets a kernel parameter");
    }
    let evidence: Vec<Evidence> = named
        .iter()
        .filter_map(|(setting, expected)| match &setting.live {
            LiveValue::Value(value) if *value != expected.value => Some(Evidence::new(
                place(setting),
                value,
                format!("{} ({})", expected.value, expected.file),
            )),
            _ => None,
        })
        .collect();
    if !evidence.is_empty() {
        let action = Action::Repair { what: "sysctl --system".to_owned() };
        let turn = Turn {
            responsible: Responsible::Customer,
            action: by_hand(scope, action),
            valid_until: None,
        };
        let count = evidence.len();
        let message = match count {
            1 => format!("{} is not what its file says", evidence[0].source),
            count => format!("{count} parameters are not what their files say"),
        };
        return Verdict::fail(message, since, turn, shortened(evidence));
    }
    let unread = unread(named.iter().map(|(setting, _)| *setting));
    if !unread.is_empty() {
        let why = format!("{} of {} parameters could not be read", unread.len(), named.len());
        return Verdict::unknown(why, shortened(unread));
    }
    let missing: Vec<&str> = named
        .iter()
        .filter(|(setting, _)| setting.live == LiveValue::Missing)
        .map(|(setting, _)| setting.key.as_str())
        .collect();
    let as_expected = named.len() - missing.len();
    let mut evidence = vec![Evidence::new(
        "/proc/sys",
        format!("{as_expected} parameters as their files say"),
        "",
    )];
    // Systemd passes over them too: they come with a module that nobody may ever need.
    if !missing.is_empty() {
        let named = missing.iter().copied().take(NAMED).collect::<Vec<_>>().join(", ");
        let count = missing.len();
        let actual = format!("{count} that files name are not in this kernel: {named}");
        evidence.push(Evidence::new("/proc/sys", actual, ""));
    }
    Verdict::pass(evidence)
}

fn out_of_range(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "limits its parameters"));
    let (sysctl, since) = verdict_or!(facts(&history.sysctl, ABSENT));
    let limited: Vec<(&Setting, &SysctlRange)> = sysctl
        .settings
        .iter()
        .filter_map(|setting| {
            Some((setting, policy.sysctl_ranges.iter().find(|range| range.key == setting.key)?))
        })
        .collect();
    let evidence: Vec<Evidence> = limited
        .iter()
        .filter_map(|(setting, range)| match &setting.live {
            LiveValue::Value(value) if !range.allows(value) => {
                Some(Evidence::new(place(setting), value, range.to_string()))
            }
            _ => None,
        })
        .collect();
    if !evidence.is_empty() {
        let turn = Turn {
            responsible: Responsible::Customer,
            action: Action::Revert {
                change: "it, or set a supported value by linuxOSConfig".to_owned(),
            },
            valid_until: None,
        };
        let message = match evidence.len() {
            1 => format!("{} is outside its supported range", evidence[0].source),
            count => format!("{count} parameters are outside their supported ranges"),
        };
        return Verdict::fail(message, since, turn, shortened(evidence));
    }
    let unread = unread(limited.iter().map(|(setting, _)| *setting));
    if limited.is_empty() || !unread.is_empty() {
        let why = format!("{} of {} parameters could not be read", unread.len(), limited.len());
        return Verdict::unknown(why, shortened(unread));
    }
    Verdict::pass(vec![Evidence::new(
        "/proc/sys",
        format!("{} parameters within their ranges", limited.len()),
        "",
    )])
}
