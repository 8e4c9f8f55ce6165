//! Collects `dns`: which nameservers the node resolves names by, which ones the kubelet hands
//! to pods, and whether each answers. None is asked for a name of the cluster or of its
//! operator: the question is for the nameservers of the root.

use std::net::IpAddr;
use std::sync::Arc;

use nodeward_domain::facts::{
    ComponentState, Dns, LocalDns, Nameserver, NameserverAnswer, PodResolver, UnitState,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::resolver::{self, IMPLIED, RESOLV_CONF};
use super::{Collected, kubelet};
use crate::host::{Foreign, Host, HostError};
use crate::reads::Read;

/// Whom systemd-resolved asks, systemd-resolved.service(8), and where its stub listens.
const UPLINK: &str = "/run/systemd/resolve/resolv.conf";
const STUB: &str = "127.0.0.53";

/// The unit of AKS's cache of names.
const LOCAL_DNS: &str = "localdns.service";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(&[RESOLV_CONF], "Nameservers, search list and options."),
    Read::of(&[UPLINK], "The same, where the node asks systemd-resolved's stub."),
    Read::usually(
        &["/etc/{name}.conf"],
        "the kubelet's `resolvConf`",
        "The same, of what it hands to pods.",
    ),
    Read::usually(
        &["udp://{address}:53"],
        "the nameservers of these files, at the most three of each",
        "Whether it answers, asked for the nameservers of the root; sent twice at the most.",
    ),
    Read::of(
        &["/run/systemd/system", "/run/dbus/system_bus_socket"],
        "As for other units: systemd is asked over its bus.",
    ),
    Read::of(
        &["org.freedesktop.systemd1/localdns.service"],
        "ActiveState and SubState, where a file leads to AKS's localdns (169.254.10.10).",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    match read(host) {
        Ok((dns, measured)) => {
            Collected { state: ComponentState::Dns(State::Present(Arc::new(dns))), measured }
        }
        Err(error) => ComponentState::Dns(State::Unavailable(error.into())).into(),
    }
}

fn read(host: &Host) -> Result<(Dns, Measurements), HostError> {
    let node = resolver::file(&host.root, RESOLV_CONF)?;
    let is_stub = node.used().iter().any(|address| address == STUB);
    let uplink = is_stub.then(|| resolver::file(&host.root, UPLINK)).transpose()?;
    let pods = match kubelet::told(host, "resolvConf")? {
        None => PodResolver::NoKubelet,
        Some(Ok(path)) if path.is_empty() => PodResolver::Off,
        Some(Ok(path)) => PodResolver::File(resolver::file(&host.root, &path)?),
        Some(Err(why)) => PodResolver::Unreadable(why),
    };
    let mut dns = Dns { node, uplink, pods, nameservers: Vec::new(), local_dns: LocalDns::NotUsed };
    let mut addresses: Vec<String> = Vec::new();
    let implied = dns.node.nameservers.is_empty().then(|| IMPLIED.to_owned());
    let used = dns.files().into_iter().flat_map(|file| file.used()).cloned();
    for address in used.chain(implied) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if dns.files().iter().any(|file| file.is_to_local_dns()) {
        dns.local_dns = local_dns(host);
    }
    let (nameservers, measured) = ask(host, addresses);
    dns.nameservers = nameservers;
    Ok((dns, measured))
}

fn ask(host: &Host, addresses: Vec<String>) -> (Vec<Nameserver>, Measurements) {
    let foreign = host.foreign("net");
    let parsed: Vec<Option<IpAddr>> = match &foreign {
        Some(Foreign::Another(_)) => addresses.iter().map(|_| None).collect(),
        _ => addresses.iter().map(|address| address.parse().ok()).collect(),
    };
    let asked: Vec<IpAddr> = parsed.iter().flatten().copied().collect();
    let mut heard = host.probes.nameservers(&asked).into_iter();
    let mut measured = Measurements::default();
    let mut nameservers = Vec::with_capacity(addresses.len());
    for (address, parsed) in addresses.into_iter().zip(parsed) {
        let heard = parsed.and_then(|_| heard.next());
        let answer = match (heard, &foreign) {
            (None, Some(foreign @ Foreign::Another(_))) => {
                NameserverAnswer::NotAsked { why: foreign.to_string() }
            }
            (None, _) => NameserverAnswer::NotAsked { why: "is no plain address".to_owned() },
            // That nobody answers in another network says nothing.
            (Some(heard), Some(foreign)) if heard.answer.is_silent() == Some(true) => {
                let why = format!("{}, but {foreign}", heard.answer);
                NameserverAnswer::NotAsked { why }
            }
            (Some(heard), _) => {
                let took = heard.took.map(|took| took.as_secs_f64());
                let slowest = measured.dns_round_trip_seconds.into_iter().chain(took);
                measured.dns_round_trip_seconds = slowest.reduce(f64::max);
                heard.answer
            }
        };
        nameservers.push(Nameserver { address, answer });
    }
    (nameservers, measured)
}

fn local_dns(host: &Host) -> LocalDns {
    match host.probes.units(&host.root, &[LOCAL_DNS]).pop() {
        Some(UnitState::Loaded(unit)) if unit.load_state != "not-found" => {
            LocalDns::Unit(format!("{} ({})", unit.active_state, unit.sub_state))
        }
        Some(UnitState::NotLoaded { file_state }) if !file_state.is_empty() => {
            LocalDns::Unit("not loaded".to_owned())
        }
        Some(UnitState::Loaded(_) | UnitState::NotLoaded { .. } | UnitState::NoSystemd) => {
            LocalDns::NoUnit
        }
        Some(UnitState::Unreadable { why }) => LocalDns::Unreadable(why),
        None => LocalDns::Unreadable("systemd was not asked".to_owned()),
    }
}
