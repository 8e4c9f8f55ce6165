//! The catalogue: everything that is known of node images, from whoever told it. What an
//! image is made of, when it was built, when it was announced, to whom it is offered: four
//! facts, each with a source of its own; none is made out of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    ImageLabel, ImageRelease, PatchBase, PatchMisfit, SecurityPatch, ShippedPackage,
    ShippedPackages, apply, build_of,
};
use crate::pool::{
    ClusterProfile, ClusterResource, NodeOsChannel, OfferedImage, OfferedPattern, PoolKey,
    PoolOverride, PoolPattern, PoolProfile, Quota, Subnet,
};

/// How long it may be believed that an image is the newest one offered: images come weekly.
pub const OFFERED_STALE_AFTER: SignedDuration = SignedDuration::from_hours(14 * 24);

/// All that is known of node images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    images: BTreeMap<String, BTreeMap<String, CataloguedImage>>,
    /// By version and what the labels of a family begin with: when it was announced.
    announced: BTreeMap<String, BTreeMap<String, Timestamp>>,
    patches: Vec<SecurityPatch>,
    offered: BTreeMap<PoolKey, BTreeMap<ImageLabel, OfferedSpan>>,
    offered_by_pattern: BTreeMap<PoolPattern, BTreeMap<ImageLabel, OfferedSpan>>,
    pools: BTreeMap<PoolKey, PoolProfile>,
    clusters: BTreeMap<String, ClusterProfile>,
    /// By their names in the fleet, what the provider names clusters.
    resources: BTreeMap<String, ClusterResource>,
    overrides: BTreeMap<PoolPattern, PoolOverride>,
    quotas: BTreeMap<(String, Option<String>, Option<String>), Quota>,
    subnets: BTreeMap<PoolPattern, Subnet>,
    /// Every package of every image once.
    packages: BTreeSet<Arc<ShippedPackage>>,
}

/// What is known of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguedImage {
    /// What it was made of, by its release note.
    pub release: Option<Arc<ImageRelease>>,
    /// So many container images lie ready on it.
    pub containers: Option<usize>,
}

/// From when to when it was told that an image is the newest one offered to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OfferedSpan {
    /// First told.
    pub since: Timestamp,
    /// Last told.
    pub as_of: Timestamp,
}

/// The newest image that is offered to a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewestOffered<'a> {
    /// Nobody told.
    Untold,
    /// It was told too long ago: another may be offered by now.
    Stale {
        /// What was told.
        image: &'a ImageLabel,
        /// When.
        as_of: Timestamp,
    },
    /// This one.
    Known {
        /// The image.
        image: &'a ImageLabel,
        /// Since when, and when last told.
        span: OfferedSpan,
    },
}

/// Widens the time for which an image was told to be offered.
fn widen(
    told: &mut BTreeMap<ImageLabel, OfferedSpan>,
    image: ImageLabel,
    as_of: Timestamp,
) -> bool {
    match told.get_mut(&image) {
        None => {
            told.insert(image, OfferedSpan { since: as_of, as_of });
            true
        }
        Some(span) => {
            let before = *span;
            span.since = span.since.min(as_of);
            span.as_of = span.as_of.max(as_of);
            before != *span
        }
    }
}

impl Catalogue {
    /// Puts a release note in. Says whether it is news.
    pub fn put_release(&mut self, mut release: ImageRelease) -> bool {
        if let ShippedPackages::Listed(listed) = &mut release.packages {
            for package in listed {
                match self.packages.get(package) {
                    Some(known) => *package = Arc::clone(known),
                    None => {
                        self.packages.insert(Arc::clone(package));
                    }
                }
            }
        }
        let entry = self.entry(&release.family, &release.version);
        let is_news = entry.release.as_deref() != Some(&release);
        entry.release = Some(Arc::new(release));
        is_news
    }

    /// Puts in when an image was announced: of several dates the earliest counts. A family is
    /// what the labels of all its variants begin with, `AKSUbuntu-2204`.
    pub fn put_announced(&mut self, family: &str, version: &str, at: Timestamp) -> bool {
        let of_version = self.announced.entry(version.to_owned()).or_default();
        match of_version.get_mut(family) {
            Some(known) if *known <= at => false,
            Some(known) => {
                *known = at;
                true
            }
            None => of_version.insert(family.to_owned(), at).is_none(),
        }
    }

