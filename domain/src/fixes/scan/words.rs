//! On what an answer for a row rests, and the same in words.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::tally::Found;
use super::{Labelled, Reported, ScanVerdict};
use crate::advisory::Silence;
use crate::fixes::Turned;
use crate::fixes::node::Judged;
use crate::fixes::row::{FixRow, rank};
use crate::matching::{FixId, SourceMatch, Standing};
use crate::responsibility::Responsible;

/// On what an answer rests.
pub(super) enum Ground<'f> {
    /// Something that was assessed.
    Turned(&'f Judged<'f>, &'f Turned),
    /// A fix that the installed version has.
    Fixed(&'f Judged<'f>, &'f SourceMatch, FixId),
    /// A fix of other versions.
    OutOfRange(&'f Judged<'f>, &'f SourceMatch, FixId),
    /// That nothing is stated.
    Nothing(&'f Judged<'f>, &'f SourceMatch),
    /// That advisories do not go by such names.
    NoName(&'f Judged<'f>, &'f SourceMatch),
    /// How the source stands.
    NotJudged(&'f Judged<'f>, &'f SourceMatch),
    /// That another kernel runs, and what that one lacks.
    GoesAlong(&'f Judged<'f>, &'f SourceMatch, Option<&'f SourceMatch>, Option<FixId>),
    /// That it is not known which kernel runs.
    NoKernel(&'f Judged<'f>, &'f SourceMatch),
    /// The versions that are there.
    Versions(Vec<&'f str>),
    /// Why the node cannot be judged.
    Unjudged(&'f str),
}

impl<'f> Ground<'f> {
    /// Whose turn comes first, and of these the oldest fix.
    pub(super) fn rank(&self) -> (u8, Timestamp) {
        let published = match self {
            Self::Turned(judged, turned) => judged.published(turned.lack),
            _ => None,
        };
        (rank(self.responsible()), published.unwrap_or(Timestamp::MAX))
    }

    pub(super) fn responsible(&self) -> Option<&'f Responsible> {
        match self {
            Self::Turned(_, turned) => Some(&turned.answer.turn.as_ref()?.responsible),
            _ => None,
        }
    }

    /// Whether it is the same in words.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Turned(judged, a), Self::Turned(of, b)) => {
                let fix = |judged: &Judged<'_>, turned: &Turned| {
                    judged.fix(turned.lack).map(|(_, fix)| fix)
                };
                fix(judged, a) == fix(of, b) && a.answer == b.answer && a.mitigation == b.mitigation
            }
            (Self::Fixed(.., a), Self::Fixed(.., b)) => a == b,
            (Self::OutOfRange(.., a), Self::OutOfRange(.., b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    pub(super) fn versions(&self) -> Vec<&'f str> {
        match self {
            Self::Versions(versions) => versions.clone(),
            _ => Vec::new(),
        }
    }
}

fn plain(verdict: ScanVerdict, why: String) -> Labelled {
    Labelled {
        verdict,
        why,
        record: String::new(),
        fixed: None,
        published: None,
        responsible: None,
        action: None,
        step: None,
        nodes: 0,
        examples: Vec::new(),
        elsewhere: Vec::new(),
    }
}

/// It is on no node.
pub(super) fn absent(why: String) -> Labelled {
    plain(ScanVerdict::NotInstalled, why)
}

/// Nothing can be said.
pub(super) fn unknown(why: String) -> Labelled {
    plain(ScanVerdict::Unknown, why)
}

/// The answer in words.
pub(super) fn labelled(found: &Found<'_>, row: &Reported, versions: &BTreeSet<&str>) -> Labelled {
    let verdict = found.verdict;
    match &found.ground {
        Ground::Turned(judged, turned) => of_turned(verdict, judged, turned),
        Ground::Fixed(judged, source, fix) => {
            let labelled = of_fix(verdict, judged, *fix);
            let behind = labelled.fixed.as_ref().map(|fixed| format!(", which came with {fixed}"));
            let why = format!(
                "{} has the fix of {}{}",
                name(source),
                labelled.record,
                behind.unwrap_or_default()
            );
            Labelled { why, ..labelled }
        }
        Ground::OutOfRange(judged, source, fix) => {
            let labelled = of_fix(verdict, judged, *fix);
            let SourceMatch { source, version, .. } = source;
            let why =
                format!("{} is about other versions of {source} than {version}", labelled.record);
            Labelled { why, fixed: None, published: None, ..labelled }
        }
        Ground::Nothing(judged, source) => {
            let stream = &judged.inventory.stream;
            let why = match &judged.assessed.silence {
                Silence::NothingMissing { as_of, .. } => format!(
                    "no advisory of {stream} names it for {}; they are complete up to {as_of:.0}",
                    source.source
                ),
                Silence::Unknown(why) => {
                    format!("no advisory that is known names it for {}: {why}", source.source)
                }
            };
            plain(verdict, why)
        }
        Ground::NoName(judged, source) => plain(
            verdict,
            format!(
                "advisories of {} on {} go by CVEs and records of the vendor",
                judged.inventory.stream, source.source
            ),
        ),
        Ground::NotJudged(judged, source) => {
            let stream = &judged.inventory.stream;
            let why = match &source.standing {
                Standing::Upstream(module) => {
                    format!("upstream's advisories on {module} do not name it")
                }
                Standing::NotCovered(why) => {
                    format!("{}: {why}, no advisory of {stream} speaks of it", name(source))
                }
                Standing::Unknown(why) => why.clone(),
                _ => name(source),
            };
            plain(verdict, why)
        }
        Ground::GoesAlong(judged, source, running, lacks) => {
            plain(verdict, goes_along(judged, source, *running, *lacks))
        }
        Ground::NoKernel(judged, source) => {
            let why = judged.inventory.kernel.as_ref().err().map_or("", String::as_str);
            plain(verdict, format!("{} belongs to a kernel, and {why}", name(source)))
        }
        Ground::Versions(_) => {
            let other = listed(versions);
            plain(verdict, format!("{} is installed as {other}", row.package))
        }
        Ground::Unjudged(why) => {
            let why = format!("{} may be on nodes that cannot be judged: {why}", row.package);
            plain(verdict, why)
        }
    }
}

/// A source package as it is installed.
fn name(source: &SourceMatch) -> String {
    format!("{} {}", source.source, source.version)
}

fn listed(all: &BTreeSet<&str>) -> String {
    const MOST: usize = 3;
    let shown: Vec<&str> = all.iter().copied().take(MOST).collect();
    match all.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn goes_along(
    judged: &Judged<'_>,
    source: &SourceMatch,
    running: Option<&SourceMatch>,
    lacks: Option<FixId>,
) -> String {
    let name_of = name(source);
    let Some(running) = running else {
        return format!("{name_of} goes along with a kernel, and is not what runs");
    };
    let record = lacks.and_then(|fix| judged.knowledge.index.record_name(fix));
    let lacks = record.map(|record| format!(", and lacks {record} for it"));
    format!(
        "{name_of} is not the kernel that runs: {} does{}",
        name(running),
        lacks.unwrap_or_default()
    )
}

fn of_fix(verdict: ScanVerdict, judged: &Judged<'_>, fix: FixId) -> Labelled {
    let fix = judged.knowledge.index.fix(fix);
    let (record, fixed, published) = match fix {
        Some(fix) => (fix.record.to_owned(), fix.fixed.map(ToOwned::to_owned), fix.published),
        None => (String::new(), None, None),
    };
    Labelled { record, fixed, published, ..plain(verdict, String::new()) }
}

fn of_turned(verdict: ScanVerdict, judged: &Judged<'_>, turned: &Turned) -> Labelled {
    let Some((source, row)) = judged.row(turned) else { return plain(verdict, String::new()) };
    let package = judged.matched.sources.get(source).map(name).unwrap_or_default();
    let FixRow { record, mitigation, .. } = &row;
    let why = match verdict {
        ScanVerdict::AgreeMissing if row.step == crate::patch_age::Step::NotRunning => {
            format!("{package} runs, and the fix of {record} is installed")
        }
        ScanVerdict::AgreeMissing => format!("{package} lacks {record}"),
        ScanVerdict::Mitigated => {
            format!("{package} lacks {record}, and {mitigation}")
        }
        ScanVerdict::Unknown => {
            let why = judged.unreadable(turned.lack).unwrap_or_default();
            format!("{package}: {record} cannot be read: {why}")
        }
        _ => format!("{package}: {mitigation} ({record})"),
    };
    Labelled {
        verdict,
        why,
        fixed: row.fixed,
        published: row.published,
        responsible: row.responsible,
        action: row.action,
        step: Some(row.step),
        record: row.record,
        ..plain(verdict, String::new())
    }
}
