//! Checks of `linux_extension`: are the provider's own tools there, and do those run that
//! should. What node-problem-detector finds stands in the API server.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{LinuxExtension, LinuxTool, ToolUnit};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const FAQ: &str = "https://learn.microsoft.com/azure/aks/faq";

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "LinuxExtensionToolMissing",
        component: Component::LinuxExtension,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "unknown",
        summary: "A tool that the provider puts onto every node is not there",
        policy: PolicyLink::Cites("linux-extension-tools"),
        source: FAQ,
        judge: missing,
    },
    Check {
        reason: "LinuxExtensionToolDown",
        component: Component::LinuxExtension,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "provider; customer where it was switched off",
        summary: "A tool that the provider puts onto every node does not run",
        policy: PolicyLink::Cites("linux-extension-tools"),
        source: FAQ,
        judge: down,
    },
];

/// The tools; on a provider's node without any trace of them, none.
fn known<'a>(
    history: &'a NodeHistory,
    scope: &Scope,
) -> Result<(Option<&'a LinuxExtension>, Timestamp), Verdict> {
    of_a_provider(scope, "puts tools onto it")?;
    match history.linux_extension.newest() {
        Some(run) if matches!(run.last.state, State::Absent) => Ok((None, run.first_observed_at)),
        _ => facts(&history.linux_extension, "none of its tools")
            .map(|(tools, since)| (Some(tools), since)),
    }
}

/// Packages that bring the tools, where they come by one.
const PACKAGES: [(&str, &str); 3] = [
    ("ig", "ig"),
    ("node-exporter", "node-exporter-kubernetes"),
    ("node-problem-detector", "node-problem-detector-kubernetes"),
];

/// Which version of a tool is there, as far as the package database tells.
fn version(history: &NodeHistory, tool: &LinuxTool) -> String {
    let package = PACKAGES.iter().find(|(name, _)| *name == tool.name).and_then(|(_, package)| {
        let packages = history.packages.present()?;
        packages.installed.iter().find(|installed| installed.name == *package)
    });
    match package {
        Some(package) => format!("{} {}", package.name, package.version),
        None => "there, in a version that no package tells".to_owned(),
    }
}

fn missing(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (tools, since) = verdict_or!(known(history, scope));
    let all = tools.map_or(&[][..], |tools| tools.tools.as_slice());
    let gone: Vec<&LinuxTool> = all.iter().filter(|tool| !tool.is_there()).collect();
    if tools.is_some() && gone.is_empty() {
        let there = all.iter().map(|tool| {
            let place = if tool.program.is_empty() { &tool.name } else { &tool.program };
            Evidence::new(place, version(history, tool), "")
        });
        return Verdict::pass(there.collect());
    }
    // A unit that could not be seen may be all that there is of one.
    if let Some(ToolUnit::Unreadable(why)) =
        gone.iter().map(|tool| &tool.unit).find(|unit| matches!(unit, ToolUnit::Unreadable(_)))
    {
        return Verdict::unknown(why, Vec::new());
    }
    let message = match gone.as_slice() {
        [] => format!("none of the tools is there that {} puts onto its nodes", policy.provider),
        [tool] => format!("{} is not there", tool.name),
        more => {
            let names: Vec<&str> = more.iter().map(|tool| tool.name.as_str()).collect();
            format!("{} are not there", names.join(" and "))
        }
    };
    let evidence =
        gone.iter().map(|tool| Evidence::new(&tool.name, "no program, unit or mark", "one"));
    let missing = "whether the provider's extension was kept from the node".to_owned();
    let turn = Turn {
        responsible: Responsible::Unknown { missing },
        action: Action::Investigate {
            at: "the state of the node pool: in a failed one the extension is not brought"
                .to_owned(),
        },
        valid_until: None,
    };
    Verdict::fail(message, since, turn, evidence.collect())
}

