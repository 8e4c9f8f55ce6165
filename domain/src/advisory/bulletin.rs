//! Bulletins of the provider: what a notice for people says, written down as data, so that it
//! can be told of each node whether it is about it, and whether something holds it off.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AliasId, Range, Stream};

/// A bulletin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulletin {
    /// The provider's name of it.
    pub id: String,
    /// What kind it is.
    pub kind: BulletinKind,
    /// What it is about, in one line.
    pub title: String,
    /// When it was published.
    pub published: Timestamp,
    /// Where it was read.
    pub source: String,
    /// The vulnerabilities it is about; may be empty.
    pub cves: Vec<AliasId>,
    /// What to do, in order.
    pub steps: Vec<String>,
    /// What is affected. A node is when one of these fits.
    pub affected: Vec<Affected>,
    /// By what a node shows that it is held off; none where nothing shows it.
    pub probe: Option<Probe>,
}

/// What kind of a bulletin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulletinKind {
    /// Of security.
    Bulletin,
    /// A fault with a workaround.
    KnownIssue,
}

/// What is affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Of which distribution and release.
    pub stream: Stream,
    /// Which source package; none where only the image counts.
    pub package: Option<Arc<str>>,
    /// Which versions of it.
    pub range: Range,
    /// The first version of the node image that is not affected.
    pub image_below: Option<String>,
}

/// By what a node shows that something is held off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Kernel modules that rules of modprobe.d(5) keep from being loaded.
    #[serde(default)]
    pub modprobe_blocks: Vec<String>,
}
