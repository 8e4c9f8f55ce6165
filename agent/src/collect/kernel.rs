//! Collects `kernel`: what runs, which boot this is, its taint flags and parameters.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Kernel};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};

const LIMIT_BYTES: u64 = 64 * 1024;

/// Parameters whose values are known to carry no secret and that checks or people
/// look at. Of all others only the name is reported.
const OPEN_PARAMETERS: [&str; 14] = [
    "console",
    "mitigations",
    "pti",
    "nopti",
    "spectre_v2",
    "nospectre_v2",
    "systemd.unified_cgroup_hierarchy",
    "cgroup_no_v1",
    "fips",
    "lockdown",
    "module.sig_enforce",
    "panic",
    "quiet",
    "ro",
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

fn without_secret(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if !OPEN_PARAMETERS.contains(&name) => format!("{name}=…"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_keep_their_value() {
        assert_eq!(without_secret("mitigations=off"), "mitigations=off");
        assert_eq!(without_secret("luks.key=hunter2"), "luks.key=…");
        assert_eq!(without_secret("quiet"), "quiet");
        assert_eq!(without_secret("a=b=c"), "a=…");
    }
}
