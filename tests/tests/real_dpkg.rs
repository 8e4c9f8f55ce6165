//! Our order of dpkg versions, and our reading of its database, against dpkg's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_dpkg {
    use std::cmp::Ordering;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use nodeward_domain::facts::DatabaseLock;
    use nodeward_domain::version::dpkg::compare;
    use nodeward_tests::counts::count;
    use nodeward_tests::programs::installed;
    use nodeward_tests::random::Random;
    use nodeward_tests::rpm::packages;

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

    /// Every pair is two processes.
    #[test]
    fn random_versions_are_ordered_as_dpkg_does() {
        const PIECES: [&str; 15] =
            ["0", "1", "2", "10", "a", "b", "rc", "A", "Z", ".", "+", "-", "~", "ubuntu", "00"];
        let pairs = Random::new(1).pairs(count("NODEWARD_VERSION_PAIRS", 300), &PIECES);
        for (a, b) in &pairs {
            // dpkg wants a number first and something before a revision.
            let epoch = ["", "0:", "1:"][a.len() % 3];
            let (a, b) = (format!("{epoch}1{a}0"), format!("1{b}0"));
            let order = dpkg_order(&a, &b);
            assert_eq!(compare(&a, &b), order, "{a} and {b}");
            assert_eq!(compare(&b, &a), order.reverse(), "{b} and {a}");
        }
        println!("{} pairs of versions ordered as dpkg does", pairs.len());
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

    /// A package with nothing in it but what dpkg runs when it is configured.
    fn built(folder: &Path, name: &str, version: &str, postinst: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let source = folder.join(format!("{name}_{version}"));
        let control = source.join("DEBIAN");
        std::fs::create_dir_all(&control).expect("made");
        let text = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\n\
             Maintainer: Nobody <nobody@example.org>\nDescription: Empty\n"
        );
        std::fs::write(control.join("control"), text).expect("written");
        let script = control.join("postinst");
        std::fs::write(&script, format!("#!/bin/sh\n{postinst}\n")).expect("written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let file = folder.join(format!("{name}_{version}.deb"));
        let built = Command::new(installed("dpkg-deb"))
            .args(["--root-owner-group", "--build"])
            .args([&source, &file])
            .output()
            .expect("dpkg-deb runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        file
    }

    /// Packages below a root as dpkg tells them, a line each.
    fn told_by_dpkg(root: &Path) -> Vec<String> {
        let asked = Command::new(installed("dpkg-query"))
            .arg(format!("--root={}", root.display()))
            .args(["--show", "--showformat=${Package} ${Version} ${Status}\\n"])
            .output()
            .expect("dpkg-query runs");
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).expect("text").lines().map(str::to_owned).collect()
    }

    /// The same as they are read here.
    fn read(root: &Path) -> Vec<String> {
        let packages = packages(root).expect("a database");
        let whole = packages
            .installed
            .iter()
            .map(|one| format!("{} {} install ok installed", one.name, one.version));
        let half = packages
            .unfinished
            .iter()
            .map(|one| format!("{} {} {}", one.name, one.version, one.status));
        let mut lines: Vec<String> = whole.chain(half).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn how_far_a_killed_dpkg_came_is_told_as_dpkg_tells_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        for made in ["updates", "info", "triggers"] {
            std::fs::create_dir_all(root.join("var/lib/dpkg").join(made)).expect("made");
        }
        std::fs::write(root.join("var/lib/dpkg/status"), "").expect("written");
        let install = |files: &[PathBuf]| {
            Command::new(installed("dpkg"))
                .arg(format!("--root={}", root.display()))
                .args(["--force-not-root", "--force-script-chrootless", "--log=/dev/null"])
                .arg("--install")
                .args(files)
                .output()
                .expect("dpkg runs")
        };
        let build = |name, version, postinst| built(folder.path(), name, version, postinst);
        let first = [build("calm", "1", ":"), build("killed", "1", ":")];
        let done = install(&first);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(read(&root), told_by_dpkg(&root));
        let waits =
            "touch \"$DPKG_ROOT/at-work\"; while [ -e \"$DPKG_ROOT/at-work\" ]; do sleep 0.1; done";
        let slow = build("slow", "1", waits);
        std::thread::scope(|scope| {
            let working = scope.spawn(|| install(&[slow]));
            let mark = root.join("at-work");
            let deadline = Instant::now() + Duration::from_secs(60);
            while !mark.exists() {
                assert!(Instant::now() < deadline, "dpkg did not come to configure it");
                std::thread::sleep(Duration::from_millis(50));
            }
            // As the kernel tells it of this machine's processes, these among them.
            std::fs::create_dir(root.join("proc")).expect("made");
            std::fs::copy("/proc/locks", root.join("proc/locks")).expect("procfs");
            let lock = packages(&root).map(|packages| packages.lock);
            std::fs::remove_file(&mark).expect("made by it");
            let done = working.join().expect("no panic");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let held = DatabaseLock::Held("/var/lib/dpkg/lock-frontend".to_owned());
            assert_eq!(lock, Ok(held), "a dpkg at work");
        });
        let killed = install(&[build("killed", "2", "kill -9 $PPID")]);
        assert!(!killed.status.success(), "it was not killed");
        let told = told_by_dpkg(&root);
        let left = ["calm 1 install ok installed", "killed 2 install ok half-configured"];
        assert_eq!(told[..2], left);
        assert_eq!(read(&root), told);
        std::fs::copy("/proc/locks", root.join("proc/locks")).expect("procfs");
        let lock = packages(&root).map(|packages| packages.lock);
        assert_eq!(lock, Ok(DatabaseLock::Free), "a dpkg that was killed holds nothing");
    }
}
