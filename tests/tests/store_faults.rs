//! A store that fails, is taken away, spoilt, foreign or in use: nothing is acknowledged
//! that is not kept, whoever asks is told, and what is good goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nodeward_domain::answer::NodeAnswer;
use nodeward_domain::component::Component;
use nodeward_proto::v1;
use nodeward_proto::v1::report_service_client::ReportServiceClient;
use nodeward_tests::programs;
use nodeward_tests::reporter::{kernel, put, report, reporter, send};
use nodeward_tests::service::{Aggregator, PATIENCE};
use rusqlite::Connection;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn beside(store: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", store.display()))
}

async fn serves(aggregator: &Aggregator, service: &str) -> bool {
    let endpoint = Channel::from_shared(aggregator.url()).expect("an address");
    let mut client = HealthClient::new(endpoint.connect().await.expect("it serves"));
    let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await;
    answer.expect("health serves").into_inner().status() == ServingStatus::Serving
}

/// Waits until gRPC health says of what commits whether it serves. What answers from memory
/// goes on all the time.
async fn until_it_serves(aggregator: &Aggregator, expected: bool) {
    let deadline = Instant::now() + PATIENCE;
    for service in ["", "nodeward.v1.ReportService"] {
        while serves(aggregator, service).await != expected {
            assert!(Instant::now() < deadline, "{service:?} does not become {expected}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(serves(aggregator, "nodeward.v1.QueryService").await);
}

async fn until_ready(aggregator: &Aggregator) {
    let deadline = Instant::now() + PATIENCE;
    while !aggregator.get("/readyz").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "it does not become ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn is_not_acknowledged(client: &mut ReportServiceClient<Channel>, seq: u64, tainted: u64) {
    let refused = send(client, report(seq, tainted)).await.expect_err("not committed");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}

fn is_not_ready(aggregator: &Aggregator, says: &str) {
    let ready = aggregator.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(says), "{says}: {ready}");
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_store_that_was_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    let mut client = reporter(&aggregator).await;
    send(&mut client, report(1, 0)).await.expect("committed");
    let mut seq = 1;
    for ending in ["", "-wal", "-shm", "-lock"] {
        let (file, away) = (beside(&store, ending), folder.path().join("away"));
        std::fs::rename(&file, &away).expect("taken away");
        // What changes and what does not, and once more what was acknowledged.
        is_not_acknowledged(&mut client, seq + 1, 128).await;
        is_not_acknowledged(&mut client, seq + 1, 0).await;
        is_not_acknowledged(&mut client, seq, 0).await;
        is_not_ready(&aggregator, "was deleted under this process");
        std::fs::write(&file, "another file").expect("written");
        is_not_acknowledged(&mut client, seq + 1, 128).await;
        is_not_ready(&aggregator, "was replaced under this process");
        if ending.is_empty() {
            until_it_serves(&aggregator, false).await;
        }
        std::fs::rename(&away, &file).expect("brought back");
        seq += 1;
        send(&mut client, report(seq, 0)).await.expect("committed");
    }
    until_it_serves(&aggregator, true).await;
    assert!(aggregator.get("/readyz").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_store_that_another_program_has_locked_is_not_ready_until_it_is_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    let mut client = reporter(&aggregator).await;
    send(&mut client, report(1, 0)).await.expect("committed");
    let other = Connection::open(&store).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    is_not_ready(&aggregator, "no commit within 2 s");
    is_not_acknowledged(&mut client, 2, 128).await;
    until_it_serves(&aggregator, false).await;
    other.execute_batch("ROLLBACK").expect("free");
    until_ready(&aggregator).await;
    send(&mut client, report(2, 128)).await.expect("committed");
    until_it_serves(&aggregator, true).await;
}

mod real_tmpfs {
    use std::io::Write as _;

    use nix::mount::{MntFlags, MsFlags, mount, umount2};

    use super::*;

    /// A file system of one mebibyte.
    struct Small(tempfile::TempDir);

    impl Small {
        fn mounted() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let (flags, size) = (MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("size=1m"));
            mount(Some("small"), folder.path(), Some("tmpfs"), flags, size).expect("root may");
            Self(folder)
        }

        /// Fills it to the last byte.
        fn fill(&self) -> PathBuf {
            let filler = self.0.path().join("filler");
            let mut file = std::fs::File::create(&filler).expect("a file");
            while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
            filler
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_not_ready_and_loses_nothing_that_was_acknowledged() {
        let small = Small::mounted();
        let store = small.0.path().join("store.db");
        let aggregator = Aggregator::start(&store);
        let mut client = reporter(&aggregator).await;
        send(&mut client, report(1, 128)).await.expect("committed");
        let filler = small.fill();
        for seq in 2..5 {
            is_not_acknowledged(&mut client, seq, seq).await;
            is_not_ready(&aggregator, "full");
        }
        until_it_serves(&aggregator, false).await;
        // No answer may change by what was not acknowledged.
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        assert_eq!(shown.findings.len(), 1, "{shown:#?}");
        std::fs::remove_file(filler).expect("removed");
        until_ready(&aggregator).await;
        send(&mut client, report(5, 0)).await.expect("committed");
        until_it_serves(&aggregator, true).await;
        aggregator.program.kill();
        let aggregator = Aggregator::start(&store);
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        assert!(shown.findings.is_empty(), "{shown:#?}");
    }
}

/// Starts an aggregator that cannot start, and returns its one line about it.
fn refused(store: &Path) -> String {
    let output = Command::new(programs::aggregator())
        .args(["serve", "--insecure-loopback"])
        .args(["--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"])
        .arg(format!("--store=sqlite:{}", store.display()))
        .output()
        .expect("the program runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success(), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&store.display().to_string()), "{said}");
    said
}

#[tokio::test]
async fn a_store_has_one_aggregator_which_the_second_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&store, &link).expect("a link");
    let first = Aggregator::start(&store);
    let pid = first.program.pid();
    for name in [&store, &link] {
        let said = refused(name);
        assert!(said.contains(&format!("in use by the aggregator with pid {pid}")), "{said}");
    }
    send(&mut reporter(&first).await, report(1, 0)).await.expect("the first goes on");
    first.program.kill();
    let second = Aggregator::start(&link);
    second.answer_when("a", "the stored node", |_| true).await;
}

#[test]
fn a_database_that_is_not_ours_is_refused_and_stays_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = "CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('a')";
    for (name, made, says) in [
        ("customers", theirs, "not Nodeward's"),
        ("a clash of names", "CREATE TABLE setting (x)", "not Nodeward's"),
        ("a version of theirs", "CREATE TABLE x (x); PRAGMA user_version = 1", "not Nodeward's"),
        ("theirs? #1", "PRAGMA journal_mode = WAL; CREATE TABLE x (x)", "not Nodeward's"),
        (
            "a newer build's",
            "PRAGMA application_id = 0x4e645764; PRAGMA user_version = 99; CREATE TABLE x (x)",
            "tables of version 99, this build knows",
        ),
    ] {
        let store = folder.path().join(format!("{name}.db"));
        Connection::open(&store).expect("a database").execute_batch(made).expect("made");
        let before = std::fs::read(&store).expect("a file");
        let said = refused(&store);
        assert!(said.contains(says), "{name}: {said}");
        assert!(std::fs::read(&store).expect("a file") == before, "{name}: changed");
        for ending in ["-wal", "-shm", "-journal"] {
            assert!(!beside(&store, ending).exists(), "{name}: {ending}");
        }
    }
}

#[tokio::test]
async fn a_stopped_aggregators_store_is_one_file_that_can_be_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, copy) = (folder.path().join("store.db"), folder.path().join("copy.db"));
    let aggregator = Aggregator::start(&store);
    send(&mut reporter(&aggregator).await, report(1, 128)).await.expect("committed");
    aggregator.stop().await;
    assert!(!beside(&store, "-wal").exists());
    std::fs::copy(&store, &copy).expect("copied");
    let aggregator = Aggregator::start(&copy);
    let faulted = |answer: &NodeAnswer| answer.findings.len() == 1;
    aggregator.answer_when("a", "the finding", faulted).await;
}

