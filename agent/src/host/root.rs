//! Reading below the host root. Paths resolve inside it, as chroot(2) would, by
//! openat2(2) with `RESOLVE_IN_ROOT`; where the kernel lacks that (before 5.6, or
//! filtered by seccomp) a walk from component to component does the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Component as Part, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, major, minor};

use super::HostError;
use super::apt::settings;
use super::certificates::certificates_of;
use super::kept::Unchanged;
use super::kubeconfig::{Kubeconfig, kubeconfig};
use super::outline::{Outline, outline};
use super::process::Known;
use super::value::value_of;
use crate::reads::Asked;

/// Symbolic links followed before a path is taken for a loop, as Linux does.
const LINKS: usize = 40;

/// So often the kernel is asked for a path while others rename and mount.
const ATTEMPTS: usize = 8;

/// How paths are resolved inside the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// By the kernel, with openat2(2).
    Openat2,
    /// By a walk from component to component that follows no link by itself.
    Walk,
}

impl Resolution {
    /// The word that reports carry.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Openat2 => "openat2",
            Self::Walk => "walk",
        }
    }
}

/// Which file it is, whatever its name: device and inode, inode(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// What lies at a path, inode(7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its kind, such as `regular file`.
    pub kind: &'static str,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<String>,
    /// Its permissions, with the bits above them.
    pub mode: u32,
    /// Whose it is.
    pub uid: u32,
    /// Of which group.
    pub gid: u32,
    /// Its length.
    pub size_bytes: u64,
}

