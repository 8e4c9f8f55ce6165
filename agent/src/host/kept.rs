//! What was made of files that take long to read, kept while they stay the same. Known by
//! what the kernel says of a file, so that a round in which nothing changed costs no
//! reading and no memory.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read as _, Take};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{HostError, HostRoot};

/// So long a file's time of change must have passed before it is believed: the kernel
/// moves it in steps of up to ten milliseconds.
pub(super) const SETTLED: Duration = Duration::from_millis(100);

/// What tells that a file has been written to or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) file: (u64, u64),
    length_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Of a file, or of a folder, which changes with the names in it; none if it is not
    /// there.
    pub(super) fn at(root: &HostRoot, path: &str) -> Result<Option<Self>, HostError> {
        match root.metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(HostError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it was changed so long ago that a change from now on shows.
    pub(super) fn is_settled(&self) -> bool {
        is_past(self.changed)
    }

    /// The same of its content alone.
    pub(super) fn is_content_settled(&self) -> bool {
        is_past(self.modified)
    }
}

/// Of so many files of one kind is kept what was found in them.
const FILES: usize = 64;

/// What was found in files that are read byte by byte, because secrets may stand behind what is
/// wanted, by path and by what was looked for. Each byte is a call of the kernel's: a file that
/// has not changed is not read again.
#[derive(Debug)]
pub(super) struct Unchanged<T>(Mutex<BTreeMap<(String, String), (Stamp, T)>>);

impl<T> Default for Unchanged<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Unchanged<T> {
    /// What is found in a file of at most `limit_bytes`.
    pub(super) fn found(
        &self,
        path: &str,
        file: File,
        what: String,
        limit_bytes: u64,
        read: impl FnOnce(&mut Take<File>) -> std::io::Result<T>,
    ) -> Result<T, HostError> {
        let stamp = |file: &File| {
            let metadata = file.metadata().map_err(|error| HostError::reading(path, &error))?;
            Ok::<Stamp, HostError>(Stamp::of(&metadata))
        };
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, key) = (stamp(&file)?, (path.to_owned(), what));
        let kept = all().get(&key).filter(|(then, _)| *then == before).cloned();
        if let Some((_, found)) = kept {
            return Ok(found);
        }
        // Outside of the lock: a reading may hang, and must hang alone.
        let mut file = file.take(limit_bytes.saturating_add(1));
        let found = read(&mut file);
        if file.limit() == 0 {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        let found = found.map_err(|error| HostError::reading(path, &error))?;
        if before.is_settled() && stamp(file.get_ref())? == before {
            let mut all = all();
            if all.len() >= FILES {
                all.clear();
            }
            all.insert(key, (before, found.clone()));
        }
        Ok(found)
    }
}

/// Whether a moment, in seconds and nanoseconds, is past for long enough. One in the
/// future is none that a write of now would leave.
fn is_past((seconds, nanoseconds): (i64, i64)) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let moment = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(nanoseconds).unwrap_or_default(),
    );
    now.checked_sub(moment).is_none_or(|age| age >= SETTLED)
}

/// What was made of some files, and how these were then.
#[derive(Debug)]
pub struct Kept<T>(Mutex<Option<(Vec<Option<Stamp>>, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    /// What was made of the files before, if none of them has changed since; else what
    /// `make` makes of them, which is kept if they were the same all the while.
    pub fn or_made(
        &self,
        root: &HostRoot,
        paths: &[&str],
        make: impl FnOnce() -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let stamps = || paths.iter().map(|path| Stamp::at(root, path)).collect::<Result<_, _>>();
        // What cannot be asked is read, and says so itself.
        let Ok(before): Result<Vec<Option<Stamp>>, HostError> = stamps() else {
            return make();
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, made)) = kept.as_ref()
            && *then == before
        {
            return Ok(made.clone());
        }
        *kept = None;
        let is_settled = before.iter().flatten().all(Stamp::is_settled);
        let made = make()?;
        if is_settled && stamps().is_ok_and(|after: Vec<Option<Stamp>>| after == before) {
            *kept = Some((before, made.clone()));
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_has_not_changed_is_not_read_byte_by_byte_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        let (kept, reads) = (Unchanged::default(), Cell::new(0));
        let found = |what: &str, limit_bytes: u64| {
            let file = File::open(&path).expect("a file");
            kept.found("/f", file, what.to_owned(), limit_bytes, |file| {
                reads.set(reads.get() + 1);
                let mut text = String::new();
                file.read_to_string(&mut text).map(|_| text)
            })
        };
        fs::write(&path, "one").expect("written");
        // What was written a moment ago may be written again without a trace.
        assert_eq!(found("", 10).expect("read"), "one");
        std::thread::sleep(SETTLED + Duration::from_millis(50));
        for _ in 0..3 {
            assert_eq!(found("", 10).expect("read"), "one");
        }
        assert_eq!(reads.get(), 2);
        assert_eq!(found("other", 10).expect("read"), "one");
        assert_eq!(reads.get(), 3);
        fs::write(&path, "another one").expect("written");
        assert!(matches!(found("", 10), Err(HostError::TooLong { .. })));
        assert_eq!(found("", 20).expect("read"), "another one");
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let (kept, reads) = (Kept::default(), Cell::new(0));
        let read = || {
            kept.or_made(&root, &["/a", "/b"], || {
                reads.set(reads.get() + 1);
                root.read_text("/a", 100)
            })
        };
        assert!(matches!(read(), Err(HostError::Missing { .. })));
        fs::write(&path, "one").expect("written");
        // Just written: it may be written again at the same time of change.
        assert_eq!(read(), Ok("one".to_owned()));
        assert_eq!(read(), Ok("one".to_owned()));
        assert_eq!(reads.replace(0), 3);
        std::thread::sleep(SETTLED * 2);
        for _ in 0..3 {
            assert_eq!(read(), Ok("one".to_owned()));
        }
        assert_eq!(reads.replace(0), 1);
        // Of the same length, by another file, with the time of the first.
        let modified = fs::metadata(&path).expect("there").modified().expect("a time");
        fs::write(folder.path().join("c"), "two").expect("written");
        let other = fs::File::options().write(true).open(folder.path().join("c")).expect("there");
        other.set_modified(modified).expect("its owner may");
        fs::rename(folder.path().join("c"), &path).expect("renamed");
        assert_eq!(read(), Ok("two".to_owned()));
        std::thread::sleep(SETTLED * 2);
        assert_eq!((read(), read()), (Ok("two".to_owned()), Ok("two".to_owned())));
        assert_eq!(reads.replace(0), 2);
        // A file that appears is a change, too.
        fs::write(folder.path().join("b"), "").expect("written");
        assert_eq!(read(), Ok("two".to_owned()));
        fs::remove_file(&path).expect("removed");
        assert!(matches!(read(), Err(HostError::Missing { .. })));
        assert_eq!(reads.get(), 2);
    }
}
