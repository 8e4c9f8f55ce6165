//! Screens: the host roots as `nodeward inspect` shows them, and stories as the other
//! commands do. Goldens lie beside what they are made from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::Parser as _;
use nodeward_aggregator::fleet::AskedSupport;
use nodeward_cli::arguments::Arguments;
use nodeward_cli::exit::Exit;
use nodeward_cli::run::run;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy, Standing as RuleStanding};
use nodeward_domain::support::Level;
use nodeward_tests::project;
use nodeward_tests::scenario::Scenario;

const HOSTS: [(&str, Exit); 6] = [
    ("debian-12-plain", Exit::Incomplete),
    ("aks-ubuntu-2204", Exit::Incomplete),
    ("aks-ubuntu-2204-broken", Exit::Findings),
    ("aks-azurelinux-3", Exit::Incomplete),
    ("aks-azurelinux-3-broken", Exit::Findings),
    ("aks-cilium", Exit::Findings),
];

/// What `nodeward inspect` says of a host root of the tests.
async fn inspected(host: &str, format: &str) -> (String, Exit) {
    let root = project::host(host);
    let answers = project::answers(host);
    let line = ["nodeward", "inspect", "--now", "2026-11-24T12:00:00Z", "--width", "100"];
    let paths = ["--host-root", root.to_str().expect("a path"), "--recorded-answers"];
    let rest = [answers.to_str().expect("a path"), "-o", format];
    let arguments = Arguments::parse_from(line.into_iter().chain(paths).chain(rest));
    let shown = run(&arguments).await.expect("a host root of the tests");
    (shown.text, shown.exit)
}

#[tokio::test]
async fn host_roots_are_shown_as_before() {
    for (host, exit) in HOSTS {
        for (format, ending) in
            [("wide", "answer.txt"), ("json", "answer.json"), ("csv", "answer.csv")]
        {
            let (text, ended) = inspected(host, format).await;
            assert_eq!(ended, exit, "{host}");
            let golden = project::root().join("tests/hosts").join(format!("{host}.{ending}"));
            project::assert_committed(&golden, &text);
        }
    }
}

#[tokio::test]
async fn every_form_says_the_same() {
    let (json, _) = inspected("aks-ubuntu-2204-broken", "json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    let (yaml, _) = inspected("aks-ubuntu-2204-broken", "yaml").await;
    let yaml: serde_json::Value = serde_yaml_ng::from_str(&yaml).expect("one YAML document");
    assert_eq!(json, yaml);
    // The feed that comes with the program is partial, nobody told what is offered, and the
    // note of the image is not at hand: those alone are unknown.
    assert_eq!(json["complete"], false);
    assert_eq!(json["incomplete"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["fixes"]["feeds"][0]["name"], "starter");
    let (table, _) = inspected("aks-ubuntu-2204-broken", "table").await;
    let (csv, _) = inspected("aks-ubuntu-2204-broken", "csv").await;
    let findings = json["findings"].as_array().expect("findings");
    assert!(!findings.is_empty());
    for finding in findings {
        let reason = finding["reason"].as_str().expect("a reason");
        assert!(table.contains(reason), "{reason} is not in the table");
        assert!(csv.lines().any(|line| line.contains(&format!(",{reason},fail,"))), "{reason}");
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_incomplete_in_every_form() {
    let host = nodeward_tests::host::HostCopy::of("debian-12-plain");
    std::fs::write(host.inside("/var/lib/dpkg/status"), "Package: half").expect("written");
    for (format, says) in [
        ("table", "INCOMPLETE"),
        ("wide", "INCOMPLETE"),
        ("json", "\"complete\": false"),
        ("yaml", "complete: false"),
        ("csv", ",packages,unavailable,PackageHeld,unknown,"),
    ] {
        let path = host.path().to_str().expect("a path");
        let line = ["nodeward", "inspect", "--host-root", path, "-o", format];
        let arguments = Arguments::parse_from(line);
        let shown = run(&arguments).await.expect("a host root");
        assert!(shown.text.contains(says), "{format}: {}", shown.text);
        assert_eq!(shown.exit, Exit::Incomplete, "{format}");
    }
}

#[tokio::test]
async fn no_line_is_wider_than_it_may_be() {
    for host in HOSTS.map(|(host, _)| host) {
        for format in ["table", "wide"] {
            let (text, _) = inspected(host, format).await;
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{host} {format}: {line}");
                assert_eq!(line.trim_end(), line, "{host} {format}: blanks at the end");
            }
        }
    }
}

#[tokio::test]
async fn stories_end_as_before() {
    let stories = project::root().join("tests/scenarios");
    let mut folders: Vec<_> = std::fs::read_dir(&stories)
        .expect("there are stories")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "no story in {}", stories.display());
    for folder in folders {
        let scenario = Scenario::read(&folder);
        let text = scenario.told(&folder).await;
        project::assert_committed(&folder.join("answer.txt"), &text);
    }
}

/// One fleet under every edition: `tests/scenarios/editions`, whose own answer is that of the
/// default one.
#[tokio::test]
async fn one_fleet_is_told_by_every_edition_in_its_own_way() {
    let folder = project::root().join("tests/scenarios/editions");
    let beside = ["aks-pl+faq-zh"];
    for edition in Policy::editions().chain(beside).filter(|edition| *edition != DEFAULT_EDITION) {
        let mut scenario = Scenario::read(&folder);
        scenario.policy = Some(edition.to_owned());
        let text = scenario.told(&folder).await;
        project::assert_committed(&folder.join(format!("{edition}.txt")), &text);

        let fleet = scenario.play(&folder).await;
        let answer = fleet.support(&AskedSupport::default(), scenario.now).expect("an answer");
        let sums = &answer.fixes;
        assert!(sums.nodes == 2 && sums.customer > 0, "{edition}: ages are shown: {sums:?}");
        // Without a line of age nothing is the provider's, and nobody says that it is over it.
        let policy = Policy::edition(edition).expect("a shipped edition");
        match policy.patch_age_limit() {
            Some(_) => {
                assert!(sums.provider > 0 && sums.over_line > Some(0), "{edition}: {sums:?}");
            }
            None => assert!(sums.provider == 0 && sums.over_line.is_none(), "{edition}: {sums:?}"),
        }
        for (id, rule) in answer.rules.iter().map(|rule| (rule.rule.as_str(), rule)) {
            if matches!(policy.rule(id), RuleStanding::Lacking { .. }) {
                assert_eq!(rule.level, Level::NotApplicable, "{edition}: {id}");
                assert!(rule.why.contains("first edition with it: "), "{edition}: {id}");
            }
        }
    }
}
