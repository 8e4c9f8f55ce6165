//! Files that cannot be used, and how they are merged.

use super::*;
use nodeward_tests::host::HostCopy;

/// A healthy kubelet, asked nowhere.
fn kubelet() -> Kubelet {
    Kubelet::at(Standin::gone(), Standin::gone(), Authority::default())
}

#[tokio::test]
async fn a_configuration_that_a_kubelet_would_not_take_is_told() {
    for (text, why) in [
        ("", "its kind is \"\""),
        ("{", "EOF"),
        ("kind: KubeletConfiguration\nmaxPods: many\n", "maxPods is not a whole number"),
        ("kind: Pod\n", "its kind is \"Pod\""),
        ("kind: KubeletConfiguration\n  maxPods: 1\n", "line "),
    ] {
        let kubelet = kubelet();
        kubelet.configure(text);
        let observed = kubelet.observed().await;
        match &facts(&observed).configuration.files[0].state {
            FileState::Refused(said) => assert!(said.contains(why), "{text:?}: {said}"),
            other => panic!("{text:?}: {other:?}"),
        }
        let answers = judged(&observed);
        assert_eq!(failed(&answers), ["KubeletConfigurationUnusable"], "{text:?}");
        let rest = said(&answers, "KubeletAnonymousAccess");
        assert!(rest.starts_with("unknown") && rest.contains("kubeletconfig.json"), "{rest}");
    }
}

#[tokio::test]
async fn what_keeps_a_kubelet_down_is_the_cause() {
    let kubelet = kubelet();
    kubelet.ends();
    kubelet.configure("kind: Pod\n");
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), ["KubeletConfigurationUnusable", "KubeletDown"]);
    assert!(said(&answers, "KubeletDown").contains("its kind is \"Pod\""));
}

#[tokio::test]
async fn what_we_do_not_read_is_unknown_and_not_wrong() {
    let kubelet = kubelet();
    kubelet
        .configure("kind: KubeletConfiguration\nkubeReserved: &r {cpu: 1m}\nsystemReserved: *r\n");
    let answers = kubelet.judged().await;
    assert_eq!(failed(&answers), Vec::<&str>::new());
    let why = said(&answers, "KubeletConfigurationUnusable");
    assert!(why.starts_with("unknown"), "{why}");
}

#[tokio::test]
async fn drop_ins_that_lie_too_deep_to_be_read_are_not_passed_over() {
    let kubelet = kubelet();
    let folder = kubelet.root().join("etc/kubelet.d/1/2/3/4/5/6/7/8");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("x.conf"), "kind: KubeletConfiguration\n").expect("written");
    let path = kubelet.root().join("proc/41552/cmdline");
    let line = std::fs::read_to_string(&path).expect("a command line");
    std::fs::write(&path, line + "--config-dir=/etc/kubelet.d\0").expect("written");
    let observed = kubelet.observed().await;
    let why = said(&judged(&observed), "KubeletAnonymousAccess");
    assert!(why.starts_with("unknown") && why.contains("lies 8 folders deep"), "{why}");
}

