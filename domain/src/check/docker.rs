//! Checks of `docker`: does the kubelet run its pods by Docker, which it has not been able to
//! by itself since Kubernetes 1.24, and does Docker run beside the runtime that it uses?

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::kubelet::SettingSource;
use crate::facts::{Docker, KubeletRuntime};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use crate::version::kubernetes::KubernetesVersion;

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "DockerRuntime",
        component: Component::Docker,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "The kubelet runs pods by Docker, which Kubernetes has not supported since 1.24",
        policy: PolicyLink::Cites("auto-remediate-components"),
        source: "https://kubernetes.io/blog/2022/02/17/dockershim-faq/",
        judge: runtime,
    },
    Check {
        reason: "DockerBesideContainerd",
        component: Component::Docker,
        scope: Reach::Node,
        severity: Severity::Information,
        responsible: "customer",
        summary: "Docker runs beside the runtime of Kubernetes: its containers are seen by nobody",
        policy: PolicyLink::Cites("kubernetes-native-change"),
        source: "https://kubernetes.io/blog/2022/02/17/dockershim-faq/",
        judge: beside,
    },
];

const ABSENT: &str = "there is no Docker";
const NO_KUBELET: &str = "no kubelet runs: nothing says what the machine is for";

/// By what a kubelet runs its pods.
enum Runs {
    /// By Docker, through what stands between them.
    Docker(&'static str),
    /// By another.
    Other,
    /// That its flags do not say, and its version, which would, is not known.
    Unknown,
}

/// What the kubelet was told, by flags or by its files, and its version.
fn told(
    history: &NodeHistory,
    flags: &KubeletRuntime,
) -> (KubeletRuntime, Option<KubernetesVersion>) {
    let kubelet = history.kubelet.present();
    let version = kubelet.and_then(|kubelet| kubelet.version.as_ref());
    let version = version.and_then(|version| KubernetesVersion::parse(&version.version));
    let mut runtime = flags.clone();
    let setting = kubelet.and_then(|one| one.configuration.setting("containerRuntimeEndpoint"));
    if let Some(setting) = setting.filter(|one| matches!(one.source, SettingSource::File(_)))
        && runtime.endpoint.is_empty()
    {
        setting.effective().clone_into(&mut runtime.endpoint);
    }
    (runtime, version)
}

fn runs(runtime: &KubeletRuntime, version: Option<KubernetesVersion>) -> Runs {
    let name = |text: &str| text.to_ascii_lowercase();
    let endpoint = name(&runtime.endpoint);
    if endpoint.contains("cri-dockerd") {
        return Runs::Docker("cri-dockerd");
    }
    let is_shim = endpoint.is_empty() || endpoint.contains("dockershim");
    match (name(&runtime.runtime).as_str(), is_shim) {
        ("remote", _) => Runs::Other,
        // The default of kubelets that have it inside.
        ("" | "docker", true) => match version {
            Some(version) if version.minor < 24 => Runs::Docker("its own dockershim"),
            Some(_) => Runs::Other,
            None => Runs::Unknown,
        },
        _ => Runs::Other,
    }
}

fn evidence(docker: &Docker, kubelet: &KubeletRuntime) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    let told = |flag: &str, value: &str| {
        let value = if value.is_empty() { "not given" } else { value };
        Evidence::new(format!("kubelet {flag}"), value, "")
    };
    evidence.push(told("--container-runtime-endpoint", &kubelet.endpoint));
    if !kubelet.runtime.is_empty() {
        evidence.push(told("--container-runtime", &kubelet.runtime));
    }
    for (name, process) in [("dockerd", &docker.process), ("cri-dockerd", &docker.shim)] {
        if let Some(process) = process {
            evidence.push(Evidence::new(name, format!("runs, pid {}", process.pid), ""));
        }
    }
    evidence.extend(docker.traces.iter().map(|path| Evidence::new(path, "there", "")));
    evidence
}

/// The packages that bring Docker.
const PACKAGES: [&str; 5] = ["docker-ce", "docker.io", "moby-cri", "moby-engine", "cri-dockerd"];

