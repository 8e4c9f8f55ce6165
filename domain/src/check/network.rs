//! Checks of `network`: can packets get out of the node and into it. Which kind of pod
//! network it is, is told by `cni`.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, shortened,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{Fate, Interface, Netfilter, Network, Rules, Traffic};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const EKS: &str =
    "https://github.com/aws/eks-node-monitoring-agent/blob/main/pkg/reasons/reasons.yaml";

/// A check of the node's network. A node that cannot report because of its network is none
/// that a provider's repair acts on, so that the turn is the customer's.
const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Network,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::None,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "LoopbackMissing",
        Severity::Critical,
        "The node's network has no loopback, or it is switched off",
        EKS,
        loopback_missing,
    ),
    check(
        "DefaultRouteMissing",
        Severity::Critical,
        "The node's network has no default route, of neither family",
        EKS,
        default_route_missing,
    ),
    check(
        "InterfaceDown",
        Severity::Warning,
        "An interface that a default route leads over is down, or a device that is switched on has no carrier",
        EKS,
        interface_down,
    ),
    check(
        "InterfaceMtuMixed",
        Severity::Warning,
        "Links to pods take bigger packets than the node's uplink does",
        "https://learn.microsoft.com/azure/virtual-network/virtual-network-tcpip-performance-tuning",
        mtu_mixed,
    ),
    check(
        "IptablesModesMixed",
        Severity::Information,
        "The node's iptables writes rules for nftables, and tables of the older packet filter are there besides",
        "https://github.com/kubernetes/node-problem-detector/blob/master/config/iptables-mode-monitor.json",
        modes_mixed,
    ),
    check(
        "NodeTrafficRefused",
        Severity::Warning,
        "A rule of the packet filter nf_tables refuses traffic that the node lives by: on its loopback, to the kubelet, the API server, nameservers or the cloud's own services",
        EKS,
        traffic_refused,
    ),
];

const INTERFACES: &str = "/sys/class/net";
const ROUTES: &str = "/proc/1/net/route";

fn known(history: &NodeHistory) -> Result<(&Network, Timestamp), Verdict> {
    facts(&history.network, "no network")
}

const fn customer(action: Action) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

fn evidence(interface: &Interface, expected: &str) -> Evidence {
    let Interface { name, is_up, state, .. } = interface;
    let switched = if *is_up { "on" } else { "off" };
    Evidence::new(format!("{INTERFACES}/{name}"), format!("switched {switched}, {state}"), expected)
}

fn loopback_missing(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (network, since) = verdict_or!(known(history));
    let loopbacks: Vec<&Interface> =
        network.interfaces.iter().filter(|interface| interface.is_loopback).collect();
    let evidence: Vec<Evidence> =
        loopbacks.iter().map(|interface| evidence(interface, "switched on")).collect();
    let message = match loopbacks.as_slice() {
        [] => "there is no loopback".to_owned(),
        some if some.iter().any(|interface| interface.is_up) => return Verdict::pass(evidence),
        [first, ..] => format!("the loopback {} is switched off", first.name),
    };
    let evidence = match evidence.is_empty() {
        true => vec![Evidence::new(INTERFACES, "no loopback", "lo")],
        false => evidence,
    };
    let action = by_hand(scope, Action::Repair { what: "ip link set lo up".to_owned() });
    Verdict::fail(message, since, customer(action), evidence)
}

fn default_route_missing(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let (network, since) = verdict_or!(known(history));
    match network.uplinks().as_slice() {
        [] => {
            let evidence = vec![
                Evidence::new(ROUTES, "no default route", "one"),
                Evidence::new("/proc/1/net/ipv6_route", "no default route", ""),
            ];
            let what = "restore the default route, as with networkctl reconfigure".to_owned();
            let action = by_hand(scope, Action::Repair { what });
            let message = "there is no default route: nothing beyond the subnet is reached";
            Verdict::fail(message, since, customer(action), evidence)
        }
        links => {
            let actual = format!("default over {}", links.join(", "));
            Verdict::pass(vec![Evidence::new(ROUTES, actual, "")])
        }
    }
}

