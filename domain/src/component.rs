//! The components of a node that Nodeward observes. One word per component, the
//! same in every layer: collector, message, check, metric label and fixture.

use serde::{Deserialize, Serialize};

/// A part of a node that one collector reads and a list of checks judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The operating system's description of itself, os-release(5).
    OsRelease,
    /// The kernel that runs.
    Kernel,
    /// The packages that the distribution's package manager says are installed.
    Packages,
    /// The container runtime.
    Containerd,
    /// The node agent of Kubernetes.
    Kubelet,
}

impl Component {
    /// Every component, in the order in which screens show them.
    pub const ALL: [Self; 5] =
        [Self::OsRelease, Self::Kernel, Self::Packages, Self::Containerd, Self::Kubelet];

    /// The component's one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OsRelease => "os_release",
            Self::Kernel => "kernel",
            Self::Packages => "packages",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
        }
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
