//! Tables of the embedded store, and how its connections are set. Every key of what
//! belongs to a fleet begins with `cluster_id`, so that it can be distributed.

use std::time::Duration;

use rusqlite::Connection;

/// The version of the tables that this build writes.
const VERSION: i64 = 2;

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

/// Makes the tables in a new file, or looks whether an old one has those of this build.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |error: rusqlite::Error| error.to_string();
    tune(connection).map_err(text)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(text)?;
    // Full: what was acknowledged survives power loss.
    connection.pragma_update(None, "synchronous", "FULL").map_err(text)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(text)?;
    let lacking: &[&str] = match version {
        0 => &[TABLES, STANDINGS],
        1 => &[STANDINGS],
        VERSION => return Ok(()),
        other => {
            return Err(format!("has tables of version {other}, this build knows {VERSION}"));
        }
    };
    let transaction = connection.transaction().map_err(text)?;
    for tables in lacking {
        transaction.execute_batch(tables).map_err(text)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(text)?;
    transaction.commit().map_err(text)
}

/// What every connection needs.
pub(super) fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -16_384)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_fleet_begins_with_the_cluster() {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(&[TABLES, STANDINGS].concat()).expect("the tables");
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
        assert_eq!(tables.len(), 6);
        for table in tables {
            // These belong to the store as a whole, or are named by their content.
            if ["setting", "change", "content"].contains(&table.as_str()) {
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
        connection.pragma_update(None, "user_version", VERSION + 1).expect("set");
        let refused = prepare(&mut connection).expect_err("another version");
        assert!(refused.contains("version 3"), "{refused}");
    }

    #[test]
    fn tables_of_the_first_version_get_what_they_lack() {
        let mut old = Connection::open_in_memory().expect("a database");
        old.execute_batch(TABLES).expect("the tables");
        old.pragma_update(None, "user_version", 1).expect("set");
        prepare(&mut old).expect("an older version");
        old.execute_batch("SELECT * FROM check_standing").expect("the new table");
        prepare(&mut old).expect("as new as this build");
    }
}
