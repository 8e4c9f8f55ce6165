//! The fixes that one node lacks, to and from the wire.

use nodeward_domain::advisory::{Alias, AliasId, DateKind, Published, Rating};
use nodeward_domain::fixes::Step;
use nodeward_domain::fixes::answer::{ContainerRow, FeedRow, FirstTurn, FixesAnswer, NotJudged};
use nodeward_domain::fixes::counts::FixCounts;
use nodeward_domain::fixes::opinion::Opinion;
use nodeward_domain::fixes::row::{FixRow, PackageFixes};

use super::{ROWS, optional_timestamp, word};
use crate::convert::{Invalid, list, required, timestamp_in, timestamp_out};
use crate::v1;

/// A number as it travels.
pub(super) fn out(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number that has travelled.
pub(super) fn back(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl From<&FixesAnswer> for v1::FixesAnswer {
    fn from(answer: &FixesAnswer) -> Self {
        Self {
            stream: answer.stream.clone(),
            incomplete: answer.incomplete.clone(),
            silence: answer.silence.clone(),
            counts: Some((&answer.counts).into()),
            first: answer.first.as_ref().map(|first| v1::FirstTurn {
                responsible: Some((&first.responsible).into()),
                action: Some((&first.action).into()),
            }),
            packages: answer.packages.iter().map(Into::into).collect(),
            not_covered: answer.not_covered.iter().map(Into::into).collect(),
            unknown: answer.unknown.iter().map(Into::into).collect(),
            feeds: answer.feeds.iter().map(Into::into).collect(),
            containers: answer.containers.iter().map(Into::into).collect(),
            opinion: answer.opinion.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::FixesAnswer> for FixesAnswer {
    type Error = Invalid;

    fn try_from(answer: v1::FixesAnswer) -> Result<Self, Invalid> {
        Ok(Self {
            stream: answer.stream,
            incomplete: answer.incomplete,
            silence: answer.silence,
            counts: required("counts", answer.counts)?.into(),
            first: answer.first.map(FirstTurn::try_from).transpose()?,
            packages: list("packages", answer.packages, ROWS, PackageFixes::try_from)?,
            not_covered: answer.not_covered.into_iter().map(Into::into).collect(),
            unknown: answer.unknown.into_iter().map(Into::into).collect(),
            feeds: list("feeds", answer.feeds, ROWS, FeedRow::try_from)?,
            containers: list("containers", answer.containers, ROWS, ContainerRow::try_from)?,
            opinion: answer.opinion.map(Opinion::try_from).transpose()?,
        })
    }
}

impl From<&ContainerRow> for v1::ContainerRow {
    fn from(row: &ContainerRow) -> Self {
        Self {
            name: row.name.clone(),
            is_covered: row.is_covered,
            ids: row.ids.clone(),
            since: row.since.map(timestamp_out),
            responsible: row.responsible.as_ref().map(Into::into),
            action: row.action.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::ContainerRow> for ContainerRow {
    type Error = Invalid;

    fn try_from(row: v1::ContainerRow) -> Result<Self, Invalid> {
        Ok(Self {
            name: row.name,
            is_covered: row.is_covered,
            ids: row.ids,
            since: optional_timestamp("since", row.since)?,
            responsible: row.responsible.map(TryInto::try_into).transpose()?,
            action: row.action.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&Opinion> for v1::Opinion {
    fn from(opinion: &Opinion) -> Self {
        Self {
            image: opinion.image.clone(),
            reported_at: Some(timestamp_out(opinion.reported_at)),
            agree: out(opinion.agree),
            we_alone: opinion.we_alone.clone(),
            they_alone: opinion.they_alone.clone(),
        }
    }
}

impl TryFrom<v1::Opinion> for Opinion {
    type Error = Invalid;

    fn try_from(opinion: v1::Opinion) -> Result<Self, Invalid> {
        Ok(Self {
            image: opinion.image,
            reported_at: timestamp_in("opinion.reported_at", opinion.reported_at)?,
            agree: back(opinion.agree),
            we_alone: opinion.we_alone,
            they_alone: opinion.they_alone,
        })
    }
}

impl TryFrom<v1::FirstTurn> for FirstTurn {
    type Error = Invalid;

    fn try_from(first: v1::FirstTurn) -> Result<Self, Invalid> {
        Ok(Self {
            responsible: required("first.responsible", first.responsible)?.try_into()?,
            action: required("first.action", first.action)?.try_into()?,
        })
    }
}

impl From<&FixCounts> for v1::FixCounts {
    fn from(counts: &FixCounts) -> Self {
        Self {
            customer: out(counts.customer),
            provider: out(counts.provider),
            automation: out(counts.automation),
            nobody_yet: out(counts.nobody_yet),
            no_fix: out(counts.no_fix),
            unknown: out(counts.unknown),
            mitigated: out(counts.mitigated),
            over_line: out(counts.over_line),
            judged: out(counts.judged),
            not_covered: out(counts.not_covered),
            not_judged: out(counts.not_judged),
            unreadable: out(counts.unreadable),
            containers_not_covered: out(counts.containers_not_covered),
        }
    }
}

impl From<v1::FixCounts> for FixCounts {
    fn from(counts: v1::FixCounts) -> Self {
        Self {
            customer: back(counts.customer),
            provider: back(counts.provider),
            automation: back(counts.automation),
            nobody_yet: back(counts.nobody_yet),
            no_fix: back(counts.no_fix),
            unknown: back(counts.unknown),
            mitigated: back(counts.mitigated),
            over_line: back(counts.over_line),
            judged: back(counts.judged),
            not_covered: back(counts.not_covered),
            not_judged: back(counts.not_judged),
            unreadable: back(counts.unreadable),
            containers_not_covered: back(counts.containers_not_covered),
        }
    }
}

impl From<&PackageFixes> for v1::PackageFixes {
    fn from(package: &PackageFixes) -> Self {
        Self {
            source: package.source.clone(),
            installed: package.installed.clone(),
            binaries: package.binaries.clone(),
            is_running_kernel: package.is_running_kernel,
            fixes: package.fixes.iter().map(Into::into).collect(),
            speaks: out(package.speaks),
        }
    }
}

impl TryFrom<v1::PackageFixes> for PackageFixes {
    type Error = Invalid;

    fn try_from(package: v1::PackageFixes) -> Result<Self, Invalid> {
        let fixes = list("fixes", package.fixes, ROWS, FixRow::try_from)?;
        let speaks = back(package.speaks);
        if speaks >= fixes.len().max(1) {
            return Err(Invalid::new("speaks", format!("{speaks} of {} fixes", fixes.len())));
        }
        Ok(Self {
            source: package.source,
            installed: package.installed,
            binaries: package.binaries,
            is_running_kernel: package.is_running_kernel,
            fixes,
            speaks,
        })
    }
}

impl From<&FixRow> for v1::FixRow {
    fn from(row: &FixRow) -> Self {
        Self {
            record: row.record.clone(),
            fixed: row.fixed.clone(),
            tier: row.tier.clone(),
            aliases: row.aliases.iter().map(Into::into).collect(),
            published: row.published.as_ref().map(Into::into),
            over_after: row.over_after.map(timestamp_out),
            step: row.step.word().to_owned(),
            responsible: row.responsible.as_ref().map(Into::into),
            action: row.action.as_ref().map(Into::into),
            mitigation: row.mitigation.clone(),
        }
    }
}

impl TryFrom<v1::FixRow> for FixRow {
    type Error = Invalid;

    fn try_from(row: v1::FixRow) -> Result<Self, Invalid> {
        Ok(Self {
            step: step(&row.step)?,
            aliases: list("aliases", row.aliases, ROWS, Alias::try_from)?,
            published: row.published.map(Published::try_from).transpose()?,
            over_after: optional_timestamp("over_after", row.over_after)?,
            responsible: row.responsible.map(TryInto::try_into).transpose()?,
            action: row.action.map(TryInto::try_into).transpose()?,
            record: row.record,
            fixed: row.fixed,
            tier: row.tier,
            mitigation: row.mitigation,
        })
    }
}

/// The step of that word.
pub(super) fn step(value: &str) -> Result<Step, Invalid> {
    word("step", value, &Step::ALL, Step::word)
}

impl From<&Alias> for v1::Alias {
    fn from(alias: &Alias) -> Self {
        Self { id: alias.id.to_string(), rating: alias.rating.word().to_owned() }
    }
}

impl TryFrom<v1::Alias> for Alias {
    type Error = Invalid;

    fn try_from(alias: v1::Alias) -> Result<Self, Invalid> {
        Ok(Self {
            id: AliasId::of(&alias.id),
            rating: word("rating", &alias.rating, &Rating::ALL, Rating::word)?,
        })
    }
}

impl From<&Published> for v1::Published {
    fn from(published: &Published) -> Self {
        Self {
            at: Some(timestamp_out(published.at)),
            kind: published.kind.word().to_owned(),
            feed: published.feed.to_string(),
            revision: published.revision.to_string(),
        }
    }
}

impl TryFrom<v1::Published> for Published {
    type Error = Invalid;

    fn try_from(published: v1::Published) -> Result<Self, Invalid> {
        Ok(Self {
            at: timestamp_in("published.at", published.at)?,
            kind: word("published.kind", &published.kind, &DateKind::ALL, DateKind::word)?,
            feed: published.feed.into(),
            revision: published.revision.into(),
        })
    }
}

impl From<&NotJudged> for v1::NotJudged {
    fn from(one: &NotJudged) -> Self {
        Self { source: one.source.clone(), version: one.version.clone(), why: one.why.clone() }
    }
}

impl From<v1::NotJudged> for NotJudged {
    fn from(one: v1::NotJudged) -> Self {
        Self { source: one.source, version: one.version, why: one.why }
    }
}

impl From<&FeedRow> for v1::FeedRow {
    fn from(feed: &FeedRow) -> Self {
        Self {
            name: feed.name.clone(),
            as_of: Some(timestamp_out(feed.as_of)),
            is_stale: feed.is_stale,
            coverage: feed.coverage.clone(),
        }
    }
}

impl TryFrom<v1::FeedRow> for FeedRow {
    type Error = Invalid;

    fn try_from(feed: v1::FeedRow) -> Result<Self, Invalid> {
        Ok(Self {
            as_of: timestamp_in("feeds.as_of", feed.as_of)?,
            name: feed.name,
            is_stale: feed.is_stale,
            coverage: feed.coverage,
        })
    }
}
