//! Checks of `extensions`: is there one that the provider does not bring, and are its own
//! enabled.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, of_a_provider, shortened,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{Extension, Extensions};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const POLICIES: &str = "https://learn.microsoft.com/azure/aks/support-policies";

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "ExtensionForeign",
        component: Component::Extensions,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The virtual machine has an extension that the provider does not bring",
        policy: PolicyLink::Decides("extensions-immutable"),
        source: POLICIES,
        judge: foreign,
    },
    Check {
        reason: "ExtensionNotEnabled",
        component: Component::Extensions,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "unknown",
        summary: "An extension that the provider brings is installed and not enabled",
        policy: PolicyLink::Cites("extensions-immutable"),
        source: "https://learn.microsoft.com/azure/virtual-machines/extensions/agent-linux",
        judge: not_enabled,
    },
];

fn known<'a>(
    history: &'a NodeHistory,
    scope: &Scope,
    policy: &Policy,
) -> Result<(&'a Extensions, Timestamp), Verdict> {
    of_a_provider(scope, "brings extensions")?;
    let known = facts(&history.extensions, "no agent that brings extensions")?;
    if policy.provider_extensions.names.is_empty() {
        let why = format!("edition {} names no extensions", policy.edition);
        return Err(Verdict::not_applicable(why));
    }
    Ok(known)
}

fn evidence(extension: &Extension, expected: &str) -> Evidence {
    let Extension { name, version, state } = extension;
    let state = if state.is_empty() { "no state" } else { state };
    Evidence::new(format!("/var/lib/waagent/{name}-{version}"), state, expected)
}

fn foreign(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (extensions, since) = verdict_or!(known(history, scope, policy));
    let in_use = || extensions.extensions.iter().filter(|extension| extension.is_in_use());
    let foreign: Vec<&Extension> =
        in_use().filter(|extension| !policy.provider_extensions.has(&extension.name)).collect();
    let message = match foreign.as_slice() {
        [] => return Verdict::pass(in_use().map(|extension| evidence(extension, "")).collect()),
        [one] => format!("extension {} is not {}'s", one.name, policy.provider),
        more => format!("{} extensions are not {}'s", more.len(), policy.provider),
    };
    let action = Action::Revert {
        change: "it in the scale set's model, and use a DaemonSet in its place".to_owned(),
    };
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    let evidence = foreign.into_iter().map(|extension| evidence(extension, "none")).collect();
    Verdict::fail(message, since, turn, shortened(evidence))
}

fn not_enabled(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (extensions, since) = verdict_or!(known(history, scope, policy));
    let own: Vec<&Extension> = extensions
        .extensions
        .iter()
        .filter(|extension| extension.is_in_use())
        .filter(|extension| policy.provider_extensions.has(&extension.name))
        .collect();
    if let Some(untold) = own.iter().find(|extension| extension.state.is_empty()) {
        let why = format!("extension {} does not say how it is", untold.name);
        return Verdict::unknown(why, Vec::new());
    }
    let is_enabled = |extension: &&Extension| extension.state.eq_ignore_ascii_case("Enabled");
    let off: Vec<&Extension> = own.iter().copied().filter(|one| !is_enabled(one)).collect();
    let message = match off.as_slice() {
        [] => {
            let evidence = own.into_iter().map(|extension| evidence(extension, "Enabled"));
            return Verdict::pass(evidence.collect());
        }
        [one] => format!("extension {} is {}", one.name, one.state),
        more => format!("{} extensions are not enabled", more.len()),
    };
    let missing = "why the extension was not enabled".to_owned();
    let turn = Turn {
        responsible: Responsible::Unknown { missing },
        action: Action::Investigate { at: "/var/log/waagent.log".to_owned() },
        valid_until: None,
    };
    let evidence = off.into_iter().map(|extension| evidence(extension, "Enabled")).collect();
    Verdict::fail(message, since, turn, shortened(evidence))
}
