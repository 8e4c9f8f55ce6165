//! Support policies as data: one TOML file per edition in `domain/policies`, each
//! rule with the address it was read from, told in our own words.

mod kubernetes;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp, civil};
use serde::Deserialize;

use crate::check::midnight;
use crate::facts::{OsRelease, built_on};

pub use kubernetes::{KubeletPolicy, KubernetesMinor, PreviewSetting, SettingLimit};

/// The edition that is used when none is named.
pub const DEFAULT_EDITION: &str = "aks-2026";

/// The editions that ship with Nodeward, oldest first.
const EDITIONS: [(&str, &str); 2] = [
    ("aks-2020", include_str!("../policies/aks-2020.toml")),
    ("aks-2026", include_str!("../policies/aks-2026.toml")),
];

/// One edition of a provider's support policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The edition's id, equal to the file's name.
    pub edition: String,
    /// The provider's name for screens.
    pub provider: String,
    /// What the edition is, for people.
    pub title: String,
    /// The day of the text or, where the text has none, the best estimate.
    pub as_of: civil::Date,
    /// The rules that this edition has, by id.
    #[serde(rename = "rule")]
    rules: BTreeMap<String, Rule>,
    /// How the provider's repair behaves.
    auto_repair: AutoRepair,
    /// How old a node's image may be; none in editions without that rule.
    pub node_image_age: Option<NodeImageAge>,
    /// From which age on a missing fix is the provider's; none in editions without that
    /// rule.
    patch_age: Option<PatchAge>,
    /// Operating systems that nodes may run.
    #[serde(rename = "offered_os", default)]
    pub offered_os: Vec<OfferedOs>,
    /// Kernel parameters that may be set, and how far.
    #[serde(rename = "sysctl_range", default)]
    pub sysctl_ranges: Vec<SysctlRange>,
    /// Drop-ins of units that the provider ships.
    #[serde(default)]
    pub shipped_drop_ins: Vec<ShippedDropIns>,
    /// Units that the provider's images and provisioning bring.
    #[serde(default)]
    pub provider_units: ProviderUnits,
    /// Extensions of the virtual machine that the provider brings.
    #[serde(default)]
    pub provider_extensions: ProviderExtensions,
    /// Announced ends of kinds of pod networks.
    #[serde(rename = "network_retirement", default)]
    pub network_retirements: Vec<NetworkRetirement>,
    /// Modes in which kube-proxy may run.
    #[serde(rename = "kube_proxy_mode", default)]
    pub kube_proxy_modes: Vec<KubeProxyMode>,
    /// The support of Kubernetes versions, oldest first.
    #[serde(rename = "kubernetes_minor", default)]
    pub kubernetes_minors: Vec<KubernetesMinor>,
    /// How a kubelet may be set up.
    #[serde(default)]
    pub kubelet: KubeletPolicy,
    /// Lines of images of which no newer one comes.
    #[serde(rename = "frozen_line", default)]
    pub frozen_lines: Vec<FrozenLine>,
    /// Announced ends of operating systems.
    #[serde(rename = "os_retirement", default)]
    pub os_retirements: Vec<OsRetirement>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the rule demands or promises, in our words.
    pub summary: String,
    /// Where it was read.
    pub source: String,
}

/// How the provider's repair of nodes behaves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoRepair {
    /// Minutes after which it must be taken to have done all it will.
    exhausted_after_minutes: u32,
    #[serde(rename = "source")]
    _source: String,
}

/// How old a node's image may be, in days since it was built.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeImageAge {
    /// From then on it is worth a warning.
    pub warn_after_days: u32,
    /// From then on it is not supported.
    pub unsupported_after_days: u32,
    #[serde(rename = "source")]
    _source: String,
}

/// From which age on a missing fix is the provider's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchAge {
    /// Days of 24 hours; what is exactly so old is not yet over.
    over_after_days: u32,
    #[serde(rename = "source")]
    _source: String,
}

/// An operating system that the provider offers on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferedOs {
    /// `ID` of os-release(5).
    pub id: String,
    /// Where it was read.
    pub source: String,
}

/// The announced end of an operating system on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsRetirement {
    /// `ID` of os-release(5).
    pub id: String,
    /// `VERSION_ID` of os-release(5); a trailing `*` stands for any rest.
    pub version: String,
    /// From this day (UTC) there are no more images and no support.
    pub unsupported_on: civil::Date,
    /// From this day (UTC) its images are gone: pools on it neither scale nor heal.
    pub images_removed_on: civil::Date,
    /// Where it was read.
    pub source: String,
}

/// A line of images that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenLine {
    /// The line, as the image's own list names it: `V2gen2`.
    pub definition: String,
    /// Its last image.
    pub last: String,
    /// Where it was read.
    pub source: String,
}

