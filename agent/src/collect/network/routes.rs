//! The node's default routes, from `/proc/PID/net/route` and `ipv6_route` of a process in
//! its network: those of the reader would be a container's.

use std::net::Ipv4Addr;

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

#[cfg(test)]
pub(super) const HEAD: &str =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

/// The default routes of both families, sorted, each link once.
pub(super) fn defaults(root: &HostRoot) -> Result<Vec<DefaultRoute>, HostError> {
    let mut routes = ipv4(&of_the_node(root, "route")?.unwrap_or_default())?;
    routes.extend(ipv6(&of_the_node(root, "ipv6_route")?.unwrap_or_default())?);
    routes.sort_unstable();
    routes.dedup();
    routes.truncate(ROUTES);
    Ok(routes)
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

fn ipv4(text: &str) -> Result<Vec<DefaultRoute>, HostError> {
    let RouteEntries(routes) =
        RouteEntries::from_buf_read(text.as_bytes()).map_err(|_| malformed("route"))?;
    // A network without any route has no table, and then not even a head.
    if !text.is_empty() && !text.starts_with("Iface") {
        return Err(malformed("route"));
    }
    let any = Ipv4Addr::UNSPECIFIED;
    let defaults = routes.into_iter().filter(|route| {
        let flags = u32::from(route.flags);
        route.destination == any && route.mask == any && flags & RTF_REJECT == 0
    });
    Ok(defaults.map(|route| DefaultRoute { is_ipv6: false, link: route.iface }).collect())
}

/// Lines of ten fields: destination and its prefix, source and its prefix, gateway, metric,
/// two counts, flags and link.
fn ipv6(text: &str) -> Result<Vec<DefaultRoute>, HostError> {
    let mut routes = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[destination, prefix, _, _, _, _, _, _, flags, link] = fields.as_slice() else {
            return Err(malformed("ipv6_route"));
        };
        let flags = u32::from_str_radix(flags, 16).map_err(|_| malformed("ipv6_route"))?;
        let is_default = prefix == "00" && destination.bytes().all(|digit| digit == b'0');
        // A network without routers has a default route that refuses everything.
        if is_default && flags & RTF_UP != 0 && flags & RTF_REJECT == 0 && link != "lo" {
            routes.push(DefaultRoute { is_ipv6: true, link: link.to_owned() });
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
        assert_eq!(ipv4(&text), Ok(vec![eth0(false)]));
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
        assert_eq!(ipv6(&text), Ok(vec![eth0(true)]));
        assert!(ipv6("a b c\n").is_err());
    }

    #[test]
    fn without_a_table_for_ipv4_nothing_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert!(matches!(defaults(&root), Err(HostError::Missing { .. })));
    }
}
