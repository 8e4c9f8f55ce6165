//! Our reading of databases against SQLite's own, and of what is none.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

use proptest::collection::vec;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const PATH: &str = "/test.db";

/// A database that SQLite has open.
struct Written {
    folder: TempDir,
    connection: Connection,
}

impl Written {
    /// A database with the table `t`, whose log stays until it is told otherwise.
    fn new(page_bytes: u32, journal: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = Connection::open(folder.path().join("test.db")).expect("opened");
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = {page_bytes}; PRAGMA journal_mode = {journal};
                 PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF;
                 CREATE TABLE before (a, b); CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB);
                 CREATE INDEX i ON t (b);"
            ))
            .expect("made");
        Self { folder, connection }
    }

    fn insert(&self, length_bytes: usize) {
        let blob: Vec<u8> = (0..length_bytes).map(|at| (at * 7 + length_bytes) as u8).collect();
        self.connection.execute("INSERT INTO t (b) VALUES (?1)", [blob]).expect("inserted");
    }

    fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).expect("SQL");
    }

    fn file(&self, ending: &str) -> File {
        let path = self.folder.path().join(format!("test.db{ending}"));
        File::options().read(true).write(true).open(path).expect("a file of the database")
    }

    /// Makes the last change seem to be long ago, so that no test waits for it to be.
    fn settle(&self) {
        self.file("").set_modified(SystemTime::UNIX_EPOCH).expect("set");
    }

    /// What SQLite reads.
    fn rows(&self) -> Vec<(i64, Vec<u8>)> {
        let mut query = self.connection.prepare("SELECT id, b FROM t ORDER BY id").expect("SQL");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    }

    /// What we read.
    fn read(&self) -> Result<Vec<(i64, Vec<u8>)>, HostError> {
        self.settle();
        let root = HostRoot::open(self.folder.path()).expect("a folder");
        Database::read(&root, PATH, rows)
    }

    fn fault(&self) -> String {
        let error = self.read().expect_err("a fault");
        format!("{}: {error}", error.path())
    }
}

fn rows(database: &Database) -> Result<Vec<(i64, Vec<u8>)>, HostError> {
    let mut rows = Vec::new();
    database.rows("t", |id, record| {
        let [_, Value::Blob(blob)] = record.values()? else {
            return Err("not a blob".to_owned());
        };
        rows.push((id, blob.to_owned()));
        Ok(())
    })?;
    Ok(rows)
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0usize..200, 200usize..5_000, Just(70_000usize)], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_read_is_what_sqlite_reads(
        page_bytes in prop::sample::select(vec![512u32, 1024, 4096, 65_536]),
        journal in prop::sample::select(vec!["DELETE", "PERSIST", "WAL"]),
        before in lengths(),
        checkpoint: bool,
        after in lengths(),
        divisor in 2u32..9,
        vacuum: bool,
    ) {
        let written = Written::new(page_bytes, journal);
        before.iter().for_each(|length| written.insert(*length));
        if checkpoint {
            // The next transaction then begins the log anew, over frames of this round.
            written.run("PRAGMA wal_checkpoint(RESTART)");
        }
        written.run(&format!("DELETE FROM t WHERE id % {divisor} = 0"));
        after.iter().for_each(|length| written.insert(*length));
        if vacuum {
            written.run("VACUUM");
        }
        prop_assert_eq!(written.read().expect("a database"), written.rows());
    }

    #[test]
    fn no_damage_panics_or_takes_for_ever(
        wounds in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        in_log: bool,
    ) {
        let written = Written::new(512, "WAL");
        (0..40).for_each(|length| written.insert(length * 60));
        written.run("PRAGMA wal_checkpoint(FULL)");
        (0..10).for_each(|length| written.insert(length * 60));
        let file = written.file(if in_log { "-wal" } else { "" });
        let length = file.metadata().expect("a file").len() as usize;
        for (at, byte) in wounds {
            file.write_all_at(&[byte], at.index(length) as u64).expect("written");
        }
        if let Some(cut) = cut {
            file.set_len(cut.index(length) as u64).expect("cut");
        }
        written.settle();
        let root = HostRoot::open(written.folder.path()).expect("a folder");
        // Without the second try of `read`, which damage that stays would wait for.
        if let Ok(database) = Database::open(&root, PATH) {
            let _ = rows(&database);
        }
    }
}

#[test]
fn a_transaction_counts_when_it_is_committed() {
    let written = Written::new(512, "WAL");
    written.insert(10);
    let committed = written.rows();
    written.run("PRAGMA cache_size = 1; BEGIN");
    let length = |written: &Written| written.file("-wal").metadata().expect("a log").len();
    let before = length(&written);
    (0..50).for_each(|_| written.insert(3000));
    assert!(length(&written) > before + 10_000, "nothing of the transaction is in the log");
    assert_eq!(written.read().expect("a database"), committed);
    written.run("COMMIT");
    assert_eq!(written.read().expect("a database").len(), 51);
}

