//! Logs in a folder, looked at once and again.

use std::fs;
use std::io::Write as _;

use nodeward_domain::facts::kernel_log::LogClass;
use tempfile::TempDir;

use super::*;
use crate::npd;
use crate::probe::{Probes, Recording};

const BOOTED: i64 = 1_700_000_000;

/// A host root without anything but procfs.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().expect("a folder"));
        root.write("proc/stat", &format!("cpu 1\nbtime {BOOTED}\n"));
        root
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn append(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        let mut file = fs::File::options().append(true).open(path).expect("there");
        file.write_all(text.as_bytes()).expect("written");
    }

    /// The host, an hour after it was booted.
    fn host_of_then(&self) -> Host {
        let mut host = self.host(&[]);
        looked_at(&mut host, BOOTED + 3600);
        host
    }

    /// The host, with these files of rules.
    fn host(&self, rules: &[(&str, &str)]) -> Host {
        let log = match rules {
            [] => LogWatch::default(),
            rules => {
                let folder = tempfile::tempdir().expect("a folder");
                for (name, text) in rules {
                    fs::write(folder.path().join(name), text).expect("written");
                }
                LogWatch::with(npd::read(folder.path()).expect("good files"))
            }
        };
        Host {
            log,
            ..Host::new(
                HostRoot::open(self.0.path()).expect("a directory"),
                Probes::Off("a copy".to_owned()),
            )
        }
    }
}

/// Lets it be that moment.
fn looked_at(host: &mut Host, second: i64) {
    let recorded_at = Some(Timestamp::from_second(second).expect("a moment"));
    let recording = Recording { recorded_at, ..Recording::default() };
    host.probes = Probes::Recorded(Box::new(recording));
}

fn seen(host: &Host) -> Arc<KernelLog> {
    match collect(host).state {
        ComponentState::KernelLog(State::Present(log)) => log,
        other => panic!("{other:?}"),
    }
}

fn count(log: &KernelLog, class: LogClass) -> u64 {
    log.event(class).map_or(0, |event| event.count)
}

const STALL: &str = "rcu: INFO: rcu_sched self-detected stall on CPU";

#[test]
fn records_are_read_once_and_gaps_are_counted() {
    let root = Root::new();
    root.write("dev/kmsg", &format!("6,7,1000000,-;hello\n2,8,2500000,-;{STALL}\n"));
    let host = root.host(&[]);
    let log = seen(&host);
    let event = log.event(LogClass::RcuStall).expect("a stall");
    assert_eq!((event.count, event.first_at.as_second()), (1, BOOTED + 2));
    assert_eq!((event.newest[0].sequence, event.newest[0].by_kernel), (Some(8), true));
    // What was written over before the first look is nobody's loss.
    assert_eq!(log.lost, None);
    root.append("dev/kmsg", &format!("12,9,3000000,-;{STALL}\n2,14,4000000,-;{STALL}\n"));
    let Collected { state, measured } = collect(&host);
    let ComponentState::KernelLog(State::Present(log)) = state else { panic!("{state:?}") };
    let event = log.event(LogClass::RcuStall).expect("stalls");
    assert_eq!(event.count, 3);
    let by_kernel: Vec<bool> = event.newest.iter().map(|line| line.by_kernel).collect();
    assert_eq!(by_kernel, [true, false, true]);
    assert_eq!(log.lost.expect("a gap").count, 4);
    assert_eq!(
        (measured.kernel_log_lines_total, measured.kernel_log_lost_total),
        (Some(4), Some(4))
    );
    let again = seen(&host);
    assert_eq!(again, log, "nothing new, nothing changed");
}

