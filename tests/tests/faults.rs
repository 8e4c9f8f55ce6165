//! Fault × collector: whatever lies in the place of a file that a collector reads, its
//! own component is unavailable with path and reason, and every other one is whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nodeward_agent::collect::{COLLECTORS, Collected, Collector, Observation};
use nodeward_domain::component::Component;
use nodeward_domain::facts::files::FileContent;
use nodeward_domain::facts::kernel_log::{JournalRead, LogSource};
use nodeward_domain::facts::node_access::{Logins, Sshd, SshdSettings, Sudo};
use nodeward_domain::facts::{ComponentState, TrustBundle, UbuntuPro};
use nodeward_domain::observed::State;
use nodeward_tests::host::HostCopy;
use serde_json::json;

/// Long enough for a copy of a small host root on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What is put in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Missing,
    Empty,
    Truncated,
    Huge,
    NotText,
    Fifo,
    Folder,
    LinkOutOfTheRoot,
    LinkToItself,
}

const FAULTS: [Fault; 9] = [
    Fault::Missing,
    Fault::Empty,
    Fault::Truncated,
    Fault::Huge,
    Fault::NotText,
    Fault::Fifo,
    Fault::Folder,
    Fault::LinkOutOfTheRoot,
    Fault::LinkToItself,
];

impl Fault {
    /// Puts the fault in the place of a file.
    fn strike(self, path: &Path) {
        let was = std::fs::read(path).expect("a file to damage");
        std::fs::remove_file(path).expect("a file can be removed");
        match self {
            Self::Missing => {}
            Self::Empty => std::fs::write(path, b"").expect("written"),
            Self::Truncated => std::fs::write(path, &was[..was.len() / 2]).expect("written"),
            Self::Huge => {
                // Its beginning is good, so that only its length can be the fault.
                let mut file = File::create(path).expect("made");
                file.write_all(&was).expect("written");
                file.set_len(1 << 30).expect("a file with a hole of 1 GiB");
            }
            Self::NotText => {
                let mut bytes = b"\xff\xfe".to_vec();
                bytes.extend_from_slice(&was);
                std::fs::write(path, bytes).expect("written");
            }
            Self::Fifo => nix::unistd::mkfifo(path, Mode::S_IRWXU).expect("made"),
            Self::Folder => std::fs::create_dir(path).expect("made"),
            // What is there on the machine that the test runs on must not be read.
            Self::LinkOutOfTheRoot => {
                symlink("../../../../../../../../../../etc/group", path).expect("made");
            }
            Self::LinkToItself => symlink(path.file_name().expect("a name"), path).expect("made"),
        }
    }
}