/// The announced end of a kind of pod network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRetirement {
    /// The kind, such as `kubenet`.
    pub network: String,
    /// From this day (UTC) it is gone.
    pub retired_on: civil::Date,
    /// What takes its place.
    pub instead: String,
    /// Where it was read.
    pub source: String,
}

/// A mode in which kube-proxy may run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubeProxyMode {
    /// As kube-proxy names it.
    pub mode: String,
    /// How the provider stands to it.
    pub standing: ModeStanding,
    /// Where it was read.
    pub source: String,
}

/// How a provider stands to a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeStanding {
    /// Clusters have it unless another one is chosen.
    Default,
    /// It may be chosen.
    Offered,
    /// It may be chosen, and is supported as best effort.
    Preview,
}

/// How far a kernel parameter may be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlRange {
    /// The parameter.
    pub key: String,
    /// The lowest value of each of its parts.
    pub min: Vec<i64>,
    /// The highest value of each of its parts.
    pub max: Vec<i64>,
    /// Where it was read.
    pub source: String,
}

/// The drop-ins that the provider's images and provisioning write for a unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShippedDropIns {
    /// The unit.
    pub unit: String,
    /// Their file names.
    pub names: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

/// The units that the provider's images and provisioning bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderUnits {
    /// Their names; of a template without what stands between `@` and `.`.
    pub names: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

impl ProviderUnits {
    /// Whether the provider brings the unit.
    #[must_use]
    pub fn has(&self, unit: &str) -> bool {
        let template = unit.split_once('@').and_then(|(name, rest)| {
            let (_, kind) = rest.rsplit_once('.')?;
            Some(format!("{name}@.{kind}"))
        });
        let is_named = |name: &String| name == unit || Some(name) == template.as_ref();
        self.names.iter().any(is_named)
    }
}

/// Extensions of the virtual machine that the provider brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderExtensions {
    /// Publisher and type of each.
    pub names: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

impl ProviderExtensions {
    /// Whether the provider brings the extension. Letter case is ignored, as by Azure.
    #[must_use]
    pub fn has(&self, extension: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(extension))
    }
}

impl SysctlRange {
    /// Whether a value is within the range. One that is no number, or has another
    /// number of parts, is not.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        let parts: Vec<&str> = value.split_whitespace().collect();
        let limits = self.min.iter().zip(&self.max);
        parts.len() == self.min.len().min(self.max.len())
            && parts.iter().zip(limits).all(|(part, (min, max))| {
                part.parse::<i64>().is_ok_and(|part| (*min..=*max).contains(&part))
            })
    }
}

impl std::fmt::Display for SysctlRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (part, (min, max)) in self.min.iter().zip(&self.max).enumerate() {
            let between = if part == 0 { "" } else { ", " };
            write!(f, "{between}{min} to {max}")?;
        }
        Ok(())
    }
}

impl OsRetirement {
    /// Whether this is about that operating system.
    #[must_use]
    pub fn is_about(&self, id: &str, version_id: &str) -> bool {
        self.id == id
            && self
                .version
                .strip_suffix('*')
                .map_or_else(|| self.version == version_id, |start| version_id.starts_with(start))
    }
}

/// How a rule stands in an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// The edition has it.
    InForce(&'a Rule),
    /// The edition lacks it.
    Lacking {
        /// The oldest shipped edition that has it.
        first_edition: Option<&'static str>,
    },
}

