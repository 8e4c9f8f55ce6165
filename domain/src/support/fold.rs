//! Folds the answers about nodes, one after the other, into the answer about their support.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{FixesOfSupport, Level, LevelCounts, PoolSupport, RuleAnswer, RuleRow, SupportAnswer};
use crate::answer::{CheckAnswer, NodeAnswer, is_stale};
use crate::check::coverage::{Lack, Question, questions};
use crate::check::{Check, Severity, registry};
use crate::fixes::node::pool_of;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::{Breach, Policy, Rule, Seen, Standing};
use crate::responsibility::{Action, Responsible};
use crate::version::kubernetes::KubernetesVersion;

/// Rules whose day a failing check may name before it has come.
const OS_RETIREMENT: &str = "os-retirement";
const KUBERNETES: &str = "kubernetes-upgrade-by-customer";

/// Rules on missing fixes, which are answered by their sums.
const UPDATE_FIRST: &str = "cve-update-first";
const PROVIDER_ACTS: &str = "cve-provider-acts";
const YOUNG: &str = "cve-fix-under-30d";
const FILTERED: &str = "cve-filtered-list";
const MANAGED: &str = "cve-managed-only";
const OF_FIXES: [&str; 5] = [UPDATE_FIRST, PROVIDER_ACTS, YOUNG, FILTERED, MANAGED];

/// Rules that a running machine alone keeps: whoever reports, runs.
const OF_RUNNING: [&str; 2] = ["deallocate-all-unsupported", "zero-ready-zero-running-30d"];

/// A pool by cluster and name.
type PoolName = (String, String);

/// The answer about the support of nodes, in the making.
#[derive(Debug)]
pub struct Support<'a> {
    policy: &'a Policy,
    scope: String,
    now: Timestamp,
    by_reason: BTreeMap<&'static str, &'static Check>,
    pools: BTreeMap<PoolName, usize>,
    /// The clusters with nodes of a provider, and whether one of them has reported lately.
    clusters: BTreeMap<String, bool>,
    rules: BTreeMap<String, Folding>,
    fixes: FixesOfSupport,
    over_line: usize,
    without_provider: usize,
    without_platform: usize,
    stale: usize,
    oldest_report_at: Option<Timestamp>,
}

/// What has been said of one rule so far.
#[derive(Debug, Default)]
struct Folding {
    has_passed: bool,
    rows: BTreeMap<(PoolName, String, Level), RuleRow>,
}

/// What is said of a rule by one node.
struct Said<'a> {
    level: Level,
    reason: &'a str,
    message: String,
    turn: Option<(Responsible, Action)>,
    evidence: &'a [crate::check::Evidence],
}

impl<'a> Support<'a> {
    /// Of no node yet. The answers that are taken must have been made by that edition.
    #[must_use]
    pub fn new(policy: &'a Policy, scope: String, now: Timestamp) -> Self {
        Self {
            policy,
            scope,
            now,
            by_reason: registry().map(|check| (check.reason, check)).collect(),
            pools: BTreeMap::new(),
            clusters: BTreeMap::new(),
            rules: BTreeMap::new(),
            fixes: FixesOfSupport::default(),
            over_line: 0,
            without_provider: 0,
            without_platform: 0,
            stale: 0,
            oldest_report_at: None,
        }
    }

    /// Takes the answer about one node, made from that history.
    pub fn take(&mut self, history: &NodeHistory, answer: &NodeAnswer) {
        match answer.platform {
            Platform::Aks => {}
            Platform::Kubernetes | Platform::Plain => {
                self.without_provider += 1;
                return;
            }
            Platform::Unknown => {
                self.without_platform += 1;
                return;
            }
        }
        let is_stale = answer.last_report_at.is_none_or(|at| is_stale(at, self.now));
        *self.clusters.entry(answer.cluster.clone()).or_default() |= !is_stale;
        // What was so may not be so any more: neither a pass nor a finding of now.
        if is_stale {
            self.stale += 1;
            return;
        }
        self.oldest_report_at =
            [self.oldest_report_at, answer.last_report_at].into_iter().flatten().min();
        let pool = (answer.cluster.clone(), pool_of(history).unwrap_or_default().to_owned());
        *self.pools.entry(pool.clone()).or_default() += 1;
        let ended = ended(history, self.policy, self.now);
        for check in answer.components.iter().flat_map(|component| &component.checks) {
            self.take_check(&pool, answer, check, &ended);
        }
        self.take_fixes(&pool, answer);
    }