/// The file that a collector cannot do without; where it reads of two kinds, one of each.
/// `managed_images` needs none: of it the answers of the runtime are damaged. Nor do `systemd`,
/// which answers over its bus, `linux_extension`, whose files are looked for and not read, and
/// `egress`, which nobody asks for here. Docker is not there.
const NEEDED: [(Component, &str); Component::COLLECTED.len() - 2] = [
    (Component::OsRelease, "/usr/lib/os-release"),
    (Component::NodeImage, "/opt/azure/containers/image-bom.json"),
    (Component::Kernel, "/proc/sys/kernel/tainted"),
    (Component::KernelModules, "/proc/modules"),
    (Component::KernelModules, "/etc/modprobe.d/CIS.conf"),
    (Component::Filesystem, "/proc/1/mountinfo"),
    (Component::Pressure, "/proc/pressure/io"),
    (Component::ProcessLimits, "/proc/sys/fs/file-nr"),
    (Component::Conntrack, "/proc/sys/net/netfilter/nf_conntrack_count"),
    (Component::SwapAndHugepages, "/proc/meminfo"),
    (Component::KernelLog, "/proc/stat"),
    (Component::Packages, "/var/lib/dpkg/status"),
    (Component::Reboot, "/proc/stat"),
    (Component::Sysctl, "/etc/sysctl.d/60-CIS.conf"),
    (Component::TimeSync, "/etc/chrony/chrony.conf"),
    (Component::Containerd, "/proc/1843/stat"),
    (Component::Kubelet, "/proc/41552/stat"),
    (Component::KubeProxy, "/proc/10361/stat"),
    (Component::Cni, "/etc/cni/net.d/10-azure.conflist"),
    (Component::Network, "/sys/class/net/eth0/mtu"),
    (Component::Dns, "/run/systemd/resolve/stub-resolv.conf"),
    (Component::Dns, "/run/systemd/resolve/resolv.conf"),
    (Component::ApiServer, "/var/lib/kubelet/kubeconfig"),
    (Component::Tunnel, "/proc/12107/net/tcp"),
    (Component::UpdateChannel, "/etc/apt/apt.conf.d/99periodic"),
    (
        Component::Extensions,
        "/var/lib/waagent/Microsoft.AKS.Compute.AKS.Linux.AKSNode-1.412.0/config/HandlerState",
    ),
    (Component::Files, "/etc/systemd/system/chronyd.service.d/10-chrony-restarts.conf"),
    (Component::NodeAccess, "/etc/passwd"),
    (Component::NodeAccess, "/proc/1187/stat"),
    (Component::Certificates, "/etc/ssl/certs/ca-certificates.crt"),
];

/// Faults that are none for that file, and what is seen instead.
fn is_no_fault((component, path): (Component, &str), fault: Fault) -> bool {
    match component {
        // The process has ended between listing and reading, so it is not there; the
        // runtime's own answer says the rest.
        Component::Containerd | Component::Kubelet | Component::KubeProxy => {
            fault == Fault::Missing || fault == Fault::LinkOutOfTheRoot
        }
        // Other marks of the builder remain, and say that the name is missing.
        Component::NodeImage => matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot),
        // No file is needed, one may be empty, and one may end anywhere: sysctl.d(5) asks
        // for no last newline.
        Component::Sysctl => matches!(
            fault,
            Fault::Missing
                | Fault::Empty
                | Fault::Truncated
                | Fault::LinkOutOfTheRoot
                // Of such a line it is told that it was passed over.
                | Fault::NotText
        ),
        // A kernel may have been built without modules, or have loaded none. No file of
        // modprobe.d(5) is needed, one may be empty and may end anywhere.
        Component::KernelModules => {
            matches!(fault, Fault::Missing | Fault::Empty | Fault::LinkOutOfTheRoot)
                || (fault == Fault::Truncated && path != "/proc/modules")
        }
        // chronyd runs without a file too, and lines that are none of sources do not matter.
        Component::TimeSync => matches!(
            fault,
            Fault::Missing
                | Fault::Empty
                | Fault::Truncated
                | Fault::LinkOutOfTheRoot
                | Fault::NotText
        ),
        // Then none is configured.
        Component::Cni => fault == Fault::Missing,
        // The interface is gone since it was listed.
        Component::Network => matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot),
        // No file is needed, one may be empty, and one may end anywhere.
        Component::Dns => matches!(
            fault,
            Fault::Missing | Fault::Empty | Fault::Truncated | Fault::LinkOutOfTheRoot
        ),
        // What is read of it ends before the credentials do.
        Component::ApiServer => matches!(fault, Fault::Truncated | Fault::Huge),
        // It ended while it was looked at: then that one question is open.
        Component::Tunnel => matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot),
        // apt needs no file and passes over folders; where one ends does not matter.
        Component::UpdateChannel => matches!(
            fault,
            Fault::Missing
                | Fault::Empty
                | Fault::Truncated
                | Fault::NotText
                | Fault::Folder
                | Fault::LinkOutOfTheRoot
        ),
        // An extension that was never set up has no state, and states are the agent's words.
        Component::Extensions => matches!(
            fault,
            Fault::Missing | Fault::Empty | Fault::Truncated | Fault::LinkOutOfTheRoot
        ),
        // Whatever lies at a path is what is told of it.
        Component::Files => true,
        // A list of accounts may be empty, end anywhere, and hold what is no text; the daemon
        // has ended between listing and reading.
        Component::NodeAccess => {
            matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot)
                || path == "/etc/passwd"
                    && matches!(fault, Fault::Empty | Fault::Truncated | Fault::NotText)
        }
        // The list of authorities is a part of what is told.
        Component::Certificates => true,
        _ => false,
    }
}

