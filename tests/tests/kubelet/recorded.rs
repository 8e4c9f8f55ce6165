//! Answers of a real kubelet 1.34, where the recordings are.

use super::*;

/// A recorded kubelet with what differs here: ports, and the time of the recording.
fn played(capture: &Capture, configuration: &str) -> Kubelet {
    let paths = Arc::new(capture.paths("kubelet-10250"));
    let ports = Arc::new(std::sync::OnceLock::new());
    let (answers, known) = (Arc::clone(&paths), Arc::clone(&ports));
    let secure = move |asked: &Asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let mut does = answers.get(path).cloned().unwrap_or(answer(404, ""));
        if let Does::Answer(answer) = &mut does {
            let (port, healthz): (u16, u16) = *known.get().expect("set before it is asked");
            let text = String::from_utf8_lossy(&answer.body)
                .replace("\"port\":10250", &format!("\"port\":{port}"))
                .replace("\"healthzPort\":10248", &format!("\"healthzPort\":{healthz}"));
            let now = Timestamp::now().as_second();
            let seen = "kubelet_pleg_last_seen_seconds ";
            let lines = text.split_inclusive('\n').map(|line| match line.starts_with(seen) {
                true => format!("{seen}{now}\n"),
                false => line.to_owned(),
            });
            answer.body = lines.collect::<String>().into_bytes();
        }
        does
    };
    let kubelet = Kubelet::answering(ok, secure).with_token("t");
    let (port, healthz) = (kubelet.secure.address().port(), kubelet.health.address().port());
    ports.set((port, healthz)).expect("once");
    kubelet.configure(&format!("{configuration}port: {port}\nhealthzPort: {healthz}\n"));
    // The recorded one had it from its file alone.
    kubelet.lacks("--cgroup-driver=systemd");
    kubelet
}

#[tokio::test]
async fn its_effective_configuration_is_what_its_file_says() {
    let Some(capture) = Capture::of("healthy") else { return };
    let configuration = capture.text("kubelet-config.yaml");
    let kubelet = played(&capture, &configuration);
    let observed = kubelet.observed().await;
    let told = facts(&observed);
    let settings = &told.configuration.settings;
    let drifted: Vec<_> = settings
        .iter()
        .filter(|one| one.in_force.is_some() && one.source != SettingSource::Default)
        .collect();
    assert!(drifted.is_empty(), "{drifted:#?}");
    let of = |key: &str| told.configuration.setting(key).expect("a setting").value.as_str();
    assert_eq!(of("kubeReserved"), "cpu=100m,memory=1638Mi,pid=1000");
    assert_eq!(of("streamingConnectionIdleTimeout"), "4h0m0s");
    assert_eq!(of("authentication.x509.clientCAFile"), "/etc/kubernetes/certs/ca.crt");
    assert_eq!(told.version.as_ref().expect("told").version, "v1.34.9");
    assert_eq!(told.secure_port.alpha_features, Some(Vec::new()));
    let answers = judged(&observed);
    for reason in ["KubeletSyncLoopStuck", "KubeletPlegStale", "KubeletConfigurationDrifted"] {
        assert_eq!(said(&answers, reason), "pass", "{reason}");
    }

    // One line of the file is changed: that one drifts, by name.
    let kubelet = played(&capture, &configuration.replace("maxPods: 110", "maxPods: 30"));
    let answers = kubelet.judged().await;
    assert!(said(&answers, "KubeletConfigurationDrifted").contains("maxPods is 110"));
}

#[tokio::test]
async fn each_right_opens_what_it_opens() {
    let Some(capture) = Capture::of("healthy") else { return };
    let matrix = capture.text("../kubelet-authz-matrix.txt");
    let mut rights: BTreeMap<&str, BTreeMap<String, (u16, String)>> = BTreeMap::new();
    for line in matrix.lines() {
        let mut words = line.splitn(4, ' ');
        let (who, path) = (words.next().expect("a name"), words.next().expect("a path"));
        let status = words.next().and_then(|word| word.parse().ok()).expect("a status");
        let body = words.next().unwrap_or_default().to_owned();
        rights.entry(who).or_default().insert(path.to_owned(), (status, body));
    }
    for (who, open) in [("fine", 3), ("metricsonly", 1), ("none", 0)] {
        let rights = rights[who].clone();
        let paths = capture.paths("kubelet-10250");
        let secure = move |asked: &Asked| {
            let path = asked.path.split('?').next().unwrap_or_default();
            match &rights[path] {
                (200, _) => paths[path].clone(),
                (status, body) => answer(*status, body.clone()),
            }
        };
        let kubelet = Kubelet::answering(ok, secure).with_token("t");
        let port = facts(&kubelet.observed().await).secure_port.clone();
        let told = [&port.healthz, &port.configz, &port.metrics]
            .map(|answer| matches!(answer, HttpAnswer::Answered { status: 200, .. }));
        assert_eq!(told.iter().filter(|told| **told).count(), open, "{who}: {port:?}");
        if !told[0] {
            assert!(port.healthz.to_string().contains("[healthz proxy]"), "{}", port.healthz);
        }
    }
}

#[tokio::test]
async fn broken_nodes_are_judged_as_a_person_would() {
    for (state, expected) in [
        ("kubelet-sigstop-8s", &["KubeletHung"][..]),
        ("kubelet-killed-60s", &["KubeletDown"]),
        ("containerd-sigstop-12s", &[]),
        ("containerd-killed-50s", &[]),
        ("cni-missing", &[]),
    ] {
        let Some(capture) = Capture::of(state) else { return };
        let health = capture.standin("kubelet-10248");
        let authority = Authority::default();
        let paths = capture.paths("kubelet-10250");
        let stopped = paths.values().all(|does| *does == Does::Hang);
        let secure = match (state, stopped) {
            ("kubelet-killed-60s", _) => Standin::gone(),
            (_, true) => Standin::stopped(),
            (_, false) => serving_tls(&authority.server(), move |asked| {
                let path = asked.path.split('?').next().unwrap_or_default();
                paths.get(path).cloned().unwrap_or(answer(404, ""))
            }),
        };
        let kubelet = Kubelet::at(health, secure, authority);
        if state == "kubelet-killed-60s" {
            kubelet.ends();
        }
        let mut observed = kubelet.observed().await;
        for one in &mut observed {
            // The recording is some days old: what it says of then is not judged now.
            one.measured.kubelet_pleg_age_seconds = None;
        }
        if state == "containerd-sigstop-12s" {
            let port = &facts(&observed).secure_port;
            assert!(matches!(port.metrics, HttpAnswer::TimedOut { .. }), "{port:?}");
            observed = with_hung_runtime(observed);
        }
        let answers = judged(&observed);
        let about_running = |reason: &&str| {
            ["KubeletDown", "KubeletHung", "KubeletUnhealthy", "KubeletSyncLoopStuck"]
                .contains(reason)
                || *reason == "KubeletPlegStale"
        };
        let seen: Vec<&str> = failed(&answers).into_iter().filter(about_running).collect();
        assert_eq!(seen, expected, "{state}");
    }
}
