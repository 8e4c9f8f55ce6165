//! The list of images: of each what it is made of, when it was built, announced and offered,
//! and which nodes run it. Nodes of one image that do not have the same packages are told:
//! an image may be rebuilt under its name, patched while it runs, or changed by somebody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::Catalogue;
use super::{ImageLabel, ShippedPackages};
use crate::pool::PoolKey;

/// A node, as far as its image is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOfImage {
    /// Which pool it is in.
    pub pool: PoolKey,
    /// Its name.
    pub node: String,
    /// Its image, by what lies on its disk.
    pub image: ImageLabel,
    /// What names its list of packages; none where it is not known.
    pub packages: Option<String>,
}

/// The list of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageList {
    /// For which moment.
    pub as_of: Timestamp,
    /// The newest build of each line first.
    pub images: Vec<ImageRow>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageRow {
    /// The line of images.
    pub family: String,
    /// Which image of it.
    pub version: String,
    /// When it was built, by its note; else by the day in its version.
    pub built_at: Option<Timestamp>,
    /// Whether its note tells when it was built.
    pub is_built_by_note: bool,
    /// When it was announced to customers.
    pub announced_at: Option<Timestamp>,
    /// When it was first told to be offered to a pool.
    pub offered_since: Option<Timestamp>,
    /// To so many pools it was ever offered.
    pub offered_to: usize,
    /// The kernel that it boots.
    pub kernel: String,
    /// So many packages are in it; none where they are not known.
    pub packages: Option<usize>,
    /// Why its packages are not known; empty where they are.
    pub unknown: String,
    /// So many nodes run it.
    pub nodes: usize,
    /// So many different lists of packages these nodes have.
    pub variants: usize,
}

/// The images of one line or of all, the newest build of each line first.
#[must_use]
pub fn list(catalogue: &Catalogue, nodes: &[NodeOfImage], family: Option<&str>) -> Vec<ImageRow> {
    let mut on_nodes: BTreeMap<(&str, &str), Vec<&NodeOfImage>> = BTreeMap::new();
    for node in nodes {
        on_nodes.entry((&node.image.family, &node.image.version)).or_default().push(node);
    }
    let known = catalogue.images().map(|(family, version, _)| (family, version));
    let offered =
        catalogue.all_offered().map(|image| (image.family.as_str(), image.version.as_str()));
    let all: BTreeSet<(&str, &str)> =
        known.chain(offered).chain(on_nodes.keys().copied()).collect();
    let mut rows: Vec<ImageRow> = all
        .into_iter()
        .filter(|(of, _)| family.is_none_or(|wanted| wanted == *of))
        .map(|(family, version)| {
            let nodes = on_nodes.get(&(family, version)).map(Vec::as_slice).unwrap_or_default();
            row(catalogue, family, version, nodes)
        })
        .collect();
    rows.sort_by(|a, b| {
        let build = |row: &ImageRow| catalogue.build(&row.family, &row.version);
        a.family.cmp(&b.family).then_with(|| build(b).cmp(&build(a)))
    });
    rows
}

fn row(catalogue: &Catalogue, family: &str, version: &str, nodes: &[&NodeOfImage]) -> ImageRow {
    let image = catalogue.image(family, version);
    let release = image.and_then(|image| image.release.as_deref());
    let offered = catalogue.offered_to(family, version);
    let (packages, unknown) = match release.map(|release| &release.packages) {
        Some(ShippedPackages::Listed(listed)) => (Some(listed.len()), String::new()),
        Some(ShippedPackages::Unknown(why)) => (None, why.clone()),
        None => (None, "its release note has not been imported".to_owned()),
    };
    let variants: BTreeSet<&str> =
        nodes.iter().filter_map(|node| node.packages.as_deref()).collect();
    ImageRow {
        family: family.to_owned(),
        version: version.to_owned(),
        built_at: catalogue.build(family, version).0,
        is_built_by_note: release.is_some_and(|release| release.built_at.is_some()),
        announced_at: catalogue.announced_at(family, version),
        offered_since: offered.map(|(_, since)| since),
        offered_to: offered.map_or(0, |(pools, _)| pools),
        kernel: release.and_then(|release| release.kernel.clone()).unwrap_or_default(),
        packages,
        unknown,
        nodes: nodes.len(),
        variants: variants.len(),
    }
}
