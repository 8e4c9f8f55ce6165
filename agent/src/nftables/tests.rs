//! Messages as the kernel makes them, by hand, and what becomes of packets.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use packet::{TCP, UDP};

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn number(kind: u16, number: u32) -> Vec<u8> {
    attribute(kind, &number.to_be_bytes())
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, format!("{text}\0").as_bytes())
}

fn message(kind: u16, family: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut message = vec![0; HEAD_BYTES];
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message.extend([family, 0, 0, 0]);
    message.extend(attributes.concat());
    message
}

fn expression(name: &str, told: &[Vec<u8>]) -> Vec<u8> {
    attribute(1, &[text(1, name), attribute(2, &told.concat())].concat())
}

fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(2, key), number(1, 1)])
}

fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    expression("payload", &[number(1, 1), number(2, base), number(3, offset), number(4, length)])
}

fn masked(mask: &[u8]) -> Vec<u8> {
    let inner = |kind: u16, bytes: &[u8]| attribute(kind, &attribute(1, bytes));
    let xor = vec![0; mask.len()];
    expression("bitwise", &[number(1, 1), number(2, 1), inner(4, mask), inner(5, &xor)])
}

fn compared(how: u32, value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, 1), number(2, how), attribute(3, &attribute(1, value))])
}

fn is(value: &[u8]) -> Vec<u8> {
    compared(0, value)
}

fn older(name: &str, revision: u32, bytes: &[u8]) -> Vec<u8> {
    expression("match", &[text(1, name), number(2, revision), attribute(3, bytes)])
}

fn verdict(code: i32, chain: &str) -> Vec<u8> {
    let mut told = vec![number(1, code.cast_unsigned())];
    if !chain.is_empty() {
        told.push(text(2, chain));
    }
    let inner = attribute(2, &attribute(2, &told.concat()));
    expression("immediate", &[number(1, 0), inner])
}

fn accept() -> Vec<u8> {
    verdict(1, "")
}

fn drops() -> Vec<u8> {
    verdict(0, "")
}

const IP: u8 = 2;

/// Chains, some hooked and with a policy, and rules in them.
#[derive(Default)]
struct Made {
    ruleset: Ruleset,
    handle: u64,
}

impl Made {
    fn base(self, chain: &str, hook: u32, policy: u32) -> Self {
        self.hooked(IP, "filter", chain, (hook, 0), policy)
    }

    /// A chain of that family and type, hooked with a priority.
    fn hooked(
        mut self,
        family: u8,
        kind: &str,
        chain: &str,
        (hook, priority): (u32, i32),
        policy: u32,
    ) -> Self {
        let told = [number(1, hook), number(2, priority.cast_unsigned())];
        let hook = attribute(4, &told.concat());
        let told = [text(1, "filter"), text(3, chain), hook, number(5, policy), text(7, kind)];
        self.ruleset.take(&message(NEW_CHAIN, family, &told)).expect("a chain");
        self
    }

    fn chain(mut self, chain: &str) -> Self {
        let told = [text(1, "filter"), text(3, chain)];
        self.ruleset.take(&message(NEW_CHAIN, IP, &told)).expect("a chain");
        self
    }

    fn rule(self, chain: &str, expressions: &[Vec<u8>]) -> Self {
        self.rule_of(IP, chain, expressions)
    }

    fn rule_of(mut self, family: u8, chain: &str, expressions: &[Vec<u8>]) -> Self {
        self.handle += 1;
        let handle = attribute(3, &self.handle.to_be_bytes());
        let told = [text(1, "filter"), text(2, chain), handle, attribute(4, &expressions.concat())];
        self.ruleset.take(&message(NEW_RULE, family, &told)).expect("a rule");
        self
    }

    /// `passes`, `refused by` a rule, or `undecided by` one.
    fn fate(&self, packet: &Packet) -> String {
        match self.ruleset.fate(packet) {
            Fate::Passes => "passes".to_owned(),
            Fate::Refused { chain, rule } => format!("refused by {chain} {rule}"),
            Fate::Undecided { chain, rule } => format!("undecided by {chain} {rule}"),
        }
    }
}

