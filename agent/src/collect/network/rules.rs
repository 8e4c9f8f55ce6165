//! What the node's packet filter does with the traffic that a node lives by. The rules are too
//! many to be told and change with every pod: what becomes of a few packets is told instead,
//! each as a program of the node sends or gets it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nodeward_domain::facts::{Fate as Told, Filtered, Rules, Traffic};

use super::super::{api_server, resolver};
use super::routes::{Own, Routes};
use crate::host::{Host, HostError, HostRoot};
use crate::nftables::{Direction, Fate, Packet, Ruleset, Stage, TCP, UDP};

/// Modules that are loaded; not there where the kernel takes none.
const MODULES: &str = "/proc/modules";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const LIMIT_BYTES: u64 = 1024 * 1024;

/// Where Azure's machines are told about themselves, and where the host's agent listens:
/// <https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>.
const METADATA: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 169, 254), 80);
const HOST_AGENT: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
const HOST_AGENT_PORTS: [u16; 2] = [80, 32526];

/// The ports of the kubelet: what others ask, and what the node itself asks.
const KUBELET: u16 = 10250;
const KUBELET_HEALTH: u16 = 10248;

const DOMAIN: u16 = 53;

const LOOPBACK: &str = "lo";

/// So many addresses of a server are followed.
const ADDRESSES: usize = 16;

/// What is told of a rule.
const RULE_CHARS: usize = 200;

pub(super) fn read(host: &Host, routes: &Routes) -> Rules {
    if !host.asks_packet_filter {
        return Rules::NotAsked;
    }
    if let Some(foreign) = host.foreign("net") {
        return Rules::Unreadable(foreign.to_string());
    }
    let ruleset = match is_there(&host.root) {
        Ok(true) => host.probes.packet_filter(),
        // Without it there are no rules of it. Asking would load it.
        Ok(false) => Ok(Ruleset::default()),
        Err(why) => Err(why),
    };
    match ruleset {
        Ok(ruleset) => Rules::Read(told(&ruleset, packets(host, routes))),
        Err(why) => Rules::Unreadable(why),
    }
}

/// Whether the kernel has nf_tables already: a question to one that has not loads its module,
/// and nothing on the node is to be changed.
fn is_there(root: &HostRoot) -> Result<bool, String> {
    let told = |error: HostError| format!("{}: {error}", error.path());
    let loaded = match root.read_text(MODULES, LIMIT_BYTES) {
        Err(HostError::Missing { .. }) => return Ok(true),
        loaded => loaded.map_err(told)?,
    };
    if loaded.lines().any(|line| line.split(' ').next() == Some("nf_tables")) {
        return Ok(true);
    }
    let release = root.read_text(RELEASE, LIMIT_BYTES).map_err(told)?;
    let builtin = format!("/lib/modules/{}/modules.builtin", release.trim());
    let builtin = root.read_text(&builtin, LIMIT_BYTES).map_err(told)?;
    Ok(builtin.lines().any(|line| line.rsplit('/').next() == Some("nf_tables.ko")))
}

/// What is followed of a kind of traffic.
#[derive(Default)]
struct Followed {
    /// It lives by each of these.
    packets: Vec<Packet>,
    /// It may live by these.
    perhaps: Vec<Packet>,
    /// Why something of it is not followed.
    left_out: Option<String>,
}

impl Followed {
    fn not(why: String) -> Self {
        Self { left_out: Some(why), ..Self::default() }
    }

    fn also(&mut self, other: Self) {
        self.packets.extend(other.packets);
        self.perhaps.extend(other.perhaps);
        self.left_out = self.left_out.take().or(other.left_out);
    }
}

/// Which ways packets take.
struct Ways<'a> {
    routes: &'a Routes,
    /// None where it is not told which addresses are the node's own.
    own: Option<Own>,
}

