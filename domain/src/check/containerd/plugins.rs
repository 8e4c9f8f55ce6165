//! Parts of containerd that have not started. Some never do on a healthy node, because
//! its system does not offer what they need; only those that pods need count.

use jiff::Timestamp;

use super::{JOURNAL, behind, native, owner, runtime, with_action};
use crate::check::{Evidence, Scope, Verdict, confirmed, verdict_or};
use crate::facts::containerd::{FailedPlugin, Reply};
use crate::facts::{Containerd, CriAnswer};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, turn_for_broken_component};

/// Where the list comes from.
const SOURCE: &str = "containerd.services.introspection.v1.Introspection/Plugins";

/// Types of which every plugin is needed: the two halves of CRI in 2.x, the runtime that
/// starts containers, the stores of images and of everything else.
const NEEDED: [&str; 4] = [
    "io.containerd.content.v1",
    "io.containerd.cri.v1",
    "io.containerd.metadata.v1",
    "io.containerd.runtime.v2",
];

const SNAPSHOTTERS: &str = "io.containerd.snapshotter.v1";

/// Whether this is the plugin that serves CRI, or one of its halves in 2.x.
fn is_cri(plugin: &FailedPlugin) -> bool {
    plugin.kind == "io.containerd.cri.v1"
        || (plugin.kind == "io.containerd.grpc.v1" && plugin.id == "cri")
}

/// Whether images lie in the folder of that snapshotter.
fn is_in_use(plugin: &FailedPlugin, containerd: &Containerd) -> bool {
    let stores = containerd.replies.image_fs_info.answered();
    let folder_name = format!("{SNAPSHOTTERS}.{}", plugin.id);
    stores.is_some_and(|stores| {
        stores.folders.iter().any(|folder| {
            *folder == plugin.folder || folder.rsplit('/').next() == Some(&folder_name)
        })
    })
}

/// The plugins that pods need and that have not started.
fn failed_ones(containerd: &Containerd) -> Vec<&FailedPlugin> {
    let plugins = containerd.replies.plugins.answered();
    plugins
        .iter()
        .flat_map(|plugins| &plugins.failed)
        .filter(|plugin| {
            is_cri(plugin)
                || NEEDED.contains(&plugin.kind.as_str())
                || (plugin.kind == SNAPSHOTTERS && is_in_use(plugin, containerd))
        })
        .collect()
}

/// Whether CRI is not served because its plugin has not started, rather than because a
/// configuration disables it: a disabled plugin is not listed at all.
pub(super) fn explain_missing_cri(containerd: &Containerd) -> bool {
    matches!(containerd.cri, CriAnswer::Unimplemented { .. })
        && failed_ones(containerd).into_iter().any(is_cri)
}

pub(super) fn failed(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    let failed = failed_ones(containerd);
    if failed.is_empty() {
        return none_failed(containerd);
    }
    let evidence: Vec<Evidence> = failed
        .iter()
        .map(|plugin| {
            let actual = format!("{}/{}: {}", plugin.kind, plugin.id, plugin.message);
            Evidence::new(SOURCE, actual, "started")
        })
        .collect();
    let holding = history.containerd.holding(|seen| !failed_ones(seen).is_empty());
    let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
    let turn = turn_for_broken_component(scope.platform, policy, since, now, "containerd.service");
    let names: Vec<String> =
        failed.iter().map(|plugin| format!("{}/{}", plugin.kind, plugin.id)).collect();
    let message = format!("not started: {}", names.join(", "));
    with_action(Verdict::fail(message, since, turn, evidence), scope, || Action::Investigate {
        at: format!("/etc/containerd/config.toml and {JOURNAL}"),
    })
}

fn none_failed(containerd: &Containerd) -> Verdict {
    let plugins = match &containerd.replies.plugins {
        Reply::Answered(plugins) => plugins,
        // A socket on which nothing is answered has a check of its own.
        unanswered => {
            return match (native(containerd), owner(containerd)) {
                (Err(verdict), _) => verdict,
                (Ok(()), Some(owner)) => behind(owner),
                (Ok(()), None) => Verdict::unknown(
                    "the plugins of containerd could not be listed",
                    vec![Evidence::new(SOURCE, unanswered.to_string(), "a list")],
                ),
            };
        }
    };
    let mut actual = format!("{} started", plugins.started);
    if !plugins.failed.is_empty() {
        let names: Vec<&str> = plugins.failed.iter().map(|plugin| plugin.id.as_str()).collect();
        actual.push_str(&format!("; not started and not needed: {}", names.join(", ")));
    }
    Verdict::pass(vec![Evidence::new(SOURCE, actual, "")])
}
