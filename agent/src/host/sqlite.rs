//! A table of a SQLite database below the host root, read from its files as they lie: no
//! lock is taken, no file is made, and what stands in the write-ahead log alone is part
//! of the answer. Forms: <https://www.sqlite.org/fileformat2.html>.
//!
//! SQLite itself would open the files by a name that it resolves anew, outside of the
//! host root, and would either write beside the database or leave out its log.

mod log;
mod pages;
mod record;
mod tree;

use std::thread::sleep;
use std::time::Duration;

pub use record::{Record, Value};

use super::kept::Stamp;
use super::{HostError, HostRoot};
use pages::Pages;

/// A database that is being written to is read again so many times.
const TRIES: u32 = 4;

/// Time for a writer to finish.
const PAUSE: Duration = Duration::from_millis(100);

/// What tells that somebody writes to a database or to its log.
#[derive(Debug, PartialEq, Eq)]
struct Writes([Option<Stamp>; 2]);

impl Writes {
    fn of(root: &HostRoot, path: &str) -> Self {
        let log = format!("{path}-wal");
        Self([path, &log].map(|path| Stamp::at(root, path).ok().flatten()))
    }

    /// Whether somebody has written since, or just before.
    fn go_on(&self, root: &HostRoot, path: &str) -> bool {
        *self != Self::of(root, path) || !self.0.iter().flatten().all(Stamp::is_settled)
    }
}

/// A database as it is at one moment.
#[derive(Debug)]
pub struct Database {
    pages: Pages,
    stamp: Stamp,
    /// Long enough unchanged that a change from now on shows in its stamp.
    is_settled: bool,
}

impl Database {
    /// Reads a database at a moment at which nobody writes to it. `read` may run several
    /// times; what it answers counts only when the files were the same all the while.
    pub fn read<T>(
        root: &HostRoot,
        path: &str,
        read: impl Fn(&Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let mut tries = 0;
        loop {
            let before = Writes::of(root, path);
            let error = match Self::open(root, path) {
                Ok(database) => {
                    let outcome = read(&database);
                    if database.is_steady(root)? {
                        return outcome;
                    }
                    unfinished(root, path)?
                        .unwrap_or_else(|| HostError::Changing { path: path.to_owned() })
                }
                // Half of what a writer is at looks like damage.
                Err(HostError::Malformed { .. }) if before.go_on(root, path) => {
                    HostError::Changing { path: path.to_owned() }
                }
                Err(error @ HostError::Malformed { .. }) => error,
                Err(error) => return Err(error),
            };
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            sleep(PAUSE);
        }
    }

    fn open(root: &HostRoot, path: &str) -> Result<Self, HostError> {
        let file = root.file(path)?;
        let metadata = file.metadata().map_err(|error| HostError::reading(path, &error))?;
        let stamp = Stamp::of(&metadata);
        Ok(Self {
            is_settled: stamp.is_content_settled(),
            stamp,
            pages: Pages::open(root, path, file, metadata.len())?,
        })
    }

    /// Calls `visit` with each row of a table, by row id. A fault that it finds is
    /// reported as one of the database.
    pub fn rows(
        &self,
        table: &str,
        mut visit: impl FnMut(i64, &Record<'_>) -> Result<(), String>,
    ) -> Result<(), HostError> {
        let mut root_page = None;
        let mut look = |_, record: &Record<'_>| {
            let [kind, name, _, root] = record.values()?;
            if kind == Value::Text(b"table") && name == Value::Text(table.as_bytes()) {
                let Value::Integer(number) = root else {
                    return Err(format!("table {table} has no root page"));
                };
                root_page = Some(number);
            }
            Ok(())
        };
        // The tree of page 1 lists the others.
        tree::walk(&self.pages, 1, &mut look)?;
        let root_page =
            root_page.ok_or_else(|| self.pages.fault(format!("has no table {table}")))?;
        let root_page = u32::try_from(root_page)
            .map_err(|_| self.pages.fault(format!("table {table}: page {root_page}")))?;
        tree::walk(&self.pages, root_page, &mut visit)
    }

    /// Whether nothing was written since it was opened, so that all that was read belongs
    /// together. A log that grew is no matter: what it had before stays as it was.
    fn is_steady(&self, root: &HostRoot) -> Result<bool, HostError> {
        let path = self.pages.path();
        let metadata = |file: &std::fs::File| {
            file.metadata().map_err(|error| HostError::reading(path, &error))
        };
        let now = Stamp::of(&metadata(self.pages.file())?);
        let named = match root.file(path) {
            Ok(file) => Stamp::of(&metadata(&file)?).file,
            Err(HostError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(self.is_settled
            && now == self.stamp
            && named == self.stamp.file
            && self.pages.log_is_steady(root)?
            && unfinished(root, path)?.is_none())
    }
}

/// The fault of a database to which a transaction is being, or was half, written: then
/// its rollback journal holds what must be undone.
fn unfinished(root: &HostRoot, path: &str) -> Result<Option<HostError>, HostError> {
    let journal = format!("{path}-journal");
    let mut first = Vec::new();
    match root.file(&journal) {
        Ok(file) => pages::read_at(&file, &journal, 0, 1, &mut first)?,
        Err(HostError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    // A journal that was played back may stay, empty or with its header zeroed.
    Ok(first.first().is_some_and(|byte| *byte != 0).then(|| HostError::Malformed {
        path: journal,
        why: "holds a transaction that was begun and not finished".to_owned(),
    }))
}

#[cfg(test)]
mod tests;
