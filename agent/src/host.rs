//! The host as collectors see it: a directory that is the node's root, and the
//! processes in its `/proc`. Everything here only reads, every path resolves inside
//! the root, every read has a byte limit.

mod process;
mod root;
mod value;

pub use process::{Found, find_processes};
pub use root::{HostError, HostRoot, Resolution};

/// What a collector gets to work with.
#[derive(Debug)]
pub struct Host {
    /// The node's root directory.
    pub root: HostRoot,
    /// Local endpoints.
    pub probes: crate::probe::Probes,
    /// The container runtime's socket, as a path on the host.
    pub containerd_socket: String,
}
