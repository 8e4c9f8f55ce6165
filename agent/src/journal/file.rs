//! One journal file, entry by entry, in the order in which they were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::unpack::{Packing, beginning};
use super::{Bytes, Header, JournalError, State, identifier, number, small_number};

/// What an object is, in its first byte.
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;

/// What stands before the items of an entry, and before those of a list of entries.
const ENTRY_HEAD: u64 = 64;
const ARRAY_HEAD: u64 = 24;

/// No entry has more fields: systemd takes no more either.
const FIELDS_LIMIT: u64 = 1024;

/// No file has so many lists of entries: each is twice as long as the one before.
const ARRAYS_LIMIT: usize = 4096;

/// Entries lie one behind the other with what is new in them: so much is read at once.
const WINDOW_BYTES: u64 = 64 * 1024;

/// Of a field that tells entries apart; a longer one tells nothing.
const LABEL_LIMIT_BYTES: usize = 256;

/// What is looked at of an object to know its field: its head, its name, and such a value.
const LOOKED_AT_BYTES: usize = 72 + 32 + LABEL_LIMIT_BYTES;

/// Of a message, as much as rules look at; and of a packed field, which may be any.
const MESSAGE_LIMIT_BYTES: usize = 8 * 1024;
const PACKED_LIMIT_BYTES: u64 = 1024 * 1024;

/// So many fields of which many entries have the same are remembered.
const KNOWN_LIMIT: usize = 1024;

/// The fields that tell entries apart. Those that begin with `_` the journal has set itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// `_TRANSPORT`: how the line came.
    pub transport: Option<Arc<str>>,
    /// `SYSLOG_IDENTIFIER`: what the writer calls itself.
    pub identifier: Option<Arc<str>>,
    /// `_SYSTEMD_UNIT`: the unit that wrote it.
    pub unit: Option<Arc<str>>,
    /// `SYSLOG_FACILITY`: of lines from the kernel's buffer, 0 is the kernel's own.
    pub facility: Option<Arc<str>>,
}

/// An entry, as far as it is told without its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number among all of its journal.
    pub seqnum: u64,
    /// When it was received, in microseconds since 1970.
    pub realtime: u64,
    /// The same since boot.
    pub monotonic: u64,
    /// In which boot.
    pub boot_id: [u8; 16],
    /// Who wrote it.
    pub fields: Fields,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An entry that was wanted, with its message: cut, and empty where it has none.
    Entry(Entry, String),
    /// One that was not.
    Passed(u64),
    /// One of which something does not hold, or is longer than what is read.
    Skipped,
    /// No more for now.
    End,
}

/// How far a file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The list of entries, and the next one in it.
    array: u64,
    index: u64,
    /// Entries before it, in all lists.
    taken: u64,
    /// Where the last one that was read begins.
    last: u64,
}

/// What a field is that many entries have.
#[derive(Debug, Clone)]
enum Known {
    Transport(Arc<str>),
    Identifier(Arc<str>),
    Unit(Arc<str>),
    Facility(Arc<str>),
    Other,
}

/// What an object turned out to be.
enum Field {
    Known(Known),
    /// Of this entry alone: nobody needs to remember it.
    Once,
    Message,
    Packed,
}

/// Fields of which many entries have the same, by where they lie.
#[derive(Debug, Default)]
pub struct Remembered(BTreeMap<u64, Known>);

/// A part of the file.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&self, at: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// A file that is open.
#[derive(Debug)]
pub struct JournalFile<B> {
    bytes: B,
    header: Header,
    place: Place,
    remembered: Remembered,
    window: Window,
    arrays: Window,
    items: Vec<u64>,
}

impl<B: Bytes> JournalFile<B> {
    /// Opens it at its first entry.
    pub fn open(bytes: B) -> Result<Self, JournalError> {
        let header = Header::read(&bytes)?;
        let place = Place { array: header.entry_array, index: 0, taken: 0, last: 0 };
        let (window, arrays) = (Window::default(), Window::default());
        let (remembered, items) = (Remembered::default(), Vec::new());
        Ok(Self { bytes, header, place, remembered, window, arrays, items })
    }

