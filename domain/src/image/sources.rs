//! Which source package a binary package was built from. Lists of images name binaries only,
//! advisories name sources. Who knows: the package databases of nodes, and the feeds, where a
//! source is called as the binary is.
//!
//! What a node tells counts only where three nodes of two pools tell the same: one node that
//! lies must not change what is said of an image. Where two answers have so many behind them,
//! neither counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::advisory::Stream;
use crate::facts::{Package, Packages};
use crate::matching::Index;
use crate::pool::PoolKey;
use crate::version::without_epoch;

/// So many nodes must tell the same.
pub const AGREEING_NODES: usize = 3;

/// So many pools they must be of.
pub const AGREEING_POOLS: usize = 2;

/// Nodes that have one list of packages.
#[derive(Debug, Clone)]
pub struct Told {
    /// Their release, in the base tier.
    pub stream: Stream,
    /// Their packages.
    pub packages: Arc<Packages>,
    /// Which nodes: pool and name.
    pub nodes: BTreeSet<(PoolKey, String)>,
}

/// Whether so many and such nodes are enough to be believed.
#[must_use]
pub fn agree<'a>(nodes: impl IntoIterator<Item = &'a (PoolKey, String)>) -> bool {
    let nodes: BTreeSet<_> = nodes.into_iter().collect();
    let pools: BTreeSet<&PoolKey> = nodes.iter().map(|(pool, _)| pool).collect();
    nodes.len() >= AGREEING_NODES && pools.len() >= AGREEING_POOLS
}

/// A source package in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceVersion {
    /// The source package.
    pub source: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

/// The source packages of binaries, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// By release and binary: the source, and whether its version was the binary's wherever it
    /// was seen.
    names: BTreeMap<Stream, BTreeMap<String, (Arc<str>, bool)>>,
    /// By release, binary and its version, where the source's version is another.
    versions: BTreeMap<Stream, BTreeMap<String, BTreeMap<String, SourceVersion>>>,
}

impl Sources {
    /// Of what nodes tell.
    #[must_use]
    pub fn learned(told: &[Told]) -> Self {
        let mut names: BTreeMap<(&Stream, &str), BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        let mut versions: BTreeMap<Exact<'_>, BTreeMap<(&str, &str), Vec<usize>>> = BTreeMap::new();
        for (place, one) in told.iter().enumerate() {
            for package in &one.packages.installed {
                let Package { name, version, source, source_version, .. } = package;
                let of_name = names.entry((&one.stream, name)).or_default();
                of_name.entry(source).or_default().push(place);
                let of_version = versions.entry((&one.stream, name, version)).or_default();
                of_version.entry((source, source_version)).or_default().push(place);
            }
        }
        let is_believed = |places: &Vec<usize>| {
            agree(places.iter().filter_map(|place| told.get(*place)).flat_map(|one| &one.nodes))
        };
        let mut learned = Self::default();
        for ((stream, binary), claims) in names {
            if let Some(source) = only(claims, is_believed) {
                let of_stream = learned.names.entry(stream.clone()).or_default();
                of_stream.insert(binary.to_owned(), (Arc::from(source), true));
            }
        }
        for ((stream, binary, version), claims) in versions {
            let Some((source, source_version)) = only(claims, is_believed) else { continue };
            let name = learned.names.get_mut(stream).and_then(|names| names.get_mut(binary));
            if without_epoch(version) == without_epoch(source_version) {
                continue;
            }
            if let Some((_, is_binarys)) = name {
                *is_binarys = false;
            }
            let of_stream = learned.versions.entry(stream.clone()).or_default();
            let known =
                SourceVersion { source: Arc::from(source), version: Arc::from(source_version) };
            of_stream.entry(binary.to_owned()).or_default().insert(version.to_owned(), known);
        }
        learned
    }

    /// The source of a binary package in a version, on a release; none where nobody knows it.
    /// A feed that speaks of a source of the binary's own name is believed to mean it.
    #[must_use]
    pub fn of(
        &self,
        stream: &Stream,
        index: &Index,
        binary: &str,
        version: &str,
    ) -> Option<SourceVersion> {
        let versions = self.versions.get(stream).and_then(|known| known.get(binary));
        if let Some(known) = versions.and_then(|known| known.get(version)) {
            return Some(known.clone());
        }
        let named = self.names.get(stream).and_then(|names| names.get(binary));
        match named {
            Some((source, true)) => {
                Some(SourceVersion { source: Arc::clone(source), version: Arc::from(version) })
            }
            // Where versions differ, that of the source cannot be told from the binary's.
            Some((_, false)) => None,
            None => index
                .has_source(stream, binary)
                .then(|| SourceVersion { source: Arc::from(binary), version: Arc::from(version) }),
        }
    }

