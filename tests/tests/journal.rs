//! Files of systemd's journal: those of host roots, hostile ones, and those that a real
//! systemd-journald writes, with journalctl(1) as the referee.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::cell::Cell;
use std::path::Path;

use jiff::SignedDuration;
use nodeward_agent::collect::COLLECTORS;
use nodeward_agent::host::HostRoot;
use nodeward_agent::journal::{
    Bytes, Entry, Folder, JournalError, JournalFile, Look, Looked, Step,
};
use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::facts::kernel_log::LogSource;
use nodeward_domain::observed::State;
use nodeward_tests::host::HostCopy;
use nodeward_tests::journal::{FileState, JournalWriter, id128, listed, of_root, rotated};
use nodeward_tests::project;

const MACHINE: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
const BOOT: &str = "e7a4d0b2-93c5-4f18-8a6d-5b1c7e20f910";

/// The host roots that have a journal.
const ROOTS: [&str; 5] = [
    "aks-azurelinux-3",
    "aks-azurelinux-3-broken",
    "aks-cilium",
    "aks-ubuntu-2204",
    "aks-ubuntu-2204-broken",
];

#[test]
fn journals_of_host_roots_are_as_they_are_listed() {
    for name in ROOTS {
        let root = project::root().join("tests/hosts").join(name);
        let (path, bytes) = of_root(&root, &listed());
        let path = root.join(path.trim_start_matches('/'));
        if std::env::var_os("NODEWARD_REGENERATE").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, &bytes).expect("written");
        }
        assert!(std::fs::read(&path).expect("a journal") == bytes, "{name}");
        let read = messages(&bytes);
        let wanted: Vec<String> =
            listed().line.iter().map(|line| line.fields["MESSAGE"].clone()).collect();
        assert_eq!(read, wanted);
    }
}

/// What a node's kernel log is made of where its journal alone tells of it, so long after the
/// journal's newest entry.
fn source_after(hours: i64) -> LogSource {
    let mut copy = HostCopy::of("aks-ubuntu-2204");
    std::fs::remove_file(copy.inside("/dev/kmsg")).expect("it is there");
    let newest = listed().line.iter().map(|line| line.at).max().expect("lines");
    let at = newest + SignedDuration::from_hours(hours);
    copy.answer_over(&serde_json::json!({ "recorded_at": at.to_string() }));
    let collector = COLLECTORS.iter().find(|one| one.component == Component::KernelLog);
    match (collector.expect("a collector").collect)(&copy.host()).state {
        ComponentState::KernelLog(State::Present(log)) => log.source.clone(),
        other => panic!("{other:?}"),
    }
}

/// Everybody writes there, so that somebody does every day.
#[test]
fn a_journal_that_fell_silent_is_no_source() {
    let source = source_after(26);
    assert!(matches!(source, LogSource::Journal { .. }), "{source:?}");
    let LogSource::Unreadable(unread) = source_after(27) else { panic!("it is believed") };
    let why = unread.why;
    assert!(why.contains("nothing was written to /var/log/journal/"), "{why}");
    assert!(why.ends_with("since 2026-11-24T11:58:30Z, so that its silence says nothing"), "{why}");
}

/// A file with lines `line 1` and so on, each of a second of its own.
fn lines(count: u64, is_compact: bool) -> JournalWriter {
    let mut writer = JournalWriter::new(id128(MACHINE), id128(BOOT), is_compact);
    append(&mut writer, count);
    writer
}

fn append(writer: &mut JournalWriter, count: u64) {
    for _ in 0..count {
        let number = writer.next_seqnum;
        let second = i64::try_from(number).expect("few");
        let at = jiff::Timestamp::from_second(second).expect("early");
        let message = format!("line {number}");
        writer.push(at, &[("_TRANSPORT", "stdout"), ("MESSAGE", message.as_str())]);
    }
}

fn steps(bytes: &[u8]) -> Result<Vec<Step>, JournalError> {
    let mut file = JournalFile::open(bytes)?;
    let mut steps = Vec::new();
    loop {
        match file.read_next(|_| true)? {
            Step::End => return Ok(steps),
            step => steps.push(step),
        }
    }
}

fn messages(bytes: &[u8]) -> Vec<String> {
    let steps = steps(bytes).expect("a journal");
    let message = |step| match step {
        Step::Entry(_, message) => message,
        other => panic!("{other:?}"),
    };
    steps.into_iter().map(message).collect()
}

