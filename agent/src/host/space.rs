//! How big a file system of the host is and how much of it is left, statfs(2).

use nix::sys::stat::{fstat, major, minor};
use nix::sys::statvfs::fstatvfs;
use serde::{Deserialize, Serialize};

use super::{HostError, HostRoot};

/// How big a file system is, and how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// In all.
    pub total_bytes: u64,
    /// Free for others than root.
    pub available_bytes: u64,
    /// Inodes in all; zero where there is no such limit.
    pub total_inodes: u64,
    /// Free ones.
    pub free_inodes: u64,
    /// Numbers of its device; none in a recording.
    #[serde(skip)]
    pub device: Option<(u64, u64)>,
}

impl HostRoot {
    /// The file system that a path lies on. Nothing of it is opened.
    pub fn space(&self, path: &str) -> Result<Space, HostError> {
        let handle = self.handle(path, true)?;
        let failed = |errno| HostError::system(path, errno);
        let stat = fstat(&handle).map_err(failed)?;
        let space = fstatvfs(&handle).map_err(failed)?;
        let block = space.fragment_size();
        Ok(Space {
            total_bytes: space.blocks().saturating_mul(block),
            available_bytes: space.blocks_available().saturating_mul(block),
            total_inodes: space.files(),
            free_inodes: space.files_free(),
            device: Some((major(stat.st_dev), minor(stat.st_dev))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_a_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let space = root.space("/").expect("it is there");
        assert!(space.total_bytes > 0 && space.available_bytes <= space.total_bytes, "{space:?}");
        assert!(matches!(root.space("/gone"), Err(HostError::Missing { .. })));
    }
}
