//! Node images and plans in a running aggregator, by the command: an import is whole or it is
//! none, plans are kept and judged again, and all of it survives a restart. Days are counted from
//! today: how old an image is depends on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use nodeward_tests::host::HostCopy;
use nodeward_tests::project;
use nodeward_tests::served::{Served, out, said};
use nodeward_tests::service::{Program, agent};
use serde_json::Value;

const LINE: &str = "AKSUbuntu-2204gen2containerd";

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days)).expect("a day")
}

/// The version of an image that was built so many days ago.
fn version(days: i64) -> String {
    days_ago(days).strftime("%Y%m.%d.0").to_string()
}

/// The release note of an image that was built so many days ago, as one of the tests' images.
fn note(days: i64, of: &str) -> String {
    let path = project::root().join(format!("tests/images/{LINE}/{of}.txt"));
    let text = std::fs::read_to_string(path).expect("a note");
    let (_, rest) = text.split_once('\n').expect("lines");
    let built = days_ago(days).strftime("%a %b %-d %H:%M:%S UTC %Y");
    format!("Starting build on  {built}\n{rest}")
}

fn id(pool: &str) -> String {
    format!(
        "/subscriptions/0/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/\
         aks/agentPools/{pool}"
    )
}

fn upgrades(image: &str) -> String {
    let id = id("nodepool1");
    format!(
        r#"{{"id": "{id}/upgradeProfiles/default", "name": "default",
        "latestNodeImageVersion": "{LINE}-{image}", "upgrades": null}}"#
    )
}

fn pools(image: &str, power: &str) -> String {
    let id = id("nodepool1");
    format!(
        r#"[{{"id": "{id}", "name": "nodepool1", "count": 1, "mode": "User",
        "orchestratorVersion": "1.35.5", "nodeImageVersion": "{LINE}-{image}",
        "provisioningState": "Succeeded", "powerState": {{"code": "{power}"}}}}]"#
    )
}

const TOLD: &str = r#"
[[pool]]
cluster = "local"
pool = "nodepool1"
processors_per_node = 8
addresses_per_node = 31
channel = "None"

[[quota]]
cluster = "local"
processors_free = 16

[[subnet]]
cluster = "local"
addresses_free = 64
"#;

/// A node on the image of 20 days ago has reported.
async fn reported(served: &Served) -> (HostCopy, Program) {
    let host = HostCopy::of("aks-ubuntu-2204");
    let image = version(20);
    for path in ["/opt/azure/containers/image-bom.json", "/etc/default/kubelet"] {
        host.replace(path, &[("202611.03.0", &image)]);
    }
    let program = Program::start(
        agent("run", host.path(), "aks-0")
            .args(["--aggregator", &served.aggregator.url(), "--recorded-answers"])
            .arg(project::answers("aks-ubuntu-2204")),
    );
    let all = |answer: &nodeward_domain::answer::NodeAnswer| {
        answer.components.iter().all(|one| one.state != "not_reported")
    };
    served.aggregator.answer_when("aks-0", "all components", all).await;
    (host, program)
}

/// Two good notes, of which the folder's path is told.
fn notes(served: &Served) -> PathBuf {
    let path = |days| format!("notes/{LINE}/{}.txt", version(days));
    served.write(&path(20), &note(20, "202611.03.0"));
    served.write(&path(6), &note(6, "202611.17.0"));
    served.folder.path().join("notes")
}

fn ends(served: &Served, line: &str, code: i32) -> String {
    let output = served.ask(line);
    assert_eq!(output.status.code(), Some(code), "{line}: {}{}", out(&output), said(&output));
    out(&output)
}

fn refused(served: &Served, line: &str, code: i32, says: &str) {
    let output = served.ask(line);
    assert_eq!(output.status.code(), Some(code), "{line}: {}", said(&output));
    assert!(said(&output).contains(says), "{line}: {}", said(&output));
}

fn import(served: &Served, what: &str, path: &Path) -> Value {
    let asked = served.asked(&format!("image {what} {}", path.display()));
    asked["documents"].clone()
}

