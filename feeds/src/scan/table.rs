//! Tables of findings: comma-separated values of RFC 4180, or separated by semicolons, tabs
//! or bars as spreadsheets of other languages write them.

use std::collections::BTreeSet;

use nodeward_domain::advisory::AliasId;

use super::columns::{Column, ColumnMapping, Places};
use super::rows::{ID, PACKAGE, Rows};
use super::{Scan, ScanError, ScanRow, ScanTool};

/// What may separate the cells of a row, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads a table.
pub(super) fn read(
    file: &str,
    text: &str,
    mapping: Option<&ColumnMapping>,
) -> Result<Scan, ScanError> {
    let (separator, text) = separator(text);
    if ends_in_quotes(text, separator) {
        let what = "a quoted cell has no end";
        return Err(ScanError::CutOff { file: file.to_owned(), what });
    }
    let no_table = |source| ScanError::Table { file: file.to_owned(), source };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(false).from_reader(text.as_bytes());
    let places = Places::of(file, reader.headers().map_err(no_table)?.iter(), mapping)?;
    let mut rows = Rows::of(file);
    let mut record = csv::StringRecord::new();
    let mut place = 1;
    while reader.read_record(&mut record).map_err(no_table)? {
        place += 1;
        // Spreadsheets write rows that were emptied as separators alone.
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            take(file, &mut rows, place, &record, &places)?;
        }
    }
    Ok(Scan { tool: ScanTool::Table, scanned: String::new(), rows: rows.finish() })
}

/// Takes down one row: as many findings as it has ids.
fn take(
    file: &str,
    rows: &mut Rows<'_>,
    place: usize,
    record: &csv::StringRecord,
    places: &Places,
) -> Result<(), ScanError> {
    let cell =
        |column| places.get(column).and_then(|index| record.get(index)).unwrap_or_default().trim();
    let ids = ids(cell(Column::Id)).map_err(|text| ScanError::NoId {
        file: file.to_owned(),
        place,
        text: text.chars().take(80).collect(),
    })?;
    rows.needed("row", place, ID, ids.first().unwrap_or(&""))?;
    let package = rows.needed("row", place, PACKAGE, cell(Column::Package))?;
    for id in ids {
        rows.push(ScanRow {
            place,
            id: alias(id),
            package: package.clone(),
            installed: cell(Column::Installed).to_owned(),
            fixed: versions(cell(Column::Fixed)),
            severity: cell(Column::Severity).to_owned(),
            target: cell(Column::Target).to_owned(),
            kind: cell(Column::Kind).to_owned(),
        })?;
    }
    Ok(())
}

/// The separator of a table, and the table without the line `sep=;` that some programs write
/// above it for spreadsheets. It is what stands most often in the header.
fn separator(text: &str) -> (u8, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end_matches('\r');
    if let Some(stated) = first.strip_prefix("sep=").map(str::as_bytes)
        && let [separator] = stated
        && SEPARATORS.contains(separator)
    {
        return (*separator, rest);
    }
    let mut is_quoted = false;
    let mut counts = [0_usize; SEPARATORS.len()];
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            _ if is_quoted => {}
            _ => {
                if let Some(kind) = SEPARATORS.iter().position(|one| *one == byte) {
                    counts[kind] += 1;
                }
            }
        }
    }
    let mut best = 0;
    for (kind, count) in counts.iter().enumerate() {
        if *count > counts[best] {
            best = kind;
        }
    }
    (SEPARATORS[best], text)
}

/// Whether the text ends inside a quoted cell, as one does that was cut off there. The
/// reader of tables takes such a cell for whole.
fn ends_in_quotes(text: &str, separator: u8) -> bool {
    let (mut is_quoted, mut is_cell_begun) = (false, false);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if is_quoted {
            // Two quotes in a quoted cell are one that belongs to it.
            if byte == b'"' && bytes.next_if_eq(&b'"').is_none() {
                is_quoted = false;
            }
        } else if byte == separator || byte == b'\n' || byte == b'\r' {
            is_cell_begun = false;
        } else {
            is_quoted = byte == b'"' && !is_cell_begun;
            is_cell_begun = true;
        }
    }
    is_quoted
}

/// Words for an id that is not there.
const NO_ID: [&str; 4] = ["-", "n/a", "none", "null"];

/// The ids of a cell, each once. The error is what is none.
fn ids(cell: &str) -> Result<Vec<&str>, &str> {
    let mut ids: Vec<&str> = Vec::new();
    if NO_ID.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        return Ok(ids);
    }
    let marks = |letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '|');
    for word in cell.split(marks).filter(|word| !word.is_empty()) {
        if !is_id(word) {
            return Err(word);
        }
        ids.push(word);
    }
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// Whether a word is built as ids are: a programme's name, a dash, and a number or code.
fn is_id(word: &str) -> bool {
    let Some((programme, number)) = word.split_once('-') else { return false };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte);
    programme.starts_with(|first: char| first.is_ascii_alphabetic())
        && programme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !number.is_empty()
        && number.bytes().all(is_plain)
}

/// An id, also where a table has it in small letters.
fn alias(id: &str) -> AliasId {
    match id.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("cve-") => AliasId::of(&id.to_ascii_uppercase()),
        _ => AliasId::of(id),
    }
}

/// The versions of a cell such as `fixed in 1.2.3, 1.3.1`. A word without any digit, such
/// as `needed` or `deferred`, says that there is none.
fn versions(cell: &str) -> Vec<String> {
    const BEFORE: &str = "fixed in ";
    let plain = match cell.get(..BEFORE.len()) {
        Some(start) if start.eq_ignore_ascii_case(BEFORE) => &cell[BEFORE.len()..],
        _ => cell,
    };
    let words = plain.split([',', ';', '|', '\n']).map(str::trim);
    words.filter(|word| word.bytes().any(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
}
