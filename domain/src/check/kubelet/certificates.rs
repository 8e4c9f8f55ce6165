//! Are the kubelet's certificates still good, and will they be renewed? A kubelet renews
//! those that it rotates when a random 70 to 90 percent of their time is over, so that one
//! with less left has not been renewed.

use jiff::{SignedDuration, Timestamp};

use super::{ABSENT, Check, by_customer, check, evidence, setting};
use crate::check::{
    Evidence, PolicyLink, Scope, Severity, Verdict, facts, midnight, of_a_provider, verdict_or,
};
use crate::facts::Kubelet;
use crate::facts::kubelet::{Certificate, CertificateContent, CertificateFile, CertificateRole};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn, turn_for_broken_component};

const ROTATION: &str = "https://kubernetes.io/docs/tasks/tls/certificate-rotation/";
const AKS: &str = "https://learn.microsoft.com/azure/aks/certificate-rotation";
const RULE: &str = "certificate-rotation";

pub(super) const ROTATION_OFF: Check = check(
    "KubeletCertificateRotationOff",
    "The kubelet does not renew the certificate that it shows the API server",
    Severity::Warning,
    (PolicyLink::Cites(RULE), ROTATION),
    rotation_off,
);

pub(super) const CLIENT_EXPIRED: Check = Check {
    responsible: "automation, then provider; customer without a provider",
    ..check(
        "KubeletClientCertificateExpired",
        "The API server does not know the kubelet any more: its certificate has expired",
        Severity::Critical,
        (PolicyLink::Cites("auto-remediate-components"), AKS),
        client_expired,
    )
};

pub(super) const CLIENT_EXPIRING: Check = Check {
    responsible: "provider; customer without a provider",
    ..check(
        "KubeletClientCertificateExpiring",
        "The certificate that the kubelet shows the API server expires and was not renewed",
        Severity::Warning,
        (PolicyLink::Cites(RULE), AKS),
        client_expiring,
    )
};

pub(super) const SERVING_EXPIRING: Check = Check {
    responsible: "provider where it rotates, else customer",
    ..check(
        "KubeletServingCertificateExpiring",
        "The certificate that the kubelet shows its callers expires, or has expired",
        Severity::Warning,
        (PolicyLink::Cites(RULE), AKS),
        serving_expiring,
    )
};

pub(super) const AUTHORITY_EXPIRING: Check = check(
    "ClusterAuthorityExpiring",
    "The cluster's certificate authority expires, or has expired, and nobody renews it",
    Severity::Critical,
    (PolicyLink::Cites(RULE), AKS),
    authority_expiring,
);

pub(super) const SERVING_ROTATION_OFF: Check = check(
    "KubeletServingRotationOff",
    "The kubelet shows its callers a certificate that no authority has signed",
    Severity::Information,
    (PolicyLink::Decides("serving-certificate-rotation"), AKS),
    serving_rotation_off,
);

/// So long before its end a certificate is worth a word, if it was made for much longer.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// When so little of its time is left, one that rotates should have been renewed.
const LEFT: i32 = 10;

/// The file of a role; none when the agent does not report it.
fn file(kubelet: &Kubelet, role: CertificateRole) -> Result<&CertificateFile, Verdict> {
    if kubelet.process.is_none() {
        return Err(Verdict::not_applicable("no kubelet runs"));
    }
    kubelet.certificates.iter().find(|file| file.role == role).ok_or_else(|| {
        Verdict::unknown(format!("where the {} lies is not known", role.word()), Vec::new())
    })
}

/// The certificates of a role that lie on disk, or why nothing can be said of them.
fn certificates(
    kubelet: &Kubelet,
    role: CertificateRole,
) -> Result<(&CertificateFile, &[Certificate]), Verdict> {
    let file = file(kubelet, role)?;
    match &file.content {
        CertificateContent::Certificates(certificates) => Ok((file, certificates)),
        CertificateContent::Missing => {
            Err(Verdict::unknown(format!("there is no {}", file.path), Vec::new()))
        }
        CertificateContent::Unreadable(why) => {
            Err(Verdict::unknown(format!("{}: {why}", file.path), Vec::new()))
        }
    }
}