#[tokio::test]
async fn drop_ins_are_merged_in_the_order_of_their_paths_and_flags_count_most() {
    let kubelet = kubelet();
    let folder = kubelet.root().join("etc/kubelet.d");
    std::fs::create_dir_all(folder.join("10-deep")).expect("made");
    let drop_in = |name: &str, text: &str| {
        let text = format!("kind: KubeletConfiguration\n{text}");
        std::fs::write(folder.join(name), text).expect("written");
    };
    drop_in("05-first.conf", "maxPods: 50\nfeatureGates: {A: true}\nclusterDomain: null\n");
    drop_in("10-deep/x.conf", "maxPods: 60\nevictionHard: {memory.available: 1Gi}\n");
    drop_in("20-last.conf", "seccompDefault: true\nimageGCHighThresholdPercent: 70\n");
    drop_in("90-not.yaml", "maxPods: 99\n");
    // What a link leads to is a file to a kubelet, and not looked into.
    let elsewhere = kubelet.root().join("etc/elsewhere.d");
    std::fs::create_dir(&elsewhere).expect("made");
    std::fs::copy(folder.join("90-not.yaml"), elsewhere.join("x.conf")).expect("copied");
    std::os::unix::fs::symlink("../elsewhere.d", folder.join("95-link")).expect("made");
    std::os::unix::fs::symlink("nowhere", folder.join("96-link")).expect("made");
    let path = kubelet.root().join("proc/41552/cmdline");
    let line = std::fs::read_to_string(&path).expect("a command line");
    let more =
        "--config-dir=/etc/kubelet.d\0--image-gc-high-threshold=90\0--feature-gates=B=true\0";
    std::fs::write(&path, line + more).expect("written");

    let told = facts(&kubelet.observed().await);
    let of = |key: &str| {
        let setting = told.configuration.setting(key).expect("a setting");
        (setting.value.clone(), setting.source.to_string())
    };
    let base = "/etc/default/kubeletconfig.json";
    for (key, value, source) in [
        ("maxPods", "60", "/etc/kubelet.d/10-deep/x.conf"),
        ("clusterDomain", "", "default"),
        ("seccompDefault", "true", "/etc/kubelet.d/20-last.conf"),
        ("imageGCHighThresholdPercent", "90", "--image-gc-high-threshold"),
        ("imageGCLowThresholdPercent", "80", base),
        (
            "evictionHard",
            "memory.available=1Gi,nodefs.available=10%,nodefs.inodesFree=5%",
            "/etc/kubelet.d/10-deep/x.conf",
        ),
        ("featureGates", "A=true,B=true,RotateKubeletServerCertificate=true", "--feature-gates"),
        ("cpuManagerPolicy", "none", "default"),
    ] {
        assert_eq!(of(key), (value.to_owned(), source.to_owned()), "{key}");
    }
    let files: Vec<&str> = told.configuration.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        files,
        [
            base,
            "/etc/kubelet.d/05-first.conf",
            "/etc/kubelet.d/10-deep/x.conf",
            "/etc/kubelet.d/20-last.conf",
            "/etc/default/kubelet",
        ]
    );
    // Written just now, long after the start.
    assert!(failed(&kubelet.judged().await).contains(&"KubeletConfigurationNotInForce"));
}

#[tokio::test]
async fn without_a_file_a_kubelet_has_its_old_defaults() {
    let kubelet = kubelet();
    let path = kubelet.root().join("proc/41552/cmdline");
    std::fs::write(&path, "/opt/bin/kubelet\0--kubeconfig=/var/lib/kubelet/kubeconfig\0")
        .expect("written");
    let answers = kubelet.judged().await;
    let failed = failed(&answers);
    for reason in [
        "KubeletAuthorizationOff",
        "KubeletAnonymousAccess",
        "KubeletTokensUnchecked",
        "KubeletReadOnlyPortOpen",
    ] {
        assert!(failed.contains(&reason), "{reason}: {failed:?}");
    }
}

#[tokio::test]
async fn a_key_beside_a_certificate_is_not_in_what_is_reported() {
    let observed = kubelet().observed().await;
    let kubelet =
        observed.iter().find(|one| one.state.component() == Component::Kubelet).expect("a kubelet");
    let content = nodeward_proto::content::Content::of(&kubelet.state);
    let text = String::from_utf8_lossy(&content.bytes);
    assert!(text.contains("system:node:aks-nodepool1-10000000-vmss000000"));
    assert!(!text.contains("NOT+A+KEY"), "the key was read");
}

#[tokio::test]
async fn a_runtime_that_the_kubelet_does_not_use_is_not_the_nodes() {
    const LINE: &str = "/proc/41552/cmdline";
    let mut host = HostCopy::of("aks-ubuntu-2204");
    // Nobody serves the runtime that was asked any more; the recording's /configz is that
    // of a kubelet that used it.
    host.answer_over(&serde_json::json!({
        "cri": {"answer": "refused"},
        "http": {"https://127.0.0.1:10250/configz": {"answer": "refused"}},
    }));
    let line = std::fs::read_to_string(host.inside(LINE)).expect("a command line");
    let with = |endpoint: &str| {
        let line = line.replace("unix:///run/containerd/containerd.sock", endpoint);
        std::fs::write(host.inside(LINE), line).expect("written");
    };
    with("unix:///run/crio/crio.sock");
    let round = host.round(Duration::from_secs(20)).await;
    let judged = Judged::of(Component::Containerd, &round);
    judged.is_unknown("ContainerdDown", "the kubelet uses another runtime than the one asked");
    let detail = &judged.check("RuntimeNotReady").detail;
    assert!(detail.contains("the kubelet uses unix:///run/crio/crio.sock"), "{detail}");
    for same in ["/run/containerd/containerd.sock", "unix:///var/run/containerd/containerd.sock"] {
        with(same);
        let round = host.round(Duration::from_secs(20)).await;
        Judged::of(Component::Containerd, &round).is("ContainerdDown", "connection refused");
    }
}
