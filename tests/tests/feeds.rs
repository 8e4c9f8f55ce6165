//! Feeds into a running aggregator, and what it then answers: an import is whole or it is
//! none, what was taken survives a restart, and whoever may not import does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use nodeward_tests::authority::Authority;
use nodeward_tests::feeds::{FeedAnswer, FeedServer};
use nodeward_tests::host::HostCopy;
use nodeward_tests::served::{Served, out, said};
use nodeward_tests::service::{Aggregator, Program, agent};
use nodeward_tests::{feeds, programs, project};

/// A notice of that number and day on a package of Ubuntu 22.04.
fn notice(number: u32, day: &str, package: &str, fixed: &str) -> String {
    format!(
        r#"{{"schema_version": "1.7.0", "id": "USN-{number}-1", "published": "{day}T10:00:00Z",
 "modified": "2026-11-20T10:00:00Z", "upstream": ["UBUNTU-CVE-2026-{number}"],
 "affected": [{{"package": {{"ecosystem": "Ubuntu:22.04:LTS", "name": "{package}"}},
  "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}]}}"#
    )
}

#[test]
fn a_feed_is_taken_whole_and_survives_a_restart() {
    let served = Served::start();
    assert_eq!(served.ask("feed status").status.code(), Some(4), "the starter feed alone");
    let folder = served.write("osv/USN-9901-1.json", &notice(9901, "2026-08-01", "openssl", "9"));
    served.write("osv/USN-9902-1.json", &notice(9902, "2026-08-02", "curl", "9"));
    served.write("osv/README.json", r#"{"name": "something else"}"#);
    let imported = served.import(folder.parent().expect("a folder"), &["-o", "json"]);
    let imported: serde_json::Value = serde_json::from_str(&out(&imported)).expect("JSON");
    assert_eq!(imported["feeds"][0]["outcome"], "replaced");
    assert_eq!(imported["feeds"][0]["files"], 2);
    assert_eq!(imported["feeds"][0]["dates"], 2);
    assert_eq!(imported["passed_over"], 1);
    let before = served.asked("feed status");
    let served = served.again();
    let after = served.asked("feed status");
    let of = |answer: &serde_json::Value| answer["feeds"][1].clone();
    assert_eq!(of(&before)["name"], "ubuntu-usn");
    for field in ["name", "digest", "statements", "coverage", "as_of", "imported_at", "moves"] {
        assert_eq!(of(&before)[field], of(&after)[field], "{field}");
    }
    let again = served.import(&served.folder.path().join("osv"), &["-o", "json"]);
    let again: serde_json::Value = serde_json::from_str(&out(&again)).expect("JSON");
    assert_eq!(again["feeds"][0]["outcome"], "same");
    assert_eq!(again["feeds"][0]["dates"], 0);
}

#[test]
fn a_feed_that_is_broken_or_has_shrunk_changes_nothing() {
    let served = Served::start();
    let whole: String = (0..60)
        .map(|number| {
            format!(
                "[01 Jul 2026] DSA-{}-1 source{number} - security update\n\t[trixie] - source{number} 1.{number}\n",
                7000 + number
            )
        })
        .collect();
    let list = served.write("list", &whole);
    assert_eq!(served.import(&list, &[]).status.code(), Some(0));
    let before = served.asked("feed status")["feeds"].clone();
    let cut: String = whole.lines().take(60).map(|line| format!("{line}\n")).collect();
    for (name, text, says) in [
        ("cut", cut.as_str(), "it has shrunk by more than 10 %; the last good state stays"),
        ("broken.json", "{\"id\": \"USN-1-1\", \"affected\": [", "broken.json: no JSON: EOF"),
        ("odd.txt", "hello", "odd.txt: of no known kind"),
        ("half", &whole[..whole.len() - 3], "cut off"),
    ] {
        let path = served.write(name, text);
        let refused = served.import(&path, &[]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", said(&refused));
        assert!(said(&refused).contains(says), "{name}: {}", said(&refused));
        assert_eq!(served.asked("feed status")["feeds"], before, "{name}");
    }
    // A good file beside a broken one is not taken either.
    let folder = served.write("both/USN-9901-1.json", &notice(9901, "2026-08-01", "curl", "9"));
    served.write("both/USN-9902-1.json", "{\"id\":");
    let refused = served.import(folder.parent().expect("a folder"), &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("USN-9902-1.json"), "{}", said(&refused));
    assert_eq!(served.asked("feed status")["feeds"], before);
    let nowhere = served.import(Path::new("/nowhere"), &[]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(said(&nowhere).contains("/nowhere: No such file"), "{}", said(&nowhere));
}

#[test]
fn without_a_socket_nobody_imports() {
    let served = Served::start();
    let file = served.write("USN-1-1.json", &notice(1, "2026-08-01", "curl", "9"));
    let output = feeds::import(&served.folder.path().join("none.sock"), &file, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("--admin-socket"), "{}", said(&output));
    let socket = std::fs::metadata(served.folder.path().join("admin.sock")).expect("a socket");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&socket.permissions()) & 0o777, 0o600);
}

#[tokio::test]
async fn another_user_may_not_import_even_where_he_can_connect() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can be somebody else");
        return;
    }
    let served = Served::start();
    let file = served.write("USN-1-1.json", &notice(1, "2026-08-01", "curl", "9"));
    let socket = served.folder.path().join("admin.sock");
    let open = |path: &Path, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, permissions).expect("root may");
    };
    open(&socket, 0o666);
    open(served.folder.path(), 0o755);
    open(&file, 0o644);
    // As nobody, by a copy that nobody may run.
    let program = served.folder.path().join("nodeward");
    std::fs::copy(programs::nodeward(), &program).expect("copied");
    let mut command = Command::new(&program);
    command.args(["feed", "import", "--admin-socket"]).arg(&socket).arg(&file);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    let refused = command.stdin(Stdio::null()).output().expect("the program runs");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("user 65534 may not import"), "{}", said(&refused));
    assert_eq!(served.asked("feed status")["feeds"].as_array().map(Vec::len), Some(1));
}

