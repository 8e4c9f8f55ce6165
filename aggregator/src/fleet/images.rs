//! Answers about node images: the catalogue, beside what the nodes of the fleet show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::Stream;
use nodeward_domain::facts::Packages;
use nodeward_domain::image::compare::{FromNodes, ImageDiff, MatchedImage, NodesMatched, diff};
use nodeward_domain::image::first_fix::{FirstFixes, first_fix};
use nodeward_domain::image::list::{ImageList, list};
use nodeward_domain::image::sources::{Sources, Told, agree};
use nodeward_domain::image::variants::{NodeOfVariant, Variants};
use nodeward_domain::image::{
    ImageLabel, ImageRelease, NoImageLabel, NotComparable, PatchMisfit, ShippedPackages,
    family_by_any_name,
};
use nodeward_domain::pool::PoolKey;

use super::{Fleet, Pools};
use crate::advisories::Advisories;

/// Two images to be held against each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedDiff {
    /// The first, by label or version; empty for what the nodes of the pool run.
    pub from: String,
    /// The second.
    pub to: String,
    /// The line of images of versions, by any of its names.
    pub family: String,
    /// The cluster of the pool; may be empty when only one has a pool of that name.
    pub cluster: String,
    /// The pool whose nodes are held against the second image; empty for two images.
    pub pool: String,
}