fn interface_down(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (network, since) = verdict_or!(known(history));
    let uplinks = network.uplinks();
    if let Some(stranger) = uplinks.iter().find(|link| network.interface(link).is_none()) {
        let evidence = vec![Evidence::new(ROUTES, format!("default over {stranger}"), "")];
        let why = format!("{INTERFACES} has no {stranger}: it shows another network than {ROUTES}");
        return Verdict::unknown(why, evidence);
    }
    let is_uplink = |interface: &Interface| uplinks.contains(&interface.name.as_str());
    // One that was never switched on is not used.
    let is_down = |interface: &&Interface| {
        !interface.runs() && (is_uplink(interface) || (!interface.is_virtual && interface.is_up))
    };
    let down: Vec<&Interface> = network.interfaces.iter().filter(is_down).collect();
    let message = match down.as_slice() {
        [] => {
            let looked_at = network.interfaces.iter().filter(|one| is_uplink(one));
            return Verdict::pass(looked_at.map(|one| evidence(one, "up")).collect());
        }
        [one] if is_uplink(one) => format!("{}, which the default route needs, is down", one.name),
        [one] => format!("{} is switched on and has no carrier", one.name),
        more => format!("{} interfaces are down", more.len()),
    };
    let at = format!("ip -details link show {}", down[0].name);
    let evidence = down.into_iter().map(|interface| evidence(interface, "up")).collect();
    Verdict::fail(message, since, customer(Action::Investigate { at }), shortened(evidence))
}

fn mtu_mixed(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (network, since) = verdict_or!(known(history));
    let Some(most) = network.pod_link_mtus.last() else {
        return Verdict::not_applicable("no links to pods");
    };
    let uplinks = network.uplinks();
    let uplinks = uplinks.iter().filter_map(|link| network.interface(link));
    let Some(uplink) = uplinks.min_by_key(|interface| interface.mtu_bytes) else {
        return Verdict::not_applicable("no uplink is known");
    };
    let Interface { name, mtu_bytes, .. } = uplink;
    let mtus: Vec<String> = network.pod_link_mtus.iter().map(u32::to_string).collect();
    let evidence = vec![
        Evidence::new(format!("{INTERFACES}/{name}/mtu"), mtu_bytes.to_string(), ""),
        Evidence::new(
            format!("{INTERFACES}/*/mtu of links to pods"),
            mtus.join(", "),
            format!("at most {mtu_bytes}"),
        ),
    ];
    if most <= mtu_bytes {
        return Verdict::pass(evidence);
    }
    let message =
        format!("links to pods have an MTU of {most}, {name} of {mtu_bytes}: big packets are lost");
    let what = format!("set the MTU of the pod network to at most {mtu_bytes}");
    let action = by_hand(scope, Action::Repair { what });
    Verdict::fail(message, since, customer(action), evidence)
}

fn modes_mixed(history: &NodeHistory, _: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (network, since) = verdict_or!(known(history));
    let (legacy_tables, iptables) = match &network.netfilter {
        Netfilter::Read { legacy_tables, iptables } => (legacy_tables, iptables),
        Netfilter::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
    };
    if iptables.is_empty() {
        return Verdict::not_applicable("the node has no iptables of its own");
    }
    let tables = legacy_tables.join(", ");
    let actual = if tables.is_empty() { "no tables".to_owned() } else { tables };
    let evidence = vec![
        Evidence::new("/usr/sbin/iptables", iptables, ""),
        Evidence::new("/proc/1/net/ip_tables_names", &actual, "no tables"),
    ];
    if !iptables.contains("nft") {
        let why = format!("the node's iptables is {iptables}, which writes to the older filter");
        return Verdict::not_applicable(why);
    }
    if legacy_tables.is_empty() {
        return Verdict::pass(evidence);
    }
    let message = format!(
        "tables of the older packet filter are there beside nftables: {actual}. Packets pass both"
    );
    let at = "iptables-legacy-save, and at who started it".to_owned();
    Verdict::fail(message, since, customer(Action::Investigate { at }), evidence)
}

