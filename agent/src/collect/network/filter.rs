//! Tables of the older packet filter in the node's network, and which filter the node's own
//! `iptables` speaks to. Rules themselves are told over netlink to whoever may also change
//! them, which the agent may not.

use nodeward_domain::facts::Netfilter;

use super::routes::of_the_node;
use crate::host::{HostError, HostRoot};

/// The program, and how many links may lead to it.
const IPTABLES: &str = "/usr/sbin/iptables";
const LINKS: usize = 8;

/// So many tables are named: the kernel has five.
const TABLES: usize = 16;

pub(super) fn read(root: &HostRoot) -> Netfilter {
    match tables(root).and_then(|tables| Ok((tables, iptables(root)?))) {
        Ok((legacy_tables, iptables)) => Netfilter::Read { legacy_tables, iptables },
        Err(error) => Netfilter::Unreadable(format!("{}: {error}", error.path())),
    }
}

fn tables(root: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut tables = Vec::new();
    for (family, name) in [("ip", "ip_tables_names"), ("ip6", "ip6_tables_names")] {
        let text = of_the_node(root, name)?.unwrap_or_default();
        let names = text.lines().filter(|name| !name.is_empty()).take(TABLES);
        tables.extend(names.map(|name| format!("{family} {name}")));
    }
    tables.sort_unstable();
    Ok(tables)
}

/// The name of the program that the link leads to in the end; empty without one.
fn iptables(root: &HostRoot) -> Result<String, HostError> {
    let mut path = IPTABLES.to_owned();
    for _ in 0..LINKS {
        match root.link(&path) {
            Err(HostError::Missing { .. }) if path == IPTABLES => return Ok(String::new()),
            Err(error) => return Err(error),
            Ok(None) => return Ok(path.rsplit('/').next().unwrap_or_default().to_owned()),
            Ok(Some(target)) if target.starts_with('/') => path = target,
            Ok(Some(target)) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                path = format!("{folder}/{target}");
            }
        }
    }
    Err(HostError::Malformed { path: IPTABLES.to_owned(), why: "leads in a circle".to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_link_is_followed_to_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            path
        };
        let root = HostRoot::open(folder.path()).expect("a directory");
        assert_eq!(iptables(&root), Ok(String::new()));
        symlink("/etc/alternatives/iptables", inside("usr/sbin/iptables")).expect("made");
        symlink("/usr/sbin/iptables-nft", inside("etc/alternatives/iptables")).expect("made");
        symlink("xtables-nft-multi", inside("usr/sbin/iptables-nft")).expect("made");
        std::fs::write(inside("usr/sbin/xtables-nft-multi"), "").expect("written");
        assert_eq!(iptables(&root).as_deref(), Ok("xtables-nft-multi"));
        std::fs::write(inside("proc/1/net/ip_tables_names"), "nat\nfilter\n").expect("written");
        assert_eq!(tables(&root), Ok(vec!["ip filter".to_owned(), "ip nat".to_owned()]));
        std::fs::remove_file(inside("usr/sbin/xtables-nft-multi")).expect("removed");
        symlink("iptables", inside("usr/sbin/xtables-nft-multi")).expect("made");
        assert!(matches!(iptables(&root), Err(HostError::Malformed { .. })));
    }
}