/// Whether a collector looks through all processes for its own.
fn looks_through_processes(component: Component) -> bool {
    matches!(
        component,
        Component::Containerd
            | Component::Kubelet
            | Component::TimeSync
            | Component::KubeProxy
            | Component::Dns
            | Component::ApiServer
            | Component::Tunnel
            | Component::NodeAccess
            | Component::Docker
    )
}

fn states(observations: Vec<Observation>) -> BTreeMap<Component, ComponentState> {
    observations.into_iter().map(|one| (one.state.component(), one.state)).collect()
}

/// Whether that component cannot do without that file either.
fn shares(path: &str, other: Component) -> bool {
    match path {
        // The time of boot.
        "/proc/stat" => {
            matches!(other, Component::Kernel | Component::KernelLog | Component::Reboot)
        }
        // By it the API server's name is looked up.
        "/run/systemd/resolve/stub-resolv.conf" => other == Component::ApiServer,
        _ => path.ends_with("/stat") && looks_through_processes(other),
    }
}

#[tokio::test]
async fn a_fault_costs_its_own_component_only_and_says_where_and_why() {
    let whole = states(HostCopy::of("aks-ubuntu-2204").round(LIMIT).await);
    for (component, state) in &whole {
        let expected = match component {
            Component::Docker => "absent",
            Component::Egress => "not_applicable",
            _ => "present",
        };
        assert_eq!(state.word(), expected, "{component}: {state:?}");
    }
    for (component, path) in NEEDED {
        for fault in FAULTS {
            let host = HostCopy::of("aks-ubuntu-2204");
            fault.strike(&host.inside(path));
            let seen = states(host.round(LIMIT).await);
            let place = format!("{component} × {fault:?}");
            match seen[&component].why_unavailable() {
                None => assert!(
                    is_no_fault((component, path), fault),
                    "{place}: {:?}",
                    seen[&component]
                ),
                Some(unavailable) => {
                    assert!(!is_no_fault((component, path), fault), "{place}: {unavailable}");
                    assert!(
                        unavailable.place.contains(named(path)),
                        "{place}: named {:?}",
                        unavailable.place
                    );
                    assert!(!unavailable.why.is_empty(), "{place}");
                    assert!(!unavailable.to_string().contains('\n'), "{place}: {unavailable}");
                }
            }
            for (other, state) in &seen {
                let lesser = match other {
                    // The name of an image is a mark of the provider, too.
                    Component::OsRelease => path.starts_with("/opt/azure"),
                    // Whether its files were written after it was started is not known then.
                    Component::Kubelet => path == "/proc/stat",
                    // Whether such a process has ended and waits for its parent.
                    Component::ProcessLimits => path.ends_with("/stat"),
                    // Where its traffic goes, and whether the kernel has rules, hangs on it.
                    Component::Network => {
                        path == "/proc/modules"
                            || path == "/var/lib/kubelet/kubeconfig"
                            || path == "/run/systemd/resolve/stub-resolv.conf"
                            || path.ends_with("/stat")
                    }
                    // How it lies there is told of every file of these places.
                    Component::Files => {
                        path.starts_with("/etc/") || path == "/var/lib/kubelet/kubeconfig"
                    }
                    // A copy of the file is read there too.
                    Component::NodeAccess => path.starts_with("/etc/ssh"),
                    _ => false,
                };
                if *other != component && !lesser && !shares(path, *other) {
                    assert_eq!(state, &whole[other], "{place} changed {other}");
                }
            }
        }
    }
}

