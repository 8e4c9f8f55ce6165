//! What lines of the log become, and when they stop.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::{Outcome, find};
use crate::facts::kernel_log::{
    ImportedCondition, ImportedFile, ImportedKind, Journal, LogClass, LogEvent, LogLine, LostLines,
    NEWEST_KEPT,
};
use crate::facts::{ComponentState, Kernel, KernelImages};
use crate::observed::{State, Unavailable};
use crate::platform::Platform;
use crate::policy::DEFAULT_EDITION;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number of seconds")
}

fn empty() -> KernelLog {
    KernelLog {
        source: LogSource::Kmsg { path: "/dev/kmsg".to_owned() },
        journal: JournalRead::Followed(Journal {
            folder: "/var/log/journal/1".to_owned(),
            set_aside: 0,
            skipped: 0,
            is_behind: false,
        }),
        events: Vec::new(),
        lost: None,
        imported: Vec::new(),
        conditions: Vec::new(),
        findings: Vec::new(),
        left_out: 0,
    }
}

/// A log with lines of that class, of these seconds.
fn lines(class: LogClass, seconds: &[i64]) -> KernelLog {
    let line = |second: &i64| LogLine {
        at: at(*second),
        sequence: u64::try_from(*second).ok(),
        subject: "sda".to_owned(),
        text: "a line".to_owned(),
        by_kernel: true,
    };
    let kept = seconds.len().saturating_sub(NEWEST_KEPT);
    let event = LogEvent {
        class,
        count: seconds.len() as u64,
        first_at: at(seconds[0]),
        newest: seconds[kept..].iter().map(line).collect(),
    };
    KernelLog { events: vec![event], ..empty() }
}

fn judged(reason: &str, log: KernelLog, tainted: Option<u64>, now: i64) -> Verdict {
    let mut history = NodeHistory::default();
    let state = ComponentState::KernelLog(State::Present(Arc::new(log)));
    history.observe(state, at(0), Duration::ZERO);
    if let Some(tainted) = tainted {
        let kernel = Kernel {
            release: "6.1.0".to_owned(),
            version: String::new(),
            boot_id: String::new(),
            booted_at: None,
            images: KernelImages::Releases(Vec::new()),
            tainted,
            command_line: Vec::new(),
        };
        let state = ComponentState::Kernel(State::Present(Arc::new(kernel)));
        history.observe(state, at(0), Duration::ZERO);
    }
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let scope = Scope {
        outside: Default::default(),
        platform: Platform::Aks,
        standing: Default::default(),
    };
    (find(reason).expect("a check").judge)(&history, &scope, &policy, at(now))
}

#[test]
fn a_line_is_a_finding_for_half_an_hour() {
    let verdict = judged("RcuStall", lines(LogClass::RcuStall, &[100]), None, 200);
    let Outcome::Fail { message, since, .. } = verdict.outcome else {
        panic!("{:?}", verdict.outcome)
    };
    assert_eq!(message, "a processor kept the others waiting: sda");
    assert_eq!((since, verdict.valid_until), (at(100), Some(at(1900))));
    assert_eq!(verdict.evidence[0].source, "/dev/kmsg line 100");
    let last = judged("RcuStall", lines(LogClass::RcuStall, &[100]), None, 1900);
    assert_eq!(last.outcome.word(), "fail");
    let over = judged("RcuStall", lines(LogClass::RcuStall, &[100]), None, 1901);
    assert_eq!(over.outcome, Outcome::Pass);
    assert_eq!(over.evidence[0].actual, "1 line since boot, none within 30 minutes");
}

#[test]
fn many_lines_are_one_finding() {
    let log = lines(LogClass::TaskHung, &[1, 2, 3, 4, 5, 6]);
    let Outcome::Fail { message, since, .. } = judged("TaskHung", log, None, 7).outcome else {
        panic!("a finding")
    };
    assert_eq!(message, "a task hangs: sda (6 lines since boot)");
    assert_eq!(since, at(4));
}

#[test]
fn an_oops_needs_the_taint_flag() {
    let log = || lines(LogClass::Oops, &[10]);
    assert_eq!(judged("KernelOops", log(), Some(1 << 7), 20).outcome.word(), "fail");
    for tainted in [Some(0), Some(1 << 14), None] {
        let verdict = judged("KernelOops", log(), tainted, 20);
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)), "{tainted:?}: {verdict:?}");
        assert_eq!(verdict.valid_until, Some(at(1810)));
    }
    let lockup = lines(LogClass::SoftLockup, &[10]);
    assert_eq!(judged("SoftLockup", lockup, Some(1 << 14), 20).outcome.word(), "fail");
}

