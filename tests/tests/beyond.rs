//! What lies beyond a node, from datagrams and handshakes to the verdict: nameservers, an API
//! server and endpoints in a network of the test's own, well and broken, and well again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodeward_agent::collect::{COLLECTORS, Collected};
use nodeward_agent::host::{Beyond, Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::check::{Outcome, judge_node, settle};
use nodeward_domain::component::Component;
use nodeward_domain::egress::endpoints;
use nodeward_domain::facts::{
    ApiServer, ComponentState, Dns, Egress, HttpAnswer, NameserverAnswer, Reach, ServerCertificate,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::node::NodeHistory;
use nodeward_domain::observed::State;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_tests::authority::Authority;
use nodeward_tests::host::{HostCopy, own_network};
use nodeward_tests::kubelet::serving_tls_on;
use nodeward_tests::network::Network;
use nodeward_tests::programs::installed;
use nodeward_tests::standin::{Asked, Standin, answer};

/// The name of the API server, and where it and a nameserver are.
const NAME: &str = "a.hcp.example";
const SERVER: [u8; 4] = [203, 0, 113, 1];
const NAMESERVER: &str = "192.0.2.53";

/// So often a look is repeated that says nothing.
const LOOKS: usize = 8;

/// An AKS node whose nameservers and API server are in a network of the test's own.
struct Node {
    network: Arc<Network>,
    copy: HostCopy,
    authority: Authority,
    history: NodeHistory,
    rounds: i64,
}

impl Node {
    /// One that resolves by [`NAMESERVER`], with that address and [`SERVER`] in its network,
    /// and no way anywhere else.
    fn new() -> Self {
        let network = Arc::new(Network::new());
        let copy = HostCopy::of("aks-ubuntu-2204");
        for process in ["/proc/1", "/proc/10361"] {
            copy.in_network(process, &network.inside(own_network));
        }
        let node = Self {
            network,
            copy,
            authority: Authority::default(),
            history: NodeHistory::default(),
            rounds: 0,
        };
        node.resolves_by(&[NAMESERVER]);
        let authority = node.authority.certificate();
        let certs = node.copy.inside("/etc/kubernetes/certs/ca.crt");
        std::fs::copy(authority, certs).expect("copied");
        for address in [NAMESERVER, "203.0.113.1"] {
            node.run("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        node
    }

    /// Its own file and the one that the kubelet hands to pods name these nameservers.
    fn resolves_by(&self, nameservers: &[&str]) {
        let lines: String =
            nameservers.iter().map(|address| format!("nameserver {address}\n")).collect();
        for path in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
            let inside = self.copy.inside(path);
            std::fs::remove_file(&inside).expect("it is there");
            std::fs::write(inside, &lines).expect("written");
        }
    }

    /// Its kubelet is told to use an API server of that name on that port.
    fn uses(&self, port: u16) {
        self.is_told(&format!("server: https://{NAME}:{port}"));
    }

    /// That stands in the cluster's entry of its kubeconfig, in the place of the server.
    fn is_told(&self, lines: &str) {
        let path = self.copy.inside("/var/lib/kubelet/kubeconfig");
        let text = std::fs::read_to_string(&path).expect("a kubeconfig");
        let line = text.lines().find(|line| line.contains("server: ")).expect("a server");
        let text = text.replace(line, &format!("    {lines}"));
        std::fs::write(path, text).expect("written");
    }

    /// Runs a program in its network to its end.
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(installed(program));
        command.args(arguments);
        let output = self.network.inside(move || command.output()).expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    /// What the agent works with on it.
    fn host(&self, egress: &[String]) -> Host {
        Host {
            beyond: match egress {
                [] => Beyond::default(),
                named => Beyond::asking(endpoints(named).expect("endpoints")),
            },
            ..Host::new(
                HostRoot::open(self.copy.path()).expect("a directory"),
                Probes::Off("no runtime yet".to_owned()),
            )
        }
    }

    /// One look from inside of its network.
    fn look(&mut self, component: Component, egress: &[String]) -> ComponentState {
        let host = self.host(egress);
        let (collected, _) = self.collect(component, host);
        self.observe(collected)
    }

    /// A collector works from inside of its network: threads that it starts are in there too.
    fn collect(&self, component: Component, mut host: Host) -> (Collected, Host) {
        let collect =
            COLLECTORS.iter().find(|one| one.component == component).expect("one").collect;
        self.network.inside(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            host.probes = Probes::Live { runtime: runtime.handle().clone() };
            let collected = collect(&host);
            host.probes = Probes::Off("between rounds".to_owned());
            (collected, host)
        })
    }

    fn observe(&mut self, collected: Collected) -> ComponentState {
        let at = Timestamp::from_second(1_790_000_000 + 30 * self.rounds).expect("a moment");
        self.rounds += 1;
        let component = collected.state.component();
        self.history.observe(collected.state.clone(), at, Duration::ZERO);
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        settle(&mut self.history, &[component].into(), &policy, at);
        collected.state
    }

    /// The reasons of what fails of a component by all looks so far.
    fn findings(&self, component: Component) -> Vec<&'static str> {
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let now = Timestamp::from_second(1_790_000_000 + 30 * self.rounds).expect("a moment");
        judge_node(&self.history, Default::default(), &policy, now)
            .into_iter()
            .filter(|judged| judged.check.component == component)
            .filter(|judged| matches!(judged.verdict.outcome, Outcome::Fail { .. }))
            .map(|judged| judged.check.reason)
            .collect()
    }

    fn dns(&mut self) -> Arc<Dns> {
        match self.look(Component::Dns, &[]) {
            ComponentState::Dns(State::Present(dns)) => dns,
            other => panic!("{other:?}"),
        }
    }

    fn api_server(&mut self) -> Arc<ApiServer> {
        match self.look(Component::ApiServer, &[]) {
            ComponentState::ApiServer(State::Present(api)) => api,
            other => panic!("{other:?}"),
        }
    }

    fn egress(&mut self, named: &[String]) -> Arc<Egress> {
        match self.look(Component::Egress, named) {
            ComponentState::Egress(State::Present(egress)) => egress,
            other => panic!("{other:?}"),
        }
    }

    /// Looks that see a fault: none of the first two accuses anybody, the third does. One whose
    /// own timer rang late, as on a busy machine, says nothing, and the next one counts.
    fn is_found(&mut self, component: Component, egress: &[String], reason: &str) {
        for _ in 0..2 {
            self.look(component, egress);
            assert_eq!(self.findings(component), [""; 0], "{reason} too early");
        }
        for _ in 0..LOOKS {
            self.look(component, egress);
            if !self.findings(component).is_empty() {
                break;
            }
        }
        assert_eq!(self.findings(component), [reason]);
    }

    /// One look that sees it mended.
    fn is_well(&mut self, component: Component, egress: &[String]) {
        self.look(component, egress);
        assert_eq!(self.findings(component), [""; 0]);
    }
}

/// What a nameserver of the test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Answers with that code, and knows the name of the API server and no other.
    Answer(u8),
    /// Loses every question that comes for the first time.
    LoseFirst,
    Silent,
    Garbage,
    Flood,
}

