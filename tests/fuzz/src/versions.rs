//! Versions: the first three lines are compared with each other.

use std::cmp::Ordering;

use nodeward_domain::version::key::{Order, VersionKey};
use nodeward_domain::version::kubernetes::KubernetesVersion;
use nodeward_domain::version::{dpkg as debian, rpm as red_hat, semver as semantic};

pub(crate) fn dpkg(bytes: &[u8]) -> bool {
    are_ordered(Order::Dpkg, debian::compare, bytes)
}

pub(crate) fn rpm(bytes: &[u8]) -> bool {
    are_ordered(Order::Rpm, red_hat::compare, bytes)
}

pub(crate) fn semver(bytes: &[u8]) -> bool {
    let _ = KubernetesVersion::parse(&String::from_utf8_lossy(bytes));
    are_ordered(Order::Semver, semantic::compare, bytes)
}

/// The order is total, and the same as that of the keys. Tells whether all have keys.
fn are_ordered(order: Order, compare: fn(&str, &str) -> Ordering, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let versions: Vec<&str> = text.lines().take(3).collect();
    let mut keys = Vec::new();
    for version in &versions {
        // Keys are made without white space, which no version of a vendor has inside.
        let has_space = version.contains(char::is_whitespace);
        keys.push(VersionKey::parse(order, version).ok().filter(|_| !has_space));
    }
    for (a, key_a) in versions.iter().zip(&keys) {
        for (b, key_b) in versions.iter().zip(&keys) {
            let given = compare(a, b);
            assert_eq!(compare(b, a), given.reverse(), "{a:?} and {b:?} both ways");
            assert!(a != b || given.is_eq(), "{a:?} is not itself");
            if let (Some(a), Some(b)) = (key_a, key_b) {
                agree(a.bytes(), b.bytes(), given);
            }
            for c in &versions {
                let is_lost = given.is_le() && compare(b, c).is_le() && compare(a, c).is_gt();
                assert!(!is_lost, "{a:?} <= {b:?} <= {c:?}, and not {a:?} <= {c:?}");
            }
        }
    }
    versions.len() == 3 && keys.iter().all(Option::is_some)
}

/// Keys are ordered like their versions, and none is the beginning of another one.
fn agree(a: &[u8], b: &[u8], given: Ordering) {
    assert_eq!(a.cmp(b), given, "keys {a:?} and {b:?}");
    assert!(a == b || !b.starts_with(a), "{a:?} is the beginning of {b:?}");
}
