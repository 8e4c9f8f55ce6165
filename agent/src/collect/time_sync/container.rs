//! What says that the host root is a container's, whose clock is the business of the
//! machine that it runs on. Sources: the Container Interface of systemd, the files that
//! Docker and Podman put into theirs, capabilities(7).

use procfs_core::FromRead as _;
use procfs_core::process::Status;

use crate::host::{HostError, HostRoot};

/// What a container manager leaves inside.
pub(super) const MARKS: [&str; 3] = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];

/// The number of `CAP_SYS_TIME`.
const SYS_TIME: u64 = 25;

/// What says so, sorted; nothing on a machine.
pub(super) fn marks(root: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut marks = root.existing(&MARKS)?;
    if may_not_set_the_clock(root) {
        marks.push("/proc/1/status".to_owned());
    }
    if is_linux_on_windows(root) {
        marks.push("/proc/sys/kernel/osrelease".to_owned());
    }
    marks.sort_unstable();
    Ok(marks)
}

/// Whether the first process, and so every other, lacks the right to set the clock. What
/// cannot be read says nothing.
fn may_not_set_the_clock(root: &HostRoot) -> bool {
    let status = root.read("/proc/1/status", 64 * 1024).ok();
    let status = status.and_then(|bytes| Status::from_read(bytes.as_slice()).ok());
    status.and_then(|status| status.capbnd).is_some_and(|bounding| bounding & (1 << SYS_TIME) == 0)
}

/// Windows keeps the clock of the Linux that it runs inside.
fn is_linux_on_windows(root: &HostRoot) -> bool {
    root.read_text("/proc/sys/kernel/osrelease", 4096)
        .is_ok_and(|release| release.to_lowercase().contains("microsoft"))
}
