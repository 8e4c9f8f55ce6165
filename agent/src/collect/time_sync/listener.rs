//! Whose socket it is that chronyd would be asked on: any program that may open a port below
//! 1024 can take chronyd's while that does not run, and say what it likes of the clock.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use procfs_core::net::UdpNetEntries;
use procfs_core::{ExplicitSystemInfo, FromBufReadSI as _};

use super::daemons::CHRONYD;
use crate::host::{HostError, HostRoot, find_processes_of, is_systems};

/// The network that a question would go to: the asker's own.
const TABLES: [&str; 2] = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];

/// A line has 128 bytes; a resolver may have some ten thousand sockets open.
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Of all this the order of bytes alone counts for addresses.
const MACHINE: ExplicitSystemInfo = ExplicitSystemInfo {
    boot_time_secs: 0,
    ticks_per_second: 100,
    page_size: 4096,
    is_little_endian: cfg!(target_endian = "little"),
};

/// Who listens at an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// A chronyd of root or of an account of the system, or nobody.
    Chronyd,
    /// Somebody else.
    Other,
    /// Why it could not be seen.
    Unseen(String),
}

pub(super) fn at(root: &HostRoot, address: SocketAddr) -> Listener {
    match is_all_of_chronyd(root, address) {
        Ok(true) => Listener::Chronyd,
        Ok(false) => Listener::Other,
        Err(error) => Listener::Unseen(format!("{}: {error}", error.path())),
    }
}