/// A node of Ubuntu 22.04 that has been reported.
async fn reported(served: &Served, host: &HostCopy, name: &str) -> Program {
    let program = Program::start(
        agent("run", host.path(), name)
            .args(["--aggregator", &served.aggregator.url(), "--recorded-answers"])
            .arg(project::answers("aks-ubuntu-2204")),
    );
    served
        .aggregator
        .answer_when(name, "all components", |answer| {
            answer.components.iter().all(|one| one.state != "not_reported")
        })
        .await;
    program
}

#[tokio::test]
async fn missing_fixes_are_answered_by_age_and_by_whose_turn_it_is() {
    let served = Served::start();
    let host = HostCopy::of("aks-ubuntu-2204");
    let _agents =
        [reported(&served, &host, "aks-a").await, reported(&served, &host, "aks-b").await];
    let empty = served.asked("patch-age");
    assert_eq!(empty["rows"].as_array().map(Vec::len), Some(0));
    assert_eq!(served.ask("patch-age").status.code(), Some(4), "partial");
    let young = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(48)).unwrap();
    let young = young.to_string();
    let old = served.write("osv/USN-9901-1.json", &notice(9901, "2026-08-01", "openssl", "9"));
    served.write("osv/USN-9902-1.json", &notice(9902, &young[..10], "curl", "9"));
    let imported = served.import(old.parent().expect("a folder"), &["--complete"]);
    assert_eq!(imported.status.code(), Some(0), "{}", said(&imported));

    let all = served.asked("patch-age");
    let rows = all["rows"].as_array().expect("rows").clone();
    let of = |subject: &str| {
        rows.iter().find(|row| row["subject"] == subject).unwrap_or_else(|| panic!("{rows:?}"))
    };
    assert_eq!(rows.len(), 2, "{rows:?}");
    // The offered images are not known: whose turn it is cannot be said. The young one is
    // nobody's.
    assert_eq!(of("USN-9901-1")["responsible"]["who"], "unknown");
    assert_eq!(of("USN-9901-1")["step"], "offered_unknown");
    assert_eq!(of("USN-9901-1")["nodes"], 2);
    assert_eq!(of("USN-9901-1")["oldest"]["at"], "2026-08-01T10:00:00Z");
    assert_eq!(of("USN-9902-1")["responsible"]["who"], "nobody_yet");
    assert_eq!(served.ask("patch-age").status.code(), Some(1));

    for (line, code, count) in [
        ("patch-age --older-than 30d", 1, 1),
        ("patch-age --older-than 300d", 4, 0),
        ("patch-age --responsible nobody_yet", 4, 1),
        ("patch-age --responsible customer", 4, 0),
        ("patch-age --by cve", 1, 2),
        ("patch-age --by node", 1, 2),
        ("patch-age --by pool", 1, 1),
        ("patch-age --by image", 1, 1),
        ("patch-age --cluster elsewhere", 4, 0),
        ("cve CVE-2026-9901", 1, 2),
        ("cve ubuntu-cve-2026-9901", 1, 2),
        ("cve USN-9902-1", 4, 2),
        ("cve CVE-1999-0001", 4, 0),
        ("gate --max-fix-age 30d", 1, 1),
        ("gate --max-fix-age 30d --require-complete", 4, 1),
        ("gate --max-fix-age 300d", 4, 0),
    ] {
        let answer = served.asked(line);
        let rows = answer["rows"].as_array().expect("rows").len();
        assert_eq!(rows, count, "{line}: {answer}");
        let output = served.ask(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", out(&output));
        let text = out(&output);
        assert!(text.starts_with("VERDICT "), "{line}: {text}");
        assert!(text.lines().last().is_some_and(|last| last.starts_with("NEXT ")), "{text}");
    }
    // A name that nobody has heard of is not a vulnerability that nobody has.
    let no_feed = |line: &str| {
        let answer = served.asked(line);
        let why = answer["incomplete"].as_object().expect("a map").clone();
        why.keys().any(|one| one.ends_with("no feed knows that name"))
    };
    assert!(no_feed("cve CVE-1999-0001") && no_feed("cve CVE-2026-990l"));
    assert!(!no_feed("cve CVE-2026-9901") && !no_feed("cve usn-9902-1"));
    let csv = out(&served.ask("patch-age -o csv"));
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let node = served.asked("node aks-a");
    assert_eq!(node["fixes"]["counts"]["unknown"], 1);
    assert_eq!(node["fixes"]["counts"]["nobody_yet"], 1);
    // The same after a restart, without any new report of the packages.
    let served = served.again();
    let again = served.asked("patch-age");
    assert_eq!(again["rows"], all["rows"]);
}