fn expected(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

#[test]
fn entries_are_read_in_order_over_all_lists() {
    for is_compact in [false, true] {
        let writer = lines(1000, is_compact);
        assert!(writer.lists().len() > 5);
        assert_eq!(messages(&writer.bytes(FileState::Archived)), expected(1..=1000));
        assert!(messages(&lines(0, is_compact).bytes(FileState::Online)).is_empty());
    }
}

#[test]
fn the_middle_of_a_file_is_found_by_number_and_by_time() {
    let bytes = lines(1000, true).bytes(FileState::Archived);
    for from in [1, 2, 4, 5, 12, 13, 500, 999, 1000, 1001] {
        let mut file = JournalFile::open(bytes.as_slice()).expect("a journal");
        file.seek(|seqnum, _| seqnum < from, u64::MAX).expect("found");
        let first = file.read_next(|_| true).expect("an entry");
        match first {
            Step::Entry(entry, _) => assert_eq!(entry.seqnum, from),
            other => assert_eq!((from, other), (1001, Step::End)),
        }
    }
    let mut file = JournalFile::open(bytes.as_slice()).expect("a journal");
    file.seek(|_, realtime| realtime < 700_000_000, u64::MAX).expect("found");
    assert!(matches!(file.read_next(|_| false), Ok(Step::Passed(700))));
    file.seek(|_, _| false, 10).expect("found");
    assert!(matches!(file.read_next(|_| false), Ok(Step::Passed(991))));
}

/// An object of which something does not hold costs its own entry, and the last one of a
/// file that is being written to is left for the next look.
#[test]
fn what_is_torn_is_waited_for_and_what_is_damaged_is_passed_over() {
    for is_compact in [false, true] {
        let mut writer = lines(9, is_compact);
        let at = jiff::Timestamp::from_second(10).expect("early");
        let entry = writer.push(at, &[("MESSAGE", "line 10")]);
        let tear = |mut bytes: Vec<u8>| {
            bytes[entry..entry + 64].fill(0);
            bytes
        };
        assert_eq!(messages(&tear(writer.bytes(FileState::Online))), expected(1..=9));
        let steps_of = |bytes: &[u8]| steps(bytes).expect("a journal");
        let offline = steps_of(&tear(writer.bytes(FileState::Offline)));
        assert_eq!((offline.len(), offline.last()), (10, Some(&Step::Skipped)));
        // With one behind it, it will not be written any more.
        append(&mut writer, 1);
        let online = steps_of(&tear(writer.bytes(FileState::Online)));
        assert_eq!(online[9], Step::Skipped);
        assert!(matches!(&online[10], Step::Entry(_, message) if message == "line 11"));
    }
}

#[test]
fn a_file_that_contradicts_itself_is_told_of_and_leads_nowhere() {
    let good = lines(20, false);
    let lists = good.lists();
    let bytes = || good.bytes(FileState::Archived);
    let with = |at: usize, value: u64| {
        let mut bytes = bytes();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    // A list that leads to itself, back, beyond the end, and to where no object can begin.
    for next in [lists[1], lists[0], 1 << 40, lists[2] + 4, 0, u64::MAX as usize] {
        let error = steps(&with(lists[1] + 16, next as u64)).expect_err("no loop");
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
    // More entries than its lists have.
    assert!(steps(&with(152, u64::MAX)).is_err());
    // Sizes that no object has.
    for size in [0, 15, 23, 1 << 40, u64::MAX] {
        assert!(steps(&with(lists[0] + 8, size)).is_err(), "{size}");
    }
    for (at, value) in [(88, 0), (88, 1 << 20), (96, 100), (176, 7)] {
        assert!(steps(&with(at, value)).is_err(), "{at}");
    }
    // Longer than it is: it goes as far as it is there.
    assert_eq!(steps(&with(96, 1 << 40)).expect("a journal").len(), 20);
    let mut newer = bytes();
    newer[12] = 0x20;
    assert!(matches!(steps(&newer), Err(JournalError::Newer(0x20))));
    let error = steps(b"LPKSHHRH").expect_err("too short");
    assert_eq!(error.to_string(), "is no file of the journal: it is shorter than a header");
    // Whatever it is cut to, reading ends.
    for length in (0..bytes().len()).step_by(7) {
        let _ = steps(&bytes()[..length]);
    }
}

/// A file that can be cut while it is open.
struct Cut<'a> {
    bytes: &'a [u8],
    length: Cell<usize>,
}

impl Bytes for &Cut<'_> {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&self.bytes[..self.length.get()]).read_at(at, buffer)
    }

    fn length(&self) -> std::io::Result<u64> {
        Ok(self.length.get() as u64)
    }
}

