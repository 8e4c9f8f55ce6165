//! The screen of one node, made from an answer that was written by hand: a finding, a
//! thing unknown, and text that a node made to do harm.

use nodeward_domain::check::Severity;
use nodeward_domain::component::Component;
use nodeward_domain::platform::Platform;
use nodeward_domain::responsibility::{Action, Responsible};

use super::*;
use crate::arguments::Format;
use crate::exit::Exit;

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

fn answer() -> NodeAnswer {
    let evidence = vec![Evidence {
        source: "/proc".to_owned(),
        actual: "\u{1b}[2Jnone".to_owned(),
        expected: "one process".to_owned(),
    }];
    let message = "=no kubelet process\nVERDICT   clean".to_owned();
    NodeAnswer {
        cluster: "prod".to_owned(),
        node: "aks-a".to_owned(),
        platform: Platform::Aks,
        policy_edition: "aks-2026".to_owned(),
        provider: "Microsoft".to_owned(),
        as_of: at("2026-11-24T12:00:00Z"),
        last_report_at: Some(at("2026-11-24T11:00:00Z")),
        agent: None,
        presence: None,
        complete: false,
        incomplete: vec!["packages: could not be read: /var/lib/dpkg/status".to_owned()],
        findings: vec![Finding {
            reason: "KubeletDown".to_owned(),
            component: Component::Kubelet,
            severity: Severity::Critical,
            message: message.clone(),
            since: at("2026-11-24T09:00:00Z"),
            responsible: Responsible::Provider,
            action: Action::Ticket,
            policy_rule: "auto-remediate-components".to_owned(),
            evidence: evidence.clone(),
        }],
        fixes: None,
        components: vec![ComponentAnswer {
            component: Component::Kubelet,
            state: "present".to_owned(),
            headline: "no process".to_owned(),
            observed_at: Some(at("2026-11-24T11:00:00Z")),
            checks: vec![
                CheckAnswer {
                    reason: "KubeletDown".to_owned(),
                    outcome: "fail".to_owned(),
                    detail: message,
                    confirming: None,
                    evidence,
                },
                CheckAnswer {
                    reason: "KubeletHung".to_owned(),
                    outcome: "not_applicable".to_owned(),
                    detail: "no kubelet runs".to_owned(),
                    confirming: None,
                    evidence: Vec::new(),
                },
            ],
        }],
    }
}

fn shown(format: Format) -> String {
    node(&answer(), Style { format, width: 80, aggregator: None }).expect("a screen")
}

#[test]
fn the_screen_begins_with_the_verdict_and_ends_with_the_next_command() {
    assert_eq!(
        shown(Format::Table),
        r"VERDICT   1 finding, MICROSOFT acts first; 1 thing is unknown
NODE      aks-a: AKS node, cluster prod
AS OF     2026-11-24T12:00:00Z, last report 60 min ago: STALE, the node may have
          changed since, policy aks-2026

FINDINGS  worst first

  KubeletDown  kubelet  critical  MICROSOFT
    what  =no kubelet process\nVERDICT   clean
    seen  /proc: \u{1b}[2Jnone; expected one process
    since 2026-11-24T09:00:00Z (3 h ago)
    rule  auto-remediate-components
    do    open a support request

UNKNOWN   not in the verdict:
          packages: could not be read: /var/lib/dpkg/status

COMPONENT  STATE    SEEN        CHECKS
kubelet    present  no process  1 fail, 1 n/a

NEXT      nodeward checks --explain KubeletDown
"
    );
}

#[test]
fn what_is_incomplete_is_so_for_machines() {
    let json: serde_json::Value = serde_json::from_str(&shown(Format::Json)).expect("JSON");
    assert_eq!(json["complete"], false);
    assert_eq!(json["findings"][0]["responsible"]["who"], "provider");
    assert!(shown(Format::Yaml).contains("complete: false\n"));
}

#[test]
fn a_record_holds_one_check_and_no_formula() {
    let text = shown(Format::Csv);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let detail = header.iter().position(|name| name == "detail").expect("a detail");
    let details: Vec<String> =
        reader.records().map(|record| record.expect("a record")[detail].to_owned()).collect();
    assert_eq!(details, ["'=no kubelet process\\nVERDICT   clean", "no kubelet runs"]);
}

#[test]
fn a_finding_goes_before_what_is_unknown() {
    let mut answer = answer();
    assert_eq!(Exit::from(answer.standing()), Exit::Findings);
    answer.findings.clear();
    assert_eq!(Exit::from(answer.standing()), Exit::Incomplete);
    answer.complete = true;
    assert_eq!(Exit::from(answer.standing()), Exit::Clean);
}
