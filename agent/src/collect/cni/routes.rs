//! The node's IPv4 route table, `/proc/PID/net/route` of a process in the node's network:
//! that of the reader would be a container's.

use std::net::Ipv4Addr;

use nodeward_domain::facts::CniRoutes;
use procfs_core::FromBufRead as _;
use procfs_core::net::{RouteEntries, RouteEntry};

use crate::host::{HostError, HostRoot};

/// Room for some thousand pods; a line is 128 bytes.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// Process 1 may be closed even to root; kernel threads are in the host's network.
const TABLES: [&str; 2] = ["/proc/1/net/route", "/proc/2/net/route"];

pub(super) fn read(root: &HostRoot) -> CniRoutes {
    let mut why = None;
    for path in TABLES {
        match table(root, path) {
            Ok(routes) => return routes,
            Err(error) => {
                why.get_or_insert_with(|| format!("{}: {error}", error.path()));
            }
        }
    }
    CniRoutes::Unreadable(why.unwrap_or_default())
}

fn table(root: &HostRoot, path: &str) -> Result<CniRoutes, HostError> {
    let text = root.read_text(path, LIMIT_BYTES)?;
    let RouteEntries(routes) = RouteEntries::from_buf_read(text.as_bytes()).map_err(|_| {
        let why = "is not in the form of proc_pid_net(5)".to_owned();
        HostError::Malformed { path: path.to_owned(), why }
    })?;
    Ok(told(&routes))
}

fn told(routes: &[RouteEntry]) -> CniRoutes {
    let any = Ipv4Addr::UNSPECIFIED;
    let is_default = |route: &&RouteEntry| route.destination == any && route.mask == any;
    let mut default_links: Vec<String> =
        routes.iter().filter(is_default).map(|route| route.iface.clone()).collect();
    default_links.sort_unstable();
    default_links.dedup();
    let has_azure_pod_links = routes
        .iter()
        .any(|route| route.mask == Ipv4Addr::BROADCAST && route.iface.starts_with("azv"));
    CniRoutes::Read { default_links, has_azure_pod_links }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the table as the kernel writes them: link, destination, gateway and mask in
    /// the byte order of the machine.
    fn read(lines: &[&str]) -> CniRoutes {
        let head =
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        let text: String =
            [&[head], lines].concat().iter().map(|line| format!("{line:<127}\n")).collect();
        let RouteEntries(routes) = RouteEntries::from_buf_read(text.as_bytes()).expect("a table");
        told(&routes)
    }

    #[test]
    fn both_modes_show_in_the_table() {
        let bridge = read(&[
            "azure0\t00000000\t0100F00A\t0003\t0\t0\t0\t00000000\t0\t0\t0",
            "azure0\t0000F00A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
        ]);
        let default_links = vec!["azure0".to_owned()];
        assert_eq!(bridge, CniRoutes::Read { default_links, has_azure_pod_links: false });
        let transparent = read(&[
            "eth0\t00000000\t0100E00A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
            "azv4f1c2d3e4a5\t0B00E00A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
            "eth0\t10813FA8\t0100E00A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0",
        ]);
        let default_links = vec!["eth0".to_owned()];
        assert_eq!(transparent, CniRoutes::Read { default_links, has_azure_pod_links: true });
        let none = CniRoutes::Read { default_links: Vec::new(), has_azure_pod_links: false };
        assert_eq!(read(&[]), none);
    }

    #[test]
    fn the_table_of_this_machine_is_read() {
        let root = HostRoot::open(std::path::Path::new("/")).expect("the root");
        let routes = super::read(&root);
        assert!(matches!(routes, CniRoutes::Read { .. }), "{routes:?}");
    }
}
