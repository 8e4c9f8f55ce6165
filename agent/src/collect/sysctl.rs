//! Collects `sysctl`: the live value of every kernel parameter that a file of the host
//! or an edition of the support policy names, and what the files say it should be.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, LiveValue, Namespace, Setting, Sysctl};
use nodeward_domain::observed::State;
use nodeward_domain::policy::Policy;

use super::{Collected, state};
use crate::host::{Host, HostError};

/// The longest value of Linux's own is some hundred bytes.
const LIMIT_BYTES: u64 = 4096;

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Sysctl(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Sysctl>, HostError> {
    const LIVE: &str = "/proc/sys/kernel";
    if !host.root.exists(LIVE)? {
        return Err(HostError::Missing { path: LIVE.to_owned() });
    }
    let expected = files::read(&host.root)?;
    let foreign = foreign_namespaces(host);
    let keys: BTreeSet<String> = expected.keys().cloned().chain(keys_of_policies()).collect();
    let settings = keys
        .into_iter()
        .map(|key| Setting {
            live: live(host, &key, &foreign),
            expected: expected.get(&key).cloned(),
            key,
        })
        .collect();
    Ok(State::Present(Arc::new(Sysctl { settings })))
}

/// Every parameter that some shipped edition limits: which one holds is not for an agent
/// to know.
fn keys_of_policies() -> impl Iterator<Item = String> {
    Policy::shipped().iter().flat_map(|policy| &policy.sysctl_ranges).map(|range| range.key.clone())
}

fn live(host: &Host, key: &str, foreign: &BTreeMap<Namespace, String>) -> LiveValue {
    if let Some(why) = Namespace::of(key).and_then(|namespace| foreign.get(&namespace)) {
        return LiveValue::Unreadable(why.clone());
    }
    let path = format!("/proc/sys/{}", files::path_of(key));
    match host.root.read_text(&path, LIMIT_BYTES) {
        Ok(text) => LiveValue::Value(files::plain(&text)),
        Err(HostError::Missing { .. }) => LiveValue::Missing,
        Err(error) => LiveValue::Unreadable(error.to_string()),
    }
}

/// The namespaces in which the agent does not see the host's values, each with the reason:
/// the kernel shows a reader those of the reader's own namespace.
fn foreign_namespaces(host: &Host) -> BTreeMap<Namespace, String> {
    let is_own_root = host.root.path() == std::path::Path::new("/");
    if !host.probes.is_live() || is_own_root {
        return BTreeMap::new();
    }
    [Namespace::Network, Namespace::Ipc, Namespace::Pid, Namespace::Uts]
        .into_iter()
        .filter_map(|namespace| Some((namespace, foreign(host, namespace.link())?)))
        .collect()
}

/// Why the agent's namespace is not, or may not be, the host's.
fn foreign(host: &Host, link: &str) -> Option<String> {
    let own = std::fs::read_link(format!("/proc/self/ns/{link}")).ok()?;
    // Process 1 may be closed even to root; kernel threads are in the host's namespaces.
    let theirs = ["1", "2"]
        .into_iter()
        .find_map(|pid| host.root.read_link(&format!("/proc/{pid}/ns/{link}")).ok());
    match theirs {
        Some(theirs) if own.as_os_str() == theirs.as_str() => None,
        Some(_) => Some(format!("the agent is not in the host's {link} namespace")),
        None => Some(format!("whether the agent is in the host's {link} namespace is not known")),
    }
}
