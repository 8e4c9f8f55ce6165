//! Our reading of rpm's database against rpm's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_rpm {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::{Duration, SystemTime};

    use nodeward_tests::project;
    use nodeward_tests::random::Random;
    use nodeward_tests::rpm::{Built, RpmRoot, collect, line, packages};

    /// Our inventory, a line per package as rpm is asked for them.
    fn inventory(root: &Path) -> Vec<String> {
        let packages = packages(root).expect("a database");
        packages.installed.iter().map(line).collect()
    }

    /// Packages that are awkward in every way that rpm allows.
    fn filled() -> RpmRoot {
        let root = RpmRoot::new();
        root.install(Built {
            tags: "Vendor: Microsoft Corporation",
            ..Built::plain("kernel", "6.6.35.1-5.azl3")
        });
        root.install(Built {
            tags: "Vendor: Ünïcode & Söhne",
            rest: "%package if\nSummary: Empty\nEpoch: 0\nVersion: 0.61.000\n%description if\nEmpty.\n%files if\n\
                   %package -n podlators\nSummary: Empty\nEpoch: 1\nVersion: 5.01\n%description -n podlators\nEmpty.\n\
                   %files -n podlators\n%package libs\nSummary: Empty\n%description libs\nEmpty.\n%files libs",
            ..Built::plain("perl", "4:5.38.2-511.azl3")
        });
        root.install(Built::plain("containerd2", "2.2.4~rc1^20260101-3.azl3"));
        root.install(Built::plain("perl-Text-Tabs+Wrap", "2021.0814-511.azl3"));
        root.install(Built::plain("gpg-pubkey", "3135ce90-5e6fda74"));
        root
    }

    #[test]
    fn the_inventory_is_what_rpm_says() {
        let root = filled();
        assert_eq!(inventory(root.path()), root.told_by_rpm());
        assert_eq!(root.told_by_rpm().len(), 7);
        let read = packages(root.path()).expect("a database");
        let sources: Vec<_> = read
            .installed
            .iter()
            .map(|one| (one.name.as_str(), one.version.as_str(), one.source_version.as_str()))
            .filter(|(_, version, _)| version.contains(':'))
            .collect();
        assert_eq!(
            sources,
            [
                ("perl", "4:5.38.2-511.azl3", "4:5.38.2-511.azl3"),
                ("perl-if", "0:0.61.000-511.azl3", "5.38.2-511.azl3"),
                ("perl-libs", "4:5.38.2-511.azl3", "4:5.38.2-511.azl3"),
                ("podlators", "1:5.01-511.azl3", "5.38.2-511.azl3"),
            ]
        );
    }

    #[test]
    fn what_was_erased_is_gone_and_what_was_updated_is_there_once() {
        let root = filled();
        root.rpm(&["-e", "--justdb", "--nodeps", "podlators"]);
        let newer = root.build(Built::plain("kernel", "6.6.43.1-7.azl3"));
        let path = newer[0].to_str().expect("a path");
        root.rpm(&["-U", "--justdb", "--nodeps", "--force-debian", path]);
        assert_eq!(inventory(root.path()), root.told_by_rpm());
        assert_eq!(root.told_by_rpm().len(), 6);
        for name in ["kernel", "perl", "perl-if", "perl-libs", "containerd2", "perl-Text-Tabs+Wrap"]
        {
            root.rpm(&["-e", "--justdb", "--nodeps", name]);
        }
        let error = packages(root.path()).expect_err("nothing is left but a key");
        assert_eq!(error.to_string(), "/var/lib/rpm/rpmdb.sqlite: names no installed package");
    }

    #[test]
    fn the_newest_install_of_what_needs_a_boot_is_measured() {
        let root = filled();
        let told = root.rpm(&["-q", "--qf", "%{INSTALLTIME}", "kernel"]);
        let measured = collect(root.path()).measured.boot_packages_installed_at_seconds;
        assert_eq!(measured.map(|seconds| seconds.to_string()), Some(told));
    }

    #[test]
    fn an_answer_while_rpm_writes_is_whole_or_none() {
        let root = filled();
        let before = root.told_by_rpm();
        let pair =
            [root.build(Built::plain("first", "1-1")), root.build(Built::plain("second", "1-1"))]
                .concat();
        let (is_over, has_read) = (AtomicBool::new(false), AtomicBool::new(false));
        let (mut whole, mut refused) = (BTreeSet::new(), 0);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                // Longer where nothing was read in between yet.
                for turn in 0..200 {
                    if turn >= 8 && has_read.load(Relaxed) {
                        break;
                    }
                    root.enter(&pair);
                    root.rpm(&["-e", "--justdb", "--nodeps", "first", "second"]);
                    // However fast rpm is, now and then it leaves its database alone for
                    // as long as it takes to be believed.
                    if turn % 4 == 3 {
                        std::thread::sleep(Duration::from_millis(500));
                    }
                }
                is_over.store(true, Relaxed);
            });
            while !is_over.load(Relaxed) {
                match packages(root.path()) {
                    Ok(packages) => {
                        has_read.store(true, Relaxed);
                        whole.insert(packages.installed.iter().map(line).collect::<Vec<_>>());
                    }
                    Err(error) => {
                        assert!(error.why.contains("is being written to"), "{error}");
                        refused += 1;
                    }
                }
            }
        });
        assert!(!whole.is_empty(), "{refused} times refused, and never read");
        for read in whole {
            let others: Vec<_> = read
                .into_iter()
                .filter(|line| !line.contains("first ") && !line.contains("second "))
                .collect();
            assert_eq!(others, before);
        }
        assert_eq!(inventory(root.path()), before);
    }

    #[test]
    fn no_damage_to_the_database_panics() {
        let root = filled();
        let path = root.database().join("rpmdb.sqlite");
        let whole = std::fs::read(&path).expect("a database");
        let mut random = Random::new(7);
        let mut faults = BTreeSet::new();
        for _ in 0..300 {
            let mut damaged = whole.clone();
            for _ in 0..20 {
                // Not the first page: without it nothing else would be tried.
                let at = 4096 + random.below(whole.len() - 4096);
                damaged[at] = random.below(256) as u8;
            }
            std::fs::write(&path, damaged).expect("written");
            let file = std::fs::File::options().write(true).open(&path).expect("a database");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
            if let Err(unavailable) = packages(root.path()) {
                assert_eq!(unavailable.place, "/var/lib/rpm/rpmdb.sqlite");
                assert!(!unavailable.why.is_empty());
                faults.insert(unavailable.why);
            }
        }
        assert!(faults.len() > 10, "only {faults:?}");
    }

    /// The lists from which the databases of host roots were made, without what is said
    /// of the making.
    fn listed(host: &str) -> Vec<String> {
        let path = project::root().join(format!("tests/hosts/{host}.packages"));
        let text = std::fs::read_to_string(path).expect("a list");
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("at "))
            .filter(|line| *line != "cut off" && !line.starts_with("gpg-pubkey "))
            .map(|line| format!("{line}.src.rpm Microsoft Corporation"))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn host_roots_hold_what_their_lists_say() {
        for host in ["aks-azurelinux-3", "aks-azurelinux-3-broken"] {
            assert_eq!(inventory(&project::host(host)), listed(host), "{host}");
        }
    }

    #[test]
    fn the_script_makes_a_database_of_a_list() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list");
        let text = "at 2026-11-03 07:18:00\nlibx 2:1.0-1 noarch x-1.0-1\ncut off\nx 2:1.0-1 noarch x-1.0-1\n";
        std::fs::write(&list, text).expect("written");
        let database = folder.path().join("root/var/lib/rpm");
        std::fs::create_dir_all(&database).expect("made");
        let script = project::root().join("scripts/rpm-database");
        let output = Command::new(script).arg(&list).arg(&database).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = ["libx", "x"]
            .map(|name| format!("{name} 2:1.0-1 noarch x-1.0-1.src.rpm Microsoft Corporation"));
        assert_eq!(inventory(&folder.path().join("root")), expected);
        assert!(database.join("rpmdb.sqlite-wal").metadata().expect("a log").len() > 0);
    }

    /// Needs root, who alone may mount.
    mod mounted {
        use std::collections::BTreeMap;
        use std::os::unix::fs::MetadataExt as _;
        use std::path::{Path, PathBuf};

        use nix::mount::{MntFlags, MsFlags, mount, umount2};
        use nodeward_tests::rpm::{Built, ENTER};
        use rusqlite::{Connection, OpenFlags};

        use super::{filled, inventory};

        /// Name, length, times and content of every file of a folder.
        fn state_of(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, i64, Vec<u8>)> {
            std::fs::read_dir(folder)
                .expect("a folder")
                .map(|entry| {
                    let path = entry.expect("readable").path();
                    let of = path.metadata().expect("a file");
                    let content = std::fs::read(&path).expect("readable");
                    let state = (of.len(), of.mtime(), of.mtime_nsec(), of.ctime_nsec(), content);
                    (path, state)
                })
                .collect()
        }

        /// A folder mounted over itself elsewhere, read-only.
        struct ReadOnly(tempfile::TempDir);

        impl ReadOnly {
            fn of(path: &Path) -> Self {
                let place = tempfile::tempdir().expect("a folder");
                let none = None::<&str>;
                let bind = MsFlags::MS_BIND;
                mount(Some(path), place.path(), none, bind, none).expect("root may mount");
                let read_only = bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                mount(none, place.path(), none, read_only, none).expect("root may mount");
                Self(place)
            }
        }

        impl Drop for ReadOnly {
            fn drop(&mut self) {
                let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
            }
        }

        #[test]
        fn what_only_the_log_holds_counts_where_nothing_can_be_written() {
            let root = filled();
            let reader = root.connect();
            reader.execute_batch("BEGIN; SELECT count(*) FROM Packages;").expect("read");
            let late = root.build(Built::plain("late", "1-1"));
            let path = late[0].to_str().expect("a path");
            root.rpm_killed(&[&ENTER[..], &[path]].concat(), &reader);
            root.rpm_killed(&["-e", "--justdb", "--nodeps", "podlators"], &reader);
            let log = root.database().join("rpmdb.sqlite-wal");
            assert!(log.metadata().expect("a log").len() > 0, "rpm emptied its log");
            let without_log = Connection::open_with_flags(
                format!("file:{}?immutable=1", root.database().join("rpmdb.sqlite").display()),
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
            );
            let count = "SELECT count(*) FROM Name WHERE key IN ('late', 'podlators')";
            let row = without_log.expect("opened").query_row(count, [], |row| row.get::<_, u32>(0));
            assert_eq!(row, Ok(1), "the database has podlators without its log, and not late");

            let before = state_of(&root.database());
            let mounted = ReadOnly::of(root.path());
            let read = inventory(mounted.0.path());
            drop(mounted);
            assert_eq!(state_of(&root.database()), before, "something was written");
            assert_eq!(read, root.told_by_rpm());
            assert!(read.iter().any(|line| line.starts_with("late ")));
            assert!(!read.iter().any(|line| line.starts_with("podlators ")));
            drop(reader);
        }
    }
}
