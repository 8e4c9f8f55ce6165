//! Operations of the writer, each inside a savepoint of its own.

use jiff::Timestamp;
use nodeward_domain::check::{Credential, Presented};
use rusqlite::{OptionalExtension as _, Savepoint, params};

use super::{Batch, ChangeNumber, Seen};
use crate::store::{Document, DocumentKey, EARLIER_BOOTS, FeedBatch, FeedBlob, Transition};
use nodeward_proto::content::Content;

pub(super) fn change(point: &Savepoint<'_>) -> rusqlite::Result<ChangeNumber> {
    point.prepare_cached("INSERT INTO change DEFAULT VALUES")?.execute([])?;
    let number = point.last_insert_rowid();
    point.prepare_cached("DELETE FROM change WHERE number < ?1")?.execute([number])?;
    Ok(ChangeNumber(number))
}

pub(super) fn setting(point: &Savepoint<'_>, key: &str, make: &str) -> rusqlite::Result<String> {
    point.execute(
        "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![key, make],
    )?;
    point.query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0))
}

/// Writes about so many bytes, and always something else: SQLite leaves out pages that
/// stay what they were.
pub(super) fn probe(point: &Savepoint<'_>, bytes: usize) -> rusqlite::Result<()> {
    point
        .prepare_cached(
            "INSERT INTO setting (key, value) VALUES ('probed', ?1)
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute([format!("{} {}", Timestamp::now(), "x".repeat(bytes))])?;
    Ok(())
}

/// A content that is here already stays, unless it is spoilt.
pub(super) fn put_content(point: &Savepoint<'_>, content: &Content) -> rusqlite::Result<()> {
    point
        .prepare_cached(
            "INSERT INTO content (digest, component, form, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET
             component = excluded.component, form = excluded.form, bytes = excluded.bytes
             WHERE (component, form, bytes)
             IS NOT (excluded.component, excluded.form, excluded.bytes)",
        )?
        .execute(params![
            content.digest().as_bytes(),
            content.component,
            content.form,
            content.bytes
        ])?;
    Ok(())
}

pub(super) fn append(point: &Savepoint<'_>, batch: &Batch) -> rusqlite::Result<ChangeNumber> {
    let number = change(point)?;
    for content in &batch.contents {
        put_content(point, content)?;
    }
    put_node(point, batch, number)?;
    for transition in &batch.transitions {
        put_transition(point, batch, transition)?;
    }
    Ok(number)
}

/// Puts feeds in the place of those of their names, and the ledger behind what it has.
pub(super) fn append_feeds(
    point: &Savepoint<'_>,
    batch: &FeedBatch,
) -> rusqlite::Result<ChangeNumber> {
    let number = put_documents(point, &batch.documents)?;
    for FeedBlob { name, state, content } in &batch.feeds {
        point
            .prepare_cached(
                "INSERT INTO feed (name, state, content) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET state = excluded.state, content = excluded.content",
            )?
            .execute(params![name, state, content])?;
    }
    let imported_at = batch.imported_at.map(Timestamp::as_microsecond);
    for added in &batch.ledger {
        point
            .prepare_cached("INSERT INTO feed_ledger (imported_at, added) VALUES (?1, ?2)")?
            .execute(params![imported_at, added])?;
    }
    Ok(number)
}

/// Puts documents in the place of those of their names.
pub(super) fn put_documents(
    point: &Savepoint<'_>,
    documents: &[Document],
) -> rusqlite::Result<ChangeNumber> {
    let number = change(point)?;
    for Document { key, stored_at, file, content } in documents {
        let DocumentKey { kind, name } = key;
        point
            .prepare_cached(
                "INSERT INTO document (kind, name, number, stored_at, file, content)
                 VALUES (?1, ?2, coalesce((SELECT max(number) FROM document), 0) + 1, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET number = excluded.number,
                 stored_at = excluded.stored_at, file = excluded.file, content = excluded.content",
            )?
            .execute(params![kind, name, stored_at.as_microsecond(), file, content])?;
    }
    Ok(number)
}

fn put_node(point: &Savepoint<'_>, batch: &Batch, number: ChangeNumber) -> rusqlite::Result<()> {
    let peer = &batch.peer;
    let before: Option<(String, String)> = point
        .prepare_cached(
            "SELECT boot_id, earlier_boots FROM node
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3",
        )?
        .query_row(params![peer.cluster, peer.node, peer.uid], |row| {
            // Unreadable is as good as none: the row is written anew.
            Ok((row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default()))
        })
        .optional()?;
    point
        .prepare_cached(
            "INSERT INTO node
             (cluster_id, node, uid, boot_id, earlier_boots, seq, first_seen, last_seen, change)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)
             ON CONFLICT (cluster_id, node, uid) DO UPDATE SET
             boot_id = excluded.boot_id, earlier_boots = excluded.earlier_boots,
             seq = excluded.seq, last_seen = excluded.last_seen, change = excluded.change,
             -- Written by a clock that ran ahead, or unreadable.
             first_seen = CASE WHEN first_seen BETWEEN 0 AND excluded.first_seen
                          THEN first_seen ELSE excluded.first_seen END",
        )?
        .execute(params![
            peer.cluster,
            peer.node,
            peer.uid,
            batch.boot_id,
            earlier_boots(before, &batch.boot_id),
            i64::try_from(batch.seq).unwrap_or(i64::MAX),
            batch.received_at.as_microsecond(),
            number.0
        ])?;
    Ok(())
}

/// The boots before this one, newest first, one a line.
fn earlier_boots(before: Option<(String, String)>, boot_id: &str) -> String {
    match before {
        None => String::new(),
        Some((same, earlier)) if same == boot_id => earlier,
        Some((last, earlier)) => std::iter::once(last.as_str())
            .chain(earlier.lines())
            .filter(|boot| !boot.is_empty())
            .take(EARLIER_BOOTS)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// Ends the interval that stands, and begins the next. Whatever nobody can read any more
/// gives way to it.
fn put_transition(
    point: &Savepoint<'_>,
    batch: &Batch,
    transition: &Transition,
) -> rusqlite::Result<()> {
    let peer = &batch.peer;
    point
        .prepare_cached(
            "DELETE FROM component_interval
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND component = ?4
             AND (length(digest) <> 32 OR form NOT BETWEEN 0 AND ?5
                  OR observations NOT BETWEEN 0 AND ?5 OR valid_from NOT BETWEEN 0 AND ?6
                  OR last_observed NOT BETWEEN 0 AND ?6
                  OR coalesce(valid_to, 0) NOT BETWEEN 0 AND ?6)",
        )?
        .execute(params![
            peer.cluster,
            peer.node,
            peer.uid,
            transition.component,
            u32::MAX,
            Timestamp::MAX.as_microsecond()
        ])?;
    let newest: Option<i64> = point
        .prepare_cached(
            "SELECT max(valid_from) FROM component_interval
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND component = ?4",
        )?
        .query_row(params![peer.cluster, peer.node, peer.uid, transition.component], |row| {
            row.get(0)
        })?;
    // Two transitions of one component at one instant would be one key.
    let valid_from = transition.valid_from.as_microsecond();
    let valid_from = newest.map_or(valid_from, |newest| valid_from.max(newest + 1));
    point
        .prepare_cached(
            "UPDATE component_interval SET valid_to = ?5
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND component = ?4
             AND valid_to IS NULL",
        )?
        .execute(params![peer.cluster, peer.node, peer.uid, transition.component, valid_from])?;
    point
        .prepare_cached(
            "INSERT INTO component_interval
             (cluster_id, node, uid, component, valid_from, form, digest, observations, last_observed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?5)",
        )?
        .execute(params![
            peer.cluster,
            peer.node,
            peer.uid,
            transition.component,
            valid_from,
            transition.form,
            transition.digest.as_bytes()
        ])?;
    Ok(())
}

/// Only ever forwards in the order of the reports, which is the kernel's: an append that
/// is newer must not be undone. By no clock, for one that ran ahead would be right for
/// ever. Of a boot or a life that has ended nothing is saved any more.
pub(super) fn save_seen(point: &Savepoint<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let peer = &seen.peer;
    let (from, until) = match seen.shown {
        Presented::NotSeen => (None, None),
        Presented::Nothing => (Some(0), Some(0)),
        Presented::Certificate(Credential { not_before, not_after }) => {
            (Some(not_before.as_microsecond()), Some(not_after.as_microsecond()))
        }
    };
    let present = point
        .prepare_cached(
            "UPDATE node SET seq = ?5, last_seen = ?6, certificate_from = ?7,
             certificate_until = ?8
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND boot_id = ?4 AND seq <= ?5",
        )?
        .execute(params![
            peer.cluster,
            peer.node,
            peer.uid,
            seen.boot_id,
            i64::try_from(seen.seq).unwrap_or(i64::MAX),
            seen.received_at.as_microsecond(),
            from,
            until
        ])?;
    if present == 0 {
        return Ok(());
    }
    for component in &seen.components {
        point
            .prepare_cached(
                "UPDATE component_interval
                 SET observations = ?6, last_observed = ?7
                 WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND component = ?4
                 AND digest = ?5 AND valid_to IS NULL",
            )?
            .execute(params![
                peer.cluster,
                peer.node,
                peer.uid,
                component.component,
                component.digest.as_bytes(),
                component.observations,
                component.last_observed.as_microsecond()
            ])?;
    }
    put_standings(point, seen)
}

/// Puts the checks that fail now in the place of those that failed before.
fn put_standings(point: &Savepoint<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let peer = &seen.peer;
    point
        .prepare_cached(
            "DELETE FROM check_standing WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3",
        )?
        .execute(params![peer.cluster, peer.node, peer.uid])?;
    for standing in &seen.standings {
        point
            .prepare_cached(
                "INSERT INTO check_standing (cluster_id, node, uid, reason, observations, since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                peer.cluster,
                peer.node,
                peer.uid,
                standing.reason,
                standing.observations,
                standing.since.as_microsecond()
            ])?;
    }
    Ok(())
}