/// journald makes a file longer than its objects need. When it has rotated one, it cuts it, and
/// only then writes to its head how long it is and that it is closed.
#[test]
fn a_file_that_is_cut_is_read_to_its_end() {
    for is_compact in [false, true] {
        let mut bytes = lines(9, is_compact).bytes(FileState::Online);
        let objects = bytes.len();
        bytes.resize(objects + 8192, 0);
        let head = u64::from_le_bytes(bytes[88..96].try_into().expect("eight"));
        let behind_head = bytes.len() as u64 - head;
        bytes[96..104].copy_from_slice(&behind_head.to_le_bytes());
        for at_open in [bytes.len(), objects] {
            let cut = Cut { bytes: &bytes, length: at_open.into() };
            let mut file = JournalFile::open(&cut).expect("a journal");
            cut.length.set(objects);
            let read: Vec<Step> = std::iter::from_fn(|| {
                file.read_next(|_| true).ok().filter(|step| *step != Step::End)
            })
            .collect();
            assert_eq!(read.len(), 9, "{at_open} of {}: {read:?}", bytes.len());
            assert!(matches!(&read[8], Step::Entry(_, message) if message == "line 9"), "{read:?}");
        }
    }
}

/// Nothing more comes of a rotated file: an entry of it that is not whole is counted, although
/// its head says that it is being written to.
#[test]
fn the_last_entry_of_a_rotated_file_is_not_waited_for() {
    let mut followed = Followed::new();
    let mut writer = lines(3, true);
    followed.write("system.journal", &writer.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(1..=3), Looked::default()));
    let second = jiff::Timestamp::from_second(4).expect("early");
    let entry = writer.push(second, &[("MESSAGE", "line 4")]);
    let mut torn = writer.bytes(FileState::Online);
    torn[entry..entry + 64].fill(0);
    followed.write("system.journal", &torn);
    assert_eq!(followed.look(None), (Vec::new(), Looked::default()));
    followed.write(&rotated(&writer), &torn);
    let mut next = lines(0, true);
    (next.next_seqnum, next.file_id[15]) = (5, 2);
    append(&mut next, 1);
    followed.write("system.journal", &next.bytes(FileState::Online));
    let looked = Looked { skipped: 1, ..Looked::default() };
    assert_eq!(followed.look(None), (expected(5..=5), looked));
}

/// journald gives the file another name before it makes the next one, and makes that one empty.
#[test]
fn between_two_files_the_one_before_is_read_and_nothing_is_wrong() {
    let mut followed = Followed::new();
    let mut writer = lines(3, true);
    followed.write("system.journal", &writer.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(1..=3), Looked::default()));
    append(&mut writer, 2);
    followed.write(&rotated(&writer), &writer.bytes(FileState::Online));
    std::fs::remove_file(followed.disk.path().join("j/system.journal")).expect("removed");
    assert_eq!(followed.look(None), (expected(4..=5), Looked::default()));
    followed.write("system.journal", b"");
    assert_eq!(followed.look(None), (Vec::new(), Looked::default()));
    assert!(followed.folder.may_be_between());
    let mut next = lines(0, true);
    (next.next_seqnum, next.file_id[15]) = (6, 2);
    append(&mut next, 1);
    followed.write("system.journal", &next.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(6..=6), Looked::default()));
    // Of a folder that was never read nobody knows that it had one.
    std::fs::remove_file(followed.disk.path().join("j/system.journal")).expect("removed");
    let mut other = Folder::new("/j".to_owned());
    assert!(!other.may_be_between());
    let error = other.look(&followed.root, 0, &mut All::default()).expect_err("nothing there");
    assert_eq!(error.to_string(), "not there");
}

/// What no entry of a field that is packed can be, and one that is too long.
#[test]
fn fields_that_cannot_be_unpacked_cost_their_entry() {
    let mut writer = lines(1, true);
    let at = jiff::Timestamp::from_second(2).expect("early");
    for flags in [1, 2, 4, 3, 8] {
        writer.push_packed(at, &[(b"MESSAGE=plain".to_vec(), flags)]);
    }
    writer.push_packed(at, &[(vec![0; 2 << 20], 4)]);
    append(&mut writer, 1);
    let steps = steps(&writer.bytes(FileState::Archived)).expect("a journal");
    let skipped = steps.iter().filter(|step| **step == Step::Skipped).count();
    assert_eq!((steps.len(), skipped), (8, 6));
    // A long message is cut.
    let long = format!("MESSAGE={}", "a".repeat(1 << 20)).into_bytes();
    let mut writer = lines(0, true);
    writer.push_packed(at, &[(long, 0)]);
    assert_eq!(messages(&writer.bytes(FileState::Archived))[0].len(), 8 * 1024);
}