#[test]
fn feeds_are_pulled_once_each_and_one_that_fails_costs_itself_alone() {
    let authority = Authority::default();
    let text = notice(9901, "2026-08-01", "openssl", "9");
    let server = FeedServer::start(&authority, move |path| match path {
        "/good.json" => FeedAnswer::ok(text.clone()),
        "/short.json" => {
            FeedAnswer { told_bytes: Some(text.len() + 9), ..FeedAnswer::ok(text.clone()) }
        }
        "/broken.json" => FeedAnswer::ok("{\"id\":"),
        _ => FeedAnswer { status: 503, ..FeedAnswer::ok("busy") },
    });
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let url = |path: &str| format!("{}{path}", server.url);
    let urls =
        [url("/busy.json"), url("/broken.json"), url("/short.json"), url("/good.json,complete")];
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start_with_feeds(&store, &socket, &authority, &urls);
    let pull = || {
        let output = Command::new(programs::nodeward())
            .args(["feed", "pull", "-o", "json", "--admin-socket"])
            .arg(&socket)
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        let answer: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
        answer["sources"].as_array().expect("sources").clone()
    };
    // It pulls by itself as it starts; asked for now, it waits its turn.
    let first = pull();
    for (source, says) in first.iter().zip(["503", "no JSON", "disconnected"]) {
        assert_eq!(source["outcome"], "failed", "{source}");
        assert!(source["why"].as_str().is_some_and(|why| why.contains(says)), "{source}");
    }
    let second = pull();
    assert_eq!(second[3]["outcome"], "not_modified", "{second:?}");
    let asked = server.asked();
    assert!(asked.contains(&"/good.json \"one\"".to_owned()), "{asked:?}");
    // What was refused is asked for in full again.
    assert!(!asked.contains(&"/broken.json \"one\"".to_owned()), "{asked:?}");
    let served = Served { folder, aggregator };
    let status = served.asked("feed status");
    assert_eq!(status["feeds"][1]["name"], "ubuntu-usn");
    assert_eq!(status["feeds"][1]["coverage"][0]["coverage"], "complete");
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_asked() {
    let (authority, other) = (Authority::default(), Authority::default());
    let server = FeedServer::start(&other, |_| FeedAnswer::ok(feeds::NOTICE));
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let urls = [format!("{}/feed.json", server.url)];
    let store = folder.path().join("store.db");
    let _aggregator = Aggregator::start_with_feeds(&store, &socket, &authority, &urls);
    let output = Command::new(programs::nodeward())
        .args(["feed", "pull", "--admin-socket"])
        .arg(&socket)
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(out(&output).contains("invalid peer certificate"), "{}", out(&output));
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_scanners_list_is_labelled_by_what_nodes_report() {
    let served = Served::start();
    let list = served.write(
        "list.csv",
        "CVE ID,Package,Version,Severity,Host\n\
         CVE-2026-9901,libssl3,3.0.2-0ubuntu1.28,high,aks-a\n\
         CVE-2026-9901,libssl3,3.0.2-0ubuntu1.28,high,aks-a\n\
         CVE-2026-9903,curl,7.81.0-1ubuntu1.28,low,aks-a\n\
         CVE-2026-9904,tar,,low,aks-a\n",
    );
    let ask = |rest: &str| served.ask(&format!("import scan {}{rest}", list.display()));
    assert_eq!(ask("").status.code(), Some(4), "no node has reported");
    let host = HostCopy::of("aks-ubuntu-2204");
    let _agent = reported(&served, &host, "aks-a").await;
    let old = served.write("osv/USN-9901-1.json", &notice(9901, "2026-08-01", "openssl", "9"));
    served.write("osv/USN-9903-1.json", &notice(9903, "2026-08-02", "curl", "1"));
    let folder = old.parent().expect("a folder");
    assert_eq!(served.import(folder, &[]).status.code(), Some(0));
    let verdicts = |output: &Output| -> Vec<String> {
        let answer: serde_json::Value = serde_json::from_str(&out(output)).expect("JSON");
        let rows = answer["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["verdict"].as_str().expect("a word").to_owned()).collect()
    };
    // A partial feed says what it knows, and nothing by its silence.
    let partial = ask(" -o json");
    let expected = ["agree_missing", "agree_missing", "fixed_already", "unknown"];
    assert_eq!(verdicts(&partial), expected, "{}", out(&partial));
    served.write("osv/USN-9905-1.json", &notice(9905, "2026-08-03", "bash", "1"));
    assert_eq!(served.import(folder, &["--complete"]).status.code(), Some(0));
    let all = ask(" -o json");
    assert_eq!(all.status.code(), Some(1), "{}", said(&all));
    let expected = ["agree_missing", "agree_missing", "fixed_already", "not_affected"];
    assert_eq!(verdicts(&all), expected, "{}", out(&all));
    let text = out(&ask(""));
    assert!(text.starts_with("VERDICT   4 rows (table), held against 1 node"), "{text}");
    assert!(text.lines().last().is_some_and(|last| last.starts_with("NEXT ")), "{text}");
    assert_eq!(out(&ask(" -o csv")).lines().count(), 5);
    assert_eq!(ask(" --cluster moon").status.code(), Some(4));
    // Nothing of it is lacking, and everything is known.
    let clean = served.write("clean.csv", "CVE ID,Package\nCVE-2026-9903,curl\n");
    let clean = served.ask(&format!("import scan {}", clean.display()));
    assert_eq!(clean.status.code(), Some(0), "{}", out(&clean));
    let mapped = served.write("mapped.csv", "Name,What\nCVE-2026-9903,curl\n");
    let mapped = mapped.display();
    let unmapped = served.ask(&format!("import scan {mapped}"));
    assert_eq!(unmapped.status.code(), Some(2), "{}", said(&unmapped));
    let mapping = "--columns cve=Name,package=What";
    assert_eq!(served.ask(&format!("import scan {mapped} {mapping}")).status.code(), Some(0));
    // What cannot be read is refused by file, row and reason.
    for (name, text, says) in [
        (
            "half.csv",
            "CVE ID,Package\nCVE-2026-1,curl\nCVE-2026-2,\n",
            "half.csv: row 3 has no package",
        ),
        ("cut.json", "{\"matches\": [", "cut.json: no scanner's JSON"),
        ("empty.csv", "", "empty.csv: no scanner's list: it is empty"),
    ] {
        let file = served.write(name, text);
        let refused = served.ask(&format!("import scan {}", file.display()));
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", said(&refused));
        assert!(said(&refused).contains(says), "{name}: {}", said(&refused));
    }
    let nowhere = served.ask("import scan /nowhere.json");
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(said(&nowhere).contains("/nowhere.json: No such file"), "{}", said(&nowhere));
}

/// The same packages, two kernels among them, of which that release runs.
fn with_two_kernels(running: &str, upload: &str) -> HostCopy {
    let host = HostCopy::of("aks-ubuntu-2204");
    let path = host.inside("/var/lib/dpkg/status");
    let status = std::fs::read_to_string(&path).expect("a database");
    let newer = "Package: linux-image-5.15.0-1126-azure\nStatus: install ok installed\n\
                 Architecture: amd64\nSource: linux-signed-azure\nVersion: 5.15.0-1126.135\n\n";
    let place = status.find("Package: linux-image-azure-lts").expect("a package behind");
    std::fs::write(&path, format!("{}{newer}{}", &status[..place], &status[place..])).unwrap();
    std::fs::write(host.inside("/proc/sys/kernel/osrelease"), format!("{running}\n")).unwrap();
    let version = format!("#{upload}-Ubuntu SMP Thu Oct 15 18:22:41 UTC 2026\n");
    std::fs::write(host.inside("/proc/sys/kernel/version"), version).unwrap();
    host
}

#[tokio::test]
async fn of_two_nodes_with_one_list_of_packages_the_one_that_is_not_rebooted_lacks_the_fix() {
    let old = with_two_kernels("5.15.0-1124-azure", "133");
    let new = with_two_kernels("5.15.0-1126-azure", "135");
    let feed = notice(9961, "2026-09-01", "linux-azure", "5.15.0-1126.135");
    for order in [[("old", &old), ("new", &new)], [("new", &new), ("old", &old)]] {
        let served = Served::start();
        let path = served.write("USN-9961-1.json", &feed);
        assert_eq!(served.import(&path, &["--complete"]).status.code(), Some(0));
        let mut agents = Vec::new();
        for (name, host) in order {
            agents.push(reported(&served, host, name).await);
        }
        let steps = |served: &Served, name: &str| -> Vec<String> {
            let answer = served.asked(&format!("node {name}"));
            let packages = answer["fixes"]["packages"].as_array().expect("packages").clone();
            let fixes = packages.iter().flat_map(|one| one["fixes"].as_array().cloned());
            fixes.flatten().map(|fix| fix["step"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(steps(&served, "old"), ["not_running"], "{order:?}");
        assert_eq!(steps(&served, "new"), Vec::<String>::new(), "{order:?}");
        drop(agents);
        let served = served.again();
        assert_eq!(steps(&served, "old"), ["not_running"], "after a restart");
        assert_eq!(steps(&served, "new"), Vec::<String>::new(), "after a restart");
    }
}
