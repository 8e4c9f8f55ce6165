//! The service manager itself and the units that stand out, over the same bus as single units.
//! Of services that run, how often systemd restarted them and whether their files were changed
//! is asked one by one; of others nothing. Interfaces: org.freedesktop.systemd1(5).

use nodeward_domain::facts::{RemarkableUnit, SystemManager};
use zbus::{OwnedObjectPath, fdo};

use super::{BOOTED, Bus, LIMIT, MANAGER, SERVICE, SystemdError, UNIT};
use crate::host::HostRoot;

/// The manager's own object.
const OBJECT: &str = "/org/freedesktop/systemd1";

/// What is asked, as a place.
pub(in crate::probe) const PLACE: &str = "org.freedesktop.systemd1";

/// So many services are asked about, and so many units are named: far more than a node has.
const ASKED: usize = 512;
const NAMED: usize = 64;

/// Kinds of units, each with the interface that has its `Result`. Slices and scopes are made
/// for processes of others, such as pods, and end with them.
const KINDS: [(&str, &str); 8] = [
    ("automount", "org.freedesktop.systemd1.Automount"),
    ("mount", "org.freedesktop.systemd1.Mount"),
    ("path", "org.freedesktop.systemd1.Path"),
    ("service", SERVICE),
    ("socket", "org.freedesktop.systemd1.Socket"),
    ("swap", "org.freedesktop.systemd1.Swap"),
    ("target", ""),
    ("timer", "org.freedesktop.systemd1.Timer"),
];

/// Mounts that the kubelet and the runtime make for pods and take away again.
const OF_PODS: [&str; 3] = ["run-containerd-", "run-netns-", "var-lib-kubelet-"];

/// A unit of `ListUnitsByPatterns`: name, description, load state, active state, sub state,
/// followed unit, path, and the job that waits for it.
type Listed =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// What systemd says of itself and of the units that stand out; none when systemd is not what
/// runs the host.
pub(in crate::probe) fn ask(
    runtime: &tokio::runtime::Handle,
    root: &HostRoot,
) -> Result<Option<SystemManager>, String> {
    match root.exists(BOOTED) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(error) => return Err(SystemdError::from(error).to_string()),
    }
    let asked = runtime.block_on(async {
        let asked = tokio::time::timeout(LIMIT, manager(root));
        asked.await.unwrap_or(Err(SystemdError::TimedOut(LIMIT)))
    });
    asked.map(Some).map_err(|error| error.to_string())
}

async fn manager(root: &HostRoot) -> Result<SystemManager, SystemdError> {
    let bus = Bus::connect(root).await?;
    let patterns = KINDS.map(|(kind, _)| format!("*.{kind}"));
    let failed = bus.list(&["failed"], &patterns).await?;
    let states = ["active", "activating", "deactivating", "reloading"];
    let services = bus.list(&states, &["*.service".to_owned()]).await?;
    let is_of_pods = |name: &str| OF_PODS.iter().any(|start| name.starts_with(start));
    let mut units = Vec::new();
    for listed in failed.into_iter().filter(|listed| !is_of_pods(&listed.0)).take(ASKED) {
        units.extend(bus.remarkable(listed).await?);
    }
    // One that has done its work does not come back by itself.
    let running = services.into_iter().filter(|listed| listed.4 != "exited");
    for listed in running.take(ASKED) {
        units.extend(bus.remarkable(listed).await?);
    }
    let left_out = bounded(&mut units);
    Ok(SystemManager {
        version: bus.property(OBJECT, MANAGER, "Version").await?,
        system_state: bus.property(OBJECT, MANAGER, "SystemState").await?,
        units,
        left_out,
    })
}