#[test]
fn errors_of_devices_are_worse_when_there_are_many() {
    for (seconds, one, many) in [
        (&[1][..], "fail", "pass"),
        (&[1, 2], "fail", "pass"),
        (&[1, 2, 3], "not_applicable", "fail"),
        // One of the three is too old.
        (&[1, 1900, 1901], "fail", "pass"),
    ] {
        let log = || lines(LogClass::IoError, seconds);
        let now = seconds[seconds.len() - 1] + 30;
        assert_eq!(judged("IoError", log(), None, now).outcome.word(), one, "{seconds:?}");
        assert_eq!(judged("IoErrorRepeated", log(), None, now).outcome.word(), many, "{seconds:?}");
    }
}

#[test]
fn a_device_that_is_held_once_is_no_finding() {
    for (seconds, word) in [(&[1][..], "pass"), (&[1, 11, 21], "fail"), (&[1, 1300, 1310], "pass")]
    {
        let log = lines(LogClass::UnregisterNetdevice, seconds);
        let now = seconds[seconds.len() - 1] + 1;
        assert_eq!(judged("UnregisterNetDevice", log, None, now).outcome.word(), word);
    }
}

#[test]
fn while_lines_are_lost_silence_proves_nothing() {
    let lost = || KernelLog { lost: Some(LostLines { count: 9, last_at: at(100) }), ..empty() };
    assert_eq!(judged("KernelLogGap", lost(), None, 200).outcome.word(), "fail");
    assert_eq!(judged("RcuStall", lost(), None, 200).outcome.word(), "unknown");
    for reason in ["KernelLogGap", "RcuStall"] {
        assert_eq!(judged(reason, lost(), None, 2000).outcome, Outcome::Pass, "{reason}");
    }
    let found = KernelLog { lost: lost().lost, ..lines(LogClass::RcuStall, &[100]) };
    assert_eq!(judged("RcuStall", found, None, 200).outcome.word(), "fail");
}

#[test]
fn what_a_program_wrote_is_called_so() {
    let mut log = lines(LogClass::FsError, &[10]);
    log.events[0].newest[0].by_kernel = false;
    let Outcome::Fail { message, .. } = judged("FilesystemError", log, None, 20).outcome else {
        panic!("a finding")
    };
    assert!(message.ends_with("a program wrote it, not the kernel"), "{message}");
}

#[test]
fn imported_conditions_decay_and_files_that_are_not_followed_are_unknown() {
    let file = |name: &str, idle: &str| ImportedFile {
        name: name.to_owned(),
        kind: ImportedKind::LogMonitor,
        source: "kernel-monitor".to_owned(),
        rules: 3,
        follows: "/dev/kmsg".to_owned(),
        idle: idle.to_owned(),
    };
    let none = judged("NpdCondition", empty(), None, 20);
    assert_eq!(none.outcome.word(), "not_applicable");
    let set = || KernelLog {
        imported: vec![file("a.json", "")],
        conditions: vec![ImportedCondition {
            file: "a.json".to_owned(),
            condition: "KernelDeadlock".to_owned(),
            reason: "DockerHung".to_owned(),
            message: "task docker:7 blocked".to_owned(),
            since: at(10),
            last_at: at(15),
        }],
        ..empty()
    };
    let verdict = judged("NpdCondition", set(), None, 20);
    let Outcome::Fail { message, .. } = verdict.outcome else { panic!("{:?}", verdict.outcome) };
    assert_eq!(message, "KernelDeadlock (DockerHung): task docker:7 blocked");
    assert_eq!(judged("NpdCondition", set(), None, 1816).outcome, Outcome::Pass);
    assert_eq!(judged("NpdEvent", set(), None, 20).outcome, Outcome::Pass);
    let idle = KernelLog { imported: vec![file("b.json", "no journal")], ..set() };
    assert_eq!(judged("NpdEvent", idle, None, 20).outcome.word(), "unknown");
    // Without a log of the kernel other logs are followed all the same.
    let why = Unavailable { place: "/dev/kmsg".to_owned(), why: "EPERM".to_owned() };
    let other = KernelLog { source: LogSource::Unreadable(why), ..set() };
    assert_eq!(judged("NpdCondition", other.clone(), None, 20).outcome.word(), "fail");
    assert_eq!(judged("RcuStall", other, None, 20).outcome.word(), "unknown");
}