/// Whether every socket that may answer there is one of chronyd's.
fn is_all_of_chronyd(root: &HostRoot, address: SocketAddr) -> Result<bool, HostError> {
    let mut listening = BTreeSet::new();
    // The kernel gives a table in parts: where a socket is closed in between, one may lack that
    // is there. Twice in a row it hardly does.
    for path in [TABLES, TABLES].concat() {
        match listening_at(root, path, address) {
            Ok(inodes) => listening.extend(inodes),
            // A kernel without IPv6.
            Err(HostError::Missing { .. }) if path != TABLES[0] => {}
            Err(error) => return Err(error),
        }
    }
    if listening.is_empty() {
        return Ok(true);
    }
    for found in find_processes_of(root, &[CHRONYD])? {
        match sockets_of(root, found.process.pid) {
            Ok(own) => listening.retain(|inode| !own.contains(inode)),
            // It has ended meanwhile.
            Err(HostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listening.is_empty())
}

/// The inodes of the sockets that hear what is sent to that address.
fn listening_at(root: &HostRoot, path: &str, address: SocketAddr) -> Result<Vec<u64>, HostError> {
    let text = root.read(path, LIMIT_BYTES)?;
    let UdpNetEntries(sockets) =
        UdpNetEntries::from_buf_read(text.as_slice(), &MACHINE).map_err(|_| {
            let why = "is not in the form of proc_pid_net(5)".to_owned();
            HostError::Malformed { path: path.to_owned(), why }
        })?;
    let hears = |local: SocketAddr| {
        local.port() == address.port()
            && (local.ip() == address.ip() || local.ip().is_unspecified())
    };
    // One that is connected hears its peer alone, and has the port of whoever asks.
    let is_open = |remote: SocketAddr| remote.port() == 0;
    Ok(sockets
        .into_iter()
        .filter(|socket| hears(socket.local_address) && is_open(socket.remote_address))
        .map(|socket| socket.inode)
        .collect())
}

/// The inodes of a process's sockets; none of one that belongs to a person: any user may give
/// a program of his that name.
fn sockets_of(root: &HostRoot, pid: u32) -> Result<BTreeSet<u64>, HostError> {
    let mut inodes = BTreeSet::new();
    if !is_systems(root, pid)? {
        return Ok(inodes);
    }
    let folder = format!("/proc/{pid}/fd");
    for number in root.list(&folder)? {
        let file = match root.read_link(&format!("{folder}/{number}")) {
            // It was closed meanwhile.
            Err(HostError::Missing { .. }) => continue,
            file => file?,
        };
        let inode = file.strip_prefix("socket:[").and_then(|file| file.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    #[test]
    fn who_listens_is_told_from_chronyd_on_this_machine() {
        let root = HostRoot::open(Path::new("/")).expect("the root");
        for local in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(socket) = UdpSocket::bind(local) else { continue };
            let address = socket.local_addr().expect("an address");
            let asked = match address.ip().is_unspecified() {
                true => SocketAddr::new([127, 0, 0, 1].into(), address.port()),
                false => address,
            };
            assert_eq!(at(&root, asked), Listener::Other, "{local}");
            drop(socket);
            assert_eq!(at(&root, asked), Listener::Chronyd, "nobody: {local}");
        }
    }

    /// A copy of what this machine's kernel tells, with a chronyd of that user that has these
    /// files open.
    fn copy(user: u32, files: &[&str]) -> (tempfile::TempDir, HostRoot) {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| folder.path().join(path);
        for path in ["proc/thread-self/net", "proc/7/fd"] {
            std::fs::create_dir_all(inside(path)).expect("made");
        }
        for path in ["proc/thread-self/net/udp", "proc/thread-self/net/udp6"] {
            if let Ok(text) = std::fs::read_to_string(Path::new("/").join(path)) {
                // A line may lack while other sockets are closed.
                let again =
                    std::fs::read_to_string(Path::new("/").join(path)).expect("still there");
                let lines = again.lines().skip(1).filter(|line| !text.contains(*line));
                let text = text.lines().chain(lines).map(|line| format!("{line}\n"));
                std::fs::write(inside(path), text.collect::<String>()).expect("written");
            }
        }
        let stat = format!("7 (chronyd) S 1{}\n", " 0".repeat(48));
        std::fs::write(inside("proc/7/stat"), stat).expect("written");
        let own = std::fs::read_to_string("/proc/self/status").expect("procfs");
        let line = |line: &str| match line.split_once(':') {
            Some(("Uid", _)) => format!("Uid:\t{user}\t{user}\t{user}\t{user}\n"),
            Some(("NSpid", _)) => "NSpid:\t7\n".to_owned(),
            _ => format!("{line}\n"),
        };
        let status: String = own.lines().map(line).collect();
        std::fs::write(inside("proc/7/status"), status).expect("written");
        std::fs::write(inside("proc/7/cmdline"), "chronyd").expect("written");
        symlink("/usr/sbin/chronyd", inside("proc/7/exe")).expect("made");
        for (number, file) in files.iter().enumerate() {
            symlink(file, inside(&format!("proc/7/fd/{number}"))).expect("made");
        }
        let root = HostRoot::open(folder.path()).expect("a directory");
        (folder, root)
    }

    #[test]
    fn a_socket_is_chronyds_when_a_chronyd_of_the_system_has_it_open() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let own = std::fs::read_link(link).expect("procfs");
        let own = own.to_str().expect("text");
        for (user, files, listener) in [
            (0, &["/dev/null", own][..], Listener::Chronyd),
            (103, &[own], Listener::Chronyd),
            (1000, &[own], Listener::Other),
            (0, &["/dev/null", "socket:[1]"], Listener::Other),
        ] {
            let (_folder, root) = copy(user, files);
            assert_eq!(at(&root, address), listener, "{user} {files:?}");
        }
        let (folder, root) = copy(0, &[own]);
        std::fs::remove_dir_all(folder.path().join("proc/7/fd")).expect("removed");
        std::fs::write(folder.path().join("proc/7/fd"), "").expect("written");
        let Listener::Unseen(why) = at(&root, address) else { panic!("nobody can see it") };
        assert!(why.starts_with("/proc/7/fd: "), "{why}");
        std::fs::remove_dir_all(folder.path().join("proc/thread-self")).expect("removed");
        let Listener::Unseen(why) = at(&root, address) else { panic!("nobody can see it") };
        assert!(why.starts_with("/proc/thread-self/net/udp: "), "{why}");
    }
}