impl From<FileStat> for Identity {
    fn from(stat: FileStat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl Identity {
    /// Whether proc_locks(5) names it so: by the device of its file system and the inode.
    /// btrfs and overlayfs show a stat(2) another number than that, of the same kind: one
    /// that belongs to no device.
    pub(super) fn is_named(self, device: (u32, u32), inode: u64) -> bool {
        let own = (major(self.device), minor(self.device));
        let is_same = own == (device.0.into(), device.1.into());
        self.inode == inode && (is_same || (own.0 == 0 && device.0 == 0))
    }
}

/// A directory that is a node's root.
#[derive(Debug)]
pub struct HostRoot {
    path: PathBuf,
    directory: OwnedFd,
    resolution: Resolution,
    asked: Asked,
    /// Processes that were read in the round that runs, by pid; none outside of rounds.
    processes: Mutex<Option<BTreeMap<u32, Known>>>,
    /// What was found in files that are read byte by byte.
    outlines: Unchanged<Outline>,
    settings: Unchanged<Vec<(usize, String)>>,
    certificates: Unchanged<Vec<u8>>,
}

impl HostRoot {
    /// Opens a root directory.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(path, flags, Mode::empty())
            .map_err(|errno| HostError::system(&path.to_string_lossy(), errno))?;
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let resolution = match openat2(&directory, ".", how) {
            Ok(_) => Resolution::Openat2,
            Err(_) => Resolution::Walk,
        };
        Ok(Self {
            path: path.to_owned(),
            directory,
            resolution,
            asked: Asked::default(),
            processes: Mutex::default(),
            outlines: Unchanged::default(),
            settings: Unchanged::default(),
            certificates: Unchanged::default(),
        })
    }

    /// A round begins: what is read of processes is kept until it ends.
    pub fn begin_round(&self) {
        *self.processes.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
    }

    /// The round has ended: nothing is kept any more.
    pub fn end_round(&self) {
        *self.processes.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is known of a process, by the round or by reading it at that path.
    pub(super) fn in_round(
        &self,
        path: &str,
        pid: u32,
        read: impl FnOnce() -> Result<Known, HostError>,
    ) -> Result<Known, HostError> {
        let processes = || self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = processes().as_ref().and_then(|kept| kept.get(&pid).cloned());
        if let Some(known) = kept {
            self.asked.note(|| path.to_owned());
            return Ok(known);
        }
        // Outside of the lock: a reading may hang, and must hang alone.
        let known = read()?;
        if let Some(kept) = processes().as_mut() {
            kept.insert(pid, known.clone());
        }
        Ok(known)
    }

    /// The same root with the walk in place of openat2(2).
    #[must_use]
    pub fn walking(mut self) -> Self {
        self.resolution = Resolution::Walk;
        self
    }

    /// The same root; which paths it is asked for is noted from now on.
    #[must_use]
    pub fn noting(mut self, asked: Asked) -> Self {
        self.asked = asked;
        self
    }

    /// How paths are resolved.
    #[must_use]
    pub const fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A regular file, opened for reading.
    ///
    /// The file's kind is looked at before it is opened, because opening a FIFO or a
    /// device is already more than reading.
    fn readable(&self, path: &str) -> Result<OwnedFd, HostError> {
        let handle = self.handle(path, true)?;
        let kind = kind(&stat(path, handle.as_fd())?);
        if kind != "regular file" {
            return Err(HostError::WrongKind {
                path: path.to_owned(),
                kind,
                expected: "regular file",
            });
        }
        self.asked.note_opened(|| path.to_owned());
        reopen(handle.as_fd(), OFlag::O_RDONLY | OFlag::O_NONBLOCK)
            .map_err(|errno| HostError::system(path, errno))
    }

    /// A regular file, for what reads parts of it and bounds by itself how much.
    pub(crate) fn file(&self, path: &str) -> Result<File, HostError> {
        self.readable(path).map(File::from)
    }

    /// The character device of that number, opened to be read without waiting; or, as in a
    /// copy of a node, a regular file in its place. Tells whether it is the device.
    pub(super) fn device(&self, path: &str, number: (u64, u64)) -> Result<(File, bool), HostError> {
        let handle = self.handle(path, true)?;
        let stat = stat(path, handle.as_fd())?;
        let kind = kind(&stat);
        let is_device = match kind {
            "regular file" => false,
            "character device" if (major(stat.st_rdev), minor(stat.st_rdev)) == number => true,
            _ => {
                return Err(HostError::WrongKind {
                    path: path.to_owned(),
                    kind,
                    expected: "log of the kernel",
                });
            }
        };
        self.asked.note_opened(|| path.to_owned());
        reopen(handle.as_fd(), OFlag::O_RDONLY | OFlag::O_NONBLOCK)
            .map(|file| (File::from(file), is_device))
            .map_err(|errno| HostError::system(path, errno))
    }

    /// What the kernel says of what is there, which is not opened.
    pub(super) fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        let metadata = File::from(self.handle(path, true)?).metadata();
        metadata.map_err(|error| HostError::reading(path, &error))
    }

    /// The content of a regular file of at most `limit_bytes`.
    pub fn read(&self, path: &str, limit_bytes: u64) -> Result<Vec<u8>, HostError> {
        let mut content = Vec::new();
        File::from(self.readable(path)?)
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| HostError::reading(path, &error))?;
        if content.len() as u64 > limit_bytes {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        Ok(content)
    }

    /// The text of a regular file of at most `limit_bytes`.
    pub fn read_text(&self, path: &str, limit_bytes: u64) -> Result<String, HostError> {
        text(path, self.read(path, limit_bytes)?)
    }

    /// What `T` takes of a regular file in JSON of at most `limit_bytes`. It is read byte by
    /// byte: of what `T` passes over nothing is kept, not even in a buffer.
    pub fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        limit_bytes: u64,
    ) -> Result<T, HostError> {
        let mut file = File::from(self.readable(path)?).take(limit_bytes.saturating_add(1));
        let read = serde_json::from_reader(&mut file);
        if file.limit() == 0 {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        // The parser's own message may quote what stands there.
        read.map_err(|error| match error.io_error_kind() {
            Some(_) => HostError::reading(path, &error.into()),
            None => HostError::Malformed {
                path: path.to_owned(),
                why: format!("is not the JSON that is expected, at line {}", error.line()),
            },
        })
    }

    /// The value of the last line `key=value` of a file of at most `limit_bytes` that may hold
    /// secrets: of other lines nothing is kept.
    pub fn read_value(
        &self,
        path: &str,
        key: &str,
        limit_bytes: u64,
    ) -> Result<Option<String>, HostError> {
        let mut file = File::from(self.readable(path)?).take(limit_bytes.saturating_add(1));
        let value = value_of(&mut file, key).map_err(|error| HostError::reading(path, &error))?;
        if file.limit() == 0 {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        value.map(|value| text(path, value)).transpose()
    }

    /// The assignments of these keys in a TOML file of at most `limit_bytes` that may hold
    /// secrets: of other values nothing is kept. Tables are told by their heading where it
    /// begins with `tables`.
    pub fn read_outline(
        &self,
        path: &str,
        tables: &str,
        keys: &[&str],
        limit_bytes: u64,
    ) -> Result<Outline, HostError> {
        let file = File::from(self.readable(path)?);
        let what = format!("{tables} {keys:?}");
        self.outlines.found(path, file, what, limit_bytes, |file| outline(file, tables, keys))
    }

    /// The values of these keys in a file of apt.conf(5) of at most `limit_bytes` that may hold
    /// secrets: of other values nothing is kept. Keys are in lower case; each value comes with
    /// the number of its key.
    pub fn read_apt(
        &self,
        path: &str,
        keys: &[&str],
        limit_bytes: u64,
    ) -> Result<Vec<(usize, String)>, HostError> {
        let file = File::from(self.readable(path)?);
        let what = format!("{keys:?}");
        self.settings.found(path, file, what, limit_bytes, |file| settings(file, keys))
    }

    /// The cluster's entry of a kubeconfig, which up to its credentials has at most
    /// `limit_bytes`. Reading stops before them.
    pub fn read_kubeconfig(&self, path: &str, limit_bytes: u64) -> Result<Kubeconfig, HostError> {
        let mut file = File::from(self.readable(path)?).take(limit_bytes.saturating_add(1));
        let read = kubeconfig(&mut file);
        if file.limit() == 0 {
            return Err(HostError::TooLong { path: path.to_owned(), limit_bytes });
        }
        read.map_err(|error| HostError::reading(path, &error))
    }

    /// The certificates of a PEM file, as PEM. Reading stops before a private key, and
    /// before anything else that is not a certificate; up to there the file has at most
    /// `limit_bytes`.
    pub fn read_certificates(&self, path: &str, limit_bytes: u64) -> Result<Vec<u8>, HostError> {
        let file = File::from(self.readable(path)?);
        self.certificates
            .found(path, file, String::new(), limit_bytes, |file| certificates_of(file))
    }

    /// Whether there is something of that name, of whatever kind.
    pub fn exists(&self, path: &str) -> Result<bool, HostError> {
        match self.handle(path, true) {
            Ok(_) => Ok(true),
            Err(HostError::Missing { .. }) => Ok(false),
            // A file stands where the path needs a directory: the path is not there.
            Err(HostError::System { errno: Errno::ENOTDIR, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Those of the paths that exist.
    pub fn existing(&self, paths: &[&str]) -> Result<Vec<String>, HostError> {
        let mut found = Vec::new();
        for path in paths {
            if self.exists(path)? {
                found.push((*path).to_owned());
            }
        }
        Ok(found)
    }

    /// The names in a directory, sorted. One that is not UTF-8 is listed with U+FFFD in the
    /// place of what is not; whoever asks for it is told so ([`HostError::NameNotText`]), and
    /// not that it is missing.
    pub fn list(&self, path: &str) -> Result<Vec<String>, HostError> {
        let handle = self.handle(path, true)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let readable =
            reopen(handle.as_fd(), flags).map_err(|errno| HostError::system(path, errno))?;
        let mut directory =
            nix::dir::Dir::from_fd(readable).map_err(|errno| HostError::system(path, errno))?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(|errno| HostError::system(path, errno))?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The text of a symbolic link, which is not followed. This is how `/proc/PID/exe`
    /// is read: following it would leave the root.
    pub fn read_link(&self, path: &str) -> Result<String, HostError> {
        let handle = self.handle(path, false)?;
        readlinkat(&handle, "")
            .map(|target| target.to_string_lossy().into_owned())
            .map_err(|errno| HostError::system(path, errno))
    }

    /// Where a path leads over all its links, below the root; what is there is not opened.
    pub fn leads_to(&self, path: &str) -> Result<String, HostError> {
        let place = |handle: &OwnedFd| {
            std::fs::read_link(own_link(handle.as_fd()))
                .map_err(|error| HostError::reading(path, &error))
        };
        let (below, root) = (place(&self.handle(path, true)?)?, place(&self.directory)?);
        match below.strip_prefix(&root) {
            Ok(inside) => Ok(format!("/{}", inside.to_string_lossy())),
            // Of what was taken away since the kernel names another place.
            Err(_) => Err(HostError::Malformed {
                path: path.to_owned(),
                why: "where it leads cannot be told".to_owned(),
            }),
        }
    }

    /// When what is there was last written, by the host's clock.
    pub fn modified(&self, path: &str) -> Result<Timestamp, HostError> {
        let stat = stat(path, self.handle(path, true)?.as_fd())?;
        let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        Timestamp::new(stat.st_mtime, nanoseconds).map_err(|_| HostError::Malformed {
            path: path.to_owned(),
            why: format!("was written at {} seconds, out of range", stat.st_mtime),
        })
    }

    /// What kind of file a path leads to over all its links; it is not opened.
    pub fn kind(&self, path: &str) -> Result<&'static str, HostError> {
        Ok(kind(&stat(path, self.handle(path, true)?.as_fd())?))
    }

    /// Whether a path leads over all its links to an empty file, or to a device such as
    /// `/dev/null`; neither is opened.
    pub fn is_null_or_empty(&self, path: &str) -> Result<bool, HostError> {
        let stat = stat(path, self.handle(path, true)?.as_fd())?;
        Ok(match kind(&stat) {
            "regular file" => stat.st_size == 0,
            kind => matches!(kind, "character device" | "block device"),
        })
    }

    /// Which file a path leads to.
    pub fn identity(&self, path: &str) -> Result<Identity, HostError> {
        stat(path, self.handle(path, true)?.as_fd()).map(Identity::from)
    }

    /// Which file a process runs, behind the link `/proc/PID/exe`. procfs jumps there
    /// without naming a path: the file is looked at and never opened. In a copy of a node
    /// the link is a plain one, and leads to a path inside the root.
    pub fn executed(&self, pid: u32) -> Result<Identity, HostError> {
        let path = format!("/proc/{pid}/exe");
        let link = self.handle(&path, false)?;
        if !is_of_procfs(link.as_fd()) {
            return self.identity(&path);
        }
        let folder = self.handle(&format!("/proc/{pid}"), true)?;
        fstatat(&folder, "exe", AtFlags::empty())
            .map(Identity::from)
            .map_err(|errno| HostError::system(&path, errno))
    }

    /// What lies there itself, which is neither opened nor, if it is a link, followed.
    pub fn look(&self, path: &str) -> Result<Looked, HostError> {
        let handle = self.handle(path, false)?;
        let stat = stat(path, handle.as_fd())?;
        let kind = kind(&stat);
        let link = match kind {
            "symbolic link" => {
                let target =
                    readlinkat(&handle, "").map_err(|errno| HostError::system(path, errno))?;
                Some(target.to_string_lossy().into_owned())
            }
            _ => None,
        };
        Ok(Looked {
            kind,
            link,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        })
    }

    /// What a symbolic link names; none when something else stands there.
    pub fn link(&self, path: &str) -> Result<Option<String>, HostError> {
        let handle = self.handle(path, false)?;
        match kind(&stat(path, handle.as_fd())?) {
            "symbolic link" => readlinkat(&handle, "")
                .map(|target| Some(target.to_string_lossy().into_owned()))
                .map_err(|errno| HostError::system(path, errno)),
            _ => Ok(None),
        }
    }

    /// A handle on a Unix socket, to be connected through `/proc/self/fd`.
    pub fn socket(&self, path: &str) -> Result<OwnedFd, HostError> {
        let handle = self.handle(path, true)?;
        match kind(&stat(path, handle.as_fd())?) {
            "socket" => Ok(handle),
            kind => Err(HostError::WrongKind { path: path.to_owned(), kind, expected: "socket" }),
        }
    }

    /// A handle that names a file without opening it for anything.
    pub(super) fn handle(&self, path: &str, follow: bool) -> Result<OwnedFd, HostError> {
        self.asked.note(|| path.to_owned());
        let mut flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if !follow {
            flags |= OFlag::O_NOFOLLOW;
        }
        match self.resolution {
            Resolution::Openat2 => self.openat2(path, flags, follow),
            Resolution::Walk => self.walk(Path::new(path), follow),
        }
        .map_err(|errno| HostError::system(path, errno))
    }

    /// Asks the kernel. It gives up on a path with `..`, as links below `/sys` have them,
    /// when anything on the machine was renamed or mounted meanwhile, and then wants to be
    /// asked again. Where that never ends, the walk does without.
    fn openat2(&self, path: &str, flags: OFlag, follow: bool) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 0..ATTEMPTS {
            match openat2(&self.directory, path, how) {
                Err(Errno::EAGAIN) => {}
                opened => return opened,
            }
        }
        self.walk(Path::new(path), follow)
    }

    /// What `RESOLVE_IN_ROOT` does, component by component. No call here ever follows
    /// a link, so a link that is swapped in during the walk leads nowhere else.
    fn walk(&self, path: &Path, follow: bool) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut inside: Vec<OwnedFd> = Vec::new();
        let mut pending: Vec<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if part == ".." {
                inside.pop();
                continue;
            }
            let parent = inside.last().map_or(self.directory.as_fd(), |fd| fd.as_fd());
            let next = openat(parent, part.as_os_str(), flags, Mode::empty())?;
            let is_link = kind(&fstat(next.as_fd())?) == "symbolic link";
            if !is_link || (pending.is_empty() && !follow) {
                inside.push(next);
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP);
            }
            if is_magic(next.as_fd(), &part) {
                // As openat2(2) answers with RESOLVE_NO_MAGICLINKS.
                return Err(Errno::ELOOP);
            }
            let target = PathBuf::from(readlinkat(&next, "")?);
            if target.is_absolute() {
                inside.clear();
            }
            pending.extend(parts(&target));
        }
        match inside.pop() {
            Some(fd) => Ok(fd),
            None => openat(&self.directory, ".", flags, Mode::empty()),
        }
    }
}

/// The components of a path, last first, so that the next one is at the end.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter_map(|part| match part {
            Part::Normal(name) => Some(name.to_owned()),
            Part::ParentDir => Some(OsString::from("..")),
            Part::RootDir | Part::CurDir | Part::Prefix(_) => None,
        })
        .collect();
    parts.reverse();
    parts
}

