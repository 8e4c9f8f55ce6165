//! Networks of a test's own, well and broken, from sysfs and procfs to the verdict. Each is
//! a namespace with a root directory in which both are mounted as a node has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sched::{CloneFlags, setns};
use nodeward_agent::collect::COLLECTORS;
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::check::{Outcome, judge_node};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Network};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_tests::programs::{installed, nodeward};
use nodeward_tests::service::PATIENCE;
use tempfile::TempDir;

/// A shell in a network and among mounts of its own, which end with it.
struct Node {
    shell: Child,
    commands: ChildStdin,
    said: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Node {
    /// One with loopback, an uplink whose other end is up, and a default route.
    fn well() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["sys", "proc/1"] {
            std::fs::create_dir_all(folder.path().join(path)).expect("made");
        }
        let mut shell = Command::new(installed("unshare"))
            .args(["--net", "--mount", "sh"])
            .env("ROOT", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let commands = shell.stdin.take().expect("piped");
        let said = BufReader::new(shell.stdout.take().expect("piped"));
        let mut node = Self { shell, commands, said, folder };
        node.run("mount -t sysfs sysfs $ROOT/sys");
        node.run("mount --bind /proc/$$ $ROOT/proc/1");
        node.run("ip link set lo up");
        node.run("ip link add uplink0 type veth peer name outside0");
        node.run("ip link set outside0 up");
        node.run("ip link set uplink0 up");
        node.run("ip address add 192.0.2.2/24 dev uplink0");
        node.run("ip route add default via 192.0.2.1");
        node
    }

    /// Runs a command in it.
    fn run(&mut self, command: &str) {
        writeln!(self.commands, "{command} >&2 && echo done || echo failed").expect("it reads");
        let mut line = String::new();
        self.said.read_line(&mut line).expect("it answers");
        assert_eq!(line, "done\n", "{command}");
    }

    /// What the agent sees of it from inside, where it may ask the kernel for rules.
    fn look_inside(&self) -> Arc<Network> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let network = File::open(format!("/proc/{}/ns/net", self.shell.id())).expect("its network");
        let probes = Probes::Live { runtime: runtime.handle().clone() };
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&network, CloneFlags::CLONE_NEWNET).expect("root may enter it");
                self.look_with(probes)
            });
            inside.join().expect("it looks")
        })
    }

    /// What the agent sees of it.
    fn look(&self) -> Arc<Network> {
        self.look_with(Probes::Off("a network alone".to_owned()))
    }

    fn look_with(&self, probes: Probes) -> Arc<Network> {
        let root = format!("/proc/{}/root{}", self.shell.id(), self.folder.path().display());
        let host = Host {
            asks_packet_filter: true,
            ..Host::new(HostRoot::open(root.as_ref()).expect("its root"), probes)
        };
        let mut collectors = COLLECTORS.into_iter();
        let network = collectors.find(|one| one.component == Component::Network).expect("one");
        match (network.collect)(&host).state {
            ComponentState::Network(State::Present(network)) => network,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until these are the findings: the kernel tells of carriers a little later.
    fn finds(&self, expected: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while self.findings() != expected {
            assert!(Instant::now() < deadline, "{:?}, not {expected:?}", self.findings());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The reasons of all findings about it.
    fn findings(&self) -> Vec<&'static str> {
        findings(self.look())
    }
}

/// The reasons of all findings about a network.
fn findings(network: Arc<Network>) -> Vec<&'static str> {
    let mut history = NodeHistory::default();
    let now = Timestamp::UNIX_EPOCH;
    let state = ComponentState::Network(State::Present(network));
    history.observe(state, now, Duration::ZERO);
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    judge_node(&history, Default::default(), &policy, now)
        .into_iter()
        .filter(|judged| judged.check.component == Component::Network)
        .filter(|judged| matches!(judged.verdict.outcome, Outcome::Fail { .. }))
        .map(|judged| judged.check.reason)
        .collect()
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

mod real_network {
    use super::*;

    #[test]
    fn a_network_that_is_well_is_read_as_it_is() {
        let node = Node::well();
        node.finds(&[]);
        let network = node.look();
        let names: Vec<&str> = network.interfaces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["lo", "outside0", "uplink0"]);
        assert_eq!(network.uplinks(), ["uplink0"]);
        let uplink = network.interface("uplink0").expect("it is there");
        assert!(uplink.runs() && uplink.is_virtual && uplink.mtu_bytes == 1500, "{uplink:?}");
    }

    #[test]
    fn each_fault_is_found_and_gone_when_it_is_mended() {
        let mut node = Node::well();
        for (breaks, mends, reason) in [
            ("ip link set lo down", "ip link set lo up", "LoopbackMissing"),
            ("ip route del default", "ip route add default via 192.0.2.1", "DefaultRouteMissing"),
            ("ip link set outside0 down", "ip link set outside0 up", "InterfaceDown"),
            (
                "ip link add veth-pod mtu 9000 type veth peer name inside mtu 9000",
                "ip link del veth-pod",
                "InterfaceMtuMixed",
            ),
        ] {
            node.run(breaks);
            node.finds(&[reason]);
            node.run(mends);
            node.finds(&[]);
        }
    }

    #[test]
    fn a_default_route_of_ipv6_alone_is_one() {
        let mut node = Node::well();
        node.run("ip route del default");
        node.run("ip -6 address add 2001:db8::2/64 dev uplink0 nodad");
        node.run("ip -6 route add default via 2001:db8::1 dev uplink0");
        node.finds(&[]);
        assert!(node.look().default_routes[0].is_ipv6);
        node.run("ip -6 route del default");
        node.run("ip -6 route add unreachable default");
        node.finds(&["DefaultRouteMissing"]);
    }

    #[test]
    fn a_bridge_is_the_master_of_what_was_put_into_it() {
        let mut node = Node::well();
        node.run("ip link add bridge0 type bridge");
        node.run("ip link set outside0 master bridge0");
        let network = node.look();
        assert_eq!(network.interface("outside0").expect("it is there").master, "bridge0");
    }
}

mod real_iptables {
    use nodeward_domain::facts::Netfilter;

    use super::*;

    #[test]
    fn tables_of_the_older_filter_beside_a_newer_iptables_are_told() {
        let mut node = Node::well();
        let folder = node.folder.path().join("usr/sbin");
        std::fs::create_dir_all(&folder).expect("made");
        std::os::unix::fs::symlink("xtables-nft-multi", folder.join("iptables")).expect("made");
        std::fs::write(folder.join("xtables-nft-multi"), "").expect("written");
        node.finds(&[]);
        node.run("iptables-legacy -A INPUT -p tcp --dport 9 -j DROP");
        let Netfilter::Read { legacy_tables, .. } = &node.look().netfilter else {
            panic!("not read");
        };
        assert_eq!(*legacy_tables, ["ip filter"]);
        node.finds(&["IptablesModesMixed"]);
    }
}

mod real_nftables {
    use nodeward_domain::facts::{Fate, Rules, Traffic};

    use super::*;

    /// Rules as a healthy node has them: of kubelet and kube-proxy, of the provider's image and
    /// of the virtual machine's agent.
    const OF_A_NODE: [&str; 13] = [
        "-N KUBE-FIREWALL",
        "-N KUBE-SERVICES",
        "-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \
         'block incoming localnet connections' -m conntrack ! --ctstate \
         RELATED,ESTABLISHED,DNAT -j DROP",
        "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP",
        "-A INPUT -j KUBE-FIREWALL",
        "-A OUTPUT -j KUBE-FIREWALL",
        "-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES",
        "-A KUBE-SERVICES -d 10.0.41.7/32 -p tcp -m comment --comment 'has no endpoints' \
         -m tcp --dport 80 -j REJECT",
        "-A FORWARD -d 168.63.129.16 -p tcp --dport 80 -j DROP",
        "-A FORWARD -d 168.63.129.16 -p tcp --dport 32526 -j DROP",
        "-t security -A OUTPUT -d 168.63.129.16 -p tcp --dport 53 -j ACCEPT",
        "-t security -A OUTPUT -d 168.63.129.16 -p tcp -m owner --uid-owner 0 -j ACCEPT",
        "-t security -A OUTPUT -d 168.63.129.16 -p tcp -m conntrack --ctstate INVALID,NEW -j DROP",
    ];

    /// With a kubelet that has an API server, and a nameserver.
    fn node() -> Node {
        let node = Node::well();
        let write = |path: &str, text: &str| {
            let path = node.folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("etc/resolv.conf", "nameserver 192.0.2.53\n");
        write("usr/bin/kubelet", "");
        write(
            "var/lib/kubelet/kubeconfig",
            "clusters:\n- cluster:\n    server: https://198.51.100.7:443\nusers:\n",
        );
        node
    }

    fn fates(network: &Network) -> BTreeMap<Traffic, Fate> {
        match &network.rules {
            Rules::Read(all) => all.iter().map(|one| (one.traffic, one.fate.clone())).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(network: &Network) -> Vec<Traffic> {
        let fates = fates(network).into_iter();
        fates.filter(|(_, fate)| matches!(fate, Fate::Refused { .. })).map(|(one, _)| one).collect()
    }

    #[test]
    fn the_rules_of_a_healthy_node_refuse_nothing_that_it_lives_by() {
        let mut node = node();
        for rule in OF_A_NODE {
            node.run(&format!("iptables-nft {rule}"));
        }
        let network = node.look_inside();
        let fates = fates(&network);
        assert_eq!(fates.keys().copied().collect::<Vec<_>>(), Traffic::ALL);
        for (traffic, fate) in fates {
            assert_eq!(fate, Fate::Passes, "{traffic}");
        }
        assert_eq!(findings(network), Vec::<&str>::new());
    }

    #[test]
    fn each_rule_that_refuses_is_found_by_its_handle_and_gone_with_it() {
        use Traffic::{ApiServer, HostAgent, Kubelet, Loopback, Metadata, Nameservers};
        let mut node = node();
        for (rule, expected) in [
            ("INPUT -p tcp --dport 10250 -j REJECT", &[Kubelet][..]),
            ("INPUT -p tcp -m multiport --dports 22,10000:10300 -j DROP", &[Loopback, Kubelet]),
            ("INPUT -i lo -j DROP", &[Loopback]),
            ("OUTPUT -d 127.0.0.0/8 -p tcp -j REJECT --reject-with tcp-reset", &[Loopback]),
            ("OUTPUT -d 198.51.100.0/24 -j DROP", &[ApiServer]),
            ("INPUT -s 198.51.100.7 -p tcp --sport 443 -j DROP", &[ApiServer]),
            ("OUTPUT -p udp --dport 53 -j DROP", &[Nameservers]),
            // What follows the first packet of a connection.
            ("OUTPUT -d 198.51.100.7 -m conntrack --ctstate ESTABLISHED -j DROP", &[ApiServer]),
            ("INPUT -p tcp --dport 10250 -m conntrack ! --ctstate NEW -j DROP", &[Kubelet]),
            ("OUTPUT -d 169.254.169.254 -j DROP", &[Metadata]),
            ("OUTPUT -d 168.63.129.16 -p tcp --dport 32526 -j DROP", &[HostAgent]),
            (
                "OUTPUT -m conntrack --ctstate NEW -o uplink0 -p tcp -j DROP",
                &[ApiServer, Metadata, HostAgent],
            ),
            (
                "OUTPUT -p tcp -m owner --uid-owner 0 -j DROP",
                &[Loopback, Kubelet, ApiServer, Metadata, HostAgent],
            ),
        ] {
            node.run(&format!("iptables-nft -A {rule}"));
            let network = node.look_inside();
            assert_eq!(refused(&network), expected, "{rule}: {:?}", network.rules);
            // A machine without Kubernetes lives by less.
            let is_found =
                expected.iter().any(|one| matches!(one, Loopback | ApiServer | Nameservers));
            let said = findings(network);
            assert_eq!(said.contains(&"NodeTrafficRefused"), is_found, "{rule}: {said:?}");
            node.run(&format!("iptables-nft -D {rule}"));
            assert_eq!(refused(&node.look_inside()), [], "{rule}");
        }
    }

    #[test]
    fn a_policy_that_drops_refuses_what_no_rule_lets_through() {
        let mut node = node();
        node.run("iptables-nft -A INPUT -i lo -j ACCEPT");
        node.run("iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
        node.run("iptables-nft -P INPUT DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::Kubelet]);
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -j ACCEPT");
        assert_eq!(refused(&node.look_inside()), []);
        node.run("iptables-nft -F INPUT");
        let all = refused(&node.look_inside());
        assert_eq!(all, Traffic::ALL, "without a rule that lets answers in");
    }

    #[test]
    fn the_state_of_a_connection_counts_where_the_kernel_follows_it() {
        let mut node = node();
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -m conntrack --ctstate NEW -j ACCEPT");
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -j DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::Kubelet], "its second packet");
        node.run("iptables-nft -F INPUT");
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -m conntrack --ctstate NEW -j DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::Kubelet]);
        node.run("iptables-nft -t raw -A PREROUTING -p tcp --dport 10250 -j NOTRACK");
        let fate = fates(&node.look_inside())[&Traffic::Kubelet].clone();
        assert!(matches!(fate, Fate::Undecided { .. }), "{fate:?}");
        node.run("iptables-nft -t raw -F PREROUTING");
        node.run("iptables-nft -t raw -A PREROUTING -p tcp --dport 10250 -j CT --zone 3");
        let fate = fates(&node.look_inside())[&Traffic::Kubelet].clone();
        assert!(matches!(fate, Fate::Undecided { .. }), "{fate:?}");
    }

    /// What is written against scans: packets without a flag.
    #[test]
    fn flags_and_ports_that_no_packet_of_the_node_has_refuse_nothing() {
        let mut node = node();
        for rule in [
            "INPUT -p tcp --tcp-flags ALL NONE -j DROP",
            "INPUT -p tcp --tcp-flags ALL ALL -j DROP",
            "INPUT -p tcp --tcp-flags SYN,FIN SYN,FIN -j DROP",
            "INPUT -p tcp ! --syn -m conntrack --ctstate NEW -j DROP",
            "OUTPUT -p tcp --sport 1024:2048 -j DROP",
        ] {
            node.run(&format!("iptables-nft -A {rule}"));
            let network = node.look_inside();
            for (traffic, fate) in fates(&network) {
                assert_eq!(fate, Fate::Passes, "{traffic}: {rule}");
            }
        }
        // Which port the kernel will give is not known.
        node.run("iptables-nft -A OUTPUT -p tcp --sport 50000 -j DROP");
        let fate = fates(&node.look_inside())[&Traffic::ApiServer].clone();
        assert!(matches!(fate, Fate::Undecided { .. }), "{fate:?}");
    }

    #[test]
    fn packets_take_the_way_that_the_routes_tell() {
        let mut node = node();
        node.run("ip link add uplink1 type veth peer name outside1");
        node.run("ip link set outside1 up");
        node.run("ip link set uplink1 up");
        node.run("ip address add 203.0.113.2/24 dev uplink1");
        node.run("ip route add 198.51.100.7 via 203.0.113.1");
        node.run("iptables-nft -A OUTPUT -o uplink0 -d 198.51.100.7 -j DROP");
        assert_eq!(fates(&node.look_inside())[&Traffic::ApiServer], Fate::Passes);
        node.run("iptables-nft -A OUTPUT -o uplink1 -j DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::ApiServer]);
        // Rules of routing may lead some of it elsewhere.
        node.run("ip route add 10.0.0.0/8 via 192.0.2.1 table 77");
        let fate = fates(&node.look_inside())[&Traffic::ApiServer].clone();
        assert!(matches!(fate, Fate::Undecided { .. }), "{fate:?}");
    }

    #[test]
    fn what_goes_to_an_address_of_its_own_goes_by_the_loopback() {
        let mut node = node();
        let file = node.folder.path().join("etc/resolv.conf");
        std::fs::write(&file, "nameserver 192.0.2.2\n").expect("written");
        node.run("iptables-nft -A OUTPUT -o uplink0 -p udp --dport 53 -j DROP");
        assert_eq!(refused(&node.look_inside()), []);
        node.run("iptables-nft -A INPUT -p udp --dport 53 -j DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::Nameservers]);
        node.run("iptables-nft -F INPUT");
        // Without a nameserver, resolv.conf(5) says, the machine itself is asked.
        std::fs::remove_file(&file).expect("removed");
        node.run("iptables-nft -A INPUT -i lo -p udp --dport 53 -j DROP");
        assert_eq!(refused(&node.look_inside()), [Traffic::Nameservers]);
    }

    #[test]
    fn ipv6_is_followed_where_the_node_has_it() {
        let mut node = node();
        node.run("ip6tables-nft -A INPUT -p tcp --dport 10248:10250 -j DROP");
        assert_eq!(fates(&node.look_inside())[&Traffic::Kubelet], Fate::Passes);
        node.run("ip -6 address add 2001:db8::2/64 dev uplink0 nodad");
        node.run("ip -6 route add default via 2001:db8::1 dev uplink0");
        // By which of both the kubelet is asked is not known.
        let told = fates(&node.look_inside());
        for traffic in [Traffic::Kubelet, Traffic::Loopback] {
            assert!(matches!(told[&traffic], Fate::Undecided { .. }), "{told:?}");
        }
        node.run("ip route del default");
        assert_eq!(refused(&node.look_inside()), [Traffic::Kubelet]);
    }

    #[test]
    fn rules_of_bridges_are_not_followed_and_may_drop() {
        let mut node = node();
        node.run("ebtables-nft -A INPUT -p IPv4 -j CONTINUE");
        assert_eq!(fates(&node.look_inside())[&Traffic::Kubelet], Fate::Passes);
        node.run("ebtables-nft -A INPUT -p IPv4 -j DROP");
        let told = fates(&node.look_inside());
        let Fate::Undecided { chain, .. } = &told[&Traffic::Kubelet] else { panic!("{told:?}") };
        assert_eq!(chain, "bridge filter INPUT");
        assert_eq!(told[&Traffic::Loopback], Fate::Passes);
    }

    /// kube-proxy writes rules for every service, by which nothing of the node is refused: more
    /// than are kept of any other kind.
    #[test]
    fn rules_of_addresses_are_not_asked_for_however_many_there_are() {
        let mut node = node();
        node.run(
            "{ echo '*nat'; echo ':KUBE-SERVICES - [0:0]'; seq -f '-A KUBE-SERVICES -p tcp \
             -m tcp --dport %.0f -j RETURN' 1 25000; echo COMMIT; } | iptables-nft-restore",
        );
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -j REJECT");
        let begun = Instant::now();
        let network = node.look_inside();
        assert_eq!(refused(&network), [Traffic::Kubelet], "{:?}", network.rules);
        println!("beside 25,000 rules of addresses: {:?}", begun.elapsed());
    }

    #[test]
    fn what_rules_ask_that_is_not_known_is_undecided() {
        let mut node = node();
        node.run("iptables-nft -A INPUT -p tcp --dport 10250 -s 10.0.0.0/8 -j DROP");
        let network = node.look_inside();
        let fate = fates(&network)[&Traffic::Kubelet].clone();
        let Fate::Undecided { chain, rule } = fate else { panic!("{fate:?}") };
        assert_eq!(chain, "ip filter INPUT");
        assert!(rule.contains("from 10.0.0.0/8"), "{rule}");
        node.run("iptables-nft -F INPUT");
        node.run("iptables-nft -A INPUT -m limit --limit 1/s -j DROP");
        assert!(matches!(fates(&node.look_inside())[&Traffic::Kubelet], Fate::Undecided { .. }));
    }

    #[test]
    fn another_network_is_not_asked() {
        let node = node();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let probes = Probes::Live { runtime: runtime.handle().clone() };
        let Rules::Unreadable(why) = &node.look_with(probes).rules else { panic!("read") };
        assert!(why.contains("net namespace"), "{why}");
    }

    /// As an agent has it in the profiles that are shipped.
    #[test]
    fn without_the_right_the_answer_is_unknown_and_says_which_one() {
        let mut alone = Command::new(installed("unshare"));
        alone.arg("--net").arg(installed("setpriv"));
        alone.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
        alone.arg(nodeward()).args([
            "inspect",
            "--packet-filter",
            "-o",
            "json",
            "--node-name",
            "n",
        ]);
        let said = alone.output().expect("it runs");
        let answer: serde_json::Value = serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let components = answer["components"].as_array().expect("components").iter();
        let checks = components.flat_map(|one| one["checks"].as_array().expect("checks").iter());
        let told: Vec<&serde_json::Value> =
            checks.filter(|check| check["reason"] == "NodeTrafficRefused").collect();
        let [told] = told.as_slice() else { panic!("{told:?}") };
        let text = told.to_string();
        assert!(text.contains("unknown") && text.contains("CAP_NET_ADMIN"), "{text}");
    }
}
