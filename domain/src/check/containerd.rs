//! Checks of `containerd`: each failure shape of the runtime is a check of its own,
//! because each asks for something else. Facts about the shapes: the CRI v1 API and
//! containerd's answers when killed, stopped, without CRI plugin and without network.

mod answers;
mod cgroups;
mod deprecations;
mod limits;
mod plugins;
mod restarts;
mod store;
#[cfg(test)]
mod tests;
mod versions;

use jiff::Timestamp;

use super::{Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, unit};
use crate::component::Component;
use crate::facts::{Containerd, CriAnswer};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::Action;

const CRI_API: &str =
    "https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto";

const INTROSPECTION_API: &str = "https://github.com/containerd/containerd/blob/main/api/services/introspection/v1/introspection.proto";

const PROC: &str = "https://manpages.debian.org/bookworm/manpages/proc.5.en.html";

/// What containerd calls itself. On the socket another runtime may answer, which has
/// none of containerd's own services.
const NAME: &str = "containerd";

/// A check of containerd that cites the provider's duty to repair it.
const fn check(
    reason: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Containerd,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "automation, then provider; customer without a provider",
        summary,
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: CRI_API,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check("ContainerdDown", "Nobody listens on the container runtime's socket", answers::down),
    check(
        "ContainerdHung",
        "The container runtime accepts connections and does not answer",
        answers::hung,
    ),
    check(
        "CriDisabled",
        "containerd runs without serving the CRI v1 that the kubelet needs",
        answers::cri_disabled,
    ),
    check(
        "CriFailing",
        "The container runtime answers CRI calls with errors",
        answers::cri_failing,
    ),
    Check {
        source: INTROSPECTION_API,
        ..check(
            "PluginFailed",
            "A part of containerd that pods need has not started",
            plugins::failed,
        )
    },
    check(
        "RuntimeNotReady",
        "The container runtime says that it is not ready",
        answers::runtime_not_ready,
    ),
    check(
        "PodNetworkNotReady",
        "The container runtime has no working pod network",
        answers::network_not_ready,
    ),
    check(
        "SandboxListFailing",
        "The container runtime answers and cannot list its pod sandboxes",
        store::sandbox_list_failing,
    ),
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::None,
        ..check(
            "RuntimeSlow",
            "The container runtime takes longer than a second for calls that do nothing",
            store::slow,
        )
    },
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::None,
        source: PROC,
        ..check(
            "ContainerdRestartPending",
            "The containerd on disk is not the one that runs; a restart is pending",
            restarts::restart_pending,
        )
    },
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        ..check(
            "ContainerdNotAsPackaged",
            "The containerd that runs is of another version than its package",
            versions::not_as_packaged,
        )
    },
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::Cites("custom-node-configuration"),
        source: "https://learn.microsoft.com/azure/aks/custom-node-configuration",
        ..check(
            "ContainerdFileLimitLow",
            "containerd, and what it starts, may have fewer files open than the provider sets",
            limits::open_files,
        )
    },
    Check {
        severity: Severity::Information,
        responsible: "customer",
        policy: PolicyLink::None,
        source: "https://github.com/containerd/containerd/blob/main/RELEASES.md#deprecated-features",
        ..check(
            "ContainerdDeprecations",
            "containerd is used in ways that a coming version will not know",
            deprecations::deprecations,
        )
    },
    cgroups::MISMATCH,
    unit::failed::<Containerd>(),
    Check { judge: restarts::restarting, ..unit::restarting::<Containerd>() },
    unit::disabled::<Containerd>(),
    unit::stale::<Containerd>(),
    unit::drop_in::<Containerd>(),
];

