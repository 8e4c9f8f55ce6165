//! Our order of dpkg versions against dpkg's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_dpkg {
    use std::cmp::Ordering;
    use std::collections::BTreeSet;
    use std::process::Command;

    use nodeward_domain::version::dpkg::compare;
    use nodeward_tests::programs::installed;

    /// Versions that are awkward in every way that deb-version(7) allows.
    const AWKWARD: [&str; 39] = [
        "0",
        "00",
        "1",
        "1.0",
        "1.00",
        "1.0-0",
        "1.0-1",
        "1.0-1~",
        "1.0~",
        "1.0~~",
        "1.0~~a",
        "1.0~rc1-1",
        "1.0+b1",
        "1.0a",
        "1.0.a",
        "1.0-1.1",
        "1.0-1+b1",
        "1.0-1ubuntu0.1",
        "1.0-1ubuntu1",
        "1.0-10",
        "1.0-2",
        "0:1.0",
        "1:0.5",
        "2:0",
        "1:1.2.13.dfsg-1",
        "5.15.0-1124.133",
        "5.15.0-1124.133~22.04.1",
        "6.1.192-2",
        "2.36-9+deb12u14",
        "2.36-9+deb12u9",
        "1.0A",
        "1.0Z",
        "1.0z",
        "1.0+",
        "1.0.",
        "9999999999999999999999",
        "10000000000000000000000",
        "1.0-a-b",
        "1.0-a",
    ];

    fn dpkg_says(a: &str, relation: &str, b: &str) -> bool {
        let status = Command::new(installed("dpkg"))
            .args(["--compare-versions", a, relation, b])
            .status()
            .expect("dpkg runs");
        match status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => panic!("dpkg takes {a:?} or {b:?} for no version"),
        }
    }

    fn dpkg_order(a: &str, b: &str) -> Ordering {
        match (dpkg_says(a, "lt", b), dpkg_says(a, "gt", b)) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => Ordering::Equal,
            (true, true) => panic!("dpkg says both of {a} and {b}"),
        }
    }

    #[test]
    fn awkward_versions_are_ordered_as_dpkg_does() {
        for (index, a) in AWKWARD.into_iter().enumerate() {
            for b in AWKWARD.into_iter().skip(index) {
                assert_eq!(compare(a, b), dpkg_order(a, b), "{a} and {b}");
                assert_eq!(compare(b, a), dpkg_order(a, b).reverse(), "{b} and {a}");
            }
        }
    }

    /// Every version of the package lists that come with the corpus, each against its
    /// neighbours in our order: a wrong place shows at one border at least.
    #[test]
    fn versions_of_real_node_images_are_ordered_as_dpkg_does() {
        let Some(corpus) = std::env::var_os("NODEWARD_CORPUS") else {
            println!("NODEWARD_CORPUS is not set: nothing to read");
            return;
        };
        let mut versions = BTreeSet::new();
        let images = std::path::Path::new(&corpus).join("images");
        collect(&images, &mut versions);
        assert!(versions.len() > 500, "only {} versions in {}", versions.len(), images.display());
        let mut sorted: Vec<&String> = versions.iter().collect();
        sorted.sort_by(|a, b| compare(a, b));
        // About four hundred pairs, spread over all of them: each is two processes.
        let step = (sorted.len() / 400).max(1);
        for pair in sorted.windows(2).step_by(step) {
            assert_eq!(compare(pair[0], pair[1]), dpkg_order(pair[0], pair[1]), "{pair:?}");
        }
    }

    fn collect(folder: &std::path::Path, versions: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the corpus") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                collect(&path, versions);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                versions.extend(text.lines().filter_map(version));
            }
        }
    }

    /// The version in a line `name=version` or `name/release version architecture`.
    fn version(line: &str) -> Option<String> {
        let version = match line.split_once('=') {
            Some((_, version)) => version,
            None => line.split_whitespace().nth(1)?,
        };
        let plain = version.starts_with(|first: char| first.is_ascii_digit())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte));
        plain.then(|| version.to_owned())
    }
}
