//! Plans of node image upgrades: waves, what stands in the way and who acts on it, what changed
//! since, and how far it is.

use jiff::Timestamp;
use nodeward_domain::plan::export::FleetStages;
use nodeward_domain::plan::watch::{PoolProgress, PoolState, Progress};
use nodeward_domain::plan::{Blocker, Check, Gate, Plan, PoolPlan, Standing, Wave, words};
use nodeward_domain::pool::PoolKey;
use nodeward_domain::responsibility::Responsible;
use nodeward_proto::report::Invalid;
use nodeward_proto::{answer, v1};
use serde::Serialize;

use super::layout::{Page, count};
use super::{ScreenError, Style, write};
use crate::arguments::Format;
use crate::inert;

/// The provider's name on screens of plans: plans are of its node pools.
const PROVIDER: &str = "MICROSOFT";

/// The plans that are kept.
#[derive(Debug, Clone, Serialize)]
pub struct PlansAnswer {
    /// For which moment.
    pub as_of: Timestamp,
    /// By name.
    pub plans: Vec<PlanSummary>,
}

/// One plan, in short.
#[derive(Debug, Clone, Serialize)]
pub struct PlanSummary {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Which pools were selected; empty for all.
    pub select: String,
    /// Pools that go, that go with a warning, that do not, and that have nothing to do.
    pub go: u32,
    /// See `go`.
    pub warn: u32,
    /// See `go`.
    pub blocked: u32,
    /// See `go`.
    pub on_target: u32,
    /// When the last wave is over, at the earliest.
    pub ends_at_earliest: Option<Timestamp>,
}

impl TryFrom<v1::ListPlansResponse> for PlansAnswer {
    type Error = Invalid;

    fn try_from(listed: v1::ListPlansResponse) -> Result<Self, Invalid> {
        let plans = listed.plans.into_iter().map(|row| {
            Ok(PlanSummary {
                name: row.name,
                created_at: answer::instant("created_at", row.created_at)?,
                select: row.select,
                go: row.go,
                warn: row.warn,
                blocked: row.blocked,
                on_target: row.on_target,
                ends_at_earliest: row
                    .ends_at_earliest
                    .map(|at| answer::instant("ends_at_earliest", Some(at)))
                    .transpose()?,
            })
        });
        Ok(Self {
            as_of: answer::instant("as_of", listed.as_of)?,
            plans: plans.collect::<Result<_, Invalid>>()?,
        })
    }
}

/// The plans that are kept.
pub fn plans(answer: &PlansAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    let text = |_| {
        let mut page = Page::new(style.width);
        page.labelled("PLANS", &count(answer.plans.len(), "plan is kept", "plans are kept"));
        page.labelled("AS OF", &format!("{:.0}", answer.as_of));
        page.blank();
        page.table(
            &[
                "NAME",
                "MADE",
                "SELECTION",
                "GO",
                "WARN",
                "BLOCKED",
                "ON TARGET",
                "OVER AT EARLIEST",
            ],
            answer.plans.iter().map(|plan| {
                [
                    plan.name.clone(),
                    minute(plan.created_at),
                    if plan.select.is_empty() { "all".to_owned() } else { plan.select.clone() },
                    plan.go.to_string(),
                    plan.warn.to_string(),
                    plan.blocked.to_string(),
                    plan.on_target.to_string(),
                    plan.ends_at_earliest.map_or_else(|| "-".to_owned(), minute),
                ]
            }),
        );
        page.blank();
        // One without a pool has nothing to show.
        let with_pools =
            |plan: &&PlanSummary| plan.go + plan.warn + plan.blocked + plan.on_target > 0;
        let next = match answer.plans.iter().find(with_pools) {
            Some(plan) => format!("nodeward plan show {}", plan.name),
            None => "nodeward plan create NAME".to_owned(),
        };
        page.labelled("NEXT", &style.command(&next));
        page.into_text()
    };
    write(answer, style, text, |csv| {
        csv.write_record(["name", "created_at", "select", "go", "warn", "blocked", "on_target"])?;
        answer.plans.iter().try_for_each(|plan| {
            csv.write_record([
                inert::cell(&plan.name).into_owned(),
                plan.created_at.to_string(),
                inert::cell(&plan.select).into_owned(),
                plan.go.to_string(),
                plan.warn.to_string(),
                plan.blocked.to_string(),
                plan.on_target.to_string(),
            ])
        })
    })
}

