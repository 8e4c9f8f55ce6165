//! Checks of `swap_and_hugepages`: is there swap that the kubelet was not told to live with,
//! and does the kernel make huge pages as files and provider say. Sources: the kubelet's
//! `failSwapOn`; AKS's custom node configuration, whose defaults stand in the policy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, of_a_provider,
    shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::{Swap, SwapAndHugepages, TransparentHugePages};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const CUSTOM: &str = "https://learn.microsoft.com/azure/aks/custom-node-configuration";
const SWAPS: &str = "/proc/swaps";
const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage";

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "SwapUnexpected",
        component: Component::SwapAndHugepages,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Memory is swapped, and the kubelet or the provider's configuration was not told so",
        policy: PolicyLink::Cites("custom-node-configuration"),
        source: "https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/",
        judge: swap_unexpected,
    },
    Check {
        reason: "HugePagesDrifted",
        component: Component::SwapAndHugepages,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "The kernel makes transparent huge pages otherwise than the node's files and the provider's defaults say",
        policy: PolicyLink::Decides("custom-node-configuration"),
        source: CUSTOM,
        judge: huge_pages_drifted,
    },
];

fn memory(history: &NodeHistory) -> Result<(&SwapAndHugepages, Timestamp), Verdict> {
    facts(&history.swap_and_hugepages, "no memory")
}

fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

/// The provider's custom configuration makes one file of that name, on the temporary disk or
/// on the system's.
fn is_providers(swap: &Swap) -> bool {
    swap.kind == "file" && swap.path.rsplit('/').next() == Some("swapfile")
}

fn swap_unexpected(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (memory, since) = verdict_or!(memory(history));
    let kubelet = facts(&history.kubelet, "no kubelet: swap is the machine's own matter");
    let (kubelet, _) = verdict_or!(kubelet);
    if memory.swaps.is_empty() {
        return Verdict::pass(vec![Evidence::new(SWAPS, "no swap", "no swap")]);
    }
    let Some(setting) = kubelet.configuration.setting("failSwapOn") else {
        let why = "whether the kubelet lives with swap is not known, see its own checks";
        return Verdict::unknown(why, Vec::new());
    };
    let refuses = setting.effective() != "false";
    let foreign = |swap: &&Swap| scope.platform == Platform::Aks && !is_providers(swap);
    let wrong: Vec<&Swap> = memory.swaps.iter().filter(|swap| refuses || foreign(swap)).collect();
    let told = format!("failSwapOn: {} ({})", setting.effective(), setting.source);
    let evidence = |swap: &Swap, expected: &str| {
        let mebibytes = swap.size_bytes >> 20;
        Evidence::new(SWAPS, format!("{} {}, {mebibytes} MiB", swap.kind, swap.path), expected)
    };
    let Some(first) = wrong.first() else {
        let mut seen: Vec<Evidence> = memory.swaps.iter().map(|swap| evidence(swap, "")).collect();
        seen.push(Evidence::new("KubeletConfiguration", told, ""));
        return Verdict::pass(shortened(seen));
    };
    let message = match refuses {
        true => format!("swap on {}: the kubelet will not start with it", first.path),
        false => format!("swap on {}, which the provider's configuration did not make", first.path),
    };
    let expected = if refuses { "no swap" } else { "a swapfile of linuxOSConfig" };
    let mut seen: Vec<Evidence> = wrong.iter().map(|swap| evidence(swap, expected)).collect();
    seen.push(Evidence::new("KubeletConfiguration", told, ""));
    let off = Action::Repair { what: format!("swapoff {}, and take it out of fstab", first.path) };
    Verdict::fail(message, since, customer(by_hand(scope, off)), shortened(seen))
}

/// What the settings should be, each with who says so: the last file that tells it, else
/// the provider's default for this system.
fn expected<'a>(
    memory: &'a SwapAndHugepages,
    history: &NodeHistory,
    policy: &'a Policy,
) -> BTreeMap<&'a str, (&'a str, &'a str)> {
    let mut expected = BTreeMap::new();
    let os = history.os_release.present();
    let default =
        policy.huge_page_defaults.iter().find(|default| os.is_some_and(|os| default.id == os.id));
    if let Some(default) = default {
        for (key, value) in [("enabled", &default.enabled), ("defrag", &default.defrag)] {
            expected.insert(key, (value.as_str(), "the provider's default"));
        }
    }
    for told in &memory.told {
        expected.insert(told.key.as_str(), (told.value.as_str(), told.file.as_str()));
    }
    expected
}

fn huge_pages_drifted(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "sets how huge pages are made"));
    let (memory, since) = verdict_or!(memory(history));
    let live = match &memory.transparent {
        TransparentHugePages::NotSupported => {
            return Verdict::not_applicable("the kernel makes no huge pages by itself");
        }
        TransparentHugePages::Unreadable(why) => {
            return Verdict::unknown(format!("{FOLDER}: {why}"), Vec::new());
        }
        TransparentHugePages::Set { enabled, defrag } => [("enabled", enabled), ("defrag", defrag)],
    };
    if let Some(unit) = memory.units.first() {
        return Verdict::not_applicable(format!("{unit} of the provider sets them"));
    }
    let expected = expected(memory, history, policy);
    let mut evidence = Vec::new();
    let mut wrong = Vec::new();
    for (key, live) in live {
        let Some((value, by)) = expected.get(key) else { continue };
        evidence.push(Evidence::new(format!("{FOLDER}/{key}"), live, format!("{value} ({by})")));
        if live != value {
            wrong.push(format!("{key} is {live}, {by} says {value}"));
        }
    }
    if evidence.is_empty() {
        return Verdict::not_applicable("no default of the provider is known for this system");
    }
    if wrong.is_empty() {
        return Verdict::pass(evidence);
    }
    let change =
        "it, or set it by transparentHugePageEnabled and transparentHugePageDefrag".to_owned();
    Verdict::fail(wrong.join("; "), since, customer(Action::Revert { change }), evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_swap_is_a_file_of_that_name() {
        let swap = |path: &str, kind: &str| Swap {
            path: path.to_owned(),
            kind: kind.to_owned(),
            size_bytes: 1,
        };
        for (path, kind, is) in [
            ("/mnt/swapfile", "file", true),
            ("/swapfile", "file", true),
            ("/swap.img", "file", false),
            ("/dev/sdb2", "partition", false),
            ("/dev/swapfile", "partition", false),
        ] {
            assert_eq!(is_providers(&swap(path, kind)), is, "{path}");
        }
    }
}
