//! Our order of rpm's versions against rpm's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_rpm {
    use std::cmp::Ordering;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::process::Command;

    use nodeward_domain::version::rpm::compare;
    use nodeward_tests::counts::count;
    use nodeward_tests::programs::installed;
    use nodeward_tests::random::Random;

    /// Versions that are awkward in every way that rpm-version(7) allows.
    const AWKWARD: [&str; 48] = [
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
        "1.0^",
        "1.0^^",
        "1.0^a",
        "1.0^20240101",
        "1.0^20240101-1",
        "1.0~^",
        "1.0^~",
        "1.0+b1",
        "1.0a",
        "1.0.a",
        "1.0A",
        "1.0Z",
        "1.0.1",
        "1_0",
        "1..0",
        "1.",
        ".1",
        "-1",
        "1-",
        "1.0-a-b",
        "0:1.0",
        ":1.0",
        "1:0.5",
        "01:0.5",
        "2:0",
        "a:1",
        "a",
        "aa",
        "ab",
        "a1",
        "1a1",
        "6.6.35.1-5.azl3",
        "6.6.35.1-10.azl3",
        "5.15.186.1-1.cm2",
        "9999999999999999999999",
        "10000000000000000000000",
    ];

    /// What rpm says of pairs of versions, all in one run of its own Lua.
    fn told_by_rpm(pairs: &[(&str, &str)]) -> Vec<Ordering> {
        let mut orders = Vec::new();
        for pairs in pairs.chunks(1000) {
            let calls: String = pairs
                .iter()
                .map(|(a, b)| format!("print(rpm.vercmp(\"{a}\", \"{b}\") .. \" \")\n"))
                .collect();
            let output = Command::new(installed("rpm"))
                .args(["--eval", &format!("%{{lua:{calls}}}")])
                .output()
                .expect("rpm runs");
            let text = String::from_utf8(output.stdout).expect("text");
            orders.extend(text.split_whitespace().map(|order| match order {
                "-1" => Ordering::Less,
                "0" => Ordering::Equal,
                "1" => Ordering::Greater,
                other => panic!("rpm says {other:?}"),
            }));
        }
        assert_eq!(orders.len(), pairs.len(), "rpm answers each pair");
        orders
    }

    fn assert_ordered_as_rpm_does(pairs: &[(&str, &str)]) {
        for ((a, b), order) in pairs.iter().zip(told_by_rpm(pairs)) {
            assert_eq!(compare(a, b), order, "{a} and {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn awkward_versions_are_ordered_as_rpm_does() {
        let pairs: Vec<_> = AWKWARD.iter().flat_map(|a| AWKWARD.iter().map(|b| (*a, *b))).collect();
        assert_ordered_as_rpm_does(&pairs);
    }

    #[test]
    fn random_versions_are_ordered_as_rpm_does() {
        const LETTERS: [&str; 16] =
            ["0", "1", "2", "10", "a", "b", "rc", "A", ".", "_", "+", "-", "~", "^", ":", "é"];
        let pairs = Random::new(1).pairs(count("NODEWARD_VERSION_PAIRS", 3000), &LETTERS);
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_ordered_as_rpm_does(&pairs);
        println!("{} pairs of versions ordered as rpm does", pairs.len());
    }

    /// The rpm lists of the corpus by image family and then version: packages by name,
    /// each with its versions.
    type Images = BTreeMap<String, BTreeMap<String, BTreeMap<String, BTreeSet<String>>>>;

    fn images() -> Option<Images> {
        let corpus = std::env::var_os("NODEWARD_CORPUS")?;
        let mut images = Images::new();
        let folder = Path::new(&corpus).join("images");
        for family in std::fs::read_dir(folder).expect("images") {
            let family = family.expect("readable").path();
            let name = family.file_name().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with("AKSAzureLinux") {
                continue;
            }
            for note in std::fs::read_dir(&family).expect("notes") {
                let note = note.expect("readable").path();
                let text = std::fs::read_to_string(&note).expect("text");
                let packages = listed_packages(&text);
                if note.extension().is_some_and(|ending| ending == "txt") && !packages.is_empty() {
                    let version = note.file_stem().expect("a name").to_string_lossy().into_owned();
                    images.entry(name.clone()).or_default().insert(version, packages);
                }
            }
        }
        Some(images)
    }

    /// The packages of a note, `name-version-release.architecture` a line.
    fn listed_packages(note: &str) -> BTreeMap<String, BTreeSet<String>> {
        let lines = note
            .lines()
            .skip_while(|line| !line.starts_with("=== Installed Packages Begin"))
            .skip(1)
            .take_while(|line| !line.starts_with("=== Installed Packages End"));
        let mut packages: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for line in lines {
            let Some((build, _)) = line.rsplit_once('.') else {
                continue;
            };
            let mut parts = build.rsplitn(3, '-');
            if let (Some(release), Some(version), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            {
                packages.entry(name.to_owned()).or_default().insert(format!("{version}-{release}"));
            }
        }
        packages
    }

    #[test]
    fn versions_of_real_node_images_are_ordered_as_rpm_does() {
        let Some(images) = images() else {
            println!("NODEWARD_CORPUS is not set: nothing to read");
            return;
        };
        let mut by_name: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for packages in images.values().flat_map(BTreeMap::values) {
            for (name, versions) in packages {
                by_name.entry(name).or_default().extend(versions);
                all.extend(versions);
            }
        }
        assert!(all.len() > 400, "only {} versions", all.len());
        let mut pairs = Vec::new();
        // Of one package every version against every other; of all, neighbours.
        for versions in by_name.values() {
            for a in versions {
                pairs.extend(versions.iter().map(|b| (a.as_str(), b.as_str())));
            }
        }
        let mut sorted: Vec<&String> = all.into_iter().collect();
        sorted.sort_by(|a, b| compare(a, b));
        pairs.extend(sorted.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())));
        assert_ordered_as_rpm_does(&pairs);
    }

    #[test]
    fn kernels_of_consecutive_images_never_go_back() {
        let Some(images) = images() else {
            println!("NODEWARD_CORPUS is not set: nothing to read");
            return;
        };
        let line = &images["AKSAzureLinux-V3gen2"];
        let newest: Vec<&String> = line
            .values()
            .map(|packages| packages["kernel"].iter().max_by(|a, b| compare(a, b)).expect("one"))
            .collect();
        assert!(newest.len() > 10);
        assert!(newest.windows(2).all(|pair| compare(pair[0], pair[1]).is_le()), "{newest:?}");
        let (first, last) = (newest[0], newest[newest.len() - 1]);
        assert_eq!(compare(first, last), Ordering::Less);
    }
}
