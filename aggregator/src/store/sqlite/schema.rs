//! Tables of the embedded store, and how its connections are set. Every key of what
//! belongs to a fleet begins with `cluster_id`, so that it can be distributed.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

/// The version of the tables that this build writes.
const VERSION: i64 = 6;

/// Says in a database's header that it is ours, since version 3: "NdWd".
pub(super) const APPLICATION_ID: u32 = 0x4e64_5764;

/// The tables. Times are microseconds since 1970, UTC.
const TABLES: &str = "
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The number of the newest change; AUTOINCREMENT never gives one twice.
CREATE TABLE change (
    number INTEGER PRIMARY KEY AUTOINCREMENT
) STRICT;

-- Content is named by its digest and belongs to no cluster.
CREATE TABLE content (
    digest BLOB PRIMARY KEY,
    component TEXT NOT NULL,
    form INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE node (
    cluster_id TEXT NOT NULL,
    node TEXT NOT NULL,
    uid TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    earlier_boots TEXT NOT NULL,
    seq INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, node, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX node_by_change ON node (change);

CREATE TABLE component_interval (
    cluster_id TEXT NOT NULL,
    node TEXT NOT NULL,
    uid TEXT NOT NULL,
    component TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    form INTEGER NOT NULL,
    digest BLOB NOT NULL,
    observations INTEGER NOT NULL,
    last_observed INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, node, uid, component, valid_from)
) STRICT, WITHOUT ROWID;
";

/// What version 2 added: since when checks have been failing.
const STANDINGS: &str = "
CREATE TABLE check_standing (
    cluster_id TEXT NOT NULL,
    node TEXT NOT NULL,
    uid TEXT NOT NULL,
    reason TEXT NOT NULL,
    observations INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, node, uid, reason)
) STRICT, WITHOUT ROWID;
";

/// What version 4 added: feeds of advisories, and the ledger of their dates, which only
/// grows. They belong to the store as a whole.
const FEEDS: &str = "
CREATE TABLE feed (
    name TEXT PRIMARY KEY,
    state BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;

CREATE TABLE feed_ledger (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    imported_at INTEGER,
    added BLOB NOT NULL
) STRICT;
";

/// What version 5 added: documents, kept whole, in the order in which they came. They belong to
/// the store as a whole.
const DOCUMENTS: &str = "
CREATE TABLE document (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    file TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE UNIQUE INDEX document_by_number ON document (number);
";

/// What version 6 added: how long the certificate is in force that a node's agent last showed;
/// 0 where it showed none, and null where that was not seen.
const SHOWN: &str = "
ALTER TABLE node ADD COLUMN certificate_from INTEGER;
ALTER TABLE node ADD COLUMN certificate_until INTEGER;
";

/// Makes the tables in an empty database, or brings those of an older build up to this
/// one's. A database that it refuses has not been changed.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |error: rusqlite::Error| why(&error);
    tune(connection).map_err(text)?;
    let lacking: &[&str] = match (version(connection).map_err(text)?, is_empty(connection)) {
        (0, Ok(true)) => &[TABLES, STANDINGS, FEEDS, DOCUMENTS, SHOWN],
        (1, Ok(false)) => &[STANDINGS, FEEDS, DOCUMENTS, SHOWN],
        (2..=3, Ok(false)) => &[FEEDS, DOCUMENTS, SHOWN],
        (4, Ok(false)) => &[DOCUMENTS, SHOWN],
        (5, Ok(false)) => &[SHOWN],
        (VERSION, Ok(false)) => &[],
        (_, Err(error)) => return Err(why(&error)),
        (other, _) => {
            return Err(format!("has tables of version {other}, this build knows {VERSION}"));
        }
    };
    // Before the journal becomes a write-ahead log, so that from the first moment a new
    // file's own header says whose it is.
    bring_up(connection, lacking).map_err(text)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(text)?;
    // Full: what was acknowledged survives power loss.
    connection.pragma_update(None, "synchronous", "FULL").map_err(text)
}

fn bring_up(connection: &mut Connection, lacking: &[&str]) -> rusqlite::Result<()> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    for tables in lacking {
        transaction.execute_batch(tables)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Whether a database whose header does not say whose it is has been ours since before
/// version 3. Reads alone.
pub(super) fn is_older(connection: &Connection) -> rusqlite::Result<bool> {
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
         AND name IN ('setting', 'change', 'content', 'node', 'component_interval')",
        [],
        |row| row.get(0),
    )?;
    // The mark may still be in the write-ahead log alone.
    Ok(ours == 5 && (1..=VERSION).contains(&version(connection)?))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// What went wrong, in one line and without the statement.
pub(super) fn why(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// What every connection needs.
pub(super) fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // KiB. What is not in it is in the page cache of the system, which gives it back.
    connection.pragma_update(None, "cache_size", -4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_fleet_begins_with_the_cluster() {
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(&[TABLES, STANDINGS, FEEDS, DOCUMENTS, SHOWN].concat())
            .expect("the tables");
        let mut tables = connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            )
            .expect("a query");
        let tables: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .expect("tables")
            .collect::<rusqlite::Result<_>>()
            .expect("names");
        assert_eq!(tables.len(), 9);
        for table in tables {
            // These belong to the store as a whole, or are named by their content.
            if ["setting", "change", "content", "document", "feed", "feed_ledger"]
                .contains(&table.as_str())
            {
                continue;
            }
            let first: String = connection
                .query_row("SELECT name FROM pragma_table_info(?1) WHERE pk = 1", [&table], |row| {
                    row.get(0)
                })
                .expect("a key");
            assert_eq!(first, "cluster_id", "{table}");
        }
    }

    #[test]
    fn tables_of_another_version_are_refused() {
        let mut connection = Connection::open_in_memory().expect("a database");
        let newer = VERSION + 1;
        connection.pragma_update(None, "user_version", newer).expect("set");
        let refused = prepare(&mut connection).expect_err("another version");
        assert!(refused.contains(&format!("version {newer},")), "{refused}");
    }

    #[test]
    fn older_tables_are_known_as_ours_and_get_what_they_lack() {
        for (version, tables) in [
            (1, vec![TABLES]),
            (2, vec![TABLES, STANDINGS]),
            (3, vec![TABLES, STANDINGS]),
            (4, vec![TABLES, STANDINGS, FEEDS]),
            (5, vec![TABLES, STANDINGS, FEEDS, DOCUMENTS]),
        ] {
            let mut old = Connection::open_in_memory().expect("a database");
            assert!(!is_older(&old).expect("read"), "empty");
            old.execute_batch(&tables.concat()).expect("the tables");
            assert!(!is_older(&old).expect("read"), "without a version");
            old.pragma_update(None, "user_version", version).expect("set");
            assert!(is_older(&old).expect("read"));
            prepare(&mut old).expect("an older version");
            old.execute_batch(
                "SELECT * FROM check_standing; SELECT * FROM feed_ledger; SELECT * FROM document;
                 SELECT certificate_until FROM node",
            )
            .expect("the new tables");
            let id: u32 =
                old.pragma_query_value(None, "application_id", |row| row.get(0)).expect("a mark");
            assert_eq!(id, APPLICATION_ID);
            prepare(&mut old).expect("as new as this build");
        }
    }
}
