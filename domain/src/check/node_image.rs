//! Checks of `node_image`: is the image still within the age that the provider supports, is
//! the node what it says it was made from, and is there a newer image for it.

mod offered;

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, midnight, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{ImageName, NodeImage};
use crate::image::NODE_IMAGE_LABEL as LABEL;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "ImageUnsupportedAge",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "customer",
        summary: "The node's image is older than the provider supports",
        policy: PolicyLink::Decides("node-image-age"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: unsupported,
    },
    Check {
        reason: "ImageAging",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The node's image will soon be older than the provider supports",
        policy: PolicyLink::Decides("node-image-age"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: aging,
    },
    Check {
        reason: "ImageMismatch",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The node's label and its disk name two different images",
        policy: PolicyLink::Cites("iaas-change-unsupported"),
        source: "https://learn.microsoft.com/azure/aks/support-policies",
        judge: mismatch,
    },
    Check {
        reason: "ImageBehind",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "A newer image has been offered to the node for more than a week",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://learn.microsoft.com/azure/aks/node-image-upgrade",
        judge: offered::behind,
    },
    Check {
        reason: "ChannelStalled",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The channel that should bring images has not brought one for two weeks",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://learn.microsoft.com/azure/aks/auto-upgrade-node-os-image",
        judge: offered::channel_stalled,
    },
    Check {
        reason: "ImageLineFrozen",
        component: Component::NodeImage,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Of the node's line of images no newer one comes",
        policy: PolicyLink::Decides("image-line-ended"),
        source: "https://github.com/Azure/AgentBaker",
        judge: offered::line_frozen,
    },
    Check {
        reason: "PoolMixed",
        component: Component::NodeImage,
        scope: Reach::Pool,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The node runs an older image than others of its pool",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://learn.microsoft.com/azure/aks/node-image-upgrade",
        judge: offered::pool_mixed,
    },
];

const ABSENT: &str = "nothing on the node names an image";

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How old an image is, and when it passes the two limits.
struct Age<'a> {
    name: &'a ImageName,
    days: i64,
    warned_from: Timestamp,
    unsupported_from: Timestamp,
    limit_days: i64,
}

impl Age<'_> {
    fn evidence(&self) -> Vec<Evidence> {
        vec![Evidence::new(
            &self.name.path,
            format!("{} {}, {} days old", self.name.sku, self.name.version, self.days),
            format!("at most {} days", self.limit_days),
        )]
    }
}

/// The age of the image by the day in its version, which is the day it was built: the
/// policy counts from a publication that may be days later, so that this errs early.
fn age<'a>(
    history: &'a NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Result<Age<'a>, Verdict> {
    of_a_provider(scope, "limits the age of its image")?;
    let (image, _) = facts(&history.node_image, ABSENT)?;
    let name = named(image)?;
    let Some(limits) = &policy.node_image_age else {
        return Err(Verdict::not_applicable(format!("edition {} sets no limit", policy.edition)));
    };
    let Some(built) = name.built_on().and_then(midnight) else {
        let evidence = vec![Evidence::new(&name.path, &name.version, "YYYYMM.DD.N")];
        return Err(Verdict::unknown("the image's version names no day", evidence));
    };
    if built > now.checked_add(DAY).unwrap_or(Timestamp::MAX) {
        let evidence = vec![Evidence::new(&name.path, &name.version, "a day in the past")];
        return Err(Verdict::unknown("the image's version names a day that is to come", evidence));
    }
    let after = |days: u32| {
        built.checked_add(DAY * i32::try_from(days).unwrap_or(i32::MAX)).unwrap_or(Timestamp::MAX)
    };
    Ok(Age {
        name,
        days: now.duration_since(built).as_hours() / 24,
        warned_from: after(limits.warn_after_days),
        unsupported_from: after(limits.unsupported_after_days),
        limit_days: i64::from(limits.unsupported_after_days),
    })
}

fn named(image: &NodeImage) -> Result<&ImageName, Verdict> {
    image
        .name
        .as_ref()
        .ok_or_else(|| Verdict::unknown("no file of the image's builder names it", Vec::new()))
}

fn upgrade(valid_until: Option<Timestamp>) -> Turn {
    let action = Action::UpgradeImage { to: None };
    Turn { responsible: Responsible::Customer, action, valid_until }
}

fn unsupported(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let age = verdict_or!(age(history, scope, policy, now));
    if now <= age.unsupported_from {
        let mut verdict = Verdict::pass(age.evidence());
        verdict.valid_until = Some(next_instant(age.unsupported_from));
        return verdict;
    }
    let message = format!(
        "the image is {} days old: unsupported since {}",
        age.days,
        day(age.unsupported_from)
    );
    Verdict::fail(message, age.unsupported_from, upgrade(None), age.evidence())
}

