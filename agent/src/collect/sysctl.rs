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
use crate::reads::Read;

/// The longest value of Linux's own is some hundred bytes.
const LIMIT_BYTES: u64 = 4096;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &[
            "/etc/sysctl.d/**",
            "/run/sysctl.d/**",
            "/usr/local/lib/sysctl.d/**",
            "/usr/lib/sysctl.d/**",
        ],
        "What files say that kernel parameters should be, sysctl.d(5). A link to `/dev/null` \
         masks files of its name. A line that says nothing is passed over, and told.",
    ),
    Read::of(
        &["/proc/sys/**"],
        "The live value of every parameter that such a file or an edition of the support policy \
         names. Parameters that are keys are left out, and those of a namespace that is not, or \
         may not be, the node's are not believed.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Sysctl(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Sysctl>, HostError> {
    const LIVE: &str = "/proc/sys/kernel";
    if !host.root.exists(LIVE)? {
        return Err(HostError::Missing { path: LIVE.to_owned() });
    }
    let files::Files { expected, passed_over } = files::read(&host.root)?;
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
    Ok(State::Present(Arc::new(Sysctl { settings, passed_over })))
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
    [Namespace::Network, Namespace::Ipc, Namespace::Pid, Namespace::Uts]
        .into_iter()
        .filter_map(|namespace| Some((namespace, host.foreign(namespace.link())?.to_string())))
        .collect()
}