/// Keeps so many as are named, those that have failed before those that were restarted, sorts
/// them, and tells how many were left out.
fn bounded(units: &mut Vec<RemarkableUnit>) -> u32 {
    units.sort_by(|a, b| {
        let weight = |unit: &RemarkableUnit| (!unit.has_failed(), unit.restarts == 0);
        weight(a).cmp(&weight(b)).then_with(|| a.name.cmp(&b.name))
    });
    // A unit may have failed between the two lists.
    units.dedup_by(|a, b| a.name == b.name);
    let left_out = units.len().saturating_sub(NAMED);
    units.truncate(NAMED);
    units.sort_by(|a, b| a.name.cmp(&b.name));
    units.dedup_by(|a, b| a.name == b.name);
    u32::try_from(left_out).unwrap_or(u32::MAX)
}

impl Bus {
    /// Units in these states, of these patterns of names, that systemd holds in memory.
    async fn list(&self, states: &[&str], patterns: &[String]) -> zbus::Result<Vec<Listed>> {
        let method = "ListUnitsByPatterns";
        let answer = self.call(OBJECT, MANAGER, method, &(states, patterns)).await?;
        answer.body().deserialize()
    }

    /// A unit, if anything about it stands out. One that is gone by now does not.
    async fn remarkable(&self, listed: Listed) -> Result<Option<RemarkableUnit>, SystemdError> {
        match self.looked_at(listed).await {
            Ok(unit) => {
                let stands_out = unit.has_failed() || unit.restarts > 0 || unit.needs_daemon_reload;
                Ok(stands_out.then_some(unit))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn looked_at(&self, listed: Listed) -> zbus::Result<RemarkableUnit> {
        let (name, _, _, active_state, sub_state, _, path, ..) = listed;
        let path = path.as_str();
        let kind = name.rsplit('.').next().unwrap_or_default();
        let mut unit = RemarkableUnit {
            active_state,
            sub_state,
            needs_daemon_reload: self.property(path, UNIT, "NeedDaemonReload").await?,
            ..RemarkableUnit::default()
        };
        if kind == "service" {
            unit.restarts = self.property(path, SERVICE, "NRestarts").await?;
        }
        if unit.has_failed() || unit.restarts > 0 || unit.needs_daemon_reload {
            let interface = KINDS.iter().find(|(one, _)| *one == kind).map(|(_, name)| *name);
            if let Some(interface) = interface.filter(|interface| !interface.is_empty()) {
                unit.result = self.property(path, interface, "Result").await?;
            }
            if kind == "service" {
                let started = "ExecMainStartTimestampMonotonic";
                unit.main_started_microseconds_after_boot =
                    self.property(path, SERVICE, started).await?;
            }
            unit.path = self.property(path, UNIT, "FragmentPath").await?;
        }
        unit.name = name;
        Ok(unit)
    }
}

/// Whether systemd has let go of the unit since it was listed.
fn is_gone(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(error) => {
            matches!(**error, fdo::Error::UnknownObject(_) | fdo::Error::UnknownInterface(_))
        }
        zbus::Error::MethodError(name, ..) => *name == super::NO_SUCH_UNIT,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_failed_are_named_before_those_that_were_restarted() {
        let unit = |name: String, state: &str, restarts| RemarkableUnit {
            name,
            active_state: state.to_owned(),
            restarts,
            ..RemarkableUnit::default()
        };
        let stale = (0..40).map(|n| unit(format!("a{n:02}.service"), "active", 0));
        let restarted = (0..40).map(|n| unit(format!("b{n:02}.service"), "active", 3));
        let failed = (0..40).map(|n| unit(format!("c{n:02}.service"), "failed", 0));
        let mut units: Vec<RemarkableUnit> = stale.chain(restarted).chain(failed).collect();
        assert_eq!(bounded(&mut units), 120 - u32::try_from(NAMED).expect("small"));
        assert_eq!(units.iter().filter(|unit| unit.has_failed()).count(), 40);
        assert_eq!(units.iter().filter(|unit| unit.restarts > 0).count(), NAMED - 40);
        assert!(units.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(bounded(&mut vec![unit("d".to_owned(), "failed", 0)]), 0);
    }
}