fn minute(at: Timestamp) -> String {
    at.strftime("%a %Y-%m-%d %H:%MZ").to_string()
}

fn word(who: &Responsible) -> String {
    who.word(PROVIDER)
}

/// A plan.
pub fn plan(plan: &Plan, style: Style<'_>) -> Result<String, ScreenError> {
    write(plan, style, |wide| text(plan, wide, style), |csv| records(plan, csv))
}

fn text(plan: &Plan, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let totals = &plan.totals;
    page.labelled(
        "PLAN",
        &format!(
            "{}: {} selected: {} GO, {} WARN, {} BLOCKED, {} ON TARGET",
            plan.request.name,
            count(totals.pools as usize, "pool", "pools"),
            totals.go,
            totals.warn,
            totals.blocked,
            totals.on_target,
        ),
    );
    page.labelled(
        "AS OF",
        &format!(
            "{:.0}; policy edition {}; order: risk retired per disrupted node, canary first",
            plan.request.created_at, plan.edition
        ),
    );
    page.labelled(
        "BRINGS",
        &format!(
            "{} over the line, counted once a pool; nodes to upgrade: {} of {}{}, at most {} out \
             of use at a time",
            count(totals.over_line as usize, "fix", "fixes"),
            totals.to_upgrade,
            totals.nodes,
            match silent(plan) {
                0 => String::new(),
                nodes => format!(" that are known and {nodes} more that never reported"),
            },
            totals.disruption_cap,
        ),
    );
    for line in &plan.explains {
        page.labelled("NOTE", &line.to_string());
    }
    for one in &plan.undecided {
        page.labelled(
            "UNKNOWN",
            &format!("{}: {} is not known, so not selected", one.key, one.missing),
        );
    }
    if !plan.waves.is_empty() {
        page.blank();
        page.table(
            &["WAVE", "BEGINS", "OVER AT EARLIEST", "POOLS", "NODES", "OUT", "SURGE", "FIXES OVER"],
            plan.waves.iter().map(|wave| {
                let canary = if wave.is_canary { " canary" } else { "" };
                [
                    format!("{}{canary}", wave.number),
                    minute(wave.starts_at),
                    minute(wave.ends_at_earliest),
                    wave.pools.len().to_string(),
                    wave.nodes.to_string(),
                    wave.disrupted_at_once.to_string(),
                    wave.surge.to_string(),
                    wave.over_line.to_string(),
                ]
            }),
        );
        show_gates(&mut page, &plan.waves);
    }
    for standing in [Standing::Go, Standing::Warn] {
        let going: Vec<&PoolPlan> =
            plan.pools.iter().filter(|pool| pool.standing == standing).collect();
        for pool in going {
            show_going(&mut page, pool, wide);
        }
    }
    for pool in plan.pools.iter().filter(|pool| pool.standing == Standing::Blocked) {
        page.blank();
        page.fold("", 2, &format!("BLOCKED {}", pool.key));
        for blocker in &pool.blockers {
            detail(&mut page, &word(&blocker.who()), &format!("{blocker}"));
            detail(&mut page, "", &format!("next: {}", blocker.next()));
        }
    }
    let on_target: Vec<String> = plan
        .pools
        .iter()
        .filter(|pool| pool.standing == Standing::OnTarget)
        .map(|pool| pool.key.to_string())
        .collect();
    if !on_target.is_empty() {
        page.blank();
        page.labelled("ON TARGET", &on_target.join(", "));
    }
    page.blank();
    page.labelled(
        "ASSUMED",
        &format!(
            "a batch takes {} min at least; the provider promises no duration",
            plan.request.assumed.per_batch_minutes
        ),
    );
    let next = match plan.goes() {
        true => format!("nodeward plan export {} --as script", plan.request.name),
        false => format!("nodeward plan check {}", plan.request.name),
    };
    page.labelled("NEXT", &style.command(&next));
    page.into_text()
}