/// The log of the kernel is told by the journal where its own buffer cannot be read, and by
/// nobody where neither can. What the journal alone tells is never taken for silence.
#[tokio::test]
async fn a_fault_of_the_kernels_buffer_or_of_the_journal_leaves_the_other() {
    const KMSG: &str = "/dev/kmsg";
    const JOURNAL: &str = "/var/log/journal/c0ffee00c0ffee00c0ffee00c0ffee00/system.journal";
    let log = |seen: &BTreeMap<Component, ComponentState>| match &seen[&Component::KernelLog] {
        ComponentState::KernelLog(State::Present(log)) => Ok(log.clone()),
        other => Err(other.why_unavailable().expect("neither").clone()),
    };
    let whole = states(HostCopy::of("aks-ubuntu-2204").round(LIMIT).await);
    assert_eq!(log(&whole).expect("both").source.path(), KMSG);
    for fault in FAULTS {
        let host = HostCopy::of("aks-ubuntu-2204");
        fault.strike(&host.inside(KMSG));
        let without_kmsg = states(host.round(LIMIT).await);
        let read = log(&without_kmsg).expect("the journal");
        let LogSource::Journal { path, instead } = &read.source else { panic!("{fault:?}") };
        assert_eq!(*path, JOURNAL.strip_suffix("/system.journal").expect("a file"));
        assert!(instead.starts_with("/dev/kmsg: "), "{fault:?}: {instead}");
        if fault != Fault::Huge {
            // One that was read before may be between two files for a moment.
            let host = HostCopy::of("aks-ubuntu-2204");
            fault.strike(&host.inside(KMSG));
            fault.strike(&host.inside(JOURNAL));
            let why = log(&states(host.round(LIMIT).await)).expect_err("neither");
            assert_eq!(why.place, KMSG, "{fault:?}");
            assert!(why.why.contains("neither the journal"), "{fault:?}: {why}");
        }
        let host = HostCopy::of("aks-ubuntu-2204");
        fault.strike(&host.inside(JOURNAL));
        let seen = states(host.round(LIMIT).await);
        let read = log(&seen).expect("the kernel's buffer");
        assert_eq!(read.source.path(), KMSG);
        match &read.journal {
            // Journals may be as long as they like: their heads say how far they go.
            JournalRead::Followed(_) => assert_eq!(fault, Fault::Huge),
            JournalRead::Unreadable(why) => {
                assert_eq!(why.place, JOURNAL, "{fault:?}");
                assert!(!why.why.is_empty(), "{fault:?}");
            }
            JournalRead::NotTold => panic!("{fault:?}"),
        }
        for seen in [seen, without_kmsg] {
            for (other, state) in seen.iter().filter(|(one, _)| **one != Component::KernelLog) {
                assert_eq!(state, &whole[other], "{fault:?} changed {other}");
            }
        }
    }
}

#[test]
fn a_file_of_every_collector_is_damaged() {
    let damaged = NEEDED.map(|(component, _)| component).into_iter();
    let all: BTreeSet<Component> = damaged
        .chain([
            Component::ManagedImages,
            Component::Systemd,
            Component::LinuxExtension,
            Component::Egress,
            Component::Docker,
        ])
        .collect();
    assert_eq!(all, Component::COLLECTED.into_iter().collect());
}

