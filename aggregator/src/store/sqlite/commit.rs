//! The writer's thread: takes what has queued up, does each operation inside a
//! savepoint of its own, commits all as one group, and then tells those who wait.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, Savepoint, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::files::OpenFiles;
use super::write::{
    append, append_feeds, change, probe, put_content, put_documents, save_seen, setting,
};
use super::{GROUP, StoreError, Write, failed};

/// Runs until the store is closed or nobody can write to it any more.
pub(super) fn run(connection: Connection, files: Arc<OpenFiles>, mut queue: mpsc::Receiver<Write>) {
    let mut writer = Writer { connection, files, failed_bytes: 0 };
    let mut close = None;
    while close.is_none()
        && let Some(first) = queue.blocking_recv()
    {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        close = writer.commit(group);
    }
    let closed = writer.close();
    if let Some((done, committed)) = close {
        // Nobody waiting is no fault: the caller may have given up.
        let _ = done.send(committed.and(closed));
    }
}

/// Who waits for the store to be closed, and what became of the last group.
type Closing = (oneshot::Sender<Result<(), StoreError>>, Result<(), StoreError>);

/// What is told once the group is committed, or has failed to.
type Told = Box<dyn FnOnce(Result<(), StoreError>)>;

struct Writer {
    connection: Connection,
    files: Arc<OpenFiles>,
    /// The biggest operation of those that failed since one of that size was committed. A
    /// full disk often has room for a small one.
    failed_bytes: usize,
}

impl Writer {
    /// Commits a group, and tells everybody what became of it.
    fn commit(&mut self, group: Vec<Write>) -> Option<Closing> {
        let bytes = group.iter().map(|write| write.bytes(self.failed_bytes)).max().unwrap_or(0);
        let mut close = None;
        let mut writes = Vec::with_capacity(group.len());
        for write in group {
            match write {
                Write::Close(done) => close = Some(done),
                write => writes.push(write),
            }
        }
        let (told, outcome) = self.attempt(writes);
        match outcome {
            Ok(()) if bytes >= self.failed_bytes => self.failed_bytes = 0,
            Ok(()) => {}
            Err(_) => self.failed_bytes = self.failed_bytes.max(bytes),
        }
        for tell in told {
            tell(outcome.clone());
        }
        close.map(|done| (done, outcome))
    }

    fn attempt(&mut self, writes: Vec<Write>) -> (Vec<Told>, Result<(), StoreError>) {
        let begun = self.files.intact().and_then(|()| {
            Transaction::new(&mut self.connection, TransactionBehavior::Immediate)
                .map_err(|error| failed("begin", &error))
        });
        let mut transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => return (writes.into_iter().map(Write::refused).collect(), Err(error)),
        };
        let mut broken = None;
        let told = writes
            .into_iter()
            .map(|write| match broken {
                None => act(&mut transaction, write, self.failed_bytes, &mut broken),
                Some(_) => write.refused(),
            })
            .collect();
        let committed = match broken {
            // What was done of the group is undone as the transaction goes away.
            Some(error) => Err(error),
            None => transaction.commit().map_err(|error| failed("commit", &error)),
        };
        // Looked at once more: only what can be found again may be acknowledged.
        (told, committed.and_then(|()| self.files.intact()))
    }

    /// Brings everything into the one file, which SQLite does by itself only when it
    /// closes the last connection and nothing goes wrong, and gives the store away.
    fn close(self) -> Result<(), StoreError> {
        let closed = self.files.intact().and_then(|()| {
            let brought = self
                .connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            match brought {
                Ok(true) => tracing::warn!(
                    "another process reads the store: what came last stays in its -wal file"
                ),
                Ok(false) => {}
                Err(error) => return Err(failed("checkpoint", &error)),
            }
            Ok(())
        });
        let closed =
            closed.and(self.connection.close().map_err(|(_, error)| failed("close", &error)));
        self.files.release();
        closed
    }
}

impl Write {
    /// So many bytes are to be written at once, more or less.
    fn bytes(&self, failed_bytes: usize) -> usize {
        match self {
            Self::Append(batch, _) => {
                batch.contents.iter().map(|content| content.bytes.len()).sum()
            }
            Self::Content(content, _) => content.bytes.len(),
            Self::Feeds(batch, _) => batch.bytes(),
            Self::Documents(documents, _) => {
                documents.iter().map(|document| document.content.len()).sum()
            }
            // As big as what failed, see `act`.
            Self::Ping(_) => failed_bytes,
            Self::Seen(..) | Self::Setting(..) | Self::Close(_) => 0,
        }
    }

    /// Nothing is done; whoever waits hears why.
    fn refused(self) -> Told {
        fn tell<T: 'static>(done: oneshot::Sender<Result<T, StoreError>>) -> Told {
            Box::new(move |outcome| {
                let _ = done.send(Err(outcome.err().unwrap_or(StoreError::Closed)));
            })
        }
        match self {
            Self::Append(_, done)
            | Self::Content(_, done)
            | Self::Documents(_, done)
            | Self::Feeds(_, done) => tell(done),
            Self::Setting(_, _, done) => tell(done),
            Self::Seen(_, done) | Self::Ping(done) | Self::Close(done) => tell(done),
        }
    }
}

/// Does one operation.
fn act(
    transaction: &mut Transaction<'_>,
    write: Write,
    failed_bytes: usize,
    broken: &mut Option<StoreError>,
) -> Told {
    match write {
        Write::Append(batch, done) => {
            tell(apart(transaction, "append", broken, |point| append(point, &batch)), done)
        }
        Write::Content(content, done) => {
            let put = |point: &Savepoint<'_>| {
                put_content(point, &content)?;
                change(point)
            };
            tell(apart(transaction, "put content", broken, put), done)
        }
        Write::Feeds(batch, done) => {
            let put = |point: &Savepoint<'_>| append_feeds(point, &batch);
            tell(apart(transaction, "append feeds", broken, put), done)
        }
        Write::Documents(documents, done) => {
            let put = |point: &Savepoint<'_>| put_documents(point, &documents);
            tell(apart(transaction, "put documents", broken, put), done)
        }
        Write::Seen(seen, done) => {
            let save =
                |point: &Savepoint<'_>| seen.iter().try_for_each(|seen| save_seen(point, seen));
            tell(apart(transaction, "save seen", broken, save), done)
        }
        Write::Setting(key, make, done) => {
            tell(apart(transaction, "setting", broken, |point| setting(point, key, &make)), done)
        }
        Write::Ping(done) => {
            tell(apart(transaction, "ping", broken, |point| probe(point, failed_bytes)), done)
        }
        Write::Close(_) => write.refused(),
    }
}

/// Does one operation so that its failure undoes itself and nothing else, unless it is
/// the store as a whole that fails.
fn apart<T>(
    transaction: &mut Transaction<'_>,
    operation: &'static str,
    broken: &mut Option<StoreError>,
    act: impl FnOnce(&Savepoint<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let done = transaction.savepoint().and_then(|point| {
        let done = act(&point)?;
        point.commit()?;
        Ok(done)
    });
    done.map_err(|error| {
        let of_the_store = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::CannotOpen
                    | ErrorCode::DiskFull
                    | ErrorCode::OutOfMemory
                    | ErrorCode::ReadOnly
                    | ErrorCode::SystemIoFailure
            )
        );
        let error = failed(operation, &error);
        // SQLite may have undone the whole transaction by itself,
        // <https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>.
        if of_the_store || transaction.is_autocommit() {
            *broken = Some(error.clone());
        }
        error
    })
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
