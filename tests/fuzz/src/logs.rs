//! Records of the kernel's log, files of the journal, and files of node-problem-detector.

use jiff::Timestamp;
use nodeward_agent::collect::{classify, record};
use nodeward_agent::journal::{JournalFile, Step};
use nodeward_agent::npd::{Follows, Kind, Matcher, kind};

/// Lines that rules are held against.
const LINES: [&str; 4] = [
    "INFO: task docker:4711 blocked for more than 120 seconds.",
    "",
    "Nov 24 11:59:01 n kernel: [ 1.2] EXT4-fs error (device sda1): \u{e4}",
    "time=\"2026-11-24T11:59:58Z\" msg=\"x\"",
];

/// What a line is about stands in it.
pub(crate) fn kernel_record(bytes: &[u8]) -> bool {
    let Some(record) = record(bytes) else { return false };
    assert!(!record.text.contains('\n'), "{record:?}");
    if let Some((class, subject)) = classify(record.text.trim()) {
        assert!(record.text.contains(subject), "{class:?}: {subject:?}");
    }
    true
}

/// No file leads round in circles, unpacks to more than is looked at, or is read further
/// than it is long.
pub(crate) fn journal(bytes: &[u8]) -> bool {
    let Ok(mut file) = JournalFile::open(bytes) else { return false };
    let mut entries = 0;
    let read = |file: &mut JournalFile<&[u8]>, entries: &mut usize| loop {
        match file.read_next(|entry| entry.seqnum % 3 != 0) {
            Ok(Step::Entry(_, message)) => assert!(message.len() <= 3 * 8 * 1024, "cut"),
            Ok(Step::Passed(_) | Step::Skipped) => {}
            Ok(Step::End) | Err(_) => break,
        }
        *entries += 1;
        assert!(*entries <= bytes.len(), "more entries than bytes");
    };
    read(&mut file, &mut entries);
    let before = file.seek(|seqnum, realtime| seqnum < 2 && realtime < 1 << 60, 100);
    if before.is_ok() {
        let mut again = 0;
        read(&mut file, &mut again);
        assert!(again <= 100, "so many at the most");
    }
    true
}

/// Whatever a rule matches ends with the newest line, and a fault is one line.
pub(crate) fn npd_file(bytes: &[u8]) -> bool {
    let monitor = match kind(bytes) {
        Ok(Kind::LogMonitor(monitor)) => monitor,
        Ok(Kind::CustomPlugin { .. } | Kind::SystemStats) => return true,
        Ok(Kind::Other(_)) => return false,
        Err(error) => {
            assert!(!error.is_empty(), "a reason");
            return false;
        }
    };
    let mut matcher = Matcher::new(&monitor);
    for line in LINES {
        for matched in matcher.push(&monitor.rules, Timestamp::UNIX_EPOCH, line) {
            let rule = &monitor.rules[matched.rule];
            let lines = matched.message.strip_suffix(&rule.suffix).expect("the rule's suffix");
            let lines = if rule.suffix.is_empty() { lines } else { lines.trim_end_matches("; ") };
            assert!(lines.ends_with(line.trim_end_matches("; ")), "{matched:?}");
        }
        if let Follows::Filelog(filelog) = &monitor.follows {
            let _ = filelog.take_apart(line, &jiff::tz::TimeZone::UTC, Timestamp::UNIX_EPOCH);
        }
    }
    true
}
