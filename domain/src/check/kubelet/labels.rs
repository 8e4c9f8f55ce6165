//! Are the provider's labels those that it gave the node? The environment file of the
//! kubelet holds them as they were given; what the running kubelet registers must agree.

use jiff::Timestamp;

use super::{ABSENT, Check, by_customer, check};
use crate::check::{
    Evidence, PolicyLink, Scope, Severity, Verdict, facts, of_a_provider, verdict_or,
};
use crate::facts::Label;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

pub(super) const CHANGED: Check = check(
    "ProviderLabelsChanged",
    "The kubelet registers other labels of the provider than the node was given",
    Severity::Warning,
    (
        PolicyLink::Decides("system-metadata-immutable"),
        "https://learn.microsoft.com/azure/aks/use-labels",
    ),
    changed,
);

/// So many labels are named in evidence; the rest is counted.
const NAMED: usize = 10;

/// The provider's labels: its own prefix, and old names that it still gives.
fn is_of_provider(label: &&Label) -> bool {
    label.key.starts_with("kubernetes.azure.com/")
        || matches!(
            label.key.as_str(),
            "agentpool" | "storageprofile" | "storagetier" | "accelerator"
        )
}

fn changed(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "labels it"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    if kubelet.process.is_none() {
        return Verdict::not_applicable("no kubelet runs");
    }
    let (image, _) = verdict_or!(facts(&history.node_image, "nothing names the labels given"));
    let given: Vec<&Label> = image.labels.iter().filter(is_of_provider).collect();
    if given.is_empty() {
        return Verdict::not_applicable("no file names the labels that the node was given");
    }
    let registered: Vec<&Label> = kubelet.node_labels.iter().filter(is_of_provider).collect();
    let value_of = |labels: &[&Label], key: &str| {
        labels.iter().find(|label| label.key == key).map(|label| label.value.to_string())
    };
    let mut keys: Vec<&str> =
        given.iter().chain(&registered).map(|label| label.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut evidence: Vec<Evidence> = keys
        .iter()
        .filter_map(|key| {
            let (given, registered) = (value_of(&given, key), value_of(&registered, key));
            let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
            (given != registered).then(|| {
                let actual = format!("{key}={}", or_none(registered));
                Evidence::new("--node-labels", actual, or_none(given))
            })
        })
        .collect();
    if evidence.is_empty() {
        let actual = format!("{} labels of the provider as given", given.len());
        return Verdict::pass(vec![Evidence::new("--node-labels", actual, "")]);
    }
    let message = match evidence.len() {
        1 => format!("{}, and was given {}", evidence[0].actual, evidence[0].expected),
        count => format!("{count} labels of the provider are not as given"),
    };
    if evidence.len() > NAMED {
        let more = evidence.len() - NAMED;
        evidence.truncate(NAMED);
        evidence.push(Evidence::new("", format!("and {more} more"), ""));
    }
    let action = Action::Revert { change: "the labels in the kubelet's environment".to_owned() };
    Verdict::fail(message, since, by_customer(scope, action), evidence)
}
