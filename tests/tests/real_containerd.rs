//! The container runtime as it really answers, healthy and broken, from socket to
//! verdict. The node is a copy of an AKS host root, so that what the runtime says
//! matters; the runtime is this machine's own containerd package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_containerd {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use jiff::{SignedDuration, Timestamp};
    use nix::sys::signal::Signal;
    use nodeward_agent::collect::{COLLECTOR_LIMIT, COLLECTORS, Observation, Rounds};
    use nodeward_agent::host::{Host, HostRoot};
    use nodeward_agent::probe::Probes;
    use nodeward_domain::answer::{About, NodeAnswer};
    use nodeward_domain::check::{CONFIRMATIONS, settle};
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::{ComponentState, Containerd as Facts, CriAnswer};
    use nodeward_domain::node::NodeHistory;
    use nodeward_domain::observed::State;
    use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::host::HostCopy;
    use nodeward_tests::service::PATIENCE;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

    /// What one round of the agent sees of the containerd behind a socket of this machine.
    async fn collected(socket: &Path) -> Arc<Facts> {
        let host = Host {
            root: HostRoot::open(Path::new("/")).expect("the root"),
            probes: Probes::Live { runtime: tokio::runtime::Handle::current() },
            containerd_socket: socket.display().to_string(),
        };
        let only = COLLECTORS.into_iter().filter(|one| one.component == Component::Containerd);
        let seen = Rounds::with(Arc::new(host), only.collect(), COLLECTOR_LIMIT).run().await;
        match seen.into_iter().next().map(|observation| observation.state) {
            Some(ComponentState::Containerd(State::Present(facts))) => facts,
            other => panic!("no containerd: {other:?}"),
        }
    }

    /// An AKS node whose runtime answers on a socket of this machine.
    struct Node {
        copy: HostCopy,
        history: NodeHistory,
        observed: u32,
    }

    impl Node {
        fn new() -> Self {
            Self {
                copy: HostCopy::of("aks-ubuntu-2204"),
                history: NodeHistory::default(),
                observed: 0,
            }
        }

        /// What the socket answers, as one round of the agent sees it.
        async fn ask(&self, socket: &Path) -> CriAnswer {
            collected(socket).await.cri.clone()
        }

        /// One more round of the node, in which its runtime has answered that.
        async fn observe(&mut self, answer: CriAnswer) {
            let mut recording = nodeward_agent::probe::Recording::read(
                &nodeward_tests::project::answers("aks-ubuntu-2204"),
            )
            .expect("a recording");
            recording.cri = Some(answer);
            self.copy.answer_with(recording);
            let at =
                Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(self.observed) * 30);
            self.observed += 1;
            for Observation { state, took, .. } in self.copy.round(COLLECTOR_LIMIT).await {
                self.history.observe(state, at, took);
            }
            let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
            settle(&mut self.history, &Component::ALL.into_iter().collect(), &policy, at);
        }

        /// Asks as often as a weak probe must be asked, and judges.
        async fn judged(&mut self, socket: &Path) -> (CriAnswer, Vec<String>) {
            let mut last = None;
            for _ in 0..CONFIRMATIONS {
                let answer = self.ask(socket).await;
                self.observe(answer.clone()).await;
                last = Some(answer);
            }
            (last.expect("at least one answer"), self.findings())
        }

        /// Asks until the finding is gone, and gives the answer that cleared it.
        async fn cleared(&mut self, socket: &Path, finding: &str) -> CriAnswer {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let answer = self.ask(socket).await;
                self.observe(answer.clone()).await;
                if !self.findings().iter().any(|one| one == finding) {
                    return answer;
                }
                assert!(Instant::now() < deadline, "{finding} did not clear: {answer}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }

        fn findings(&self) -> Vec<String> {
            let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
            let now =
                Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(self.observed) * 30);
            let about = About { cluster: "c", node: "n", last_report_at: Some(now) };
            let (answer, _) = NodeAnswer::of(about, &self.history, &policy, now);
            answer.findings.into_iter().map(|finding| finding.reason).collect()
        }
    }

    fn conditions(answer: &CriAnswer) -> Vec<(String, bool, String)> {
        let CriAnswer::Serving { conditions, .. } = answer else { panic!("not serving: {answer}") };
        conditions.iter().map(|one| (one.kind.clone(), one.status, one.reason.clone())).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_serves_says_its_version_and_that_it_has_no_pod_network() {
        let containerd = Containerd::start();
        let (answer, findings) = Node::new().judged(&containerd.socket()).await;
        let CriAnswer::Serving { version, .. } = &answer else { panic!("{answer}") };
        assert_eq!((version.name.as_str(), version.api_version.as_str()), ("containerd", "v1"));
        assert!(version.version.starts_with(|first: char| first.is_ascii_digit()), "{version:?}");
        assert_eq!(
            conditions(&answer),
            [
                ("NetworkReady".to_owned(), false, "NetworkPluginNotReady".to_owned()),
                ("RuntimeReady".to_owned(), true, String::new()),
            ]
        );
        assert_eq!(findings, ["PodNetworkNotReady"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pod_network_that_is_written_later_clears_the_finding() {
        let containerd = Containerd::start();
        let mut node = Node::new();
        assert_eq!(node.judged(&containerd.socket()).await.1, ["PodNetworkNotReady"]);
        containerd.write_network();
        let answer = node.cleared(&containerd.socket(), "PodNetworkNotReady").await;
        assert!(conditions(&answer).iter().all(|(_, status, _)| *status), "{answer}");
        assert_eq!(node.findings(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_killed_one_leaves_its_socket_and_is_down_until_it_is_started_again() {
        let mut containerd = Containerd::start();
        let mut node = Node::new();
        containerd.kill();
        let (answer, findings) = node.judged(&containerd.socket()).await;
        assert_eq!(answer, CriAnswer::Refused);
        assert_eq!(findings, ["ContainerdDown"]);
        // On the same socket, whose file it takes over.
        containerd.start_again();
        let answer = node.ask(&containerd.socket()).await;
        assert!(matches!(answer, CriAnswer::Serving { .. }), "{answer}");
        node.observe(answer).await;
        assert!(!node.findings().contains(&"ContainerdDown".to_owned()), "{:?}", node.findings());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_never_was_there_has_no_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let (answer, findings) = Node::new().judged(&folder.path().join("none.sock")).await;
        assert_eq!(answer, CriAnswer::NoSocket);
        assert_eq!(findings, ["ContainerdDown"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stopped_one_is_hung_and_not_down_and_clears_by_itself() {
        let containerd = Containerd::start();
        let mut node = Node::new();
        containerd.signal(Signal::SIGSTOP);
        let started = Instant::now();
        let (answer, findings) = node.judged(&containerd.socket()).await;
        assert!(matches!(answer, CriAnswer::TimedOut { .. }), "{answer}");
        assert_eq!(findings, ["ContainerdHung"]);
        let limit = COLLECTOR_LIMIT * CONFIRMATIONS;
        assert!(started.elapsed() < limit, "{:?}", started.elapsed());
        containerd.signal(Signal::SIGCONT);
        let answer = node.cleared(&containerd.socket(), "ContainerdHung").await;
        assert!(matches!(answer, CriAnswer::Serving { .. }), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_without_cri_says_that_it_serves_and_is_still_of_no_use() {
        let containerd = Containerd::without_cri();
        let (answer, findings) = Node::new().judged(&containerd.socket()).await;
        assert!(matches!(answer, CriAnswer::Unimplemented { .. }), "{answer}");
        assert_eq!(findings, ["CriDisabled"]);
        let channel = tonic::transport::Endpoint::from_shared(format!(
            "unix:{}",
            containerd.socket().display()
        ))
        .expect("an address")
        .connect()
        .await
        .expect("it listens");
        let health = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await
            .expect("it answers")
            .into_inner();
        assert_eq!(health.status(), ServingStatus::Serving, "its own health sees no fault");
    }

    /// A listener that is no runtime: does `answer` with every connection.
    fn impostor(
        folder: &Path,
        answer: impl Fn(std::os::unix::net::UnixStream) + Send + 'static,
    ) -> PathBuf {
        let path = folder.join("i.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
        path
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_that_never_answers_is_hung() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = impostor(folder.path(), |mut stream| {
            let mut swallowed = Vec::new();
            let _ = stream.read_to_end(&mut swallowed);
        });
        let started = Instant::now();
        let answer = Node::new().ask(&socket).await;
        assert!(matches!(answer, CriAnswer::TimedOut { .. }), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_whose_queue_is_full_is_hung_and_not_failing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("full.sock");
        let _accepts_nobody = UnixListener::bind(&path).expect("a socket");
        // Connections that were closed again keep their place in the queue.
        let mut tried = 0;
        while tokio::net::UnixStream::connect(&path).await.is_ok() {
            tried += 1;
            assert!(tried < 100_000, "the queue has no end");
        }
        let answer = Node::new().ask(&path).await;
        assert!(
            matches!(&answer, CriAnswer::TimedOut { call, .. } if call == "connect"),
            "{answer}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_several_the_one_behind_the_socket_is_reported() {
        let several = [Containerd::start(), Containerd::start()];
        for one in &several {
            let facts = collected(&one.socket()).await;
            assert_eq!(facts.process.as_ref().map(|process| process.pid), Some(one.pid()));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_that_answers_nonsense_fails_and_its_bytes_reach_no_screen() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = impostor(folder.path(), |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 418 \x1b[31mI am a teapot\r\n\r\n");
        });
        let (answer, findings) = Node::new().judged(&socket).await;
        assert!(matches!(answer, CriAnswer::Failed { .. }), "{answer}");
        assert_eq!(findings, ["CriFailing"]);
        assert!(!answer.to_string().contains('\u{1b}'), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_in_the_place_of_the_socket_is_said_to_be_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.sock");
        std::fs::write(&path, "no socket").expect("written");
        let (answer, findings) = Node::new().judged(&path).await;
        let CriAnswer::Failed { why, .. } = &answer else { panic!("{answer}") };
        assert!(why.contains("regular file"), "{why}");
        assert_eq!(findings, ["CriFailing"]);
    }
}
