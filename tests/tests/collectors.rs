//! What collectors declare to read is what they read: over all host roots and twins nothing
//! else is asked for, and nothing is declared that is never asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use nodeward_agent::collect::COLLECTORS;
use nodeward_agent::reads::{covers, is_never_opened};
use nodeward_domain::check::registry;
use nodeward_domain::component::Component;
use nodeward_tests::asked::{is_declared, noting};
use nodeward_tests::host::HostCopy;
use nodeward_tests::project;
use nodeward_tests::twin::Twin;

/// The tests with a real systemd do.
const ALONE: &str = "asked of a machine that runs alone";

/// Tests of the collector rotate it.
const ROTATED: &str = "asked for when a file is rotated between two rounds";

/// What no host root leads to, each with the reason.
const NOT_IN_HOST_ROOTS: [(&str, &str); 12] = [
    ("/var/log/kern.log.1", ROTATED),
    ("/var/log/messages.1", ROTATED),
    ("/var/log/syslog.1", ROTATED),
    ("/proc/{pid}", ALONE),
    ("/proc/{pid}/ns/{namespace}", ALONE),
    ("/proc/thread-self/net/udp", ALONE),
    ("/proc/thread-self/net/udp6", ALONE),
    ("/proc/{pid}/fd", ALONE),
    ("/proc/{pid}/fd/{number}", ALONE),
    ("/run/systemd/system", ALONE),
    ("/run/dbus/system_bus_socket", ALONE),
    ("/run/systemd/**", ALONE),
];

/// What a host root names itself, each with where.
const NAMED_BY_HOST_ROOTS: [(&str, &str); 3] = [
    ("/usr/local/sbin/ntpd", "the first argument of a process that is looked for"),
    ("/opt/bin/kubelet", "the first argument of a process that is looked for"),
    ("/mnt/containerd", "`root` in containerd's configuration"),
];

/// What each collector asks for, and what any of them opens.
fn asked() -> (BTreeMap<Component, BTreeSet<String>>, BTreeSet<String>) {
    let mut all: BTreeMap<Component, BTreeSet<String>> = BTreeMap::new();
    let mut opened = BTreeSet::new();
    let mut look = |copy: &HostCopy| {
        for collector in COLLECTORS {
            let (host, asked) = noting(copy.host());
            (collector.collect)(&host);
            all.entry(collector.component).or_default().extend(asked.places());
            opened.extend(asked.opened());
        }
    };
    for name in project::hosts() {
        look(&HostCopy::of(&name));
    }
    for check in registry().filter(|check| !check.component.is_of_cluster()) {
        for (_, twin) in Twin::of(check.reason) {
            look(&twin.made());
        }
    }
    for copy in variants() {
        look(&copy);
    }
    (all, opened)
}

