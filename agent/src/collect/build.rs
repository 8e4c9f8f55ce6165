//! What every program of Kubernetes tells of its own build by its metrics: its version,
//! and which of its features in alpha are on. Names and meaning:
//! <https://kubernetes.io/docs/reference/instrumentation/metrics/>.

use crate::probe::series::Series;

const INFO: &str = "kubernetes_build_info";
const FEATURE: &str = "kubernetes_feature_enabled";

/// A switch for all features, which is told by every program that tells its features.
const ALL_ALPHA: &str = "AllAlpha";

/// What a program tells of its build.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Build {
    /// Such as `v1.34.9`.
    pub(super) version: Option<String>,
    /// Those that are on, sorted; none where the program tells no features.
    pub(super) alpha_features: Option<Vec<String>>,
}

impl Build {
    /// Whether a line of metrics is read for it.
    pub(super) fn is_wanted(line: &str) -> bool {
        // Of some 200 features only those are of interest that are in alpha and on.
        if line.starts_with(FEATURE) {
            return Series::read(line).is_some_and(|feature| {
                is_alpha_and_on(&feature) || feature.label("name") == Some(ALL_ALPHA)
            });
        }
        is_of(line, INFO)
    }

    /// Takes what a series tells; others than of the build tell nothing.
    pub(super) fn take(&mut self, series: &Series<'_>) {
        match series.name {
            INFO => self.version = series.label("git_version").map(str::to_owned),
            FEATURE => {
                let features = self.alpha_features.get_or_insert_default();
                let name = series.label("name").filter(|name| *name != ALL_ALPHA);
                let Some(name) = name.filter(|_| is_alpha_and_on(series)) else { return };
                let place = features.partition_point(|one| one.as_str() < name);
                features.insert(place, name.to_owned());
            }
            _ => {}
        }
    }
}

fn is_alpha_and_on(feature: &Series<'_>) -> bool {
    feature.label("stage") == Some("ALPHA") && feature.value > 0.0
}

/// Whether a line is of the series of that name, and not of one that only begins so.
pub(super) fn is_of(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
}
