//! The header of a package as rpm's database keeps it: an index of tags, then a store
//! with their values, all of it most significant byte first. Source: rpm's manual of its
//! formats, <https://rpm-software-management.github.io/rpm/manual/format_header.html>.
//!
//! The part that the package came with (the region of tag 63) needs no care of its own:
//! its entries point into the same store. What the installation added stands behind it.

use std::borrow::Cow;

/// The most entries and bytes that rpm itself takes.
const ENTRIES: usize = 0xffff;
const STORE_BYTES: usize = 0x0fff_ffff;

/// The longest text that a report accepts.
const TEXT_BYTES: usize = 4096;

/// The types of values that are read.
const INT32: u32 = 4;
const STRING: u32 = 6;

/// The tags that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    InstallTime = 1008,
    Vendor = 1011,
    Architecture = 1022,
    SourceRpm = 1044,
}

impl Tag {
    /// What it is, for messages.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Version => "version",
            Self::Release => "release",
            Self::Epoch => "epoch",
            Self::InstallTime => "install time",
            Self::Vendor => "vendor",
            Self::Architecture => "architecture",
            Self::SourceRpm => "source package",
        }
    }
}

/// The header of one package.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// Tag, type, offset into the store, count.
    index: &'a [[u8; 16]],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, String> {
        let (Some(entries), Some(length)) = (word(blob, 0), word(blob, 1)) else {
            return Err("a header of less than 8 bytes".to_owned());
        };
        let (entries, length) = (entries as usize, length as usize);
        if entries == 0 || entries > ENTRIES || length > STORE_BYTES {
            return Err(format!("a header with {entries} entries and {length} bytes, as none has"));
        }
        let rest = &blob[8..];
        if rest.len() != entries * 16 + length {
            return Err(format!(
                "a header of {} bytes, it should have {}",
                blob.len(),
                8 + entries * 16 + length
            ));
        }
        let (index, store) = rest.split_at(entries * 16);
        Ok(Self { index: index.as_chunks().0, store })
    }

    /// Type and beginning of a tag's value. Of two entries the later counts: that is
    /// what the installation put in the place of what the package came with.
    fn find(&self, tag: Tag) -> Result<Option<(u32, &'a [u8])>, String> {
        let wanted = tag as u32;
        let Some(entry) = self.index.iter().rfind(|entry| word(*entry, 0) == Some(wanted)) else {
            return Ok(None);
        };
        let [kind, offset] = [1, 2].map(|at| word(entry, at).unwrap_or_default());
        match self.store.get(offset as usize..) {
            Some(value) if !value.is_empty() => Ok(Some((kind, value))),
            _ => Err(format!("{} lies outside of its header", tag.word())),
        }
    }

    /// The bytes of a text, without the zero that ends it.
    fn bytes(&self, tag: Tag) -> Result<Option<&'a [u8]>, String> {
        let Some((kind, value)) = self.find(tag)? else {
            return Ok(None);
        };
        if kind != STRING {
            return Err(format!("{} is of type {kind}, not a text", tag.word()));
        }
        let value = &value[..value.len().min(TEXT_BYTES + 1)];
        match value.iter().position(|byte| *byte == 0) {
            Some(end) => Ok(Some(&value[..end])),
            None => Err(format!("{} does not end within {TEXT_BYTES} bytes", tag.word())),
        }
    }

    /// The text of a tag.
    pub(super) fn text(&self, tag: Tag) -> Result<Option<&'a str>, String> {
        let bytes = self.bytes(tag)?;
        let text = bytes.map(std::str::from_utf8).transpose();
        text.map_err(|_| format!("{} is not UTF-8", tag.word()))
    }

    /// The text of a tag for people alone. What is not UTF-8, as in old packages, is
    /// replaced.
    pub(super) fn loose_text(&self, tag: Tag) -> Result<Cow<'a, str>, String> {
        Ok(String::from_utf8_lossy(self.bytes(tag)?.unwrap_or_default()))
    }

    /// The number of a tag.
    pub(super) fn number(&self, tag: Tag) -> Result<Option<u32>, String> {
        match self.find(tag)? {
            None => Ok(None),
            Some((INT32, value)) => word(value, 0)
                .map(Some)
                .ok_or_else(|| format!("{} lies outside of its header", tag.word())),
            Some((kind, _)) => Err(format!("{} is of type {kind}, not a number", tag.word())),
        }
    }
}

/// One of the 32-bit numbers that bytes begin with.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(index * 4..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
