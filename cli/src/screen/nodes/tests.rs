//! The fleet's screen, made from rows that were written by hand.

use nodeward_domain::platform::Platform;

use super::*;
use crate::arguments::Format;

fn row(node: &str, standing: Standing) -> NodeRow {
    let unknown = usize::from(standing == Standing::Incomplete);
    NodeRow {
        cluster: "prod".to_owned(),
        node: node.to_owned(),
        platform: Platform::Aks,
        standing,
        findings: usize::from(standing == Standing::Findings),
        unknown,
        acts_first: if standing == Standing::Findings { "YOU" } else { "-" }.to_owned(),
        worst: if standing == Standing::Findings { "OsRetired" } else { "" }.to_owned(),
        action: String::new(),
        fixes: 0,
        over_line: 0,
        last_report_at: Some(Timestamp::UNIX_EPOCH),
        presence: None,
    }
}

fn shown(answer: &FleetAnswer, format: Format, width: usize) -> String {
    nodes(answer, Style { format, width, aggregator: None }).expect("a screen")
}

#[test]
fn a_name_is_never_broken_however_narrow_the_terminal() {
    let name = "aks-nodepool1-10000000-vmss000003";
    let rows = vec![row(name, Standing::Findings)];
    let answer = FleetAnswer::of(Timestamp::UNIX_EPOCH, scope(None, None), rows);
    for width in [60, 80, 120] {
        for format in [Format::Table, Format::Wide] {
            let text = shown(&answer, format, width);
            assert!(text.contains(name) && text.contains("OsRetired"), "{width}:\n{text}");
            assert!(text.lines().all(|line| line.len() <= width), "{width}:\n{text}");
        }
    }
}

#[test]
fn the_next_command_asks_the_same_aggregator() {
    let style =
        Style { format: Format::Table, width: 200, aggregator: Some("http://127.0.0.1:17443") };
    let of = |rows| {
        let answer = FleetAnswer::of(Timestamp::UNIX_EPOCH, scope(None, None), rows);
        nodes(&answer, style).expect("a screen")
    };
    let text = of(vec![row("a", Standing::Findings)]);
    let next = "NEXT      nodeward node a --cluster prod --aggregator http://127.0.0.1:17443\n";
    assert!(text.ends_with(next), "{text}");
}

#[test]
fn nobody_heard_is_not_clean() {
    let answer = FleetAnswer::of(Timestamp::UNIX_EPOCH, scope(None, None), Vec::new());
    assert_eq!(answer.standing(), Standing::Incomplete);
    let text = shown(&answer, Format::Table, 80);
    assert!(text.starts_with("VERDICT   INCOMPLETE: no such node has reported"), "{text}");
    assert!(text.ends_with("NEXT      nodeward-agent run --aggregator URL, on each node\n"));
}

#[test]
fn no_findings_are_clean_only_where_everything_is_known() {
    let scope = || scope(None, Some(Standing::Findings));
    let of = |all: Vec<NodeRow>| {
        FleetAnswer::none_of(Standing::Findings, Timestamp::UNIX_EPOCH, scope(), all)
    };
    let clean = of(vec![row("a", Standing::Clean)]);
    assert_eq!(clean.standing(), Standing::Clean);
    let text = shown(&clean, Format::Table, 80);
    assert!(text.starts_with("VERDICT   no findings on 1 node ("), "{text}");
    assert!(text.ends_with("NEXT      nodeward nodes\n"), "{text}");

    let open = of(vec![row("a", Standing::Clean), row("b", Standing::Incomplete)]);
    assert_eq!(open.standing(), Standing::Incomplete);
    let json: serde_json::Value =
        serde_json::from_str(&shown(&open, Format::Json, 80)).expect("JSON");
    assert_eq!(json["complete"], false);
    assert_eq!(of(Vec::new()).standing(), Standing::Incomplete);
}

#[test]
fn when_no_node_stands_as_was_asked_for_the_answer_is_about_all() {
    use Standing::{Clean, Findings, Incomplete};
    for (asked, all, standing, says) in [
        (Clean, &[Findings, Findings][..], Findings, "none of 2 nodes is clean (all"),
        (Clean, &[Findings, Incomplete], Findings, "acts first: YOU on 1), 1 INCOMPLETE"),
        (Clean, &[Incomplete], Incomplete, "only with standing clean): 1 INCOMPLETE"),
        (Incomplete, &[Clean, Clean], Clean, "none of 2 nodes is only incomplete (all"),
        (Incomplete, &[Findings, Clean], Findings, "acts first: YOU on 1), 1 clean"),
        (Clean, &[], Incomplete, "INCOMPLETE: no such node has reported"),
    ] {
        let rows = all.iter().zip(["a", "b"]).map(|(standing, node)| row(node, *standing));
        let scope = scope(None, Some(asked));
        let answer = FleetAnswer::none_of(asked, Timestamp::UNIX_EPOCH, scope, rows.collect());
        assert_eq!(answer.standing(), standing, "{asked:?} of {all:?}");
        let text = shown(&answer, Format::Table, 160);
        assert!(text.lines().next().is_some_and(|first| first.contains(says)), "{text}");
        let next = if all.is_empty() { "nodeward-agent run" } else { "nodeward nodes" };
        assert!(text.lines().last().is_some_and(|last| last.contains(next)), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&shown(&answer, Format::Json, 80)).expect("JSON");
        assert_eq!(json["total"], 0);
    }
}