impl Ways<'_> {
    /// The link of the only default route of a family.
    fn uplink(&self, is_ipv6: bool) -> Option<String> {
        let defaults = self.routes.defaults();
        let mut routes = defaults.iter().filter(|route| route.is_ipv6 == is_ipv6);
        match (routes.next(), routes.next()) {
            (Some(only), None) => Some(only.link.clone()),
            _ => None,
        }
    }

    /// Whether an address is the node's own; none where that is not known.
    fn is_own(&self, address: IpAddr) -> Option<bool> {
        match address {
            IpAddr::V4(address) => self.own.as_ref().map(|own| own.has(address)),
            IpAddr::V6(address) => Some(self.routes.is_own(address)),
        }
    }

    /// The link that packets to an address that is not the node's own take, as far as it is
    /// known.
    fn link(&self, address: IpAddr) -> Option<String> {
        let is_all =
            address.is_ipv6() || self.own.as_ref().is_some_and(|own| !own.has_other_tables);
        self.routes.link(address).filter(|_| is_all).map(str::to_owned)
    }

    /// What goes to a server and comes from it.
    fn to(&self, protocol: u8, address: Option<IpAddr>, port: u16) -> Followed {
        let is_ipv6 = address.is_some_and(|address| address.is_ipv6());
        let is_own = match address {
            Some(address) if address.is_loopback() => Some(true),
            address => address.and_then(|address| self.is_own(address)),
        };
        let (link, source) = match (is_own, address) {
            (Some(true), Some(address)) if !address.is_loopback() => {
                (Some(LOOPBACK.to_owned()), Some(address))
            }
            (Some(true), _) => {
                let source: IpAddr = match is_ipv6 {
                    true => Ipv6Addr::LOCALHOST.into(),
                    false => Ipv4Addr::LOCALHOST.into(),
                };
                (Some(LOOPBACK.to_owned()), Some(source))
            }
            (Some(false), Some(address)) => (self.link(address), None),
            _ => (None, None),
        };
        let question = Packet {
            direction: Direction::Out,
            is_ipv6,
            protocol,
            link,
            source,
            destination: address,
            source_port: None,
            destination_port: Some(port),
            stage: Stage::First,
            is_tracked: true,
            is_roots: protocol == TCP,
        };
        let packets = question.conversation();
        // Of one that may be the node's own what goes out may come in.
        let perhaps = match is_own {
            None => packets.iter().map(Packet::turned).collect(),
            Some(_) => Vec::new(),
        };
        Followed { packets, perhaps, left_out: None }
    }

    /// What others ask the kubelet, and what it answers.
    fn to_kubelet(&self, is_ipv6: bool) -> Vec<Packet> {
        let question = Packet {
            direction: Direction::In,
            is_ipv6,
            protocol: TCP,
            link: self.uplink(is_ipv6),
            source: None,
            destination: None,
            source_port: None,
            destination_port: Some(KUBELET),
            stage: Stage::First,
            is_tracked: true,
            is_roots: true,
        };
        question.conversation()
    }
}

/// The packets of each kind of traffic.
fn packets(host: &Host, routes: &Routes) -> Vec<(Traffic, Followed)> {
    let ways = Ways { routes, own: Own::read(&host.root) };
    let has = |is_ipv6: bool| routes.defaults().iter().any(|route| route.is_ipv6 == is_ipv6);
    let mut loopback = ways.to(TCP, Some(Ipv4Addr::LOCALHOST.into()), KUBELET_HEALTH);
    let mut kubelet = Followed::default();
    // Of a node with both it is not known by which the kubelet is asked.
    match (has(false), has(true)) {
        (true, true) => {
            kubelet.packets = ways.to_kubelet(false);
            kubelet.perhaps = ways.to_kubelet(true);
        }
        (false, true) => {
            kubelet.packets = ways.to_kubelet(true);
            kubelet.perhaps = ways.to_kubelet(false);
        }
        (_, false) => kubelet.packets = ways.to_kubelet(false),
    }
    if has(true) {
        loopback.perhaps = ways.to(TCP, Some(Ipv6Addr::LOCALHOST.into()), KUBELET_HEALTH).packets;
    }
    let mut host_agent = Followed::default();
    for port in HOST_AGENT_PORTS {
        host_agent.also(ways.to(TCP, Some(HOST_AGENT.into()), port));
    }
    let mut all = vec![
        (Traffic::Loopback, loopback),
        (Traffic::Kubelet, kubelet),
        (Traffic::Metadata, ways.to(TCP, Some(METADATA.0.into()), METADATA.1)),
        (Traffic::HostAgent, host_agent),
    ];
    match api_server::addresses(host) {
        Ok(None) => {}
        Ok(Some((addresses, port))) => {
            let mut followed = Followed::default();
            for address in addresses.iter().take(ADDRESSES) {
                followed.also(ways.to(TCP, Some(*address), port));
            }
            match addresses.len() {
                // Of one whose address is not known it is known at least to which port one goes.
                0 => followed.also(ways.to(TCP, None, port)),
                count if count > ADDRESSES => {
                    let why =
                        format!("it has {count} addresses, of which {ADDRESSES} are followed");
                    followed.also(Followed::not(why));
                }
                _ => {}
            }
            all.push((Traffic::ApiServer, followed));
        }
        Err(error) => {
            let why = format!("{}: {error}", error.path());
            all.push((Traffic::ApiServer, Followed::not(why)));
        }
    }
    all.push((Traffic::Nameservers, nameservers(host, &ways)));
    all
}

fn nameservers(host: &Host, ways: &Ways<'_>) -> Followed {
    let file = match resolver::file(&host.root, resolver::RESOLV_CONF) {
        Ok(file) => file,
        Err(error) => return Followed::not(format!("{}: {error}", error.path())),
    };
    let implied = [resolver::IMPLIED.to_owned()];
    let used = if file.nameservers.is_empty() { &implied } else { file.used() };
    let mut followed = Followed::default();
    for address in used {
        followed.also(match address.parse() {
            Ok(address) => ways.to(UDP, Some(address), DOMAIN),
            // One of a link alone names it behind a percent sign.
            Err(_) => {
                let path = resolver::RESOLV_CONF;
                Followed::not(format!(
                    "{path}: nameserver {address} is no address that is followed"
                ))
            }
        });
    }
    followed
}

