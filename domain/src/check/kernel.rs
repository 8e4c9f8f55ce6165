//! Checks of `kernel`: did it break, is it the newest that is installed, are its
//! protections on.

mod build;
mod installed;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::{Kernel, KernelImages, MITIGATIONS_OFF, Taint};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::dpkg;
use installed::Installed;

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
        summary: "The kernel was started with mitigations of processor flaws switched off",
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
const VERSION: &str = "/proc/sys/kernel/version";

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

pub(super) fn older_than_installed(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (kernel, kernel_since) = verdict_or!(facts(&history.kernel, "no kernel"));
    let packages = facts(&history.packages, "no package database says which kernels are installed");
    let (packages, packages_since) = match packages {
        Ok(packages) => packages,
        Err(verdict) => return by_images(kernel, kernel_since).unwrap_or(verdict),
    };
    let newest = match installed::newest(kernel, packages) {
        Installed::Newest(newest) => newest,
        Installed::NoneOfFlavour(flavour) => {
            return by_images(kernel, kernel_since).unwrap_or_else(|| {
                Verdict::not_applicable(format!(
                    "no kernel of flavour {flavour:?} is installed as a package"
                ))
            });
        }
        Installed::Unclear(flavours) => {
            let evidence = vec![Evidence::new(OSRELEASE, &kernel.release, "")];
            let why = format!("which of the installed {flavours} follows the running kernel");
            return Verdict::unknown(why, evidence);
        }
    };
    let mut evidence = vec![
        Evidence::new(OSRELEASE, &kernel.release, &newest.release),
        Evidence::new(&packages.path, newest.package, ""),
    ];
    let message = match newest.builds {
        // The same release, so that modules fit both.
        Some([running, installed]) => {
            evidence.push(Evidence::new(VERSION, &kernel.version, &installed));
            format!("build {running} of {} runs, {installed} is installed", kernel.release)
        }
        None if newest.is_newer_than_running => {
            format!("{} runs, {} is installed", kernel.release, newest.release)
        }
        None => return Verdict::pass(evidence),
    };
    let since = kernel_since.max(packages_since);
    Verdict::fail(message, since, customer(Action::Reboot), evidence)
}

/// What the images on disk say, where no package does; none where there are none of the
/// running kernel's flavour.
fn by_images(kernel: &Kernel, since: Timestamp) -> Option<Verdict> {
    let KernelImages::Releases(releases) = &kernel.images else { return None };
    let newest = installed::newest_image(&kernel.release, releases)?;
    let evidence = vec![
        Evidence::new(OSRELEASE, &kernel.release, newest),
        Evidence::new(format!("/boot/vmlinuz-{newest}"), "there", ""),
    ];
    Some(match dpkg::compare(&kernel.release, newest) {
        Ordering::Less => {
            let message = format!("{} runs, {newest} lies in /boot", kernel.release);
            Verdict::fail(message, since, customer(Action::Reboot), evidence)
        }
        Ordering::Equal | Ordering::Greater => Verdict::pass(evidence),
    })
}

/// The parameters that switch mitigations off. Of one that is given more than once the last
/// one counts.
fn switched_off(command_line: &[String]) -> Vec<&str> {
    let mut last = BTreeMap::new();
    for (at, parameter) in command_line.iter().enumerate() {
        last.insert(parameter.split('=').next().unwrap_or_default(), (at, parameter.as_str()));
    }
    let mut off: Vec<(usize, &str)> =
        last.into_values().filter(|(_, parameter)| MITIGATIONS_OFF.contains(parameter)).collect();
    off.sort_unstable();
    off.into_iter().map(|(_, parameter)| parameter).collect()
}

fn mitigations_off(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kernel, since) = verdict_or!(facts(&history.kernel, "no kernel"));
    let off = switched_off(&kernel.command_line);
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
    fn mitigations_are_switched_off_at_once_or_one_by_one() {
        for (line, off) in [
            ("ro mds=off nospectre_v1 retbleed=auto", &["mds=off", "nospectre_v1"][..]),
            ("mitigations=auto mitigations=off", &["mitigations=off"]),
            ("mitigations=off mitigations=auto,nosmt", &[]),
            // What the agent shows of a value that it does not know.
            ("l1tf=off l1tf=…", &[]),
            ("ro quiet", &[]),
        ] {
            let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(switched_off(&line), off, "{line:?}");
        }
    }
}