/// To the kubelet, from nobody knows where.
fn to_kubelet() -> Packet {
    Packet {
        direction: Direction::In,
        is_ipv6: false,
        protocol: TCP,
        link: Some("eth0".to_owned()),
        source: None,
        destination: None,
        source_port: None,
        destination_port: Some(10250),
        stage: Stage::First,
        is_tracked: true,
        is_roots: true,
    }
}

/// From a program of root's to an address.
fn to_host_agent() -> Packet {
    Packet {
        direction: Direction::Out,
        destination: Some(IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16))),
        destination_port: Some(80),
        ..to_kubelet()
    }
}

fn input() -> Made {
    Made::default().base("INPUT", 1, 1)
}

fn output() -> Made {
    Made::default().base("OUTPUT", 3, 1)
}

fn port(port: u16) -> Vec<Vec<u8>> {
    vec![meta(16), is(&[TCP]), payload(2, 2, 2), is(&port.to_be_bytes())]
}

fn with(mut expressions: Vec<Vec<u8>>, last: Vec<u8>) -> Vec<Vec<u8>> {
    expressions.push(last);
    expressions
}

#[test]
fn a_rule_refuses_what_it_names_and_nothing_else() {
    let made = input().rule("INPUT", &with(port(10250), drops()));
    assert_eq!(made.fate(&to_kubelet()), "refused by ip filter INPUT rule 1: tcp dport 10250 drop");
    assert_eq!(input().rule("INPUT", &with(port(22), drops())).fate(&to_kubelet()), "passes");
    let udp = Packet { protocol: UDP, ..to_kubelet() };
    assert_eq!(made.fate(&udp), "passes");
    let out = Packet { direction: Direction::Out, ..to_kubelet() };
    assert_eq!(made.fate(&out), "passes");
    // IPv4's table does not see IPv6.
    assert_eq!(made.fate(&Packet { is_ipv6: true, ..to_kubelet() }), "passes");
    for reject in [
        expression("reject", &[number(1, 0)]),
        expression("target", &[text(1, "REJECT"), number(2, 0), attribute(3, &[0; 4])]),
    ] {
        let made = input().rule("INPUT", &with(port(10250), reject));
        assert!(made.fate(&to_kubelet()).ends_with("reject"), "{}", made.fate(&to_kubelet()));
    }
}

#[test]
fn what_was_accepted_before_is_not_refused_after() {
    let accepted = || input().rule("INPUT", &with(port(10250), accept()));
    let made = accepted().rule("INPUT", &[drops()]);
    assert_eq!(made.fate(&to_kubelet()), "passes");
    // Perhaps it was accepted: a set that is not looked into.
    let set = expression("lookup", &[text(1, "ports"), number(2, 1)]);
    let perhaps = input().rule("INPUT", &[payload(2, 2, 2), set, accept()]);
    let made = perhaps.rule("INPUT", &[drops()]);
    assert_eq!(made.fate(&to_kubelet()), "undecided by ip filter INPUT rule 2: drop");
    // Perhaps it is dropped.
    let made = input().rule("INPUT", &[expression("limit", &[]), drops()]);
    assert_eq!(made.fate(&to_kubelet()), "undecided by ip filter INPUT rule 1: (limit) drop");
}

#[test]
fn what_no_rule_lets_through_a_policy_refuses() {
    let made = Made::default().base("INPUT", 1, 0);
    assert!(made.fate(&to_kubelet()).starts_with("refused by ip filter INPUT policy drop"));
    let let_through = made.rule("INPUT", &with(port(10250), accept()));
    assert_eq!(let_through.fate(&to_kubelet()), "passes");
    // An answer to what was asked is let through by its state.
    let state = with(vec![expression("ct", &[number(1, 1), number(2, 0)])], masked(&[6, 0, 0, 0]));
    let firewall = Made::default()
        .base("INPUT", 1, 0)
        .rule("INPUT", &[state, vec![compared(1, &[0; 4]), accept()]].concat());
    assert!(firewall.fate(&to_kubelet()).starts_with("refused"));
    assert_eq!(firewall.fate(&Packet { stage: Stage::Later, ..to_kubelet() }), "passes");
}

