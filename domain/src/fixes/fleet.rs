//! The same over many nodes: what is lacking, folded by vendor's record, by vulnerability,
//! by node, by pool or by image. Nodes that are not part of the sum are told beside it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Lack;
use super::counts::FixCounts;
use super::node::{NodeAbout, NodeFixes};
use super::opinion::{Active, Container};
use super::row::{FixRow, line, rank};
use crate::advisory::{Alias, AliasId, DateKind, FeedStatus, Published, Rating};
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};

/// By what rows are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A row for each vendor's record on a source package, and each who must act on it.
    Fix,
    /// A row for each vulnerability.
    Cve,
    /// A row for each node.
    Node,
    /// A row for each pool of nodes.
    Pool,
    /// A row for each node image.
    Image,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fix, Self::Cve, Self::Node, Self::Pool, Self::Image];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::Cve => "cve",
            Self::Node => "node",
            Self::Pool => "pool",
            Self::Image => "image",
        }
    }
}

/// Which of all that is lacking is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Only of this cluster.
    pub cluster: Option<String>,
    /// Only fixes that are older than this.
    pub older_than: Option<SignedDuration>,
    /// Only what these must act on, by the word of [`Responsible`]; all when empty.
    pub responsible: BTreeSet<String>,
    /// With vulnerabilities that have no fix, and those that are mitigated.
    pub include_unfixed: bool,
    /// Only what is about this vulnerability, or this vendor's record.
    pub about: Option<String>,
}

/// What is lacking on some nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatchAgeRow {
    /// What the row is about: record, vulnerability, node, pool or image.
    pub subject: String,
    /// The cluster of a node or pool; empty for the other kinds of rows.
    pub cluster: String,
    /// Source packages, by name.
    pub packages: BTreeSet<String>,
    /// Versions of them that are installed.
    pub installed: BTreeSet<String>,
    /// Versions with the fix.
    pub fixed: BTreeSet<String>,
    /// Vendors' records.
    pub records: BTreeSet<String>,
    /// What they are about.
    pub aliases: BTreeSet<Alias>,
    /// Images that the nodes were made from.
    pub images: BTreeSet<String>,
    /// So many nodes lack something of it.
    pub nodes: usize,
    /// The first few of them, as `cluster/node`.
    pub examples: Vec<String>,
    /// So many fixes are lacking on them, each counted once on each node.
    pub fixes: usize,
    /// The oldest of them; none where no date is known.
    pub oldest: Option<Published>,
    /// So many of them are over the policy's line.
    pub over_line: usize,
    /// Who must act first.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
    /// The step of the order of responsibility that says so.
    pub step: super::Step,
    /// What keeps it from being used, where something does, or why there is no fix.
    pub note: String,
}

impl PatchAgeRow {
    /// How old the oldest of them is, in whole days; none where no date is known.
    #[must_use]
    pub fn oldest_age_days(&self, now: Timestamp) -> Option<i64> {
        self.oldest.as_ref().map(|published| published.age(now).as_hours() / 24)
    }
}

/// So many nodes are named in a row.
const EXAMPLES: usize = 5;

/// What is lacking on all nodes that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatchAge {
    /// For which moment.
    pub as_of: Timestamp,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition, for screens.
    pub provider: String,
    /// The feeds that it rests on.
    pub feeds: Vec<FeedStatus>,
    /// The rows: those first about which somebody must act, the oldest first.
    pub rows: Vec<PatchAgeRow>,
    /// Sums over all nodes that were asked for, whatever else was.
    pub counts: FixCounts,
    /// Sums over what is in the rows.
    pub shown: FixCounts,
    /// So many nodes there are.
    pub nodes: usize,
    /// Of these, nodes whose last report is too old to be believed.
    pub stale: Vec<String>,
    /// Nodes whose fixes cannot be judged at all, with the reason.
    pub not_judged: Vec<NodeNotJudged>,
    /// So many fixes were left out because nobody knows how old they are.
    pub undated: usize,
    /// What could not be said, with the number of nodes it is about.
    pub incomplete: BTreeMap<String, usize>,
}

