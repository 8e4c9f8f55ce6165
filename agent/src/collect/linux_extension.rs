//! Collects `linux_extension`: programs, units and marks of the tools that AKS puts onto its
//! nodes beside Kubernetes. On other machines nobody puts them there.

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, LinuxExtension, LinuxTool, ToolUnit, UnitState};
use nodeward_domain::observed::State;

use super::time_sync::units;
use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::reads::Read;

/// One tool, and where it is looked for.
struct Tool {
    name: &'static str,
    programs: [&'static str; 3],
    skip_mark: &'static str,
    /// None for one that runs when somebody calls it.
    unit: Option<&'static str>,
}

/// The tools, by name.
const TOOLS: [Tool; 3] = [
    Tool {
        name: "ig",
        programs: ["/usr/bin/ig", "/usr/local/bin/ig", "/opt/bin/ig"],
        skip_mark: "/etc/ig.d/skip_vhd_ig",
        unit: None,
    },
    Tool {
        name: "node-exporter",
        programs: [
            "/opt/bin/node-exporter",
            "/usr/bin/node-exporter",
            "/usr/local/bin/node-exporter",
        ],
        skip_mark: "/etc/node-exporter.d/skip_vhd_node_exporter",
        unit: Some("node-exporter.service"),
    },
    Tool {
        name: "node-problem-detector",
        programs: [
            "/usr/bin/node-problem-detector",
            "/usr/local/bin/node-problem-detector",
            "/opt/bin/node-problem-detector",
        ],
        skip_mark: "/etc/node-problem-detector.d/skip_vhd_npd",
        unit: Some("node-problem-detector.service"),
    },
];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/run/systemd/system", "/run/dbus/system_bus_socket"],
        "As for other units: systemd is asked over its bus.",
    ),
    Read::of(
        &[
            "org.freedesktop.systemd1/node-exporter.service",
            "org.freedesktop.systemd1/node-problem-detector.service",
        ],
        "The properties that are asked of every unit; what is kept of them is LoadState, \
         ActiveState, SubState, Result and UnitFileState.",
    ),
    Read::of(
        &[
            "/etc/systemd/system/**",
            "/run/systemd/**",
            "/usr/local/lib/systemd/system/**",
            "/usr/lib/systemd/system/**",
            "/lib/systemd/system/**",
        ],
        "Whether the units are there, wanted by another unit, or masked.",
    ),
    Read::of(
        &[
            "/usr/bin/ig",
            "/usr/local/bin/ig",
            "/opt/bin/ig",
            "/opt/bin/node-exporter",
            "/usr/bin/node-exporter",
            "/usr/local/bin/node-exporter",
            "/usr/bin/node-problem-detector",
            "/usr/local/bin/node-problem-detector",
            "/opt/bin/node-problem-detector",
        ],
        "Whether the program is there. None is started.",
    ),
    Read::of(
        &[
            "/etc/ig.d/skip_vhd_ig",
            "/etc/node-exporter.d/skip_vhd_node_exporter",
            "/etc/node-problem-detector.d/skip_vhd_npd",
        ],
        "Whether it is there: then the image brought the tool, and the extension leaves it alone.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::LinuxExtension(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<LinuxExtension>, HostError> {
    let mut tools = Vec::with_capacity(TOOLS.len());
    for tool in TOOLS {
        let first = |found: Vec<String>| found.into_iter().next().unwrap_or_default();
        tools.push(LinuxTool {
            name: tool.name.to_owned(),
            program: first(host.root.existing(&tool.programs)?),
            skip_mark: first(host.root.existing(&[tool.skip_mark])?),
            unit: ToolUnit::OnDemand,
        });
    }
    let wanted = units::wanted(&host.root)?;
    let names: Vec<&str> = TOOLS.iter().filter_map(|tool| tool.unit).collect();
    let mut units = host.probes.units(&host.root, &names).into_iter();
    for (tool, name) in tools.iter_mut().zip(TOOLS.iter().map(|tool| tool.unit)) {
        if let Some((name, unit)) = name.zip(name.and_then(|_| units.next())) {
            let file = units::of(&host.root, &[name], &wanted)?;
            tool.unit = match (seen(name, unit), file) {
                (ToolUnit::NotThere, Some(file)) => not_loaded(name, file.state.word()),
                (seen, _) => seen,
            };
        }
    }
    let is_there = tools.iter().any(LinuxTool::is_there);
    let is_known = !tools.iter().any(|tool| matches!(tool.unit, ToolUnit::Unreadable(_)));
    // Units are a trace too: while they cannot be seen, it is not said that there is none.
    if !is_there && is_known {
        return Ok(State::Absent);
    }
    Ok(State::Present(Arc::new(LinuxExtension { tools })))
}

fn not_loaded(name: &str, file_state: &str) -> ToolUnit {
    ToolUnit::There {
        name: name.to_owned(),
        state: "not loaded".to_owned(),
        result: String::new(),
        file_state: file_state.to_owned(),
    }
}

fn seen(name: &str, unit: UnitState) -> ToolUnit {
    match unit {
        UnitState::NoSystemd => ToolUnit::NotThere,
        UnitState::Unreadable { why } => ToolUnit::Unreadable(why),
        UnitState::NotLoaded { file_state } if file_state.is_empty() => ToolUnit::NotThere,
        UnitState::NotLoaded { file_state } => not_loaded(name, &file_state),
        UnitState::Loaded(unit) if unit.load_state == "not-found" => ToolUnit::NotThere,
        UnitState::Loaded(unit) => ToolUnit::There {
            name: name.to_owned(),
            state: format!("{} ({})", unit.active_state, unit.sub_state),
            result: unit.result,
            file_state: unit.file_state,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_files_is_not_there() {
        let unit = |load_state: &str| {
            let unit = nodeward_domain::facts::Unit {
                load_state: load_state.to_owned(),
                active_state: "active".to_owned(),
                sub_state: "running".to_owned(),
                ..Default::default()
            };
            seen("a.service", UnitState::Loaded(Box::new(unit)))
        };
        assert_eq!(unit("not-found"), ToolUnit::NotThere);
        assert!(
            matches!(unit("loaded"), ToolUnit::There { state, .. } if state == "active (running)")
        );
        let not_loaded = |file_state: &str| {
            seen("a.service", UnitState::NotLoaded { file_state: file_state.to_owned() })
        };
        assert_eq!(not_loaded(""), ToolUnit::NotThere);
        assert!(matches!(not_loaded("disabled"), ToolUnit::There { .. }));
        let unread = seen("a.service", UnitState::Unreadable { why: "EACCES".to_owned() });
        assert_eq!(unread, ToolUnit::Unreadable("EACCES".to_owned()));
    }
}
