//! The writer's thread: takes what has queued up, does each operation inside a
//! savepoint of its own, commits all as one group, and then tells those who wait.

use rusqlite::{Connection, OptionalExtension as _, Savepoint, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::{Batch, ChangeNumber, GROUP, Seen, StoreError, Write, failed};
use crate::store::{EARLIER_BOOTS, Transition};
use nodeward_proto::content::Content;

/// Runs until the store is closed or nobody can write to it any more.
pub(super) fn run(mut connection: Connection, mut queue: mpsc::Receiver<Write>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        if commit(&mut connection, group) {
            return;
        }
    }
}

/// What is told once the group is committed, or has failed to.
type Told = Box<dyn FnOnce(Result<(), StoreError>)>;

/// Commits a group. Returns whether the store was closed by it.
fn commit(connection: &mut Connection, group: Vec<Write>) -> bool {
    let mut close = None;
    let mut told: Vec<Told> = Vec::with_capacity(group.len());
    let outcome = connection.transaction().and_then(|mut transaction| {
        for write in group {
            match write {
                Write::Append(batch, done) => {
                    let result = apart(&mut transaction, "append", |point| append(point, &batch));
                    told.push(tell(result, done));
                }
                Write::Content(content, done) => {
                    let result = apart(&mut transaction, "put content", |point| {
                        put_content(point, &content)?;
                        change(point)
                    });
                    told.push(tell(result, done));
                }
                Write::Seen(seen, done) => {
                    let result = apart(&mut transaction, "save seen", |point| {
                        seen.iter().try_for_each(|seen| save_seen(point, seen))
                    });
                    told.push(tell(result, done));
                }
                Write::Setting(key, make, done) => {
                    let result =
                        apart(&mut transaction, "setting", |point| setting(point, key, &make));
                    told.push(tell(result, done));
                }
                Write::Close(done) => close = Some(done),
            }
        }
        transaction.commit()
    });
    let outcome = outcome.map_err(|error| failed("commit", &error));
    for tell in told {
        tell(outcome.clone());
    }
    match close {
        Some(done) => {
            // Nobody waiting is no fault: the caller may have given up.
            let _ = done.send(outcome);
            true
        }
        None => false,
    }
}

/// Does one operation so that its failure undoes itself and nothing else.
fn apart<T>(
    transaction: &mut Transaction<'_>,
    operation: &'static str,
    act: impl FnOnce(&Savepoint<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    transaction
        .savepoint()
        .and_then(|point| {
            let done = act(&point)?;
            point.commit()?;
            Ok(done)
        })
        .map_err(|error| failed(operation, &error))
}

/// Tells the result of an operation, unless the commit of its group failed.
fn tell<T: 'static>(
    result: Result<T, StoreError>,
    done: oneshot::Sender<Result<T, StoreError>>,
) -> Told {
    Box::new(move |committed| {
        let _ = done.send(committed.and(result));
    })
}

fn change(point: &Savepoint<'_>) -> rusqlite::Result<ChangeNumber> {
    point.prepare_cached("INSERT INTO change DEFAULT VALUES")?.execute([])?;
    let number = point.last_insert_rowid();
    point.prepare_cached("DELETE FROM change WHERE number < ?1")?.execute([number])?;
    Ok(ChangeNumber(number))
}

fn setting(point: &Savepoint<'_>, key: &str, make: &str) -> rusqlite::Result<String> {
    point.execute(
        "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![key, make],
    )?;
    point.query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0))
}

fn put_content(point: &Savepoint<'_>, content: &Content) -> rusqlite::Result<()> {
    point
        .prepare_cached(
            "INSERT INTO content (digest, component, form, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            content.digest().as_bytes(),
            content.component,
            content.form,
            content.bytes
        ])?;
    Ok(())
}

fn append(point: &Savepoint<'_>, batch: &Batch) -> rusqlite::Result<ChangeNumber> {
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

fn put_node(point: &Savepoint<'_>, batch: &Batch, number: ChangeNumber) -> rusqlite::Result<()> {
    let peer = &batch.peer;
    let before: Option<(String, String)> = point
        .prepare_cached(
            "SELECT boot_id, earlier_boots FROM node
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3",
        )?
        .query_row(params![peer.cluster, peer.node, peer.uid], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    point
        .prepare_cached(
            "INSERT INTO node
             (cluster_id, node, uid, boot_id, earlier_boots, seq, first_seen, last_seen, change)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)
             ON CONFLICT (cluster_id, node, uid) DO UPDATE SET
             boot_id = excluded.boot_id, earlier_boots = excluded.earlier_boots,
             seq = excluded.seq, last_seen = excluded.last_seen, change = excluded.change",
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
            .take(EARLIER_BOOTS)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// Ends the interval that stands, and begins the next.
fn put_transition(
    point: &Savepoint<'_>,
    batch: &Batch,
    transition: &Transition,
) -> rusqlite::Result<()> {
    let peer = &batch.peer;
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

/// Only ever forwards: an append that is newer must not be undone. Of a boot or a life
/// that has ended nothing is saved any more.
fn save_seen(point: &Savepoint<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let peer = &seen.peer;
    let present = point
        .prepare_cached(
            "UPDATE node SET seq = max(seq, ?5), last_seen = max(last_seen, ?6)
             WHERE cluster_id = ?1 AND node = ?2 AND uid = ?3 AND boot_id = ?4",
        )?
        .execute(params![
            peer.cluster,
            peer.node,
            peer.uid,
            seen.boot_id,
            i64::try_from(seen.seq).unwrap_or(i64::MAX),
            seen.received_at.as_microsecond()
        ])?;
    if present == 0 {
        return Ok(());
    }
    for component in &seen.components {
        point
            .prepare_cached(
                "UPDATE component_interval
                 SET observations = max(observations, ?6), last_observed = max(last_observed, ?7)
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