    /// Puts in a security patch. Says whether it is news.
    pub fn put_patch(&mut self, patch: SecurityPatch) -> bool {
        let is_same = |known: &SecurityPatch| {
            (known.timestamp, &known.os_id, &known.os_version_id)
                == (patch.timestamp, &patch.os_id, &patch.os_version_id)
        };
        match self.patches.iter_mut().find(|known| is_same(known)) {
            Some(known) if *known == patch => false,
            Some(known) => {
                *known = patch;
                true
            }
            None => {
                self.patches.push(patch);
                self.patches.sort_by_key(|patch| patch.timestamp);
                true
            }
        }
    }

    /// Puts in how many container images lie ready on an image.
    pub fn put_containers(&mut self, family: &str, version: &str, count: usize) -> bool {
        self.entry(family, version).containers.replace(count) != Some(count)
    }

    fn entry(&mut self, family: &str, version: &str) -> &mut CataloguedImage {
        let line = self.images.entry(family.to_owned()).or_default();
        line.entry(version.to_owned()).or_default()
    }

    /// Puts in that an image is offered to a pool. Says whether it is news.
    pub fn put_offered(&mut self, offered: OfferedImage) -> bool {
        let OfferedImage { key, image, as_of } = offered;
        widen(self.offered.entry(key).or_default(), image, as_of)
    }

    /// Puts in that an image is offered to all pools of a pattern. Says whether it is news.
    pub fn put_offered_by_pattern(&mut self, offered: OfferedPattern) -> bool {
        let OfferedPattern { pools, image, as_of } = offered;
        widen(self.offered_by_pattern.entry(pools).or_default(), image, as_of)
    }

    /// Puts in what an operator states in the place of what the provider says of pools.
    pub fn put_override(&mut self, stated: PoolOverride) -> bool {
        let known = self.overrides.get(&stated.pools);
        if known.is_some_and(|known| known.as_of > stated.as_of || *known == stated) {
            return false;
        }
        self.overrides.insert(stated.pools.clone(), stated);
        true
    }

    /// Puts in how many processors may still be taken.
    pub fn put_quota(&mut self, quota: Quota) -> bool {
        let key = (quota.cluster.clone(), quota.region.clone(), quota.vm_family.clone());
        let known = self.quotas.get(&key);
        if known.is_some_and(|known| known.as_of > quota.as_of || *known == quota) {
            return false;
        }
        self.quotas.insert(key, quota);
        true
    }

    /// Puts in how many addresses are still free.
    pub fn put_subnet(&mut self, subnet: Subnet) -> bool {
        let known = self.subnets.get(&subnet.pools);
        if known.is_some_and(|known| known.as_of > subnet.as_of || *known == subnet) {
            return false;
        }
        self.subnets.insert(subnet.pools.clone(), subnet);
        true
    }

    /// Puts in what was told of a pool; what was told later counts.
    pub fn put_pool(&mut self, pool: PoolProfile) -> bool {
        let known = self.pools.get(&pool.key);
        if known.is_some_and(|known| known.as_of > pool.as_of || *known == pool) {
            return false;
        }
        self.pools.insert(pool.key.clone(), pool);
        true
    }

    /// Puts in what was told of a cluster; what was told later counts.
    pub fn put_cluster(&mut self, cluster: ClusterProfile) -> bool {
        let known = self.clusters.get(&cluster.cluster);
        if known.is_some_and(|known| known.as_of > cluster.as_of || *known == cluster) {
            return false;
        }
        self.clusters.insert(cluster.cluster.clone(), cluster);
        true
    }

    /// Puts in what the provider names a cluster. That it is no other than before, the importer
    /// asks first: see [`Self::resource`].
    pub fn put_resource(&mut self, cluster: String, resource: ClusterResource) {
        self.resources.insert(cluster, resource);
    }

    /// What the provider names a cluster of the fleet; none where nobody told.
    #[must_use]
    pub fn resource(&self, cluster: &str) -> Option<&ClusterResource> {
        self.resources.get(cluster)
    }