#[test]
fn a_line_from_the_future_is_neither_new_nor_old() {
    let future = || lines(LogClass::RcuStall, &[10_000]);
    let verdict = judged("RcuStall", future(), None, 200);
    let Outcome::Unknown(why) = &verdict.outcome else { panic!("{:?}", verdict.outcome) };
    assert_eq!(why, "a line is dated in the future; whether it is new nobody can say");
    // It is asked anew when its time has come, but for the minute that clocks may differ by.
    assert_eq!(verdict.valid_until, Some(at(9940)));
    assert_eq!(judged("RcuStall", future(), None, 9939).outcome.word(), "unknown");
    assert_eq!(judged("RcuStall", future(), None, 9940).outcome.word(), "fail");
    // One that is certain counts, whatever else there is.
    let both = lines(LogClass::RcuStall, &[150, 10_000]);
    let verdict = judged("RcuStall", both, None, 200);
    assert_eq!((verdict.outcome.word(), verdict.evidence.len()), ("fail", 1));
    let lost = || KernelLog { lost: Some(LostLines { count: 9, last_at: at(9000) }), ..empty() };
    for reason in ["KernelLogGap", "RcuStall"] {
        assert_eq!(judged(reason, lost(), None, 200).outcome.word(), "unknown", "{reason}");
    }
}

#[test]
fn what_containerd_met_is_told_by_the_journal_alone() {
    let reason = "FilesystemCorruptionReported";
    assert_eq!(judged(reason, empty(), None, 20).outcome, Outcome::Pass);
    let told = || {
        let mut log = lines(LogClass::FsCorruptionReported, &[10]);
        log.events[0].newest[0].by_kernel = false;
        log
    };
    let verdict = judged(reason, told(), None, 20);
    let Outcome::Fail { message, .. } = verdict.outcome else { panic!("{:?}", verdict.outcome) };
    assert_eq!(message, "containerd met a file system that is damaged: sda");
    assert_eq!(verdict.evidence[0].source, "/var/log/journal/1 line 10");
    assert_eq!(judged(reason, told(), None, 1811).outcome, Outcome::Pass);
    // Without the kernel's own log it is told all the same, and without the journal never.
    let why = Unavailable { place: "/var/log/journal/1".to_owned(), why: "not there".to_owned() };
    let other = KernelLog { source: LogSource::Unreadable(why.clone()), ..told() };
    assert_eq!(judged(reason, other, None, 20).outcome.word(), "fail");
    for journal in [JournalRead::Unreadable(why), JournalRead::NotTold] {
        let log = KernelLog { journal, ..empty() };
        assert_eq!(judged(reason, log.clone(), None, 20).outcome.word(), "unknown");
        assert_eq!(judged("RcuStall", log, None, 20).outcome, Outcome::Pass);
    }
    let mut behind = empty();
    if let JournalRead::Followed(journal) = &mut behind.journal {
        journal.is_behind = true;
    }
    assert_eq!(judged(reason, behind.clone(), None, 20).outcome.word(), "unknown");
    // The kernel's own buffer was read; where the journal stands for it, silence is none.
    assert_eq!(judged("RcuStall", behind.clone(), None, 20).outcome, Outcome::Pass);
    let (path, instead) = ("/var/log/journal/1".to_owned(), "EPERM".to_owned());
    behind.source = LogSource::Journal { path, instead };
    assert_eq!(judged("RcuStall", behind.clone(), None, 20).outcome.word(), "unknown");
    behind.events = lines(LogClass::RcuStall, &[10]).events;
    assert_eq!(judged("RcuStall", behind, None, 20).outcome.word(), "fail");
}

#[test]
fn damaged_files_of_the_journal_are_told_of() {
    use crate::facts::Headline as _;
    let mut log = empty();
    assert_eq!(log.headline(), "/dev/kmsg: nothing of note");
    if let JournalRead::Followed(journal) = &mut log.journal {
        (journal.set_aside, journal.skipped) = (2, 1);
    }
    assert_eq!(
        log.headline(),
        "/dev/kmsg: nothing of note; 1 entry of the journal is damaged; 2 files of the journal were set aside as damaged"
    );
}

#[test]
fn memory_that_is_lost_is_the_turn_of_whose_hardware_it_is() {
    let lost = || lines(LogClass::MemoryUe, &[10]);
    let verdict = judged("MemoryErrorUncorrected", lost(), None, 20);
    let Outcome::Fail { message, responsible, .. } = verdict.outcome else { panic!("passed") };
    assert_eq!(message, "memory had an error that was not put right: sda");
    assert_eq!(responsible, crate::responsibility::Responsible::Provider);
    // What was put right is another story.
    let verdict = judged("MemoryError", lost(), None, 20);
    assert_eq!(verdict.outcome, Outcome::Pass);
    let logged = lines(LogClass::MachineCheckLogged, &[10]);
    assert_eq!(judged("HardwareErrorLogged", logged.clone(), None, 20).outcome.word(), "fail");
    assert_eq!(judged("HardwareErrorCorrected", logged, None, 20).outcome, Outcome::Pass);
}