impl PatchAge {
    /// Whether nothing is missing from the answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.nodes > 0
            && self.stale.is_empty()
            && self.not_judged.is_empty()
            && self.undated == 0
            && self.incomplete.is_empty()
    }
}

/// A node whose fixes cannot be judged at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeNotJudged {
    /// The node, as `cluster/node`.
    pub node: String,
    /// Why.
    pub why: String,
}

/// The word by which one who must act is asked for.
#[must_use]
pub const fn word(responsible: &Responsible) -> &'static str {
    match responsible {
        Responsible::Customer => "customer",
        Responsible::Provider => "provider",
        Responsible::Automation { .. } => "automation",
        Responsible::Vendor => "vendor",
        Responsible::NobodyYet { .. } => "nobody_yet",
        Responsible::Unknown { .. } => "unknown",
    }
}

/// The words of all who may have to act.
pub const RESPONSIBLE: [&str; 6] =
    ["customer", "provider", "automation", "vendor", "nobody_yet", "unknown"];

/// One thing that is lacking on one node.
struct One<'a> {
    about: &'a NodeAbout,
    source: &'a str,
    installed: &'a str,
    row: FixRow,
}

/// Folds what is lacking on nodes.
#[must_use]
pub fn patch_age<'a>(
    nodes: impl IntoIterator<Item = NodeFixes<'a>>,
    asked: &Asked,
    by: By,
    policy: &Policy,
    feeds: Vec<FeedStatus>,
    now: Timestamp,
) -> PatchAge {
    let mut answer = PatchAge {
        as_of: now,
        policy_edition: policy.edition.clone(),
        provider: policy.provider.clone(),
        feeds,
        rows: Vec::new(),
        counts: FixCounts::default(),
        shown: FixCounts::default(),
        nodes: 0,
        stale: Vec::new(),
        not_judged: Vec::new(),
        undated: 0,
        incomplete: BTreeMap::new(),
    };
    let mut folded: BTreeMap<Key, Folding> = BTreeMap::new();
    let mut is_told = None;
    for node in nodes {
        if asked.cluster.as_deref().is_some_and(|cluster| cluster != node.about.cluster) {
            continue;
        }
        answer.nodes += 1;
        let name = format!("{}/{}", node.about.cluster, node.about.node);
        if node.about.is_stale {
            answer.stale.push(name.clone());
        }
        let judged = match &node.judged {
            Ok(judged) => judged,
            Err(why) => {
                answer.not_judged.push(NodeNotJudged { node: name, why: why.clone() });
                continue;
            }
        };
        answer.counts.add(&judged.counts(now));
        for line in judged.incomplete() {
            *answer.incomplete.entry(line).or_default() += 1;
        }
        if let Some(about) = &asked.about {
            let is_about = |name: &str| is_name(about, name);
            // What is known beside the nodes is the same for all of them.
            if !*is_told.get_or_insert_with(|| judged.knowledge.tells_of(is_about)) {
                let line = format!("{about}: no feed knows that name");
                *answer.incomplete.entry(line).or_default() += 1;
            }
        }
        for (container, active) in judged.containers.iter().flat_map(Container::lacking) {
            if let Some(row) = container_row(container, active, judged.policy)
                && wanted(asked, &row)
                && asked.older_than.is_none_or(|age| row.age(now).is_some_and(|own| own > age))
            {
                answer.shown.count_active(active, judged.policy, now);
                let one = One { about: &node.about, source: &container.name, installed: "", row };
                fold(&mut folded, &one, by, asked, now);
            }
        }
        for turned in &judged.assessed.turned {
            let is_fix = matches!(turned.lack, Lack::Missing(_)) && turned.answer.turn.is_some();
            if !asked.include_unfixed && !is_fix {
                continue;
            }
            let Some((source, row)) = judged.row(turned) else { continue };
            if !wanted(asked, &row) {
                continue;
            }
            if let Some(older_than) = asked.older_than {
                match row.age(now) {
                    None => {
                        answer.undated += 1;
                        continue;
                    }
                    Some(age) if age <= older_than => continue,
                    Some(_) => {}
                }
            }
            answer.shown.count(turned);
            answer.shown.over_line += usize::from(row.responsible.is_some() && row.is_over(now));
            let (source, installed) = judged
                .matched
                .sources
                .get(source)
                .map_or(("", ""), |source| (source.source.as_ref(), source.version.as_ref()));
            fold(&mut folded, &One { about: &node.about, source, installed, row }, by, asked, now);
        }
    }
    answer.rows = folded.into_values().map(|folding| folding.row).collect();
    answer.rows.sort_by(|a, b| order(a).cmp(&order(b)));
    answer
}