/// What becomes of each, the worst of its packets.
fn told(ruleset: &Ruleset, traffic: Vec<(Traffic, Followed)>) -> Vec<Filtered> {
    let cut = |text: String| text.chars().take(RULE_CHARS).collect::<String>();
    let fate = |followed: Followed| {
        let mut worst = None;
        let sure = followed.packets.iter().map(|packet| (packet, true));
        for (packet, is_sure) in sure.chain(followed.perhaps.iter().map(|packet| (packet, false))) {
            match ruleset.fate(packet) {
                Fate::Refused { chain, rule } if is_sure => {
                    return Told::Refused { chain: cut(chain), rule: cut(rule) };
                }
                Fate::Refused { chain, rule } | Fate::Undecided { chain, rule } => {
                    worst.get_or_insert(Told::Undecided { chain: cut(chain), rule: cut(rule) });
                }
                Fate::Passes => {}
            }
        }
        match (worst, followed.left_out) {
            (Some(undecided), _) => undecided,
            (None, Some(why)) => Told::NotFollowed(cut(why)),
            (None, None) if followed.packets.is_empty() => {
                Told::NotFollowed("none of its packets is known".to_owned())
            }
            (None, None) => Told::Passes,
        }
    };
    let told = |(traffic, followed)| Filtered { traffic, fate: fate(followed) };
    let mut all: Vec<Filtered> = traffic.into_iter().map(told).collect();
    all.sort_by_key(|filtered| filtered.traffic);
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::routes::{HEAD, OWN};
    use super::*;

    use crate::probe::Probes;

    /// The packets of nameservers, of a node with these files.
    fn asked(nameservers: Option<&str>, own: Option<&str>) -> Followed {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write(
            "proc/1/net/route",
            &format!(
                "{HEAD}eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                 eth1\t006433C6\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
            ),
        );
        if let Some(text) = nameservers {
            write("etc/resolv.conf", text);
        }
        if let Some(text) = own {
            write("proc/1/net/fib_trie", text);
        }
        let host = host(folder.path());
        let routes = Routes::read(&host.root).expect("routes");
        let all = packets(&host, &routes);
        let mut nameservers = all.into_iter().filter(|(one, _)| *one == Traffic::Nameservers);
        nameservers.next().expect("they are followed").1
    }

    fn host(root: &Path) -> Host {
        Host {
            asks_packet_filter: true,
            ..Host::new(
                HostRoot::open(root).expect("a directory"),
                Probes::Off("a copy".to_owned()),
            )
        }
    }

    fn link(followed: &Followed) -> Option<&str> {
        followed.packets.first().expect("a packet").link.as_deref()
    }

    #[test]
    fn without_a_nameserver_the_machine_itself_is_asked_and_what_is_no_address_is_told() {
        for nothing in [None, Some(""), Some("search a.example\n")] {
            let implied = asked(nothing, Some(OWN));
            let first = implied.packets.first().expect("a packet");
            assert_eq!(first.destination, Some(Ipv4Addr::LOCALHOST.into()));
            assert_eq!((first.link.as_deref(), implied.packets.len()), (Some("lo"), 4));
        }
        let scoped = asked(Some("nameserver fe80::1%eth0\n"), Some(OWN));
        let [told] = <[Filtered; 1]>::try_from(told(
            &Ruleset::default(),
            vec![(Traffic::Nameservers, scoped)],
        ))
        .expect("one");
        let Told::NotFollowed(why) = told.fate else { panic!("{:?}", told.fate) };
        assert!(why.contains("fe80::1%eth0"), "{why}");
    }

    #[test]
    fn the_link_is_that_of_the_narrowest_route_and_own_addresses_are_on_the_loopback() {
        let over = |address: &str, own| asked(Some(&format!("nameserver {address}\n")), own);
        assert_eq!(link(&over("203.0.113.53", Some(OWN))), Some("eth0"));
        assert_eq!(link(&over("198.51.100.53", Some(OWN))), Some("eth1"));
        let own = over("192.0.2.2", Some(OWN));
        assert_eq!((link(&own), own.packets.len()), (Some("lo"), 4));
        assert!(own.perhaps.is_empty());
        // Where nobody tells which addresses are the node's own, it may be asked by itself.
        let unknown = over("192.0.2.2", None);
        assert_eq!((link(&unknown), unknown.packets.len()), (None, 2));
        assert!(unknown.perhaps.iter().any(|packet| packet.direction == Direction::In));
        let other = format!("{OWN}Id 77:\n  |-- 10.0.0.0\n     /8 link UNICAST\n");
        assert_eq!(link(&over("198.51.100.53", Some(&other))), None);
    }

    #[test]
    fn traffic_of_which_nothing_is_followed_does_not_pass() {
        let none = vec![(Traffic::Kubelet, Followed::default())];
        let fates = told(&Ruleset::default(), none);
        assert!(matches!(fates[0].fate, Told::NotFollowed(_)), "{fates:?}");
    }
}
