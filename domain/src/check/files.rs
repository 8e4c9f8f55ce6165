//! Checks of `files`: are files that the provider manages as on the other nodes of the pool
//! that run the same image? What is right nobody publishes file by file; what most nodes of
//! one making have alike is taken for it ([`crate::siblings`]). A change that all nodes of a
//! pool share does not show.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, of_a_provider,
    shortened, verdict_or,
};
use crate::component::Component;
use crate::facts::Files;
use crate::facts::files::{FileForm, ManagedFile};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::siblings::{AGREEING, Most, Own, Siblings};

const SOURCE: &str = "https://learn.microsoft.com/azure/aks/support-policies";

pub(super) const CHECKS: &[Check] = &[
    check(
        (
            "FileDrifted",
            "A file that the provider manages is another than on the pool's other nodes",
        ),
        Severity::Warning,
        "managed-components",
        drifted,
    ),
    check(
        (
            "FileAdded",
            "There is a file, such as a unit or a drop-in, that the pool's other nodes lack",
        ),
        Severity::Information,
        "kubernetes-native-change",
        added,
    ),
    check(
        ("FileMissing", "A file is gone that the pool's other nodes have"),
        Severity::Warning,
        "managed-components",
        missing,
    ),
];

const fn check(
    (reason, summary): (&'static str, &'static str),
    severity: Severity,
    rule: &'static str,
    judge: fn(&NodeHistory, &Scope<'_>, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Files,
        scope: Reach::Pool,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::Cites(rule),
        source: SOURCE,
        judge,
    }
}

/// A node's files beside those of its siblings.
struct Compared<'a> {
    history: &'a NodeHistory,
    files: &'a Files,
    since: Timestamp,
    siblings: &'a Siblings,
    others: String,
}

/// One file that is not as on the others.
struct Difference<'a> {
    path: &'a str,
    own: Option<&'a ManagedFile>,
    most: Most<'a, FileForm>,
}

impl<'a> Compared<'a> {
    fn of(history: &'a NodeHistory, scope: &Scope<'a>) -> Result<Self, Verdict> {
        of_a_provider(scope, "makes nodes of a pool alike")?;
        let (files, since) = facts(&history.files, "none of the files is there")?;
        let outside = scope.outside;
        let Some((siblings, pool)) = outside.siblings.zip(outside.pool) else {
            return Err(Verdict::not_applicable("the other nodes of its pool are not known"));
        };
        let others = format!("other nodes of pool {} on its image", pool.key.pool);
        Ok(Self { history, files, since, siblings, others })
    }

    /// Whether there are enough others; else how many are needed.
    fn enough(&self) -> Result<(), String> {
        match self.siblings.files.others() {
            others if others >= AGREEING => Ok(()),
            others => Err(format!(
                "{others} {} tell of their files, {AGREEING} that agree are needed",
                self.others
            )),
        }
    }

    fn own(&self, path: &str) -> (Option<&'a ManagedFile>, Own<'a, FileForm>) {
        match self.files.file(path) {
            Some(file) if file.form.is_seen() => (Some(file), Own::There(&file.form)),
            Some(file) => (Some(file), Own::Unseen),
            None if self.files.is_complete() => (None, Own::Lacking),
            None => (None, Own::Unknown),
        }
    }

    /// What most others show of a path, and what the node does.
    fn held(&self, path: &'a str) -> (Own<'a, FileForm>, Option<Difference<'a>>) {
        let (file, own) = self.own(path);
        let most = self.siblings.files.most(path, &own);
        (own, most.map(|most| Difference { path, own: file, most }))
    }

