//! Checks of `kernel`: did it break, is it the newest that is installed, are its
//! protections on.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::Taint;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::dpkg;

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "KernelFaulted",
        component: Component::Kernel,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "customer",
        summary: "Since boot the kernel has hit an oops, a bad page, a soft lockup or a machine check",
        policy: PolicyLink::None,
        source: "https://docs.kernel.org/admin-guide/tainted-kernels.html",
        judge: faulted,
    },
    Check {
        reason: "KernelOlderThanInstalled",
        component: Component::Kernel,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "A newer kernel of the same flavour is installed and waits for a reboot",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://learn.microsoft.com/azure/aks/node-updates-kured",
        judge: older_than_installed,
    },
    Check {
        reason: "CpuMitigationsOff",
        component: Component::Kernel,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The kernel was started with its mitigations of processor flaws switched off",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        source: "https://docs.kernel.org/admin-guide/kernel-parameters.html",
        judge: mitigations_off,
    },
];

/// Taint flags that say the kernel itself broke: machine check, bad page, oops, lockup.
const FAULT_BITS: [u32; 4] = [4, 5, 7, 14];

const TAINTED: &str = "/proc/sys/kernel/tainted";
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";
const CMDLINE: &str = "/proc/cmdline";

fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

fn faulted(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kernel, since) = verdict_or!(facts(&history.kernel, "no kernel"));
    let evidence =
        vec![Evidence::new(TAINTED, kernel.tainted.to_string(), "none of bits 4, 5, 7, 14")];
    let faults: Vec<Taint> =
        kernel.taints().into_iter().filter(|taint| FAULT_BITS.contains(&taint.bit)).collect();
    if faults.is_empty() {
        return Verdict::pass(evidence);
    }
    let meanings: Vec<&str> = faults.iter().map(|taint| taint.meaning).collect();
    Verdict::fail(meanings.join("; "), since, customer(Action::Reboot), evidence)
}

fn older_than_installed(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kernel, kernel_since) = verdict_or!(facts(&history.kernel, "no kernel"));
    let (packages, packages_since) = verdict_or!(facts(
        &history.packages,
        "no package database says which kernels are installed"
    ));
    let flavour = flavour(&kernel.release);
    let installed: Vec<&str> = packages
        .installed
        .iter()
        .filter_map(|package| kernel_release(&package.name))
        .filter(|release| self::flavour(release) == flavour)
        .collect();
    let Some(newest) = installed.iter().copied().max_by(|a, b| dpkg::compare(a, b)) else {
        return Verdict::not_applicable(format!(
            "no kernel of flavour {flavour:?} is installed as a package"
        ));
    };
    let evidence = vec![
        Evidence::new(OSRELEASE, &kernel.release, newest),
        Evidence::new(&packages.path, format!("linux-image-{newest}"), ""),
    ];
    if dpkg::compare(&kernel.release, newest) != Ordering::Less {
        return Verdict::pass(evidence);
    }
    let message = format!("{} runs, {newest} is installed", kernel.release);
    let since = kernel_since.max(packages_since);
    Verdict::fail(message, since, customer(Action::Reboot), evidence)
}

/// The release that a kernel image package installs; none for other packages,
/// meta packages and debug symbols.
fn kernel_release(package: &str) -> Option<&str> {
    let rest = package.strip_prefix("linux-image-")?;
    let release = rest.strip_prefix("unsigned-").unwrap_or(rest);
    // A meta package is named for a flavour, or for a flavour and a release line
    // without a build (`azure-lts-22.04`, `6.1-amd64` has none either).
    let is_build = release.starts_with(|first: char| first.is_ascii_digit())
        && release
            .split('-')
            .nth(1)
            .is_some_and(|abi| abi.starts_with(|c: char| c.is_ascii_digit()));
    (is_build && !release.ends_with("-dbg") && !release.ends_with("-dbgsym")).then_some(release)
}

/// The part of a release behind version and build: `azure` in `5.15.0-1102-azure`,
/// `cloud-amd64` in `6.1.0-18-cloud-amd64`.
fn flavour(release: &str) -> &str {
    release.splitn(3, '-').nth(2).unwrap_or("")
}

fn mitigations_off(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kernel, since) = verdict_or!(facts(&history.kernel, "no kernel"));
    let off: Vec<&str> = kernel
        .command_line
        .iter()
        .map(String::as_str)
        .filter(|parameter| {
            matches!(
                *parameter,
                "mitigations=off" | "nopti" | "pti=off" | "nospectre_v2" | "spectre_v2=off"
            )
        })
        .collect();
    if off.is_empty() {
        return Verdict::pass(vec![Evidence::new(CMDLINE, "no such parameter", "mitigations on")]);
    }
    let evidence = vec![Evidence::new(CMDLINE, off.join(" "), "mitigations on")];
    let action = Action::Revert { change: format!("kernel parameter {}", off.join(" ")) };
    Verdict::fail(
        format!("started with {}", off.join(" ")),
        since,
        customer(by_hand(scope, action)),
        evidence,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_packages_are_told_from_meta_packages_and_symbols() {
        for (package, release) in [
            ("linux-image-5.15.0-1102-azure", Some("5.15.0-1102-azure")),
            ("linux-image-unsigned-6.8.0-1059-azure", Some("6.8.0-1059-azure")),
            ("linux-image-6.1.0-18-cloud-amd64", Some("6.1.0-18-cloud-amd64")),
            ("linux-image-azure-lts-22.04", None),
            ("linux-image-amd64", None),
            ("linux-image-6.1-amd64", None),
            ("linux-image-6.1.0-18-amd64-dbg", None),
            ("linux-headers-5.15.0-1102-azure", None),
        ] {
            assert_eq!(kernel_release(package), release, "{package}");
        }
    }

    #[test]
    fn the_flavour_is_what_follows_version_and_build() {
        assert_eq!(flavour("5.15.0-1102-azure"), "azure");
        assert_eq!(flavour("6.1.0-18-cloud-amd64"), "cloud-amd64");
        assert_eq!(flavour("6.18.44"), "");
    }
}
