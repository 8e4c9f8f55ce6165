//! Collects `reboot`: the files by which package managers ask for one, a reboot manager,
//! and processes that run what was deleted from disk.

mod processes;

use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Reboot, Sentinel};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

/// `/run` is made anew at boot, so what lies there was written since.
const RUN: &str = "/run";

/// Files that ask for a reboot by being there: of Debian and Ubuntu, with the packages
/// beside it, and of SUSE.
const SENTINELS: [&str; 2] = ["/run/reboot-needed", "/run/reboot-required"];

const LIMIT_BYTES: u64 = 256 * 1024;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/run"],
        "Whether it is there: where there is no folder, a file that is not in it says nothing.",
    ),
    Read::of(
        &["/run/reboot-required"],
        "Whether it is there, and since when: Debian and Ubuntu ask for a reboot.",
    ),
    Read::of(&["/run/reboot-needed"], "The same of SUSE."),
    Read::of(&["/run/reboot-required.pkgs", "/run/reboot-needed.pkgs"], "The packages that asked."),
    Read::of(&["/etc/ld.so.cache"], "When it was written: shared libraries were changed last."),
    Read::of(&["/proc/stat"], "The line `btime`: when the node booted."),
    Read::of(&["/proc"], "The pids of all processes."),
    Read::of(
        &["/proc/{pid}/exe"],
        "Of every process which file it runs, and whether that was deleted. Needs SYS_PTRACE.",
    ),
    Read::of(&["/proc/{pid}/stat"], "Of every process its name and when it was started."),
    Read::of(
        &["/proc/{pid}/status"],
        "Of those in question whether they are inside of a container, and whether they are root's.",
    ),
    Read::of(
        &["/proc/{pid}/maps"],
        "Of those that were started before libraries were changed which deleted files of packages \
         they have mapped. Needs SYS_PTRACE.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Reboot(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Reboot>, HostError> {
    // Where there is no folder, a file that is not in it says nothing.
    if !host.root.exists(RUN)? {
        return Err(HostError::Missing { path: RUN.to_owned() });
    }
    let mut sentinels = Vec::new();
    for path in host.root.existing(&SENTINELS)? {
        sentinels.push(Sentinel {
            written_at: host.modified(&path).ok(),
            packages: packages(host, &path)?,
            path,
        });
    }
    let processes::Seen { outdated, unseen, kured_runs } = processes::look(host)?;
    Ok(State::Present(Arc::new(Reboot { sentinels, kured_runs, outdated, unseen })))
}

/// The packages that asked for a reboot, a line each time that one did.
fn packages(host: &Host, sentinel: &str) -> Result<Vec<String>, HostError> {
    let text = match host.root.read_text(&format!("{sentinel}.pkgs"), LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => return Ok(Vec::new()),
        text => text?,
    };
    let names: BTreeSet<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}
