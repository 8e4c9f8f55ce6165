//! Lists of findings of vulnerability scanners, as operators export them: Trivy's and
//! Grype's JSON, and tables (CSV) of any other. What a scanner says is taken down as it
//! stands, to be held against what the node's own facts say. Sources of the forms: the
//! scanners' own documentation, named in each file.

mod columns;
mod grype;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod trivy;

use nodeward_domain::advisory::AliasId;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use columns::{ColumnMapping, MappingError};

use crate::unread::{self, Unread};

/// The longest list that is read: a report on a whole cluster may have 100 MB.
pub const LONGEST_SCAN_BYTES: usize = 256 << 20;

/// The most findings that are read of one list.
pub const MOST_ROWS: usize = 1_000_000;

/// The longest text that all findings of a list together may have: rows repeat what stands
/// in a file once.
pub const LONGEST_ROWS_BYTES: usize = 512 << 20;

/// Why a list was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is JSON that cannot be read. The source names line and column.
    #[error("{file}: no scanner's JSON")]
    Malformed {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// It is no table. The source names line and record.
    #[error("{file}: no table")]
    Table {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: csv::Error,
    },
    /// It is in no form that is known.
    #[error("{file}: no scanner's list: {what}")]
    Form {
        /// The file.
        file: String,
        /// What is missing, or there and not known.
        what: &'static str,
    },
    /// It is of another version of its form.
    #[error("{file}: SchemaVersion {version} of Trivy is not read, 2 is")]
    SchemaVersion {
        /// The file.
        file: String,
        /// Its version.
        version: u64,
    },
    /// It is not whole.
    #[error("{file}: cut off: {what}")]
    CutOff {
        /// The file.
        file: String,
        /// By what that is seen.
        what: &'static str,
    },
    /// The table lacks a column that must be there.
    #[error("{file}: no column for the {what}: there are {header}")]
    NoColumn {
        /// The file.
        file: String,
        /// What would stand in it.
        what: &'static str,
        /// The columns that there are.
        header: String,
    },
    /// The mapping names a column that the table does not have.
    #[error("{file}: no column {column:?}: there are {header}")]
    NoSuchColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The columns that there are.
        header: String,
    },
    /// Two columns have the same name.
    #[error("{file}: two columns {column:?}")]
    TwoColumns {
        /// The file.
        file: String,
        /// Their name.
        column: String,
    },
    /// A finding lacks what it cannot do without.
    #[error("{file}: {kind} {place} has no {what}")]
    Lacking {
        /// The file.
        file: String,
        /// `row` or `finding`.
        kind: &'static str,
        /// Which one; see [`ScanRow::place`].
        place: usize,
        /// What it lacks.
        what: &'static str,
    },
    /// Something stands in the place of a vulnerability's id that is none.
    #[error("{file}: row {place}: {text:?} is no vulnerability's id")]
    NoId {
        /// The file.
        file: String,
        /// Which row.
        place: usize,
        /// What stands there, shortened.
        text: String,
    },
    /// It has more findings, or longer ones, than are read.
    #[error("{file}: more than {MOST_ROWS} findings, or too long ones")]
    TooMany {
        /// The file.
        file: String,
    },
}

/// What a list came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScanTool {
    /// Trivy, its Kubernetes report or its operator.
    Trivy,
    /// Grype.
    Grype,
    /// Any other, by way of a table.
    Table,
}

/// A scanner's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What it came from.
    pub tool: ScanTool,
    /// What was scanned, in the scanner's words: an image, a path, a cluster. May be empty.
    pub scanned: String,
    /// The findings, in the order in which they stood.
    pub rows: Vec<ScanRow>,
}

/// One finding: a vulnerability of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Where it stood. In a table the row: the header is row 1, rows whose cells are all
    /// empty count too, empty lines do not. In JSON the number of the finding in the order
    /// of the file, from 1. Rows that came out of one cell with several ids have one place.
    pub place: usize,
    /// The vulnerability, as the scanner names it.
    pub id: AliasId,
    /// The package: binary or source, as the scanner likes.
    pub package: String,
    /// The version that is installed; may be empty.
    pub installed: String,
    /// Versions that fix it; empty where the scanner names none.
    pub fixed: Vec<String>,
    /// How bad it is, as written; may be empty.
    pub severity: String,
    /// What it was found on: an image, a path or a node; may be empty.
    pub target: String,
    /// Of which kind the package is, as written: a distribution, a language; may be empty.
    pub kind: String,
}

/// The keys by which the forms of JSON are told apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    matches: Option<IgnoredAny>,
    #[serde(rename = "SchemaVersion")]
    schema_version: Option<u64>,
    #[serde(rename = "ClusterName")]
    cluster_name: Option<IgnoredAny>,
    #[serde(rename = "Resources")]
    resources: Option<IgnoredAny>,
    kind: Option<IgnoredAny>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    runs: Option<IgnoredAny>,
}

/// Reads a scanner's list. Its form is told by what stands in it, not by its name. A
/// `mapping` says which columns of a table mean what; it is not used for JSON.
///
/// # Errors
/// When it is in no known form, is not whole, or a finding in it lacks the vulnerability or
/// the package: nothing is left out in silence.
pub fn read_scan(
    file: &str,
    bytes: &[u8],
    mapping: Option<&ColumnMapping>,
) -> Result<Scan, ScanError> {
    let text = unread::text(file, bytes, LONGEST_SCAN_BYTES)?;
    let text = text.strip_prefix(unread::MARK).unwrap_or(text);
    let form = |what| ScanError::Form { file: file.to_owned(), what };
    match text.trim_start().chars().next() {
        None => Err(form("it is empty")),
        Some('{') => read_json(file, text),
        Some('[') => Err(form("a list of JSON without a report around it")),
        Some('<') => Err(form("it is XML or a web page")),
        Some(_) => table::read(file, text, mapping),
    }
}

fn read_json(file: &str, text: &str) -> Result<Scan, ScanError> {
    let keys: Keys = parse(file, text)?;
    let form = |what| ScanError::Form { file: file.to_owned(), what };
    match keys {
        Keys { matches: Some(_), .. } => grype::read(file, text),
        Keys { cluster_name: Some(_), .. } | Keys { resources: Some(_), .. } => {
            trivy::read_cluster(file, text)
        }
        Keys { schema_version: Some(2), .. } => trivy::read_report(file, text),
        Keys { schema_version: Some(version), .. } => {
            Err(ScanError::SchemaVersion { file: file.to_owned(), version })
        }
        Keys { kind: Some(_), .. } => trivy::read_objects(file, text),
        Keys { bom_format: Some(_), .. } => Err(form("CycloneDX is not read")),
        Keys { runs: Some(_), .. } => Err(form("SARIF is not read, it lacks installed versions")),
        _ => Err(form("JSON of neither Trivy nor Grype")),
    }
}

/// Reads JSON. The depth of what is read is limited by the parser, and what is not read is
/// passed over without depth.
fn parse<'a, T: Deserialize<'a>>(file: &str, text: &'a str) -> Result<T, ScanError> {
    serde_json::from_str(text)
        .map_err(|source| ScanError::Malformed { file: file.to_owned(), source })
}