#[tokio::test]
async fn only_the_owner_may_read_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    send(&mut reporter(&aggregator).await, report(1, 0)).await.expect("committed");
    for ending in ["", "-wal", "-shm", "-lock"] {
        let mode = beside(&store, ending).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{ending:?}");
    }
}

/// Spoils a store that nobody has open.
fn spoil(store: &Path, sql: &str) {
    let rows = Connection::open(store).expect("a database").execute(sql, []).expect("spoilt");
    assert!(rows > 0, "{sql}: nothing was spoilt");
}

#[tokio::test]
async fn a_silent_node_is_stale_even_when_the_clock_ran_ahead_as_it_was_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    send(&mut reporter(&aggregator).await, report(1, 0)).await.expect("committed");
    aggregator.stop().await;
    let days = 400i64 * 86_400 * 1_000_000;
    spoil(&store, &format!("UPDATE node SET first_seen = first_seen + {days}"));
    spoil(&store, &format!("UPDATE node SET last_seen = last_seen + {days}"));
    let intervals =
        format!("valid_from = valid_from + {days}, last_observed = last_observed + {days}");
    spoil(&store, &format!("UPDATE component_interval SET {intervals}"));

    let aggregator = Aggregator::start(&store);
    let shown = aggregator.answer_when("a", "the node", |_| true).await;
    assert!(shown.incomplete.iter().any(|line| line.ends_with("stale")), "{:?}", shown.incomplete);
    let seen = |answer: &NodeAnswer| {
        let kernel = answer.components.iter().find(|one| one.component == Component::Kernel);
        kernel.and_then(|kernel| kernel.observed_at).expect("an observation")
    };
    assert!(seen(&shown) <= shown.as_of, "{shown:#?}");
    // A report rights it, for good.
    send(&mut reporter(&aggregator).await, report(2, 0)).await.expect("committed");
    aggregator.stop().await;
    let aggregator = Aggregator::start(&store);
    let shown = aggregator.answer_when("a", "the node", |_| true).await;
    assert!(shown.last_report_at.is_some_and(|at| at <= shown.as_of), "{shown:#?}");
    assert!(!shown.incomplete.iter().any(|line| line.ends_with("stale")), "{shown:#?}");
}

