//! A plan as Markdown for a change ticket: what is done, when, what it brings, what is not
//! known, how to go back.

use std::fmt::Write as _;

use super::{escaped, plain};
use crate::plan::input::Gain;
use crate::plan::words::duration;
use crate::plan::{Plan, PoolPlan, Standing};
use crate::policy::Policy;

/// Writes the ticket. `policy` names who must act.
#[must_use]
pub fn ticket(plan: &Plan, policy: &Policy) -> String {
    let mut text = String::new();
    summary(&mut text, plan);
    waves(&mut text, plan);
    pools(&mut text, plan);
    blocked(&mut text, plan, policy);
    look_at(&mut text, plan);
    back(&mut text, plan);
    commands(&mut text, plan);
    text
}

fn summary(text: &mut String, plan: &Plan) {
    let totals = &plan.totals;
    let request = &plan.request;
    let _ = writeln!(text, "# Upgrade of node images: {}\n", escaped(&request.name));
    let _ = writeln!(
        text,
        "{} pools: {} go, {} go with warnings, {} blocked, {} on target. {} of {} nodes are \
         upgraded, at most {} are out of use at any time. {} fixes over the line are brought, \
         counted once a pool.\n",
        totals.pools,
        totals.go,
        totals.warn,
        totals.blocked,
        totals.on_target,
        totals.to_upgrade,
        totals.nodes,
        totals.disruption_cap,
        totals.over_line
    );
    let select = if request.select.is_empty() { "all pools" } else { request.select.as_str() };
    let _ = writeln!(text, "- Selection: {}", escaped(select));
    match request.windows.is_empty() {
        true => text.push_str("- Windows: any time\n"),
        false => {
            let _ = writeln!(text, "- Windows: {}", escaped(&request.windows.join("; ")));
        }
    }
    let _ = writeln!(text, "- Target: {}", escaped(&request.target.to_string()));
    let _ = writeln!(text, "- Made at {:.0} by edition {}", request.created_at, plan.edition);
    let _ = writeln!(
        text,
        "- Ends are the earliest ones: at least {} min per batch are assumed, and the provider \
         promises no end",
        request.assumed.per_batch_minutes
    );
    for why in &plan.explains {
        let _ = writeln!(text, "- {}", escaped(&why.to_string()));
    }
}

fn waves(text: &mut String, plan: &Plan) {
    if plan.waves.is_empty() {
        return;
    }
    text.push_str(
        "\n## Waves\n\n| Wave | From | Over at the earliest | Pools | Nodes | Out of use | \
         Fixes over the line | Then |\n|---|---|---|---|---|---|---|---|\n",
    );
    for wave in &plan.waves {
        let gate: Vec<String> = wave.gate.iter().map(ToString::to_string).collect();
        let soak = match wave.soak_hours {
            0 => String::new(),
            hours => format!("wait {hours} h; "),
        };
        let _ = writeln!(
            text,
            "| {}{} | {:.0} | {:.0} | {} | {} | {} | {} | {soak}{} |",
            wave.number,
            if wave.is_canary { " (canary)" } else { "" },
            wave.starts_at,
            wave.ends_at_earliest,
            wave.pools.len(),
            wave.nodes,
            wave.disrupted_at_once,
            wave.over_line,
            gate.join(", ")
        );
    }
}

fn pools(text: &mut String, plan: &Plan) {
    if plan.waves.is_empty() {
        return;
    }
    text.push_str(
        "\n## Pools\n\n| Wave | Pool | Nodes | To | At least | At most | Over the line | In all | \
         Left | Back again |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for pool in plan.waves.iter().flat_map(|wave| plan.pools_of(wave)) {
        let target = pool.target.as_ref().map(|target| escaped(&target.to_string()));
        let (least, most) = pool.rollout.as_ref().map_or_else(Default::default, |rollout| {
            (duration(rollout.at_least), duration(rollout.at_most))
        });
        let gain = match &pool.gain {
            Gain::Unknown { .. } => "unknown | unknown | unknown | unknown".to_owned(),
            Gain::Known(gained) => format!(
                "{} | {} | {} | {}",
                gained.over_line.count,
                gained.all.count,
                gained.left.count,
                gained.brought_back.count
            ),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {least} | {most} | {gain} |",
            pool.wave.unwrap_or_default(),
            escaped(&pool.key.to_string()),
            pool.to_upgrade,
            target.unwrap_or_default(),
        );
    }
}

fn blocked(text: &mut String, plan: &Plan, policy: &Policy) {
    let blocked: Vec<&PoolPlan> =
        plan.pools.iter().filter(|pool| pool.standing == Standing::Blocked).collect();
    if blocked.is_empty() {
        return;
    }
    text.push_str("\n## Blocked\n\n| Pool | Why | Who | Next |\n|---|---|---|---|\n");
    for pool in blocked {
        for blocker in &pool.blockers {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                escaped(&pool.key.to_string()),
                escaped(&blocker.to_string()),
                escaped(&blocker.who().word(&policy.provider)),
                escaped(&blocker.next())
            );
        }
    }
}

fn look_at(text: &mut String, plan: &Plan) {
    let going: Vec<&PoolPlan> = plan.pools.iter().filter(|pool| pool.standing.goes()).collect();
    if going.iter().any(|pool| !pool.warnings.is_empty()) {
        text.push_str("\n## Look at before\n\n");
    }
    for pool in &going {
        for warning in &pool.warnings {
            let (key, next) = (escaped(&pool.key.to_string()), escaped(&warning.next()));
            let _ = writeln!(text, "- {key}: {} ({next})", escaped(&warning.to_string()));
        }
    }
    if going.iter().any(|pool| !pool.unknowns.is_empty()) {
        text.push_str("\n## Not known\n\n");
    }
    for pool in going.iter().filter(|pool| !pool.unknowns.is_empty()) {
        let unknowns: Vec<String> = pool.unknowns.iter().map(ToString::to_string).collect();
        let key = escaped(&pool.key.to_string());
        let _ = writeln!(text, "- {key}: {}", escaped(&unknowns.join("; ")));
    }
}

fn back(text: &mut String, plan: &Plan) {
    let mut going =
        plan.pools.iter().filter_map(|pool| Some((pool, pool.rollback.as_ref()?))).peekable();
    if going.peek().is_none() {
        return;
    }
    text.push_str(
        "\n## Way back\n\nThe provider takes a pool back once, within 7 days. With a channel \
         that brings images the old image may not come back, and a cluster in a group of Fleet \
         Manager must leave it first.\n\n",
    );
    for (pool, rollback) in going {
        let key = escaped(&pool.key.to_string());
        let _ = write!(text, "- {key}: until {:.0}; would bring back ", rollback.until);
        match (&rollback.brings_back, &rollback.brings_back_over_line) {
            (Some(all), Some(over)) => {
                let _ = writeln!(text, "{} missing fixes, {} over the line", all.count, over.count);
            }
            _ => text.push_str("an unknown number of missing fixes\n"),
        }
    }
}

fn commands(text: &mut String, plan: &Plan) {
    let name = super::quoted(&plain(&plan.request.name)).replace('`', "");
    let _ = write!(
        text,
        "\n## Commands\n\n    nodeward plan check {name}\n    nodeward plan export {name} \
         --as script\n    nodeward plan watch {name}\n"
    );
}