/// Host roots that differ from a node of any distribution in one place, each so that
/// collectors look where they else do not.
fn variants() -> Vec<HostCopy> {
    let mut all = Vec::new();
    let mut variant = |base: &str, differ: &dyn Fn(&HostCopy)| {
        let copy = HostCopy::of(base);
        differ(&copy);
        all.push(copy);
    };
    let gone = |copy: &HostCopy, path: &str| std::fs::remove_file(copy.inside(path)).expect(path);
    let written = |copy: &HostCopy, path: &str, text: &str| {
        let path = copy.inside(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    variant("debian-12-plain", &|copy| gone(copy, "/etc/os-release"));
    variant("debian-12-plain", &|copy| gone(copy, "/var/lib/dpkg/status"));
    variant("debian-12-plain", &|copy| {
        std::fs::remove_dir_all(copy.inside("/var/lib/dpkg")).expect("it is there");
        gone(copy, "/etc/os-release");
    });
    variant("debian-12-plain", &|copy| {
        gone(copy, "/var/log/wtmp");
        written(copy, "/var/log/wtmp-20261101", "");
        gone(copy, "/etc/ssl/certs/ca-certificates.crt");
    });
    variant("debian-12-plain", &|copy| written(copy, "/run/reboot-needed", ""));
    variant("debian-12-plain", &|copy| gone(copy, "/proc/modules"));
    variant("aks-ubuntu-2204", &|copy| {
        gone(copy, "/proc/1/mountinfo");
        for folder in ["/proc/pressure", "/sys/kernel/mm/transparent_hugepage"] {
            std::fs::remove_dir_all(copy.inside(folder)).expect("it is there");
        }
        written(copy, "/etc/sysfs.d/a.conf", "kernel/mm/transparent_hugepage/enabled = never\n");
        let tasks = copy.inside("/sys/fs/cgroup/pids");
        std::fs::create_dir_all(&tasks).expect("made");
        let pods = copy.inside("/sys/fs/cgroup/kubepods.slice");
        std::fs::rename(pods, tasks.join("kubepods")).expect("moved");
    });
    variant("debian-12-plain", &|copy| gone(copy, "/var/log/kern.log"));
    variant("aks-azurelinux-3", &|copy| {
        let newer = copy.inside("/usr/lib/sysimage");
        std::fs::create_dir_all(&newer).expect("made");
        std::fs::rename(copy.inside("/var/lib/rpm"), newer.join("rpm")).expect("moved");
    });
    variant("aks-ubuntu-2204", &|copy| {
        let settings = r#"{"kind": "KubeletConfiguration"}"#;
        written(copy, "/etc/default/kubeletconfig.json", settings);
    });
    variant("aks-ubuntu-2204", &|copy| {
        for pid in ["1", "2"] {
            let _ = std::fs::remove_dir_all(copy.inside(&format!("/proc/{pid}/net")));
        }
    });
    variant("aks-ubuntu-2204", &|copy| {
        written(
            copy,
            "/proc/10361/cmdline",
            "kube-proxy\0--config=/var/lib/kube-proxy/config.conf\0",
        );
        let logs = std::fs::read_dir(copy.inside("/var/log/pods")).expect("pods");
        let mut pods = logs.flatten().map(|pod| pod.file_name());
        let is_proxy = |pod: &std::ffi::OsString| pod.to_string_lossy().contains("kube-proxy");
        let pod = pods.find(is_proxy).expect("kube-proxy's");
        let uid = pod.to_str().and_then(|name| name.rsplit_once('_')).expect("a UID").1;
        let volume = format!(
            "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~configmap/kube-proxy/config.conf"
        );
        written(copy, &volume, "healthzBindAddress: 127.0.0.1:10256\n");
    });
    // The journal alone tells of the kernel, and some of it is in memory or rotated.
    variant("aks-ubuntu-2204", &|copy| {
        let machine = "log/journal/c0ffee00c0ffee00c0ffee00c0ffee00";
        let journal = copy.inside(&format!("/var/{machine}/system.journal"));
        let volatile = copy.inside(&format!("/run/{machine}"));
        std::fs::create_dir_all(&volatile).expect("made");
        let rotated =
            "system@0005f3b2a1c04d7e8f90a1b2c3d4e5f6-000000000000002a-0005f3b2a1c04d7e.journal";
        for place in [&volatile, journal.parent().expect("a folder")] {
            std::fs::copy(&journal, place.join(rotated)).expect("copied");
        }
        gone(copy, "/dev/kmsg");
    });
    variant("aks-ubuntu-2204", &|copy| {
        let machine = "log/journal/c0ffee00c0ffee00c0ffee00c0ffee00";
        let volatile = copy.inside(&format!("/run/{machine}"));
        std::fs::create_dir_all(&volatile).expect("made");
        let journal = copy.inside(&format!("/var/{machine}/system.journal"));
        let rotated =
            "system@0005f3b2a1c04d7e8f90a1b2c3d4e5f6-000000000000002a-0005f3b2a1c04d7e.journal";
        for name in ["system.journal", rotated] {
            std::fs::copy(&journal, volatile.join(name)).expect("copied");
        }
        std::fs::remove_dir_all(copy.inside("/var/log/journal")).expect("it is there");
    });
    // As kubeadm has it: the authorities stand in the kubeconfig itself.
    variant("aks-ubuntu-2204", &|copy| {
        let named = "certificate-authority: /etc/kubernetes/certs/ca.crt";
        let inline = "certificate-authority-data: QUJD";
        copy.replace("/var/lib/kubelet/kubeconfig", &[(named, inline)]);
    });
    let mut proxied = HostCopy::of("aks-ubuntu-2204");
    written(&proxied, "/etc/systemd/system.conf.d/proxy.conf", "[Manager]\n");
    proxied.look_at(&["mcr.microsoft.com".to_owned()]);
    all.push(proxied);
    let mut filtered = HostCopy::of("aks-cilium");
    filtered.ask_packet_filter();
    all.push(filtered);
    let mut silent = HostCopy::of("aks-ubuntu-2204");
    silent.answer_over(&serde_json::json!({ "cri": { "answer": "no_socket" } }));
    all.push(silent);
    all
}

#[test]
fn collectors_ask_for_what_they_declare_and_for_nothing_else() {
    let (asked, opened) = asked();
    let is_named = |place: &str| NAMED_BY_HOST_ROOTS.iter().any(|(named, _)| *named == place);
    for collector in COLLECTORS {
        let places = &asked[&collector.component];
        assert!(!places.is_empty(), "{} asks for nothing", collector.component);
        let undeclared: Vec<&String> = places
            .iter()
            .filter(|place| !is_declared(&collector, place) && !is_named(place))
            .collect();
        assert!(undeclared.is_empty(), "{} asks for {undeclared:#?}", collector.component);
    }
    let never: Vec<&String> = opened.iter().filter(|place| is_never_opened(place)).collect();
    assert!(!opened.is_empty() && never.is_empty(), "what is never opened was: {never:#?}");

    let is_left_out =
        |place: &str| NOT_IN_HOST_ROOTS.iter().any(|(left_out, _)| *left_out == place);
    let mut idle = Vec::new();
    for collector in COLLECTORS {
        for place in collector.all_reads().flat_map(|read| read.places) {
            let mut asked = asked[&collector.component].iter();
            if !asked.any(|path| covers(place, path)) && !is_left_out(place) {
                idle.push(format!("{}: {place}", collector.component));
            }
        }
    }
    assert!(idle.is_empty(), "declared, and never asked for: {idle:#?}");
}

#[test]
fn every_call_of_a_runtime_and_every_property_of_a_unit_is_told() {
    let read = |path: &str| std::fs::read_to_string(project::root().join(path)).expect(path);
    let told = |component: Component, place: &str| {
        let mut collectors = COLLECTORS.into_iter();
        let collector = collectors.find(|one| one.component == component).expect("one each");
        collector.all_reads().find(|read| read.places.contains(&place)).expect(place).what
    };
    let runtime = [Component::Containerd, Component::ManagedImages]
        .map(|component| told(component, "/run/containerd/containerd.sock"))
        .concat();
    for path in ["cri.proto", "containerd_version.proto", "containerd_introspection.proto"] {
        let text = read(&format!("agent/proto/{path}"));
        let calls = text.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
        for call in calls.filter_map(|call| call.split('(').next()) {
            assert!(runtime.contains(&format!("`{call}`")), "{path}: {call}");
        }
    }
    let code = read("agent/src/probe/systemd.rs");
    let named = |interface: &str| {
        let before = format!("({interface}, \"");
        code.split(&before)
            .skip(1)
            .filter_map(|rest| rest.split('"').next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let asked: BTreeSet<String> = ["UNIT", "SERVICE"].into_iter().flat_map(named).collect();
    let told = told(Component::Kubelet, "org.freedesktop.systemd1/{unit}");
    let told = told.split(", over").next().expect("the properties").replace(" and ", ", ");
    let told: BTreeSet<String> = told.split(", ").map(str::to_owned).collect();
    assert_eq!(asked, told);
}
