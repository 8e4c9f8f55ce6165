//! The few of a kubelet's metrics that are read: its version, its features in alpha, when
//! it last looked at its pods' processes, and what has failed since its start. Names and
//! meaning: <https://kubernetes.io/docs/reference/instrumentation/metrics/>.

use jiff::Timestamp;
use nodeward_domain::measured::Measurements;

use super::super::build::{Build, is_of};
use crate::probe::series::Series;

const PLEG: &str = "kubelet_pleg_last_seen_seconds";
const RUNTIME_ERRORS: &str = "kubelet_runtime_operations_errors_total";
const RENEW_ERRORS: &str = "kubelet_certificate_manager_client_expiration_renew_errors";

/// Whether a line of its metrics is read.
pub(super) fn is_wanted(line: &str) -> bool {
    Build::is_wanted(line)
        || [PLEG, RUNTIME_ERRORS, RENEW_ERRORS].iter().any(|name| is_of(line, name))
}

/// What the metrics say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metrics {
    pub(super) build: Build,
    /// Seconds since 1970; none where it has not looked since its start.
    pleg_last_seen_seconds: Option<f64>,
    runtime_errors: Option<f64>,
    renew_errors: Option<f64>,
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
        match series.name {
            PLEG => self.pleg_last_seen_seconds = Some(series.value).filter(|at| *at > 0.0),
            // One for each kind of call.
            RUNTIME_ERRORS => *self.runtime_errors.get_or_insert_default() += series.value,
            RENEW_ERRORS => self.renew_errors = Some(series.value),
            _ => self.build.take(series),
        }
    }

    /// What moves. `now` is by the kubelet's own clock, so that a wrong one does no harm.
    pub(super) fn measured(&self, now: Option<Timestamp>) -> Measurements {
        let now = now.map(|now| now.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64());
        let count = |value: f64| value as u64;
        Measurements {
            kubelet_pleg_age_seconds: self
                .pleg_last_seen_seconds
                .zip(now)
                .map(|(seen, now)| (now - seen).max(0.0)),
            kubelet_runtime_errors_total: self.runtime_errors.map(count),
            kubelet_certificate_renew_errors_total: self.renew_errors.map(count),
            ..Measurements::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# TYPE kubelet_pleg_last_seen_seconds gauge
kubelet_pleg_last_seen_seconds 1.795346462e+09
kubelet_runtime_operations_errors_total{operation_type=\"exec_sync\"} 2
kubelet_runtime_operations_errors_total{operation_type=\"run_podsandbox\"} 3
kubelet_runtime_operations_errors_total_created 7
kubelet_certificate_manager_client_expiration_renew_errors 1
kubernetes_build_info{build_date=\"1970-01-01T00:00:00Z\",git_version=\"v1.34.9\"} 1
kubernetes_feature_enabled{name=\"AllAlpha\",stage=\"ALPHA\"} 0
kubernetes_feature_enabled{name=\"B\",stage=\"ALPHA\"} 1
kubernetes_feature_enabled{name=\"A\",stage=\"ALPHA\"} 1
kubernetes_feature_enabled{name=\"C\",stage=\"ALPHA\"} 0
kubernetes_feature_enabled{name=\"D\",stage=\"BETA\"} 1
other 1
";

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("a moment"))
    }

    #[test]
    fn of_the_metrics_named_series_are_read() {
        let kept: String =
            METRICS.split_inclusive('\n').filter(|line| is_wanted(line.trim())).collect();
        for left_out in ["\"C\"", "BETA", "other", "created", "TYPE"] {
            assert!(!kept.contains(left_out), "{left_out}");
        }
        let metrics = Metrics::read(&kept);
        assert_eq!(metrics.build.version.as_deref(), Some("v1.34.9"));
        assert_eq!(metrics.build.alpha_features, Some(vec!["A".to_owned(), "B".to_owned()]));
        let measured = metrics.measured(at("2026-11-22T11:21:05Z"));
        assert_eq!(measured.kubelet_pleg_age_seconds, Some(3.0));
        assert_eq!(measured.kubelet_runtime_errors_total, Some(5));
        assert_eq!(measured.kubelet_certificate_renew_errors_total, Some(1));
    }

    #[test]
    fn what_is_not_told_is_not_made_up() {
        let metrics = Metrics::read("kubelet_pleg_last_seen_seconds 0\nkubernetes_build_info 1\n");
        assert_eq!(metrics, Metrics::default());
        assert_eq!(metrics.measured(at("2026-11-22T11:21:05Z")), Measurements::default());
        let seen = Metrics::read("kubelet_pleg_last_seen_seconds 1.7e9\n");
        assert_eq!(seen.measured(None), Measurements::default());
    }
}
