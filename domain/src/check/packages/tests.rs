//! What the twins do not show: the same questions to rpm's database, and what is asked of a
//! package manager at work.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{CONFIRMATIONS, Outcome};
use crate::facts::{ComponentState, DatabaseLock, UnfinishedPackage};
use crate::node::Holding;
use crate::observed::State;
use crate::platform::Platform;

/// An rpm database with these packages, `name version`; a third word `held` holds one.
fn rpm_with(installed: &[&str]) -> Packages {
    let package = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        Package {
            name: words[0].to_owned(),
            architecture: "x86_64".to_owned(),
            version: words[1].to_owned(),
            source: words[0].to_owned(),
            source_version: words[1].to_owned(),
            held: words.get(2) == Some(&"held"),
            origin: String::new(),
        }
    };
    Packages {
        manager: PackageManager::Rpm,
        path: "/var/lib/rpm/rpmdb.sqlite".to_owned(),
        installed: installed.iter().map(package).collect(),
        unfinished: Vec::new(),
        lock: DatabaseLock::Free,
    }
}

/// What a check of a plain node answers after so many rounds in which it did not pass.
fn judged(
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
    installed: &[&str],
    rounds: u32,
) -> Outcome {
    judged_of(judge, rpm_with(installed), rounds)
}

fn judged_of(
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
    packages: Packages,
    rounds: u32,
) -> Outcome {
    let mut history = NodeHistory::default();
    let state = ComponentState::Packages(State::Present(Arc::new(packages)));
    history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
    let standing = Holding { observations: rounds, since: Some(Timestamp::UNIX_EPOCH) };
    let policy = Policy::edition(crate::policy::DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope { outside: Default::default(), platform: Platform::Plain, standing };
    judge(&history, &scope, &policy, Timestamp::UNIX_EPOCH).outcome
}

#[test]
fn a_package_in_two_versions_was_not_finished_once_it_stays_so() {
    let doubled = ["bash 5.2-1", "zlib 1.10-1", "zlib 1.9-1"];
    for rounds in 1..CONFIRMATIONS {
        assert!(matches!(judged(unfinished, &doubled, rounds), Outcome::Confirming { .. }));
    }
    let Outcome::Fail { message, action, .. } = judged(unfinished, &doubled, CONFIRMATIONS) else {
        panic!("two versions of one package are no good");
    };
    assert!(message.starts_with("one package"), "{message}");
    assert_eq!(action, Action::Repair { what: "rpm -e of the older version of each".to_owned() });
}

#[test]
fn what_is_half_done_is_unfinished_once_it_stays_so_and_nobody_is_at_it() {
    let half_done = |lock| Packages {
        manager: PackageManager::Dpkg,
        lock,
        unfinished: vec![UnfinishedPackage {
            name: "bash".to_owned(),
            architecture: "amd64".to_owned(),
            version: "5.2-1".to_owned(),
            status: "install ok half-configured".to_owned(),
        }],
        ..rpm_with(&["zlib 1.10-1"])
    };
    for rounds in 1..CONFIRMATIONS {
        let outcome = judged_of(unfinished, half_done(DatabaseLock::Free), rounds);
        assert!(matches!(outcome, Outcome::Confirming { .. }), "{outcome:?}");
    }
    // What cannot be known silences nothing.
    for lock in [DatabaseLock::Free, DatabaseLock::Unreadable("no permission".to_owned())] {
        let outcome = judged_of(unfinished, half_done(lock), CONFIRMATIONS);
        assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
    }
    let at_work = half_done(DatabaseLock::Held("/var/lib/dpkg/lock".to_owned()));
    let outcome = judged_of(unfinished, at_work, 10 * CONFIRMATIONS);
    let why = "in progress: the package manager is at work".to_owned();
    assert_eq!(outcome, Outcome::Unknown(why));
}

#[test]
fn the_older_of_two_is_told_by_rpms_order() {
    let packages = rpm_with(&["zlib 1.10-1", "zlib 1.9-1"]);
    let pairs: Vec<_> =
        pairs(&packages).map(|pair| pair.map(|package| package.version.as_str())).collect();
    assert_eq!(pairs, [["1.9-1", "1.10-1"]]);
}

#[test]
fn kernels_lie_beside_each_other_on_purpose() {
    let kernels =
        ["kernel 6.6.57.1-7", "kernel 6.6.64.2-1", "kernel-devel 1-1", "kernel-devel 2-1"];
    assert_eq!(judged(unfinished, &kernels, CONFIRMATIONS), Outcome::Pass);
}

#[test]
fn what_holds_a_package_is_named_in_its_own_words() {
    assert_eq!(judged(held, &["bash 5.2-1"], 1), Outcome::Pass);
    let Outcome::Fail { message, action: Action::Repair { what }, .. } =
        judged(held, &["bash 5.2-1", "runc 1.3-1 held"], 1)
    else {
        panic!("a held package is worth knowing");
    };
    assert_eq!(message, "one package is held");
    assert!(what.contains("versionlock delete") && what.ends_with("runc, unless it is meant so"));
}
