//! `network` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::network::{self as wire, DefaultRoute, Filter, Interface, Netfilter};

/// Limits of the lists: some ten times what a real node shows.
const INTERFACES: usize = 512;
const MTUS: usize = 256;
const ROUTES: usize = 256;
const TABLES: usize = 64;
const TRAFFIC: usize = 64;

impl From<&domain::Network> for v1::Network {
    fn from(network: &domain::Network) -> Self {
        let interface = |interface: &domain::Interface| Interface {
            name: interface.name.clone(),
            is_virtual: interface.is_virtual,
            is_loopback: interface.is_loopback,
            is_up: interface.is_up,
            state: interface.state.clone(),
            mtu_bytes: interface.mtu_bytes,
            master: interface.master.clone(),
        };
        let route = |route: &domain::DefaultRoute| DefaultRoute {
            is_ipv6: route.is_ipv6,
            link: route.link.clone(),
        };
        Self {
            interfaces: network.interfaces.iter().map(interface).collect(),
            pod_link_mtus: network.pod_link_mtus.clone(),
            default_routes: network.default_routes.iter().map(route).collect(),
            netfilter: Some(match &network.netfilter {
                domain::Netfilter::Read { legacy_tables, iptables } => Netfilter::Filter(Filter {
                    legacy_tables: legacy_tables.clone(),
                    iptables: iptables.clone(),
                }),
                domain::Netfilter::Unreadable(why) => Netfilter::FilterUnread(why.clone()),
            }),
            rules: match &network.rules {
                domain::Rules::NotAsked => None,
                domain::Rules::Read(filtered) => Some(wire::Rules::RulesRead(wire::RulesRead {
                    filtered: filtered.iter().map(filtered_out).collect(),
                })),
                domain::Rules::Unreadable(why) => Some(wire::Rules::RulesUnread(why.clone())),
            },
        }
    }
}

impl TryFrom<v1::Network> for domain::Network {
    type Error = Invalid;

    fn try_from(network: v1::Network) -> Result<Self, Invalid> {
        Ok(Self {
            interfaces: list("interfaces", network.interfaces, INTERFACES, |interface| {
                Ok(domain::Interface {
                    name: name("name", interface.name)?,
                    is_virtual: interface.is_virtual,
                    is_loopback: interface.is_loopback,
                    is_up: interface.is_up,
                    state: text(interface.state),
                    mtu_bytes: interface.mtu_bytes,
                    master: text(interface.master),
                })
            })?,
            pod_link_mtus: list("pod_link_mtus", network.pod_link_mtus, MTUS, Ok)?,
            default_routes: list("default_routes", network.default_routes, ROUTES, |route| {
                Ok(domain::DefaultRoute { is_ipv6: route.is_ipv6, link: name("link", route.link)? })
            })?,
            netfilter: match required("netfilter", network.netfilter)? {
                Netfilter::Filter(filter) => domain::Netfilter::Read {
                    legacy_tables: texts("filter.legacy_tables", filter.legacy_tables, TABLES)?,
                    iptables: text(filter.iptables),
                },
                Netfilter::FilterUnread(why) => domain::Netfilter::Unreadable(text(why)),
            },
            rules: match network.rules {
                Some(wire::Rules::RulesRead(rules)) => domain::Rules::Read(list(
                    "rules.filtered",
                    rules.filtered,
                    TRAFFIC,
                    filtered_in,
                )?),
                Some(wire::Rules::RulesUnread(why)) => domain::Rules::Unreadable(text(why)),
                None => domain::Rules::NotAsked,
            },
        })
    }
}

fn filtered_out(filtered: &domain::Filtered) -> wire::Filtered {
    use domain::{Fate, Traffic};
    let traffic = match filtered.traffic {
        Traffic::Loopback => wire::Traffic::Loopback,
        Traffic::Kubelet => wire::Traffic::Kubelet,
        Traffic::ApiServer => wire::Traffic::ApiServer,
        Traffic::Nameservers => wire::Traffic::Nameservers,
        Traffic::Metadata => wire::Traffic::Metadata,
        Traffic::HostAgent => wire::Traffic::HostAgent,
    };
    let (fate, chain, rule, why) = match filtered.fate.clone() {
        Fate::Passes => (wire::Fate::Passes, String::new(), String::new(), String::new()),
        Fate::Refused { chain, rule } => (wire::Fate::Refused, chain, rule, String::new()),
        Fate::Undecided { chain, rule } => (wire::Fate::Undecided, chain, rule, String::new()),
        Fate::NotFollowed(why) => (wire::Fate::NotFollowed, String::new(), String::new(), why),
    };
    wire::Filtered { traffic: traffic.into(), fate: fate.into(), chain, rule, why }
}

fn filtered_in(filtered: wire::Filtered) -> Result<domain::Filtered, Invalid> {
    use domain::{Fate, Traffic};
    let traffic = match wire::Traffic::try_from(filtered.traffic) {
        Ok(wire::Traffic::Loopback) => Traffic::Loopback,
        Ok(wire::Traffic::Kubelet) => Traffic::Kubelet,
        Ok(wire::Traffic::ApiServer) => Traffic::ApiServer,
        Ok(wire::Traffic::Nameservers) => Traffic::Nameservers,
        Ok(wire::Traffic::Metadata) => Traffic::Metadata,
        Ok(wire::Traffic::HostAgent) => Traffic::HostAgent,
        Ok(wire::Traffic::Unspecified) | Err(_) => {
            return Err(Invalid::new("traffic", format!("{} is not known here", filtered.traffic)));
        }
    };
    let (chain, rule) = (text(filtered.chain), text(filtered.rule));
    let fate = match wire::Fate::try_from(filtered.fate) {
        Ok(wire::Fate::Passes) => Fate::Passes,
        Ok(wire::Fate::Refused) => Fate::Refused { chain, rule },
        Ok(wire::Fate::Undecided) => Fate::Undecided { chain, rule },
        Ok(wire::Fate::NotFollowed) => Fate::NotFollowed(text(filtered.why)),
        Ok(wire::Fate::Unspecified) | Err(_) => {
            return Err(Invalid::new("fate", format!("{} is not known here", filtered.fate)));
        }
    };
    Ok(domain::Filtered { traffic, fate })
}
