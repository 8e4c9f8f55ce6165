//! The few of kube-proxy's metrics that are read: its version, its features in alpha, and
//! when each IP family was last asked to change and last did.

use jiff::Timestamp;
use nodeward_domain::measured::Measurements;

use super::super::build::{Build, is_of};
use crate::probe::series::Series;

const SYNCED: &str = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
const QUEUED: &str = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds";
const RESTORES: &str = "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total";
const STARTED: &str = "process_start_time_seconds";

/// Whether a line of its metrics is read.
pub(super) fn is_wanted(line: &str) -> bool {
    Build::is_wanted(line)
        || [SYNCED, QUEUED, RESTORES, STARTED].iter().any(|name| is_of(line, name))
}

/// When the rules of one IP family were last asked to change, and last did; seconds since
/// 1970, none where it never happened since the start.
#[derive(Debug, Default, PartialEq)]
struct Family {
    queued: Option<f64>,
    synced: Option<f64>,
}

/// What the metrics say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metrics {
    pub(super) build: Build,
    ipv4: Family,
    ipv6: Family,
    partial_restore_failures: Option<f64>,
    started: Option<f64>,
}

impl Metrics {
    /// Reads the lines that were kept.
    pub(super) fn read(lines: &str) -> Self {
        let mut metrics = Self::default();
        for series in lines.lines().filter_map(Series::read) {
            metrics.take(&series);
        }
        metrics
    }

    fn take(&mut self, series: &Series<'_>) {
        let value = Some(series.value);
        // Before Kubernetes 1.33 families are not told apart.
        let family = match series.label("ip_family") {
            Some("IPv6") => &mut self.ipv6,
            _ => &mut self.ipv4,
        };
        match series.name {
            SYNCED => family.synced = value.filter(|at| *at > 0.0),
            QUEUED => family.queued = value.filter(|at| *at > 0.0),
            RESTORES => {
                let others = self.partial_restore_failures.unwrap_or_default();
                self.partial_restore_failures = Some(others + series.value);
            }
            STARTED => self.started = value,
            _ => self.build.take(series),
        }
    }

    /// Ages by kube-proxy's own clock, so that a wrong one does no harm.
    pub(super) fn measured(&self, now: Timestamp) -> Measurements {
        let now = now.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
        let age = |family: &Family| family.synced.map(|at| (now - at).max(0.0));
        let pending = |family: &Family| {
            let queued = family.queued?;
            // A change is asked for at the start. What never came since is as old as that,
            // however often it was asked for again.
            let since = match family.synced {
                Some(synced) if synced >= queued => return Some(0.0),
                Some(_) => queued,
                None => self.started.unwrap_or(queued),
            };
            Some((now - since).max(0.0))
        };
        Measurements {
            kube_proxy_ipv4_sync_age_seconds: age(&self.ipv4),
            kube_proxy_ipv6_sync_age_seconds: age(&self.ipv6),
            kube_proxy_ipv4_sync_pending_seconds: pending(&self.ipv4),
            kube_proxy_ipv6_sync_pending_seconds: pending(&self.ipv6),
            kube_proxy_partial_restore_failures_total: self
                .partial_restore_failures
                .map(|failures| failures as u64),
            ..Measurements::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
# HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value
kubernetes_build_info{git_version=\"v1.34.9\",major=\"1\"} 1
kubernetes_feature_enabled{name=\"AllAlpha\",stage=\"ALPHA\"} 0
kubernetes_feature_enabled{name=\"Zeta\",stage=\"ALPHA\"} 1
kubernetes_feature_enabled{name=\"Off\",stage=\"ALPHA\"} 0
kubernetes_feature_enabled{name=\"Stable\",stage=\"\"} 1
kubernetes_feature_enabled{name=\"Alpha\",stage=\"ALPHA\"} 1
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.0005e+03
kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1000
kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv6\"} 1500
kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv4\"} 2
kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv6\"} 1
kubeproxy_sync_proxy_rules_last_timestamp_seconds_other 7
process_start_time_seconds 900
";

    /// As they are kept and then read.
    fn read(lines: &str) -> Metrics {
        let kept: String =
            lines.split_inclusive('\n').filter(|line| is_wanted(line.trim_end())).collect();
        Metrics::read(&kept)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    #[test]
    fn the_named_series_are_kept_and_read() {
        let metrics = read(LINES);
        assert_eq!(metrics.build.version.as_deref(), Some("v1.34.9"));
        assert_eq!(metrics.build.alpha_features, Some(vec!["Alpha".to_owned(), "Zeta".to_owned()]));
        let measured = metrics.measured(at(2000));
        assert_eq!(measured.kube_proxy_ipv4_sync_age_seconds, Some(999.5));
        assert_eq!(measured.kube_proxy_ipv4_sync_pending_seconds, Some(0.0));
        assert_eq!(measured.kube_proxy_partial_restore_failures_total, Some(3));
    }

    #[test]
    fn what_never_was_written_waits_since_the_start() {
        let measured = read(LINES).measured(at(2000));
        assert_eq!(measured.kube_proxy_ipv6_sync_age_seconds, None);
        assert_eq!(measured.kube_proxy_ipv6_sync_pending_seconds, Some(1100.0));
    }

    #[test]
    fn a_change_waits_since_it_was_last_asked_for() {
        let late = LINES.replace("IPv4\"} 1000", "IPv4\"} 1900");
        let measured = read(&late).measured(at(2000));
        assert_eq!(measured.kube_proxy_ipv4_sync_pending_seconds, Some(100.0));
        let before = read(&late).measured(at(1000));
        assert_eq!(before.kube_proxy_ipv4_sync_pending_seconds, Some(0.0));
    }

    #[test]
    fn an_older_one_tells_no_families_and_no_features() {
        let metrics = read("kubeproxy_sync_proxy_rules_last_timestamp_seconds 1000\n");
        assert_eq!(metrics.build.alpha_features, None);
        let measured = metrics.measured(at(1010));
        assert_eq!(measured.kube_proxy_ipv4_sync_age_seconds, Some(10.0));
        assert_eq!(measured.kube_proxy_ipv4_sync_pending_seconds, None);
    }
}