/// A container image of kube-system as a row; none where nobody has to do anything.
fn container_row(container: &Container, active: &Active, policy: &Policy) -> Option<FixRow> {
    let turn = active.answer.turn.as_ref()?;
    Some(FixRow {
        record: container.name.clone(),
        fixed: None,
        tier: "container".to_owned(),
        aliases: active
            .ids
            .iter()
            .map(|id| Alias { id: id.clone(), rating: Rating::Unrated })
            .collect(),
        published: Some(Published {
            at: active.since,
            kind: DateKind::Baseline,
            feed: "aks-vulnerability-api".into(),
            revision: "".into(),
        }),
        over_after: line(active.answer.step, active.since, policy),
        step: active.answer.step,
        responsible: Some(turn.responsible.clone()),
        action: Some(turn.action.clone()),
        mitigation: String::new(),
    })
}

fn wanted(asked: &Asked, row: &FixRow) -> bool {
    let is_of_them = asked.responsible.is_empty()
        || row.responsible.as_ref().is_some_and(|one| asked.responsible.contains(word(one)));
    let is_about = asked.about.as_ref().is_none_or(|about| {
        is_name(about, &row.record)
            || row.aliases.iter().any(|alias| is_name(about, &alias.id.to_string()))
    });
    is_of_them && is_about
}

/// Whether what somebody wrote is the name of a vulnerability or a record: in letters of
/// either case, and by whichever tracker a CVE is named.
fn is_name(asked: &str, name: &str) -> bool {
    asked.eq_ignore_ascii_case(name)
        || AliasId::of(&asked.to_ascii_uppercase()).to_string().eq_ignore_ascii_case(name)
}

fn order(row: &PatchAgeRow) -> (u8, Timestamp, &str, &str) {
    let oldest = row.oldest.as_ref().map_or(Timestamp::MAX, |oldest| oldest.at);
    (rank(row.responsible.as_ref()), oldest, &row.subject, &row.cluster)
}

/// What makes two things one row.
type Key = (String, String, String, String);

fn fold(folded: &mut BTreeMap<Key, Folding>, one: &One<'_>, by: By, asked: &Asked, now: Timestamp) {
    let about = one.about;
    let plain = |subject: &str, cluster: &str| {
        (subject.to_owned(), cluster.to_owned(), String::new(), String::new())
    };
    let keys: Vec<Key> = match by {
        By::Fix => vec![(
            one.row.record.clone(),
            String::new(),
            one.source.to_owned(),
            // Each who must act, and each thing to do, has a row of its own.
            format!(
                "{}{} {}",
                rank(one.row.responsible.as_ref()),
                one.row.responsible.as_ref().map_or("", word),
                one.row.action.as_ref().map(ToString::to_string).unwrap_or_default()
            ),
        )],
        By::Cve => {
            let names = one.row.aliases.iter().map(|alias| alias.id.to_string());
            let asked_for = |name: &String| {
                asked
                    .about
                    .as_ref()
                    .is_none_or(|about| is_name(about, name) || is_name(about, &one.row.record))
            };
            let mut names: Vec<String> = names.filter(asked_for).collect();
            // Notices without any name count as well, and those that mend what an earlier one
            // broke.
            if one.row.aliases.is_empty() {
                names.push(one.row.record.clone());
            }
            names.iter().map(|name| plain(name, "")).collect()
        }
        By::Node => vec![plain(&about.node, &about.cluster)],
        By::Pool => vec![plain(&about.pool, &about.cluster)],
        By::Image => vec![plain(&about.image, "")],
    };
    for key in keys {
        let folding = folded.entry(key).or_insert_with_key(|(subject, cluster, ..)| {
            Folding::new(subject, cluster, one.row.step)
        });
        folding.add(one, now);
    }
}