/// What a judge of this list needs: the facts, once it is settled that they matter.
fn runtime<'a>(history: &'a NodeHistory, scope: &Scope) -> Result<&'a Containerd, Verdict> {
    let absent = match scope.platform {
        Platform::Aks | Platform::Kubernetes => {
            "no trace of containerd; another runtime may serve this node"
        }
        Platform::Plain | Platform::Unknown => "containerd is not installed",
    };
    let (containerd, _) = facts(&history.containerd, absent)?;
    // Docker's packages ship containerd with its CRI plugin disabled, and run a second one
    // on a socket of its own: none of that is a fault where nothing asks for CRI.
    if scope.platform == Platform::Plain {
        return Err(Verdict::not_applicable("plain machine: no kubelet needs a container runtime"));
    }
    if let Some(endpoint) = another_endpoint(history, containerd) {
        return Err(Verdict::not_applicable(format!(
            "the kubelet uses {endpoint}, see ContainerdDown"
        )));
    }
    if let CriAnswer::NotAsked { why } = &containerd.cri {
        return Err(Verdict::unknown(format!("the runtime was not asked: {why}"), Vec::new()));
    }
    Ok(containerd)
}

/// The endpoint of the kubelet's runtime, if it is not the socket that was asked: then
/// what was heard on that says nothing about the node's pods.
fn another_endpoint<'a>(history: &'a NodeHistory, containerd: &Containerd) -> Option<&'a str> {
    let (kubelet, _) = facts(&history.kubelet, "").ok()?;
    kubelet.process.as_ref()?;
    let endpoint = kubelet.configuration.setting("containerRuntimeEndpoint")?.effective();
    let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
    // /var/run is a link to /run wherever systemd runs.
    let plain = |path: &'a str| path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/"));
    let asked = containerd.socket.strip_prefix("unix://").unwrap_or(&containerd.socket);
    let is_asked = path == asked
        || plain(path).is_some_and(|path| path == asked)
        || asked.strip_prefix("/var").is_some_and(|asked| path == asked);
    (!is_asked && !path.is_empty()).then_some(endpoint)
}

fn evidence(containerd: &Containerd, expected: &str) -> Vec<Evidence> {
    vec![Evidence::new(&containerd.socket, containerd.cri.to_string(), expected)]
}

/// The check that stands for what lies behind a broken answer; none for one that lets
/// further ones be asked. What cannot be seen behind it is not counted as unknown once
/// more.
fn owner(containerd: &Containerd) -> Option<&'static str> {
    match containerd.cri {
        CriAnswer::NoSocket | CriAnswer::Refused => Some("ContainerdDown"),
        CriAnswer::TimedOut { .. } => Some("ContainerdHung"),
        CriAnswer::Unimplemented { .. } if plugins::explain_missing_cri(containerd) => {
            Some("PluginFailed")
        }
        CriAnswer::Unimplemented { .. } => Some("CriDisabled"),
        CriAnswer::Failed { .. } => Some("CriFailing"),
        CriAnswer::Serving { .. } | CriAnswer::NotAsked { .. } => None,
    }
}

/// What a judge needs of which the question begins where CRI is served.
fn serving<'a>(history: &'a NodeHistory, scope: &Scope) -> Result<&'a Containerd, Verdict> {
    let containerd = runtime(history, scope)?;
    match owner(containerd) {
        Some(owner) => Err(behind(owner)),
        None => Ok(containerd),
    }
}

fn behind(owner: &str) -> Verdict {
    Verdict::not_applicable(format!("the runtime did not get that far, see {owner}"))
}

/// Some questions are about containerd alone.
fn native(containerd: &Containerd) -> Result<(), Verdict> {
    match &containerd.cri {
        CriAnswer::Serving { version, .. } if version.name != NAME => {
            Err(Verdict::not_applicable(format!("the runtime is {}", version.name)))
        }
        _ => Ok(()),
    }
}

/// Since when something that holds now, and needs no confirmation, has held.
fn since(history: &NodeHistory, holds: impl Fn(&Containerd) -> bool) -> Timestamp {
    let newest = || history.containerd.newest().map(|run| run.first_observed_at);
    history.containerd.holding(holds).since.or_else(newest).unwrap_or(Timestamp::MIN)
}

/// Replaces the operator's restart by what really helps; a provider's turn stays.
fn with_action(mut verdict: Verdict, scope: &Scope, action: impl Fn() -> Action) -> Verdict {
    if scope.platform != Platform::Aks
        && let super::Outcome::Fail { action: chosen, .. } = &mut verdict.outcome
    {
        *chosen = action();
    }
    verdict
}

/// Where the log of containerd is found.
const JOURNAL: &str = "journalctl -u containerd.service";
