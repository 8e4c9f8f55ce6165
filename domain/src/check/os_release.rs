//! Checks of `os_release`: may this operating system stand on the node, and how long.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, midnight, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::Fips;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// So long before the last day of an operating system the customer is told.
const NOTICE_DAYS: i64 = 180;

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "OsNotOffered",
        component: Component::OsRelease,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The node runs an operating system that its provider does not offer",
        policy: PolicyLink::Cites("base-image-unchangeable"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: not_offered,
    },
    Check {
        reason: "OsRetired",
        component: Component::OsRelease,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The provider's support of the node's operating system has ended, or ends within 180 days",
        policy: PolicyLink::Decides("os-retirement"),
        source: "https://learn.microsoft.com/azure/aks/upgrade-os-version",
        judge: retired,
    },
    Check {
        reason: "FipsMismatch",
        component: Component::OsRelease,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The node's label and its kernel do not say the same about FIPS 140",
        policy: PolicyLink::Cites("base-image-unchangeable"),
        source: "https://learn.microsoft.com/azure/aks/enable-fips-nodes",
        judge: fips_mismatch,
    },
];

/// The provider's label on nodes of pools with FIPS 140.
const FIPS_LABEL: &str = "kubernetes.azure.com/fips_enabled";

fn not_offered(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "offers or retires its operating system"));
    let (os, since) = verdict_or!(facts(&history.os_release, "no os-release file"));
    if policy.offered_os.is_empty() {
        return Verdict::not_applicable(format!(
            "edition {} does not list operating systems",
            policy.edition
        ));
    }
    let offered: Vec<&str> = policy.offered_os.iter().map(|offered| offered.id.as_str()).collect();
    let evidence = vec![Evidence::new(&os.path, format!("ID={}", os.id), offered.join(" | "))];
    if offered.contains(&os.id.as_str()) {
        return Verdict::pass(evidence);
    }
    let turn =
        Turn { responsible: Responsible::Customer, action: Action::Reimage, valid_until: None };
    let message = format!("{} is not an operating system that {} offers", os.id, policy.provider);
    Verdict::fail(message, since, turn, evidence)
}

fn retired(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "offers or retires its operating system"));
    let (os, since) = verdict_or!(facts(&history.os_release, "no os-release file"));
    let Some(retirement) =
        policy.os_retirements.iter().find(|retirement| retirement.is_about(&os.id, &os.version_id))
    else {
        if os.version_id.is_empty() {
            let evidence = vec![Evidence::new(&os.path, "no VERSION_ID", "one")];
            return Verdict::unknown("the system does not say its version", evidence);
        }
        return Verdict::pass(vec![Evidence::new(
            &os.path,
            format!("{} {}", os.id, os.version_id),
            format!("no announced end in edition {}", policy.edition),
        )]);
    };
    let (Some(end), Some(removed)) =
        (midnight(retirement.unsupported_on), midnight(retirement.images_removed_on))
    else {
        return Verdict::unknown("the date of the end is out of range", Vec::new());
    };
    let evidence = vec![Evidence::new(
        &os.path,
        format!("{} {}", os.id, os.version_id),
        format!(
            "support ends {}, images removed {} ({})",
            retirement.unsupported_on, retirement.images_removed_on, retirement.source
        ),
    )];
    let notice = end - SignedDuration::from_hours(24 * NOTICE_DAYS);
    if now < notice {
        return Verdict { valid_until: Some(notice), ..Verdict::pass(evidence) };
    }
    let (message, valid_until) = if now < end {
        (
            format!("support of {} {} ends {}", os.id, os.version_id, retirement.unsupported_on),
            Some(end),
        )
    } else if now < removed {
        (
            format!("support of {} {} ended {}", os.id, os.version_id, retirement.unsupported_on),
            Some(removed),
        )
    } else {
        let removed_on = retirement.images_removed_on;
        (
            format!(
                "images of {} {} were removed {removed_on}: the pool neither scales nor heals",
                os.id, os.version_id
            ),
            None,
        )
    };
    let turn =
        Turn { responsible: Responsible::Customer, action: Action::MigrateOsSku, valid_until };
    Verdict::fail(message, since.max(notice), turn, evidence)
}

fn fips_mismatch(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "labels nodes with FIPS 140"));
    let (os, since) = verdict_or!(facts(&history.os_release, "no os-release file"));
    let (image, _) = verdict_or!(facts(&history.node_image, "nothing says which labels it has"));
    let label = image.labels.iter().find(|label| label.key == FIPS_LABEL);
    let Some(label) = label.map(|label| label.value.as_str()) else {
        return Verdict::not_applicable(format!("no label {FIPS_LABEL}"));
    };
    let expected = if label == "true" { "1" } else { "0" };
    let evidence = vec![
        Evidence::new("/proc/sys/crypto/fips_enabled", os.fips.to_string(), expected),
        Evidence::new(FIPS_LABEL, label, ""),
    ];
    let is_on = match &os.fips {
        Fips::On => true,
        Fips::Off | Fips::NotSupported => false,
        Fips::Unreadable(why) => return Verdict::unknown(why.clone(), evidence),
    };
    if is_on == (label == "true") {
        return Verdict::pass(evidence);
    }
    let turn =
        Turn { responsible: Responsible::Customer, action: Action::Reimage, valid_until: None };
    let message = match is_on {
        true => "the kernel runs with FIPS 140, the node's label says that it does not",
        false => "the node's label says FIPS 140, the kernel runs without",
    };
    Verdict::fail(message, since, turn, evidence)
}