/// Of a file whose content cannot be told it is told what lies there, and it is never taken
/// for the file that was there.
#[tokio::test]
async fn a_fault_of_a_file_is_told_of_it_and_of_no_other() {
    const PATH: &str = "/etc/containerd/config.toml";
    let files = |seen: &BTreeMap<Component, ComponentState>| match &seen[&Component::Files] {
        ComponentState::Files(State::Present(files)) => files.as_ref().clone(),
        other => panic!("{other:?}"),
    };
    let whole = files(&states(HostCopy::of("aks-ubuntu-2204").round(LIMIT).await));
    let was = whole.file(PATH).expect("it is told of").form.content.clone();
    for fault in FAULTS {
        let host = HostCopy::of("aks-ubuntu-2204");
        fault.strike(&host.inside(PATH));
        let mut seen = files(&states(host.round(LIMIT).await));
        let content = seen.file(PATH).map(|file| file.form.content.clone());
        let is_as_expected = match fault {
            Fault::Missing => content.is_none(),
            Fault::Empty | Fault::Truncated | Fault::NotText => {
                matches!(&content, Some(digest @ FileContent::Digest(_)) if *digest != was)
            }
            Fault::Huge => matches!(content, Some(FileContent::Unreadable(_))),
            Fault::Fifo | Fault::Folder => matches!(content, Some(FileContent::Other(_))),
            Fault::LinkOutOfTheRoot | Fault::LinkToItself => {
                matches!(content, Some(FileContent::Link(_)))
            }
        };
        assert!(is_as_expected, "{fault:?}: {content:?}");
        let mut others = whole.clone();
        for files in [&mut seen, &mut others] {
            files.files.retain(|file| file.path != PATH);
        }
        assert_eq!(seen, others, "{fault:?}");
    }
}

/// Parts of who may enter and of whom the system believes: each fault is told of its part,
/// and never taken for nobody.
#[tokio::test]
async fn a_fault_of_access_or_trust_is_unknown_and_costs_nothing_else() {
    const ROOT: &str = "aks-ubuntu-2204";
    for fault in FAULTS {
        let is_gone = matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot);
        let is_text = matches!(fault, Fault::Empty | Fault::Truncated | Fault::NotText);
        let access = async |path: &str| {
            let host = HostCopy::of(ROOT);
            fault.strike(&host.inside(path));
            match states(host.round(LIMIT).await).remove(&Component::NodeAccess) {
                Some(ComponentState::NodeAccess(State::Present(access))) => access,
                other => panic!("{fault:?} of {path}: {other:?}"),
            }
        };
        let sshd = access("/etc/ssh/sshd_config").await.sshd.clone();
        let is_read = matches!(sshd, Sshd::There { settings: SshdSettings::Read { .. }, .. });
        assert_eq!(is_read, is_text, "{fault:?}: {sshd:?}");
        let keys = access("/home/azureuser/.ssh/authorized_keys").await;
        assert_eq!(keys.unread_keys.is_empty(), is_gone || is_text, "{fault:?}: {keys:?}");
        let sudo = access("/etc/sudoers").await.sudo.clone();
        let expected = match fault {
            _ if is_gone => matches!(sudo, Sudo::NotThere),
            _ if is_text => matches!(sudo, Sudo::Read(_)),
            _ => matches!(sudo, Sudo::Unreadable(_)),
        };
        assert!(expected, "{fault:?}: {sudo:?}");
        let logins = access("/var/log/wtmp").await.logins.clone();
        let expected = match fault {
            _ if is_gone => matches!(logins, Logins::NotKept),
            // Half of two records is one, and a hole is records that say nothing.
            Fault::Empty | Fault::Truncated => matches!(logins, Logins::Read { .. }),
            _ => matches!(logins, Logins::Unreadable(_)),
        };
        assert!(expected, "{fault:?}: {logins:?}");

        let host = HostCopy::of(ROOT);
        fault.strike(&host.inside("/etc/ssl/certs/ca-certificates.crt"));
        let trust = match states(host.round(LIMIT).await).remove(&Component::Certificates) {
            Some(ComponentState::Certificates(State::Present(read))) => read.trust.clone(),
            other => panic!("{fault:?}: {other:?}"),
        };
        let expected = match fault {
            _ if is_gone => trust == TrustBundle::NotThere,
            // What stands before the first certificate is a comment.
            Fault::NotText => matches!(trust, TrustBundle::Read { .. }),
            _ => matches!(trust, TrustBundle::Unreadable(_)),
        };
        assert!(expected, "{fault:?}: {trust:?}");
    }
}

