//! The node's routes, from `/proc/PID/net/route` and `ipv6_route` of a process in its network:
//! those of the reader would be a container's. Which addresses of IPv4 are its own, and whether
//! there are other tables of routes, `fib_trie` tells.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nodeward_domain::facts::DefaultRoute;
use procfs_core::FromBufRead as _;
use procfs_core::net::RouteEntries;

use crate::host::{HostError, HostRoot};

/// Room for some thousand pods; a line is 128 or 150 bytes.
const LIMIT_BYTES: u64 = 2 * 1024 * 1024;

/// So many default routes are told.
const ROUTES: usize = 64;

/// Flags of a route, `linux/route.h`.
const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// A route to an address of the machine's own, `linux/ipv6_route.h`.
const RTF_LOCAL: u32 = 0x8000_0000;

/// The metric of what the kernel itself has behind all routes of IPv6: it refuses.
const LAST: &str = "ffffffff";

/// A network with an address beside the loopback's.
#[cfg(test)]
pub(super) const OWN: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        \
    /0 universe UNICAST\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        \
    /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.2\n        \
    /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\nLocal:\n  |-- 127.0.0.1\n     \
    /32 host LOCAL\n";

#[cfg(test)]
pub(super) const HEAD: &str =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

/// A route of either family.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    net: IpAddr,
    /// So many bits of it count.
    ones: u8,
    link: String,
    refuses: bool,
    /// It leads to an address of the machine's own. Of IPv6 alone.
    is_own: bool,
}

impl Route {
    fn covers(&self, address: IpAddr) -> bool {
        match (self.net, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let other = 32_u32.saturating_sub(self.ones.into());
                let kept = u32::MAX.checked_shl(other).unwrap_or(0);
                u32::from(net) & kept == u32::from(address) & kept
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let other = 128_u32.saturating_sub(self.ones.into());
                let kept = u128::MAX.checked_shl(other).unwrap_or(0);
                u128::from(net) & kept == u128::from(address) & kept
            }
            _ => false,
        }
    }
}

/// Every route of both families.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    pub(super) fn read(root: &HostRoot) -> Result<Self, HostError> {
        let mut routes = ipv4(&of_the_node(root, "route")?.unwrap_or_default())?;
        routes.extend(ipv6(&of_the_node(root, "ipv6_route")?.unwrap_or_default())?);
        Ok(Self(routes))
    }

    /// The default routes of both families, sorted, each link once.
    pub(super) fn defaults(&self) -> Vec<DefaultRoute> {
        let all = self.0.iter().filter(|route| route.ones == 0 && !route.refuses);
        // A network without routers has a default route of IPv6 by the loopback.
        let all = all.filter(|route| route.net.is_ipv4() || route.link != "lo");
        let told =
            |route: &Route| DefaultRoute { is_ipv6: route.net.is_ipv6(), link: route.link.clone() };
        let mut routes: Vec<DefaultRoute> = all.map(told).collect();
        routes.sort_unstable();
        routes.dedup();
        routes.truncate(ROUTES);
        routes
    }

    /// The link that the narrowest route to an address leads over; none where there is none, or
    /// several.
    pub(super) fn link(&self, address: IpAddr) -> Option<&str> {
        let covering = || self.0.iter().filter(|route| route.covers(address));
        let ones = covering().map(|route| route.ones).max()?;
        let mut narrowest = covering().filter(|route| route.ones == ones);
        let link = narrowest.next().filter(|route| !route.refuses)?.link.as_str();
        narrowest.all(|route| !route.refuses && route.link == link).then_some(link)
    }

    /// Whether that address of IPv6 is the machine's own.
    pub(super) fn is_own(&self, address: Ipv6Addr) -> bool {
        self.0.iter().any(|route| route.is_own && route.net == IpAddr::V6(address))
    }
}

/// What `fib_trie` tells beside the routes: addresses of IPv4 that are the machine's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    addresses: BTreeSet<Ipv4Addr>,
    /// Other tables have routes too, which only some packets take.
    pub(super) has_other_tables: bool,
}

impl Own {
    /// None when it was not told.
    pub(super) fn read(root: &HostRoot) -> Option<Self> {
        let text = of_the_node(root, "fib_trie").ok()??;
        Self::of(&text)
    }

    /// Tables by their names, below them nets and addresses, and below an address its routes:
    /// the bits that count, how far it reaches and its kind.
    fn of(text: &str) -> Option<Self> {
        let mut own = Self::default();
        let mut address: Option<Ipv4Addr> = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [table] if table.ends_with(':') => {}
                [_, table] if table.ends_with(':') => own.has_other_tables = true,
                ["+--", ..] => {}
                ["|--", leaf] => address = Some(leaf.parse().ok()?),
                ["/32", _, "LOCAL", ..] => own.addresses.extend(address),
                [ones, ..] if ones.starts_with('/') => {}
                _ => return None,
            }
        }
        // Without any table it is none of a network that is up.
        address.is_some().then_some(own)
    }

    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.addresses.contains(&address)
    }
}

