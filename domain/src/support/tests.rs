//! What an edition says of no node, and how its rules add up.

use super::*;
use crate::answer::{About, NodeAnswer};
use crate::check::Outside;
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::{DEFAULT_EDITION, Policy, Standing as RuleStanding};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a time of our days")
}

fn of(policy: &Policy, platforms: &[Platform]) -> SupportAnswer {
    let mut support = Support::new(policy, "all clusters".to_owned(), now());
    for platform in platforms {
        let history = NodeHistory::default();
        let about = About { cluster: "c", node: "n", last_report_at: Some(now()), agent: None };
        let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), policy, now());
        support.take(&history, &NodeAnswer { platform: *platform, ..answer });
    }
    support.answer()
}

#[test]
fn every_rule_of_every_edition_is_told_once() {
    let all = Policy::shipped().iter().flat_map(Policy::rule_ids);
    let all: std::collections::BTreeSet<&str> = all.collect();
    for edition in Policy::editions() {
        let policy = Policy::edition(edition).expect("a shipped edition");
        let answer = of(&policy, &[Platform::Aks]);
        let told: std::collections::BTreeSet<&str> =
            answer.rules.iter().map(|rule| rule.rule.as_str()).collect();
        assert_eq!(told, all, "{edition}");
        assert_eq!(answer.rules.len(), all.len(), "{edition}");
        assert!(answer.rules.is_sorted_by_key(|rule| rule.level), "{edition}");
        let LevelCounts { block, warn, note, unknown, pass, not_applicable } = answer.counts;
        let counted = block + warn + note + unknown + pass + not_applicable;
        assert_eq!(counted, all.len(), "{edition}");
    }
}

#[test]
fn a_rule_that_the_edition_lacks_names_the_first_that_has_it() {
    let policy = Policy::edition("aks-2020").expect("a shipped edition");
    let answer = of(&policy, &[Platform::Aks]);
    let lacking: Vec<&RuleAnswer> = answer
        .rules
        .iter()
        .filter(|rule| matches!(policy.rule(&rule.rule), RuleStanding::Lacking { .. }))
        .collect();
    assert!(lacking.iter().all(|rule| rule.level == Level::NotApplicable));
    let of_age = lacking.iter().find(|rule| rule.rule == "node-image-age").expect("it lacks that");
    assert_eq!(
        of_age.why,
        "edition aks-2020 has no node-image-age; first edition with it: aks-2026"
    );
}

#[test]
fn nodes_that_show_nothing_pass_nothing_but_what_a_report_proves() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let answer = of(&policy, &[Platform::Aks]);
    assert_eq!(answer.standing(), Standing::Incomplete);
    let passed: Vec<&str> = answer
        .rules
        .iter()
        .filter(|rule| rule.level == Level::Pass)
        .map(|rule| rule.rule.as_str())
        .collect();
    assert_eq!(passed, ["deallocate-all-unsupported", "zero-ready-zero-running-30d"]);
    assert_eq!(of(&policy, &[]).counts.pass, 0);
}

#[test]
fn what_no_node_shows_is_unknown_with_the_place_that_would_tell() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    for rule in of(&policy, &[Platform::Aks]).rules {
        if rule.level == Level::Unknown {
            let tells = !rule.told_by.is_empty() || !rule.unseen.is_empty();
            assert!(tells || !rule.rows.is_empty(), "{}: says nothing", rule.rule);
        }
    }
}

#[test]
fn of_nodes_without_a_provider_no_policy_speaks() {
    let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
    let answer = of(&policy, &[Platform::Plain, Platform::Kubernetes, Platform::Unknown]);
    assert_eq!((answer.nodes, answer.without_provider), (0, 2));
    assert_eq!(answer.incomplete, ["the platform of 1 node is not known"]);
    assert!(answer.rules.iter().all(|rule| rule.rows.is_empty()));
}
