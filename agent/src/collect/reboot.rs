//! Collects `reboot`: the files by which package managers ask for one, a reboot manager,
//! and processes that run what was deleted from disk.

mod processes;

use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Reboot, Sentinel};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};

/// `/run` is made anew at boot, so what lies there was written since.
const RUN: &str = "/run";

/// Files that ask for a reboot by being there: of Debian and Ubuntu, with the packages
/// beside it, and of SUSE.
const SENTINELS: [&str; 2] = ["/run/reboot-needed", "/run/reboot-required"];

const LIMIT_BYTES: u64 = 256 * 1024;

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
