//! Whom does the kubelet let in? Whoever may use its port runs commands in every pod of the
//! node, so that what upstream calls the default of the configuration file is the baseline.

use super::{ABSENT, Check, by_customer, check, evidence, setting};
use crate::check::{PolicyLink, Scope, Severity, Verdict, facts, verdict_or};
use crate::node::NodeHistory;
use crate::responsibility::Action;

const SOURCE: &str = "https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/";
const LINK: (PolicyLink, &str) = (PolicyLink::Cites("managed-components"), SOURCE);

pub(super) const AUTHORIZATION_OFF: Check = check(
    "KubeletAuthorizationOff",
    "The kubelet lets everybody whom it knows do everything on the node",
    Severity::Critical,
    LINK,
    |history, scope, _, _| {
        judge(history, scope, "authorization.mode", "Webhook", "everybody may do everything")
    },
);

pub(super) const ANONYMOUS: Check = check(
    "KubeletAnonymousAccess",
    "The kubelet takes requests of callers who show no credential",
    Severity::Warning,
    LINK,
    |history, scope, _, _| {
        let key = "authentication.anonymous.enabled";
        judge(history, scope, key, "false", "callers without a credential are let in")
    },
);

pub(super) const TOKENS_UNCHECKED: Check = check(
    "KubeletTokensUnchecked",
    "The kubelet does not have the API server check tokens",
    Severity::Warning,
    LINK,
    |history, scope, _, _| {
        let key = "authentication.webhook.enabled";
        judge(history, scope, key, "true", "tokens are not checked with the API server")
    },
);

pub(super) const READ_ONLY_PORT: Check = check(
    "KubeletReadOnlyPortOpen",
    "The kubelet serves what it knows of pods to everybody, without encryption",
    Severity::Warning,
    LINK,
    |history, scope, _, _| {
        judge(history, scope, "readOnlyPort", "0", "the port without encryption is open")
    },
);

fn judge(
    history: &NodeHistory,
    scope: &Scope,
    key: &str,
    expected: &str,
    message: &str,
) -> Verdict {
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let setting = verdict_or!(setting(kubelet, key));
    let evidence = vec![evidence(kubelet, setting, expected)];
    if setting.effective() == expected {
        return Verdict::pass(evidence);
    }
    let change = format!("{key} to {expected} ({})", setting.source);
    let turn = by_customer(scope, Action::Revert { change });
    Verdict::fail(format!("{key} is {}: {message}", setting.effective()), since, turn, evidence)
}
