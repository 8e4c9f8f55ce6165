//! What many nodes lack, folded, and how feeds stand, to and from the wire.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use nodeward_domain::advisory::{Alias, FeedStatus, Published, StreamCoverage};
use nodeward_domain::fixes::fleet::{Asked, By, NodeNotJudged, PatchAge, PatchAgeRow, RESPONSIBLE};

use super::fixes::{back, out, step};
use super::{ROWS, optional_timestamp, word};
use crate::convert::{Invalid, list, required, timestamp_in, timestamp_out};
use crate::v1;

/// So many nodes are named beside the number of them.
const NAMED: usize = 100;

/// What is asked for, and by what rows are folded.
pub fn asked(request: v1::GetPatchAgeRequest) -> Result<(Asked, By), Invalid> {
    let by = match request.by.as_str() {
        "" => By::Fix,
        by => word("by", by, &By::ALL, By::word)?,
    };
    let mut responsible = BTreeSet::new();
    for one in request.responsible {
        if !RESPONSIBLE.contains(&one.as_str()) {
            return Err(Invalid::new("responsible", format!("{one:?} is not known here")));
        }
        responsible.insert(one);
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok((
        Asked {
            cluster: some(request.cluster),
            older_than: request.older_than_seconds.map(SignedDuration::from_secs),
            responsible,
            include_unfixed: request.include_unfixed,
            about: some(request.about),
        },
        by,
    ))
}

/// The request for that, of the first page.
#[must_use]
pub fn request(asked: &Asked, by: By) -> v1::GetPatchAgeRequest {
    v1::GetPatchAgeRequest {
        cluster: asked.cluster.clone().unwrap_or_default(),
        older_than_seconds: asked.older_than.map(|age| age.as_secs()),
        by: by.word().to_owned(),
        responsible: asked.responsible.iter().cloned().collect(),
        include_unfixed: asked.include_unfixed,
        about: asked.about.clone().unwrap_or_default(),
        page_size: 0,
        page_token: String::new(),
    }
}

/// A page of an answer: rows from `first` on, `size` at most.
#[must_use]
pub fn page(answer: &PatchAge, first: usize, size: usize) -> v1::GetPatchAgeResponse {
    let rows: Vec<v1::PatchAgeRow> =
        answer.rows.iter().skip(first).take(size).map(Into::into).collect();
    let next = first.saturating_add(rows.len());
    v1::GetPatchAgeResponse {
        as_of: Some(timestamp_out(answer.as_of)),
        policy_edition: answer.policy_edition.clone(),
        provider: answer.provider.clone(),
        next_page_token: if next < answer.rows.len() { next.to_string() } else { String::new() },
        rows,
        counts: Some((&answer.counts).into()),
        nodes: out(answer.nodes),
        stale: answer.stale.iter().take(NAMED).cloned().collect(),
        stale_count: out(answer.stale.len()),
        not_judged: answer
            .not_judged
            .iter()
            .take(NAMED)
            .map(|one| v1::NotJudged {
                source: one.node.clone(),
                version: String::new(),
                why: one.why.clone(),
            })
            .collect(),
        not_judged_count: out(answer.not_judged.len()),
        undated: out(answer.undated),
        incomplete: answer
            .incomplete
            .iter()
            .map(|(what, nodes)| v1::Incomplete { what: what.clone(), nodes: out(*nodes) })
            .collect(),
        row_count: out(answer.rows.len()),
        feeds: answer.feeds.iter().map(Into::into).collect(),
        shown: Some((&answer.shown).into()),
    }
}

impl TryFrom<v1::GetPatchAgeResponse> for PatchAge {
    type Error = Invalid;

    fn try_from(answer: v1::GetPatchAgeResponse) -> Result<Self, Invalid> {
        let mut stale = answer.stale;
        let unnamed = |named: usize, all: u64| back(all).saturating_sub(named);
        match unnamed(stale.len(), answer.stale_count) {
            0 => {}
            more => stale.push(format!("and {more} more")),
        }
        let mut not_judged: Vec<NodeNotJudged> = answer
            .not_judged
            .into_iter()
            .map(|one| NodeNotJudged { node: one.source, why: one.why })
            .collect();
        match unnamed(not_judged.len(), answer.not_judged_count) {
            0 => {}
            more => not_judged
                .push(NodeNotJudged { node: format!("and {more} more"), why: String::new() }),
        }
        Ok(Self {
            as_of: timestamp_in("as_of", answer.as_of)?,
            policy_edition: answer.policy_edition,
            provider: answer.provider,
            feeds: list("feeds", answer.feeds, ROWS, FeedStatus::try_from)?,
            rows: list("rows", answer.rows, ROWS, PatchAgeRow::try_from)?,
            counts: required("counts", answer.counts)?.into(),
            shown: required("shown", answer.shown)?.into(),
            nodes: back(answer.nodes),
            stale,
            not_judged,
            undated: back(answer.undated),
            incomplete: answer
                .incomplete
                .into_iter()
                .map(|one| (one.what, back(one.nodes)))
                .collect(),
        })
    }
}

impl From<&PatchAgeRow> for v1::PatchAgeRow {
    fn from(row: &PatchAgeRow) -> Self {
        let texts = |all: &BTreeSet<String>| all.iter().cloned().collect();
        Self {
            subject: row.subject.clone(),
            cluster: row.cluster.clone(),
            packages: texts(&row.packages),
            installed: texts(&row.installed),
            fixed: texts(&row.fixed),
            records: texts(&row.records),
            aliases: row.aliases.iter().map(Into::into).collect(),
            images: texts(&row.images),
            nodes: out(row.nodes),
            examples: row.examples.clone(),
            fixes: out(row.fixes),
            oldest: row.oldest.as_ref().map(Into::into),
            over_line: out(row.over_line),
            responsible: row.responsible.as_ref().map(Into::into),
            action: row.action.as_ref().map(Into::into),
            step: row.step.word().to_owned(),
            note: row.note.clone(),
        }
    }
}

impl TryFrom<v1::PatchAgeRow> for PatchAgeRow {
    type Error = Invalid;

    fn try_from(row: v1::PatchAgeRow) -> Result<Self, Invalid> {
        let aliases = list("aliases", row.aliases, ROWS, Alias::try_from)?;
        Ok(Self {
            subject: row.subject,
            cluster: row.cluster,
            packages: row.packages.into_iter().collect(),
            installed: row.installed.into_iter().collect(),
            fixed: row.fixed.into_iter().collect(),
            records: row.records.into_iter().collect(),
            aliases: aliases.into_iter().collect(),
            images: row.images.into_iter().collect(),
            nodes: back(row.nodes),
            examples: row.examples,
            fixes: back(row.fixes),
            oldest: row.oldest.map(Published::try_from).transpose()?,
            over_line: back(row.over_line),
            responsible: row.responsible.map(TryInto::try_into).transpose()?,
            action: row.action.map(TryInto::try_into).transpose()?,
            step: step(&row.step)?,
            note: row.note,
        })
    }
}

impl From<&FeedStatus> for v1::FeedStatus {
    fn from(feed: &FeedStatus) -> Self {
        Self {
            name: feed.name.clone(),
            as_of: Some(timestamp_out(feed.as_of)),
            imported_at: Some(timestamp_out(feed.imported_at)),
            newest_published: feed.newest_published.map(timestamp_out),
            digest: feed.digest.clone(),
            is_stale: feed.is_stale,
            stale_at: Some(timestamp_out(feed.stale_at)),
            coverage: feed
                .coverage
                .iter()
                .map(|one| v1::StreamCoverage {
                    stream: one.stream.clone(),
                    coverage: one.coverage.clone(),
                })
                .collect(),
            statements: out(feed.statements),
            left_out: feed
                .left_out
                .iter()
                .map(|(what, number)| v1::LeftOut { what: what.clone(), number: out(*number) })
                .collect(),
            moves: out(feed.moves),
        }
    }
}

impl TryFrom<v1::FeedStatus> for FeedStatus {
    type Error = Invalid;

    fn try_from(feed: v1::FeedStatus) -> Result<Self, Invalid> {
        let left_out: BTreeMap<String, usize> =
            feed.left_out.into_iter().map(|one| (one.what, back(one.number))).collect();
        Ok(Self {
            as_of: timestamp_in("as_of", feed.as_of)?,
            imported_at: timestamp_in("imported_at", feed.imported_at)?,
            newest_published: optional_timestamp("newest_published", feed.newest_published)?,
            stale_at: timestamp_in("stale_at", feed.stale_at)?,
            name: feed.name,
            digest: feed.digest,
            is_stale: feed.is_stale,
            coverage: feed
                .coverage
                .into_iter()
                .map(|one| StreamCoverage { stream: one.stream, coverage: one.coverage })
                .collect(),
            statements: back(feed.statements),
            left_out,
            moves: back(feed.moves),
        })
    }
}
