//! Writes files of systemd's journal for host roots, as small as they can be: no hash
//! tables, which reading in order needs as little as journalctl(1) does without a match.
//! Source: <https://systemd.io/JOURNAL_FILE_FORMAT>.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// How many bytes the head has in today's version.
const HEADER_BYTES: usize = 272;

/// The states of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Closed in order.
    Offline = 0,
    /// Being written to.
    Online = 1,
    /// Rotated.
    Archived = 2,
}

/// A file in the making.
#[derive(Debug)]
pub struct JournalWriter {
    /// Whose numbers its entries have.
    pub seqnum_id: [u8; 16],
    /// Which file it is.
    pub file_id: [u8; 16],
    /// The number of the next entry.
    pub next_seqnum: u64,
    machine_id: [u8; 16],
    boot_id: [u8; 16],
    is_compact: bool,
    bytes: Vec<u8>,
    fields: BTreeMap<Vec<u8>, usize>,
    /// Every list with the room that it has.
    lists: Vec<(usize, usize)>,
    entries: Vec<usize>,
    first: Option<(u64, u64)>,
    last: (u64, u64),
    data_objects: u64,
    /// How fields are packed in it, as the head says it.
    packed: u32,
}

/// An identifier of 32 hexadecimal digits, with or without dashes.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn id128(text: &str) -> [u8; 16] {
    let digits = text.trim().replace('-', "");
    assert_eq!(digits.len(), 32, "{text:?}");
    u128::from_str_radix(&digits, 16).expect("hexadecimal digits").to_be_bytes()
}

impl JournalWriter {
    /// A file without entries.
    #[must_use]
    pub fn new(machine_id: [u8; 16], boot_id: [u8; 16], is_compact: bool) -> Self {
        Self {
            seqnum_id: *b"one sequence\0\0\0\x01",
            file_id: *b"a journal file\0\x01",
            next_seqnum: 1,
            machine_id,
            boot_id,
            is_compact,
            bytes: vec![0; HEADER_BYTES],
            fields: BTreeMap::new(),
            lists: Vec::new(),
            entries: Vec::new(),
            first: None,
            last: (0, 0),
            data_objects: 0,
            packed: 0,
        }
    }

