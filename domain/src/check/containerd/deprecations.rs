//! Uses of containerd that a coming version will not know. The runtime counts them itself
//! and says so in a condition, which is information and no fault.

use jiff::Timestamp;

use super::answers::condition;
use super::versions::upstream;
use super::{native, serving, since};
use crate::check::{Evidence, Scope, Verdict, verdict_or};
use crate::facts::{Containerd, CriAnswer};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// Where the list comes from.
const SOURCE: &str = "containerd.services.introspection.v1.Introspection/Server";

/// Since 1.6.29 and 1.7.14. It leaves out what the configuration says shall be ignored.
const CONDITION: &str = "ContainerdHasNoDeprecationWarnings";

/// Whether that containerd counts what it warns of: since 1.6.27 and 1.7.12.
fn counts(containerd: &Containerd) -> bool {
    let CriAnswer::Serving { version, .. } = &containerd.cri else {
        return false;
    };
    upstream(&version.version).is_none_or(|version| match version {
        [1, 6, patch] => patch >= 27,
        [1, 7, patch] => patch >= 12,
        newer => newer >= [2, 0, 0],
    })
}

/// What shows that deprecated features are used; nothing where none is, and none where
/// the runtime does not tell.
fn warnings(containerd: &Containerd) -> Option<Vec<Evidence>> {
    let condition = condition(&containerd.cri, CONDITION);
    if condition.is_some_and(|condition| condition.status) {
        return Some(Vec::new());
    }
    let server = containerd.replies.server.answered();
    let named: Vec<Evidence> = server
        .iter()
        .flat_map(|server| &server.deprecations)
        .map(|one| Evidence::new(SOURCE, format!("{}: {}", one.id, one.message), ""))
        .collect();
    match condition {
        Some(condition) if named.is_empty() => Some(vec![Evidence::new(
            &containerd.socket,
            format!("{CONDITION}=false, {}: {}", condition.reason, condition.message),
            "",
        )]),
        None if server.is_none() => None,
        _ => Some(named),
    }
}

pub(super) fn deprecations(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(serving(history, scope));
    verdict_or!(native(containerd));
    if !counts(containerd) {
        return Verdict::not_applicable("this version does not count what it warns of");
    }
    let Some(evidence) = warnings(containerd) else {
        let said = containerd.replies.server.to_string();
        let evidence = vec![Evidence::new(SOURCE, said, "a list")];
        return Verdict::unknown("containerd does not say what it warns of", evidence);
    };
    if evidence.is_empty() {
        return Verdict::pass(vec![Evidence::new(&containerd.socket, "no warning", "")]);
    }
    let warns = |seen: &Containerd| warnings(seen).is_some_and(|evidence| !evidence.is_empty());
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate {
            at: "/etc/containerd/config.toml, and who else uses the socket".to_owned(),
        },
        valid_until: None,
    };
    let message = "containerd warns of what it will not know for long";
    Verdict::fail(message, since(history, warns), turn, evidence)
}
