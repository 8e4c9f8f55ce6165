//! What speaks for a reboot, to and from the wire.

use nodeward_domain::facts as domain;

use super::super::{Invalid, list, name, optional_timestamp, text, texts, timestamp_out};
use crate::v1;

/// Limits of the lists: some ten times what a real node shows.
const SENTINELS: usize = 16;
const PACKAGES: usize = 4096;
const PROCESSES: usize = 1024;
const FILES: usize = 64;

impl From<&domain::Reboot> for v1::Reboot {
    fn from(reboot: &domain::Reboot) -> Self {
        use v1::reboot::{OutdatedProcess, Sentinel};
        Self {
            sentinels: reboot
                .sentinels
                .iter()
                .map(|sentinel| Sentinel {
                    path: sentinel.path.clone(),
                    written_at: sentinel.written_at.map(timestamp_out),
                    packages: sentinel.packages.clone(),
                })
                .collect(),
            kured_runs: reboot.kured_runs,
            outdated: reboot
                .outdated
                .iter()
                .map(|process| OutdatedProcess {
                    name: process.name.clone(),
                    files: process.files.clone(),
                })
                .collect(),
            unseen: reboot.unseen.clone(),
        }
    }
}

impl TryFrom<v1::Reboot> for domain::Reboot {
    type Error = Invalid;

    fn try_from(reboot: v1::Reboot) -> Result<Self, Invalid> {
        Ok(Self {
            sentinels: list("sentinels", reboot.sentinels, SENTINELS, |sentinel| {
                Ok(domain::Sentinel {
                    path: name("path", sentinel.path)?,
                    written_at: optional_timestamp("written_at", sentinel.written_at)?,
                    packages: texts("packages", sentinel.packages, PACKAGES)?,
                })
            })?,
            kured_runs: reboot.kured_runs,
            outdated: list("outdated", reboot.outdated, PROCESSES, |process| {
                Ok(domain::OutdatedProcess {
                    name: name("name", process.name)?,
                    files: texts("files", process.files, FILES)?,
                })
            })?,
            unseen: reboot.unseen.map(text),
        })
    }
}
