//! Collects `conntrack`: how many connections the kernel follows and how many it may, from
//! the parameters of nf_conntrack. Each network namespace has its own.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Conntrack, Namespace};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::{State, Unavailable};

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

const LIMIT_BYTES: u64 = 4096;

const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &[MAX],
        "How many connections are followed at the most. Not there: the kernel follows none.",
    ),
    Read::of(
        &[COUNT],
        "How many are. Neither is believed where the agent's network is not, or may not be, the \
         node's.",
    ),
    Read::of(
        &["/proc/sys/net"],
        "Whether it is there, where the others are not: without procfs that says nothing.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(host, &mut measured));
    Collected { state: ComponentState::Conntrack(state), measured }
}

fn read(host: &Host, measured: &mut Measurements) -> Result<State<Conntrack>, HostError> {
    const NET: &str = "/proc/sys/net";
    if let Some(foreign) = host.foreign(Namespace::Network.link()) {
        let (place, why) = (COUNT.to_owned(), foreign.to_string());
        return Ok(State::Unavailable(Unavailable { place, why }));
    }
    let max_entries = match number(host, MAX) {
        Err(HostError::Missing { .. }) if host.root.exists(NET)? => {
            let why = "the kernel follows no connections (nf_conntrack is not loaded)";
            return Ok(State::NotApplicable(why.to_owned()));
        }
        max => max?,
    };
    measured.conntrack_entries = Some(number(host, COUNT)?);
    Ok(State::Present(Arc::new(Conntrack { max_entries })))
}

/// The number in a file of the kernel's. One without an end of its line has been cut off.
fn number(host: &Host, path: &str) -> Result<u64, HostError> {
    let text = host.root.read_text(path, LIMIT_BYTES)?;
    let number = text.strip_suffix('\n').and_then(|line| line.trim().parse().ok());
    number.ok_or_else(|| HostError::Malformed {
        path: path.to_owned(),
        why: "is empty, cut off, or not a number".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostRoot;
    use crate::probe::Probes;

    fn seen(files: &[(&str, &str)]) -> (Result<State<Conntrack>, HostError>, Option<u64>) {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let host = Host::new(
            HostRoot::open(root.path()).expect("a directory"),
            Probes::Off("a copy".to_owned()),
        );
        let mut measured = Measurements::default();
        (read(&host, &mut measured), measured.conntrack_entries)
    }

    #[test]
    fn a_table_that_is_not_there_is_no_fault_and_one_that_cannot_be_read_is() {
        let (state, entries) = seen(&[(MAX, "131072\n"), (COUNT, "412\n")]);
        assert_eq!(state, Ok(State::Present(Arc::new(Conntrack { max_entries: 131_072 }))));
        assert_eq!(entries, Some(412));
        let (state, _) = seen(&[("/proc/sys/net/core/somaxconn", "4096\n")]);
        assert!(matches!(state, Ok(State::NotApplicable(_))), "{state:?}");
        for (files, path) in [
            (&[][..], MAX),
            (&[(MAX, "131072")][..], MAX),
            (&[(MAX, "131072\n")][..], COUNT),
            (&[(MAX, "131072\n"), (COUNT, "x\n")][..], COUNT),
        ] {
            assert_eq!(seen(files).0.expect_err(path).path(), path);
        }
    }
}