#[test]
fn chains_are_followed_to_where_they_lead_and_back() {
    let jump = || verdict(-3, "OWN");
    let made = || input().chain("OWN").rule("INPUT", &[jump()]);
    let refused = made().rule("OWN", &with(port(10250), drops()));
    assert!(refused.fate(&to_kubelet()).starts_with("refused by ip filter OWN rule 2"));
    let returned = made().rule("OWN", &[verdict(-5, "")]).rule("OWN", &[drops()]);
    assert_eq!(returned.fate(&to_kubelet()), "passes");
    let gone = input().chain("OWN").rule("INPUT", &[verdict(-4, "OWN")]);
    // Who went does not come back, and then the policy lets it pass.
    assert_eq!(gone.rule("INPUT", &[drops()]).fate(&to_kubelet()), "passes");
    let circle = made().rule("OWN", &[jump()]);
    assert_eq!(circle.fate(&to_kubelet()), "passes");
    let nowhere = input().rule("INPUT", &[verdict(-3, "GONE")]);
    assert!(nowhere.fate(&to_kubelet()).starts_with("undecided"));
}

#[test]
fn what_the_pod_network_does_by_its_marks_is_no_finding() {
    let older_mark = [0x8000_u32, 0x8000, 0].map(u32::to_ne_bytes).concat();
    let marked = || vec![meta(3), masked(&[0, 0x80, 0, 0]), is(&[0, 0x80, 0, 0])];
    let filtered = || older("rpfilter", 0, &[0; 4]);
    let reject = || expression("target", &[text(1, "REJECT"), number(2, 0), attribute(3, &[0; 4])]);
    let service = || [payload(1, 12, 4), is(&[10, 0, 0, 9]), reject()];
    for (name, rule, expected) in [
        ("KUBE-FIREWALL", with(marked(), drops()), "passes"),
        ("KUBE-FIREWALL", vec![older("mark", 1, &older_mark), drops()], "passes"),
        ("KUBE-SERVICES", service().to_vec(), "passes"),
        ("cali-rpf-skip", [marked(), vec![filtered(), drops()]].concat(), "passes"),
        // What is none of those may be about the node's own traffic.
        ("KUBE-FIREWALL", vec![meta(3), is(&[7, 0, 0, 0]), drops()], "undecided"),
        ("AKS-X", with(marked(), drops()), "undecided"),
        ("cali-fh-eth0", with(marked(), drops()), "undecided"),
        ("CILIUM_INPUT", vec![older("pkttype", 0, &[0; 8]), drops()], "undecided"),
    ] {
        let made = input().chain(name).rule("INPUT", &[verdict(-3, name)]).rule(name, &rule);
        assert!(made.fate(&to_kubelet()).starts_with(expected), "{name}: {expected}");
    }
    for name in ["KUBE-FIREWALL", "cali-INPUT", "CILIUM_INPUT"] {
        let made = || input().chain(name).rule("INPUT", &[verdict(-3, name)]);
        // What it does for sure is not for us to judge.
        let sure = made().rule(name, &with(port(10250), drops()));
        assert!(sure.fate(&to_kubelet()).starts_with("undecided by"), "{name}");
    }
}

