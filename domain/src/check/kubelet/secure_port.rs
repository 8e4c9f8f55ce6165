//! What the kubelet says of itself on its secure port, and what it means that it does not:
//! a refusal shows that its server runs, an answer that does not come may be its API
//! server's or its runtime's fault.

use jiff::Timestamp;

use super::{ABSENT, Check, broken_component, process};
use crate::check::{Evidence, Scope, Verdict, confirmed, facts, verdict_or};
use crate::facts::kubelet::Credential;
use crate::facts::{CriAnswer, HttpAnswer, Kubelet};
use crate::measured::Watched;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::turn_for_broken_component;

pub(super) const SYNC_LOOP_STUCK: Check = broken_component(
    "KubeletSyncLoopStuck",
    "The kubelet's loop that starts and stops pods has not been entered for minutes",
    sync_loop_stuck,
);

pub(super) const PLEG_STALE: Check = broken_component(
    "KubeletPlegStale",
    "The kubelet has not looked at its pods' processes for more than three minutes",
    pleg_stale,
);

const UNIT: &str = "kubelet.service";

fn is_stuck(kubelet: &Kubelet) -> bool {
    matches!(
        &kubelet.secure_port.healthz,
        HttpAnswer::Answered { status, body } if *status >= 500 && body.starts_with("[-]syncloop")
    )
}

fn sync_loop_stuck(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let port = &kubelet.secure_port;
    let place = format!("{}/healthz", port.endpoint);
    let evidence = vec![Evidence::new(place, port.healthz.to_string(), "200")];
    if is_stuck(kubelet) {
        let holding = scope.standing.or_longer(history.kubelet.holding(is_stuck));
        let since = verdict_or!(confirmed(holding, &evidence));
        let turn = turn_for_broken_component(scope.platform, policy, since, now, UNIT);
        return Verdict::fail("the kubelet's loop over its pods is stuck", since, turn, evidence);
    }
    if port.healthz.is_ok() {
        return Verdict::pass(evidence);
    }
    untold(history, kubelet, &port.healthz, "/healthz")
}

fn pleg_stale(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let port = &kubelet.secure_port;
    if let Some(owner) = hung_runtime(history) {
        return Verdict::not_applicable(format!("the kubelet waits for its runtime, see {owner}"));
    }
    let Some(age) = history.measured.newest().kubelet_pleg_age_seconds else {
        return match &port.metrics {
            told if told.is_ok() => {
                Verdict::unknown("the kubelet's metrics do not tell it", Vec::new())
            }
            answer => untold(history, kubelet, answer, "/metrics"),
        };
    };
    let place = format!("{}/metrics kubelet_pleg_last_seen_seconds", port.endpoint);
    let evidence = vec![Evidence::new(place, format!("{age:.0} s ago"), "at most 180 s ago")];
    let broken = history.measured.broken(Watched::PlegStale);
    if broken.since.is_none() {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing.or_longer(broken), &evidence));
    let turn = turn_for_broken_component(scope.platform, policy, since, now, UNIT);
    let message = format!("the kubelet last looked at its pods' processes {age:.0} s ago");
    Verdict::fail(message, since, turn, evidence)
}

/// The check of a runtime that accepts calls and answers none, if it is in that state.
fn hung_runtime(history: &NodeHistory) -> Option<&'static str> {
    history
        .containerd
        .present()
        .is_some_and(|containerd| matches!(containerd.cri, CriAnswer::TimedOut { .. }))
        .then_some("ContainerdHung")
}

/// What it means that a path of the port was not answered with what it is for.
pub(super) fn untold(
    history: &NodeHistory,
    kubelet: &Kubelet,
    answer: &HttpAnswer,
    path: &str,
) -> Verdict {
    let port = &kubelet.secure_port;
    let hangs = matches!(kubelet.healthz, HttpAnswer::TimedOut { .. });
    let why = match answer {
        _ if process::is_down(kubelet) => return see("KubeletDown"),
        HttpAnswer::NoHandshake { .. } | HttpAnswer::TimedOut { .. } if hangs => {
            return see("KubeletHung");
        }
        HttpAnswer::TimedOut { .. } if path == "/metrics" && hung_runtime(history).is_some() => {
            return see("ContainerdHung");
        }
        HttpAnswer::TimedOut { .. } if port.credential == Credential::Token => {
            "no answer in time, while the health endpoint answers: to check our token the \
             kubelet asks its API server, which may not be reached"
                .to_owned()
        }
        HttpAnswer::Answered { status: 401 | 403, .. } if port.refused_late => format!(
            "{answer}, and late: to check our token the kubelet asks its API server, which \
             may not be reached"
        ),
        HttpAnswer::Answered { status: 401, .. } => match &port.credential {
            Credential::None => "the kubelet is up and tells details only to those who show a \
                                 credential; none is configured (--kubelet-token-file)"
                .to_owned(),
            Credential::Unusable(why) => format!("our token was not shown: {why}"),
            Credential::Token => format!("the kubelet does not take our token: {answer}"),
        },
        HttpAnswer::Answered { status: 403, .. } => {
            format!("our token may not read it: {answer}")
        }
        HttpAnswer::Answered { status: 404, .. } => "this kubelet does not serve it".to_owned(),
        other => other.to_string(),
    };
    let place = format!("{}{path}", port.endpoint);
    Verdict::unknown(
        format!("{path}: {why}"),
        vec![Evidence::new(place, answer.to_string(), "200")],
    )
}

fn see(owner: &str) -> Verdict {
    Verdict::not_applicable(format!("the kubelet did not get that far, see {owner}"))
}