#[test]
fn without_the_device_files_are_read_and_the_reason_is_told() {
    let root = Root::new();
    let nothing = collect(&root.host(&[])).state;
    let why = nothing.why_unavailable().expect("no log").to_string();
    assert!(why.starts_with("/dev/kmsg: not there"), "{why}");
    root.write(
        "var/log/messages",
        "2023-11-14T22:13:19+00:00 n kernel: [ 9.9] rcu: INFO: rcu_sched self-detected stall on CPU\n\
         2023-11-14T22:13:30+00:00 n kernel: [   10.0] Memory cgroup out of memory: Killed process 9 (a) x\n\
         2023-11-14T22:13:31+00:00 n app[7]: Out of memory: Killed process 9 (a) x\n\
         no line of syslog's\n\n",
    );
    let host = root.host_of_then();
    let log = seen(&host);
    assert_eq!(
        log.source,
        LogSource::File {
            path: "/var/log/messages".to_owned(),
            instead: "/dev/kmsg: not there".to_owned()
        }
    );
    // The first line is of the boot before, the third one a program's.
    let told: Vec<_> = log.events.iter().map(|event| (event.class, event.count)).collect();
    assert_eq!(told, [(LogClass::OomCgroup, 1)]);
    root.append("var/log/messages", &format!("2023-11-14T22:14:00Z n kernel: {STALL}\n"));
    assert_eq!(count(&seen(&host), LogClass::RcuStall), 1);
    assert_eq!(count(&seen(&host), LogClass::RcuStall), 1);
}

#[test]
fn a_file_without_a_line_of_the_kernel_is_no_source() {
    let root = Root::new();
    // A program's, and the kernel's of the boot before.
    root.write(
        "var/log/kern.log",
        "2023-11-14T22:13:19+00:00 n kernel: [ 9.9] hello\n2023-11-14T22:14:00Z n app[7]: hello\n",
    );
    root.write("var/log/syslog", "2023-11-14T22:14:00Z n app[7]: hello\n");
    let host = root.host_of_then();
    let why = collect(&host).state.why_unavailable().expect("no line").to_string();
    assert_eq!(
        why,
        "/dev/kmsg: not there; and no line of the kernel since the boot was found in \
         /var/log/kern.log, /var/log/syslog"
    );
    // The one that has a line is the source, and stays it.
    root.append("var/log/syslog", &format!("2023-11-14T22:15:00Z n kernel: {STALL}\n"));
    for _ in 0..2 {
        let log = seen(&host);
        assert_eq!((log.source.path(), count(&log, LogClass::RcuStall)), ("/var/log/syslog", 1));
    }
}

/// A log of all programs that nobody writes to any more is none; the kernel alone may have
/// nothing to say for longer.
#[test]
fn a_log_that_fell_silent_is_no_source() {
    const HOUR: i64 = 3600;
    let kernels = format!("2023-11-14T22:14:00Z n kernel: {STALL}\n");
    for (file, is_kernels_alone) in [("messages", false), ("syslog", false), ("kern.log", true)] {
        let root = Root::new();
        let path = format!("var/log/{file}");
        root.write(&path, &kernels);
        let mut host = root.host_of_then();
        assert_eq!(seen(&host).source.path(), format!("/{path}"));
        looked_at(&mut host, BOOTED + 26 * HOUR);
        assert_eq!(seen(&host).source.path(), format!("/{path}"));
        looked_at(&mut host, BOOTED + 27 * HOUR);
        if is_kernels_alone {
            assert_eq!(seen(&host).source.path(), format!("/{path}"));
            continue;
        }
        for host in [&host, &{
            let mut anew = root.host_of_then();
            looked_at(&mut anew, BOOTED + 27 * HOUR);
            anew
        }] {
            let why = collect(host).state.why_unavailable().expect("silent").to_string();
            assert_eq!(
                why,
                format!(
                    "/dev/kmsg: not there; and nothing was written to /{path} since \
                     2023-11-14T22:14:00Z, so that its silence says nothing"
                )
            );
        }
        // A line of anybody's is a sign of life.
        root.append(&path, "2023-11-16T01:00:00Z n app[7]: hello\n");
        let log = seen(&host);
        assert_eq!((log.source.path(), count(&log, LogClass::RcuStall)), (&*format!("/{path}"), 1));
    }
}

