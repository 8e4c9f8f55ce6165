//! What an edition says of Kubernetes versions and of how a kubelet may be set up.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use super::Policy;
use crate::check::midnight;
use crate::version::kubernetes::KubernetesVersion;

/// The support of one minor version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesMinor {
    /// Such as `1.34`.
    pub minor: String,
    /// The last day of support.
    pub supported_until: Date,
    /// The last day of long-term support.
    pub long_term_until: Date,
    /// Where it was read.
    pub source: String,
}

impl KubernetesMinor {
    /// Whether this is about that version.
    #[must_use]
    pub fn is_of(&self, version: KubernetesVersion) -> bool {
        self.number() == Some((version.major, version.minor))
    }

    /// Whether this is about an older minor than that version's.
    #[must_use]
    pub fn is_before(&self, version: KubernetesVersion) -> bool {
        self.number().is_some_and(|number| number < (version.major, version.minor))
    }

    /// Whether its support has ended for that version of it: the last day of long-term
    /// support counts for those that have it.
    fn has_ended(&self, version: KubernetesVersion, now: Timestamp) -> bool {
        let last_day =
            if version.is_long_term() { self.long_term_until } else { self.supported_until };
        let end = last_day.checked_add(1.day()).ok().and_then(midnight);
        end.is_some_and(|end| now >= end)
    }

    fn number(&self) -> Option<(u32, u32)> {
        let (major, minor) = self.minor.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }
}

impl Policy {
    /// Whether support of a version of Kubernetes has ended: by its own day, or because it is
    /// older than any that is listed.
    #[must_use]
    pub fn has_kubernetes_ended(&self, version: KubernetesVersion, now: Timestamp) -> bool {
        let minors = &self.kubernetes_minors;
        match minors.iter().find(|minor| minor.is_of(version)) {
            Some(minor) => minor.has_ended(version, now),
            None => !minors.is_empty() && !minors.iter().any(|minor| minor.is_before(version)),
        }
    }
}

/// How a kubelet may be set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubeletPolicy {
    /// From this day (UTC) the rotation of serving certificates cannot be off.
    pub serving_rotation_optional_until: Option<Date>,
    /// Feature gates that are known not to be alpha, because the provider sets them.
    pub supported_gates: Vec<String>,
    /// Settings and their limits.
    #[serde(rename = "limit")]
    pub limits: Vec<SettingLimit>,
    /// Settings that are offered as a preview.
    #[serde(rename = "preview")]
    pub previews: Vec<PreviewSetting>,
}

/// How far one setting may go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingLimit {
    /// Path in `KubeletConfiguration`.
    pub key: String,
    /// The lowest number.
    pub min: Option<i64>,
    /// The highest number.
    pub max: Option<i64>,
    /// The values that there are; none for a number.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The forms that each member of a list may have; a trailing `*` stands for any rest.
    #[serde(default)]
    pub each_like: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

impl SettingLimit {
    /// Whether a value is within the limit.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        if !self.one_of.is_empty() {
            return self.one_of.iter().any(|allowed| allowed == value);
        }
        if !self.each_like.is_empty() {
            return value.split(',').filter(|member| !member.is_empty()).all(|member| {
                self.each_like.iter().any(|form| match form.strip_suffix('*') {
                    Some(start) => member.starts_with(start),
                    None => member == form,
                })
            });
        }
        value.parse::<i64>().is_ok_and(|number| {
            self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
        })
    }
}

impl std::fmt::Display for SettingLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.one_of.is_empty() {
            return f.write_str(&self.one_of.join(" | "));
        }
        if !self.each_like.is_empty() {
            return f.write_str(&self.each_like.join(", "));
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("any number"),
        }
    }
}

/// A setting that is a preview when it is not as usual.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewSetting {
    /// Path in `KubeletConfiguration`.
    pub key: String,
    /// One member of a setting that is a map.
    pub member: Option<String>,
    /// What it is without the preview.
    pub usual: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

#[cfg(test)]
mod tests {
    use crate::policy::{DEFAULT_EDITION, Policy};
    use crate::version::kubernetes::KubernetesVersion;

    #[test]
    fn limits_hold_numbers_words_and_lists() {
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let allows = |key: &str, value: &str| {
            let limit = policy.kubelet.limits.iter().find(|limit| limit.key == key);
            limit.expect("a limit of that key").allows(value)
        };
        for (key, good, bad) in [
            ("imageGCHighThresholdPercent", "100", "101"),
            ("containerLogMaxFiles", "2", "1"),
            ("podPidsLimit", "-1", "-2"),
            ("cpuManagerPolicy", "static", "dynamic"),
            ("allowedUnsafeSysctls", "net.core.somaxconn,kernel.sem", "net.ipv4.x,vm.swappiness"),
            ("allowedUnsafeSysctls", "", "kernel.semx"),
            ("podPidsLimit", "4096", "many"),
        ] {
            assert!(allows(key, good), "{key} {good}");
            assert!(!allows(key, bad), "{key} {bad}");
        }
    }

    #[test]
    fn the_calendar_is_whole_and_in_order() {
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let minors = &policy.kubernetes_minors;
        assert!(minors.iter().all(|minor| minor.supported_until < minor.long_term_until));
        for pair in minors.windows(2) {
            let [(a, b), (c, d)] = [&pair[0], &pair[1]].map(|minor| minor.number().expect("two"));
            assert_eq!((a, b + 1), (c, d), "{} follows {}", pair[1].minor, pair[0].minor);
            assert!(pair[0].supported_until < pair[1].supported_until);
        }
        let version = KubernetesVersion::parse("1.30.2").expect("a version");
        assert!(minors.iter().any(|minor| minor.is_of(version)));
        assert!(minors.iter().any(|minor| minor.is_before(version)));
    }
}
