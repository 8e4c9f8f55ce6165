//! The fields of an OSV record that are read; all others are passed over.

use std::borrow::Cow;

use serde::Deserialize;

/// A record.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) published: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) withdrawn: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) upstream: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) aliases: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) related: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) severity: Vec<Severity<'a>>,
    #[serde(borrow, default)]
    pub(super) affected: Vec<Affected<'a>>,
}

/// A severity, by the type of its scale.
#[derive(Debug, Deserialize)]
pub(super) struct Severity<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) score: Cow<'a, str>,
}

/// What is affected: one package of one ecosystem.
#[derive(Debug, Deserialize)]
pub(super) struct Affected<'a> {
    #[serde(borrow)]
    pub(super) package: Package<'a>,
    #[serde(borrow, default)]
    pub(super) ranges: Vec<Ranges<'a>>,
    /// Read only where no range is given.
    #[serde(borrow, default)]
    pub(super) versions: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) database_specific: Option<DatabaseSpecific<'a>>,
}

/// A package. Its `purl` is not read: some have two question marks.
#[derive(Debug, Deserialize)]
pub(super) struct Package<'a> {
    #[serde(borrow)]
    pub(super) ecosystem: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

/// Ranges of versions of one type.
#[derive(Debug, Deserialize)]
pub(super) struct Ranges<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) events: Vec<Event<'a>>,
}

/// Where a range begins or ends.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default)]
    pub(super) introduced: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) fixed: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) last_affected: Option<Cow<'a, str>>,
}

/// What Ubuntu adds for a release.
#[derive(Debug, Deserialize)]
pub(super) struct DatabaseSpecific<'a> {
    #[serde(borrow, default)]
    pub(super) cves_map: Option<CvesMap<'a>>,
}

/// The CVEs of a release, with its own severities.
#[derive(Debug, Deserialize)]
pub(super) struct CvesMap<'a> {
    #[serde(borrow, default)]
    pub(super) cves: Vec<Cve<'a>>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Cve<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) severity: Vec<Severity<'a>>,
}