/// Takes every line.
#[derive(Default)]
struct All {
    messages: Vec<String>,
    left: Option<u32>,
}

impl Look for All {
    fn allows_one(&mut self) -> bool {
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    fn wants(&self, _: &Entry) -> bool {
        true
    }

    fn take(&mut self, _: &Entry, message: &str) {
        self.messages.push(message.to_owned());
    }
}

/// A folder on disk, and what follows it.
struct Followed {
    disk: tempfile::TempDir,
    root: HostRoot,
    folder: Folder,
}

impl Followed {
    fn new() -> Self {
        let disk = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(disk.path().join("j")).expect("made");
        let root = HostRoot::open(disk.path()).expect("a directory");
        Self { disk, root, folder: Folder::new("/j".to_owned()) }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        // As a new file, as journald makes one.
        let path = self.disk.path().join("j").join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, bytes).expect("written");
    }

    fn look(&mut self, left: Option<u32>) -> (Vec<String>, Looked) {
        let mut all = All { left, ..All::default() };
        let looked = self.folder.look(&self.root, 0, &mut all).expect("a journal");
        (all.messages, looked)
    }
}

#[test]
fn a_folder_is_followed_over_rotations_and_gaps_are_counted() {
    let mut followed = Followed::new();
    let mut writer = lines(10, true);
    followed.write("system.journal", &writer.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(1..=10), Looked::default()));
    assert_eq!(followed.look(None), (Vec::new(), Looked::default()));
    append(&mut writer, 30);
    followed.write("system.journal", &writer.bytes(FileState::Online));
    // So much a round; the rest with the next one.
    let (read, looked) = followed.look(Some(5));
    assert_eq!((read, looked.is_behind), (expected(11..=15), true));
    // Rotated twice before the next look.
    let rotate = |followed: &Followed, writer: JournalWriter, id: u8| {
        followed.write(&rotated(&writer), &writer.bytes(FileState::Archived));
        let mut next = lines(0, true);
        next.next_seqnum = writer.next_seqnum;
        next.file_id[15] = id;
        append(&mut next, 10);
        next
    };
    let second = rotate(&followed, writer, 2);
    let third = rotate(&followed, second, 3);
    followed.write("system.journal", &third.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(16..=60), Looked::default()));
    // Rotated, and removed before anybody read it: three rotations on.
    let fourth = rotate(&followed, third, 4);
    let name = rotated(&fourth);
    let fifth = rotate(&followed, fourth, 5);
    std::fs::remove_file(followed.disk.path().join("j").join(name)).expect("removed");
    followed.write("system.journal", &fifth.bytes(FileState::Online));
    followed.write("system@0005f3b2a1c04d7e-a1b2c3d4e5f60718.journal~", b"torn");
    // journald removes the oldest file first: where an older one is left, numbers that lack
    // are those of users' files.
    let (read, looked) = followed.look(None);
    assert_eq!(read, expected(71..=80));
    assert_eq!((looked.lost, looked.set_aside), (0, 1));
    for entry in std::fs::read_dir(followed.disk.path().join("j")).expect("listed") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    let mut last = lines(0, true);
    (last.next_seqnum, last.file_id[15]) = (100, 9);
    append(&mut last, 5);
    followed.write("system.journal", &last.bytes(FileState::Online));
    let (read, looked) = followed.look(None);
    assert_eq!((read, looked.lost), (expected(100..=104), 19));
}

#[test]
fn what_a_look_that_fails_has_lost_is_told_by_the_next() {
    let mut followed = Followed::new();
    let writer = lines(3, true);
    followed.write("system.journal", &writer.bytes(FileState::Online));
    assert_eq!(followed.look(None), (expected(1..=3), Looked::default()));
    // Five more that nobody saw, and two files that were written since.
    let mut next = lines(0, true);
    (next.next_seqnum, next.file_id[15]) = (9, 2);
    append(&mut next, 1);
    followed.write(&rotated(&next), &next.bytes(FileState::Archived));
    let mut last = lines(0, true);
    (last.next_seqnum, last.file_id[15]) = (10, 3);
    append(&mut last, 1);
    let mut damaged = last.bytes(FileState::Online);
    let list = last.lists()[0];
    damaged[list + 8..list + 16].fill(0);
    followed.write("system.journal", &damaged);
    let mut all = All::default();
    followed.folder.look(&followed.root, 0, &mut all).expect_err("it is damaged");
    assert_eq!(all.messages, expected(9..=9));
    followed.write("system.journal", &last.bytes(FileState::Online));
    let looked = Looked { lost: 5, ..Looked::default() };
    assert_eq!(followed.look(None), (expected(10..=10), looked));
}

