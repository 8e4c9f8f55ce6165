//! What is handed in with the provider: the files of the story `whose-turn` as they were
//! committed, and that nothing is in two of the lists or in none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use nodeward_cli::support::export;
use nodeward_domain::fixes::fleet::{Asked, By, PatchAge};
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};
use nodeward_tests::project;
use nodeward_tests::scenario::Scenario;
use sha2::{Digest as _, Sha256};

async fn answer() -> PatchAge {
    let folder = project::root().join("tests/scenarios/whose-turn");
    let scenario = Scenario::read(&folder);
    let fleet = scenario.play(&folder).await;
    let asked = Asked { include_unfixed: true, ..Asked::default() };
    fleet.patch_age(&asked, By::Fix, scenario.now)
}

fn policy() -> Policy {
    Policy::edition(DEFAULT_EDITION).expect("the usual edition")
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a file of the export")
}

/// The first column and the advisory of each row.
fn rows(csv: &str) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let advisory = reader.headers().expect("a header").iter().position(|one| one == "advisory");
    reader
        .records()
        .map(|record| {
            let record = record.expect("a row");
            (record[0].to_owned(), record[advisory.expect("a column")].to_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_story_is_handed_in_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("deep/export");
    let exported = export(&out, &answer().await, &policy()).expect("exported");
    assert!(!exported.complete, "one distribution of the story has no complete feed");
    for name in ["filtered-cves.csv", "excluded.csv", "summary.md"] {
        let golden = project::root().join("tests/scenarios/whose-turn/export").join(name);
        project::assert_committed(&golden, &read(&out, name));
    }
    let sums = read(&out, "SHA256SUMS");
    let names: BTreeSet<&str> =
        sums.lines().map(|line| line.split_once("  ").expect("sum and name").1).collect();
    let mut there: BTreeSet<String> = std::fs::read_dir(&out)
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    assert!(there.remove("SHA256SUMS"));
    assert_eq!(names, there.iter().map(String::as_str).collect());
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("sum and name");
        let digest = Sha256::digest(std::fs::read(out.join(name)).expect("a file"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, sum, "{name}");
    }
    let evidence: serde_json::Value =
        serde_json::from_str(&read(&out, "evidence.json")).expect("JSON");
    assert_eq!(evidence["answer"]["policy_edition"], DEFAULT_EDITION);
    // What was written once is not written over.
    let again = export(&out, &answer().await, &policy()).expect_err("it is there");
    assert!(again.to_string().contains("is there already"), "{again}");
    let left: Vec<_> = std::fs::read_dir(out.parent().expect("a folder")).expect("it").collect();
    assert_eq!(left.len(), 1, "nothing half made is left");
}

#[tokio::test]
async fn every_missing_fix_is_in_one_list_and_the_handed_in_are_the_providers() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("export");
    let answer = answer().await;
    export(&out, &answer, &policy()).expect("exported");
    let filtered = rows(&read(&out, "filtered-cves.csv"));
    let excluded = rows(&read(&out, "excluded.csv"));
    let mut expected = 0;
    for row in &answer.rows {
        let names = row.aliases.len().max(1);
        expected += names;
        let is_providers =
            row.responsible == Some(nodeward_domain::responsibility::Responsible::Provider);
        let list = if is_providers { &filtered } else { &excluded };
        let of_record = list.iter().filter(|(_, advisory)| *advisory == row.subject).count();
        assert!(of_record >= names, "{}", row.subject);
    }
    assert_eq!(filtered.len() + excluded.len(), expected);
    assert_eq!(filtered.len(), 3, "{filtered:?}");
    assert!(
        filtered
            .iter()
            .all(|(_, advisory)| ["USN-9911-1", "USN-9913-1"].contains(&advisory.as_str()))
    );
}
