//! Is the node's Kubernetes version within the provider's support? The calendar is data of
//! the policy edition.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::{ABSENT, Check, check, secure_port};
use crate::check::{
    Evidence, PolicyLink, Scope, Severity, Verdict, facts, midnight, of_a_provider, verdict_or,
};
use crate::facts::Kubelet;
use crate::node::NodeHistory;
use crate::policy::{KubernetesMinor, Policy};
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::kubernetes::KubernetesVersion;

pub(super) const UNSUPPORTED: Check = check(
    "KubernetesUnsupported",
    "The provider's support of the node's Kubernetes version has ended, or ends within 30 days",
    Severity::Warning,
    (
        PolicyLink::Decides("kubernetes-upgrade-by-customer"),
        "https://learn.microsoft.com/azure/aks/supported-kubernetes-versions",
    ),
    unsupported,
);

/// So long before the end the customer is told: the provider gives as long after it.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The version and where it was read: what the kubelet says, else its package, where the
/// file that runs is the package's.
fn version<'a>(history: &'a NodeHistory, kubelet: &'a Kubelet) -> Option<(&'a str, String)> {
    if let Some(known) = &kubelet.version {
        return Some((&known.version, known.source.clone()));
    }
    let process = kubelet.process.as_ref()?;
    if process.executable != "/usr/bin/kubelet" || process.executable_replaced {
        return None;
    }
    let packages = history.packages.present()?;
    let package = packages.installed.iter().find(|package| package.name == "kubelet")?;
    Some((&package.version, packages.path.clone()))
}

/// The first instant after a day.
fn after(day: Date) -> Option<Timestamp> {
    day.checked_add(1.day()).ok().and_then(midnight)
}

fn unsupported(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "supports its version"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    if kubelet.process.is_none() {
        return Verdict::not_applicable("no kubelet runs");
    }
    let Some((text, source)) = version(history, kubelet) else {
        let metrics = &kubelet.secure_port.metrics;
        if metrics.is_ok() {
            return Verdict::unknown("the kubelet's metrics do not tell its version", Vec::new());
        }
        return secure_port::untold(history, kubelet, metrics, "/metrics");
    };
    let Some(version) = KubernetesVersion::parse(text) else {
        return Verdict::unknown(format!("{text:?} is not a version"), Vec::new());
    };
    let minors = &policy.kubernetes_minors;
    if minors.is_empty() {
        let edition = &policy.edition;
        let why = format!("edition {edition} does not list versions of Kubernetes");
        return Verdict::not_applicable(why);
    }
    let Some(minor) = minors.iter().find(|minor| minor.is_of(version)) else {
        let evidence = vec![Evidence::new(source, text, "")];
        return match minors.iter().any(|minor| minor.is_before(version)) {
            false => {
                let message = format!("Kubernetes {version} is older than any that is supported");
                Verdict::fail(message, since, upgrade(None), evidence)
            }
            true => Verdict::unknown(
                format!("edition {} does not know Kubernetes {version}", policy.edition),
                evidence,
            ),
        };
    };
    judge(minor, version, &source, now)
}

fn judge(
    minor: &KubernetesMinor,
    version: KubernetesVersion,
    source: &str,
    now: Timestamp,
) -> Verdict {
    let last_day = match version.is_long_term() {
        true => minor.long_term_until,
        false => minor.supported_until,
    };
    let Some(end) = after(last_day) else {
        return Verdict::unknown("the date of the end is out of range", Vec::new());
    };
    let evidence = vec![Evidence::new(
        source,
        version.to_string(),
        format!("supported until {last_day} ({})", minor.source),
    )];
    let notice = end.checked_sub(NOTICE).unwrap_or(Timestamp::MIN);
    if now < notice {
        return Verdict { valid_until: Some(notice), ..Verdict::pass(evidence) };
    }
    let long_term_end = after(minor.long_term_until).filter(|until| now < *until);
    let (message, valid_until) = if now < end {
        (format!("support of Kubernetes {} ends {last_day}", minor.minor), Some(end))
    } else if !version.is_long_term() && long_term_end.is_some() {
        let until = minor.long_term_until;
        let minor = &minor.minor;
        let message = format!(
            "support of Kubernetes {minor} ended {last_day}; with long-term support it gets \
             patches from {minor}.100 on, until {until}"
        );
        (message, long_term_end)
    } else {
        (format!("support of Kubernetes {} ended {last_day}", minor.minor), None)
    };
    Verdict::fail(message, notice, upgrade(valid_until), evidence)
}

fn upgrade(valid_until: Option<Timestamp>) -> Turn {
    let what = "upgrade the cluster and its node pools to a supported Kubernetes version";
    Turn {
        responsible: Responsible::Customer,
        action: Action::Repair { what: what.to_owned() },
        valid_until,
    }
}