#[test]
fn links_and_addresses_are_compared_as_far_as_they_are_known() {
    let over = |link: &str| {
        let mut name = link.as_bytes().to_vec();
        name.push(0);
        input().rule("INPUT", &[meta(6), is(&name), drops()])
    };
    assert_eq!(over("eth0").fate(&to_kubelet()), "refused by ip filter INPUT rule 1: in eth0 drop");
    assert_eq!(over("eth1").fate(&to_kubelet()), "passes");
    let number =
        |number: u32| input().rule("INPUT", &[meta(4), is(&number.to_ne_bytes()), drops()]);
    assert_eq!(number(1).fate(&to_kubelet()), "passes");
    assert!(number(2).fate(&to_kubelet()).starts_with("undecided"));
    let loopback = Packet { link: Some("lo".to_owned()), ..to_kubelet() };
    assert!(number(1).fate(&loopback).starts_with("refused"));
    // From a net: the kubelet is asked from anywhere.
    let from = input().rule("INPUT", &[payload(1, 12, 1), is(&[10]), drops()]);
    assert_eq!(
        from.fate(&to_kubelet()),
        "undecided by ip filter INPUT rule 1: from 10.0.0.0/8 drop"
    );
    // Nobody knows from where, but not from the loopback.
    let own = input().rule("INPUT", &[payload(1, 12, 1), is(&[127]), drops()]);
    assert_eq!(own.fate(&to_kubelet()), "passes");
    let to = |net: [u8; 4]| {
        let mask = masked(&[255, 255, 192, 0]);
        output().rule("OUTPUT", &[payload(1, 16, 4), mask, is(&net), drops()])
    };
    assert_eq!(
        to([168, 63, 128, 0]).fate(&to_host_agent()),
        "refused by ip filter OUTPUT rule 1: to 168.63.128.0/18 drop"
    );
    assert_eq!(to([168, 63, 64, 0]).fate(&to_host_agent()), "passes");
}

/// What older programs write: the same in other words.
#[test]
fn conditions_in_the_older_form_are_read() {
    let ports = |source: [u16; 2], destination: [u16; 2], inverted: u8| {
        let all = [source, destination].concat();
        let mut bytes: Vec<u8> = all.iter().flat_map(|port| port.to_ne_bytes()).collect();
        bytes.extend([0, 0, 0, inverted]);
        older("tcp", 0, &bytes)
    };
    const ANY: [u16; 2] = [0, u16::MAX];
    let fate = |condition: Vec<u8>, packet: &Packet| {
        let made = Made::default().base("INPUT", 1, 1).base("OUTPUT", 3, 1);
        let made = made.rule("INPUT", &[condition.clone(), drops()]);
        made.rule("OUTPUT", &[condition, drops()]).fate(packet)
    };
    let refused = |condition, packet: &Packet| fate(condition, packet).starts_with("refused");
    let passes = |condition, packet: &Packet| fate(condition, packet) == "passes";
    assert!(refused(ports(ANY, [10250, 10250], 0), &to_kubelet()));
    assert!(refused(ports(ANY, [10000, 11000], 0), &to_kubelet()));
    assert!(passes(ports(ANY, [10250, 10250], 2), &to_kubelet()));
    // One of the ports that the kernel gives to who asks for none.
    assert!(fate(ports([50_000, 50_000], ANY, 0), &to_kubelet()).starts_with("undecided"));
    assert!(refused(ports([1024, u16::MAX], ANY, 0), &to_kubelet()));
    assert!(passes(ports([1, 1023], ANY, 0), &to_kubelet()));

    let several = |flags: u8, count: u8, list: &[u16], ranges: &[u8], inverted: u8| {
        let mut bytes = vec![flags, count];
        let mut places = [0_u16; 15];
        places[..list.len()].copy_from_slice(list);
        bytes.extend(places.iter().flat_map(|port| port.to_ne_bytes()));
        let mut starts = [0_u8; 15];
        starts[..ranges.len()].copy_from_slice(ranges);
        bytes.extend(starts);
        bytes.push(inverted);
        older("multiport", 1, &bytes)
    };
    assert!(refused(several(1, 2, &[22, 10250], &[], 0), &to_kubelet()));
    assert!(refused(several(1, 3, &[22, 10200, 10300], &[0, 1], 0), &to_kubelet()));
    assert!(passes(several(1, 1, &[22], &[], 0), &to_kubelet()));
    assert!(refused(several(1, 1, &[22], &[], 1), &to_kubelet()));

    let state = |mask: u16, inverted: u16| {
        let mut bytes = vec![0; 164];
        bytes[146..148].copy_from_slice(&1_u16.to_ne_bytes());
        bytes[148..150].copy_from_slice(&inverted.to_ne_bytes());
        bytes[150..152].copy_from_slice(&mask.to_ne_bytes());
        older("conntrack", 3, &bytes)
    };
    const NEW_OR_INVALID: u16 = 8 | 1;
    assert!(refused(state(NEW_OR_INVALID, 0), &to_kubelet()));
    assert!(passes(state(NEW_OR_INVALID, 0), &Packet { stage: Stage::Later, ..to_kubelet() }));
    assert!(refused(state(2, 1), &to_kubelet()));

    let owner = |user: u32, inverted: u8| {
        let mut bytes =
            [user, user, 0, 0].iter().flat_map(|id| id.to_ne_bytes()).collect::<Vec<u8>>();
        bytes.extend([1, inverted, 0, 0]);
        older("owner", 1, &bytes)
    };
    assert!(refused(owner(0, 0), &to_host_agent()));
    assert!(passes(owner(0, 1), &to_host_agent()));
    let nobodys = Packet { is_roots: false, ..to_host_agent() };
    assert!(fate(owner(0, 1), &nobodys).starts_with("undecided"));

    let kind = |mask: u16, flags: u32| {
        let mut bytes = [0, mask].iter().flat_map(|kind| kind.to_ne_bytes()).collect::<Vec<u8>>();
        bytes.extend(flags.to_ne_bytes());
        older("addrtype", 1, &bytes)
    };
    assert!(refused(kind(4, 0), &to_kubelet()));
    assert!(passes(kind(4, 2), &to_kubelet()));
    // What is cut off, of another revision or not known is not understood.
    for condition in [older("tcp", 0, &[0; 4]), older("tcp", 9, &[0; 16]), older("set", 4, &[])] {
        assert!(fate(condition, &to_kubelet()).starts_with("undecided"));
    }
}