#[test]
fn what_stood_unread_in_a_rotated_file_is_read_or_counted() {
    let root = Root::new();
    let line = format!("2023-11-14T22:14:00Z n kernel: {STALL}\n");
    root.write("var/log/kern.log", &line);
    let host = root.host(&[]);
    assert_eq!(count(&seen(&host), LogClass::RcuStall), 1);
    let path = |name: &str| root.0.path().join("var/log").join(name);
    root.append("var/log/kern.log", &line);
    fs::rename(path("kern.log"), path("kern.log.1")).expect("rotated");
    root.write("var/log/kern.log", &line);
    let log = seen(&host);
    assert_eq!((count(&log, LogClass::RcuStall), log.lost), (3, None));
    root.append("var/log/kern.log", &line);
    fs::rename(path("kern.log"), path("kern.log.2.gz")).expect("rotated");
    root.write("var/log/kern.log", "");
    let log = seen(&host);
    assert_eq!((count(&log, LogClass::RcuStall), log.lost.expect("a gap").count), (3, 1));
}

#[test]
fn imported_rules_follow_the_log_that_they_are_for() {
    let root = Root::new();
    let recent = Timestamp::now().as_second() - BOOTED - 60;
    root.write(
        "dev/kmsg",
        &format!("6,1,1000000,-;too old\n6,2,{recent}000000,-;task docker:7 hangs\n"),
    );
    let at = Timestamp::now();
    root.write("var/log/syslog", &format!("{at} n dockerd[5]: it broke\n{at} n other: it broke\n"));
    root.write("var/log/own.log", "2023/11/14 22:13:30 msg=bad\n2023/11/14 22:13:31 msg=good\n");
    let kernel = r#"{"plugin": "kmsg", "source": "k", "lookback": "5m",
        "conditions": [{"type": "Deadlock"}],
        "rules": [
            {"type": "permanent", "condition": "Deadlock", "reason": "Hung", "pattern": "task docker.*"},
            {"type": "permanent", "condition": "Undeclared", "reason": "Hung", "pattern": "task docker.*"},
            {"type": "temporary", "reason": "Old", "pattern": "too old"}]}"#;
    let journal = r#"{"plugin": "journald", "pluginConfig": {"source": "dockerd"}, "lookback": "5m",
        "rules": [{"type": "temporary", "reason": "Broke", "pattern": "broke"}]}"#;
    let own = r#"{"plugin": "filelog", "logPath": "/var/log/own.log", "lookback": "1000000h",
        "pluginConfig": {"timestamp": "^[^m]*[0-9]", "message": "msg=(.*)",
                         "timestampFormat": "2006/01/02 15:04:05"},
        "rules": [{"type": "temporary", "reason": "Bad", "pattern": "bad"}]}"#;
    let plugin = r#"{"plugin": "custom", "source": "c", "rules": [{"type": "temporary"}]}"#;
    let host = root.host(&[
        ("1.json", kernel),
        ("2.json", journal),
        ("3.json", own),
        ("4.json", plugin),
        ("5.json", r#"{"net": {}}"#),
    ]);
    let log = seen(&host);
    let listed: Vec<_> = log
        .imported
        .iter()
        .map(|file| (file.kind, file.follows.as_str(), file.idle.as_str()))
        .collect();
    assert_eq!(
        listed,
        [
            (ImportedKind::LogMonitor, "/dev/kmsg", ""),
            (ImportedKind::LogMonitor, "/var/log/syslog", ""),
            // A lookback beyond the boot begins there.
            (ImportedKind::LogMonitor, "/var/log/own.log", ""),
            (ImportedKind::CustomPlugin, "", "programs are never run here"),
            (ImportedKind::SystemStats, "", "its figures are not used here"),
        ]
    );
    let conditions: Vec<_> =
        log.conditions.iter().map(|one| (one.condition.as_str(), one.message.as_str())).collect();
    assert_eq!(conditions, [("Deadlock", "task docker:7 hangs")]);
    let findings: Vec<_> = log
        .findings
        .iter()
        .map(|one| (one.reason.as_str(), one.message.as_str(), one.count))
        .collect();
    assert_eq!(findings, [("Broke", "it broke", 1), ("Bad", "bad", 1)]);
    // A log that goes away is told of, and the others go on.
    fs::remove_file(root.0.path().join("var/log/own.log")).expect("removed");
    fs::remove_file(root.0.path().join("var/log/syslog")).expect("removed");
    fs::remove_file(root.0.path().join("dev/kmsg")).expect("removed");
    let log = seen(&host);
    let idle: Vec<&str> = log.imported.iter().map(|file| file.idle.as_str()).collect();
    assert!(idle[0].starts_with("/dev/kmsg: not there"), "{idle:?}");
    assert_eq!(idle[1], "/etc/machine-id: not there");
    assert_eq!(idle[2], "/var/log/own.log: not there");
    assert!(matches!(log.source, LogSource::Unreadable(_)));
}

