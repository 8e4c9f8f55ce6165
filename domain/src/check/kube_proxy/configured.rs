//! What kube-proxy was told to be: its executable, its features, its mode.

use jiff::Timestamp;

use super::{ABSENT, Shape, place, restart};
use crate::check::{Evidence, Scope, Verdict, by_hand, facts, of_a_provider, verdict_or};
use crate::facts::KubeProxy;
use crate::node::NodeHistory;
use crate::policy::{ModeStanding, Policy};
use crate::responsibility::{Action, Responsible, Turn};

const fn turn_of_customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

/// What stands in for a question that a broken kube-proxy leaves open: the check that owns
/// that, or unknown.
fn unanswered(proxy: &KubeProxy, why: String) -> Verdict {
    match Shape::of(proxy).owner() {
        Some(owner) => Verdict::not_applicable(format!("kube-proxy does not say it, see {owner}")),
        None => Verdict::unknown(why, Vec::new()),
    }
}

pub(super) fn executable_replaced(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (proxy, since) = verdict_or!(facts(&history.kube_proxy, ABSENT));
    let Some(process) = &proxy.process else {
        return Verdict::not_applicable("no kube-proxy runs");
    };
    if process.executable.is_empty() {
        let why = "the path of the running kube-proxy could not be read";
        return Verdict::unknown(why, Vec::new());
    }
    let source = format!("/proc/{}/exe", process.pid);
    if !process.executable_replaced {
        return Verdict::pass(vec![Evidence::new(source, &process.executable, "still on disk")]);
    }
    let actual = format!("{}, no longer what lies there", process.executable);
    let evidence = vec![Evidence::new(source, actual, "still on disk")];
    let turn = turn_of_customer(by_hand(scope, restart(proxy)));
    Verdict::fail("kube-proxy was replaced on disk and not restarted", since, turn, evidence)
}

pub(super) fn alpha_feature(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "excludes features in alpha"));
    let (proxy, since) = verdict_or!(facts(&history.kube_proxy, ABSENT));
    let Some(features) = &proxy.alpha_features else {
        return unanswered(proxy, format!("metrics: {}", proxy.metrics));
    };
    let evidence = vec![Evidence::new(
        place(&proxy.metrics_endpoint, "/metrics"),
        match features.len() {
            0 => "none is on".to_owned(),
            _ => format!("on: {}", features.join(", ")),
        },
        "no feature in alpha",
    )];
    if features.is_empty() {
        return Verdict::pass(evidence);
    }
    let change = "the feature gates of the kube-proxy DaemonSet".to_owned();
    let message = format!("kube-proxy runs with features in alpha: {}", features.join(", "));
    Verdict::fail(message, since, turn_of_customer(Action::Revert { change }), evidence)
}

pub(super) fn mode_not_default(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "offers modes of kube-proxy"));
    let (proxy, since) = verdict_or!(facts(&history.kube_proxy, ABSENT));
    if policy.kube_proxy_modes.is_empty() {
        let edition = &policy.edition;
        return Verdict::not_applicable(format!("edition {edition} does not list modes"));
    }
    let Some(mode) = proxy.mode() else {
        return unanswered(proxy, format!("proxyMode: {}", proxy.proxy_mode));
    };
    let standing =
        policy.kube_proxy_modes.iter().find(|one| one.mode == mode).map(|one| one.standing);
    let default = policy.kube_proxy_modes.iter().find(|one| one.standing == ModeStanding::Default);
    let expected = default.map_or("", |one| one.mode.as_str());
    let evidence =
        vec![Evidence::new(place(&proxy.metrics_endpoint, "/proxyMode"), mode, expected)];
    let message = match standing {
        Some(ModeStanding::Default) => return Verdict::pass(evidence),
        Some(ModeStanding::Offered) => {
            format!("kube-proxy runs in mode {mode}, which was chosen for this cluster")
        }
        Some(ModeStanding::Preview) => {
            format!("kube-proxy runs in mode {mode}, a preview that is supported as best effort")
        }
        None => format!("kube-proxy runs in mode {mode}, which {} does not offer", policy.provider),
    };
    let change = "the mode in the cluster's kube-proxy configuration, unless it is meant so";
    let turn = turn_of_customer(Action::Revert { change: change.to_owned() });
    Verdict::fail(message, since, turn, evidence)
}
