//! The agent in a container, with exactly what the DaemonSet grants, beside the agent
//! outside: what differs is what the container lacks, and stands in docs/container.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_image {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;
    use nodeward_aggregator::store::sqlite::SqliteStore;
    use nodeward_aggregator::store::{ChangeNumber, Store as _};
    use nodeward_domain::answer::NodeAnswer;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::{
        ChronyAnswer, ComponentState, Containerd as Facts, CriAnswer, Limit, LiveValue,
        NameserverAnswer, Namespace, Reboot,
    };
    use nodeward_domain::observed::{State, Unavailable};
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::image::{Container, Image, Profile};
    use nodeward_tests::lacking::{self, Lacking, States};
    use nodeward_tests::mounted::MountedNode;
    use nodeward_tests::programs::target;
    use nodeward_tests::project;
    use nodeward_tests::service::{Aggregator, PATIENCE, Program, agent};
    use nodeward_tests::store_suite;
    use tempfile::TempDir;

    /// This machine with a containerd on it, reported by an agent outside of containers
    /// as `outside`, and to be reported from containers as `inside`.
    struct Machine {
        _outside: Program,
        containerd: Containerd,
        aggregator: Aggregator,
        folder: TempDir,
        // Given back last.
        _turn: File,
    }

    impl Machine {
        fn start() -> Self {
            let turn = turn();
            turn.lock_shared().expect("a turn");
            Self::start_in(turn)
        }

        /// The same while no other one of these is: it starts processes that an agent
        /// takes for the machine's.
        fn start_alone() -> Self {
            let turn = turn();
            turn.lock().expect("a turn");
            Self::start_in(turn)
        }

        fn start_in(turn: File) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::create_dir(folder.path().join("rounds")).expect("made");
            let aggregator = Aggregator::start(&folder.path().join("store.db"));
            let containerd = Containerd::start();
            containerd.import(Image::Agent);
            let mut outside = agent("run", Path::new("/"), "outside");
            outside.args(["--aggregator", &aggregator.url(), "--containerd-socket"]);
            let _outside = Program::start(outside.arg(containerd.socket()));
            Self { _outside, containerd, aggregator, folder, _turn: turn }
        }

        /// A container of the DaemonSet's, that looks and speaks where the agent outside
        /// does.
        fn container(&self, name: &str) -> Container {
            let rounds = self.folder.path().join("rounds");
            let container = Container::of_daemonset(name, "inside", &rounds);
            if name == "send" {
                return container.with("--aggregator", self.aggregator.url());
            }
            container
                .with("--containerd-socket", self.containerd.socket().display())
                .with("--interval", "1s")
        }

        /// The container that sees the node, sending by itself.
        fn container_of_both(&self) -> Container {
            self.container("collect")
                .as_command("run")
                .with("--aggregator", self.aggregator.url())
                .with("--node-name", "inside")
        }

        /// The answer about a node, as soon as all of it has been reported.
        async fn answer(&self, node: &str) -> NodeAnswer {
            let is_reported = |answer: &NodeAnswer| {
                answer.components.iter().all(|one| one.state != "not_reported")
            };
            self.aggregator.answer_when(node, "a report", is_reported).await
        }

        /// The answer about a node, once no weak probe has to say it again.
        async fn settled(&self, node: &str) -> NodeAnswer {
            self.answer(node).await;
            let is_settled = |answer: &NodeAnswer| {
                let checks = answer.components.iter().flat_map(|one| &one.checks);
                checks.into_iter().all(|check| !check.detail.starts_with("confirming"))
            };
            self.aggregator.answer_when(node, "an answer that stays", is_settled).await
        }

        /// What is stored of a node: the facts themselves, not their summary.
        async fn stored(&self, node: &str) -> States {
            self.answer(node).await;
            // The store itself is the aggregator's alone.
            let folder = tempfile::tempdir().expect("a folder");
            let copy = folder.path().join("copy.db");
            store_suite::copy(&self.folder.path().join("store.db"), &copy);
            let store = SqliteStore::open(&copy).expect("a store");
            let loaded = store.load_since(ChangeNumber::default(), 1).await.expect("loaded");
            let node =
                loaded.nodes.into_iter().find(|one| one.peer.node == node).expect("a stored node");
            let mut states = States::new();
            for interval in node.intervals {
                let content = store.content(interval.digest).await.expect("the store answers");
                let state = content.expect("acknowledged").decode().expect("a known component");
                states.insert(state.component(), state);
            }
            states
        }

        /// The facts of both, as soon as they agree but for what `expected` changes in
        /// those from outside, beside those from inside. Both are taken again and again, because other tests start
        /// and end containerds that both see, a moment apart.
        async fn agree_but_for(&self, expected: impl Fn(&mut States, &States)) -> (States, States) {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let outside = self.stored("outside").await;
                let inside = self.stored("inside").await;
                let mut like_inside = outside.clone();
                // A device, which a container is not let at.
                like_inside.insert(Component::KernelLog, inside[&Component::KernelLog].clone());
                expected(&mut like_inside, &inside);
                let differences = differences(&like_inside, &inside);
                if differences.is_empty() {
                    return (outside, inside);
                }
                assert!(Instant::now() < deadline, "outside | inside: {differences:#?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// What the tests of a machine take turns by.
    fn turn() -> File {
        File::create(target().join("real_image.turn")).expect("a file beside the programs")
    }

    /// Which components are not the same, and how.
    fn differences(outside: &States, inside: &States) -> Vec<String> {
        assert!(outside.keys().eq(inside.keys()), "not the same components");
        outside
            .iter()
            .filter(|(component, state)| inside[component] != **state)
            .map(|(component, state)| format!("{component}: {:?} | {:?}", state, inside[component]))
            .collect()
    }

    fn containerd(states: &mut States) -> &mut Facts {
        match states.get_mut(&Component::Containerd) {
            Some(ComponentState::Containerd(State::Present(facts))) => Arc::make_mut(facts),
            other => panic!("no containerd: {other:?}"),
        }
    }

    fn reboot(states: &mut States) -> &mut Reboot {
        match states.get_mut(&Component::Reboot) {
            Some(ComponentState::Reboot(State::Present(facts))) => Arc::make_mut(facts),
            other => panic!("no reboot: {other:?}"),
        }
    }

    /// What an agent sees of parameters of a namespace which is not, or may not be, its own.
    fn hide(states: &mut States, namespace: Namespace, why: &str) {
        let Some(ComponentState::Sysctl(State::Present(sysctl))) =
            states.get_mut(&Component::Sysctl)
        else {
            panic!("no sysctl")
        };
        for setting in &mut Arc::make_mut(sysctl).settings {
            if Namespace::of(&setting.key) == Some(namespace) {
                setting.live = LiveValue::Unreadable(why.to_owned());
            }
        }
        // Limits of a namespace are not mistaken for the node's.
        if namespace == Namespace::Pid
            && let Some(ComponentState::ProcessLimits(State::Present(limits))) =
                states.get_mut(&Component::ProcessLimits)
        {
            Arc::make_mut(limits).pid_max = Limit::Unreadable(why.to_owned());
        }
        if namespace == Namespace::Network
            && let Some(ComponentState::Conntrack(conntrack)) =
                states.get_mut(&Component::Conntrack)
            && !matches!(conntrack, State::NotApplicable(_))
        {
            *conntrack = State::Unavailable(Unavailable {
                place: "/proc/sys/net/netfilter/nf_conntrack_count".to_owned(),
                why: why.to_owned(),
            });
        }
        // Nor is chronyd asked on a loopback that may be another.
        if namespace == Namespace::Network
            && let Some(ComponentState::TimeSync(State::Present(time))) =
                states.get_mut(&Component::TimeSync)
            && let Some(chrony) = &mut Arc::make_mut(time).chrony
        {
            chrony.answer = ChronyAnswer::NotAsked { why: why.to_owned() };
        }
    }

    /// Another network may have other nameservers behind the same addresses.
    fn ask_no_nameserver(states: &mut States, why: &str) {
        let Some(ComponentState::Dns(State::Present(dns))) = states.get_mut(&Component::Dns) else {
            panic!("no dns")
        };
        for nameserver in &mut Arc::make_mut(dns).nameservers {
            nameserver.answer = NameserverAnswer::NotAsked { why: why.to_owned() };
        }
    }

    fn executable(mut states: States) -> String {
        containerd(&mut states).process.as_ref().expect("a process").executable.clone()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_pod_of_the_daemonset_reports_what_the_agent_outside_reports() {
        let machine = Machine::start();
        let _collect = machine.containerd.run(&machine.container("collect"));
        let _send = machine.containerd.run(&machine.container("send"));
        let (_, mut inside) = machine.agree_but_for(|_, _| {}).await;
        // And that is not nothing: the runtime that runs the pod is seen from in it.
        assert!(matches!(containerd(&mut inside).cri, CriAnswer::Serving { .. }));
        assert!(executable(inside).ends_with("containerd"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_container_that_collects_and_sends_reports_the_same_and_stops_when_told() {
        let machine = Machine::start();
        let mut inside = machine.containerd.run(&machine.container_of_both());
        machine.agree_but_for(|_, _| {}).await;
        inside.signal(Signal::SIGTERM);
        let (status, _) = inside.ended_within(PATIENCE);
        assert!(status.success(), "{status}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_ptrace_executables_and_namespaces_cannot_be_told() {
        let machine = Machine::start();
        let container = machine.container_of_both().without_capability("CAP_SYS_PTRACE");
        let _inside = machine.containerd.run(&container);
        let (outside, inside) = machine
            .agree_but_for(|states, inside| {
                containerd(states).process.as_mut().expect("a process").executable.clear();
                *reboot(states) = reboot(&mut inside.clone()).clone();
                for namespace in [Namespace::Network, Namespace::Pid] {
                    let link = namespace.link();
                    let why =
                        format!("whether the agent is in the host's {link} namespace is not known");
                    hide(states, namespace, &why);
                }
            })
            .await;
        assert_ne!(executable(outside), "");
        assert!(reboot(&mut inside.clone()).unseen.is_some());
        assert_eq!(executable(inside), "");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_uid_0_the_runtime_cannot_be_asked_and_the_reason_is_said() {
        let machine = Machine::start();
        let _inside = machine.containerd.run(&machine.container_of_both().as_user(65532));
        let cri = containerd(&mut machine.stored("inside").await).cri.clone();
        assert!(matches!(cri, CriAnswer::NotAsked { .. }), "{cri}");
        assert!(cri.to_string().contains("permission denied"), "{cri}");
        let findings = machine.answer("inside").await.findings;
        let accused = findings.iter().any(|one| one.component == Component::Containerd);
        assert!(!accused, "{findings:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_the_nodes_namespaces_what_is_of_a_namespace_is_not_mistaken_for_the_nodes() {
        // Processes are seen through the node's /proc, but which of them listens on a
        // socket is not told across PID namespaces. What is asked on loopback would be
        // asked of the container's own; no kubelet runs here that could show it.
        let machine = Machine::start();
        let collect = machine.container("collect").without_the_nodes_namespaces();
        let _collect = machine.containerd.run(&collect);
        let _send = machine.containerd.run(&machine.container("send"));
        machine
            .agree_but_for(|states, inside| {
                for namespace in [Namespace::Network, Namespace::Pid] {
                    let why =
                        format!("the agent is not in the host's {} namespace", namespace.link());
                    hide(states, namespace, &why);
                    if namespace == Namespace::Network {
                        ask_no_nameserver(states, &why);
                    }
                }
                // Another process may have been started with another configuration.
                let seen = containerd(&mut inside.clone()).clone();
                let facts = containerd(states);
                (facts.process, facts.configuration) = (seen.process, seen.configuration);
            })
            .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_below_the_mounted_root_can_be_written() {
        let machine = Machine::start();
        let _collect = machine.containerd.run(&machine.container("collect"));
        assert_eq!(machine.writable_below_host(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plain_read_only_mount_would_leave_what_is_mounted_below_it_writable() {
        let machine = Machine::start();
        let collect = machine.container("collect").with_plain_read_only_mounts();
        let _collect = machine.containerd.run(&collect);
        assert_ne!(machine.writable_below_host(), Vec::<String>::new());
    }

    /// What a container of that profile does not know of a node that an agent outside
    /// knows: checks that are unknown in it alone, by component.
    async fn lacking(profile: Profile) -> BTreeMap<Component, Lacking> {
        let machine = Machine::start_alone();
        let node = MountedNode::of("aks-ubuntu-2204", &machine.containerd);
        let mut beside = agent("run", node.path(), "beside");
        beside.args(["--aggregator", &machine.aggregator.url()]);
        let _beside = Program::start(&mut beside);
        let rounds = machine.folder.path().join("rounds");
        let container = Container::of_profile(profile, "collect", "mounted", &rounds)
            .as_command("run")
            .on_root(node.path())
            .with("--interval", "1s")
            .with("--node-name", "mounted")
            .with("--aggregator", machine.aggregator.url());
        let _inside = machine.containerd.run(&container);
        let outside = machine.settled("beside").await;
        let inside = machine.settled("mounted").await;
        let facts = [machine.stored("beside").await, machine.stored("mounted").await];
        lacking::compare(&[outside, inside], &facts)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_each_profile_cannot_tell_is_what_the_page_says() {
        const BEGIN: &str = "<!-- profiles: made by the tests of the image -->\n";
        const END: &str = "<!-- end of profiles -->\n";
        let mut table = String::from("| component |");
        let mut of_profiles = Vec::new();
        for profile in Profile::ALL {
            write!(table, " `{}` |", profile.word()).expect("written");
            of_profiles.push(lacking(profile).await);
        }
        table.push_str("\n|---|---|---|---|\n");
        for component in Component::COLLECTED {
            write!(table, "| `{component}` |").expect("written");
            for lacking in &of_profiles {
                write!(table, " {} |", lacking::cell(&lacking[&component])).expect("written");
            }
            table.push('\n');
        }
        let path = project::root().join("docs/container.md");
        let page = std::fs::read_to_string(&path).expect("the page");
        let (before, rest) = page.split_once(BEGIN).expect("a place for the table");
        let (_, after) = rest.split_once(END).expect("the table ends");
        project::assert_committed(&path, &format!("{before}{BEGIN}{table}{END}{after}"));
    }

    impl Machine {
        /// The mounts below /host that the container could write, of all that it sees.
        fn writable_below_host(&self) -> Vec<String> {
            let mounts = mounts_of(&self.containerd.socket().display().to_string());
            let below: Vec<&str> = mounts.lines().filter(|line| line.contains(" /host")).collect();
            assert!(below.len() > 1, "the root and what is mounted below it:\n{mounts}");
            let is_writable = |line: &&&str| {
                let options = line.split_whitespace().nth(5).expect("mountinfo has six fields");
                !options.split(',').any(|option| option == "ro")
            };
            below.iter().filter(is_writable).map(|line| (*line).to_owned()).collect()
        }
    }

    /// The mounts that the agent with that text in an argument sees from its container.
    fn mounts_of(argument: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                let path = entry.path();
                let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.starts_with("/usr/bin/nodeward-agent\0collect") && line.contains(argument) {
                    return std::fs::read_to_string(path.join("mountinfo")).expect("its mounts");
                }
            }
            assert!(Instant::now() < deadline, "the container did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