/// A file of the node's network. Process 1 may be closed even to root; kernel threads are in
/// the host's network. None when the network is readable and has no such file.
pub(super) fn of_the_node(root: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
    let paths = [format!("/proc/1/net/{name}"), format!("/proc/2/net/{name}")];
    let mut first = None;
    for path in &paths {
        match root.read_text(path, LIMIT_BYTES) {
            Ok(text) => return Ok(Some(text)),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        // There is always a table for IPv4, though it may be empty.
        Some(HostError::Missing { .. }) if name != "route" => Ok(None),
        Some(error) => Err(error),
        None => Ok(None),
    }
}

fn ipv4(text: &str) -> Result<Vec<Route>, HostError> {
    let RouteEntries(routes) =
        RouteEntries::from_buf_read(text.as_bytes()).map_err(|_| malformed("route"))?;
    // A network without any route has no table, and then not even a head.
    if !text.is_empty() && !text.starts_with("Iface") {
        return Err(malformed("route"));
    }
    let told = |route: procfs_core::net::RouteEntry| Route {
        net: route.destination.into(),
        ones: u8::try_from(u32::from(route.mask).count_ones()).unwrap_or(u8::MAX),
        link: route.iface,
        refuses: u32::from(route.flags) & RTF_REJECT != 0,
        is_own: false,
    };
    Ok(routes.into_iter().map(told).collect())
}

/// Lines of ten fields: destination and its prefix, source and its prefix, gateway, metric,
/// two counts, flags and link.
fn ipv6(text: &str) -> Result<Vec<Route>, HostError> {
    let mut routes = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[destination, prefix, _, _, _, metric, _, _, flags, link] = fields.as_slice() else {
            return Err(malformed("ipv6_route"));
        };
        let flags = u32::from_str_radix(flags, 16).map_err(|_| malformed("ipv6_route"))?;
        let net = u128::from_str_radix(destination, 16).map_err(|_| malformed("ipv6_route"))?;
        let ones = u8::from_str_radix(prefix, 16).map_err(|_| malformed("ipv6_route"))?;
        let refuses = flags & RTF_REJECT != 0;
        let is_last = refuses && metric == LAST;
        if flags & RTF_UP != 0 && !is_last {
            routes.push(Route {
                net: Ipv6Addr::from(net).into(),
                ones,
                link: link.to_owned(),
                refuses,
                is_own: flags & RTF_LOCAL != 0 && ones == 128,
            });
        }
    }
    Ok(routes)
}

fn malformed(name: &str) -> HostError {
    HostError::Malformed {
        path: format!("/proc/1/net/{name}"),
        why: "is not in the form of proc_pid_net(5)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_of_both_families_are_told_and_refusals_are_none() {
        let text = format!(
            "{HEAD}eth0\t00000000\t0100E00A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth0\t0000E00A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0\n\
             *\t00000000\t00000000\t0200\t0\t0\t100\t00000000\t0\t0\t0\n"
        );
        let eth0 = |is_ipv6| DefaultRoute { is_ipv6, link: "eth0".to_owned() };
        let defaults =
            |routes: Result<Vec<Route>, HostError>| routes.map(|all| Routes(all).defaults());
        assert_eq!(defaults(ipv4(&text)), Ok(vec![eth0(false)]));
        assert_eq!(ipv4(""), Ok(Vec::new()));
        assert!(ipv4("eth0\t00000000\n").is_err());
        let zero = "0".repeat(32);
        let router = format!("fe80{}1", "0".repeat(27));
        let text = format!(
            "{zero} 00 {zero} 00 {router} 00000400 00000001 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             fe80{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n",
            "0".repeat(28)
        );
        assert_eq!(defaults(ipv6(&text)), Ok(vec![eth0(true)]));
        assert!(ipv6("a b c\n").is_err());
    }

    #[test]
    fn without_a_table_for_ipv4_nothing_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert!(matches!(Routes::read(&root), Err(HostError::Missing { .. })));
        assert_eq!(Own::read(&root), None);
    }

    #[test]
    fn the_narrowest_route_tells_the_link_and_two_of_them_none() {
        let text = format!(
            "{HEAD}eth0\t00000000\t0100E00A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth1\t076433C6\t0100E00A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0\n\
             eth2\t0000000A\t00000000\t0001\t0\t0\t100\t000000FF\t0\t0\t0\n\
             eth3\t0000000A\t00000000\t0001\t0\t0\t200\t000000FF\t0\t0\t0\n\
             *\t0000000B\t00000000\t0200\t0\t0\t100\t000000FF\t0\t0\t0\n"
        );
        let zero = "0".repeat(32);
        let own = "20010db8000000000000000000000002";
        let text6 = format!(
            "{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000003     eth0\n\
             {own} 80 {zero} 00 {zero} 00000000 00000001 00000000 80200001     eth1\n"
        );
        let mut all = ipv4(&text).expect("a table");
        all.extend(ipv6(&text6).expect("a table"));
        let routes = Routes(all);
        let link = |address: &str| routes.link(address.parse().expect("an address"));
        assert_eq!(link("192.0.2.1"), Some("eth0"));
        assert_eq!(link("198.51.100.7"), Some("eth1"));
        assert_eq!((link("10.1.2.3"), link("11.1.2.3")), (None, None));
        assert_eq!(link("2001:db8::1"), Some("eth0"));
        assert!(routes.is_own("2001:db8::2".parse().expect("an address")));
        assert!(!routes.is_own("2001:db8::1".parse().expect("an address")));
        assert_eq!(Routes::default().link(Ipv4Addr::LOCALHOST.into()), None);
    }

    #[test]
    fn own_addresses_are_told_and_whether_other_tables_have_routes() {
        let own = Own::of(OWN).expect("a table");
        let has = |address: [u8; 4]| own.has(address.into());
        assert!(has([192, 0, 2, 2]) && has([127, 0, 0, 1]) && !own.has_other_tables);
        assert!(!has([192, 0, 2, 0]) && !has([192, 0, 2, 255]));
        let other = format!("Id 77:\n  |-- 10.0.0.0\n     /8 link UNICAST\n{OWN}");
        assert!(Own::of(&other).expect("tables").has_other_tables);
        for nonsense in ["", "Main:\n", "Main:\n  |-- x\n", "a b c\n"] {
            assert_eq!(Own::of(nonsense), None, "{nonsense:?}");
        }
    }
}
