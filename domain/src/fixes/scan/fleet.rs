//! Nodes by how they are judged, and the one answer for a row that they give together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::Groups;
use super::known::Known;
use super::tally::{Found, Tally};
use super::words::{self, Ground};
use super::{Labelled, Reported, ScanVerdict, Wanted};
use crate::fixes::node::{Judged, NodeFixes};

/// Nodes that are judged alike in everything: one of them speaks for all.
pub(super) struct Class<'a> {
    /// What was found about them, or why nothing could be.
    pub(super) judged: Result<Judged<'a>, String>,
    nodes: Vec<u32>,
}

/// All nodes.
pub(super) struct Fleet<'a> {
    pub(super) classes: Vec<Class<'a>>,
    /// The classes whose nodes share what was matched.
    pub(super) alike: Vec<Vec<usize>>,
    /// Classes that cannot be judged.
    unjudged: Vec<usize>,
    /// Every node as `cluster/node`, and its class.
    names: Vec<(String, usize)>,
    by_name: BTreeMap<String, Vec<u32>>,
    /// Nodes of other clusters than the one that is asked about.
    outside: BTreeSet<String>,
    cluster: Option<String>,
    stale: usize,
}

impl<'a> Fleet<'a> {
    /// Takes the nodes one by one: of those that are alike only the first is kept.
    pub(super) fn of(
        nodes: impl IntoIterator<Item = NodeFixes<'a>>,
        cluster: Option<&str>,
    ) -> Self {
        let mut fleet = Self {
            classes: Vec::new(),
            alike: Vec::new(),
            unjudged: Vec::new(),
            names: Vec::new(),
            by_name: BTreeMap::new(),
            outside: BTreeSet::new(),
            cluster: cluster.map(ToOwned::to_owned),
            stale: 0,
        };
        let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
        for node in nodes {
            let full = format!("{}/{}", node.about.cluster, node.about.node);
            if cluster.is_some_and(|cluster| cluster != node.about.cluster) {
                fleet.outside.extend([full, node.about.node]);
                continue;
            }
            fleet.stale += usize::from(node.about.is_stale);
            let class = match node.judged {
                Ok(judged) => fleet.judged(judged, &mut group_of),
                Err(why) => fleet.unjudged(why),
            };
            let number = u32::try_from(fleet.names.len()).unwrap_or(u32::MAX);
            if let Some(class) = fleet.classes.get_mut(class) {
                class.nodes.push(number);
            }
            fleet.by_name.entry(full.clone()).or_default().push(number);
            fleet.by_name.entry(node.about.node).or_default().push(number);
            fleet.names.push((full, class));
        }
        fleet
    }

    /// The class of a node, by what it shares: the kept one keeps that at its place in memory.
    fn judged(&mut self, judged: Judged<'a>, group_of: &mut BTreeMap<usize, usize>) -> usize {
        let shared = Arc::as_ptr(&judged.matched) as usize;
        let group = *group_of.entry(shared).or_insert_with(|| {
            self.alike.push(Vec::new());
            self.alike.len() - 1
        });
        let classes = &self.classes;
        let is_alike = |class: &&usize| {
            let of_class = classes.get(**class).and_then(|class| class.judged.as_ref().ok());
            of_class.is_some_and(|kept| kept.assessed == judged.assessed)
        };
        let known = self.alike.get(group).and_then(|alike| alike.iter().find(is_alike)).copied();
        known.unwrap_or_else(|| {
            let place = self.classes.len();
            self.classes.push(Class { judged: Ok(judged), nodes: Vec::new() });
            if let Some(alike) = self.alike.get_mut(group) {
                alike.push(place);
            }
            place
        })
    }

    fn unjudged(&mut self, why: String) -> usize {
        let is_it = |class: &&usize| {
            let class = self.classes.get(**class);
            class.is_some_and(|class| class.judged.as_ref().is_err_and(|kept| *kept == why))
        };
        let known = self.unjudged.iter().find(is_it).copied();
        known.unwrap_or_else(|| {
            self.classes.push(Class { judged: Err(why), nodes: Vec::new() });
            self.unjudged.push(self.classes.len() - 1);
            self.classes.len() - 1
        })
    }

