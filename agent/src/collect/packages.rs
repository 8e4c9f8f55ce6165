//! Collects `packages` from the database of the distribution's own package manager.

mod dpkg;
mod rpm;

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Packages};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let found = read(&host.root, &mut measured);
    Collected { state: ComponentState::Packages(state(found)), measured }
}

/// What dpkg's status file says, unless it says nothing: other distributions carry dpkg
/// as a tool. Then what rpm's database does.
fn read(root: &HostRoot, measured: &mut Measurements) -> Result<State<Packages>, HostError> {
    if let Some(packages) = dpkg::read(root)? {
        return Ok(State::Present(Arc::new(packages)));
    }
    if let Some(inventory) = rpm::read(root)? {
        measured.boot_packages_installed_at_seconds = inventory.boot_packages_installed_at_seconds;
        return Ok(State::Present(Arc::new(inventory.packages)));
    }
    dpkg::is_absent(root).map(|()| State::Absent)
}