fn aging(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let age = verdict_or!(age(history, scope, policy, now));
    if now > age.unsupported_from {
        return Verdict::not_applicable("older than that, see ImageUnsupportedAge");
    }
    if now <= age.warned_from {
        let mut verdict = Verdict::pass(age.evidence());
        verdict.valid_until = Some(next_instant(age.warned_from));
        return verdict;
    }
    let message = format!(
        "the image is {} days old: unsupported from {}",
        age.days,
        day(age.unsupported_from)
    );
    let turn = upgrade(Some(next_instant(age.unsupported_from)));
    Verdict::fail(message, age.warned_from, turn, age.evidence())
}

/// Limits are passed strictly after their instant.
fn next_instant(limit: Timestamp) -> Timestamp {
    limit.checked_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX)
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn mismatch(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "labels its image"));
    let (image, since) = verdict_or!(facts(&history.node_image, ABSENT));
    let name = verdict_or!(named(image));
    let Some(label) = image.label(LABEL) else {
        return Verdict::not_applicable(format!("the kubelet registers no label {LABEL}"));
    };
    let on_disk = format!("-{}-{}", name.sku, name.version);
    let evidence = vec![
        Evidence::new(LABEL, label, format!("…{on_disk}")),
        Evidence::new(&name.path, format!("{} {}", name.sku, name.version), ""),
    ];
    // A label may end in the day of a security patch: `…-202611.03.0-2026.11.10`.
    let is_same = label.ends_with(&on_disk) || label.contains(&format!("{on_disk}-"));
    if is_same {
        return Verdict::pass(evidence);
    }
    let turn =
        Turn { responsible: Responsible::Customer, action: Action::Reimage, valid_until: None };
    Verdict::fail(
        format!("labelled {label}, made from {} {}", name.sku, name.version),
        since,
        turn,
        evidence,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, judge_node};
    use crate::facts::{ComponentState, Fips, OsRelease, UbuntuPro};
    use crate::observed::State;
    use crate::policy::DEFAULT_EDITION;

    /// What the two checks of age answer on an AKS node with an image of that version.
    fn answers(version: &str, now: &str) -> [&'static str; 2] {
        let mut history = NodeHistory::default();
        let os = OsRelease {
            path: "/etc/os-release".to_owned(),
            id: "ubuntu".to_owned(),
            version_id: "24.04".to_owned(),
            version_codename: String::new(),
            pretty_name: String::new(),
            variant_id: String::new(),
            architecture: String::new(),
            fips: Fips::Off,
            ubuntu_pro: UbuntuPro::NotThere,
            provider_marks: vec!["/opt/azure/vhd-install.complete".to_owned()],
        };
        let image = NodeImage {
            name: Some(ImageName {
                path: "/opt/azure/containers/image-bom.json".to_owned(),
                sku: "2404gen2containerd".to_owned(),
                version: version.to_owned(),
            }),
            build_note: String::new(),
            marks: Vec::new(),
            labels: Vec::new(),
        };
        let now: Timestamp = now.parse().expect("a time");
        for state in [
            ComponentState::OsRelease(State::Present(Arc::new(os))),
            ComponentState::NodeImage(State::Present(Arc::new(image))),
        ] {
            history.observe(state, now, Duration::ZERO);
        }
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let judged = judge_node(&history, Default::default(), &policy, now);
        ["ImageUnsupportedAge", "ImageAging"].map(|reason| {
            let one = judged.iter().find(|one| one.check.reason == reason);
            let verdict = &one.expect("a check of ours").verdict;
            // Whatever it answers, it says when time alone changes that.
            if matches!(verdict.outcome, Outcome::Pass) {
                assert!(verdict.valid_until.is_some_and(|until| until > now), "{reason}");
            }
            verdict.outcome.word()
        })
    }

    #[test]
    fn over_means_strictly_more_than_the_days() {
        for (now, expected) in [
            ("2026-11-03T00:00:00Z", ["pass", "pass"]),
            ("2027-01-02T00:00:00Z", ["pass", "pass"]),
            ("2027-01-02T00:00:00.001Z", ["pass", "fail"]),
            ("2027-02-01T00:00:00Z", ["pass", "fail"]),
            ("2027-02-01T00:00:00.001Z", ["fail", "not_applicable"]),
        ] {
            assert_eq!(answers("202611.03.0", now), expected, "{now}");
        }
    }

    #[test]
    fn an_image_without_a_day_or_of_the_future_has_no_age() {
        for version in ["20.04.1", "", "209911.03.0"] {
            assert_eq!(
                answers(version, "2026-11-24T00:00:00Z"),
                ["unknown", "unknown"],
                "{version}"
            );
        }
    }
}