    pub(super) fn groups<'f>(&'f self, wanted: &'f Wanted<'f>) -> Groups<'f> {
        Groups::of(self, wanted)
    }

    pub(super) fn nodes(&self) -> usize {
        self.names.len()
    }

    /// What could not be said of nodes, with the number of them.
    pub(super) fn incomplete(&self) -> BTreeMap<String, usize> {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for class in &self.classes {
            if let Err(why) = &class.judged {
                lines.insert(format!("not judged: {why}"), class.nodes.len());
            }
        }
        if self.stale > 0 {
            let what = "not reported of late, and may have changed".to_owned();
            lines.insert(what, self.stale);
        }
        lines
    }

    /// The nodes that a row is about.
    fn scope<'s>(&'s self, target: &'s str) -> Scope<'s> {
        if let Some((name, numbers)) = named(target, |name| self.by_name.get(name)) {
            return Scope::Nodes(name, numbers);
        }
        match named(target, |name| self.outside.get(name)) {
            Some((name, _)) => Scope::Outside(name),
            None => Scope::All,
        }
    }

    /// The answer for one row.
    pub(super) fn label<'f>(&'f self, row: &Reported, groups: &mut Groups<'f>) -> Labelled {
        if self.names.is_empty() {
            return words::unknown("no node has reported".to_owned());
        }
        let mut tally = Tally::default();
        let looked_at = match self.scope(&row.target) {
            Scope::Outside(node) => {
                let cluster = self.cluster.as_deref().unwrap_or_default();
                return words::absent(format!("node {node} is not of cluster {cluster}"));
            }
            Scope::Nodes(node, numbers) => {
                for number in numbers {
                    let class = self.names.get(*number as usize).map(|(_, class)| *class);
                    tally.add(class.and_then(|class| self.one(class, row, groups)), &[*number]);
                }
                format!("node {node}")
            }
            Scope::All => {
                self.all(row, groups, &mut tally);
                format!("any of {} nodes", self.names.len())
            }
        };
        tally.answer(row, &looked_at, &self.names)
    }

    /// How it stands on the nodes of one class.
    fn one<'f>(
        &'f self,
        class: usize,
        row: &Reported,
        groups: &mut Groups<'f>,
    ) -> Option<Found<'f>> {
        match &self.classes.get(class)?.judged {
            Ok(judged) => {
                let known = groups.of_class(class, row);
                Known::best(&known, judged)
            }
            Err(why) => {
                Some(Found { verdict: ScanVerdict::Unknown, ground: Ground::Unjudged(why) })
            }
        }
    }

    fn all<'f>(&'f self, row: &Reported, groups: &mut Groups<'f>, tally: &mut Tally<'f>) {
        for (group, alike) in self.alike.iter().enumerate() {
            let known = groups.known(group, row);
            for class in alike.iter().filter_map(|class| self.classes.get(*class)) {
                let Ok(judged) = &class.judged else { continue };
                tally.add(Known::best(&known, judged), &class.nodes);
            }
        }
        for class in self.unjudged.iter().filter_map(|class| self.classes.get(*class)) {
            let Err(why) = &class.judged else { continue };
            let found = Found { verdict: ScanVerdict::Unknown, ground: Ground::Unjudged(why) };
            tally.add(Some(found), &class.nodes);
        }
    }
}

/// The nodes that a row is about.
enum Scope<'s> {
    /// Those of that name.
    Nodes(&'s str, &'s [u32]),
    /// One that is not asked about.
    Outside(&'s str),
    /// All of them.
    All,
}

/// What is found under the name of what was scanned. Trivy puts the distribution behind a
/// host's: `name (ubuntu 22.04)`.
fn named<T>(target: &str, find: impl Fn(&str) -> Option<T>) -> Option<(&str, T)> {
    let plain = target.split_once(" (").map_or(target, |(name, _)| name);
    [target, plain].into_iter().find_map(|name| Some((name, find(name)?)))
}
