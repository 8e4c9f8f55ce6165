//! What the node claims of itself in the API server, held against what its agent found and
//! against what the provider wants of it. Labels below `kubernetes.azure.com/` and `nodeInfo`
//! are written by the node's own kubelet.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ready::{customer, known};
use crate::check::{Evidence, Scope, Verdict, confirmed, of_a_provider, shortened, verdict_or};
use crate::facts::{NODE_OBJECT, NodeObject};
use crate::image::NODE_IMAGE_LABEL;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// How many minor versions a kubelet may be older than the API server.
const OLDER: u32 = 3;

const GOLDEN: &str = "kubernetes.azure.com/live-patching-golden-timestamp";
const CURRENT: &str = "kubernetes.azure.com/live-patching-current-timestamp";

/// Live patching that has not come through for so long is stuck. The provider says "some
/// hours"; a day is our own line.
const STUCK: SignedDuration = SignedDuration::from_hours(24);

/// The provider's own labels.
const PROVIDER: &str = "kubernetes.azure.com/";

/// Labels of the provider that change by design after the kubelet has registered them.
const CHANGING: [&str; 2] = [NODE_IMAGE_LABEL, "kubernetes.azure.com/upgrade-status"];

/// The minor version of `v1.34.9`: major and minor.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

pub(super) fn skew(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (object, since) = verdict_or!(known(history));
    let Some(server) = scope.outside.cluster.and_then(|cluster| cluster.version.as_deref()) else {
        return Verdict::unknown("the API server has not told its version", Vec::new());
    };
    let kubelet = object.system.kubelet_version.as_str();
    let evidence = vec![
        Evidence::new(NODE_OBJECT, format!("kubelet {kubelet}"), ""),
        Evidence::new("API server, version", server, ""),
    ];
    let (Some(theirs), Some(ours)) = (minor(server), minor(kubelet)) else {
        return Verdict::unknown("one of the versions cannot be read", evidence);
    };
    let message = if ours.0 != theirs.0 || ours.1 > theirs.1 {
        format!("kubelet {kubelet} is newer than its API server {server}")
    } else if theirs.1 - ours.1 > OLDER {
        format!(
            "kubelet {kubelet} is {} minor versions older than its API server",
            theirs.1 - ours.1
        )
    } else {
        return Verdict::pass(evidence);
    };
    let what = "upgrade the node pool's Kubernetes version".to_owned();
    Verdict::fail(message, since, customer(Action::Repair { what }), evidence)
}

/// The instant of `20250623T000000Z`.
fn stamp(text: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    TimeZone::UTC.to_timestamp(at).ok()
}

pub(super) fn live_patch(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "patches it while it runs"));
    let (object, first) = verdict_or!(known(history));
    let Some(golden) = object.annotation(GOLDEN) else {
        return Verdict::not_applicable("no state of packages is wanted of the node");
    };
    let current = object.annotation(CURRENT).unwrap_or("none yet");
    let evidence = vec![Evidence::new(CURRENT, current, golden), Evidence::new(GOLDEN, golden, "")];
    let Some(wanted) = stamp(golden) else {
        return Verdict::unknown("the wanted state is no time", evidence);
    };
    // One that is ahead has been patched for a later state already.
    if stamp(current).is_some_and(|current| current >= wanted) {
        return Verdict::pass(evidence);
    }
    let is_same = |object: &NodeObject| {
        object.annotation(GOLDEN) == Some(golden)
            && object.annotation(CURRENT).unwrap_or("none yet") == current
    };
    let since = history.node_object.holding(is_same).since.unwrap_or(first);
    let stuck_from = since.checked_add(STUCK).unwrap_or(Timestamp::MAX);
    if now <= stuck_from {
        let mut verdict = Verdict::pass(evidence);
        verdict.valid_until = stuck_from.checked_add(SignedDuration::from_secs(1)).ok();
        return verdict;
    }
    let turn = Turn {
        responsible: Responsible::Unknown {
            missing: "whether the node reaches the sources of packages".to_owned(),
        },
        action: Action::Investigate {
            at: "egress to snapshot.ubuntu.com and packages.microsoft.com; where that is open, \
                 open a support request"
                .to_owned(),
        },
        valid_until: None,
    };
    Verdict::fail("live patching has been behind for more than a day", since, turn, evidence)
}