/// Why images cannot be held against each other.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    /// A text names no image.
    #[error("an image is named by its label, or by a version and --family")]
    NoName(#[from] NoImageLabel),
    /// Nothing is known of what is in an image.
    #[error("what is in image {image} is not known: nodeward image import with its release note")]
    Unknown {
        /// The image.
        image: String,
    },
    /// A security patch does not fit an image.
    #[error(transparent)]
    Patch(#[from] PatchMisfit),
    /// An image cannot be judged.
    #[error(transparent)]
    NotComparable(#[from] NotComparable),
    /// No node that has reported runs an image.
    #[error("no node runs image {image}")]
    NoNode {
        /// The image.
        image: String,
    },
    /// No node has reported to be in a pool.
    #[error("no node of pool {pool} has reported")]
    NoPool {
        /// The pool.
        pool: String,
    },
    /// Several clusters have a pool of that name.
    #[error("pool {pool:?} is in several clusters: {}", clusters.join(", "))]
    Ambiguous {
        /// The pool.
        pool: String,
        /// The clusters.
        clusters: Vec<String>,
    },
}

impl Fleet {
    /// The images that are known, of one line or of all.
    #[must_use]
    pub fn image_list(&self, family: Option<&str>, now: Timestamp) -> ImageList {
        let advisories = self.advisories();
        let nodes = self.pools();
        let nodes: Vec<_> =
            self.stands(&nodes).map(|one| one.of_image(family_by_any_name(&one.sku))).collect();
        let family = family.map(family_by_any_name);
        let images = list(advisories.images().catalogue(), &nodes, family.as_deref());
        ImageList { as_of: now, images }
    }

    /// The first image of each line that runs a fix.
    #[must_use]
    pub fn first_fix(&self, about: &str, family: Option<&str>, now: Timestamp) -> FirstFixes {
        let advisories = self.advisories();
        let sources = self.sources();
        let family = family.map(family_by_any_name);
        let catalogue = advisories.images().catalogue();
        let known = advisories.knowledge();
        first_fix(about, family.as_deref(), catalogue, &sources, known, now)
    }

    /// The nodes of an image, by what they have installed.
    pub fn image_variants(
        &self,
        image: &str,
        family: &str,
        now: Timestamp,
    ) -> Result<Variants, NoImage> {
        let label = ImageLabel { patched: None, ..ImageLabel::named(image, family)? };
        let nodes: Vec<NodeOfVariant> = self
            .all()
            .iter()
            .filter_map(|place| {
                let memory = place.memory();
                let node = memory.node.as_ref()?;
                let stand = node.stand()?;
                let is_of_image = stand.version == label.version
                    && family_by_any_name(&stand.sku) == label.family;
                is_of_image.then(|| NodeOfVariant {
                    packages: stand.packages.zip(node.installed().map(|(_, packages)| packages)),
                    pool: stand.pool,
                    node: stand.node,
                    label: node.label(),
                })
            })
            .collect();
        if nodes.is_empty() {
            return Err(NoImage::NoNode { image: label.to_string() });
        }
        let advisories = self.advisories();
        let catalogue = advisories.images().catalogue();
        let release = catalogue.release(&label.family, &label.version);
        Ok(Variants::of(&label, release.map(|release| &**release), &nodes, now))
    }

    /// What moving from one image to another changes.
    pub fn image_diff(&self, asked: &AskedDiff, now: Timestamp) -> Result<ImageDiff, NoImage> {
        let advisories = self.advisories();
        let pools = self.pools();
        let sources = self.sources();
        let pool = match asked.pool.as_str() {
            "" => None,
            name => Some(self.find_pool(&pools, &asked.cluster, name)?),
        };
        let from = match (asked.from.as_str(), &pool) {
            ("", Some(pool)) => commonest(&pools, pool)?,
            (text, _) => ImageLabel::named(text, &asked.family)?,
        };
        let to_family = match asked.family.as_str() {
            "" => from.family.as_str(),
            family => family,
        };
        let to = ImageLabel::named(&asked.to, to_family)?;
        let index = advisories.knowledge().index;
        let matched = |label: &ImageLabel| -> Result<MatchedImage, NoImage> {
            let release = self.release(&advisories, label)?;
            Ok(MatchedImage::of(&release, &sources, index)?)
        };
        let (from, to) = (matched(&from)?, matched(&to)?);
        let nodes = pool.as_ref().map(|pool| self.lacking(&advisories, pool, now));
        let nodes = nodes.as_ref().map(|(from, matched)| NodesMatched {
            from: from.clone(),
            matched: matched.iter().map(Arc::as_ref).collect(),
        });
        Ok(diff(&from, &to, nodes, advisories.knowledge(), self.policy(), now))
    }

    /// What the nodes of a pool lack, each list of packages once.
    pub(super) fn lacking(
        &self,
        advisories: &Advisories,
        pool: &PoolKey,
        now: Timestamp,
    ) -> (FromNodes, Vec<Arc<nodeward_domain::matching::Matched>>) {
        let places = self.all();
        let pools = self.pools();
        let is_of_pool =
            |node: &&super::NodeMemory| node.stand().is_some_and(|stand| stand.pool == *pool);
        let mut from =
            FromNodes { pool: pool.clone(), nodes: 0, not_judged: 0, images: Vec::new() };
        let mut matched: Vec<Arc<_>> = Vec::new();
        let mut images = BTreeSet::new();
        for place in &places {
            let memory = place.memory();
            let Some(node) = memory.node.as_ref().filter(is_of_pool) else { continue };
            from.nodes += 1;
            if let Some(stand) = node.stand() {
                images.insert(format!("{}-{}", family_by_any_name(&stand.sku), stand.version));
            }
            match node.fixes(self.policy(), advisories, &pools, now).judged {
                Ok(judged) => {
                    if !matched.iter().any(|known| Arc::ptr_eq(known, &judged.matched)) {
                        matched.push(judged.matched);
                    }
                }
                Err(_) => from.not_judged += 1,
            }
        }
        from.images = images.into_iter().collect();
        (from, matched)
    }

    /// The sources of binaries, as enough nodes tell them.
    pub(super) fn sources(&self) -> Sources {
        let mut told: BTreeMap<(String, Stream), Told> = BTreeMap::new();
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let (Some(stand), Some((stream, packages))) = (node.stand(), node.installed()) else {
                continue;
            };
            let Some(digest) = stand.packages else { continue };
            let one = told.entry((digest, stream.clone())).or_insert_with(|| Told {
                stream,
                packages,
                nodes: BTreeSet::new(),
            });
            one.nodes.insert((stand.pool, stand.node));
        }
        let told: Vec<Told> = told.into_values().collect();
        Sources::learned(&told)
    }

    /// What an image is made of: by its note, or else as enough nodes show it.
    pub(super) fn release(
        &self,
        advisories: &Advisories,
        label: &ImageLabel,
    ) -> Result<Arc<ImageRelease>, NoImage> {
        if let Some(release) = advisories.images().catalogue().labelled(label) {
            return Ok(release?);
        }
        self.learned(label).ok_or_else(|| NoImage::Unknown { image: label.to_string() })
    }

    /// What enough nodes of an image have installed, all of them the same.
    fn learned(&self, label: &ImageLabel) -> Option<Arc<ImageRelease>> {
        if label.patched.is_some() {
            return None;
        }
        let mut alike: BTreeMap<String, Alike> = BTreeMap::new();
        for place in self.all() {
            let memory = place.memory();
            let Some(node) = &memory.node else { continue };
            let Some(stand) = node.stand().filter(|stand| {
                stand.version == label.version && family_by_any_name(&stand.sku) == label.family
            }) else {
                continue;
            };
            let (Some((os_id, os_version_id, kernel)), Some((_, packages)), Some(digest)) =
                (node.system(), node.installed(), stand.packages)
            else {
                continue;
            };
            let key =
                format!("{digest} {os_id} {os_version_id} {}", kernel.as_deref().unwrap_or(""));
            let one = alike.entry(key).or_insert_with(|| Alike {
                packages,
                os_id,
                os_version_id,
                kernel,
                nodes: BTreeSet::new(),
            });
            one.nodes.insert((stand.pool, stand.node));
        }
        let mut agreed = alike.into_values().filter(|one| agree(&one.nodes));
        let (Some(one), None) = (agreed.next(), agreed.next()) else { return None };
        Some(Arc::new(ImageRelease {
            family: label.family.clone(),
            version: label.version.clone(),
            built_at: None,
            kernel: one.kernel,
            os_id: Some(one.os_id),
            os_version_id: Some(one.os_version_id),
            packages: ShippedPackages::of_node(&one.packages),
        }))
    }

    /// The nodes that answers are about, of which pool and image are known.
    fn stands<'a>(&'a self, pools: &'a Pools) -> impl Iterator<Item = &'a super::pools::Stand> {
        pools.nodes().iter().filter(|one| self.sees(&one.pool.cluster))
    }

    /// The pool of that name; of an empty cluster that of whichever has it.
    pub(super) fn find_pool(
        &self,
        pools: &Pools,
        cluster: &str,
        pool: &str,
    ) -> Result<PoolKey, NoImage> {
        let found: BTreeSet<&PoolKey> = self
            .stands(pools)
            .map(|node| &node.pool)
            .filter(|key| key.pool == pool && (cluster.is_empty() || key.cluster == cluster))
            .collect();
        let mut all = found.into_iter();
        match (all.next(), all.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => {
                let slash = if cluster.is_empty() { "" } else { "/" };
                Err(NoImage::NoPool { pool: format!("{cluster}{slash}{pool}") })
            }
            (Some(first), Some(second)) => {
                let clusters =
                    [first, second].into_iter().chain(all).map(|key| key.cluster.clone());
                Err(NoImage::Ambiguous { pool: pool.to_owned(), clusters: clusters.collect() })
            }
        }
    }
}

/// Nodes of one image with the same packages and kernel.
struct Alike {
    packages: Arc<Packages>,
    os_id: String,
    os_version_id: String,
    kernel: Option<String>,
    nodes: BTreeSet<(PoolKey, String)>,
}

/// The image that most nodes of a pool run.
fn commonest(pools: &Pools, pool: &PoolKey) -> Result<ImageLabel, NoImage> {
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for node in pools.nodes().iter().filter(|node| node.pool == *pool) {
        *counts.entry((family_by_any_name(&node.sku), &node.version)).or_default() += 1;
    }
    let most = counts.into_iter().max_by(|(a, of_a), (b, of_b)| (of_a, a).cmp(&(of_b, b)));
    match most {
        Some(((family, version), _)) => {
            Ok(ImageLabel { family, version: version.to_owned(), patched: None })
        }
        None => Err(NoImage::NoPool { pool: pool.to_string() }),
    }
}
