//! Collects `update_channel`: what on the node brings updates by itself. apt's configuration,
//! dnf-automatic's, the timers that start them, and what live patching has left.

use std::sync::Arc;

use nix::errno::Errno;
use nodeward_domain::facts::{
    AptPeriodic, ComponentState, DaemonUnit, LastRun, LivePatch, UpdateChannel,
};
use nodeward_domain::observed::State;

use super::time_sync::units;
use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// A file of settings is short.
const LIMIT_BYTES: u64 = 64 * 1024;

/// apt's settings, apt.conf(5): the files of the folder by name, then the file.
const APT_FOLDER: &str = "/etc/apt/apt.conf.d";
const APT_FILE: &str = "/etc/apt/apt.conf";
const ENABLE: &str = "apt::periodic::enable";
const UNATTENDED: &str = "apt::periodic::unattended-upgrade";

/// What brings upgrades unattended, and what apt writes to when it has run.
const PROGRAM: &str = "/usr/bin/unattended-upgrade";
const STAMP: &str = "/var/lib/apt/periodic/upgrade-stamp";

const DNF: &str = "/etc/dnf/automatic.conf";
const SNAPD: &str = "/usr/lib/snapd/snapd";

/// What AKS's live patching writes before it runs apt.
const LIVE_PATCH: &str = "/var/lib/security-patch/sources.list";

/// Where it takes packages from as they were at one moment.
const SNAPSHOT: &str = "snapshot.ubuntu.com/ubuntu/";

/// Timers that start updates.
const TIMERS: [&str; 8] = [
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dnf-automatic-download.timer",
    "dnf-automatic-install.timer",
    "dnf-automatic-notifyonly.timer",
    "dnf-automatic.timer",
    "snapd.refresh.timer",
    "snapshot-update.timer",
];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&[APT_FOLDER], "The names of the files. Not there: the system has no apt."),
    Read::of(
        &["/etc/apt/apt.conf.d/{name}", APT_FILE],
        "`APT::Periodic::Enable` and `APT::Periodic::Unattended-Upgrade`. Other values, such as \
         the password of a proxy, are passed over byte by byte. Of the file that sets the last of \
         these when it was written.",
    ),
    Read::of(&[PROGRAM, SNAPD], "Whether it is there."),
    Read::of(&[STAMP], "When it was written, which is when upgrades were last brought."),
    Read::of(&[DNF], "`apply_updates`."),
    Read::of(
        &[
            "/etc/systemd/system/**",
            "/run/systemd/system/**",
            "/usr/local/lib/systemd/system/**",
            "/usr/lib/systemd/system/**",
            "/lib/systemd/system/**",
        ],
        "Whether timers that start updates are there, wanted by another unit, or masked.",
    ),
    Read::of(&[LIVE_PATCH], "Whether it is there, and the moment in the address of its snapshot."),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::UpdateChannel(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<UpdateChannel>, HostError> {
    let root = &host.root;
    let wanted = units::wanted(root)?;
    let mut timers: Vec<DaemonUnit> = Vec::new();
    for timer in TIMERS {
        timers.extend(units::of(root, &[timer], &wanted)?);
    }
    Ok(State::Present(Arc::new(UpdateChannel {
        apt: apt(host)?,
        dnf_applies: dnf_applies(root)?,
        timers,
        has_snapd: root.exists(SNAPD)?,
        live_patch: live_patch(root)?,
    })))
}

fn apt(host: &Host) -> Result<Option<AptPeriodic>, HostError> {
    let root = &host.root;
    let names = match root.list(APT_FOLDER) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return Ok(None);
        }
        names => names?,
    };
    let mut apt = AptPeriodic {
        has_unattended_upgrade: root.exists(PROGRAM)?,
        enable: String::new(),
        unattended_upgrade: String::new(),
        file: String::new(),
        configured_at: None,
        last_run: last_run(host),
    };
    let files = names.into_iter().filter(|name| counts(name));
    let files = files.map(|name| format!("{APT_FOLDER}/{name}")).chain([APT_FILE.to_owned()]);
    for path in files {
        let settings = match root.read_apt(&path, &[ENABLE, UNATTENDED], LIMIT_BYTES) {
            Err(HostError::Missing { .. } | HostError::WrongKind { kind: "directory", .. }) => {
                continue;
            }
            settings => settings?,
        };
        for (number, value) in settings {
            if number == 0 {
                apt.enable = value;
            } else {
                apt.unattended_upgrade = value;
                apt.file.clone_from(&path);
            }
        }
    }
    // A file that is gone since, or of a copy that does not keep times, has none.
    apt.configured_at = match apt.file.as_str() {
        "" => None,
        file => host.modified(file).ok(),
    };
    Ok(Some(apt))
}

