//! The kernel's real log, and real files of node-problem-detector.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use nodeward_agent::npd::{self, Kind};

mod real_kmsg {
    use std::fs::File;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Arc;

    use nodeward_agent::collect::{COLLECTORS, LogWatch};
    use nodeward_agent::host::{Host, HostRoot};
    use nodeward_agent::npd;
    use nodeward_agent::probe::Probes;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::kernel_log::{LogClass, LogSource};
    use nodeward_domain::facts::{ComponentState, KernelLog};
    use nodeward_domain::observed::State;

    fn look(host: &Host) -> Arc<KernelLog> {
        let collector = COLLECTORS.iter().find(|one| one.component == Component::KernelLog);
        match (collector.expect("a collector").collect)(host).state {
            ComponentState::KernelLog(State::Present(log)) => log,
            other => panic!("{other:?}"),
        }
    }

    /// The log is that of the whole machine: lines of this test carry its process's number,
    /// and name a device that there is not.
    #[tokio::test]
    async fn lines_that_are_written_are_read_back() {
        let mut kmsg = File::options().write(true).open("/dev/kmsg").expect("a log to write to");
        let tag = format!("nw{}", std::process::id());
        let folder = tempfile::tempdir().expect("a folder");
        let rules = serde_json::json!({
            "plugin": "kmsg", "source": tag, "lookback": "1m",
            "conditions": [{"type": "Tagged"}],
            "rules": [{
                "type": "permanent", "condition": "Tagged", "reason": "Written",
                "pattern": format!("waiting for {tag} to become free.*"),
            }],
        });
        std::fs::write(folder.path().join("a.json"), rules.to_string()).expect("written");
        let root = HostRoot::open(Path::new("/")).expect("this machine");
        let probes = Probes::of(&root, tokio::runtime::Handle::current());
        let host = Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            log: LogWatch::with(npd::read(folder.path()).expect("good rules")),
            ..Host::new(root, probes)
        };
        // What was there before.
        let before = look(&host);
        assert_eq!(before.source, LogSource::Kmsg { path: "/dev/kmsg".to_owned() });
        let line =
            format!("<4>unregister_netdevice: waiting for {tag} to become free. Usage count = 2\n");
        kmsg.write_all(line.as_bytes()).expect("written");
        // A look reads so many lines at the most, and others write too.
        let tagged = (0..100).find_map(|_| {
            let log = look(&host);
            let event = log.event(LogClass::UnregisterNetdevice)?;
            let line = event.newest.iter().find(|line| line.subject == tag)?.clone();
            Some((log, line))
        });
        let (log, line) = tagged.expect("the line that was written");
        assert!(!line.by_kernel, "a program wrote it");
        let age = jiff::Timestamp::now().duration_since(line.at).as_secs();
        assert!((0..=60).contains(&age), "written {age} s ago");
        let conditions: Vec<&str> =
            log.conditions.iter().map(|one| one.condition.as_str()).collect();
        assert_eq!(conditions, ["Tagged"]);
        println!("{} of {:?}", line.text, line.sequence);
    }
}

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("NODEWARD_CORPUS");
    if corpus.is_none() {
        println!("left out: NODEWARD_CORPUS names no folder");
    }
    corpus.map(|corpus| PathBuf::from(corpus).join("npd-config"))
}

/// Every file that node-problem-detector ships loads, and every rule in them compiles.
#[test]
fn shipped_files_load() {
    let Some(folder) = corpus() else { return };
    let mut counts = [0; 4];
    let mut rules = 0;
    for folder in [folder.clone(), folder.join("exporter"), folder.join("guestosconfig")] {
        let imported = npd::read(&folder).unwrap_or_else(|error| panic!("{error}"));
        for file in &imported.files {
            rules += file.rules();
            let (index, is_right) = kind_of(&folder, &file.name, &file.kind);
            assert!(is_right, "{}: {:?}", file.name, file.kind);
            counts[index] += 1;
        }
    }
    println!("{counts:?} files, {rules} rules");
    let [monitors, plugins, statistics, others] = counts;
    assert_eq!((monitors, plugins, statistics, others), (9, 14, 3, 2));
}

/// The kind by its place in the counts, and whether it is what its name says.
fn kind_of(folder: &Path, name: &str, kind: &Kind) -> (usize, bool) {
    let is_listed = !folder.ends_with("npd-config");
    match kind {
        Kind::LogMonitor(monitor) => (0, !monitor.rules.is_empty() && !is_listed),
        Kind::CustomPlugin { rules, .. } => (1, *rules > 0 && !name.contains("stats")),
        Kind::SystemStats => (2, name.contains("stats")),
        Kind::Other(_) => (3, is_listed),
    }
}
