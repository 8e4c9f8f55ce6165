//! What screens show of the fixes of one node: the packages that lack something, the sums that
//! stand in the verdict, what was not judged, and the feeds that all of it rests on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Assessed;
use super::counts::FixCounts;
use super::node::Judged;
use super::opinion::{Active, Container, Opinion};
use super::row::{self, PackageFixes, rank};
use crate::advisory::{Coverage, Feeds, Silence, Stream};
use crate::matching::Standing;
use crate::responsibility::{Action, Responsible};

/// What there is to say about the fixes of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixesAnswer {
    /// Distribution, release and tier, for people.
    pub stream: String,
    /// What could not be said, a line each; empty when everything was.
    pub incomplete: Vec<String>,
    /// Why what no advisory speaks of cannot be called clean; none where it can.
    pub silence: Option<String>,
    /// The sums.
    pub counts: FixCounts,
    /// Who acts first on them, and what he does; none when nobody has to.
    pub first: Option<FirstTurn>,
    /// Source packages that lack something, those first about which somebody must act, and
    /// of these the longest overdue.
    pub packages: Vec<PackageFixes>,
    /// Source packages that no advisory covers, by name.
    pub not_covered: Vec<NotJudged>,
    /// Source packages that cannot be judged, by name.
    pub unknown: Vec<NotJudged>,
    /// The feeds that speak of the node's distribution.
    pub feeds: Vec<FeedRow>,
    /// Container images that run in kube-system, by name.
    pub containers: Vec<ContainerRow>,
    /// What the provider's own scanner says of the node's image; none without a report.
    pub opinion: Option<Opinion>,
}

/// A container image that runs in kube-system, which the provider replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerRow {
    /// By a name with a tag, or else by digest or id.
    pub name: String,
    /// Whether a report speaks of it; without one nothing can be said.
    pub is_covered: bool,
    /// What there is a fix for that it lacks.
    pub ids: Vec<String>,
    /// Since when a report has said so, at the least.
    pub since: Option<Timestamp>,
    /// Who must act; none where nobody must, or nothing can be said.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
}

impl ContainerRow {
    /// A row for all that it lacks since one moment; one for an image that lacks nothing, or
    /// of which nothing is known.
    fn of(container: &Container) -> Vec<Self> {
        let row = |active: Option<&Active>| Self {
            name: container.name.clone(),
            is_covered: container.active.is_some(),
            ids: active
                .map(|active| active.ids.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            since: active.map(|active| active.since),
            responsible: active
                .and_then(|active| Some(active.answer.turn.as_ref()?.responsible.clone())),
            action: active.and_then(|active| Some(active.answer.turn.as_ref()?.action.clone())),
        };
        match container.active.as_deref() {
            None | Some([]) => vec![row(None)],
            Some(active) => active.iter().map(|one| row(Some(one))).collect(),
        }
    }
}

/// Whose turn comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstTurn {
    /// Who.
    pub responsible: Responsible,
    /// What he does.
    pub action: Action,
}

/// A source package that was not judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NotJudged {
    /// Its name.
    pub source: String,
    /// Its version.
    pub version: String,
    /// Why it was not.
    pub why: String,
}

/// A feed, as far as it is about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedRow {
    /// Its name.
    pub name: String,
    /// Of when it is.
    pub as_of: Timestamp,
    /// Whether it is too old for its silence to say anything.
    pub is_stale: bool,
    /// How much it has: `complete`, or why it is not.
    pub coverage: String,
}

impl Assessed {
    /// What could not be said, a line each.
    #[must_use]
    pub fn incomplete(&self, stream: &Stream) -> Vec<String> {
        let mut lines = Vec::new();
        if let Silence::Unknown(why) = &self.silence {
            lines.push(format!(
                "fixes: {} source packages of {stream}: only what is known to be missing is told ({why})",
                self.judged
            ));
        }
        if self.unknown > 0 {
            lines.push(format!("fixes: {} source packages cannot be judged", self.unknown));
        }
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in self.turned.iter().filter_map(|one| one.answer.turn.as_ref()) {
            if let Responsible::Unknown { missing: what } = &turn.responsible {
                *missing.entry(what).or_default() += 1;
            }
        }
        lines.extend(missing.into_iter().map(|(what, number)| {
            format!("fixes: whose turn {number} of them are is not known: {what}")
        }));
        lines
    }
}

impl FixesAnswer {
    /// The sums alone, without a row for anything.
    pub(super) fn summary(judged: &Judged<'_>, now: Timestamp) -> Self {
        let turns = judged.assessed.turned.iter().filter_map(|turned| {
            let turn = turned.answer.turn.as_ref()?;
            Some((rank(Some(&turn.responsible)), judged.published(turned.lack), turn))
        });
        let of_containers = judged.containers.iter().flat_map(Container::lacking);
        let of_containers = of_containers.filter_map(|(_, active)| {
            let turn = active.answer.turn.as_ref()?;
            Some((rank(Some(&turn.responsible)), Some(active.since), turn))
        });
        let first = turns
            .chain(of_containers)
            .min_by_key(|(rank, published, _)| (*rank, published.unwrap_or(Timestamp::MAX)));
        Self {
            stream: judged.inventory.stream.to_string(),
            incomplete: judged.incomplete(),
            silence: match &judged.assessed.silence {
                Silence::Unknown(why) => Some(why.clone()),
                Silence::NothingMissing { .. } => None,
            },
            counts: judged.counts(now),
            first: first.map(|(.., turn)| FirstTurn {
                responsible: turn.responsible.clone(),
                action: turn.action.clone(),
            }),
            packages: Vec::new(),
            not_covered: Vec::new(),
            unknown: Vec::new(),
            feeds: feed_rows(judged.knowledge.feeds, &judged.inventory.stream, now),
            containers: Vec::new(),
            opinion: None,
        }
    }

    /// Renders what was assessed.
    pub(super) fn of(judged: &Judged<'_>, now: Timestamp) -> Self {
        let matched = &judged.matched;
        let not_judged = |wanted: fn(&Standing) -> Option<String>| -> Vec<NotJudged> {
            let mut all: Vec<NotJudged> = matched
                .sources
                .iter()
                .filter_map(|source| {
                    Some(NotJudged {
                        why: wanted(&source.standing)?,
                        source: source.source.to_string(),
                        version: source.version.to_string(),
                    })
                })
                .collect();
            all.sort();
            all
        };
        Self {
            packages: row::packages(judged),
            not_covered: not_judged(|standing| match standing {
                Standing::NotCovered(why) => Some(why.clone()),
                Standing::Upstream(module) => {
                    Some(format!("by upstream's advisories on {module} alone"))
                }
                _ => None,
            }),
            unknown: not_judged(|standing| match standing {
                Standing::Unknown(why) => Some(why.clone()),
                _ => None,
            }),
            containers: judged.containers.iter().flat_map(ContainerRow::of).collect(),
            opinion: judged.opinion.clone(),
            ..Self::summary(judged, now)
        }
    }
}

/// The feeds that speak of the release, by name.
fn feed_rows(feeds: &Feeds, stream: &Stream, now: Timestamp) -> Vec<FeedRow> {
    feeds
        .iter()
        .filter_map(|feed| {
            let coverage = feed.coverage.get(stream)?;
            Some(FeedRow {
                name: feed.name.to_string(),
                as_of: feed.as_of,
                is_stale: *coverage == Coverage::Complete && feed.is_stale(now),
                coverage: coverage.to_string(),
            })
        })
        .collect()
}