    /// Its head, as it was when it was opened.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Takes it for one that nobody writes to any more, whatever its head says: journald puts
    /// that down when it closes the file, some time after it gave it another name.
    #[must_use]
    pub const fn rotated(mut self) -> Self {
        self.header.state = State::Archived;
        self
    }

    /// Goes on where the same file was left, with what was known of it.
    pub fn resume(&mut self, place: Place, remembered: Remembered) {
        self.place = place;
        self.remembered = remembered;
        // Opened while it was empty: it had no list yet.
        if place.array == 0 {
            self.place.array = self.header.entry_array;
        }
    }

    /// Where it was left.
    pub fn leave(self) -> (Place, Remembered) {
        (self.place, self.remembered)
    }

    /// Goes to the first entry that is not before, by its number and its time, but passes
    /// over all but the last `at_most` in any case. Gives the number of the one before it.
    pub fn seek(
        &mut self,
        is_before: impl Fn(u64, u64) -> bool,
        at_most: u64,
    ) -> Result<Option<u64>, JournalError> {
        // Each list with the entries before it.
        let (mut lists, mut before, mut array) = (Vec::new(), 0, self.header.entry_array);
        while before < self.header.entries {
            if lists.len() == ARRAYS_LIMIT {
                return Err(JournalError::Damaged { at: array, why: "it has too many lists" });
            }
            let (capacity, next) = self.array(array)?;
            lists.push((array, before));
            before = before.saturating_add(capacity);
            if before < self.header.entries {
                array = self.following(array, next)?;
            }
        }
        let (mut low, mut high) =
            (self.header.entries.saturating_sub(at_most), self.header.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.nth(&lists, middle)?;
            let is_before =
                self.entry_head(at).is_ok_and(|(_, entry)| is_before(entry.seqnum, entry.realtime));
            match is_before {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let before = match low.checked_sub(1) {
            Some(before) => {
                let at = self.nth(&lists, before)?;
                self.entry_head(at).ok().map(|(_, entry)| entry.seqnum)
            }
            None => None,
        };
        let list = lists.partition_point(|(_, first)| *first <= low).saturating_sub(1);
        if let Some((array, first)) = lists.get(list).copied() {
            self.place = Place { array, index: low - first, taken: low, last: 0 };
        }
        Ok(before)
    }

    /// Where an entry lies, by its place in all lists.
    fn nth(&mut self, lists: &[(u64, u64)], nth: u64) -> Result<u64, JournalError> {
        let list = lists.partition_point(|(_, first)| *first <= nth).saturating_sub(1);
        match lists.get(list).copied() {
            Some((array, first)) => self.listed(array, nth - first),
            None => Err(JournalError::Damaged { at: 176, why: "no list has its entries" }),
        }
    }

    /// Takes the next entry; its message only if it is wanted.
    pub fn read_next(&mut self, wanted: impl FnOnce(&Entry) -> bool) -> Result<Step, JournalError> {
        if self.place.taken >= self.header.entries {
            return Ok(Step::End);
        }
        let (capacity, next) = self.array(self.place.array)?;
        if self.place.index >= capacity {
            let array = self.following(self.place.array, next)?;
            self.place = Place { array, index: 0, ..self.place };
            let (capacity, _) = self.array(array)?;
            if capacity == 0 {
                return Err(JournalError::Damaged { at: array, why: "a list has no room" });
            }
        }
        let at = self.listed(self.place.array, self.place.index)?;
        let read = match at > self.place.last {
            true => self.entry(at, wanted),
            false => Err(JournalError::Damaged { at, why: "an entry lies before the one before" }),
        };
        match read {
            Err(JournalError::Unreadable(error)) => return Err(error.into()),
            // Whoever writes has not finished it: the next look will find it whole.
            Err(_) if self.is_torn() => return Ok(Step::End),
            Err(_) => self.pass(self.place.last),
            Ok(_) => self.pass(at),
        }
        Ok(read.unwrap_or(Step::Skipped))
    }

    fn pass(&mut self, last: u64) {
        self.place.index += 1;
        self.place.taken += 1;
        self.place.last = last;
    }

    /// Whether the next entry is the last one of a file that is being written to.
    fn is_torn(&self) -> bool {
        self.header.state == State::Online && self.place.taken + 1 == self.header.entries
    }

    fn entry(
        &mut self,
        at: u64,
        wanted: impl FnOnce(&Entry) -> bool,
    ) -> Result<Step, JournalError> {
        self.cover(at)?;
        let (size, mut entry) = self.entry_head(at)?;
        self.items(at, size)?;
        let (mut message, mut packed) = (None, Vec::new());
        for index in 0..self.items.len() {
            let item = self.items[index];
            if let Some(known) = self.remembered.0.get(&item) {
                known.clone().tell(&mut entry.fields);
                continue;
            }
            match self.field(item)? {
                Field::Known(known) => {
                    self.remember(item, known.clone());
                    known.tell(&mut entry.fields);
                }
                // Of several the first counts, as for journalctl.
                Field::Message => message = message.or(Some(item)),
                Field::Packed => packed.push(item),
                // One that lies so far back was written with an earlier entry: more have it.
                Field::Once if item < self.window.start => self.remember(item, Known::Other),
                Field::Once => {}
            }
        }
        if !wanted(&entry) {
            return Ok(Step::Passed(entry.seqnum));
        }
        let candidates = message.map_or(packed, |item| vec![item]);
        for item in candidates {
            let bytes = self.payload(item)?;
            if let Some(bytes) = bytes.strip_prefix(b"MESSAGE=") {
                return Ok(Step::Entry(entry, String::from_utf8_lossy(bytes).into_owned()));
            }
        }
        Ok(Step::Entry(entry, String::new()))
    }

    fn remember(&mut self, item: u64, known: Known) {
        if self.remembered.0.len() >= KNOWN_LIMIT {
            self.remembered.0.clear();
        }
        self.remembered.0.insert(item, known);
    }

    /// Reads so that an entry and what was written with it are at hand.
    fn cover(&mut self, at: u64) -> Result<(), JournalError> {
        let end = self.window.start.saturating_add(self.window.bytes.len() as u64);
        let whole = at.saturating_add(ENTRY_HEAD + 64 * 16);
        if at >= self.window.start && (whole <= end || end >= self.header.end) {
            return Ok(());
        }
        // What is new in an entry lies between it and the one before.
        let start = match at.saturating_sub(self.place.last) < WINDOW_BYTES / 2 {
            true => self.place.last,
            false => at.saturating_sub(WINDOW_BYTES / 4),
        };
        let start = start.max(self.header.header_bytes);
        self.window = self.window_at(start, WINDOW_BYTES)?;
        Ok(())
    }

    fn window_at(&self, start: u64, length: u64) -> Result<Window, JournalError> {
        let length = length.min(self.header.end.saturating_sub(start));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = self.bytes.read_at(start, &mut bytes)?;
        bytes.truncate(read);
        Ok(Window { start, bytes })
    }

    /// Some bytes of the file, all of them or a fault.
    fn exactly(&self, at: u64, buffer: &mut [u8]) -> Result<(), JournalError> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.header.end) {
            return Err(JournalError::Damaged { at, why: "an object goes beyond the end" });
        }
        match self.as_many(at, buffer)? == buffer.len() {
            true => Ok(()),
            false => Err(JournalError::Damaged { at, why: "the file ends here" }),
        }
    }

