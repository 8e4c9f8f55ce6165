//! The kernel's log, record by record, from `/dev/kmsg`: Documentation/ABI/testing/dev-kmsg.
//! Opening it reads nothing away from others: every reader has a place of its own.

use std::fs::File;
use std::io::{ErrorKind, Read as _};

use nix::errno::Errno;

use super::{HostError, HostRoot};

/// The device's number, Documentation/admin-guide/devices.txt.
const NUMBER: (u64, u64) = (1, 11);

/// No record is longer: the kernel's own `PRINTK_MESSAGE_MAX` is 2 KiB, with continuation
/// lines. One that does not fit would be refused, and never passed.
const RECORD_LIMIT_BYTES: usize = 16 * 1024;

/// So much of a copy is read.
const COPY_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// The log, and how far it has been read.
#[derive(Debug)]
pub struct Kmsg {
    path: String,
    from: From,
    record: Vec<u8>,
}

#[derive(Debug)]
enum From {
    Device(File),
    /// A copy of a node: records in a file, and where the next one begins.
    Copy {
        bytes: Vec<u8>,
        next: usize,
    },
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// A record, with its continuation lines.
    Record(&'a [u8]),
    /// Records were written over before they were read; the oldest that is left comes next.
    Overrun,
    /// No more for now.
    End,
}

impl Kmsg {
    /// Opens it at the oldest record that is there.
    pub fn open(root: &HostRoot, path: &str) -> Result<Self, HostError> {
        let (file, is_device) = root.device(path, NUMBER)?;
        let from = if is_device {
            From::Device(file)
        } else {
            let mut bytes = Vec::new();
            file.take(COPY_LIMIT_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| HostError::reading(path, &error))?;
            if bytes.len() as u64 > COPY_LIMIT_BYTES {
                let path = path.to_owned();
                return Err(HostError::TooLong { path, limit_bytes: COPY_LIMIT_BYTES });
            }
            if !bytes.ends_with(b"\n") {
                return Err(HostError::Malformed {
                    path: path.to_owned(),
                    why: match bytes.len() {
                        0 => "says nothing, not even that a kernel was started".to_owned(),
                        _ => "ends in the middle of a line: truncated".to_owned(),
                    },
                });
            }
            From::Copy { bytes, next: 0 }
        };
        Ok(Self { path: path.to_owned(), from, record: Vec::new() })
    }

    /// Whether it grows: a copy does not, and is read anew each time.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.from, From::Device(_))
    }

    /// What comes next.
    pub fn read_next(&mut self) -> Result<Next<'_>, HostError> {
        match &mut self.from {
            From::Device(file) => {
                self.record.resize(RECORD_LIMIT_BYTES, 0);
                loop {
                    return match file.read(&mut self.record) {
                        Ok(0) => Ok(Next::End),
                        Ok(length) => Ok(Next::Record(&self.record[..length])),
                        Err(error) => match error.kind() {
                            ErrorKind::Interrupted => continue,
                            ErrorKind::WouldBlock => Ok(Next::End),
                            _ if error.raw_os_error() == Some(Errno::EPIPE as i32) => {
                                Ok(Next::Overrun)
                            }
                            _ => Err(HostError::reading(&self.path, &error)),
                        },
                    };
                }
            }
            From::Copy { bytes, next } => {
                let rest = &bytes[*next..];
                if rest.is_empty() {
                    return Ok(Next::End);
                }
                // Lines that begin with a space belong to the record before them.
                let mut end = 0;
                for line in rest.split_inclusive(|byte| *byte == b'\n') {
                    if end > 0 && line.first() != Some(&b' ') {
                        break;
                    }
                    end += line.len();
                }
                *next += end;
                Ok(Next::Record(&rest[..end]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gives_its_records_with_their_continuation_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "6,1,2,-;a\n SUBSYSTEM=block\n DEVICE=b8:0\n6,2,3,-;b\n";
        std::fs::write(folder.path().join("kmsg"), text).expect("written");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let mut kmsg = Kmsg::open(&root, "/kmsg").expect("a copy");
        let first = b"6,1,2,-;a\n SUBSYSTEM=block\n DEVICE=b8:0\n";
        assert_eq!(kmsg.read_next(), Ok(Next::Record(first)));
        assert_eq!(kmsg.read_next(), Ok(Next::Record(b"6,2,3,-;b\n")));
        assert_eq!(kmsg.read_next(), Ok(Next::End));
        assert!(!kmsg.is_live());
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        for (text, says) in [("", "says nothing"), ("6,1,2,-;a", "truncated")] {
            std::fs::write(folder.path().join("kmsg"), text).expect("written");
            let error = Kmsg::open(&root, "/kmsg").expect_err("no log").to_string();
            assert!(error.contains(says), "{error}");
        }
        std::fs::create_dir(folder.path().join("folder")).expect("made");
        let error = Kmsg::open(&root, "/folder").expect_err("no log").to_string();
        assert_eq!(error, "is a directory, not a log of the kernel");
        // Another device of the machine.
        let root = HostRoot::open(std::path::Path::new("/")).expect("a directory");
        let error = Kmsg::open(&root, "/dev/null").expect_err("no log").to_string();
        assert_eq!(error, "is a character device, not a log of the kernel");
    }
}