#[tokio::test]
async fn the_lives_of_a_machines_own_nodes_are_the_stores() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut uids = Vec::new();
    for name in ["one.db", "two.db", "one.db"] {
        let store = folder.path().join(name);
        let aggregator = Aggregator::start(&store);
        let seq = u64::try_from(uids.len()).expect("a small number") + 1;
        send(&mut reporter(&aggregator).await, report(seq, 0)).await.expect("committed");
        aggregator.stop().await;
        let stored = Connection::open(&store).expect("a database");
        let mut query = stored.prepare("SELECT uid FROM node").expect("a query");
        let uid: String = query.query_row([], |row| row.get(0)).expect("one life");
        uids.push(uid);
    }
    assert_eq!(uids[0], uids[2], "the same store");
    assert_ne!(uids[0], uids[1], "what names lives must not be this machine's");
}

fn kernel_of(answer: &NodeAnswer) -> (String, String) {
    let kernel = answer.components.iter().find(|one| one.component == Component::Kernel);
    let kernel = kernel.expect("every component is there");
    (kernel.state.clone(), kernel.headline.clone())
}

fn spoilt_rows(aggregator: &Aggregator) -> u64 {
    let metrics = aggregator.get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with("nodeward_store_spoilt_rows_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a counter")
}

#[tokio::test]
async fn a_spoilt_row_costs_its_component_until_it_is_reported_again() {
    for (spoiling, table) in [
        ("UPDATE component_interval SET digest = x'00'", "component_interval"),
        ("UPDATE component_interval SET valid_from = 9223372036854775807", "component_interval"),
        ("UPDATE component_interval SET observations = -1", "component_interval"),
        ("UPDATE content SET bytes = x'00'", "content"),
        ("UPDATE content SET form = -1", "content"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let aggregator = Aggregator::start(&store);
        send(&mut reporter(&aggregator).await, report(1, 128)).await.expect("committed");
        aggregator.stop().await;
        spoil(&store, spoiling);

        let aggregator = Aggregator::start(&store);
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        let (state, headline) = kernel_of(&shown);
        assert_eq!(state, "unavailable", "{spoiling}: {headline}");
        assert!(headline.contains(&format!("table {table}, row ")), "{spoiling}: {headline}");
        assert_eq!(spoilt_rows(&aggregator), 1, "{spoiling}");
        // The agent believes that the content is here, and leaves it out.
        let mut client = reporter(&aggregator).await;
        let mut known = report(2, 128);
        known.components[0].content = None;
        let response = send(&mut client, known).await.expect("committed");
        if table == "content" {
            assert_eq!(response.need, [kernel(128).digest], "{spoiling}");
            put(&mut client, kernel(128)).await.expect("what was asked for");
        } else {
            assert_eq!(response.need, Vec::<Vec<u8>>::new(), "{spoiling}");
        }
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        assert_eq!(kernel_of(&shown).0, "present", "{spoiling}");
        aggregator.stop().await;
        let aggregator = Aggregator::start(&store);
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        assert_eq!(kernel_of(&shown).0, "present", "{spoiling}");
        assert_eq!(spoilt_rows(&aggregator), 0, "{spoiling}: not mended");
    }
}

#[tokio::test]
async fn a_node_whose_row_is_spoilt_is_stale_and_goes_on_with_its_next_report() {
    for spoiling in [
        "UPDATE node SET last_seen = 9223372036854775807",
        "UPDATE node SET first_seen = -9223372036854775807",
        "UPDATE node SET seq = -1",
        "UPDATE node SET boot_id = CAST(x'ff' AS TEXT)",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let aggregator = Aggregator::start(&store);
        send(&mut reporter(&aggregator).await, report(1, 128)).await.expect("committed");
        aggregator.stop().await;
        spoil(&store, spoiling);

        let aggregator = Aggregator::start(&store);
        assert_eq!(spoilt_rows(&aggregator), 1, "{spoiling}");
        let shown = aggregator.answer_when("a", "the node", |_| true).await;
        assert!(!shown.complete, "{spoiling}");
        assert!(shown.incomplete.iter().any(|line| line.ends_with("stale")), "{spoiling}");
        assert_eq!(kernel_of(&shown).0, "present", "{spoiling}");
        send(&mut reporter(&aggregator).await, report(2, 128)).await.expect("committed");
        aggregator.stop().await;
        let aggregator = Aggregator::start(&store);
        assert_eq!(spoilt_rows(&aggregator), 0, "{spoiling}: not mended");
        let late = send(&mut reporter(&aggregator).await, report(1, 0)).await;
        assert_eq!(late.expect_err("backwards").code(), Code::FailedPrecondition, "{spoiling}");
    }
}

#[tokio::test]
async fn what_changed_in_the_wrong_order_of_clocks_keeps_no_life_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let aggregator = Aggregator::start(&store);
    let mut client = reporter(&aggregator).await;
    for seq in 1..3 {
        send(&mut client, report(seq, seq)).await.expect("committed");
    }
    aggregator.stop().await;
    // An earlier life, seen first by a clock that ran ahead.
    let other = Connection::open(&store).expect("a database");
    other
        .execute_batch(
            "INSERT INTO node SELECT cluster_id, node, 'earlier', boot_id, earlier_boots, seq,
             first_seen + 1000000000000, last_seen, 1, certificate_from, certificate_until
             FROM node WHERE change > 1",
        )
        .expect("inserted");
    drop(other);
    let aggregator = Aggregator::start(&store);
    send(&mut reporter(&aggregator).await, report(3, 0)).await.expect("the present life");
    let listed = aggregator.reader().await.list_nodes(v1::ListNodesRequest::default()).await;
    assert_eq!(listed.expect("a list").into_inner().nodes.len(), 1);
}
