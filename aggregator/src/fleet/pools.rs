//! What nodes show of their pools and images, gathered over the fleet: which images a pool
//! runs, whatever anybody says of it, and which images enough nodes of a cluster run to be
//! taken for offered. Gathered anew for each answer: nothing here outlives one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nodeward_domain::facts::{Files, NodeAccess};
use nodeward_domain::image::list::NodeOfImage;
use nodeward_domain::image::sources::agree;
use nodeward_domain::pool::{PoolKey, PoolTruth, Surroundings};
use nodeward_domain::siblings::Siblings;

use super::Place;
use super::cluster::{Clusters, KnownCluster};

/// Cluster, line and version.
type Image<'a> = (&'a str, &'a str, &'a str);

/// A node's image and pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Its cluster and pool.
    pub pool: PoolKey,
    /// Its name.
    pub node: String,
    /// Its line of images, as its image names itself.
    pub sku: String,
    /// Its image.
    pub version: String,
    /// What names its list of packages.
    pub packages: Option<String>,
}

/// Every pool, and what is observed of images.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    nodes: Arc<[Stand]>,
    /// By pool, and by line and version of the image.
    by_image: Arc<BTreeMap<(PoolKey, String, String), Arc<Surroundings>>>,
    clusters: Clusters,
}

impl Pools {
    /// Gathers over all nodes.
    #[must_use]
    pub fn of(places: &[Arc<Place>]) -> Self {
        let mut nodes: Vec<Stand> = Vec::with_capacity(places.len());
        let mut alike: BTreeMap<(PoolKey, String, String), Alike> = BTreeMap::new();
        for place in places {
            let memory = place.memory();
            let Some(node) = memory.node.as_ref() else { continue };
            let Some(stand) = node.stand() else { continue };
            let key = (stand.pool.clone(), stand.sku.clone(), stand.version.clone());
            alike.entry(key).or_default().add(node.files(), node.access());
            nodes.push(stand);
        }
        let mut truths: BTreeMap<PoolKey, PoolTruth> = BTreeMap::new();
        let mut runs: BTreeMap<Image<'_>, BTreeSet<(PoolKey, String)>> = BTreeMap::new();
        for one in &nodes {
            let truth = truths
                .entry(one.pool.clone())
                .or_insert_with(|| PoolTruth { key: one.pool.clone(), images: BTreeMap::new() });
            *truth.images.entry((one.sku.clone(), one.version.clone())).or_default() += 1;
            let cluster = one.pool.cluster.as_str();
            let of_image = runs.entry((cluster, &one.sku, &one.version)).or_default();
            of_image.insert((one.pool.clone(), one.node.clone()));
        }
        let mut observed: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for ((cluster, sku, version), by) in &runs {
            if agree(by) {
                observed.entry((cluster, sku)).or_default().insert((*version).to_owned());
            }
        }
        let by_image = alike.into_iter().map(|((pool, sku, version), alike)| {
            let of_line = observed.get(&(pool.cluster.as_str(), sku.as_str()));
            let surroundings = Arc::new(Surroundings {
                pool: truths.get(&pool).cloned(),
                observed: of_line.cloned().unwrap_or_default(),
                siblings: alike.siblings(),
            });
            ((pool, sku, version), surroundings)
        });
        let by_image = by_image.collect();
        drop(observed);
        drop(runs);
        Self { nodes: nodes.into(), by_image: Arc::new(by_image), clusters: Clusters::default() }
    }

    /// The same, with what is known of clusters.
    pub(super) fn with_clusters(&self, clusters: Clusters) -> Self {
        Self { clusters, ..self.clone() }
    }

    pub(super) const fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// What is known of a cluster, if its API server is asked.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Arc<KnownCluster>> {
        self.clusters.get(name)
    }

    /// What the other nodes show about one.
    #[must_use]
    pub fn around(&self, stand: Option<&Stand>) -> Option<&Arc<Surroundings>> {
        let stand = stand?;
        self.by_image.get(&(stand.pool.clone(), stand.sku.clone(), stand.version.clone()))
    }

    /// Every node of which pool and image are known.
    #[must_use]
    pub fn nodes(&self) -> &[Stand] {
        &self.nodes
    }
}

/// What nodes of one pool and image show. Contents that are the same are held once, so that
/// nodes that show the same are counted, and what they show is gone through once.
#[derive(Debug, Default)]
struct Alike {
    files: BTreeMap<usize, (usize, Arc<Files>)>,
    access: BTreeMap<usize, (usize, Arc<NodeAccess>)>,
}

impl Alike {
    fn add(&mut self, files: Option<Arc<Files>>, access: Option<Arc<NodeAccess>>) {
        fn count<T>(all: &mut BTreeMap<usize, (usize, Arc<T>)>, one: Option<Arc<T>>) {
            let Some(one) = one else { return };
            all.entry(Arc::as_ptr(&one).addr()).or_insert_with(|| (0, one)).0 += 1;
        }
        count(&mut self.files, files);
        count(&mut self.access, access);
    }

    fn siblings(&self) -> Siblings {
        let mut siblings = Siblings::default();
        for (nodes, files) in self.files.values() {
            siblings.add_files(*nodes, files);
        }
        for (nodes, access) in self.access.values() {
            siblings.add_access(*nodes, access);
        }
        siblings
    }
}

impl Stand {
    /// As lists of images have it, by the name of its line in the catalogue.
    #[must_use]
    pub fn of_image(&self, family: String) -> NodeOfImage {
        NodeOfImage {
            pool: self.pool.clone(),
            node: self.node.clone(),
            image: nodeward_domain::image::ImageLabel {
                family,
                version: self.version.clone(),
                patched: None,
            },
            packages: self.packages.clone(),
        }
    }
}