/// Whether a node of that kind lives by that traffic; none where its kind is not known.
const fn is_needed(traffic: Traffic, platform: Platform) -> Option<bool> {
    match (traffic, platform) {
        (Traffic::Loopback | Traffic::ApiServer | Traffic::Nameservers, _) => Some(true),
        (_, Platform::Unknown) => None,
        (Traffic::Kubelet, platform) => {
            Some(matches!(platform, Platform::Aks | Platform::Kubernetes))
        }
        (Traffic::Metadata | Traffic::HostAgent, platform) => {
            Some(matches!(platform, Platform::Aks))
        }
    }
}

fn traffic_refused(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const RULES: &str = "nf_tables";
    let (network, since) = verdict_or!(known(history));
    let filtered = match &network.rules {
        Rules::NotAsked => {
            return Verdict::not_applicable(
                "not asked for: it takes CAP_NET_ADMIN (--packet-filter)",
            );
        }
        Rules::Read(filtered) => filtered,
        Rules::Unreadable(why) => {
            let why =
                format!("{why}: `nodeward inspect --packet-filter` as root on the node tells");
            return Verdict::unknown(why, Vec::new());
        }
    };
    let (mut refused, mut open, mut passed) = (Vec::new(), Vec::new(), Vec::new());
    for one in filtered {
        let needed = is_needed(one.traffic, scope.platform);
        if needed == Some(false) {
            continue;
        }
        let expected = format!("{} passes", one.traffic);
        match &one.fate {
            Fate::Passes => passed.push(one.traffic.to_string()),
            Fate::Refused { chain, rule } => {
                let told = Evidence::new(format!("{RULES} {chain}"), rule, expected);
                let is_sure = needed == Some(true);
                (if is_sure { &mut refused } else { &mut open }).push((one.traffic, told));
            }
            Fate::Undecided { chain, rule } => {
                let told = Evidence::new(format!("{RULES} {chain}"), rule, expected);
                open.push((one.traffic, told));
            }
            Fate::NotFollowed(why) => {
                open.push((one.traffic, Evidence::new(RULES, why, expected)));
            }
        }
    }
    if let [(traffic, first), more @ ..] = refused.as_slice() {
        let message = match more.len() {
            0 => format!("{traffic} is refused by a rule of the packet filter"),
            more => format!("{traffic}, and {more} more, is refused by the packet filter"),
        };
        let chain = first.source.strip_prefix(RULES).unwrap_or_default().trim();
        let at = format!("nft -a list chain {chain}, and at who wrote the rule");
        let evidence = refused.iter().map(|(_, evidence)| evidence.clone()).collect();
        let turn = customer(Action::Investigate { at });
        return Verdict::fail(message, since, turn, shortened(evidence));
    }
    let legacy_tables = match &network.netfilter {
        Netfilter::Read { legacy_tables, .. } => legacy_tables,
        Netfilter::Unreadable(why) => return Verdict::unknown(why, Vec::new()),
    };
    if let [(traffic, _), more @ ..] = open.as_slice() {
        let and = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let why = format!("what becomes of {traffic}{and} hangs on rules that are not understood");
        let evidence = open.into_iter().map(|(_, evidence)| evidence).collect();
        return Verdict::unknown(why, shortened(evidence));
    }
    if !legacy_tables.is_empty() {
        let tables = legacy_tables.join(", ");
        let why = format!(
            "rules of the older packet filter are not read ({tables}): iptables-legacy-save tells"
        );
        return Verdict::unknown(why, Vec::new());
    }
    Verdict::pass(vec![Evidence::new(RULES, format!("lets pass: {}", passed.join(", ")), "")])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{ComponentState, DefaultRoute, Filtered};
    use crate::observed::State;
    use crate::policy::DEFAULT_EDITION;

    fn interface(name: &str, state: &str, mtu_bytes: u32) -> Interface {
        Interface {
            name: name.to_owned(),
            is_virtual: !name.starts_with("eth"),
            is_loopback: name == "lo",
            is_up: true,
            state: state.to_owned(),
            mtu_bytes,
            master: String::new(),
        }
    }

    fn healthy() -> Network {
        Network {
            interfaces: vec![interface("eth0", "up", 1500), interface("lo", "unknown", 65536)],
            pod_link_mtus: vec![1450, 1500],
            default_routes: vec![DefaultRoute { is_ipv6: false, link: "eth0".to_owned() }],
            netfilter: Netfilter::Read {
                legacy_tables: Vec::new(),
                iptables: "xtables-nft-multi".to_owned(),
            },
            rules: filtered([]),
        }
    }

    /// All traffic passes but for that.
    fn filtered<const N: usize>(but: [(Traffic, Fate); N]) -> Rules {
        let mut fates: BTreeMap<Traffic, Fate> =
            Traffic::ALL.into_iter().map(|traffic| (traffic, Fate::Passes)).collect();
        fates.extend(but);
        Rules::Read(fates.into_iter().map(|(traffic, fate)| Filtered { traffic, fate }).collect())
    }

    fn refused() -> Fate {
        Fate::Refused { chain: "ip filter OUTPUT".to_owned(), rule: "rule 7: drop".to_owned() }
    }

    fn judged(reason: &str, network: Network) -> Outcome {
        judged_on(Platform::Plain, reason, network)
    }

    fn judged_on(platform: Platform, reason: &str, network: Network) -> Outcome {
        let mut history = NodeHistory::default();
        let at = Timestamp::UNIX_EPOCH;
        let state = ComponentState::Network(State::Present(Arc::new(network)));
        history.observe(state, at, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
        (find(reason).expect("a check").judge)(&history, &scope, &policy, at).outcome
    }

    fn fails(reason: &str, change: impl FnOnce(&mut Network)) -> String {
        let mut network = healthy();
        change(&mut network);
        match judged(reason, network) {
            Outcome::Fail { message, .. } => message,
            other => panic!("{reason}: {other:?}"),
        }
    }

    #[test]
    fn a_healthy_network_passes_everything() {
        for check in CHECKS {
            assert_eq!(judged(check.reason, healthy()), Outcome::Pass, "{}", check.reason);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let said = fails("LoopbackMissing", |network| network.interfaces[1].is_up = false);
        assert_eq!(said, "the loopback lo is switched off");
        let said = fails("LoopbackMissing", |network| drop(network.interfaces.pop()));
        assert_eq!(said, "there is no loopback");
        fails("DefaultRouteMissing", |network| network.default_routes.clear());
        let said =
            fails("InterfaceDown", |network| "down".clone_into(&mut network.interfaces[0].state));
        assert_eq!(said, "eth0, which the default route needs, is down");
        let said = fails("InterfaceDown", |network| {
            network.interfaces.push(interface("eth1", "down", 1500));
        });
        assert_eq!(said, "eth1 is switched on and has no carrier");
        let said = fails("InterfaceMtuMixed", |network| network.interfaces[0].mtu_bytes = 1400);
        assert!(said.contains("1500") && said.contains("1400"), "{said}");
        fails("IptablesModesMixed", |network| {
            network.netfilter = Netfilter::Read {
                legacy_tables: vec!["ip filter".to_owned()],
                iptables: "xtables-nft-multi".to_owned(),
            };
        });
    }

    /// Who refuses what a node does not live by, as a firewall of a plain machine does with
    /// the kubelet's port, breaks nothing.
    #[test]
    fn traffic_counts_where_a_node_lives_by_it() {
        const REASON: &str = "NodeTrafficRefused";
        use Platform::{Aks, Kubernetes, Plain, Unknown};
        for (traffic, broken) in [
            (Traffic::Loopback, &[Aks, Kubernetes, Plain, Unknown][..]),
            (Traffic::ApiServer, &[Aks, Kubernetes, Plain, Unknown]),
            (Traffic::Nameservers, &[Aks, Kubernetes, Plain, Unknown]),
            (Traffic::Kubelet, &[Aks, Kubernetes]),
            (Traffic::Metadata, &[Aks]),
            (Traffic::HostAgent, &[Aks]),
        ] {
            for platform in [Aks, Kubernetes, Plain, Unknown] {
                let network = Network { rules: filtered([(traffic, refused())]), ..healthy() };
                let outcome = judged_on(platform, REASON, network);
                match (broken.contains(&platform), platform, outcome) {
                    (true, _, Outcome::Fail { message, .. }) => {
                        assert!(message.contains(&traffic.to_string()), "{message}");
                    }
                    (false, Unknown, Outcome::Unknown(_)) | (false, _, Outcome::Pass) => {}
                    (_, _, outcome) => panic!("{traffic} on {platform:?}: {outcome:?}"),
                }
            }
        }
    }

    #[test]
    fn rules_that_were_not_read_or_not_understood_are_not_clean() {
        const REASON: &str = "NodeTrafficRefused";
        let unknown = |network: Network| match judged_on(Platform::Aks, REASON, network) {
            Outcome::Unknown(why) => why,
            other => panic!("{other:?}"),
        };
        let outcome = judged(REASON, Network { rules: Rules::NotAsked, ..healthy() });
        assert!(
            matches!(&outcome, Outcome::NotApplicable(why) if why.contains("--packet-filter")),
            "{outcome:?}"
        );
        let rules = Rules::Unreadable("needs CAP_NET_ADMIN".to_owned());
        let why = unknown(Network { rules, ..healthy() });
        assert!(why.contains("CAP_NET_ADMIN") && why.contains("nodeward inspect"), "{why}");
        let chain = || "ip filter INPUT".to_owned();
        let undecided = Fate::Undecided { chain: chain(), rule: "rule 1: (set) drop".to_owned() };
        let rules = filtered([(Traffic::Kubelet, undecided)]);
        let why = unknown(Network { rules, ..healthy() });
        assert!(why.contains("not understood"), "{why}");
        let rules = filtered([(Traffic::ApiServer, Fate::NotFollowed("EACCES".to_owned()))]);
        unknown(Network { rules, ..healthy() });
        let older = || Netfilter::Read {
            legacy_tables: vec!["ip filter".to_owned()],
            iptables: String::new(),
        };
        let why = unknown(Network { netfilter: older(), ..healthy() });
        assert!(why.contains("ip filter"), "{why}");
        let rules = filtered([(Traffic::Loopback, refused())]);
        let network = Network { netfilter: older(), rules, ..healthy() };
        let outcome = judged_on(Platform::Aks, REASON, network);
        assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
    }

    #[test]
    fn what_is_not_used_or_not_seen_is_no_fault() {
        let mut unused = healthy();
        unused.interfaces.push(interface("docker0", "down", 1500));
        unused.interfaces.push(Interface { is_up: false, ..interface("eth1", "down", 1500) });
        assert_eq!(judged("InterfaceDown", unused), Outcome::Pass);
        let mut other = healthy();
        other.default_routes[0].link = "ens5".to_owned();
        assert!(matches!(judged("InterfaceDown", other), Outcome::Unknown(_)));
        let mut ipv6 = healthy();
        ipv6.default_routes[0].is_ipv6 = true;
        assert_eq!(judged("DefaultRouteMissing", ipv6), Outcome::Pass);
        let mut older = healthy();
        older.netfilter = Netfilter::Read {
            legacy_tables: vec!["ip nat".to_owned()],
            iptables: "xtables-legacy-multi".to_owned(),
        };
        assert!(matches!(judged("IptablesModesMixed", older), Outcome::NotApplicable(_)));
        let mut unread = healthy();
        unread.netfilter = Netfilter::Unreadable("EACCES".to_owned());
        assert!(matches!(judged("IptablesModesMixed", unread), Outcome::Unknown(_)));
    }
}