/// So many nodes should be in the pools and are not known by any name.
fn silent(plan: &Plan) -> usize {
    let of_pool = |pool: &PoolPlan| {
        let expected = pool.blockers.iter().find_map(|blocker| match blocker {
            Blocker::MissingReports { expected, .. } => usize::try_from(*expected).ok(),
            _ => None,
        });
        expected.unwrap_or_default().saturating_sub(pool.nodes.len())
    };
    plan.pools.iter().map(of_pool).sum()
}

/// A line of a pool, behind a word of its own that has room for whoever acts.
fn detail(page: &mut Page, word: &str, text: &str) {
    page.fold(&format!("    {word:<12}"), 16, text);
}

/// What is waited for behind waves: the gate of all of them is one, the soak is the canary's.
fn show_gates(page: &mut Page, waves: &[Wave]) {
    for wave in waves.iter().filter(|wave| wave.soak_hours > 0) {
        let soak = wave.soak_hours;
        page.fold("  ", 4, &format!("behind wave {}: {soak} h before its gate", wave.number));
    }
    let mut told: Vec<&[Gate]> = Vec::new();
    for wave in waves.iter().filter(|wave| !wave.gate.is_empty()) {
        if told.contains(&wave.gate.as_slice()) {
            continue;
        }
        told.push(&wave.gate);
        let gate: Vec<String> = wave.gate.iter().map(ToString::to_string).collect();
        let of: Vec<String> = waves
            .iter()
            .filter(|other| other.gate == wave.gate)
            .map(|other| other.number.to_string())
            .collect();
        let of = match of.len() == waves.len() {
            true => "each wave".to_owned(),
            false => format!("wave {}", of.join(", ")),
        };
        page.fold("  ", 4, &format!("gate behind {of}: {}", gate.join(", ")));
    }
}

fn show_going(page: &mut Page, pool: &PoolPlan, wide: bool) {
    page.blank();
    let target = pool.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let wave = pool.wave.map_or_else(|| "-".to_owned(), |wave| wave.to_string());
    page.fold("", 2, &format!("{} {} in wave {wave} to {target}", pool.standing.word(), pool.key));
    match pool.gain.known() {
        Some(gained) => detail(
            page,
            "brings",
            &format!(
                "{} over the line, {} in all; leaves {}; brings back {}",
                count(gained.over_line.count as usize, "fix", "fixes"),
                gained.all.count,
                gained.left.count,
                gained.brought_back.count,
            ),
        ),
        None => detail(page, "brings", "it is not known what"),
    }
    if let Some(rollout) = &pool.rollout {
        detail(
            page,
            "steps",
            &format!(
                "{} in {} of {}; {} at least, {} at most",
                count(pool.to_upgrade as usize, "node", "nodes"),
                count(rollout.batches.len(), "batch", "batches"),
                rollout.batch,
                words::duration(rollout.at_least),
                words::duration(rollout.at_most),
            ),
        );
    }
    if let Some(soak) = pool.soak.as_ref().filter(|soak| soak.nodes > 0) {
        detail(
            page,
            "soak",
            &format!(
                "on {} of {} of yours, for up to {} d; {} unhealthy",
                count(soak.nodes as usize, "node", "nodes"),
                count(soak.pools as usize, "other pool", "other pools"),
                soak.days,
                soak.unhealthy,
            ),
        );
    }
    if let Some(rollback) = &pool.rollback {
        let back = match &rollback.brings_back {
            Some(fixes) => {
                format!("would take away {} again", count(fixes.count as usize, "fix", "fixes"))
            }
            None => "what it would take away is not known".to_owned(),
        };
        detail(page, "back", &format!("possible until {}; {back}", minute(rollback.until)));
    }
    for warning in &pool.warnings {
        detail(page, "warn", &warning.to_string());
        detail(page, "", &format!("{}: {}", word(&warning.who()), warning.next()));
    }
    let unknown: Vec<String> = pool.unknowns.iter().map(ToString::to_string).collect();
    if !unknown.is_empty() {
        match wide {
            true => {
                for one in &pool.unknowns {
                    detail(page, "?", &format!("{one}: {}", one.next()));
                }
            }
            false => detail(page, "?", &format!("not known: {}", unknown.join("; "))),
        }
    }
}

