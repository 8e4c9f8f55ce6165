//! `network` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::network::{DefaultRoute, Filter, Interface, Netfilter};

/// Limits of the lists: some ten times what a real node shows.
const INTERFACES: usize = 512;
const MTUS: usize = 256;
const ROUTES: usize = 256;
const TABLES: usize = 64;

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
        })
    }
}
