//! A plan as a shell script of the provider's commands, one function per wave. Source of the
//! commands: `az aks nodepool upgrade --node-image-only`. It runs one wave at a time, within its
//! window, behind a gate that asks Nodeward whether the plan still holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{plain, quoted};
use crate::plan::words::{counted, duration};
use crate::plan::{Plan, PoolPlan, Standing, Wave};

/// Writes the script. It needs `az`, which must be signed in, and `nodeward`; where resource
/// groups are not known it stops until a variable names them.
#[must_use]
pub fn script(plan: &Plan) -> String {
    let groups = unknown_groups(plan);
    let mut text = String::new();
    head(&mut text, plan, &groups);
    for wave in &plan.waves {
        of_wave(&mut text, plan, wave, &groups);
    }
    left_out(&mut text, plan);
    tail(&mut text, plan);
    text
}

/// A variable for the resource group of each cluster of which it is not known.
fn unknown_groups(plan: &Plan) -> BTreeMap<&str, String> {
    let mut clusters: Vec<&str> = plan
        .pools
        .iter()
        .filter(|pool| pool.standing.goes() && pool.resource_group.is_none())
        .map(|pool| pool.key.cluster.as_str())
        .collect();
    clusters.dedup();
    let is_alone = clusters.len() == 1;
    let name = |index: usize| if is_alone { "RG".to_owned() } else { format!("RG_{}", index + 1) };
    clusters.into_iter().enumerate().map(|(index, cluster)| (cluster, name(index))).collect()
}

fn head(text: &mut String, plan: &Plan, groups: &BTreeMap<&str, String>) {
    let totals = &plan.totals;
    line(text, "#!/bin/sh");
    comment(text, &format!("Plan {}, made at {:.0}.", plan.request.name, plan.request.created_at));
    comment(
        text,
        &format!(
            "{} selected: {} go, {} go with warnings, {} blocked, {} on target.",
            counted(plan.pools.len(), "pool"),
            totals.go,
            totals.warn,
            totals.blocked,
            totals.on_target
        ),
    );
    comment(text, "Run it once per wave, at its time: sh SCRIPT 1, then sh SCRIPT 2, and so on.");
    comment(text, "az upgrades to the newest image that is offered when it runs.");
    comment(
        text,
        &format!(
            "Ends are the earliest ones: at least {} min per batch are assumed.",
            plan.request.assumed.per_batch_minutes
        ),
    );
    line(text, "set -eu");
    for (cluster, variable) in groups {
        comment(text, &format!("{variable}: the resource group of cluster {cluster}"));
    }
    let name = quoted(&plan.request.name);
    let _ = write!(
        text,
        "
gate() {{ # WAVE OPENS CLOSES (seconds since 1970)
    now=$(date -u +%s)
    if [ \"${{FORCE:-}}\" != 1 ] && {{ [ \"$now\" -lt \"$2\" ] || [ \"$now\" -ge \"$3\" ]; }}; then
        echo \"wave $1 is outside of its window; FORCE=1 begins it all the same\" >&2
        exit 1
    fi
    nodeward plan check {name}
}}
"
    );
}

fn of_wave(text: &mut String, plan: &Plan, wave: &Wave, groups: &BTreeMap<&str, String>) {
    line(text, "");
    let canary = if wave.is_canary { " (canary)" } else { "" };
    comment(
        text,
        &format!(
            "Wave {}{canary}: {:.0} to {:.0} at the earliest; {}, {}, at most {} out of use.",
            wave.number,
            wave.starts_at,
            wave.ends_at_earliest,
            counted(wave.pools.len(), "pool"),
            counted(usize::try_from(wave.nodes).unwrap_or(usize::MAX), "node"),
            wave.disrupted_at_once
        ),
    );
    if wave.soak_hours > 0 {
        comment(text, &format!("Then wait {} h.", wave.soak_hours));
    }
    let gate: Vec<String> = wave.gate.iter().map(ToString::to_string).collect();
    comment(text, &format!("Before the next wave: {}.", gate.join(", ")));
    let _ = writeln!(text, "wave_{}() {{", wave.number);
    let (opens, closes) = (wave.starts_at.as_second(), wave.window_closes_at.as_second());
    let _ = writeln!(text, "    gate {} {opens} {closes}", wave.number);
    for pool in plan.pools_of(wave) {
        of_pool(text, pool, groups);
    }
    line(text, "}");
}

fn of_pool(text: &mut String, pool: &PoolPlan, groups: &BTreeMap<&str, String>) {
    let length = pool.rollout.as_ref().map_or_else(String::new, |rollout| {
        let batches = match rollout.batches.len() {
            1 => "1 batch".to_owned(),
            batches => format!("{batches} batches"),
        };
        format!(", {batches}, at least {}", duration(rollout.at_least))
    });
    let target = pool.target.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
    let nodes = counted(usize::try_from(pool.to_upgrade).unwrap_or(usize::MAX), "node");
    text.push_str("    ");
    comment(text, &format!("{}{target}: {nodes}{length}", pool.key));
    let group = match (&pool.resource_group, groups.get(pool.key.cluster.as_str())) {
        (Some(group), _) => quoted(group),
        (None, Some(variable)) => format!("\"${{{variable}:?names the resource group}}\""),
        (None, None) => "\"${RG:?names the resource group}\"".to_owned(),
    };
    // What the cluster is called in the fleet need not be the provider's name of it.
    let resource = pool.resource.as_ref();
    let cluster = resource.map_or(&pool.key.cluster, |resource| &resource.cluster);
    let subscription = resource.map_or_else(String::new, |resource| {
        format!("--subscription={} ", quoted(&resource.subscription))
    });
    // With `=`, so that no name is taken for an option.
    let _ = writeln!(
        text,
        "    az aks nodepool upgrade --node-image-only --no-wait \\
        {subscription}--resource-group={group} --cluster-name={} --name={}",
        quoted(cluster),
        quoted(&pool.key.pool)
    );
}

fn left_out(text: &mut String, plan: &Plan) {
    let mut blocked =
        plan.pools.iter().filter(|pool| pool.standing == Standing::Blocked).peekable();
    if blocked.peek().is_some() {
        line(text, "");
    }
    for pool in blocked {
        let why: Vec<String> = pool.blockers.iter().map(ToString::to_string).collect();
        comment(text, &format!("BLOCKED {}: {}", pool.key, why.join("; ")));
    }
    if plan.waves.is_empty() {
        line(text, "");
        comment(text, "This plan has no step:");
        plan.explains.iter().for_each(|why| comment(text, &why.to_string()));
    }
}

fn tail(text: &mut String, plan: &Plan) {
    line(text, "");
    line(text, "case \"${1:-}\" in");
    for wave in &plan.waves {
        let _ = writeln!(text, "    {0}) wave_{0} ;;", wave.number);
    }
    let _ = writeln!(
        text,
        "    *) echo \"usage: sh $0 WAVE; waves of this plan: {}\" >&2; exit 2 ;;",
        plan.waves.len()
    );
    line(text, "esac");
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn comment(text: &mut String, words: &str) {
    line(text, &format!("# {}", plain(words)));
}