    fn take_check(
        &mut self,
        pool: &PoolName,
        answer: &NodeAnswer,
        check: &CheckAnswer,
        ended: &BTreeSet<&str>,
    ) {
        let Some(known) = self.by_reason.get(check.reason.as_str()).copied() else { return };
        let Some(id) = known.policy.rule() else { return };
        let Standing::InForce(rule) = self.policy.rule(id) else { return };
        let said = match check.outcome.as_str() {
            "pass" => {
                self.rules.entry(id.to_owned()).or_default().has_passed = true;
                return;
            }
            "fail" => {
                let finding = answer.findings.iter().find(|one| one.reason == check.reason);
                Said {
                    level: level(rule, known.severity, ended.contains(id)),
                    reason: &check.reason,
                    message: check.detail.clone(),
                    turn: finding.map(|one| (one.responsible.clone(), one.action.clone())),
                    evidence: &check.evidence,
                }
            }
            "unknown" => Said {
                level: Level::Unknown,
                reason: &check.reason,
                message: check.detail.clone(),
                turn: None,
                evidence: &check.evidence,
            },
            _ => return,
        };
        self.say(id, pool, &answer.node, said);
    }

    /// What missing fixes say of the rules that are about them.
    fn take_fixes(&mut self, pool: &PoolName, answer: &NodeAnswer) {
        let plain =
            |level, message: String, turn| Said { level, reason: "", message, turn, evidence: &[] };
        let Some(fixes) = &answer.fixes else {
            let why = answer.incomplete.iter().find(|line| line.starts_with("fixes: "));
            let why = why.map_or("fixes: cannot be told", String::as_str);
            for rule in OF_FIXES {
                self.say(rule, pool, &answer.node, plain(Level::Unknown, why.to_owned(), None));
            }
            return;
        };
        let counts = fixes.counts;
        self.fixes.nodes += 1;
        self.fixes.customer += counts.customer;
        self.fixes.provider += counts.provider;
        self.fixes.automation += counts.automation;
        self.fixes.nobody_yet += counts.nobody_yet;
        self.fixes.unknown += counts.unknown;
        self.over_line += counts.over_line;
        for rule in OF_FIXES {
            self.rules.entry(rule.to_owned()).or_default().has_passed = true;
        }
        let node = &answer.node;
        if counts.unknown > 0 || fixes.silence.is_some() {
            let silence = fixes
                .silence
                .clone()
                .map(|why| format!("whether more fixes are missing is not known: {why}"));
            let whose = || format!("whose turn {} missing fixes are is not known", counts.unknown);
            let why = if counts.unknown > 0 { whose() } else { silence.unwrap_or_else(whose) };
            self.say(PROVIDER_ACTS, pool, node, plain(Level::Unknown, why.clone(), None));
            self.say(UPDATE_FIRST, pool, node, plain(Level::Unknown, why, None));
        }
        if counts.customer > 0 && counts.over_line > 0 {
            let first = fixes.first.as_ref().filter(|one| one.responsible == Responsible::Customer);
            let action = first.map_or(Action::UpgradeImage { to: None }, |one| one.action.clone());
            let message = format!(
                "{} missing fixes are over the line of age, and {} are yours to bring first",
                counts.over_line, counts.customer
            );
            let turn = Some((Responsible::Customer, action));
            self.say(UPDATE_FIRST, pool, node, plain(Level::Warn, message, turn));
        }
        if counts.provider > 0 {
            let message = format!("{} missing fixes are the provider's", counts.provider);
            let turn = || Some((Responsible::Provider, Action::HandIn));
            self.say(PROVIDER_ACTS, pool, node, plain(Level::Note, message, turn()));
            let message = "nodeward support export writes the list".to_owned();
            self.say(FILTERED, pool, node, plain(Level::Note, message, turn()));
        }
        if counts.nobody_yet > 0 {
            let message =
                format!("{} missing fixes are too young to be reported", counts.nobody_yet);
            self.say(YOUNG, pool, node, plain(Level::Note, message, None));
        }
    }

