//! A node for containers: a host root of the tests with the closed files closed, processes
//! of the names of a node's, the machine's own `/proc` and a real containerd's socket. What
//! it shows of a container's rights does not hang on what else the machine has installed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::containerd::Containerd;
use crate::host::HostCopy;
use crate::programs::installed;

/// Folders of files that a node keeps to root, as AKS does.
const CLOSED: [&str; 2] = ["/etc/default", "/var/lib/kubelet/pki"];

/// A node's programs, each with its arguments. Nobody else answers on these ports.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("kubelet", &["--config=/etc/default/kubeletconfig.json"]),
    ("kube-proxy", &["--healthz-port=9", "--metrics-port=9"]),
    ("chronyd", &["cmdport 9"]),
];

/// Such a node. It is unmounted with its end.
#[derive(Debug)]
pub struct MountedNode {
    programs: Vec<Child>,
    mounted: Vec<PathBuf>,
    // Dropped after everything in it is unmounted.
    copy: HostCopy,
}

impl MountedNode {
    /// Makes one of that host root, on which that containerd runs. Needs root.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn of(name: &str, containerd: &Containerd) -> Self {
        let copy = HostCopy::of(name);
        for folder in CLOSED {
            for entry in std::fs::read_dir(copy.inside(folder)).expect(folder) {
                let entry = entry.expect("readable");
                // What a link names might lie outside of the copy.
                if entry.file_type().expect("a file has a kind").is_file() {
                    let closed = std::fs::Permissions::from_mode(0o600);
                    std::fs::set_permissions(entry.path(), closed).expect("its owner may");
                }
            }
        }
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(copy.path(), open).expect("its owner may");
        let libraries = std::fs::File::open(copy.inside("/etc/ld.so.cache")).expect("it is there");
        let long_ago = SystemTime::UNIX_EPOCH;
        // Since boot no library was changed.
        libraries.set_modified(long_ago).expect("its owner may");
        std::fs::remove_dir_all(copy.inside("/proc")).expect("the host root's own");
        let mut node = Self { programs: Vec::new(), mounted: Vec::new(), copy };
        std::fs::create_dir_all(node.copy.inside("/proc")).expect("a folder");
        node.mount(Path::new("/proc"), "/proc");
        let folder = node.copy.inside("/run/containerd");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("containerd.sock"), "").expect("a file to mount over");
        node.mount(&containerd.socket(), "/run/containerd/containerd.sock");
        for (program, arguments) in PROGRAMS {
            node.start(program, arguments);
        }
        node.start_kured();
        node
    }

    /// Its root.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.copy.path()
    }

    fn mount(&mut self, from: &Path, at: &str) {
        let at = self.copy.inside(at);
        mount(Some(from), &at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
            .expect("root may mount");
        self.mounted.push(at);
    }

    /// Starts what is known by the name of its file.
    fn start_kured(&mut self) {
        let path = self.copy.inside("/run/kured");
        std::fs::copy(installed("sleep"), &path).expect("copied");
        let child = Command::new(&path).arg("infinity").spawn();
        self.programs.push(child.expect("it can be started"));
    }

    /// Starts a program of that name, which only waits for its input.
    fn start(&mut self, name: &str, arguments: &[&str]) {
        let path = self.copy.inside(&format!("/run/{name}"));
        std::fs::write(&path, "#!/bin/sh\nread -r _\n").expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).expect("its owner may");
        let mut command = Command::new(&path);
        let child = command.args(arguments).stdin(Stdio::piped()).spawn();
        self.programs.push(child.expect("it can be started"));
    }
}

impl Drop for MountedNode {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
        for path in self.mounted.iter().rev() {
            // Removing the folder would else remove what is mounted in it.
            umount2(path, MntFlags::MNT_DETACH).expect("what was mounted here is unmounted");
        }
    }
}
