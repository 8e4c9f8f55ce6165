//! Who has locked a file with fcntl(2), from proc_locks(5) below the host root.

use std::io::BufRead as _;

use procfs_core::{FromBufRead as _, LockKind, LockType, Locks};

use super::{HostError, HostRoot, Identity};

const LOCKS: &str = "/proc/locks";

/// A line has some 60 bytes; a node of many databases has some thousand locks.
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// The first of these files that somebody has locked for writing.
pub fn locked<'a>(root: &HostRoot, paths: &[&'a str]) -> Result<Option<&'a str>, HostError> {
    let mut files = Vec::new();
    for path in paths {
        match root.identity(path) {
            // Nobody can have locked it.
            Err(HostError::Missing { .. }) => {}
            file => files.push((*path, file?)),
        }
    }
    if files.is_empty() {
        return Ok(None);
    }
    let text = root.read(LOCKS, LIMIT_BYTES)?;
    // Who waits for a lock stands behind an arrow below who holds it.
    let holders: Vec<u8> = text
        .lines()
        .map_while(Result::ok)
        .filter(|line| !line.contains("->"))
        .flat_map(|line| (line + "\n").into_bytes())
        .collect();
    let Locks(locks) = Locks::from_buf_read(holders.as_slice()).map_err(|_| {
        let why = "is not in the form of proc_locks(5)".to_owned();
        HostError::Malformed { path: LOCKS.to_owned(), why }
    })?;
    let is_held = |file: &Identity| {
        locks.iter().any(|lock| {
            matches!(lock.lock_type, LockType::Posix | LockType::ODF)
                && matches!(lock.kind, LockKind::Write)
                && file.is_named((lock.devmaj, lock.devmin), lock.inode)
        })
    };
    Ok(files.iter().find(|(_, file)| is_held(file)).map(|(path, _)| *path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use nix::sys::stat::{major, minor};

    use super::*;

    #[test]
    fn a_lock_is_held_by_whom_the_kernel_names_and_not_by_who_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(locked(&root, &["/lock"]), Ok(None), "nothing to be locked");
        fs::write(folder.path().join("lock"), "").expect("written");
        assert!(matches!(locked(&root, &["/lock"]), Err(HostError::Missing { .. })));
        fs::create_dir(folder.path().join("proc")).expect("made");
        let file = fs::metadata(folder.path().join("lock")).expect("there");
        let (device, inode) = (file.dev(), file.ino());
        let name = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
        for (text, is_held) in [
            (format!("1: POSIX  ADVISORY  WRITE 3548 {name} 0 EOF\n"), true),
            (format!("1: OFDLCK ADVISORY  WRITE -1 {name} 0 EOF\n"), true),
            (format!("1: POSIX  ADVISORY  READ 3548 {name} 0 EOF\n"), false),
            (format!("1: FLOCK  ADVISORY  WRITE 3548 {name} 0 EOF\n"), false),
            (format!("1: -> POSIX  ADVISORY  WRITE 3548 {name} 0 EOF\n"), false),
            (format!("1: POSIX  ADVISORY  WRITE 3548 {name}1 0 EOF\n"), false),
            (String::new(), false),
        ] {
            fs::write(folder.path().join("proc/locks"), &text).expect("written");
            let held = locked(&root, &["/gone", "/lock"]).expect("readable");
            assert_eq!(held, is_held.then_some("/lock"), "{text}");
        }
        for text in ["nonsense\n", "1: POSIX  ADVISORY  WRITE 3548 08:01\n"] {
            fs::write(folder.path().join("proc/locks"), text).expect("written");
            assert!(matches!(locked(&root, &["/lock"]), Err(HostError::Malformed { .. })));
        }
    }
}
