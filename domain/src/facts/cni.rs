//! Facts of `cni`: the configuration of the network plugin, as the container runtime takes
//! it from `/etc/cni/net.d`, and what the node's route table shows of the pod network.
//! Sources: the CNI specification; Azure's documentation of its own plugin.

use serde::Serialize;

use super::Headline;

/// What was seen of the pod network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cni {
    /// The first configuration by name: of several it alone counts. None when there is none.
    pub configuration: Option<CniConfiguration>,
    /// Names of the other files beside it, sorted.
    pub other_files: Vec<String>,
    /// What the IPv4 route table of the node shows.
    pub routes: CniRoutes,
}

/// One configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CniConfiguration {
    /// The file.
    pub path: String,
    /// Name of the network.
    pub name: String,
    /// The plugins in the order in which they are called; the first makes the network.
    pub plugins: Vec<CniPlugin>,
}

/// One plugin of a network, as far as it tells the kind of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CniPlugin {
    /// Its type, such as `azure-vnet`.
    pub kind: String,
    /// Its mode, such as `transparent`; empty for plugins without one.
    pub mode: String,
    /// What hands out addresses, such as `azure-cns`; empty when it does so by itself.
    pub ipam: String,
    /// The mode of that, such as `v4overlay`; empty without one.
    pub ipam_mode: String,
}

/// What the route table shows. Pods come and go: their routes are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CniRoutes {
    /// This.
    Read {
        /// Links of default routes, sorted.
        default_links: Vec<String>,
        /// Single addresses are reached over links `azv…`, as Azure's plugin makes them.
        has_azure_pod_links: bool,
    },
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// The kind of a pod network and, where it has several, its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodNetwork<'a> {
    /// Azure CNI in its first mode: one bridge `azure0` takes the place of `eth0`.
    AzureBridge,
    /// Azure CNI: one route for each pod, `eth0` untouched.
    AzureTransparent,
    /// Azure CNI with pods in a network of their own.
    AzureOverlay,
    /// Azure CNI powered by Cilium: addresses from Azure, traffic by Cilium.
    AzureCilium,
    /// kubenet, the bridge that the provider configures.
    Kubenet,
    /// Another plugin, by its type.
    Other(&'a str),
    /// It cannot be told, for this reason.
    Unknown(&'a str),
    /// No plugin is configured.
    None,
}

impl Cni {
    /// The kind and mode of the pod network. Between Azure's first two modes the route
    /// table decides; the configuration does until the first pod has made a route.
    #[must_use]
    pub fn network(&self) -> PodNetwork<'_> {
        let Some(configuration) = &self.configuration else { return PodNetwork::None };
        let Some(plugin) = configuration.plugins.first() else {
            return PodNetwork::Unknown("the configuration names no plugin");
        };
        match plugin.kind.as_str() {
            "azure-vnet" if plugin.ipam_mode.to_ascii_lowercase().contains("overlay") => {
                PodNetwork::AzureOverlay
            }
            "azure-vnet" if self.is_bridged(plugin) => PodNetwork::AzureBridge,
            "azure-vnet" => PodNetwork::AzureTransparent,
            "cilium-cni" if matches!(plugin.ipam.as_str(), "azure-ipam" | "azure-cns") => {
                PodNetwork::AzureCilium
            }
            "bridge" if configuration.name == "kubenet" => PodNetwork::Kubenet,
            // The provider's kubenet with Calico for network policies looks the same.
            "calico" if plugin.ipam == "host-local" => {
                PodNetwork::Unknown("kubenet with Calico and a Calico of one's own look the same")
            }
            kind => PodNetwork::Other(kind),
        }
    }

    fn is_bridged(&self, plugin: &CniPlugin) -> bool {
        match &self.routes {
            CniRoutes::Read { default_links, .. }
                if default_links.iter().any(|link| link == "azure0") =>
            {
                true
            }
            CniRoutes::Read { has_azure_pod_links: true, .. } => false,
            _ => plugin.mode == "bridge",
        }
    }
}

impl std::fmt::Display for PodNetwork<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AzureBridge => "Azure CNI, bridge mode",
            Self::AzureTransparent => "Azure CNI, transparent mode",
            Self::AzureOverlay => "Azure CNI Overlay",
            Self::AzureCilium => "Azure CNI powered by Cilium",
            Self::Kubenet => "kubenet",
            Self::Other(kind) => return write!(f, "network plugin {kind}"),
            Self::Unknown(why) => return write!(f, "kind not known: {why}"),
            Self::None => "no network plugin is configured",
        })
    }
}

impl Headline for Cni {
    fn headline(&self) -> String {
        match &self.configuration {
            Some(configuration) => {
                let file = configuration.path.rsplit('/').next().unwrap_or_default();
                format!("{} ({file})", self.network())
            }
            None => self.network().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str, plugin: [&str; 4], routes: CniRoutes) -> Cni {
        let [kind, mode, ipam, ipam_mode] = plugin.map(str::to_owned);
        let plugins = vec![CniPlugin { kind, mode, ipam, ipam_mode }];
        Cni {
            configuration: Some(CniConfiguration {
                path: "/etc/cni/net.d/a.conflist".to_owned(),
                name: name.to_owned(),
                plugins,
            }),
            other_files: Vec::new(),
            routes,
        }
    }

    fn routes(default: &str, has_azure_pod_links: bool) -> CniRoutes {
        CniRoutes::Read { default_links: vec![default.to_owned()], has_azure_pod_links }
    }

    #[test]
    fn the_plugin_tells_the_kind() {
        for (name, plugin, expected) in [
            ("azure", ["azure-vnet", "transparent", "azure-cns", "v4overlay"], "Overlay"),
            ("azure", ["azure-vnet", "transparent", "azure-cns", "dualStackOverlay"], "Overlay"),
            ("cilium", ["cilium-cni", "", "azure-ipam", ""], "powered by Cilium"),
            ("cilium", ["cilium-cni", "", "", ""], "network plugin cilium-cni"),
            ("kubenet", ["bridge", "", "host-local", ""], "kubenet"),
            ("mine", ["bridge", "", "host-local", ""], "network plugin bridge"),
            ("k8s-pod-network", ["calico", "", "calico-ipam", ""], "network plugin calico"),
            ("k8s-pod-network", ["calico", "", "host-local", ""], "kind not known"),
        ] {
            let said = network(name, plugin, routes("eth0", false)).network().to_string();
            assert!(said.contains(expected), "{plugin:?}: {said}");
        }
    }

    #[test]
    fn the_route_table_tells_the_mode_and_the_configuration_until_it_does() {
        for (mode, routes, expected) in [
            ("transparent", routes("azure0", false), PodNetwork::AzureBridge),
            ("bridge", routes("eth0", true), PodNetwork::AzureTransparent),
            ("bridge", routes("eth0", false), PodNetwork::AzureBridge),
            ("", routes("eth0", false), PodNetwork::AzureTransparent),
            ("bridge", CniRoutes::Unreadable(String::new()), PodNetwork::AzureBridge),
        ] {
            let cni = network("azure", ["azure-vnet", mode, "azure-vnet-ipam", ""], routes);
            assert_eq!(cni.network(), expected, "{mode} {:?}", cni.routes);
        }
    }
}