fn down(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (tools, _) = verdict_or!(known(history, scope));
    let Some(tools) = tools else {
        return Verdict::not_applicable("none of the tools is there");
    };
    let mut evidence = Vec::new();
    let mut down = Vec::new();
    for tool in &tools.tools {
        match &tool.unit {
            ToolUnit::OnDemand | ToolUnit::NotThere => {}
            ToolUnit::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
            ToolUnit::There { name, state, result, file_state } => {
                let actual = format!("{state}, Result={result}, UnitFileState={file_state}");
                evidence.push(Evidence::new(name, actual, "active"));
                // One that starts, or is being started anew, counts as running until it fails.
                if ["failed", "inactive", "not loaded"].iter().any(|bad| state.starts_with(bad)) {
                    down.push((tool, name, state, file_state));
                }
            }
        }
    }
    let Some((_, name, state, file_state)) = down.first().copied() else {
        return match evidence.is_empty() {
            true => Verdict::not_applicable("no tool that runs by itself is there"),
            false => Verdict::pass(evidence),
        };
    };
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let message = match down.len() {
        1 => format!("{name} is {state}"),
        more => format!("{more} of the provider's tools do not run"),
    };
    // One that has failed by itself is the provider's; one that was switched off is not.
    let is_enabled = matches!(file_state.as_str(), "enabled" | "enabled-runtime" | "static");
    let turn = match state.starts_with("failed") || is_enabled {
        true => {
            Turn { responsible: Responsible::Provider, action: Action::Ticket, valid_until: None }
        }
        false => {
            Turn { responsible: Responsible::Customer, action: Action::Reimage, valid_until: None }
        }
    };
    Verdict::fail(message, since, turn, evidence)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::ComponentState;
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    fn judged(reason: &str, platform: Platform, state: State<LinuxExtension>) -> Outcome {
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
        history.observe(ComponentState::LinuxExtension(state), at, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
        (find(reason).expect("a check").judge)(&history, &scope, &policy, at).outcome
    }

    fn tool(program: &str, unit: ToolUnit) -> State<LinuxExtension> {
        State::Present(Arc::new(LinuxExtension {
            tools: vec![LinuxTool {
                name: "node-exporter".to_owned(),
                program: program.to_owned(),
                skip_mark: String::new(),
                unit,
            }],
        }))
    }

    #[test]
    fn a_tool_that_is_not_there_is_missing_only_where_a_provider_brings_it() {
        let missing = |platform, state| judged("LinuxExtensionToolMissing", platform, state);
        assert!(matches!(missing(Platform::Aks, State::Absent), Outcome::Fail { .. }));
        assert!(matches!(missing(Platform::Plain, State::Absent), Outcome::NotApplicable(_)));
        let none = tool("", ToolUnit::NotThere);
        assert!(matches!(missing(Platform::Aks, none), Outcome::Fail { .. }));
        let unseen = tool("", ToolUnit::Unreadable("EACCES".to_owned()));
        assert!(matches!(missing(Platform::Aks, unseen), Outcome::Unknown(_)));
        let there = tool("/opt/bin/node-exporter", ToolUnit::NotThere);
        assert_eq!(missing(Platform::Aks, there), Outcome::Pass);
    }

    #[test]
    fn a_tool_that_does_not_run_must_be_seen_so_three_times() {
        let unit = |state: &str| ToolUnit::There {
            name: "node-exporter.service".to_owned(),
            state: state.to_owned(),
            result: "success".to_owned(),
            file_state: "enabled".to_owned(),
        };
        let down = |state| {
            let tool = tool("/opt/bin/node-exporter", unit(state));
            judged("LinuxExtensionToolDown", Platform::Aks, tool)
        };
        assert_eq!(down("active (running)"), Outcome::Pass);
        assert_eq!(down("activating (auto-restart)"), Outcome::Pass);
        assert!(matches!(down("inactive (dead)"), Outcome::Confirming { .. }));
        let ig = judged(
            "LinuxExtensionToolDown",
            Platform::Aks,
            tool("/usr/bin/ig", ToolUnit::OnDemand),
        );
        assert!(matches!(ig, Outcome::NotApplicable(_)), "{ig:?}");
    }
}
