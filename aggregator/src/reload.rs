//! Things that are made from files, such as certificates, and made anew when the files change.
//! What cannot be used leaves the last good one in force, and the log says so.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Files are looked at this often. They are small.
pub const EVERY: Duration = Duration::from_secs(2);

/// The longest file that is read.
const LONGEST_BYTES: u64 = 1 << 20;

/// Why a thing cannot be made. The contents of files are never told.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is much longer than such files are.
    #[error("{path}: is longer than {LONGEST_BYTES} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// They are no such thing.
    #[error("{paths}: {why}")]
    Unusable {
        /// The files.
        paths: String,
        /// Why.
        why: String,
    },
}

/// Makes a thing of the files' contents, in their order.
type Make<T> = dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync;

/// A thing that is made from files.
pub struct Reloaded<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    made: RwLock<Made<T>>,
}

struct Made<T> {
    of: [u8; 32],
    /// What was last looked at, good or not: each fault is told once.
    seen: [u8; 32],
    thing: Arc<T>,
}

impl<T> std::fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloaded").field("what", &self.what).finish_non_exhaustive()
    }
}

impl<T> Reloaded<T> {
    /// Makes it for the first time.
    pub fn open(
        what: &'static str,
        files: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, ReloadError> {
        let (of, contents) = read(&files)?;
        let thing = make(&contents).map_err(|why| unusable(&files, why))?;
        let made = RwLock::new(Made { of, seen: of, thing: Arc::new(thing) });
        Ok(Self { what, files, make: Box::new(make), made })
    }

    /// The newest good one.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner).thing)
    }

    /// Looks whether the files have changed.
    pub fn look(&self) {
        let looked = read(&self.files);
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        let (digest, contents) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                // A digest that no contents have: told once, until they can be read again.
                if made.seen != [0; 32] {
                    tracing::error!(what = self.what, %error, "the last good one stays in force");
                }
                made.seen = [0; 32];
                return;
            }
        };
        if digest == made.seen {
            return;
        }
        made.seen = digest;
        if digest == made.of {
            return;
        }
        match (self.make)(&contents) {
            Ok(thing) => {
                made.of = digest;
                made.thing = Arc::new(thing);
                tracing::info!(what = self.what, "taken anew from its files");
            }
            Err(why) => {
                let error = unusable(&self.files, why);
                tracing::error!(what = self.what, %error, "the last good one stays in force");
            }
        }
    }
}

fn unusable(files: &[PathBuf], why: String) -> ReloadError {
    let paths: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    ReloadError::Unusable { paths: paths.join(", "), why }
}

fn read(files: &[PathBuf]) -> Result<([u8; 32], Vec<Vec<u8>>), ReloadError> {
    let mut hash = Sha256::new();
    let mut contents = Vec::new();
    for path in files {
        let failed = |source| ReloadError::Unreadable { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > LONGEST_BYTES {
            return Err(ReloadError::TooLong { path: path.clone() });
        }
        let content = std::fs::read(path).map_err(failed)?;
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(&content);
        contents.push(content);
    }
    Ok((hash.finalize().into(), contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_change_is_taken_and_a_bad_one_leaves_the_last_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("number");
        std::fs::write(&path, "1").expect("written");
        let make = |files: &[Vec<u8>]| {
            let text = String::from_utf8_lossy(&files[0]).into_owned();
            text.parse::<u32>().map_err(|error| error.to_string())
        };
        let number = Reloaded::open("a number", vec![path.clone()], make).expect("a number");
        for (content, now) in [("2", 2), ("two", 2), ("3", 3)] {
            std::fs::write(&path, content).expect("written");
            number.look();
            assert_eq!(*number.get(), now, "{content}");
        }
        std::fs::remove_file(&path).expect("removed");
        number.look();
        assert_eq!(*number.get(), 3);
        std::fs::write(&path, "4").expect("written");
        number.look();
        assert_eq!(*number.get(), 4);
        assert!(Reloaded::open("a number", vec![folder.path().join("none")], make).is_err());
    }
}
