//! Checks of `cni`: what the kind of the pod network means for support. Whether it works
//! is the container runtime's to say, see `PodNetworkNotReady`.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, midnight, of_a_provider,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{Cni, CniRoutes, PodNetwork};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// A check of the pod network, worth knowing and the customer's.
const fn check(
    reason: &'static str,
    summary: &'static str,
    policy: PolicyLink,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::Cni,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary,
        policy,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "CniUnmanaged",
        "The pod network is made by a plugin of one's own, which the provider does not support",
        PolicyLink::Decides("byocni-out-of-scope"),
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        unmanaged,
    ),
    check(
        "CniBridgeMode",
        "Azure CNI runs in its first mode, a bridge, whose faults the transparent mode does not have",
        PolicyLink::None,
        "https://learn.microsoft.com/azure/aks/faq",
        bridge_mode,
    ),
    check(
        "CniRetiring",
        "The provider has announced the end of this kind of pod network",
        PolicyLink::Decides("network-retirement"),
        "https://learn.microsoft.com/azure/aks/configure-kubenet",
        retiring,
    ),
];

const ABSENT: &str = "no network plugin is configured";

fn evidence(cni: &Cni, expected: &str) -> Vec<Evidence> {
    let path = cni.configuration.as_ref().map_or("/etc/cni/net.d", |one| one.path.as_str());
    vec![Evidence::new(path, cni.network().to_string(), expected)]
}

/// The facts and the kind of the network, once it is settled that they tell one.
fn network<'a>(
    history: &'a NodeHistory,
    scope: &Scope,
) -> Result<(&'a Cni, PodNetwork<'a>, Timestamp), Verdict> {
    of_a_provider(scope, "supports its pod network")?;
    let (cni, since) = facts(&history.cni, ABSENT)?;
    match cni.network() {
        PodNetwork::None => Err(Verdict::not_applicable(ABSENT)),
        PodNetwork::Unknown(why) => Err(Verdict::unknown(why, evidence(cni, ""))),
        network => Ok((cni, network, since)),
    }
}

const fn turn(action: Action, valid_until: Option<Timestamp>) -> Turn {
    Turn { responsible: Responsible::Customer, action, valid_until }
}

fn unmanaged(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (cni, network, since) = verdict_or!(network(history, scope));
    let provider = &policy.provider;
    let evidence = evidence(cni, &format!("a pod network of {provider}"));
    let PodNetwork::Other(kind) = network else {
        return Verdict::pass(evidence);
    };
    let message = format!(
        "the pod network is made by {kind}: {provider} supports neither it nor what it breaks"
    );
    let at = format!("the support of {kind}'s own vendor");
    Verdict::fail(message, since, turn(Action::Investigate { at }, None), evidence)
}

fn bridge_mode(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (cni, network, since) = verdict_or!(network(history, scope));
    if !matches!(network, PodNetwork::AzureBridge | PodNetwork::AzureTransparent) {
        return Verdict::not_applicable(format!("{network} has no such mode"));
    }
    let mut evidence = evidence(cni, "Azure CNI, transparent mode");
    if let CniRoutes::Read { default_links, .. } = &cni.routes {
        let links = default_links.join(", ");
        evidence.push(Evidence::new(
            "/proc/1/net/route",
            format!("default over {links}"),
            "over eth0",
        ));
    }
    if network == PodNetwork::AzureTransparent {
        return Verdict::pass(evidence);
    }
    let message = "Azure CNI runs in bridge mode: one DNS server of several, slow starts, and packet \
                   storms are known of it";
    let action = Action::UpgradeImage { to: None };
    Verdict::fail(message, since, turn(action, None), evidence)
}

fn retiring(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (cni, network, since) = verdict_or!(network(history, scope));
    let word = match network {
        PodNetwork::Kubenet => "kubenet",
        _ => return Verdict::pass(evidence(cni, "no announced end")),
    };
    let Some(retirement) = policy.network_retirements.iter().find(|one| one.network == word) else {
        let expected = format!("no announced end in edition {}", policy.edition);
        return Verdict::pass(evidence(cni, &expected));
    };
    let Some(end) = midnight(retirement.retired_on) else {
        return Verdict::unknown("the date of the end is out of range", Vec::new());
    };
    let on = retirement.retired_on;
    let evidence = evidence(cni, &format!("another before {on} ({})", retirement.source));
    let (message, valid_until) = match now < end {
        true => (format!("{word} is retired on {on}"), Some(end)),
        false => (format!("{word} was retired on {on}"), None),
    };
    let action = Action::Repair { what: format!("move the cluster to {}", retirement.instead) };
    Verdict::fail(message, since, turn(action, valid_until), evidence)
}