#[test]
fn tables_that_are_off_or_of_other_packets_refuse_nothing() {
    let off = |flags: u32| {
        let mut made = Made::default();
        let told = [text(1, "filter"), number(2, flags)];
        made.ruleset.take(&message(NEW_TABLE, IP, &told)).expect("a table");
        made.base("INPUT", 1, 1).rule("INPUT", &[drops()])
    };
    assert!(off(0).fate(&to_kubelet()).starts_with("refused"));
    assert_eq!(off(DORMANT).fate(&to_kubelet()), "passes");
    // The table of iptables for addresses takes no rules that drop.
    let mut ruleset = Ruleset::default();
    let hook = attribute(4, &[number(1, 1), number(2, 0)].concat());
    let told = [text(1, "nat"), text(3, "INPUT"), hook, number(5, 1), text(7, "nat")];
    ruleset.take(&message(NEW_CHAIN, IP, &told)).expect("a chain");
    assert_eq!(ruleset.fate(&to_kubelet()), Fate::Passes);
    // Nor are their rules asked for, or kept.
    assert_eq!(ruleset.hooked().count(), 0);
    let rule = message(NEW_RULE, IP, &[text(1, "nat"), text(2, "INPUT")]);
    for _ in 0..=RULES {
        ruleset.take(&rule).expect("passed over");
    }
    assert_eq!(input().ruleset.hooked().collect::<Vec<_>>(), [(IP, "filter")]);
}

#[test]
fn what_is_cut_off_or_too_much_is_refused() {
    let whole = message(NEW_RULE, IP, &[text(1, "filter"), text(2, "INPUT")]);
    for end in [0, 3, 15, 17, whole.len() - 3] {
        let short = Ruleset::default().take(&whole[..end]);
        assert_eq!(short, Err(Malformed::Short), "{end}");
    }
    let mut ruleset = input().ruleset;
    let rule = message(NEW_RULE, IP, &[text(1, "filter"), text(2, "INPUT")]);
    for _ in 0..RULES {
        ruleset.take(&rule).expect("room");
    }
    assert!(matches!(ruleset.take(&rule), Err(Malformed::TooMany { .. })));
}

