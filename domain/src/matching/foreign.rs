//! Packages that no advisory of the node's distribution covers: those of the provider and of
//! other vendors, which have names and versions like the distribution's own and would be
//! taken for clean, or be judged by advisories on something else of the same name. Sources:
//! the packages of packages.microsoft.com on AKS's images, the `Origin` of deb-control(5).

use crate::advisory::Distribution;
use crate::facts::Package;
use crate::version::without_epoch;

/// Whether that is a source of packages.microsoft.com on AKS's Ubuntu images.
fn is_of_the_provider(source: &str) -> bool {
    matches!(
        source,
        "acr-mirror"
            | "azcopy"
            | "aznfs"
            | "azure-cli"
            | "azuremonitoragent"
            | "blobfuse"
            | "blobfuse2"
            | "containerd-accelerated-container-image"
            | "containerd-overlaybd"
            | "containernetworking-plugins"
            | "dcgm-exporter"
            | "ig"
            | "inspektor-gadget"
            | "kubectl"
            | "kubelet"
            | "kubernetes-cri-tools"
            | "mdatp"
            | "node-exporter-kubernetes"
    ) || BEGINNINGS.iter().any(|start| source.starts_with(start))
}

/// How more of them begin.
const BEGINNINGS: [&str; 9] = [
    "aad-",
    "azure-acr-credential-provider",
    "azure-credential-provider",
    "datacenter-gpu-manager",
    "libnvidia-container",
    "moby-",
    "mobyruntime",
    "nvidia-container-toolkit",
    "packages-microsoft-",
];

/// Who makes a package, if not the node's distribution.
pub(crate) fn maker(distribution: &Distribution, package: &Package) -> Option<String> {
    let origin = package.origin.trim();
    match distribution {
        Distribution::Ubuntu | Distribution::Debian => {
            if !origin.is_empty() && !origin.eq_ignore_ascii_case(distribution.name()) {
                return Some(origin.to_owned());
            }
            let is_listed = is_of_the_provider(&package.source);
            // As that repository writes versions: `1.7.33-ubuntu22.04u1`.
            let is_named = package
                .source_version
                .rsplit_once("-ubuntu")
                .is_some_and(|(_, rest)| rest.contains('u') && rest.contains('.'));
            (is_listed || is_named).then(|| "packages.microsoft.com".to_owned())
        }
        // Everything on these images is built by the one vendor, kubelet and all.
        Distribution::AzureLinux | Distribution::Mariner => {
            let is_own = origin.is_empty()
                || origin.contains("Microsoft")
                || origin.contains("Azure Linux")
                || origin.contains("Mariner");
            (!is_own).then(|| origin.to_owned())
        }
        Distribution::Upstream(_) | Distribution::Other(_) => None,
    }
}

/// The modules of Go by which upstream's advisories speak of a package of the provider's.
pub(super) fn modules(source: &str) -> &'static [&'static str] {
    match source {
        "moby-containerd" => {
            &["github.com/containerd/containerd", "github.com/containerd/containerd/v2"]
        }
        "moby-runc" => &["github.com/opencontainers/runc"],
        "kubelet" | "kubectl" => &["k8s.io/kubernetes"],
        "kubernetes-cri-tools" => &["sigs.k8s.io/cri-tools"],
        "containernetworking-plugins" => &["github.com/containernetworking/plugins"],
        "blobfuse2" => &["github.com/Azure/azure-storage-fuse/v2"],
        _ => &[],
    }
}

/// Upstream's version of such a package: `1.7.33` of `1.7.33-ubuntu22.04u4`.
pub(super) fn upstream_version(version: &str) -> &str {
    let version = without_epoch(version);
    version.split_once(['-', '~', '+']).map_or(version, |(upstream, _)| upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(source: &str, version: &str, origin: &str) -> Package {
        Package {
            name: source.to_owned(),
            architecture: "amd64".to_owned(),
            version: version.to_owned(),
            source: source.to_owned(),
            source_version: version.to_owned(),
            held: false,
            origin: origin.to_owned(),
        }
    }

    #[test]
    fn upstreams_version_is_what_stands_before_the_packagers_own() {
        for (version, upstream) in [
            ("1.7.33-ubuntu22.04u4", "1.7.33"),
            ("1.4.3-1", "1.4.3"),
            ("1:4.5.3-1", "4.5.3"),
            ("2.5.4", "2.5.4"),
            ("1.7.33+azure-ubuntu22.04u1", "1.7.33"),
        ] {
            assert_eq!(upstream_version(version), upstream);
        }
    }

    #[test]
    fn the_providers_packages_are_not_the_distributions() {
        for (source, version, origin, expected) in [
            ("moby-containerd", "1.7.33-ubuntu22.04u1", "", true),
            ("kubernetes-cri-tools", "1.32.0-ubuntu18.04u3", "", true),
            ("new-thing", "0.1-ubuntu22.04u1", "", true),
            ("acr-mirror", "0.2.14-1", "", true),
            ("containerd", "1.7.28-0ubuntu1~22.04.1", "", false),
            ("azure-vm-utils", "0.6.0-4~ubuntu0.22.04.1", "", false),
            ("openssl", "3.0.2-0ubuntu1.21", "Ubuntu", false),
            ("docker-ce", "5:28.0-1", "Docker", true),
        ] {
            let maker = maker(&Distribution::Ubuntu, &package(source, version, origin));
            assert_eq!(maker.is_some(), expected, "{source} {version}");
        }
        let kernel = package("kernel", "6.6.64.2-1.azl3", "Microsoft Corporation");
        assert_eq!(maker(&Distribution::AzureLinux, &kernel), None);
        let foreign = package("falcon-sensor", "7.1-1", "CrowdStrike, Inc.");
        assert!(maker(&Distribution::AzureLinux, &foreign).is_some());
    }
}