fn records(plan: &Plan, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "cluster",
        "pool",
        "standing",
        "wave",
        "starts_at",
        "target",
        "nodes",
        "to_upgrade",
        "fixes_over_line",
        "fixes",
        "left",
        "brought_back",
        "rollback_until",
        "blockers",
        "warnings",
        "unknown",
    ])?;
    let joined = |all: Vec<String>| inert::cell(&all.join("; ")).into_owned();
    for pool in &plan.pools {
        let gained = pool.gain.known();
        let number =
            |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        csv.write_record([
            inert::cell(&pool.key.cluster).into_owned(),
            inert::cell(&pool.key.pool).into_owned(),
            pool.standing.word().to_lowercase().replace(' ', "_"),
            number(pool.wave),
            pool.at.map(|span| span.starts_at.to_string()).unwrap_or_default(),
            pool.target.as_ref().map(ToString::to_string).unwrap_or_default(),
            pool.nodes.len().to_string(),
            pool.to_upgrade.to_string(),
            number(gained.map(|gained| gained.over_line.count)),
            number(gained.map(|gained| gained.all.count)),
            number(gained.map(|gained| gained.left.count)),
            number(gained.map(|gained| gained.brought_back.count)),
            pool.rollback.as_ref().map(|back| back.until.to_string()).unwrap_or_default(),
            joined(pool.blockers.iter().map(ToString::to_string).collect()),
            joined(pool.warnings.iter().map(ToString::to_string).collect()),
            joined(pool.unknowns.iter().map(ToString::to_string).collect()),
        ])?;
    }
    Ok(())
}

/// What changed since a plan was made.
pub fn plan_check(name: &str, check: &Check, style: Style<'_>) -> Result<String, ScreenError> {
    let text = |_| {
        let mut page = Page::new(style.width);
        let still = count(check.still_go as usize, "pool still goes", "pools still go");
        let verdict = match (check.fails(), check.changes.is_empty()) {
            (true, _) => format!("BLOCKED since: {still} as planned"),
            (false, true) => format!("as planned: {still}, nothing has changed"),
            (false, false) => format!("{still} as planned"),
        };
        page.labelled("VERDICT", &format!("{name}: {verdict}"));
        page.labelled("AS OF", &format!("{:.0}", check.at));
        for change in &check.changes {
            page.fold("  ", 4, &change.to_string());
        }
        page.blank();
        let next = match check.fails() {
            true => format!("nodeward plan create {name} --replace"),
            false => format!("nodeward plan watch {name}"),
        };
        page.labelled("NEXT", &style.command(&next));
        page.into_text()
    };
    write(check, style, text, |csv| {
        csv.write_record(["cluster", "pool", "change"])?;
        check.changes.iter().try_for_each(|change| {
            let PoolKey { cluster, pool } = change.key();
            csv.write_record([
                inert::cell(cluster).into_owned(),
                inert::cell(pool).into_owned(),
                inert::cell(&change.to_string()).into_owned(),
            ])
        })
    })
}

/// How far a plan is.
pub fn plan_progress(
    name: &str,
    progress: &Progress,
    style: Style<'_>,
) -> Result<String, ScreenError> {
    let text = |wide| progress_text(name, progress, wide, style);
    write(progress, style, text, |csv| {
        csv.write_record(["cluster", "pool", "state", "node", "phase", "since", "image"])?;
        for pool in &progress.pools {
            for node in &pool.nodes {
                csv.write_record([
                    inert::cell(&pool.key.cluster).into_owned(),
                    inert::cell(&pool.key.pool).into_owned(),
                    state(pool.state).to_owned(),
                    inert::cell(&node.name).into_owned(),
                    node.phase.word().to_owned(),
                    node.since.map(|since| since.to_string()).unwrap_or_default(),
                    node.image.as_ref().map(ToString::to_string).unwrap_or_default(),
                ])?;
            }
        }
        Ok(())
    })
}