#[test]
fn every_packet_of_a_connection_is_followed() {
    let worst = |made: &Made, begins: &Packet| {
        let all = begins.conversation();
        let fates: Vec<String> = all.iter().map(|packet| made.fate(packet)).collect();
        fates.into_iter().find(|fate| fate != "passes").unwrap_or("passes".to_owned())
    };
    let state = |mask: u8| {
        let loaded =
            vec![expression("ct", &[number(1, 1), number(2, 0)]), masked(&[mask, 0, 0, 0])];
        [loaded, vec![compared(1, &[0; 4])]].concat()
    };
    const NEW: u8 = 8;
    const ESTABLISHED: u8 = 2;
    // What begins it is let through, and what follows is not.
    let firewall = || Made::default().base("INPUT", 1, 0);
    let new = firewall().rule("INPUT", &[state(NEW), vec![accept()]].concat());
    assert!(worst(&new, &to_kubelet()).starts_with("refused by ip filter INPUT policy"));
    let both = new.rule("INPUT", &[state(ESTABLISHED), vec![accept()]].concat());
    assert_eq!(worst(&both, &to_kubelet()), "passes");
    // Flags: those of nobody, of answers, and of what follows.
    let flags = |set: u8| [payload(2, 13, 1), masked(&[0x3f]), is(&[set]), drops()];
    for (set, expected) in [(0, "passes"), (1, "passes"), (0x02, "refused"), (0x10, "refused")] {
        let made = input().rule("INPUT", &flags(set));
        assert!(worst(&made, &to_kubelet()).starts_with(expected), "{set:#x}");
    }
    let answers = output().rule("OUTPUT", &flags(0x12));
    assert!(worst(&answers, &to_kubelet()).starts_with("refused"));
    let older_flags = |mask: u8, set: u8| {
        let ports = [0_u16, u16::MAX, 0, u16::MAX].map(u16::to_ne_bytes).concat();
        input().rule("INPUT", &[older("tcp", 0, &[ports, vec![0, mask, set, 0]].concat()), drops()])
    };
    assert_eq!(worst(&older_flags(0x3f, 0), &to_kubelet()), "passes");
    assert!(worst(&older_flags(0x12, 0x10), &to_kubelet()).starts_with("refused"));
    // Without connections there is no more than a question and its answer.
    assert_eq!(Packet { protocol: UDP, ..to_kubelet() }.conversation().len(), 2);
    let loopback = Packet { link: Some("lo".to_owned()), ..to_kubelet() };
    assert_eq!(loopback.conversation().len(), 8);
}

#[test]
fn a_port_that_is_not_known_is_compared_as_the_range_that_it_is_of() {
    let source = |rest: Vec<Vec<u8>>| {
        let made = input().rule("INPUT", &[vec![payload(2, 0, 2)], rest, vec![drops()]].concat());
        made.fate(&to_kubelet()).split(' ').next().expect("a word").to_owned()
    };
    let than = |how: u32, port: u16| source(vec![compared(how, &port.to_be_bytes())]);
    assert_eq!(than(0, 50_000), "undecided");
    assert_eq!(than(1, 50_000), "undecided");
    assert_eq!((than(0, 443), than(1, 443)), ("passes".to_owned(), "refused".to_owned()));
    assert_eq!((than(4, 1023), than(2, 1024)), ("refused".to_owned(), "passes".to_owned()));
    assert_eq!((than(4, 40_000), than(5, 32_768)), ("undecided".to_owned(), "refused".to_owned()));
    let within = |how: u32, from: u16, to: u16| {
        let inner = |kind: u16, port: u16| attribute(kind, &attribute(1, &port.to_be_bytes()));
        source(vec![expression(
            "range",
            &[number(1, 1), number(2, how), inner(3, from), inner(4, to)],
        )])
    };
    assert_eq!(
        (within(0, 1024, 65_535), within(1, 1024, 65_535)),
        ("refused".to_owned(), "passes".to_owned())
    );
    assert_eq!(
        (within(0, 1, 1023), within(0, 1, 40_000)),
        ("passes".to_owned(), "undecided".to_owned())
    );
}

