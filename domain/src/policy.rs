//! Support policies as data: one TOML file per edition in `domain/policies`, each
//! rule with the address it was read from, told in our own words.

mod kubernetes;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp, civil};
use serde::Deserialize;

use crate::auto_repair::RepairStep;
use crate::check::midnight;
use crate::facts::{OsRelease, built_on};

pub use kubernetes::{KubeletPolicy, KubernetesMinor, PreviewSetting, SettingLimit};

/// The edition that is used when none is named.
pub const DEFAULT_EDITION: &str = "aks-2026";

/// The editions that ship with Nodeward, oldest first.
const EDITIONS: [(&str, &str); 6] = [
    ("aks-2020", include_str!("../policies/aks-2020.toml")),
    ("aks-ja", include_str!("../policies/aks-ja.toml")),
    ("faq-zh", include_str!("../policies/faq-zh.toml")),
    ("aks-es", include_str!("../policies/aks-es.toml")),
    ("aks-pl", include_str!("../policies/aks-pl.toml")),
    ("aks-2026", include_str!("../policies/aks-2026.toml")),
];

/// Between a policy and a FAQ that is taken beside it.
const BESIDE: char = '+';

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
    /// Whether it is a policy, or a FAQ that is taken beside one.
    #[serde(default)]
    kind: Kind,
    /// The rules that this edition has, by id.
    #[serde(rename = "rule")]
    rules: BTreeMap<String, Rule>,
    /// The container runtimes that the provider repairs, where the edition names others than
    /// those of today; empty where it repairs whichever runs.
    #[serde(default)]
    repaired_runtimes: Vec<String>,
    /// How the provider's repair behaves; of a FAQ nothing.
    #[serde(default)]
    pub auto_repair: AutoRepair,
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
    /// How many files the processes of units may have open.
    #[serde(rename = "open_files_limit", default)]
    pub open_files_limits: Vec<OpenFilesLimit>,
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
    /// How the kernel makes transparent huge pages, by operating system.
    #[serde(rename = "huge_page_default", default)]
    pub huge_page_defaults: Vec<HugePageDefault>,
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

/// What an edition is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A support policy.
    #[default]
    Policy,
    /// Answers to questions, which a policy stands beside.
    Faq,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the rule demands or promises, in our words.
    pub summary: String,
    /// Where it was read.
    pub source: String,
    /// What breaking it does to the support of a cluster.
    #[serde(default)]
    pub breach: Breach,
    /// Who could see whether it is kept.
    #[serde(default)]
    pub seen: Seen,
    /// The command or place that would tell, where a node does not.
    #[serde(default)]
    pub told_by: String,
    /// Whether it speaks of changes that the customer makes: what breaks by one of those is
    /// the customer's, whoever runs the component.
    #[serde(default)]
    pub is_about_changes: bool,
}

/// What breaking a rule does to the support of a cluster, worst last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Nothing: it is the provider's promise, or a line between both.
    None,
    /// What it is about may cost a request its support.
    #[default]
    Warn,
    /// There is no support.
    Block,
}

/// Who could see whether a rule is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A node shows it, at least in part.
    #[default]
    Node,
    /// It stands in the cluster's API server.
    Cluster,
    /// The provider alone knows it.
    Provider,
    /// Nobody needs to: the text tells how something is, and nothing can break it.
    Text,
}

/// How the provider's repair of nodes behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoRepair {
    /// Minutes after which it must be taken to have done all it will.
    pub exhausted_after_minutes: u32,
    /// Minutes for which a node must be seen not to be Ready, or be silent, to count as
    /// unhealthy.
    pub not_ready_for_minutes: u32,
    /// Minutes for which it must have been unhealthy before anything is done.
    pub unhealthy_for_minutes: u32,
    /// What is done, one after the other.
    pub steps: Vec<RepairStep>,
    /// How often the steps are gone through.
    pub rounds: u32,
    /// Minutes that all of it takes at the most.
    pub within_minutes: u32,
    /// Where it was read.
    pub source: String,
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

/// How many files the processes of a unit may have open, as the provider sets it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenFilesLimit {
    /// The unit.
    pub unit: String,
    /// `LimitNOFILE` of it.
    pub limit: u64,
    /// The drop-in by which the provider sets another where the customer asks it to.
    pub custom_drop_in: String,
    /// Where it was read.
    pub source: String,
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

