//! Streams: a distribution's release and, of it, the tier whose updates a node takes. Facts
//! of fixes hang on this triple, never on a vulnerability alone. Sources: os-release(5),
//! the ecosystems of OSV, Ubuntu's pockets.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::version::key::Order;

/// Who makes the packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Azure Linux 3 and later.
    AzureLinux,
    /// Debian.
    Debian,
    /// CBL-Mariner, as Azure Linux called itself up to 2.0.
    Mariner,
    /// Ubuntu.
    Ubuntu,
    /// No distribution: the project itself, of an ecosystem of OSV such as `Go`. Never mixed
    /// with packages of the same name that a distribution makes.
    Upstream(Arc<str>),
    /// One that Nodeward does not know, by its own name.
    Other(Arc<str>),
}

impl Distribution {
    /// By whose rules its versions are ordered; none where that is not known.
    #[must_use]
    pub const fn order(&self) -> Option<Order> {
        match self {
            Self::AzureLinux | Self::Mariner => Some(Order::Rpm),
            Self::Debian | Self::Ubuntu => Some(Order::Dpkg),
            Self::Upstream(_) => Some(Order::Semver),
            Self::Other(_) => None,
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::AzureLinux => "Azure Linux",
            Self::Debian => "Debian",
            Self::Mariner => "CBL-Mariner",
            Self::Ubuntu => "Ubuntu",
            Self::Upstream(name) | Self::Other(name) => name,
        }
    }
}

/// Which updates of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Those that every node gets.
    Base,
    /// Ubuntu Pro: longer and wider security maintenance (ESM).
    Pro,
    /// FIPS 140, as it was certified.
    Fips,
    /// FIPS 140 with fixes since.
    FipsUpdates,
    /// FIPS 140 before its certificate.
    FipsPreview,
    /// Any other, by the vendor's own word.
    Other(Arc<str>),
}

impl Tier {
    /// Whether its packages are modules of FIPS 140, which other tiers never replace.
    #[must_use]
    pub const fn is_fips(&self) -> bool {
        matches!(self, Self::Fips | Self::FipsUpdates | Self::FipsPreview)
    }

    /// The word of the tier.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Base => "base",
            Self::Pro => "pro",
            Self::Fips => "fips",
            Self::FipsUpdates => "fips-updates",
            Self::FipsPreview => "fips-preview",
            Self::Other(word) => word,
        }
    }
}

/// The tiers whose updates a node takes. Base is always among them.
pub type Tiers = BTreeSet<Tier>;

/// A line of updates: distribution, release and tier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stream {
    /// The distribution.
    pub distribution: Distribution,
    /// Its release, as `VERSION_ID` of os-release(5) has it: `22.04`, `12`, `3.0`. Empty
    /// where there is none.
    pub release: Arc<str>,
    /// The tier.
    pub tier: Tier,
}

impl Stream {
    /// The base stream of a node, by `ID` and `VERSION_ID` of os-release(5).
    #[must_use]
    pub fn of_os_release(id: &str, version_id: &str) -> Self {
        let distribution = match id {
            "ubuntu" => Distribution::Ubuntu,
            "debian" => Distribution::Debian,
            "mariner" => Distribution::Mariner,
            // It was renamed, and kept its packages.
            "azurelinux" if version_id.starts_with("2.") => Distribution::Mariner,
            "azurelinux" => Distribution::AzureLinux,
            other => Distribution::Other(Arc::from(other)),
        };
        // Point releases of Debian are none of their own.
        let release = match distribution {
            Distribution::Debian => version_id.split('.').next().unwrap_or_default(),
            _ => version_id,
        };
        Self { distribution, release: Arc::from(release), tier: Tier::Base }
    }

    /// The same release in another tier.
    #[must_use]
    pub fn in_tier(&self, tier: Tier) -> Self {
        Self { tier, ..self.clone() }
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.distribution.name())?;
        if !self.release.is_empty() {
            write!(f, " {}", self.release)?;
        }
        match &self.tier {
            Tier::Base => Ok(()),
            Tier::Pro => f.write_str(" Pro"),
            tier => write!(f, " {}", tier.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_of_the_stream_that_their_os_release_names() {
        for (id, version, name) in [
            ("ubuntu", "22.04", "Ubuntu 22.04"),
            ("debian", "12", "Debian 12"),
            ("debian", "12.11", "Debian 12"),
            ("azurelinux", "3.0", "Azure Linux 3.0"),
            ("azurelinux", "2.0", "CBL-Mariner 2.0"),
            ("mariner", "2.0", "CBL-Mariner 2.0"),
            ("flatcar", "4230.2.1", "flatcar 4230.2.1"),
        ] {
            assert_eq!(Stream::of_os_release(id, version).to_string(), name);
        }
        let pro = Stream::of_os_release("ubuntu", "20.04").in_tier(Tier::FipsUpdates);
        assert_eq!(pro.to_string(), "Ubuntu 20.04 fips-updates");
    }
}
