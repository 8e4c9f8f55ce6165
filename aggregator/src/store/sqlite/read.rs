//! Reads of the embedded store.

use jiff::Timestamp;
use nodeward_domain::check::{Credential, Presented};
use rusqlite::{Connection, Row, Transaction, params, types::Type};

use super::schema::why;
use super::{ChangeNumber, Interval};
use crate::peer::Peer;
use crate::store::{
    Document, DocumentKey, FeedBlob, Loaded, SeenStanding, Spoilt, StoredDocuments, StoredFeeds,
    StoredNode,
};
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

/// A column whose value no build of ours has written.
fn foreign(column: usize, kind: Type, why: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, why.to_owned().into())
}

fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Some(row.get(column)?)
        .filter(|microseconds| *microseconds >= 0)
        .and_then(|microseconds| Timestamp::from_microsecond(microseconds).ok())
        .ok_or_else(|| foreign(column, Type::Integer, "no time"))
}

fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let bytes: Vec<u8> = row.get(column)?;
    Digest::from_bytes(&bytes).ok_or_else(|| foreign(column, Type::Blob, "not a digest"))
}

/// A row of that table that cannot be read.
fn spoilt(table: &'static str, key: String, row: &Row<'_>, error: &rusqlite::Error) -> Spoilt {
    let (column, why) = match error {
        rusqlite::Error::FromSqlConversionFailure(column, _, cause) => (*column, cause.to_string()),
        rusqlite::Error::IntegralValueOutOfRange(column, value) => {
            (*column, format!("{value} is out of range"))
        }
        error => (usize::MAX, why(error)),
    };
    let why = row.as_ref().column_name(column).map_or(why.clone(), |name| format!("{name}: {why}"));
    Spoilt { table, row: key, why, component: None }
}

pub(super) fn load_since(
    reader: &Connection,
    after: ChangeNumber,
    intervals: usize,
) -> rusqlite::Result<Loaded> {
    // One snapshot for nodes, intervals and number.
    let snapshot = reader.unchecked_transaction()?;
    let upto = ChangeNumber(snapshot.query_row(
        "SELECT coalesce(max(number), 0) FROM change",
        [],
        |row| row.get(0),
    )?);
    let mut loaded = Loaded { upto, ..Loaded::default() };
    // A life that has ended changes no more, so that the present one is the last; by no
    // clock, for one that ran ahead would keep a later life out.
    let mut nodes = snapshot.prepare_cached(
        "SELECT cluster_id, node, uid, boot_id, earlier_boots, seq, first_seen, last_seen,
                certificate_from, certificate_until
         FROM node WHERE change > ?1 ORDER BY cluster_id, node, change",
    )?;
    let mut rows = nodes.query([after.0])?;
    while let Some(row) = rows.next()? {
        match node(row) {
            Ok((mut node, fault)) => {
                if let Some(error) = fault {
                    loaded.spoilt.push(spoilt("node", key(&node.peer), row, &error));
                }
                load_intervals(&snapshot, &mut node, intervals, &mut loaded.spoilt)?;
                load_standings(&snapshot, &mut node, &mut loaded.spoilt)?;
                loaded.nodes.push(node);
            }
            Err(error) => {
                loaded.spoilt.push(spoilt("node", "without a name".to_owned(), row, &error));
            }
        }
    }
    Ok(loaded)
}

