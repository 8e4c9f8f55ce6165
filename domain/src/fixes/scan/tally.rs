//! How a row stands on the nodes that were looked at, counted, and the one answer that all of
//! them give together.

use std::collections::BTreeSet;

use super::words::{self, Ground};
use super::{Elsewhere, Labelled, Reported, ScanVerdict};
use crate::fixes::fleet::word;

/// So many nodes are named in a row.
const EXAMPLES: usize = 3;

/// How a row stands on some nodes, and on what that rests.
pub(super) struct Found<'f> {
    pub(super) verdict: ScanVerdict,
    pub(super) ground: Ground<'f>,
}

impl Found<'_> {
    /// What is told first: what is known of the package before what is not, and nodes that
    /// may have it before those that have it not.
    pub(super) fn order(&self) -> (bool, ScanVerdict, u8, jiff::Timestamp) {
        let is_behind = match self.ground {
            Ground::Unjudged(_) => true,
            _ => self.verdict >= ScanVerdict::OtherVersion,
        };
        let verdict = self.verdict;
        let (rank, published) = self.ground.rank();
        (is_behind, verdict, rank, published)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.verdict == other.verdict && self.ground.is_same(&other.ground)
    }
}

/// One answer, and the nodes on which it holds.
struct Counted<'f> {
    found: Found<'f>,
    versions: BTreeSet<&'f str>,
    nodes: usize,
    first: Vec<u32>,
}

/// All answers for a row.
#[derive(Default)]
pub(super) struct Tally<'f> {
    counted: Vec<Counted<'f>>,
}

impl<'f> Tally<'f> {
    pub(super) fn add(&mut self, found: Option<Found<'f>>, nodes: &[u32]) {
        let Some(found) = found else { return };
        let versions = found.ground.versions();
        let first = nodes.iter().copied().take(EXAMPLES);
        match self.counted.iter_mut().find(|one| one.found.is_same(&found)) {
            Some(counted) => {
                counted.nodes += nodes.len();
                counted.versions.extend(versions);
                counted.first.extend(first);
                counted.first.sort_unstable();
                counted.first.truncate(EXAMPLES);
            }
            None => self.counted.push(Counted {
                versions: versions.into_iter().collect(),
                nodes: nodes.len(),
                first: first.collect(),
                found,
            }),
        }
    }

    pub(super) fn answer(
        mut self,
        row: &Reported,
        looked_at: &str,
        names: &[(String, usize)],
    ) -> Labelled {
        self.counted.sort_by_key(|one| one.found.order());
        let mut counted = self.counted.into_iter();
        let Some(first) = counted.next() else {
            let package = &row.package;
            return words::absent(format!("no package {package} is installed on {looked_at}"));
        };
        let examples = first.first.iter().filter_map(|number| names.get(*number as usize));
        let labelled = Labelled {
            nodes: first.nodes,
            examples: examples.map(|(name, _)| name.clone()).collect(),
            ..words::labelled(&first.found, row, &first.versions)
        };
        Labelled { elsewhere: elsewhere(counted), ..labelled }
    }
}

/// How it stands on the other nodes. Those that cannot be judged at all are told once for
/// all rows.
fn elsewhere<'f>(others: impl Iterator<Item = Counted<'f>>) -> Vec<Elsewhere> {
    let mut all: Vec<Elsewhere> = Vec::new();
    for other in others.filter(|other| !matches!(other.found.ground, Ground::Unjudged(_))) {
        let responsible = other.found.ground.responsible().map_or("", word);
        let verdict = other.found.verdict;
        match all.iter_mut().find(|one| one.verdict == verdict && one.responsible == responsible) {
            Some(one) => one.nodes += other.nodes,
            None => all.push(Elsewhere {
                verdict,
                responsible: responsible.to_owned(),
                nodes: other.nodes,
            }),
        }
    }
    all
}
