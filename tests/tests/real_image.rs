//! The agent in a container, as a DaemonSet runs it, against the agent outside: what
//! differs is what the container lacks, and stands in docs/container.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_image {
    use std::collections::BTreeMap;
    use std::path::Path;

    use nix::sys::signal::Signal;
    use nodeward_aggregator::store::sqlite::SqliteStore;
    use nodeward_aggregator::store::{ChangeNumber, Store as _};
    use nodeward_domain::answer::NodeAnswer;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::ComponentState;
    use nodeward_domain::observed::State;
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::image::{Grants, archive};
    use nodeward_tests::service::{Aggregator, PATIENCE, Program, agent};

    const STANDARD: Grants =
        Grants { host_root: true, host_pid: true, host_network: true, sys_ptrace: true };

    type States = BTreeMap<Component, ComponentState>;

    fn is_reported(answer: &NodeAnswer) -> bool {
        answer.components.iter().all(|one| one.state != "not_reported")
    }

    /// What the aggregator has stored of a node: the facts themselves, not their summary.
    async fn stored(store: &Path, node: &str) -> States {
        let store = SqliteStore::open(store).expect("the aggregator's own store");
        let (nodes, _) = store.load_since(ChangeNumber::default(), 1).await.expect("loaded");
        let node = nodes.into_iter().find(|one| one.peer.node == node).expect("a stored node");
        let mut states = States::new();
        for interval in node.intervals {
            let content = store.content(interval.digest).await.expect("the store answers");
            let state = content.expect("acknowledged").decode().expect("a known component");
            states.insert(state.component(), state);
        }
        states
    }

    /// Which components are not the same, and how, in words.
    fn differences(outside: &States, inside: &States) -> Vec<String> {
        assert!(outside.keys().eq(inside.keys()), "not the same components");
        outside
            .iter()
            .filter(|(component, state)| inside[component] != **state)
            .map(|(component, state)| format!("{component}: {:?} | {:?}", state, inside[component]))
            .collect()
    }

    /// Reports this machine from outside and from a container with these grants.
    async fn both(grants: Grants) -> (States, States) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let aggregator = Aggregator::start(&store);
        let containerd = Containerd::start();
        containerd.import(&archive());
        let socket = containerd.socket().display().to_string();
        let mut outside = Program::start(agent("run", Path::new("/"), "outside").args([
            "--aggregator",
            &aggregator.url(),
            "--containerd-socket",
            &socket,
        ]));
        let url = aggregator.url();
        let mut inside = containerd.run(
            "agent",
            grants,
            &[],
            &[
                "run",
                "--host-root",
                "/host",
                "--aggregator",
                &url,
                "--containerd-socket",
                &socket,
                "--node-name",
                "inside",
                "--interval",
                "1s",
            ],
        );
        for node in ["outside", "inside"] {
            aggregator.answer_when(node, "a report", is_reported).await;
        }
        for program in [&mut inside, &mut outside] {
            program.signal(Signal::SIGTERM);
            program.ended_within(PATIENCE);
        }
        (stored(&store, "outside").await, stored(&store, "inside").await)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_container_with_the_standard_grants_sees_what_the_agent_outside_sees() {
        let (outside, inside) = both(STANDARD).await;
        assert_eq!(differences(&outside, &inside), Vec::<String>::new());
        // And that is not nothing: the runtime that runs the container is seen from in it.
        let ComponentState::Containerd(State::Present(containerd)) =
            &inside[&Component::Containerd]
        else {
            panic!("{:?}", inside[&Component::Containerd])
        };
        assert!(
            containerd.process.as_ref().is_some_and(|one| one.executable.ends_with("containerd"))
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_ptrace_the_path_of_an_executable_is_all_that_is_missing() {
        let (mut outside, inside) = both(Grants { sys_ptrace: false, ..STANDARD }).await;
        assert_eq!(differences(&outside, &inside).len(), 1);
        let Some(ComponentState::Containerd(State::Present(containerd))) =
            outside.get_mut(&Component::Containerd)
        else {
            panic!("no containerd outside")
        };
        let process = std::sync::Arc::make_mut(containerd).process.as_mut().expect("a process");
        process.executable.clear();
        assert_eq!(differences(&outside, &inside), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_the_nodes_pid_and_network_namespaces_nothing_false_is_said() {
        // Over the node's /proc its processes are seen all the same; what is asked on
        // loopback is asked of the container's own, and then nobody is accused.
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let aggregator = Aggregator::start(&store);
        let containerd = Containerd::start();
        containerd.import(&archive());
        let socket = containerd.socket().display().to_string();
        let rounds = folder.path().join("rounds");
        std::fs::create_dir(&rounds).expect("made");
        let shared =
            format!("type=bind,src={},dst=/run/nodeward,options=rbind:rw", rounds.display());
        let alone = Grants { host_pid: false, host_network: false, ..STANDARD };
        let _collect = containerd.run(
            "collect",
            alone,
            std::slice::from_ref(&shared),
            &[
                "collect",
                "--host-root",
                "/host",
                "--containerd-socket",
                &socket,
                "--interval",
                "1s",
                "--socket",
                "/run/nodeward/collect.sock",
            ],
        );
        // `send` sees nothing of the node but the folder with the socket.
        let nothing =
            Grants { host_root: false, host_pid: false, host_network: true, sys_ptrace: false };
        let _send = containerd.run(
            "send",
            nothing,
            &[shared],
            &[
                "send",
                "--aggregator",
                &aggregator.url(),
                "--node-name",
                "split",
                "--socket",
                "/run/nodeward/collect.sock",
            ],
        );
        let answer = aggregator.answer_when("split", "a report", is_reported).await;
        assert!(answer.findings.is_empty(), "{:#?}", answer.findings);
        let seen = words(&answer);
        assert_eq!(seen["kubelet"], "absent");
        assert_eq!(seen["containerd"], "present");
    }

    fn words(answer: &NodeAnswer) -> BTreeMap<String, String> {
        answer
            .components
            .iter()
            .map(|one| (one.component.name().to_owned(), one.state.clone()))
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_below_the_mounted_root_can_be_written() {
        // A plain read-only bind would leave mounts below it writable.
        let containerd = Containerd::start();
        containerd.import(&archive());
        let folder = tempfile::tempdir().expect("a folder");
        let shared =
            format!("type=bind,src={},dst=/run/nodeward,options=rbind:rw", folder.path().display());
        let _collect = containerd.run(
            "collect",
            STANDARD,
            &[shared],
            &["collect", "--host-root", "/host", "--socket", "/run/nodeward/collect.sock"],
        );
        let mounts = mounts_of("/run/nodeward/collect.sock");
        let below: Vec<&str> = mounts.lines().filter(|line| line.contains(" /host")).collect();
        assert!(below.len() > 1, "the root and what is mounted below it:\n{mounts}");
        for line in below {
            let options = line.split_whitespace().nth(5).expect("mountinfo has six fields");
            assert!(options.split(',').any(|option| option == "ro"), "{line}");
        }
    }

    /// The mounts that the process with that argument sees.
    fn mounts_of(argument: &str) -> String {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                let path = entry.path();
                let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.starts_with("/usr/bin/nodeward-agent\0") && line.contains(argument) {
                    return std::fs::read_to_string(path.join("mountinfo")).expect("its mounts");
                }
            }
            assert!(std::time::Instant::now() < deadline, "the container did not start");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
