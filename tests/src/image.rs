//! The agent's container image on a real containerd: built when it is not there or
//! older than what it is made of, imported, run with the node's root mounted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::containerd::Containerd;
use crate::project;
use crate::service::Program;

/// The image's name inside the archive.
const IMAGE: &str = "docker.io/library/nodeward-agent:latest";

/// The archive, built.
///
/// # Panics
/// When it cannot be built.
pub fn archive() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let status = Command::new(project::root().join("scripts/image"))
            .env_remove("RUSTFLAGS")
            .status()
            .expect("the script runs");
        assert!(status.success(), "the image could not be built");
    });
    project::root().join("out/nodeward-agent.oci.tar")
}

/// What a container may do and see besides its own file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    /// The node's root at /host, recursively read-only.
    pub host_root: bool,
    /// The node's own PID namespace.
    pub host_pid: bool,
    /// The node's own network namespace.
    pub host_network: bool,
    /// CAP_SYS_PTRACE, which reading /proc/PID/exe of others takes.
    pub sys_ptrace: bool,
}

impl Containerd {
    /// Imports the image.
    ///
    /// # Panics
    /// When it cannot be imported.
    pub fn import(&self, archive: &Path) {
        let status = self
            .ctr(&["image", "import", "--base-name", "nodeward", "--index-name", IMAGE])
            .arg(archive)
            .stdout(Stdio::null())
            .status()
            .expect("ctr runs");
        assert!(status.success(), "the image could not be imported");
    }

    /// Runs the image's program in a container of that name, in the foreground.
    #[must_use]
    pub fn run(
        &self,
        name: &str,
        grants: Grants,
        mounts: &[String],
        arguments: &[&str],
    ) -> Program {
        let mut command = self.ctr(&["run", "--rm", "--cgroup", "", "--read-only", "--runc-root"]);
        // The usual one is shared by all containerds of a machine.
        command.arg(self.runc_root());
        for mount in mounts {
            command.args(["--mount", mount]);
        }
        if grants.host_root {
            command.args(["--mount", "type=bind,src=/,dst=/host,options=rbind:rro"]);
        }
        if grants.host_pid {
            // The test's own, which is the node's: that of PID 1 may be closed to us.
            command.args(["--with-ns", &format!("pid:/proc/{}/ns/pid", std::process::id())]);
        }
        if grants.host_network {
            command.arg("--net-host");
        }
        if grants.sys_ptrace {
            command.args(["--cap-add", "CAP_SYS_PTRACE"]);
        }
        command.args([IMAGE, name, "/usr/bin/nodeward-agent"]).args(arguments);
        Program::start(&mut command)
    }
}