    /// Some bytes of the file, as many as there are: one that was rotated is cut to where its
    /// objects end, it may be while it is read.
    fn as_many(&self, at: u64, buffer: &mut [u8]) -> Result<usize, JournalError> {
        if let Some(bytes) = self.window.get(at, buffer.len()) {
            buffer.copy_from_slice(bytes);
            return Ok(buffer.len());
        }
        Ok(self.bytes.read_at(at, buffer)?)
    }

    /// Flags and size of an object of that kind, which lies wholly in the file.
    fn object(
        &self,
        at: u64,
        head: &[u8],
        kind: u8,
        least: u64,
    ) -> Result<(u8, u64), JournalError> {
        let damaged = |why| Err(JournalError::Damaged { at, why });
        if at < self.header.header_bytes || !at.is_multiple_of(8) {
            return damaged("no object can begin here");
        }
        if head.first() != Some(&kind) {
            return damaged("an object is of another kind than what leads to it says");
        }
        let size = number(head, 8);
        if size < least || at.checked_add(size).is_none_or(|end| end > self.header.end) {
            return damaged("no such object has that size");
        }
        Ok((head.get(1).copied().unwrap_or_default(), size))
    }

    /// How many entries a list has room for, and where the next list is.
    fn array(&mut self, at: u64) -> Result<(u64, u64), JournalError> {
        let mut head = [0; ARRAY_HEAD as usize];
        self.exactly_of_arrays(at, &mut head)?;
        let (_, size) = self.object(at, &head, ENTRY_ARRAY, ARRAY_HEAD)?;
        Ok(((size - ARRAY_HEAD) / self.item_bytes(), number(&head, 16)))
    }

