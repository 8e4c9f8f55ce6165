//! What the provider's own scanner says of an image release and of the container images that
//! are cached on it: a second opinion. It has no dates of fixes, severities or fixed versions,
//! and its silence, about kernels above all, is no all-clear.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AliasId;
use crate::image::ImageLabel;

/// What the provider says of one image release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// The family, as the node's label names it: `AKSUbuntu-2204gen2containerd`.
    pub family: String,
    /// The release: `202601.27.0`.
    pub version: String,
    /// The one before it, by the provider's word: not always the one built before it.
    pub previous_version: Option<String>,
    /// Of when the report is.
    pub reported_at: Timestamp,
    /// Packages, by name and version: binary or source, which it does not say.
    #[serde(with = "pairs")]
    pub packages: BTreeMap<(String, String), PackageOpinion>,
    /// Container images, by their name.
    pub containers: BTreeMap<String, ContainerOpinion>,
}

/// A map whose keys are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// What it says of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageOpinion {
    /// What there is a fix for that this version lacks.
    pub active: BTreeSet<AliasId>,
    /// What this version has fixed of the one before.
    pub mitigated: BTreeSet<AliasId>,
}

/// What it says of a container image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerOpinion {
    /// Names with tags that are cached on the node image.
    pub tags: BTreeSet<String>,
    /// Digests of them, of every platform.
    pub digests: BTreeSet<String>,
    /// What there is a fix for that they lack.
    pub active: BTreeSet<AliasId>,
}

/// What the provider says of where the vulnerabilities of one package were seen, and where
/// they no longer are. An image that stands in neither is not spoken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MitigationReport {
    /// The package: binary or source, which it does not say.
    pub package: String,
    /// Of when the report is.
    pub reported_at: Timestamp,
    /// By vulnerability.
    #[serde(with = "pairs")]
    pub mitigations: BTreeMap<AliasId, Mitigation>,
}

/// Where a vulnerability of a package was seen, and where it no longer is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mitigation {
    /// Versions of the package that have it.
    pub seen_in_versions: BTreeSet<String>,
    /// Versions of the package that have it no longer.
    pub mitigated_in_versions: BTreeSet<String>,
    /// Node images that have it.
    pub seen_in: BTreeSet<ImageLabel>,
    /// Node images that have it no longer.
    pub mitigated_in: BTreeSet<ImageLabel>,
}
