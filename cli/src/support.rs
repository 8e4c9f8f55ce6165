//! What is handed in with the provider: the filtered list that its policy asks for, a summary
//! to paste, the evidence, and everything that was left out with the reason. Made out of one
//! answer about all missing fixes; nothing is judged here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nodeward_domain::fixes::Step;
use nodeward_domain::fixes::fleet::{PatchAge, PatchAgeRow};
use nodeward_domain::policy::{Policy, Standing};
use nodeward_domain::responsibility::Responsible;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::inert;

mod summary;

use summary::summary;

/// The rules that decide what is handed in.
const RULES: [&str; 5] = [
    "cve-fix-under-30d",
    "cve-update-first",
    "cve-filtered-list",
    "cve-provider-acts",
    "cve-managed-only",
];

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// The folder is not empty.
    #[error("--out {path}: is there already; name a folder that is not")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("--out {path}: {source}")]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A table cannot be made.
    #[error("the list cannot be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The evidence cannot be made.
    #[error("the evidence cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// For which moment.
    pub as_of: Timestamp,
    /// Where it lies.
    pub folder: PathBuf,
    /// The provider's name.
    pub provider: String,
    /// Rows of the filtered list: vulnerabilities of a component.
    pub filtered: usize,
    /// Rows that were left out, by reason.
    pub excluded: BTreeMap<String, usize>,
    /// Whether nothing is missing from it.
    pub complete: bool,
}

/// Writes everything into a folder that is made for it: all files, or none.
pub fn export(folder: &Path, answer: &PatchAge, policy: &Policy) -> Result<Exported, SupportError> {
    let unwritable =
        |path: &Path, source| SupportError::Unwritable { path: path.to_owned(), source };
    if folder.symlink_metadata().is_ok() {
        return Err(SupportError::Exists { path: folder.to_owned() });
    }
    let (files, exported) = files(folder, answer, policy)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| unwritable(parent, source))?;
    // Beside it, so that it can be put in its place at once.
    let made = parent.join(format!(".nodeward-export-{}", std::process::id()));
    let written = std::fs::create_dir(&made).and_then(|()| {
        files.iter().try_for_each(|(name, bytes)| std::fs::write(made.join(name), bytes))
    });
    let placed = written.and_then(|()| std::fs::rename(&made, folder));
    if let Err(source) = placed {
        // What is left of it is of no use; that it cannot be removed either says nothing new.
        let _ = std::fs::remove_dir_all(&made);
        return Err(unwritable(folder, source));
    }
    Ok(exported)
}

/// Files by name.
type Files = Vec<(&'static str, Vec<u8>)>;

/// The files, the checksums last.
fn files(
    folder: &Path,
    answer: &PatchAge,
    policy: &Policy,
) -> Result<(Files, Exported), SupportError> {
    let (filtered, excluded): (Vec<&PatchAgeRow>, Vec<&PatchAgeRow>) =
        answer.rows.iter().partition(|row| is_handed_in(row));
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for row in &excluded {
        *reasons.entry(reason(row)).or_default() += names(row).len();
    }
    let exported = Exported {
        as_of: answer.as_of,
        folder: folder.to_owned(),
        provider: answer.provider.clone(),
        filtered: filtered.iter().map(|row| names(row).len()).sum(),
        excluded: reasons,
        complete: answer.is_complete(),
    };
    let mut files = vec![
        ("filtered-cves.csv", filtered_csv(&filtered, answer)?),
        ("excluded.csv", excluded_csv(&excluded, answer)?),
        ("summary.md", summary(&filtered, answer, policy, &exported).into_bytes()),
        ("evidence.json", evidence(answer, policy)?),
        ("VERSION", format!("nodeward {}\n", env!("CARGO_PKG_VERSION")).into_bytes()),
    ];
    let mut sums = String::new();
    for (name, bytes) in &files {
        let digest = Sha256::digest(bytes);
        for byte in digest {
            let _ = write!(sums, "{byte:02x}");
        }
        let _ = writeln!(sums, "  {name}");
    }
    files.push(("SHA256SUMS", sums.into_bytes()));
    Ok((files, exported))
}

/// Only what the last step of the order makes the provider's: everything else the policy
/// excludes.
fn is_handed_in(row: &PatchAgeRow) -> bool {
    row.step == Step::HandIn && row.responsible == Some(Responsible::Provider)
}

/// Why a row is not handed in.
fn reason(row: &PatchAgeRow) -> String {
    // Whose fix it is, or what holds it off, where that is said.
    if matches!(row.step, Step::NoFix | Step::NoFinding) && !row.note.is_empty() {
        return row.note.clone();
    }
    step_reason(row.step).to_owned()
}

const fn step_reason(step: Step) -> &'static str {
    match step {
        Step::Unreadable => "a version cannot be read or compared",
        Step::NoFinding => "mitigated on the node",
        Step::NoFix => "the vendor has no fix",
        Step::NotRunning => "the fix is installed, a reboot puts it in force",
        Step::Undated => "nobody knows when the fix was published",
        Step::Young => "the fix is not older than the policy's line",
        Step::NotShipped => "the node image did not bring the package",
        Step::LineEnded => "no new images come for this operating system",
        Step::OfferedImage => "an offered node image has the fix",
        Step::NotOnNewest => "the node is not on the newest offered image",
        Step::HandIn => "handed in",
        Step::OfferedUnknown => "which images are offered is not known",
        Step::ShippedUnknown => "whether the node image brought the package is not known",
        Step::NoRule => "this edition of the policy draws no line",
        Step::NoProvider => "the node has no provider",
        Step::PlatformUnknown => "whether the node has a provider is not known",
    }
}

