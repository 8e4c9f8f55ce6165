//! A scanner's list, read from a file and put together with what the aggregator says of each
//! row. Nothing is judged here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nodeward_domain::advisory::{AliasId, FeedStatus};
use nodeward_domain::fixes::row::rank;
use nodeward_domain::fixes::scan::{Labelled, Reported, ScanLabels, ScanVerdict};
use nodeward_feeds::scan::{
    ColumnMapping, LONGEST_SCAN_BYTES, Scan, ScanError, ScanRow, ScanTool, read_scan,
};
use serde::Serialize;

use crate::exit::Exit;
use crate::paths::{self, PathError};

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is no list of a scanner.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

/// Reads a list. Of a file that is longer than any list no more than that is read.
pub fn read(file: &Path, columns: Option<&ColumnMapping>) -> Result<Scan, ScanFileError> {
    let mut bytes = Vec::new();
    let longest = u64::try_from(LONGEST_SCAN_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    paths::open(file)?
        .take(longest)
        .read_to_end(&mut bytes)
        .map_err(|source| PathError::Unreadable { path: PathBuf::from(file), source })?;
    Ok(read_scan(&file.to_string_lossy(), &bytes, columns)?)
}

/// What is asked about a list: rows that say the same are asked once.
#[derive(Debug)]
pub struct ScanQuestion {
    /// The rows, each once.
    pub rows: Vec<Reported>,
    /// Which of them each row of the list is.
    of: Vec<usize>,
}

impl ScanQuestion {
    /// About that list.
    #[must_use]
    pub fn of(scan: &Scan) -> Self {
        let mut known: BTreeMap<Reported, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        let of = scan.rows.iter().map(|row| {
            let reported = Reported {
                id: row.id.clone(),
                package: row.package.clone(),
                installed: row.installed.clone(),
                target: row.target.clone(),
            };
            *known.entry(reported).or_insert_with_key(|reported| {
                rows.push(reported.clone());
                rows.len() - 1
            })
        });
        let of = of.collect();
        Self { rows, of }
    }

    /// The answer about the list. `labels` has one label for each row of the question.
    #[must_use]
    pub fn answer(&self, scan: Scan, cluster: Option<&str>, labels: ScanLabels) -> ScanAnswer {
        let complete = labels.is_complete();
        let of_row = |(row, of): (ScanRow, &usize)| {
            Some(LabelledRow { label: labels.rows.get(*of)?.clone(), row: row.into() })
        };
        ScanAnswer {
            tool: match scan.tool {
                ScanTool::Trivy => "trivy",
                ScanTool::Grype => "grype",
                ScanTool::Table => "table",
            },
            scanned: scan.scanned,
            cluster: cluster.map(ToOwned::to_owned),
            rows: scan.rows.into_iter().zip(&self.of).filter_map(of_row).collect(),
            as_of: labels.as_of,
            policy_edition: labels.policy_edition,
            provider: labels.provider,
            feeds: labels.feeds,
            nodes: labels.nodes,
            complete,
            incomplete: labels.incomplete,
        }
    }
}

/// A scanner's list with a label on every row.
#[derive(Debug, Serialize)]
pub struct ScanAnswer {
    /// What the list came from: trivy, grype or table.
    pub tool: &'static str,
    /// What was scanned, in the scanner's words.
    pub scanned: String,
    /// Only nodes of this cluster were looked at.
    pub cluster: Option<String>,
    /// For which moment.
    pub as_of: Timestamp,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition.
    pub provider: String,
    /// The feeds that it rests on.
    pub feeds: Vec<FeedStatus>,
    /// So many nodes there are.
    pub nodes: usize,
    /// Whether nothing is missing from the answer.
    pub complete: bool,
    /// What could not be said of nodes, with the number of them.
    pub incomplete: BTreeMap<String, usize>,
    /// All rows, in the order of the file.
    pub rows: Vec<LabelledRow>,
}

/// A row with its label.
#[derive(Debug, Serialize)]
pub struct LabelledRow {
    /// As the scanner has it.
    #[serde(flatten)]
    pub row: ScannedRow,
    /// What is to be said of it.
    #[serde(flatten)]
    pub label: Labelled,
}

/// A row as the scanner has it.
#[derive(Debug, Serialize)]
pub struct ScannedRow {
    /// Where it stands in the file.
    pub place: usize,
    /// The vulnerability.
    pub id: AliasId,
    /// The package.
    pub package: String,
    /// The version that is installed; may be empty.
    pub installed: String,
    /// What it was found on; may be empty.
    pub target: String,
    /// Of which kind the package is; may be empty.
    pub kind: String,
    /// How bad it is, in the scanner's words; may be empty.
    pub scanner_severity: String,
    /// Versions that fix it, by the scanner.
    pub scanner_fixed: Vec<String>,
}

impl From<ScanRow> for ScannedRow {
    fn from(row: ScanRow) -> Self {
        Self {
            place: row.place,
            id: row.id,
            package: row.package,
            installed: row.installed,
            target: row.target,
            kind: row.kind,
            scanner_severity: row.severity,
            scanner_fixed: row.fixed,
        }
    }
}

impl ScanAnswer {
    /// How the command ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.rows.iter().any(|row| row.label.is_finding()), self.complete) {
            (true, _) => Exit::Findings,
            (false, true) => Exit::Clean,
            (false, false) => Exit::Incomplete,
        }
    }

    /// So many rows have each verdict, what matters most first.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<ScanVerdict, usize> {
        let mut verdicts = BTreeMap::new();
        for row in &self.rows {
            *verdicts.entry(row.label.verdict).or_default() += 1;
        }
        verdicts
    }

    /// The rows that agree and need somebody: who can act at once first, of these the oldest
    /// fix.
    #[must_use]
    pub fn acting(&self) -> Vec<&LabelledRow> {
        let mut acting: Vec<&LabelledRow> =
            self.rows.iter().filter(|row| row.label.is_finding()).collect();
        acting.sort_by_key(|one| {
            let published = one.label.published.as_ref();
            let at = published.map_or(Timestamp::MAX, |published| published.at);
            (rank(one.label.responsible.as_ref()), at, one.row.place)
        });
        acting
    }
}