/// The one that the kubelet shows the API server. Kubelets that show something else, such
/// as a token of their cloud, have none.
fn client(kubelet: &Kubelet) -> Result<(&CertificateFile, &Certificate), Verdict> {
    let file = file(kubelet, CertificateRole::Client)?;
    let rotates = setting(kubelet, "rotateCertificates").is_ok_and(|it| it.effective() == "true");
    if file.content == CertificateContent::Missing && !rotates {
        let why = "the kubelet has no certificate of its own for the API server";
        return Err(Verdict::not_applicable(why));
    }
    let (file, certificates) = certificates(kubelet, CertificateRole::Client)?;
    match certificates {
        [first, ..] => Ok((file, first)),
        [] => Err(Verdict::unknown(format!("{} is empty", file.path), Vec::new())),
    }
}

fn shown(file: &CertificateFile, certificate: &Certificate) -> Evidence {
    Evidence::new(
        &file.path,
        format!("{} valid until {:.0}", certificate.subject, certificate.not_after),
        "",
    )
}

/// From when on a certificate is worth a word.
fn noticed_from(certificate: &Certificate) -> Timestamp {
    let lifetime = certificate.not_after.duration_since(certificate.not_before);
    let notice = NOTICE.min(lifetime / LEFT);
    certificate.not_after.checked_sub(notice).unwrap_or(Timestamp::MIN)
}

/// A verdict that time alone will change at that moment.
fn until(at: Timestamp, verdict: Verdict) -> Verdict {
    Verdict { valid_until: Some(at), ..verdict }
}

/// The first moment at which a certificate is not valid any more.
fn end(certificate: &Certificate) -> Timestamp {
    certificate.not_after.checked_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX)
}

fn rotation_off(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let setting = verdict_or!(setting(kubelet, "rotateCertificates"));
    let evidence = vec![evidence(kubelet, setting, "true")];
    if setting.effective() == "true" {
        return Verdict::pass(evidence);
    }
    if scope.platform != Platform::Aks {
        // Without a certificate of its own there is nothing to renew.
        let _ = verdict_or!(client(kubelet));
    }
    let action = Action::Revert { change: "rotateCertificates to true".to_owned() };
    let message = "the kubelet does not renew its certificate";
    Verdict::fail(message, since, by_customer(scope, action), evidence)
}

fn client_expired(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let (file, certificate) = verdict_or!(client(kubelet));
    let evidence = vec![shown(file, certificate)];
    let end = end(certificate);
    if now < end {
        return until(end, Verdict::pass(evidence));
    }
    let turn = turn_for_broken_component(scope.platform, policy, end, now, "kubelet.service");
    let turn = match turn.action {
        Action::RestartUnit { .. } => Turn {
            action: Action::Repair {
                what: format!("have the kubelet bootstrap anew: renew {}", file.path),
            },
            ..turn
        },
        _ => turn,
    };
    let message = format!("the kubelet's certificate has expired {:.0}", certificate.not_after);
    Verdict::fail(message, end, turn, evidence)
}

fn client_expiring(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let (file, certificate) = verdict_or!(client(kubelet));
    if now >= end(certificate) {
        return Verdict::not_applicable("see KubeletClientCertificateExpired");
    }
    let mut evidence = vec![shown(file, certificate)];
    if let Some(errors) = history.measured.newest().kubelet_certificate_renew_errors_total
        && errors > 0
    {
        evidence.push(Evidence::new(
            format!("{}/metrics", kubelet.secure_port.endpoint),
            format!("{errors} renewals have failed since the kubelet was started"),
            "",
        ));
    }
    let noticed = noticed_from(certificate);
    if now < noticed {
        return until(noticed, Verdict::pass(evidence));
    }
    let turn =
        renewal(scope, "have the kubelet renew its certificate: see its log for why it has not");
    let message =
        format!("the kubelet's certificate ends {:.0} and was not renewed", certificate.not_after);
    Verdict::fail(message, noticed, Turn { valid_until: Some(end(certificate)), ..turn }, evidence)
}

