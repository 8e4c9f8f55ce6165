//! What the other nodes of a pool show that run the same image: by it a node is told to differ
//! where nobody knows what is right. One node that lies must not change what is said of
//! another: so many must agree, and they must be more than half of those that tell.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::facts::files::FileForm;
use crate::facts::{Files, NodeAccess};

/// So many other nodes must agree.
pub const AGREEING: usize = 3;

/// What the nodes of a pool show that run one image, the node itself among them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Siblings {
    /// Files, by path.
    pub files: Shown<FileForm>,
    /// The keys that may log in, by account.
    pub keys: Shown<Vec<String>>,
}

/// What some nodes show of named things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown<T: Ord> {
    /// How many nodes tell of any.
    nodes: usize,
    /// How many of these tell of all, so that what they do not name is not there.
    complete: usize,
    by_name: BTreeMap<String, Tally<T>>,
}

/// How often one thing was seen in each form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Tally<T: Ord> {
    forms: BTreeMap<T, usize>,
    /// Nodes that tell of all and name it, be its form seen or not.
    named_by_complete: usize,
}

/// What a node shows of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a, T> {
    /// It is there, in that form.
    There(&'a T),
    /// It is there, in a form that could not be seen.
    Unseen,
    /// It is not there.
    Lacking,
    /// Whether it is there is not known.
    Unknown,
}

/// What most of the others show of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most<'a, T> {
    /// Its form; none where it is not there.
    pub form: Option<&'a T>,
    /// So many of them.
    pub nodes: usize,
    /// Of so many that tell of it.
    pub of: usize,
}

impl<T: Ord> Default for Shown<T> {
    fn default() -> Self {
        Self { nodes: 0, complete: 0, by_name: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Shown<T> {
    /// Adds what so many nodes show alike. A form is none where it could not be seen.
    fn add<'a>(
        &mut self,
        nodes: usize,
        is_complete: bool,
        things: impl IntoIterator<Item = (&'a str, Option<&'a T>)>,
    ) where
        T: 'a,
    {
        self.nodes += nodes;
        self.complete += if is_complete { nodes } else { 0 };
        for (name, form) in things {
            if !self.by_name.contains_key(name) {
                let none = Tally { forms: BTreeMap::new(), named_by_complete: 0 };
                self.by_name.insert(name.to_owned(), none);
            }
            let Some(tally) = self.by_name.get_mut(name) else { continue };
            tally.named_by_complete += if is_complete { nodes } else { 0 };
            if let Some(form) = form {
                match tally.forms.get_mut(form) {
                    Some(count) => *count += nodes,
                    None => {
                        tally.forms.insert(form.clone(), nodes);
                    }
                }
            }
        }
    }

    /// How many others there are beside one of them.
    #[must_use]
    pub const fn others(&self) -> usize {
        self.nodes.saturating_sub(1)
    }

    /// Everything that any of them names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// What most others show of one thing; none where not enough of them agree. What the node
    /// itself shows, as one of those that were counted, is taken out.
    #[must_use]
    pub fn most(&self, name: &str, own: &Own<'_, T>) -> Option<Most<'_, T>> {
        let tally = self.by_name.get(name);
        let named = tally.map_or(0, |tally| tally.named_by_complete);
        let is_lacking = usize::from(*own == Own::Lacking);
        let lacking = self.complete.saturating_sub(named).saturating_sub(is_lacking);
        let forms = tally.into_iter().flat_map(|tally| &tally.forms).map(|(form, count)| {
            let is_own = usize::from(*own == Own::There(form));
            (Some(form), count.saturating_sub(is_own))
        });
        let all: Vec<(Option<&T>, usize)> = forms.chain([(None, lacking)]).collect();
        let of: usize = all.iter().map(|(_, nodes)| nodes).sum();
        let (form, nodes) = all.into_iter().max_by_key(|(_, nodes)| *nodes)?;
        (nodes >= AGREEING && nodes * 2 > of).then_some(Most { form, nodes, of })
    }
}

impl Siblings {
    /// Adds nodes that have these files.
    pub fn add_files(&mut self, nodes: usize, files: &Files) {
        let things = files
            .files
            .iter()
            .map(|file| (file.path.as_str(), Some(&file.form).filter(|form| form.is_seen())));
        self.files.add(nodes, files.is_complete(), things);
    }

    /// Adds nodes that let these in.
    pub fn add_access(&mut self, nodes: usize, access: &NodeAccess) {
        let things = access.accounts.iter().map(|one| (one.name.as_str(), Some(&one.keys)));
        self.keys.add(nodes, access.unread_keys.is_empty(), things);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes that each show one thing in the named form, or nothing for a dash.
    fn shown(nodes: &[&str]) -> Shown<String> {
        let mut shown = Shown::default();
        for form in nodes {
            let form = (*form).to_owned();
            let thing = (form != "-").then_some(("a", Some(&form)));
            shown.add(1, true, thing);
        }
        shown
    }

    fn most(nodes: &[&str]) -> Option<(Option<String>, usize, usize)> {
        // The first one is the node itself.
        let own = nodes[0].to_owned();
        let own = if own == "-" { Own::Lacking } else { Own::There(&own) };
        let shown = shown(nodes);
        let most = shown.most("a", &own);
        most.map(|most| (most.form.cloned(), most.nodes, most.of))
    }

    #[test]
    fn three_others_that_are_more_than_half_are_believed() {
        let x = || Some("x".to_owned());
        assert_eq!(most(&["y", "x", "x", "x"]), Some((x(), 3, 3)));
        assert_eq!(most(&["x", "x", "x", "x"]), Some((x(), 3, 3)));
        assert_eq!(most(&["x", "x", "x"]), None);
        assert_eq!(most(&["y", "x", "x", "x", "z", "z"]), Some((x(), 3, 5)));
        assert_eq!(most(&["y", "x", "x", "x", "z", "z", "z"]), None);
        assert_eq!(most(&["-", "x", "x", "x", "-"]), Some((x(), 3, 4)));
        assert_eq!(most(&["x", "-", "-", "-", "x"]), Some((None, 3, 4)));
    }

    #[test]
    fn one_node_that_lies_changes_nothing_where_enough_agree() {
        for own in ["x", "y", "-"] {
            for lie in ["x", "y", "z", "-"] {
                for honest in [4, 5, 9] {
                    let mut nodes = vec![own];
                    nodes.extend(std::iter::repeat_n("x", honest));
                    let without = most(&nodes).map(|(form, ..)| form);
                    nodes.push(lie);
                    assert_eq!(most(&nodes).map(|(form, ..)| form), without, "{own} {lie}");
                }
            }
        }
    }

    #[test]
    fn who_does_not_tell_of_all_does_not_say_that_something_is_lacking() {
        let mut shown = Shown::<String>::default();
        shown.add(5, false, []);
        assert_eq!(shown.most("a", &Own::Lacking), None);
        assert_eq!(shown.others(), 4);
        // One whose form was not seen neither lacks it nor has it in any form.
        let mut shown = Shown::<String>::default();
        shown.add(5, true, [("a", None)]);
        assert_eq!(shown.most("a", &Own::Unseen), None);
    }
}