#[test]
fn objects_that_count_are_aside_and_others_are_conditions() {
    let fate = |kind: u32| {
        let object = expression("objref", &[number(1, kind), text(2, "name")]);
        input().rule("INPUT", &[object, drops()]).fate(&to_kubelet())
    };
    for aside in [1, 3, 7, 8, 9] {
        assert!(fate(aside).starts_with("refused"), "{aside}");
    }
    for condition in [2, 4, 5, 6, 10, 11] {
        assert!(fate(condition).starts_with("undecided"), "{condition}");
    }
    // One of a map: which it is, is not known.
    let made =
        input().rule("INPUT", &[expression("objref", &[number(3, 1), text(4, "m")]), drops()]);
    assert!(made.fate(&to_kubelet()).starts_with("undecided"));
}

#[test]
fn before_connections_are_followed_and_where_they_are_not_their_state_is_unknown() {
    let state = || {
        let loaded = vec![expression("ct", &[number(1, 1), number(2, 0)]), masked(&[8, 0, 0, 0])];
        [loaded, vec![compared(1, &[0; 4]), drops()]].concat()
    };
    let raw = |priority: i32| Made::default().hooked(IP, "filter", "RAW", (0, priority), 1);
    let at = |priority: i32| raw(priority).rule("RAW", &state()).fate(&to_kubelet());
    assert!(at(-300).starts_with("undecided") && at(-200).starts_with("undecided"));
    assert!(at(-150).starts_with("refused"));
    let target = |name: &str, bytes: &[u8]| {
        expression("target", &[text(1, name), number(2, 2), attribute(3, bytes)])
    };
    let with_rule = |rule: &[Vec<u8>]| {
        let made = raw(-300).base("INPUT", 1, 1).rule("INPUT", &state());
        made.rule("RAW", rule).fate(&to_kubelet())
    };
    let (notrack, zone, neither) = ([1, 0, 0, 0], [0, 0, 3, 0], [0; 4]);
    for untracks in [
        expression("notrack", &[]),
        expression("ct", &[number(2, 17), number(4, 1)]),
        target("NOTRACK", &[]),
        target("CT", &notrack),
        target("CT", &zone),
    ] {
        assert!(with_rule(std::slice::from_ref(&untracks)).starts_with("undecided"));
        // Of other packets it does not matter.
        assert!(with_rule(&with(port(53), untracks)).starts_with("refused"));
    }
    // Of answers alone it does: the connection is then never established.
    let answers = [payload(2, 0, 2), is(&10250_u16.to_be_bytes()), expression("notrack", &[])];
    assert!(with_rule(&answers).starts_with("undecided"));
    for tracks in [target("CT", &neither), expression("ct", &[number(2, 3), number(4, 1)])] {
        assert!(with_rule(&[tracks]).starts_with("refused"));
    }
    // Pods' packets have marks.
    let made = raw(-300).base("INPUT", 1, 1).rule("INPUT", &state()).chain("CILIUM_PRE_raw");
    let marked = [meta(3), is(&[0, 2, 0, 0]), expression("notrack", &[])];
    let made = made.rule("CILIUM_PRE_raw", &marked);
    assert!(made.fate(&to_kubelet()).starts_with("refused"));
}

