//! Checks of the units that components run as, the same for each of them. A unit that
//! crashes and is restarted is active whenever one looks between two crashes, so its
//! restarts are judged and not its state of the moment. Meaning of the properties:
//! org.freedesktop.systemd1(5), systemd.unit(5).

mod files;
mod runs;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts};
use crate::component::Component;
use crate::facts::{Containerd, Kubelet, Process, Unit, UnitState};
use crate::node::{History, NodeHistory};
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

pub(super) use files::with_cause;
pub(super) use runs::stands_for_down;

const PROPERTIES: &str =
    "https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html";
const DROP_INS: &str = "https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html";
const FREQUENT_RESTARTS: &str = "https://github.com/kubernetes/node-problem-detector/blob/master/config/systemd-monitor-counter.json";

/// A component that runs as a unit.
pub(super) trait InUnit: PartialEq + Sized + 'static {
    /// The component.
    const COMPONENT: Component;
    /// The unit's name.
    const UNIT: &'static str;
    /// Reasons of its checks.
    const REASONS: Reasons;
    /// Its facts over time.
    fn history(node: &NodeHistory) -> &History<Self>;
    /// What systemd said of the unit.
    fn unit(&self) -> &UnitState;
    /// The component's process, wherever it was started.
    fn process(&self) -> Option<&Process>;
    /// Whether the component matters on this node.
    fn matters(scope: &Scope) -> Result<(), Verdict>;
}

/// The reasons of a component's checks of its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reasons {
    failed: &'static str,
    restarting: &'static str,
    disabled: &'static str,
    stale: &'static str,
    drop_in: &'static str,
}

impl InUnit for Kubelet {
    const COMPONENT: Component = Component::Kubelet;
    const UNIT: &'static str = "kubelet.service";
    const REASONS: Reasons = Reasons {
        failed: "KubeletUnitFailed",
        restarting: "KubeletRestarting",
        disabled: "KubeletUnitDisabled",
        stale: "KubeletUnitStale",
        drop_in: "KubeletDropInAdded",
    };

    fn history(node: &NodeHistory) -> &History<Self> {
        &node.kubelet
    }

    fn unit(&self) -> &UnitState {
        &self.unit
    }

    fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    fn matters(_: &Scope) -> Result<(), Verdict> {
        Ok(())
    }
}

impl InUnit for Containerd {
    const COMPONENT: Component = Component::Containerd;
    const UNIT: &'static str = "containerd.service";
    const REASONS: Reasons = Reasons {
        failed: "ContainerdUnitFailed",
        restarting: "ContainerdRestarting",
        disabled: "ContainerdUnitDisabled",
        stale: "ContainerdUnitStale",
        drop_in: "ContainerdDropInAdded",
    };

    fn history(node: &NodeHistory) -> &History<Self> {
        &node.containerd
    }

    fn unit(&self) -> &UnitState {
        &self.unit
    }

    fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    fn matters(scope: &Scope) -> Result<(), Verdict> {
        match scope.platform {
            Platform::Plain => {
                Err(Verdict::not_applicable("plain machine: no kubelet needs a container runtime"))
            }
            Platform::Aks | Platform::Kubernetes | Platform::Unknown => Ok(()),
        }
    }
}

/// A check of the unit that cites the provider's duty to repair the component.
const fn check<T: InUnit>(
    reason: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: T::COMPONENT,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "automation, then provider; customer without a provider or for a change",
        summary,
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: PROPERTIES,
        judge,
    }
}

/// The unit has failed.
pub(super) const fn failed<T: InUnit>() -> Check {
    check::<T>(
        T::REASONS.failed,
        "The unit has failed and systemd does not restart it any more",
        runs::failed::<T>,
    )
}

/// The unit crashes and is restarted, again and again.
pub(super) const fn restarting<T: InUnit>() -> Check {
    Check {
        source: FREQUENT_RESTARTS,
        ..check::<T>(
            T::REASONS.restarting,
            "The unit was restarted five times or more within 20 minutes",
            runs::restarting::<T>,
        )
    }
}

/// The unit will not start with the node.
pub(super) const fn disabled<T: InUnit>() -> Check {
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        ..check::<T>(
            T::REASONS.disabled,
            "The unit is disabled, masked or cannot be loaded: it will not start with the node",
            files::disabled::<T>,
        )
    }
}

/// The unit runs with former files.
pub(super) const fn stale<T: InUnit>() -> Check {
    Check {
        severity: Severity::Warning,
        responsible: "customer",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        ..check::<T>(
            T::REASONS.stale,
            "Files of the unit were changed after it was started and are not in force",
            files::stale::<T>,
        )
    }
}

/// The unit was changed by a drop-in that the provider does not ship.
pub(super) const fn drop_in<T: InUnit>() -> Check {
    Check {
        severity: Severity::Information,
        responsible: "customer",
        policy: PolicyLink::Cites("daemonset-recommended"),
        source: DROP_INS,
        ..check::<T>(
            T::REASONS.drop_in,
            "A drop-in that the provider does not ship changes the unit",
            files::drop_in::<T>,
        )
    }
}

/// The unit, once it is settled that it is what the component runs as. None inside when
/// systemd does not hold it; then what its files say stands beside it.
struct Known<'a> {
    unit: Option<&'a Unit>,
    file_state: &'a str,
    since: Timestamp,
}

fn known<'a, T: InUnit>(history: &'a NodeHistory, scope: &Scope) -> Result<Known<'a>, Verdict> {
    let (component, since) = facts(T::history(history), "not installed")?;
    T::matters(scope)?;
    let known = match component.unit() {
        UnitState::NoSystemd => {
            return Err(Verdict::not_applicable("the host runs without systemd"));
        }
        UnitState::Unreadable { why } => {
            return Err(Verdict::unknown(
                format!("{} could not be read: {why}", T::UNIT),
                Vec::new(),
            ));
        }
        UnitState::NotLoaded { file_state } => Known { unit: None, file_state, since },
        UnitState::Loaded(unit) => Known { unit: Some(unit), file_state: &unit.file_state, since },
    };
    if component.process().is_some() && known.unit.is_none_or(|unit| unit.main_pid == 0) {
        return Err(Verdict::not_applicable(format!(
            "the {} that runs was not started by {}",
            T::COMPONENT,
            T::UNIT
        )));
    }
    let is_there = known.unit.is_some_and(|unit| unit.load_state != "not-found")
        || !known.file_state.is_empty()
        || known.unit.is_some_and(|unit| unit.main_pid != 0);
    if is_there {
        Ok(known)
    } else {
        Err(Verdict::not_applicable(format!("there is no {}", T::UNIT)))
    }
}

fn evidence<T: InUnit>(unit: &Unit, expected: &str) -> Evidence {
    let actual = format!(
        "{} ({}), Result={}, NRestarts={}",
        unit.active_state, unit.sub_state, unit.result, unit.restarts
    );
    Evidence::new(T::UNIT, actual, expected)
}

const fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}