#[test]
fn a_damaged_file_is_told_of() {
    let mut followed = Followed::new();
    followed.write("system.journal", b"LPKSHHRH and no more");
    let error = followed.folder.look(&followed.root, 0, &mut All::default());
    let error = error.expect_err("no journal");
    assert_eq!(error.path(), "/j/system.journal");
    assert_eq!(error.to_string(), "is no file of the journal: it is shorter than a header");
    let missing = Folder::new("/none".to_owned()).look(&followed.root, 0, &mut All::default());
    assert_eq!(missing.expect_err("none").to_string(), "not there");
    assert!(!Path::new("/none").exists());
}

/// A real journald, in a machine of its own.
mod real_journal {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Instant;

    use nodeward_agent::collect::{COLLECTORS, LogWatch};
    use nodeward_agent::host::{Host, HostRoot};
    use nodeward_agent::journal::{self, Entry, Header, JournalFile, Step};
    use nodeward_agent::npd;
    use nodeward_agent::probe::Probes;
    use nodeward_domain::component::Component;
    use nodeward_domain::facts::kernel_log::{JournalRead, LogClass, LogSource};
    use nodeward_domain::facts::{ComponentState, KernelLog};
    use nodeward_domain::observed::State;
    use nodeward_tests::asked::{noting, undeclared};
    use nodeward_tests::machine::Machine;
    use nodeward_tests::programs::installed;
    use nodeward_tests::service::PATIENCE;

    const DROP_IN: &str = "/etc/systemd/system/systemd-journald.service.d/form.conf";

    fn machine_id(machine: &Machine) -> String {
        machine.run("cat", &["/etc/machine-id"])
    }

    /// Lines of every kind: short, long enough to be packed, the same again, no text at all.
    fn say(machine: &Machine, tag: &str) {
        let script = format!(
            "for i in $(seq 200); do echo line $i; done | systemd-cat -t {tag}; \
             for i in $(seq 20); do printf '%03000d\\n' $i; head -c 900 /dev/urandom | base64 -w0; \
             echo; done | systemd-cat -p warning -t {tag}-long; \
             printf 'same\\nsame\\n\\377\\376 no text\\n' | systemd-cat -t {tag}; \
             echo the end of {tag} | systemd-cat -t {tag}; journalctl --sync"
        );
        machine.run("sh", &["-c", &script]);
    }

    /// Every entry of a file, as it is read here.
    fn read(path: &std::path::Path) -> (Header, Vec<(Entry, String)>) {
        let mut file = JournalFile::open(File::open(path).expect("there")).expect("a journal");
        let mut entries = Vec::new();
        loop {
            match file.read_next(|_| true).expect("whole") {
                Step::Entry(entry, message) => entries.push((entry, message)),
                Step::End => return (*file.header(), entries),
                other => panic!("{other:?} after {}", entries.len()),
            }
        }
    }

    /// What journalctl has of a field: a text, or bytes that are none.
    fn field(entry: &BTreeMap<String, serde_json::Value>, name: &str) -> Option<String> {
        match entry.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Array(bytes) if bytes.iter().all(serde_json::Value::is_u64) => {
                let bytes: Vec<u8> =
                    bytes.iter().filter_map(|byte| byte.as_u64()?.try_into().ok()).collect();
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            other => panic!("{name}: {other}"),
        }
    }

    /// Holds what is read of a file against journalctl, entry by entry and field by field.
    fn compared(machine: &Machine, path: &str) -> (Header, usize, usize) {
        let (header, entries) = read(&machine.inside(path));
        let text = machine.run("journalctl", &["-o", "json", "--all", "--file", path]);
        let lines: Vec<BTreeMap<String, serde_json::Value>> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        // journalctl itself writes a line when it is let in; what came later is not compared.
        assert!(lines.len() >= entries.len() && !entries.is_empty(), "{}", lines.len());
        let mut long = 0;
        for ((entry, message), line) in entries.iter().zip(&lines) {
            let is = |name: &str| field(line, name);
            let cursor = is("__CURSOR").expect("a cursor");
            assert!(cursor.contains(&format!(";i={:x};", entry.seqnum)), "{cursor}");
            let id = |id: &[u8; 16]| format!("{:032x}", u128::from_be_bytes(*id));
            assert!(cursor.contains(&format!("s={};", id(&header.seqnum_id))), "{cursor}");
            assert_eq!(is("__REALTIME_TIMESTAMP"), Some(entry.realtime.to_string()));
            assert_eq!(is("__MONOTONIC_TIMESTAMP"), Some(entry.monotonic.to_string()));
            assert_eq!(is("_BOOT_ID"), Some(id(&entry.boot_id)));
            let fields = &entry.fields;
            for (name, read) in [
                ("_TRANSPORT", &fields.transport),
                ("SYSLOG_IDENTIFIER", &fields.identifier),
                ("_SYSTEMD_UNIT", &fields.unit),
                ("SYSLOG_FACILITY", &fields.facility),
            ] {
                assert_eq!(is(name).as_deref(), read.as_deref(), "{name}: {line:?}");
            }
            assert_eq!(is("MESSAGE").unwrap_or_default(), *message);
            long += usize::from(message.len() > 512);
        }
        (header, entries.len(), long)
    }

