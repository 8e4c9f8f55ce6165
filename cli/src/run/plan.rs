//! What is asked about plans, and with which exit code it ends. A plan with something blocked is
//! incomplete work, and a finding; `check` fails only when what went is blocked now.

use std::collections::BTreeSet;
use std::time::Duration;

use nodeward_domain::plan::export::FleetStages;
use nodeward_domain::plan::watch::{PoolState, Progress as PlanProgress};
use nodeward_domain::plan::{Check, Plan, export};
use nodeward_proto::v1;

use super::{Failure, Shown, edition};
use crate::arguments::{CreatePlan, ExportForm, Plan as PlanCommand};
use crate::client::Client;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::screen::{self, Style};

/// Does what was typed about plans.
pub(super) async fn plan(
    command: &PlanCommand,
    aggregator: &str,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    let _progress = Progress::of("the aggregator");
    let mut client = Client::new(aggregator)?;
    match command {
        PlanCommand::Create(asked) => {
            shown_plan(&client.create_plan(plan_request(asked)).await?, style)
        }
        PlanCommand::List => {
            let answer = client.plans().await?;
            let exit = if answer.plans.is_empty() { Exit::Incomplete } else { Exit::Clean };
            Ok(Shown { text: screen::plans(&answer, style)?, exit, notes: Vec::new() })
        }
        PlanCommand::Show { name } => shown_plan(&client.plan(name).await?, style),
        PlanCommand::Check { name } => shown_check(name, &client.check_plan(name).await?, style),
        PlanCommand::Export { name, form } => exported_plan(&client.plan(name).await?, *form),
        PlanCommand::Watch { name, every } => {
            shown_progress(name, &watched(&mut client, name, *every).await?, style)
        }
        PlanCommand::Delete { name } => {
            client.delete_plan(name).await?;
            Ok(Shown {
                text: format!("plan {name} is forgotten\n"),
                exit: Exit::Clean,
                notes: Vec::new(),
            })
        }
    }
}

/// Asks once, or until nothing moves any more.
async fn watched(
    client: &mut Client,
    name: &str,
    every: Option<Duration>,
) -> Result<PlanProgress, Failure> {
    loop {
        let progress = client.watch_plan(name).await?;
        let is_over = progress
            .pools
            .iter()
            .all(|pool| matches!(pool.state, PoolState::Done | PoolState::LeftBehind));
        match every {
            Some(every) if !is_over => tokio::time::sleep(every).await,
            _ => return Ok(progress),
        }
    }
}

fn watch_exit(progress: &PlanProgress) -> Exit {
    let is_wrong = |pool: &nodeward_domain::plan::watch::PoolProgress| {
        matches!(pool.state, PoolState::Stalled | PoolState::LeftBehind)
            || pool.claimed_early.is_some()
            || !pool.not_ready.is_empty()
    };
    if progress.pools.iter().any(is_wrong) {
        Exit::Findings
    } else if progress.is_done() {
        Exit::Clean
    } else {
        Exit::Incomplete
    }
}

/// A plan: what of it is blocked is a finding.
pub fn shown_plan(plan: &Plan, style: Style<'_>) -> Result<Shown, Failure> {
    let exit = if plan.totals.blocked > 0 {
        Exit::Findings
    } else if plan.undecided.is_empty() && plan.totals.pools > 0 {
        Exit::Clean
    } else {
        Exit::Incomplete
    };
    Ok(Shown { text: screen::plan(plan, style)?, exit, notes: Vec::new() })
}

/// What has changed since a plan was made.
pub fn shown_check(name: &str, check: &Check, style: Style<'_>) -> Result<Shown, Failure> {
    let exit = if check.fails() { Exit::Findings } else { Exit::Clean };
    Ok(Shown { text: screen::plan_check(name, check, style)?, exit, notes: Vec::new() })
}

/// A plan for the tools that act.
pub fn exported_plan(plan: &Plan, form: ExportForm) -> Result<Shown, Failure> {
    let exit = if plan.goes() { Exit::Clean } else { Exit::Findings };
    let text = match form {
        ExportForm::Script => export::script(plan),
        ExportForm::Ticket => export::ticket(plan, &edition(Some(&plan.edition))?),
        ExportForm::Fleet => {
            let FleetStages { stages, notes } = export::fleet_stages(plan);
            // A cluster that goes and is in no stage is told of, and missing from the answer.
            let going = plan.pools.iter().filter(|pool| pool.standing.goes());
            let going: BTreeSet<&str> = going.map(|pool| pool.key.cluster.as_str()).collect();
            let staged: usize = stages.iter().map(|stage| stage.groups.len()).sum();
            let exit = if staged < going.len() { Exit::Incomplete } else { exit };
            let text = screen::fleet_stages(&FleetStages { stages, notes: Vec::new() })?;
            return Ok(Shown { text, exit, notes });
        }
    };
    Ok(Shown { text, exit, notes: Vec::new() })
}

/// How far a plan is.
pub fn shown_progress(
    name: &str,
    progress: &PlanProgress,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    Ok(Shown {
        text: screen::plan_progress(name, progress, style)?,
        exit: watch_exit(progress),
        notes: Vec::new(),
    })
}

/// What was typed, as the aggregator is asked.
#[must_use]
pub fn plan_request(asked: &CreatePlan) -> v1::CreatePlanRequest {
    v1::CreatePlanRequest {
        name: asked.name.clone(),
        select: asked.select.clone(),
        windows: asked.windows.clone(),
        max_disrupted: asked.max_disrupted.clone(),
        target: asked.target.clone(),
        pools_at_once_per_cluster: asked.pools_at_once,
        canary: asked.canary.clone(),
        soak_hours: asked.soak_hours,
        accept: asked.accept.clone(),
        replace: asked.replace,
    }
}
