//! Findings as they are collected, within their limits.

use super::{LONGEST_ROWS_BYTES, MOST_ROWS, ScanError, ScanRow};

/// The findings of one file.
pub(super) struct Rows<'a> {
    file: &'a str,
    rows: Vec<ScanRow>,
    bytes: usize,
    findings: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of(file: &'a str) -> Self {
        Self { file, rows: Vec::new(), bytes: 0, findings: 0 }
    }

    /// Counts the next finding of a file of JSON.
    pub(super) fn next_place(&mut self) -> usize {
        self.findings += 1;
        self.findings
    }

    pub(super) fn push(&mut self, row: ScanRow) -> Result<(), ScanError> {
        let texts = [&row.package, &row.installed, &row.severity, &row.target, &row.kind];
        let lengths = texts.into_iter().chain(&row.fixed).map(String::len);
        self.bytes = self.bytes.saturating_add(lengths.sum());
        if self.rows.len() >= MOST_ROWS || self.bytes > LONGEST_ROWS_BYTES {
            return Err(ScanError::TooMany { file: self.file.to_owned() });
        }
        self.rows.push(row);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<ScanRow> {
        self.rows
    }

    /// A text that must be there.
    pub(super) fn needed(
        &self,
        kind: &'static str,
        place: usize,
        what: &'static str,
        text: &str,
    ) -> Result<String, ScanError> {
        match text.trim() {
            "" => Err(ScanError::Lacking { file: self.file.to_owned(), kind, place, what }),
            plain => Ok(plain.to_owned()),
        }
    }
}

/// What an id is called in errors.
pub(super) const ID: &str = "vulnerability's id";

/// What a package is called in errors.
pub(super) const PACKAGE: &str = "package";

#[cfg(test)]
mod tests {
    use nodeward_domain::advisory::AliasId;

    use super::*;

    fn row(package: String) -> ScanRow {
        ScanRow {
            place: 1,
            id: AliasId::of("CVE-2026-0001"),
            package,
            installed: String::new(),
            fixed: Vec::new(),
            severity: String::new(),
            target: String::new(),
            kind: String::new(),
        }
    }

    #[test]
    fn findings_are_limited_in_number_and_in_length() {
        let mut rows = Rows::of("f");
        for _ in 0..MOST_ROWS {
            rows.push(row(String::new())).expect("one more");
        }
        let error = rows.push(row(String::new())).expect_err("too many").to_string();
        assert_eq!(error, "f: more than 1000000 findings, or too long ones");
        let mut rows = Rows::of("f");
        rows.bytes = LONGEST_ROWS_BYTES - 3;
        rows.push(row("abc".to_owned())).expect("one more");
        assert!(rows.push(row("d".to_owned())).is_err());
    }
}
