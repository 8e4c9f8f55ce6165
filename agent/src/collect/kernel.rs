//! Collects `kernel`: what runs, which boot this is, its taint flags and parameters.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Kernel, KernelImages, MITIGATIONS_OFF};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, booted_at};
use crate::reads::Read;

const LIMIT_BYTES: u64 = 64 * 1024;

/// Where installed kernels lie.
const BOOT: &str = "/boot";

/// Parameters whose values are known to carry no secret and that checks or people
/// look at. Of all others, but those that switch mitigations off, only the name is reported.
const OPEN_PARAMETERS: [&str; 14] = [
    "console",
    "mitigations",
    "pti",
    "spectre_v2",
    "systemd.unified_cgroup_hierarchy",
    "cgroup_no_v1",
    "fips",
    "lockdown",
    "module.sig_enforce",
    "module_blacklist",
    "modprobe.blacklist",
    "panic",
    "quiet",
    "ro",
];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&["/proc/sys/kernel/osrelease"], "The release of the kernel that runs."),
    Read::of(&["/proc/sys/kernel/version"], "Its build."),
    Read::of(&["/proc/sys/kernel/tainted"], "What has befallen it since boot."),
    Read::of(&["/proc/sys/kernel/random/boot_id"], "Which boot this is."),
    Read::of(&["/proc/stat"], "The line `btime`: when the node booted."),
    Read::of(
        &["/proc/cmdline"],
        "The parameters of the kernel: of those that are known to carry no secret their values, \
         of all others the name alone.",
    ),
    Read::of(
        &["/boot"],
        "The names of `vmlinuz-*` and `vmlinux-*`: which kernels are installed. Not there: none.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Kernel(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Kernel>, HostError> {
    const TAINTED: &str = "/proc/sys/kernel/tainted";
    let line = |path: &str| line(host, path);
    let tainted = line(TAINTED)?;
    let tainted = tainted.parse().map_err(|_| HostError::Malformed {
        path: TAINTED.to_owned(),
        why: format!("{tainted:?} is not a number"),
    })?;
    Ok(State::Present(Arc::new(Kernel {
        release: line("/proc/sys/kernel/osrelease")?,
        version: line("/proc/sys/kernel/version")?,
        boot_id: line("/proc/sys/kernel/random/boot_id")?,
        booted_at: Some(booted_at(&host.root)?),
        images: images(host),
        tainted,
        command_line: line("/proc/cmdline")?.split_whitespace().map(without_secret).collect(),
    })))
}

/// The one line of a file that the kernel makes. It always ends in a newline: one
/// without has been cut off, and half a number is another number.
fn line(host: &Host, path: &str) -> Result<String, HostError> {
    let text = host.root.read_text(path, LIMIT_BYTES)?;
    let why = match text.strip_suffix('\n') {
        Some(line) => return Ok(line.to_owned()),
        None if text.is_empty() => "is empty",
        None => "ends in the middle of a line: truncated",
    };
    Err(HostError::Malformed { path: path.to_owned(), why: why.to_owned() })
}

/// The kernels that lie where boot loaders find them, named for their release.
fn images(host: &Host) -> KernelImages {
    let names = match host.root.list(BOOT) {
        Ok(names) => names,
        Err(HostError::Missing { .. }) => Vec::new(),
        Err(error) => return KernelImages::Unreadable(format!("{BOOT}: {error}")),
    };
    let mut releases: Vec<String> =
        names.iter().filter_map(|name| image_release(name)).map(str::to_owned).collect();
    releases.sort_unstable();
    releases.dedup();
    KernelImages::Releases(releases)
}

/// The release that a file in `/boot` is the image of. Former and rescue images are not
/// what the next boot takes.
fn image_release(name: &str) -> Option<&str> {
    let release = name.strip_prefix("vmlinuz-").or_else(|| name.strip_prefix("vmlinux-"))?;
    let is_release = release.starts_with(|first: char| first.is_ascii_digit())
        && !release.contains("-rescue-")
        && ![".old", ".bak", ".dpkg-tmp", ".dpkg-new"].iter().any(|end| release.ends_with(end));
    is_release.then_some(release)
}

fn without_secret(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _))
            if !OPEN_PARAMETERS.contains(&name) && !MITIGATIONS_OFF.contains(&parameter) =>
        {
            format!("{name}=…")
        }
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_keep_their_value() {
        assert_eq!(without_secret("mitigations=off"), "mitigations=off");
        assert_eq!(without_secret("mds=off"), "mds=off");
        assert_eq!(without_secret("mds=full,nosmt"), "mds=…");
        assert_eq!(without_secret("luks.key=hunter2"), "luks.key=…");
        assert_eq!(without_secret("quiet"), "quiet");
        assert_eq!(without_secret("a=b=c"), "a=…");
    }

    #[test]
    fn images_are_told_from_what_else_lies_beside_them() {
        for (name, release) in [
            ("vmlinuz-5.15.0-1124-azure", Some("5.15.0-1124-azure")),
            ("vmlinuz-6.6.139.1-1.azl3", Some("6.6.139.1-1.azl3")),
            ("vmlinuz", None),
            ("vmlinuz-6.1.0-55-amd64.old", None),
            ("vmlinuz-0-rescue-5f1e0c9d", None),
            ("initrd.img-5.15.0-1124-azure", None),
        ] {
            assert_eq!(image_release(name), release, "{name}");
        }
    }
}