    fn say(&mut self, rule: &str, pool: &PoolName, node: &str, said: Said<'_>) {
        let Said { level, reason, message, turn, evidence } = said;
        let folding = self.rules.entry(rule.to_owned()).or_default();
        let key = (pool.clone(), reason.to_owned(), level);
        let (responsible, action) = turn.unzip();
        let row = folding.rows.entry(key).or_insert_with(|| RuleRow {
            level,
            cluster: pool.0.clone(),
            pool: pool.1.clone(),
            nodes: 0,
            of: 0,
            example: node.to_owned(),
            reason: reason.to_owned(),
            message,
            responsible,
            action,
            evidence: evidence.to_vec(),
        });
        row.nodes += 1;
    }

    /// The answer about all that were taken.
    #[must_use]
    pub fn answer(mut self) -> SupportAnswer {
        let nodes: usize = self.pools.values().sum();
        let asked = questions();
        let mut rules: Vec<RuleAnswer> = self
            .policy
            .rules()
            .map(|(id, rule)| {
                let folding = self.rules.remove(id).unwrap_or_default();
                self.rule(id, rule, folding, &asked, nodes)
            })
            .collect();
        rules.sort_by(|a, b| {
            (a.level, a.why.is_empty(), &a.rule).cmp(&(b.level, b.why.is_empty(), &b.rule))
        });
        rules.extend(lacking(self.policy));
        let mut counts = LevelCounts::default();
        for rule in &rules {
            *counts.of(rule.level) += 1;
        }
        let incomplete = self.incomplete(nodes);
        let pools = self.pools(&rules);
        let has_line = self.policy.patch_age_limit().is_some();
        self.fixes.over_line = has_line.then_some(self.over_line);
        SupportAnswer {
            scope: self.scope,
            policy_edition: self.policy.edition.clone(),
            policy_title: self.policy.title.clone(),
            provider: self.policy.provider.clone(),
            as_of: self.now,
            nodes,
            without_provider: self.without_provider,
            oldest_report_at: self.oldest_report_at,
            complete: incomplete.is_empty() && counts.unknown == 0,
            incomplete,
            counts,
            pools,
            rules,
            fixes: self.fixes,
        }
    }

    fn rule(
        &self,
        id: &str,
        rule: &Rule,
        folding: Folding,
        asked: &[&Question],
        nodes: usize,
    ) -> RuleAnswer {
        let mut rows: Vec<RuleRow> = folding
            .rows
            .into_iter()
            .map(|((pool, ..), row)| RuleRow {
                of: self.pools.get(&pool).copied().unwrap_or_default(),
                ..row
            })
            .collect();
        rows.sort_by(|a, b| {
            let key =
                |row: &RuleRow| (row.level, row.responsible.is_none(), row.responsible.clone());
            (key(a), std::cmp::Reverse(a.nodes), &a.cluster, &a.pool, &a.reason).cmp(&(
                key(b),
                std::cmp::Reverse(b.nodes),
                &b.cluster,
                &b.pool,
                &b.reason,
            ))
        });
        let unseen: Vec<String> = asked
            .iter()
            .filter(|question| question.rule == id)
            .filter_map(|question| {
                let (lack, why) = question.told.lack()?;
                let is_told = matches!(lack, Lack::Fixes | Lack::NoVerdict);
                (!is_told).then(|| format!("{} {why}", question.asks))
            })
            .collect();
        let (level, why) = match (rows.first(), folding.has_passed) {
            (Some(row), _) => (row.level, String::new()),
            (None, true) => (Level::Pass, String::new()),
            (None, false) => self.unjudged(id, rule, !unseen.is_empty(), nodes),
        };
        RuleAnswer {
            rule: id.to_owned(),
            summary: rule.summary.clone(),
            source: rule.source.clone(),
            level,
            why,
            told_by: rule.told_by.clone(),
            unseen,
            rows,
        }
    }

    /// How a rule stands of which no node says anything.
    fn unjudged(&self, id: &str, rule: &Rule, is_unseen: bool, nodes: usize) -> (Level, String) {
        let all_run = nodes > 0 && self.clusters.values().all(|runs| *runs);
        if OF_RUNNING.contains(&id) && all_run {
            let why = "whoever reports, runs: each of these clusters has a running machine";
            return (Level::Pass, why.to_owned());
        }
        let is_shown_elsewhere = matches!(rule.seen, Seen::Cluster | Seen::Provider);
        if is_shown_elsewhere && rule.breach == Breach::None {
            let why = "nothing that the support of these nodes hangs on, and no node shows it";
            return (Level::NotApplicable, why.to_owned());
        }
        match rule.seen {
            Seen::Text => {
                (Level::NotApplicable, "it tells how things are: nothing can break it".to_owned())
            }
            Seen::Cluster => (Level::Unknown, "the API server knows, and is not asked".to_owned()),
            Seen::Provider => (Level::Unknown, "the provider alone knows".to_owned()),
            Seen::Node if is_unseen => (Level::Unknown, "no node shows it".to_owned()),
            Seen::Node if nodes == 0 => (Level::Unknown, "no node has reported of it".to_owned()),
            Seen::Node => {
                (Level::NotApplicable, "no check of it has a meaning on these nodes".to_owned())
            }
        }
    }