    /// The list behind another: it was made later, so it lies further on.
    fn following(&self, array: u64, next: u64) -> Result<u64, JournalError> {
        match next > array {
            true => Ok(next),
            false => {
                let why = "the list of entries ends before them, or leads back";
                Err(JournalError::Damaged { at: array, why })
            }
        }
    }

    const fn item_bytes(&self) -> u64 {
        match self.header.is_compact {
            true => 4,
            false => 8,
        }
    }

    /// Where an entry lies, by its place in a list.
    fn listed(&mut self, array: u64, index: u64) -> Result<u64, JournalError> {
        let item = self.item_bytes();
        let at = index.saturating_mul(item).saturating_add(array).saturating_add(ARRAY_HEAD);
        let mut bytes = [0; 8];
        let wanted = if item == 4 { &mut bytes[..4] } else { &mut bytes[..] };
        self.exactly_of_arrays(at, wanted)?;
        Ok(number(&bytes, 0))
    }

    /// The same as [`Self::exactly`] beside what is at hand of entries.
    fn exactly_of_arrays(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), JournalError> {
        if self.arrays.get(at, buffer.len()).is_none() {
            self.arrays = self.window_at(at, WINDOW_BYTES / 16)?;
        }
        match self.arrays.get(at, buffer.len()) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(JournalError::Damaged { at, why: "an object goes beyond the end" }),
        }
    }

    fn entry_head(&self, at: u64) -> Result<(u64, Entry), JournalError> {
        let mut head = [0; ENTRY_HEAD as usize];
        self.exactly(at, &mut head)?;
        let (_, size) = self.object(at, &head, ENTRY, ENTRY_HEAD)?;
        let entry = Entry {
            seqnum: number(&head, 16),
            realtime: number(&head, 24),
            monotonic: number(&head, 32),
            boot_id: identifier(&head, 40),
            fields: Fields::default(),
        };
        Ok((size, entry))
    }

    /// Where the fields of an entry lie.
    fn items(&mut self, at: u64, size: u64) -> Result<(), JournalError> {
        let item = if self.header.is_compact { 4 } else { 16 };
        if (size - ENTRY_HEAD) / item > FIELDS_LIMIT {
            return Err(JournalError::Damaged { at, why: "no entry has so many fields" });
        }
        let mut bytes = vec![0; usize::try_from(size - ENTRY_HEAD).unwrap_or_default()];
        self.exactly(at + ENTRY_HEAD, &mut bytes)?;
        self.items.clear();
        let offset = |part: &[u8]| match part.len() {
            4 => u64::from(small_number(part, 0)),
            _ => number(part, 0),
        };
        let item = usize::try_from(item).unwrap_or(16);
        self.items.extend(bytes.chunks_exact(item).map(offset));
        Ok(())
    }

    const fn data_head(&self) -> u64 {
        match self.header.is_compact {
            true => 72,
            false => 64,
        }
    }

    /// How a field is packed, and how many bytes it has.
    fn data(&self, at: u64, head: &[u8]) -> Result<(Packing, u64), JournalError> {
        let (flags, size) = self.object(at, head, DATA, self.data_head())?;
        match Packing::of(flags) {
            Some(packing) => Ok((packing, size - self.data_head())),
            None => Err(JournalError::Damaged { at, why: "no field is packed so" }),
        }
    }

    /// Which field it is.
    fn field(&self, at: u64) -> Result<Field, JournalError> {
        let mut buffer = [0; LOOKED_AT_BYTES];
        let there = self.header.end.saturating_sub(at).min(LOOKED_AT_BYTES as u64);
        let there = usize::try_from(there).unwrap_or_default();
        let read = self.as_many(at, &mut buffer[..there])?;
        let looked_at = &buffer[..read];
        let (packing, length) = self.data(at, looked_at)?;
        if (read as u64) < self.data_head().saturating_add(length).min(LOOKED_AT_BYTES as u64) {
            return Err(JournalError::Damaged { at, why: "the file ends here" });
        }
        if packing != Packing::Plain {
            return Ok(Field::Packed);
        }
        let start = usize::try_from(self.data_head()).unwrap_or_default();
        let field = looked_at.get(start..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Field::of(&field[..field.len().min(length)], length))
    }

    /// The beginning of a field, unpacked.
    fn payload(&self, at: u64) -> Result<Vec<u8>, JournalError> {
        let mut head = [0; 16];
        self.exactly(at, &mut head)?;
        let (packing, length) = self.data(at, &head)?;
        let limit = "MESSAGE=".len() + MESSAGE_LIMIT_BYTES;
        let length = match packing {
            Packing::Plain => length.min(limit as u64),
            _ if length > PACKED_LIMIT_BYTES => {
                return Err(JournalError::Damaged { at, why: "longer than what is unpacked" });
            }
            _ => length,
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.exactly(at + self.data_head(), &mut bytes)?;
        match beginning(packing, &bytes, limit) {
            Ok((bytes, _)) => Ok(bytes),
            Err(_) => Err(JournalError::Damaged { at, why: "cannot be unpacked" }),
        }
    }
}

