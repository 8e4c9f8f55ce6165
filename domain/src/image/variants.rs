//! The variants of one image: nodes that run it and do not have the same packages. An image is
//! rebuilt under its name, patched while it runs, or changed by somebody; each variant is held
//! against the image's own list, or else against the variant that most nodes have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::drift::{DriftedPackage, drift};
use super::{ImageLabel, ImageRelease, ShippedPackages};
use crate::facts::Packages;
use crate::pool::PoolKey;

/// A node that runs the image, with what it has installed.
#[derive(Debug, Clone)]
pub struct NodeOfVariant {
    /// Which pool it is in.
    pub pool: PoolKey,
    /// Its name.
    pub node: String,
    /// Its label, as far as it says that it was patched in place.
    pub label: Option<ImageLabel>,
    /// What names its list of packages, and the list; none where it could not be read.
    pub packages: Option<(String, Arc<Packages>)>,
}

/// Nodes of one image, by what they have installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variants {
    /// For which moment.
    pub as_of: Timestamp,
    /// The image, by its label.
    pub image: String,
    /// What each variant is held against.
    pub against: Against,
    /// So many nodes run it whose packages could not be read: they are in no variant.
    pub not_read: usize,
    /// The one with most nodes first.
    pub variants: Vec<Variant>,
}

/// What variants are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The list of packages of the image's own note.
    Note,
    /// The variant that most nodes have: the image's own list is not known.
    CommonestVariant,
}

impl Against {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Note, Self::CommonestVariant];

    /// Its one word, as serde writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::CommonestVariant => "commonest_variant",
        }
    }
}

/// Nodes with the same packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// What names the list of packages: SHA-256.
    pub packages: String,
    /// So many packages it has.
    pub installed: usize,
    /// So many nodes.
    pub nodes: usize,
    /// One of them.
    pub example: String,
    /// Their pools.
    pub pools: Vec<PoolKey>,
    /// Days of security patches that their labels name.
    pub patched: Vec<String>,
    /// What is not as in the list that it is held against, by name; none where the two cannot
    /// be compared.
    pub changed: Option<Vec<DriftedPackage>>,
}

