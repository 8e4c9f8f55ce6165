//! A busy node, made for real in namespaces of its own: processes that sleep, the mounts of
//! pods, connections that are tracked. All of it ends with the benchmark's process 1.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};

use crate::programs::{self, installed};

/// Says to the benchmark's own program that it is the inner one.
const INSIDE: &str = "NODEWARD_BENCH_INSIDE";

/// Goes on in namespaces of its own for processes, mounts and the network, as their process
/// 1. Programs are built before, outside.
///
/// # Panics
/// When there are no such namespaces for us.
pub fn in_own_namespaces() {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return;
    }
    let (agent, _) = (programs::shipped_agent(), programs::aggregator());
    let own = std::env::current_exe().expect("a benchmark is a program");
    let status = Command::new(installed("unshare"))
        .args(["--pid", "--fork", "--kill-child", "--mount", "--net", "--mount-proc", "--"])
        .arg(own)
        .env(INSIDE, "1")
        .env("NODEWARD_BENCH_AGENT", agent)
        .status()
        .expect("unshare runs");
    std::process::exit(status.code().unwrap_or(1));
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(installed(program)).args(arguments).output().expect("it runs");
    output.status.success()
}

/// Starts processes that sleep. With process 1 of their namespace all of them end.
///
/// # Panics
/// When there are too many.
#[must_use]
pub fn sleeping_processes(count: usize) -> Vec<Child> {
    let start = |_| {
        let mut sleep = Command::new("sleep");
        sleep.arg("infinity").stdin(Stdio::null());
        sleep.spawn().expect("a process")
    };
    (0..count).map(start).collect()
}

/// A file system at a place that is made for it.
fn mounted(kind: &str, at: &str, options: &str) {
    std::fs::create_dir_all(at).expect("made");
    mount(Some(kind), at, Some(kind), MsFlags::empty(), Some(options)).expect("mounted");
}

/// The four mounts that each pod has at the least: its token, its shared memory, the root
/// of its container and its network namespace. What they lie on is in memory, so that
/// nothing is left on the disk.
///
/// # Panics
/// When one is refused.
pub fn mounts_of_pods(pods: usize) {
    mounted("tmpfs", "/run", "mode=755");
    for folder in ["lower", "over/upper", "over/work"] {
        std::fs::create_dir_all(Path::new("/run/bench").join(folder)).expect("made");
    }
    let beside = "lowerdir=/var/lib,upperdir=/run/bench/over/upper,workdir=/run/bench/over/work";
    mounted("overlay", "/var/lib", beside);
    std::fs::create_dir_all("/run/netns").expect("made");
    for pod in 0..pods {
        let uid = format!("{pod:08x}-5a2f-4c0e-9d41-7be3a1c6{pod:04x}");
        let token = format!(
            "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/kube-api-access-{pod:05x}"
        );
        mounted("tmpfs", &token, "size=1m");
        let sandbox = format!("{pod:064x}");
        let cri = "/run/containerd/io.containerd.grpc.v1.cri/sandboxes";
        mounted("tmpfs", &format!("{cri}/{sandbox}/shm"), "size=64m");
        let layers = format!("/run/bench/{pod}");
        for folder in ["upper", "work"] {
            std::fs::create_dir_all(format!("{layers}/{folder}")).expect("made");
        }
        let options =
            format!("lowerdir=/run/bench/lower,upperdir={layers}/upper,workdir={layers}/work");
        let task = format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{sandbox}");
        mounted("overlay", &format!("{task}/rootfs"), &options);
        let netns = format!("/run/netns/cni-{uid}");
        std::fs::write(&netns, "").expect("made");
        let none: Option<&str> = None;
        mount(Some("/proc/self/ns/net"), netns.as_str(), none, MsFlags::MS_BIND, none)
            .expect("mounted");
    }
}

/// Has so many connections tracked; gives how many are, by the kernel's own count, or
/// none where it tracks nothing here.
#[must_use]
pub fn connections(count: u16) -> Option<u64> {
    let rule = ["-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"];
    let settings = "/proc/sys/net/netfilter";
    if !Path::new(settings).exists() || !run("iptables-legacy", &rule) {
        return None;
    }
    // Else the first are forgotten before the last are there.
    std::fs::write(format!("{settings}/nf_conntrack_udp_timeout"), "3600").ok()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    for port in 10_000..10_000u16.saturating_add(count) {
        // A port to which nobody listens answers with an error, which is heard here.
        let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, port));
    }
    std::fs::read_to_string(format!("{settings}/nf_conntrack_count")).ok()?.trim().parse().ok()
}
