//! Ranges of versions, as feeds write them: OSV's events, OVAL's operations.

use std::sync::Arc;

use crate::version::key::{KeyRange, Order, VersionError, VersionKey, just_above};
use serde::{Deserialize, Serialize};

use super::Epochs;

/// Where a range of versions begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lower {
    /// With the first version there ever was.
    Open,
    /// With that one: `>=`.
    AtLeast(Arc<str>),
    /// With whatever follows that one: `>`.
    Above(Arc<str>),
}

/// Where a range of versions ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Upper {
    /// Before that one: `<`.
    Below(Arc<str>),
    /// With that one: `<=`.
    UpTo(Arc<str>),
    /// Nowhere.
    Open,
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// Where it begins.
    pub lower: Lower,
    /// Where it ends.
    pub upper: Upper,
}

/// A bound of a range that is no version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("the version {version:?} {why}")]
pub struct BoundError {
    /// What stands there.
    pub version: String,
    /// Why it is none.
    pub why: VersionError,
}

impl Range {
    /// Every version.
    pub const ALL: Self = Self { lower: Lower::Open, upper: Upper::Open };

    /// All versions before that one.
    #[must_use]
    pub fn below(version: impl Into<Arc<str>>) -> Self {
        Self { lower: Lower::Open, upper: Upper::Below(version.into()) }
    }

    /// The range as sort keys.
    pub fn keys(&self, order: Order, epochs: Epochs) -> Result<KeyRange, BoundError> {
        let key = |version: &str| {
            let key = VersionKey::parse(order, version)
                .map_err(|why| BoundError { version: version.to_owned(), why })?;
            Ok(match epochs {
                Epochs::Compared => key.bytes().to_vec(),
                Epochs::Ignored => key.without_epoch().to_vec(),
            })
        };
        let lower = match &self.lower {
            Lower::Open => Vec::new(),
            Lower::AtLeast(version) => key(version)?,
            Lower::Above(version) => just_above(&key(version)?),
        };
        let upper = match &self.upper {
            Upper::Open => KeyRange::all().upper,
            Upper::Below(version) => key(version)?,
            Upper::UpTo(version) => just_above(&key(version)?),
        };
        Ok(KeyRange { lower, upper })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lower = match &self.lower {
            Lower::Open => String::new(),
            Lower::AtLeast(version) => format!(">= {version}"),
            Lower::Above(version) => format!("> {version}"),
        };
        let upper = match &self.upper {
            Upper::Open => String::new(),
            Upper::Below(version) => format!("< {version}"),
            Upper::UpTo(version) => format!("<= {version}"),
        };
        match (lower.is_empty(), upper.is_empty()) {
            (true, true) => f.write_str("every version"),
            (true, false) => f.write_str(&upper),
            (false, true) => f.write_str(&lower),
            (false, false) => write!(f, "{lower}, {upper}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &Range, epochs: Epochs, version: &str) -> bool {
        let keys = range.keys(Order::Rpm, epochs).expect("versions");
        let key = VersionKey::parse(Order::Rpm, version).expect("a version");
        keys.holds(match epochs {
            Epochs::Compared => key.bytes(),
            Epochs::Ignored => key.without_epoch(),
        })
    }

    #[test]
    fn every_kind_of_bound_is_honoured() {
        let bound = || Arc::from("2.0-1.azl3");
        let before = "1.9-9.azl3";
        let at = "2.0-1.azl3";
        let after = "2.0-2.azl3";
        for (range, expected) in [
            (Range { lower: Lower::Open, upper: Upper::Below(bound()) }, [true, false, false]),
            (Range { lower: Lower::Open, upper: Upper::UpTo(bound()) }, [true, true, false]),
            (Range { lower: Lower::AtLeast(bound()), upper: Upper::Open }, [false, true, true]),
            (Range { lower: Lower::Above(bound()), upper: Upper::Open }, [false, false, true]),
            (Range::ALL, [true, true, true]),
        ] {
            let held = [before, at, after].map(|version| holds(&range, Epochs::Compared, version));
            assert_eq!(held, expected, "{range}");
        }
    }

    #[test]
    fn a_lower_bound_without_a_release_is_below_all_of_that_version() {
        let range = Range {
            lower: Lower::Above(Arc::from("0:0.0.0.azl3")),
            upper: Upper::Below(Arc::from("0:1.20.7-1.azl3")),
        };
        assert!(holds(&range, Epochs::Compared, "1.20.6-1.azl3"));
        assert!(!holds(&range, Epochs::Compared, "1.20.7-1.azl3"));
        assert!(!holds(&range, Epochs::Compared, "0.0.0.azl3"));
    }

    #[test]
    fn an_epoch_that_the_feed_does_not_know_hides_nothing() {
        let range = Range::below("0:5.38.2-510.azl3");
        assert!(!holds(&range, Epochs::Compared, "4:5.38.2-509.azl3"));
        assert!(holds(&range, Epochs::Ignored, "4:5.38.2-509.azl3"));
        assert!(!holds(&range, Epochs::Ignored, "4:5.38.2-510.azl3"));
    }

    #[test]
    fn a_bound_that_is_no_version_is_named() {
        let error = Range::below("1.0 beta").keys(Order::Dpkg, Epochs::Compared).expect_err("none");
        assert_eq!(
            error.to_string(),
            "the version \"1.0 beta\" has a character that no version has"
        );
    }
}
