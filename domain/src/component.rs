//! The components of a node that Nodeward observes. One word per component, the
//! same in every layer: collector, message, check, metric label and fixture.

use serde::{Deserialize, Serialize};

/// Every component, in the order in which screens show them: what it is, the name of its
/// type, its word. Runs the named macro with that list, so that a component is added here
/// and the compiler finds no place that forgot it.
#[macro_export]
macro_rules! with_components {
    ($run:ident) => {
        $run! {
            /// The operating system's description of itself, os-release(5).
            OsRelease os_release,
            /// The image that the node was made from.
            NodeImage node_image,
            /// The kernel that runs.
            Kernel kernel,
            /// Modules of the kernel, and rules that keep some from being loaded, modprobe.d(5).
            KernelModules kernel_modules,
            /// File systems of block devices, and how full they are.
            Filesystem filesystem,
            /// How long tasks wait for processors, memory and disks.
            Pressure pressure,
            /// How many processes and open files there may be.
            ProcessLimits process_limits,
            /// The kernel's table of connections.
            Conntrack conntrack,
            /// Swap, and pages of memory that are bigger than usual.
            SwapAndHugepages swap_and_hugepages,
            /// What the kernel's log tells, and rules that were imported for logs.
            KernelLog kernel_log,
            /// The packages that the distribution's package manager says are installed.
            Packages packages,
            /// What asks for a reboot of the node.
            Reboot reboot,
            /// Parameters of the kernel, sysctl.d(5).
            Sysctl sysctl,
            /// Who keeps the clock, and from which source.
            TimeSync time_sync,
            /// The container runtime.
            Containerd containerd,
            /// Docker, the container runtime of former Kubernetes.
            Docker docker,
            /// Container images that run in the namespace `kube-system`.
            ManagedImages managed_images,
            /// The node agent of Kubernetes.
            Kubelet kubelet,
            /// What leads the traffic of Services to pods.
            KubeProxy kube_proxy,
            /// The network of pods, as its plugin is configured.
            Cni cni,
            /// The service manager, and units that stand out.
            Systemd systemd,
            /// Interfaces and routes of the node's own network.
            Network network,
            /// What the node resolves names by.
            Dns dns,
            /// The way out, to endpoints that the operator asked to be looked at.
            Egress egress,
            /// The API server, as seen from the node.
            ApiServer api_server,
            /// The agents of the API server's tunnel that run on the node.
            Tunnel tunnel,
            /// What on the node updates it by itself.
            UpdateChannel update_channel,
            /// The tools that the provider puts onto every node beside Kubernetes.
            LinuxExtension linux_extension,
            /// Extensions of the virtual machine.
            Extensions extensions,
            /// What the API server says of the node.
            NodeObject node_object,
            /// The pods on the node that the cluster itself stands on, and the agent's.
            SystemPods system_pods,
            /// Files that the provider or the distribution puts onto a node, as they lie there.
            Files files,
            /// Who may log in to the node, and who did.
            NodeAccess node_access,
            /// Certificates beside the kubelet's own, and the authorities that are believed.
            Certificates certificates,
        }
    };
}

macro_rules! define {
    ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
        /// A part of a node that one collector reads and a list of checks judges.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Component {
            $($(#[$what])* $name,)*
        }

        impl Component {
            /// Every component, in the order in which screens show them.
            pub const ALL: [Self; [$(Self::$name,)*].len()] = [$(Self::$name,)*];

            /// The component's one word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($word),)*
                }
            }
        }
    };
}

with_components!(define);

impl Component {
    /// Those that no agent collects: the aggregator asks the cluster's API server for them,
    /// where it is told of one, and takes them from nobody else.
    pub const OF_CLUSTER: [Self; 2] = [Self::NodeObject, Self::SystemPods];

    /// Those that an agent collects on its node, in their order.
    pub const COLLECTED: [Self; Self::ALL.len() - Self::OF_CLUSTER.len()] = {
        let mut collected = [Self::OsRelease; Self::ALL.len() - Self::OF_CLUSTER.len()];
        let (mut from, mut to) = (0, 0);
        while from < Self::ALL.len() {
            if !Self::ALL[from].is_of_cluster() {
                collected[to] = Self::ALL[from];
                to += 1;
            }
            from += 1;
        }
        collected
    };

    /// Whether the cluster's API server is asked for it, and no agent.
    #[must_use]
    pub const fn is_of_cluster(self) -> bool {
        matches!(self, Self::NodeObject | Self::SystemPods)
    }

    /// The component of that name, if this build knows it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_the_same_in_every_form() {
        for component in Component::ALL {
            assert_eq!(Component::from_name(component.name()), Some(component));
            let json = word_of_serde(component);
            assert_eq!(json, component.name());
        }
    }

    /// The word that serde writes, without a serialiser at hand: TOML's for one value.
    fn word_of_serde(component: Component) -> String {
        #[derive(Serialize)]
        struct One {
            component: Component,
        }
        let text = toml::to_string(&One { component }).expect("one value");
        text.trim().trim_start_matches("component = ").trim_matches('"').to_owned()
    }
}