    /// The binary packages of a source that nodes told of.
    pub(super) fn binaries_of<'a>(
        &'a self,
        stream: &Stream,
        source: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let names = self.names.get(stream).into_iter().flatten();
        names.filter(move |(_, (of, _))| &**of == source).map(|(binary, _)| binary.as_str())
    }

    /// Of so many binary packages the source is known by what nodes told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.values().map(BTreeMap::len).sum()
    }

    /// Whether nodes told nothing that counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A binary package in one version, on one release.
type Exact<'a> = (&'a Stream, &'a str, &'a str);

/// The one claim that is believed; none where none is, or several are.
fn only<T>(
    claims: BTreeMap<T, Vec<usize>>,
    is_believed: impl Fn(&Vec<usize>) -> bool,
) -> Option<T> {
    let mut believed = claims.into_iter().filter(|(_, places)| is_believed(places));
    match (believed.next(), believed.next()) {
        (Some((claim, _)), None) => Some(claim),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Advisory;
    use crate::facts::PackageManager;
    use crate::matching::samples::packages;

    fn node(cluster: &str, pool: &str, node: &str) -> (PoolKey, String) {
        let key = PoolKey { cluster: cluster.to_owned(), pool: pool.to_owned() };
        (key, node.to_owned())
    }

    fn told(lines: &[&str], nodes: &[(PoolKey, String)]) -> Told {
        Told {
            stream: Stream::of_os_release("ubuntu", "22.04"),
            packages: packages(PackageManager::Dpkg, lines),
            nodes: nodes.iter().cloned().collect(),
        }
    }

    fn of(sources: &Sources, binary: &str, version: &str) -> Option<(String, String)> {
        let stream = Stream::of_os_release("ubuntu", "22.04");
        let none: [&Advisory; 0] = [];
        let index = Index::build(0, none, &BTreeSet::new(), |_| None).expect("an index");
        let found = sources.of(&stream, &index, binary, version)?;
        Some((found.source.to_string(), found.version.to_string()))
    }

    #[test]
    fn what_nodes_tell_counts_from_three_nodes_of_two_pools_on() {
        let lines = ["libssl3 3.0.2-1 openssl 3.0.2-1"];
        let known = Some(("openssl".to_owned(), "3.0.2-9".to_owned()));
        for (nodes, expected) in [
            (vec![node("c", "a", "1"), node("c", "a", "2"), node("c", "a", "3")], None),
            (vec![node("c", "a", "1"), node("c", "b", "2")], None),
            (vec![node("c", "a", "1"), node("c", "a", "2"), node("c", "b", "3")], known),
        ] {
            let sources = Sources::learned(&[told(&lines, &nodes)]);
            assert_eq!(of(&sources, "libssl3", "3.0.2-9"), expected, "{nodes:?}");
        }
    }

    #[test]
    fn one_node_that_lies_changes_nothing() {
        let honest = told(
            &["libssl3 3.0.2-1 openssl 3.0.2-1"],
            &[node("c", "a", "1"), node("c", "a", "2"), node("c", "b", "3")],
        );
        let liar = told(
            &["libssl3 3.0.2-1 nothing 9", "libc6 2.35-1 openssl 2.35-1"],
            &[node("c", "a", "liar")],
        );
        let (without, with) =
            (Sources::learned(std::slice::from_ref(&honest)), Sources::learned(&[honest, liar]));
        for (binary, version) in [("libssl3", "3.0.2-1"), ("libssl3", "4"), ("libc6", "2.35-1")] {
            assert_eq!(of(&without, binary, version), of(&with, binary, version), "{binary}");
        }
        assert_eq!(without.len(), with.len());
    }

    #[test]
    fn two_answers_that_many_give_are_none() {
        let of_pools = |nodes: [&str; 3]| {
            [node("c", "a", nodes[0]), node("c", "b", nodes[1]), node("c", "b", nodes[2])]
        };
        let one = told(&["libssl3 1 openssl 1"], &of_pools(["1", "2", "3"]));
        let other = told(&["libssl3 1 openssl-fork 1"], &of_pools(["4", "5", "6"]));
        assert_eq!(of(&Sources::learned(&[one, other]), "libssl3", "1"), None);
    }

    #[test]
    fn where_versions_differ_only_those_that_were_seen_are_known() {
        let nodes = [node("c", "a", "1"), node("c", "a", "2"), node("c", "b", "3")];
        let sources = Sources::learned(&[told(&["libgcc-s1 12.3.0-1 gcc-12 12.3.0-17"], &nodes)]);
        let known = Some(("gcc-12".to_owned(), "12.3.0-17".to_owned()));
        assert_eq!(of(&sources, "libgcc-s1", "12.3.0-1"), known);
        assert_eq!(of(&sources, "libgcc-s1", "12.3.0-2"), None);
    }
}
