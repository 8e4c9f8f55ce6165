//! Whether the rules follow what is asked of kube-proxy, by its own metrics. Its health
//! endpoint counts an IP family only once that has been written for the first time: rules
//! that never could be written since its start look healthy there.

use jiff::Timestamp;

use super::{ABSENT, Shape, look_at_log, place, turn};
use crate::check::{Evidence, Scope, Verdict, confirmed, facts, verdict_or};
use crate::measured::{Measurements, Watched};
use crate::node::NodeHistory;
use crate::policy::Policy;

/// kube-proxy's default, from which it takes twice that for too late.
const SYNC_PERIOD_SECONDS: u32 = 30;

/// How long a change has been waiting, by IP family.
fn pending(measured: &Measurements) -> Vec<(&'static str, f64, Option<f64>)> {
    let ipv4 =
        (measured.kube_proxy_ipv4_sync_pending_seconds, measured.kube_proxy_ipv4_sync_age_seconds);
    let ipv6 =
        (measured.kube_proxy_ipv6_sync_pending_seconds, measured.kube_proxy_ipv6_sync_age_seconds);
    [("IPv4", ipv4), ("IPv6", ipv6)]
        .into_iter()
        .filter_map(|(family, (pending, age))| Some((family, pending?, age)))
        .collect()
}

pub(super) fn sync_stuck(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (proxy, _) = verdict_or!(facts(&history.kube_proxy, ABSENT));
    if let Some(owner) = Shape::of(proxy).owner() {
        return Verdict::not_applicable(format!("kube-proxy did not get that far, see {owner}"));
    }
    if !proxy.metrics.is_ok() {
        return Verdict::unknown(format!("metrics: {}", proxy.metrics), Vec::new());
    }
    let pending = pending(history.measured.newest());
    if pending.is_empty() {
        return Verdict::unknown("when rules were written was not measured", Vec::new());
    }
    let period = proxy.configuration.as_ref().and_then(|one| one.sync_period_seconds);
    let limit = f64::from(period.unwrap_or(SYNC_PERIOD_SECONDS).saturating_mul(2));
    let evidence: Vec<Evidence> = pending
        .iter()
        .map(|(family, seconds, age)| {
            let waits = match seconds {
                0.0 => "nothing waits".to_owned(),
                seconds => format!("a change has been waiting for {seconds:.0} s"),
            };
            let written = age.map_or_else(
                || "never written since the start".to_owned(),
                |age| format!("written {age:.0} s ago"),
            );
            Evidence::new(
                place(&proxy.metrics_endpoint, "/metrics"),
                format!("{family}: {waits}, {written}"),
                format!("none waits for more than {limit:.0} s"),
            )
        })
        .collect();
    let late: Vec<&str> = pending
        .iter()
        .filter(|(_, seconds, _)| *seconds > limit)
        .map(|(family, _, _)| *family)
        .collect();
    let holding = history.measured.broken(Watched::KubeProxySyncPending);
    if late.is_empty() || holding.observations == 0 {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
    let turn = turn(look_at_log(proxy), scope, policy, since, now);
    let message = format!("changes of the rules of {} are not written", late.join(", "));
    Verdict::fail(message, since, turn, evidence)
}
