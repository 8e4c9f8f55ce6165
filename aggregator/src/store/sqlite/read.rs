//! Reads of the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use super::{ChangeNumber, Interval, StoredNode};
use crate::peer::Peer;
use crate::store::SeenStanding;
use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;

/// A column whose value no build of ours has written.
fn foreign(column: usize, kind: Type, why: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, why.to_owned().into())
}

fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|_| foreign(column, Type::Integer, "time out of range"))
}

fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let bytes: Vec<u8> = row.get(column)?;
    Digest::from_bytes(&bytes).ok_or_else(|| foreign(column, Type::Blob, "not a digest"))
}

pub(super) fn load_since(
    reader: &Connection,
    after: ChangeNumber,
    intervals: usize,
) -> rusqlite::Result<(Vec<StoredNode>, ChangeNumber)> {
    // One snapshot for nodes, intervals and number.
    let snapshot = reader.unchecked_transaction()?;
    let number: i64 =
        snapshot.query_row("SELECT coalesce(max(number), 0) FROM change", [], |row| row.get(0))?;
    let mut nodes = snapshot
        .prepare_cached(
            "SELECT cluster_id, node, uid, boot_id, earlier_boots, seq, first_seen, last_seen
             FROM node WHERE change > ?1 ORDER BY cluster_id, node, first_seen",
        )?
        .query_map([after.0], |row| {
            let seq: i64 = row.get(5)?;
            let earlier: String = row.get(4)?;
            Ok(StoredNode {
                peer: Peer { cluster: row.get(0)?, node: row.get(1)?, uid: row.get(2)? },
                boot_id: row.get(3)?,
                earlier_boots: earlier.lines().map(str::to_owned).collect(),
                seq: u64::try_from(seq).unwrap_or(0),
                first_seen: timestamp(row, 6)?,
                last_seen: timestamp(row, 7)?,
                intervals: Vec::new(),
                standings: Vec::new(),
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for node in &mut nodes {
        let peer = &node.peer;
        node.intervals = snapshot
            .prepare_cached(
                "SELECT component, form, digest, valid_from, valid_to, observations, last_observed
                 FROM (SELECT *, row_number() OVER
                           (PARTITION BY component ORDER BY valid_from DESC) AS age
                       FROM component_interval
                       WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3)
                 WHERE age <= ?4 ORDER BY component, valid_from",
            )?
            .query_map(
                params![
                    peer.cluster,
                    peer.node,
                    peer.uid,
                    i64::try_from(intervals).unwrap_or(i64::MAX)
                ],
                |row| interval(row, 0),
            )?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        node.standings = standings(&snapshot, peer)?;
    }
    Ok((nodes, ChangeNumber(number)))
}

fn standings(reader: &Connection, peer: &Peer) -> rusqlite::Result<Vec<SeenStanding>> {
    reader
        .prepare_cached(
            "SELECT reason, observations, since FROM check_standing
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 ORDER BY reason",
        )?
        .query_map(params![peer.cluster, peer.node, peer.uid], |row| {
            Ok(SeenStanding {
                reason: row.get(0)?,
                observations: row.get(1)?,
                since: timestamp(row, 2)?,
            })
        })?
        .collect()
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

pub(super) fn content(reader: &Connection, digest: Digest) -> rusqlite::Result<Option<Content>> {
    reader
        .prepare_cached("SELECT component, form, bytes FROM content WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| {
            Ok(Content { component: row.get(0)?, form: row.get(1)?, bytes: row.get(2)? })
        })
        .optional()
}

pub(super) fn missing(reader: &Connection, digests: Vec<Digest>) -> rusqlite::Result<Vec<Digest>> {
    let mut query = reader.prepare_cached("SELECT 1 FROM content WHERE digest = ?1")?;
    let mut missing = Vec::new();
    for digest in digests {
        if !query.exists([digest.as_bytes()])? {
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
    reader
        .prepare_cached(
            "SELECT uid, component, form, digest, valid_from, valid_to, observations, last_observed
             FROM component_interval WHERE cluster_id = ?1 AND node = ?2
             ORDER BY valid_from, component",
        )?
        .query_map([cluster, node], |row| Ok((row.get(0)?, interval(row, 1)?)))?
        .collect()
}