    #[test]
    fn every_form_of_file_is_read_as_journalctl_reads_it() {
        let machine = Machine::boot();
        let id = machine_id(&machine);
        machine.run("mkdir", &["-p", "/var/log/journal"]);
        machine.run("journalctl", &["--flush"]);
        let active = format!("/var/log/journal/{id}/system.journal");
        // journald of this release packs by ZSTD or not at all.
        for packed in ["yes", "no"] {
            for compact in ["1", "0"] {
                let text = format!(
                    "[Service]\nEnvironment=SYSTEMD_JOURNAL_COMPACT={compact}\n\
                     [Unit]\nStartLimitBurst=100\n"
                );
                machine.write(DROP_IN, &text);
                let text = format!("[Journal]\nCompress={packed}\n");
                machine.write("/etc/systemd/journald.conf.d/form.conf", &text);
                machine.systemctl(&["daemon-reload"]);
                machine.systemctl(&["restart", "systemd-journald.service"]);
                machine.run("journalctl", &["--rotate"]);
                say(&machine, "first");
                let (header, entries, long) = compared(&machine, &active);
                assert_eq!(header.is_compact, compact == "1", "{packed}");
                assert!(entries > 220 && long > 30, "{packed}: {entries} entries, {long} long");
                let bytes = std::fs::read(machine.inside(&active)).expect("there");
                // Whether fields are packed by ZSTD in it.
                assert_eq!(bytes[12] & 0b1011, if packed == "yes" { 8 } else { 0 });
                println!("packed {packed}, compact {compact}: {entries} entries, {long} long");
            }
        }
        // All that were rotated, too.
        let names = machine.run("ls", &[&format!("/var/log/journal/{id}")]);
        let rotated: Vec<&str> = names.lines().filter(|name| name.starts_with("system@")).collect();
        assert!(rotated.len() >= 4, "{names}");
        for name in rotated {
            let (header, ..) = compared(&machine, &format!("/var/log/journal/{id}/{name}"));
            assert_eq!(header.state, journal::State::Archived, "{name}");
        }
    }

