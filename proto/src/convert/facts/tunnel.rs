//! `tunnel` to and from the wire.

use nodeward_domain::facts as domain;

use super::process;
use crate::convert::{Invalid, list, name, required, text};
use crate::v1;
use crate::v1::tunnel::agent::Connections;
use crate::v1::tunnel::{Agent, NoneStanding, Standing};

/// Agents: far more than any node has.
const AGENTS: usize = 64;

impl From<&domain::Tunnel> for v1::Tunnel {
    fn from(tunnel: &domain::Tunnel) -> Self {
        use domain::TunnelConnections;
        let agent = |agent: &domain::TunnelAgent| Agent {
            pod: agent.pod.clone(),
            process: agent.process.as_ref().map(Into::into),
            server: agent.server.clone(),
            connections: Some(match &agent.connections {
                TunnelConnections::Standing => Connections::Standing(Standing {}),
                TunnelConnections::NoneStanding => Connections::NoneStanding(NoneStanding {}),
                TunnelConnections::Unknown(why) => Connections::Unknown(why.clone()),
            }),
            health_port: agent.health_port.map(u32::from),
            listens: agent.listens,
        };
        Self { agents: tunnel.agents.iter().map(agent).collect() }
    }
}

impl TryFrom<v1::Tunnel> for domain::Tunnel {
    type Error = Invalid;

    fn try_from(tunnel: v1::Tunnel) -> Result<Self, Invalid> {
        use domain::TunnelConnections;
        let agents = list("agents", tunnel.agents, AGENTS, |agent| {
            Ok(domain::TunnelAgent {
                pod: name("pod", agent.pod)?,
                process: process(agent.process)?,
                server: text(agent.server),
                connections: match required("connections", agent.connections)? {
                    Connections::Standing(_) => TunnelConnections::Standing,
                    Connections::NoneStanding(_) => TunnelConnections::NoneStanding,
                    Connections::Unknown(why) => TunnelConnections::Unknown(text(why)),
                },
                health_port: agent
                    .health_port
                    .map(|port| {
                        u16::try_from(port).map_err(|_| Invalid::new("health_port", "is no port"))
                    })
                    .transpose()?,
                listens: agent.listens,
            })
        })?;
        Ok(Self { agents })
    }
}
