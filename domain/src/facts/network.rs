//! Facts of `network`: interfaces and default routes of the node's own network, which tables
//! of the older packet filter it has, and what the rules of the newer one do with the traffic
//! that a node lives by. Pods come and go: of their links only the MTUs are told, and of rules
//! only those that refuse. Sources: `/sys/class/net`, proc_pid_net(5), `linux/netfilter/nf_tables.h`.

use serde::Serialize;

use super::Headline;

/// What was seen of the node's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Interfaces that are no links to pods, sorted by name.
    pub interfaces: Vec<Interface>,
    /// The MTUs that links to pods have, each once, sorted.
    pub pod_link_mtus: Vec<u32>,
    /// Default routes, sorted.
    pub default_routes: Vec<DefaultRoute>,
    /// The packet filter.
    pub netfilter: Netfilter,
    /// What the rules of nf_tables do.
    pub rules: Rules,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// No device stands behind it, as behind a bridge or a tunnel.
    pub is_virtual: bool,
    /// It is a loopback, `IFF_LOOPBACK`.
    pub is_loopback: bool,
    /// It was switched on, `IFF_UP`.
    pub is_up: bool,
    /// What the kernel says of its operation, RFC 2863: `up`, `down`, `lowerlayerdown`,
    /// `unknown` and others.
    pub state: String,
    /// Its MTU.
    pub mtu_bytes: u32,
    /// The interface that it belongs to, such as a bridge; empty when to none.
    pub master: String,
}

/// A default route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DefaultRoute {
    /// Of IPv6, not of IPv4.
    pub is_ipv6: bool,
    /// The interface that it leads over.
    pub link: String,
}

/// The packet filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Netfilter {
    /// This.
    Read {
        /// Tables of the older filter that the network has, with the family: `ip filter`.
        legacy_tables: Vec<String>,
        /// The program behind the node's own `iptables`; empty when it has none.
        iptables: String,
    },
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// What the rules of nf_tables do with the traffic that a node lives by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// Nobody asked for them.
    NotAsked,
    /// This, by kind of traffic.
    Read(Vec<Filtered>),
    /// They could not be read, for this reason.
    Unreadable(String),
}

/// Traffic that a node lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// The node with itself, 127.0.0.1.
    Loopback,
    /// Others with the kubelet, port 10250.
    Kubelet,
    /// The kubelet with its API server.
    ApiServer,
    /// The node with its nameservers, port 53.
    Nameservers,
    /// The node with the cloud's metadata service, 169.254.169.254.
    Metadata,
    /// The node with the agent of Azure's hosts, 168.63.129.16.
    HostAgent,
}

/// One kind of traffic, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filtered {
    /// Which traffic.
    pub traffic: Traffic,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// No rule refuses it.
    Passes,
    /// It is refused.
    Refused {
        /// The chain, with family and table: `ip filter INPUT`.
        chain: String,
        /// The rule, with the handle that nft(8) names it by.
        rule: String,
    },
    /// Whether it is refused hangs on what is not understood, or not known of it.
    Undecided {
        /// The chain.
        chain: String,
        /// The rule that may refuse it.
        rule: String,
    },
    /// It was not followed, for this reason.
    NotFollowed(String),
}

impl Traffic {
    /// All of it.
    pub const ALL: [Self; 6] = [
        Self::Loopback,
        Self::Kubelet,
        Self::ApiServer,
        Self::Nameservers,
        Self::Metadata,
        Self::HostAgent,
    ];
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback => "traffic on the loopback",
            Self::Kubelet => "traffic to the kubelet (10250)",
            Self::ApiServer => "traffic to the API server",
            Self::Nameservers => "traffic to nameservers (53)",
            Self::Metadata => "traffic to the metadata service (169.254.169.254)",
            Self::HostAgent => "traffic to the host's agent (168.63.129.16)",
        })
    }
}

impl Interface {
    /// Whether packets get through, as far as it can tell. A loopback, a tunnel and some
    /// bridges do not tell; then it counts that they are switched on.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.is_up && matches!(self.state.as_str(), "up" | "unknown" | "dormant")
    }
}

impl Network {
    /// The interface of that name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// Interfaces that default routes lead over, each once.
    #[must_use]
    pub fn uplinks(&self) -> Vec<&str> {
        let mut links: Vec<&str> =
            self.default_routes.iter().map(|route| route.link.as_str()).collect();
        links.sort_unstable();
        links.dedup();
        links
    }
}

impl Headline for Network {
    fn headline(&self) -> String {
        let count = self.interfaces.len();
        let interfaces = if count == 1 { "interface" } else { "interfaces" };
        match self.uplinks().as_slice() {
            [] => format!("{count} {interfaces}, no default route"),
            links => format!("{count} {interfaces}, default route over {}", links.join(" and ")),
        }
    }
}
