//! What the node's packet filter does with the traffic that a node lives by. The rules are too
//! many to be told and change with every pod: what becomes of a few packets is told instead,
//! each as a program of the node sends or gets it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nodeward_domain::facts::{DefaultRoute, Fate as Told, Filtered, Rules, Traffic};

use super::super::{api_server, resolver};
use crate::host::{Host, HostError, HostRoot};
use crate::nftables::{Direction, Fate, Packet, Ruleset, TCP, UDP};

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

/// A port as the kernel gives it to who asks (`net.ipv4.ip_local_port_range`): one of many.
const CLIENT: u16 = 50_000;

/// So many addresses of a server or nameservers are followed.
const ADDRESSES: usize = 4;

/// What is told of a rule.
const RULE_CHARS: usize = 200;

pub(super) fn read(host: &Host, default_routes: &[DefaultRoute]) -> Rules {
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
        Ok(ruleset) => Rules::Read(told(&ruleset, packets(host, default_routes))),
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

/// The packets of each kind of traffic; or why they are not known.
fn packets(
    host: &Host,
    default_routes: &[DefaultRoute],
) -> Vec<(Traffic, Result<Vec<Packet>, String>)> {
    let uplink = |is_ipv6: bool| {
        let mut routes = default_routes.iter().filter(|route| route.is_ipv6 == is_ipv6);
        match (routes.next(), routes.next()) {
            (Some(only), None) => Some(only.link.clone()),
            _ => None,
        }
    };
    let to = |protocol: u8, address: Option<IpAddr>, port: u16| {
        let is_ipv6 = address.is_some_and(|address| address.is_ipv6());
        let is_loopback = address.is_some_and(|address| address.is_loopback());
        let link = if is_loopback { Some("lo".to_owned()) } else { uplink(is_ipv6) };
        let question = Packet {
            direction: Direction::Out,
            is_ipv6,
            protocol,
            link,
            source: address.filter(|_| is_loopback).map(|_| match is_ipv6 {
                true => Ipv6Addr::LOCALHOST.into(),
                false => Ipv4Addr::LOCALHOST.into(),
            }),
            destination: address,
            source_port: Some(CLIENT),
            destination_port: Some(port),
            is_first: true,
            is_roots: protocol == TCP,
        };
        let answer = answer(&question);
        let mut all = vec![question, answer];
        if is_loopback {
            // What goes out by the loopback comes in by it.
            let arrived: Vec<Packet> = all.iter().map(turned).collect();
            all.extend(arrived);
        }
        all
    };
    let kubelet = Packet {
        direction: Direction::In,
        is_ipv6: false,
        protocol: TCP,
        link: uplink(false),
        source: None,
        destination: None,
        source_port: Some(CLIENT),
        destination_port: Some(KUBELET),
        is_first: true,
        is_roots: true,
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let own_answer = answer(&kubelet);
    let mut all = vec![
        (Traffic::Loopback, Ok(to(TCP, Some(loopback), KUBELET_HEALTH))),
        (Traffic::Kubelet, Ok(vec![kubelet, own_answer])),
        (Traffic::Metadata, Ok(to(TCP, Some(METADATA.0.into()), METADATA.1))),
        (
            Traffic::HostAgent,
            Ok(HOST_AGENT_PORTS
                .into_iter()
                .flat_map(|port| to(TCP, Some(HOST_AGENT.into()), port))
                .collect()),
        ),
    ];
    match api_server::addresses(host) {
        Ok(None) => {}
        Ok(Some((addresses, port))) => {
            let known = addresses.into_iter().take(ADDRESSES).map(Some);
            let known: Vec<Option<IpAddr>> = known.collect();
            // Of one whose address is not known it is known at least to which port one goes.
            let known = if known.is_empty() { vec![None] } else { known };
            let packets = known.into_iter().flat_map(|address| to(TCP, address, port)).collect();
            all.push((Traffic::ApiServer, Ok(packets)));
        }
        Err(error) => {
            all.push((Traffic::ApiServer, Err(format!("{}: {error}", error.path()))));
        }
    }
    let nameservers = resolver::file(&host.root, resolver::RESOLV_CONF);
    let nameservers = nameservers.map(|file| {
        let used = file.used().iter().filter_map(|address| address.parse::<IpAddr>().ok());
        used.take(ADDRESSES).flat_map(|address| to(UDP, Some(address), DOMAIN)).collect()
    });
    all.push((
        Traffic::Nameservers,
        nameservers.map_err(|error| format!("{}: {error}", error.path())),
    ));
    all
}

/// What is answered to a packet.
fn answer(to: &Packet) -> Packet {
    Packet {
        direction: match to.direction {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        },
        source: to.destination,
        destination: to.source,
        source_port: to.destination_port,
        destination_port: to.source_port,
        is_first: false,
        ..to.clone()
    }
}

/// A packet on the other half of its way through the loopback.
fn turned(packet: &Packet) -> Packet {
    Packet { direction: answer(packet).direction, ..packet.clone() }
}

/// What becomes of each, the worst of its packets.
fn told(ruleset: &Ruleset, traffic: Vec<(Traffic, Result<Vec<Packet>, String>)>) -> Vec<Filtered> {
    let cut = |text: String| text.chars().take(RULE_CHARS).collect::<String>();
    let mut all: Vec<Filtered> = traffic
        .into_iter()
        .map(|(traffic, packets)| {
            let packets = match packets {
                Ok(packets) => packets,
                Err(why) => return Filtered { traffic, fate: Told::NotFollowed(why) },
            };
            let mut fate = Told::Passes;
            for packet in packets {
                match ruleset.fate(&packet) {
                    Fate::Refused { chain, rule } => {
                        fate = Told::Refused { chain: cut(chain), rule: cut(rule) };
                        break;
                    }
                    Fate::Undecided { chain, rule } if fate == Told::Passes => {
                        fate = Told::Undecided { chain: cut(chain), rule: cut(rule) };
                    }
                    Fate::Undecided { .. } | Fate::Passes => {}
                }
            }
            Filtered { traffic, fate }
        })
        .collect();
    all.sort_by_key(|filtered| filtered.traffic);
    all
}
