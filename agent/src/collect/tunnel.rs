//! Collects `tunnel`: the agents of Konnectivity on this node. A pod of them is known by the
//! folder of its logs and by its cgroup, its process by its name and that cgroup, because a
//! name alone any pod may take. Whether it is connected its own network's table tells.

mod connections;
mod pods;

use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Tunnel, TunnelAgent, TunnelConnections};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::Collected;
use super::flags::Flags;
use crate::host::{Found, Host, HostError, find_processes_in_containers};
use crate::reads::Read;
use pods::Pod;

/// How the program is named, upstream's and by its whole name, as the kernel keeps it.
const NAMES: [&str; 2] = ["proxy-agent", "konnectivity-ag"];

/// What the agent does when no flag says otherwise.
const SERVER: &str = "127.0.0.1";
const SERVER_PORT: u16 = 8091;
const HEALTH_PORT: u16 = 8093;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&[pods::LOGS], "The names of the folders: whether there is a pod of an agent."),
    Read::of(
        &pods::CGROUPS,
        "Whether it is there: the pod has not ended. Its log's folder stays longer.",
    ),
    Read::of(
        &["/sys/fs/cgroup"],
        "Whether the tree is there to be read, where such a pod has no cgroup.",
    ),
    Read::of(&["/proc/{pid}/cgroup"], "Of such a process whether it belongs to that pod."),
    Read::of(
        &["/proc/{pid}/net/tcp", "/proc/{pid}/net/tcp6"],
        "Of such a process whether connections stand to the port that it is told, how many, and \
         whether somebody listens on its health port. Addresses are not kept.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    match read(host) {
        Ok((state, measured)) => Collected { state: ComponentState::Tunnel(state), measured },
        Err(error) => ComponentState::Tunnel(State::Unavailable(error.into())).into(),
    }
}

fn read(host: &Host) -> Result<(State<Tunnel>, Measurements), HostError> {
    let pods = pods::active(&host.root)?;
    if pods.is_empty() {
        let why = "no agent of the tunnel runs here; a cluster has some, on some of its nodes";
        return Ok((State::NotApplicable(why.to_owned()), Measurements::default()));
    }
    let mut found = Vec::new();
    for process in find_processes_in_containers(&host.root, &NAMES)? {
        if let Some(pod) = pods::owner(&host.root, process.process.pid, &pods)? {
            found.push((pod, process));
        }
    }
    let mut agents = Vec::with_capacity(pods.len());
    let mut standing = 0;
    for pod in pods {
        let at = found.iter().position(|(owner, _)| *owner == pod);
        let (agent, count) = agent(host, &pod, at.map(|at| found.swap_remove(at).1))?;
        standing += count;
        agents.push(agent);
    }
    let measured = Measurements { tunnel_connections: Some(standing), ..Measurements::default() };
    Ok((State::Present(Arc::new(Tunnel { agents })), measured))
}

/// An agent, and how many of its connections stand.
fn agent(host: &Host, pod: &Pod, found: Option<Found>) -> Result<(TunnelAgent, u64), HostError> {
    let mut agent = TunnelAgent {
        pod: pod.name.clone(),
        process: None,
        server: String::new(),
        connections: TunnelConnections::Unknown("it has no process".to_owned()),
        health_port: None,
        listens: None,
    };
    let Some(found) = found else { return Ok((agent, 0)) };
    let flags = Flags::of(&found.arguments);
    let port = |name: &str, usual: u16| match flags.value(name) {
        Some(told) => told.parse().map_err(|_| HostError::Malformed {
            path: format!("/proc/{}/cmdline", found.process.pid),
            why: format!("--{name} is no port"),
        }),
        None => Ok(usual),
    };
    let (server_port, health_port) =
        (port("proxy-server-port", SERVER_PORT)?, port("health-server-port", HEALTH_PORT)?);
    agent.server = format!("{}:{server_port}", flags.value("proxy-server-host").unwrap_or(SERVER));
    agent.health_port = Some(health_port);
    let mut standing = 0;
    match connections::read(host, found.process.pid, server_port, health_port)? {
        Ok(seen) => {
            standing = seen.standing;
            agent.listens = Some(seen.listens);
            agent.connections = match seen.standing {
                0 => TunnelConnections::NoneStanding,
                _ => TunnelConnections::Standing,
            };
        }
        Err(why) => agent.connections = TunnelConnections::Unknown(why),
    }
    agent.process = Some(found.process);
    Ok((agent, standing))
}
