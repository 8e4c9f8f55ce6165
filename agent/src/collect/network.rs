//! Collects `network`: interfaces of the node's own network, from `/sys/class/net`, its
//! default routes and tables of its older packet filter, from `/proc/PID/net` of a process
//! in it, and, where the operator asks for them, the rules of the newer one, which the kernel
//! tells over netlink. sysfs shows the network in which it was mounted, and so do the node's
//! own mounts.

mod filter;
mod routes;
mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, Interface, Network};
use nodeward_domain::observed::State;

use routes::Routes;

use super::{Collected, api_server, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

const INTERFACES: &str = "/sys/class/net";

/// How plugins name links to pods: Azure CNI, Calico, Cilium, the bridge plugin or kubenet,
/// Amazon's and Google's.
const POD_LINKS: [&str; 6] = ["azv", "cali", "eni", "gke", "lxc", "veth"];

/// So many interfaces are looked at, and so many links to pods.
const LOOKED_AT: usize = 128;
const POD_LINKS_LOOKED_AT: usize = 1024;

/// So many MTUs of links to pods are told.
const MTUS: usize = 64;

/// A value of sysfs is never longer than a page.
const LIMIT_BYTES: u64 = 4096;

/// Flags of an interface, netdevice(7).
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&[INTERFACES], "The names of interfaces."),
    Read::of(
        &["/sys/class/net/{name}"],
        "Where the link leads: whether a device stands behind the interface.",
    ),
    Read::of(
        &[
            "/sys/class/net/{name}/flags",
            "/sys/class/net/{name}/operstate",
            "/sys/class/net/{name}/mtu",
            "/sys/class/net/{name}/master",
        ],
        "Of each interface. Of links to pods, which are told by their names, the MTU alone.",
    ),
    Read::of(
        &["/proc/1/net/route", "/proc/1/net/ipv6_route"],
        "The links of routes, of which those of default routes are told. Not there for IPv6: it \
         is switched off.",
    ),
    Read::of(
        &["/proc/1/net/fib_trie", "/proc/2/net/fib_trie"],
        "With `--packet-filter`: which addresses of IPv4 are the node's own, whose packets take \
         the loopback, and whether there are other tables of routes. No address is told.",
    ),
    Read::of(
        &["/proc/1/net/ip_tables_names", "/proc/1/net/ip6_tables_names"],
        "Names of tables of the older packet filter. Not there: its module is not loaded.",
    ),
    Read::of(
        &[
            "/proc/2/net/route",
            "/proc/2/net/ipv6_route",
            "/proc/2/net/ip_tables_names",
            "/proc/2/net/ip6_tables_names",
        ],
        "The same, where process 1 is closed to us.",
    ),
    Read::of(
        &["/usr/sbin/iptables", "/etc/alternatives/{name}", "/usr/sbin/{name}"],
        "Where the link `iptables` leads in the end: to the program of the newer or of the older \
         packet filter. No program is started.",
    ),
    Read::of(
        &["/proc/modules", "/proc/sys/kernel/osrelease", "/lib/modules/{release}/modules.builtin"],
        "With `--packet-filter`: whether the kernel has nf_tables already. Asked for rules it \
         would load the module.",
    ),
    Read::of(
        &["netlink:nf_tables"],
        "With `--packet-filter`: tables, chains and rules of nf_tables, which is what \
         `iptables-nft` writes. Needs CAP_NET_ADMIN. Only messages that list, and one that asks which change was the last, \
         are sent. What becomes of the traffic that a node \
         lives by is told, with the rule that refuses it; not the rules.",
    ),
    api_server::KUBECONFIG,
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Network(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Network>, HostError> {
    let root = &host.root;
    let mut interfaces = Vec::new();
    let mut pod_link_mtus = BTreeSet::new();
    let routes = Routes::read(root)?;
    let default_routes = routes.defaults();
    let (pod_links, mut others): (Vec<String>, Vec<String>) = root
        .list(INTERFACES)?
        .into_iter()
        .partition(|name| POD_LINKS.iter().any(|start| name.starts_with(start)));
    // What the checks are about is looked at however many others there are.
    let is_other =
        |name: &String| name != "lo" && !default_routes.iter().any(|route| route.link == *name);
    others.sort_by_key(|name| (is_other(name), name.clone()));
    for name in others.into_iter().take(LOOKED_AT) {
        match interface(root, name) {
            // It is gone since it was listed.
            Err(HostError::Missing { .. }) => {}
            interface => interfaces.extend(interface?),
        }
    }
    for name in pod_links.into_iter().take(POD_LINKS_LOOKED_AT) {
        match number(root, &format!("{INTERFACES}/{name}/mtu")) {
            Err(HostError::Missing { .. }) => {}
            mtu => {
                pod_link_mtus.insert(mtu?);
            }
        }
    }
    interfaces.sort_by(|a: &Interface, b: &Interface| a.name.cmp(&b.name));
    Ok(State::Present(Arc::new(Network {
        interfaces,
        pod_link_mtus: pod_link_mtus.into_iter().take(MTUS).collect(),
        rules: rules::read(host, &routes),
        default_routes,
        netfilter: filter::read(root),
    })))
}

/// One interface; none for what else lies beside them, such as `bonding_masters`.
fn interface(root: &HostRoot, name: String) -> Result<Option<Interface>, HostError> {
    let folder = format!("{INTERFACES}/{name}");
    let Some(device) = root.link(&folder)? else { return Ok(None) };
    let flags = value(root, &format!("{folder}/flags"))?;
    let bits = flags.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let bits = bits.ok_or_else(|| HostError::Malformed {
        path: format!("{folder}/flags"),
        why: "is no hexadecimal number".to_owned(),
    })?;
    let master = match root.link(&format!("{folder}/master")) {
        Err(HostError::Missing { .. }) => None,
        target => target?,
    };
    Ok(Some(Interface {
        is_virtual: device.contains("/virtual/"),
        is_loopback: bits & IFF_LOOPBACK != 0,
        is_up: bits & IFF_UP != 0,
        state: value(root, &format!("{folder}/operstate"))?,
        mtu_bytes: number(root, &format!("{folder}/mtu"))?,
        master: master.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or("").to_owned(),
        name,
    }))
}

/// A value of sysfs. The kernel ends every one: one without an end has been cut off.
fn value(root: &HostRoot, path: &str) -> Result<String, HostError> {
    let text = root.read_text(path, LIMIT_BYTES)?;
    match text.strip_suffix('\n') {
        Some(value) if !value.is_empty() && !value.contains('\n') => Ok(value.to_owned()),
        _ => Err(HostError::Malformed {
            path: path.to_owned(),
            why: "is not one line: truncated".to_owned(),
        }),
    }
}

fn number(root: &HostRoot, path: &str) -> Result<u32, HostError> {
    value(root, path)?
        .parse()
        .map_err(|_| HostError::Malformed { path: path.to_owned(), why: "is no number".to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    use crate::probe::Probes;

    fn host(root: &Path) -> Host {
        Host::new(HostRoot::open(root).expect("a directory"), Probes::Off("a copy".to_owned()))
    }

    /// An interface below a root: name, flags, state and MTU.
    fn made(root: &Path, device: &str, [name, flags, state, mtu]: [&str; 4]) {
        let folder = root.join(format!("sys/devices/{device}/net/{name}"));
        std::fs::create_dir_all(&folder).expect("made");
        for (file, value) in [("flags", flags), ("operstate", state), ("mtu", mtu)] {
            std::fs::write(folder.join(file), format!("{value}\n")).expect("written");
        }
        let class = root.join("sys/class/net");
        std::fs::create_dir_all(&class).expect("made");
        symlink(format!("../../devices/{device}/net/{name}"), class.join(name)).expect("made");
    }

    #[test]
    fn interfaces_are_read_and_links_to_pods_summed_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        made(root, "virtual", ["lo", "0x9", "unknown", "65536"]);
        made(root, "vmbus/eth0", ["eth0", "0x1003", "up", "1500"]);
        made(root, "virtual", ["cbr0", "0x1003", "down", "1460"]);
        made(root, "virtual", ["veth1", "0x1003", "up", "1460"]);
        made(root, "virtual", ["veth2", "0x1003", "up", "1460"]);
        symlink("../cbr0", root.join("sys/devices/vmbus/eth0/net/eth0/master")).expect("made");
        std::fs::write(root.join("sys/class/net/bonding_masters"), "\n").expect("written");
        std::fs::create_dir_all(root.join("proc/1/net")).expect("made");
        std::fs::write(root.join("proc/1/net/route"), routes::HEAD).expect("written");
        let State::Present(network) = read(&host(root)).expect("readable") else {
            panic!("not there");
        };
        let names: Vec<&str> = network.interfaces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["cbr0", "eth0", "lo"]);
        let [cbr0, eth0, lo] =
            <[Interface; 3]>::try_from(network.interfaces.clone()).expect("three");
        assert!(cbr0.is_virtual && cbr0.is_up && !cbr0.runs());
        assert_eq!((eth0.is_virtual, eth0.runs(), eth0.master.as_str()), (false, true, "cbr0"));
        assert!(lo.is_loopback && lo.runs());
        assert_eq!(network.pod_link_mtus, [1460]);
        assert_eq!(network.default_routes, []);
    }

    #[test]
    fn the_network_of_this_machine_is_read() {
        let State::Present(network) = read(&host(Path::new("/"))).expect("readable") else {
            panic!("not there")
        };
        assert!(network.interfaces.iter().any(|one| one.is_loopback), "{network:?}");
    }
}