    /// The image of the same line, built next before or after another, that lists more than
    /// twice as many packages, and how many: so much is taken out of no image in one step.
    #[must_use]
    pub fn far_longer_neighbour(&self, release: &ImageRelease) -> Option<(&str, usize)> {
        let own = release.listed()?.len();
        let build = release.build();
        let others = || {
            self.line(&release.family).filter_map(|(version, image)| {
                let other = image.release.as_deref().filter(|_| version != release.version)?;
                Some((other.build(), version, other.listed()?.len()))
            })
        };
        let before = others().filter(|(at, ..)| *at <= build).max();
        let after = others().filter(|(at, ..)| *at > build).min();
        let longer = before.into_iter().chain(after).find(|(.., length)| *length > 2 * own);
        longer.map(|(_, version, length)| (version, length))
    }

    /// What is known of an image.
    #[must_use]
    pub fn image(&self, family: &str, version: &str) -> Option<&CataloguedImage> {
        self.images.get(family)?.get(version)
    }

    /// What an image was made of, by its release note.
    #[must_use]
    pub fn release(&self, family: &str, version: &str) -> Option<&Arc<ImageRelease>> {
        self.image(family, version)?.release.as_ref()
    }

    /// Every image, by family and version.
    pub fn images(&self) -> impl Iterator<Item = (&str, &str, &CataloguedImage)> {
        self.images.iter().flat_map(|(family, line)| {
            line.iter().map(|(version, image)| (family.as_str(), version.as_str(), image))
        })
    }

    /// The images of one line, by version.
    pub fn line(&self, family: &str) -> impl Iterator<Item = (&str, &CataloguedImage)> {
        let line = self.images.get(family).into_iter().flatten();
        line.map(|(version, image)| (version.as_str(), image))
    }

    /// The lines of which anything is known.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// When an image was built: by its note, or else by the day that its version begins with;
    /// of one day, by the number behind it.
    #[must_use]
    pub fn build(&self, family: &str, version: &str) -> (Option<Timestamp>, u32) {
        match self.release(family, version) {
            Some(release) => release.build(),
            None => {
                let (day, number) = build_of(version).unzip();
                (day, number.unwrap_or_default())
            }
        }
    }

    /// When an image was announced to customers.
    #[must_use]
    pub fn announced_at(&self, family: &str, version: &str) -> Option<Timestamp> {
        let is_variant = |start: &str| {
            let head = family.get(..start.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(start))
                && !family[start.len()..].starts_with(|next: char| next.is_ascii_digit())
        };
        let of_version = self.announced.get(version).into_iter().flatten();
        of_version.filter(|(start, _)| is_variant(start)).map(|(_, at)| *at).min()
    }

    /// The security patches that are known, the earliest first.
    #[must_use]
    pub fn patches(&self) -> &[SecurityPatch] {
        &self.patches
    }

    /// What is installed under a label: the image's packages, and where the label names the
    /// day of a security patch, those after it. None where the image is not known.
    #[must_use]
    pub fn labelled(&self, label: &ImageLabel) -> Option<Result<Arc<ImageRelease>, PatchMisfit>> {
        let release = self.release(&label.family, &label.version)?;
        let Some(day) = &label.patched else { return Some(Ok(Arc::clone(release))) };
        let is_of_day = |patch: &&SecurityPatch| {
            patch.is_for(release) && patch.timestamp.strftime("%Y.%m.%d").to_string() == *day
        };
        let patch = self.patches.iter().find(is_of_day)?;
        let base = release.label();
        let is_from_it =
            |from: &PatchBase| matches!(from, PatchBase::Image(image) if *image == base);
        let part = patch.listed()?.iter().find(|part| is_from_it(&part.from))?;
        Some(apply(release, part).map(Arc::new))
    }

