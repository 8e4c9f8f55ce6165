//! A scanner's list and its labels, to and from the wire.

use nodeward_domain::advisory::{AliasId, FeedStatus, Published};
use nodeward_domain::fixes::fleet::RESPONSIBLE;
use nodeward_domain::fixes::scan::{Elsewhere, Labelled, Reported, ScanLabels, ScanVerdict};

use super::fixes::{back, out, step};
use super::{ROWS, word};
use crate::convert::{Invalid, list, timestamp_in, timestamp_out};
use crate::v1;

/// The most rows of one request.
pub const SCAN_ROWS: usize = 2_000;

/// Rows of a scanner's list, each with the place that comes back with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedScan {
    /// Only nodes of this cluster.
    pub cluster: Option<String>,
    /// The places, one for each row.
    pub places: Vec<u64>,
    /// The rows.
    pub rows: Vec<Reported>,
}

impl TryFrom<v1::LabelScanRequest> for AskedScan {
    type Error = Invalid;

    fn try_from(request: v1::LabelScanRequest) -> Result<Self, Invalid> {
        let rows = list("rows", request.rows, SCAN_ROWS, |row| {
            let needed = |field: &str, text: &str| match text.is_empty() {
                true => Err(Invalid::new(field, "is missing".to_owned())),
                false => Ok(()),
            };
            needed("id", &row.id)?;
            needed("package", &row.package)?;
            let reported = Reported {
                id: AliasId::of(&row.id),
                package: row.package,
                installed: row.installed,
                target: row.target,
            };
            Ok((row.place, reported))
        })?;
        let (places, rows) = rows.into_iter().unzip();
        let cluster = Some(request.cluster).filter(|cluster| !cluster.is_empty());
        Ok(Self { cluster, places, rows })
    }
}

/// A row as it is asked.
#[must_use]
pub fn reported(place: u64, row: &Reported) -> v1::ReportedRow {
    v1::ReportedRow {
        place,
        id: row.id.to_string(),
        package: row.package.clone(),
        installed: row.installed.clone(),
        target: row.target.clone(),
    }
}

/// The answer to rows with those places.
#[must_use]
pub fn response(labels: &ScanLabels, places: &[u64]) -> v1::LabelScanResponse {
    let row = |(place, row): (&u64, &Labelled)| v1::LabelledRow { place: *place, ..row.into() };
    v1::LabelScanResponse {
        as_of: Some(timestamp_out(labels.as_of)),
        policy_edition: labels.policy_edition.clone(),
        provider: labels.provider.clone(),
        rows: places.iter().zip(&labels.rows).map(row).collect(),
        incomplete: labels
            .incomplete
            .iter()
            .map(|(what, nodes)| v1::Incomplete { what: what.clone(), nodes: out(*nodes) })
            .collect(),
        nodes: out(labels.nodes),
        feeds: labels.feeds.iter().map(Into::into).collect(),
    }
}

/// The labels of rows that were asked with those places: one for each, in their order.
pub fn labels(answer: v1::LabelScanResponse, places: &[u64]) -> Result<ScanLabels, Invalid> {
    if !answer.rows.iter().map(|row| &row.place).eq(places) {
        let why = "are not those that were asked for, in their order".to_owned();
        return Err(Invalid::new("rows", why));
    }
    Ok(ScanLabels {
        as_of: timestamp_in("as_of", answer.as_of)?,
        policy_edition: answer.policy_edition,
        provider: answer.provider,
        feeds: list("feeds", answer.feeds, ROWS, FeedStatus::try_from)?,
        nodes: back(answer.nodes),
        incomplete: answer.incomplete.into_iter().map(|one| (one.what, back(one.nodes))).collect(),
        rows: list("rows", answer.rows, SCAN_ROWS, Labelled::try_from)?,
    })
}

impl From<&Labelled> for v1::LabelledRow {
    fn from(row: &Labelled) -> Self {
        Self {
            place: 0,
            verdict: row.verdict.word().to_owned(),
            why: row.why.clone(),
            record: row.record.clone(),
            fixed: row.fixed.clone(),
            published: row.published.as_ref().map(Into::into),
            responsible: row.responsible.as_ref().map(Into::into),
            action: row.action.as_ref().map(Into::into),
            step: row.step.map(|step| step.word().to_owned()),
            nodes: out(row.nodes),
            examples: row.examples.clone(),
            elsewhere: row
                .elsewhere
                .iter()
                .map(|one| v1::Elsewhere {
                    verdict: one.verdict.word().to_owned(),
                    responsible: one.responsible.clone(),
                    nodes: out(one.nodes),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::LabelledRow> for Labelled {
    type Error = Invalid;

    fn try_from(row: v1::LabelledRow) -> Result<Self, Invalid> {
        Ok(Self {
            verdict: verdict(&row.verdict)?,
            why: row.why,
            record: row.record,
            fixed: row.fixed,
            published: row.published.map(Published::try_from).transpose()?,
            responsible: row.responsible.map(TryInto::try_into).transpose()?,
            action: row.action.map(TryInto::try_into).transpose()?,
            step: row.step.as_deref().map(step).transpose()?,
            nodes: back(row.nodes),
            examples: row.examples,
            elsewhere: list("elsewhere", row.elsewhere, ROWS, Elsewhere::try_from)?,
        })
    }
}

impl TryFrom<v1::Elsewhere> for Elsewhere {
    type Error = Invalid;

    fn try_from(one: v1::Elsewhere) -> Result<Self, Invalid> {
        let is_known = RESPONSIBLE.contains(&one.responsible.as_str());
        if !is_known && !one.responsible.is_empty() {
            let why = format!("{:?} is not known here", one.responsible);
            return Err(Invalid::new("responsible", why));
        }
        Ok(Self {
            verdict: verdict(&one.verdict)?,
            responsible: one.responsible,
            nodes: back(one.nodes),
        })
    }
}

fn verdict(value: &str) -> Result<ScanVerdict, Invalid> {
    word("verdict", value, &ScanVerdict::ALL, ScanVerdict::word)
}
