//! The provider's own scanner beside what was found here: where the two disagree about a node
//! image, and what it says of the container images that run in kube-system, which no list of
//! packages tells.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::images::NodeOnImage;
use crate::advisory::{AliasId, DateKind, ScanReport};
use crate::facts::{ManagedImage, ManagedImages};
use crate::patch_age::{self, Answer, Fixed, ImageLine, Known, Offered, Shipped, Situation};
use crate::platform::Platform;
use crate::policy::Policy;

/// Where the provider's scanner and we agree about a node's image, and where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opinion {
    /// The image that it scanned.
    pub image: String,
    /// When.
    pub reported_at: Timestamp,
    /// CVEs that both say are missing.
    pub agree: usize,
    /// Those that only we say are, without kernels, which it does not look at.
    pub we_alone: Vec<String>,
    /// Those that only it says are.
    pub they_alone: Vec<String>,
}

/// A container image that runs in kube-system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// By a name with a tag, or else by digest or id.
    pub name: String,
    /// What there is a fix for that it lacks, oldest first; none where no report speaks of it.
    pub active: Option<Vec<Active>>,
}

impl Container {
    /// Everything that it lacks, with itself.
    pub(super) fn lacking(&self) -> impl Iterator<Item = (&Self, &Active)> {
        self.active.iter().flatten().map(move |active| (self, active))
    }
}

/// What a container image lacks since one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// By the report's own names; at least one.
    pub ids: BTreeSet<AliasId>,
    /// Since when a report has said so, at the least.
    pub since: Timestamp,
    /// Whose turn it is.
    pub answer: Answer,
}

/// What the provider's scanner says of the node's image, beside what was found.
#[must_use]
pub fn opinion(
    reports: &[ScanReport],
    node: NodeOnImage<'_>,
    found: &BTreeSet<AliasId>,
) -> Option<Opinion> {
    let report = reports
        .iter()
        .filter(|report| report.version == node.version && node.is_of_line(&report.family))
        .max_by_key(|report| report.reported_at)?;
    Some(Opinion::of(report, found))
}

impl Opinion {
    /// A report held against the CVEs that were found here, without those of kernels.
    #[must_use]
    pub fn of(report: &ScanReport, found: &BTreeSet<AliasId>) -> Self {
        let theirs: BTreeSet<&AliasId> =
            report.packages.values().flat_map(|opinion| &opinion.active).collect();
        let ours: BTreeSet<&AliasId> = found.iter().collect();
        let names = |ids: &BTreeSet<&AliasId>, other: &BTreeSet<&AliasId>| {
            ids.difference(other).map(ToString::to_string).collect()
        };
        Self {
            image: format!("{}-{}", report.family, report.version),
            reported_at: report.reported_at,
            agree: ours.intersection(&theirs).count(),
            we_alone: names(&ours, &theirs),
            they_alone: names(&theirs, &ours),
        }
    }
}

/// The container images of a node, each with what reports say of it.
#[must_use]
pub fn containers(
    reports: &[ScanReport],
    images: Option<&ManagedImages>,
    platform: Platform,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Container> {
    let said = said(reports);
    images
        .into_iter()
        .flat_map(|images| &images.images)
        .map(|image| {
            let name = name(image);
            let active = keys(image).find_map(|key| said.get(key.as_str())).map(|said| {
                let turn = |since| turn(&name, since, platform, policy, now);
                said.active()
                    .map(|(since, ids)| Active { ids, since, answer: turn(since) })
                    .collect()
            });
            Container { name, active }
        })
        .collect()
}

/// What reports say of one container image.
struct Said<'a> {
    /// Since when each vulnerability has been told.
    since: BTreeMap<&'a AliasId, Timestamp>,
    /// What the newest report tells.
    newest: (Timestamp, &'a BTreeSet<AliasId>),
}

impl Said<'_> {
    /// What is lacking now, by since when that has been told.
    fn active(&self) -> impl Iterator<Item = (Timestamp, BTreeSet<AliasId>)> {
        let (newest, ids) = self.newest;
        let mut by_since: BTreeMap<Timestamp, BTreeSet<AliasId>> = BTreeMap::new();
        for id in ids {
            let since = self.since.get(id).copied().unwrap_or(newest);
            by_since.entry(since).or_default().insert(id.clone());
        }
        by_since.into_iter()
    }
}

/// What reports say, by digest and by name with tag.
fn said(reports: &[ScanReport]) -> BTreeMap<&str, Said<'_>> {
    let mut said: BTreeMap<&str, Said<'_>> = BTreeMap::new();
    for report in reports {
        let at = report.reported_at;
        for opinion in report.containers.values() {
            let digests = opinion.digests.iter().map(|digest| after_at(digest));
            for key in digests.chain(opinion.tags.iter().map(String::as_str)) {
                let known = said.entry(key).or_insert_with(|| Said {
                    since: BTreeMap::new(),
                    newest: (at, &opinion.active),
                });
                if at > known.newest.0 {
                    known.newest = (at, &opinion.active);
                }
                for id in &opinion.active {
                    let since = known.since.entry(id).or_insert(at);
                    *since = (*since).min(at);
                }
            }
        }
    }
    said
}

/// The digest of `repository@sha256:…`.
fn after_at(digest: &str) -> &str {
    digest.split_once('@').map_or(digest, |(_, digest)| digest)
}

/// By what an image may be known: digests first, for a tag may be moved.
fn keys(image: &ManagedImage) -> impl Iterator<Item = String> {
    let names = image.names.iter();
    let digests =
        names.clone().flat_map(|names| &names.digests).map(|one| after_at(one).to_owned());
    digests.chain(names.flat_map(|names| &names.tags).cloned())
}

fn name(image: &ManagedImage) -> String {
    let names = image.names.as_ref();
    let tag = names.and_then(|names| names.tags.first());
    let specified = || {
        let all = image.containers.iter().map(|one| &one.user_specified_image);
        all.clone().find(|name| !name.is_empty())
    };
    tag.or_else(specified)
        .or_else(|| names.and_then(|names| names.digests.first()))
        .unwrap_or(&image.id)
        .clone()
}

/// Whose turn a container image of the provider's is: by the same clock, and on every node the
/// provider's own, who alone replaces it.
fn turn(
    name: &str,
    since: Timestamp,
    platform: Platform,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let published = Some((since, DateKind::Baseline));
    let fixed = Fixed { package: name.into(), version: None, published, is_on_disk: false };
    let offered = Offered::Known { with_fix: None, newest: name.to_owned(), is_on_newest: true };
    let situation = Situation {
        platform,
        known: Known::Fixed(fixed),
        reboot_by: None,
        shipped: Shipped::ByImage,
        line: ImageLine::Alive,
        offered: &offered,
        channel: None,
    };
    patch_age::answer(&situation, policy, now)
}