/// The provider has certificates renewed; elsewhere the customer looks why they are not.
fn renewal(scope: &Scope, by_hand: &str) -> Turn {
    let (responsible, action) = match scope.platform {
        Platform::Aks => (Responsible::Provider, Action::Ticket),
        _ => (Responsible::Customer, Action::Repair { what: by_hand.to_owned() }),
    };
    Turn { responsible, action, valid_until: None }
}

fn serving_expiring(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let rotates = verdict_or!(setting(kubelet, "serverTLSBootstrap")).effective() == "true";
    let (file, certificates) = verdict_or!(certificates(kubelet, CertificateRole::Serving));
    let Some(certificate) = certificates.first() else {
        return Verdict::unknown(format!("{} is empty", file.path), Vec::new());
    };
    let evidence = vec![shown(file, certificate)];
    let noticed = noticed_from(certificate);
    if now < noticed {
        return until(noticed, Verdict::pass(evidence));
    }
    let renew = format!("renew {} and restart the kubelet", file.path);
    let turn = match rotates {
        true => renewal(scope, &renew),
        false => by_customer(scope, Action::Repair { what: renew }),
    };
    let (verb, valid_until) = match now < end(certificate) {
        true => ("ends", Some(end(certificate))),
        false => ("has ended", None),
    };
    let message =
        format!("the certificate that the kubelet shows {verb} {:.0}", certificate.not_after);
    Verdict::fail(message, noticed, Turn { valid_until, ..turn }, evidence)
}

fn authority_expiring(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let (kubelet, _) = verdict_or!(facts(&history.kubelet, ABSENT));
    let configured = verdict_or!(setting(kubelet, "authentication.x509.clientCAFile"));
    if configured.effective().is_empty() {
        return Verdict::not_applicable("the kubelet believes no authority");
    }
    let (file, certificates) = verdict_or!(certificates(kubelet, CertificateRole::ClientAuthority));
    // While an authority is exchanged the old and the new one stand side by side.
    let Some(last) = certificates.iter().max_by_key(|certificate| certificate.not_after) else {
        return Verdict::unknown(format!("{} is empty", file.path), Vec::new());
    };
    let evidence = certificates.iter().map(|certificate| shown(file, certificate)).collect();
    let noticed = noticed_from(last);
    if now < noticed {
        return until(noticed, Verdict::pass(evidence));
    }
    let what = match scope.platform {
        Platform::Aks => "az aks rotate-certs, which stops the cluster for up to 30 minutes",
        _ => "renew the cluster's authority, and every certificate that it has signed",
    };
    let (verb, valid_until) = match now < end(last) {
        true => ("ends", Some(end(last))),
        false => ("has ended", None),
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Repair { what: what.to_owned() },
        valid_until,
    };
    let message = format!("the cluster's authority {} {verb} {:.0}", last.subject, last.not_after);
    Verdict::fail(message, noticed, turn, evidence)
}

fn serving_rotation_off(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "rotates its certificates"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let setting = verdict_or!(setting(kubelet, "serverTLSBootstrap"));
    let evidence = vec![evidence(kubelet, setting, "true")];
    if setting.effective() == "true" {
        return Verdict::pass(evidence);
    }
    let ends = policy.kubelet.serving_rotation_optional_until;
    let action = Action::Repair {
        what: "upgrade the node pool without the tag that keeps the rotation off".to_owned(),
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action,
        valid_until: ends.and_then(midnight).filter(|ends| now < *ends),
    };
    let message = match ends {
        Some(day) => format!("the rotation of serving certificates is off, which ends {day}"),
        None => "the rotation of serving certificates is off".to_owned(),
    };
    Verdict::fail(message, since, turn, evidence)
}