/// A runtime that does not say which images run is never taken for one that runs none.
#[tokio::test]
async fn a_runtime_that_does_not_answer_lists_no_images_and_says_why() {
    let mut host = HostCopy::of("aks-ubuntu-2204");
    let whole = states(host.round(LIMIT).await);
    for (answer, says) in [
        (json!({ "answer": "no_socket" }), "no socket"),
        (json!({ "answer": "refused" }), "connection refused"),
        (
            json!({ "answer": "timed_out", "call": "Version", "after_milliseconds": 5000 }),
            "5000 ms",
        ),
        (json!({ "answer": "unimplemented", "message": "unknown service" }), "unknown service"),
        (json!({ "answer": "failed", "call": "Version", "why": "Internal" }), "Internal"),
        (json!({ "answer": "not_asked", "why": "permission denied" }), "permission denied"),
    ] {
        host.answer_over(&json!({ "cri": answer }));
        let seen = states(host.round(LIMIT).await);
        let unavailable = seen[&Component::ManagedImages].why_unavailable().expect(says);
        assert_eq!(unavailable.place, "/run/containerd/containerd.sock");
        assert!(unavailable.why.contains(says), "{unavailable}");
        for (other, state) in seen {
            if !matches!(other, Component::ManagedImages | Component::Containerd) {
                assert_eq!(state, whole[&other], "{says} changed {other}");
            }
        }
    }
    // Without a kubelet nobody needs it to serve; without a runtime there is nothing to ask.
    host.answer_over(&json!({ "cri": { "answer": "unimplemented", "message": "" } }));
    std::fs::remove_dir_all(host.inside("/var/lib/kubelet")).expect("it is there");
    let seen = states(host.round(LIMIT).await);
    assert_eq!(seen[&Component::ManagedImages].word(), "not_applicable");
    let plain = states(HostCopy::of("debian-12-plain").round(LIMIT).await);
    assert_eq!(plain[&Component::ManagedImages].word(), "absent");
}

/// Whether a node is attached to Ubuntu Pro is a part of `os_release`: the rest is read all
/// the same, and that part is never taken for "not attached".
#[tokio::test]
async fn a_fault_of_ubuntu_pros_status_is_unknown_and_costs_nothing_else() {
    const STATUS: &str = "/var/lib/ubuntu-advantage/status.json";
    let pro = |seen: &BTreeMap<Component, ComponentState>| match &seen[&Component::OsRelease] {
        ComponentState::OsRelease(State::Present(os)) => os.ubuntu_pro.clone(),
        other => panic!("{other:?}"),
    };
    let whole = states(HostCopy::of("aks-ubuntu-2204").round(LIMIT).await);
    assert_eq!(pro(&whole), UbuntuPro::Read { attached: false, enabled: Vec::new() });
    for fault in FAULTS {
        let host = HostCopy::of("aks-ubuntu-2204");
        fault.strike(&host.inside(STATUS));
        let seen = states(host.round(LIMIT).await);
        match pro(&seen) {
            UbuntuPro::NotThere => {
                assert!(matches!(fault, Fault::Missing | Fault::LinkOutOfTheRoot), "{fault:?}");
            }
            UbuntuPro::Unreadable(why) => {
                assert!(why.starts_with(STATUS), "{fault:?}: {why}");
                let headline = seen[&Component::OsRelease].headline();
                assert!(headline.contains("unknown"), "{fault:?}: {headline}");
            }
            read @ UbuntuPro::Read { .. } => panic!("{fault:?}: {read:?}"),
        }
        for (other, state) in seen.iter().filter(|(one, _)| **one != Component::OsRelease) {
            assert_eq!(state, &whole[other], "{fault:?} changed {other}");
        }
    }
}

/// Databases of rpm, whose files lie in other host roots: the database itself, and the log
/// that a killed rpm has left.
const RPM_DATABASE: (&str, &str) = ("aks-azurelinux-3", "/var/lib/rpm/rpmdb.sqlite");
const RPM_LOG: (&str, &str) = ("aks-azurelinux-3-broken", "/var/lib/rpm/rpmdb.sqlite-wal");

