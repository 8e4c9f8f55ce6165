//! Nodes of one pool beside each other.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, Outside, find};
use crate::facts::ComponentState;
use crate::facts::files::FileContent;
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;
use crate::pool::{PoolKey, PoolTruth};

const PATH: &str = "/etc/containerd/config.toml";

fn file(path: &str, digest: &str) -> ManagedFile {
    ManagedFile {
        path: path.to_owned(),
        form: FileForm {
            content: FileContent::Digest(digest.to_owned()),
            mode: 0o644,
            uid: 0,
            gid: 0,
        },
        size_bytes: Some(812),
        written_at: None,
    }
}

fn node(files: Vec<ManagedFile>) -> Files {
    Files { files, left_out: 0, unread: Vec::new() }
}

/// What the checks say of a node among others; it is one of those that are counted.
fn judged(reason: &str, own: &Files, others: &[Files]) -> Outcome {
    let mut history = NodeHistory::default();
    let at = Timestamp::UNIX_EPOCH;
    let state = State::Present(Arc::new(own.clone()));
    history.observe(ComponentState::Files(state), at, Duration::ZERO);
    let mut siblings = Siblings::default();
    for files in others.iter().chain([own]) {
        siblings.add_files(1, files);
    }
    let key = PoolKey { cluster: "c".to_owned(), pool: "p".to_owned() };
    let pool = PoolTruth { key, images: Default::default() };
    let outside = Outside { pool: Some(&pool), siblings: Some(&siblings), ..Outside::default() };
    let scope = Scope { outside, platform: Platform::Aks, standing: Default::default() };
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    (find(reason).expect("a check").judge)(&history, &scope, &policy, at).outcome
}

fn words(own: &Files, others: &[Files]) -> [&'static str; 3] {
    ["FileDrifted", "FileAdded", "FileMissing"].map(|reason| judged(reason, own, others).word())
}

#[test]
fn a_file_is_held_against_what_most_others_have() {
    let as_shipped = node(vec![file(PATH, "a")]);
    let changed = node(vec![file(PATH, "b")]);
    let more = node(vec![file(PATH, "a"), file("/etc/containerd/conf.d/99-proxy.toml", "c")]);
    let none = node(Vec::new());
    let others = vec![as_shipped.clone(); 3];
    assert_eq!(words(&as_shipped, &others), ["pass", "pass", "pass"]);
    assert_eq!(words(&changed, &others), ["fail", "pass", "pass"]);
    assert_eq!(words(&none, &others), ["pass", "pass", "fail"]);
    // Sorted by path: conf.d stands before config.toml.
    let mut sorted = more;
    sorted.files.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(words(&sorted, &others), ["pass", "fail", "pass"]);
    let Outcome::Fail { message, responsible, .. } = judged("FileDrifted", &changed, &others)
    else {
        panic!("it fails")
    };
    assert_eq!(
        message,
        "/etc/containerd/config.toml is another than on 3 of 3 other nodes of pool p on its image"
    );
    assert_eq!(responsible, Responsible::Customer);
}

#[test]
fn permissions_and_owner_count_and_the_time_does_not() {
    let others = vec![node(vec![file(PATH, "a")]); 3];
    let mut own = file(PATH, "a");
    own.written_at = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(judged("FileDrifted", &node(vec![own.clone()]), &others), Outcome::Pass);
    own.form.mode = 0o666;
    assert_eq!(judged("FileDrifted", &node(vec![own]), &others).word(), "fail");
}

#[test]
fn without_enough_others_that_agree_nothing_passes() {
    let own = node(vec![file(PATH, "a")]);
    let outcome = judged("FileDrifted", &own, &[own.clone(), own.clone()]);
    let why = "2 other nodes of pool p on its image tell of their files, 3 that agree are needed";
    assert_eq!(outcome, Outcome::NotApplicable(why.to_owned()));
    assert_eq!(words(&own, &[]), ["not_applicable"; 3]);
    let other = |digest| node(vec![file(PATH, digest)]);
    let torn = [other("b"), other("b"), other("b"), other("c"), other("c"), other("c")];
    assert_eq!(words(&own, &torn), ["unknown", "pass", "pass"]);
    // Half of them have a file that the node lacks.
    let half = [other("b"), other("b"), other("b"), node(vec![]), node(vec![]), node(vec![])];
    assert_eq!(words(&node(vec![]), &half), ["pass", "pass", "unknown"]);
}

#[test]
fn what_could_not_be_read_is_never_taken_for_alike() {
    let others = vec![node(vec![file(PATH, "a")]); 3];
    let mut own = node(vec![file(PATH, "a")]);
    own.files[0].form.content = FileContent::Unreadable("EACCES".to_owned());
    assert_eq!(words(&own, &others), ["unknown", "pass", "pass"]);
    let mut own = node(Vec::new());
    own.unread.push(crate::facts::UnreadPlace {
        path: "/etc/containerd".to_owned(),
        why: "EACCES".to_owned(),
    });
    assert_eq!(words(&own, &others), ["unknown"; 3]);
}

#[test]
fn one_node_that_lies_fails_nobody() {
    let own = node(vec![file(PATH, "a")]);
    let mut others = vec![own.clone(); 4];
    others.push(node(vec![file(PATH, "x"), file("/etc/ssh/sshd_config", "y")]));
    assert_eq!(words(&own, &others), ["pass", "pass", "pass"]);
    // Nor do two.
    others.push(node(vec![file(PATH, "x"), file("/etc/ssh/sshd_config", "y")]));
    assert_eq!(words(&own, &others), ["pass", "pass", "pass"]);
}