/// A nameserver of the test, on port 53 in a node's network.
struct Nameserver {
    does: Arc<Mutex<Does>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Nameserver {
    fn start(node: &Node, address: &str) -> Self {
        let at = SocketAddr::new(address.parse().expect("an address"), 53);
        let does = Arc::new(Mutex::new(Does::Answer(0)));
        let ends = Arc::new(AtomicBool::new(false));
        let (doing, ending) = (Arc::clone(&does), Arc::clone(&ends));
        let thread = node.network.inside(move || {
            let socket = UdpSocket::bind(at).expect("an address of the network");
            std::thread::spawn(move || serve(&socket, &doing, &ending))
        });
        Self { does, ends, thread: Some(thread) }
    }

    fn does(&self, does: Does) {
        *self.does.lock().expect("nobody panics") = does;
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

fn serve(socket: &UdpSocket, does: &Mutex<Does>, ends: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a limit");
    let (mut question, mut seen) = ([0; 512], Vec::new());
    while !ends.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        let question = &question[..length];
        let send = |message: &[u8]| drop(socket.send_to(message, from));
        match *does.lock().expect("nobody panics") {
            Does::Answer(code) => send(&answer_to(question, code)),
            Does::LoseFirst if seen.contains(&question.to_vec()) => send(&answer_to(question, 0)),
            Does::LoseFirst => seen.push(question.to_vec()),
            Does::Silent => {}
            Does::Garbage => send(&[question[0], question[1], 0x81, 0x80, 0xFF]),
            Does::Flood => (0..200).for_each(|_| send(b"\0\0\x81\x80\0\x01\0\0\0\0\0\0")),
        }
    }
}

/// An answer: the address of the API server's name, of IPv4 alone; no other name has one.
fn answer_to(question: &[u8], code: u8) -> Vec<u8> {
    let wire = NAME.split('.').flat_map(|label| {
        std::iter::once(label.len() as u8).chain(label.bytes()).collect::<Vec<_>>()
    });
    let wire: Vec<u8> = wire.chain([0]).collect();
    let is_its = question[12..].starts_with(&wire);
    let is_root = question[12] == 0;
    let is_ipv4 = question.ends_with(&[0, 1, 0, 1]);
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&[0x81, 0x80 | if is_its || is_root { code } else { 3 }]);
    if is_its && is_ipv4 && code == 0 {
        message[7] = 1;
        message.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(SERVER);
    }
    message
}

/// A server in a node's network. Its end is there too: it wakes itself over loopback.
struct Served {
    network: Arc<Network>,
    standin: Option<Standin>,
}

impl std::ops::Deref for Served {
    type Target = Standin;

