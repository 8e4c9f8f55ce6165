//! The tree of pages that holds a table. Interior pages lead to others, leaves hold
//! rows; what of a row does not fit on its leaf lies on a chain of pages of its own.

use super::pages::{HEADER_BYTES, Pages, Stretch, word};
use super::record::{Record, varint};
use crate::host::HostError;

const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;

/// The longest row that is read. A package with 100,000 files has some 15 MiB.
const ROW_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// Calls `visit` with each row of the table whose tree begins at that page, by row id.
pub(super) fn walk(
    pages: &Pages,
    root: u32,
    visit: &mut dyn FnMut(i64, &Record<'_>) -> Result<(), String>,
) -> Result<(), HostError> {
    let stretch = Stretch::default();
    let mut reader = Reader { pages, left: pages.count(), stretch, row: Vec::new() };
    let mut leaf = Vec::new();
    // Last one first.
    let mut pending = vec![root];
    while let Some(number) = pending.pop() {
        let fault = |why: &str| pages.fault(format!("page {number}: {why}"));
        leaf.clear();
        leaf.extend_from_slice(reader.page(number)?);
        let node = Node::of(&leaf, number).ok_or_else(|| fault("ends in its header"))?;
        match node.kind {
            INTERIOR => {
                let children = pending.len();
                for cell in node.cells() {
                    let child = cell.and_then(|cell| word(cell, 0));
                    pending.push(child.ok_or_else(|| fault("a cell outside of it"))?);
                }
                pending.push(
                    word(node.page, node.begin + 8).ok_or_else(|| fault("has no last child"))?,
                );
                pending[children..].reverse();
                if pending.len() > pages.count() as usize {
                    return Err(circle(pages, number));
                }
            }
            LEAF => {
                for cell in node.cells() {
                    let cell = cell.ok_or_else(|| fault("a cell outside of it"))?;
                    let id = reader.read_row(cell, number)?;
                    visit(id, &Record::new(&reader.row)).map_err(|why| fault(&why))?;
                }
            }
            _ => return Err(fault("is not of a table")),
        }
    }
    Ok(())
}

fn circle(pages: &Pages, number: u32) -> HostError {
    pages.fault(format!("pages lead in a circle to page {number}"))
}

/// A page of a tree.
struct Node<'a> {
    page: &'a [u8],
    /// Where the node's header begins: on page 1 behind the database's.
    begin: usize,
    kind: u8,
}

impl<'a> Node<'a> {
    fn of(page: &'a [u8], number: u32) -> Option<Self> {
        let begin = if number == 1 { HEADER_BYTES } else { 0 };
        Some(Self { page, begin, kind: *page.get(begin)? })
    }

    /// What stands from the beginning of each cell on; none where that is not on the page.
    fn cells(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let half = |at: usize| {
            let bytes = self.page.get(at..at + 2)?;
            Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
        };
        let pointers = self.begin + if self.kind == INTERIOR { 12 } else { 8 };
        let count = half(self.begin + 3).unwrap_or_default();
        (0..count).map(move |index| self.page.get(half(pointers + 2 * index)?..))
    }
}

/// Reads pages, each at most once: more would be a circle.
struct Reader<'a> {
    pages: &'a Pages,
    left: u32,
    stretch: Stretch,
    row: Vec<u8>,
}

impl Reader<'_> {
    fn page(&mut self, number: u32) -> Result<&[u8], HostError> {
        self.count(number)?;
        self.pages.page(number, &mut self.stretch)
    }

    fn count(&mut self, number: u32) -> Result<(), HostError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| circle(self.pages, number))?;
        Ok(())
    }

    /// Reads the row that a cell of a leaf begins, and tells its id.
    fn read_row(&mut self, cell: &[u8], leaf: u32) -> Result<i64, HostError> {
        let pages = self.pages;
        let fault = |why: String| pages.fault(format!("page {leaf}: {why}"));
        let outside = || fault("a row outside of it".to_owned());
        let (length, at) = varint(cell, 0).ok_or_else(outside)?;
        let (id, at) = varint(cell, at).ok_or_else(outside)?;
        let id = id.cast_signed();
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= ROW_LIMIT_BYTES)
            .ok_or_else(|| {
                fault(format!("row {id} has {length} bytes, at most {ROW_LIMIT_BYTES} are read"))
            })?;
        let local = local_bytes(length, pages.usable_bytes());
        self.row.clear();
        self.row.extend_from_slice(cell.get(at..at + local).ok_or_else(outside)?);
        if local == length {
            return Ok(id);
        }
        let mut next = word(cell, at + local).ok_or_else(outside)?;
        while self.row.len() < length {
            if next == 0 {
                return Err(fault(format!("row {id} ends before its {length} bytes")));
            }
            let rest = (length - self.row.len()).min(pages.usable_bytes() - 4);
            self.count(next)?;
            let page = pages.page(next, &mut self.stretch)?;
            next = word(page, 0).unwrap_or_default();
            self.row.extend_from_slice(page.get(4..4 + rest).ok_or_else(outside)?);
        }
        Ok(id)
    }
}

/// How many bytes of a row stand on its leaf, by the form's own rule.
const fn local_bytes(length: usize, usable: usize) -> usize {
    if length <= usable - 35 {
        return length;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let even = least + (length - least) % (usable - 4);
    if even <= usable - 35 { even } else { least }
}
