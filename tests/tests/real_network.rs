//! Networks of a test's own, well and broken, from sysfs and procfs to the verdict. Each is
//! a namespace with a root directory in which both are mounted as a node has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_agent::collect::{COLLECTORS, LogWatch};
use nodeward_agent::host::{Host, HostRoot, Kept};
use nodeward_agent::probe::Probes;
use nodeward_domain::check::{Outcome, judge_node};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Network};
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_tests::programs::installed;
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

    /// What the agent sees of it.
    fn look(&self) -> Arc<Network> {
        let root = format!("/proc/{}/root{}", self.shell.id(), self.folder.path().display());
        let host = Host {
            root: HostRoot::open(root.as_ref()).expect("its root"),
            probes: Probes::Off("a network alone".to_owned()),
            containerd_socket: String::new(),
            kubelet_token_file: None,
            beyond: Default::default(),
            packages: Kept::default(),
            remembered: Default::default(),
            log: LogWatch::default(),
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
        let mut history = NodeHistory::default();
        let now = Timestamp::UNIX_EPOCH;
        let state = ComponentState::Network(State::Present(self.look()));
        history.observe(state, now, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        judge_node(&history, Default::default(), &policy, now)
            .into_iter()
            .filter(|judged| judged.check.component == Component::Network)
            .filter(|judged| matches!(judged.verdict.outcome, Outcome::Fail { .. }))
            .map(|judged| judged.check.reason)
            .collect()
    }
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
