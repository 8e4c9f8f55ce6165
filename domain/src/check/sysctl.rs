//! Checks of `sysctl`: are kernel parameters what the host's files say, and within what
//! the provider supports. Sources: sysctl.d(5); the ranges of AKS's custom node
//! configuration, which stand in the policy.

use jiff::Timestamp;

use super::{
    Check, Evidence, NAMED, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts,
    of_a_provider, shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::{ExpectedValue, LiveValue, Setting, Sysctl};
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
/// the connection table by the processors, sets how long connections stay in it and serves
/// node ports on loopback, network plugins set up their interfaces.
pub(crate) fn is_set_by_others(key: &str) -> bool {
    const OF_KUBE_PROXY: [&str; 5] = [
        "net.ipv4.conf.all.route_localnet",
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
        "net.netfilter.nf_conntrack_tcp_timeout_established",
        "net.nf_conntrack_max",
    ];
    OF_KUBE_PROXY.contains(&key) || key.ends_with(".rp_filter") || key.ends_with(".forwarding")
}

/// Parameters that stand for something to be done, and have no value afterwards.
pub(crate) fn is_command(key: &str) -> bool {
    const COMMANDS: [&str; 4] =
        ["net.ipv4.route.flush", "net.ipv6.route.flush", "vm.compact_memory", "vm.drop_caches"];
    COMMANDS.contains(&key)
}

/// Whether a live value is what the kernel makes of one that was written.
pub(crate) fn is_made_of(key: &str, written: &str, live: &str) -> bool {
    written == live
        || match key {
            // Neighbours are told as a range, and the kernel sorts them.
            "net.ipv4.ip_local_reserved_ports" => {
                ports(written).is_some_and(|set| ports(live) == Some(set))
            }
            // The next power of two.
            "net.core.rps_sock_flow_entries" => {
                let entries = number(written).and_then(|entries| u32::try_from(entries).ok());
                let entries = entries.and_then(u32::checked_next_power_of_two);
                entries.is_some_and(|entries| number(live) == Some(entries.into()))
            }
            _ => is_same_numbers(written, live),
        }
}

/// Whether the numbers that were written are the first of those that are there: the kernel
/// leaves the others as they were.
fn is_same_numbers(written: &str, live: &str) -> bool {
    let numbers = |text: &str| text.split_whitespace().map(number).collect::<Option<Vec<i128>>>();
    match (numbers(written), numbers(live)) {
        (Some(written), Some(live)) => !written.is_empty() && live.starts_with(&written),
        _ => false,
    }
}

/// A number as the kernel reads it: sixteens after `0x`, eights after `0`.
fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let read = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => i128::from_str_radix(digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i128::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    read.ok().map(|number| sign * number)
}

/// The ports in a list of ports and ranges, as ranges that do not touch.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        ranges.push((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?));
    }
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if u32::from(first) <= u32::from(*end) + 1 => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    Some(joined)
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
        .filter(|setting| !is_set_by_others(&setting.key) && !is_command(&setting.key))
        .filter_map(|setting| Some((setting, setting.expected.as_ref()?)))
        .collect();
    if named.is_empty() {
        return Verdict::not_applicable("no file of the host sets a kernel parameter");
    }
    let evidence: Vec<Evidence> = named
        .iter()
        .filter_map(|(setting, expected)| match &setting.live {
            LiveValue::Value(value) if !is_made_of(&setting.key, &expected.value, value) => {
                let expected = format!("{} ({})", expected.value, expected.file);
                Some(Evidence::new(place(setting), value, expected))
            }
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
        let mut evidence = shortened(evidence);
        evidence.extend(passed_over(sysctl));
        let message = match count {
            1 => format!("{} is not what its file says", evidence[0].source),
            count => format!("{count} parameters are not what their files say"),
        };
        return Verdict::fail(message, since, turn, evidence);
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
    evidence.extend(passed_over(sysctl));
    Verdict::pass(evidence)
}

/// What files say that systemd does not understand either, and so nobody sets.
fn passed_over(sysctl: &Sysctl) -> Vec<Evidence> {
    let files = sysctl.passed_over.iter().map(|file| {
        let says = format!("line {} is passed over: {}", file.first_line, file.why);
        let says = match file.lines {
            0 | 1 => says,
            lines => format!("{says}; {} more", lines - 1),
        };
        Evidence::new(&file.file, says, "key = value")
    });
    shortened(files.collect())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::Outcome;
    use crate::facts::{ComponentState, PassedOver};
    use crate::observed::State;
    use crate::platform::Platform;

    #[test]
    fn a_line_that_was_passed_over_is_told_and_fails_nothing() {
        let setting = Setting {
            key: "vm.swappiness".to_owned(),
            live: LiveValue::Value("1".to_owned()),
            expected: Some(ExpectedValue { value: "1".to_owned(), file: "a".to_owned() }),
        };
        let file = PassedOver {
            file: "/etc/sysctl.d/a.conf".to_owned(),
            lines: 2,
            first_line: 7,
            why: "not UTF-8".to_owned(),
        };
        let sysctl = Sysctl { settings: vec![setting], passed_over: vec![file] };
        let mut history = NodeHistory::default();
        let state = ComponentState::Sysctl(State::Present(Arc::new(sysctl)));
        history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
        let policy = Policy::edition("aks-2026").expect("a shipped edition");
        let (platform, standing) = (Platform::Plain, Default::default());
        let scope = Scope { outside: Default::default(), platform, standing };
        let verdict = drifted(&history, &scope, &policy, Timestamp::UNIX_EPOCH);
        assert_eq!(verdict.outcome, Outcome::Pass);
        let told = verdict.evidence.last().expect("evidence");
        assert_eq!(told.source, "/etc/sysctl.d/a.conf");
        assert_eq!(told.actual, "line 7 is passed over: not UTF-8; 1 more");
    }

    #[test]
    fn a_value_is_what_the_kernel_makes_of_it() {
        for (key, written, live, is_same) in [
            ("vm.swappiness", "10", "10", true),
            ("vm.swappiness", "10", "60", false),
            ("vm.swappiness", "0x0a", "10", true),
            ("fs.suid_dumpable", "02", "2", true),
            ("kernel.core_pattern", "core", "core", true),
            ("kernel.core_pattern", "core", "core.%p", false),
            ("kernel.panic", "-1", "-1", true),
            ("kernel.panic", "1", "-1", false),
            // The first of four, and the rest as it was.
            ("kernel.printk", "4", "4 4 1 7", true),
            ("kernel.printk", "3", "4 4 1 7", false),
            ("kernel.printk", "4 4 1 7", "4 4 1 7", true),
            ("kernel.printk", "4 4 1 7", "4 4 1", false),
            ("net.ipv4.tcp_rmem", "4096 131072 6291456", "4096 87380 6291456", false),
            ("net.ipv4.ip_local_reserved_ports", "9000,8080,8081", "8080-8081,9000", true),
            ("net.ipv4.ip_local_reserved_ports", "8080,8082", "8080-8082", false),
            ("net.ipv4.ip_local_reserved_ports", "65534-65535,65535", "65534-65535", true),
            ("net.ipv4.ip_local_reserved_ports", "", "8080", false),
            ("net.core.rps_sock_flow_entries", "10000", "16384", true),
            ("net.core.rps_sock_flow_entries", "10000", "8192", false),
            ("vm.swappiness", "", "", true),
            ("vm.swappiness", "", "60", false),
        ] {
            assert_eq!(is_made_of(key, written, live), is_same, "{key}: {written:?}, {live:?}");
        }
    }
}
