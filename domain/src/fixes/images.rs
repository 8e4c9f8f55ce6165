//! What is known of node images, for one question: who can bring a fix onto a node. Whether
//! the node's image brought the package, which images are offered to the node, and whether
//! one of them has the fix. Images list binary packages, fixes name sources: the node's own
//! packages tell which belong together.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::advisory::Epochs;
use crate::facts::{Package, PackageManager};
use crate::image::catalogue::{Catalogue, NewestOffered, OfferedSpan};
use crate::image::{ImageRelease, ShippedPackages, family_by_any_name};
use crate::kernel_package::{dpkg_flavour, dpkg_release};
use crate::matching::{Inventory, Matched, Standing};
use crate::node::NodeHistory;
use crate::patch_age::{Offered, Shipped};
use crate::pool::{NodeOsChannel, PoolKey};
use crate::version::key::{Order, VersionKey};
use crate::version::without_epoch;

/// What is known of images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images {
    catalogue: Catalogue,
    /// Versions that are offered to every node that is asked about.
    offered: BTreeSet<String>,
}

/// The image that a node says it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeOnImage<'a> {
    /// Which line of images, such as `2204gen2containerd`; empty when that is not known.
    pub sku: &'a str,
    /// Which image of it, such as `202611.03.0`; empty when that is not known.
    pub version: &'a str,
}

impl<'a> NodeOnImage<'a> {
    /// By what the image's builder left on the node.
    #[must_use]
    pub fn of(history: &'a NodeHistory) -> Self {
        let name = history.node_image.present().and_then(|image| image.name.as_ref());
        name.map_or_else(Self::default, |name| Self { sku: &name.sku, version: &name.version })
    }

    /// Whether a family of images, `AKSUbuntu-2204gen2containerd`, is the node's line.
    pub(crate) fn is_of_line(&self, family: &str) -> bool {
        let definition = family.split_once('-').map_or(family, |(_, definition)| definition);
        !self.sku.is_empty() && (definition == self.sku || family == self.sku)
    }
}

impl Images {
    /// Puts the images of which it is known what is in them, and the versions of those that
    /// are offered to every node that is asked about; none when that is not known.
    #[must_use]
    pub fn of(releases: Vec<ImageRelease>, offered: BTreeSet<String>) -> Self {
        let mut catalogue = Catalogue::default();
        for release in releases {
            catalogue.put_release(release);
        }
        Self { offered, ..Self::with(catalogue) }
    }

    /// Of a catalogue, which tells what is offered to whom.
    #[must_use]
    pub fn with(catalogue: Catalogue) -> Self {
        Self { catalogue, offered: BTreeSet::new() }
    }

    /// The catalogue.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The line of images that a node is of: as the catalogue has it, or else by the names that
    /// are known. None where the node does not tell.
    pub(crate) fn line_of(&self, node: NodeOnImage<'_>) -> Option<String> {
        let known = self.catalogue.families().find(|family| node.is_of_line(family));
        let named = || (!node.sku.is_empty()).then(|| family_by_any_name(node.sku));
        known.map(str::to_owned).or_else(named)
    }

    /// The newest image that is offered to a node, with since when, where that was told.
    pub(crate) fn newest_offered(
        &self,
        node: NodeOnImage<'_>,
        pool: Option<&PoolKey>,
        now: Timestamp,
    ) -> Option<(&str, Option<OfferedSpan>)> {
        let line = self.line_of(node);
        let told = pool.map(|pool| self.catalogue.newest_offered(pool, line.as_deref(), now));
        let told = match told {
            Some(NewestOffered::Known { image, span }) if node.is_of_line(&image.family) => {
                Some((image.version.as_str(), Some(span)))
            }
            _ => None,
        };
        let family = line.as_deref().unwrap_or_default();
        let of_all = self.offered.iter().map(|version| (version.as_str(), None));
        of_all.chain(told).max_by_key(|(version, _)| self.catalogue.build(family, version))
    }

    /// What brings an offered image into a pool by itself. A channel that has not brought one
    /// for so long as it takes to go through all regions is not believed to.
    pub(crate) fn is_brought_by_channel(
        &self,
        node: NodeOnImage<'_>,
        pool: Option<&PoolKey>,
        now: Timestamp,
    ) -> bool {
        let channel = pool.and_then(|pool| self.catalogue.channel(pool));
        let brings = channel.is_some_and(NodeOsChannel::brings_images);
        let newest = self.newest_offered(node, pool, now);
        let is_stalled = newest.and_then(|(_, span)| span).is_some_and(|span| {
            now.duration_since(span.since) > crate::image::catalogue::OFFERED_STALE_AFTER
        });
        brings && !is_stalled
    }