#[test]
fn a_torn_transaction_is_none() {
    let written = Written::new(4096, "WAL");
    written.insert(10);
    let before = written.rows();
    written.insert(30_000);
    let log = written.file("-wal");
    assert_ne!(written.read().expect("a database"), before);
    log.set_len(log.metadata().expect("a log").len() - 1).expect("cut");
    assert_eq!(written.read().expect("a database"), before);
}

#[test]
fn a_database_that_changes_is_read_again_or_not_at_all() {
    let written = Written::new(4096, "WAL");
    written.insert(10);
    written.settle();
    let root = HostRoot::open(written.folder.path()).expect("a folder");
    let reads = Cell::new(0);
    let read = |writes: u32| {
        reads.set(0);
        Database::read(&root, PATH, |database| {
            reads.set(reads.get() + 1);
            let found = rows(database)?.len();
            if reads.get() <= writes {
                written.insert(20);
                written.run("PRAGMA wal_checkpoint(TRUNCATE)");
            }
            Ok(found)
        })
    };
    assert_eq!(read(1).expect("read again"), 2);
    assert_eq!(reads.get(), 2);
    let error = read(u32::MAX).expect_err("changes all the time");
    assert_eq!(error, HostError::Changing { path: PATH.to_owned() });
    assert_eq!(reads.get(), TRIES);
}

#[test]
fn a_log_that_grows_is_no_change() {
    let written = Written::new(4096, "WAL");
    written.insert(10);
    written.settle();
    let root = HostRoot::open(written.folder.path()).expect("a folder");
    let reads = Cell::new(0);
    let found = Database::read(&root, PATH, |database| {
        reads.set(reads.get() + 1);
        written.insert(20);
        rows(database)
    });
    assert_eq!(found.expect("a database").len(), 1);
    assert_eq!(reads.get(), 1);
}

#[test]
fn a_database_that_was_replaced_is_read_anew() {
    let written = Written::new(4096, "DELETE");
    written.insert(10);
    let other = Written::new(4096, "DELETE");
    (0..3).for_each(|_| other.insert(5));
    written.settle();
    other.settle();
    let root = HostRoot::open(written.folder.path()).expect("a folder");
    let to = written.folder.path().join("test.db");
    let from = Cell::new(Some(other.folder.path().join("test.db")));
    let found = Database::read(&root, PATH, |database| {
        if let Some(from) = from.take() {
            std::fs::rename(from, &to).expect("renamed");
        }
        Ok(rows(database)?.len())
    });
    assert_eq!(found.expect("a database"), 3);
}

#[test]
fn a_rollback_journal_that_was_not_played_back_is_a_fault() {
    let written = Written::new(512, "PERSIST");
    written.insert(10);
    written.run("PRAGMA cache_size = 1; BEGIN");
    (0..50).for_each(|_| written.insert(3000));
    assert_eq!(
        written.fault(),
        "/test.db-journal: holds a transaction that was begun and not finished"
    );
    written.run("COMMIT");
    assert_eq!(written.read().expect("a database").len(), 51);
}

#[test]
fn faults_say_where_and_why() {
    let written = Written::new(512, "DELETE");
    (0..200).for_each(|_| written.insert(100));
    let file = written.file("");
    let whole = std::fs::read(written.folder.path().join("test.db")).expect("a file");
    let root_page: u32 = written
        .connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 't'", [], |row| row.get(0))
        .expect("a row");
    let pages = whole.len() as u32 / 512;
    let at = (root_page as usize - 1) * 512;
    assert_eq!(whole[at], 5, "the root is no leaf");
    let first_cell = at + usize::from(whole[at + 12]) * 256 + usize::from(whole[at + 13]);
    let patched = |at: usize, bytes: &[u8]| {
        let mut patched = whole.clone();
        patched[at..at + bytes.len()].copy_from_slice(bytes);
        patched
    };
    for (content, fault) in [
        (Vec::new(), "is empty".to_owned()),
        (whole[..50].to_owned(), "is not a SQLite database".to_owned()),
        (b"Package: x\n".repeat(50), "is not a SQLite database".to_owned()),
        (patched(16, &[3, 0]), "has a page size that no database has".to_owned()),
        (patched(20, &[200]), "keeps more of each page than a database may".to_owned()),
        (
            whole[..whole.len() / 2].to_owned(),
            format!("ends before page {} of {pages}: truncated", pages / 2 + 1),
        ),
        (patched(at, &[10]), format!("page {root_page}: is not of a table")),
        (patched(first_cell, &[0xff; 4]), format!("names page {}, it has {pages}", u32::MAX)),
        (
            patched(first_cell, &root_page.to_be_bytes()),
            format!("pages lead in a circle to page {root_page}"),
        ),
    ] {
        file.set_len(0).expect("emptied");
        file.write_all_at(&content, 0).expect("written");
        assert_eq!(written.fault(), format!("{PATH}: {fault}"));
    }
    file.set_len(0).expect("emptied");
    file.write_all_at(&whole, 0).expect("written");
    written.settle();
    let root = HostRoot::open(written.folder.path()).expect("a folder");
    let error = Database::read(&root, PATH, |database| database.rows("u", |_, _| Ok(())));
    assert_eq!(error.expect_err("no table").to_string(), "has no table u");
}
