//! The cause of what is broken on a node: of the components that fail, those that no other
//! failing component explains. Which component stands on which is declared once, over
//! [`Component`], so that a new component does not compile before it says on what it stands.
//! Sources: what each program's own manual says that it needs, named beside its line.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answer::Finding;
use crate::check::{Evidence, Severity};
use crate::component::Component;
use crate::facts::files::component_of;
use crate::policy::{Policy, Standing};
use crate::responsibility::Responsible;

/// Collectors look one after the other, and weak probes are believed late: what has been seen
/// this much later may have come first.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// A change that was seen so long before a component broke is taken to have broken it.
const CHANGE_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// On what a component stands: what must be whole before it can be. Without what follows from
/// others: the kubelet needs the kernel because the runtime does.
#[must_use]
pub const fn depends_on(component: Component) -> &'static [Component] {
    use Component as C;
    match component {
        // The ground that others stand on, or what none of the others can break.
        C::OsRelease | C::NodeImage | C::Kernel | C::Packages => &[],
        // Modules are the kernel's.
        C::KernelModules => &[C::Kernel],
        // What waits for a reboot was changed by the package manager.
        C::Reboot => &[C::Packages],
        C::Sysctl => &[C::Kernel],
        // adjtimex(2) and the hardware clocks.
        C::TimeSync => &[C::Kernel],
        // What the log tells of, the kernel saw.
        C::SwapAndHugepages | C::KernelLog => &[C::Kernel],
        // A disk that fails is in the log before the file system on it gives up.
        C::Filesystem => &[C::KernelLog],
        // Who waits, waits for what others do; extensions come from outside of the node, and
        // so do people, their keys and their certificates.
        C::Pressure | C::Extensions | C::NodeAccess | C::Certificates => &[],
        // Files lie on a disk.
        C::Files => &[C::Filesystem],
        // Its unit is started by systemd.
        C::Docker => &[C::Systemd],
        // Limits are parameters.
        C::ProcessLimits => &[C::Sysctl],
        C::Conntrack => &[C::KernelModules, C::Sysctl],
        // Units are started from files, and write some.
        C::Systemd => &[C::Filesystem],
        // Drivers are modules.
        C::Network => &[C::KernelModules],
        // resolved is a unit, and a nameserver is reached over the network.
        C::Dns => &[C::Systemd, C::Network],
        // By name, over the network.
        C::Egress => &[C::Dns],
        // By name, over the network, with a certificate that holds by the clock.
        C::ApiServer => &[C::Dns, C::TimeSync],
        // A pod, which connects to the API server's side.
        C::Tunnel => &[C::Containerd, C::ApiServer],
        C::UpdateChannel => &[C::Systemd, C::Network],
        C::LinuxExtension => &[C::Systemd],
        // Plugins set up links and routes: on the node's own, with parameters such as ip_forward.
        C::Cni => &[C::Network, C::Sysctl],
        // Overlays and cgroups of the kernel, images on a disk; its network condition is the
        // plugin's; a task for each, and memory.
        C::Containerd => &[C::Cni, C::Filesystem, C::ProcessLimits, C::Pressure],
        // Containers are listed by the runtime.
        C::ManagedImages => &[C::Containerd],
        // Runs pods by the runtime, and shows certificates that hold by the clock.
        C::Kubelet => &[C::Containerd, C::TimeSync],
        // What the API server says of a node, its kubelet has told it, or has not.
        C::NodeObject => &[C::Kubelet],
        // Run by the kubelet; the pod network the runtime has below it.
        C::SystemPods => &[C::Kubelet],
        // A pod of the kubelet's on AKS, which does not serve before the API server answered.
        C::KubeProxy => &[C::Kubelet, C::ApiServer],
    }
}

/// Which component stands on which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    edges: BTreeMap<Component, BTreeSet<Component>>,
}

impl Graph {
    /// As it is declared.
    #[must_use]
    pub fn declared() -> Self {
        let edges = Component::ALL
            .into_iter()
            .map(|component| (component, depends_on(component).iter().copied().collect()))
            .collect();
        Self { edges }
    }

    /// Everything that a component stands on, over however many others.
    #[must_use]
    pub fn ground(&self, component: Component) -> BTreeSet<Component> {
        let mut ground = BTreeSet::new();
        let mut left = vec![component];
        while let Some(next) = left.pop() {
            for below in self.edges.get(&next).into_iter().flatten() {
                if ground.insert(*below) {
                    left.push(*below);
                }
            }
        }
        ground
    }
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The component says itself what is wrong.
    High,
    /// What came right before is taken for the cause.
    Medium,
    /// The order in which things were seen does not tell.
    Low,
}

