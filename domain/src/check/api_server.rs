//! Checks of `api_server`: does the node reach the API server that its kubelet is told to
//! use, and is that one the cluster's own. Nothing is shown to it: an answer that refuses
//! proves that it runs. Node and API server may stand in different hands, and so may what
//! lies between them; the verdict names what points to either.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, confirmed, facts,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{ApiServer, HttpAnswer, Reach as Connection, ServerCertificate};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const CHECK: Check = Check {
    reason: "ApiServerUnreachable",
    component: Component::ApiServer,
    scope: Reach::Node,
    severity: Severity::Critical,
    responsible: "customer, where the fault is seen on the node's side; else unknown",
    summary: "The node does not reach its API server; while that lasts its kubelet can report \
              nothing and is told of no pods",
    // No rule is kept by it alone: that of egress speaks of more endpoints than this one.
    policy: PolicyLink::None,
    source: "https://learn.microsoft.com/azure/aks/outbound-rules-control-egress",
    judge: unreachable,
};

pub(super) const CHECKS: &[Check] = &[
    CHECK,
    Check {
        reason: "ApiServerUnhealthy",
        severity: Severity::Warning,
        responsible: "provider; customer without one",
        summary: "The API server answers that it is not well",
        source: "https://kubernetes.io/docs/reference/using-api/health-checks/",
        judge: unhealthy,
        ..CHECK
    },
    Check {
        reason: "ApiServerCertificateUnknown",
        responsible: "customer",
        summary: "What answers in the API server's place shows a certificate that the kubelet \
                  refuses",
        source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
        judge: certificate_unknown,
        ..CHECK
    },
    Check {
        reason: "ApiServerUnverified",
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The kubelet is told to believe whoever answers in the API server's place \
                  (insecure-skip-tls-verify)",
        source: "https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
        judge: unverified,
        ..CHECK
    },
];

fn known(history: &NodeHistory) -> Result<(&ApiServer, Timestamp), Verdict> {
    facts(&history.api_server, "no kubelet")
}

fn evidence(api: &ApiServer) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::new(&api.kubeconfig, format!("server: {}", api.server), ""),
        Evidence::new(&api.server, api.reach.to_string(), "reached"),
    ];
    if api.reach == Connection::Reached {
        let place = format!("{}/livez", api.server);
        evidence.push(Evidence::new(place, api.livez.to_string(), "any answer"));
    }
    evidence
}

/// Whose turn it is. A name that is not resolved and a way that is not there lie on the
/// node's side. What is silent or refuses may be the API server or something before it.
fn turn(api: &ApiServer, scope: &Scope) -> Turn {
    let is_own_side = matches!(
        api.reach,
        Connection::NoSuchName | Connection::NotResolved { .. } | Connection::NoRoute { .. }
    );
    let responsible = match scope.platform {
        Platform::Kubernetes | Platform::Plain => Responsible::Customer,
        Platform::Aks if is_own_side => Responsible::Customer,
        Platform::Aks => Responsible::Unknown {
            missing: "whether nodes in other networks reach the API server".to_owned(),
        },
        Platform::Unknown => Responsible::Unknown { missing: "platform of the node".to_owned() },
    };
    let at = match is_own_side {
        true => format!("nameservers and routes of the node, for {}", api.server),
        false => format!("firewall, authorised ranges and the state of {}", api.server),
    };
    Turn { responsible, action: Action::Investigate { at }, valid_until: None }
}

fn unreachable(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (api, _) = verdict_or!(known(history));
    let evidence = evidence(api);
    match api.is_unreachable() {
        Some(true) => {
            let holding = history.api_server.holding(|api| api.is_unreachable() == Some(true));
            let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
            let how = match &api.reach {
                Connection::Reached => api.livez.to_string(),
                reach => reach.to_string(),
            };
            let message = format!(
                "the API server is not reached: {how}. The kubelet can report nothing until it is"
            );
            Verdict::fail(message, since, turn(api, scope), evidence)
        }
        Some(false) => Verdict::pass(evidence),
        None => Verdict::unknown(api.reach.to_string(), evidence),
    }
}

fn unhealthy(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (api, _) = verdict_or!(known(history));
    let evidence = evidence(api);
    let is_ill = |api: &ApiServer| matches!(api.livez, HttpAnswer::Answered { status: 500.., .. });
    if is_ill(api) {
        let holding = history.api_server.holding(is_ill);
        let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
        let message = format!("the API server says that it is not well: {}", api.livez);
        let (responsible, action) = match scope.platform {
            Platform::Aks => (Responsible::Provider, Action::Ticket),
            Platform::Kubernetes | Platform::Plain | Platform::Unknown => (
                Responsible::Customer,
                Action::Investigate { at: "the API server's log".to_owned() },
            ),
        };
        let turn = Turn { responsible, action, valid_until: None };
        return Verdict::fail(message, since, turn, evidence);
    }
    match &api.livez {
        // 401 and 403 come from one that runs and knows whom it may let in.
        HttpAnswer::Answered { .. } => Verdict::pass(evidence),
        _ if api.is_unreachable() == Some(true) => {
            Verdict::not_applicable("it was not reached, see ApiServerUnreachable")
        }
        other => Verdict::unknown(other.to_string(), evidence),
    }
}

fn certificate_unknown(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (api, _) = verdict_or!(known(history));
    if api.is_unverified == Some(true) {
        return Verdict::not_applicable("the kubelet refuses none, see ApiServerUnverified");
    }
    let (authority, issuer, why) = match &api.certificate {
        ServerCertificate::Verified { authority } => {
            let actual = format!("signed by an authority of {authority}");
            return Verdict::pass(vec![Evidence::new(&api.server, actual, "")]);
        }
        ServerCertificate::NotCompared(_) if api.is_unreachable() == Some(true) => {
            return Verdict::not_applicable("it was not reached, see ApiServerUnreachable");
        }
        ServerCertificate::NotCompared(why) => return Verdict::unknown(why, Vec::new()),
        ServerCertificate::Refused { authority, issuer, why } => (authority, issuer, why),
    };
    let evidence = vec![Evidence::new(
        &api.server,
        format!("issued by {issuer}: {why}"),
        format!("signed by an authority of {authority}"),
    )];
    let is_so = |api: &ApiServer| matches!(api.certificate, ServerCertificate::Refused { .. });
    let holding = history.api_server.holding(is_so);
    let since = verdict_or!(confirmed(scope.standing.or_longer(holding), &evidence));
    let message = format!(
        "the certificate that is shown in the API server's place was issued by {issuer}, and the \
         kubelet refuses it: {why}"
    );
    let at =
        "firewalls that open TLS between the node and the API server, and the clock".to_owned();
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at },
        valid_until: None,
    };
    Verdict::fail(message, since, turn, evidence)
}

fn unverified(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (api, since) = verdict_or!(known(history));
    let Some(is_unverified) = api.is_unverified else {
        return Verdict::unknown("this agent does not tell", Vec::new());
    };
    let actual = format!("insecure-skip-tls-verify: {is_unverified}");
    let evidence = vec![Evidence::new(&api.kubeconfig, actual, "false")];
    if !is_unverified {
        return Verdict::pass(evidence);
    }
    let message = "the kubelet believes whoever answers in the API server's place: what it is told \
                   to run, and the secrets that it is given, may be anybody's";
    let what = format!("give {} the cluster's authority, restart kubelet", api.kubeconfig);
    let action = by_hand(scope, Action::Repair { what });
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, evidence)
}
