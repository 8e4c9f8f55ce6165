//! What is asked about plans, and with which exit code it ends. A plan with something blocked is
//! incomplete work, and a finding; `check` fails only when what went is blocked now.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use nodeward_domain::plan::export::FleetStages;
use nodeward_domain::plan::watch::{PoolState, Progress as PlanProgress};
use nodeward_domain::plan::{Check, Plan, export};
use nodeward_proto::v1;

use super::{Failure, Shown, edition};
use crate::address::Address;
use crate::arguments::{CreatePlan, ExportForm, Plan as PlanCommand};
use crate::client::Client;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::screen::{self, Style};

/// Does what was typed about plans.
pub(super) async fn plan(
    command: &PlanCommand,
    aggregator: &Address,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    let mut client = Client::new(aggregator)?;
    if let PlanCommand::Watch { name, every: Some(every) } = command {
        let out = &mut std::io::stdout();
        return watched(name, *every, style, out, async || {
            let _progress = Progress::of("the aggregator");
            client.watch_plan(name).await
        })
        .await;
    }
    let _progress = Progress::of("the aggregator");
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
        PlanCommand::Watch { name, .. } => {
            shown_progress(name, &client.watch_plan(name).await?, style)
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

/// Looks again and again until nothing moves any more, and writes every look that shows
/// something else than the one before, as it comes: whoever waits hears of a node that stands
/// still while it does.
async fn watched<E>(
    name: &str,
    every: Duration,
    style: Style<'_>,
    out: &mut impl Write,
    mut look: impl AsyncFnMut() -> Result<PlanProgress, E>,
) -> Result<Shown, Failure>
where
    Failure: From<E>,
{
    let mut before: Option<PlanProgress> = None;
    loop {
        let progress = look().await?;
        let exit = watch_exit(&progress);
        let is_over = progress
            .pools
            .iter()
            .all(|pool| matches!(pool.state, PoolState::Done | PoolState::LeftBehind));
        let is_news = before.as_ref().is_none_or(|before| before.pools != progress.pools);
        let text = match is_news {
            true => screen::plan_look(name, &progress, before.is_none(), style)?,
            false => String::new(),
        };
        if is_over {
            return Ok(Shown { text, exit, notes: Vec::new() });
        }
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        // Whoever reads has seen enough, or nobody can be told any more.
        if written.is_err() {
            return Ok(Shown { text: String::new(), exit, notes: Vec::new() });
        }
        before = Some(progress);
        tokio::time::sleep(every).await;
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
        max_disrupted: asked.max_disrupted.clone().unwrap_or_default(),
        target: asked.target.clone().unwrap_or_default(),
        pools_at_once_per_cluster: asked.pools_at_once,
        canary: asked.canary.clone().unwrap_or_default(),
        soak_hours: asked.soak_hours,
        accept: asked.accept.clone(),
        replace: asked.replace,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nodeward_domain::image::ImageLabel;
    use nodeward_domain::plan::watch::PoolProgress;
    use nodeward_domain::pool::PoolKey;

    use super::*;
    use crate::arguments::Format;
    use crate::screen::ScreenError;

    fn progress(second: i64, state: PoolState) -> PlanProgress {
        let pool = PoolProgress {
            key: PoolKey { cluster: "prod".to_owned(), pool: "apps".to_owned() },
            wave: Some(1),
            state,
            target: ImageLabel::parse("AKSUbuntu-2204gen2containerd-202611.17.0").expect("a label"),
            phases: BTreeMap::new(),
            nodes: Vec::new(),
            claimed_early: None,
            stragglers: Vec::new(),
            quarantined: Vec::new(),
            not_ready: Vec::new(),
            began_at: None,
            completed_at: None,
            rollback_until: None,
        };
        let at = jiff::Timestamp::from_second(1_790_000_000 + second).expect("a moment");
        PlanProgress { at, pools: vec![pool], out_of_order: 0 }
    }

    /// What was written while it went on, and what is shown at its end.
    fn looked(format: Format, states: &[PoolState]) -> (String, Shown) {
        let style = Style { format, width: 100, aggregator: None };
        let mut looks = (0..).zip(states).map(|(second, state)| progress(second, *state));
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let shown = runtime.expect("a runtime").block_on(watched(
            "weekend",
            Duration::from_millis(1),
            style,
            &mut out,
            async || looks.next().ok_or(ScreenError::Csv(std::io::Error::other("no end").into())),
        ));
        (String::from_utf8(out).expect("text"), shown.expect("it is over"))
    }

    #[test]
    fn every_change_is_written_as_it_comes_and_once() {
        use PoolState::{Done, NotBegun, Running, Stalled};
        let states = [NotBegun, NotBegun, Running, Stalled, Stalled, Done];
        let (before, last) = looked(Format::Table, &states);
        assert_eq!(before.matches("PROGRESS").count(), 3, "{before}");
        assert!(before.contains("STALLED") && before.contains("NEXT"), "{before}");
        assert!(last.text.contains("1 of 1 pool done"), "{}", last.text);
        assert_eq!(last.exit, Exit::Clean);
        let (before, last) = looked(Format::Json, &states);
        let lines: Vec<&str> = before.lines().chain(last.text.lines()).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        for line in lines {
            serde_json::from_str::<PlanProgress>(line).expect("a document on its line");
        }
    }
}
