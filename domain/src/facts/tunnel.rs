//! Facts of `tunnel`: the agents of Konnectivity that run on this node, and whether they
//! are connected. Over them the API server reaches kubelets and pods. They are pods of a
//! Deployment and run on some of the nodes. Sources: the folders of pods' logs, procfs.

use serde::Serialize;

use super::{Headline, Process};

/// What was seen of the tunnel's agents on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tunnel {
    /// The agents, by pod.
    pub agents: Vec<TunnelAgent>,
}

/// A pod of the tunnel's agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TunnelAgent {
    /// The pod's name.
    pub pod: String,
    /// Its process; none where it has none, or one that has ended and is not waited for.
    pub process: Option<Process>,
    /// Where it is told to connect to, `name:port`; empty without a process.
    pub server: String,
    /// Its connections.
    pub connections: TunnelConnections,
    /// The port of its health; none without a process.
    pub health_port: Option<u16>,
    /// Whether somebody listens on that port in its network; none where that is not known.
    pub listens: Option<bool>,
}

/// Whether an agent is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelConnections {
    /// At least one connection to the server's port stands.
    Standing,
    /// None does.
    NoneStanding,
    /// It is not known, for this reason.
    Unknown(String),
}

impl Headline for Tunnel {
    fn headline(&self) -> String {
        let connected = self.agents.iter().filter(|one| one.is_connected()).count();
        match self.agents.len() {
            1 if connected == 1 => "an agent runs here, connected".to_owned(),
            1 => "an agent runs here, not seen to be connected".to_owned(),
            count => format!("{count} agents, {connected} connected"),
        }
    }
}

impl TunnelAgent {
    /// Whether it is seen to be connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connections == TunnelConnections::Standing
    }
}