/// A row in the making, and the node that was counted last.
struct Folding {
    row: PatchAgeRow,
    last: Option<String>,
}

impl Folding {
    fn new(subject: &str, cluster: &str, step: super::Step) -> Self {
        let row = PatchAgeRow {
            subject: subject.to_owned(),
            cluster: cluster.to_owned(),
            packages: BTreeSet::new(),
            installed: BTreeSet::new(),
            fixed: BTreeSet::new(),
            records: BTreeSet::new(),
            aliases: BTreeSet::new(),
            images: BTreeSet::new(),
            nodes: 0,
            examples: Vec::new(),
            fixes: 0,
            oldest: None,
            over_line: 0,
            responsible: None,
            action: None,
            step,
            note: String::new(),
        };
        Self { row, last: None }
    }

    fn add(&mut self, one: &One<'_>, now: Timestamp) {
        let about = one.about;
        let Self { row, last } = self;
        let speaks = (rank(one.row.responsible.as_ref()), date(one.row.published.as_ref()));
        let spoke = (rank(row.responsible.as_ref()), date(row.oldest.as_ref()));
        if row.fixes == 0 || speaks < spoke {
            row.responsible.clone_from(&one.row.responsible);
            row.action.clone_from(&one.row.action);
            row.step = one.row.step;
            row.note.clone_from(&one.row.mitigation);
        }
        row.fixes += 1;
        row.over_line += usize::from(one.row.responsible.is_some() && one.row.is_over(now));
        row.packages.insert(one.source.to_owned());
        row.installed.insert(one.installed.to_owned());
        row.fixed.extend(one.row.fixed.clone());
        row.records.insert(one.row.record.clone());
        row.aliases.extend(one.row.aliases.iter().cloned());
        if !about.image.is_empty() {
            row.images.insert(about.image.clone());
        }
        // Nodes come one after the other.
        let name = format!("{}/{}", about.cluster, about.node);
        if last.as_ref() != Some(&name) {
            row.nodes += 1;
            if row.examples.len() < EXAMPLES {
                row.examples.push(name.clone());
            }
            *last = Some(name);
        }
        if date(one.row.published.as_ref()) < date(row.oldest.as_ref()) {
            row.oldest.clone_from(&one.row.published);
        }
    }
}

fn date(published: Option<&Published>) -> Timestamp {
    published.map_or(Timestamp::MAX, |published| published.at)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{is_name, line};
    use crate::patch_age::Step;
    use crate::policy::{DEFAULT_EDITION, Policy};

    #[test]
    fn no_line_is_claimed_on_a_node_without_a_provider() {
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        for step in Step::ALL {
            let is_drawn = line(step, Timestamp::UNIX_EPOCH, &policy).is_some();
            assert_eq!(is_drawn, step != Step::NoProvider, "{}", step.word());
        }
    }

    #[test]
    fn names_are_found_in_letters_of_either_case_and_of_any_tracker() {
        for asked in ["CVE-2026-0001", "cve-2026-0001", "UBUNTU-CVE-2026-0001"] {
            assert!(is_name(asked, "CVE-2026-0001"), "{asked}");
        }
        assert!(is_name("usn-6859-1", "USN-6859-1"));
        assert!(is_name("ghsa-ab12-cd34-ef56", "GHSA-ab12-cd34-ef56"));
        for asked in ["", "CVE-2026-00010", "CVE-2026-000", "2026-0001"] {
            assert!(!is_name(asked, "CVE-2026-0001"), "{asked}");
        }
    }
}
