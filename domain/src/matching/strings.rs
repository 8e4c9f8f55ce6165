//! Many texts in one piece of memory, each named by a number, equal ones by the same.

use std::collections::BTreeMap;

/// A text among those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(u32);

/// Texts, or keys: runs of bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Runs {
    pub(super) fn get(&self, text: Text) -> &[u8] {
        let index = text.0 as usize;
        let end = self.ends.get(index).copied().unwrap_or_default() as usize;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default() as usize,
            None => 0,
        };
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// A run of bytes that was put in as text.
    pub(super) fn text(&self, text: Text) -> &str {
        std::str::from_utf8(self.get(text)).unwrap_or_default()
    }

    /// The memory that is held.
    pub(super) fn bytes_held(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// Takes texts in, each once.
#[derive(Debug, Default)]
pub(super) struct RunsBuilder {
    runs: Runs,
    known: BTreeMap<Box<[u8]>, Text>,
}

impl RunsBuilder {
    /// The number of a text. None when there are more bytes than a number can tell.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Option<Text> {
        if let Some(known) = self.known.get(bytes) {
            return Some(*known);
        }
        let end = u32::try_from(self.runs.bytes.len() + bytes.len()).ok()?;
        let text = Text(u32::try_from(self.runs.ends.len()).ok()?);
        self.runs.bytes.extend_from_slice(bytes);
        self.runs.ends.push(end);
        self.known.insert(Box::from(bytes), text);
        Some(text)
    }

    pub(super) fn finish(mut self) -> Runs {
        self.runs.bytes.shrink_to_fit();
        self.runs.ends.shrink_to_fit();
        self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number_and_come_out_as_they_went_in() {
        let mut builder = RunsBuilder::default();
        let texts = ["", "openssh", "curl", "openssh", ""];
        let numbers: Vec<Text> =
            texts.iter().filter_map(|text| builder.keep(text.as_bytes())).collect();
        let runs = builder.finish();
        assert_eq!(numbers[1], numbers[3]);
        for (text, number) in texts.iter().zip(&numbers) {
            assert_eq!(runs.text(*number), *text);
        }
    }
}
