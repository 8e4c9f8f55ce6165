//! The files of the embedded store: who holds them, whether they are a store of ours at
//! all, and whether they are still those that were opened. The header of a database is
//! described at <https://www.sqlite.org/fileformat2.html#the_database_header>.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::schema::{self, APPLICATION_ID};
use crate::store::StoreError;

/// Who may read what is known of a fleet: whom the aggregator runs as.
const MODE: u32 = 0o600;

/// The files of a store that this process holds.
#[derive(Debug)]
pub(super) struct Files {
    /// The database, as it was named.
    named: PathBuf,
    /// The same without links.
    database: PathBuf,
    /// Locked as long as the store is open, with the pid of who holds it inside.
    lock: File,
}

/// The files of a store that is open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    files: Files,
    opened: Vec<(PathBuf, (u64, u64))>,
}

impl Files {
    /// Takes the place for this process and makes sure that nothing else lies there, or
    /// makes an empty file. What is not ours has not been changed by it.
    pub(super) fn take(named: &Path) -> Result<Self, String> {
        let database = without_links(named).map_err(|error| error.to_string())?;
        let lock = lock(&beside(&database, "-lock"))?;
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&database);
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => is_ours(&database)?,
            Err(error) => return Err(error.to_string()),
        }
        Ok(Self { named: named.to_owned(), database, lock })
    }

    /// Where the database lies.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Remembers which files these are, once SQLite has made and opened all of them.
    pub(super) fn opened(self) -> Result<OpenFiles, String> {
        let paths = [
            self.named.clone(),
            beside(&self.database, "-wal"),
            beside(&self.database, "-shm"),
            beside(&self.database, "-lock"),
        ];
        let identified = paths.into_iter().map(|path| {
            let metadata = path.metadata().map_err(|error| format!("{}: {error}", path.display()));
            Ok((path, identity(&metadata?)))
        });
        Ok(OpenFiles { opened: identified.collect::<Result<_, String>>()?, files: self })
    }
}

impl OpenFiles {
    /// Whether every file is still found where it was opened. What is written to a file
    /// that was deleted is gone with the process, whatever SQLite says of it.
    pub(super) fn intact(&self) -> Result<(), StoreError> {
        for (path, opened) in &self.opened {
            let why = match path.metadata() {
                Ok(metadata) if identity(&metadata) == *opened => continue,
                Ok(_) => "was replaced under this process".to_owned(),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    "was deleted under this process".to_owned()
                }
                Err(error) => error.to_string(),
            };
            return Err(StoreError::Gone { place: path.display().to_string(), why });
        }
        Ok(())
    }

    /// Lets another process have the store. Its connections must be closed.
    pub(super) fn release(&self) {
        // The lock ends with the process at the latest.
        let _ = self.files.lock.unlock();
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// SQLite names its further files after the database, without links.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    PathBuf::from(name)
}

fn without_links(named: &Path) -> std::io::Result<PathBuf> {
    if named.is_symlink() {
        return named.canonicalize();
    }
    let folder = named.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = named.file_name().ok_or(ErrorKind::InvalidFilename)?;
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// Locks the store against other processes. SQLite's own locks let several write in turn,
/// and each would answer from a memory that lacks what the others took.
fn lock(path: &Path) -> Result<File, String> {
    let failed = |error: std::io::Error| format!("its lock {}: {error}", path.display());
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Whoever holds it may not have written its pid yet.
            let _ = file.take(20).read_to_string(&mut pid);
            return Err(match pid.trim().parse::<u32>() {
                Ok(pid) => format!("is in use by the aggregator with pid {pid}"),
                Err(_) => "is in use by another aggregator".to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

/// Looks at a database without SQLite, which might change what is not ours already by
/// opening it. A file without a byte is as good as none.
fn is_ours(database: &Path) -> Result<(), String> {
    let mut header = Vec::with_capacity(100);
    File::open(database)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| error.to_string())?;
    if header.is_empty() {
        return Ok(());
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err("is not a database".to_owned());
    }
    match header.get(68..72).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes) {
        Some(APPLICATION_ID) => Ok(()),
        Some(0) if is_older(database) => Ok(()),
        Some(id) => Err(format!("is a database, but not Nodeward's (application_id {id:#010x})")),
        None => Err("is not a database".to_owned()),
    }
}

/// Whether it is from before the header said so.
fn is_older(database: &Path) -> bool {
    // A database with such a log would get a new one by being read.
    let has_log = beside(database, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let uri = database.to_str().map(|path| {
        let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        format!("file:{path}?immutable={}", u8::from(!has_log))
    });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    uri.and_then(|uri| Connection::open_with_flags(uri, flags).ok())
        .is_some_and(|connection| schema::is_older(&connection).unwrap_or(false))
}
