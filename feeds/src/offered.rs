//! What operators hand in about their node pools: which image is offered to each, how an
//! upgrade goes through it, what room there is. Sources of the forms: what `az aks nodepool
//! get-upgrades`, `az aks nodepool list`, `az aks show` and `az aks list` write with
//! `-o json`, the same answers of the REST interface, and a file of our own, as TOML:
//!
//! ```toml
//! [[offered]]
//! cluster = "prod-west"
//! pool = "user*"                          # `*` stands for any run of characters
//! image = "AKSUbuntu-2204gen2containerd-202607.02.0"
//! as_of = "2026-11-20"                    # when it was so; the import's time if left out
//!
//! [[pool]]                                # stands in the place of what the provider says
//! cluster = "prod-west"
//! pool = "user1"
//! processors_per_node = 8
//! addresses_per_node = 31
//! channel = "NodeImage"
//! max_surge = "33%"
//! tags = { env = "prod" }                 # all that it has
//!
//! [[cluster]]
//! cluster = "prod-west"
//! region = "westeurope"
//! channel = "NodeImage"
//!
//! [[quota]]
//! cluster = "prod-west"
//! region = "westeurope"
//! vm_family = "standardDSv5Family"        # or "any"
//! processors_free = 40
//!
//! [[subnet]]
//! cluster = "prod-west"
//! addresses_free = 200
//! ```

mod provider;
mod stated;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeward_domain::pool::{
    ClusterProfile, ClusterResource, OfferedImage, OfferedPattern, PoolKey, PoolOverride,
    PoolProfile, Quota, Subnet,
};

use crate::instant::InstantError;
use crate::unread::{self, Unread};

/// The longest file that is read. A pool takes 3 kB of it.
pub const LONGEST_FILE_BYTES: usize = 16 << 20;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum OfferedError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It begins as JSON, and is none. The source names line and column.
    #[error("{file}: no JSON")]
    Json {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// It is no TOML, or not of our form.
    #[error("{file}:{line}: {what}")]
    Toml {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Something in it is of no kind that is read.
    #[error(
        "{file}: {place}: neither a node pool, its upgrade profile, nor a managed cluster: {what}"
    )]
    Kind {
        /// The file.
        file: String,
        /// Where in it.
        place: String,
        /// By what that is seen.
        what: String,
    },
    /// A field of a pool or a cluster says something that cannot be.
    #[error("{file}: {place}: {field}: {what}")]
    Field {
        /// The file.
        file: String,
        /// The pool or the cluster.
        place: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// A line of our form says something that cannot be.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A line of our form has a time that is none.
    #[error("{file}:{line}: as_of")]
    AsOf {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// One thing is said twice.
    #[error("{file}: {what} stands twice")]
    Twice {
        /// The file.
        file: String,
        /// What.
        what: String,
    },
    /// Two clusters of the provider would become one.
    #[error(
        "{file}: {one} and {other} would both be cluster {name:?}: give each its own name, file by \
         file, with --cluster NAME"
    )]
    Clusters {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// It is a part of a longer answer.
    #[error("{file}: one page of a longer list (nextLink): ask for all of it")]
    Page {
        /// The file.
        file: String,
    },
    /// There is nothing in it.
    #[error("{file}: nothing is in it")]
    Nothing {
        /// The file.
        file: String,
    },
}

/// What clusters are called in the fleet, where the provider calls them otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterNames {
    one: Option<String>,
    by_provider: BTreeMap<String, String>,
}

impl ClusterNames {
    /// Whatever cluster a file is about, it is this one. A file of several is refused.
    #[must_use]
    pub fn one(name: &str) -> Self {
        Self { one: Some(name.to_owned()), by_provider: BTreeMap::new() }
    }