/// How the kernel makes transparent huge pages on an operating system, unless the customer
/// sets it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HugePageDefault {
    /// `ID` of os-release(5).
    pub id: String,
    /// For whom it makes them.
    pub enabled: String,
    /// How hard it looks for room.
    pub defrag: String,
    #[serde(rename = "source")]
    _source: String,
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
    /// A FAQ is no policy.
    #[error(
        "{edition} is a FAQ and no policy: name it beside one, as in {DEFAULT_EDITION}+{edition}"
    )]
    FaqAlone {
        /// What was asked for.
        edition: String,
    },
    /// Beside a policy stands a FAQ alone.
    #[error("{edition} is a policy: beside one stands a FAQ alone")]
    TwoPolicies {
        /// What was named beside another.
        edition: String,
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
    /// The edition of that id; a FAQ may stand beside it, as in `aks-pl+faq-zh`.
    pub fn edition(edition: &str) -> Result<Self, PolicyError> {
        let mut named = edition.split(BESIDE);
        let mut policy = Self::file(named.next().unwrap_or_default())?;
        if policy.kind == Kind::Faq {
            return Err(PolicyError::FaqAlone { edition: policy.edition });
        }
        for beside in named {
            let faq = Self::file(beside)?;
            if faq.kind != Kind::Faq {
                return Err(PolicyError::TwoPolicies { edition: faq.edition });
            }
            policy.take_beside(faq);
        }
        Ok(policy)
    }

    /// The shipped file of that id.
    fn file(edition: &str) -> Result<Self, PolicyError> {
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

    /// Takes the rules of a FAQ beside its own. Where both speak, both are told, and the one
    /// that asks more of the customer decides.
    fn take_beside(&mut self, faq: Self) {
        self.edition = format!("{}{BESIDE}{}", self.edition, faq.edition);
        self.title = format!("{}; {}", self.title, faq.title);
        for (id, theirs) in faq.rules {
            match self.rules.get_mut(&id) {
                None => {
                    self.rules.insert(id, theirs);
                }
                Some(ours) => {
                    ours.summary = format!("{} The FAQ: {}", ours.summary, theirs.summary);
                    ours.source = format!("{} {}", ours.source, theirs.source);
                    ours.breach = ours.breach.max(theirs.breach);
                    ours.is_about_changes |= theirs.is_about_changes;
                }
            }
        }
    }

    /// All shipped editions, FAQs with them, oldest first, read once.
    #[must_use]
    pub fn shipped() -> &'static [Self] {
        static SHIPPED: LazyLock<Vec<Policy>> = LazyLock::new(|| {
            // Each is read by a test: one that could not be read would not be shipped.
            EDITIONS.into_iter().filter_map(|(id, _)| Policy::file(id).ok()).collect()
        });
        &SHIPPED
    }

    /// The ids of all shipped editions that may be named alone, oldest first.
    pub fn editions() -> impl Iterator<Item = &'static str> {
        Self::shipped()
            .iter()
            .filter(|policy| policy.kind == Kind::Policy)
            .map(|policy| policy.edition.as_str())
    }

    /// All its rules, by id.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().map(|(id, rule)| (id.as_str(), rule))
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

    /// Whether the provider's repair of components takes care of a unit. An edition from before
    /// containerd speaks of other runtimes.
    #[must_use]
    pub fn repairs(&self, unit: &str) -> bool {
        let is_named = |runtime: &String| unit.strip_suffix(".service") == Some(runtime);
        unit != "containerd.service"
            || self.repaired_runtimes.is_empty()
            || self.repaired_runtimes.iter().any(is_named)
    }

    /// Whether the provider's repair takes care of Docker, as it did when that was the runtime
    /// of its nodes.
    #[must_use]
    pub fn repairs_docker(&self) -> bool {
        self.repaired_runtimes.iter().any(|runtime| matches!(runtime.as_str(), "docker" | "moby"))
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
    fn every_file_is_an_edition_or_a_faq_and_they_stand_by_age() {
        assert_eq!(Policy::shipped().len(), EDITIONS.len());
        assert!(Policy::shipped().is_sorted_by_key(|policy| policy.as_of));
        assert_eq!(Policy::editions().count(), EDITIONS.len() - 1);
        for edition in Policy::editions() {
            let AutoRepair { rounds, steps, within_minutes, .. } =
                Policy::edition(edition).expect("a shipped edition").auto_repair;
            assert!(rounds > 0 && within_minutes > 0 && !steps.is_empty(), "{edition}");
        }
    }

    #[test]
    fn an_edition_from_before_containerd_does_not_repair_it() {
        for (edition, repairs) in [("aks-2020", false), ("aks-ja", true), ("aks-2026", true)] {
            let policy = Policy::edition(edition).expect("a shipped edition");
            assert_eq!(policy.repairs("containerd.service"), repairs, "{edition}");
            assert!(policy.repairs("kubelet.service"), "{edition}");
        }
    }

    #[test]
    fn what_no_node_shows_says_who_would() {
        for policy in Policy::shipped() {
            for (id, rule) in policy.rules() {
                let has_place = !rule.told_by.is_empty();
                let needs_one = matches!(rule.seen, Seen::Cluster | Seen::Provider);
                assert_eq!(has_place, needs_one, "{}: {id}", policy.edition);
            }
        }
    }

    #[test]
    fn a_faq_stands_beside_a_policy_and_never_alone() {
        let alone = Policy::edition("faq-zh").expect_err("no policy").to_string();
        assert!(alone.contains("aks-2026+faq-zh"), "{alone}");
        assert!(Policy::edition("aks-pl+aks-es").is_err());
        assert!(Policy::edition("aks-pl+faq-en").is_err());
        let polish = Policy::edition("aks-pl").expect("a shipped edition");
        let both = Policy::edition("aks-pl+faq-zh").expect("a policy and a FAQ");
        let lacking = Standing::Lacking { first_edition: Some("faq-zh") };
        assert_eq!(polish.rule("time-chrony-localhost"), lacking);
        assert!(matches!(both.rule("time-chrony-localhost"), Standing::InForce(_)));
        assert_eq!(both.patch_age_limit(), polish.patch_age_limit());
        // Both speak of it: both are told.
        let Standing::InForce(rule) = both.rule("egress-required") else { panic!("a rule") };
        assert!(rule.source.contains("learn.microsoft.com") && rule.source.contains("azure.cn"));
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
        assert_eq!(
            policy.rule("cve-provider-acts"),
            Standing::Lacking { first_edition: Some("aks-es") }
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