#[tokio::test]
async fn notes_are_imported_whole_or_not_at_all_and_are_news_once() {
    let served = Served::start();
    ends(&served, "image list", 4);
    let folder = notes(&served);
    let broken = format!("{LINE}/{}.txt", version(5));
    let text = note(5, "202611.17.0");
    let broken = served.write(&format!("notes/{broken}"), &text[..text.len() / 2]);
    refused(&served, &format!("image import {}", folder.display()), 2, "cut off");
    assert_eq!(served.asked("image list")["images"], Value::Array(Vec::new()));
    std::fs::remove_file(broken).expect("removed");
    served.write("notes/README.md", "no document");
    let documents = |news: u64| serde_json::json!([{"kind": "note", "count": 2, "news": news}]);
    assert_eq!(import(&served, "import", &folder), documents(2));
    assert_eq!(import(&served, "import", &folder), documents(0), "the same again is no news");
    let before = served.asked("image list")["images"].clone();
    assert_eq!(before.as_array().map(Vec::len), Some(2));
    assert_eq!(before[0]["version"], version(6), "the newest build first");
    let served = served.again();
    assert_eq!(served.asked("image list")["images"], before);
    // Reports of the provider's scanner come along, and one that is broken keeps all out.
    let report = served.write("r.json", r#"{"distro_name": "a", "vhd_release_version": "b"}"#);
    let both = format!("image import {} {}", report.display(), notes(&served).display());
    refused(&served, &both, 2, "r.json: no scan report");
    let scanned = format!(
        r#"{{"distro_name": "AKSUbuntu/gen2/2204containerd", "report_time": "{}",
        "vhd_release_version": "{}", "os_package_targets": [{{"name": "curl", "version": "1",
        "active_cves": [{{"id": "CVE-2026-99999"}}]}}]}}"#,
        days_ago(5),
        version(6)
    );
    let report = served.write("r.json", &scanned);
    let all = import(&served, "import", &report);
    assert_eq!(all, serde_json::json!([{"kind": "report", "count": 1, "news": 1}]));
    let again = import(&served, "import", &report);
    assert_eq!(again, serde_json::json!([{"kind": "report", "count": 1, "news": 0}]));
    let line = format!("image diff {} {} --family {LINE}", version(20), version(6));
    let diff = served.asked(&line);
    assert_eq!(diff["opinion"]["they_alone"], serde_json::json!(["CVE-2026-99999"]), "{diff}");
    let served = served.again();
    assert_eq!(served.asked(&line)["opinion"], diff["opinion"]);
    refused(&served, "image import /nowhere", 2, "/nowhere");
    let socket = "image list --aggregator http://127.0.0.1:1";
    assert_eq!(served.ask(socket).status.code(), Some(3));
}