#[test]
fn a_rule_does_not_lead_to_secrets() {
    let root = Root::new();
    root.write("dev/kmsg", "6,1,1000000,-;hello\n");
    root.write("etc/shadow", "root:secret\n");
    fs::create_dir_all(root.0.path().join("var/log")).expect("made");
    std::os::unix::fs::symlink("/etc/shadow", root.0.path().join("var/log/app.log")).expect("made");
    for path in [
        "/etc/shadow",
        "/var/log/../../etc/shadow",
        "/etc//shadow",
        "/etc/./shadow",
        "/var/log/app.log",
    ] {
        let rules = serde_json::json!({
            "plugin": "filelog", "logPath": path,
            "pluginConfig": {"timestamp": ".", "message": ".*", "timestampFormat": "2006"},
        });
        let log = seen(&root.host(&[("a.json", &rules.to_string())]));
        assert_eq!(log.imported[0].idle, format!("{path} may hold secrets, and is never read"));
    }
}

#[test]
fn a_log_that_leads_nowhere_says_so_itself() {
    let root = Root::new();
    root.write("dev/kmsg", "6,1,1000000,-;hello\n");
    fs::create_dir_all(root.0.path().join("var/log")).expect("made");
    std::os::unix::fs::symlink("loop.log", root.0.path().join("var/log/loop.log")).expect("made");
    let rules = serde_json::json!({
        "plugin": "filelog", "logPath": "/var/log/loop.log",
        "pluginConfig": {"timestamp": ".", "message": ".*", "timestampFormat": "2006"},
    });
    let log = seen(&root.host(&[("a.json", &rules.to_string())]));
    let idle = &log.imported[0].idle;
    assert!(idle.starts_with("/var/log/loop.log: ELOOP"), "{idle}");
}

#[test]
fn what_is_found_is_bounded() {
    let root = Root::new();
    let rules: Vec<_> = (0..100)
        .map(
            |n| serde_json::json!({"type": "temporary", "reason": format!("R{n}"), "pattern": "a"}),
        )
        .collect();
    let rules = serde_json::json!({"plugin": "kmsg", "lookback": "1000000h", "rules": rules});
    let line = "a".repeat(9000);
    root.write("dev/kmsg", &format!("6,1,1000000,-;{line}\n"));
    let log = seen(&root.host(&[("a.json", &rules.to_string())]));
    assert_eq!((log.findings.len(), log.left_out), (64, 36));
    assert!(log.findings.iter().all(|one| one.message.len() < 1100));
}

/// A flood: what is read of it is bounded, the rest is counted.
#[test]
fn a_flood_costs_little() {
    let root = Root::new();
    let mut text = String::new();
    for sequence in 0..100_000u32 {
        let line = match sequence % 100 {
            0 => "INFO: task dd:456 blocked for more than 120 seconds.",
            _ => "audit: type=1400 apparmor=\"ALLOWED\" operation=\"open\" profile=\"x\"",
        };
        text.push_str(&format!("2023-11-14T22:14:{:02}Z n kernel: {line}\n", sequence / 2000));
    }
    root.write("var/log/kern.log", "");
    let host = root.host(&[]);
    let _ = collect(&host);
    root.write("var/log/kern.log", &text);
    let before = used().expect("a clock");
    let Collected { state, measured } = collect(&host);
    let took = used().expect("a clock") - before;
    let ComponentState::KernelLog(State::Present(log)) = state else { panic!("{state:?}") };
    let read = measured.kernel_log_lines_total.expect("counted");
    let dropped = measured.kernel_log_dropped_total.expect("counted");
    println!(
        "a flood of 100,000 lines: {read} read, {dropped} dropped, {took:?} of processor time"
    );
    assert_eq!(read + dropped, 100_000);
    assert!(dropped > 0 && log.lost.expect("a gap").count == dropped);
    let event = log.event(LogClass::TaskHung).expect("a task");
    assert!(event.newest.len() == 3 && event.count > 3, "{event:?}");
}
