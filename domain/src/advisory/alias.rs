//! Names of vulnerabilities, and how bad a vendor takes them to be. Source: the CVE
//! programme's rules for ids; the words that vendors use for severities.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AliasId {
    /// `CVE-year-number`.
    Cve {
        /// The year.
        year: u16,
        /// The number, of four digits at least.
        number: u32,
    },
    /// Any other name, such as `GHSA-…`.
    Other(Arc<str>),
}

impl AliasId {
    /// Reads a name. A tracker's own prefix of a CVE (`UBUNTU-`, `DEBIAN-`) is left out,
    /// because all of them speak of the same vulnerability.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let name = name.trim();
        let plain = ["UBUNTU-", "DEBIAN-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .filter(|rest| rest.starts_with("CVE-"))
            .unwrap_or(name);
        Self::cve(plain).unwrap_or_else(|| Self::Other(Arc::from(plain)))
    }

    fn cve(name: &str) -> Option<Self> {
        let (year, number) = name.strip_prefix("CVE-")?.split_once('-')?;
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        // Only what is written back as it stood.
        let is_plain = number.len() == 4 || (number.len() > 4 && !number.starts_with('0'));
        (year.len() == 4 && are_digits(year) && is_plain && are_digits(number))
            .then(|| Some(Self::Cve { year: year.parse().ok()?, number: number.parse().ok()? }))?
    }

    /// Whether it is a CVE.
    #[must_use]
    pub const fn is_cve(&self) -> bool {
        matches!(self, Self::Cve { .. })
    }
}

impl std::fmt::Display for AliasId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cve { year, number } => write!(f, "CVE-{year:04}-{number:04}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Serialize for AliasId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AliasId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&String::deserialize(deserializer)?))
    }
}

/// How bad a vendor takes a vulnerability to be for its own packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// It has not said.
    Unrated,
    /// Hardly worth a fix.
    Negligible,
    /// Low.
    Low,
    /// Medium, or moderate.
    Medium,
    /// High, or important.
    High,
    /// Critical.
    Critical,
}

impl Rating {
    /// All of them, the least first.
    pub const ALL: [Self; 6] =
        [Self::Unrated, Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Reads a vendor's word, in any case of letters. A word that is not known rates nothing.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "negligible" | "unimportant" => Self::Negligible,
            "low" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Unrated,
        }
    }

    /// The word for screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unrated => "unrated",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A name under which an advisory speaks of a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alias {
    /// The name.
    pub id: AliasId,
    /// How bad the vendor takes it to be.
    pub rating: Rating,
}

/// A list of names: each once with its worst rating, sorted.
#[must_use]
pub fn sorted(mut aliases: Vec<Alias>) -> Arc<[Alias]> {
    aliases.sort_by(|a, b| (&a.id, b.rating).cmp(&(&b.id, a.rating)));
    aliases.dedup_by(|later, first| later.id == first.id);
    aliases.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read_but_for_a_trackers_prefix() {
        for (read, written) in [
            ("CVE-2024-6387", "CVE-2024-6387"),
            ("UBUNTU-CVE-2024-0001", "CVE-2024-0001"),
            ("DEBIAN-CVE-2026-1234567", "CVE-2026-1234567"),
            (" GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-cccc"),
            ("CVE-2024-00123", "CVE-2024-00123"),
            ("CVE-2024-123", "CVE-2024-123"),
            ("CVE-2024-99999999999", "CVE-2024-99999999999"),
            ("UBUNTU-PRO", "UBUNTU-PRO"),
        ] {
            assert_eq!(AliasId::of(read).to_string(), written);
        }
        assert!(AliasId::of("CVE-2024-0001") < AliasId::of("CVE-2024-10000"));
    }

    #[test]
    fn a_name_that_stands_twice_keeps_its_worst_rating() {
        let alias = |id: &str, rating| Alias { id: AliasId::of(id), rating };
        let list = sorted(vec![
            alias("CVE-2024-2", Rating::Low),
            alias("CVE-2024-0001", Rating::Unrated),
            alias("CVE-2024-2", Rating::High),
        ]);
        assert_eq!(
            &*list,
            [alias("CVE-2024-0001", Rating::Unrated), alias("CVE-2024-2", Rating::High)]
        );
    }
}
