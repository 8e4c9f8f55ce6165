//! Scanners' lists held against the nodes of the story `whose-turn`: in the forms of Trivy,
//! Grype and a table, labelled as they were committed beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use nodeward_aggregator::fleet::Fleet;
use nodeward_cli::arguments::Format;
use nodeward_cli::exit::Exit;
use nodeward_cli::scan::{ScanAnswer, ScanQuestion, read};
use nodeward_cli::screen::{self, Style};
use nodeward_domain::fixes::scan::ScanVerdict;
use nodeward_proto::answer::scan;
use nodeward_tests::project;
use nodeward_tests::scenario::Scenario;

const LISTS: [&str; 3] = ["trivy.json", "grype.json", "hosts.csv"];

fn folder() -> PathBuf {
    project::root().join("tests/scenarios/whose-turn")
}

fn list(name: &str) -> PathBuf {
    folder().join("scan").join(name)
}

async fn fleet() -> (Scenario, Fleet) {
    let scenario = Scenario::read(&folder());
    let fleet = scenario.play(&folder()).await;
    (scenario, fleet)
}

/// The answer about a list, by way of the wire.
fn labelled(scenario: &Scenario, fleet: &Fleet, name: &str, cluster: Option<&str>) -> ScanAnswer {
    let scan = read(&list(name), None).expect("a list");
    let question = ScanQuestion::of(&scan);
    let places: Vec<u64> = (0..).take(question.rows.len()).collect();
    let labels = fleet.label_scan(cluster, &question.rows, scenario.now);
    let told = scan::labels(scan::response(&labels, &places), &places).expect("what was sent");
    assert_eq!(told, labels, "{name}");
    question.answer(scan, cluster, labels)
}

fn shown(answer: &ScanAnswer, format: Format) -> String {
    let style = Style { format, width: 100, aggregator: None };
    screen::scan(answer, style).expect("a screen")
}

#[tokio::test]
async fn lists_are_labelled_as_before() {
    let (scenario, fleet) = fleet().await;
    let mut verdicts = BTreeSet::new();
    for name in LISTS {
        let answer = labelled(&scenario, &fleet, name, None);
        assert_eq!(answer.exit(), Exit::Findings, "{name}");
        verdicts.extend(answer.verdicts().into_keys());
        let text = format!(
            "$ nodeward import scan {name}\n{}\n$ nodeward import scan {name} -o wide\n{}",
            shown(&answer, Format::Table),
            shown(&answer, Format::Wide)
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
        project::assert_committed(&list(&format!("{name}.answer.txt")), &text);
        let csv = shown(&answer, Format::Csv);
        project::assert_committed(&list(&format!("{name}.answer.csv")), &csv);
    }
    // Nothing that a node tells makes anything mitigated yet.
    let all = ScanVerdict::ALL.into_iter().filter(|one| *one != ScanVerdict::Mitigated);
    assert_eq!(verdicts, all.collect());
}

#[tokio::test]
async fn every_form_has_every_row_in_its_order() {
    let (scenario, fleet) = fleet().await;
    for name in LISTS {
        let answer = labelled(&scenario, &fleet, name, None);
        let scan = read(&list(name), None).expect("a list");
        let rows: Vec<(usize, String)> =
            scan.rows.iter().map(|row| (row.place, row.id.to_string())).collect();
        let json: serde_json::Value =
            serde_json::from_str(&shown(&answer, Format::Json)).expect("one JSON document");
        let yaml: serde_json::Value =
            serde_yaml_ng::from_str(&shown(&answer, Format::Yaml)).expect("one YAML document");
        assert_eq!(json, yaml, "{name}");
        let of_json = json["rows"].as_array().expect("rows").iter().map(|row| {
            let place = row["place"].as_u64().expect("a place");
            (usize::try_from(place).expect("small"), row["id"].as_str().expect("an id").to_owned())
        });
        assert_eq!(of_json.collect::<Vec<_>>(), rows, "{name}");
        let csv = shown(&answer, Format::Csv);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let of_csv = reader.records().map(|record| {
            let record = record.expect("a row");
            assert!(record.iter().all(|cell| !cell.starts_with('=')), "{record:?}");
            (record[0].parse().expect("a place"), record[1].to_owned())
        });
        assert_eq!(of_csv.collect::<Vec<(usize, String)>>(), rows, "{name}");
    }
}

#[tokio::test]
async fn of_a_cluster_only_its_nodes_are_looked_at() {
    let (scenario, fleet) = fleet().await;
    let lab = labelled(&scenario, &fleet, "hosts.csv", Some("lab"));
    assert_eq!(lab.nodes, 1);
    assert_eq!(lab.rows[0].label.why, "node aks-new is not of cluster lab");
    assert!(shown(&lab, Format::Table).contains("(cluster lab)"));
    assert_eq!(lab.exit(), Exit::Incomplete, "{:?}", lab.verdicts());
    let none = labelled(&scenario, &fleet, "hosts.csv", Some("moon"));
    assert_eq!(none.exit(), Exit::Incomplete);
    assert!(shown(&none, Format::Table).contains("no node has reported"));
}