fn packaged(history: &NodeHistory) -> Option<Evidence> {
    let packages = history.packages.present()?;
    let package = packages.installed.iter().find(|one| PACKAGES.contains(&one.name.as_str()))?;
    Some(Evidence::new(&packages.path, format!("{} {}", package.name, package.version), ""))
}

fn runtime(history: &NodeHistory, scope: &Scope<'_>, policy: &Policy, _: Timestamp) -> Verdict {
    let (docker, since) = verdict_or!(facts(&history.docker, ABSENT));
    let Some(kubelet) = &docker.kubelet else {
        return Verdict::not_applicable(NO_KUBELET);
    };
    let (kubelet, version) = told(history, kubelet);
    let mut evidence = evidence(docker, &kubelet);
    evidence.extend(packaged(history));
    let by = match runs(&kubelet, version) {
        Runs::Other => return Verdict::pass(evidence),
        Runs::Unknown => {
            return Verdict::unknown(
                "the kubelet's version, by which it has Docker's support or not, is not known",
                evidence,
            );
        }
        Runs::Docker(by) => by,
    };
    // An edition from Docker's time speaks of it as of the provider's own.
    let is_providers = scope.platform == Platform::Aks && policy.repairs_docker();
    if is_providers {
        return Verdict::pass(evidence);
    }
    let message = format!("the kubelet runs pods by Docker, through {by}");
    let action = match scope.platform {
        Platform::Aks => Action::UpgradeImage { to: None },
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => Action::Repair {
            what: "move the node to containerd: --container-runtime-endpoint".to_owned(),
        },
    };
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail(message, since, turn, evidence)
}

fn beside(history: &NodeHistory, scope: &Scope<'_>, _: &Policy, _: Timestamp) -> Verdict {
    let (docker, since) = verdict_or!(facts(&history.docker, ABSENT));
    let Some(kubelet) = &docker.kubelet else {
        return Verdict::not_applicable(NO_KUBELET);
    };
    let (kubelet, version) = told(history, kubelet);
    if matches!(runs(&kubelet, version), Runs::Docker(_)) {
        return Verdict::not_applicable("see DockerRuntime");
    }
    let mut evidence = evidence(docker, &kubelet);
    evidence.extend(packaged(history));
    if docker.process.is_none() {
        return Verdict::pass(evidence);
    }
    let what = "take Docker off: its containers and images are not counted by the kubelet";
    let action = by_hand(scope, Action::Repair { what: what.to_owned() });
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    Verdict::fail("Docker runs beside the kubelet's runtime", since, turn, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(runtime: &str, endpoint: &str, version: Option<&str>) -> &'static str {
        let told = KubeletRuntime { runtime: runtime.to_owned(), endpoint: endpoint.to_owned() };
        match runs(&told, version.and_then(KubernetesVersion::parse)) {
            Runs::Docker(by) => by,
            Runs::Other => "other",
            Runs::Unknown => "unknown",
        }
    }

    #[test]
    fn flags_and_version_tell_by_what_pods_run() {
        const CONTAINERD: &str = "unix:///run/containerd/containerd.sock";
        for (runtime, endpoint, version, expected) in [
            ("", CONTAINERD, Some("v1.34.9"), "other"),
            ("remote", CONTAINERD, Some("v1.18.14"), "other"),
            ("", "", Some("v1.18.14"), "its own dockershim"),
            ("docker", "", Some("v1.23.17"), "its own dockershim"),
            ("docker", "unix:///var/run/dockershim.sock", Some("v1.23.1"), "its own dockershim"),
            ("", "", Some("v1.27.1"), "other"),
            ("", "", None, "unknown"),
            ("", "unix:///run/cri-dockerd.sock", Some("v1.34.9"), "cri-dockerd"),
            ("remote", "unix:///var/run/cri-dockerd.sock", None, "cri-dockerd"),
        ] {
            assert_eq!(
                by(runtime, endpoint, version),
                expected,
                "{runtime} {endpoint} {version:?}"
            );
        }
    }
}
