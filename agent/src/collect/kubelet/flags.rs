//! What is reported of a running kubelet's flags. Values are reported only of flags that
//! are known to carry no secret.

use nodeward_domain::facts::Label;
use nodeward_domain::facts::kubelet::Flag;

use super::super::flags::Flags;
use super::keys::KEYS;

/// Flags besides those of settings whose values are reported. Not among them: URLs and
/// headers of static pods, which may carry credentials, and labels, which stand apart.
const OPEN: [&str; 24] = [
    "bootstrap-kubeconfig",
    "cert-dir",
    "cloud-config",
    "cloud-provider",
    "config",
    "config-dir",
    "enable-server",
    "hostname-override",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "kubeconfig",
    "kubelet-cgroups",
    "node-ip",
    "pod-infra-container-image",
    "provider-id",
    "register-node",
    "register-with-taints",
    "root-dir",
    "runtime-cgroups",
    "runtime-request-timeout",
    "system-cgroups",
    "tls-private-key-file",
    "v",
    "volume-plugin-dir",
];

/// Labels that the kubelet is told to register, sorted.
pub(super) fn labels(flags: &Flags) -> Vec<Label> {
    let mut labels: Vec<Label> = flags
        .value("node-labels")
        .into_iter()
        .flat_map(|labels| labels.split(','))
        .filter_map(|label| label.trim().split_once('='))
        .map(|(key, value)| Label { key: key.into(), value: value.into() })
        .collect();
    labels.sort_unstable();
    labels
}

/// Every flag once, by name, without what may be a secret.
pub(super) fn reported(flags: &Flags) -> Vec<Flag> {
    let is_open = |name: &&str| OPEN.contains(name) || KEYS.iter().any(|key| key.flag == *name);
    let value = |name: &str| flags.value(name).filter(|_| is_open(&name)).map(str::to_owned);
    let names = flags.names().into_iter();
    names.map(|name| Flag { name: name.to_owned(), value: value(name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Flags {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Flags::of(&arguments)
    }

    #[test]
    fn what_may_be_a_secret_is_not_reported() {
        let flags = flags(
            "kubelet --manifest-url-header=Authorization:Bearer-x --manifest-url=https://u:p@h/ \
             --max-pods=30 --node-labels=a=b --experimental-x=y",
        );
        let reported = reported(&flags);
        let shown: Vec<(&str, Option<&str>)> =
            reported.iter().map(|flag| (flag.name.as_str(), flag.value.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("experimental-x", None),
                ("manifest-url", None),
                ("manifest-url-header", None),
                ("max-pods", Some("30")),
                ("node-labels", None),
            ]
        );
    }

    #[test]
    fn labels_are_key_and_value() {
        let flags = flags("kubelet --node-labels=x=kubernetes.azure.com/mode,a=b,c= --v=2");
        let labels = labels(&flags);
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|label| (label.key.as_str(), label.value.as_str())).collect();
        assert_eq!(labels, [("a", "b"), ("c", ""), ("x", "kubernetes.azure.com/mode")]);
    }
}