    fn deref(&self) -> &Standin {
        self.standin.as_ref().expect("it lasts")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let standin = self.standin.take();
        self.network.inside(move || drop(standin));
    }
}

/// A server with a certificate of that authority for that name, which answers that.
fn serving(node: &Node, authority: &Authority, name: &str, status: u16) -> Served {
    let credential = authority.server_named(name);
    let standin = node.network.inside(move || {
        serving_tls_on(IpAddr::from(SERVER), &credential, move |_: &Asked| {
            answer(status, r#"{"kind":"Status","status":"Failure","reason":"Unauthorized"}"#)
        })
    });
    Served { network: Arc::clone(&node.network), standin: Some(standin) }
}

/// An API server that knows whom it may let in, as a real one answers nobody in particular.
fn api_server(node: &Node, status: u16) -> Served {
    serving(node, &node.authority, NAME, status)
}

mod real_beyond {
    use super::*;

    #[test]
    fn nameservers_are_told_apart_and_a_fault_that_is_mended_is_gone() {
        let mut node = Node::new();
        let nameserver = Nameserver::start(&node, NAMESERVER);
        let dns = node.dns();
        assert_eq!(
            dns.answer(NAMESERVER),
            Some(&NameserverAnswer::Answered { code: "NOERROR".to_owned() })
        );
        node.is_well(Component::Dns, &[]);
        for (does, reason) in [
            (Does::Silent, "AllNameserversUnreachable"),
            (Does::Answer(2), "NameserverFailing"),
            (Does::Garbage, "AllNameserversUnreachable"),
            (Does::Flood, "AllNameserversUnreachable"),
        ] {
            nameserver.does(does);
            node.is_found(Component::Dns, &[], reason);
            nameserver.does(Does::Answer(0));
            node.is_well(Component::Dns, &[]);
        }
        // One odd reading after another that was well flaps nothing.
        for _ in 0..3 {
            nameserver.does(Does::Silent);
            node.look(Component::Dns, &[]);
            assert_eq!(node.findings(Component::Dns), [""; 0]);
            nameserver.does(Does::Answer(0));
            node.is_well(Component::Dns, &[]);
        }
        nameserver.does(Does::LoseFirst);
        node.is_well(Component::Dns, &[]);
        // A refusal to tell of the root is an answer.
        nameserver.does(Does::Answer(5));
        let dns = node.dns();
        assert_eq!(
            dns.answer(NAMESERVER),
            Some(&NameserverAnswer::Answered { code: "REFUSED".to_owned() })
        );
        assert_eq!(node.findings(Component::Dns), [""; 0]);
        drop(nameserver);
        assert_eq!(node.dns().answer(NAMESERVER), Some(&NameserverAnswer::Refused));
    }

    #[test]
    fn a_nameserver_behind_a_route_that_leads_nowhere_is_silent_and_others_are_not() {
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        node.resolves_by(&["198.51.100.53", NAMESERVER]);
        node.run("ip", &["route", "add", "blackhole", "198.51.100.0/24"]);
        node.is_found(Component::Dns, &[], "NameserverUnreachable");
        let started = Instant::now();
        node.look(Component::Dns, &[]);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        node.run("ip", &["route", "del", "blackhole", "198.51.100.0/24"]);
        node.resolves_by(&[NAMESERVER]);
        node.is_well(Component::Dns, &[]);
    }

    #[test]
    fn an_api_server_is_reached_by_name_and_shown_no_credential() {
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 401);
        node.uses(server.address().port());
        let api = node.api_server();
        assert_eq!(api.reach, Reach::Reached, "{api:?}");
        assert!(matches!(api.livez, HttpAnswer::Answered { status: 401, .. }), "{api:?}");
        assert!(matches!(api.certificate, ServerCertificate::Verified { .. }), "{api:?}");
        assert_eq!(node.findings(Component::ApiServer), [""; 0]);
        let asked = server.asked();
        assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/livez"));
        assert!(asked.iter().all(|one| !one.headers.contains_key("authorization")), "{asked:?}");
    }

    #[test]
    fn each_way_of_not_reaching_the_api_server_is_told_and_gone_when_it_is_mended() {
        const REASON: &str = "ApiServerUnreachable";
        let mut node = Node::new();
        let nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 403);
        let port = server.address().port();
        node.uses(port);
        node.is_well(Component::ApiServer, &[]);

        nameserver.does(Does::Answer(2));
        node.is_found(Component::ApiServer, &[], REASON);
        let reach = node.api_server().reach.clone();
        assert!(
            matches!(&reach, Reach::NotResolved { why } if why.contains("SERVFAIL")),
            "{reach}"
        );
        nameserver.does(Does::Answer(3));
        assert_eq!(node.api_server().reach, Reach::NoSuchName);
        nameserver.does(Does::Answer(0));
        node.is_well(Component::ApiServer, &[]);

        node.run("ip", &["address", "del", "203.0.113.1/32", "dev", "lo"]);
        node.is_found(Component::ApiServer, &[], REASON);
        let reach = node.api_server().reach.clone();
        assert!(matches!(reach, Reach::NoRoute { .. }), "{reach}");
        node.run("ip", &["route", "add", "blackhole", "203.0.113.0/24"]);
        let reach = node.api_server().reach.clone();
        assert!(matches!(reach, Reach::NoRoute { .. }), "{reach}");
        node.run("ip", &["route", "del", "blackhole", "203.0.113.0/24"]);
        node.run("ip", &["address", "add", "203.0.113.1/32", "dev", "lo"]);
        node.is_well(Component::ApiServer, &[]);

        node.uses(1);
        node.is_found(Component::ApiServer, &[], REASON);
        assert_eq!(node.api_server().reach, Reach::Refused);
        node.uses(port);
        node.is_well(Component::ApiServer, &[]);
    }

