//! The container runtime as it really answers, healthy and broken, from socket to
//! verdict. The node is a copy of an AKS host root, so that what the runtime says
//! matters; the runtime is this machine's own containerd package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_containerd {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;
    use nodeward_agent::collect::COLLECTOR_LIMIT;
    use nodeward_domain::check::CONFIRMATIONS;
    use nodeward_domain::facts::CriAnswer;
    use nodeward_domain::facts::containerd::Reply;
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::node::{Looking, Node};
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

    fn conditions(answer: &CriAnswer) -> Vec<(String, bool, String)> {
        let CriAnswer::Serving { conditions, .. } = answer else { panic!("not serving: {answer}") };
        conditions.iter().map(|one| (one.kind.clone(), one.status, one.reason.clone())).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_serves_says_its_version_and_that_it_has_no_pod_network() {
        let containerd = Containerd::start();
        let (facts, findings) = Node::default().judged(&containerd.socket()).await;
        let answer = &facts.cri;
        let CriAnswer::Serving { version, .. } = answer else { panic!("{answer}") };
        assert_eq!((version.name.as_str(), version.api_version.as_str()), ("containerd", "v1"));
        assert!(version.version.starts_with(|first: char| first.is_ascii_digit()), "{version:?}");
        assert_eq!(
            conditions(answer),
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
        let mut node = Node::default();
        assert_eq!(node.judged(&containerd.socket()).await.1, ["PodNetworkNotReady"]);
        containerd.write_network();
        let facts = node.cleared(&containerd.socket(), "PodNetworkNotReady").await;
        let answer = &facts.cri;
        assert!(conditions(answer).iter().all(|(_, status, _)| *status), "{answer}");
        assert_eq!(node.findings(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_killed_one_leaves_its_socket_and_is_down_until_it_is_started_again() {
        let mut containerd = Containerd::start();
        let mut node = Node::default();
        containerd.kill();
        let (facts, findings) = node.judged(&containerd.socket()).await;
        let answer = &facts.cri;
        assert_eq!(*answer, CriAnswer::Refused);
        assert_eq!(findings, ["ContainerdDown"]);
        // On the same socket, whose file it takes over.
        containerd.start_again();
        let seen = Looking::at(&containerd.socket()).look().await;
        let answer = &seen.facts.cri;
        assert!(matches!(answer, CriAnswer::Serving { .. }), "{answer}");
        node.observe(&seen).await;
        assert!(!node.findings().contains(&"ContainerdDown".to_owned()), "{:?}", node.findings());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_never_was_there_has_no_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let (facts, findings) = Node::default().judged(&folder.path().join("none.sock")).await;
        let answer = &facts.cri;
        assert_eq!(*answer, CriAnswer::NoSocket);
        assert_eq!(findings, ["ContainerdDown"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stopped_one_is_hung_and_not_down_and_clears_by_itself() {
        let containerd = Containerd::start();
        let mut node = Node::default();
        containerd.signal(Signal::SIGSTOP);
        let started = Instant::now();
        let (facts, findings) = node.judged(&containerd.socket()).await;
        let answer = &facts.cri;
        assert!(matches!(answer, CriAnswer::TimedOut { .. }), "{answer}");
        assert_eq!(findings, ["ContainerdHung"]);
        let limit = COLLECTOR_LIMIT * CONFIRMATIONS;
        assert!(started.elapsed() < limit, "{:?}", started.elapsed());
        // Every call has waited, and all of them for the same five seconds.
        let replies = &facts.replies;
        let waited = Reply::TimedOut { after_milliseconds: 5000 };
        assert_eq!(replies.list_pod_sandbox, waited);
        assert_eq!(replies.plugins.to_string(), waited.to_string());
        assert_eq!(replies.version.to_string(), waited.to_string());
        containerd.signal(Signal::SIGCONT);
        let answer = &node.cleared(&containerd.socket(), "ContainerdHung").await.cri;
        assert!(matches!(answer, CriAnswer::Serving { .. }), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_without_cri_says_that_it_serves_and_is_still_of_no_use() {
        let containerd = Containerd::without_cri();
        let (facts, findings) = Node::default().judged(&containerd.socket()).await;
        let answer = &facts.cri;
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
        let answer = &Looking::at(&socket).look().await.facts.cri;
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
        let answer = &Looking::at(&path).look().await.facts.cri;
        assert!(
            matches!(answer, CriAnswer::TimedOut { call, .. } if call == "connect"),
            "{answer}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_several_the_one_behind_the_socket_is_reported() {
        let several = [Containerd::start(), Containerd::start()];
        for one in &several {
            let facts = Looking::at(&one.socket()).look().await.facts;
            assert_eq!(facts.process.as_ref().map(|process| process.pid), Some(one.pid()));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_that_answers_nonsense_fails_and_its_bytes_reach_no_screen() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = impostor(folder.path(), |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 418 \x1b[31mI am a teapot\r\n\r\n");
        });
        let (facts, findings) = Node::default().judged(&socket).await;
        let answer = &facts.cri;
        assert!(matches!(answer, CriAnswer::Failed { .. }), "{answer}");
        assert_eq!(findings, ["CriFailing"]);
        assert!(!answer.to_string().contains('\u{1b}'), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_in_the_place_of_the_socket_is_said_to_be_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.sock");
        std::fs::write(&path, "no socket").expect("written");
        let (facts, findings) = Node::default().judged(&path).await;
        let answer = &facts.cri;
        let CriAnswer::Failed { why, .. } = answer else { panic!("{answer}") };
        assert!(why.contains("regular file"), "{why}");
        assert_eq!(findings, ["CriFailing"]);
    }
}