/// Whether apt reads a file of that name in its folder: without an ending or with `.conf`.
fn counts(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let stem = name.strip_suffix(".conf").unwrap_or(name);
    !stem.is_empty() && !stem.contains('.') && name.bytes().all(is_plain)
}

fn last_run(host: &Host) -> LastRun {
    match host.modified(STAMP) {
        Ok(at) => LastRun::At(at),
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            LastRun::Never
        }
        Err(error) => LastRun::Unreadable(format!("{STAMP}: {error}")),
    }
}

/// What dnf-automatic's configuration says of applying updates; none without one.
fn dnf_applies(root: &HostRoot) -> Result<Option<bool>, HostError> {
    let text = match root.read_text(DNF, LIMIT_BYTES) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return Ok(None);
        }
        text => text?,
    };
    let mut values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "apply_updates").then(|| value.trim().to_ascii_lowercase())
    });
    // Not set is off, as dnf-automatic(8) has it.
    let value = values.next_back().unwrap_or_default();
    Ok(Some(matches!(value.as_str(), "1" | "yes" | "true" | "on")))
}

fn live_patch(root: &HostRoot) -> Result<Option<LivePatch>, HostError> {
    let text = match root.read_text(LIVE_PATCH, LIMIT_BYTES) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return Ok(None);
        }
        text => text?,
    };
    let timestamp = text.split_once(SNAPSHOT).map(|(_, rest)| {
        rest.chars().take_while(char::is_ascii_alphanumeric).take(32).collect::<String>()
    });
    Ok(Some(LivePatch { path: LIVE_PATCH.to_owned(), timestamp: timestamp.unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::probe::Probes;

    /// What is seen of a host with these files.
    fn seen(files: &[(&str, &str)]) -> Arc<UpdateChannel> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let host = Host::new(
            HostRoot::open(folder.path()).expect("a directory"),
            Probes::Off("a copy".to_owned()),
        );
        match read(&host).expect("readable") {
            State::Present(channel) => channel,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_setting_of_apt_counts_and_files_of_other_names_do_not() {
        let on = "APT::Periodic::Unattended-Upgrade \"1\";\n";
        let off = "APT::Periodic::Unattended-Upgrade \"0\";\n";
        let channel = seen(&[
            ("etc/apt/apt.conf.d/20auto-upgrades", on),
            ("etc/apt/apt.conf.d/99periodic", off),
            ("etc/apt/apt.conf.d/99periodic.dpkg-old", on),
        ]);
        let apt = channel.apt.as_ref().expect("apt is there");
        assert_eq!(apt.unattended_upgrade, "0");
        assert_eq!(apt.file, "/etc/apt/apt.conf.d/99periodic");
        assert_eq!((apt.has_unattended_upgrade, &apt.last_run), (false, &LastRun::Never));
        let channel = seen(&[("etc/apt/apt.conf.d/99periodic", off), ("etc/apt/apt.conf", on)]);
        assert_eq!(channel.apt.as_ref().expect("apt is there").unattended_upgrade, "1");
        assert_eq!(seen(&[("etc/passwd", "")]).apt, None);
    }

    #[test]
    fn dnf_applies_what_its_configuration_says() {
        let said = |text: &str| seen(&[("etc/dnf/automatic.conf", text)]).dnf_applies;
        assert_eq!(said("[commands]\napply_updates = yes\n"), Some(true));
        assert_eq!(said("[commands]\n# apply_updates = yes\n"), Some(false));
        assert_eq!(said("[commands]\napply_updates=no\n"), Some(false));
        assert_eq!(seen(&[]).dnf_applies, None);
    }

    #[test]
    fn live_patching_leaves_the_moment_of_its_snapshot() {
        let said =
            |text: &str| seen(&[("var/lib/security-patch/sources.list", text)]).live_patch.clone();
        let line = "deb https://snapshot.ubuntu.com/ubuntu/20250623T000000Z jammy-security main\n";
        assert_eq!(said(line).expect("it ran").timestamp, "20250623T000000Z");
        assert_eq!(said("deb http://10.0.0.4/ubuntu jammy main\n").expect("it ran").timestamp, "");
        assert_eq!(seen(&[]).live_patch, None);
    }
}
