//! The facts that collectors read, one type per component. Facts carry no opinion:
//! what they mean is judged in [`crate::check`].

mod api_server;
mod certificates;
mod cni;
mod conntrack;
pub mod containerd;
mod dns;
mod docker;
mod egress;
mod extensions;
pub mod files;
mod filesystem;
mod http;
mod kernel;
pub mod kernel_log;
mod kernel_modules;
mod kube_proxy;
pub mod kubelet;
mod linux_extension;
mod managed_images;
mod network;
pub mod node_access;
mod node_image;
mod node_object;
mod os_release;
mod packages;
mod pressure;
mod process;
mod process_limits;
mod reach;
mod reboot;
mod swap_and_hugepages;
mod sysctl;
mod system_pods;
mod systemd;
mod time_sync;
mod tunnel;
mod unit;
mod update_channel;

pub use api_server::{ApiServer, ServerCertificate};
pub use certificates::{CertificateStore, Certificates, StoredCertificates, TrustBundle};
pub use cni::{Cni, CniConfiguration, CniPlugin, CniRoutes, PodNetwork};
pub use conntrack::Conntrack;
pub use containerd::{Containerd, CriAnswer, RuntimeCondition, RuntimeVersion};
pub use dns::{
    Dns, LocalDns, NAMESERVER_LIMIT, Nameserver, NameserverAnswer, PodResolver, ResolverFile,
};
pub use docker::{Docker, KubeletRuntime};
pub use egress::{Egress, EgressEndpoint};
pub use extensions::{Extension, Extensions};
pub use files::{Files, UnreadPlace};
pub use filesystem::{BlockMount, Filesystem, FilesystemPlace, FilesystemSize, PlaceRole};
pub use http::HttpAnswer;
pub use kernel::{Kernel, KernelImages, MITIGATIONS_OFF, Taint};
pub use kernel_log::KernelLog;
pub use kernel_modules::{KernelModules, ModuleRule, ModuleRuleKind};
pub use kube_proxy::{FamilyHealth, FeatureGate, KubeProxy, ProxyConfiguration, ProxyHealth};
pub use kubelet::Kubelet;
pub use linux_extension::{LinuxExtension, LinuxTool, ToolUnit};
pub use managed_images::{ImageNames, ManagedContainer, ManagedImage, ManagedImages};
pub use network::{DefaultRoute, Fate, Filtered, Interface, Netfilter, Network, Rules, Traffic};
pub use node_access::NodeAccess;
pub use node_image::{ImageName, Label, NodeImage, built_on};
pub use node_object::{
    ConditionStatus, NODE_OBJECT, NodeCondition, NodeEvent, NodeObject, NodeSystem, NodeTaint,
};
pub use os_release::{Fips, OsRelease, UbuntuPro};
pub use packages::{
    DatabaseLock, Package, PackageManager, Packages, RPM_KERNELS, UnfinishedPackage,
};
pub use pressure::Pressure;
pub use process::Process;
pub use process_limits::{Limit, PodsLimit, ProcessLimits};
pub use reach::Reach;
pub use reboot::{OutdatedProcess, Reboot, Sentinel};
pub use swap_and_hugepages::{Swap, SwapAndHugepages, ToldHugePages, TransparentHugePages};
pub use sysctl::{ExpectedValue, LiveValue, Namespace, PassedOver, Setting, Sysctl};
pub use system_pods::{SystemPod, SystemPods};
pub use systemd::{RemarkableUnit, SystemManager, Systemd, UnitMask};
pub use time_sync::{
    Chrony, ChronyAnswer, ConfiguredSource, DaemonUnit, KernelClock, LeapStatus, PhcDevice,
    PhcTarget, PtpClock, SourceDirective, SourceMode, SourceState, TimeDaemon, TimeSource,
    TimeSync, Tracked, UnitFileState,
};
pub use tunnel::{Tunnel, TunnelAgent, TunnelConnections};
pub use unit::{Unit, UnitFile, UnitState};
pub use update_channel::{AptPeriodic, LastRun, LivePatch, UpdateChannel};

use crate::component::Component;
use crate::observed::{State, Unavailable};
use crate::with_components;

macro_rules! define {
    ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
        /// The state of one component, whichever it is.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum ComponentState {
            $(
                #[doc = concat!("State of [`Component::", stringify!($name), "`].")]
                $name(State<$name>),
            )*
        }

        impl ComponentState {
            /// Which component this is the state of.
            #[must_use]
            pub const fn component(&self) -> Component {
                match self {
                    $(Self::$name(_) => Component::$name,)*
                }
            }

            /// The component could not be read, for this reason.
            #[must_use]
            pub fn unavailable(component: Component, unavailable: Unavailable) -> Self {
                match component {
                    $(Component::$name => Self::$name(State::Unavailable(unavailable)),)*
                }
            }

            /// Why the component could not be read, if it could not.
            #[must_use]
            pub const fn why_unavailable(&self) -> Option<&Unavailable> {
                match self {
                    $(Self::$name(State::Unavailable(unavailable)) => Some(unavailable),)*
                    _ => None,
                }
            }

            /// The word of the state, see [`State::word`].
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$name(state) => state.word(),)*
                }
            }

            /// One line that says what was seen, for people.
            #[must_use]
            pub fn headline(&self) -> String {
                match self {
                    $(Self::$name(state) => headline(state),)*
                }
            }
        }
    };
}

with_components!(define);

impl ComponentState {
    /// The unit of systemd that the component runs as, where one was looked for.
    #[must_use]
    pub fn unit(&self) -> Option<&UnitState> {
        match self {
            Self::Containerd(state) => state.present().map(|containerd| &containerd.unit),
            Self::Kubelet(state) => state.present().map(|kubelet| &kubelet.unit),
            _ => None,
        }
    }
}

fn headline<T: Headline>(state: &State<T>) -> String {
    match state {
        State::Present(facts) => facts.headline(),
        State::Absent => "not installed".to_owned(),
        State::NotApplicable(why) => why.clone(),
        State::Unavailable(unavailable) => format!("could not be read: {unavailable}"),
    }
}

/// Facts that can be told in one line.
pub trait Headline {
    /// What was seen, in one line for people.
    fn headline(&self) -> String;
}
