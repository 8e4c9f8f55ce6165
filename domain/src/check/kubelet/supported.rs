//! Is the kubelet set up within what the provider supports? Limits, what is in preview and
//! which feature gates are known not to be alpha are data of the policy edition.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ABSENT, Check, by_customer, check, evidence, secure_port, setting};
use crate::check::{
    Evidence, PolicyLink, Scope, Severity, Verdict, facts, of_a_provider, verdict_or,
};
use crate::facts::Kubelet;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const POLICY: &str = "https://learn.microsoft.com/azure/aks/support-policies";
const CUSTOM: &str = "https://learn.microsoft.com/azure/aks/custom-node-configuration";

pub(super) const ALPHA_FEATURE: Check = check(
    "KubeletAlphaFeature",
    "The kubelet uses features in their alpha stage, which the provider does not support",
    Severity::Warning,
    (PolicyLink::Decides("alpha-unsupported"), POLICY),
    alpha_feature,
);

pub(super) const OUT_OF_RANGE: Check = check(
    "KubeletSettingOutOfRange",
    "The kubelet has settings outside of what the provider supports",
    Severity::Warning,
    (PolicyLink::Decides("custom-node-configuration"), CUSTOM),
    out_of_range,
);

pub(super) const KERNEL_DEFAULTS: Check = check(
    "KernelDefaultsUnprotected",
    "The kubelet changes kernel parameters that are not what it needs, instead of ending",
    Severity::Warning,
    (
        PolicyLink::Cites("kubernetes-native-change"),
        "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
    ),
    kernel_defaults,
);

pub(super) const PREVIEW: Check = check(
    "KubeletPreviewSetting",
    "The kubelet has settings that the provider offers as a preview, with best effort",
    Severity::Information,
    (PolicyLink::Decides("preview-best-effort"), CUSTOM),
    preview,
);

/// Features that flags and files switch on.
fn gates_on(kubelet: &Kubelet) -> Result<Vec<String>, Verdict> {
    let gates = setting(kubelet, "featureGates")?;
    Ok(members(gates.effective())
        .into_iter()
        .filter(|(_, on)| on.eq_ignore_ascii_case("true"))
        .map(|(name, _)| name.to_owned())
        .collect())
}

/// The members of a setting that is a map.
fn members(value: &str) -> BTreeMap<&str, &str> {
    value.split(',').filter_map(|member| member.split_once('=')).collect()
}

fn alpha_feature(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "supports some features and others not"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let gates = verdict_or!(gates_on(kubelet));
    let port = &kubelet.secure_port;
    let (source, alpha) = match &port.alpha_features {
        Some(on) => (format!("{}/metrics kubernetes_feature_enabled", port.endpoint), on.clone()),
        None => {
            // All are off unless a gate switches them on.
            let known = &policy.kubelet.supported_gates;
            let unknown: Vec<&str> = gates
                .iter()
                .map(String::as_str)
                .filter(|gate| !known.iter().any(|known| known == gate) && *gate != "AllAlpha")
                .collect();
            if !unknown.is_empty() {
                let why = format!("whether {} is alpha is told by metrics", unknown.join(", "));
                return match port.metrics.is_ok() {
                    true => Verdict::unknown(format!("{why} of newer kubelets"), Vec::new()),
                    false => secure_port::untold(history, kubelet, &port.metrics, "/metrics"),
                };
            }
            let alpha = gates.iter().filter(|gate| *gate == "AllAlpha").cloned().collect();
            ("featureGates".to_owned(), alpha)
        }
    };
    let actual = if alpha.is_empty() { "none".to_owned() } else { alpha.join(", ") };
    let evidence = vec![Evidence::new(source, &actual, "no alpha feature on")];
    if alpha.is_empty() {
        return Verdict::pass(evidence);
    }
    let action = Action::Revert { change: format!("the feature gates {actual}") };
    let message = format!("alpha features are on: {actual}");
    Verdict::fail(message, since, by_customer(scope, action), evidence)
}

fn out_of_range(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "limits its settings"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let mut wrong = Vec::new();
    let mut count = 0;
    for limit in &policy.kubelet.limits {
        let setting = verdict_or!(setting(kubelet, &limit.key));
        count += 1;
        if !limit.allows(setting.effective()) {
            wrong.push(evidence(kubelet, setting, &limit.to_string()));
        }
    }
    let high = verdict_or!(setting(kubelet, "imageGCHighThresholdPercent"));
    let low = verdict_or!(setting(kubelet, "imageGCLowThresholdPercent"));
    let number = |text: &str| text.parse::<i64>().ok();
    if number(low.effective()) > number(high.effective()) {
        wrong.push(evidence(kubelet, low, &format!("at most {}", high.effective())));
    }
    let Some(first) = wrong.first() else {
        let actual = format!("{count} settings within their limits");
        return Verdict::pass(vec![Evidence::new("KubeletConfiguration", actual, "")]);
    };
    let message = match wrong.len() {
        1 => format!("{}, supported is {}", first.actual, first.expected),
        count => format!("{count} settings are outside of what is supported"),
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Revert {
            change: "it, or set a supported value by kubeletConfig".to_owned(),
        },
        valid_until: None,
    };
    Verdict::fail(message, since, turn, wrong)
}

fn kernel_defaults(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "sets it up"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    let setting = verdict_or!(setting(kubelet, "protectKernelDefaults"));
    let evidence = vec![evidence(kubelet, setting, "true")];
    if setting.effective() == "true" {
        return Verdict::pass(evidence);
    }
    let action = Action::Revert { change: "protectKernelDefaults to true".to_owned() };
    let message = "protectKernelDefaults is off, which the provider sets";
    Verdict::fail(message, since, by_customer(scope, action), evidence)
}

fn preview(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "offers previews"));
    let (kubelet, since) = verdict_or!(facts(&history.kubelet, ABSENT));
    if policy.kubelet.previews.is_empty() {
        let why = format!("edition {} lists no settings in preview", policy.edition);
        return Verdict::not_applicable(why);
    }
    let mut used = Vec::new();
    for preview in &policy.kubelet.previews {
        let setting = verdict_or!(setting(kubelet, &preview.key));
        let value = match &preview.member {
            Some(member) => members(setting.effective()).get(member.as_str()).copied(),
            None => Some(setting.effective()),
        };
        let Some(value) = value else { continue };
        if !preview.usual.iter().any(|usual| usual == value) {
            let name = preview
                .member
                .as_ref()
                .map_or_else(|| preview.key.clone(), |member| format!("{} {member}", preview.key));
            let source = evidence(kubelet, setting, "").source;
            let usual = format!("{} without the preview", preview.usual.join(" or "));
            used.push(Evidence::new(source, format!("{name}: {value}"), usual));
        }
    }
    let Some(first) = used.first() else {
        return Verdict::pass(vec![Evidence::new("KubeletConfiguration", "no preview in use", "")]);
    };
    let message = match used.len() {
        1 => format!("{}, a preview", first.actual),
        count => format!("{count} settings are previews"),
    };
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate {
            at: "whether this pool may do with best-effort support".to_owned(),
        },
        valid_until: None,
    };
    Verdict::fail(message, since, turn, used)
}