    /// The newest image that is offered to a pool: what was told last. What names the pool
    /// goes before any pattern, and of patterns the longer goes before the shorter; of them
    /// only what is of the given line counts.
    #[must_use]
    pub fn newest_offered(
        &self,
        pool: &PoolKey,
        family: Option<&str>,
        now: Timestamp,
    ) -> NewestOffered<'_> {
        let own = self.offered.get(pool).and_then(|told| self.newest(told, None));
        let by_pattern = || {
            let mut covering: Vec<_> = self
                .offered_by_pattern
                .iter()
                .filter(|(pattern, _)| pattern.covers(pool))
                .collect();
            covering.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.pool.len()));
            covering.into_iter().find_map(|(_, told)| self.newest(told, Some(family?)))
        };
        let Some((image, span)) = own.or_else(by_pattern) else { return NewestOffered::Untold };
        match now.duration_since(span.as_of) > OFFERED_STALE_AFTER {
            true => NewestOffered::Stale { image, as_of: span.as_of },
            false => NewestOffered::Known { image, span },
        }
    }

    /// Of what was told of one pool the last, and of several of one moment the newest build.
    fn newest<'a>(
        &self,
        told: &'a BTreeMap<ImageLabel, OfferedSpan>,
        family: Option<&str>,
    ) -> Option<(&'a ImageLabel, OfferedSpan)> {
        let of_line = told.iter().filter(|(image, _)| family.is_none_or(|one| one == image.family));
        let newest = of_line
            .max_by_key(|(image, span)| (span.as_of, self.build(&image.family, &image.version)));
        newest.map(|(image, span)| (image, *span))
    }

    /// To so many pools, or patterns of pools, an image was ever offered, and since when; none
    /// where it never was.
    #[must_use]
    pub fn offered_to(&self, family: &str, version: &str) -> Option<(usize, Timestamp)> {
        let all = self.offered.values().chain(self.offered_by_pattern.values());
        let is_it = |image: &ImageLabel| image.family == family && image.version == version;
        let spans = all.filter_map(|told| {
            told.iter().filter(|(image, _)| is_it(image)).map(|(_, span)| span.since).min()
        });
        let spans: Vec<Timestamp> = spans.collect();
        spans.iter().min().map(|since| (spans.len(), *since))
    }

    /// Every image that was ever told to be offered to any pool.
    pub fn all_offered(&self) -> impl Iterator<Item = &ImageLabel> {
        self.offered.values().chain(self.offered_by_pattern.values()).flat_map(BTreeMap::keys)
    }

    /// What was told of a pool, with what its cluster says where it says nothing itself, and
    /// what an operator states in its place. None where nobody told anything of it.
    #[must_use]
    pub fn pool(&self, key: &PoolKey) -> Option<PoolProfile> {
        let mut stated: Vec<&PoolOverride> =
            self.overrides.values().filter(|stated| stated.pools.covers(key)).collect();
        // The more a pattern names, the later it has its say.
        stated.sort_by_key(|stated| (stated.pools.exact().is_some(), stated.pools.pool.len()));
        let told = self.pools.get(key).cloned();
        let as_of = stated.iter().map(|stated| stated.as_of).min();
        let mut pool = told.or_else(|| Some(PoolProfile::unstated(key.clone(), as_of?)))?;
        if let Some(cluster) = self.clusters.get(&key.cluster) {
            cluster.fill(&mut pool);
        }
        stated.iter().for_each(|stated| stated.apply(&mut pool));
        Some(pool)
    }

    /// The pools that the provider's tools told of.
    pub fn pool_keys(&self) -> impl Iterator<Item = &PoolKey> {
        self.pools.keys()
    }

    /// What was told of a cluster.
    #[must_use]
    pub fn cluster(&self, cluster: &str) -> Option<&ClusterProfile> {
        self.clusters.get(cluster)
    }

    /// The channel that brings node images into a pool, where it was told.
    #[must_use]
    pub fn channel(&self, key: &PoolKey) -> Option<NodeOsChannel> {
        let of_cluster = || self.cluster(&key.cluster).and_then(|cluster| cluster.channel);
        self.pool(key).and_then(|pool| pool.channel).or_else(of_cluster)
    }

    /// The processors that may still be taken, as far as it was told.
    pub fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.quotas.values()
    }

    /// The addresses that are still free, as far as it was told.
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets.values()
    }

    /// So many images, and so many packages that are told apart.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.images.values().map(BTreeMap::len).sum(), self.packages.len())
    }
}
