//! How the node looks names up, from its own files: resolv.conf(5) and hosts(5). The agent's
//! own files in a container are not meant.

use std::net::IpAddr;

use nodeward_domain::facts::ResolverFile;

use crate::host::{Host, HostError, HostRoot};
use crate::probe::reach::Names;
use crate::reads::{Read, Shared};

/// What programs on the node read.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

const LIMIT_BYTES: u64 = 256 * 1024;

/// So many entries of a file are told: some ten times what is used.
const TOLD: usize = 32;

/// Who is asked where no nameserver is named, resolv.conf(5).
pub(super) const IMPLIED: &str = "127.0.0.1";

/// What is read to look up names beyond the machine.
pub(super) const SHARED: Shared = Shared { word: "names", reads: READS };

const READS: &[Read] = &[
    Read::of(&[RESOLV_CONF], "The nameservers that are asked for the address of a name."),
    Read::of(&[HOSTS], "Whether it says the address of that name. Other lines are not kept."),
];

/// A file in the form of resolv.conf(5).
pub(super) fn file(root: &HostRoot, path: &str) -> Result<ResolverFile, HostError> {
    let mut file = ResolverFile {
        path: path.to_owned(),
        is_there: true,
        nameservers: Vec::new(),
        search: Vec::new(),
        options: Vec::new(),
    };
    let text = match root.read_text(path, LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => return Ok(ResolverFile { is_there: false, ..file }),
        text => text?,
    };
    for line in text.lines().filter(|line| !line.starts_with([';', '#'])) {
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => file.nameservers.extend(words.next()),
            // The last of them counts.
            Some("search") => file.search = words.take(TOLD).collect(),
            Some("domain") => file.search = words.take(1).collect(),
            Some("options") => file.options.extend(words),
            _ => {}
        }
    }
    file.nameservers.truncate(TOLD);
    file.options.truncate(TOLD);
    Ok(file)
}

/// What that name leads to by the node's own files.
pub(super) fn names(host: &Host, name: &str) -> Result<Names, HostError> {
    let file = file(&host.root, RESOLV_CONF)?;
    let mut nameservers: Vec<IpAddr> =
        file.used().iter().filter_map(|address| address.parse().ok()).collect();
    if file.nameservers.is_empty() {
        nameservers.extend(IMPLIED.parse::<IpAddr>());
    }
    let text = match host.root.read_text(HOSTS, LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => String::new(),
        text => text?,
    };
    let asked = asked(&file, name);
    Ok(Names { nameservers, written: written(&text, name), asked })
}

/// The names that are asked for, in order: one with as many dots as `ndots` says, or more, as
/// it is first, one with fewer first in the domains of the search list; one that ends in a dot
/// as it is alone. resolv.conf(5), and so does Go (`nameList` of its package net).
fn asked(file: &ResolverFile, name: &str) -> Vec<String> {
    const NDOTS: usize = 1;
    const NDOTS_MOST: usize = 15;
    if let Some(whole) = name.strip_suffix('.') {
        return vec![whole.to_owned()];
    }
    let ndots = file.options.iter().rev().find_map(|option| option.strip_prefix("ndots:"));
    let ndots = ndots.and_then(|count| count.parse().ok()).unwrap_or(NDOTS).min(NDOTS_MOST);
    let domains = file.search.iter().map(|domain| domain.trim_matches('.'));
    let domains = domains.filter(|domain| !domain.is_empty());
    let mut asked: Vec<String> = domains.map(|domain| format!("{name}.{domain}")).collect();
    let is_first = name.bytes().filter(|byte| *byte == b'.').count() >= ndots;
    asked.insert(if is_first { 0 } else { asked.len() }, name.to_owned());
    asked
}

/// The addresses of a name in a file of the form of hosts(5).
fn written(text: &str, name: &str) -> Vec<IpAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    addresses.take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_resolvers_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = HostRoot::open(folder.path()).expect("a directory");
        let written = |text: &str| std::fs::write(folder.path().join("a"), text).expect("written");
        assert!(!file(&root, "/a").expect("a fact").is_there);
        written(
            "# made\n;made\nnameserver 192.0.2.1\n nameserver  2001:db8::1 # x\ndomain a.example\n\
             search b.example c.example\noptions edns0 trust-ad\noptions ndots:5\nnameserver\n\
             nameservers 192.0.2.9",
        );
        let read = file(&root, "/a").expect("a file");
        assert_eq!(read.nameservers, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(read.search, ["b.example", "c.example"]);
        assert_eq!(read.options, ["edns0", "trust-ad", "ndots:5"]);
        written(&"nameserver 192.0.2.1\n".repeat(200));
        assert_eq!(file(&root, "/a").expect("a file").nameservers.len(), TOLD);
    }

    #[test]
    fn short_names_are_looked_for_in_the_domains_of_the_search_list() {
        let asked = |name: &str, search: &[&str], options: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            let (search, options) = (owned(search), owned(options));
            let (path, nameservers) = (RESOLV_CONF.to_owned(), Vec::new());
            super::asked(&ResolverFile { path, is_there: true, nameservers, search, options }, name)
        };
        assert_eq!(asked("a", &[], &[]), ["a"]);
        assert_eq!(asked("a", &["b.example", "."], &[]), ["a.b.example", "a"]);
        assert_eq!(asked("a.b", &["c.example"], &[]), ["a.b", "a.b.c.example"]);
        assert_eq!(asked("a.b", &["c.example"], &["ndots:5"]), ["a.b.c.example", "a.b"]);
        assert_eq!(asked("a.b.", &["c.example"], &["ndots:5"]), ["a.b"]);
    }

    #[test]
    fn a_name_that_is_written_down_needs_no_nameserver() {
        let text = "127.0.0.1 localhost\n192.0.2.7\ta.example A # b.example\n\
                    2001:db8::7 a.example\nnonsense a.example\n";
        let read = |name| written(text, name);
        let both: [IpAddr; 2] =
            ["192.0.2.7", "2001:db8::7"].map(|address| address.parse().expect("an address"));
        assert_eq!(read("A.example"), both);
        assert_eq!(read("a"), both[..1]);
        assert_eq!(read("b.example"), Vec::<IpAddr>::new());
    }
}