impl Field {
    /// By the beginning of `NAME=value`, which has so many bytes in all.
    fn of(field: &[u8], length: usize) -> Self {
        let value = |name: &[u8]| field.strip_prefix(name);
        if value(b"MESSAGE=").is_some() {
            return Self::Message;
        }
        if value(b"_SOURCE_").is_some() {
            return Self::Once;
        }
        type Make = fn(Arc<str>) -> Known;
        const LABELS: [(&[u8], Make); 4] = [
            (b"_TRANSPORT=", Known::Transport),
            (b"SYSLOG_IDENTIFIER=", Known::Identifier),
            (b"_SYSTEMD_UNIT=", Known::Unit),
            (b"SYSLOG_FACILITY=", Known::Facility),
        ];
        for (name, make) in LABELS {
            let Some(value) = value(name) else { continue };
            let is_whole = field.len() == length && value.len() <= LABEL_LIMIT_BYTES;
            return match std::str::from_utf8(value) {
                Ok(value) if is_whole => Self::Known(make(value.into())),
                Ok(_) | Err(_) => Self::Known(Known::Other),
            };
        }
        // What the journal adds itself many entries share.
        match field.first() {
            Some(b'_') => Self::Known(Known::Other),
            _ => Self::Once,
        }
    }
}

impl Known {
    fn tell(self, fields: &mut Fields) {
        match self {
            Self::Transport(value) => fields.transport = Some(value),
            Self::Identifier(value) => fields.identifier = Some(value),
            Self::Unit(value) => fields.unit = Some(value),
            Self::Facility(value) => fields.facility = Some(value),
            Self::Other => {}
        }
    }
}