    /// What of it is about one node.
    pub(super) fn view<'a>(
        &'a self,
        node: NodeOnImage<'a>,
        pool: Option<&PoolKey>,
        observed: &'a BTreeSet<String>,
        inventory: &'a Inventory,
        now: Timestamp,
    ) -> View<'a> {
        let line = self.line_of(node);
        let of_line = |version: &str| {
            let family = line.as_deref()?;
            self.catalogue.release(family, version).map(|found| &**found)
        };
        let mut offered: Vec<(&str, Option<&ImageRelease>)> =
            self.offered.iter().map(|version| (version.as_str(), of_line(version))).collect();
        if let Some((version, _)) = self.newest_offered(node, pool, now)
            && !self.offered.contains(version)
        {
            offered.push((version, of_line(version)));
        }
        offered.sort_by_key(|(version, release)| built(version, *release));
        // What others run was offered; which is the newest, they do not tell.
        let mut observed: Vec<(&str, Option<&ImageRelease>)> =
            observed.iter().map(|version| (version.as_str(), of_line(version))).collect();
        observed.sort_by_key(|(version, release)| built(version, *release));
        View {
            node,
            own: of_line(node.version),
            offered,
            observed,
            order: inventory.stream.distribution.order(),
            manager: inventory.packages.manager,
        }
    }
}

/// When an image was built: by its note, or else by the day that its version begins with;
/// of one day, by the number behind it.
fn built(version: &str, release: Option<&ImageRelease>) -> (Option<Timestamp>, u32) {
    match release {
        Some(release) => release.build(),
        None => {
            let (day, number) = crate::image::build_of(version).unzip();
            (day, number.unwrap_or_default())
        }
    }
}

/// What is known of images, about one node.
pub(super) struct View<'a> {
    node: NodeOnImage<'a>,
    own: Option<&'a ImageRelease>,
    /// Oldest first.
    offered: Vec<(&'a str, Option<&'a ImageRelease>)>,
    /// Oldest first: those that others run.
    observed: Vec<(&'a str, Option<&'a ImageRelease>)>,
    order: Option<Order>,
    manager: PackageManager,
}

impl View<'_> {
    /// Whether the node's image brought a source package.
    pub(super) fn shipped(&self, matched: &Matched, source: usize) -> Shipped {
        let Some(own) = self.own else { return Shipped::Unknown };
        let mut is_listed = false;
        for package in matched.binaries(source) {
            match versions(own, package, self.manager, is_running(matched, source)) {
                None => return Shipped::Unknown,
                Some(versions) => is_listed |= !versions.is_empty(),
            }
        }
        if is_listed { Shipped::ByImage } else { Shipped::Later }
    }

    /// What is known of the images offered to the node, about one fix.
    pub(super) fn offered(
        &self,
        matched: &Matched,
        source: usize,
        fixed: Option<&str>,
        epochs: Epochs,
    ) -> Offered {
        if self.node.version.is_empty() {
            return Offered::Unknown;
        }
        let Some((newest, _)) = self.offered.last() else {
            return self.offered_to_others(matched, source, fixed, epochs);
        };
        // Nobody goes back to an image: what was told of the offered ones is out of date.
        if self.offered.iter().all(|(version, release)| self.is_built_after(version, *release)) {
            return Offered::Unknown;
        }
        let with_fix = self.offered.iter().rev().find(|(_, release)| {
            release.is_some_and(|release| self.has_fix(release, matched, source, fixed, epochs))
        });
        Offered::Known {
            with_fix: with_fix.map(|(version, _)| (*version).to_owned()),
            newest: (*newest).to_owned(),
            is_on_newest: self.node.version == *newest,
        }
    }

    /// What others run, and was built after the node's image, is offered to the node too, as
    /// far as it has the fix; that nothing newer is, they do not tell.
    fn offered_to_others(
        &self,
        matched: &Matched,
        source: usize,
        fixed: Option<&str>,
        epochs: Epochs,
    ) -> Offered {
        let with_fix = self.observed.iter().rev().find(|(version, release)| {
            *version != self.node.version
                && !self.is_built_after(version, *release)
                && release
                    .is_some_and(|release| self.has_fix(release, matched, source, fixed, epochs))
        });
        match with_fix {
            Some((version, _)) => Offered::Known {
                with_fix: Some((*version).to_owned()),
                newest: (*version).to_owned(),
                is_on_newest: false,
            },
            None => Offered::Unknown,
        }
    }

    /// Whether the node's image was built after that one: by their notes, or, where one has
    /// none, by their versions.
    fn is_built_after(&self, version: &str, release: Option<&ImageRelease>) -> bool {
        let has_note = |one: Option<&ImageRelease>| one.is_some_and(|one| one.built_at.is_some());
        let (own, other) = match has_note(self.own) && has_note(release) {
            true => (self.own, release),
            false => (None, None),
        };
        built(self.node.version, own) > built(version, other)
    }

    /// Whether an image has a fix, as far as its list tells: all packages of the source that
    /// are on both the node and the list must have it.
    fn has_fix(
        &self,
        release: &ImageRelease,
        matched: &Matched,
        source: usize,
        fixed: Option<&str>,
        epochs: Epochs,
    ) -> bool {
        let (Some(order), Some(fixed)) = (self.order, fixed) else { return false };
        let key = |version: &str| {
            let key = VersionKey::parse(order, version).ok()?;
            Some(match (epochs, self.manager) {
                (Epochs::Compared, PackageManager::Dpkg) => key.bytes().to_vec(),
                // Lists of rpm's images have no epochs.
                _ => key.without_epoch().to_vec(),
            })
        };
        let Some(fixed) = key(fixed) else { return false };
        let mut compared = 0;
        for package in matched.binaries(source) {
            let is_running = is_running(matched, source);
            // Where binaries have versions of their own, the list does not tell the source's.
            if !is_running && !has_version_of_source(package, self.manager) {
                continue;
            }
            let Some(versions) = versions(release, package, self.manager, is_running) else {
                return false;
            };
            let Some(newest) = versions.iter().filter_map(|version| key(version)).max() else {
                continue;
            };
            if newest < fixed {
                return false;
            }
            compared += 1;
        }
        compared > 0
    }
}