#[tokio::test]
async fn what_is_told_of_pools_makes_plans_that_are_kept_checked_and_followed() {
    let served = Served::start();
    let _agent = reported(&served).await;
    let (old, new) = (version(20), version(6));
    import(&served, "import", &notes(&served));
    refused(&served, "plan show tonight", 2, "no plan \"tonight\" is kept");
    // The pool is known by its node alone: nobody knows what is offered to it.
    let blind = ends(&served, "plan create blind", 1);
    assert!(blind.contains("nobody knows which image is offered"), "{blind}");

    let told = served.write("told.toml", TOLD);
    let listed = served.write("nodepools.json", &pools(&old, "Running"));
    let offered = served.write("upgrades.json", &upgrades(&new));
    // The provider calls the cluster otherwise.
    for path in [&listed, &offered] {
        let documents = import(&served, "offered import --cluster local", path);
        assert_eq!(documents, serde_json::json!([{"kind": "offered", "count": 1, "news": 1}]));
    }
    import(&served, "offered import", &told);
    let wrong = served.write("wrong.toml", "[[offered]]\ncluster = \"local\"\n");
    refused(&served, &format!("image offered import {}", wrong.display()), 2, "wrong.toml:1");

    let images = served.asked(&format!("image list --family {LINE}"))["images"].clone();
    assert_eq!(images[0]["offered_to"], 1);
    assert_eq!((&images[1]["version"], &images[1]["nodes"]), (&old.clone().into(), &1.into()));
    // The starter feed is partial.
    let diff = ends(&served, &format!("image diff {new} --pool local/nodepool1"), 4);
    assert!(diff.contains("local/nodepool1: 1 node;"), "{diff}");
    assert!(diff.contains("!! another line"), "{diff}");
    ends(&served, &format!("image diff {old} {new} --family 2204gen2containerd -o json"), 4);
    refused(&served, &format!("image diff {new} --pool nowhere"), 2, "no node of pool nowhere");
    refused(&served, &format!("image diff {new}"), 2, "two images are needed");
    refused(&served, "image diff a b", 2, "names no node image");
    ends(&served, "image first-fix CVE-1999-0001", 4);
    let behind = served.asked("node aks-0");
    let incomplete = behind["incomplete"].as_array().expect("a list");
    let is_about = |line: &Value, word: &str| line.as_str().is_some_and(|line| line.contains(word));
    assert!(!incomplete.iter().any(|line| is_about(line, "ImageBehind")), "{incomplete:?}");

    let made = served.asked("plan create tonight --select pool=nodepool1");
    assert_eq!(made["pools"][0]["standing"], "go", "{made}");
    assert_eq!(made["pools"][0]["target"]["version"], new);
    assert_eq!(made["pools"][0]["nodes"][0]["name"], "aks-0");
    refused(&served, "plan create tonight", 2, "--replace");
    refused(&served, "plan create a/b", 2, "is no name of a plan");
    refused(&served, "plan create x --target latest", 2, "neither newest-offered, the version");
    refused(&served, "plan create x --window Sat", 2, "Sat");
    ends(&served, "plan create tonight --select pool=nodepool1 --replace", 0);
    let list = served.asked("plan list");
    let names: Vec<&str> =
        list["plans"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["blind", "tonight"]);
    let script = ends(&served, "plan export tonight", 0);
    assert!(
        script.contains("--subscription=0 --resource-group=rg --cluster-name=aks --name=nodepool1"),
        "{script}"
    );
    assert!(ends(&served, "plan export tonight --as ticket", 0).starts_with("# Upgrade"));
    assert!(ends(&served, "plan export tonight --as fleet", 0).contains("\"maxConcurrency\": 1"));
    let blind = served.ask("plan export blind --as fleet");
    assert!(said(&blind).contains("note: no pool goes"), "{}", said(&blind));
    ends(&served, "plan check tonight", 0);
    let watched = ends(&served, "plan watch tonight", 4);
    assert!(watched.contains("not begun  1 pending"), "{watched}");

    // What went is blocked as soon as somebody stops the pool.
    let stopped = served.write("stopped.json", &pools(&new, "Stopped"));
    import(&served, "offered import --cluster local", &stopped);
    let checked = ends(&served, "plan check tonight", 1);
    assert!(checked.contains("its machines are stopped"), "{checked}");
    let watched = ends(&served, "plan watch tonight", 1);
    assert!(watched.contains("claims success, 1 node still on the old image: aks-0"), "{watched}");

    let shown = served.asked("plan show tonight");
    let served = served.again();
    assert_eq!(served.asked("plan show tonight"), shown);
    assert_eq!(served.asked("plan list")["plans"], list["plans"]);
    assert_eq!(served.asked(&format!("image list --family {LINE}"))["images"], images);
    ends(&served, "plan check tonight", 1);
    ends(&served, "plan delete blind", 0);
    refused(&served, "plan delete blind", 2, "no plan");
    let served = served.again();
    assert_eq!(served.asked("plan list")["plans"].as_array().map(Vec::len), Some(1));
}

fn spoil(store: &Path, sql: &str) {
    let rows = rusqlite::Connection::open(store).expect("a database").execute(sql, []);
    assert_eq!(rows.expect("spoilt"), 1, "{sql}");
}

#[tokio::test]
async fn a_spoilt_document_costs_itself_alone() {
    let (old, new) = (version(20), version(6));
    for (spoiling, images, plans) in [
        // Bytes that cannot be unpacked, or that are something else, …
        (format!("UPDATE document SET content = x'00' WHERE name LIKE '%{new}'"), vec![&old], 2),
        ("UPDATE document SET content = x'00' WHERE name = 'one'".to_owned(), vec![&new, &old], 1),
        // … and rows that no build has written.
        (format!("UPDATE document SET stored_at = -1 WHERE name LIKE '%{old}'"), vec![&new], 2),
        (
            "UPDATE document SET file = CAST(x'ff' AS TEXT) WHERE name = 'two'".to_owned(),
            vec![&new, &old],
            1,
        ),
    ] {
        let served = Served::start();
        import(&served, "import", &notes(&served));
        for name in ["one", "two"] {
            ends(&served, &format!("plan create {name}"), 4);
        }
        let served = served.again_after(|store| spoil(store, &spoiling));
        let listed = served.asked("image list")["images"].clone();
        let known: Vec<&Value> =
            listed.as_array().unwrap().iter().map(|one| &one["version"]).collect();
        assert_eq!(known, images, "{spoiling}");
        let kept = served.asked("plan list")["plans"].as_array().map(Vec::len);
        assert_eq!(kept, Some(plans), "{spoiling}");
        // Imported once more it is there again.
        import(&served, "import", &notes(&served));
        assert_eq!(served.asked("image list")["images"].as_array().map(Vec::len), Some(2));
    }
}