/// Why an edition could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// There is no such edition.
    #[error("no policy edition {edition:?}; there are {known}")]
    UnknownEdition {
        /// What was asked for.
        edition: String,
        /// The ids of all editions, separated by commas.
        known: String,
    },
    /// The file is not a policy.
    #[error("policy edition {edition:?} cannot be read")]
    Malformed {
        /// The edition.
        edition: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Policy {
    /// The shipped edition of that id.
    pub fn edition(edition: &str) -> Result<Self, PolicyError> {
        let (_, text) = EDITIONS.into_iter().find(|(id, _)| *id == edition).ok_or_else(|| {
            PolicyError::UnknownEdition {
                edition: edition.to_owned(),
                known: EDITIONS.map(|(id, _)| id).join(", "),
            }
        })?;
        toml::from_str(text).map_err(|source| PolicyError::Malformed {
            edition: edition.to_owned(),
            source: Box::new(source),
        })
    }

    /// All shipped editions, oldest first, read once.
    #[must_use]
    pub fn shipped() -> &'static [Self] {
        static SHIPPED: LazyLock<Vec<Policy>> = LazyLock::new(|| {
            // Each is read by a test: one that could not be read would not be shipped.
            Policy::editions().filter_map(|edition| Policy::edition(edition).ok()).collect()
        });
        &SHIPPED
    }

    /// The ids of all shipped editions, oldest first.
    pub fn editions() -> impl Iterator<Item = &'static str> {
        EDITIONS.into_iter().map(|(id, _)| id)
    }

    /// The ids of all its rules, sorted.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// How a rule stands in this edition.
    #[must_use]
    pub fn rule(&self, id: &str) -> Standing<'_> {
        self.rules.get(id).map_or_else(
            || Standing::Lacking {
                first_edition: Self::shipped()
                    .iter()
                    .find(|policy| policy.rules.contains_key(id))
                    .map(|policy| policy.edition.as_str()),
            },
            Standing::InForce,
        )
    }

    /// A missing fix that is older than this is over the line that the edition draws; none
    /// in editions that draw none.
    #[must_use]
    pub fn patch_age_limit(&self) -> Option<SignedDuration> {
        let limit = self.patch_age.as_ref()?;
        Some(SignedDuration::from_hours(24 * i64::from(limit.over_after_days)))
    }

    /// Whether an operating system has left support.
    #[must_use]
    pub fn is_retired(&self, os: &OsRelease, now: Timestamp) -> bool {
        self.os_retirements
            .iter()
            .filter(|retirement| retirement.is_about(&os.id, &os.version_id))
            .filter_map(|retirement| midnight(retirement.unsupported_on))
            .any(|end| now >= end)
    }

    /// The end of a line of images, by the name that an image's own list has for it; none while
    /// newer images come, or where nothing is known of the line.
    #[must_use]
    pub fn frozen_line(&self, definition: &str, now: Timestamp) -> Option<&FrozenLine> {
        self.frozen_lines
            .iter()
            .find(|line| line.definition == definition)
            .filter(|line| built_on(&line.last).and_then(midnight).is_none_or(|last| now >= last))
    }

    /// After this long the provider's repair must be taken to have done all it will.
    #[must_use]
    pub fn auto_repair_exhausted_after(&self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.auto_repair.exhausted_after_minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_edition_reads_and_is_named_like_its_file() {
        for edition in Policy::editions() {
            let policy = Policy::edition(edition).expect("a shipped edition");
            assert_eq!(policy.edition, edition);
            assert!(!policy.rules.is_empty());
            for (id, rule) in &policy.rules {
                assert!(rule.source.starts_with("https://"), "{edition}: {id} names no source");
            }
        }
    }

    #[test]
    fn the_default_edition_is_shipped() {
        assert!(Policy::edition(DEFAULT_EDITION).is_ok());
    }

    #[test]
    fn an_edition_that_is_not_there_is_refused_with_the_list_of_those_that_are() {
        let error = Policy::edition("aks-1999").expect_err("no such edition").to_string();
        assert!(error.contains("aks-1999") && error.contains("aks-2026"), "{error}");
    }

    #[test]
    fn a_lacking_rule_names_the_first_edition_that_has_it() {
        let policy = Policy::edition("aks-2020").expect("a shipped edition");
        assert_eq!(
            policy.rule("os-retirement"),
            Standing::Lacking { first_edition: Some("aks-2026") }
        );
        assert_eq!(policy.rule("no-such-rule"), Standing::Lacking { first_edition: None });
    }

    #[test]
    fn a_range_holds_every_part_of_a_value() {
        let policy = Policy::edition("aks-2026").expect("a shipped edition");
        let allows = |key: &str, value: &str| {
            let range = policy.sysctl_ranges.iter().find(|range| range.key == key);
            range.expect("a range of that key").allows(value)
        };
        assert!(allows("net.core.somaxconn", "16384"));
        assert!(!allows("net.core.somaxconn", "128"));
        assert!(allows("fs.file-max", "9223372036854775807"));
        assert!(allows("net.ipv4.ip_local_port_range", "32768 60999"));
        assert!(!allows("net.ipv4.ip_local_port_range", "80 60999"));
        assert!(!allows("net.ipv4.ip_local_port_range", "32768"));
        assert!(!allows("vm.swappiness", "many"));
    }

    #[test]
    fn every_range_has_as_many_highest_as_lowest_values() {
        for edition in Policy::editions() {
            for range in Policy::edition(edition).expect("a shipped edition").sysctl_ranges {
                assert_eq!(range.min.len(), range.max.len(), "{edition}: {}", range.key);
                assert!(!range.min.is_empty(), "{edition}: {}", range.key);
            }
        }
    }

    #[test]
    fn a_star_at_the_end_of_a_version_stands_for_any_rest() {
        let retirement = OsRetirement {
            id: "azurelinux".to_owned(),
            version: "2.*".to_owned(),
            unsupported_on: civil::date(2025, 11, 30),
            images_removed_on: civil::date(2026, 3, 31),
            source: String::new(),
        };
        assert!(retirement.is_about("azurelinux", "2.0"));
        assert!(!retirement.is_about("azurelinux", "3.0"));
        assert!(!retirement.is_about("mariner", "2.0"));
    }
}