/// Whether a link is one of procfs that jumps instead of naming a path, such as
/// `/proc/PID/exe`. Only these four, all at the top, are plain links.
fn is_magic(link: BorrowedFd<'_>, name: &OsString) -> bool {
    let plain = ["self", "thread-self", "mounts", "net"].iter().any(|plain| name == plain);
    !plain && is_of_procfs(link)
}

fn is_of_procfs(file: BorrowedFd<'_>) -> bool {
    nix::sys::statfs::fstatfs(file)
        .is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC)
}

fn stat(path: &str, handle: BorrowedFd<'_>) -> Result<FileStat, HostError> {
    fstat(handle).map_err(|errno| HostError::system(path, errno))
}

/// The link of procfs by which this process names what a handle is of.
fn own_link(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Opens what a handle names, whatever has become of its path since.
fn reopen(handle: BorrowedFd<'_>, flags: OFlag) -> Result<OwnedFd, Errno> {
    let path = own_link(handle);
    open(path.as_str(), flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())
}

fn kind(stat: &FileStat) -> &'static str {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => "regular file",
        SFlag::S_IFDIR => "directory",
        SFlag::S_IFLNK => "symbolic link",
        SFlag::S_IFSOCK => "socket",
        SFlag::S_IFIFO => "FIFO",
        SFlag::S_IFCHR => "character device",
        SFlag::S_IFBLK => "block device",
        _ => "file of unknown kind",
    }
}
fn text(path: &str, bytes: Vec<u8>) -> Result<String, HostError> {
    String::from_utf8(bytes).map_err(|error| HostError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_name_that_is_not_utf8_is_listed_and_is_not_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [&b"a.conf"[..], b"\xff.conf"] {
            std::fs::write(folder.path().join(OsStr::from_bytes(name)), "x").expect("written");
        }
        let open = || HostRoot::open(folder.path()).expect("a directory");
        for root in [open(), open().walking()] {
            assert_eq!(root.list("/"), Ok(vec!["a.conf".to_owned(), "\u{fffd}.conf".to_owned()]));
            let path = "/\u{fffd}.conf".to_owned();
            let error = HostError::NameNotText { path: path.clone() };
            assert_eq!(root.read_text(&path, 10), Err(error.clone()));
            assert_eq!(root.exists(&path), Err(error));
            assert_eq!(root.exists("/b.conf"), Ok(false));
        }
    }
}