/// All feeds and the whole ledger, of one moment.
pub(super) fn feeds(reader: &Connection) -> rusqlite::Result<StoredFeeds> {
    let snapshot = reader.unchecked_transaction()?;
    let feeds = snapshot
        .prepare_cached("SELECT name, state, content FROM feed ORDER BY name")?
        .query_map([], |row| {
            Ok(FeedBlob { name: row.get(0)?, state: row.get(1)?, content: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let ledger = snapshot
        .prepare_cached("SELECT added FROM feed_ledger ORDER BY number")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(StoredFeeds { feeds, ledger })
}

/// All documents, in the order in which they were stored.
pub(super) fn documents(reader: &Connection) -> rusqlite::Result<StoredDocuments> {
    let mut statement = reader.prepare_cached(
        "SELECT kind, name, stored_at, file, content FROM document ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut stored = StoredDocuments::default();
    while let Some(row) = rows.next()? {
        let read = || {
            Ok(Document {
                key: DocumentKey { kind: row.get(0)?, name: row.get(1)? },
                stored_at: timestamp(row, 2)?,
                file: row.get(3)?,
                content: row.get(4)?,
            })
        };
        match read() {
            Ok(document) => stored.documents.push(document),
            Err(error) => {
                let text = |column| row.get::<_, String>(column).unwrap_or_default();
                let key = format!("{} {}", text(0), text(1));
                stored.spoilt.push(spoilt("document", key, row, &error));
            }
        }
    }
    Ok(stored)
}

fn key(peer: &Peer) -> String {
    format!("{}/{}/{}", peer.cluster, peer.node, peer.uid)
}

/// A node from ten columns. As long as it has its name it is a node: one whose order or
/// times are spoilt was last heard of at a time that nobody knows, and whatever it reports
/// next is next.
fn node(row: &Row<'_>) -> rusqlite::Result<(StoredNode, Option<rusqlite::Error>)> {
    let peer = Peer { cluster: row.get(0)?, node: row.get(1)?, uid: row.get(2)? };
    let read = || {
        let earlier: String = row.get(4)?;
        let seq: i64 = row.get(5)?;
        let boot_id: String = row.get(3)?;
        Ok(StoredNode {
            peer: peer.clone(),
            has_reported: !boot_id.is_empty(),
            boot_id,
            earlier_boots: earlier.lines().map(str::to_owned).collect(),
            seq: u64::try_from(seq).map_err(|_| foreign(5, Type::Integer, "is negative"))?,
            first_seen: timestamp(row, 6)?,
            last_seen: timestamp(row, 7)?,
            // Whatever it was is shown again with the next report: it costs nothing else.
            shown: shown(row).unwrap_or(Presented::NotSeen),
            intervals: Vec::new(),
            standings: Vec::new(),
        })
    };
    Ok(match read() {
        Ok(node) => (node, None),
        Err(error) => {
            let node = StoredNode {
                peer,
                boot_id: String::new(),
                earlier_boots: Vec::new(),
                seq: 0,
                has_reported: true,
                first_seen: Timestamp::UNIX_EPOCH,
                last_seen: Timestamp::UNIX_EPOCH,
                shown: Presented::NotSeen,
                intervals: Vec::new(),
                standings: Vec::new(),
            };
            (node, Some(error))
        }
    })
}

/// What a node's agent last showed of itself.
fn shown(row: &Row<'_>) -> rusqlite::Result<Presented> {
    let (from, until): (Option<i64>, Option<i64>) = (row.get(8)?, row.get(9)?);
    Ok(match (from, until) {
        (None, None) => Presented::NotSeen,
        (Some(0), Some(0)) => Presented::Nothing,
        _ => Presented::Certificate(Credential {
            not_before: timestamp(row, 8)?,
            not_after: timestamp(row, 9)?,
        }),
    })
}

fn load_intervals(
    snapshot: &Transaction<'_>,
    node: &mut StoredNode,
    intervals: usize,
    faults: &mut Vec<Spoilt>,
) -> rusqlite::Result<()> {
    let peer = &node.peer;
    let mut query = snapshot.prepare_cached(
        "SELECT component, form, digest, valid_from, valid_to, observations, last_observed, age
         FROM (SELECT *, row_number() OVER
                   (PARTITION BY component ORDER BY valid_from DESC) AS age
               FROM component_interval
               WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3)
         WHERE age <= ?4 ORDER BY component, valid_from",
    )?;
    let most = i64::try_from(intervals).unwrap_or(i64::MAX);
    let mut rows = query.query(params![peer.cluster, peer.node, peer.uid, most])?;
    while let Some(row) = rows.next()? {
        match interval(row, 0) {
            Ok(interval) => node.intervals.push(interval),
            Err(error) => {
                let component: String = row.get(0).unwrap_or_default();
                let begins: i64 = row.get(3)?;
                let stands: i64 = row.get(7)?;
                let key = format!("{}/{component}/{begins}", key(peer));
                faults.push(Spoilt {
                    component: (stands == 1).then(|| (peer.clone(), component)),
                    ..spoilt("component_interval", key, row, &error)
                });
            }
        }
    }
    Ok(())
}

fn load_standings(
    snapshot: &Transaction<'_>,
    node: &mut StoredNode,
    faults: &mut Vec<Spoilt>,
) -> rusqlite::Result<()> {
    let peer = &node.peer;
    let mut query = snapshot.prepare_cached(
        "SELECT reason, observations, since FROM check_standing
         WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 ORDER BY reason",
    )?;
    let mut rows = query.query(params![peer.cluster, peer.node, peer.uid])?;
    while let Some(row) = rows.next()? {
        let read = || {
            let (reason, observations) = (row.get(0)?, row.get(1)?);
            Ok(SeenStanding { reason, observations, since: timestamp(row, 2)? })
        };
        match read() {
            Ok(standing) => node.standings.push(standing),
            Err(error) => {
                let reason: String = row.get(0).unwrap_or_default();
                let key = format!("{}/{reason}", key(peer));
                faults.push(spoilt("check_standing", key, row, &error));
            }
        }
    }
    Ok(())
}

/// An interval from seven columns, the first of which is at `first`.
fn interval(row: &Row<'_>, first: usize) -> rusqlite::Result<Interval> {
    let valid_to: Option<i64> = row.get(first + 4)?;
    Ok(Interval {
        component: row.get(first)?,
        form: row.get(first + 1)?,
        digest: digest(row, first + 2)?,
        valid_from: timestamp(row, first + 3)?,
        valid_to: valid_to.map(|_| timestamp(row, first + 4)).transpose()?,
        observations: row.get(first + 5)?,
        last_observed: timestamp(row, first + 6)?,
    })
}

/// The content of that name, unless what is stored under it is another.
pub(super) fn content(
    reader: &Connection,
    digest: Digest,
) -> rusqlite::Result<Result<Option<Content>, Spoilt>> {
    let mut query =
        reader.prepare_cached("SELECT component, form, bytes FROM content WHERE digest = ?1")?;
    let mut rows = query.query([digest.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(Ok(None)) };
    let read = || Ok(Content { component: row.get(0)?, form: row.get(1)?, bytes: row.get(2)? });
    Ok(match read() {
        Ok(content) if content.digest() == digest => Ok(Some(content)),
        Ok(_) => Err(Spoilt {
            table: "content",
            row: digest.to_string(),
            why: "its digest is another".to_owned(),
            component: None,
        }),
        Err(error) => Err(spoilt("content", digest.to_string(), row, &error)),
    })
}

/// A content that is spoilt is missing.
pub(super) fn missing(reader: &Connection, digests: Vec<Digest>) -> rusqlite::Result<Vec<Digest>> {
    let mut missing = Vec::new();
    for digest in digests {
        if !matches!(content(reader, digest)?, Ok(Some(_))) {
            missing.push(digest);
        }
    }
    Ok(missing)
}

pub(super) fn intervals(
    reader: &Connection,
    cluster: &str,
    node: &str,
) -> rusqlite::Result<Vec<(String, Interval)>> {
    let mut query = reader.prepare_cached(
        "SELECT uid, component, form, digest, valid_from, valid_to, observations, last_observed
         FROM component_interval WHERE cluster_id = ?1 AND node = ?2
         ORDER BY valid_from, component",
    )?;
    let mut rows = query.query([cluster, node])?;
    let mut intervals = Vec::new();
    while let Some(row) = rows.next()? {
        if let (Ok(uid), Ok(interval)) = (row.get(0), interval(row, 1)) {
            intervals.push((uid, interval));
        }
    }
    Ok(intervals)
}