#[tokio::test]
async fn a_fault_of_rpms_database_costs_the_packages_only_and_says_where_and_why() {
    for (name, path) in [RPM_DATABASE, RPM_LOG] {
        let whole = states(HostCopy::of(name).round(LIMIT).await);
        for fault in FAULTS {
            let host = HostCopy::of(name);
            fault.strike(&host.inside(path));
            let mut seen = states(host.round(LIMIT).await);
            let place = format!("{path} × {fault:?}");
            let packages = seen.remove(&Component::Packages).expect("packages");
            // SQLite too believes a log up to where it is whole, and needs none.
            let is_none = path == RPM_LOG.1
                && matches!(
                    fault,
                    Fault::Missing
                        | Fault::Empty
                        | Fault::Truncated
                        | Fault::NotText
                        | Fault::LinkOutOfTheRoot
                );
            match packages.why_unavailable() {
                None => {
                    assert!(is_none, "{place}: {packages:?}");
                    assert_ne!(packages, whole[&Component::Packages], "{place}: nothing was lost");
                }
                Some(unavailable) => {
                    assert!(!is_none, "{place}: {unavailable}");
                    assert_eq!(unavailable.place, path, "{place}: {unavailable}");
                    assert!(!unavailable.why.is_empty(), "{place}");
                }
            }
            for (other, state) in &seen {
                assert_eq!(state, &whole[other], "{place} changed {other}");
            }
        }
    }
}

#[tokio::test]
async fn a_link_out_of_the_root_leads_nowhere() {
    for (component, path) in NEEDED {
        let host = HostCopy::of("aks-ubuntu-2204");
        let outside = tempfile::NamedTempFile::new().expect("a file outside");
        std::fs::copy(host.inside(path), outside.path()).expect("copied");
        std::fs::remove_file(host.inside(path)).expect("removed");
        symlink(outside.path(), host.inside(path)).expect("made");
        for walking in [false, true] {
            let mut inside = host.host();
            if walking {
                inside.root = inside.root.walking();
            }
            let read = inside.root.read(path, 1 << 20);
            assert!(
                matches!(read, Err(nodeward_agent::host::HostError::Missing { .. })),
                "{component}, walking {walking}: {read:?}"
            );
        }
    }
}

/// By what a file is named when it cannot be read: `/etc/resolv.conf` is a link, and is told of
/// by its own name.
fn named(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_prefix("stub-").unwrap_or(name)
}

/// Run as another user than root, who may read everything.
#[test]
fn an_unreadable_file_costs_its_own_component_only() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let set_mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .expect("its owner may");
    };
    // The other user may not be let into the folder that cargo builds in.
    let folder = tempfile::tempdir().expect("a folder");
    set_mode(folder.path(), 0o755);
    let program = folder.path().join("nodeward");
    std::fs::copy(nodeward_tests::programs::nodeward(), &program).expect("copied");
    // Of these it is told what could not be read of them; they are there all the same.
    let is_told_by_part =
        |component| matches!(component, Component::Files | Component::Certificates);
    for (component, path) in NEEDED.into_iter().filter(|(one, _)| !is_told_by_part(*one)) {
        let host = HostCopy::of("aks-ubuntu-2204");
        set_mode(host.path(), 0o755);
        set_mode(&host.inside(path), 0o000);
        let answers = folder.path().join("answers.json");
        std::fs::copy(nodeward_tests::project::answers("aks-ubuntu-2204"), &answers)
            .expect("copied");
        set_mode(&answers, 0o644);
        let mut inspect = std::process::Command::new(&program);
        inspect
            .args(["inspect", "-o", "json", "--host-root"])
            .arg(host.path())
            .arg("--recorded-answers")
            .arg(&answers);
        if nix::unistd::geteuid().is_root() {
            inspect.uid(65534).gid(65534);
        }
        let output = inspect.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for one in answer["components"].as_array().expect("components") {
            let headline = one["headline"].as_str().expect("a line");
            let other = one["component"].as_str().and_then(Component::from_name);
            if other == Some(component) || shares(path, other.expect("a component")) {
                assert_eq!(one["state"], "unavailable", "{component}: {headline}");
                assert!(
                    headline.contains(named(path)) && headline.contains("EACCES"),
                    "{headline}"
                );
            } else if other == Some(Component::Egress) {
                assert_eq!(one["state"], "not_applicable", "{component} changed {one}");
            } else {
                let state = if other == Some(Component::Docker) { "absent" } else { "present" };
                assert_eq!(one["state"], state, "{component} changed {one}");
            }
        }
    }
}

