//! Checks of `tunnel`: do the agents of the API server's tunnel that were put onto this node
//! run, and are they connected. They run on some of the nodes: where there is none the
//! question has no meaning, and says nothing about the cluster.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::{Tunnel, TunnelAgent, TunnelConnections};
use crate::node::{Holding, NodeHistory};
use crate::policy::Policy;
use crate::responsibility::{Action, Turn, turn_for_broken_component};

const fn check(
    reason: &'static str,
    summary: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Tunnel,
        scope: Reach::Node,
        severity: Severity::Critical,
        responsible: "automation, then provider; customer without a provider",
        summary,
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: "https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/",
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "TunnelAgentDown",
        "An agent of the tunnel was put onto this node and does not run",
        down,
    ),
    Check {
        policy: PolicyLink::Cites("tunnel-konnectivity"),
        ..check(
            "TunnelNotConnected",
            "An agent of the tunnel runs here and has no connection to the API server's side: \
             logs, exec and webhooks over it fail",
            not_connected,
        )
    },
];

const ABSENT: &str = "no agent of the tunnel runs here";

fn evidence(agent: &TunnelAgent) -> Vec<Evidence> {
    let TunnelAgent { pod, process, server, connections, health_port, listens } = agent;
    let process = process
        .as_ref()
        .map_or_else(|| "no process".to_owned(), |process| format!("runs, pid {}", process.pid));
    let mut evidence = vec![Evidence::new(format!("/var/log/pods/*{pod}*"), process, "runs")];
    if !server.is_empty() {
        let connections = match connections {
            TunnelConnections::Standing => "connected".to_owned(),
            TunnelConnections::NoneStanding => "no connection".to_owned(),
            TunnelConnections::Unknown(why) => format!("not known: {why}"),
        };
        evidence.push(Evidence::new(server, connections, "connected"));
    }
    if let (Some(port), Some(listens)) = (health_port, listens) {
        let actual = if *listens { "listened on" } else { "nobody listens" };
        evidence.push(Evidence::new(format!("health port {port}"), actual, ""));
    }
    evidence
}

/// The agent of which that has held longest, and for how long.
fn longest<'a>(
    history: &'a NodeHistory,
    tunnel: &'a Tunnel,
    is_so: fn(&TunnelAgent) -> bool,
) -> Option<(Holding, &'a TunnelAgent)> {
    let row = |agent: &'a TunnelAgent| {
        let is_one = |other: &TunnelAgent| other.pod == agent.pod && is_so(other);
        (history.tunnel.holding(|tunnel| tunnel.agents.iter().any(is_one)), agent)
    };
    let rows = tunnel.agents.iter().filter(|agent| is_so(agent)).map(row);
    rows.max_by_key(|(holding, _)| holding.observations)
}

fn turn(
    agent: &TunnelAgent,
    (scope, policy, since, now): (&Scope, &Policy, Timestamp, Timestamp),
) -> Turn {
    let turn = turn_for_broken_component(scope.platform, policy, since, now, "konnectivity-agent");
    match turn.action {
        Action::RestartUnit { .. } => {
            let at = format!("the log of pod {} in kube-system", agent.pod);
            Turn { action: Action::Investigate { at }, ..turn }
        }
        _ => turn,
    }
}

fn down(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (tunnel, _) = verdict_or!(facts(&history.tunnel, ABSENT));
    let Some((holding, agent)) = longest(history, tunnel, |agent| agent.process.is_none()) else {
        return Verdict::pass(tunnel.agents.iter().flat_map(evidence).collect());
    };
    let evidence = evidence(agent);
    let since = verdict_or!(confirmed(holding, &evidence));
    let message = format!("pod {} has no process that runs", agent.pod);
    Verdict::fail(message, since, turn(agent, (scope, policy, since, now)), evidence)
}

fn not_connected(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (tunnel, _) = verdict_or!(facts(&history.tunnel, ABSENT));
    let is_alone = |agent: &TunnelAgent| {
        agent.process.is_some() && agent.connections == TunnelConnections::NoneStanding
    };
    if let Some((holding, agent)) = longest(history, tunnel, is_alone) {
        let evidence = evidence(agent);
        let since = verdict_or!(confirmed(holding, &evidence));
        let message = format!("pod {} runs and has no connection to {}", agent.pod, agent.server);
        return Verdict::fail(message, since, turn(agent, (scope, policy, since, now)), evidence);
    }
    let running = || tunnel.agents.iter().filter(|agent| agent.process.is_some());
    if running().next().is_none() {
        return Verdict::not_applicable("none runs, see TunnelAgentDown");
    }
    let evidence = running().flat_map(evidence).collect();
    let unknown = running().find_map(|agent| match &agent.connections {
        TunnelConnections::Unknown(why) => Some(why),
        TunnelConnections::Standing | TunnelConnections::NoneStanding => None,
    });
    match unknown {
        Some(why) => Verdict::unknown(why, evidence),
        None => Verdict::pass(evidence),
    }
}