/// How far a plan is, as one of several looks: a block for people with a blank line behind it,
/// and for machines a document that needs no other. JSON is one line.
pub fn plan_look(
    name: &str,
    progress: &Progress,
    is_first: bool,
    style: Style<'_>,
) -> Result<String, ScreenError> {
    let text = match style.format {
        Format::Json => return Ok(inert::json(&serde_json::to_string(progress)?) + "\n"),
        _ => plan_progress(name, progress, style)?,
    };
    Ok(match style.format {
        Format::Yaml => format!("---\n{text}"),
        // The names of the columns stand above the first.
        Format::Csv if !is_first => {
            text.split_once('\n').map_or_else(String::new, |(_, rows)| rows.to_owned())
        }
        Format::Csv => text,
        _ => text + "\n",
    })
}

const fn state(state: PoolState) -> &'static str {
    match state {
        PoolState::NotBegun => "not begun",
        PoolState::Running => "running",
        PoolState::Stalled => "STALLED",
        PoolState::LeftBehind => "LEFT BEHIND",
        PoolState::Done => "done",
    }
}

fn progress_text(name: &str, progress: &Progress, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let with =
        |wanted: PoolState| progress.pools.iter().filter(|pool| pool.state == wanted).count();
    page.labelled(
        "PROGRESS",
        &format!(
            "{name}: {} of {} done, {} running, {} stalled, {} left nodes behind",
            with(PoolState::Done),
            count(progress.pools.len(), "pool", "pools"),
            with(PoolState::Running),
            with(PoolState::Stalled),
            with(PoolState::LeftBehind),
        ),
    );
    page.labelled("AS OF", &format!("{:.0}, by what nodes say of their disks", progress.at));
    page.blank();
    page.table(
        &["POOL", "WAVE", "STATE", "NODES", "TARGET", "BACK UNTIL"],
        progress.pools.iter().map(|pool| {
            let phases: Vec<String> = pool
                .phases
                .iter()
                .map(|(phase, nodes)| format!("{nodes} {}", phase.word()))
                .collect();
            [
                pool.key.to_string(),
                pool.wave.map_or_else(|| "-".to_owned(), |wave| wave.to_string()),
                state(pool.state).to_owned(),
                phases.join(", "),
                pool.target.version.clone(),
                pool.rollback_until.map_or_else(|| "-".to_owned(), minute),
            ]
        }),
    );
    for pool in &progress.pools {
        show_trouble(&mut page, pool);
        if wide {
            for node in &pool.nodes {
                let since = node.since.map_or_else(|| "before".to_owned(), minute);
                page.fold("  ", 4, &format!("{} {} since {since}", node.name, node.phase.word()));
            }
        }
    }
    page.blank();
    page.labelled("NEXT", &style.command(&format!("nodeward plan check {name}")));
    page.into_text()
}

fn show_trouble(page: &mut Page, pool: &PoolProgress) {
    if let Some(claimed) = &pool.claimed_early {
        page.fold("", 2, &format!("!! {}: {claimed}", pool.key));
    }
    for straggler in &pool.stragglers {
        let phase = straggler.phase.word();
        let since = minute(straggler.since);
        page.fold(
            "",
            2,
            &format!(
                "!! {}: {} is {phase} since {since}: {}",
                pool.key, straggler.node, straggler.next
            ),
        );
    }
    if !pool.quarantined.is_empty() {
        let nodes = pool.quarantined.join(", ");
        page.fold("", 2, &format!("!! {}: given up and out of use: {nodes}", pool.key));
    }
}

/// Stages of Azure Kubernetes Fleet Manager.
pub fn fleet_stages(stages: &FleetStages) -> Result<String, ScreenError> {
    Ok(inert::json(&serde_json::to_string_pretty(stages)?) + "\n")
}
