//! The catalogue: everything that is known of node images, from whoever told it. What an
//! image is made of, when it was built, when it was announced, to whom it is offered: four
//! facts, each with a source of its own; none is made out of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{ImageLabel, ImageRelease, ShippedPackage, ShippedPackages, build_of};
use crate::pool::{ClusterProfile, NodeOsChannel, OfferedImage, PoolKey, PoolProfile};

/// How long it may be believed that an image is the newest one offered: images come weekly.
pub const OFFERED_STALE_AFTER: SignedDuration = SignedDuration::from_hours(14 * 24);

/// All that is known of node images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    images: BTreeMap<String, BTreeMap<String, CataloguedImage>>,
    offered: BTreeMap<PoolKey, BTreeMap<ImageLabel, OfferedSpan>>,
    pools: BTreeMap<PoolKey, PoolProfile>,
    clusters: BTreeMap<String, ClusterProfile>,
    /// Every package of every image once.
    packages: BTreeSet<Arc<ShippedPackage>>,
}

/// What is known of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguedImage {
    /// What it was made of, by its release note.
    pub release: Option<Arc<ImageRelease>>,
    /// When it was announced to customers.
    pub announced_at: Option<Timestamp>,
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

    /// Puts in when an image was announced: of several dates the earliest counts.
    pub fn put_announced(&mut self, family: &str, version: &str, at: Timestamp) -> bool {
        let entry = self.entry(family, version);
        let earliest = entry.announced_at.map_or(at, |known| known.min(at));
        entry.announced_at.replace(earliest) != Some(earliest)
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
        let of_pool = self.offered.entry(key).or_default();
        match of_pool.get_mut(&image) {
            None => {
                of_pool.insert(image, OfferedSpan { since: as_of, as_of });
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

    /// The newest image that is offered to a pool: what was told last.
    #[must_use]
    pub fn newest_offered(&self, pool: &PoolKey, now: Timestamp) -> NewestOffered<'_> {
        let told = self.offered.get(pool).into_iter().flatten();
        let newest = told
            .max_by_key(|(image, span)| (span.as_of, self.build(&image.family, &image.version)));
        let Some((image, span)) = newest else { return NewestOffered::Untold };
        match now.duration_since(span.as_of) > OFFERED_STALE_AFTER {
            true => NewestOffered::Stale { image, as_of: span.as_of },
            false => NewestOffered::Known { image, span: *span },
        }
    }

    /// All that was ever told to be the newest one offered to a pool, and when.
    pub fn offered(&self, pool: &PoolKey) -> impl Iterator<Item = (&ImageLabel, OfferedSpan)> {
        self.offered.get(pool).into_iter().flatten().map(|(image, span)| (image, *span))
    }

    /// To whom an image was ever offered, and since when.
    #[must_use]
    pub fn offered_to(&self, family: &str, version: &str) -> Vec<(&PoolKey, OfferedSpan)> {
        let of_pool = |(pool, told): (_, &BTreeMap<ImageLabel, OfferedSpan>)| {
            let mut told = told.iter();
            let found = told.find(|(image, _)| image.family == family && image.version == version);
            found.map(|(_, span)| (pool, *span))
        };
        self.offered.iter().filter_map(of_pool).collect()
    }

    /// Every image that was ever told to be offered to any pool.
    pub fn all_offered(&self) -> impl Iterator<Item = &ImageLabel> {
        self.offered.values().flat_map(BTreeMap::keys)
    }

    /// What was told of a pool.
    #[must_use]
    pub fn pool(&self, pool: &PoolKey) -> Option<&PoolProfile> {
        self.pools.get(pool)
    }

    /// Everything that was told of pools.
    pub fn pools(&self) -> impl Iterator<Item = &PoolProfile> {
        self.pools.values()
    }

    /// What was told of a cluster.
    #[must_use]
    pub fn cluster(&self, cluster: &str) -> Option<&ClusterProfile> {
        self.clusters.get(cluster)
    }

    /// The channel that brings node images into a pool, where it was told.
    #[must_use]
    pub fn channel(&self, pool: &PoolKey) -> Option<NodeOsChannel> {
        let of_pool = self.pool(pool).and_then(|pool| pool.channel);
        of_pool.or_else(|| self.cluster(&pool.cluster).and_then(|cluster| cluster.channel))
    }

    /// So many images, and so many packages that are told apart.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.images.values().map(BTreeMap::len).sum(), self.packages.len())
    }
}