pub(super) fn labels(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "labels it"));
    let (object, since) = verdict_or!(known(history));
    let Some(image) = history.node_image.present() else {
        return Verdict::unknown("no agent has told which labels its kubelet registers", vec![]);
    };
    let registered = image
        .labels
        .iter()
        .filter(|label| label.key.starts_with(PROVIDER) && !CHANGING.contains(&label.key.as_str()));
    let mut checked = 0_usize;
    let mut evidence = Vec::new();
    for label in registered {
        checked += 1;
        let there = object.label(&label.key);
        if there != Some(label.value.as_str()) {
            let actual = there.unwrap_or("not there");
            evidence.push(Evidence::new(label.key.as_str(), actual, label.value.as_str()));
        }
    }
    if checked == 0 {
        return Verdict::unknown("its kubelet is told of no label of the provider", Vec::new());
    }
    let Some(first) = evidence.first() else {
        let actual = format!("{checked} labels as the kubelet registers them");
        return Verdict::pass(vec![Evidence::new(NODE_OBJECT, actual, "")]);
    };
    let message = match evidence.len() {
        1 => format!("label {} is {}, not {}", first.source, first.actual, first.expected),
        more => format!("{more} labels of the provider are not what the kubelet registers"),
    };
    // A kubelet that has just been started anew has not registered them yet.
    let _ = verdict_or!(confirmed(scope.standing, &evidence));
    let turn = customer(Action::Reimage);
    Verdict::fail(message, since, turn, shortened(evidence))
}

pub(super) fn taints(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const SPOT: &str = "kubernetes.azure.com/scalesetpriority";
    verdict_or!(of_a_provider(scope, "taints it"));
    let (object, since) = verdict_or!(known(history));
    if object.label(SPOT) != Some("spot") {
        return Verdict::not_applicable("of the provider's taints only that of spot pools is sure");
    }
    let evidence =
        |actual: &str| vec![Evidence::new(NODE_OBJECT, actual, format!("{SPOT}=spot:NoSchedule"))];
    let has = |object: &NodeObject| {
        object.taints.iter().any(|taint| taint.key == SPOT && taint.effect == "NoSchedule")
    };
    if has(object) {
        return Verdict::pass(evidence("there"));
    }
    let since = history.node_object.holding(|object| !has(object)).since.unwrap_or(since);
    let message = "the taint of spot pools is gone: pods come to a node that may vanish";
    Verdict::fail(message, since, customer(Action::Reimage), evidence("not there"))
}

pub(super) fn contradicted(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (object, since) = verdict_or!(known(history));
    let mut compared = Vec::new();
    let mut hold = |what: &str, claimed: &str, found: &str, is_same: bool| {
        if !claimed.is_empty() && !found.is_empty() {
            compared.push((Evidence::new(what, claimed, found), is_same));
        }
    };
    let system = &object.system;
    if let Some(kernel) = history.kernel.present() {
        let claimed = &system.kernel_version;
        hold("nodeInfo.kernelVersion", claimed, &kernel.release, *claimed == kernel.release);
    }
    if let Some(version) = history.kubelet.present().and_then(|kubelet| kubelet.version.as_ref()) {
        let found = version.version.trim_start_matches('v');
        let claimed = system.kubelet_version.trim_start_matches('v');
        hold("nodeInfo.kubeletVersion", claimed, found, claimed == found);
    }
    if let Some(name) = history.node_image.present().and_then(|image| image.name.as_ref()) {
        let claimed = object.label(NODE_IMAGE_LABEL).unwrap_or_default();
        let found = format!("-{}-{}", name.sku, name.version);
        let is_same = claimed.ends_with(&found) || claimed.contains(&format!("{found}-"));
        hold(NODE_IMAGE_LABEL, claimed, &format!("…{found}"), is_same);
    }
    if compared.is_empty() {
        return Verdict::unknown("no agent has told what its claims could be held against", vec![]);
    }
    let (good, bad): (Vec<_>, Vec<_>) = compared.into_iter().partition(|(_, is_same)| *is_same);
    let tell = |all: Vec<(Evidence, bool)>| all.into_iter().map(|(one, _)| one).collect();
    if bad.is_empty() {
        return Verdict::pass(tell(good));
    }
    let evidence: Vec<Evidence> = tell(bad);
    // After an upgrade both sides come to know of it one after the other.
    let _ = verdict_or!(confirmed(scope.standing, &evidence));
    let names: Vec<&str> = evidence.iter().map(|one| one.source.as_str()).collect();
    let message = format!("{} is not what was found on the node", names.join(", "));
    Verdict::fail(message, since, customer(Action::Reimage), evidence)
}