    /// By the provider's name, `aks-prod`, or `resource-group/aks-prod` where one name is
    /// there in several groups. Others keep the name that the provider gives.
    #[must_use]
    pub fn mapped<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pair = |(provider, name): (&str, &str)| (provider.to_lowercase(), name.to_owned());
        Self { one: None, by_provider: names.into_iter().map(pair).collect() }
    }

    fn of(&self, group: &str, cluster: &str) -> String {
        let mapped = || {
            let (group, cluster) = (group.to_lowercase(), cluster.to_lowercase());
            let by_both = self.by_provider.get(&format!("{group}/{cluster}"));
            by_both.or_else(|| self.by_provider.get(&cluster))
        };
        self.one.as_ref().or_else(mapped).map_or_else(|| cluster.to_owned(), String::clone)
    }
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Images that are offered to pools, by pool.
    pub offered: Vec<OfferedImage>,
    /// Pools for which the provider was asked, and named no image. That is no answer.
    pub unnamed: Vec<PoolKey>,
    /// Images that are offered to every pool of a pattern.
    pub offered_by_pattern: Vec<OfferedPattern>,
    /// Pools, by name.
    pub pools: Vec<PoolProfile>,
    /// Clusters, by name.
    pub clusters: Vec<ClusterProfile>,
    /// By their names in the fleet, what the provider names the clusters that it told of.
    pub resources: BTreeMap<String, ClusterResource>,
    /// What stands in the place of what the provider says of pools, in the file's order.
    pub overrides: Vec<PoolOverride>,
    /// Processors that may still be taken.
    pub quotas: Vec<Quota>,
    /// Addresses that are still free.
    pub subnets: Vec<Subnet>,
    /// What stands in the file and could not be used, for the operator's eyes.
    pub remarks: Vec<String>,
}

impl Told {
    /// The image that is offered to a pool of a line of images. What names the pool itself
    /// goes before any pattern, the longer pattern before the shorter, the later before the
    /// earlier. Patterns say something of their image's own line only.
    #[must_use]
    pub fn offered_to(&self, key: &PoolKey, family: Option<&str>) -> Option<OfferedImage> {
        let own = self.offered.iter().filter(|offered| offered.key == *key);
        if let Some(offered) = own.max_by_key(|offered| offered.as_of) {
            return Some(offered.clone());
        }
        let of_line = |pattern: &&OfferedPattern| {
            family.is_some_and(|family| family.eq_ignore_ascii_case(&pattern.image.family))
        };
        let patterns = self.offered_by_pattern.iter().filter(of_line);
        let covering = patterns.filter(|pattern| pattern.pools.covers(key));
        covering.max_by_key(|pattern| (pattern.pools.pool.len(), pattern.as_of))?.to(key)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads a file; which form it has is seen by its content. Answers of the provider's tools
/// carry no time and count as of `now`. `names` says what clusters are called in the fleet.
pub fn read_offered(
    file: &str,
    bytes: &[u8],
    now: Timestamp,
    names: &ClusterNames,
) -> Result<Told, OfferedError> {
    let text = unread::text(file, unread::without_mark(bytes), LONGEST_FILE_BYTES)?;
    let mut told = match is_json(text) {
        true => provider::read(file, text, now, names)?,
        false => stated::read(file, text, now, names)?,
    };
    if told.is_empty() {
        return Err(OfferedError::Nothing { file: file.to_owned() });
    }
    told.offered.sort();
    told.unnamed.sort();
    told.pools.sort_by(|a, b| a.key.cmp(&b.key));
    told.clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    Ok(told)
}

/// Whether a text begins as JSON does. TOML may begin with `[pool]` or `[[pool]]`.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let inside = text.trim_start_matches(|c: char| c == '[' || c.is_whitespace());
    let brackets = text[..text.len() - inside.len()].matches('[').count();
    match brackets {
        0 => text.starts_with('{'),
        1 | 2 => !inside.starts_with(char::is_alphabetic),
        _ => true,
    }
}

/// Longer than any name or value that is read.
const LONGEST_TEXT_BYTES: usize = 1024;

/// A text that can be kept: not empty, of a sane length, without control characters.
fn plain(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > LONGEST_TEXT_BYTES {
        return Err(format!("{} bytes are more than are read of it", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("there are control characters in it".to_owned());
    }
    Ok(text.to_owned())
}
