//! Checks of `packages`: is the package database in order.

mod bulletin;
mod drift;
mod feed;

use std::cmp::Ordering;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, confirmed, facts,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{DatabaseLock, Package, PackageManager, Packages};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::rpm;

pub(crate) use bulletin::mitigated;

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "PackageUnfinished",
        component: Component::Packages,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The package manager began to change packages and never finished",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        source: "https://manpages.debian.org/bookworm/dpkg/dpkg.1.en.html",
        judge: unfinished,
    },
    Check {
        reason: "PackageHeld",
        component: Component::Packages,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "Packages are held: no update, security updates included, will change them",
        policy: PolicyLink::None,
        source: "https://manpages.debian.org/bookworm/apt/apt-mark.8.en.html",
        judge: held,
    },
    Check {
        reason: "BulletinApplies",
        component: Component::Packages,
        scope: Reach::Node,
        severity: bulletin::SEVERITY,
        responsible: "customer",
        summary: "A bulletin or known issue of the provider is about the node, and nothing holds it off",
        policy: PolicyLink::None,
        source: "https://learn.microsoft.com/azure/aks/security-bulletins/overview",
        judge: bulletin::applies,
    },
    Check {
        reason: "FeedStale",
        component: Component::Packages,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The advisories for the node's distribution are too old to say that nothing is missing",
        policy: PolicyLink::None,
        source: "https://github.com/google/osv.dev/issues/5935",
        judge: feed::stale,
    },
    Check {
        reason: "PackageDrift",
        component: Component::Packages,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "Packages are not as the node's image brought them",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: drift::drifted,
    },
];

/// Where the tools that update rpm's distributions keep what is held: tdnf and dnf.
const RPM_HOLDS: &str = "/etc/tdnf/locks.d, /etc/dnf/plugins/versionlock.list";

/// Where the kernel tells who holds which lock, proc_locks(5).
const LOCKS: &str = "/proc/locks";

/// So many packages are named in evidence; the rest is counted.
const NAMED: usize = 10;

fn customer(scope: &Scope, what: String) -> Turn {
    Turn {
        responsible: Responsible::Customer,
        action: by_hand(scope, Action::Repair { what }),
        valid_until: None,
    }
}

fn unfinished(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (packages, _) = verdict_or!(facts(&history.packages, "no package database"));
    match packages.manager {
        PackageManager::Dpkg => half_configured(packages, scope),
        PackageManager::Rpm => doubled(packages, scope),
    }
}

/// dpkg remembers how far it came, also while it is at it: then it, or the frontend that
/// started it, holds a lock. Where nobody can say whether it is held, what is half done is
/// told as if it were not.
fn half_configured(packages: &Packages, scope: &Scope) -> Verdict {
    let half_done: Vec<Evidence> = packages
        .unfinished
        .iter()
        .map(|package| {
            Evidence::new(
                &packages.path,
                format!("{}:{} {}", package.name, package.architecture, package.status),
                "install ok installed",
            )
        })
        .collect();
    if half_done.is_empty() {
        return Verdict::pass(vec![whole(packages)]);
    }
    let message = match half_done.len() {
        1 => "one package is half done".to_owned(),
        count => format!("{count} packages are half done"),
    };
    let mut evidence = shortened(packages, half_done);
    match &packages.lock {
        DatabaseLock::Free => {}
        DatabaseLock::Held(path) => {
            evidence.push(Evidence::new(path, "a program holds the lock", ""));
            return Verdict::unknown("in progress: the package manager is at work", evidence);
        }
        DatabaseLock::Unreadable(why) => {
            let told = format!("whether a package manager is at work is not known: {why}");
            evidence.push(Evidence::new(LOCKS, told, ""));
        }
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let turn = customer(scope, "dpkg --configure -a, then apt-get -f install".to_owned());
    Verdict::fail(message, since, turn, evidence)
}

fn whole(packages: &Packages) -> Evidence {
    let count = packages.installed.len();
    Evidence::new(&packages.path, format!("{count} packages, none half done"), "")
}

/// rpm puts all new packages in place before it erases the old ones: where both are still
/// there, it was cut off in between, or is at it.
fn doubled(packages: &Packages, scope: &Scope) -> Verdict {
    let doubled: Vec<Evidence> = pairs(packages)
        .map(|[older, newer]| {
            Evidence::new(
                &packages.path,
                format!("{}.{} {}", older.name, older.architecture, older.version),
                format!("{} alone", newer.version),
            )
        })
        .collect();
    if doubled.is_empty() {
        return Verdict::pass(vec![whole(packages)]);
    }
    let message = match doubled.len() {
        1 => "one package is there in two versions: its update was not finished".to_owned(),
        count => format!("{count} packages are there in two versions: updates were not finished"),
    };
    let evidence = shortened(packages, doubled);
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let turn = customer(scope, "rpm -e of the older version of each".to_owned());
    Verdict::fail(message, since, turn, evidence)
}

/// Packages that are there twice, the older version first.
fn pairs(packages: &Packages) -> impl Iterator<Item = [&Package; 2]> {
    packages
        .installed
        .windows(2)
        .filter_map(|pair| <&[Package; 2]>::try_from(pair).ok())
        .filter(|[one, other]| one.name == other.name && one.architecture == other.architecture)
        // Kernels, and modules for them, are kept beside each other on purpose.
        .filter(|[one, _]| !one.name.starts_with("kernel") && !one.name.starts_with("kmod-"))
        .map(|[one, other]| match rpm::compare(&one.version, &other.version) {
            Ordering::Greater => [other, one],
            Ordering::Less | Ordering::Equal => [one, other],
        })
}

fn held(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (packages, since) = verdict_or!(facts(&history.packages, "no package database"));
    // What holds a package, and how it is let go.
    let (place, release) = match packages.manager {
        PackageManager::Dpkg => (packages.path.as_str(), "apt-mark unhold"),
        PackageManager::Rpm => {
            (RPM_HOLDS, "dnf versionlock delete, or take out of /etc/tdnf/locks.d:")
        }
    };
    let held: Vec<_> = packages.installed.iter().filter(|package| package.held).collect();
    if held.is_empty() {
        return Verdict::pass(vec![Evidence::new(place, "no package is held", "")]);
    }
    let evidence = held
        .iter()
        .map(|package| {
            Evidence::new(place, format!("{} {} held", package.name, package.version), "")
        })
        .collect();
    let names: Vec<&str> = held.iter().map(|package| package.name.as_str()).take(NAMED).collect();
    let turn = customer(scope, format!("{release} {}, unless it is meant so", names.join(" ")));
    let message = match held.len() {
        1 => "one package is held".to_owned(),
        count => format!("{count} packages are held"),
    };
    Verdict::fail(message, since, turn, shortened(packages, evidence))
}

fn shortened(packages: &Packages, mut evidence: Vec<Evidence>) -> Vec<Evidence> {
    if evidence.len() > NAMED {
        let more = evidence.len() - NAMED;
        evidence.truncate(NAMED);
        evidence.push(Evidence::new(&packages.path, format!("and {more} more"), ""));
    }
    evidence
}

#[cfg(test)]
mod tests;
