//! The suite of all stores on the embedded one, and what is SQLite's alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeward_aggregator::store::sqlite::SqliteStore;
use nodeward_tests::store_suite;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_does_what_every_store_must() {
    let folder = tempfile::tempdir().expect("a folder");
    store_suite::run(|name| {
        SqliteStore::open(&folder.path().join(format!("{name}.db"))).expect("opened")
    })
    .await;
}

#[tokio::test]
async fn what_the_embedded_store_acknowledged_is_in_its_file() {
    // A copy of the files, taken without closing, is what a power cut leaves.
    use nodeward_aggregator::store::Store as _;
    use nodeward_proto::content::Content;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).expect("opened");
    let content = Content { component: "kernel".to_owned(), form: 1, bytes: b"k".to_vec() };
    store.put_content(content.clone()).await.expect("committed");
    for suffix in ["", "-wal"] {
        let from = folder.path().join(format!("store.db{suffix}"));
        std::fs::copy(from, folder.path().join(format!("cut.db{suffix}"))).expect("copied");
    }
    // And this is how it is copied on purpose.
    store_suite::copy(&path, &folder.path().join("copy.db"));
    for name in ["cut.db", "copy.db"] {
        let copy = SqliteStore::open(&folder.path().join(name)).expect("opened");
        let found = copy.content(content.digest()).await.expect("the store answers");
        assert_eq!(found.as_ref(), Some(&content), "{name}");
    }
}