    /// Older releases pack by LZ4 or XZ: packed here by their own programs, and read by
    /// journalctl, too.
    #[test]
    fn fields_packed_by_lz4_and_xz_are_read_as_journalctl_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = (0..400).map(|number| format!("word {} ", number % 37)).collect::<String>();
        let field = format!("MESSAGE={words}").into_bytes();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, &field).expect("written");
        let packed = |program: &str, arguments: &[&str]| {
            let output = Command::new(installed(program)).args(arguments).arg(&plain).output();
            let output = output.expect("it runs");
            assert!(output.status.success(), "{program}");
            output.stdout
        };
        let xz = packed("xz", &["--stdout", "--format=xz", "--check=none", "--lzma2=dict=1MiB"]);
        let frame = packed("lz4", &["-c", "-q", "--no-frame-crc"]);
        // Of its frame the one block: after magic, three bytes of descriptor and its length.
        let length = u32::from_le_bytes(frame[7..11].try_into().expect("a length"));
        let block = &frame[11..11 + usize::try_from(length).expect("short")];
        let lz4 = [&(field.len() as u64).to_le_bytes(), block].concat();
        assert!(xz.len() < field.len() / 4 && lz4.len() < field.len() / 2);
        for is_compact in [false, true] {
            let mut writer = super::lines(3, is_compact);
            let at = jiff::Timestamp::from_second(4).expect("early");
            writer.push_packed(at, &[(xz.clone(), 1)]);
            writer.push_packed(at, &[(lz4.clone(), 2)]);
            let path = folder.path().join("system.journal");
            let bytes = writer.bytes(super::FileState::Offline);
            std::fs::write(&path, &bytes).expect("written");
            if std::env::var_os("NODEWARD_REGENERATE").is_some() {
                let name = if is_compact { "packed-compact" } else { "packed" };
                let seeds = super::project::root().join("fuzz/seeds/journal");
                std::fs::write(seeds.join(name), &bytes).expect("written");
            }
            let (_, entries) = read(&path);
            let read: Vec<&str> = entries.iter().map(|(_, message)| message.as_str()).collect();
            assert_eq!(read, ["line 1", "line 2", "line 3", &words, &words]);
            let output = Command::new(installed("journalctl"))
                .args(["-o", "cat", "--all", "--file"])
                .arg(&path)
                .output()
                .expect("it runs");
            let text = String::from_utf8(output.stdout).expect("text");
            assert_eq!(text.lines().collect::<Vec<&str>>(), read, "{:?}", output.stderr);
        }
    }

    /// While a service writes and the journal is rotated again and again, everything is read
    /// once, and no look fails.
    #[test]
    fn a_journal_that_is_written_to_is_followed_without_loss() {
        const LINES: u32 = 5000;
        let machine = Machine::boot();
        let id = machine_id(&machine);
        machine.run("mkdir", &["-p", "/var/log/journal"]);
        machine.run("journalctl", &["--flush"]);
        let unit = "[Service]\nSyslogIdentifier=writer\nLogRateLimitIntervalSec=0\n\
                    ExecStart=/bin/sh -c 'i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo $i; \
                    [ $((i %% 100)) != 0 ] || sleep 0.005; done'\n";
        machine.write("/etc/systemd/system/writer.service", unit);
        machine.systemctl(&["daemon-reload"]);
        let root = HostRoot::open(&machine.root()).expect("a directory");
        let mut folder = super::Folder::new(format!("/var/log/journal/{id}"));
        let mut writers = Writers::default();
        let mut looked = folder.look(&root, 0, &mut writers).expect("a journal");
        machine.systemctl(&["start", "--no-block", "writer.service"]);
        let (machine, is_over) = (&machine, &AtomicBool::new(false));
        let (looks, rotations) = thread::scope(|scope| {
            let rotating = scope.spawn(move || {
                let mut rotations = 0;
                while !is_over.load(Ordering::Relaxed) {
                    machine.run("journalctl", &["--rotate"]);
                    rotations += 1;
                }
                rotations
            });
            // Each rotation is written to disk.
            let deadline = Instant::now() + 4 * PATIENCE;
            let mut looks = 0;
            // A look that fails ends the rotations first.
            let failed = loop {
                if writers.numbers.last() == Some(&LINES) {
                    break None;
                }
                if Instant::now() > deadline {
                    break Some(format!("at {:?}", writers.numbers.last()));
                }
                match folder.look(&root, 0, &mut writers) {
                    Ok(one) => {
                        looked.lost += one.lost;
                        looked.skipped += one.skipped;
                    }
                    Err(error) => break Some(format!("{}: {error}", error.path())),
                }
                looks += 1;
            };
            is_over.store(true, Ordering::Relaxed);
            let rotations = rotating.join().expect("rotated");
            assert_eq!(failed, None, "after {looks} looks and {rotations} rotations");
            (looks, rotations)
        });
        assert_eq!((looked.lost, looked.skipped), (0, 0));
        let wrong = writers.numbers.iter().zip(1..).position(|(read, number)| *read != number);
        let around = wrong.map(|at| &writers.numbers[at.saturating_sub(3)..at + 3]);
        assert_eq!((around, writers.numbers.len()), (None, LINES as usize), "each once, in order");
        assert!(rotations > 1, "{rotations}");
        println!("{LINES} lines in {looks} looks, over {rotations} rotations");
    }

    #[derive(Default)]
    struct Writers {
        numbers: Vec<u32>,
    }

    impl super::Look for Writers {
        fn allows_one(&mut self) -> bool {
            true
        }

        fn wants(&self, entry: &Entry) -> bool {
            entry.fields.identifier.as_deref() == Some("writer")
                && entry.fields.transport.as_deref() == Some("stdout")
        }

        fn take(&mut self, _: &Entry, message: &str) {
            self.numbers.push(message.parse().expect("a number"));
        }
    }

    fn look(host: &Host) -> Arc<KernelLog> {
        let collector = COLLECTORS.iter().find(|one| one.component == Component::KernelLog);
        match (collector.expect("a collector").collect)(host).state {
            ComponentState::KernelLog(State::Present(log)) => log,
            other => panic!("{other:?}"),
        }
    }

    /// In a machine without /dev/kmsg the journal is the source; a program that is named
    /// containerd has met EUCLEAN; a rule of node-problem-detector follows another.
    #[test]
    fn what_services_tell_is_found_in_the_journal() {
        let machine = Machine::boot();
        let id = machine_id(&machine);
        let storage = |kind: &str| {
            let text = format!("[Journal]\nStorage={kind}\n");
            machine.write("/etc/systemd/journald.conf.d/storage.conf", &text);
            machine.systemctl(&["restart", "systemd-journald.service"]);
        };
        storage("volatile");
        machine.run("rm", &["-r", &format!("/var/log/journal/{id}")]);
        let folder = tempfile::tempdir().expect("a folder");
        for (name, path) in [("named.json", "/run/log/journal"), ("own.json", "")] {
            let rules = serde_json::json!({
                "plugin": "journald", "logPath": path, "lookback": "5m", "bufferSize": 2,
                "pluginConfig": {"source": "app"},
                "rules": [{"type": "temporary", "reason": "Broke", "pattern": "it broke"}],
            });
            std::fs::write(folder.path().join(name), rules.to_string()).expect("written");
        }
        let missing = serde_json::json!({
            "plugin": "journald", "logPath": "/var/log/other", "pluginConfig": {"source": "app"},
        });
        std::fs::write(folder.path().join("z.json"), missing.to_string()).expect("written");
        let (host, asked) = noting(Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            log: LogWatch::with(npd::read(folder.path()).expect("good rules")),
            ..Host::new(
                HostRoot::open(&machine.root()).expect("a directory"),
                Probes::Off("a machine of the test".to_owned()),
            )
        });
        let log = look(&host);
        let volatile = format!("/run/log/journal/{id}");
        // A container's journald hears of no kernel: its journal is not the kernel's log.
        let nobodys = format!("no line of the kernel since the boot was found in {volatile}");
        assert!(
            matches!(&log.source, LogSource::Unreadable(unread) if unread.why.ends_with(&nobodys)),
            "{:?}",
            log.source
        );
        assert_eq!(log.event(LogClass::FsCorruptionReported), None);
        let line =
            "level=error error=\\\"mkdir /var/lib/containerd/tmp: structure needs cleaning\\\"";
        let unit = format!("[Service]\nExecStart=/bin/echo \"{line}\"\n");
        machine.write("/etc/systemd/system/containerd.service", &unit);
        // The same words of another service tell nothing.
        machine.write("/etc/systemd/system/other.service", &unit);
        machine.systemctl(&["daemon-reload"]);
        machine.systemctl(&["start", "containerd.service", "other.service"]);
        machine.run("sh", &["-c", "echo it broke | systemd-cat -t app; journalctl --sync"]);
        let deadline = Instant::now() + PATIENCE;
        let log = loop {
            let log = look(&host);
            if !log.findings.is_empty() && log.event(LogClass::FsCorruptionReported).is_some() {
                break log;
            }
            assert!(Instant::now() < deadline, "{log:?}");
        };
        let event = log.event(LogClass::FsCorruptionReported).expect("EUCLEAN");
        assert_eq!((event.count, event.newest[0].subject.as_str()), (1, "/var/lib/containerd/tmp"));
        let broke: Vec<(&str, u64)> =
            log.findings.iter().map(|one| (one.file.as_str(), one.count)).collect();
        assert_eq!(broke, [("named.json", 1), ("own.json", 1)]);
        let listed: Vec<(&str, &str)> =
            log.imported.iter().map(|one| (one.follows.as_str(), one.idle.as_str())).collect();
        let followed = (volatile.as_str(), "");
        assert_eq!(listed, [followed, followed, ("", "/var/log/other: not there")]);
        // The journal moves: what was read where it was is not told again.
        storage("persistent");
        machine.run("journalctl", &["--flush"]);
        machine.run("sh", &["-c", "echo it broke | systemd-cat -t app; journalctl --sync"]);
        let log = look(&host);
        let JournalRead::Followed(journal) = &log.journal else { panic!("{:?}", log.journal) };
        assert_eq!(journal.folder, format!("/var/log/journal/{id}"));
        assert_eq!(log.event(LogClass::FsCorruptionReported).map(|event| event.count), Some(1));
        assert_eq!(log.findings.iter().map(|one| one.count).max(), Some(2));
        // Nothing else is asked for than what is declared, and what the rules name.
        let ruled = [
            "/run/log/journal".to_owned(),
            "/var/log/other".to_owned(),
            format!("/var/log/other/{id}/system.journal"),
            "/var/log/other/system.journal".to_owned(),
        ];
        assert_eq!(undeclared(&[Component::KernelLog], &asked), ruled);
    }
}
