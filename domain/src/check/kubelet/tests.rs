//! What time alone changes about a kubelet, and what can be said without its metrics.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::check::{Outcome, Verdict, judge_node};
use crate::facts::kubelet::{
    Certificate, CertificateContent, CertificateFile, CertificateRole, Configuration, SecurePort,
    Setting, SettingSource, Version,
};
use crate::facts::{ComponentState, HttpAnswer, Kubelet, Process, UnitState};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::policy::{DEFAULT_EDITION, Policy};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// A kubelet of AKS that runs with these settings.
fn kubelet(settings: &[(&str, &str)]) -> Kubelet {
    let setting = |(key, value): &(&str, &str)| Setting {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
        source: SettingSource::Default,
        in_force: None,
    };
    Kubelet {
        traces: Vec::new(),
        process: Some(Process {
            pid: 7,
            started_seconds_after_boot: 1,
            executable: "/opt/bin/kubelet".to_owned(),
            executable_replaced: false,
        }),
        unit: UnitState::NoSystemd,
        other_pids: Vec::new(),
        version: None,
        healthz_endpoint: String::new(),
        healthz: HttpAnswer::Answered { status: 200, body: "ok".to_owned() },
        registers_azure_labels: true,
        node_labels: Vec::new(),
        configuration: Configuration {
            flags: Vec::new(),
            files: Vec::new(),
            settings: settings.iter().map(setting).collect(),
        },
        certificates: Vec::new(),
        secure_port: SecurePort::not_asked("nobody asks here"),
    }
}

fn verdict(kubelet: &Kubelet, reason: &str, now: Timestamp) -> Verdict {
    let mut history = NodeHistory::default();
    let state = ComponentState::Kubelet(State::Present(Arc::new(kubelet.clone())));
    history.observe(state, now, Duration::ZERO);
    let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
    let judged = judge_node(&history, Default::default(), &policy, now);
    let one = judged.into_iter().find(|one| one.check.reason == reason);
    one.expect("a check of ours").verdict
}

fn said(verdict: &Verdict) -> &str {
    match &verdict.outcome {
        Outcome::Fail { message, .. } => message,
        Outcome::Unknown(why) | Outcome::NotApplicable(why) => why,
        Outcome::Pass | Outcome::Confirming { .. } => "",
    }
}

/// A kubelet with one certificate of that role.
fn with_certificate(role: CertificateRole, from: &str, to: &str) -> Kubelet {
    let certificate = Certificate {
        subject: "CN=a".to_owned(),
        issuer: "CN=ca".to_owned(),
        not_before: at(from),
        not_after: at(to),
    };
    Kubelet {
        certificates: vec![CertificateFile {
            role,
            path: "/a.pem".to_owned(),
            content: CertificateContent::Certificates(vec![certificate]),
        }],
        ..kubelet(&[
            ("rotateCertificates", "true"),
            ("serverTLSBootstrap", "true"),
            ("authentication.x509.clientCAFile", "/a.pem"),
        ])
    }
}

#[test]
fn a_certificate_is_worth_a_word_when_it_should_have_been_renewed() {
    let checks = ["KubeletClientCertificateExpiring", "KubeletClientCertificateExpired"];
    for (from, to, now, expected) in [
        // Of a year: thirty days before its end.
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-12-01T23:59:59Z", ["pass", "pass"]),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-12-02T00:00:00Z", ["fail", "pass"]),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", ["fail", "pass"]),
        (
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            "2027-01-01T00:00:01Z",
            ["not_applicable", "fail"],
        ),
        // Of ten hours: one before its end.
        ("2026-01-01T00:00:00Z", "2026-01-01T10:00:00Z", "2026-01-01T08:59:59Z", ["pass", "pass"]),
        ("2026-01-01T00:00:00Z", "2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z", ["fail", "pass"]),
    ] {
        let kubelet = with_certificate(CertificateRole::Client, from, to);
        let verdicts = checks.map(|reason| verdict(&kubelet, reason, at(now)));
        assert_eq!(verdicts.each_ref().map(|one| one.outcome.word()), expected, "{to} {now}");
        for one in &verdicts {
            // Whatever passes says when time alone changes that.
            if matches!(one.outcome, Outcome::Pass) {
                assert!(one.valid_until.is_some_and(|until| until > at(now)), "{now}");
            }
        }
    }
}

