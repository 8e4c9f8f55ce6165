//! A real containerd at work and over its life: with a pod, restarted while the agent
//! looks, replaced on disk, with a part that does not start. From socket to verdict.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod real_containerd {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;
    use nodeward_domain::check::CONFIRMATIONS;
    use nodeward_domain::facts::containerd::{Containerd as Facts, Reply, SystemdCgroup};
    use nodeward_domain::facts::{CriAnswer, ManagedImages};
    use nodeward_domain::observed::State;
    use nodeward_domain::restarts::LOOP;
    use nodeward_tests::containerd::Containerd;
    use nodeward_tests::node::{Looking, Node, Seen, managed_images};
    use nodeward_tests::pod::{BUSYBOX_IMAGE, Pod};
    use nodeward_tests::service::PATIENCE;

    /// Looks until the runtime is as it should be.
    async fn look_until(looking: &mut Looking, what: &str, is_so: impl Fn(&Seen) -> bool) -> Seen {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = looking.look().await;
            if is_so(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "not {what}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn has_network(facts: &Facts) -> bool {
        let CriAnswer::Serving { conditions, .. } = &facts.cri else { return false };
        conditions.iter().all(|condition| condition.status)
    }

    fn pid(facts: &Facts) -> u32 {
        facts.process.as_ref().expect("it runs").pid
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pod_is_counted_while_it_is_ready_and_survives_a_restart_that_accuses_nobody() {
        let mut containerd = Containerd::start();
        containerd.write_network();
        let mut looking = Looking::at(&containerd.socket());
        let mut node = Node::default();
        let none = look_until(&mut looking, "ready", |seen| has_network(&seen.facts)).await;
        assert_eq!(none.measured.ready_sandboxes, Some(0));
        assert!(none.facts.replies.list_pod_sandbox.answered().is_some());

        let mut pod = Pod::run(&containerd).await;
        let before = looking.look().await;
        node.observe(&before).await;
        assert_eq!(before.measured.ready_sandboxes, Some(1));
        assert!(pod.runs(&containerd).await);
        // What moves is measured: with a pod the facts are those without.
        assert_eq!(before.facts, none.facts);

        containerd.kill();
        containerd.start_again();
        let served = |seen: &Seen| has_network(&seen.facts);
        let after = look_until(&mut looking, "served again", served).await;
        for _ in 0..CONFIRMATIONS {
            node.observe(&after).await;
        }
        assert_eq!(pid(&after.facts), containerd.pid());
        assert_ne!(pid(&after.facts), pid(&before.facts));
        // Nothing else is another, and the pod has not noticed.
        let mut as_before = (*after.facts).clone();
        as_before.process.clone_from(&before.facts.process);
        assert_eq!(as_before, *before.facts);
        assert_eq!(after.measured.ready_sandboxes, Some(1));
        assert!(pod.runs(&containerd).await);
        assert_eq!(node.findings(), Vec::<String>::new());

        pod.stop().await;
        assert_eq!(looking.look().await.measured.ready_sandboxes, Some(0));
        pod.remove().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn images_that_run_in_kube_system_are_told_with_their_digests_and_no_others() {
        let mut containerd = Containerd::start();
        containerd.write_network();
        let served = |seen: &Seen| has_network(&seen.facts);
        look_until(&mut Looking::at(&containerd.socket()), "served", served).await;
        let none = State::Present(Arc::new(ManagedImages { images: Vec::new() }));
        let elsewhere = Pod::run(&containerd).await;
        assert_eq!(managed_images(&containerd.socket()).await, none);

        let mut pod = Pod::run_in(&containerd, "kube-system").await;
        let State::Present(seen) = managed_images(&containerd.socket()).await else {
            panic!("not listed")
        };
        let [image] = seen.images.as_slice() else { panic!("not one image: {seen:?}") };
        let [container] = image.containers.as_slice() else { panic!("{image:?}") };
        assert_eq!(container.name, "busybox");
        assert_eq!(container.image, BUSYBOX_IMAGE);
        assert_eq!(container.image_ref, image.id);
        assert!(image.id.starts_with("sha256:"), "{image:?}");
        let names = image.names.as_ref().expect("it is listed");
        assert_eq!(names.tags, [BUSYBOX_IMAGE]);
        // The digest is that of the manifest, which its client names too.
        let output = containerd.ctr(&["--namespace", "k8s.io", "image", "list"]).output();
        let list = String::from_utf8(output.expect("its client runs").stdout).expect("text");
        let line = list.lines().find(|line| line.starts_with(BUSYBOX_IMAGE)).expect("listed");
        let digest = line.split_whitespace().find(|word| word.starts_with("sha256:"));
        let repository = BUSYBOX_IMAGE.trim_end_matches(":test");
        assert_eq!(names.digests, [format!("{repository}@{}", digest.expect("a digest"))]);

        // What has ended runs no image, though it is still listed.
        pod.stop().await;
        assert_eq!(managed_images(&containerd.socket()).await, none);
        pod.remove().await;
        elsewhere.remove().await;
        containerd.kill();
        let gone = managed_images(&containerd.socket()).await;
        let State::Unavailable(unavailable) = &gone else { panic!("{gone:?}") };
        assert!(unavailable.why.contains("refused"), "{unavailable}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_runtime_without_cri_or_one_that_hangs_lists_no_images() {
        let containerd = Containerd::without_cri();
        let state = managed_images(&containerd.socket()).await;
        // Whether a kubelet would need it is said by the machine that the test runs on.
        assert!(!matches!(state, State::Present(_) | State::Absent), "{state:?}");
        drop(containerd);
        let containerd = Containerd::start();
        containerd.signal(Signal::SIGSTOP);
        let state = managed_images(&containerd.socket()).await;
        containerd.signal(Signal::SIGCONT);
        let State::Unavailable(unavailable) = &state else { panic!("{state:?}") };
        assert!(unavailable.why.contains("5000 ms"), "{unavailable}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn five_restarts_in_a_row_are_too_many_though_no_systemd_counts_them() {
        let mut containerd = Containerd::start();
        containerd.write_network();
        let mut looking = Looking::at(&containerd.socket());
        let mut node = Node::default();
        for restarts in 0..=LOOP {
            let served = |seen: &Seen| has_network(&seen.facts);
            node.observe(&look_until(&mut looking, "served", served).await).await;
            let findings = node.findings();
            if restarts < LOOP {
                assert_eq!(findings, Vec::<String>::new(), "after {restarts} restarts");
                containerd.kill();
                containerd.start_again();
            } else {
                assert_eq!(findings, ["ContainerdRestarting"]);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_server_says_of_itself_what_its_client_says_of_it() {
        let containerd = Containerd::start();
        let seen = Looking::at(&containerd.socket()).look().await;
        let output = containerd.ctr(&["version"]).output().expect("its client runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let (_, server) = text.split_once("Server:").expect("what the server says");
        let said = |key: &str| {
            let line = server.lines().find_map(|line| line.trim().strip_prefix(key));
            line.expect("a line").trim().to_owned()
        };
        let replies = &seen.facts.replies;
        let version = replies.version.answered().expect("its version");
        assert_eq!(version.version, said("Version:"));
        assert_eq!(version.revision, said("Revision:"));
        let server = replies.server.answered().expect("who it is");
        assert_eq!(server.uuid, said("UUID:"));
        assert_eq!(server.deprecations, Vec::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_healthy_one_leaves_out_is_listed_and_accuses_nobody() {
        let containerd = Containerd::start();
        containerd.write_network();
        let mut node = Node::default();
        let facts = node.cleared(&containerd.socket(), "PodNetworkNotReady").await;
        let plugins = facts.replies.plugins.answered().expect("a list");
        let output = containerd.ctr(&["plugins", "ls"]).output().expect("its client runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let ending = |line: &&str, status: &str| line.trim_end().ends_with(status);
        let count = |status: &str| text.lines().filter(|line| ending(line, status)).count();
        assert_eq!(plugins.started as usize, count(" ok"), "{text}");
        assert_eq!(plugins.failed.len(), count(" error") + count(" skip"), "{text}");
        assert!(plugins.failed.iter().any(|plugin| plugin.id == "zfs"), "{plugins:?}");
        // The snapshotter that images lie in is known by its folder.
        let stores = facts.replies.image_fs_info.answered().expect("its image stores");
        let folder = containerd.path("root/io.containerd.snapshotter.v1.overlayfs");
        assert_eq!(stores.folders, [folder.display().to_string()]);
        let (_, findings) = node.judged(&containerd.socket()).await;
        assert_eq!(findings, Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cri_plugin_that_refuses_its_configuration_is_named_and_not_called_disabled() {
        let containerd = Containerd::with_refused_configuration();
        let (facts, findings) = Node::default().judged(&containerd.socket()).await;
        assert!(matches!(facts.cri, CriAnswer::Unimplemented { .. }), "{}", facts.cri);
        let plugins = facts.replies.plugins.answered().expect("a list");
        let cri = plugins.failed.iter().find(|plugin| plugin.id == "cri").expect("CRI");
        assert!(cri.message.contains("mirrors"), "{cri:?}");
        assert_eq!(findings, ["PluginFailed"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_is_replaced_on_disk_waits_for_a_restart() {
        let containerd = Containerd::from_a_copy();
        containerd.write_network();
        let mut node = Node::default();
        node.cleared(&containerd.socket(), "PodNetworkNotReady").await;
        assert_eq!(node.findings(), Vec::<String>::new());
        containerd.replace_on_disk();
        let (facts, findings) = node.judged(&containerd.socket()).await;
        let process = facts.process.as_ref().expect("it runs");
        assert_eq!(process.executable, containerd.path("containerd").display().to_string());
        assert!(process.executable_replaced);
        assert_eq!(findings, ["ContainerdRestartPending"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_configuration_that_it_was_started_with_is_read_and_older_calls_are_missed() {
        let containerd = Containerd::start();
        let facts = Looking::at(&containerd.socket()).look().await.facts;
        let path = containerd.path("config.toml").display().to_string();
        assert_eq!(facts.configuration.path, path);
        assert_eq!(facts.configuration.systemd_cgroup, SystemdCgroup::Unset);
        // Debian 12's is older than the call; a newer one answers it.
        let config = &facts.replies.runtime_config;
        let is_old =
            matches!(config, Reply::Unimplemented { message } if message.contains("RuntimeConfig"));
        assert!(is_old || config.answered().is_some(), "{config:?}");
        assert!(facts.runc.iter().any(|path| path.ends_with("/runc")), "{:?}", facts.runc);
    }
}
