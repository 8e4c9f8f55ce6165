//! Checks of `packages`: is the package database in order.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, verdict_or,
};
use crate::component::Component;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

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
];

/// So many packages are named in evidence; the rest is counted.
const NAMED: usize = 10;

fn unfinished(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (packages, since) = verdict_or!(facts(&history.packages, "no package database"));
    let mut evidence: Vec<Evidence> = packages
        .unfinished
        .iter()
        .take(NAMED)
        .map(|package| {
            Evidence::new(
                &packages.path,
                format!("{}:{} {}", package.name, package.architecture, package.status),
                "install ok installed",
            )
        })
        .collect();
    let count = packages.unfinished.len();
    if count == 0 {
        return Verdict::pass(vec![Evidence::new(
            &packages.path,
            format!("{} packages, none half done", packages.installed.len()),
            "",
        )]);
    }
    push_rest(&mut evidence, &packages.path, count);
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(
            scope,
            Action::Repair { what: "dpkg --configure -a, then apt-get -f install".to_owned() },
        ),
        valid_until: None,
    };
    Verdict::fail(format!("{count} packages are half done"), since, turn, evidence)
}

fn held(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (packages, since) = verdict_or!(facts(&history.packages, "no package database"));
    let held: Vec<_> = packages.installed.iter().filter(|package| package.held).collect();
    if held.is_empty() {
        return Verdict::pass(vec![Evidence::new(&packages.path, "no package is held", "")]);
    }
    let mut evidence: Vec<Evidence> = held
        .iter()
        .take(NAMED)
        .map(|package| {
            Evidence::new(&packages.path, format!("{} {} held", package.name, package.version), "")
        })
        .collect();
    push_rest(&mut evidence, &packages.path, held.len());
    let names: Vec<&str> = held.iter().map(|package| package.name.as_str()).take(NAMED).collect();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: by_hand(
            scope,
            Action::Repair {
                what: format!("apt-mark unhold {}, unless it is meant so", names.join(" ")),
            },
        ),
        valid_until: None,
    };
    Verdict::fail(format!("{} packages are held", held.len()), since, turn, evidence)
}

fn push_rest(evidence: &mut Vec<Evidence>, path: &str, count: usize) {
    if count > NAMED {
        evidence.push(Evidence::new(path, format!("and {} more", count - NAMED), ""));
    }
}