fn panics(_: &nodeward_agent::host::Host) -> Collected {
    panic!("this collector is broken on purpose");
}

fn hangs(_: &nodeward_agent::host::Host) -> Collected {
    std::thread::sleep(Duration::from_secs(5));
    ComponentState::Packages(State::Absent).into()
}

/// All collectors, one of them another.
fn with(
    component: Component,
    collect: fn(&nodeward_agent::host::Host) -> Collected,
) -> Vec<Collector> {
    COLLECTORS
        .into_iter()
        .map(|collector| match collector.component == component {
            true => Collector { collect, ..collector },
            false => collector,
        })
        .collect()
}

#[tokio::test]
async fn a_panicking_collector_costs_its_own_component_only() {
    let host = HostCopy::of("aks-ubuntu-2204");
    let whole = states(host.round(LIMIT).await);
    for component in Component::COLLECTED {
        let seen = states(host.round_of(with(component, panics), LIMIT).await);
        let why = seen[&component].why_unavailable().expect("unavailable").why.clone();
        assert!(why.contains("broken on purpose"), "{why}");
        for other in Component::COLLECTED.into_iter().filter(|other| *other != component) {
            assert_eq!(seen[&other], whole[&other], "{component} changed {other}");
        }
    }
}

#[tokio::test]
async fn a_hanging_collector_is_waited_for_no_longer_than_the_limit() {
    let host = HostCopy::of("aks-ubuntu-2204");
    let started = Instant::now();
    let seen =
        states(host.round_of(with(Component::Packages, hangs), Duration::from_secs(1)).await);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let why = seen[&Component::Packages].why_unavailable().expect("unavailable").why.clone();
    assert_eq!(why, "not read within 1000 ms");
    let others = seen.values().filter(|state| state.word() == "present").count();
    // But for packages, egress, which nobody asks for, and Docker, which is not there.
    assert_eq!(others, Component::COLLECTED.len() - 3);
}

mod real_fuse {
    //! A host read that really hangs: a mount behind which nobody answers.

    use super::*;
    use nodeward_agent::collect::Rounds;
    use nodeward_tests::host::HangingMount;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_read_that_hangs_costs_its_own_component_and_clears_by_itself() {
        let host = HostCopy::of("aks-ubuntu-2204");
        let folder = host.inside("/var/lib/dpkg");
        let mut rounds =
            Rounds::with(Arc::new(host.host()), COLLECTORS.to_vec(), Duration::from_secs(1));
        let whole = states(rounds.run().await);
        let mount = HangingMount::over(&folder);
        for why in ["not read within 1000 ms", "still hangs"] {
            let started = Instant::now();
            let seen = states(rounds.run().await);
            assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
            let said =
                seen[&Component::Packages].why_unavailable().expect("unavailable").why.clone();
            assert!(said.contains(why), "{said}");
            for other in
                Component::COLLECTED.into_iter().filter(|other| *other != Component::Packages)
            {
                assert_eq!(seen[&other], whole[&other]);
            }
        }
        drop(mount);
        let deadline = Instant::now() + LIMIT;
        while states(rounds.run().await) != whole {
            assert!(Instant::now() < deadline, "the reading did not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