impl Confidence {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A component that is broken, and that nothing else that is broken explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The component.
    pub component: Component,
    /// Since when it has been broken.
    pub since: Timestamp,
    /// What is wrong with it, the earliest first.
    pub findings: Vec<Finding>,
    /// The broken components that stand on it.
    pub explains: Vec<Component>,
    /// The customer's change that broke it; none where none is known.
    pub change: Option<Change>,
}

/// A change by the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What shows it.
    pub finding: Finding,
    /// How sure it is that it did.
    pub confidence: Confidence,
}

/// What is broken on a node, by its causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes {
    /// Independent of each other; those that explain most first, then the earliest.
    pub causes: Vec<Cause>,
    /// Findings that break nothing by themselves, as they stood.
    pub beside: Vec<Finding>,
}

/// Finds the causes among the findings of a node.
#[must_use]
pub fn causes(graph: &Graph, findings: &[Finding], policy: &Policy) -> Causes {
    let mut broken: BTreeMap<Component, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|one| one.severity == Severity::Critical) {
        broken.entry(finding.component).or_default().push(finding);
    }
    let since: BTreeMap<Component, Timestamp> = broken
        .iter()
        .filter_map(|(component, findings)| {
            Some((*component, findings.iter().map(|finding| finding.since).min()?))
        })
        .collect();
    // What broke later cannot have broken what was broken before.
    let explained_by = |component: Component| -> BTreeSet<Component> {
        let Some(own) = since.get(&component) else { return BTreeSet::new() };
        let latest = own.checked_add(SLACK).unwrap_or(Timestamp::MAX);
        graph
            .ground(component)
            .into_iter()
            .filter(|below| since.get(below).is_some_and(|since| *since <= latest))
            .collect()
    };
    let mut causes: Vec<Cause> = Vec::new();
    for (component, of_component) in &broken {
        if !explained_by(*component).is_empty() {
            continue;
        }
        let Some(since) = since.get(component).copied() else { continue };
        let mut own: Vec<Finding> = of_component.iter().map(|one| (*one).clone()).collect();
        own.sort_by(|a, b| (a.since, &a.reason).cmp(&(b.since, &b.reason)));
        let explains =
            broken.keys().copied().filter(|other| explained_by(*other).contains(component));
        causes.push(Cause {
            component: *component,
            since,
            findings: own,
            explains: explains.collect(),
            change: change(*component, since, findings, policy),
        });
    }
    causes.sort_by(|a, b| {
        (b.explains.len(), a.since, a.component).cmp(&(a.explains.len(), b.since, b.component))
    });
    let changes: BTreeSet<&str> = causes
        .iter()
        .filter_map(|cause| Some(cause.change.as_ref()?.finding.reason.as_str()))
        .collect();
    let beside = findings
        .iter()
        .filter(|one| one.severity != Severity::Critical && !changes.contains(one.reason.as_str()))
        .cloned()
        .collect();
    Causes { causes, beside }
}

/// Whether a finding is about a file that makes a component what it is.
fn is_about_files_of(finding: &Finding, component: Component) -> bool {
    let of = |evidence: &Evidence| component_of(&evidence.source) == Some(component);
    finding.component == Component::Files && finding.evidence.iter().any(of)
}

/// The customer's change of a component that is taken to have broken it: what breaks by a
/// change is whose the change is, whoever runs the component.
fn change(
    component: Component,
    broken_since: Timestamp,
    findings: &[Finding],
    policy: &Policy,
) -> Option<Change> {
    let is_about_changes = |finding: &&Finding| match policy.rule(&finding.policy_rule) {
        Standing::InForce(rule) => rule.is_about_changes,
        Standing::Lacking { .. } => false,
    };
    let earliest = broken_since.checked_sub(CHANGE_WINDOW).unwrap_or(Timestamp::MIN);
    let latest = broken_since.checked_add(SLACK).unwrap_or(Timestamp::MAX);
    findings
        .iter()
        .filter(|finding| finding.component == component || is_about_files_of(finding, component))
        .filter(|finding| finding.responsible == Responsible::Customer)
        .filter(is_about_changes)
        .filter_map(|finding| {
            let confidence = if finding.severity == Severity::Critical {
                Confidence::High
            } else if finding.since < broken_since && finding.since >= earliest {
                Confidence::Medium
            } else if finding.since >= broken_since && finding.since <= latest {
                Confidence::Low
            } else {
                return None;
            };
            Some(Change { finding: finding.clone(), confidence })
        })
        .min_by(|a, b| {
            (a.confidence, a.finding.severity, a.finding.since, &a.finding.reason).cmp(&(
                b.confidence,
                b.finding.severity,
                b.finding.since,
                &b.finding.reason,
            ))
        })
}

#[cfg(test)]
mod tests;