    #[test]
    fn what_hangs_cuts_off_or_speaks_no_tls_is_told_apart() {
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let listening = |does: fn(std::net::TcpStream)| {
            node.network.inside(move || {
                let listener =
                    std::net::TcpListener::bind((IpAddr::from(SERVER), 0)).expect("bound");
                let port = listener.local_addr().expect("bound").port();
                std::thread::spawn(move || listener.incoming().flatten().take(1).for_each(does));
                port
            })
        };
        let hang = listening(|stream| {
            std::thread::sleep(Duration::from_secs(3));
            drop(stream);
        });
        let cut = listening(|mut stream| {
            let _ = std::io::Read::read(&mut stream, &mut [0; 16]);
        });
        let plain = listening(|mut stream| {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
            std::thread::sleep(Duration::from_secs(1));
        });
        let mut reach = |port| {
            node.uses(port);
            node.api_server().reach.clone()
        };
        assert_eq!(reach(hang), Reach::NoHandshake { after_milliseconds: 1500 });
        let seen = reach(cut);
        assert!(matches!(seen, Reach::CutOff { .. }), "{seen}");
        let seen = reach(plain);
        assert!(matches!(seen, Reach::NotTls { .. }), "{seen}");
    }

    #[test]
    fn a_certificate_of_another_authority_is_found_and_so_is_one_of_another_name() {
        const REASON: &str = "ApiServerCertificateUnknown";
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 401);
        let stranger = Authority::default();
        let between = serving(&node, &stranger, NAME, 401);
        node.uses(between.address().port());
        node.is_found(Component::ApiServer, &[], REASON);
        node.uses(server.address().port());
        node.is_well(Component::ApiServer, &[]);
        let other = serving(&node, &node.authority, "b.hcp.example", 401);
        node.uses(other.address().port());
        node.is_found(Component::ApiServer, &[], REASON);
    }

    #[test]
    fn the_way_to_the_api_server_is_the_one_that_the_kubeconfig_names() {
        let served = || {
            let node = Node::new();
            let nameserver = Nameserver::start(&node, NAMESERVER);
            let server = api_server(&node, 401);
            let port = server.address().port();
            (node, nameserver, server, port)
        };
        let is_verified =
            |api: &ApiServer| matches!(api.certificate, ServerCertificate::Verified { .. });
        // By its address, with a certificate for its name.
        let (mut node, _nameserver, _server, port) = served();
        node.is_told(&format!("server: https://203.0.113.1:{port}\n    tls-server-name: {NAME}"));
        let api = node.api_server();
        assert!(is_verified(&api), "{api:?}");
        // By a short name, in a domain of the search list.
        node.is_told(&format!("server: https://a:{port}\n    tls-server-name: {NAME}"));
        assert_eq!(node.api_server().reach, Reach::NoSuchName);
        let path = node.copy.inside("/etc/resolv.conf");
        let lines = format!("nameserver {NAMESERVER}\nsearch b.example hcp.example\n");
        std::fs::write(path, lines).expect("written");
        let api = node.api_server();
        assert!(is_verified(&api), "{api:?}");
        // Whoever answers is believed, which is a finding, and no certificate is refused.
        let (mut node, _nameserver, _server, _) = served();
        let stranger = serving(&node, &Authority::default(), NAME, 401);
        let server = format!("server: https://{NAME}:{}", stranger.address().port());
        node.is_told(&format!("{server}\n    insecure-skip-tls-verify: true"));
        for _ in 0..3 {
            let api = node.api_server();
            assert_eq!(api.reach, Reach::Reached);
            assert_eq!(node.findings(Component::ApiServer), ["ApiServerUnverified"]);
        }
        // Behind a proxy nobody is asked, and nobody accused.
        let (mut node, _nameserver, server, _) = served();
        node.is_told("server: https://nowhere.example:1\n    proxy-url: http://192.0.2.9:3128");
        for _ in 0..3 {
            let api = node.api_server();
            assert!(matches!(&api.reach, Reach::NotProbed { why } if why.contains("proxy-url")));
            assert_eq!(node.findings(Component::ApiServer), [""; 0]);
        }
        assert_eq!(server.asked(), []);
    }

    #[test]
    fn egress_is_looked_at_where_it_is_asked_for_and_judged_by_endpoint() {
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 401);
        let reached = format!("{NAME}:{}", server.address().port());
        match node.look(Component::Egress, &[]) {
            ComponentState::Egress(State::NotApplicable(why)) => {
                assert!(why.contains("not asked for"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(server.asked(), []);
        let well = [reached.clone()];
        node.is_well(Component::Egress, &well);
        let egress = node.egress(&well);
        assert_eq!(egress.endpoints[0].reach, Reach::Reached);
        assert!(egress.endpoints[0].issuer.contains("authority of a test"), "{egress:?}");
        for (lacking, is_so) in [
            (format!("{NAME}:1"), Reach::Refused),
            ("nowhere.example:443".to_owned(), Reach::NoSuchName),
        ] {
            let both = [reached.clone(), lacking.clone()];
            node.is_found(Component::Egress, &both, "EgressBlocked");
            assert_eq!(node.egress(&both).reach(&lacking), Some(&is_so));
            node.is_well(Component::Egress, &well);
        }
    }

    #[test]
    fn behind_a_proxy_nothing_is_probed() {
        let mut node = Node::new();
        let path = "/etc/systemd/system/containerd.service.d/http-proxy.conf";
        let inside = node.copy.inside(path);
        std::fs::create_dir_all(inside.parent().expect("a folder")).expect("made");
        std::fs::write(inside, "[Service]\nEnvironment=\"HTTPS_PROXY=http://192.0.2.9:3128\"\n")
            .expect("written");
        let egress = node.egress(&["mcr.microsoft.com".to_owned()]);
        assert_eq!(egress.proxy, path);
        assert_eq!(egress.endpoints[0].reach.is_blocked(), None);
    }

    #[test]
    fn what_was_reached_is_left_alone_for_a_while() {
        let node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 401);
        node.uses(server.address().port());
        let mut host = node.host(&[]);
        let mut measured = Vec::<Measurements>::new();
        for _ in 0..3 {
            let collected;
            (collected, host) = node.collect(Component::ApiServer, host);
            measured.push(collected.measured);
        }
        assert_eq!(server.asked().len(), 1);
        let took = |one: &Measurements| one.api_server_round_trip_seconds.is_some();
        assert_eq!(measured.iter().map(took).collect::<Vec<_>>(), [true, false, false]);
    }
}

mod real_dnsmasq {
    use nix::sys::signal::Signal;
    use nodeward_tests::service::{PATIENCE, Program};

    use super::*;

    fn start(node: &Node) -> Program {
        let mut command = Command::new(installed("dnsmasq"));
        command.args([
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
        ]);
        command.args(["--user=root", "--bind-interfaces", "--pid-file=", "--cache-size=0"]);
        command.arg(format!("--listen-address={NAMESERVER}"));
        command.arg(format!("--address=/{NAME}/203.0.113.1"));
        node.network.inside(move || Program::start(&mut command))
    }

    /// It opens its port a little after its start.
    fn wait_until(node: &mut Node, is_so: fn(&NameserverAnswer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !node.dns().answer(NAMESERVER).is_some_and(is_so) {
            assert!(Instant::now() < deadline, "dnsmasq does not get there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn a_real_nameserver_is_asked_stopped_killed_and_started_anew() {
        let mut node = Node::new();
        let dnsmasq = start(&node);
        // It knows no server above it, and says so of the root.
        wait_until(&mut node, |answer| {
            *answer == NameserverAnswer::Answered { code: "REFUSED".to_owned() }
        });
        let server = api_server(&node, 401);
        node.uses(server.address().port());
        assert_eq!(node.api_server().reach, Reach::Reached);

        dnsmasq.signal(Signal::SIGSTOP);
        node.is_found(Component::Dns, &[], "AllNameserversUnreachable");
        let reach = node.api_server().reach.clone();
        assert!(matches!(reach, Reach::NotResolved { .. }), "{reach}");
        dnsmasq.signal(Signal::SIGCONT);
        node.is_well(Component::Dns, &[]);
        assert_eq!(node.api_server().reach, Reach::Reached);

        dnsmasq.kill();
        assert_eq!(node.dns().answer(NAMESERVER), Some(&NameserverAnswer::Refused));
        let _again = start(&node);
        wait_until(&mut node, |answer| answer.is_silent() == Some(false));
        node.is_well(Component::Dns, &[]);
    }
}

mod real_iptables {
    use super::*;

    #[test]
    fn what_a_filter_drops_times_out_and_what_it_rejects_is_refused() {
        let mut node = Node::new();
        let _nameserver = Nameserver::start(&node, NAMESERVER);
        let server = api_server(&node, 401);
        let port = server.address().port().to_string();
        let endpoints = [format!("{NAME}:{port}")];
        node.is_well(Component::Egress, &endpoints);
        let rule = ["OUTPUT", "-p", "tcp", "--dport", &port, "-j"];
        let drop = |node: &Node, verb| {
            node.run("iptables-legacy", &[&[verb], &rule[..], &["DROP"]].concat());
        };
        drop(&node, "-A");
        node.is_found(Component::Egress, &endpoints, "EgressBlocked");
        let mut seen = (0..LOOKS).map(|_| node.egress(&endpoints).endpoints[0].reach.clone());
        let told = seen.find(|reach| !matches!(reach, Reach::NotProbed { .. }));
        assert_eq!(told, Some(Reach::TimedOut { after_milliseconds: 2000 }));
        drop(&node, "-D");
        node.is_well(Component::Egress, &endpoints);
        let reject = ["REJECT", "--reject-with", "tcp-reset"];
        node.run("iptables-legacy", &[&["-A"], &rule[..], &reject].concat());
        assert_eq!(node.egress(&endpoints).endpoints[0].reach, Reach::Refused);
        node.run("iptables-legacy", &[&["-D"], &rule[..], &reject].concat());
        node.is_well(Component::Egress, &endpoints);

        let query = ["OUTPUT", "-p", "udp", "--dport", "53", "-j", "DROP"];
        node.run("iptables-legacy", &[&["-A"], &query[..]].concat());
        node.is_found(Component::Dns, &[], "AllNameserversUnreachable");
        node.run("iptables-legacy", &[&["-D"], &query[..]].concat());
        node.is_well(Component::Dns, &[]);
    }
}