/// The names of what a row is about; the record's own where it has none.
fn names(row: &PatchAgeRow) -> Vec<(String, &'static str)> {
    if row.aliases.is_empty() {
        return vec![(row.subject.clone(), "unrated")];
    }
    row.aliases.iter().map(|alias| (alias.id.to_string(), alias.rating.word())).collect()
}

/// Where a vendor's record can be read.
fn address(record: &str) -> String {
    if record.starts_with("USN-") {
        format!("https://ubuntu.com/security/notices/{record}")
    } else if record.starts_with("DSA-") || record.starts_with("DLA-") {
        format!("https://security-tracker.debian.org/tracker/{record}")
    } else if record.contains("com.microsoft") {
        "https://github.com/microsoft/AzureLinuxVulnerabilityData".to_owned()
    } else {
        String::new()
    }
}

fn joined(all: &std::collections::BTreeSet<String>) -> String {
    all.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn csv_bytes(
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>, SupportError> {
    let mut csv =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    csv.write_record(header)?;
    for row in rows {
        csv.write_record(row.iter().map(|cell| inert::cell(cell).into_owned()))?;
    }
    Ok(csv.into_inner().map_err(|error| csv::Error::from(error.into_error()))?)
}

/// What both lists tell of a vulnerability.
const COLUMNS: [&str; 13] = [
    "cve",
    "severity",
    "component",
    "installed_version",
    "fixed_version",
    "vendor_fix_date",
    "date_kind",
    "age_days",
    "node_image",
    "node_count",
    "example_node",
    "advisory",
    "advisory_url",
];

/// The same of one row: a record for each vulnerability that it is about.
fn records<'a>(row: &'a PatchAgeRow, now: Timestamp) -> impl Iterator<Item = Vec<String>> + 'a {
    names(row).into_iter().map(move |(name, rating)| {
        vec![
            name,
            rating.to_owned(),
            joined(&row.packages),
            joined(&row.installed),
            joined(&row.fixed),
            row.oldest.as_ref().map_or_else(String::new, |one| one.at.to_string()),
            row.oldest.as_ref().map_or("", |one| one.kind.word()).to_owned(),
            row.oldest_age_days(now).map_or_else(String::new, |days| days.to_string()),
            joined(&row.images),
            row.nodes.to_string(),
            row.examples.first().cloned().unwrap_or_default(),
            row.subject.clone(),
            address(&row.subject),
        ]
    })
}

fn filtered_csv(rows: &[&PatchAgeRow], answer: &PatchAge) -> Result<Vec<u8>, SupportError> {
    csv_bytes(&COLUMNS, rows.iter().flat_map(|row| records(row, answer.as_of)))
}

fn excluded_csv(rows: &[&PatchAgeRow], answer: &PatchAge) -> Result<Vec<u8>, SupportError> {
    let header = [COLUMNS.as_slice(), &["reason", "responsible", "action"]].concat();
    let records = rows.iter().flat_map(|row| {
        let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
        let why = [
            reason(row),
            who.unwrap_or_default(),
            row.action.as_ref().map(ToString::to_string).unwrap_or_default(),
        ];
        records(row, answer.as_of).map(move |mut record| {
            record.extend(why.clone());
            record
        })
    });
    csv_bytes(&header, records)
}

/// Everything, for machines: each row with date, feed, revision and step.
fn evidence(answer: &PatchAge, policy: &Policy) -> Result<Vec<u8>, SupportError> {
    #[derive(Serialize)]
    struct Evidence<'a> {
        tool: &'static str,
        version: &'static str,
        rules: BTreeMap<&'static str, &'a str>,
        answer: &'a PatchAge,
    }
    let rules = RULES
        .into_iter()
        .filter_map(|id| match policy.rule(id) {
            Standing::InForce(rule) => Some((id, rule.source.as_str())),
            Standing::Lacking { .. } => None,
        })
        .collect();
    let evidence = Evidence { tool: "nodeward", version: env!("CARGO_PKG_VERSION"), rules, answer };
    let mut bytes = inert::json(&serde_json::to_string_pretty(&evidence)?).into_bytes();
    bytes.push(b'\n');
    Ok(bytes)
}