    fn incomplete(&self, nodes: usize) -> Vec<String> {
        let mut incomplete = Vec::new();
        let are = |number: usize| if number == 1 { "node is" } else { "nodes are" };
        if nodes == 0 && self.without_provider == 0 {
            incomplete.push("no node of a provider has reported lately".to_owned());
        }
        if self.stale > 0 {
            let stale = self.stale;
            incomplete.push(format!("{stale} {} stale: NOT in this verdict", are(stale)));
        }
        if self.without_platform > 0 {
            let number = self.without_platform;
            let nodes = if number == 1 { "node" } else { "nodes" };
            incomplete.push(format!("the platform of {number} {nodes} is not known"));
        }
        incomplete
    }

    /// The pools, worst first.
    fn pools(&self, rules: &[RuleAnswer]) -> Vec<PoolSupport> {
        let mut pools: Vec<PoolSupport> = self
            .pools
            .iter()
            .map(|((cluster, pool), nodes)| {
                let rows = rules.iter().flat_map(|rule| &rule.rows);
                let of_pool = rows.filter(|row| (&row.cluster, &row.pool) == (cluster, pool));
                PoolSupport {
                    cluster: cluster.clone(),
                    pool: pool.clone(),
                    nodes: *nodes,
                    level: of_pool.map(|row| row.level).min().unwrap_or(Level::Pass),
                }
            })
            .collect();
        pools.sort_by(|a, b| (a.level, &a.cluster, &a.pool).cmp(&(b.level, &b.cluster, &b.pool)));
        pools
    }
}

/// How a failing check stands to its rule: what the rule's breach does, unless the check tells
/// of a day that is still to come, or of a trace alone.
const fn level(rule: &Rule, severity: Severity, has_ended: bool) -> Level {
    match (rule.breach, severity) {
        (Breach::None, _) => Level::Note,
        (Breach::Block, Severity::Critical) => Level::Block,
        (Breach::Block, _) if has_ended => Level::Block,
        (Breach::Block | Breach::Warn, _) => Level::Warn,
    }
}

/// Rules with a day that has come for that node.
fn ended(history: &NodeHistory, policy: &Policy, now: Timestamp) -> BTreeSet<&'static str> {
    let mut ended = BTreeSet::new();
    if history.os_release.present().is_some_and(|os| policy.is_retired(os, now)) {
        ended.insert(OS_RETIREMENT);
    }
    let kubelet = history.kubelet.present();
    let version = kubelet.and_then(|kubelet| kubelet.version.as_ref());
    if version
        .and_then(|version| KubernetesVersion::parse(&version.version))
        .is_some_and(|version| policy.has_kubernetes_ended(version, now))
    {
        ended.insert(KUBERNETES);
    }
    ended
}

/// The rules of other editions that this one lacks.
fn lacking(policy: &Policy) -> Vec<RuleAnswer> {
    let others: BTreeSet<&str> = Policy::shipped().iter().flat_map(Policy::rule_ids).collect();
    others
        .into_iter()
        .filter_map(|id| {
            let Standing::Lacking { first_edition } = policy.rule(id) else { return None };
            Some(RuleAnswer {
                rule: id.to_owned(),
                summary: String::new(),
                source: String::new(),
                level: Level::NotApplicable,
                why: format!(
                    "edition {} has no {id}; first edition with it: {}",
                    policy.edition,
                    first_edition.unwrap_or("none")
                ),
                told_by: String::new(),
                unseen: Vec::new(),
                rows: Vec::new(),
            })
        })
        .collect()
}

impl LevelCounts {
    const fn of(&mut self, level: Level) -> &mut usize {
        match level {
            Level::Block => &mut self.block,
            Level::Warn => &mut self.warn,
            Level::Note => &mut self.note,
            Level::Unknown => &mut self.unknown,
            Level::Pass => &mut self.pass,
            Level::NotApplicable => &mut self.not_applicable,
        }
    }
}
