//! Facts of `network`: interfaces and default routes of the node's own network, and which
//! tables of the older packet filter it has. Pods come and go: of their links only the MTUs
//! are told. Sources: `/sys/class/net`, proc_pid_net(5).

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