#[test]
fn a_certificate_that_has_ended_is_said_to_have() {
    for (role, reason) in [
        (CertificateRole::Serving, "KubeletServingCertificateExpiring"),
        (CertificateRole::ClientAuthority, "ClusterAuthorityExpiring"),
    ] {
        let kubelet = with_certificate(role, "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        let before = verdict(&kubelet, reason, at("2025-12-31T00:00:00Z"));
        assert!(said(&before).contains(" ends "), "{}", said(&before));
        assert_eq!(before.valid_until, Some(at("2026-01-01T00:00:01Z")));
        let after = verdict(&kubelet, reason, at("2026-01-02T00:00:00Z"));
        assert!(said(&after).contains(" has ended "), "{}", said(&after));
        assert_eq!(after.valid_until, None);
    }
}

#[test]
fn of_authorities_side_by_side_the_last_to_end_counts() {
    let mut kubelet = with_certificate(
        CertificateRole::ClientAuthority,
        "2024-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
    );
    let CertificateContent::Certificates(certificates) = &mut kubelet.certificates[0].content
    else {
        panic!("certificates");
    };
    certificates
        .push(Certificate { not_after: at("2056-01-01T00:00:00Z"), ..certificates[0].clone() });
    let verdict = verdict(&kubelet, "ClusterAuthorityExpiring", at("2026-06-01T00:00:00Z"));
    assert_eq!((verdict.outcome.word(), verdict.evidence.len()), ("pass", 2));
}

#[test]
fn a_version_leaves_support_by_the_calendar() {
    for (version, now, word, says) in [
        ("v1.34.9", "2026-10-31T23:59:59Z", "pass", ""),
        ("v1.34.9", "2026-11-01T00:00:00Z", "fail", "ends 2026-11-30"),
        ("v1.34.9", "2026-11-30T23:59:59Z", "fail", "ends 2026-11-30"),
        ("v1.34.9", "2026-12-01T00:00:00Z", "fail", "long-term support it gets"),
        ("v1.34.9", "2027-12-01T00:00:00Z", "fail", "ended 2026-11-30"),
        ("v1.34.100", "2026-12-01T00:00:00Z", "pass", ""),
        ("v1.31.101-akslts", "2026-11-20T00:00:00Z", "fail", "ends 2026-11-30"),
        ("v1.28.15", "2026-12-01T00:00:00Z", "fail", "older than any"),
        ("v1.99.0", "2026-12-01T00:00:00Z", "unknown", "does not know Kubernetes 1.99.0"),
        ("v1.x", "2026-12-01T00:00:00Z", "unknown", "not a version"),
    ] {
        let known = Version { version: version.to_owned(), source: "x".to_owned() };
        let kubelet = Kubelet { version: Some(known), ..kubelet(&[]) };
        let verdict = verdict(&kubelet, "KubernetesUnsupported", at(now));
        assert_eq!(verdict.outcome.word(), word, "{version} {now}");
        assert!(said(&verdict).contains(says), "{version} {now}: {}", said(&verdict));
    }
}

#[test]
fn without_metrics_a_gate_tells_as_much_as_it_can() {
    let now = at("2026-11-24T12:00:00Z");
    for (gates, word, says) in [
        ("", "pass", ""),
        ("RotateKubeletServerCertificate=true", "pass", ""),
        ("SomeFeature=false", "pass", ""),
        ("SomeFeature=true", "unknown", "/metrics"),
        ("AllAlpha=true", "fail", "AllAlpha"),
    ] {
        let verdict = verdict(&kubelet(&[("featureGates", gates)]), "KubeletAlphaFeature", now);
        assert_eq!(verdict.outcome.word(), word, "{gates}");
        assert!(said(&verdict).contains(says), "{gates}: {}", said(&verdict));
    }
}

#[test]
fn a_node_without_a_provider_may_do_without_certificate_and_rotation() {
    let now = at("2026-11-24T12:00:00Z");
    let missing = CertificateFile {
        role: CertificateRole::Client,
        path: "/a.pem".to_owned(),
        content: CertificateContent::Missing,
    };
    let kubelet = Kubelet {
        registers_azure_labels: false,
        certificates: vec![missing],
        ..kubelet(&[("rotateCertificates", "false")])
    };
    for reason in ["KubeletCertificateRotationOff", "KubeletClientCertificateExpired"] {
        let verdict = verdict(&kubelet, reason, now);
        // The platform is not known without os-release, so that it is not an AKS node.
        assert_eq!(verdict.outcome.word(), "not_applicable", "{reason}: {}", said(&verdict));
    }
}