    fn put(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Appends an object, and gives where it begins.
    fn object(&mut self, kind: u8, flags: u8, head: &[u8], payload: &[u8]) -> usize {
        let at = self.bytes.len();
        let size = 16 + head.len() + payload.len();
        self.bytes.extend_from_slice(&[kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend_from_slice(&(size as u64).to_le_bytes());
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        at
    }

    /// Appends an entry; gives where its object begins.
    ///
    /// # Panics
    /// When its time is before 1970.
    pub fn push(&mut self, at: Timestamp, fields: &[(&str, &str)]) -> usize {
        let fields: Vec<(Vec<u8>, u8)> = fields
            .iter()
            .map(|(name, value)| (format!("{name}={value}").into_bytes(), 0))
            .collect();
        self.push_packed(at, &fields)
    }

    /// The same with fields as they lie in the file, each with the flags of its packing.
    ///
    /// # Panics
    /// When its time is before 1970.
    pub fn push_packed(&mut self, at: Timestamp, fields: &[(Vec<u8>, u8)]) -> usize {
        let realtime = u64::try_from(at.as_microsecond()).expect("after 1970");
        let mut items = Vec::new();
        for (field, flags) in fields {
            let known = self.fields.get(field).copied();
            items.push(known.unwrap_or_else(|| {
                let head = vec![0; if self.is_compact { 56 } else { 48 }];
                let at = self.object(1, *flags, &head, field);
                self.fields.insert(field.clone(), at);
                self.data_objects += 1;
                self.packed |= match flags {
                    1 => 1,
                    2 => 2,
                    4 => 8,
                    _ => 0,
                };
                at
            }));
        }
        items.sort_unstable();
        let seqnum = self.next_seqnum;
        self.next_seqnum += 1;
        let mut head = Vec::new();
        for number in [seqnum, realtime, seqnum] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        head.extend_from_slice(&self.boot_id);
        head.extend_from_slice(&[0; 8]);
        let mut payload = Vec::new();
        for item in &items {
            match self.is_compact {
                true => payload.extend_from_slice(&(*item as u32).to_le_bytes()),
                false => {
                    payload.extend_from_slice(&(*item as u64).to_le_bytes());
                    payload.extend_from_slice(&[0; 8]);
                }
            }
        }
        let entry = self.object(3, 0, &head, &payload);
        for item in items {
            if self.bytes[item + 40..item + 48] == [0; 8] {
                self.put(item + 40, entry as u64);
            }
            let count = item + 56;
            let before = u64::from_le_bytes(self.bytes[count..count + 8].try_into().expect("8"));
            self.put(count, before + 1);
        }
        self.list(entry);
        self.first.get_or_insert((seqnum, realtime));
        self.last = (seqnum, realtime);
        entry
    }

    /// Enters an entry into the last list, or into a new one of twice its length.
    fn list(&mut self, entry: usize) {
        let item = if self.is_compact { 4 } else { 8 };
        let room: usize = self.lists.iter().map(|(_, room)| room).sum();
        if self.entries.len() == room {
            let more = (room * 2).max(4);
            let at = self.object(6, 0, &[0; 8], &vec![0; more * item]);
            if let Some((before, _)) = self.lists.last().copied() {
                self.put(before + 16, at as u64);
            }
            self.lists.push((at, more));
        }
        let (list, capacity) = *self.lists.last().expect("a list with room");
        let room: usize = self.lists.iter().map(|(_, room)| room).sum();
        let at = list + 24 + (self.entries.len() - (room - capacity)) * item;
        self.bytes[at..at + item].copy_from_slice(&(entry as u64).to_le_bytes()[..item]);
        self.entries.push(entry);
    }

    /// Where the lists of entries begin.
    #[must_use]
    pub fn lists(&self) -> Vec<usize> {
        self.lists.iter().map(|(at, _)| *at).collect()
    }

    /// The file as it is now.
    #[must_use]
    pub fn bytes(&self, state: FileState) -> Vec<u8> {
        let mut file = Self {
            bytes: self.bytes.clone(),
            fields: BTreeMap::new(),
            lists: self.lists.clone(),
            entries: self.entries.clone(),
            ..*self
        };
        file.bytes[..8].copy_from_slice(b"LPKSHHRH");
        let incompatible = self.packed | if self.is_compact { 16 } else { 0 };
        file.bytes[12..16].copy_from_slice(&incompatible.to_le_bytes());
        file.bytes[16] = state as u8;
        file.bytes[24..40].copy_from_slice(&self.file_id);
        file.bytes[40..56].copy_from_slice(&self.machine_id);
        file.bytes[56..72].copy_from_slice(&self.boot_id);
        file.bytes[72..88].copy_from_slice(&self.seqnum_id);
        let (first_seqnum, first_realtime) = self.first.unwrap_or_default();
        let arena = self.bytes.len() - HEADER_BYTES;
        let objects = self.data_objects as usize + self.entries.len() + self.lists.len();
        let tail = self.lists.iter().map(|(at, _)| *at).chain(self.entries.last().copied()).max();
        for (at, value) in [
            (88, HEADER_BYTES as u64),
            (96, arena as u64),
            (136, tail.unwrap_or_default() as u64),
            (144, objects as u64),
            (152, self.entries.len() as u64),
            (160, self.last.0),
            (168, first_seqnum),
            (176, self.lists.first().map_or(0, |(at, _)| *at as u64)),
            (184, first_realtime),
            (192, self.last.1),
            (200, self.last.0),
            (208, self.data_objects),
            (232, self.lists.len() as u64),
            (264, self.entries.last().copied().unwrap_or_default() as u64),
        ] {
            file.put(at, value);
        }
        file.bytes
    }
}

/// The name of that file once it is rotated.
#[must_use]
pub fn rotated(writer: &JournalWriter) -> String {
    let (seqnum, realtime) = writer.first.unwrap_or_default();
    let id = u128::from_be_bytes(writer.seqnum_id);
    format!("system@{id:032x}-{seqnum:016x}-{realtime:016x}.journal")
}

/// Lines of a journal, as `tests/hosts/journal.toml` and twins list them.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalLines {
    /// The lines, oldest first.
    #[serde(default)]
    pub line: Vec<JournalLine>,
}

/// One of them: its time, and its fields by name.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct JournalLine {
    /// When it was received.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

/// The lines of every host root that has a journal.
///
/// # Panics
/// When their list is not in order.
#[must_use]
pub fn listed() -> JournalLines {
    let path = crate::project::root().join("tests/hosts/journal.toml");
    let text = std::fs::read_to_string(path).expect("the list");
    toml::from_str(&text).expect("a list of lines")
}

/// The journal of a host root with those lines, and where it lies.
///
/// # Panics
/// When the root has no machine or boot.
#[must_use]
pub fn of_root(root: &std::path::Path, lines: &JournalLines) -> (String, Vec<u8>) {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let (machine, boot) = (read("etc/machine-id"), read("proc/sys/kernel/random/boot_id"));
    let mut writer = JournalWriter::new(id128(&machine), id128(&boot), true);
    for line in &lines.line {
        let fields: Vec<(&str, &str)> =
            line.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        writer.push(line.at, &fields);
    }
    let path = format!("/var/log/journal/{}/system.journal", machine.trim());
    (path, writer.bytes(FileState::Online))
}
