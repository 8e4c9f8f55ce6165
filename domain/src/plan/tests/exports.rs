//! Plans as other tools read them.

use super::*;
use crate::plan::export::{fleet_stages, script, ticket};

fn weekend() -> Plan {
    let mut request = request();
    request.windows = vec!["Sat 22:00-06:00 Europe/Amsterdam".to_owned()];
    request.soak_hours = 1;
    let mut blocked = pool("stg", "db", 3);
    blocked.drift = Some(vec![Drift::File("/etc/evil\nrm -rf /\n".to_owned())]);
    let mut odd = pool("that's; reboot", "$(id)", 2);
    odd.resource_group = None;
    planned(&request, &[pool("prod", "apps", 2), pool("prod", "web", 4), blocked, odd])
}

#[test]
fn a_script_runs_one_wave_behind_its_gate_with_names_that_are_inert() {
    let text = script(&weekend());
    assert!(text.starts_with("#!/bin/sh\n# Plan wknd-0725, made at 2026-07-23T12:00:00Z.\n"));
    assert!(text.contains("\nset -eu\n") && text.contains("nodeward plan check wknd-0725"));
    assert!(text.contains(
        "    az aks nodepool upgrade --node-image-only --no-wait \\
        --resource-group=rg-weu --cluster-name=prod --name=apps\n"
    ));
    assert!(text.contains(
        r#"--resource-group="${RG:?names the resource group}" --cluster-name='that'\''s; reboot' --name='$(id)'"#
    ));
    let of_db: Vec<&str> = text.lines().filter(|line| line.contains("stg/db")).collect();
    assert_eq!(of_db.len(), 1);
    assert!(of_db[0].starts_with("# BLOCKED stg/db: "));
    assert!(!text.lines().any(|line| line.trim_start().starts_with("rm ")), "{text}");
    assert!(!text.contains("--name=db"));
    assert!(text.contains("    gate 1 1785009600 1785038400\n"), "{text}");
}

#[test]
fn a_script_names_subscription_and_cluster_as_the_provider_does() {
    let mut renamed = pool("prod-west", "apps", 2);
    renamed.resource = Some(ClusterResource {
        subscription: "0-1".to_owned(),
        resource_group: "rg-weu".to_owned(),
        cluster: "aks $prod".to_owned(),
    });
    let text = script(&planned(&request(), &[renamed]));
    assert!(
        text.contains(
            "--subscription=0-1 --resource-group=rg-weu --cluster-name='aks $prod' --name=apps\n"
        ),
        "{text}"
    );
    let stored = serde_json::to_value(planned(&request(), &[pool("prod", "apps", 2)]));
    let mut earlier = stored.expect("plain");
    earlier["pools"][0].as_object_mut().expect("a pool").remove("resource");
    assert!(serde_json::from_value::<Plan>(earlier).is_ok(), "plans stored earlier are read");
}

#[test]
fn a_script_of_a_plan_without_a_step_says_so() {
    let text = script(&planned(&request(), &[]));
    assert!(text.contains("# This plan has no step:\n# no pool is known"));
    assert!(!text.contains("az aks"));
}

#[test]
fn stages_leave_out_clusters_that_must_not_be_upgraded_whole() {
    let fleet = fleet_stages(&weekend());
    assert_eq!(
        serde_json::to_string(&fleet).expect("plain"),
        "{\"stages\":[{\"name\":\"wave-1-canary\",\"maxConcurrency\":1,\
         \"groups\":[{\"name\":\"prod\"}],\"afterStageWaitInSeconds\":3600}]}"
    );
    let notes = fleet.notes.join("\n");
    assert!(notes.contains("cannot be groups': that's; reboot"), "{notes}");
    assert!(notes.contains("several waves: prod"), "{notes}");
    let mut blocked = pool("prod", "db", 2);
    blocked.offered = None;
    let plan = planned(&request(), &[pool("prod", "apps", 2), blocked]);
    let fleet = fleet_stages(&plan);
    assert_eq!(fleet.stages, []);
    assert!(fleet.notes[0].contains("blocked"), "{:?}", fleet.notes);
}

#[test]
fn a_stage_has_at_most_fifty_groups_and_no_more_at_a_time_than_may_be_disrupted() {
    let pools: Vec<PoolInput> =
        (0..120).map(|index| pool(&format!("c{index}"), "apps", 2)).collect();
    let mut request = request();
    (request.canary, request.max_disrupted) = (Share::Nodes(0), Share::Nodes(110));
    let with_pot = pools.into_iter().map(|mut pool| {
        pool.processors = None;
        pool.addresses = None;
        pool
    });
    let fleet = fleet_stages(&planned(&request, &with_pot.collect::<Vec<_>>()));
    let sizes: Vec<usize> = fleet.stages.iter().map(|stage| stage.groups.len()).collect();
    assert_eq!(sizes, [50, 50, 10, 10]);
    assert!(fleet.stages.iter().all(|stage| stage.max_concurrency <= 50));
    let names: Vec<&str> = fleet.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["wave-1-part-1", "wave-1-part-2", "wave-1-part-3", "wave-2"]);
}

#[test]
fn a_ticket_says_what_when_why_not_and_how_back() {
    let text = ticket(&weekend(), &policy());
    for part in [
        "# Upgrade of node images: wknd-0725\n",
        "| 1 (canary) | 2026-07-25T20:00:00Z |",
        "wait 1 h; no new conditions, NotReady = 0",
        "| stg/db | 1 change made by hand would be lost: /etc/evil?rm -rf /? | YOU |",
        r"that's; reboot/\$\(id\)",
        "would bring back 9 missing fixes, 7 over the line",
        "    nodeward plan check wknd-0725\n",
        "## Way back",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