/// Whether a binary package has the version of its source. Sources of rpm have no epoch.
fn has_version_of_source(package: &Package, manager: PackageManager) -> bool {
    match manager {
        PackageManager::Dpkg => package.version == package.source_version,
        PackageManager::Rpm => {
            without_epoch(&package.version) == without_epoch(&package.source_version)
        }
    }
}

fn is_running(matched: &Matched, source: usize) -> bool {
    matched.sources.get(source).is_some_and(|source| source.standing == Standing::Running)
}

/// The versions of a package in an image; none when its list is not known. A kernel's image
/// is another package for each release: there all of its flavour count.
fn versions<'a>(
    release: &'a ImageRelease,
    package: &Package,
    manager: PackageManager,
    is_running_kernel: bool,
) -> Option<Vec<&'a str>> {
    let ShippedPackages::Listed(listed) = &release.packages else { return None };
    let flavour = (is_running_kernel && manager == PackageManager::Dpkg)
        .then(|| dpkg_release(&package.name).map(dpkg_flavour))
        .flatten();
    Some(match flavour {
        Some(flavour) => listed
            .iter()
            .filter(|one| dpkg_release(&one.name).map(dpkg_flavour) == Some(flavour))
            .map(|one| one.version.as_str())
            .collect(),
        None => release.versions_of(&package.name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageLabel;
    use crate::pool::{OfferedPattern, PoolPattern};

    #[test]
    fn an_image_that_is_older_than_the_nodes_is_told_by_its_version() {
        let view = View {
            node: NodeOnImage { sku: "2204gen2containerd", version: "202611.03.0" },
            own: None,
            offered: Vec::new(),
            observed: Vec::new(),
            order: Some(Order::Dpkg),
            manager: PackageManager::Dpkg,
        };
        for older in ["202601.01.0", "202610.20.0", "202611.02.9", "newest", ""] {
            assert!(view.is_built_after(older, None), "{older}");
        }
        for other in ["202611.03.0", "202611.03.1", "202611.10.0"] {
            assert!(!view.is_built_after(other, None), "{other}");
        }
    }

    #[test]
    fn what_is_offered_to_a_pattern_of_pools_needs_no_note_of_the_line() {
        let now = Timestamp::from_second(1_790_000_000).expect("a moment");
        let image = |family: &str| ImageLabel {
            family: family.to_owned(),
            version: "202611.10.0".to_owned(),
            patched: None,
        };
        let offered = |family: &str| {
            let mut catalogue = Catalogue::default();
            let pools = PoolPattern { cluster: "c".to_owned(), pool: "*".to_owned() };
            let image = image(family);
            catalogue.put_offered_by_pattern(OfferedPattern { pools, image, as_of: now });
            let node = NodeOnImage { sku: "2204gen2containerd", version: "202611.03.0" };
            let pool = PoolKey { cluster: "c".to_owned(), pool: "p".to_owned() };
            let images = Images::with(catalogue);
            images.newest_offered(node, Some(&pool), now).map(|(version, _)| version.to_owned())
        };
        assert_eq!(offered("AKSUbuntu-2204gen2containerd").as_deref(), Some("202611.10.0"));
        assert_eq!(offered("AKSAzureLinux-V3gen2"), None, "it is of another line");
    }

    #[test]
    fn images_stand_in_the_order_of_their_builds() {
        let release = |version: &str, second| ImageRelease {
            family: "AKSUbuntu-2204gen2containerd".to_owned(),
            version: version.to_owned(),
            built_at: Some(Timestamp::from_second(second).expect("a moment")),
            kernel: None,
            os_id: None,
            os_version_id: None,
            packages: ShippedPackages::Unknown("not listed".to_owned()),
        };
        // A later day in the name, and built earlier.
        let mut images = [
            release("202603.18.0", 1_773_855_253),
            release("202603.12.1", 1_774_559_570),
            release("202603.12.0", 1_773_341_523),
        ];
        images.sort_by_key(|image| built(&image.version, Some(image)));
        let versions: Vec<&str> = images.iter().map(|image| image.version.as_str()).collect();
        assert_eq!(versions, ["202603.12.0", "202603.18.0", "202603.12.1"]);
    }
}