    fn fail(&self, scope: &Scope, what: &str, found: &[Difference<'_>]) -> Verdict {
        let since = found.iter().filter_map(|one| self.seen_since(one)).min().unwrap_or(self.since);
        let message = match found {
            [one] => {
                let Most { nodes, of, .. } = one.most;
                format!("{} {what} {nodes} of {of} {}", one.path, self.others)
            }
            more => {
                let count = more.len();
                let first = more.first().map(|one| one.path).unwrap_or_default();
                format!("{count} files, {first} among them, are not as on {}", self.others)
            }
        };
        let change = match found {
            [one] => one.path.to_owned(),
            more => format!("{} files", more.len()),
        };
        let action = by_hand(scope, Action::Revert { change });
        let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
        Verdict::fail(message, since, turn, shortened(found.iter().map(evidence).collect()))
    }

    /// Since when the node has shown the file as it does, as far as is remembered.
    fn seen_since(&self, one: &Difference<'_>) -> Option<Timestamp> {
        let form = |files: &Files| files.file(one.path).map(|file| file.form.clone());
        let own = one.own.map(|file| file.form.clone());
        self.history.files.holding(|files| form(files) == own).since
    }

    fn pass(&self) -> Verdict {
        let count = self.siblings.files.others();
        let files = format!("{} files", self.files.files.len());
        Verdict::pass(vec![Evidence::new(files, format!("as on {count} {}", self.others), "")])
    }

    /// Nothing was found; but of some files it is not known whether there is something.
    fn open(&self, what: &str, paths: &BTreeSet<&str>) -> Verdict {
        let evidence = paths.iter().map(|path| {
            let form =
                self.files.file(path).map_or("not there".to_owned(), |file| file.form.words());
            Evidence::new(*path, form, "")
        });
        let evidence = shortened(evidence.collect());
        let first = paths.first().copied().unwrap_or_default();
        let why = match paths.len() {
            1 => format!("{first}: {what}"),
            count => format!("{count} files, {first} among them: {what}"),
        };
        Verdict::unknown(why, evidence)
    }
}

fn evidence(one: &Difference<'_>) -> Evidence {
    let actual = one.own.map_or_else(
        || "not there".to_owned(),
        |file| {
            let mut words = file.form.words();
            if let Some(bytes) = file.size_bytes {
                words.push_str(&format!(", {bytes} bytes"));
            }
            if let Some(at) = file.written_at {
                words.push_str(&format!(", written {at:.0}"));
            }
            words
        },
    );
    let Most { form, nodes, of } = one.most;
    let form = form.map_or_else(|| "not there".to_owned(), FileForm::words);
    Evidence::new(one.path, actual, format!("{form}, as on {nodes} of {of}"))
}

fn drifted(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, _: Timestamp) -> Verdict {
    let compared = verdict_or!(Compared::of(history, scope));
    if let Err(why) = compared.enough() {
        // No fault of a small pool, which would never be complete: nothing is said of it.
        return Verdict::not_applicable(why);
    }
    let (mut found, mut unseen, mut undecided) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for file in &compared.files.files {
        match compared.held(&file.path) {
            (Own::Unseen, _) => {
                unseen.insert(file.path.as_str());
            }
            (_, None) => {
                undecided.insert(file.path.as_str());
            }
            (_, Some(one)) => {
                if one.most.form.is_some_and(|form| *form != file.form) {
                    found.push(one);
                }
            }
        }
    }
    if !found.is_empty() {
        return compared.fail(scope, "is another than on", &found);
    }
    if !unseen.is_empty() {
        return compared.open("could not be read", &unseen);
    }
    if !undecided.is_empty() {
        return compared.open("the pool's other nodes do not agree", &undecided);
    }
    match unlisted(compared.files) {
        Some(why) => Verdict::unknown(why, Vec::new()),
        None => compared.pass(),
    }
}

/// Without enough others one check says so: the others would say the same of the same.
const SEE: &str = "see FileDrifted: not enough other nodes of its pool and image tell";

fn added(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, _: Timestamp) -> Verdict {
    let compared = verdict_or!(Compared::of(history, scope));
    if compared.enough().is_err() {
        return Verdict::not_applicable(SEE);
    }
    let all = compared.files.files.iter().filter_map(|file| compared.held(&file.path).1);
    let found: Vec<Difference<'_>> = all.filter(|one| one.most.form.is_none()).collect();
    if !found.is_empty() {
        return compared.fail(scope, "is there, and is not on", &found);
    }
    match unlisted(compared.files) {
        Some(why) => Verdict::unknown(why, Vec::new()),
        None => compared.pass(),
    }
}

fn missing(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, _: Timestamp) -> Verdict {
    let compared = verdict_or!(Compared::of(history, scope));
    if compared.enough().is_err() {
        return Verdict::not_applicable(SEE);
    }
    let (mut found, mut undecided) = (Vec::new(), BTreeSet::new());
    for path in compared.siblings.files.names() {
        match compared.held(path) {
            (Own::Lacking, None) => {
                undecided.insert(path);
            }
            (Own::Lacking, Some(one)) if one.most.form.is_some() => found.push(one),
            _ => {}
        }
    }
    if !found.is_empty() {
        return compared.fail(scope, "is gone, and is there on", &found);
    }
    if let Some(why) = unlisted(compared.files) {
        return Verdict::unknown(why, Vec::new());
    }
    if !undecided.is_empty() {
        return compared.open("the pool's other nodes do not agree", &undecided);
    }
    compared.pass()
}

/// Why not all files of the node are known, where they are not.
fn unlisted(files: &Files) -> Option<String> {
    let unread = files.unread.first().map(|place| format!("{}: {}", place.path, place.why));
    let left_out =
        || (files.left_out > 0).then(|| format!("{} files were left out", files.left_out));
    unread.or_else(left_out)
}

#[cfg(test)]
mod tests;
