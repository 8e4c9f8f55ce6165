//! Collects `extensions`: which extensions of the virtual machine the Azure Linux agent has
//! on the node, by its folders. Of what lies in them a single word is read.

use std::sync::Arc;

use nix::errno::Errno;
use nodeward_domain::facts::{ComponentState, Extension, Extensions};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

const FOLDER: &str = "/var/lib/waagent";

/// The agent's own versions lie beside the extensions.
const AGENT: &str = "WALinuxAgent";

/// So many extensions are told.
const EXTENSIONS: usize = 128;

/// The state is a word.
const LIMIT_BYTES: u64 = 256;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &[FOLDER],
        "The names of folders, which tell extensions by name and version. Not there: the machine \
         has no such agent.",
    ),
    Read::of(
        &["/var/lib/waagent/{extension}/config/HandlerState"],
        "The state that the agent notes. Settings, which lie beside it and hold secrets, are not \
         opened, and the folder is not listed.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Extensions(state(read(&host.root))).into()
}

fn read(root: &HostRoot) -> Result<State<Extensions>, HostError> {
    let names = match root.list(FOLDER) {
        Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
            return Ok(State::Absent);
        }
        names => names?,
    };
    let mut extensions = Vec::new();
    for folder in names {
        let Some((name, version)) = parts(&folder) else { continue };
        let path = format!("{FOLDER}/{folder}/config/HandlerState");
        let state = match root.read_text(&path, LIMIT_BYTES) {
            // A package as it was downloaded, of that name; or one that was never set up.
            Err(HostError::Missing { .. }) => String::new(),
            Err(HostError::System { errno: Errno::ENOTDIR, .. }) => continue,
            state => state?.trim().to_owned(),
        };
        extensions.push(Extension { name: name.to_owned(), version: version.to_owned(), state });
    }
    extensions.sort_unstable();
    extensions.truncate(EXTENSIONS);
    Ok(State::Present(Arc::new(Extensions { extensions })))
}

/// Name and version of an extension's folder: `Publisher.Type-1.2.3.4`.
fn parts(folder: &str) -> Option<(&str, &str)> {
    let (name, version) = folder.rsplit_once('-')?;
    let numbers = version.split('.').collect::<Vec<_>>();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = (2..=4).contains(&numbers.len()) && numbers.iter().all(is_number);
    (is_version && name.contains('.') && name != AGENT).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_tell_extensions_and_nothing_else_does() {
        assert_eq!(
            parts("Microsoft.Azure.Extensions.CustomScript-2.1.10"),
            Some(("Microsoft.Azure.Extensions.CustomScript", "2.1.10"))
        );
        assert_eq!(
            parts("Microsoft.AKS.Compute.AKS-Engine.Linux.Billing-1.0.0"),
            Some(("Microsoft.AKS.Compute.AKS-Engine.Linux.Billing", "1.0.0"))
        );
        for other in ["WALinuxAgent-2.9.1.1", "events", "ovf-env.xml", "A.B-1", "A.B-1.x", "A-1.0"]
        {
            assert_eq!(parts(other), None, "{other}");
        }
    }

    #[test]
    fn without_the_agent_there_are_none_and_a_state_may_be_lacking() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(read(&root), Ok(State::Absent));
        let inside = folder.path().join("var/lib/waagent");
        std::fs::create_dir_all(inside.join("A.B-1.0/config")).expect("made");
        std::fs::create_dir_all(inside.join("C.D-1.0.0.1/config")).expect("made");
        std::fs::write(inside.join("C.D-1.0.0.1.zip"), "").expect("written");
        std::fs::write(inside.join("A.B-1.0/config/HandlerState"), "Enabled").expect("written");
        let State::Present(seen) = read(&root).expect("readable") else { panic!("not there") };
        let told: Vec<(&str, &str)> =
            seen.extensions.iter().map(|one| (one.name.as_str(), one.state.as_str())).collect();
        assert_eq!(told, [("A.B", "Enabled"), ("C.D", "")]);
    }
}