#[test]
fn chains_that_see_frames_may_drop_what_passes_elsewhere() {
    const NETDEV: u8 = 5;
    const BRIDGE: u8 = 7;
    let loopback = Packet { link: Some("lo".to_owned()), ..to_kubelet() };
    for (family, hook, packet, is_in) in [
        (NETDEV, 0, to_kubelet(), true),
        (NETDEV, 1, to_host_agent(), true),
        (NETDEV, 1, to_kubelet(), false),
        (1, 5, to_kubelet(), true),
        (BRIDGE, 1, to_kubelet(), true),
        (BRIDGE, 1, loopback, false),
    ] {
        let made = |policy| Made::default().hooked(family, "filter", "AT", (hook, 0), policy);
        let expected = if is_in { "undecided by" } else { "passes" };
        let by_policy = made(0).fate(&packet);
        assert!(by_policy.starts_with(expected), "{family} {hook}: {by_policy}");
        let by_rule = made(1).rule_of(family, "AT", &[drops()]).fate(&packet);
        assert!(by_rule.starts_with(expected), "{family} {hook}: {by_rule}");
        let counts = made(1).rule_of(family, "AT", &[expression("counter", &[])]);
        assert_eq!(counts.fate(&packet), "passes");
    }
    // What refuses for sure comes first, whatever a frame meets.
    let made = input().rule("INPUT", &[drops()]).hooked(NETDEV, "filter", "AT", (0, 0), 0);
    assert!(made.fate(&to_kubelet()).starts_with("refused by ip filter INPUT"));
    // kubenet's drops frames of pods alone.
    let mut pods = Made::default().hooked(BRIDGE, "filter", "OUTPUT", (3, 0), 1);
    let told = [text(1, "filter"), text(3, "KUBE-DEDUP")];
    pods.ruleset.take(&message(NEW_CHAIN, BRIDGE, &told)).expect("a chain");
    let pods = pods.rule_of(BRIDGE, "OUTPUT", &[verdict(-3, "KUBE-DEDUP")]);
    assert_eq!(pods.rule_of(BRIDGE, "KUBE-DEDUP", &[drops()]).fate(&to_kubelet()), "passes");
}

#[test]
fn chains_of_addresses_may_drop_what_begins_a_connection() {
    let nat = |policy| Made::default().hooked(IP, "nat", "PRE", (0, -100), policy);
    let fate = |rule: &[Vec<u8>]| nat(1).rule("PRE", rule).fate(&to_kubelet());
    assert!(fate(&[drops()]).starts_with("undecided by ip filter PRE rule 1"));
    assert!(nat(0).fate(&to_kubelet()).starts_with("undecided by ip filter PRE policy drop"));
    let later = Packet { stage: Stage::Later, ..to_kubelet() };
    assert_eq!(nat(0).fate(&later), "passes");
    assert_eq!(fate(&with(port(53), drops())), "passes");
    // What writes an address ends the chain, and no map of verdicts is held against it.
    let written = nat(1).rule("PRE", &[expression("nat", &[number(1, 1)])]).rule("PRE", &[drops()]);
    assert_eq!(written.fate(&to_kubelet()), "passes");
    let map = expression("lookup", &[text(1, "m"), number(2, 1), number(3, 0)]);
    assert_eq!(fate(&[payload(2, 2, 2), map]), "passes");
}

#[test]
fn chains_of_services_are_not_counted() {
    let mut ruleset = input().ruleset;
    for count in 0..=CHAINS {
        let told = [text(1, "nat"), text(3, &format!("KUBE-SVC-{count}"))];
        ruleset.take(&message(NEW_CHAIN, IP, &told)).expect("passed over");
    }
    assert_eq!(ruleset.chains.len(), 1);
    // A table that is named as the pod network's own and drops what it does not know is none.
    let hook = attribute(4, &[number(1, 1), number(2, 0)].concat());
    let told = [text(1, "calico"), text(3, "INPUT"), hook, number(5, 0), text(7, "filter")];
    ruleset.take(&message(NEW_CHAIN, IP, &told)).expect("a chain");
    assert!(matches!(ruleset.fate(&to_kubelet()), Fate::Refused { .. }));
}

#[test]
fn the_generation_is_told() {
    let mut ruleset = Ruleset::default();
    assert_eq!(ruleset.generation(), None);
    ruleset.take(&message(NEW_GENERATION, 0, &[number(1, 7)])).expect("one");
    assert_eq!(ruleset.generation(), Some(7));
}