impl Variants {
    /// Tells the nodes of an image apart. `release` is what its note says, where there is one.
    #[must_use]
    pub fn of(
        image: &ImageLabel,
        release: Option<&ImageRelease>,
        nodes: &[NodeOfVariant],
        now: Timestamp,
    ) -> Self {
        let mut alike: BTreeMap<&str, (&Packages, Vec<&NodeOfVariant>)> = BTreeMap::new();
        for node in nodes {
            if let Some((digest, packages)) = &node.packages {
                alike.entry(digest).or_insert_with(|| (packages, Vec::new())).1.push(node);
            }
        }
        let not_read = nodes.len() - alike.values().map(|(_, nodes)| nodes.len()).sum::<usize>();
        let mut by_nodes: Vec<(&str, (&Packages, Vec<&NodeOfVariant>))> =
            alike.into_iter().collect();
        by_nodes.sort_by(|(a, (_, of_a)), (b, (_, of_b))| {
            of_b.len().cmp(&of_a.len()).then_with(|| a.cmp(b))
        });
        let noted = release.filter(|release| release.listed().is_some());
        let commonest = || {
            let (_, (packages, _)) = by_nodes.first()?;
            Some(ImageRelease {
                family: image.family.clone(),
                version: image.version.clone(),
                built_at: None,
                kernel: None,
                os_id: None,
                os_version_id: None,
                packages: ShippedPackages::of_node(packages),
            })
        };
        let (against, list) = match noted {
            Some(release) => (Against::Note, Some(release.clone())),
            None => (Against::CommonestVariant, commonest()),
        };
        let variant = |(digest, (packages, nodes)): &(&str, (&Packages, Vec<&NodeOfVariant>))| {
            let labels = nodes.iter().filter_map(|node| node.label.as_ref());
            let patched: BTreeSet<&String> =
                labels.clone().filter_map(|label| label.patched.as_ref()).collect();
            // Patched in place is what all of them say, or else somebody changed it.
            let label = labels.clone().min_by_key(|label| label.patched.is_some());
            let pools: BTreeSet<&PoolKey> = nodes.iter().map(|node| &node.pool).collect();
            Variant {
                packages: (*digest).to_owned(),
                installed: packages.installed.len(),
                nodes: nodes.len(),
                example: nodes.iter().map(|node| &node.node).min().cloned().unwrap_or_default(),
                pools: pools.into_iter().cloned().collect(),
                patched: patched.into_iter().cloned().collect(),
                changed: list.as_ref().and_then(|list| drift(list, packages, label)),
            }
        };
        Self {
            as_of: now,
            image: image.to_string(),
            against,
            not_read,
            variants: by_nodes.iter().map(variant).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DatabaseLock, Package, PackageManager};
    use crate::image::drift::DriftCause;

    fn node(name: &str, patched: Option<&str>, installed: &[(&str, &str)]) -> NodeOfVariant {
        let package = |(name, version): &(&str, &str)| Package {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            architecture: "amd64".to_owned(),
            source: (*name).to_owned(),
            source_version: (*version).to_owned(),
            held: false,
            origin: String::new(),
        };
        let packages = Packages {
            manager: PackageManager::Dpkg,
            path: "/var/lib/dpkg/status".to_owned(),
            installed: installed.iter().map(package).collect(),
            unfinished: Vec::new(),
            lock: DatabaseLock::Free,
        };
        NodeOfVariant {
            pool: PoolKey { cluster: "prod".to_owned(), pool: "apps".to_owned() },
            node: name.to_owned(),
            label: Some(ImageLabel {
                family: "F".to_owned(),
                version: "202611.03.0".to_owned(),
                patched: patched.map(str::to_owned),
            }),
            packages: Some((format!("{installed:?}"), Arc::new(packages))),
        }
    }

    fn image() -> ImageLabel {
        ImageLabel { family: "F".to_owned(), version: "202611.03.0".to_owned(), patched: None }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn without_a_note_the_commonest_variant_is_the_measure() {
        let plain = [("curl", "1"), ("openssl", "1")];
        let mut unread = node("d", None, &[]);
        unread.packages = None;
        let nodes = [
            node("b", None, &plain),
            node("a", None, &plain),
            node("c", None, &[("curl", "1"), ("openssl", "2"), ("extra", "1")]),
            unread,
        ];
        let variants = Variants::of(&image(), None, &nodes, NOW);
        assert_eq!((variants.against, variants.not_read), (Against::CommonestVariant, 1));
        let [most, other] = variants.variants.as_slice() else { panic!("{variants:?}") };
        assert_eq!((most.nodes, most.example.as_str()), (2, "a"));
        assert_eq!(most.changed.as_deref(), Some([].as_slice()));
        let changed = other.changed.as_ref().expect("compared");
        let told: Vec<_> = changed.iter().map(|one| (one.name.as_str(), one.cause)).collect();
        assert_eq!(told, [("extra", DriftCause::Installed), ("openssl", DriftCause::Updated)]);
    }

    #[test]
    fn each_is_held_against_the_note_and_a_patch_in_place_is_named() {
        let release = ImageRelease {
            family: "F".to_owned(),
            version: "202611.03.0".to_owned(),
            built_at: None,
            kernel: None,
            os_id: None,
            os_version_id: None,
            packages: ShippedPackages::of_node(
                &node("", None, &[("openssl", "1")]).packages.expect("a list").1,
            ),
        };
        let nodes = [node("a", Some("2026.11.20"), &[("openssl", "2")])];
        let variants = Variants::of(&image(), Some(&release), &nodes, NOW);
        assert_eq!(variants.against, Against::Note);
        let [only] = variants.variants.as_slice() else { panic!("{variants:?}") };
        assert_eq!(only.patched, ["2026.11.20"]);
        let changed = only.changed.as_ref().expect("compared");
        assert_eq!(changed.first().map(|one| one.cause), Some(DriftCause::SecurityPatch));
    }
}
